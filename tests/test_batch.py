"""Many songs at once: one outcome for each request, bounded in every direction."""

import asyncio
import gc
import heapq
import math
import random
import sys
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, closing, suppress
from pathlib import Path
from statistics import fmean
from typing import Any

import anyio
import attrs
import pytest
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from tests.kit.clocks import virtual_backend
from tests.kit.timed import SONG, ForgetfulProvider, TimedProvider
from tests.test_errors import Suspended
from udio_async import (
    AuthenticationFailed,
    Batch,
    Client,
    Event,
    InvalidRequest,
    JournalEntry,
    JournalError,
    JournalState,
    MemoryJournal,
    ModerationFailed,
    Outcome,
    Sandbox,
    SongRequest,
    SpendLimitReached,
    SqliteJournal,
    SubmitInDoubt,
    TooManyDoubts,
    UnsupportedOption,
)
from udio_async.journal.sqlite_file import SqliteFile
from udio_async.providers import Provider
from udio_async.sandbox import Fault
from udio_async.testing import listed

PROVIDERS: dict[str, Callable[[Sandbox], Provider]] = {
    "udioapi-v1": lambda sandbox: sandbox.udioapi_v1(),
    "udioapi-v2": lambda sandbox: sandbox.udioapi_v2(),
    "apiframe": lambda sandbox: sandbox.apiframe(),
}
each_provider = pytest.mark.parametrize("make", PROVIDERS.values(), ids=PROVIDERS)
over_sockets = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(5)  # of the jitter and the back-off


def song(_place: int) -> float:
    return 60.0


async def outcomes_of(batch: Batch) -> list[Outcome]:
    async with batch:
        return [outcome async for outcome in batch]


class Tally:
    """An observer that counts songs in the making."""

    def __init__(self) -> None:
        self.active = self.most = 0
        self.kinds: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        self.kinds[event.kind] += 1
        self.active += (event.kind == "submitted") - (event.kind == "finished")
        self.most = max(self.most, self.active)


