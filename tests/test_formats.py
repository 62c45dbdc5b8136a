"""A sound file is what its bytes are, plays as long as they do, and says what is missing."""

import math
import mmap
import pickle
import random
import re
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import miniaudio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit import sounds
from tests.kit.sounds import FTYP, MDAT, OPUS, VORBIS, box, mp4_fragment, mp4_index, ogg, wav
from udio_async._formats import SUFFIXES, UNMEASURED, Measured, NoAudio, base, measure, mp4
from udio_async.files import measure_file

FOLDER = Path(__file__).parent / "recordings" / "audio"
PLAYS = {  # as long as ffmpeg decodes them
    "bare.aac": 1.347,
    "bare.mp3": 1.358,
    "cbr.mp3": 1.3,
    "chained.opus": 2.6,
    "cmaf.m4a": 1.347,
    "flac.ogg": 1.3,
    "fragments.m4a": 1.347,
    "free.mp3": 1.3,
    "index-first.m4a": 1.3,
    "index-last.m4a": 1.3,
    "long.wav": 1.3,
    "pcm.wav": 1.3,
    "piped.flac": 1.3,
    "piped.wav": 1.3,
    "sound.flac": 1.3,
    "sound.opus": 1.3,
    "tagged.aac": 1.347,
    "vbr.mp3": 1.3,
    "vorbis.ogg": 1.3,
}
FILES = {name: (FOLDER / name).read_bytes() for name in PLAYS}
DECODED = {name for name in PLAYS if name.endswith((".mp3", ".wav", ".flac"))} | {"vorbis.ogg"}
"""What our own decoder knows."""
UNKNOWN = 0xFFFF_FFFF
"""What a program writes for a length that it does not know yet."""


def is_whole(data: bytes) -> bool:
    try:
        return measure(data).whole
    except NoAudio:
        return False


def flaw(data: bytes) -> str | None:
    return measure(data).flaw


# Files of other programs


def test_a_file_may_be_named_by_text() -> None:
    """As everywhere a path can be."""
    path = FOLDER / "cbr.mp3"
    assert measure_file(str(path)) == measure_file(path) == measure(FILES["cbr.mp3"])


def test_every_recording_is_asked_about() -> None:
    assert set(PLAYS) == {path.name for path in FOLDER.iterdir()} - {"README.md"}
    assert {Path(name).suffix for name in PLAYS} == set(SUFFIXES) - set(UNMEASURED) - {".mp2"}


@pytest.mark.parametrize("name", PLAYS)
def test_a_file_is_known_by_its_bytes_and_plays_as_long_as_it_is_decoded(name: str) -> None:
    """Whatever its name is: nobody is asked for it."""
    found = measure(FILES[name])
    assert found == Measured(Path(name).suffix, found.seconds)  # type: ignore[arg-type]
    assert found.seconds == pytest.approx(PLAYS[name], abs=0.01)
    assert found.whole


BEGINNINGS = {
    ".aiff": b"FORM\0\0>\xaeAIFFCOMM",
    ".webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm",
    ".mka": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska",
    ".au": b".snd\0\0\0\x18",
    ".caf": b"caff\0\x01\0\0desc",
    ".amr": b"#!AMR-WB\n",
    ".ts": (b"G\x40\x11\x10" + bytes(184)) * 4,
    ".wma": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9",
    ".ac3": b"\x0b\x77\x78\x62\x4c\x40\x2f\x84",
    ".eac3": b"\x0b\x77\x00\xcf\x72\x87\xc0\x00",
    ".dts": b"\x7f\xfe\x80\x01\xfc\x3c",
    ".latm": b"V\xe1\x08\x20\x00\x12\x08\x1f",
    ".wv": b"wvpk\x0c\x02\0\0\x10\4",
    ".tta": b"TTA1\1\0\1\0\x10\0",
    ".w64": b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
    ".flv": b"FLV\1\4\0\0\0\x09",
}


