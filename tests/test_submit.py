"""The paid step: at most one accepted submit for each job, whatever happens to its caller."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import SONG, TimedProvider
from udio_async import (
    AuthenticationFailed,
    BadAnswer,
    CallbackAddress,
    Client,
    ClientClosed,
    Event,
    InsufficientCredits,
    Job,
    MemoryJournal,
    RateLimited,
    RequestRefused,
    SongRequest,
    SpendLimitReached,
    SqliteJournal,
    Stage,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    UnsupportedOption,
)
from udio_async._events import Observer
from udio_async._http import Http
from udio_async.journal import Entry, State

UNSENT = Unreachable("no route", sent=False)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(3)  # of the back-off


def song(_place: int) -> float:
    return 60.0


def first(times: int, error: Exception) -> Callable[[int], Exception | None]:
    return lambda place: error if place < times else None


Send = Callable[[], Coroutine[Any, Any, Job]]


@asynccontextmanager
async def submitting(
    provider: TimedProvider, *, concurrency: int = 4, observer: Observer | None = None
) -> AsyncGenerator[Send]:
    """Open a client of a provider in memory; each call of what it yields is a new job."""

    def observe(event: Event) -> None:
        if observer is not None and event.kind == "retried":
            observer(event)

    async with Client(provider, submit_concurrency=concurrency, on_event=observe) as client:
        yield lambda: client.submit(SONG)


async def test_a_submit_hands_on_the_id() -> None:
    """Its caller gets the job of the task that the provider named."""
    provider = TimedProvider(song)
    async with submitting(provider) as send:
        job = await send()
    assert job.task_id == "0"
    assert len(provider.sent) == 1


# What is repeated


async def test_what_never_left_is_sent_again() -> None:
    """No byte reached the provider, which is proved: it cannot have been paid for."""
    events: list[Event] = []
    provider = TimedProvider(song, refuse=first(3, UNSENT))
    async with submitting(provider, observer=events.append) as send:
        await send()
    assert len(provider.sent) == 4
    assert [(event.kind, event.error) for event in events] == [("retried", UNSENT)] * 3
    assert all(event.wait is not None and event.wait >= 0 for event in events)


async def test_a_wait_asked_for_is_kept_by_every_submit() -> None:
    """By those that wait for their turn as well: only what was on the wire may still come in."""
    provider = TimedProvider(
        song, submit_time=1.0, refuse=first(1, RateLimited("slow down", retry_after=50.0))
    )
    async with submitting(provider, concurrency=2) as send, anyio.create_task_group() as users:
        users.start_soon(send)
        await anyio.sleep(0.5)
        for _ in range(5):
            users.start_soon(send)
    assert provider.sent[:2] == [0.0, 0.5]
    assert min(provider.sent[2:]) >= 51.0
    assert len(provider.sent) == 7


async def test_a_turn_that_came_too_late_is_given_back() -> None:
    """A refusal came while it was waited for; so the turn is waited for anew, after the hold."""
    limited = RateLimited("slow down", retry_after=50.0)
    provider = TimedProvider(song, submit_time=0.5, refuse=first(1, limited))
    async with Client(provider, requests_per_second=1.0, submit_concurrency=2) as client:
        turns = client._session().submitter.http._gate
        free = turns.value
        async with anyio.create_task_group() as users:
            for _ in range(2):
                users.start_soon(client.submit, SONG)
        assert len(provider.sent) == 3
        assert min(provider.sent[1:]) >= 50.5
        assert turns.value == free


async def test_a_job_that_is_being_submitted_is_waited_for() -> None:
    """Both callers get the same task, of one request."""
    provider = TimedProvider(song, submit_time=1.0)
    request = SongRequest(description="a song", key="mine")
    jobs: list[Job] = []
    async with Client(provider) as client:

        async def call() -> None:
            jobs.append(await client.submit(request))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as users:
                for _ in range(3):
                    users.start_soon(call)
    assert [job.task_id for job in jobs] == ["0"] * 3
    assert provider.sent == [0.0]


async def test_a_doubt_tells_what_the_account_shows() -> None:
    """In the error, and in the journal for a later run."""

    async def evidence() -> str:
        return "90 credits, 10 fewer than before"

    provider = TimedProvider(song, refuse=first(1, SubmitInDoubt("no answer", evidence="cut")))
    async with Client(provider) as client:
        client._session().submitter.evidence = evidence
        with pytest.raises(SubmitInDoubt) as caught:
            await client.submit(SONG)
        [doubt] = await client.doubts()
    assert caught.value.evidence == "cut; 90 credits, 10 fewer than before"
    assert doubt.evidence == caught.value.evidence


async def test_an_error_of_the_adapter_is_the_evidence() -> None:
    """It proves nothing, and its words may help whoever looks at the account."""
    provider = TimedProvider(song, refuse=first(1, ValueError("no such field: seed")))
    async with submitting(provider) as send:
        with pytest.raises(SubmitInDoubt) as caught:
            await send()
    assert "ValueError('no such field: seed')" in caught.value.evidence


async def test_a_job_on_disk_is_sent_again_as_the_same(tmp_path: Path) -> None:
    """What the journal knows of the try before is no reason to refuse the next."""
    provider = TimedProvider(song, refuse=first(2, UNSENT))
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
    async with Client(provider, journal=journal) as client:
        job = await client.submit(SONG)
        assert [entry.task_id async for entry in client.jobs()] == [job.task_id]
    assert len(provider.sent) == 3


async def test_what_the_provider_has_no_feature_for_is_refused_before_it_is_kept(
    tmp_path: Path,
) -> None:
    """So a request that nothing was sent for leaves nothing behind."""

    class Strict(TimedProvider):
        def check(self, request: SongRequest) -> None:
            raise UnsupportedOption("it makes no songs about rain")

    provider = Strict(song)
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
    async with Client(provider, journal=journal) as client:
        with pytest.raises(UnsupportedOption):
            await client.submit(SONG)
        assert [entry async for entry in client.jobs()] == []
    assert provider.sent == []


async def test_what_is_on_the_wire_is_resumed_by_nobody_else() -> None:
    """Its caller gets its songs."""
    provider = TimedProvider(song, submit_time=10.0)
    asked = SongRequest(description="a song", key="mine")
    async with Client(provider) as client, anyio.create_task_group() as users:
        users.start_soon(client.submit, asked)
        await anyio.sleep(1)
        submitter = client._session().submitter
        assert [submitter.note_early(key, Stage.QUEUED) for key in ("mine", "other")] == [
            True,
            False,
        ]
        async with client.resume() as batch:
            assert [outcome async for outcome in batch] == []


async def test_an_empty_account_is_asked_once() -> None:
    """The others of a batch end with the same error, and are not sent."""
    provider = TimedProvider(song, refuse=first(9, InsufficientCredits("the account is empty")))
    async with (
        Client(provider, submit_concurrency=1) as client,
        client.generate_many(["one", "two", "three"]) as batch,
    ):
        errors = [outcome.error async for outcome in batch]
    assert [(type(error), error and error.provider) for error in errors[1:]] == [
        (InsufficientCredits, "timed")
    ] * 2
    assert len(provider.sent) == 1


async def test_a_refusal_of_what_was_in_doubt_says_that_it_may_be_paid(tmp_path: Path) -> None:
    """The second attempt was refused for certain; of the first one nobody knows."""
    lost, refused = SubmitInDoubt("no answer"), RequestRefused("no such words")
    provider = TimedProvider(song, refuse=lambda place: [lost, refused][place])
    path = tmp_path / "songs.db"
    asked = SongRequest(description="a song", key="mine")
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        with pytest.raises(SubmitInDoubt):
            await client.submit(asked)
    journal = SqliteJournal(path, threaded=False)
    async with Client(provider, journal=journal, on_doubt="resubmit") as client:
        with pytest.raises(RequestRefused) as caught:
            await client.submit(asked)
    assert caught.value.charged == "unknown"


async def test_it_stops_trying_after_a_while() -> None:
    """The last error is the caller's, after eight attempts."""
    provider = TimedProvider(song, refuse=first(99, UNSENT))
    events: list[Event] = []
    async with submitting(provider, observer=events.append) as send:
        with pytest.raises(Unreachable):
            await send()
        assert len(provider.sent) == 8
        assert len(events) == 7


