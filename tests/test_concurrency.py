"""Work that belongs to the client outlives whoever waits for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import attrs
import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from udio_async import Unreachable
from udio_async._concurrency import Unfinished, open_tasks, owned

only_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@attrs.define(eq=False)
class Work:
    """Something that must not be torn apart: begun, and ended when it is let go."""

    begun: anyio.Event = attrs.field(factory=anyio.Event)
    go: anyio.Event = attrs.field(factory=anyio.Event)
    ended: anyio.Event = attrs.field(factory=anyio.Event)
    error: Exception | None = None

    async def run(self, value: str = "done") -> str:
        self.begun.set()
        await self.go.wait()
        self.ended.set()
        if self.error is not None:
            raise self.error
        return value

    async def finish(self) -> None:
        self.go.set()
        with anyio.fail_after(5):
            await self.ended.wait()


async def wait_for(tasks: TaskGroup, work: Work) -> None:
    await owned(tasks, work.run)


@asynccontextmanager
async def client_tasks() -> AsyncGenerator[TaskGroup]:
    async with anyio.create_task_group() as tasks:
        yield tasks
        tasks.cancel_scope.cancel()


async def test_owned_work_returns_its_value() -> None:
    """Arguments go in and the result comes back."""
    work = Work()
    work.go.set()
    async with client_tasks() as tasks:
        assert await owned(tasks, work.run, "a song") == "a song"


async def test_owned_work_outlives_the_scope_of_its_waiter() -> None:
    """A caller that was cancelled is gone; the work goes on to its end."""
    work = Work()
    async with client_tasks() as tasks:
        async with anyio.create_task_group() as callers:
            callers.start_soon(wait_for, tasks, work)
            await work.begun.wait()
            callers.cancel_scope.cancel()
        assert not work.ended.is_set()
        await work.finish()


@only_asyncio
async def test_owned_work_outlives_a_native_cancel() -> None:
    """`task.cancel()` is no scope of anyio's, and its shield does not stop it."""
    work = Work()
    async with client_tasks() as tasks:
        caller = asyncio.create_task(owned(tasks, work.run))
        await work.begun.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await work.finish()


@only_asyncio
async def test_owned_work_outlives_a_native_timeout() -> None:
    """`asyncio.timeout` cancels by `task.cancel()`, too."""
    work = Work()
    async with client_tasks() as tasks:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await owned(tasks, work.run)
        await work.finish()


@only_asyncio
async def test_a_shield_alone_would_not_do() -> None:
    """A control: the same work under a shield of its caller is torn by a native cancel."""
    work = Work()

    async def shielded() -> None:
        with anyio.CancelScope(shield=True):
            await work.run()

    caller = asyncio.create_task(shielded())
    await work.begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not work.ended.is_set()


async def test_its_error_reaches_the_waiter_and_nobody_else() -> None:
    """The very exception, and the group that runs the work stays open."""
    work = Work(error=LookupError("gone"))
    work.go.set()
    async with client_tasks() as tasks:
        with pytest.raises(LookupError) as caught:
            await owned(tasks, work.run)
        assert caught.value is work.error
        assert await owned(tasks, Work(go=work.go).run) == "done"


async def test_an_error_without_a_waiter_ends_nothing() -> None:
    """The caller is gone when the work fails: the other work goes on."""
    work = Work(error=LookupError("gone"))
    async with client_tasks() as tasks:
        async with anyio.create_task_group() as callers:
            callers.start_soon(wait_for, tasks, work)
            await work.begun.wait()
            callers.cancel_scope.cancel()
        await work.finish()
        await checkpoint()
        assert await owned(tasks, Work(go=work.go).run) == "done"


async def await_a_cancelled_task() -> None:
    """Do as an auth class does that shares one refresh task, which somebody has cancelled."""
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


@only_asyncio
async def test_a_cancelled_task_that_the_work_awaits_is_an_error_of_its_waiter() -> None:
    """Nobody has cancelled the waiter, and the other work goes on."""
    work = Work()
    async with client_tasks() as tasks, anyio.create_task_group() as callers:
        callers.start_soon(wait_for, tasks, work)
        await work.begun.wait()
        with pytest.raises(Unreachable, match="a task that was cancelled") as caught:
            await owned(tasks, await_a_cancelled_task)
        assert isinstance(caught.value.__cause__, asyncio.CancelledError)
        assert caught.value.charged == "unknown"
        await work.finish()


