"""The lease of a journal: who has it owns the file, until it is closed or the process dies.

SQLite locks the file as well. But the system drops that lock as soon as anything in the same
process opens and closes the file: a backup, a hash, an answer of a web server
(https://sqlite.org/howtocorrupt.html, 2.2). A lock by `flock` ends with its own descriptor only.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from .sqlite_disk import beside

if sys.platform != "win32":  # there, SQLite's own lock belongs to its handle, and lasts
    import fcntl

_TRIES = 20
_leases: set["Lease"] = set()
"""Those of this process."""


class Lease:
    """A lock on `FILE-lock`, a file beside the journal that is there while the journal is open.

    It is not on the journal itself: on macOS, BSD and NFS `flock` and SQLite's locks meet, so that
    SQLite would find its own file locked. And a descriptor of the journal must not be closed while
    another client of this process has it open.

    Raises:
        BlockingIOError: another client or process has it.
        OSError: the file beside the journal cannot be made.
    """

    def __init__(self, file: Path) -> None:
        self._path = beside(file, "-lock")
        self._handle = None if sys.platform == "win32" else _locked(self._path)
        if self._handle is not None:
            _share(self._handle, file)
        _leases.add(self)

    def end(self) -> None:
        """Let go of it; nothing happens the second time, or in a fork of the process."""
        _leases.discard(self)
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                if _is_at(self._path, handle):  # the folder may be another one by now
                    self._path.unlink()
            os.close(handle)

    def leave(self) -> None:
        """Close the descriptor that a fork has inherited: the lease would outlive its owner.

        The owner keeps the lease. It is one lock, which ends when the last descriptor is closed.
        """
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _locked(path: Path) -> int:
    """Return a descriptor that holds the lock."""
    for _ in range(_TRIES):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(handle)
            if _is_at(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its last owner has just removed it, so the next one would make another
    raise BlockingIOError(f"{path} was replaced {_TRIES} times")


def _share(handle: int, file: Path) -> None:
    """Give it the owner and the mode of the journal, as SQLite does with its log.

    After a crash it is left behind, and whoever may write the journal has to open it.
    """
    with suppress(OSError):  # it is not there yet, or another user's
        like = file.stat()
        os.fchmod(handle, like.st_mode & 0o666)
        if os.geteuid() == 0:
            os.fchown(handle, like.st_uid, like.st_gid)


def _lock(handle: int) -> None:
    """Lock a file, where its file system has such locks: elsewhere SQLite's own have to do."""
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass


def _is_at(path: Path, handle: int) -> bool:
    """Return whether a path still leads to the file of this descriptor."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _leave_all() -> None:
    for lease in _leases:
        lease.leave()
    _leases.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)
