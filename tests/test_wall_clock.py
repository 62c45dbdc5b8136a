"""Clocks that lie and time that is missing: set back or forward, suspended, stopped.

Waits go by the clock that only runs forward. The clock on the wall says when something happened,
and nothing of how long it takes.
"""

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

import udio_async
from tests.kit.clocks import block, virtual_backend
from tests.kit.timed import NO_HTTP, TimedProvider, over, polling, submitted
from udio_async import (
    Client,
    MemoryJournal,
    PollPolicy,
    SongRequest,
    UdioError,
    Unreachable,
    WaitExpired,
)
from udio_async._download.source import Source

Backend = tuple[str, Mapping[str, Any]]
DAY = 86_400.0
JUMPS = [DAY, -DAY, 3650 * DAY, -3650 * DAY, -3600.0]
AWAY = Unreachable("no route")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    return virtual_backend(request.param)


class Wall:
    """A clock on the wall, that somebody sets."""

    def __init__(self) -> None:
        self.ahead = 1_700_000_000.0

    def __call__(self) -> float:
        try:
            return self.ahead + anyio.current_time()
        except RuntimeError:  # of anyio, where no loop runs: pytest asks as well
            return self.ahead


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr("time.time", wall)
    return wall


async def run(set_clock: Callable[[], None]) -> list[tuple[float, tuple[str, ...]]]:
    """Make 20 songs, and set the clock meanwhile; return when which of them were looked at."""
    random.seed(5)
    begun = anyio.current_time()
    provider = TimedProvider(lambda number: 60.0 + 5 * number)
    async with Client(provider) as client:
        jobs = []
        for number in range(20):
            jobs.append(await client.submit(f"song {number}"))
            await anyio.sleep(3.0)
            if number in (2, 10, 19):
                set_clock()
        for job in jobs:
            assert len(await job.songs()) == 1
    return [(round(look.at - begun, 3), look.task_ids) for look in provider.looks]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_is_set_hurries_and_fails_no_song(wall: Wall, jump: float) -> None:
    """By an hour or ten years, forward or back: the same looks at the same moments."""

    def set_clock() -> None:
        wall.ahead += jump

    assert await run(set_clock) == await run(lambda: None)


@pytest.mark.parametrize("jump", JUMPS)
async def test_of_a_song_from_the_future_nobody_waits_longer(wall: Wall, jump: float) -> None:
    """Submitted before the clock was set: its age is no number below zero, and it is resumed."""
    provider = TimedProvider(lambda _: 60.0)
    journal = MemoryJournal()
    async with Client(provider, journal=journal) as client:
        job = await client.submit(SongRequest(description="rain", key="rain"))
        wall.ahead += jump
        [song] = await job.songs()
        source = Source(provider, NO_HTTP, journal)
        age = await source.age(attrs.evolve(song, task_id=job.task_id))
        assert age is not None
        assert age >= 0


READ_THE_WALL = {
    "journal/store.py": "when a job was submitted, for people and for later runs",
    "_submit/submitter.py": "whether a job of an earlier run may still be in the making",
    "_session.py": "whether a job of an earlier run may be days old",
    "_download/source.py": "how old a song of an earlier run is",
    "providers/replies.py": "`Retry-After` may be a date",
    "_download/transfer.py": "the same",
}


def test_nothing_else_reads_the_clock_on_the_wall() -> None:
    """What waits, wakes up or gives up goes by the other one; each exception has its reason."""
    house = Path(udio_async.__file__).parent
    readers = {
        path.relative_to(house).as_posix()
        for path in house.rglob("*.py")
        if re.search(r"\btime\.time\(|\.now\(|utcnow|\btoday\(", path.read_text("utf-8"))
        and path.relative_to(house).parts[0] not in ("cli", "sandbox")
    }
    assert readers == set(READ_THE_WALL)


# Suspended -----------------------------------------------------------------------------------


async def sleep_through(
    durations: Callable[[int], float], *, away: float = 0.0, answer_time: float = 0.0
) -> list[UdioError | None]:
    """Have the machine sleep for an hour, 100 s after 20 songs were accepted.

    For `away` seconds after that the network is not back. Returns how each wait ended.
    """

    def broken(now: float) -> Exception | None:
        return AWAY if 3_700.0 <= now < 3_700.0 + away else None

    provider = TimedProvider(
        durations, typical_duration=300.0, broken=broken, answer_time=answer_time
    )
    async with polling(provider, PollPolicy(deadline=1_800.0)) as poller:
        watches = [await submitted(provider, poller) for _ in range(20)]
        await anyio.sleep(100.0 - anyio.current_time())
        block(3_600.0)
        await over(*watches)
    return [watch.error for watch in watches]


@pytest.mark.parametrize("away", [0.0, 5.0, 90.0])
@pytest.mark.parametrize("answer_time", [0.0, 8.0])
async def test_a_machine_that_slept_gives_up_no_song(away: float, answer_time: float) -> None:
    """Complete meanwhile, and found once the network is back: no look could have shown it before.

    The same for a process that was stopped, a debugger, or a loop that somebody blocked.
    """
    errors = await sleep_through(lambda _: 300.0, away=away, answer_time=answer_time)
    assert errors == [None] * 20


@pytest.mark.parametrize("away", [0.0, 90.0])
async def test_the_time_asleep_does_not_count_as_waiting(away: float) -> None:
    """Songs that were not made meanwhile have the rest of their time."""
    errors = await sleep_through(lambda _: 3_600.0 + 1_200.0, away=away)
    assert errors == [None] * 20


async def test_a_song_that_never_ends_is_given_up_all_the_same() -> None:
    """A control: its own time is up at some moment, however long the machine slept."""
    errors = await sleep_through(lambda _: 1e9)
    assert all(isinstance(error, WaitExpired) for error in errors)
