"""One scheduler for all songs, on clocks that jump."""

import asyncio
import random
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import anyio
import attrs
import httpx
import pytest
import trio

from tests.kit.clocks import block, virtual_backend
from tests.kit.timed import NO_HTTP, SONG, Look, TimedProvider, over, polling, submitted
from udio_async import (
    AccountError,
    AuthenticationFailed,
    BadAnswer,
    Client,
    Event,
    Failure,
    GenerationFailed,
    InsufficientCredits,
    Job,
    PollPolicy,
    RateLimited,
    RequestRefused,
    SongRequest,
    Stage,
    Task,
    UdioApiV2,
    UdioError,
    Unreachable,
    WaitExpired,
)
from udio_async._events import Teller
from udio_async._http import Http
from udio_async._polling import TrackedTask
from udio_async._polling.agenda import Agenda
from udio_async._polling.poller import _LOOKS_AT_ONCE, Poller
from udio_async._polling.schedule import Schedule
from udio_async._polling.timetable import Timetable

Backend = tuple[str, Mapping[str, Any]]
AWAY = Unreachable("no route")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(11)  # of the jitter and the back-off


def until(end: float, error: Exception) -> Callable[[float], Exception | None]:
    return lambda now: error if now < end else None


def between(start: float, end: float, error: Exception) -> Callable[[float], Exception | None]:
    return lambda now: error if start <= now < end else None


def most_within_a_second(moments: Sequence[float]) -> int:
    """The fullest window of one second, wherever it begins."""
    moments = sorted(moments)
    return max(bisect_left(moments, at + 1.0) - i for i, at in enumerate(moments))


def looks_at(provider: TimedProvider, task_id: str) -> list[float]:
    return [look.at for look in provider.looks if task_id in look.task_ids]


def count_tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


def nobody(_: TrackedTask) -> None:
    """Who hears that songs were handed out."""


# Noticing


async def test_a_finished_song_is_noticed() -> None:
    """Soon after it was done, with its songs, and then it is looked at no more."""
    provider = TimedProvider(lambda _: 70.0)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        assert watch.error is None
        assert watch.task.stage is Stage.COMPLETE
        assert [song.id for song in watch.task.songs] == ["song-0"]
        assert 0 <= provider.lags[0] < 15
        looks = len(provider.looks)
        await anyio.sleep(3600)
        assert len(provider.looks) == looks


async def test_a_failed_song_ends_with_its_reason() -> None:
    """The failure of the task is the error of the wait, with the id."""

    def fail(tasks: list[Task], now: float) -> list[Task]:
        return [attrs.evolve(task, stage=Stage.FAILED) for task in tasks]

    provider = TimedProvider(lambda _: 70.0, retouch=fail)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert isinstance(watch.error, GenerationFailed)
    assert watch.error.task_id == "0"


def test_a_look_that_is_planned_anew_replaces_the_one_before() -> None:
    """Else its time would stand first, and a look before all that is left would wake nobody."""
    provider = TimedProvider(lambda _: 60.0)
    schedule = Timetable(provider.traits, PollPolicy()).schedule_for("timed")
    one, other = (
        TrackedTask(
            task=Task(id=name, provider="timed", stage=Stage.QUEUED),
            schedule=schedule,
            accepted_at=0.0,
            looked_at=0.0,
            outages_before=0.0,
        )
        for name in ("one", "other")
    )
    agenda = Agenda()
    agenda.put(one, 10.0)
    agenda.put(one, 20.0)
    assert agenda.next_due == 20.0
    assert agenda.put(other, 15.0)
    agenda.remove(other)
    assert agenda.take(5, lambda *_: True) == [one]
    assert agenda.next_due == float("inf")


async def test_thousands_of_songs_are_heap_entries_and_a_handful_of_tasks() -> None:
    """A waiting song has no task: only the scheduler and the looks on the wire have one."""
    counts = []

    def count(tasks: list[Task], now: float) -> list[Task]:
        counts.append(count_tasks())
        return tasks

    provider = TimedProvider(lambda _: 100.0, max_ids_per_look=20, answer_time=0.1, retouch=count)
    before = count_tasks()
    async with polling(provider, PollPolicy(look_cost=20)) as poller:
        watches = [await submitted(provider, poller) for _ in range(3_000)]
        assert len(poller._agenda) == 3_000
        await over(*watches)
        assert not poller._agenda
    assert len(provider.seen_at) == 3_000
    assert before < max(counts) <= before + 1 + _LOOKS_AT_ONCE


# What ends nothing