# Over sockets


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all: moderation is asked for in the words of a request."""
    faults = [Fault("moderation", match="<moderation>")]
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Sandbox(speed=2000, credits=1e9, faults=faults)) as one,
    ):
        yield one


@over_sockets
@each_provider
async def test_many_songs_are_made_a_few_at_a_time(
    make: Callable[[Sandbox], Provider], sandbox: Sandbox
) -> None:
    """Each request ends in its songs, each is charged once, and `max_active` is kept."""
    tally, charged_before = Tally(), len(sandbox.ledger)
    requests = [SongRequest(description=f"song {n}") for n in range(12)]
    async with Client(make(sandbox), max_active=4, on_event=tally) as client:
        outcomes = await outcomes_of(client.generate_many(requests))
    assert sorted(outcome.index for outcome in outcomes) == list(range(12))
    for outcome in outcomes:
        assert outcome.ok
        assert outcome.request is requests[outcome.index]
        assert len(outcome.songs) == 2
        assert {made.task_id for made in outcome.songs} == {outcome.task_id}
    charges = sandbox.ledger[charged_before:]
    assert {charge.task_id: charge.prompt for charge in charges} == {
        outcome.task_id: f"song {outcome.index}" for outcome in outcomes
    }
    assert len(charges) == 12
    assert tally.most == 4


@over_sockets
async def test_one_that_is_moderated_costs_no_other(sandbox: Sandbox) -> None:
    """Its outcome holds the error and the id; all the others hold their songs."""
    words = [f"song {n}" if n != 3 else "a song <moderation>" for n in range(8)]
    async with Client(sandbox.udioapi_v2()) as client:
        outcomes = await outcomes_of(client.generate_many(words))
    failed = [outcome for outcome in outcomes if not outcome.ok]
    assert [(outcome.index, type(outcome.error)) for outcome in failed] == [(3, ModerationFailed)]
    assert failed[0].task_id in {charge.task_id for charge in sandbox.ledger}
    assert sum(len(outcome.songs) for outcome in outcomes if outcome.ok) == 14


@over_sockets
@each_provider
async def test_a_wrong_key_stops_the_batch_uncharged(
    make: Callable[[Sandbox], Provider], sandbox: Sandbox
) -> None:
    """The submits on the wire are refused, nothing else is sent, and each request has its end."""
    provider = attrs.evolve(make(sandbox), api_key="wrong")  # type: ignore[misc]  # a value
    charged_before = sandbox.ledger
    async with Client(provider, submit_concurrency=2) as client:
        outcomes = await outcomes_of(client.generate_many([f"song {n}" for n in range(50)]))
    assert sandbox.ledger == charged_before
    assert sorted(outcome.index for outcome in outcomes) == list(range(50))
    assert {type(outcome.error) for outcome in outcomes} == {AuthenticationFailed}


async def test_an_error_of_the_adapters_own_buys_nothing_more(tmp_path: Path) -> None:
    """Not even what was pulled ahead."""

    class Faulty(TimedProvider):
        def check(self, request: SongRequest) -> None:
            if request.description == "b":
                raise TypeError("no such thing")

    provider = Faulty(song)
    journal = SqliteJournal(tmp_path / "journal.db", threaded=False)
    async with Client(provider, journal=journal, submit_concurrency=1) as client:
        with pytest.raises(TypeError, match="no such thing"):
            async with client.generate_many(list("abcde"), max_active=5) as batch:
                assert [outcome.index async for outcome in batch] == [0]
    assert len(provider.sent) == 1


async def test_an_error_of_the_adapters_own_stops_the_batch() -> None:
    """Whatever its class wants to be made of; each request ends with one of its own."""
    refusal = Suspended(403, "not now")
    provider = TimedProvider(song, refuse=lambda _: refusal)
    async with Client(provider, submit_concurrency=1) as client:
        outcomes = await outcomes_of(client.generate_many([SONG] * 5))
    assert len(provider.sent) == 1
    assert [type(outcome.error) for outcome in outcomes] == [Suspended] * 5
    assert [outcome.error.charged for outcome in outcomes if outcome.error] == ["no"] * 5


async def test_too_many_doubts_stop_the_batch() -> None:
    """Nothing more is sent, and each of the others says what to do."""
    provider = TimedProvider(song, refuse=lambda _: SubmitInDoubt("lost", evidence="HTTP 502"))
    async with Client(provider, submit_concurrency=1, max_in_doubt=2) as client:
        outcomes = await outcomes_of(client.generate_many([SONG] * 5))
    assert len(provider.sent) == 2
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [SubmitInDoubt] * 2 + [TooManyDoubts] * 3
    assert all("client.doubts() lists them" in str(each.error) for each in outcomes[2:])


# Outcomes


async def test_outcomes_come_as_songs_finish() -> None:
    """Not in the order of the input, and each knows its place in it."""
    provider = TimedProvider(lambda n: 300.0 - 50.0 * n)
    async with Client(provider, submit_concurrency=1) as client:
        outcomes = await outcomes_of(client.generate_many([SONG] * 5))
    assert [outcome.index for outcome in outcomes] == [4, 3, 2, 1, 0]
    assert [outcome.task_id for outcome in outcomes] == ["4", "3", "2", "1", "0"]


class _Picky(TimedProvider):
    def check(self, request: SongRequest) -> None:
        if request.instrumental:
            raise UnsupportedOption("it always sings")


async def test_failures_are_values() -> None:
    """A doubt, a request that its provider cannot take: each has an outcome of its own."""
    provider = _Picky(
        song,
        refuse=lambda place: SubmitInDoubt("lost", evidence="HTTP 502") if place == 1 else None,
    )
    impossible = SongRequest(description="c", instrumental=True)
    requests: list[SongRequest | str] = ["a", "b", impossible, SONG]
    async with Client(provider, submit_concurrency=1) as client:
        outcomes = await outcomes_of(client.generate_many(requests))
    errors = {outcome.index: type(outcome.error) for outcome in outcomes}
    good = type(None)
    assert errors == {0: good, 1: SubmitInDoubt, 2: UnsupportedOption, 3: good}
    assert len(provider.sent) == 3
    asked = [outcome.request for outcome in sorted(outcomes, key=lambda o: o.index)]
    assert asked == [SongRequest(description="a"), SongRequest(description="b"), impossible, SONG]


@pytest.mark.parametrize("wrong", ["", 7, None], ids=repr)
async def test_what_is_no_request_is_told_before_anything_is_sent(wrong: Any) -> None:  # noqa: ANN401
    """In a list; where requests come one by one, it ends them as an input does that fails."""
    provider = TimedProvider(song)
    async with Client(provider) as client:
        with pytest.raises(InvalidRequest, match="requests\\[1\\]"):
            client.generate_many(["a", wrong, "b"])
        assert not provider.sent
        async with client.generate_many(iter(["a", wrong, "b"])) as batch:
            assert (await anext(batch)).request == SongRequest(description="a")
            with pytest.raises(InvalidRequest, match="requests\\[1\\]"):
                await anext(batch)
    assert len(provider.sent) == 1


LONG = SongRequest(lyrics="la " * 2000, extra={"secret": "sesame"})
ONE = "generate_many takes a list of requests, not "


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("rain", f"{ONE}'rain'; write [request]"),
        (LONG, f"{ONE}a SongRequest (lyrics='{'la ' * 12}l…'); write [request]"),
        ({"a": "sesame"}, f"{ONE}a dict; give a list"),
        (None, f"{ONE}None; give a list"),
        ([{"a": "sesame"}], "requests[0] is a dict; give SongRequest(**…) or a text"),
        ((SONG, 7), "requests[1] is 7; give a SongRequest or a text"),
        ([LONG, Outcome(index=0, request=LONG)], "an Outcome; give a SongRequest or a text"),
        (["a", " "], "requests[1]: description is empty; leave it out or give some text"),
    ],
)
async def test_a_wrong_input_is_told_in_a_few_words(wrong: Any, told: str) -> None:  # noqa: ANN401
    """What it is and what to write; neither all of its lyrics nor what may be a secret."""
    async with Client(TimedProvider(song)) as client:
        with pytest.raises(InvalidRequest) as caught:
            client.generate_many(wrong)
    assert str(caught.value).endswith(told)
    assert "sesame" not in str(caught.value)
    assert len(str(caught.value)) < 140


async def test_after_an_account_error_nothing_more_is_sent() -> None:
    """The rest ends with it, unsent; songs in the making are made to their end."""
    broke = AuthenticationFailed("the key was revoked")
    provider = TimedProvider(song, refuse=lambda place: broke if place >= 5 else None)
    async with Client(provider, submit_concurrency=1) as client:
        outcomes = await outcomes_of(client.generate_many([SONG] * 30))
    assert len(provider.sent) == 6
    assert sum(outcome.ok for outcome in outcomes) == 5
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert [str(error) for error in errors] == [str(broke)] * 25
    assert len({error.job_key for error in errors}) == 25, "each names its own job"


async def test_every_input_has_exactly_one_outcome() -> None:
    """With one submit in three failing in one way or another, and songs of any length."""
    source = random.Random(6)

    def refuse(_place: int) -> Exception | None:
        return source.choice([None, None, SubmitInDoubt("lost")])

    provider = TimedProvider(lambda _: source.uniform(10, 200), refuse=refuse, submit_time=1.0)
    async with Client(provider, max_active=17, max_in_doubt=300) as client:
        outcomes = await outcomes_of(client.generate_many([SONG] * 300))
    assert sorted(outcome.index for outcome in outcomes) == list(range(300))
    assert len(provider.sent) == 300
    assert sum(outcome.ok for outcome in outcomes) == len(provider.completes_at)


# Input


async def requests_from(values: Iterable[str]) -> AsyncGenerator[str]:
    for value in values:
        await anyio.sleep(1)
        yield value


async def test_input_may_be_any_iterable_or_async_iterable() -> None:
    """A list, a set, a generator, an async generator, nothing at all."""
    words = ["a", "b", "c"]
    inputs: list[Any] = [words, set(words), iter(words), requests_from(words), [], ()]
    async with Client(TimedProvider(song)) as client:
        for given in inputs:
            outcomes = await outcomes_of(client.generate_many(given))
            asked = {outcome.request.description for outcome in outcomes}
            assert asked == (set(words) if given else set())


@pytest.mark.parametrize(
    "wrong", ["a song", b"a song", SONG, 7, None, {"a song": 1}, len], ids=repr
)
async def test_what_is_not_many_requests_is_refused(wrong: Any) -> None:  # noqa: ANN401
    """A text is many letters, and a mapping many keys: nobody means that, and it would cost."""
    provider = TimedProvider(song)
    async with Client(provider) as client:
        with pytest.raises(InvalidRequest, match=r"a list of requests, not .*; (give|write)"):
            client.generate_many(wrong)
    assert not provider.sent


@pytest.mark.parametrize("wrong", [0, -1, 2.5, "3", True])
async def test_an_impossible_bound_is_refused(wrong: Any) -> None:  # noqa: ANN401
    """At the call, and not by waiting for ever."""
    async with Client(TimedProvider(song)) as client:
        with pytest.raises(InvalidRequest, match="max_active"):
            client.generate_many([SONG], max_active=wrong)


def then_fail(values: Iterable[str]) -> Iterator[str]:
    yield from values
    raise LookupError("line 4 is broken")


async def then_fail_async(values: Iterable[str]) -> AsyncGenerator[str]:
    for value in values:
        yield value
    raise LookupError("line 4 is broken")


@pytest.mark.parametrize("broken", [then_fail, then_fail_async])
async def test_an_input_that_fails_ends_the_input_and_no_song(
    broken: Callable[[list[str]], Any],
) -> None:
    """The outcomes come first, then its error, and then the end."""
    provider = TimedProvider(song)
    async with (
        Client(provider) as client,
        client.generate_many(broken(["a", "b", "c"])) as batch,
    ):
        outcomes = [await anext(batch) for _ in range(3)]
        with pytest.raises(LookupError, match="line 4"):
            await anext(batch)
        with pytest.raises(StopAsyncIteration):
            await anext(batch)
    assert [outcome.ok for outcome in outcomes] == [True] * 3
    assert len(provider.seen_at) == 3


def then_cancelled(values: Iterable[str]) -> Iterator[str]:
    """Read the result of a task that was cancelled."""
    yield from values
    raise asyncio.CancelledError


async def then_cancelled_async(values: Iterable[str]) -> AsyncGenerator[str]:
    """Await a task that was cancelled, say the one that fills a queue."""
    for value in values:
        yield value
    producer = asyncio.create_task(asyncio.sleep(60))
    producer.cancel()
    await producer


class Lasting(MemoryJournal):
    """Says that it outlives the client, and so remembers the jobs of a batch."""

    durable = True


only_asyncio = pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")])


@only_asyncio
@pytest.mark.parametrize("broken", [then_cancelled, then_cancelled_async])
@pytest.mark.parametrize("made_before", [0, 12])
async def test_an_input_that_awaits_a_cancelled_task_fails_as_any_other_does(
    broken: Callable[[list[str]], Any], made_before: int
) -> None:
    """Nobody has cancelled the consumer: it gets all outcomes, and is told what happened."""
    ideas = [f"song {n}" for n in range(14)]
    async with Client(TimedProvider(song), journal=Lasting()) as client:
        await outcomes_of(client.generate_many(ideas[:made_before]))
        async with client.generate_many(broken(ideas)) as batch:
            with anyio.fail_after(3600):
                outcomes = [await anext(batch) for _ in ideas]
                with pytest.raises(InvalidRequest, match="a task that was cancelled"):
                    await anext(batch)
                with pytest.raises(StopAsyncIteration):
                    await anext(batch)
    assert all(outcome.ok for outcome in outcomes)


class FailingJournal(Lasting):
    """One of somebody else's, that raises what no journal should."""

    error: BaseException

    async def get_many(self, keys: Collection[str]) -> Mapping[str, JournalEntry]:
        raise self.error


