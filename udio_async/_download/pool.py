"""Downloads for one client: a few at a time, each song only once."""

import logging
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread
import attrs
from anyio.lowlevel import checkpoint

from .._concurrency import open_tasks
from .._errors import DownloadFailed, UdioError
from .._http import MAX_DOWNLOADS, HttpSender
from .._records import Song
from .._validators import as_path, check_not_negative
from .answers import failed
from .delivery import Age, DownloadContext, DownloadOptions, Late, Refresh, deliver
from .disk import DiskWatch
from .folder_check import FolderCheck
from .names import file_name, file_names
from .parts import remove_stale
from .sound import Saved
from .waiting import PATIENCE, Limits

logger = logging.getLogger("udio_async")
_STARTED = 16
"""Songs that are begun together. Those that are to be fetched are begun when the ones before them
have had their turn: thousands that wait for it would make each garbage collection take long."""


async def _unknown(_: Song) -> None:
    """Return None: it is not known when a song was completed."""


def _untold(_song: Song, _error: Exception, _wait: float) -> None:
    """Tell nobody."""


@attrs.define(eq=False)
class _Turn:
    """The lock for one song in one folder, and how many tasks want it."""

    lock: anyio.Lock = attrs.field(factory=anyio.Lock)
    users: int = 0


class Downloads:
    """Saves songs for a client, a few at a time, until it is closed.

    The session owns it, and closes it.
    """

    def __init__(
        self,
        http: HttpSender,
        *,
        refresh: Refresh,
        local: bool,
        age: Age = _unknown,
        late: Late = _untold,
        disk: DiskWatch | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Save what this sender fetches; `disk` is told whether files could be written."""
        self._means = DownloadContext(
            http=http,
            refresh=refresh,
            age=age,
            late=late,
            local=local,
            watch=disk or FolderCheck(),
            slot=anyio.Semaphore(MAX_DOWNLOADS),
            sweep=self._sweep,
            limits=limits or Limits(),
        )
        self._running: set[anyio.CancelScope] = set()
        self._turns: dict[str, _Turn] = {}
        self._swept: set[Path] = set()

    async def save(
        self,
        songs: Sequence[Song],
        *,
        directory: str | os.PathLike[str],
        covers: bool = False,
        tags: bool = False,
        patience: float = PATIENCE,
    ) -> list[Saved | Exception]:
        """Save songs, and return for each its file or why there is none.

        Raises:
            InvalidRequest: the directory is not a path, the patience is not a time, or mutagen is
                missing. Nothing was fetched.
        """
        directory = as_path("directory", directory)
        check_not_negative("patience", patience, remedy="give seconds, 0 or more")
        how = DownloadOptions(directory=directory, covers=covers, tags=tags, patience=patience)
        results: dict[int, Saved | Exception] = {}
        folder = _place(directory)

        async def save(place: int, song: Song) -> None:
            async with self._turn(f"{folder}\0{file_name(song)}"):
                results[place] = await self._delivered(song, how)

        with self._until_closed():
            async with open_tasks() as tasks:
                await self._begin(songs, directory, lambda *song: tasks.start_soon(save, *song))
        return [
            results.get(place)
            or failed(DownloadFailed, song, "did not come: the client was closed")
            for place, song in enumerate(songs)
        ]

    async def _begin(
        self, songs: Sequence[Song], directory: Path, begin: Callable[[int, Song], object]
    ) -> None:
        """Begin all songs, a few at a time: first those that are there, which need no turn."""
        there = frozenset[str]()
        if len(songs) > _STARTED:
            there = await anyio.to_thread.run_sync(_names_in, directory)
        missing = list[int]()
        for place, song in enumerate(songs):
            if there.isdisjoint(file_names(song)):
                missing.append(place)
            else:
                begin(place, song)
            if place % _STARTED == _STARTED - 1:
                await checkpoint()  # others have a turn before there are thousands
        for number, place in enumerate(missing):
            begin(place, songs[place])
            if number % _STARTED == _STARTED - 1:
                async with self._means.slot:
                    pass  # those before them have had their turn

    async def _delivered(self, song: Song, how: DownloadOptions) -> Saved | Exception:
        try:
            return await deliver(song, how, self._means)
        except (UdioError, OSError) as error:
            return error
        except Exception as error:
            logger.exception("song %s could not be saved, for an unforeseen reason", song.id)
            return failed(DownloadFailed, song, f"was not saved: {error!r}")

    @contextmanager
    def _until_closed(self) -> Iterator[None]:
        """Leave the block when the client is closed."""
        with anyio.CancelScope() as scope:
            self._running.add(scope)
            try:
                yield
            finally:
                self._running.discard(scope)

    @asynccontextmanager
    async def _turn(self, name: str) -> AsyncGenerator[None]:
        """Wait while somebody else saves the same song: then it is there."""
        turn = self._turns.setdefault(name, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[name]

    def _sweep(self, directory: Path, now: float) -> None:
        """Remove what killed processes have left in a folder.

        That is done once, when the folder is first written to.
        """
        if directory not in self._swept:
            self._swept.add(directory)
            remove_stale(directory, now)

    def close(self) -> None:
        """End the downloads that still run; nothing half-written is left."""
        for scope in self._running:
            scope.cancel()


def _names_in(directory: Path) -> frozenset[str]:
    """Return the names that are in a folder; none where it cannot be read."""
    with suppress(OSError), os.scandir(directory) as entries:
        return frozenset(entry.name for entry in entries)
    return frozenset()


def _place(directory: Path) -> str:
    """Return the same name for a folder, also where the path leads through links."""
    return os.path.realpath(directory)
