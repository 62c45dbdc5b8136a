"""What is kept for later is made once, and what was refused or taken back is bought for nobody."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import (
    Client,
    InsufficientCredits,
    InvalidRequest,
    JournalState,
    MemoryJournal,
    Outcome,
    RateLimited,
    RequestRefused,
    SongRequest,
    SpendLimitReached,
    SqliteJournal,
    SubmitInDoubt,
    UdioError,
)
from udio_async._batch import Batch
from udio_async._http import Http
from udio_async._records import CallbackAddress

S = JournalState
Requests = Iterable[SongRequest | str] | AsyncIterable[SongRequest | str]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryJournal | SqliteJournal:
    """One for one client; the file is written in the event loop, as virtual clocks need it."""
    if request.param == "memory":
        return MemoryJournal()
    return SqliteJournal(tmp_path / "songs.db", threaded=False)


@attrs.define(eq=False)
class Ledger(TimedProvider):
    """Its songs take a minute; it writes down what it has taken."""

    durations: Callable[[int], float] = lambda _: 60.0
    taken: list[str] = attrs.field(factory=list)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        task_id = await super().submit(http, request, callback)
        self.taken.append(request.description or "")
        return task_id


def named(*keys: str) -> list[SongRequest]:
    """Requests with these keys, whose words are their keys."""
    return [SongRequest(description=key, key=key) for key in keys]


async def outcomes(batch: Batch) -> list[Outcome]:
    async with batch:
        return [outcome async for outcome in batch]


async def states(client: Client) -> list[JournalState]:
    return [job.state async for job in client.jobs()]


# Kept, then made in a batch --------------------------------------------------------------------

TEXTS = ["rain", "sun", "rain"]


async def test_kept_texts_are_made_once_whoever_comes_first(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """A batch has the names that `keep` gave, before `resume`, beside it and after it."""
    provider = Ledger()
    async with Client(provider, journal=journal) as client:
        await client.keep(TEXTS)
        for _ in range(2):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(outcomes, client.generate_many(TEXTS))
                tasks.start_soon(outcomes, client.resume())
                tasks.start_soon(outcomes, client.generate_many(TEXTS))
            assert all(outcome.ok for outcome in await outcomes(client.generate_many(TEXTS)))
            assert await outcomes(client.resume([S.PLANNED])) == []
    assert sorted(provider.taken) == sorted(TEXTS)


async def test_only_what_is_kept_is_the_same_in_two_batches_without_a_journal() -> None:
    """Each batch makes all else anew; of equal texts, as many are the same as were kept."""
    provider = Ledger()
    async with Client(provider) as client:
        await client.keep(["rain"])
        for _ in range(2):
            assert len(await outcomes(client.generate_many(TEXTS))) == len(TEXTS)
    assert sorted(provider.taken) == ["rain", "rain", "rain", "sun", "sun"]


# Asked for by somebody else meanwhile ----------------------------------------------------------


async def keep_and_make(client: Client, wanted: SongRequest) -> None:
    await client.keep([wanted])
    await client.generate(wanted)


Meanwhile = Callable[[Client, SongRequest], Coroutine[Any, Any, object]]
MEANWHILE: dict[str, Meanwhile] = {
    "kept": lambda client, wanted: client.keep([wanted]),
    "submitted": lambda client, wanted: client.submit(wanted),
    "made": lambda client, wanted: client.generate(wanted),
    "kept and made": keep_and_make,
}


@pytest.mark.parametrize("ask", MEANWHILE.values(), ids=MEANWHILE)
async def test_what_comes_between_the_look_up_of_a_list_and_its_submit_is_paid_once(
    ask: Meanwhile, journal: MemoryJournal | SqliteJournal
) -> None:
    """The journal knew nothing of the job when the list was pulled, and knows it by then."""
    provider, wanted = Ledger(submit_time=10.0), named("a", "b", "c")
    async with (
        Client(provider, journal=journal, submit_concurrency=1) as client,
        client.generate_many(wanted, max_active=3) as batch,
        anyio.create_task_group() as tasks,
    ):
        await anyio.sleep(5)  # the first is on the wire
        tasks.start_soon(ask, client, wanted[2])
        assert all([outcome.ok async for outcome in batch])
    assert sorted(provider.taken) == ["a", "b", "c"]


async def test_what_is_kept_and_taken_back_meanwhile_is_not_bought_by_a_list(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    provider, wanted = Ledger(submit_time=10.0), named("a", "b")
    async with (
        Client(provider, journal=journal, submit_concurrency=1) as client,
        client.generate_many(wanted, max_active=2) as batch,
    ):
        await anyio.sleep(5)  # the first is on the wire
        await client.keep(wanted[1:])
        await client.forget("b")
        found = {outcome.job_key: outcome.error async for outcome in batch}
    assert found["a"] is None
    assert "was taken back before its turn came" in str(found["b"])
    assert provider.taken == ["a"]


async def test_a_batch_that_was_stopped_says_what_others_have_paid(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """It sends nothing more, and does not say that a song was not paid for that was."""
    no_credits = InsufficientCredits("no credits")
    provider = Ledger(submit_time=10.0, refuse=lambda place: no_credits if place == 0 else None)
    wanted, found = named("a", "b"), list[Outcome]()
    async with (
        Client(provider, journal=journal, submit_concurrency=1) as client,
        client.generate_many(wanted, max_active=2) as batch,
        anyio.create_task_group() as tasks,
    ):
        await anyio.sleep(5)  # the first is on the wire, and will be refused
        tasks.start_soon(client.generate, wanted[1])
        found += [outcome async for outcome in batch]
    errors = {outcome.job_key: outcome.error for outcome in found}
    assert isinstance(errors["a"], InsufficientCredits)
    assert errors["b"] is None
    assert provider.taken == ["b"]


# Taken back ------------------------------------------------------------------------------------


async def queue(requests: Sequence[SongRequest]) -> AsyncGenerator[SongRequest]:
    for request in requests:
        yield request


Begin = Callable[[Client, Sequence[SongRequest]], Batch]
BATCHES: dict[str, Begin] = {
    "a list": lambda client, wanted: client.generate_many(wanted, max_active=1),
    "a generator": lambda client, wanted: client.generate_many(iter(wanted), max_active=1),
    "resume in all states": lambda client, _: client.resume(list(S), max_active=1),
}


@pytest.mark.parametrize("begin", BATCHES.values(), ids=BATCHES)
async def test_what_is_taken_back_while_a_batch_runs_is_not_bought_by_it(
    begin: Begin, journal: MemoryJournal | SqliteJournal
) -> None:
    """Its outcome says so; whoever asks for it afterwards gets it all the same."""
    provider, wanted = Ledger(), named("a", "b", "c")
    async with Client(provider, journal=journal) as client:
        await client.keep(wanted)
        found: dict[str | None, UdioError | None] = {}
        async with begin(client, wanted) as batch:
            await anyio.sleep(5)  # the first is being made
            await client.forget("c")
            async for outcome in batch:
                found[outcome.job_key] = outcome.error
        assert provider.taken == ["a", "b"]
        error = found.pop("c")
        assert isinstance(error, InvalidRequest)
        assert "was taken back before its turn came" in str(error)
        assert error.charged == "no"
        assert found == {"a": None, "b": None}
        assert await states(client) == [S.READY, S.READY, S.FORGOTTEN] or not journal.durable
        await outcomes(client.generate_many(wanted))
    assert provider.taken == ["a", "b", "c"]


async def test_a_queue_may_ask_again_for_what_was_taken_back(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """What an async input yields is asked for at that moment, however old its batch is."""
    provider, wanted = Ledger(), named("a", "b")
    async with Client(provider, journal=journal) as client:
        await client.keep(wanted)
        async with client.generate_many(queue(wanted), max_active=1) as batch:
            await anyio.sleep(5)
            await client.forget("b")
            assert [outcome.ok async for outcome in batch] == [True, True]
    assert provider.taken == ["a", "b"]


async def test_what_is_taken_back_and_kept_again_is_made_by_resume(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """The last word of its owner counts."""
    provider = Ledger()
    async with Client(provider, journal=journal) as client:
        await client.keep(named("a"))
        await client.forget("a")
        assert await outcomes(client.resume()) == []
        await client.keep(named("a"))
        assert [outcome.ok for outcome in await outcomes(client.resume())] == [True]
    assert provider.taken == ["a"]


async def test_a_doubt_survives_that_its_job_is_taken_back_and_kept_again(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """The attempt in doubt, which may be paid, is a job of its own from then on."""
    lost = SubmitInDoubt("lost")
    provider = Ledger(refuse=lambda place: None if place else lost)
    async with Client(provider, journal=journal) as client:
        with pytest.raises(SubmitInDoubt):
            await client.submit(named("a")[0])
        await client.resolve("a", resubmit=True)
        await client.forget("a")
        await client.keep(named("a"))
        found = {job.key: job.state async for job in client.jobs()}
        assert found == {"a": S.PLANNED, "a (attempt 1)": S.ABANDONED}
        assert len(await outcomes(client.resume())) == 1
    assert provider.taken == ["a"]


# Refused ---------------------------------------------------------------------------------------


async def test_what_was_kept_and_ends_in_an_error_is_left_alone_by_resume(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Whether it was refused or never left: all were told "no", and none is bought by itself."""
    empty = [InsufficientCredits("empty")]
    provider = Ledger(refuse=lambda _: empty[0] if empty else None)
    async with Client(provider, journal=journal) as client:
        await client.keep(named(*"abcdefg"))
        told = [outcome.error for outcome in await outcomes(client.resume())]
        assert {type(error) for error in told} == {InsufficientCredits}
        assert {error.charged for error in told if error} == {"no"}
        assert set(await states(client)) == {S.REFUSED, S.NOT_SENT}
        empty.clear()
        assert await outcomes(client.resume()) == []
        assert provider.taken == []
        again = await outcomes(client.resume([S.REFUSED, S.NOT_SENT]))
    assert len(again) == len(provider.taken) == 7


