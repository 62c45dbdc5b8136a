"""Copies of journals, for reading one without a client.

A journal's file has one owner, which locks it. Whoever only wants to read gets a copy of the file
as it is now, also while the owner writes.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._errors import JournalError

_TRIES = 20
_HEADER = 32
"""Bytes before the first frame of SQLite's log. They hold numbers (salts) that change each time
the log begins anew."""


class Held:
    """The journals that clients of this process hold.

    Only SQLite may open their files in this process: closing a file gives up all locks that the
    process has on it, and with them the lease (https://sqlite.org/howtocorrupt.html, 2.2).
    """

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}
        self._lock = threading.Lock()

    def add(self, path: Path, owner: object) -> None:
        """Remember the owner of a file, unless it has another one."""
        with self._lock:
            self._owners.setdefault(os.path.realpath(path), owner)

    def remove(self, path: Path, owner: object) -> None:
        """Forget the owner of a file, if it is this one."""
        with self._lock:
            if self._owners.get(os.path.realpath(path)) is owner:
                del self._owners[os.path.realpath(path)]

    def forget(self) -> None:
        """Forget all of them: this process is a fork, and holds none of the journals."""
        self._owners.clear()
        self._lock = threading.Lock()  # another thread may have had the old one

    def owner(self, path: Path) -> object | None:
        """Return who holds this file in this process, or None."""
        return self._owners.get(os.path.realpath(path))

    @contextmanager
    def copied(self, path: Path) -> Iterator[Path]:
        """Copy a journal that no client of this process holds.

        Another process may be writing it. The copy is in a temporary folder and is deleted when the
        context is left.

        Raises:
            JournalError: there is none, it cannot be read, or it changes too fast to be copied.
        """
        with tempfile.TemporaryDirectory(prefix="udio-async-") as folder:
            copy = Path(folder, "journal.db")
            try:
                with self._lock:
                    if self.owner(path) is not None:
                        raise JournalError(f"{path} was opened at this moment; ask again")
                    _copy(path, copy)
            except FileNotFoundError:
                raise JournalError(f"there is no journal at {path}") from None
            except OSError as error:
                raise JournalError(f"the journal {path} cannot be read: {error}") from error
            yield copy


def _copy(path: Path, copy: Path) -> None:
    """Copy the file and then its log.

    Changes that reach the file meanwhile are in the log as well. If the log begins anew in between,
    the copy would lack the changes that were in it: then both are copied again, `_TRIES` times at
    most.

    Raises:
        JournalError: the log began anew each time.
    """
    log, log_copy = (file.with_name(f"{file.name}-wal") for file in (path, copy))
    for _ in range(_TRIES):
        before = _head(log)
        shutil.copyfile(path, copy)
        log_copy.unlink(missing_ok=True)
        if before:
            shutil.copyfile(log, log_copy)
        if before == _head(log_copy) == _head(log):
            return  # the log did not begin anew in between, so nothing is missing in the copy
    raise JournalError(f"{path} changes faster than it can be read; ask again")


def _head(log: Path) -> bytes:
    """Return the beginning of a log, or nothing if there is none."""
    try:
        with log.open("rb") as file:
            return file.read(_HEADER)
    except FileNotFoundError:
        return b""


held = Held()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=held.forget)
