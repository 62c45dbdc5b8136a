"""Audio to disk, whole or not at all.

A song is written to `NAME.part`, checked, made durable and only then renamed, so that a file
under its final name is a whole song.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import anyio
import attrs

from ._errors import DownloadFailed, LinkExpired, NotAudio, ProviderUnavailable, Truncated
from ._http import Http
from ._mp3 import NoMp3, measure
from ._records import Song

MAX_FILE = 256 * 1024 * 1024
"""Bytes of a song, at most: two hours at the highest bit rate."""
_DEADLINE = 600.0
"""Seconds for one file."""
_TITLE_BYTES = 120
_GONE = frozenset({401, 403, 404, 410})
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')


async def download(http: Http, song: Song, directory: Path, *, local: bool = False) -> Path:
    """Save the audio of `song` as `directory/TITLE-FINGERPRINT.mp3` and return the path.

    `local` lets the link lead to loopback, where the sandbox lives.
    """
    if song.audio_url is None or not song.audio_is_final:
        raise _failed(DownloadFailed, song, "is no final file yet; wait until it is complete")
    path = directory / file_name(song)
    # A part of its own: another download of the same song may be under way.
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        with _open(part) as file:
            receiver = _AudioFile(file, song)
            reply = await http.download(
                song.audio_url, receive=receiver, timeout=_DEADLINE, local=local
            )
            receiver.check_whole(reply.cut)
            await anyio.to_thread.run_sync(_check_and_keep, file, song)
        part.replace(path)
    except ProviderUnavailable as error:
        part.unlink(missing_ok=True)
        raise _failed(DownloadFailed, song, f"did not come: {error}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def file_name(song: Song) -> str:
    """Name the file after the title and a fingerprint of the id; valid everywhere.

    Not after the id's first letters: those of one task may share them, and their title too.
    """
    fingerprint = hashlib.sha256(song.id.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{_clean(song.title or 'untitled')}-{fingerprint}.mp3"


def _clean(title: str) -> str:
    text = unicodedata.normalize("NFC", title)
    text = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    text = " ".join(_FORBIDDEN.sub(" ", text).split()).strip(". -~")
    text = text.encode()[:_TITLE_BYTES].decode(errors="ignore").strip(". -~")
    return f"_{text}" if _RESERVED.match(text) else text or "untitled"


@attrs.define(eq=False)
class _AudioFile:
    """Takes in an answer, and refuses one that would fill the disk."""

    _file: BinaryIO
    _song: Song
    _expected: int | None = None
    _received: int = 0

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        if status in _GONE:
            raise _failed(LinkExpired, self._song, f"is no longer served (HTTP {status})")
        if status != 200:
            raise _failed(DownloadFailed, self._song, f"was not served (HTTP {status})")
        length = headers.get("content-length", "")
        self._expected = int(length) if length.isdigit() else None
        self._check_size(self._expected or 0)

    async def write(self, chunk: bytes) -> None:
        self._check_size(self._received + len(chunk))
        self._file.write(chunk)
        self._received += len(chunk)

    def _check_size(self, size: int) -> None:
        if size > MAX_FILE:
            raise _failed(NotAudio, self._song, f"is longer than {MAX_FILE} bytes: no song is")

    def check_whole(self, cut: str | None) -> None:
        if cut and not self._received:
            raise _failed(DownloadFailed, self._song, f"was not served: {cut}")
        if self._expected is not None and self._received != self._expected:
            raise _failed(
                Truncated, self._song, f"ended after {self._received} of {self._expected} bytes"
            )
        if cut:
            raise _failed(Truncated, self._song, f"ended early: {cut}")


def _open(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("w+b")


def _check_and_keep(file: BinaryIO, song: Song) -> None:
    """Refuse what does not play to the end, and make the rest durable."""
    file.seek(0)
    try:
        measured = measure(file.read())
    except NoMp3 as error:
        raise _failed(NotAudio, song, f"is {error}") from None
    if not measured.whole:
        raise _failed(Truncated, song, f"breaks off after {measured.seconds:.2f} s")
    # A longer one is whole: only the statement was wrong, and the song is paid for.
    if song.duration and measured.seconds < song.duration - max(1.0, song.duration / 100):
        stated = f"{measured.seconds:.2f} s, stated were {song.duration:.2f} s"
        raise _failed(Truncated, song, f"plays only {stated}")
    file.flush()
    os.fsync(file.fileno())


def _failed(kind: type[DownloadFailed], song: Song, what: str) -> DownloadFailed:
    return kind(
        f"the audio of song {song.id} ({song.audio_url}) {what}",
        provider=song.provider,
        task_id=song.task_id,
    )
