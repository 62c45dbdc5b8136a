"""One fast sandbox for all tests that only ask it questions, and helpers over HTTP."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from udio_async.sandbox import Sandbox
from udio_async.sandbox._app import make_app
from udio_async.sandbox._submits import SubmitHandler
from udio_async.sandbox._world import World

KEY = {"Authorization": "Bearer sandbox"}


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox on a real socket, whose songs take some hundredths of a second."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Sandbox(speed=2000, credits=1e6)) as running,
    ):
        yield running


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that sandbox, with its key."""
    async with httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as client:
        yield client


@attrs.define
class Clock:
    """A clock that a test moves."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


MakeService = Callable[..., tuple[httpx.AsyncClient, Clock]]


@pytest.fixture
async def make_service() -> AsyncIterator[MakeService]:
    """The application over a clock that a test moves; takes the settings of a world."""
    clients: list[httpx.AsyncClient] = []

    def make(**settings: Any) -> tuple[httpx.AsyncClient, Clock]:  # noqa: ANN401 - those of `World`
        clock = Clock()
        handler = SubmitHandler(world=World(clock=clock, speed=1, **settings))
        transport = httpx.ASGITransport(make_app(handler))
        client = httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=KEY, verify=False
        )
        clients.append(client)
        return client, clock

    yield make
    for client in clients:
        await client.aclose()
