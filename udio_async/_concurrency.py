"""Work that belongs to the client, awaited by whoever is still there.

anyio's shield does not stop `task.cancel()` or `asyncio.timeout()`. So what must not be torn apart
(a request on the wire, a paid submit) runs in a task of the client's own group, and the caller only
waits for its result. That group goes on while its owner is cancelled, until the owner has dealt
with what is on the wire.

Only this module knows that there are two event loops.
"""

import asyncio
import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
)
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar, TypeVarTuple

import anyio
import anyio.lowlevel
import attrs
from anyio.abc import TaskGroup
from anyio.lowlevel import EventLoopToken, current_token

from ._errors import UdioError, Unreachable

T = TypeVar("T")
Args = TypeVarTuple("Args")
Loop = asyncio.AbstractEventLoop | EventLoopToken
"""An event loop: asyncio's own, or the token of another."""

_FOREIGN = (
    "CancelledError came out of code that was given to the client, and nobody has cancelled this "
    "call: it has awaited a task that was cancelled; catch that there"
)


class Unfinished(RuntimeError):
    """The client was closed in the middle of what was waited for."""


@contextmanager
def foreign_cancellation_as(error: type[UdioError]) -> Generator[None]:
    """Turn a cancellation that nobody has asked for into an error.

    On asyncio whoever awaits a cancelled task gets its `CancelledError`. Let out by an auth class,
    an adapter or an input, it would end the task of the client that called them, and with it all
    the others. A cancellation of this task goes on as it is.

    Raises:
        UdioError: one of the class `error`.
    """
    try:
        yield
    except anyio.get_cancelled_exc_class() as cancelled:
        if _is_cancelled():
            raise
        raise error(_FOREIGN) from cancelled


def _is_cancelled() -> bool:
    """Return whether the task that runs this was cancelled, by a scope or natively."""
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        return True  # trio raises it in nobody else
    task = asyncio.current_task()
    natively = task is None or task.cancelling() > 0
    return natively or anyio.current_effective_deadline() == -math.inf


@attrs.define(eq=False)
class _Promise(Generic[T]):
    """The result of an owned task, once it has one."""

    done: anyio.Event = attrs.field(factory=anyio.Event)
    value: list[T] = attrs.field(factory=list)
    error: Exception | None = None

    async def keep(self, func: Callable[[*Args], Awaitable[T]], *args: *Args) -> None:
        """Run the function, and keep its value or its error."""
        try:
            self.value.append(await func(*args))
        except Exception as error:  # noqa: BLE001  # handed on to the waiter
            self.error = error
        except asyncio.CancelledError as cancelled:
            # As `foreign_cancellation_as`, which would cost time for each request.
            if _is_cancelled():
                raise
            self.error = Unreachable(_FOREIGN)
            self.error.__cause__ = cancelled
        finally:
            self.done.set()

    def result(self) -> T:
        """Return the value, or raise the error.

        Raises:
            Unfinished: the task was ended before it had either.
        """
        if self.error is not None:
            raise self.error
        if not self.value:
            raise Unfinished("the client was closed before this had finished")
        return self.value[0]


