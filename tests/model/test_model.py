"""Whatever verbs a program mixes: nothing is paid twice, lost, or called what it is not."""

from collections.abc import Iterator
from concurrent.futures import Executor

import pytest

from tests.model.planted import PLANTS
from tests.model.run import find, run_all, workers

SCHEDULES = 5_000
BATCHES, SONGS = 2_000, 25
ENOUGH = 1_000
"""Schedules within which each planted bug has to be found."""
LIKELY = (1, 11, 21, 43, 91, 116, 165, 391, 396)
"""Those that found one when the bugs were planted: where they still do, no search is needed."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Executor]:
    """A process in which a seed always leads to the same schedule."""
    with workers() as pool:
        yield pool


@pytest.mark.timeout(600)
def test_all_verbs_together_keep_every_promise() -> None:
    """`python -m tests.model.run --seeds N --show` replays one that does not."""
    wrong = {result.seed: result.wrong for result in run_all(range(SCHEDULES)) if result.wrong}
    assert not wrong


@pytest.mark.timeout(600)
def test_large_batches_beside_other_verbs_keep_every_promise() -> None:
    """`python -m tests.model.run --seeds N --songs 25 --show` replays one that does not."""
    found = run_all(range(BATCHES), SONGS)
    wrong = {result.seed: result.wrong for result in found if result.wrong}
    assert not wrong


@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", PLANTS)
def test_the_model_finds_a_planted_bug(elsewhere: Executor, plant: str) -> None:
    """So the test above can fail, for each of these reasons."""
    seeds = (*LIKELY, *range(ENOUGH))
    assert elsewhere.submit(find, plant, seeds).result() is not None
