"""Covers, saved beside their songs. If that fails, only the cover is missing."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio.to_thread
import attrs

from .._errors import DownloadFailed
from .._http import HttpSender
from .._records import Song
from .answers import AttemptFailed, rule_of
from .disk import Disk
from .parts import part_of, remove

MAX_COVER = 10 * 1024 * 1024
_TIMEOUT = 60.0
_KINDS = (
    (b"\xff\xd8\xff", ".jpg", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", ".png", "image/png"),
    (b"RIFF", ".webp", "image/webp"),
)
"""The kinds of a cover, told by its first bytes: names and servers may be wrong."""

logger = logging.getLogger("udio_async")


async def fetch_cover(http: HttpSender, song: Song, audio: Path, *, local: bool) -> bytes | None:
    """Return the cover, from beside the audio or from its link.

    None if it does not come; the log says why. Nothing is raised but a cancellation.
    """
    if song.image_url is None:
        return None
    there = await anyio.to_thread.run_sync(_beside, audio)
    if there is not None:
        return there
    picture = _Picture()
    try:
        reply = await http.download(song.image_url, receive=picture, timeout=_TIMEOUT, local=local)
        return picture.whole(reply.cut)
    except Exception as error:  # noqa: BLE001  # whatever goes wrong, only the cover is missing
        logger.warning("no cover for song %s: %s", song.id, error)
        return None


@attrs.define(eq=False)
class _Picture:
    """Takes in a cover of at most `MAX_COVER` bytes."""

    data: bytearray = attrs.field(factory=bytearray)

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        """Refuse an answer without a file, by its status."""
        if rule_of(status) is not None:
            raise DownloadFailed(f"it was not served (HTTP {status})")

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes, up to `MAX_COVER`."""
        self.data += chunk
        if len(self.data) > MAX_COVER:
            raise DownloadFailed(f"it is longer than {MAX_COVER} bytes")

    def whole(self, cut: str | None) -> bytes:
        """Return the picture, if all of it came and it is one."""
        if cut:
            raise DownloadFailed(f"it is not whole: {cut}")
        picture = bytes(self.data)
        kind_of(picture)
        return picture


def kind_of(picture: bytes) -> tuple[str, str]:
    """Return suffix and media type of a picture.

    Raises:
        DownloadFailed: it is not one of `_KINDS`.
    """
    for head, suffix, media_type in _KINDS:
        if picture.startswith(head) and (head != b"RIFF" or picture[8:12] == b"WEBP"):
            return suffix, media_type
    raise DownloadFailed(f"it is no picture that we know; it begins with {picture[:12]!r}")


def _beside(audio: Path) -> bytes | None:
    """Return the cover that is beside the audio already, or None."""
    for _, suffix, _ in _KINDS:
        with suppress(OSError, DownloadFailed):
            picture = _read(audio.with_suffix(suffix))
            if kind_of(picture)[0] == suffix:
                return picture
    return None


def _read(path: Path) -> bytes:
    """Read a plain file that is not too long.

    Raises:
        OSError: it is anything else, or cannot be read.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_COVER:
        raise OSError(f"{path} is no plain file of at most {MAX_COVER} bytes")
    return path.read_bytes()


def keep_cover(audio: Path, song: Song, picture: bytes) -> Path | None:
    """Write the cover beside its song, and return its path.

    It is written whole or not at all, and replaces nothing. None if it could not be written; then
    the log says why.
    """
    path = audio.with_suffix(kind_of(picture)[0])
    part, disk = part_of(path), Disk(path)
    try:
        if not os.path.lexists(path):
            part.write_bytes(picture)
            disk.sync(part)
            with suppress(FileExistsError):
                disk.publish(part, path)
        if _read(path) == picture:
            return path
        logger.warning("no cover for song %s: %s is there and is another file", song.id, path)
    except (OSError, AttemptFailed) as error:
        logger.warning("no cover for song %s: %s", song.id, error)
    finally:
        remove(part)
    return None