@pytest.mark.parametrize("error", [LookupError("no table"), asyncio.CancelledError()])
@only_asyncio
async def test_a_journal_that_fails_as_requests_are_looked_up_keeps_no_consumer_waiting(
    error: BaseException,
) -> None:
    """Each is looked up by itself then."""
    journal = FailingJournal()
    journal.error = error
    async with Client(TimedProvider(song), journal=journal) as client:
        ideas = [SongRequest(description="rain", key=f"{n}") for n in range(3)]
        await outcomes_of(client.generate_many(ideas[:2]))
        async with client.generate_many(ideas) as batch:
            with anyio.fail_after(3600):
                assert [outcome.ok async for outcome in batch] == [True] * 3


@only_asyncio
async def test_a_batch_whose_tasks_are_cancelled_keeps_no_consumer_waiting() -> None:
    """As somebody does who cancels all tasks of the loop but his own."""
    async with Client(TimedProvider(song, submit_time=5.0)) as client:
        before = asyncio.all_tasks()
        async with client.generate_many(f"song {n}" for n in range(3)) as batch:
            await anyio.sleep(1)
            for task in asyncio.all_tasks() - before:
                if "_submit_all" in repr(task):
                    task.cancel()
            with anyio.fail_after(3600):
                assert [outcome async for outcome in batch] == []


