"""A plan that allows a few songs at once is used to the full, and not pestered."""

import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import (
    CallbackAddress,
    Client,
    PollPolicy,
    RateLimited,
    SongRequest,
    SqliteJournal,
    WaitExpired,
)
from udio_async._http import Http

SONGS = 200
SECONDS = 100.0
"""How long each song takes."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(5)  # of the waits after a refusal


@attrs.define(eq=False)
class Plan(TimedProvider):
    """Refuses a song while as many as the plan allows are being made."""

    at_once: int = attrs.field(kw_only=True)
    most: int = attrs.field(default=0, init=False)
    """Songs that were made at once."""

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        now = anyio.current_time()
        running = sum(end > now for end in self.completes_at.values())
        if running >= self.at_once:
            self.sent.append(now)
            raise RateLimited("too many songs at once")
        self.most = max(self.most, running + 1)
        return await super().submit(http, request, callback)


@pytest.mark.parametrize("at_once", [1, 4, 20, 50])
async def test_a_batch_fits_itself_to_the_plan(at_once: int) -> None:
    """Nothing is set: all songs are made, with few submits too many, in nearly the least time."""
    plan = Plan(lambda _: SECONDS, at_once=at_once, submit_time=0.2)
    began = anyio.current_time()
    wanted = [f"song {number}" for number in range(SONGS)]
    async with Client(plan) as client, client.generate_many(wanted) as batch:
        errors = [outcome.error async for outcome in batch]
    assert errors == [None] * SONGS
    submits, least = len(plan.sent) / SONGS, math.ceil(SONGS / at_once) * SECONDS
    makespan = (anyio.current_time() - began) / least
    assert submits <= 1.1
    assert makespan <= 1.15


async def test_a_plan_that_shrinks_is_followed() -> None:
    """Fifty at once, and five from the half on: nothing is lost, few submits are too many."""
    plan = Plan(lambda _: SECONDS, at_once=50, submit_time=0.2)
    done = 0
    async with Client(plan) as client, client.generate_many(map(str, range(SONGS))) as batch:
        async for outcome in batch:
            assert outcome.error is None
            done += 1
            plan.at_once = 50 if done < SONGS // 2 else 5
    assert len(plan.completes_at) == SONGS
    assert len(plan.sent) / SONGS <= 1.2


async def test_what_was_found_out_is_known_to_the_next_run(tmp_path: Path) -> None:
    """A journal is one account's: its plan is refused once, and not in each run again."""
    plan = Plan(lambda _: SECONDS, at_once=8, submit_time=0.2)
    journal = SqliteJournal(tmp_path / "journal.db", threaded=False)
    refused = []
    for run in range(2):
        before = len(plan.sent) - len(plan.completes_at)
        wanted = [f"song {number} of run {run}" for number in range(12)]
        async with (
            Client(plan, journal=journal) as client,
            client.generate_many(wanted) as batch,
        ):
            assert [outcome.error async for outcome in batch] == [None] * 12
        refused.append(len(plan.sent) - len(plan.completes_at) - before)
    assert refused[0] > 0
    assert refused[1] == 0


@pytest.mark.parametrize("earlier", ["run", "deadline"])
async def test_songs_that_nobody_looks_at_have_their_places_too(
    earlier: str, tmp_path: Path
) -> None:
    """Those of a run before, and those that were given up: the next ones wait for them."""
    plan = Plan(lambda _: 10 * SECONDS, at_once=4, submit_time=0.2)
    journal = SqliteJournal(tmp_path / "journal.db", threaded=False)
    poll = PollPolicy(deadline=60.0) if earlier == "deadline" else PollPolicy()
    async with Client(plan, journal=journal, poll=poll) as client:
        jobs = [await client.submit(SongRequest(description=str(number))) for number in range(4)]
        if earlier == "deadline":
            for job in jobs:
                with pytest.raises(WaitExpired):
                    await job.songs()
            await client.submit("another")
    if earlier == "run":
        async with Client(plan, journal=journal) as client:
            await client.submit("another")
    assert len(plan.completes_at) == 5
    assert len(plan.sent) < 200


async def test_a_number_of_the_owner_is_kept() -> None:
    """Exactly, whatever the provider would take."""
    plan = Plan(lambda _: SECONDS, at_once=SONGS, submit_time=0.2)
    async with (
        Client(plan, max_active=30) as client,
        client.generate_many(map(str, range(SONGS))) as batch,
    ):
        assert [outcome.error async for outcome in batch] == [None] * SONGS
    assert plan.most == 30