@pytest.mark.parametrize("within", ["nothing", "a scope", "a shielded scope that has ended"])
async def test_a_cancellation_of_the_group_ends_the_work(within: str) -> None:
    """It is no error of the work, also where a scope of its own was cancelled before."""
    ends: list[str] = []

    async def run() -> None:
        if within.startswith("a shielded"):
            with anyio.CancelScope(shield=True) as done:
                done.cancel()
                await checkpoint()
        try:
            with anyio.CancelScope() as scope:
                if within == "a scope":
                    scope.deadline = anyio.current_time() + 60
                await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            ends.append("cancelled")
            raise

    async with anyio.create_task_group() as callers, client_tasks() as tasks:

        async def wait() -> None:
            with pytest.raises(Unfinished):
                await owned(tasks, run)
            ends.append("told")

        callers.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
    assert ends == ["cancelled", "told"]


@only_asyncio
async def test_a_native_cancel_of_the_task_itself_is_no_error_of_the_work() -> None:
    """As `asyncio.run` does at its end, with all tasks."""
    tasks_of: list[asyncio.Task[object]] = []

    async def run() -> None:
        mine = asyncio.current_task()
        assert mine is not None
        tasks_of.append(mine)
        await anyio.sleep_forever()

    async def wait(tasks: TaskGroup) -> None:
        with pytest.raises(Unfinished):
            await owned(tasks, run)

    async with anyio.create_task_group() as callers, client_tasks() as tasks:
        callers.start_soon(wait, tasks)
        await anyio.wait_all_tasks_blocked()
        tasks_of[0].cancel()
        await anyio.sleep_forever()


async def test_a_waiter_hears_that_the_client_was_closed() -> None:
    """It does not wait for ever for work that was ended with the client."""
    work = Work()
    heard: list[str] = []

    async def wait(tasks: TaskGroup) -> None:
        try:
            await owned(tasks, work.run)
        except RuntimeError as error:
            heard.append(str(error))

    async with anyio.create_task_group() as callers, client_tasks() as tasks:
        callers.start_soon(wait, tasks)
        await work.begun.wait()
    assert heard == ["the client was closed before this had finished"]


# The group itself


async def run_and_raise(error: Exception) -> None:
    async with open_tasks() as tasks:
        tasks.start_soon(anyio.sleep_forever)
        raise error


async def test_a_single_error_comes_out_bare() -> None:
    """`except LookupError` around `async with` works."""
    error = LookupError("mine")
    with pytest.raises(LookupError) as caught:
        await run_and_raise(error)
    assert caught.value is error


async def test_a_bare_error_keeps_its_own_story() -> None:
    """Its cause and its context are those it was raised with, not the wrapping group."""
    for story in (None, KeyError("first")):
        error = LookupError("second")
        error.__context__ = story
        with pytest.raises(LookupError) as caught:
            await run_and_raise(error)
        assert caught.value.__context__ is story
        assert caught.value.__cause__ is None


async def test_a_plain_group_would_wrap_it() -> None:
    """A control: without our own group the error is inside another one."""
    with pytest.raises(ExceptionGroup):
        async with anyio.create_task_group():
            raise LookupError("mine")


async def test_several_errors_stay_together() -> None:
    """None of them is dropped in favour of another."""

    async def fail(number: int) -> None:
        raise LookupError(number)

    async def fail_twice() -> None:
        async with open_tasks() as tasks:
            for number in range(2):
                tasks.start_soon(fail, number)

    with pytest.raises(ExceptionGroup) as caught:
        await fail_twice()
    assert sorted(error.args[0] for error in caught.value.exceptions) == [0, 1]


async def test_a_group_of_the_caller_is_left_as_it_is() -> None:
    """Only the layer that we added is taken off."""
    mine = ExceptionGroup("mine", [LookupError("one")])
    with pytest.raises(ExceptionGroup) as caught:
        await run_and_raise(mine)
    assert caught.value.message == "mine"  # trio may have rebuilt it
    assert caught.value.exceptions == mine.exceptions


async def test_cancelling_the_outside_is_no_error() -> None:
    """A deadline of the caller ends the block quietly."""
    with anyio.CancelScope() as scope:
        async with open_tasks() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
