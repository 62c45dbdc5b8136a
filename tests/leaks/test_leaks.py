"""A client does not grow with what it does."""

import sys

import pytest

from tests.leaks.run import leaks, measure, slope, warm

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")


@pytest.mark.timeout(240)
def test_a_client_does_not_grow() -> None:
    """With 20,000 looks at 1,000 songs; `python -m tests.leaks.run` does ten times as many."""
    assert not leaks(list(measure(20_000, 1_000)))


@pytest.mark.timeout(120)
def test_control_a_client_that_leaks_is_found() -> None:
    """It keeps each answer, a file, a thread and a task."""
    samples = list(measure(4_000, 200, leak=True))
    assert slope("memory", warm(samples)[1]) > 100
    assert [leak.partition(":")[0] for leak in leaks(samples)] == [
        "memory",
        "blocks",
        "descriptors",
        "threads",
        "tasks",
    ]
