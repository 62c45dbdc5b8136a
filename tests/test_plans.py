"""A plan that allows a few songs at once is used to the full, and not pestered."""

import math
from collections.abc import Mapping
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import CallbackAddress, Client, RateLimited, SongRequest
from udio_async._http import Http

SONGS = 200
SECONDS = 100.0
"""How long each song takes."""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@attrs.define(eq=False)
class Plan(TimedProvider):
    """Refuses a song while as many as the plan allows are being made."""

    at_once: int = attrs.field(kw_only=True)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        now = anyio.current_time()
        if sum(end > now for end in self.completes_at.values()) >= self.at_once:
            self.sent.append(now)
            raise RateLimited("too many songs at once")
        return await super().submit(http, request, callback)


@pytest.mark.parametrize("at_once", [1, 4, 20])
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
