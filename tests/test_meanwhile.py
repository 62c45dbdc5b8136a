"""A job that is changed by one while another is doing something about it."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.asgi import said
from tests.kit.called_back import LINKS, in_doubt, journal_at, line_to, lose, provider_with
from tests.kit.clocks import virtual_backend
from tests.kit.timed import NO_HTTP, SONG, TimedProvider
from udio_async import (
    AuthenticationFailed,
    Client,
    ClientClosed,
    Credits,
    InsufficientCredits,
    InvalidRequest,
    Job,
    JournalState,
    Outcome,
    RequestRefused,
    SongRequest,
    SpendLimitReached,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    WaitExpired,
)
from udio_async._http import Http
from udio_async.journal import memory

MINE = attrs.evolve(SONG, key="mine")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(3)  # of the jitter


# Callbacks and submits -----------------------------------------------------------------------


async def test_the_first_addresses_are_of_one_secret() -> None:
    """Four submits at once each ask for the first secret there is."""
    async with line_to(provider_with(submit_time=5.0)) as line:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(line.client.submit, SONG)
        for place in range(4):
            assert await line.post(said("text", task_id=str(place)), place) == 200


async def test_what_a_callback_proves_is_not_sent_again_whatever_was_read_before(
    tmp_path: Path,
) -> None:
    """The doubt was to be submitted again, and waited for its turn as the callback came."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        provider = line.provider
    provider.submit_time = 100.0
    again = line_to(
        provider, journal=journal_at(tmp_path), on_doubt="resubmit", submit_concurrency=1
    )
    async with again as line, anyio.create_task_group() as tasks:
        tasks.start_soon(line.client.submit, "takes the only place")
        await anyio.sleep(1)

        async def submit() -> None:
            with pytest.raises(SubmitInDoubt):
                await line.client.submit(MINE)

        tasks.start_soon(submit)
        await anyio.sleep(1)
        assert await line.post(said("first", songs=LINKS)) == 200
        await anyio.sleep(200)
        [kept] = [job async for job in line.client.jobs() if job.key == "mine"]
        assert (kept.state, kept.attempt, len(kept.songs)) == (JournalState.IN_DOUBT, 1, 2)
    assert len(provider.sent) == 2


async def test_a_job_that_a_callback_heals_before_its_turn_stops_nobody(tmp_path: Path) -> None:
    """It is handed out as it was paid for, and the rest of the batch is made."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        task_id = await line.provider.submit(NO_HTTP, SONG)
        await line.client.resolve("mine", resubmit=True)
        provider = line.provider
    provider.submit_time = 50.0
    outcomes: list[Outcome] = []

    async def make() -> None:
        async with line.client.generate_many([MINE, "a", "b"]) as batch:
            outcomes.extend([outcome async for outcome in batch])

    async with (
        line_to(provider, journal=journal_at(tmp_path), submit_concurrency=1) as line,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(line.client.submit, "takes the only place")
        await anyio.sleep(1)
        tasks.start_soon(make)
        await anyio.sleep(1)
        assert await line.post(said("first", task_id=task_id)) == 200
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert [outcome.task_id for outcome in outcomes if outcome.index == 0] == [task_id]
    assert len(provider.sent) == 5  # the doubt, one by hand, the one in the way, and two


@pytest.mark.parametrize("refusal", [InsufficientCredits, RequestRefused, AuthenticationFailed])
async def test_a_refusal_of_what_a_callback_has_shown_is_a_doubt(
    refusal: type[UdioError], tmp_path: Path
) -> None:
    """A song in the making has been shown before the answer says that nothing was taken."""
    provider = provider_with(submit_time=5.0, refuse=lambda _: refusal("no"))
    caught: list[UdioError] = []
    async with line_to(provider, journal=journal_at(tmp_path), max_submits=1) as line:

        async def submit() -> None:
            with pytest.raises(UdioError) as raised:
                await line.client.submit(MINE)
            caught.append(raised.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(submit)
            await anyio.sleep(1)
            assert await line.post(said("first", songs=LINKS)) == 200
        assert [(type(error), error.charged) for error in caught] == [(SubmitInDoubt, "unknown")]
        with pytest.raises(SpendLimitReached):  # it counts as spent
            await line.client.submit("another")


async def test_a_callback_before_a_lost_answer_is_followed_by_a_look() -> None:
    """It has told of the end, so the songs come as soon as the answer is known to be lost."""
    provider = lose(provider_with(submit_time=5.0))
    provider.completes_at["7"] = 0.0
    async with line_to(provider) as line, anyio.create_task_group() as tasks:
        tasks.start_soon(line.client.generate, SONG)
        await anyio.sleep(1)
        assert await line.post(said("complete", task_id="7")) == 200
    assert provider.looks[0].at == pytest.approx(5.0, abs=1.0)


class SlowBooks(TimedProvider):
    """Its account takes its time."""

    async def credits(self, http: Http) -> Credits:
        await anyio.sleep(5)
        return await super().credits(http)


async def test_a_callback_while_the_account_is_asked_is_heard(tmp_path: Path) -> None:
    """Its answer was lost; the caller gets the song all the same, and it is looked at."""
    provider = lose(SlowBooks(lambda _: 60.0, callbacks="task", submit_time=1.0))
    provider.completes_at["7"] = 60.0
    jobs: list[Job] = []
    async with (
        line_to(provider, journal=journal_at(tmp_path)) as line,
        anyio.create_task_group() as tasks,
    ):

        async def submit() -> None:
            jobs.append(await line.client.submit(MINE))

        tasks.start_soon(submit)
        await anyio.sleep(3)  # the answer was lost at 1, and what the account shows comes at 6
        assert not jobs
        assert await line.post(said("first", task_id="7")) == 200
        await anyio.sleep(10)
        assert [song.task_id for song in await jobs[0].songs()] == ["7"]


async def test_a_callback_makes_an_abandoned_request_certain(tmp_path: Path) -> None:
    """Its owner never gave an id: neither is that said, nor is it submitted again."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        await line.client.resolve("mine", abandon=True)
        line.provider.broken = lambda _now: Unreachable("no network", sent=False)
        assert await line.post(said("complete", task_id="7")) == 200
        with pytest.raises(WaitExpired) as caught:
            await line.client.generate(MINE)
        assert caught.value.charged == "yes"
        assert "you gave this id" not in str(caught.value)
        with pytest.raises(InvalidRequest, match="accepted, not in doubt"):
            await line.client.resolve("mine", resubmit=True)


