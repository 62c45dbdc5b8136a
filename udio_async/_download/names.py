"""Names of songs' files: valid on every system, and each its own.

A name is the title, a fingerprint and an ending. All here are pure functions: the same song has the
same name in every run.
"""

import codecs
import hashlib
import re
import sys
import unicodedata

from .._formats import SUFFIXES, Suffix
from .._records import Song

_TITLE_BYTES = 110
"""Bytes of the title. A whole name has at most 143 (eCryptfs), with what a part adds to it."""
_FORMER_TITLE_BYTES = 120
_FINGERPRINT = 12
"""Hexadecimal digits: 48 bits tell 100,000 songs of one title apart."""
_RESERVED = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_PART = re.compile(r".+-[0-9a-f]{12}\.[a-z0-9]{2,5}\.[0-9a-f]{8}\.part", re.DOTALL)


def file_name(song: Song, encoding: str | None = None, suffix: Suffix = ".mp3") -> str:
    """Return the name of a song's file: title, fingerprint, ending.

    The fingerprint is made of provider, task and song. The id's first letters alone would not do:
    songs of one task may share them, and their title too. Nor would the id alone: some providers
    number the songs of each task.

    Args:
        song: the song; without a title it is "untitled".
        encoding: how the system writes file names; None asks it. Unless it is UTF-8, the name is
            ASCII: that means the same in every locale.
        suffix: the ending, by what is in the file.
    """
    return _stem(song, encoding) + suffix


def file_names(song: Song) -> tuple[str, ...]:
    """Return all names that the song may have, the usual one first.

    Its file may be of any kind, and so have any ending.
    """
    stem = _stem(song)
    return tuple(stem + suffix for suffix in SUFFIXES)


def former_names(song: Song) -> tuple[str, ...]:
    """Return names that an earlier version, or another locale, has given.

    Left out are those after the id alone: such a file may be another song.
    """
    names = [
        _name(song, length, ascii_only=ascii_only) + ".mp3"
        for length in (_TITLE_BYTES, _FORMER_TITLE_BYTES)
        for ascii_only in (False, True)
    ]
    return tuple(name for name in dict.fromkeys(names) if name != file_name(song))


def is_part(name: str) -> bool:
    """Return whether this names a song or a cover that is being written."""
    return _PART.fullmatch(name) is not None


def _stem(song: Song, encoding: str | None = None) -> str:
    """Return the usual name without its ending."""
    encoding = sys.getfilesystemencoding() if encoding is None else encoding
    return _name(song, _TITLE_BYTES, ascii_only=codecs.lookup(encoding).name != "utf-8")


def _name(song: Song, title_bytes: int, *, ascii_only: bool) -> str:
    """Return a name without its ending."""
    identity = f"{song.provider}\0{song.task_id}\0{song.id}".encode(errors="surrogatepass")
    fingerprint = hashlib.sha256(identity).hexdigest()[:_FINGERPRINT]
    title = song.title or "untitled"
    return f"{_clean(_unaccented(title) if ascii_only else title, title_bytes)}-{fingerprint}"


def _unaccented(title: str) -> str:
    """Spell a title in ASCII: without its accents, and without what is left then."""
    return unicodedata.normalize("NFKD", title).encode("ascii", errors="ignore").decode()


def _clean(title: str, title_bytes: int) -> str:
    """Return a title without what some system refuses in a name."""
    text = unicodedata.normalize("NFC", title)
    text = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    text = " ".join(_FORBIDDEN.sub(" ", text).split()).strip(". -~")
    text = text.encode()[:title_bytes].decode(errors="ignore").strip(". -~")
    return f"_{text}" if _RESERVED.match(text) else text or "untitled"
