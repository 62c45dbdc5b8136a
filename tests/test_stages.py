"""Each stage of a song is heard of in time, and costs few looks; on clocks that jump."""

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from benchmarks.oracle import Life
from benchmarks.polling import Lives
from tests.kit.clocks import virtual_backend
from tests.kit.timed import NO_HTTP, SONG, TimedProvider, over, polling, submitted
from udio_async import Client, Event, Job, PollPolicy, SongRequest, Stage
from udio_async._polling import Poller, TrackedTask

Backend = tuple[str, Mapping[str, Any]]
LIFE = Life((22.0, 45.0, 90.0))
REFUSED = Life((3.0,), fails=True)
STAGES = (Stage.TEXT_READY, Stage.FIRST_AUDIO, Stage.COMPLETE)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(11)  # of the jitter


def provider_of(lives: Sequence[Life], **traits: Any) -> TimedProvider:  # noqa: ANN401
    """Songs like those of udioapi v2."""
    provider = Lives(lives, shows_stages=True).provider()
    provider.typical_duration = 100.0
    for name, value in traits.items():
        setattr(provider, name, value)
    return provider


def nobody(_: TrackedTask) -> None:
    """Who hears that songs were handed out."""


async def hear(job: Job, born: float, heard: dict[Stage, float]) -> None:
    async for task in job.updates():
        if task.stage is not Stage.PROCESSING:
            heard[task.stage] = anyio.current_time() - born


async def followed(provider: TimedProvider, poller: Poller, heard: dict[Stage, float]) -> None:
    born = anyio.current_time()
    await hear(Job(SONG, await submitted(provider, poller), nobody), born, heard)


# Following


async def test_whoever_follows_a_song_hears_of_each_stage_in_time() -> None:
    """Nothing was learned, and it takes 14 looks at most."""
    heard: dict[Stage, float] = {}
    provider = provider_of([LIFE])
    async with polling(provider) as poller:
        await followed(provider, poller, heard)
    assert tuple(heard) == STAGES
    lags = [heard[stage] - at for stage, at in zip(STAGES, LIFE.moments, strict=True)]
    assert all(0 <= lag < 15 for lag in lags)
    assert sum(lags) / 3 <= 6
    assert len(provider.looks) <= 14


async def test_a_song_that_nobody_follows_is_looked_at_for_its_end_alone() -> None:
    """A control: its text and its first audio pass between two looks."""
    provider = provider_of([LIFE])
    advanced: list[Event] = []
    async with polling(
        provider, observer=lambda event: advanced.append(event) if event.task else None
    ) as poller:
        await over(await submitted(provider, poller))
    assert Stage.TEXT_READY not in {event.task.stage for event in advanced if event.task}
    assert len(provider.looks) <= 10


async def test_a_follower_who_comes_late_is_heard_from_then_on() -> None:
    """The look that was planned without him is not waited for."""
    heard: dict[Stage, float] = {}
    provider = provider_of([LIFE])
    async with polling(provider) as poller:
        job = Job(SONG, await submitted(provider, poller), nobody)
        await anyio.sleep(20)
        await hear(job, 0.0, heard)
    assert heard[Stage.TEXT_READY] < 35


@pytest.mark.parametrize(("follow", "songs", "heard"), [(20, 5, True), (4, 40, False)])
async def test_a_policy_follows_while_few_are_made(follow: int, songs: int, heard: bool) -> None:
    """A shell shows each stage of a few songs; of a batch there is no room for any."""
    provider = provider_of([LIFE] * songs)
    texts: set[str] = set()

    def note(event: Event) -> None:
        if event.task and event.task.stage is Stage.TEXT_READY:
            texts.add(event.task.id)

    policy = PollPolicy(follow=follow, deadline=1e6)
    async with polling(provider, policy, observer=note) as poller:
        await over(*[await submitted(provider, poller) for _ in range(songs)])
    assert (len(texts) == songs) if heard else (len(texts) < songs / 4)


async def test_following_many_songs_shares_the_looks() -> None:
    """Where one request asks about 20, following all of them takes few requests for each."""
    provider = provider_of([LIFE] * 20, max_ids_per_look=20, min_interval=3.0)
    heard: list[dict[Stage, float]] = [{} for _ in range(20)]
    async with polling(provider) as poller, anyio.create_task_group() as tasks:
        for each in heard:
            tasks.start_soon(followed, provider, poller, each)
            await anyio.sleep(0.2)
    assert all(tuple(each) == STAGES for each in heard)
    assert len(provider.looks) < 3 * 20


# Early failures


async def test_a_song_that_fails_at_once_is_noticed_soon() -> None:
    """Within 12 seconds of its failure, by nobody's asking for it."""
    provider = provider_of([REFUSED])
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        assert anyio.current_time() <= 3 + 12
    assert watch.error is not None