async def test_an_input_that_has_ended_is_not_asked_again() -> None:
    """Four submitters share it, and only one of them may hear of its end."""

    class Once:
        ends = 0

        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            self.ends += 1
            if self.ends > 1:
                raise StopIteration
            return "a song"

    numbers = Once()
    async with Client(TimedProvider(song)) as client:
        assert len(await outcomes_of(client.generate_many(numbers))) == 1
    assert numbers.ends == 2


# Bounds


class Endless:
    """An input without end that knows how much of it was taken, and whether it was closed."""

    def __init__(self) -> None:
        self.pulled = 0
        self.closed = False

    def sync(self) -> Generator[str]:
        try:
            while True:
                self.pulled += 1
                yield f"song {self.pulled}"
        finally:
            self.closed = True

    async def asynchronous(self) -> AsyncGenerator[str]:
        with closing(self.sync()) as songs:
            for words in songs:
                await checkpoint()
                yield words


async def test_an_endless_input_stays_bounded() -> None:
    """Pulled is what was consumed, what is in the making and what waits: never more."""
    source, tally = Endless(), Tally()
    async with (
        Client(TimedProvider(song), max_active=10, on_event=tally) as client,
        client.generate_many(source.sync()) as batch,
    ):
        for consumed in range(1, 201):
            await anext(batch)
            assert source.pulled <= consumed + 2 * 10
    assert tally.most <= 10


