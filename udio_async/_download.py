"""Audio and covers to disk, whole or not at all.

A song is written to `NAME.part`, checked, made durable and only then given its name, so that a
file under its final name is a whole song. A transfer that breaks off goes on where it was, if the
server can prove that the file is still the same, and from the start if it cannot.
"""

import hashlib
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import anyio
import anyio.to_thread
import attrs

from ._concurrency import open_tasks
from ._errors import (
    DownloadFailed,
    LinkExpired,
    NotAudio,
    ProviderUnavailable,
    Truncated,
    UdioError,
)
from ._http import MAX_DOWNLOADS, HttpSender, LinkRefused
from ._limits import backoff
from ._mp3 import Measured, NoMp3, measure
from ._names import file_name
from ._records import Song
from ._tags import write_tags

MAX_FILE = 256 * 1024 * 1024
"""Bytes of a song, at most: two hours at the highest bit rate."""
MAX_COVER = 10 * 1024 * 1024
_COVER_TIMEOUT = 60.0
_GONE = frozenset({401, 403, 404, 410})
_COVERS = (
    (b"\xff\xd8\xff", ".jpg", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", ".png", "image/png"),
    (b"RIFF", ".webp", "image/webp"),
)
"""What a cover may be, by its first bytes: not by its name, and not by what the server says."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.ASCII)

logger = logging.getLogger("udio_async")

Refresh = Callable[[Song], Awaitable[Song | None]]
"""Returns the song with the link that it has now, if there is one."""


@attrs.frozen(kw_only=True)
class Limits:
    """How long a download may take. All durations are seconds."""

    deadline: float = 600.0
    """For one file, with all its attempts."""
    attempts: int = 5
    backoff: float = 1.0
    min_speed: float = 1024.0
    """Bytes per second over a `window`; a slower transfer is begun anew."""
    window: float = 30.0


DEFAULTS = Limits()


@attrs.frozen(kw_only=True)
class Saved:
    """A song on disk. `open()` and `os` take it for its path."""

    path: Path
    cover: Path | None
    sha256: str
    size: int
    """Bytes."""
    duration: float
    """Seconds, measured from the first to the last frame."""

    def __fspath__(self) -> str:
        return str(self.path)


class Downloads:
    """Saves songs for a client, a few at a time, until it is closed."""

    def __init__(self, http: HttpSender, *, refresh: Refresh, local: bool) -> None:
        self._http = http
        self._refresh = refresh
        self._local = local
        self._running: set[anyio.CancelScope] = set()

    async def save(
        self, songs: Sequence[Song], *, directory: Path, covers: bool, tags: bool
    ) -> list[Saved | Exception]:
        """Save songs, and return for each its file or why there is none."""
        downloader = Downloader(
            http=self._http,
            directory=directory,
            refresh=self._refresh,
            local=self._local,
            covers=covers,
            tags=tags,
        )
        results: dict[int, Saved | Exception] = {}
        slots = anyio.Semaphore(MAX_DOWNLOADS)  # each has a file open

        async def save(place: int, song: Song) -> None:
            async with slots:
                try:
                    results[place] = await downloader.save(song)
                except (UdioError, OSError) as error:
                    results[place] = error

        with anyio.CancelScope() as scope:
            self._running.add(scope)
            try:
                async with open_tasks() as tasks:
                    for place, song in enumerate(songs):
                        tasks.start_soon(save, place, song)
            finally:
                self._running.discard(scope)
        return [
            results.get(place) or _failed(DownloadFailed, song, "did not come: client closed")
            for place, song in enumerate(songs)
        ]

    def close(self) -> None:
        """End the downloads that still run; nothing of theirs is left."""
        for scope in self._running:
            scope.cancel()


@attrs.frozen(kw_only=True)
class Downloader:
    """Saves songs into a directory."""

    http: HttpSender
    directory: Path
    refresh: Refresh
    local: bool = False
    """The provider is on this machine, and so may its links be."""
    covers: bool = False
    tags: bool = False
    limits: Limits = DEFAULTS

    async def save(self, song: Song) -> Saved:
        """Save the audio of `song` as `TITLE-FINGERPRINT.mp3`, unless it is there already."""
        if song.audio_url is None or not song.audio_is_final:
            raise _failed(DownloadFailed, song, "is no final file yet; wait until it is complete")
        path = self.directory / file_name(song)
        with _named(path):
            saved = await anyio.to_thread.run_sync(_look, path, song)
            picture = await self._picture(song, path, needed=self.tags and saved is None)
            if saved is None:
                saved = await self._save_audio(song, path, picture)
        if not self.covers or picture is None:
            return saved
        cover = await anyio.to_thread.run_sync(_keep_cover, path, song, picture)
        return attrs.evolve(saved, cover=cover)

    async def _save_audio(self, song: Song, path: Path, picture: bytes | None) -> Saved:
        # A part of its own: another download of the same song may be under way.
        part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
        try:
            with _open(part) as file:
                await self._fetch(song, file)
            if self.tags:
                kind = _kind_of(picture)[1] if picture else ""
                await anyio.to_thread.run_sync(write_tags, part, song, picture, kind)
            return await anyio.to_thread.run_sync(_finish, part, path, song)
        finally:
            part.unlink(missing_ok=True)

    async def _fetch(self, song: Song, file: BinaryIO) -> None:
        """Fetch the audio; once more by a new link, where the old one is not good any more."""
        ends = anyio.current_time() + self.limits.deadline
        try:
            await self._transfer(song, file, ends)
        except LinkExpired as error:
            fresh = await self._look_again(song)
            if fresh is None or fresh.audio_url is None or not fresh.audio_is_final:
                raise
            song = attrs.evolve(song, audio_url=fresh.audio_url)
            logger.info("song %s has a new link: %s", song.id, error)
            await self._transfer(song, file, ends)

    async def _look_again(self, song: Song) -> Song | None:
        try:
            return await self.refresh(song)
        except Exception as error:  # noqa: BLE001  # it must not hide that the link has expired
            logger.warning("no new link for song %s: %r", song.id, error)
            return None

    async def _transfer(self, song: Song, file: BinaryIO, ends: float) -> None:
        receiver = _AudioFile(file, song, self.limits)
        for attempt in range(self.limits.attempts):
            try:
                reply = await self.http.download(
                    song.audio_url or "",
                    receive=receiver,
                    headers=receiver.resume(),
                    timeout=max(0.0, ends - anyio.current_time()),
                    local=self.local,
                )
                receiver.check_whole(reply.cut)
                await anyio.to_thread.run_sync(_check, file, song)
            except LinkRefused as error:
                raise _final(error, song) from error
            except (_Broken, ProviderUnavailable, Truncated) as error:
                wait = backoff(attempt, base=self.limits.backoff, cap=30.0)
                last = attempt + 1 == self.limits.attempts
                if last or anyio.current_time() + wait >= ends:
                    raise _final(error, song) from error
                if isinstance(error, Truncated):  # what came whole is not: nothing of it is good
                    receiver.start_over()
                await anyio.sleep(wait)
            else:
                return

    async def _picture(self, song: Song, audio: Path, *, needed: bool) -> bytes | None:
        """Return the cover, from beside the audio or from its link; None if it does not come."""
        if not (self.covers or needed) or song.image_url is None:
            return None
        there = await anyio.to_thread.run_sync(_cover_beside, audio)
        if there is not None:
            return there
        picture = _Picture()
        try:
            reply = await self.http.download(
                song.image_url, receive=picture, timeout=_COVER_TIMEOUT, local=self.local
            )
            return picture.whole(reply.cut)
        except UdioError as error:
            logger.warning("no cover for song %s: %s", song.id, error)
            return None


class _Broken(Exception):
    """This transfer will not end well; another may."""


@attrs.define(eq=False)
class _AudioFile:
    """Takes in one answer after the other, and refuses what would fill the disk."""

    _file: BinaryIO
    _song: Song
    _limits: Limits
    _total: int | None = None
    _received: int = 0
    _validator: str | None = None
    _since: float = 0.0
    _lately: int = 0

    def resume(self) -> dict[str, str]:
        """Return the headers that ask for the rest; none where nothing could prove it the rest."""
        if not self._received or self._validator is None:
            self.start_over()
            return {}
        return {"Range": f"bytes={self._received}-", "If-Range": self._validator}

    def start_over(self) -> None:
        self._received, self._total, self._validator = 0, None, None
        self._file.seek(0)
        self._file.truncate()

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._since, self._lately = anyio.current_time(), 0
        if status in _GONE:
            raise _failed(LinkExpired, self._song, f"is no longer served (HTTP {status})")
        if status == 206 and self._received:
            self._check_rest(headers)
            return
        if status == 416:
            self.start_over()
        if status != 200:
            raise self._unserved(status)
        self.start_over()
        length, etag = headers.get("content-length", ""), headers.get("etag", "")
        self._total = int(length) if length.isdigit() else None
        self._validator = etag if etag.startswith('"') else None  # a weak one proves nothing
        self._check_size(self._total or 0)

    def _unserved(self, status: int) -> Exception:
        if status >= 500 or status in {408, 416, 425, 429}:
            return _Broken(f"was not served (HTTP {status})")
        return _failed(DownloadFailed, self._song, f"was not served (HTTP {status})")

    def _check_rest(self, headers: Mapping[str, str]) -> None:
        """Refuse a part that does not begin where ours ends, or that is of another file."""
        place = _CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        same = headers.get("etag", self._validator) == self._validator
        if (
            place is None
            or int(place[1]) != self._received
            or (place[2] != "*" and int(place[2]) != (self._total or int(place[2])))
            or not same
        ):
            self.start_over()
            raise _Broken("was answered with another part than the rest")
        if place[2] != "*":
            self._total = int(place[2])

    async def write(self, chunk: bytes) -> None:
        self._check_size(self._received + len(chunk))
        self._file.write(chunk)
        self._received += len(chunk)
        self._lately += len(chunk)
        passed = anyio.current_time() - self._since
        if passed >= self._limits.window:
            if self._lately < self._limits.min_speed * passed:
                raise _Broken(f"came too slowly: {self._lately} bytes in {passed:.0f} s")
            self._since, self._lately = anyio.current_time(), 0

    def _check_size(self, size: int) -> None:
        if size > MAX_FILE:
            raise _failed(NotAudio, self._song, f"is longer than {MAX_FILE} bytes: no song is")

    def check_whole(self, cut: str | None) -> None:
        """Refuse a transfer that is not all of the file."""
        if cut and not self._received:
            raise _Broken(f"was not served: {cut}")
        if self._total is not None and self._received > self._total:
            self.start_over()
            raise _Broken("is longer than the server says")
        if self._total is not None and self._received < self._total:
            raise _Broken(f"ended after {self._received} of {self._total} bytes")
        if cut:
            raise _Broken(f"ended early: {cut}")


@attrs.define(eq=False)
class _Picture:
    """Takes in a cover."""

    data: bytearray = attrs.field(factory=bytearray)

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002
        if status != 200:
            raise DownloadFailed(f"it was not served (HTTP {status})")

    async def write(self, chunk: bytes) -> None:
        self.data += chunk
        if len(self.data) > MAX_COVER:
            raise DownloadFailed(f"it is longer than {MAX_COVER} bytes")

    def whole(self, cut: str | None) -> bytes:
        if cut:
            raise DownloadFailed(f"it is not whole: {cut}")
        picture = bytes(self.data)
        _kind_of(picture)
        return picture


def _kind_of(picture: bytes) -> tuple[str, str]:
    """Return suffix and media type of a picture.

    Raises:
        DownloadFailed: it is none that we know.
    """
    for head, suffix, media_type in _COVERS:
        if picture.startswith(head) and (head != b"RIFF" or picture[8:12] == b"WEBP"):
            return suffix, media_type
    raise DownloadFailed(f"it is no picture that we know; it begins with {picture[:12]!r}")


def _cover_beside(audio: Path) -> bytes | None:
    for _, suffix, _ in _COVERS:
        with suppress(OSError, DownloadFailed):
            picture = _read(audio.with_suffix(suffix), MAX_COVER)
            if _kind_of(picture)[0] == suffix:
                return picture
    return None


def _keep_cover(audio: Path, song: Song, picture: bytes) -> Path | None:
    """Write the cover beside its song, whole or not at all, and over nothing that is there."""
    path = audio.with_suffix(_kind_of(picture)[0])
    part = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
    try:
        if not os.path.lexists(path):
            part.write_bytes(picture)
            _sync(part)
            with suppress(FileExistsError):
                _publish(part, path)
        if _read(path, MAX_COVER) == picture:
            return path
        logger.warning("no cover for song %s: %s is there and is another file", song.id, path)
    except OSError as error:
        logger.warning("no cover for song %s: %s", song.id, error)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return None


# Files ---------------------------------------------------------------------------------------


@contextmanager
def _named(path: Path) -> Generator[None]:
    """See to it that a full disk is told with the file that it had no room for."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _read(path: Path, most: int) -> bytes:
    """Read a plain file that is not beyond all measure; anything else is refused.

    Raises:
        OSError: it is a link, no file, not there, or longer than `most` bytes.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > most:
        raise OSError(f"{path} is no plain file of at most {most} bytes")
    return path.read_bytes()


def _open(part: Path) -> BinaryIO:
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("w+b")


def _look(path: Path, song: Song) -> Saved | None:
    """Return the song if it is there, whole.

    Raises:
        DownloadFailed: something else has its name.
    """
    if not os.path.lexists(path):
        return None
    with suppress(OSError, DownloadFailed):
        data = _read(path, MAX_FILE)
        return _saved(path, data, _measured(data, song))
    raise _failed(
        DownloadFailed, song, f"was not saved: {path} is there and is not this song; move it away"
    )


def _check(file: BinaryIO, song: Song) -> None:
    file.seek(0)
    _measured(file.read(), song)
    file.flush()


def _measured(data: bytes, song: Song) -> Measured:
    """Refuse what does not play to the end."""
    try:
        measured = measure(data)
    except NoMp3 as error:
        raise _failed(NotAudio, song, f"is {error}") from None
    if not measured.whole:
        raise _failed(Truncated, song, f"breaks off after {measured.seconds:.2f} s")
    # A longer one is whole: only the statement was wrong, and the song is paid for.
    if song.duration and measured.seconds < song.duration - max(1.0, song.duration / 100):
        stated = f"{measured.seconds:.2f} s, stated were {song.duration:.2f} s"
        raise _failed(Truncated, song, f"plays only {stated}")
    return measured


def _finish(part: Path, path: Path, song: Song) -> Saved:
    """Make the part durable and give it its name; what has the name already is not touched."""
    data = part.read_bytes()
    measured = _measured(data, song)
    _sync(part)
    try:
        _publish(part, path)
    except FileExistsError:  # another download of this song was quicker, or it is a stranger
        there = _look(path, song)
        if there is None:  # and gone again
            raise
        return there
    return _saved(path, data, measured)


def _saved(path: Path, data: bytes, measured: Measured) -> Saved:
    return Saved(
        path=path,
        cover=None,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        duration=measured.seconds,
    )


def _publish(part: Path, path: Path) -> None:
    """Give a file its name, durably, without taking it from another.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: there is a moment in which a stranger could lose his file.
        if os.path.lexists(path):
            raise FileExistsError(f"{path} is there already") from None
        part.rename(path)
    if sys.platform != "win32":  # which has no handle for it
        _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _final(error: Exception, song: Song) -> UdioError:
    """Return what a transfer that broke off for the last time is to its caller."""
    if isinstance(error, Truncated):
        return error
    if isinstance(error, ProviderUnavailable):
        return _failed(DownloadFailed, song, f"did not come: {error}")
    ended = "ended" in str(error)
    return _failed(Truncated if ended else DownloadFailed, song, str(error))


def _failed(kind: type[DownloadFailed], song: Song, what: str) -> DownloadFailed:
    shown = (song.audio_url or "no link").partition("?")[0]  # the rest may be a signature
    return kind(
        f"the audio of song {song.id} ({shown}) {what}",
        provider=song.provider,
        task_id=song.task_id,
    )
