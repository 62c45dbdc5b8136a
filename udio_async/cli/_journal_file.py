"""A check of the journal's file, before SQLite opens it.

SQLite would begin to change any other database at once.
"""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from ._failures import BadInput
from ._names import JOURNAL

_MAGIC = b"SQLite format 3\0"
_APPLICATION = (68, 72)
"""Where the header of a database names the program that it belongs to."""
_OURS = b"udio"


class NotAJournal(BadInput):
    """What has the journal's name is a file of something else."""


def check_journal(path: Path) -> None:
    """Refuse a file that is not a journal, and leave it as it is.

    A file that is not there will be made.

    Raises:
        NotAJournal: it is of something else; another --journal has to be given.
        BadInput: it is no plain file, or cannot be read.
    """
    if path.is_symlink() and not path.exists():
        raise _refusal(path, "is a symbolic link that leads nowhere")
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _refusal(path, "is not a plain file")
        with path.open("rb") as file:
            head = file.read(100)
    except (FileNotFoundError, NotADirectoryError):  # what is wrong with its folder is told there
        return
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from error
    if head and not head.startswith(_MAGIC):
        raise _refusal(path, "is not a journal of udio-async", NotAJournal)
    program = head[slice(*_APPLICATION)]
    # A journal whose beginning is still in its log names nobody, and holds nothing either.
    if head and program != _OURS and (any(program) or _has_tables(path)):
        raise _refusal(path, "is a database of another program", NotAJournal)


def journal_beside(journal: Path | None, out: Path) -> Path | None:
    """Return the folder's journal, if it is there and is not the journal of the run.

    Raises:
        BadInput: it cannot be read, so nobody knows what it has paid for.
    """
    path = out / JOURNAL
    own = journal if journal is not None and journal.exists() else None
    if not path.is_file() or (own is not None and own.samefile(path)):
        return None
    try:
        check_journal(path)
    except NotAJournal:  # perhaps that is why the run has its journal elsewhere
        return None
    return path


def _has_tables(path: Path) -> bool:
    """Return whether a database has tables, and leave no trace.

    No lock is taken, and no file appears beside it.
    """
    address = f"{path.absolute().as_uri()}?immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            return database.execute("select 1 from sqlite_master").fetchone() is not None
    except sqlite3.Error:
        return False


def _refusal(path: Path, what: str, kind: type[BadInput] = BadInput) -> BadInput:
    """Return the error for a file that is not a journal."""
    return kind(f"{path} {what}; give another path with --journal, or move it away")