@pytest.mark.parametrize("suffix", UNMEASURED)
def test_some_kinds_are_known_by_their_first_bytes_only(suffix: str) -> None:
    """Behind tags too. How long they play, nobody says."""
    data = BEGINNINGS[suffix] + bytes(1000)
    assert measure(data) == measure(sounds.ID3 + data) == Measured(suffix, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"FORM\0\0>\xaeILBM",
        b"#!/bin/sh\n",
        b"caffeine",
        b"{}",
        b"<a>",
        b"Good morning" * 99,
        "V\xe9rifiez".encode("latin-1"),
        b"The free file is gone",
        b"\x0b\x77\0\0\xff\xff",
    ],
)
def test_what_only_looks_like_a_known_kind_is_no_audio(data: bytes) -> None:
    with pytest.raises(NoAudio):
        measure(data + bytes(1000))


@pytest.mark.parametrize(
    ("head", "size", "seconds"),
    [(b"\xff\xfd\xa0\xc4", 626, 1152 / 44_100), (b"\xff\xf5\x84\xc4", 384, 1152 / 24_000)],
)
def test_frames_of_layer_two_are_measured(head: bytes, size: int, seconds: float) -> None:
    """Of MPEG 1 and of MPEG 2; our own decoder agrees."""
    data = (head + bytes(size - 4)) * 50
    found = measure(data)
    assert found == Measured(".mp2", found.seconds)
    assert found.seconds == pytest.approx(50 * seconds)
    assert miniaudio.decode(data).duration == pytest.approx(50 * seconds, abs=0.01)
    assert not is_whole(data[:-1])


@pytest.mark.parametrize("name", sorted(DECODED))
def test_an_independent_decoder_agrees(name: str) -> None:
    decoded = miniaudio.decode(FILES[name]).duration
    assert decoded == pytest.approx(measure(FILES[name]).seconds, abs=0.01)


def mp3_edges(data: bytes) -> Iterator[int]:
    place = 0
    while place < len(data):
        place += 104 + (data[place + 2] >> 1 & 1)
        yield place


def last_mp3_frame(data: bytes) -> list[int]:
    return [data.rindex(b"\xff\xf3")]


def adts_edges(data: bytes) -> Iterator[int]:
    place = data.index(b"\xff\xf1")
    while place < len(data):
        place += int.from_bytes(data[place + 3 : place + 6]) >> 5 & 0x1FFF
        yield place


def flac_edges(data: bytes) -> Iterator[int]:
    _, *others = re.finditer(b"\xff\xf8[\x64\xa4]\x08", data)
    return (each.start() for each in others)


def fragment_edges(data: bytes) -> Iterator[int]:
    place = 0
    while place < len(data):
        kind = data[place + 4 : place + 8]
        place += int.from_bytes(data[place : place + 4])
        if place > data.index(b"mdat") and kind != b"moof":
            yield place


WHOLE_WHEN_CUT: dict[str, Callable[[bytes], Iterable[int]]] = {
    # Frames in a row, and nothing says how many.
    "bare.mp3": mp3_edges,
    "bare.aac": adts_edges,
    "tagged.aac": adts_edges,
    # A header says how many, but not whether it counts its own frame.
    "cbr.mp3": last_mp3_frame,
    "vbr.mp3": last_mp3_frame,
    "free.mp3": last_mp3_frame,
    # Written by a program that could not go back; each byte is a sample of the first.
    "piped.wav": lambda data: range(data.index(b"data") + 9, len(data)),
    "piped.flac": flac_edges,
    # Each fragment, and each stream of several, stands for itself.
    "fragments.m4a": fragment_edges,
    "cmaf.m4a": fragment_edges,
    "chained.opus": lambda data: [data.rindex(b"OggS\0\2")],
}
"""Where a cut leaves what is a whole file, only a shorter one; in all other files nowhere."""


@pytest.mark.parametrize("name", PLAYS)
def test_a_cut_is_seen_unless_it_leaves_a_whole_file(name: str) -> None:
    """200 random cuts and all that cannot be seen: not one more is missed, and not one less."""
    data = FILES[name]
    exempt = set(WHOLE_WHEN_CUT[name](data)) - {len(data)} if name in WHOLE_WHEN_CUT else set()
    cuts = exempt | set(random.Random(name).choices(range(len(data)), k=200))
    assert {cut for cut in cuts if is_whole(data[:cut])} == exempt


