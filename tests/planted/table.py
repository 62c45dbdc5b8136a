"""The table of planted bugs: how each is put in, and which test has to notice it.

A bug is put in by replacing a real attribute, so one that was renamed meanwhile is an error. The
replacements count their calls: a test that fails without having met the bug has found nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import attrs

Put = Callable[[], AbstractContextManager[object]]


@attrs.frozen
class Plant:
    """One bug, and the tests of which at least one has to fail with it."""

    put: Put
    tests: tuple[str, ...]


PLANTS: dict[str, Plant] = {}
calls: Counter[str] = Counter()
"""How often each replaced function was called since it was put in."""


def caught_by(*tests: str) -> Callable[[Put], Put]:
    """Enter a bug into the table, with the ids of the tests that catch it."""

    def enter(put: Put) -> Put:
        name = getattr(put, "__name__", repr(put))
        assert name not in PLANTS, f"two bugs are called {name}"
        PLANTS[name] = Plant(put, tests)
        return put

    return enter


@contextmanager
def replaced(owner: object, name: str, new: Callable[..., Any]) -> Iterator[None]:
    """Put a function in the place of another, or of a property, and count its calls."""
    calls[name] = 0

    def counted(*args: Any, **named: Any) -> Any:  # noqa: ANN401  # they are passed on
        calls[name] += 1
        return new(*args, **named)

    is_property = isinstance(getattr(owner, name), property)
    with patch.object(owner, name, property(counted) if is_property else counted):
        yield