UNFORESEEN = [
    RuntimeError("a bug in an adapter"),
    KeyError("id"),
    TimeoutError(),
    ExceptionGroup("two", [ValueError(), OSError()]),
    BadAnswer("no JSON"),
    RateLimited("slow down"),
    AWAY,
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
async def test_an_exception_of_a_look_ends_nothing(error: Exception) -> None:
    """Neither this song nor another, whether the exception is one of ours or not."""
    await all_end_well_in_spite_of(error)


async def all_end_well_in_spite_of(error: Exception) -> None:
    """Look at three songs, of which the first looks raise the error."""
    provider = TimedProvider(lambda _: 70.0, broken=until(60, error))
    async with polling(provider) as poller:
        watches = [await submitted(provider, poller) for _ in range(3)]
        await over(*watches)
    assert [watch.error for watch in watches] == [None] * 3
    assert any(look.at < 60 for look in provider.looks)


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio")])
async def test_a_cancelled_task_that_an_adapter_awaits_ends_nothing() -> None:
    """It comes out of a look that nobody has cancelled, which is then one look that failed."""
    cancelled: Any = asyncio.CancelledError()
    await all_end_well_in_spite_of(cancelled)


async def test_an_answer_that_is_no_task_ends_nothing() -> None:
    """An adapter of somebody else's may be wrong in any way; the next look is another chance."""
    wrong: list[Any] = [None, [None], ["0"], 7]

    def answer(tasks: list[Task], now: float) -> Any:  # noqa: ANN401  # that is the point
        return wrong.pop() if wrong else tasks

    provider = TimedProvider(lambda _: 70.0, retouch=answer)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert watch.error is None
    assert not wrong


async def test_a_stage_as_text_is_that_stage() -> None:
    """An adapter of somebody else's may write "complete": stages are text, too."""

    def spell(tasks: list[Task], now: float) -> list[Task]:
        return [attrs.evolve(task, stage=task.stage.value) for task in tasks]

    provider = TimedProvider(lambda _: 70.0, retouch=spell)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert watch.task.stage is Stage.COMPLETE
    with pytest.raises(ValueError, match="done"):
        attrs.evolve(watch.task, stage="done")


ODD: Mapping[str, Mapping[str, Any]] = {
    "a reason as text": {"stage": Stage.FAILED, "error": "too long"},
    "no songs at all": {"stage": Stage.PROCESSING, "status_known": False, "songs": None},
    "songs as text": {"stage": Stage.PROCESSING, "settling": True, "songs": ("one", "other")},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize("at_once", [1, 5])
async def test_one_task_that_makes_no_sense_ends_no_other_wait(
    odd: Mapping[str, Any], at_once: int
) -> None:
    """It is looked at again, alone, and its wait ends with the deadline and the reason."""

    def spoil(tasks: list[Task], now: float) -> list[Task]:
        return [attrs.evolve(task, **odd) if task.id == "0" else task for task in tasks]

    provider = TimedProvider(lambda _: 70.0, retouch=spoil, max_ids_per_look=at_once)
    async with polling(provider, PollPolicy(deadline=600)) as poller:
        watches = [await submitted(provider, poller) for _ in range(3)]
        await over(*watches)
    assert [watch.error for watch in watches[1:]] == [None, None]
    assert isinstance(watches[0].error, WaitExpired)
    assert "no look told more" in str(watches[0].error)
    assert looks_at(provider, "0")[-1] >= 500


async def test_a_task_that_can_be_read_again_ends_well() -> None:
    """One odd answer is no verdict."""

    def spoil_early(tasks: list[Task], now: float) -> list[Task]:
        odd = ODD["a reason as text"] if now < 60 else {}
        return [attrs.evolve(task, **odd) for task in tasks]

    provider = TimedProvider(lambda _: 70.0, retouch=spoil_early)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert looks_at(provider, "0")[0] < 60
    assert watch.error is None


async def test_songs_that_cannot_be_kept_end_their_own_wait_only() -> None:
    """Who waits for them hears of the end, and the client goes on."""

    songs: Any = ("one",)

    def spoil(tasks: list[Task], now: float) -> list[Task]:
        return [
            attrs.evolve(task, songs=songs) if task.id == "0" and task.songs else task
            for task in tasks
        ]

    provider = TimedProvider(lambda _: 70.0, retouch=spoil)
    async with Client(provider) as client:
        job = await client.submit(SONG)
        with anyio.fail_after(3600), pytest.raises(AttributeError):
            await job.songs()
        assert [song.id for song in await client.generate(SONG)] == ["song-1"]


async def test_a_cancelled_waiter_ends_nothing() -> None:
    """The song is looked at on, for the next one who asks."""
    provider = TimedProvider(lambda _: 70.0)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        job = Job(SONG, watch, nobody)
        with anyio.move_on_after(30) as scope:
            await job.songs()
        assert scope.cancelled_caught
        assert [song.id for song in await job.songs()] == ["song-0"]


async def test_one_unreadable_task_does_not_keep_the_answers_of_the_others() -> None:
    """It spoils the answer for all that were asked about with it, so each is asked about alone."""

    def choke(tasks: list[Task], now: float) -> list[Task]:
        if any(task.id == "7" for task in tasks):
            raise BadAnswer("task 7 is of a shape that nobody knows")
        return tasks

    provider = TimedProvider(lambda _: 70.0, max_ids_per_look=20, retouch=choke)
    async with polling(provider, PollPolicy(deadline=600)) as poller:
        watches = [await submitted(provider, poller) for _ in range(20)]
        with anyio.fail_after(150):
            await over(*(watch for watch in watches if watch.task_id != "7"))
        assert 7 in {place for place, watch in enumerate(watches) if not watch.over}
        # New songs keep the provider answering: the odd one ends by its own time all the same.
        while anyio.current_time() < 800:
            await over(await submitted(provider, poller))
        assert watches[7].over
    assert isinstance(watches[7].error, WaitExpired)
    assert all(watch.error is None for watch in watches if watch.task_id != "7")


# Forward only

SCRIPT = [
    Stage.PROCESSING,
    Stage.FIRST_AUDIO,
    Stage.TEXT_READY,
    Stage.QUEUED,
    Stage.FIRST_AUDIO,
    Stage.PROCESSING,
    Stage.COMPLETE,
    Stage.QUEUED,
]


def scripted(stages: Sequence[Stage]) -> TimedProvider:
    """A song that shows these stages, one for each look."""
    script = iter(stages)

    def show(tasks: list[Task], now: float) -> list[Task]:
        return [attrs.evolve(task, stage=next(script)) for task in tasks]

    return TimedProvider(lambda _: 0.0, retouch=show)


async def test_a_task_never_moves_backwards_and_each_step_comes_once() -> None:
    """Whatever the provider says next, `updates` shows steps forward only."""
    provider = scripted(SCRIPT)
    advanced = []

    def note(event: Event) -> None:
        if event.kind == "advanced" and event.task:
            advanced.append(event.task.stage)

    async with polling(provider, observer=note) as poller:
        job = Job(SONG, await submitted(provider, poller), nobody)
        stages = [task.stage async for task in job.updates()]
        assert stages == [Stage.PROCESSING, Stage.FIRST_AUDIO, Stage.COMPLETE]
        assert job.task.stage is Stage.COMPLETE
        assert [task.stage async for task in job.updates()] == [Stage.COMPLETE]
    assert advanced == stages[:-1]


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_of_answers_gives_a_rising_row_of_updates(seed: int) -> None:
    """Random stages, and every listener sees a rising row that ends with the end."""
    source = random.Random(seed)
    running = [stage for stage in Stage if not stage.is_final]
    provider = scripted([*source.choices(running, k=8), Stage.COMPLETE])
    async with polling(provider) as poller:
        job = Job(SONG, await submitted(provider, poller), nobody)
        stages = [task.stage async for task in job.updates()]
    assert all(earlier.is_before(later) for earlier, later in pairwise(stages))
    assert stages[-1] is Stage.COMPLETE


@pytest.mark.parametrize("heard", [True, False])
async def test_a_settling_task_is_taken_as_it_is_after_the_grace(heard: bool) -> None:
    """Complete where any song can be listened to, failed where none can; not before."""

    def settle(tasks: list[Task], now: float) -> list[Task]:
        stage = Stage.FIRST_AUDIO if heard else Stage.PROCESSING
        songs = [task.songs if heard else () for task in tasks]
        return [
            attrs.evolve(task, stage=stage, settling=True, songs=its)
            for task, its in zip(tasks, songs, strict=True)
        ]

    provider = TimedProvider(lambda _: 0.0, retouch=settle, settle=40.0)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        waited = anyio.current_time() - provider.looks[0].at
    assert watch.task.stage is (Stage.COMPLETE if heard else Stage.FAILED)
    assert isinstance(watch.error, GenerationFailed) is not heard
    assert heard or "it has no songs" in str(watch.error)
    assert 40 <= waited < 80


async def test_a_task_that_went_on_after_all_settles_anew() -> None:
    """It looked like its end, then it did not: what it shows at last has to last."""

    def settle(tasks: list[Task], now: float) -> list[Task]:
        settling = len(provider.looks) != 2
        return [attrs.evolve(task, stage=Stage.FIRST_AUDIO, settling=settling) for task in tasks]

    provider = TimedProvider(lambda _: 0.0, retouch=settle, settle=40.0)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        waited = anyio.current_time() - provider.looks[2].at
    assert watch.task.stage is Stage.COMPLETE
    assert 40 <= waited < 80


@pytest.mark.parametrize("settling", [True, False])
async def test_a_task_that_is_not_shown_any_more_is_looked_at_as_any_other(settling: bool) -> None:
    """Also where the next look at it was to decide: about as often as its schedule says."""

    def leave_out(tasks: list[Task], now: float) -> list[Task]:
        shown = tasks if len(provider.looks) == 1 else []
        return [attrs.evolve(task, stage=Stage.FIRST_AUDIO, settling=settling) for task in shown]

    provider = TimedProvider(lambda _: 0.0, retouch=leave_out, settle=40.0)
    async with polling(provider, PollPolicy(deadline=1800.0)) as poller:
        await over(await submitted(provider, poller))
    assert len(provider.looks) < 100


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_settled_task_without_audio_says_so(streamed: bool) -> None:
    """The error of the task is that of its songs, also where a stream was heard of before."""

    def settle(tasks: list[Task], now: float) -> list[Task]:
        if streamed and len(provider.looks) == 1:
            return [attrs.evolve(task, stage=Stage.FIRST_AUDIO) for task in tasks]
        return [
            attrs.evolve(
                task,
                stage=Stage.PROCESSING,
                settling=True,
                songs=tuple(
                    attrs.evolve(song, stage=Stage.PROCESSING, audio_url=None)
                    for song in task.songs
                ),
            )
            for task in tasks
        ]

    provider = TimedProvider(lambda _: 0.0, retouch=settle, settle=40.0)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert isinstance(watch.error, GenerationFailed)
    assert "no audio" in str(watch.error)


# Fewer songs than usual


def with_second(task: Task) -> Task:
    """The task with a second song, made of the first."""
    (first,) = task.songs
    return attrs.evolve(task, songs=(first, attrs.evolve(first, id="second", index=1)))


@pytest.mark.parametrize("failed_first", [False, True])
async def test_a_song_that_is_listed_later_is_waited_for(failed_first: bool) -> None:
    """Usually there are two: a task that shows one is not over yet, also if that one has failed."""
    lost = Failure(message="internal error")

    def listed_late(tasks: list[Task], now: float) -> list[Task]:
        if not tasks[0].stage.is_final:
            return tasks
        if len(listed) == 1:
            return [with_second(task) for task in tasks]
        listed.append(now)
        if not failed_first:
            return tasks
        songs = (attrs.evolve(tasks[0].songs[0], stage=Stage.FAILED, error=lost),)
        return [attrs.evolve(tasks[0], stage=Stage.FAILED, songs=songs, error=lost)]

    listed: list[float] = []
    provider = TimedProvider(lambda _: 40.0, retouch=listed_late, songs_per_request=2)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        waited = anyio.current_time() - listed[0]
    assert (watch.error, len(watch.task.songs)) == (None, 2)
    assert waited <= 10


async def test_a_single_song_comes_after_the_grace_and_shifts_no_later_look() -> None:
    """Some requests make one only: it costs few looks, and the wait does not count as its time."""
    provider = TimedProvider(lambda _: 40.0, songs_per_request=2)
    async with polling(provider) as poller:
        for _ in range(20):
            await over(await submitted(provider, poller))
        begun, looked = anyio.current_time(), len(provider.looks)
        watch = await submitted(provider, poller)
        await over(watch)
    assert (watch.error, len(watch.task.songs)) == (None, 1)
    first_seen = provider.seen_at[watch.task_id]
    assert first_seen - begun < 50
    assert 10 <= anyio.current_time() - first_seen < 15
    assert watch.took == pytest.approx(40.0, abs=6.0)
    looks = [look.at for look in provider.looks[looked:] if look.at >= first_seen]
    assert len(looks) <= 4


def flapping(tasks: list[Task], now: float) -> list[Task]:
    """The tasks as a service shows them that asks two copies of its books in turn."""
    if not (round(now) % 2 and tasks[0].stage.is_final):
        return tasks
    return [attrs.evolve(one, stage=Stage.PROCESSING, songs=()) for one in tasks]


@pytest.mark.parametrize(
    "error",
    [InsufficientCredits("used up"), AuthenticationFailed("revoked"), RequestRefused("not found"),
     Unreachable("no route"), None],
    ids=["no credits", "wrong key", "not known", "away", "behind"],
)  # fmt: skip
async def test_a_whole_song_is_handed_out_though_no_look_tells_of_another(
    error: UdioError | None,
) -> None:
    """What comes of the looks after it cannot take it away, and does not hold it back."""

    provider = TimedProvider(lambda _: 40.0, songs_per_request=2)

    def breaks(now: float) -> UdioError | None:
        seen = provider.seen_at.values()
        return error if seen and now > min(seen) else None

    provider.broken = breaks
    if error is None:
        provider.retouch = flapping
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        waited = anyio.current_time() - provider.seen_at[watch.task_id]
    assert (watch.error, watch.task.stage, len(watch.task.songs)) == (None, Stage.COMPLETE, 1)
    assert waited < 25


async def test_a_task_that_says_it_failed_is_over_at_once() -> None:
    """However few songs it shows: it says itself that no other comes."""

    def failed(tasks: list[Task], _now: float) -> list[Task]:
        error = Failure(message="no luck")
        return [attrs.evolve(one, stage=Stage.FAILED, status="FAILED", error=error)
                for one in tasks]  # fmt: skip

    provider = TimedProvider(lambda _: 0.0, retouch=failed, songs_per_request=2)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert isinstance(watch.error, GenerationFailed)
    assert len(provider.looks) == 1


# Many in one look


async def gather(due: int) -> list[int]:
    """How many are taken at once when so many are due."""
    provider = TimedProvider(lambda _: 70.0, max_ids_per_look=20)
    sizes = []
    async with anyio.create_task_group() as tasks:
        poller = Poller(  # it does not run
            provider, NO_HTTP, tasks, policy=PollPolicy(), tell=Teller(provider.name)
        )
        for _ in range(due):
            await submitted(provider, poller)
        while batch := poller._take(1e6):
            sizes.append(len(batch))
    return sizes


async def test_due_songs_are_gathered_and_never_leave_a_single_one() -> None:
    """As many as one request may ask about; 21 are 19 and 2."""
    assert await gather(1) == [1]
    assert await gather(21) == [19, 2]
    for due in [*range(2, 64), 2_001]:
        sizes = await gather(due)
        assert sum(sizes) == due
        assert len(sizes) == -(-due // 20)
        assert 1 < min(sizes) <= max(sizes) <= 20


async def test_answers_are_matched_by_id_in_any_order() -> None:
    """Shuffled, doubled, with strangers in between: every song is told its own news."""
    source = random.Random(5)

    def shuffle(tasks: list[Task], now: float) -> list[Task]:
        stranger = Task(id="stranger", provider="timed", stage=Stage.COMPLETE)
        return source.sample([*tasks, tasks[0], stranger], k=len(tasks) + 2)

    provider = TimedProvider(lambda n: 20.0 + 7 * n, max_ids_per_look=20, retouch=shuffle)
    async with polling(provider) as poller:
        watches = [await submitted(provider, poller) for _ in range(30)]
        await over(*watches)
    for watch in watches:
        assert [song.task_id for song in watch.task.songs] == [watch.task_id]
        assert looks_at(provider, watch.task_id)[-1] >= provider.completes_at[watch.task_id]


async def test_an_id_missing_from_an_answer_is_asked_about_alone() -> None:
    """As long as it is missing; once it has been seen it may ride with others again."""

    def forget(tasks: list[Task], now: float) -> list[Task]:
        return [task for task in tasks if task.id != "3" or len(tasks) == 1]

    provider = TimedProvider(lambda _: 300.0, max_ids_per_look=20, retouch=forget)
    async with polling(provider) as poller:
        watches = [await submitted(provider, poller) for _ in range(10)]
        await over(*watches)
    about_it = [look.task_ids for look in provider.looks if "3" in look.task_ids]
    assert len(about_it[0]) > 1
    assert ("3",) in about_it
    for earlier, later in pairwise(about_it):
        assert len(earlier) == 1 or len(later) == 1
    assert any(len(later) > 1 for later in about_it[1:])


async def run_staggered(max_ids: int) -> TimedProvider:
    provider = TimedProvider(lambda _: 120.0, max_ids_per_look=max_ids)
    async with polling(provider) as poller:
        watches = []
        for _ in range(40):
            watches.append(await submitted(provider, poller))
            await anyio.sleep(0.5)
        await over(*watches)
    return provider


async def test_nearly_due_songs_ride_along() -> None:
    """A request with room takes them too: far fewer requests, and no song looked at too often."""
    single, many = await run_staggered(1), await run_staggered(20)
    assert len(many.looks) < len(single.looks) / 3
    for provider in (single, many):
        assert any(len(looks_at(provider, task_id)) > 1 for task_id in provider.completes_at)
        for task_id in provider.completes_at:
            looks = looks_at(provider, task_id)
            assert all(later - earlier >= 4.99 for earlier, later in pairwise(looks))


# Trouble


async def run_outage(songs: int) -> list[Look]:
    """Songs of 50 minutes, and nobody answers from 300 to 900 seconds: the looks from 300 on."""
    provider = TimedProvider(
        lambda _: 3000.0,
        max_ids_per_look=20,
        typical_duration=600.0,
        answer_time=0.05,
        broken=between(300, 900, AWAY),
    )
    async with polling(provider) as poller:
        watches = []
        for _ in range(100):
            watches += [await submitted(provider, poller) for _ in range(songs // 100)]
            await anyio.sleep(1)
        await anyio.sleep(1000 - anyio.current_time())
        assert not any(watch.over for watch in watches)
    return [look for look in provider.looks if look.at >= 300]


BOUND = 60
"""Looks in one second: three times the 20 at which a backlog is worked off."""


async def test_an_outage_costs_few_looks_no_song_and_ends_without_a_burst() -> None:
    """3,000 songs: one probe at a time for ten minutes, then a minute until all were seen."""
    looks = await run_outage(3_000)
    during = [look for look in looks if look.at < 900]
    assert 20 < len(during) <= 200
    soon = [look for look in looks if 900 <= look.at < 960]
    assert len(set().union(*(look.task_ids for look in soon))) == 3_000
    assert most_within_a_second([look.at for look in soon]) <= BOUND


async def test_without_the_spread_its_end_would_be_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: everything goes out as fast as eight looks at once allow."""
    monkeypatch.setattr(Poller, "_spread", lambda *_: None)
    looks = await run_outage(2_000)
    assert most_within_a_second([look.at for look in looks if look.at >= 900]) > BOUND


async def test_a_wait_asked_for_holds_for_every_song() -> None:
    """429 with 120 seconds: nobody is asked about before they are over."""
    refused: list[float] = []

    def refuse_once(now: float) -> Exception | None:
        if refused or now < 30:
            return None
        refused.append(now)
        return RateLimited("slow down", retry_after=120.0)

    provider = TimedProvider(lambda _: 500.0, broken=refuse_once)
    async with polling(provider) as poller:
        watches = [await submitted(provider, poller) for _ in range(5)]
        await over(*watches)
    at = refused[0]
    assert not [look for look in provider.looks if at < look.at < at + 120]
    assert all(watch.error is None for watch in watches)


async def run_blocked() -> list[float]:
    """2,000 songs, and an event loop that stands still for five minutes."""
    provider = TimedProvider(lambda _: 3000.0, max_ids_per_look=5, typical_duration=600.0)
    async with polling(provider) as poller:
        for _ in range(2_000):
            await submitted(provider, poller)
            await anyio.sleep(0.05)
        await anyio.sleep(200 - anyio.current_time())
        block(300)
        await anyio.sleep(100)
    return [look.at for look in provider.looks if look.at >= 500]


async def test_a_blocked_loop_is_not_followed_by_a_burst() -> None:
    """What piled up while nobody ran is spread over some time."""
    assert most_within_a_second(await run_blocked()) <= BOUND


async def test_without_the_spread_a_blocked_loop_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: all that is late goes out at once."""
    monkeypatch.setattr(Poller, "_spread", lambda *_: None)
    assert most_within_a_second(await run_blocked()) > BOUND


# Giving up


async def test_a_song_is_given_up_at_its_deadline_with_its_id() -> None:
    """At about the deadline, after a last look, with words that say what to do."""
    provider = TimedProvider(lambda _: 1e6)
    async with polling(provider, PollPolicy(deadline=200)) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        assert 200 <= anyio.current_time() <= 210
    assert isinstance(watch.error, WaitExpired)
    assert watch.error.task_id == "0"
    assert watch.error.charged == "yes"
    assert "look again with this id" in str(watch.error)


async def test_an_outage_does_not_count_as_waiting() -> None:
    """Nobody could be asked for 300 seconds, so the song has 300 seconds more."""
    provider = TimedProvider(lambda _: 1e6, broken=between(50, 350, AWAY))
    async with polling(provider, PollPolicy(deadline=400)) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        assert 690 <= anyio.current_time() <= 740
    assert isinstance(watch.error, WaitExpired)


async def test_a_song_accepted_during_an_outage_gets_its_whole_time() -> None:
    """The part of the outage before it was born is not taken for its own."""
    provider = TimedProvider(lambda _: 1e6, broken=between(50, 350, AWAY))
    async with polling(provider, PollPolicy(deadline=400)) as poller:
        await submitted(provider, poller)
        await anyio.sleep(250)
        late = await submitted(provider, poller)
        await over(late)
        assert 740 <= anyio.current_time() <= 790


async def test_a_provider_that_stays_away_ends_the_wait_after_one_deadline() -> None:
    """Without a single answer in all that time there is nothing to hope for."""
    provider = TimedProvider(lambda _: 60.0, broken=until(1e9, AWAY))
    async with polling(provider, PollPolicy(deadline=200)) as poller:
        watches = [await submitted(provider, poller) for _ in range(3)]
        await over(*watches)
        assert 200 <= anyio.current_time() <= 230
    errors = [watch.error for watch in watches]
    assert all(isinstance(error, WaitExpired) for error in errors)
    assert [error.task_id for error in errors if error] == ["0", "1", "2"]


@pytest.mark.parametrize("others", [0, 40])
async def test_slow_answers_keep_the_deadline(others: int) -> None:
    """Each look takes 25 seconds; the wait ends with the last one, whatever else is answered."""
    provider = TimedProvider(lambda n: 60.0 if n else 1e6, answer_time=25.0)
    async with polling(provider, PollPolicy(deadline=600)) as poller:
        stuck = await submitted(provider, poller)
        for _ in range(others):
            await submitted(provider, poller)
            await anyio.sleep(10)
        with anyio.fail_after(1000):
            await over(stuck)
        assert 600 <= anyio.current_time() <= 635
    assert isinstance(stuck.error, WaitExpired)


async def test_a_slow_answer_to_the_last_look_still_counts() -> None:
    """The song was done just before its deadline, and a look may take as long as any call."""
    provider = TimedProvider(lambda _: 595.0, answer_time=25.0)
    async with polling(provider, PollPolicy(deadline=600)) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert watch.error is None


async def test_every_song_has_a_last_look_where_looks_are_slow() -> None:
    """All are done after a minute, and to ask about each once takes longer than the deadline."""
    provider = TimedProvider(lambda _: 60.0, answer_time=25.0)
    async with polling(provider, PollPolicy(deadline=400)) as poller:
        watches = [await submitted(provider, poller) for _ in range(200)]
        await over(*watches)
        assert anyio.current_time() > 450
    assert [watch.error for watch in watches] == [None] * 200


@pytest.mark.parametrize("error", [AWAY, BadAnswer("no JSON"), AuthenticationFailed("no")])
async def test_a_last_look_that_fails_is_the_last(error: Exception) -> None:
    """The time of the song was up before there was any trouble."""
    provider = TimedProvider(lambda _: 1e6, broken=between(199, 1e9, error))
    async with polling(provider, PollPolicy(deadline=200)) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        assert 200 <= anyio.current_time() <= 206
    assert isinstance(watch.error, WaitExpired)
    assert str(error).rstrip(".") in str(watch.error)


async def test_an_outage_in_which_looks_time_out_does_not_count_from_when_they_left() -> None:
    """It began 20 seconds before the deadline, and the first look took 30 to fail."""

    class Hanging(TimedProvider):
        async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
            tasks = await super().fetch(http, task_ids)
            if 180 <= anyio.current_time() < 300:
                await anyio.sleep(30)
                raise AWAY
            return tasks

    provider = Hanging(lambda _: 310.0)
    async with polling(provider, PollPolicy(interval=7, deadline=200)) as poller:
        watch = await submitted(provider, poller)
        other = await submitted(provider, poller)
        await over(watch, other)
    assert watch.error is None
    assert other.error is None


async def test_a_dead_key_ends_every_wait_each_with_its_own_id() -> None:
    """No look will succeed, and each song can be found again by the id in its error."""
    dead = AuthenticationFailed("the key was revoked")
    provider = TimedProvider(lambda _: 1e6, broken=lambda now: dead if now > 50 else None)
    async with polling(provider) as poller:
        watches = [await submitted(provider, poller) for _ in range(20)]
        await over(*watches)
        looks = len(provider.looks)
        await anyio.sleep(100)
        assert len(provider.looks) <= looks + _LOOKS_AT_ONCE
    errors = [watch.error for watch in watches]
    assert {type(error) for error in errors} == {AuthenticationFailed}
    assert [error.task_id for error in errors if error] == [watch.task_id for watch in watches]
    assert {error.charged for error in errors if isinstance(error, AccountError)} == {"yes"}


@pytest.mark.parametrize("max_ids", [1, 20])
async def test_an_unknown_task_is_given_up_only_after_the_grace(max_ids: int) -> None:
    """A provider may need a while until its looks know what its submits accepted."""

    def lose(tasks: list[Task], now: float) -> list[Task]:
        if any(task.id in "01" for task in tasks) and (now < 55 or tasks[0].id == "1"):
            raise RequestRefused("no such task")
        return tasks

    provider = TimedProvider(
        lambda _: 100.0, typical_duration=20.0, max_ids_per_look=max_ids, retouch=lose
    )
    async with polling(provider) as poller:
        late, lost, known = [await submitted(provider, poller) for _ in range(3)]
        await over(late, lost, known)
    assert late.error is None
    assert known.error is None
    assert isinstance(lost.error, RequestRefused)
    assert lost.error.task_id == "1"
    assert lost.error.charged == "yes"
    assert looks_at(provider, "1")[-1] > 60


def without_route(
    start: float, end: float, *, only: str | None = None
) -> Callable[[list[Task], float], list[Task]]:
    """Answer that no task is known, or not this one, in that time."""

    def lose(tasks: list[Task], now: float) -> list[Task]:
        if start <= now < end and (only is None or any(task.id == only for task in tasks)):
            raise RequestRefused("no Route matched with those values")
        return tasks

    return lose


@pytest.mark.parametrize("max_ids", [1, 20])
async def test_tasks_that_are_unknown_all_together_are_an_outage(max_ids: int) -> None:
    """Looks have shown some before, so the route is away: few looks, and no wait ends."""
    provider = TimedProvider(
        lambda _: 90.0, max_ids_per_look=max_ids, retouch=without_route(50, 350)
    )
    async with polling(provider, PollPolicy(deadline=300)) as poller:
        shown = [await submitted(provider, poller) for _ in range(20)]
        await anyio.sleep(100)
        new = await submitted(provider, poller)
        await over(*shown, new)
    assert [watch.error for watch in (*shown, new)] == [None] * 21
    assert len([look for look in provider.looks if 60 <= look.at < 350]) < 50


async def test_a_route_that_stays_away_ends_the_waits_after_one_deadline() -> None:
    """They are paid for, and the reason is told."""
    provider = TimedProvider(lambda _: 1e6, retouch=without_route(50, 1e9))
    async with polling(provider, PollPolicy(deadline=300)) as poller:
        watches = [await submitted(provider, poller) for _ in range(3)]
        await over(*watches)
        assert 300 <= anyio.current_time() <= 380
    for watch in watches:
        assert isinstance(watch.error, WaitExpired)
        assert "no Route matched" in str(watch.error)
        assert watch.error.charged == "yes"


async def test_one_shown_task_that_is_unknown_ends_while_others_are_answered() -> None:
    """Then it is the task, not the route, and the others are looked at as ever."""
    provider = TimedProvider(lambda _: 400.0, retouch=without_route(50, 1e9, only="0"))
    async with polling(provider) as poller:
        lost, *others = [await submitted(provider, poller) for _ in range(5)]
        await over(lost)
        assert 110 <= anyio.current_time() <= 250
        await over(*others)
    assert isinstance(lost.error, RequestRefused)
    assert lost.error.charged == "yes"
    assert [watch.error for watch in others] == [None] * 4


async def test_closing_ends_the_waits_that_are_left() -> None:
    """Whoever still waits hears that the song runs on, be it planned or just asked about."""
    provider = TimedProvider(lambda _: 1e6, answer_time=1000.0)
    ended: list[str] = []

    async def wait(watch: TrackedTask) -> None:
        await over(watch)
        assert isinstance(watch.error, WaitExpired)
        assert "the client is closed" in str(watch.error)
        ended.append(watch.task_id)

    async with anyio.create_task_group() as waiters, polling(provider) as poller:
        for _ in range(12):
            waiters.start_soon(wait, await submitted(provider, poller))
        await anyio.sleep(100)
        assert poller._looking == _LOOKS_AT_ONCE
        assert len(poller._agenda) == 12 - _LOOKS_AT_ONCE
    assert len(ended) == 12


# Fairness


def jain(values: Sequence[float]) -> float:
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


async def test_a_slow_provider_is_shared_fairly() -> None:
    """Eight looks at once are a little too few: every song waits a little longer, none for long."""
    provider = TimedProvider(lambda _: 90.0, answer_time=1.0)
    async with polling(provider) as poller:
        watches = []
        for _ in range(70):
            watches.append(await submitted(provider, poller))
            await anyio.sleep(0.1)
        await over(*watches)
    born = {task_id: at - 90.0 for task_id, at in provider.completes_at.items()}
    noticed = {task_id: at - born[task_id] for task_id, at in provider.seen_at.items()}
    assert jain(list(noticed.values())) >= 0.95
    assert most_within_a_second([look.at for look in provider.looks]) >= _LOOKS_AT_ONCE
    nominal = Schedule(typical=60.0, look_cost=0.8, min_interval=5.0)
    gaps = []
    for task_id, start in born.items():
        looks = [at for at in looks_at(provider, task_id) if at - start < 90]
        for earlier, later in pairwise([start, *looks]):
            gaps.append((later - earlier) / nominal.wait(earlier - start))
    assert 1.1 < max(gaps) <= 2  # saturated, and mildly


# The rate


async def run_at(rate: float | None) -> list[float]:
    """When a batch asked something, submits and looks together, of a provider on the wire."""
    asked: list[float] = []
    kinds: Counter[str] = Counter()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(anyio.current_time())
        kinds[request.url.path] += 1
        if request.url.path.endswith("generate"):
            return httpx.Response(200, json={"code": 200, "workId": f"task-{len(asked)}"})
        done = kinds[request.url.path] > 100
        song = {"id": "s", "audio_url": "https://x.example/a.mp3", "status": "complete"}
        data = {"type": "SUCCESS" if done else "IN_PROGRESS", "response_data": [song] * done}
        return httpx.Response(200, json={"code": 200, "data": data})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client,
        Client(
            UdioApiV2(api_key="key"),
            http_client=http_client,
            requests_per_second=rate,
            max_active=60,
            poll=PollPolicy(deadline=1e6),
        ) as client,
        client.generate_many([SongRequest(description="a song")] * 30) as batch,
    ):
        assert all([outcome.ok async for outcome in batch])
    assert kinds["/api/v2/generate"] == 30
    assert kinds["/api/v2/feed"] > 100
    return asked


async def test_no_second_holds_more_requests_than_the_rate() -> None:
    """Through the real door, with a provider that answers at once."""
    assert most_within_a_second(await run_at(3)) <= 4  # the rate, and the one that may go at once


async def test_without_a_rate_some_seconds_would() -> None:
    """A control: the same batch as fast as it likes."""
    assert most_within_a_second(await run_at(None)) > 4


async def test_a_song_that_comes_as_the_poller_ends_is_not_waited_for_for_ever() -> None:
    """Its wait ends as the others did: with the id, which leads to the song later."""
    provider = TimedProvider(lambda _: 60.0)
    async with polling(provider) as poller:
        pass
    tracked = await submitted(provider, poller)
    assert tracked.over
    assert isinstance(tracked.error, WaitExpired)
