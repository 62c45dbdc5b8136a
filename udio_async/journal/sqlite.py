"""A journal in one SQLite file, written by a thread of its own.

Changes that wait while one commit is being made durable go into the next one together, so ten
thousand songs share a few hundred commits, and the event loop never waits for the disk.
"""

import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
)
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio.to_thread import run_sync as run_in_thread

from .._errors import AnotherAccount, JournalError
from .._validators import as_path
from .base import Confirm
from .entry import Entry, State
from .snapshot import held
from .sqlite_file import PAGE, SqliteFile, look
from .sqlite_writer import InlineWriter, WriterThread, closed_error

T = TypeVar("T")

_MOST_ABSENT = 10_000
"""Keys that are remembered as unknown, at most and about: each spares a question to the file."""


class SqliteJournal:
    """Remembers in the file at `path`, through crashes and power cuts.

    The client that has it open writes it, and no other; that client closes it, too. Anybody may
    read it: while no client of this process has it, `get`, `of_task`, `entries`, `count` and
    `noted` read a copy of the file as it stands, also while another process writes it.

        journal = SqliteJournal("songs.db")
        async with Client(provider, journal=journal) as client:
            await client.generate(SongRequest(description="rain", key="rain-1"))
        print(await journal.get("rain-1"))

    Args:
        path: the file; it is made if it is missing, readable by its owner only. Keep it on a disk
            of this machine: on network drives SQLite's locks may not hold
            (https://sqlite.org/howtocorrupt.html, 2.1).
        threaded: False writes in the event loop itself, for virtual clocks, which do not wait for
            threads.

    Raises:
        InvalidRequest: the path is none.
    """

    durable = True

    def __init__(self, path: str | os.PathLike[str], *, threaded: bool = True) -> None:
        self.path = as_path("journal", path)
        self._threaded = threaded
        self._writer: WriterThread | InlineWriter | None = None
        self._absent: set[str] = set()
        """Keys that `get_many` has not found, and that were not added since: nobody else can, while
        the file is this writer's."""
        self._added: set[str] | None = None
        """Keys that were added while a `get_many` is under way."""

    @asynccontextmanager
    async def open(self, account: str, *, confirm: Confirm | None = None) -> AsyncGenerator[None]:
        """Open the file, or make it, for one account.

        Raises:
            AnotherAccount: it was made with another provider or key. `hand_over` gives it to a new
                key of the same account.
            JournalError: another client or process has it open, or it cannot be trusted.
        """
        writer = WriterThread(self.path) if self._threaded else InlineWriter(self.path)
        try:
            await writer.start()
        except BaseException:
            held.remove(writer)
            raise
        self._writer = writer
        try:
            if not await writer.do(lambda store: store.is_of(account)) and not (
                confirm is not None and await confirm()
            ):
                maker = await writer.do(lambda store: store.maker())
                raise _another_account(self.path, maker, provider=account.rpartition(" ")[0])
            await writer.do(lambda store: store.take_over(account))
            yield
        finally:
            await writer.stop()
            held.remove(writer)
            self._writer = None
            self._absent.clear()

    async def add(self, entry: Entry) -> Entry | None:
        """Keep a new entry, or return the one that has its key.

        Raises:
            JournalError: it cannot be kept.
            ClientClosed: no client has it open.
        """
        if isinstance(entry, Entry):  # anything else is refused by the file
            self._absent.discard(entry.key)
            if self._added is not None:
                self._added.add(entry.key)
        return await self._write(lambda store: store.add(entry))

    async def put(self, entry: Entry, *, expected: State) -> None:
        """Replace the entry of this key, if it is in the expected state.

        Raises:
            JournalError: it is in another state, or the change cannot be kept.
            ClientClosed: no client has it open.
        """
        await self._write(lambda store: store.put(entry, expected))

    async def get(self, key: str) -> Entry | None:
        """Return the entry of this key, or None.

        Raises:
            JournalError: there is no such file, or it cannot be read.
        """
        if key in self._absent and self._is_open:
            return None
        return await self._read(lambda store: store.get(key))

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Entry]:
        """Return the entries of those of these keys that are known, by key."""
        wanted = list(keys)
        if self._added is not None or not self._is_open:  # one at a time is enough
            return await self._read(lambda store: store.get_many(wanted))
        self._added = set()
        try:
            found = await self._read(lambda store: store.get_many(wanted))
            if len(self._absent) > _MOST_ABSENT:  # of batches that were left
                self._absent.clear()
            self._absent |= set(wanted) - set(found) - self._added
        finally:
            self._added = None
        return found

    async def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that this task belongs to, or None."""
        return await self._read(lambda store: store.of_task(task_id))

    async def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the entries in these states, oldest first.

        With a client open they are read `PAGE` at a time; without one, all at once from one copy.

        Args:
            states: which to return.
            newest: only the newest so many, in the same order.

        Raises:
            JournalError: there is no such file, or it cannot be read.
        """
        after, wanted = 0, list(states)
        if newest is not None:
            after = await self._read(lambda store: store.place_before(wanted, newest))
        limit = PAGE if self._owner is not None else -1  # each look at a copy copies it anew
        read = partial(SqliteFile.page, states=wanted, limit=limit)
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
        """Return the fact of that name, or None."""
        return await self._read(lambda store: store.noted(name))

    @property
    def _is_open(self) -> bool:
        """Whether this object has the file open, in this process."""
        return self._writer is not None and not self._writer.stopped

    @property
    def _owner(self) -> WriterThread | InlineWriter | None:
        """The writer that has this file open in this process, if there is one."""
        owner = self._writer or held.owner(self.path)
        if not isinstance(owner, (WriterThread, InlineWriter)) or owner.stopped:
            return None
        return owner

    async def _write(self, work: Callable[[SqliteFile], T]) -> T:
        if self._writer is None:
            raise closed_error(self.path)
        return await self._writer.do(work)

    async def _read(self, work: Callable[[SqliteFile], T]) -> T:
        """Ask the thread that has the file open, or read a copy of the file."""
        owner = self._owner
        if owner is not None:
            return await owner.do(work, reads=True)
        if self._writer is not None:  # it is being closed
            raise closed_error(self.path)
        try:
            if self._threaded:
                return await run_in_thread(look, self.path, work)
            return look(self.path, work)
        except JournalError:
            owner = self._owner
            if owner is None:
                raise
            return await owner.do(work, reads=True)  # a client has opened it at this moment


def _another_account(path: Path, maker: str | None, *, provider: str) -> AnotherAccount:
    """Return the error that says whose the journal is, as far as its jobs tell, and what to do."""
    if maker is not None and provider and maker != provider:
        return AnotherAccount(
            f"{path} was made with {maker}, and this is {provider}; take {maker}, or another "
            "journal"
        )
    return AnotherAccount(
        f"{path} was made with another API key; use that one. If this is a new key of the same "
        "account, hand the journal over to it, once: "
        f"await udio_async.hand_over({str(path)!r}, provider, same_account=True)"
    )
