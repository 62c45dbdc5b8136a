"""What a song is, written into its file. The only room that knows mutagen (GPL-2.0-or-later)."""

import base64
import logging
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import attrs

from .._errors import InvalidRequest
from .._formats import Suffix, measure
from .._formats.mp4 import in_fragments
from .._records import Song

logger = logging.getLogger("udio_async")


def check_can_tag() -> None:
    """Refuse to promise tags without the library that writes them.

    Raises:
        InvalidRequest: it is not installed.
    """
    if find_spec("mutagen") is None:
        raise InvalidRequest("tags need mutagen; run: pip install 'udio-async[tags]'")


def write_tags(
    path: Path, song: Song, cover: bytes | None, cover_type: str, suffix: Suffix = ".mp3"
) -> None:
    """Write title, lyrics, style and cover into a song's file, over the tags that it has.

    The file is of the kind that `suffix` names, whatever it is called. One that takes no tags, or
    would not play as before, is left as it is, with a warning.

    Raises:
        OSError: the disk did not take them.
    """
    words = _Words(song.title, song.lyrics, song.tags, cover, cover_type)
    data = path.read_bytes()
    # In memory, so that all that goes wrong here is about the file, and not about the disk.
    file = BytesIO(data)
    try:
        _WRITERS[suffix](file, words)
        if measure(file.getbuffer()) != measure(data):
            raise ValueError("it would not play as before")  # noqa: TRY301  # as if mutagen said it
    except Exception as error:  # noqa: BLE001  # mutagen has no error for what it did not expect
        logger.warning("no tags for song %s: %r", song.id, error)
    else:
        path.write_bytes(file.getbuffer())


def _plain(text: str | None) -> str:
    """Leave out what no tag can hold: halves of characters, and the mark between two values."""
    return (text or "").encode(errors="ignore").decode().replace("\0", "")


@attrs.frozen
class _Words:
    title: str = attrs.field(converter=_plain)
    lyrics: str = attrs.field(converter=_plain)
    style: str = attrs.field(converter=_plain)
    cover: bytes | None
    cover_type: str


def _write_id3(file: BytesIO, words: _Words) -> None:
    from mutagen.id3 import ID3  # noqa: PLC0415  # an extra

    tags = ID3()
    for frame in _id3_frames(words):
        tags.add(frame)
    tags.save(file)


def _write_wave(file: BytesIO, words: _Words) -> None:
    from mutagen.wave import WAVE  # noqa: PLC0415  # an extra

    tags = _emptied(WAVE(file))
    for frame in _id3_frames(words):
        tags.add(frame)
    file.seek(0)
    tags.save(file)


def _id3_frames(words: _Words) -> Iterator[Any]:
    from mutagen.id3 import APIC, TCON, TIT2, USLT  # noqa: PLC0415  # an extra

    if words.title:
        yield TIT2(encoding=3, text=words.title)
    if words.lyrics:
        yield USLT(encoding=3, lang="XXX", desc="", text=words.lyrics)
    if words.style:
        yield TCON(encoding=3, text=words.style)
    if words.cover is not None:
        yield APIC(encoding=3, mime=words.cover_type, type=3, desc="", data=words.cover)


def _write_comments(file: BytesIO, words: _Words) -> None:
    """Write Vorbis comments, which FLAC has as well as everything in Ogg."""
    from mutagen import File  # noqa: PLC0415  # an extra
    from mutagen.flac import FLAC, Picture  # noqa: PLC0415
    from mutagen.oggflac import OggFLAC  # noqa: PLC0415
    from mutagen.oggopus import OggOpus  # noqa: PLC0415
    from mutagen.oggvorbis import OggVorbis  # noqa: PLC0415

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
    from mutagen.mp4 import MP4, MP4Cover  # noqa: PLC0415  # an extra

    with file.getbuffer() as view:
        if in_fragments(view):
            raise ValueError("of several fragments mutagen tells only the first that it has moved")
    audio = MP4(file)
    tags = _emptied(audio)
    for name, text in (("nam", words.title), ("lyr", words.lyrics), ("gen", words.style)):
        if text:
            tags[f"\xa9{name}"] = text
    formats = {"image/jpeg": MP4Cover.FORMAT_JPEG, "image/png": MP4Cover.FORMAT_PNG}
    if words.cover is not None and words.cover_type in formats:  # it knows no others
        tags["covr"] = [MP4Cover(words.cover, formats[words.cover_type])]
    file.seek(0)
    audio.save(file)


def _emptied(audio: Any) -> Any:  # noqa: ANN401  # its classes have no common type
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
