"""The changes are what they are said to be, and those that nobody notices still exist."""

import pytest

from tests.mutation.mutants import live_function, mutants_of
from tests.mutation.run import KILLED, LIVED, reasons, summary


def difference(first: int, second: int) -> int:
    """Return how far two numbers are apart; it is changed by the test below."""
    if first > second:
        return first - second
    return second - first


def test_each_change_is_made_once() -> None:
    """And says what it is; of two that are the same in words, the second has a number."""
    names = [mutant.name for mutant in mutants_of(__name__, ("difference",))]
    assert [name.rpartition(": ")[2] for name in names] == [
        "first > second -> first >= second",
        "return first - second -> return None",
        "first - second -> first + second",
        "return second - first -> return None",
        "second - first -> second + first",
    ]
    assert len(set(names)) == len(names)


def test_a_change_that_is_put_in_works() -> None:
    """In the live function, wherever it was imported to."""
    original = difference.__code__
    mutants = {mutant.name: mutant for mutant in mutants_of(__name__, ("difference",))}
    mutants[f"{__name__}:difference: first - second -> first + second"].put_in()
    try:
        assert (difference(3, 1), difference(1, 3)) == (4, 2)
    finally:
        difference.__code__ = original


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("udio_async.journal.entry", "State.is_paid"),  # a property
        ("udio_async._http.account", "ApiKey.from_env"),  # a class method
        ("udio_async._http.account", "_flaw_of_base_url"),  # a cache
        ("udio_async.providers.calls", "about"),  # a context manager
    ],
)
def test_a_function_is_found_under_its_decorators(module: str, function: str) -> None:
    """Also the code of each of its mutants is of this function."""
    live = live_function(module, function)
    assert live.__qualname__ == function
    for mutant in mutants_of(module, (function,)):
        assert mutant.code.co_name == live.__name__
        assert mutant.code.co_freevars == live.__code__.co_freevars


def test_each_reason_is_about_a_change_that_can_be_made() -> None:
    """A reason whose code has gone goes, too."""
    known = reasons()
    modules = {name.partition(":")[0] for name in known}
    there = {mutant.name for module in modules for mutant in mutants_of(module)}
    assert set(known) <= there
    assert all(known.values())


def test_a_new_survivor_is_told() -> None:
    """However many were killed."""
    said: list[str] = []
    results = {f"m:f: {number}": KILLED for number in range(99)}
    assert summary(results, said.append) == 0
    assert summary({**results, "m:f: new": LIVED}, said.append) == 1
    assert said[-1] == "without a reason: m:f: new"
