"""Strangers who call as fast as they can change nothing and take no memory."""

import tracemalloc
from collections.abc import Generator

import pytest

from tests.callbacks.flood import MIB, SONGS, flood


@pytest.fixture
def anyio_backend() -> str:
    """uvicorn runs on asyncio."""
    return "asyncio"


@pytest.fixture
def _traced() -> Generator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
async def test_a_flood_of_forgeries_is_refused_and_leaves_nothing_behind() -> None:
    figures = await flood(seconds=2.0, forging=True)
    assert set(figures.answers) == {404, 401}
    assert sum(figures.answers.values()) > 20
    assert figures.ended == SONGS
    assert figures.traced < 2 * MIB
