"""What a song is, written into its file. The only room that knows mutagen (GPL-2.0-or-later)."""

from importlib.util import find_spec
from pathlib import Path

from ._errors import InvalidRequest
from ._records import Song


def check_can_tag() -> None:
    """Refuse to promise tags without the library that writes them.

    Raises:
        InvalidRequest: it is not installed.
    """
    if find_spec("mutagen") is None:
        raise InvalidRequest("tags need mutagen; run: pip install 'udio-async[tags]'")


def write_tags(path: Path, song: Song, cover: bytes | None, cover_type: str) -> None:
    """Write title, lyrics, style and cover into an MP3, over the tags that it has.

    Raises:
        OSError: the disk did not take them.
    """
    from mutagen import MutagenError  # noqa: PLC0415  # an extra
    from mutagen.id3 import APIC, ID3, TCON, TIT2, USLT  # noqa: PLC0415  # an extra

    tags = ID3()
    if song.title:
        tags.add(TIT2(encoding=3, text=_plain(song.title)))
    if song.lyrics:
        tags.add(USLT(encoding=3, lang="XXX", desc="", text=_plain(song.lyrics)))
    if song.tags:
        tags.add(TCON(encoding=3, text=_plain(song.tags)))
    if cover is not None:
        tags.add(APIC(encoding=3, mime=cover_type, type=3, desc="", data=cover))
    try:
        tags.save(path)
    except MutagenError as error:  # which it also makes of a full disk
        cause = next(iter(error.args), None)
        raise cause if isinstance(cause, OSError) else OSError(f"{path}: {error}") from error


def _plain(text: str) -> str:
    """Leave out what no tag can hold: halves of characters, and the mark between two values."""
    return text.encode(errors="ignore").decode().replace("\0", "")
