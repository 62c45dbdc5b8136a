"""One writer of tags for each kind of file, by mutagen.

All work on a file in memory. mutagen may raise any exception: the caller catches it.
"""

import base64
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import attrs
from mutagen import File
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TCON, TIT2, USLT
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from .._formats import Suffix
from .._formats.mp4 import in_fragments
from .._records import Song


def write(file: BytesIO, suffix: Suffix, song: Song, cover: bytes | None, cover_type: str) -> None:
    """Replace the tags of a file by what is known of its song.

    Raises:
        Exception: mutagen's own, of any class; the file may be damaged then.
    """
    words = _Words(song.title, song.lyrics, song.tags, cover, cover_type)
    _WRITERS[suffix](file, words)


def _plain(text: str | None) -> str:
    """Return a text without halves of characters and zero characters.

    A tag cannot hold the former, and the latter would separate two values.
    """
    return (text or "").encode(errors="ignore").decode().replace("\0", "")


@attrs.frozen
class _Words:
    """The texts and the picture that go into the tags; a text that is missing is ""."""

    title: str = attrs.field(converter=_plain)
    lyrics: str = attrs.field(converter=_plain)
    style: str = attrs.field(converter=_plain)
    cover: bytes | None
    cover_type: str


def _write_id3(file: BytesIO, words: _Words) -> None:
    """Write an ID3v2 tag, for MP3 and raw AAC."""
    tags = ID3()
    for frame in _id3_frames(words):
        tags.add(frame)
    tags.save(file)


def _write_wave(file: BytesIO, words: _Words) -> None:
    """Write an ID3v2 tag in a chunk of its own."""
    tags = _emptied(WAVE(file))
    for frame in _id3_frames(words):
        tags.add(frame)
    file.seek(0)
    tags.save(file)


def _id3_frames(words: _Words) -> Iterator[Any]:
    """Return an ID3 frame for each thing that is known of the song."""
    if words.title:
        yield TIT2(encoding=3, text=words.title)
    if words.lyrics:
        yield USLT(encoding=3, lang="XXX", desc="", text=words.lyrics)
    if words.style:
        yield TCON(encoding=3, text=words.style)
    if words.cover is not None:
        yield APIC(encoding=3, mime=words.cover_type, type=3, desc="", data=words.cover)


def _write_comments(file: BytesIO, words: _Words) -> None:
    """Write Vorbis comments: FLAC has them, and all that comes in Ogg."""
    audio: Any = File(file, options=[FLAC, OggVorbis, OggOpus, OggFLAC])
    tags = _emptied(audio)
    for name in ("title", "lyrics"):
        if text := getattr(words, name):
            tags[name] = text
    if words.style:
        tags["genre"] = words.style
    picture = Picture()
    picture.type, picture.mime, picture.data = 3, words.cover_type, words.cover or b""
    if isinstance(audio, FLAC):
        audio.clear_pictures()
    if words.cover is not None and isinstance(audio, FLAC):
        audio.add_picture(picture)
    elif words.cover is not None:
        tags["metadata_block_picture"] = base64.b64encode(picture.write()).decode()
    file.seek(0)
    audio.save(file)


def _write_atoms(file: BytesIO, words: _Words) -> None:
    """Write the atoms of an MP4 file."""
    with file.getbuffer() as view:
        if in_fragments(view):
            raise ValueError("of several fragments mutagen tells only the first that it has moved")
    audio = MP4(file)
    tags = _emptied(audio)
    for name, text in (("nam", words.title), ("lyr", words.lyrics), ("gen", words.style)):
        if text:
            tags[f"\xa9{name}"] = text
    formats = {"image/jpeg": MP4Cover.FORMAT_JPEG, "image/png": MP4Cover.FORMAT_PNG}
    if words.cover is not None and words.cover_type in formats:  # MP4 has no other pictures
        tags["covr"] = [MP4Cover(words.cover, formats[words.cover_type])]
    file.seek(0)
    audio.save(file)


def _emptied(audio: Any) -> Any:  # noqa: ANN401  # its classes have no common type
    """Return the tags of a file with nothing in them."""
    if audio.tags is None:
        audio.add_tags()
    else:
        audio.tags.clear()
    return audio.tags


_WRITERS: dict[Suffix, Callable[[BytesIO, _Words], None]] = {
    ".mp3": _write_id3,
    ".aac": _write_id3,
    ".wav": _write_wave,
    ".flac": _write_comments,
    ".ogg": _write_comments,
    ".opus": _write_comments,
    ".m4a": _write_atoms,
}
