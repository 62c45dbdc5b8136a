"""A suite of a user's, run by `test_places`: pytest-asyncio enters and leaves in two tasks."""

from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

import udio_async as ua


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sandbox() -> AsyncGenerator[ua.Sandbox]:
    async with ua.Sandbox(speed=600) as sandbox:
        yield sandbox


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def for_session(sandbox: ua.Sandbox) -> AsyncGenerator[ua.Client]:
    async with ua.Client(sandbox.udioapi_v2()) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def for_module(sandbox: ua.Sandbox) -> AsyncGenerator[ua.Client]:
    async with ua.Client(sandbox.udioapi_v2()) as client:
        yield client


@pytest_asyncio.fixture
async def for_function(sandbox: ua.Sandbox) -> AsyncGenerator[ua.Client]:
    client = await ua.Client(sandbox.udioapi_v2()).open()
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def batch(for_function: ua.Client) -> AsyncGenerator[ua.Batch]:
    async with for_function.generate_many(["rain", "sun"]) as batch:
        yield batch


@pytest.mark.asyncio(loop_scope="session")
async def test_on_the_loop_of_the_session(for_session: ua.Client) -> None:
    assert len(await for_session.generate("rain")) == 2


@pytest.mark.asyncio(loop_scope="module")
async def test_on_the_loop_of_the_module(for_module: ua.Client) -> None:
    assert len(await for_module.generate("rain")) == 2


@pytest.mark.asyncio
async def test_on_the_loop_of_the_function(for_function: ua.Client) -> None:
    assert len(await for_function.generate("rain")) == 2


@pytest.mark.asyncio
async def test_a_batch_made_by_a_fixture(batch: ua.Batch) -> None:
    assert sum([outcome.ok async for outcome in batch]) == 2


@pytest.mark.asyncio
async def test_a_client_of_a_wider_loop(for_session: ua.Client, sandbox: ua.Sandbox) -> None:
    before = len(sandbox.ledger)
    with pytest.raises(RuntimeError, match="another event loop"):
        await for_session.generate("rain")
    assert len(sandbox.ledger) == before