@pytest.mark.parametrize("name", PLAYS)
def test_of_a_cut_file_no_more_plays_than_is_there(name: str) -> None:
    """And where it cannot be told how much, nothing is claimed."""
    data = FILES[name]
    half = measure(data[: len(data) // 2 + 1])
    assert half.seconds is None or half.seconds < PLAYS[name] * 0.75


# Any bytes


@given(
    st.sampled_from(sorted(PLAYS)),
    st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=8)), max_size=8),
    st.integers(0, 20_000),
)
def test_a_damaged_file_is_measured_or_refused(
    name: str, damage: list[tuple[int, bytes]], cut: int
) -> None:
    """No other error, and no length that is none."""
    data = bytearray(FILES[name])
    for where, patch in damage:
        place = where % len(data)
        data[place : place + len(patch)] = patch
    check(bytes(data))
    check(bytes(data[: cut % len(data)]))


HEADS = (
    b"",
    b"\xff\xfb\x90\x64",
    b"\xff\xfb\x00\x64",
    b"\xff\xf1\x50\x80",
    b"ID3\x04\0\0",
    b"RIFF\0\0\0\0WAVE",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"fLaC\x80\0\0\x22",
    sounds.flac_head(block=1024, total=0),
    b"OggS\0\2",
    sounds.ogg_page(VORBIS, flags=2, samples=0),
    FTYP,
    FTYP + mp4_index() + b"\0\0\0\x40moof",
)


@given(st.sampled_from(HEADS), st.binary(max_size=300))
def test_any_bytes_are_measured_or_refused(head: bytes, rest: bytes) -> None:
    """Whatever they begin with."""
    check(head + rest)


def check(data: bytes) -> None:
    try:
        found = measure(data)
    except NoAudio:
        return
    assert found.suffix in SUFFIXES
    assert found.seconds is None or (math.isfinite(found.seconds) and found.seconds >= 0)
    assert found.whole == (found.flaw is None)


