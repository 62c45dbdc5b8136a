"""Parts: files that are being written, under a name of their own.

A part becomes the song, or it is removed; what a killed process has left is removed later.
"""

import os
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from uuid import uuid4

import anyio.to_thread
import attrs

from .._validators import as_path
from .disk import Disk, Step
from .names import is_part

STALE = 3600.0
"""Seconds without a write after which a part belongs to no running download."""

_PIECE = 1024 * 1024
"""Bytes that are written at once."""
_SMALL = 128 * 1024
"""Bytes up to which it is faster to write them than to wake a thread."""


def part_of(path: Path) -> Path:
    """Return a new name for a file while it is written."""
    return path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")


def remove(part: Path) -> None:
    """Remove a part, if it is there and the disk lets us."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


def remove_stale(directory: Path, now: float, is_ours: Callable[[str], bool] = is_part) -> int:
    """Remove what killed processes have left half-written.

    Only plain files with names of ours, and only those that nobody has written to for `STALE`
    seconds, because another process may still write to its own. A folder that cannot be read is
    left as it is.

    Args:
        directory: the folder to look through.
        now: the time by the clock of that disk, as Unix time.
        is_ours: tells by its name whether a file may be removed.

    Returns:
        How many files were removed.

    Raises:
        InvalidRequest: the directory is no path.
    """
    removed = 0
    directory = as_path("directory", directory)
    # A download must not end because of a folder that cannot be read.
    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if is_ours(entry.name) and _is_stale(entry, now):
                Path(entry).unlink(missing_ok=True)
                removed += 1
    return removed


def _is_stale(entry: "os.DirEntry[str]", now: float) -> bool:
    """Return whether it is a plain file that nobody writes to any more."""
    found = entry.stat(follow_symlinks=False)
    return stat.S_ISREG(found.st_mode) and found.st_mtime < now - STALE


@attrs.define(eq=False)
class Part:
    """A song that is being written. It is open only while bytes come in.

    Whoever makes one has to `remove` it in the end, whatever happens.
    """

    disk: Disk
    path: Path = attrs.field(init=False)
    _file: FileIO | None = attrs.field(default=None, init=False)
    _held: bytearray = attrs.field(factory=bytearray, init=False, repr=False)
    """Bytes that came and are not in the file yet: a thread writes them in large pieces."""

    def __attrs_post_init__(self) -> None:
        self.path = part_of(self.disk.path)

    @property
    def size(self) -> int:
        """Bytes that are in it, while it is open."""
        return 0 if self._file is None else os.fstat(self._file.fileno()).st_size

    @contextmanager
    def opened(self) -> Generator[float]:
        """Open it for as long as the context lasts.

        Further bytes go to its end. A part that stays empty is removed again.

        Yields:
            The time by the clock of the disk, as Unix time.

        Raises:
            OSError: the disk does not take it.
            AttemptFailed: it did not this time; another attempt may do.
        """
        self.disk.make_folder()
        with self.disk.doing(Step.OPEN):
            file = self.path.open("ab", buffering=0)
        self._file = file
        try:
            yield os.fstat(file.fileno()).st_mtime
        finally:
            try:
                self._write_held()
            finally:
                self._file = None
                empty = os.fstat(file.fileno()).st_size == 0
                # Some disks say only now that they did not take all bytes.
                with self.disk.doing(Step.WRITE):
                    file.close()
                if empty:
                    self.remove()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._held += chunk
        if len(self._held) >= _PIECE:
            await self.flush()

    async def flush(self) -> None:
        """Write the bytes that are held; many of them in a thread."""
        if len(self._held) > _SMALL:
            await anyio.to_thread.run_sync(self._write_held)
        else:
            self._write_held()

    def _write_held(self) -> None:
        assert self._file is not None
        data, self._held = self._held, bytearray()
        rest = memoryview(data)
        with self.disk.doing(Step.WRITE):
            while rest:
                rest = rest[self._file.write(rest) :]

    def clear(self) -> None:
        """Forget what came, and begin at the start again."""
        self._held.clear()
        if self._file is None:
            self.remove()
        elif self.size:
            with self.disk.doing(Step.WRITE):
                self._file.truncate(0)

    def remove(self) -> None:
        """Remove the file, if it is there."""
        remove(self.path)
