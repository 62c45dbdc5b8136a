"""A journal in one SQLite file, written by a thread of its own.

Everything that waits while one commit is being made durable goes into the next one, so ten
thousand songs share a few hundred commits, and the event loop never waits for the disk.
"""

import hashlib
import hmac
import os
import queue
import secrets
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import attrs
from anyio.from_thread import run_sync as run_in_loop
from anyio.lowlevel import EventLoopToken, current_token
from anyio.to_thread import run_sync as run_in_thread
from cattrs.preconf.json import make_converter

from .._concurrency import outlast
from .._errors import AnotherAccount, ClientClosed, JournalError
from .base import Confirm
from .jobs import Entry, State, doubted
from .keys import is_of_batch, request_digest
from .snapshot import held

T = TypeVar("T")

_APPLICATION = 0x7564696F  # "udio"
_VERSION = 2
_GROUP = 64
"""Changes in one commit, at most."""
_PAGE = 256
"""Entries that are read at once."""
_DIED = "the process died after the intent was kept and before an answer was"

_SCHEMA = """
create table meta (name text primary key, value blob not null) without rowid;
create table notes (name text primary key, value text not null) without rowid;
create table jobs (
    number integer primary key,
    key text not null unique,
    state text not null,
    task_id text,
    entry text not null,
    alias text
);
create index jobs_by_state on jobs (state, number);
create index jobs_by_task on jobs (task_id) where task_id is not null;
create unique index jobs_by_alias on jobs (alias) where alias is not null;
"""
_FROM_VERSION_1 = """
alter table jobs add column alias text;
drop index jobs_by_state;
create index jobs_by_state on jobs (state, number);
create index jobs_by_task on jobs (task_id) where task_id is not null;
create unique index jobs_by_alias on jobs (alias) where alias is not null;
"""
"""`alias`: what a job of a batch would be called today, where the rule was another then."""

_converter = make_converter()


