"""What a song's file is called: valid on Linux, macOS and Windows, and its own. Pure."""

import codecs
import hashlib
import re
import sys
import unicodedata

from .._formats import SUFFIXES, Suffix
from .._records import Song

_TITLE_BYTES = 110
"""Of at most 143 for the whole name, with all that is added while it is written (eCryptfs)."""
_FORMER_TITLE_BYTES = 120
_FINGERPRINT = 12
"""Hexadecimal digits: 48 bits tell 100,000 songs of one title apart."""
_RESERVED = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_PART = re.compile(r".+-[0-9a-f]{12}\.[a-z0-9]{2,5}\.[0-9a-f]{8}\.part", re.DOTALL)


def file_name(song: Song, encoding: str | None = None, suffix: Suffix = ".mp3") -> str:
    """Name the file after the title and a fingerprint of provider, task and song; valid everywhere.

    Not after the id's first letters: those of one task may share them, and their title too. And
    not after the id alone: some providers number the songs of each task. Where file names are not
    UTF-8, as `encoding` or the system says, it is of ASCII: that means the same in every locale.
    """
    encoding = sys.getfilesystemencoding() if encoding is None else encoding
    name = _name(song, _TITLE_BYTES, ascii_only=codecs.lookup(encoding).name != "utf-8")
    return name.removesuffix(".mp3") + suffix


def file_names(song: Song) -> tuple[str, ...]:
    """Return what the song may be called, as its file may be of any kind; the usual one first."""
    return tuple(file_name(song, suffix=suffix) for suffix in SUFFIXES)


def former_names(song: Song) -> tuple[str, ...]:
    """Return what the file may be called otherwise, by an earlier version or in another locale.

    Not by those that named it after its id alone: that may be the name of another song.
    """
    names = [
        _name(song, length, ascii_only=ascii_only)
        for length in (_TITLE_BYTES, _FORMER_TITLE_BYTES)
        for ascii_only in (False, True)
    ]
    return tuple(name for name in dict.fromkeys(names) if name != file_name(song))


def is_part(name: str) -> bool:
    """Return whether a file of this name is a song or a cover that is being written."""
    return _PART.fullmatch(name) is not None


def _name(song: Song, title_bytes: int, *, ascii_only: bool) -> str:
    identity = f"{song.provider}\0{song.task_id}\0{song.id}".encode(errors="surrogatepass")
    fingerprint = hashlib.sha256(identity).hexdigest()[:_FINGERPRINT]
    title = song.title or "untitled"
    return f"{_clean(_unaccented(title) if ascii_only else title, title_bytes)}-{fingerprint}.mp3"


def _unaccented(title: str) -> str:
    """Spell a title in ASCII: without its accents, and without what is left then."""
    return unicodedata.normalize("NFKD", title).encode("ascii", errors="ignore").decode()


def _clean(title: str, title_bytes: int) -> str:
    text = unicodedata.normalize("NFC", title)
    text = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    text = " ".join(_FORBIDDEN.sub(" ", text).split()).strip(". -~")
    text = text.encode()[:title_bytes].decode(errors="ignore").strip(". -~")
    return f"_{text}" if _RESERVED.match(text) else text or "untitled"
