"""The tests can fail: each planted bug is caught by the tests that are named for it."""

import subprocess
import sys

import pytest

from tests.planted.run import objection
from tests.planted.table import replaced
from udio_async._submit import Submitter


@pytest.mark.timeout(300)
@pytest.mark.parametrize("third", ["1", "2", "3"])
def test_planted_bugs_are_caught(third: str) -> None:
    """`python -m tests.planted.run NAME` tries one alone.

    In a process of its own: the tests that are to fail shall not be counted here.
    """
    command = [sys.executable, "-m", "tests.planted.run", "--third", third]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_name_that_is_gone_is_an_error() -> None:
    """So a function that is renamed takes its bug along, or the bug is red."""
    with pytest.raises(AttributeError), replaced(Submitter, "no_such_method", lambda: None):
        pass


FOUND = AssertionError("paid twice")


@pytest.mark.parametrize(
    ("error", "met", "caught"),
    [
        (FOUND, {"send": 1}, True),
        (FOUND, {}, True),
        (FOUND, {"send": 0}, False),
        (AttributeError("no such name"), {"send": 1}, False),
        (ExceptionGroup("tasks", [TypeError("one argument too many")]), {"send": 1}, False),
        (ExceptionGroup("tasks", [FOUND]), {"send": 1}, True),
    ],
)
def test_what_counts_as_caught(error: Exception, met: dict[str, int], caught: bool) -> None:
    """A test that fails without the bug, or by bad code of the bug itself, has found nothing."""
    assert (objection([error], met) == "") == caught