SIZE = 500_000
FLAC_HEAD = sounds.flac_head(block=65_535, total=0)
HOSTILE = {
    "syncs": b"\xff" * SIZE,
    "headers": b"\xff\xfb" * (SIZE // 2),
    "free format": b"\xff\xfb\0" * (SIZE // 3),
    "empty AAC": b"\xff\xf1\x50\x80\0\xe0\xfc" * (SIZE // 7),
    "noise": random.Random(1).randbytes(SIZE),
    "ID3": b"ID3\4\0\0\0\0\0\0" * (SIZE // 10),
    "ID3v1": sounds.mp3(4) + sounds.ID3V1 * (SIZE // 128),
    "Lyrics3": sounds.mp3(4) + b"000000LYRICS200" * (SIZE // 15),
    "chunks": b"RIFF\0\0\0\0WAVE" + bytes(SIZE),
    "pages": sounds.ogg_page(VORBIS, flags=2, samples=0)
    + (b"OggS" + bytes(10) + b"\1" + bytes(12)) * (SIZE // 27),
    "streams": sounds.ogg_page(VORBIS, flags=2, samples=0) * (SIZE // 58),
    "boxes": FTYP + box(b"free") * (SIZE // 8),
    "tracks": FTYP + box(b"moov", box(b"trak") * (SIZE // 8)),
    "boxes in a track": FTYP + box(b"moov", box(b"trak", box(b"mdia") * (SIZE // 8)) * 2),
    "fragments": FTYP + mp4_index() + mp4_fragment(1 << 31, each=1 << 31) * (SIZE // 68),
    "FLAC blocks": FLAC_HEAD[:4] + b"\0" + FLAC_HEAD[5:] + b"\1\0\0\0" * (SIZE // 4),
    "FLAC frames": FLAC_HEAD + b"\xff\xf8" * (SIZE // 2),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_takes_long(name: str) -> None:
    """Half a megabyte of what is most trouble: half a second of CPU at most, and a bound of two."""
    before = time.process_time()
    check(HOSTILE[name])
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"<html>" * 999, bytes(9999), b"RIFF", b"fLaC", b"ID3 is a kind of tag"]
)
def test_what_is_no_sound_is_refused_by_how_it_begins(data: bytes) -> None:
    with pytest.raises(NoAudio, match=re.escape(f"begins with {data[:12]!r}")):
        measure(data)


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x24\0\0\0WEBPVP8 " + bytes(99),
        b"RIFF\x24\0\0\0AVI LIST" + bytes(99),
        FTYP + box(b"meta") + MDAT,  # a picture
        FTYP + mp4_index(kind=b"vide") + MDAT,
        sounds.ogg_page(b"\x80theora", flags=2, samples=0),
        b"fLaC\x81\0\0\x22" + bytes(99),
    ],
)
def test_other_contents_of_the_same_containers_are_refused(data: bytes) -> None:
    """Pictures, films and what does not say what it is."""
    with pytest.raises(NoAudio):
        measure(data)


def test_an_error_can_be_pickled() -> None:
    with pytest.raises(NoAudio) as refused:
        measure(b"nothing")
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


@pytest.mark.parametrize("name", ["cbr.mp3", "sound.flac", "index-last.m4a", "pcm.wav"])
def test_a_mapped_file_is_measured_where_it_is(name: str) -> None:
    """Nothing holds it afterwards, so it can be closed."""
    with (
        (FOLDER / name).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen,
    ):
        assert measure(seen) == measure(FILES[name])
    assert measure(memoryview(FILES[name])) == measure(bytearray(FILES[name]))


def test_a_mapped_file_can_be_closed_after_it_was_refused(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes(b"<html>")
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen,
        pytest.raises(NoAudio),
    ):
        measure(seen)


def test_a_whole_file_without_sound_is_none() -> None:
    """Of any kind."""
    for data in (wav(b""), ogg(samples=0, pages=1), sounds.mp3(0, stated=0)):
        assert flaw(data) == "has no sound in it"


# Tags before and behind


TAILS = (b"", sounds.ID3V1, sounds.APE, sounds.APE + sounds.ID3V1, sounds.LYRICS3, bytes(99))
KINDS = {
    ".mp3": sounds.mp3(),
    ".aac": sounds.adts(),
    ".flac": sounds.flac(range(3000)),
    ".ogg": ogg(),
    ".m4a": FTYP + MDAT + mp4_index(),
}


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("before", [b"", sounds.ID3, sounds.ID3 * 2, sounds.APE + sounds.ID3])
@pytest.mark.parametrize("behind", TAILS)
def test_tags_change_nothing(suffix: str, before: bytes, behind: bytes) -> None:
    """ID3v2 and APE before any sound, ID3v1, APE, Lyrics3 and zeros behind it."""
    found = measure(before + KINDS[suffix] + behind)
    assert found == measure(KINDS[suffix])
    assert found.whole
    assert found.suffix == suffix


@pytest.mark.parametrize("tail", TAILS[1:-1])
def test_a_cut_in_a_tag_at_the_end_is_seen(tail: bytes) -> None:
    for cut in range(1, len(tail)):
        data = sounds.mp3() + tail[:cut]
        assert is_whole(data) == (tail[:cut] in TAILS)


def test_a_cut_in_a_tag_at_the_beginning_is_seen() -> None:
    """It is no sound yet, but it is no stranger either."""
    assert measure(sounds.ID3[:-1]) == Measured(".mp3", 0.0, "breaks off after 0.00 s")


@pytest.mark.parametrize("suffix", [".mp3", ".aac"])
def test_a_tag_that_claims_more_than_the_file_hides_no_sound(suffix: str) -> None:
    """Its head says 2 MiB, and frames follow soon: they play, and the file has a flaw."""
    found = measure(b"ID3\x04\0\0\0\x7f\x7f\x7f" + bytes(1000) + KINDS[suffix])
    assert found.suffix == suffix
    assert found.seconds == measure(KINDS[suffix]).seconds
    assert found.flaw == "has a tag that says it is longer than the file"


def test_a_tag_may_state_its_length_in_whole_bytes() -> None:
    """Not in seven bits of each, as it should: its pictures are longer than what is searched."""
    tag = b"ID3\x03\0\0" + (250_000).to_bytes(4) + b"\x01" * 250_000
    assert measure(tag + KINDS[".mp3"]) == measure(KINDS[".mp3"])


def test_a_tag_with_a_footer_is_skipped_as_well() -> None:
    footer = b"3DI\x04\0\x10\0\0\1\0"
    tag = sounds.ID3[:5] + b"\x10" + sounds.ID3[6:] + footer
    assert measure(tag + KINDS[".flac"]) == measure(KINDS[".flac"])


# WAV


SOUND = bytes(range(250)) * 32
"""8,000 bytes: half a second of 16 bits at 8 kHz."""


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav(SOUND), 0.5),
        (wav(SOUND, form=0xFFFE), 0.5),
        (wav(SOUND, form=3, block=4), 0.25),
        (wav(SOUND[:-1], block=1), 7_999 / 8_000),
        (wav(SOUND, behind=sounds.wav_chunk(b"LIST", b"odd")), 0.5),
        (wav(SOUND, before=sounds.wav_chunk(b"JUNK", b"odd")), 0.5),
        (wav(SOUND, stated=UNKNOWN, riff=UNKNOWN), 0.5),
        (wav(SOUND, stated=0, riff=0), 0.5),
        (wav(SOUND, stated=0, riff=36), 0.5),
        (wav(SOUND, stated=0x7FFF_FFFF, riff=0x7FFF_FFFF), 0.5),
        (wav(SOUND, riff=0), 0.5),
        (wav(SOUND, form=17), None),
        (wav(SOUND, rate=0), None),
    ],
)
def test_a_wav_plays_what_is_in_its_sound_chunk(data: bytes, seconds: float | None) -> None:
    """With other chunks, odd lengths, and lengths that were not known when they were written."""
    assert measure(data) == Measured(".wav", seconds)


def test_a_wav_of_unknown_length_ends_before_its_tags() -> None:
    assert measure(wav(SOUND, stated=0, riff=0) + sounds.ID3V1).seconds == 0.5


@pytest.mark.parametrize("mark", [b"RF64", b"BW64"])
def test_a_long_wav_has_its_lengths_elsewhere(mark: bytes) -> None:
    lengths = (28 + 8 + 8 + 24 + len(SOUND)).to_bytes(8, "little") + len(SOUND).to_bytes(
        8, "little"
    )
    extra = sounds.wav_chunk(b"ds64", lengths + bytes(12))
    data = wav(SOUND, mark=mark, riff=UNKNOWN, stated=UNKNOWN, before=extra)
    assert measure(data + bytes(9)) == Measured(".wav", 0.5)
    assert flaw(data[:-1]) == "breaks off after 0.50 s"


def test_a_wav_says_what_is_missing() -> None:
    extra = sounds.wav_chunk(b"LIST", bytes(1000))
    for cut in range(12, wav(SOUND).index(b"data") + 8):
        assert measure(wav(SOUND)[:cut]) == Measured(".wav", 0.0, "breaks off before its sound")
    assert flaw(wav(SOUND)[:-4000]) == "breaks off after 0.25 s"
    assert flaw(wav(SOUND, behind=extra)[:-900]) == "lacks 900 bytes behind its sound"
    assert flaw(wav(SOUND[:-2], stated=0, riff=0, block=4)) == "breaks off after 0.25 s"


def test_a_stated_length_may_be_a_little_too_large() -> None:
    """Many a program counts the first line, or padding that it does not write."""
    assert is_whole(wav(SOUND, riff=36 + len(SOUND) + 8))
    assert is_whole(wav(SOUND[:-1], block=1)[:-1])


# FLAC


@pytest.mark.parametrize("by_samples", [False, True])
@pytest.mark.parametrize("samples", [1, 1023, 1024, 5000, 140_000])
def test_a_flac_file_plays_as_far_as_its_last_frame(samples: int, by_samples: bool) -> None:
    """Whether frames count frames or samples, and whether the head states the length or not."""
    frames = b"".join(sounds.flac_frames([7] * samples, by_samples=by_samples))
    for total in (0, samples):
        data = sounds.flac_head(block=1024, total=total) + frames
        assert measure(data) == Measured(".flac", samples / 8_000)
        assert flaw(data[:-1]) is not None


def test_a_decoder_takes_our_flac_for_flac() -> None:
    """A control: what the tests build is what others mean by it."""
    samples = [round(9_000 * math.sin(place / 9)) for place in range(3000)]
    decoded = miniaudio.decode(sounds.flac(samples), nchannels=1, sample_rate=8_000)
    assert list(decoded.samples) == samples


def test_a_flac_file_that_lacks_frames_is_cut() -> None:
    """Though each of those that are there is whole; blocks before the sound are skipped."""
    frames = sounds.flac_frames([7] * 5000)
    head = sounds.flac_head(block=1024, total=5000, blocks=[bytes(500), b""])
    assert is_whole(head + b"".join(frames))
    assert flaw(head + b"".join(frames[:-1])) == "breaks off after 0.51 s"
    assert flaw(head + b"".join(frames)[:-1]) == "breaks off after 0.51 s"
    assert flaw(head) == "breaks off before its sound"
    assert flaw(head[:60]) == "breaks off before its sound"


def test_what_looks_like_a_frame_in_the_sound_is_none() -> None:
    """Marks, headers with a wrong checksum, even some with the right one: only the last is one."""
    head = sounds.flac_frame(99, [7] * 10)[:8]
    false = b"\xff\xf8" * 20 + (head[:-1] + b"\0") * 20 + head * 3
    samples = struct.unpack(f">{len(false) // 2}h", false)
    assert measure(sounds.flac(samples)) == Measured(".flac", len(samples) / 8_000)


# Ogg


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ogg(), Measured(".ogg", 1.0)),
        (ogg(sounds.OGG_FLAC), Measured(".ogg", 1.0)),
        (ogg(OPUS, samples=48_312), Measured(".opus", 1.0)),
        (ogg(OPUS, samples=100), Measured(".opus", 0.0, "has no sound in it")),
        (ogg() + ogg(serial=2, samples=4_000), Measured(".ogg", 1.5)),
        (ogg() + ogg(samples=4_000), Measured(".ogg", 1.5)),
        (ogg(ends=False), Measured(".ogg", 1.0, "breaks off after 1.00 s")),
        (ogg(ends=False) + ogg(serial=2), Measured(".ogg", 2.0, "breaks off after 2.00 s")),
        (ogg()[:-1], Measured(".ogg", 0.8, "breaks off after 0.80 s")),
        (ogg() + b"OggS", Measured(".ogg", 1.0, "breaks off after 1.00 s")),
    ],
)
def test_ogg_plays_as_far_as_its_last_page(data: bytes, expected: Measured) -> None:
    """Opus in samples of 48 kHz without those to skip; streams in a row one after the other."""
    assert measure(data) == expected


def test_a_page_on_which_nothing_ends_says_nothing() -> None:
    more = sounds.ogg_page(bytes(9), flags=4, samples=-1)
    assert measure(ogg(ends=False) + more) == measure(ogg())


def test_other_streams_beside_the_sound_do_not_count() -> None:
    """Not even one that goes on for ever."""
    other = sounds.ogg_page(b"fishead\0", flags=2, samples=0, serial=9)
    assert measure(other + ogg()) == measure(ogg())


# MP4


FRAGMENTS = FTYP + mp4_index(
    samples=0, more=box(b"mvex", sounds.full_box(b"trex", 1, 1, 1024, 0, 0))
)
LONG_BOX = box(b"mdat", (8 + 8 + 1000).to_bytes(8), bytes(1000), size=1)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        pytest.param(FTYP + MDAT + mp4_index(), 6.4, id="index last"),
        pytest.param(FTYP + mp4_index() + MDAT, 6.4, id="index first"),
        pytest.param(FTYP + mp4_index() + LONG_BOX, 6.4, id="long box"),
        pytest.param(FTYP + mp4_index() + box(b"mdat", bytes(1000), size=0), 6.4, id="to the end"),
        pytest.param(FTYP + mp4_index(cut=5_000) + MDAT, 5.0, id="cut by a list"),
        pytest.param(FTYP + mp4_index(cut=0) + MDAT, 6.4, id="a list that cuts nothing"),
        pytest.param(FRAGMENTS + (mp4_fragment(10) + MDAT) * 2, 2.56, id="fragments"),
        pytest.param(
            FRAGMENTS + (mp4_fragment(10, each=512) + MDAT) * 2, 1.28, id="that state a length"
        ),
        pytest.param(
            FRAGMENTS + mp4_fragment(2, 400, 20, 600, 20, flags=0x300) + MDAT,
            0.125,
            id="that state all lengths",
        ),
        pytest.param(
            FRAGMENTS + mp4_fragment(2, 0, 0, 400, 0, 0, 0, 600, 0, 0, 0, flags=0xF05) + MDAT,
            0.125,
            id="that state everything",
        ),
        pytest.param(
            FRAGMENTS + mp4_fragment(10) + mp4_fragment(10, track=2) + MDAT,
            1.28,
            id="of another track too",
        ),
    ],
)
def test_an_mp4_plays_what_its_index_says(data: bytes, seconds: float) -> None:
    """Wherever that is, and in fragments."""
    found = measure(data)
    assert found == Measured(".m4a", found.seconds)
    assert found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("data", "seconds", "expected"),
    [
        (FTYP + MDAT[:-1], None, "breaks off before its index"),
        (FTYP + MDAT + mp4_index()[:-1], None, "breaks off before its index"),
        (FTYP + mp4_index() + MDAT[:-1], 6.3936, "breaks off after 6.39 s"),
        (FTYP + mp4_index() + MDAT[: 8 + 500], 3.2, "breaks off after 3.20 s"),
        (FTYP + mp4_index(), None, "breaks off"),
        (FTYP + mp4_index(size=21) + MDAT, 6.4 * 20 / 21, "breaks off after 6.10 s"),
        (FTYP + mp4_index() + MDAT + b"\0\0\0\4free", 6.4, "breaks off after 6.40 s"),
        (FTYP + MDAT + mp4_index() + b"\n" * 40, 6.4, "breaks off after 6.40 s"),
        (FTYP + mp4_index() + mp4_fragment(10), None, "breaks off"),
        (
            FRAGMENTS + mp4_fragment(10) + MDAT + mp4_fragment(10),
            1.28,
            "breaks off after 1.28 s",
        ),
        (
            FTYP + mp4_index(samples=0) + (mp4_fragment(10, each=800) + MDAT) * 2 + MDAT[:9],
            2.0,
            "breaks off after 2.00 s",
        ),
    ],
)
def test_an_mp4_says_where_it_breaks_off(data: bytes, seconds: float | None, expected: str) -> None:
    """Before the index, in it, in sound that the index knows of, or behind its last box."""
    found = measure(data)
    assert found == Measured(".m4a", found.seconds, expected)
    assert found.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(
    "first", [box(b"styp", b"msdh\0\0\0\0"), box(b"free"), box(b"skip"), box(b"wide"), b""]
)
def test_an_mp4_need_not_begin_with_the_usual_box(first: bytes) -> None:
    """Some programs write another one first, or the index, or the sound."""
    expected = measure(FTYP + MDAT + mp4_index())
    assert measure(first + MDAT + mp4_index()) == expected
    assert measure(first + mp4_index() + MDAT) == expected


def test_boxes_that_reach_beyond_their_parent_are_not_walked_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each fragment of a file may say that all the others are in it."""
    fragment = box(b"moof", box(b"traf", size=0x7FFFFFFF))
    data = FTYP + mp4_index() + fragment * 1000
    read = []

    def counted(*args: Any) -> Any:  # noqa: ANN401  # they are passed on
        read.append(args)
        return base.read(*args)

    monkeypatch.setattr(mp4, "read", counted)
    assert measure(memoryview(data)).flaw == "breaks off"
    assert len(read) < 5 * 1000
