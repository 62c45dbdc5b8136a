"""Nothing leaves after its owner has taken it back; what has begun to leave is never lost."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import SONG, TimedProvider
from tests.kit.waiting import REAL, VIRTUAL, Held, Point, SlowJournal, in_a_task
from udio_async import (
    Client,
    ClientClosed,
    JournalEntry,
    JournalState,
    MemoryJournal,
    SongRequest,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from udio_async._http import Departure

virtual = pytest.mark.parametrize(
    "anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")], ids=["asyncio", "trio"]
)
on_asyncio = pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"])
Call = Callable[[], Coroutine[Any, Any, object]]


async def cancelled(held: Held, call: Call) -> None:
    """Cancel the caller by a scope."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await held.reached()
            scope.cancel()


async def cancelled_natively(held: Held, call: Call) -> None:
    """Cancel the caller's task, as asyncio does."""
    caller = asyncio.ensure_future(call())
    await held.reached()
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller


async def timed_out(held: Held, call: Call) -> None:
    """Let a time-out of asyncio's end it."""

    async def limited() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await call()

    limits: list[asyncio.Timeout] = []
    caller = asyncio.ensure_future(limited())
    await held.reached()
    if not caller.done():
        limits[0].reschedule(asyncio.get_running_loop().time())
    await caller


async def closed(held: Held, call: Call) -> None:
    """Close the client; the caller is told what is known of the money."""
    errors: list[UdioError] = []

    async def until_closed() -> None:
        try:
            await call()
        except UdioError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(until_closed)
        await held.reached()
        await held.close()
        tasks.cancel_scope.cancel()  # a batch that was not left yet
    assert all(error.charged == held.charged for error in errors), errors


Ending = Callable[[Held, Call], Awaitable[None]]
ENDINGS: list[Ending] = [cancelled, closed]
NATIVE: list[Ending] = [cancelled_natively, timed_out]


async def leave_at(point: Point, end: Ending) -> int:
    """End a call where it waits; return how many paid requests have left since."""
    async with point() as held:
        await end(held, held.call)
        before = held.sent()
        held.let_go()
        await anyio.sleep(2_000)
        return held.sent() - before


@virtual
@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("point", VIRTUAL.values(), ids=VIRTUAL)
async def test_what_is_taken_back_before_it_leaves_is_never_sent(point: Point, end: Ending) -> None:
    """Whatever it waits for, and however long that takes."""
    assert await leave_at(point, end) == 0


@on_asyncio
@pytest.mark.parametrize("end", NATIVE)
@pytest.mark.parametrize("point", VIRTUAL.values(), ids=VIRTUAL)
async def test_nor_after_a_native_cancellation(point: Point, end: Ending) -> None:
    """`task.cancel()` and `asyncio.timeout` are no exception."""
    assert await leave_at(point, end) == 0


async def is_sending(journal: MemoryJournal) -> bool:
    entry = await journal.get("mine")
    return entry is not None and entry.state is not JournalState.NOT_SENT


@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("point", REAL.values(), ids=REAL)
async def test_what_still_connects_is_never_sent(point: Point, end: Ending) -> None:
    """The journal knows that it was not; the connection is given up at once."""
    async with point() as held:
        with anyio.fail_after(8):
            await end(held, held.call)
            assert held.journal is not None
            while await is_sending(held.journal):  # noqa: ASYNC110  # it has no event
                await anyio.sleep(0.01)
            held.let_go()
        assert held.sent() == 0


@virtual
async def test_control_a_request_that_is_not_taken_back_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tests above can fail: without the word of its owner, it goes on and is sent."""
    monkeypatch.setattr(Departure, "withdraw", lambda *_: None)
    for name in ("a place", "its turn under requests_per_second", "its callback address"):
        assert await leave_at(VIRTUAL[name], cancelled) == 1


# After the first byte --------------------------------------------------------------------------


class KeepingJournal(SlowJournal):
    """Remembers what it knew when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, JournalEntry] = {}

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        await super().put(entry, expected=expected)
        self.last[entry.key] = entry

    async def add(self, entry: JournalEntry) -> JournalEntry | None:
        self.last.setdefault(entry.key, entry)
        return await super().add(entry)


LOST = Unreachable("reset", sent=True)
AFTER: dict[str, Mapping[str, Any]] = {
    "its answer": {"submit_time": 20.0},
    "its id to be kept": {"slow": "put accepted"},
    "its doubt to be kept": {"slow": "put in_doubt", "refuse": lambda _: LOST},
    "a lost answer": {"submit_time": 20.0, "refuse": lambda _: LOST},
    "an answer that never comes": {"submit_time": 1e9},
    "its songs": {},
    "its songs to be kept": {"slow": "put ready"},
}


async def never_lost(what: str, end: Ending) -> None:
    """Once it has left, its song is in the journal with its id, or in doubt."""
    options = dict(AFTER[what])
    slow = options.pop("slow", None)
    provider, journal = TimedProvider(lambda _: 60.0, **options), KeepingJournal()
    client = Client(provider, journal=journal)
    async with in_a_task(client) as close:
        journal.slow = slow
        held = Held(
            client=client,
            call=lambda: client.generate(SongRequest(description="a song", key="mine")),
            sent=lambda: len(provider.sent),
            reached=lambda: journal.latch.reached.wait() if slow else anyio.sleep(10),
            let_go=journal.latch.open.set,
            close=close,
        )
        if end is closed:
            journal.latch.open.set()  # it is slow, not stuck

        async def call() -> None:
            with suppress(UdioError):
                await held.call()

        await end(held, call)
        held.let_go()
        await anyio.sleep(300)
    entry = journal.last["mine"]
    assert len(provider.sent) == 1
    if "refuse" in options or options.get("submit_time", 0.0) > 1e6:
        assert entry.state is JournalState.IN_DOUBT
    else:
        assert entry.state.is_paid
        assert entry.task_id == "0"


@virtual
@pytest.mark.parametrize("end", ENDINGS)
@pytest.mark.parametrize("what", AFTER)
async def test_what_has_begun_to_leave_is_never_lost(what: str, end: Ending) -> None:
    """Whoever stops waiting for it, and whenever."""
    await never_lost(what, end)


@on_asyncio
@pytest.mark.parametrize("end", NATIVE)
@pytest.mark.parametrize("what", AFTER)
async def test_nor_after_a_native_cancellation_of_its_caller(what: str, end: Ending) -> None:
    await never_lost(what, end)


@virtual
async def test_a_caller_whose_client_is_closed_is_told_what_is_true() -> None:
    """Of what never left, that nothing was sent; of what did and was not answered, that it may be
    paid for."""
    told: dict[str, Exception] = {}

    async def submit(client: Client, name: str) -> None:
        try:
            await client.submit(SONG)
        except UdioError as error:
            told[name] = error

    provider = TimedProvider(lambda _: 60.0, submit_time=1e9)
    async with anyio.create_task_group() as tasks, Client(provider, submit_concurrency=1) as client:
        tasks.start_soon(submit, client, "on the wire")
        await anyio.sleep(1)
        tasks.start_soon(submit, client, "in the queue")
        await anyio.sleep(1)
    assert isinstance(told["in the queue"], ClientClosed)
    assert told["in the queue"].charged == "no"
    assert isinstance(told["on the wire"], SubmitInDoubt)
    assert told["on the wire"].charged == "unknown"


def test_there_are_enough_places() -> None:
    """Each with every ending, on both back ends."""
    assert len(VIRTUAL) + len(REAL) >= 30
