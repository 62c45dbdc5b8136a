"""There is one list of faults, and whoever shows it shows all of it.

`python -m tests.sandbox.test_fault_list` prints it into `docs/sandbox.md` again.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from udio_async.sandbox import Fault
from udio_async.sandbox._kinds import ALL, GROUPS, NO_CREDIT_STATUSES, is_known

PAGE = Path(__file__).parents[2] / "docs" / "sandbox.md"
BEGIN, END = "<!-- faults: printed -->", "<!-- faults: end -->"


def printed() -> str:
    """The list as the page has it."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for group in GROUPS:
        yield f"\n### {group.title}\n"
        yield "| fault | what happens |\n| --- | --- |"
        for kind in group.kinds:
            yield f"| `{kind.written}` | {kind.sentence[0].upper()}{kind.sentence[1:]} |"
    yield ""


def _parts() -> tuple[str, str, str]:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, _, after = rest.partition(END)
    return before, shown.removeprefix("\n"), after


def test_the_page_lists_each_fault() -> None:
    """The tables are printed from the list."""
    assert _parts()[1] == printed()


def test_the_docstring_lists_each_fault() -> None:
    """`help(Fault)` has a line for each, with the same sentence."""
    shown = " ".join(inspect.getdoc(Fault).split())  # type: ignore[union-attr]  # it has one
    missing = [
        kind.written
        for kind in ALL.values()
        if f"`{kind.written}`: {' '.join(kind.sentence.split())}" not in shown
    ]
    assert missing == []


def test_each_fault_can_be_asked_for() -> None:
    """Those that need a detail only with one, those that need none only without."""
    for kind in ALL.values():
        written = f"{kind.name}:{next(iter(kind.known), 'some text')}"
        assert is_known(written) == bool(kind.detail)
        assert is_known(kind.name) == (not kind.detail)
    assert all(is_known(f"no_credit:{status}") for status in NO_CREDIT_STATUSES)
    assert not is_known("no_credit:418")


def test_a_sentence_ends_once() -> None:
    """What is said of a fault can be read: some words, and one full stop."""
    odd = [kind.name for kind in ALL.values() if not re.fullmatch(r"\S.*[^.\s]\.", kind.sentence)]
    assert odd == []


if __name__ == "__main__":
    before, _, after = _parts()
    PAGE.write_text(f"{before}{BEGIN}\n{printed()}{END}{after}", encoding="utf-8")
