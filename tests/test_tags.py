"""What a song is, written into files of every kind, which play as before."""

import base64
import logging
import random
from pathlib import Path
from typing import Any

import attrs
import miniaudio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen import File
from mutagen.flac import FLAC, Picture
from mutagen.id3 import ID3
from mutagen.mp4 import MP4
from mutagen.wave import WAVE

from tests.test_formats import DECODED, FILES
from udio_async import Song, Stage
from udio_async._download.tags import write_tags
from udio_async._formats import Suffix, measure

SONG = Song(
    id="song-1",
    task_id="task-1",
    provider="udioapi-v2",
    index=0,
    stage=Stage.COMPLETE,
    title="Über 音楽",
    lyrics="one\ntwo " * 500,
    tags="pop, slow",
)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(5000)
UNTAGGED = {
    "piped.wav": "requires 0 <= number",  # of unknown length, so mutagen does not know where to go
    "long.wav": "RF64",
    "fragments.m4a": "fragment",
    "cmaf.m4a": "fragment",
}
"""What takes no tags, and what is said of it."""
TAGGED = sorted(FILES.keys() - UNTAGGED)


def suffix_of(name: str) -> Suffix:
    return measure(FILES[name]).suffix


def write(path: Path, name: str, song: Song = SONG, cover: bytes | None = PNG) -> bytes:
    """The file `name` with tags; it is called something else meanwhile, as in a download."""
    part = path / "song.mp3.part"
    part.write_bytes(FILES[name])
    write_tags(part, song, cover, "image/png", suffix_of(name))
    return part.read_bytes()


def read(path: Path, name: str) -> dict[str, Any]:
    """What another program finds in a tagged file."""
    part = path / "song.mp3.part"
    if name.endswith((".mp3", ".aac", ".wav")):
        # As it stands there: a translation would make "Blues" of the style "0".
        audio: Any = (WAVE if name.endswith(".wav") else ID3)(part, translate=False)
        tags = audio.tags if name.endswith(".wav") else audio
        names = {"title": "TIT2", "lyrics": "USLT::XXX", "style": "TCON"}
        texts = {ours: tags[theirs].text for ours, theirs in names.items() if theirs in tags}
        found = {ours: text if isinstance(text, str) else text[0] for ours, text in texts.items()}
        pictures = [picture.data for picture in tags.getall("APIC")]
    elif name.endswith(".m4a"):
        audio = MP4(part)
        names = {"title": "\xa9nam", "lyrics": "\xa9lyr", "style": "\xa9gen"}
        found = {ours: audio[theirs][0] for ours, theirs in names.items() if theirs in audio}
        pictures = [bytes(picture) for picture in audio.get("covr", [])]
    else:
        audio = File(part)
        names = {"title": "title", "lyrics": "lyrics", "style": "genre"}
        found = {ours: audio[theirs][0] for ours, theirs in names.items() if theirs in audio}
        coded = [] if isinstance(audio, FLAC) else audio.get("metadata_block_picture", [])
        blocks = [Picture(base64.b64decode(each)) for each in coded]
        pictures = [picture.data for picture in (*blocks, *getattr(audio, "pictures", ()))]
    return found | {"covers": pictures}


@pytest.mark.parametrize("name", TAGGED)
def test_tags_say_what_the_song_is(name: str, tmp_path: Path) -> None:
    """Title, lyrics, style and cover, in every kind of file, read by another program."""
    write(tmp_path, name)
    assert read(tmp_path, name) == {
        "title": SONG.title,
        "lyrics": SONG.lyrics,
        "style": SONG.tags,
        "covers": [PNG],
    }


@pytest.mark.parametrize("name", TAGGED)
def test_a_tagged_file_is_the_same_sound(name: str, tmp_path: Path) -> None:
    """Whole, as long as before, and sample for sample the same where we can decode it."""
    tagged = write(tmp_path, name)
    assert tagged != FILES[name]
    assert measure(tagged) == measure(FILES[name])
    if name in DECODED:
        assert miniaudio.decode(tagged).samples == miniaudio.decode(FILES[name]).samples
        assert miniaudio.decode(tagged).samples


@pytest.mark.parametrize("name", UNTAGGED)
def test_what_takes_no_tags_is_left_as_it_is(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A song without tags is better than none; a warning says so."""
    with caplog.at_level(logging.WARNING, "udio_async"):
        assert write(tmp_path, name) == FILES[name]
    assert "no tags for song song-1" in caplog.text
    assert UNTAGGED[name] in caplog.text


@pytest.mark.parametrize("name", TAGGED)
def test_tags_take_the_place_of_others(name: str, tmp_path: Path) -> None:
    """Of those that were there nothing is left, not even a cover."""
    write(tmp_path, name)
    part = tmp_path / "song.mp3.part"
    other = attrs.evolve(SONG, title="Another", lyrics=None, tags=None)
    write_tags(part, other, None, "", suffix_of(name))
    assert read(tmp_path, name) == {"title": "Another", "covers": []}
    assert measure(part.read_bytes()) == measure(FILES[name])


def test_a_cover_that_a_format_does_not_know_is_left_out(tmp_path: Path) -> None:
    """MP4 has no word for WebP; all others take it."""
    for name in ("index-last.m4a", "cbr.mp3", "sound.flac", "vorbis.ogg"):
        part = tmp_path / "song.mp3.part"
        part.write_bytes(FILES[name])
        write_tags(part, SONG, b"RIFF....WEBP", "image/webp", suffix_of(name))
        found = read(tmp_path, name)
        assert found["title"] == SONG.title
        assert found["covers"] == ([] if name.endswith(".m4a") else [b"RIFF....WEBP"])


each_kind = pytest.mark.parametrize(
    "name",
    ["cbr.mp3", "pcm.wav", "sound.flac", "vorbis.ogg", "sound.opus", "index-last.m4a", "bare.aac"],
)
any_text = st.text(st.characters(exclude_categories=()), min_size=1)


@each_kind
@given(any_text, any_text, any_text)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_a_tag(
    name: str, tmp_path: Path, title: str, lyrics: str, style: str
) -> None:
    """Halves of characters too, and zeros, which would end a tag."""
    written = {"title": title, "lyrics": lyrics, "style": style}
    song = attrs.evolve(SONG, title=title, lyrics=lyrics, tags=style)
    tagged = write(tmp_path, name, song, None)
    found = read(tmp_path, name)
    for kind, text in written.items():
        kept = text.encode(errors="ignore").decode().replace("\0", "")
        assert found.get(kind, "") == kept
    assert measure(tagged) == measure(FILES[name])


@each_kind
def test_a_strange_file_costs_only_its_tags(name: str, tmp_path: Path) -> None:
    """Whatever is wrong with it: it is tagged and plays as before, or is as it was."""
    dice, part, tagged = random.Random(name), tmp_path / "song.part", 0
    for _ in range(200):
        data = bytearray(FILES[name])
        for _ in range(dice.randrange(1, 5)):
            place = dice.randrange(min(len(data), dice.choice([100, 100_000])))
            data[place : place + 4] = dice.choice([dice.randbytes(4), b"\0" * 4, b"\xff" * 4])
        part.write_bytes(data)
        write_tags(part, SONG, PNG, "image/png", suffix_of(name))
        if part.read_bytes() != data:
            tagged += 1
            assert measure(part.read_bytes()) == measure(data)
    assert tagged


def test_what_the_disk_does_not_give_or_take_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="missing"):
        write_tags(tmp_path / "missing.part", SONG, None, "", ".flac")
    with pytest.raises(OSError, match="directory"):
        write_tags(tmp_path, SONG, None, "", ".flac")