async def test_a_program_that_never_stops_asking_spends_no_more_than_its_limit() -> None:
    """An input without end, and a loop around `generate`: of both the rest is refused, unsent."""
    provider = TimedProvider(song)
    async with Client(provider, max_submits=7) as client:
        outcomes = []
        async with client.generate_many(Endless().sync()) as batch:
            async for outcome in batch:
                outcomes.append(outcome)
                if len(outcomes) == 200:
                    break
        for _ in range(50):
            with pytest.raises(SpendLimitReached, match="max_submits=7 is used up") as caught:
                await client.generate("one more")
            assert caught.value.charged == "no"
    assert {type(outcome.error) for outcome in outcomes} == {SpendLimitReached}
    assert len(provider.sent) == 7


async def test_a_slow_consumer_holds_back_submits() -> None:
    """While nobody takes outcomes, nothing more is submitted; the songs in the making go on."""
    provider, source = TimedProvider(song), Endless()
    async with (
        Client(provider, max_active=5) as client,
        client.generate_many(source.sync()) as batch,
    ):
        await anyio.sleep(3600)
        sent = len(provider.sent)
        assert sent <= 2 * 5
        assert len(provider.seen_at) == sent
        await anyio.sleep(3600)
        assert len(provider.sent) == source.pulled == sent
        for _ in range(sent):
            await anext(batch)
        await anyio.sleep(1)
        assert len(provider.sent) > sent


