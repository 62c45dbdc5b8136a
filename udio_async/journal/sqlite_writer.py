"""Who writes to a journal's file: a thread of its own, or the event loop itself."""

import queue
import threading
from collections.abc import (
    Callable,
)
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio.from_thread import run_sync as run_in_loop
from anyio.lowlevel import EventLoopToken, current_token

from .._concurrency import wait_shielded
from .._errors import ClientClosed, JournalError
from .sqlite_file import Order, SqliteFile

T = TypeVar("T")

_GROUP = 64
"""Changes in one commit, at most."""


class InlineWriter:
    """Does the work at once, in the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def start(self) -> None:
        self._store = SqliteFile(self._path)
        self._broken: JournalError | None = None
        self.stopped = False

    async def do(self, work: Callable[[SqliteFile], T]) -> T:
        if self.stopped:
            raise closed_error(self._path)
        if self._broken:
            raise _again(self._broken)
        order = Order(work, anyio.Event(), current_token())
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


class WriterThread:
    """Takes orders from the event loop to the thread that writes, and the results back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._orders: queue.SimpleQueue[Order[Any] | None] = queue.SimpleQueue()
        self._broken: JournalError | None = None
        self.stopped = False

    async def start(self) -> None:
        self._opened = Order(lambda _: None, anyio.Event(), current_token())
        self._closed = anyio.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(current_token(),), name="udio-async journal", daemon=True
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

    async def do(self, work: Callable[[SqliteFile], T]) -> T:
        if self.stopped:
            raise closed_error(self._path)
        if self._broken:
            raise _again(self._broken)
        order = Order(work, anyio.Event(), current_token())
        self._orders.put(order)
        await order.done.wait()
        if order.error:
            raise _again(order.error)
        return order.result  # type: ignore[return-value]  # set, as there is no error

    async def stop(self) -> None:
        self.stopped = True
        self._orders.put(None)
        await wait_shielded(self._closed)
        self._thread.join()

    def _serve(self, token: EventLoopToken) -> None:
        """The thread: open, write group after group, close."""
        try:
            store = SqliteFile(self._path)
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

    def _next_group(self) -> list[Order[Any]]:
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

    def _write(self, store: SqliteFile, orders: list[Order[Any]]) -> None:
        """Write a group; after a failure nothing is believed any more, a repeated sync least."""
        try:
            if self._broken:
                raise self._broken
            store.commit(orders)
        except JournalError as error:
            self._broken = error
            for order in orders:
                order.error = error


def _announce(orders: list[Order[Any]]) -> None:
    for order in orders:
        order.done.set()


def _announce_there(order: Order[Any]) -> None:
    with suppress(RuntimeError):  # that loop has ended meanwhile
        run_in_loop(order.done.set, token=order.token)


def closed_error(path: Path) -> ClientClosed:
    return ClientClosed(f"the journal {path} is not open; open a client with it to write to it")


def _again(error: JournalError) -> JournalError:
    """Copy an error, so that each waiter may add what it knows to its own."""
    copy = JournalError(str(error), job_key=error.job_key, task_id=error.task_id)
    copy.__cause__ = error.__cause__
    return copy
