"""Change what was recorded, read it, and see whether every promise is kept.

    python -m tests.fuzz.run --bodies 500000 --seed 1 [--way "look at v1"] [--case 17]

The exit code is 1 if one was not. `--case` reads one case again, and tells what is wrong with it.
"""

# ruff: noqa: T201 - it is a command

import argparse
import logging
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence

import anyio
import attrs

from .cases import Case, Subject
from .subjects import at_parsers

MEASURED = 200
"""Of so many cases, one is read with its memory measured."""
TOLD = 5
"""Broken promises of a subject that are told in full."""


@attrs.define
class Report:
    """What came of the cases of one subject."""

    subject: str
    cases: int = 0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    flaws: list[str] = attrs.field(factory=list)
    broken: int = 0
    worst_ms: float = 0.0
    worst: int = 0
    """The number of the case that took longest."""
    peak_kib: float = 0.0

    @property
    def line(self) -> str:
        outcomes = ", ".join(f"{name} {number}" for name, number in self.outcomes.most_common())
        cost = f"{self.worst_ms:6.1f} ms (case {self.worst}) {self.peak_kib:7.0f} KiB"
        return f"{self.subject:22} {self.cases:7} {cost}  {outcomes}"


async def try_cases(subject: Subject, seed: int, numbers: Sequence[int]) -> Report:
    """Read all these cases of a subject."""
    report = Report(subject.name)
    for number in numbers:
        case = Case.make(subject, seed, number)
        made = case.made()
        if number % MEASURED == 0:
            tracemalloc.start()
        start = time.thread_time()
        try:
            report.outcomes[await subject.read(made)] += 1
        except Exception as error:  # noqa: BLE001  # whatever else comes out is what we look for
            report.outcomes[type(error).__name__] += 1
            report.broken += 1
            if len(report.flaws) < TOLD:
                report.flaws.append(await case.report())
        took = (time.thread_time() - start) * 1000
        if number % MEASURED == 0:
            report.peak_kib = max(report.peak_kib, tracemalloc.get_traced_memory()[1] / 1024)
            tracemalloc.stop()
        elif took > report.worst_ms:
            report.worst_ms, report.worst = took, number
        report.cases += 1
    return report


def shares(subjects: Sequence[Subject], bodies: int) -> dict[str, int]:
    """Return how many of the bodies each subject gets."""
    total = sum(subject.share for subject in subjects)
    return {subject.name: max(1, bodies * subject.share // total) for subject in subjects}


async def try_all(subjects: Sequence[Subject], seed: int, bodies: int) -> list[Report]:
    numbers = shares(subjects, bodies)
    return [await try_cases(one, seed, range(numbers[one.name])) for one in subjects]


async def command(options: argparse.Namespace) -> int:
    subjects = [one for one in at_parsers() if options.way in (None, one.name)]
    if options.case is not None:
        [subject] = subjects
        case = Case.make(subject, options.seed, options.case)
        flaw = await case.flaw()
        print(await case.report() if flaw else f"fine: {await case.outcome()}")
        return int(flaw is not None)
    start = time.monotonic()
    broken = cases = 0
    for report in await try_all(subjects, options.seed, options.bodies):
        print(report.line, *report.flaws, sep="\n  ")
        broken, cases = broken + report.broken, cases + report.cases
    print(f"{cases} bodies, seed {options.seed}, {time.monotonic() - start:.0f} s: {broken} broken")
    return int(broken > 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", help="the name of one subject")
    parser.add_argument("--case", type=int, help="the number of one case, of one way")
    logging.getLogger("udio_async").disabled = True
    sys.exit(anyio.run(command, parser.parse_args()))


if __name__ == "__main__":
    main()