async def test_a_bound_of_the_batch_goes_before_that_of_the_client() -> None:
    """`generate_many(max_active=...)` is for this batch alone."""
    tally = Tally()
    async with Client(TimedProvider(song), max_active=10, on_event=tally) as client:
        await outcomes_of(client.generate_many([SONG] * 20, max_active=3))
        assert tally.most == 3
        await outcomes_of(client.generate_many([SONG] * 20))
        assert tally.most == 10


async def most_blocks(inputs: int, *, hold: bool) -> int:
    """Make songs, and return by how much memory blocks grow from a fifth of the way on."""
    provider = ForgetfulProvider(song, max_ids_per_look=20, min_interval=60.0)
    held: list[Outcome] = []
    blocks: list[int] = []
    async with (
        Client(provider, max_active=50) as client,
        client.generate_many(f"song {n}" for n in range(inputs)) as batch,
    ):
        async for outcome in batch:
            if hold:
                held.append(outcome)
            if outcome.index % (inputs // 10) == 0:
                gc.collect()
                blocks.append(sys.getallocatedblocks())
    return max(blocks[2:]) - blocks[1]


async def test_memory_is_flat_over_any_number_of_inputs() -> None:
    """What is held is what is in the making; `benchmarks.batch` shows it for a million."""
    assert await most_blocks(5_000, hold=False) < 1_000


async def test_the_measure_of_memory_sees_what_is_held() -> None:
    """The same with a consumer that keeps all outcomes must not pass for flat."""
    assert await most_blocks(500, hold=True) > 1_000


def list_scheduled(times: Iterable[float], slots: int) -> float:
    """How long it takes when each job, in order, goes to the slot that is free first."""
    free = [0.0] * slots
    for time in times:
        heapq.heapreplace(free, free[0] + time)
    return max(free)


@pytest.mark.parametrize("slots", [1, 5, 50])
async def test_a_batch_takes_as_long_as_list_scheduling(slots: int) -> None:
    """All the slots are used all the time: nothing is lost but how late a song is noticed."""
    source = random.Random(8)
    times = [60.0 * math.exp(0.5 * source.gauss(0, 1)) for _ in range(300)]
    provider, tally = TimedProvider(lambda n: times[n]), Tally()
    async with Client(provider, max_active=slots, on_event=tally) as client:
        began = anyio.current_time()
        await outcomes_of(client.generate_many([SONG] * len(times)))
        took = anyio.current_time() - began
    assert tally.most == slots
    lag = fmean(provider.lags)
    ideal = list_scheduled([time + lag for time in times], slots)
    assert abs(took / ideal - 1) < 0.05
    if slots > 1:  # the control: one slot fewer would be seen
        assert list_scheduled([time + lag for time in times], slots - 1) > took


# Leaving early


def submitters() -> int:
    """Count the tasks of batches."""
    return sum("_submit_all" in (task.name or "") for task in anyio.get_running_tasks())


@pytest.mark.parametrize("kind", ["sync", "asynchronous"])
@pytest.mark.parametrize("how", ["break", "error", "cancel"])
async def test_leaving_early_pulls_nothing_more_and_closes_the_input(kind: str, how: str) -> None:
    """However the block is left; what was accepted by then is still looked at."""
    source, provider = Endless(), TimedProvider(song)
    async with Client(provider, max_active=5) as client:
        with suppress(LookupError), anyio.CancelScope() as scope:
            async with client.generate_many(getattr(source, kind)()) as batch:
                await anext(batch)
                if how == "error":
                    raise LookupError("enough")
                if how == "cancel":
                    scope.cancel()
                    await checkpoint()
        pulled, sent = source.pulled, len(provider.sent)
        assert source.closed
        await anyio.sleep(600)
        assert (source.pulled, len(provider.sent)) == (pulled, sent)
        assert len(provider.seen_at) == sent


@pytest.mark.parametrize("how", ["break", "error", "cancel"])
async def test_leaving_early_leaves_no_task_and_loses_no_song(how: str) -> None:
    """What was on the wire by then is answered, and each accepted song is in the journal."""
    provider, journal = TimedProvider(lambda n: 900.0 * n + 1, submit_time=1.0), MemoryJournal()
    async with Client(provider, journal=journal, max_active=7) as client:
        with suppress(LookupError), anyio.CancelScope() as scope:
            async with client.generate_many(Endless().sync()) as batch:
                await anext(batch)
                assert submitters() == 4
                await anyio.sleep(0.5)
                assert provider.on_wire
                if how == "error":
                    raise LookupError("enough")
                if how == "cancel":
                    scope.cancel()
                    await checkpoint()
        assert submitters() == 0
        await anyio.sleep(2)
        kept = await listed(journal, [JournalState.ACCEPTED])
        made = provider.completes_at.keys() - provider.seen_at.keys()
        assert {entry.task_id for entry in kept} == made
        assert len(made) > 4


async def test_a_batch_that_was_left_says_so() -> None:
    """Instead of waiting for outcomes that nobody hands in any more."""
    async with Client(TimedProvider(song, submit_time=1.0)) as client:
        async with client.generate_many([SONG] * 9) as batch:
            await anyio.sleep(0.5)
        with pytest.raises(RuntimeError, match="runs inside `async with"):
            await anext(batch)


async def test_leaving_before_the_first_request_is_fine() -> None:
    """Nothing was pulled yet, or just the first few."""
    source, provider = Endless(), TimedProvider(song)
    async with Client(provider) as client, client.generate_many(source.sync()):
        pass
    assert len(provider.sent) <= 4


async def test_an_error_in_the_block_comes_out_bare() -> None:
    """Through the batch and through the client, with songs in the making."""

    async def run() -> None:
        async with (
            Client(TimedProvider(song)) as client,
            client.generate_many([SONG] * 20) as batch,
        ):
            await anext(batch)
            raise LookupError("mine")

    with pytest.raises(LookupError) as caught:
        await run()
    assert caught.value.__context__ is None


async def test_an_input_that_waits_holds_up_no_outcome() -> None:
    """A queue that is empty for an hour: the songs so far are handed out meanwhile."""

    async def slow() -> AsyncGenerator[str]:
        yield "a song"
        await anyio.sleep(3600)
        yield "another song"

    async with (
        aclosing(slow()) as given,
        Client(TimedProvider(song)) as client,
        client.generate_many(given) as batch,
    ):
        await anext(batch)
        assert anyio.current_time() < 100
        await anext(batch)
        assert anyio.current_time() > 3600


# What was made before ------------------------------------------------------------------------


@attrs.define(eq=False)
class Reads:
    """How often the file of a journal was asked for jobs."""

    number: int = 0

    def count(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("get", "get_many"):
            patch.setattr(SqliteFile, name, self._counted(getattr(SqliteFile, name)))

    def _counted(self, read: Callable[..., object]) -> Callable[..., object]:
        def counted(*given: object) -> object:
            self.number += 1
            return read(*given)

        return counted


async def test_a_batch_that_was_made_is_looked_up_in_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run again it sends nothing, and asks the journal a few times, not once for each request."""
    provider = TimedProvider(song)
    wanted = [f"song {number % 90}" for number in range(100)]  # some are asked for twice
    journal = SqliteJournal(tmp_path / "journal.db", threaded=False)
    async with Client(provider, journal=journal) as client:
        first = [outcome async for outcome in aclosing_batch(client, wanted)]
    reads = Reads()
    reads.count(monkeypatch)
    async with Client(provider, journal=journal) as client:
        again = [outcome async for outcome in aclosing_batch(client, [*wanted, "a new one"])]
    assert len(provider.sent) == 101
    assert sorted(outcome.index for outcome in again) == list(range(101))
    by_key = {outcome.job_key: outcome.songs for outcome in first}
    assert all(by_key[outcome.job_key] == outcome.songs for outcome in again[:100])
    assert reads.number < 20


@pytest.mark.parametrize(
    ("kind", "questions"), [(list, 1), (tuple, 1), (iter, 30)], ids=["list", "tuple", "iterator"]
)
async def test_a_list_is_looked_up_ahead(
    kind: Callable[[list[str]], Iterable[str]],
    questions: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as there is room. An iterator is pulled only as there is somebody to submit it."""
    reads = Reads()
    reads.count(monkeypatch)
    provider = TimedProvider(song)
    async with (
        Client(provider, journal=SqliteJournal(tmp_path / "journal.db", threaded=False)) as client,
        client.generate_many(kind([f"song {n}" for n in range(30)]), max_active=30) as batch,
    ):
        assert all([outcome.ok async for outcome in batch])
    assert reads.number == questions
    assert len(provider.sent) == 30


async def test_an_input_that_waits_for_outcomes_gets_them(tmp_path: Path) -> None:
    """One that yields the next request only after the outcome before, run again."""
    provider = TimedProvider(song)
    journal = SqliteJournal(tmp_path / "journal.db", threaded=False)

    async def one_by_one(released: Iterable[anyio.Event]) -> AsyncGenerator[str]:
        for number, event in enumerate(released):
            await event.wait()
            yield f"song {number}"

    for _ in range(2):
        waits = [anyio.Event() for _ in range(8)]
        rest = iter(waits)
        next(rest).set()
        async with (
            Client(provider, journal=journal) as client,
            client.generate_many(one_by_one(waits)) as batch,
        ):
            async for _ in batch:
                next(rest, anyio.Event()).set()
        assert all(event.is_set() for event in waits)
    assert len(provider.sent) == 8


async def test_a_stretch_that_cannot_be_looked_up_is_told_of_each_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that fails in the middle costs no outcome."""
    provider = TimedProvider(song)
    wanted = [f"song {number}" for number in range(30)]
    journal = SqliteJournal(tmp_path / "journal.db", threaded=False)
    async with Client(provider, journal=journal) as client:
        assert len([outcome async for outcome in aclosing_batch(client, wanted)]) == 30

    async def fail(_journal: SqliteJournal, _keys: Collection[str]) -> Mapping[str, JournalEntry]:
        raise JournalError("the disk is gone")

    monkeypatch.setattr(SqliteJournal, "get_many", fail)
    async with Client(provider, journal=journal) as client:
        again = [outcome async for outcome in aclosing_batch(client, wanted)]
    assert [outcome.index for outcome in again if outcome.ok] == list(range(30))
    assert len(provider.sent) == 30


async def aclosing_batch(client: Client, requests: Iterable[str]) -> AsyncGenerator[Outcome]:
    async with client.generate_many(requests) as batch:
        async for outcome in batch:
            yield outcome