async def owned(tasks: TaskGroup, func: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Run `func` in `tasks` and wait for it.

    A waiter that is cancelled leaves it running. Errors of `func` are raised here, and do not end
    the other tasks.

    Raises:
        Unreachable: `func` raised a cancellation that nobody has asked for.
        Unfinished: the tasks were ended before it had finished.
    """
    if tasks.cancel_scope.cancel_called:
        await anyio.lowlevel.checkpoint()  # a cancelled caller gets its cancellation first
        raise Unfinished("the client is closed")
    promise: _Promise[T] = _Promise()
    tasks.start_soon(promise.keep, func, *args)
    await promise.done.wait()
    return promise.result()


@asynccontextmanager
async def open_tasks() -> AsyncGenerator[TaskGroup]:
    """Open a task group whose only error comes out bare.

    Owned tasks hand their errors to their waiters, so what is left is the error of the `async with`
    body, and `except SubmitInDoubt:` around it should work. Several errors come as a group.
    """
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
        context = error.__context__
        try:
            raise error
        finally:
            error.__context__ = context


async def wait_shielded(event: anyio.Event) -> None:
    """Wait for an event that is sure to come.

    A cancellation meanwhile is raised afterwards.
    """
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not event.is_set():
            try:
                await event.wait()
            except anyio.get_cancelled_exc_class() as error:  # a native one
                cancelled = error
    if cancelled is not None:
        raise cancelled


async def to_its_end(func: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Run `func` in a task of its own and wait for it, whoever cancels the caller.

    A cancellation meanwhile is raised afterwards; errors of `func` are raised here.
    """
    promise: _Promise[T] = _Promise()
    task = _start(partial(promise.keep, func, *args))
    await wait_shielded(promise.done)
    del task  # kept from the gc until now
    return promise.result()


@asynccontextmanager
async def closed_after(iterator: AsyncIterator[T]) -> AsyncGenerator[AsyncIterator[T]]:
    """Close an iterator that is left in the middle, if it is one to close.

    A generator would otherwise wait for the garbage collector, and trio warns of that.
    """
    try:
        yield iterator
    finally:
        if isinstance(iterator, AsyncGenerator):
            await iterator.aclose()


def _start(func: Callable[[], Coroutine[Any, Any, None]]) -> object:
    """Run a function in a task that no cancellation from outside reaches; return the task.

    Keep it: asyncio does not.
    """
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return asyncio.get_running_loop().create_task(func())
    import trio  # noqa: PLC0415  # only who runs on it has it

    return trio.lowlevel.spawn_system_task(func)


class Home:
    """The event loop that something was made on.

    It can be waited for on that loop only.
    """

    def __init__(self) -> None:
        self._loop = _loop_here()

    def check(self, thing: str) -> None:
        """Refuse another event loop: there a waiter would wait for ever.

        An event of one loop does not wake a task of another. `thing` is the subject of the message.

        Raises:
            RuntimeError: this is another event loop, or none. Nothing was done.
        """
        if _loop_here() != self._loop:
            raise RuntimeError(
                f"{thing} belongs to another event loop, and nothing was done; use it there "
                "(`anyio.from_thread.run(client.generate, request)` from a worker thread, "
                "`asyncio.run_coroutine_threadsafe(...)` from any other), or open a client here"
            )


def _loop_here() -> Loop | None:
    """Return the event loop of this thread, or None."""
    try:
        return asyncio.get_running_loop()  # the way of anyio takes ten times as long
    except RuntimeError:
        pass
    try:
        return current_token()
    except RuntimeError:  # no event loop runs in this thread
        return None


def loop_of_task() -> Loop:
    """Return the event loop that runs this task: trio may run inside a callback of asyncio."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        return asyncio.get_running_loop()
    return current_token()


def run_soon_in(loop: Loop, func: Callable[[*Args], object], *args: *Args) -> None:
    """Have an event loop call a function soon, from any thread; one that has ended does not."""
    with suppress(RuntimeError):  # it has ended
        if isinstance(loop, asyncio.AbstractEventLoop):
            loop.call_soon_threadsafe(func, *args)
        else:
            token: Any = loop.native_token  # a `TrioToken`; only who runs on trio has the class
            token.run_sync_soon(func, *args)


class LastingTasks:
    """A task group in a task of its own, that only `end` ends.

    It may be entered and left in any task of its event loop, and no cancellation from outside
    reaches it. Used as `async with LastingTasks() as tasks:`.

    Who enters it has to leave it, or call `end`: until then its tasks run. If the event loop ends
    before that, `orphaned` is called in the last task that is left.
    """

    _tasks: TaskGroup

    def __init__(self, orphaned: Callable[[], Awaitable[None]] | None = None) -> None:
        self._orphaned = orphaned
        self._begun = anyio.Event()
        self._ended = anyio.Event()
        self._error: Exception | None = None

    async def __aenter__(self) -> TaskGroup:
        self._home = Home()
        self._task = _start(self._run)
        try:
            await wait_shielded(self._begun)
        except BaseException:  # cancelled meanwhile: `__aexit__` will not be called
            await self.end()
            raise
        return self._tasks

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        """Cancel what still runs, and wait until it has ended.

        A second call does nothing.

        Raises:
            Exception: the error of a task that has failed and ended the others.
            RuntimeError: they belong to another event loop.
        """
        self._home.check("this task group")
        self._orphaned = None
        self._tasks.cancel_scope.cancel()
        await wait_shielded(self._ended)
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    async def _run(self) -> None:
        """Hold the task group open; this is the task that owns it."""
        try:
            async with open_tasks() as self._tasks:
                self._begun.set()
                await anyio.sleep_forever()
        except Exception as error:  # noqa: BLE001  # raised by `end`
            self._error, self._orphaned = error, None
        finally:
            self._begun.set()
            self._ended.set()
            if self._orphaned is not None:
                with anyio.CancelScope(shield=True):
                    await self._orphaned()