async def test_what_was_kept_and_is_beyond_a_limit_is_left_alone_by_resume(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Its owner was told so; the journal has the reason."""
    first, second = named("a", "b")
    async with Client(Ledger(), journal=journal, max_submits=1) as client:
        await client.keep([first, second])
        await client.submit(first)
        with pytest.raises(SpendLimitReached) as caught:
            await client.submit(second)
        assert caught.value.charged == "no"
        [left] = [job async for job in client.jobs([S.NOT_SENT])]
        assert (left.key, left.error, left.evidence) == (
            "b",
            "SpendLimitReached",
            str(caught.value),
        )
        assert await outcomes(client.resume([S.PLANNED])) == []


@pytest.mark.parametrize("refusal", [RequestRefused, RateLimited])
async def test_a_refused_request_may_be_asked_for_again_under_the_key_that_its_error_names(
    refusal: type[UdioError], journal: MemoryJournal | SqliteJournal
) -> None:
    """It is submitted again, and then paid for once under that key."""
    broken = [refusal("no")]
    provider = Ledger(refuse=lambda _: broken[0] if broken else None)
    async with Client(provider, journal=journal) as client:
        with pytest.raises(refusal) as caught:
            await client.generate("rain")
        broken.clear()
        again = SongRequest(description="rain", key=caught.value.job_key)
        assert len(await client.generate(again)) == 1
        await anyio.sleep(1)
        if journal.durable:
            assert len(await client.generate(again)) == 1
        else:
            with pytest.raises(InvalidRequest, match="was handed out"):
                await client.generate(again)
    assert provider.taken == ["rain"]


async def test_a_request_may_have_the_name_of_a_job_of_another_run_and_is_paid_for_once() -> None:
    """Its owner has it from an error, say, and gives it as a name of their own."""
    provider, key = Ledger(), f"{'0' * 24}-{'0' * 32}-1"
    async with Client(provider) as client:
        await client.generate(SongRequest(description="rain", key=key))
        await anyio.sleep(1)
        with pytest.raises(InvalidRequest, match="was handed out"):
            await client.generate(SongRequest(description="rain", key=key))
    assert provider.taken == ["rain"]


async def test_a_request_beyond_a_limit_may_be_asked_for_again_under_the_key_of_its_error(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """It gets the same answer: nothing was made of it, and nothing handed out."""
    async with Client(Ledger(), journal=journal, max_submits=1) as client:
        await client.submit("rain")
        with pytest.raises(SpendLimitReached) as caught:
            await client.submit("sun")
        again = SongRequest(description="sun", key=caught.value.job_key)
        with pytest.raises(SpendLimitReached) as twice:
            await client.submit(again)
        assert twice.value.charged == "no"
