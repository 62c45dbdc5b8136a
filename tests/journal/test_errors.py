"""A journal of a user's own raises what its driver raises: it ends as a full disk does."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import (
    AnotherAccount,
    Client,
    InvalidRequest,
    JournalError,
    JournalState,
    MemoryJournal,
    SpendLimitReached,
    SqliteJournal,
)
from udio_async.journal import Entry, Journal, State, TranslatedJournal
from udio_async.testing import listed, make_entry

READY, ACCEPTED, SENDING = JournalState.READY, JournalState.ACCEPTED, JournalState.SENDING


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(str(request.param))


class Broken:
    """Raises the same error whatever is asked."""

    durable = True

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def fail(*_: object, **__: object) -> None:
            raise self.error

        def fail_at_once(*_: object, **__: object) -> None:
            raise self.error

        return fail_at_once if name == "entries" else fail


USES: Mapping[str, Callable[[Journal], Awaitable[object]]] = {
    "add": lambda journal: journal.add(make_entry("a")),
    "put": lambda journal: journal.put(make_entry("a"), expected=SENDING),
    "get": lambda journal: journal.get("a"),
    "get_many": lambda journal: journal.get_many(["a"]),
    "of_task": lambda journal: journal.of_task("t"),
    "entries": lambda journal: listed(journal, [READY]),
    "count": lambda journal: journal.count(),
    "note": lambda journal: journal.note("name", "value"),
    "noted": lambda journal: journal.noted("name"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    "error", [ConnectionError("reset"), KeyError("a"), ExceptionGroup("", [OSError()])]
)
async def test_an_error_of_another_kind_is_a_journal_error(
    use: Callable[[Journal], Awaitable[object]], error: Exception
) -> None:
    """What it was is in the message, and is its cause."""
    journal: Any = Broken(error)
    with pytest.raises(JournalError, match=f"the journal failed: {type(error).__name__}") as caught:
        await use(TranslatedJournal(journal))
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize(
    "error", [JournalError("full"), InvalidRequest("gone"), AnotherAccount("x")]
)
async def test_an_error_of_the_library_is_left_as_it_is(
    use: Callable[[Journal], Awaitable[object]], error: Exception
) -> None:
    journal: Any = Broken(error)
    with pytest.raises(type(error)) as caught:
        await use(TranslatedJournal(journal))
    assert caught.value is error


# Through a client ----------------------------------------------------------------------------


class Driver(MemoryJournal):
    """Loses its connection as it keeps an entry in this state."""

    def __init__(self, fails_at: State, error: BaseException | None = None) -> None:
        super().__init__()
        self.fails_at: State | None = fails_at
        self.error = error or ConnectionError("reset")

    async def put(self, entry: Entry, *, expected: State) -> None:
        if entry.state is self.fails_at:
            self.fails_at = None  # for a moment only
            raise self.error
        await super().put(entry, expected=expected)


async def test_an_id_that_cannot_be_kept_is_in_the_error() -> None:
    """It is paid for, and counts; nothing more is sent."""
    provider = TimedProvider(lambda _: 60.0)
    async with Client(provider, journal=Driver(ACCEPTED), max_submits=1) as client:
        with pytest.raises(JournalError, match="it is paid for") as caught:
            await client.generate("a song")
        with pytest.raises(SpendLimitReached):
            await client.generate("another song")
    assert caught.value.charged == "yes"
    assert [caught.value.task_id] == list(provider.completes_at)


async def test_an_end_that_cannot_be_kept_closes_no_client() -> None:
    """The songs are handed out, and others are waited for; nothing more is sent."""
    provider = TimedProvider(lambda place: 60.0 + 600.0 * place)
    async with Client(provider, journal=Driver(READY)) as client:
        jobs = [await client.submit("a song"), await client.submit("a longer song")]
        for job in jobs:
            assert len(await job.songs()) == 1
        with pytest.raises(JournalError, match=r"nothing more is submitted.*reset"):
            await client.submit("one too many")
    assert len(provider.sent) == 2


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"])
async def test_a_task_that_was_cancelled_under_the_journal_is_an_error_of_it() -> None:
    """Whoever awaits such a task gets its cancellation."""
    provider = TimedProvider(lambda _: 60.0)
    journal = Driver(ACCEPTED, asyncio.CancelledError())
    async with Client(provider, journal=journal, max_submits=1) as client:
        with pytest.raises(JournalError, match="it is paid for") as caught:
            await client.generate("a song")
        with pytest.raises(SpendLimitReached):
            await client.generate("another song")
    assert [caught.value.task_id] == list(provider.completes_at)


class Stale(SqliteJournal):
    """Loses its connection as it is asked for many jobs the second time."""

    asked = 0

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Entry]:
        self.asked += 1
        if self.asked == 2:
            raise ConnectionError("reset")
        return await super().get_many(keys)


async def test_a_batch_that_is_continued_ends(tmp_path: Path) -> None:
    """It waited for ever for the part that could not be read."""
    provider, path = TimedProvider(lambda _: 60.0), tmp_path / "songs.db"
    words = [f"song {number}" for number in range(60)]
    for journal in (SqliteJournal(path, threaded=False), Stale(path, threaded=False)):
        client = Client(provider, journal=journal)
        with anyio.fail_after(3_600):
            async with client, client.generate_many(words) as batch:
                assert [outcome.ok async for outcome in batch] == [True] * 60
    assert isinstance(journal, Stale)
    assert journal.asked >= 2
    assert len(provider.sent) == 60