FINAL = [
    SubmitInDoubt("the answer was lost"),
    Unreachable("reset", sent=True),
    BadAnswer("no JSON"),
    AuthenticationFailed("wrong key"),
    RequestRefused("too long"),
    RuntimeError("a bug in an adapter"),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_anything_else_is_never_sent_again(error: Exception) -> None:
    """It may be paid for, or would fail again: one request, and the error as it was raised."""
    provider = TimedProvider(song, refuse=first(1, error))
    async with submitting(provider) as send:
        proves_nothing = isinstance(error, (Unreachable, BadAnswer, RuntimeError))
        expected = SubmitInDoubt if proves_nothing else type(error)
        with pytest.raises(expected) as caught:
            await send()
        assert error in (caught.value, caught.value.__cause__)
        await anyio.sleep(600)
        assert len(provider.sent) == 1


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_at_most_so_many_are_on_the_wire(concurrency: int) -> None:
    """With errors and repeats in between, and the lane is used to the full."""
    source = random.Random(1)
    provider = TimedProvider(
        song, submit_time=1.0, refuse=lambda _: UNSENT if source.random() < 0.3 else None
    )
    async with (
        submitting(provider, concurrency=concurrency) as send,
        anyio.create_task_group() as users,
    ):
        for _ in range(30):
            users.start_soon(send)
    assert len(provider.completes_at) == 30
    assert provider.most_on_wire == concurrency


# Cancelled callers


async def test_a_caller_cancelled_before_its_turn_sends_nothing() -> None:
    """It was in the queue, and it is gone; those behind it move up."""
    provider = TimedProvider(song, submit_time=10.0)
    async with submitting(provider, concurrency=1) as send, anyio.create_task_group() as users:
        users.start_soon(send)
        await anyio.sleep(1)
        with anyio.move_on_after(5) as scope:
            await send()
        assert scope.cancelled_caught
        await send()
    assert provider.sent == [0.0, 10.0]


async def test_a_caller_cancelled_at_once_leaves_its_key_free() -> None:
    """Whether or not its task had begun: the next who asks for that job is not kept waiting."""
    provider = TimedProvider(song)
    asked = SongRequest(description="a song", key="mine")
    async with Client(provider) as client:
        for _ in range(20):  # trio begins tasks in any order
            with anyio.CancelScope() as scope:
                scope.cancel()
                await client.submit(asked)
        with anyio.fail_after(60):
            await client.submit(asked)
    assert len(provider.sent) == 1


async def test_an_answer_that_names_another_jobs_task_is_a_doubt(tmp_path: Path) -> None:
    """A refusal may name what is running: to take its songs for these would lose a song."""

    class Repeating(TimedProvider):
        async def submit(
            self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
        ) -> str:
            await super().submit(http, request, callback)
            return "0"

    for journal in (MemoryJournal(), SqliteJournal(tmp_path / "songs.db", threaded=False)):
        async with Client(Repeating(song), journal=journal) as client:
            first = await client.submit(SONG)
            with pytest.raises(SubmitInDoubt, match="task 0, which is that of another job"):
                await client.submit(SONG)
            assert len(await first.songs()) == 1
            assert len(await client.doubts()) == 1


async def test_a_client_whose_tasks_have_ended_refuses_each_who_asks() -> None:
    """The second one for the same job is not kept waiting for the first."""
    provider = TimedProvider(song)
    asked = SongRequest(description="a song", key="mine")
    async with Client(provider) as client:
        client._session().submitter.tasks.cancel_scope.cancel()
        for _ in range(2):
            with anyio.fail_after(60), pytest.raises(ClientClosed):
                await client.submit(asked)
    assert provider.sent == []


async def test_a_job_that_another_ends_names_no_task_of_its_own() -> None:
    """Its error is that of the batch, about a request that was not sent."""
    why = AuthenticationFailed(
        "the key is unknown", task_id="another's", job_key="another", charged="yes"
    )
    provider = TimedProvider(song)
    async with Client(provider) as client:
        submitter = client._session().submitter
        with pytest.raises(AuthenticationFailed, match="the key is unknown") as caught:
            await submitter.submit(SONG, "mine", is_new=True, stopped_by=why)
    error = caught.value
    assert (error.task_id, error.job_key, error.charged) == (None, "mine", "no")
    assert provider.sent == []


async def test_a_caller_cancelled_while_held_back_sends_nothing() -> None:
    """The wait of a 429 is before its turn, and its place is free again."""
    limited = RateLimited("slow down", retry_after=100.0)
    provider = TimedProvider(song, refuse=first(1, limited))
    async with submitting(provider, concurrency=1) as send:
        with anyio.move_on_after(50) as scope:
            await send()
        assert scope.cancelled_caught
        await send()
    assert provider.sent == [0.0, 100.0]


async def test_a_caller_cancelled_on_the_wire_leaves_a_song_that_is_watched() -> None:
    """The request ends by itself, and the poller looks at the song until it is done."""
    provider = TimedProvider(song, submit_time=10.0)
    async with Client(provider) as client:
        with anyio.move_on_after(5) as scope:
            await client.submit(SONG)
        assert scope.cancelled_caught
        await anyio.sleep(100)
        assert provider.seen_at.keys() == {"0"}
    assert len(provider.sent) == 1


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"])
async def test_a_native_cancel_on_the_wire_leaves_a_song_that_is_watched() -> None:
    """`task.cancel()` and `asyncio.timeout` are no exception."""
    provider = TimedProvider(song, submit_time=10.0)
    async with Client(provider) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await client.submit(SONG)
        caller = asyncio.create_task(client.submit(SONG))
        await anyio.sleep(1)
        caller.cancel()
        await anyio.sleep(100)
        assert provider.seen_at.keys() == {"0", "1"}


# Closing


async def close_over(provider: TimedProvider, callers: int) -> tuple[list[Job], list[Exception]]:
    """Close a client after a second, with callers from outside on the wire and in the queue."""
    jobs: list[Job] = []
    errors: list[Exception] = []

    async def call(client: Client) -> None:
        try:
            jobs.append(await client.submit(SONG))
        except UdioError as error:
            errors.append(error)

    async with (
        anyio.create_task_group() as users,
        Client(provider, submit_concurrency=2) as client,
    ):
        for _ in range(callers):
            users.start_soon(call, client)
        await anyio.sleep(1)
    return jobs, errors


async def test_closing_waits_for_what_is_on_the_wire_and_sends_nothing_more() -> None:
    """Two were on the wire, and their ids come home; three waited, and hear that it is over."""
    provider = TimedProvider(song, submit_time=10.0)
    jobs, errors = await close_over(provider, 5)
    assert len(provider.sent) == 2
    assert sorted(job.task_id for job in jobs) == ["0", "1"]
    assert [str(error) for error in errors] == [
        "the client was closed before the request left; nothing was sent"
    ] * 3


async def test_who_comes_while_it_closes_sends_nothing() -> None:
    """As a batch may that has the session already: there would be a place for one more."""
    provider = TimedProvider(song, submit_time=10.0)
    async with anyio.create_task_group() as users, Client(provider) as client:
        session = client._session()

        async def come_late() -> None:
            await anyio.sleep(5)
            with pytest.raises(ClientClosed) as caught:
                await session.submit(SONG)
            assert caught.value.charged == "no"

        users.start_soon(client.submit, SONG)
        users.start_soon(come_late)
        await anyio.sleep(1)
    assert provider.sent == [0.0]


async def test_closing_does_not_wait_for_the_end_of_a_hold() -> None:
    """Who was told to wait 500 seconds is let go at once."""
    limited = RateLimited("slow down", retry_after=500.0)
    _, errors = await close_over(TimedProvider(song, refuse=first(1, limited)), 1)
    assert isinstance(errors[0], ClientClosed)
    assert anyio.current_time() < 2


async def test_closing_does_not_wait_for_ever() -> None:
    """A submit that nobody answers is let go after half a minute, and may be paid for."""
    _, errors = await close_over(TimedProvider(song, submit_time=1e6), 1)
    assert [type(error) for error in errors] == [SubmitInDoubt]
    assert 30 <= anyio.current_time() < 40


@pytest.mark.parametrize("at", [5, 25], ids=["in the body", "while leaving"])
async def test_a_cancellation_around_the_client_leaves_the_paid_request_its_answer(at: int) -> None:
    """It is on the wire for 30 s, and its id is kept, whoever stops waiting for it."""
    provider, journal = TimedProvider(song, submit_time=30.0), KeptAccepted()
    with anyio.move_on_after(at):
        await leave_over(provider, journal)
    assert journal.accepted == ["0"]


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"])
@pytest.mark.parametrize("at", [5, 25], ids=["in the body", "while leaving"])
async def test_a_native_timeout_around_the_client_leaves_the_paid_request_its_answer(
    at: int,
) -> None:
    """`asyncio.timeout` cancels the task, whatever shields it has."""
    provider, journal = TimedProvider(song, submit_time=30.0), KeptAccepted()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(at):
            await leave_over(provider, journal)
    assert journal.accepted == ["0"]


class KeptAccepted(MemoryJournal):
    """Remembers which ids were kept."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[str | None] = []

    async def put(self, entry: Entry, *, expected: State) -> None:
        await super().put(entry, expected=expected)
        if entry.state is State.ACCEPTED:
            self.accepted.append(entry.task_id)


async def leave_over(provider: TimedProvider, journal: MemoryJournal) -> None:
    """Leave a client after 20 s, with a submit on the wire."""

    async def call(client: Client) -> None:
        with suppress(UdioError):
            await client.submit(SONG)

    async with (
        anyio.create_task_group() as users,
        Client(provider, journal=journal) as client,
    ):
        users.start_soon(call, client)
        await anyio.sleep(20)


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")], ids=["asyncio"])
async def test_an_adapter_that_awaits_a_cancelled_task_makes_a_doubt_that_counts() -> None:
    """It may have posted the song before."""
    provider = TimedProvider(song)
    provider.refuse = lambda _: asyncio.CancelledError()  # type: ignore[assignment,return-value]
    async with Client(provider, max_submits=1) as client:
        with pytest.raises(SubmitInDoubt, match="awaited a task that was cancelled") as caught:
            await client.submit(attrs.evolve(SONG, key="mine"))
        assert caught.value.job_key == "mine"
        with pytest.raises(SpendLimitReached):
            await client.submit("another")
