"""docs/faults.md: every fault once, with a test that exists or a reason that says something."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")
NUMBERS = range(1, 92)
ENOUGH = 60
"""Letters of a reason: fewer say nothing."""


@attrs.frozen
class Entry:
    """One fault, as the page tells it."""

    number: int
    text: str
    """What can happen, and what you get."""
    tests: tuple[str, ...]
    reason: str


def read(page: str) -> Iterator[Entry]:
    """Read the entries of a page; whatever stands there must belong to one of them."""
    for part in re.split(r"^- \*\*F-", page, flags=re.MULTILINE)[1:]:
        number, text = part.split("**", 1)
        text, *points = re.split(r"\n+  - ", text.partition("\n#")[0])
        tests = tuple(point.strip() for point in points if "::" in point)
        reasons = [point for point in points if "::" not in point]
        reason = " ".join(" ".join(reasons).split()).rpartition("No test")[2].partition(": ")[2]
        yield Entry(int(number), " ".join(text.split()), tests, reason)


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file, without importing it."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = (node.name for node in tree.body if isinstance(node, functions))
    return frozenset(name for name in names if name.startswith("test_"))


def flaws(page: str) -> list[str]:
    """Say what is wrong with a page."""
    entries = list(read(page))
    found = [] if sorted(entry.number for entry in entries) == list(NUMBERS) else ["the numbers"]
    for entry in entries:
        what, told, get = entry.text.partition("*You get:*")
        if not (what.strip() and told and get.strip()):
            found.append(f"F-{entry.number:02} does not say what you get")
        if not entry.tests and len(entry.reason) < ENOUGH:
            found.append(f"F-{entry.number:02} has neither a test nor a reason")
        for test in entry.tests:
            file, _, name = test.strip("`").partition("::")
            if not (ROOT / file).is_file() or name not in names_in(file):
                found.append(f"F-{entry.number:02} names {test}, which is not there")
    return found


def test_every_fault_has_a_test_or_a_reason() -> None:
    """Numbers without a gap, each once; whoever renames a test changes the page as well."""
    assert flaws(PAGE) == []
    assert sum(len(entry.tests) for entry in read(PAGE)) > 200


FIRST = PAGE[PAGE.index("- **F-01**") : PAGE.index("- **F-02**")]


@pytest.mark.parametrize(
    ("page", "flaw"),
    [
        (PAGE.replace(FIRST, ""), "the numbers"),
        (PAGE.replace(FIRST, FIRST * 2), "the numbers"),
        (
            PAGE.replace("::test_a_charged_song", "::test_a_song"),
            "F-01 names `tests/test_client.py",
        ),
        (PAGE.replace(FIRST, "- **F-01** Bad. *You get:* it.\n"), "F-01 has neither"),
        (PAGE.replace(FIRST, "- **F-01** Bad. *You get:* it.\n  - No test: hard.\n"), "F-01 has"),
        (PAGE.replace(FIRST, FIRST.replace("*You get:*", "")), "F-01 does not say"),
    ],
)
def test_control_a_page_with_a_flaw_is_seen(page: str, flaw: str) -> None:
    assert [found for found in flaws(page) if found.startswith(flaw)]