class SqliteJournal:
    """Remembers in the file at `path`, through crashes and power cuts.

    It is written by the client that has it open, and read by anybody: while no client of this
    process has it, `get`, `of_task`, `entries`, `count` and `noted` read a copy of the file as it
    stands, also while another process writes it.

    `threaded=False` writes in the event loop itself: only for virtual clocks, which do not wait
    for threads.

        journal = SqliteJournal("songs.db")
        async with Client(provider, journal=journal) as client:
            await client.generate(SongRequest(description="rain", key="rain-1"))
        print(await journal.get("rain-1"))
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str], *, threaded: bool = True) -> None:
        self.path = Path(path)
        self._threaded = threaded
        self._desk: _Desk | _Inline | None = None

    @asynccontextmanager
    async def open(self, account: str, *, confirm: Confirm | None = None) -> AsyncGenerator[None]:
        """Open the file, or make it, readable by its owner only."""
        desk = _Desk(self.path) if self._threaded else _Inline(self.path)
        held.add(self.path, desk)
        try:
            await desk.start()
        except BaseException:
            held.remove(self.path, desk)
            raise
        self._desk = desk
        try:
            if not await desk.do(lambda store: store.is_of(account)) and not (
                confirm is not None and await confirm()
            ):
                raise AnotherAccount(
                    f"{self.path} was made with another provider or API key; use that one. If this "
                    "is a new key of the same account, hand the journal over to it, once: "
                    f"await udio_async.hand_over({str(self.path)!r}, provider, same_account=True)"
                )
            await desk.do(lambda store: store.take_over(account))
            yield
        finally:
            await desk.stop()
            held.remove(self.path, desk)
            self._desk = None

    async def add(self, entry: Entry) -> Entry | None:
        """Keep a new entry; return the one whose key it has, if there is one."""
        return await self._write(lambda store: store.add(entry))

    async def put(self, entry: Entry, *, expected: State) -> None:
        """Replace the entry of this key, if it is in the expected state."""
        await self._write(lambda store: store.put(entry, expected))

    async def get(self, key: str) -> Entry | None:
        """Return the entry of this key."""
        return await self._read(lambda store: store.get(key))

    async def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that has this task as its own."""
        return await self._read(lambda store: store.of_task(task_id))

    async def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the entries in these states, oldest first; only over the newest so many."""
        after = 0
        if newest is not None:
            after = await self._read(lambda store: store.place_before(states, newest))
        limit = _PAGE if self._owner is not None else -1  # each look at a copy copies it anew
        read = partial(_Store.page, states=states, limit=limit)
        while page := await self._read(partial(read, after=after)):
            for _, entry in page:
                yield entry
            after = page[-1][0]
            if limit < 0:
                break

    async def count(self) -> Mapping[State, int]:
        """Return how many entries there are in each state."""
        return await self._read(lambda store: store.count())

    async def note(self, name: str, value: str) -> None:
        """Keep a fact about the account, over an earlier one of that name."""
        await self._write(lambda store: store.note(name, value))

    async def noted(self, name: str) -> str | None:
        """Return the fact of that name."""
        return await self._read(lambda store: store.noted(name))

    @property
    def _owner(self) -> "_Desk | _Inline | None":
        owner = self._desk or held.owner(self.path)
        return owner if isinstance(owner, (_Desk, _Inline)) and not owner.stopped else None

    async def _write(self, work: "Callable[[_Store], T]") -> T:
        if self._desk is None:
            raise _closed(self.path)
        return await self._desk.do(work)

    async def _read(self, work: "Callable[[_Store], T]") -> T:
        owner = self._owner
        if owner is not None:
            return await owner.do(work)
        if self._desk is not None:  # it is being closed
            raise _closed(self.path)
        if self._threaded:
            return await run_in_thread(_look, self.path, work)
        return _look(self.path, work)


def _look(path: Path, work: "Callable[[_Store], T]") -> T:
    """Read a journal that nobody here holds."""
    with held.copied(path) as copy:
        store = _Store(copy, shown=path)
        try:
            return work(store)
        except sqlite3.Error as error:
            raise store._unusable(error) from error  # noqa: SLF001  # the same module
        finally:
            store.close()


class _Store:
    """The file itself, used by one thread; in errors it is `shown` as another."""

    def __init__(self, path: Path, *, shown: Path | None = None) -> None:
        self._path, self._shown = path, shown or path
        try:
            self._db = self._connect()
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except JournalError:
            raise
        except Exception as error:  # a damaged file may hold anything
            raise self._unusable(error) from error

    def _connect(self) -> sqlite3.Connection:
        # Made here, because SQLite would make it readable by others. One that exists is not opened:
        # closing it would let go of the lease that another client of this process may hold.
        with suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        _sync_directory(self._path.parent)
        return sqlite3.connect(self._path, isolation_level=None, timeout=0)

    def _prepare(self) -> None:
        # Held until the connection closes or the process dies: the lease of one owner.
        self._pragma("locking_mode = exclusive", expect="exclusive")
        self._pragma("trusted_schema = off")
        self._pragma("cell_size_check = on")
        if sys.platform == "darwin":
            self._pragma("fullfsync = on")
            self._pragma("checkpoint_fullfsync = on")
        # A failed switch says nothing: both are read back.
        self._pragma("journal_mode = wal", expect="wal")
        self._pragma("synchronous = full")
        self._pragma("synchronous", expect=2)
        self._db.execute("begin exclusive")
        self._check_version()
        self._db.execute("commit")

    def _pragma(self, text: str, *, expect: object = None) -> None:
        row = self._db.execute(f"pragma {text}").fetchone()
        if expect is not None and (row is None or row[0] != expect):
            raise JournalError(f"{self._shown}: pragma {text} gave {row}, not {expect!r}")

    def _check_version(self) -> None:
        application = self._db.execute("pragma application_id").fetchone()[0]
        version = self._db.execute("pragma user_version").fetchone()[0]
        if not application and not self._db.execute("select 1 from sqlite_master").fetchone():
            self._create()
        elif application != _APPLICATION:
            raise JournalError(f"{self._shown} is no journal of this library; give another path")
        elif version not in (1, _VERSION):
            raise JournalError(
                f"{self._shown} has version {version}, this library knows {_VERSION}; update it"
            )
        elif self._db.execute("pragma quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its check failed")
        elif version == 1:
            self._update()

    def _create(self) -> None:
        self._run(_SCHEMA)
        self._db.execute("insert into meta values ('salt', ?)", (secrets.token_bytes(16),))
        self._db.execute(f"pragma application_id = {_APPLICATION}")

    def _update(self) -> None:
        """Bring a journal of the first version up to date."""
        self._run(_FROM_VERSION_1)
        taken: Counter[str] = Counter()
        rows = self._db.execute("select number, key, entry from jobs order by number").fetchall()
        for number, key, text in rows:
            if not is_of_batch(key):
                continue
            digest = request_digest(_converter.loads(text, Entry).request)
            taken[digest] += 1
            if f"{digest}-{taken[digest]}" != key:
                alias = f"{digest}-{taken[digest]}"
                self._db.execute("update jobs set alias = ? where number = ?", (alias, number))

    def _run(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._db.execute(statement)
        self._db.execute(f"pragma user_version = {_VERSION}")

    def _mark(self, account: str) -> tuple[bytes | None, bytes]:
        """Return the mark of the journal's account, and the one that this account would have."""
        meta = dict(self._db.execute("select name, value from meta").fetchall())
        return meta.get("account"), hashlib.sha256(meta["salt"] + account.encode()).digest()

    def is_of(self, account: str) -> bool:
        """Whether it is this account's, or nobody's yet."""
        known, mark = self._mark(account)
        return known is None or hmac.compare_digest(known, mark)

    def take_over(self, account: str) -> None:
        """Make it this account's, and doubt what was being sent when its owner died."""
        known, mark = self._mark(account)
        if known != mark:
            self._db.execute("insert or replace into meta values ('account', ?)", (mark,))
        for _, entry in self.page([State.SENDING], 0, limit=-1):
            self.put(doubted(entry, _DIED), State.SENDING)

    def add(self, entry: Entry) -> Entry | None:
        known = self.get(entry.key)
        if known is None:
            self._db.execute(
                "insert into jobs (key, state, task_id, entry) values (?, ?, ?, ?)",
                (entry.key, entry.state, entry.task_id, _converter.dumps(entry)),
            )
        return known

    def put(self, entry: Entry, expected: State) -> None:
        changed = self._db.execute(
            "update jobs set state = ?, task_id = ?, entry = ? where key = ? and state = ?",
            (entry.state, entry.task_id, _converter.dumps(entry), entry.key, expected),
        )
        if not changed.rowcount:
            known = self.get(entry.key)
            raise JournalError(
                f"job {entry.key} is {known.state if known else 'unknown'}, not {expected}",
                job_key=entry.key,
                task_id=entry.task_id,
            )

    def get(self, key: str) -> Entry | None:
        row = self._db.execute(
            "select entry from jobs where key = ? union all"
            " select entry from jobs where alias = ? limit 1",
            (key, key),
        ).fetchone()
        return _converter.loads(row[0], Entry) if row else None

    def of_task(self, task_id: str) -> Entry | None:
        rows = self._db.execute("select entry from jobs where task_id = ?", (task_id,)).fetchall()
        entries = (_converter.loads(text, Entry) for (text,) in rows)
        return next((entry for entry in entries if entry.state.is_paid), None)

    def page(
        self, states: Collection[State], after: int, *, limit: int = _PAGE
    ) -> list[tuple[int, Entry]]:
        marks = ", ".join("?" * len(states))
        rows = self._db.execute(
            f"select number, entry from jobs where state in ({marks})"  # noqa: S608  # question marks
            " and number > ? order by number limit ?",
            (*states, after, limit),
        ).fetchall()
        return [(number, _converter.loads(text, Entry)) for number, text in rows]

    def place_before(self, states: Collection[State], newest: int) -> int:
        """Return the number after which so many entries in these states come."""
        marks = ", ".join("?" * len(states))
        row = self._db.execute(
            f"select number from jobs where state in ({marks})"  # noqa: S608  # question marks
            " order by number desc limit 1 offset ?",
            (*states, newest),
        ).fetchone()
        return row[0] if row else 0

    def count(self) -> Mapping[State, int]:
        rows = self._db.execute("select state, count(*) from jobs group by state").fetchall()
        return {State(state): number for state, number in rows}

    def note(self, name: str, value: str) -> None:
        self._db.execute("insert or replace into notes values (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        row = self._db.execute("select value from notes where name = ?", (name,)).fetchone()
        return row[0] if row else None

    def commit(self, orders: "Sequence[_Order[Any]]") -> None:
        """Run the orders as one transaction, durable when this returns."""
        try:
            self._db.execute("begin immediate")
            for order in orders:
                order.run(self)
            self._db.execute("commit")
        except Exception as error:  # a damaged file may hold anything
            with suppress(sqlite3.Error):
                self._db.execute("rollback")
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> JournalError:
        reason = str(error) or type(error).__name__
        if "locked" in reason:
            return JournalError(
                f"{self._shown} is in use by another process or client; wait for it to end"
            )
        return JournalError(f"the journal {self._shown} cannot be trusted: {reason}")

    def close(self) -> None:
        self._db.close()


def _sync_directory(directory: Path) -> None:
    """Make a new file's name durable; SQLite does it only for its own log."""
    if sys.platform != "win32":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@attrs.define(eq=False)
class _Order(Generic[T]):
    """One thing to do with the store, and its result for whoever waits in the event loop."""

    work: Callable[[_Store], T]
    done: anyio.Event
    token: EventLoopToken
    """Of the event loop in which it is waited for."""
    result: T | None = None
    error: JournalError | None = None

    def run(self, store: _Store) -> None:
        try:
            self.result = self.work(store)
        except JournalError as error:  # it has changed nothing; the others of its group go on
            self.error = error


class _Inline:
    """Does the work at once, in the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def start(self) -> None:
        self._store = _Store(self._path)
        self._broken: JournalError | None = None
        self.stopped = False

    async def do(self, work: Callable[[_Store], T]) -> T:
        if self.stopped:
            raise _closed(self._path)
        if self._broken:
            raise _again(self._broken)
        order = _Order(work, anyio.Event(), current_token())
        try:
            self._store.commit([order])
        except JournalError as error:
            self._broken = error
            raise
        if order.error:
            raise order.error
        return order.result  # type: ignore[return-value]  # set, as there is no error

    async def stop(self) -> None:
        self.stopped = True
        self._store.close()


class _Desk:
    """Takes orders from the event loop to the thread that writes, and the results back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._orders: queue.SimpleQueue[_Order[Any] | None] = queue.SimpleQueue()
        self._broken: JournalError | None = None
        self.stopped = False

    async def start(self) -> None:
        self._opened = _Order(lambda _: None, anyio.Event(), current_token())
        self._closed = anyio.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(current_token(),), name="udio-async journal", daemon=True
        )
        self._thread.start()
        try:
            await outlast(self._opened.done)
        except BaseException:  # cancelled meanwhile: nobody else will end the thread
            if not self._opened.error:
                await self.stop()
            raise
        if self._opened.error:
            self._thread.join()
            raise self._opened.error

    async def do(self, work: Callable[[_Store], T]) -> T:
        if self.stopped:
            raise _closed(self._path)
        if self._broken:
            raise _again(self._broken)
        order = _Order(work, anyio.Event(), current_token())
        self._orders.put(order)
        await order.done.wait()
        if order.error:
            raise _again(order.error)
        return order.result  # type: ignore[return-value]  # set, as there is no error

    async def stop(self) -> None:
        self.stopped = True
        self._orders.put(None)
        await outlast(self._closed)
        self._thread.join()

    def _serve(self, token: EventLoopToken) -> None:
        """The thread: open, write group after group, close."""
        try:
            store = _Store(self._path)
        except JournalError as error:
            self._opened.error = error
            run_in_loop(self._opened.done.set, token=token)
            return
        run_in_loop(self._opened.done.set, token=token)
        while orders := self._next_group():
            self._write(store, orders)
            run_in_loop(_announce, [each for each in orders if each.token == token], token=token)
            for order in orders:
                if order.token != token:  # a reader's loop, which this thread does not wait for
                    threading.Thread(target=_announce_there, args=(order,), daemon=True).start()
        store.close()
        run_in_loop(self._closed.set, token=token)

    def _next_group(self) -> list[_Order[Any]]:
        """Wait for an order, and take with it what has come in meanwhile. Empty: stop."""
        orders = []
        order = self._orders.get()
        while order is not None:
            orders.append(order)
            if len(orders) == _GROUP:
                break
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                break
            if order is None:
                self._orders.put(None)  # first write what was ordered before
        return orders

    def _write(self, store: _Store, orders: list[_Order[Any]]) -> None:
        """Write a group; after a failure nothing is believed any more, a repeated sync least."""
        try:
            if self._broken:
                raise self._broken
            store.commit(orders)
        except JournalError as error:
            self._broken = error
            for order in orders:
                order.error = error


def _announce(orders: list[_Order[Any]]) -> None:
    for order in orders:
        order.done.set()


def _announce_there(order: _Order[Any]) -> None:
    with suppress(RuntimeError):  # that loop has ended meanwhile
        run_in_loop(order.done.set, token=order.token)


def _closed(path: Path) -> ClientClosed:
    return ClientClosed(f"the journal {path} is not open; open a client with it to write to it")


def _again(error: JournalError) -> JournalError:
    """Copy an error, so that each waiter may add what it knows to its own."""
    copy = JournalError(str(error), job_key=error.job_key, task_id=error.task_id)
    copy.__cause__ = error.__cause__
    return copy
