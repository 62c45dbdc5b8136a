"""The disk under a journal's file: it may refuse the file, lose it, or damage it."""

import os
import sqlite3
import sys
from pathlib import Path

from .._errors import JournalError

_PRIMARY = 0xFF
"""The bits of an SQLite error code that tell the kind of the error."""
_DISK = {
    sqlite3.SQLITE_FULL: "cannot be written: the disk is full; make room",
    sqlite3.SQLITE_READONLY: "cannot be written: it is read-only; allow that, or give another path",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the system reports an error of the disk or a "
    "limit of its size; see to that, and run again",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: the system refuses it; see whose it is",
}
"""Errors of the place of a journal, while the journal itself is sound."""

CHECKED = 256 * 2**20
"""Bytes of the largest file that is read through each time it is opened."""
_REASON = 200
"""Characters of a reason, at most: a row of a damaged file may be long."""


class NotInPlace(Exception):
    """A file of an open journal, or its log, was moved, replaced, removed or cut short."""

    def __init__(self, file: Path, *, is_log: bool) -> None:
        super().__init__(str(file))
        self.file, self.is_log = file, is_log


def unusable(error: Exception, path: Path) -> JournalError:
    """Return the error for a file that cannot be used, and why."""
    reason = (str(error) or type(error).__name__)[:_REASON]
    if isinstance(error, BlockingIOError) or "locked" in reason:
        return JournalError(f"{path} is in use by another process or client; wait for it to end")
    what = _of_the_disk(error, path) or (
        f"cannot be trusted: {reason}; go on with a copy of it from before, or with another file"
    )
    return JournalError(f"the journal {path} {what}")


def _of_the_disk(error: Exception, path: Path) -> str | None:
    """Return why the disk keeps a sound journal from being used; None if it is not the disk."""
    if isinstance(error, NotInPlace):
        lost = "was moved, replaced, removed or cut short while it was open"
        if error.is_log:
            return f"has lost its log: {error.file.name} {lost}; let nothing do that, and run again"
        return (
            f"{lost}, so the next run would not find what is kept in it; put it back, and run again"
        )
    if isinstance(error, FileNotFoundError):
        return f"cannot be made: there is no folder {path.parent}; make it first"
    if isinstance(error, OSError):
        return f"cannot be opened: {error.strerror or error}; fix that, or give another path"
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if code == sqlite3.SQLITE_CANTOPEN and path.is_dir():
        return "cannot be opened: it is a folder; give the path of a file in it"
    return _DISK.get(code)


def has_to_be_checked(path: Path) -> bool:
    """Return whether a file is read through as it is opened, so that damage is found at once.

    A large file is read through only if a process has died while it was open, because that takes
    seconds. Damage in a large file that was closed in order is found when the damaged row is read.
    """
    try:
        return path.stat().st_size <= CHECKED or log_of(path).exists()
    except OSError:
        return True


def log_of(path: Path) -> Path:
    """Return where SQLite has the log of a file: beside the file, not beside a link to it."""
    return beside(path, "-wal")


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file that lies beside another, and has its name and an ending."""
    return Path(f"{os.path.realpath(path)}{ending}")


def file_at(path: Path) -> tuple[int, int] | None:
    """Return the device and the inode of a file, which no other file has; None if there is none."""
    found = _stat_of(path)
    return None if found is None else (found.st_dev, found.st_ino)


def _stat_of(path: Path) -> os.stat_result | None:
    """Return what the system knows of the file at a path; None where there is none."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


class Kept:
    """A file of a journal and its log, as they were after the latest commit.

    SQLite never makes them shorter but in a commit: then it may begin the log anew, and a
    checkpoint may end it.
    """

    def __init__(self, path: Path) -> None:
        self._file, self._log = path, log_of(path)
        self._found = {path: path.stat()}

    def note(self) -> None:
        """Take in how long they are now, and nothing of another file in their place."""
        for path in (self._file, self._log):
            try:
                found = path.stat()
            except OSError:  # it is told of before the next commit
                continue
            if os.path.samestat(found, self._found.get(path, found)):
                self._found[path] = found

    def check(self) -> None:
        """Refuse to go on with what the next run would not find.

        Raises:
            NotInPlace: one of them is not there any more, is another one, or is shorter.
        """
        for path, before in self._found.items():
            now = _stat_of(path)
            is_same = now is not None and os.path.samestat(now, before)
            if now is None or not is_same or now.st_size < before.st_size:
                raise NotInPlace(path, is_log=path == self._log)


def sync_directory(directory: Path) -> None:
    """Make a new file's name durable.

    SQLite does that only for its own log. Windows has no such call.
    """
    if sys.platform != "win32":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