async def test_a_song_that_is_called_back_gets_no_early_look() -> None:
    """Its callbacks say when to look; with an address alone, nothing gets dearer."""
    provider = provider_of([LIFE] * 2)
    async with polling(provider) as poller:
        await submitted(provider, poller)
        poller.track(await provider.submit(NO_HTTP, SONG), SONG, has_callback=True)
        await anyio.sleep(30)
    assert {task_id for look in provider.looks for task_id in look.task_ids} == {"0"}


# A fixed interval


async def test_a_fixed_interval_is_kept_to_the_second() -> None:
    """Whatever the songs before have taught."""
    provider = provider_of([LIFE] * 3)
    async with polling(provider, PollPolicy(interval=7)) as poller:
        for _ in range(3):
            await over(await submitted(provider, poller))
    looks = [look.at for look in provider.looks]
    gaps = [later - earlier for earlier, later in pairwise([0.0, *looks])]
    assert gaps == pytest.approx([7.0] * len(gaps))
    assert len(looks) == 3 * 13


async def test_the_least_interval_of_the_provider_holds_for_a_fixed_one() -> None:
    provider = provider_of([LIFE])
    async with polling(provider, PollPolicy(interval=1)) as poller:
        await over(await submitted(provider, poller))
    looks = [look.at for look in provider.looks]
    assert len(looks) > 1
    assert all(later - earlier >= 4.99 for earlier, later in pairwise([0.0, *looks]))


# What is told


async def test_an_event_says_how_late_it_may_be() -> None:
    """It happened after the look before: the true lag is never more than what is said."""
    told: dict[Stage, tuple[float, float | None]] = {}

    def note(event: Event) -> None:
        if event.kind in {"advanced", "finished"} and event.task:
            told[event.task.stage] = anyio.current_time(), event.since_look

    provider = provider_of([LIFE])
    async with polling(provider, observer=note) as poller:
        await followed(provider, poller, {})
    looks = [0.0, *(look.at for look in provider.looks)]
    gaps = {later: later - earlier for earlier, later in pairwise(looks)}
    for stage, moment in zip(STAGES, LIFE.moments, strict=True):
        at, since_look = told[stage]
        assert since_look == pytest.approx(gaps[at])
        assert at - moment <= gaps[at]


async def test_of_a_song_of_an_earlier_run_nobody_knows_how_late_the_news_is() -> None:
    """It may have been complete for days before this client's first look."""
    told: list[Event] = []
    provider = provider_of([Life((1.0, 2.0, 3.0))])
    async with polling(provider, observer=told.append) as poller:
        task_id = await provider.submit(NO_HTTP, SONG)
        await anyio.sleep(1000)
        await over(poller.track(task_id, SONG, resumed=True))
    assert [event.since_look for event in told if event.kind == "finished"] == [None]


# What is kept


HUNDREDTH = Life((0.022, 0.045, 0.09))
QUICK: Mapping[str, Any] = {"min_interval": 0.01, "typical_duration": 0.1}
on_real_clocks = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # for files and threads


@on_real_clocks
async def test_when_a_song_came_how_far_is_kept(tmp_path: Path) -> None:
    """For the next run: the ages between which it had its text, its first audio and its end."""
    provider = provider_of([HUNDREDTH, Life((0.003,), fails=True)], **QUICK)
    async with Client(provider, journal=tmp_path / "songs.db") as client:
        job = await client.submit(SongRequest(description="a song", key="made"))
        heard = [task.stage async for task in job.updates()]
        refused = await client.submit(SongRequest(description="a song", key="refused"))
        async for _ in refused.updates():
            pass
    async with Client(provider, journal=tmp_path / "songs.db") as client:
        entries = {entry.key: entry async for entry in client.jobs()}
    made = entries["made"]
    assert heard[-1] is Stage.COMPLETE
    assert len(made.reached) == 3
    for (after, by), moment in zip(made.reached, HUNDREDTH.moments, strict=True):
        assert after < min(moment, by)
    assert entries["refused"].reached == ()
    assert entries["refused"].failed is not None
    assert entries["refused"].failed[0] < 0.003 < entries["refused"].failed[1] + 0.01


@on_real_clocks
async def test_a_client_starts_with_what_earlier_runs_have_seen(tmp_path: Path) -> None:
    """Of the stages as of the end, and of how many songs fail early."""
    lives = [HUNDREDTH] * 8 + [Life((0.003,), fails=True)] * 8
    provider = provider_of(lives, **QUICK)
    async with Client(provider, journal=tmp_path / "songs.db") as client:
        for number in range(len(lives)):
            job = await client.submit(f"song {number}")
            async for _ in job.updates():
                pass
    provider.typical_duration = 1000.0
    async with Client(provider, journal=tmp_path / "songs.db") as client:
        learned = client._session().poller._times.schedule_for("timed")
    async with Client(provider) as client:
        new = client._session().poller._times.schedule_for("timed")
    for may_fail in (True, False):
        first = learned.wait(0.0, follows=True, may_fail=may_fail)
        assert first < new.wait(0.0, follows=True, may_fail=may_fail) / 5
    assert learned._failures.share > 2 * new._failures.share
