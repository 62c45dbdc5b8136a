"""Copies of journals, for reading one without a client.

A journal's file has one owner, which locks it. Whoever only wants to read gets a copy of the file
as it is now, also while the owner writes.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .._errors import JournalError
from .sqlite_disk import file_at, log_of

_TRIES = 20
_HEADER = 32
"""Bytes before the first frame of SQLite's log. They hold numbers (salts) that change each time
the log begins anew."""


class Held:
    """The journals that clients of this process hold.

    None of their files may be opened here beside SQLite: to close one lets go of SQLite's lock, as
    the locks of a file belong to the process (https://sqlite.org/howtocorrupt.html, 2.2). They are
    known by their number on the disk, whatever name or link leads to them.
    """

    def __init__(self) -> None:
        self._files: dict[object, tuple[int, int] | None] = {}
        """By their owners."""
        self._lock = threading.Lock()

    @contextmanager
    def opening(self, path: Path, owner: object) -> Iterator[None]:
        """Have nobody read a file while it is being opened, and remember its owner afterwards."""
        with self._lock:
            yield
            with suppress(
                OSError
            ):  # unknown, it is read by copies: the lease does not depend on it
                self._files[owner] = file_at(path)

    def remove(self, owner: object) -> None:
        """Forget the file of this owner, if it has one."""
        self._files.pop(owner, None)

    def forget(self) -> None:
        """Forget all of them: this process is a fork, and holds none of the journals."""
        self._files.clear()
        self._lock = threading.Lock()  # another thread may have had the old one

    def owner(self, path: Path) -> object | None:
        """Return who holds this file in this process, or None."""
        try:
            wanted = file_at(path)
        except OSError:  # whoever reads it is told why
            wanted = None
        if wanted is None:
            return None
        files = self._files.copy()  # another thread may open or close one
        return next((owner for owner, file in files.items() if file == wanted), None)

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
    path = Path(os.path.realpath(path))  # a link may be led elsewhere meanwhile
    log, log_copy = log_of(path), log_of(copy)
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
