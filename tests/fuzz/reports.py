"""What came of many cases: outcomes, broken promises, and what the dearest of them took."""

import tracemalloc
from collections import Counter
from collections.abc import Iterable

import attrs

from .cases import Case, Subject, Trial

WEIGHED = 200
"""Of so many cases, one is read with its memory measured."""
TOLD = 5
"""Broken promises of a subject that are told in full."""
MOST_MS = 100.0
"""For so long one answer may keep the event loop, by promise."""
MOST_KIB = 16 * 1024
"""What reading one body may take of memory; the body has at most 1 MiB."""


@attrs.define
class Report:
    """What came of the cases of one subject."""

    subject: Subject
    seed: int
    timed: bool = False
    """Whether a case that keeps the event loop for too long breaks a promise."""
    cases: int = 0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    broken: int = 0
    flaws: list[str] = attrs.field(factory=list)
    """The first of them, in full."""
    worst_ms: float = 0.0
    worst: int = 0
    """The number of the case that took longest."""
    peak_kib: float = 0.0

    async def try_all(self, numbers: Iterable[int]) -> None:
        """Read the cases of these numbers."""
        for number in numbers:
            case = Case.make(self.subject, self.seed, number)
            trial = await (self._tried(case) if number % WEIGHED else self._weighed(case))
            self.cases += 1
            self.outcomes[trial.outcome] += 1
            if trial.flaw is not None:
                await self._add(case, trial.flaw)

    async def _tried(self, case: Case) -> Trial:
        trial = await case.tried()
        if trial.ms > MOST_MS:  # by accident, if it is faster another time
            trial = min(trial, *[await case.tried() for _ in range(2)], key=lambda one: one.ms)
        if trial.ms > self.worst_ms:
            self.worst_ms, self.worst = trial.ms, case.number
        if self.timed and self.subject.in_loop and trial.ms > MOST_MS:
            trial = attrs.evolve(trial, flaw=trial.flaw or f"it took {trial.ms:.0f} ms of CPU")
        return trial

    async def _weighed(self, case: Case) -> Trial:
        """Read it with its memory measured, which takes a multiple of the time."""
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            trial = await case.tried()
            peak = (tracemalloc.get_traced_memory()[1] - before) / 1024
        finally:
            tracemalloc.stop()
        self.peak_kib = max(self.peak_kib, peak)
        if peak > MOST_KIB:
            trial = attrs.evolve(trial, flaw=trial.flaw or f"it took {peak:.0f} KiB")
        return trial

    async def _add(self, case: Case, flaw: str) -> None:
        self.broken += 1
        if len(self.flaws) < TOLD:
            self.flaws.append(await case.report(flaw))

    def __str__(self) -> str:
        outcomes = ", ".join(f"{name} {number}" for name, number in self.outcomes.most_common())
        cost = f"{self.worst_ms:6.1f} ms (case {self.worst}) {self.peak_kib:7.0f} KiB"
        line = f"{self.subject.name:28} {self.cases:7} {cost}  {outcomes}"
        return "\n  ".join([line, *self.flaws])


async def tried(subject: Subject, cases: int, *, seed: int = 1, timed: bool = False) -> Report:
    """Read so many cases of a subject."""
    report = Report(subject, seed, timed)
    await report.try_all(range(cases))
    return report
