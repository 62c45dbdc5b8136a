"""The SQLite file of a journal: its tables, and every query.

The file is opened exclusively, in WAL mode with full synchronisation: a commit that has returned
survives a power cut, if the disk really writes what it says it has written. Another version's file
is brought up to date, or refused.
"""

import hashlib
import hmac
import os
import sqlite3
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import attrs

from .._concurrency import Loop
from .._errors import JournalError, restated
from .entry import Entry, State
from .jobs import doubted
from .lease import Lease
from .snapshot import held
from .sqlite_disk import Kept, NotInPlace, has_to_be_checked, sync_directory, unusable
from .sqlite_rows import WRONG_VALUE, as_entry, as_text
from .sqlite_schema import prepare_tables

T = TypeVar("T")

PAGE = 256
"""Entries that are read at once."""
_DIED = "the process died after the intent was kept and before an answer was"

_MOST_MARKS = 500
"""Question marks in one statement; older SQLite allows 999."""


class SqliteFile:
    """The open file; one thread uses it, and closes it with `close`.

    Errors name the path `shown`, because a reader works on a copy.

    Raises:
        JournalError: it is held by another process, is not a journal, is of a newer version, or is
            damaged.
    """

    def __init__(self, path: Path, *, shown: Path | None = None) -> None:
        self._path, self._shown = path, shown or path
        self._is_checked = has_to_be_checked(path)
        try:
            with ExitStack() as opened:
                lease = Lease(path)
                opened.callback(lease.end)
                self._db = opened.enter_context(closing(self._connect()))
                self._kept = Kept(path.absolute())  # the program may change its directory
                self._prepare()
                self._kept.note()
                self._opened = opened.pop_all()
        except JournalError:
            raise
        except Exception as error:  # a damaged file may hold anything
            raise self.unusable(error) from error

    def _connect(self) -> sqlite3.Connection:
        """Open the file; make it first if it is missing."""
        # Made here, because SQLite would make it readable by others. One that exists is not opened:
        # closing it would let go of the lock that another client of this process may hold.
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        sync_directory(self._path.parent)
        return sqlite3.connect(self._path, isolation_level=None, timeout=0)

    def _prepare(self) -> None:
        """Lock the file, and set how durable it is."""
        # Until the connection closes, also against programs that know nothing of the lease.
        self._pragma("locking_mode = exclusive", expect="exclusive")
        self._pragma("trusted_schema = off")
        self._pragma("cell_size_check = on")
        if sys.platform == "darwin":
            self._pragma("fullfsync = on")
            self._pragma("checkpoint_fullfsync = on")
        # SQLite raises nothing if it cannot set one of these: so both are read back.
        self._pragma("journal_mode = wal", expect="wal")
        self._pragma("synchronous = full")
        self._pragma("synchronous", expect=2)
        self._db.execute("begin exclusive")
        prepare_tables(self._db, self._shown, is_checked=self._is_checked)
        self._db.execute("commit")

    def _pragma(self, text: str, *, expect: object = None) -> None:
        """Set or read a setting of SQLite, and check the value it has now."""
        row = self._db.execute(f"pragma {text}").fetchone()
        if expect is not None and (row is None or row[0] != expect):
            raise JournalError(f"{self._shown}: pragma {text} gave {row}, not {expect!r}")

    def _mark(self, account: str) -> tuple[bytes | None, bytes]:
        """Return the mark of the journal's account, and this account's own.

        The first is None while the journal belongs to nobody. A mark is a salted hash.
        """
        meta = dict(self._db.execute("select name, value from meta").fetchall())
        known, salt = meta.get("account"), meta.get("salt")
        if not isinstance(salt, bytes) or not isinstance(known, bytes | None):
            raise sqlite3.DatabaseError("the mark of its account is damaged")
        return known, hashlib.sha256(salt + account.encode()).digest()

    def is_of(self, account: str) -> bool:
        """Return whether it is this account's, or nobody's yet."""
        known, mark = self._mark(account)
        return known is None or hmac.compare_digest(known, mark)

    def take_over(self, account: str) -> None:
        """Give the journal to this account, and put requests that were on the wire in doubt.

        A job that is `sending` now was on the wire when the last owner died.
        """
        known, mark = self._mark(account)
        if known != mark:
            self._db.execute("insert or replace into meta values ('account', ?)", (mark,))
        for _, entry in self.page([State.SENDING], 0, limit=-1):
            self.put(doubted(entry, _DIED), State.SENDING)

    def add(self, entry: Entry) -> Entry | None:
        """Insert an entry; return the known one instead if there is one."""
        added = self._db.execute(
            "insert into jobs (key, state, task_id, entry) select ?, ?, ?, ?"
            " where not exists (select 1 from jobs where alias = ?) on conflict (key) do nothing",
            (entry.key, entry.state, entry.task_id, as_text(entry), entry.key),
        )
        return None if added.rowcount else self.get(entry.key)

    def put(self, entry: Entry, expected: State) -> None:
        """Replace an entry that is in the expected state.

        Raises:
            JournalError: it is in another one; nothing was changed.
        """
        changed = self._db.execute(
            "update jobs set state = ?, task_id = ?, entry = ? where key = ? and state = ?",
            (entry.state, entry.task_id, as_text(entry), entry.key, expected),
        )
        if not changed.rowcount:
            known = self.get(entry.key)
            raise JournalError(
                f"job {entry.key} is {known.state if known else 'unknown'}, not {expected}",
                job_key=entry.key,
                task_id=entry.task_id,
            )

    def get(self, key: str) -> Entry | None:
        """Return the entry with this key or alias, or None."""
        row = self._db.execute(
            "select entry from jobs where key = ? union all"
            " select entry from jobs where alias = ? limit 1",
            (key, key),
        ).fetchone()
        return as_entry(row[0]) if row else None

    def get_many(self, keys: Collection[str]) -> Mapping[str, Entry]:
        """Return the entries with these keys or aliases, by what was asked for."""
        found: dict[str, Entry] = {}
        wanted = list(keys)
        for start in range(0, len(wanted), _MOST_MARKS):
            some = wanted[start : start + _MOST_MARKS]
            marks = ", ".join("?" * len(some))
            for column in ("alias", "key"):
                rows = self._db.execute(
                    f"select {column}, entry from jobs where {column} in ({marks})",  # noqa: S608  # question marks
                    some,
                )
                found.update((name, as_entry(text)) for name, text in rows)
        return found

    def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that was accepted as this task, or None."""
        rows = self._db.execute("select entry from jobs where task_id = ?", (task_id,)).fetchall()
        entries = (as_entry(text) for (text,) in rows)
        return next((entry for entry in entries if entry.state.is_paid), None)

    def page(
        self, states: Collection[State], after: int, *, limit: int = PAGE
    ) -> list[tuple[int, Entry]]:
        """Return up to `limit` entries after a number, each with its own number.

        A negative limit means all.
        """
        marks = ", ".join("?" * len(states))
        rows = self._db.execute(
            f"select number, entry from jobs where state in ({marks})"  # noqa: S608  # question marks
            " and number > ? order by number limit ?",
            (*states, after, limit),
        ).fetchall()
        return [(number, as_entry(text)) for number, text in rows]

    def place_before(self, states: Collection[State], newest: int) -> int:
        """Return the number after which the `newest` entries in these states come.

        0 if there are fewer.
        """
        marks = ", ".join("?" * len(states))
        row = self._db.execute(
            f"select number from jobs where state in ({marks})"  # noqa: S608  # question marks
            " order by number desc limit 1 offset ?",
            (*states, newest),
        ).fetchone()
        return row[0] if row else 0

    def maker(self) -> str | None:
        """Return the provider that its jobs were made with; None where there are no jobs yet."""
        row = self._db.execute("select entry from jobs order by number desc limit 1").fetchone()
        return as_entry(row[0]).provider if row else None

    def count(self) -> Mapping[State, int]:
        rows = self._db.execute("select state, count(*) from jobs group by state").fetchall()
        if unknown := {state for state, _ in rows} - set(State):
            raise sqlite3.DatabaseError(f"jobs have the states {unknown}")
        return {State(state): number for state, number in rows}

    def note(self, name: str, value: str) -> None:
        self._db.execute("insert or replace into notes values (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        row = self._db.execute("select value from notes where name = ?", (name,)).fetchone()
        if row is not None and not isinstance(row[0], str):
            raise sqlite3.DatabaseError(f"the note {name!r} is no text")
        return row[0] if row else None

    def do(self, work: "Callable[[SqliteFile], T]") -> T:
        """Do one piece of work.

        If it is refused, nothing is undone, so it must write one row at most, or rows of which each
        is right without the others.

        Raises:
            JournalError: it was refused, and has changed nothing. Any other error means that the
                file cannot be used.
        """
        try:
            return work(self)
        except WRONG_VALUE as error:
            raise JournalError(
                f"the journal {self._shown} cannot take this value: {error}; nothing was changed"
            ) from error

    def commit(self, orders: "Sequence[Order[Any]]") -> None:
        """Run the orders as one transaction, durable when this returns.

        An order that is refused changes nothing, and the others go on.

        Raises:
            JournalError: the transaction failed, or the file is not in its place any more; nothing
                of it was kept.
        """
        before = self._db.total_changes
        try:
            self._db.execute("begin immediate")
            for order in orders:
                order.run(self)
            changes = self._db.total_changes != before
            if changes:
                self._kept.check()
            self._db.execute("commit")
            if changes:
                self._kept.note()
        except Exception as error:  # a damaged file may hold anything
            with suppress(sqlite3.Error):
                self._db.execute("rollback")
                if isinstance(error, NotInPlace):
                    # SQLite's log does not move along: what it has goes into the file.
                    self._db.execute("pragma wal_checkpoint")
                    if error.is_log:
                        # The next run would take another log in its place for this one.
                        self._db.execute("pragma journal_mode = delete")
            raise self.unusable(error) from error

    def unusable(self, error: Exception) -> JournalError:
        """Return the error for this file, as it cannot be used."""
        return unusable(error, self._shown)

    def close(self) -> None:
        self._opened.close()


@attrs.define(eq=False)
class Order(Generic[T]):
    """One piece of work for the file, and its result for whoever waits."""

    work: Callable[[SqliteFile], T]
    done: anyio.Event
    loop: Loop
    """The event loop in which the result is waited for."""
    reads: bool = False
    """Whether it changes nothing."""
    result: T | None = None
    error: JournalError | None = None

    def run(self, store: SqliteFile) -> None:
        """Do the work, and keep its result or its error."""
        try:
            self.result = store.do(self.work)
        except JournalError as error:  # it has changed nothing; the others of its group go on
            self.error = error

    def outcome(self) -> T:
        """Return the result.

        Raises:
            JournalError: the work was not done. It is a copy, so that each waiter may add facts of
                its own.
        """
        if self.error is not None:
            raise restated(self.error, str(self.error)) from self.error.__cause__
        return self.result  # type: ignore[return-value]  # set, as there is no error


def look(path: Path, work: Callable[[SqliteFile], T]) -> T:
    """Read a copy of a journal that no client of this process has open.

    Raises:
        JournalError: there is none, or it cannot be read.
    """
    with held.copied(path) as copy:
        store = SqliteFile(copy, shown=path)
        try:
            return store.do(work)
        except JournalError:
            raise
        except Exception as error:  # a damaged file may hold anything
            raise store.unusable(error) from error
        finally:
            store.close()
