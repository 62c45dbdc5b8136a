"""Whether a folder takes files: no song is bought that could not be saved."""

from pathlib import Path
from tempfile import TemporaryFile

import anyio.to_thread
import attrs

from .._errors import DiskUnavailable
from .._validators import as_path

_UNKNOWN = 4 << 20
"""Bytes of a song, before any was saved."""
_BLOCK = 1 << 20


@attrs.define(eq=False)
class FolderCheck:
    """Remembers that a folder took no file.

    Until a file is written again, there or elsewhere, `check` tries the folder before each submit.
    """

    _refusing: Path | None = None
    _largest: int = 0
    """Bytes of the largest file so far."""

    def written(self, _directory: Path, size: int) -> None:
        """Remember that a file of `size` bytes was written."""
        self._largest = max(self._largest, size)
        self._refusing = None

    def refused(self, directory: Path, _error: OSError) -> None:
        """Remember that a folder took no file, and would take no other."""
        self._refusing = directory

    async def check(self) -> None:
        """Raise if the disk would refuse the next song too.

        It is tried only in a folder that refused a song: as many bytes are written as the largest
        song had, and removed again, in a thread.

        Raises:
            DiskUnavailable: it would. The message names the folder and the reason.
        """
        directory = self._refusing
        if directory is None:
            return
        await try_folder(directory, self._largest)
        if self._refusing == directory:
            self._refusing = None


async def try_folder(directory: Path, size: int = 0) -> None:
    """Raise if a folder would not take a song of `size` bytes; 0 where that is not known.

    Raises:
        DiskUnavailable: it would not. The message names the folder and the reason.
        InvalidRequest: the directory is no path.
    """
    directory = as_path("directory", directory)
    try:
        await anyio.to_thread.run_sync(_write, directory, size or _UNKNOWN)
    except OSError as error:
        raise DiskUnavailable(
            f"nothing more is submitted, as {directory} takes no files: {error.strerror}; make "
            "room there, or allow writing, and ask again. What was paid for is not lost."
        ) from error


def _write(directory: Path, size: int) -> None:
    """Write a file of this size, and take it away again."""
    directory.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=directory, buffering=0) as file:
        while (left := size - file.tell()) > 0:
            file.write(bytes(min(_BLOCK, left)))
