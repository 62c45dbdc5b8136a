"""Whatever verbs a program mixes: nothing is paid twice, lost, or called what it is not."""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.model.planted import PLANTS
from tests.model.run import find, run_all, workers

SCHEDULES = 5_000
ENOUGH = 1_000
"""Schedules within which each planted bug has to be found."""


@pytest.fixture(scope="module")
def searches() -> Iterator[dict[str, Future[int | None]]]:
    """Searches for all planted bugs, side by side."""
    with workers() as pool:
        yield {plant: pool.submit(find, plant, range(ENOUGH)) for plant in PLANTS}


@pytest.mark.timeout(600)
def test_all_verbs_together_keep_every_promise() -> None:
    """`python -m tests.model.run --seeds N --show` replays one that does not."""
    wrong = {result.seed: result.wrong for result in run_all(range(SCHEDULES)) if result.wrong}
    assert not wrong


@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", PLANTS)
def test_the_model_finds_a_planted_bug(searches: dict[str, Future[int | None]], plant: str) -> None:
    """So the test above can fail, for each of these reasons."""
    assert searches[plant].result() is not None
