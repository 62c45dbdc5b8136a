"""What a song's file is called: valid on Linux, macOS and Windows, and its own. Pure."""

import hashlib
import re
import unicodedata

from ._records import Song

_TITLE_BYTES = 120
"""Of at most 180 for the whole name, with all that is added while it is written."""
_FINGERPRINT = 12
"""Hexadecimal digits: 48 bits tell 100,000 songs of one title apart."""
_RESERVED = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')


def file_name(song: Song) -> str:
    """Name the file after the title and a fingerprint of provider, task and song; valid everywhere.

    Not after the id's first letters: those of one task may share them, and their title too. And
    not after the id alone: some providers number the songs of each task.
    """
    identity = f"{song.provider}\0{song.task_id}\0{song.id}".encode(errors="surrogatepass")
    fingerprint = hashlib.sha256(identity).hexdigest()[:_FINGERPRINT]
    return f"{_clean(song.title or 'untitled')}-{fingerprint}.mp3"


def _clean(title: str) -> str:
    text = unicodedata.normalize("NFC", title)
    text = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    text = " ".join(_FORBIDDEN.sub(" ", text).split()).strip(". -~")
    text = text.encode()[:_TITLE_BYTES].decode(errors="ignore").strip(". -~")
    return f"_{text}" if _RESERVED.match(text) else text or "untitled"
