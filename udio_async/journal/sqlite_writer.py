"""The writers of a journal's file: a thread, or the event loop itself.

Both have `start`, `do` and `stop`. After one failed commit all further changes are refused, because
a second sync does not bring back what a failed one has lost. What was committed before can still be
read: without it nobody would know that a request was never sent.
"""

import os
import queue
import threading
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import anyio

from .._concurrency import Loop, loop_of_task, run_soon_in, wait_shielded
from .._errors import ClientClosed, JournalError
from .snapshot import held
from .sqlite_file import Order, SqliteFile

T = TypeVar("T")

_GROUP = 64
"""Changes in one commit, at most."""


class Writer:
    """What both writers have in common: the path, and whether they still write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken: JournalError | None = None
        self._stopped = False
        self._process = os.getpid()

    @property
    def stopped(self) -> bool:
        """Whether nothing is written any more.

        A fork of the process does not have the writer's thread, and must leave the file alone
        (https://sqlite.org/howtocorrupt.html, 2.6).
        """
        return self._stopped or self._process != os.getpid()

    def _open(self) -> SqliteFile:
        """Open the file, and be known as its owner from then on."""
        with held.opening(self._path, self):
            return SqliteFile(self._path)

    def _order(self, work: Callable[[SqliteFile], T], *, reads: bool) -> Order[T]:
        """Return an order for this work.

        Raises:
            ClientClosed: it was stopped before.
        """
        if self.stopped:
            raise closed_error(self._path)
        return Order(work, anyio.Event(), loop_of_task(), reads)

    def _write(self, store: SqliteFile, orders: list[Order[Any]]) -> None:
        """Do a group of orders in one transaction.

        After a failure nothing more is changed, and orders that only read are done all the same.
        """
        if self._broken is not None:
            for order in orders:
                order.error = None if order.reads else self._broken
            orders = [order for order in orders if order.reads]
        try:
            store.commit(orders)
        except JournalError as error:
            if self._broken is None:
                self._broken = error
                self._write(store, orders)
            else:
                for order in orders:
                    order.error = error


class InlineWriter(Writer):
    """Does the work at once, in the event loop.

    For virtual clocks, which do not wait for threads. It blocks the loop for each commit.
    """

    async def start(self) -> None:
        self._store = self._open()

    async def do(self, work: Callable[[SqliteFile], T], *, reads: bool = False) -> T:
        order = self._order(work, reads=reads)
        self._write(self._store, [order])
        return order.outcome()

    async def stop(self) -> None:
        if not self.stopped:
            self._stopped = True
            self._store.close()


class WriterThread(Writer):
    """Hands work to the thread that writes, and results back.

    The thread is its own: `start` begins it, `stop` waits for its end. What was ordered before
    `stop` is still written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._orders: queue.SimpleQueue[Order[Any] | None] = queue.SimpleQueue()

    async def start(self) -> None:
        """Begin the thread, and wait until it has opened the file.

        Raises:
            JournalError: the file cannot be used; the thread has ended.
        """
        self._opened = Order(lambda _: None, anyio.Event(), loop_of_task())
        self._closed = anyio.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(loop_of_task(),), name="udio-async journal", daemon=True
        )
        self._thread.start()
        try:
            await wait_shielded(self._opened.done)
        except BaseException:  # cancelled meanwhile: nobody else will end the thread
            if not self._opened.error:
                await self.stop()
            raise
        if self._opened.error:
            self._thread.join()
            raise self._opened.error

    async def do(self, work: Callable[[SqliteFile], T], *, reads: bool = False) -> T:
        """Do this in the next transaction, and return its result.

        The work is done even if the caller is cancelled while waiting.

        Args:
            work: what is done with the file.
            reads: whether it changes nothing; then it is done also after a change has failed.

        Raises:
            ClientClosed: it was stopped before.
            JournalError: it cannot be kept, or an earlier change could not.
        """
        order = self._order(work, reads=reads)
        self._orders.put(order)
        await order.done.wait()
        return order.outcome()

    async def stop(self) -> None:
        """Write what was ordered, close the file and end the thread."""
        if self.stopped:
            return
        self._stopped = True
        self._orders.put(None)
        await wait_shielded(self._closed)
        self._thread.join()

    def _serve(self, loop: Loop) -> None:
        """Open the file, write group after group, close it: the thread's work."""
        try:
            store = self._open()
        except JournalError as error:
            self._opened.error = error
            run_soon_in(loop, self._opened.done.set)
            return
        run_soon_in(loop, self._opened.done.set)
        while orders := self._next_group():
            self._write(store, orders)
            for waiting, done in groupby(orders, key=attrgetter("loop")):
                run_soon_in(waiting, _announce, list(done))
        store.close()
        run_soon_in(loop, self._closed.set)

    def _next_group(self) -> list[Order[Any]]:
        """Wait for an order, and take all others that have come meanwhile.

        At most `_GROUP` of them. An empty list means: stop.
        """
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


def _announce(orders: list[Order[Any]]) -> None:
    for order in orders:
        order.done.set()


def closed_error(path: Path) -> ClientClosed:
    """Return the error for a change while no client has the journal open."""
    return ClientClosed(f"the journal {path} is not open; open a client with it to write to it")