async def test_only_what_was_handed_out_counts_as_had() -> None:
    """A callback has shown that the owner named another task: its own songs are paid for, too."""
    async with line_to(lose(provider_with())) as line:
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(MINE)
        other = await line.provider.submit(NO_HTTP, SONG)
        await line.client.resolve("mine", task_id=other)
        had: list[str] = []

        async def generate() -> None:
            had.extend(song.id for song in await line.client.generate(MINE))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(generate)
            await anyio.sleep(1)
            assert await line.post(said("complete", songs=LINKS)) == 200
        assert had == [f"song-{other}"]
        async with line.client.resume() as batch:
            [left] = [outcome async for outcome in batch]
        assert set(LINKS) <= {song.audio_url for song in left.songs}


# Waits ---------------------------------------------------------------------------------------


async def test_songs_may_be_asked_for_when_the_journal_has_forgotten_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job knows its songs; the client goes on."""
    monkeypatch.setattr(memory, "MAX_ENDED", 2)
    async with Client(TimedProvider(lambda _: 10.0)) as client:
        jobs = []
        for place in range(5):
            jobs.append(await client.submit(SongRequest(description="a", key=f"{place}")))
            await jobs[-1].songs()
            await anyio.sleep(1)
        assert len(await jobs[0].songs()) == 1
        await anyio.sleep(1)
        assert len(await client.generate("another")) == 1


async def test_nobody_waits_for_a_submit_that_never_began() -> None:
    """Three requests of a batch have one key, and the client is closed before the second leaves."""
    client = Client(TimedProvider(lambda _: 10.0, submit_time=5.0), submit_concurrency=1)
    await client.open()
    requests = [SongRequest(description="b", key=key) for key in ("a", "b", "b", "b")]
    outcomes: list[Outcome] = []

    async def make() -> None:
        async with client.generate_many(requests) as batch:
            outcomes.extend([outcome async for outcome in batch])

    with anyio.fail_after(1000):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make)
            await anyio.sleep(2)
            await client.aclose()
    errors = {outcome.index: type(outcome.error) for outcome in outcomes}
    assert errors == {0: WaitExpired, 1: ClientClosed, 2: ClientClosed, 3: ClientClosed}


class Choosy(TimedProvider):
    """An adapter with a bug."""

    def check(self, request: SongRequest) -> None:
        if request.description == "odd":
            raise ValueError("an adapter should not raise this")


async def test_an_error_that_no_adapter_should_raise_ends_the_batch() -> None:
    """It is raised after the songs: nobody waits for a request that has no outcome."""
    outcomes = []
    async with Client(Choosy(lambda _: 10.0)) as client:
        with anyio.fail_after(1000), pytest.raises(ValueError, match="should not"):  # noqa: PT012
            async with client.generate_many(["even", "odd", "even"]) as batch:
                async for outcome in batch:
                    outcomes.append(outcome)  # noqa: PERF401
    assert outcomes
    assert all(outcome.ok for outcome in outcomes)
