"""Puts each bug of the table in, and sees whether its tests fail.

    python -m tests.planted.run              all of them
    python -m tests.planted.run NAME ...     these
    python -m tests.planted.run --third 2    every third, from the second on

All of it is one session of pytest, because to start one costs more than most of these tests.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence

import attrs
import pytest
from _pytest.runner import runtestprotocol  # the only way to run one test twice

from tests.planted import changed, following, paying, saving, sending
from tests.planted.table import PLANTS, Plant, calls

ROOMS = (paying, sending, following, saving, changed)
"""Each enters its bugs into the table as it is imported."""
CLUMSY = (AttributeError, ImportError, NameError, SyntaxError, TypeError)
"""How code fails that is wrong by itself: so does a bug that was not put in well."""
OPTIONS = (
    *("-qq", "--no-header", "--no-summary", "--tb=native", "--timeout=60"),
    # What is imported here before pytest runs has no assertions of tests.
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)


@attrs.define
class Planter:
    """A plugin that runs, for each bug, the tests that have to fail with it."""

    plants: dict[str, Plant]
    found: dict[str, str] = attrs.field(factory=dict)
    """Of each bug that was tried "caught", or why it was not."""
    _errors: list[BaseException] = attrs.field(factory=list)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop over the tests."""
        if session.testsfailed:
            raise session.Interrupted("a module with one of the tests cannot be imported")
        for name, plant in self.plants.items():
            items = [item for item in session.items if _plain(item.nodeid) in plant.tests]
            missing = set(plant.tests) - {_plain(item.nodeid) for item in items}
            why = f"there is no {missing}" if missing else self._try(plant, items)
            self.found[name] = why or "caught"
        return True

    def pytest_exception_interact(self, call: "pytest.CallInfo[object]") -> None:
        """Keep the error of a test that has failed."""
        if call.excinfo is not None:
            self._errors.append(call.excinfo.value)

    def _try(self, plant: Plant, items: Sequence[pytest.Item]) -> str:
        """Return why the bug was not caught; "" if it was."""
        calls.clear()
        for item in items:
            self._errors.clear()
            with plant.put():
                reports = runtestprotocol(item, log=False, nextitem=None)
            if any(report.failed for report in reports):
                why = objection(self._errors, calls)
                return why and f"{item.nodeid} {why}"
        return f"{', '.join(plant.tests)} pass"


def objection(errors: Sequence[BaseException], calls: Mapping[str, int]) -> str:
    """Return why a test that has failed has not caught a bug all the same; "" if it has.

    Args:
        errors: by which it failed.
        calls: how often each replaced function was called; none if only values were replaced.
    """
    clumsy = [error for error in _leaves(errors) if isinstance(error, CLUMSY)]
    if clumsy:
        return f"fails by {clumsy!r}"
    return "fails without meeting it" if calls and not any(calls.values()) else ""


def _plain(node_id: str) -> str:
    return node_id.partition("[")[0]


def _leaves(errors: Sequence[BaseException]) -> Iterator[BaseException]:
    """Iterate over what went wrong, in groups as well."""
    for error in errors:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error.exceptions)
        else:
            yield error


def main(arguments: Sequence[str]) -> int:
    """Return 0 if every bug was caught."""
    parser = ArgumentParser(prog="python -m tests.planted.run")
    parser.add_argument("names", nargs="*", help="bugs; all without")
    parser.add_argument("--third", type=int, help="1, 2 or 3")
    wanted = parser.parse_args(arguments)
    names = wanted.names or list(PLANTS)[(wanted.third or 1) - 1 :: 3 if wanted.third else 1]
    planter = Planter({name: PLANTS[name] for name in names})
    tests = {test for plant in planter.plants.values() for test in plant.tests}
    code = pytest.main([*OPTIONS, *sorted(tests)], plugins=[planter])
    for name in names:
        print(f"{name}: {planter.found.get(name, 'not tried')}")
    caught = [found for found in planter.found.values() if found == "caught"]
    print(f"{len(caught)} of {len(names)} planted bugs were caught")
    return code or int(len(caught) < len(names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
