"""A case: something that was recorded, and the steps that change it.

Each step is a number that says all of its change, so a case is a few numbers: it can be made again
from its seed, and made smaller by leaving steps out.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from udio_async._http import Reply


@attrs.frozen(kw_only=True)
class Sample:
    """What is read: the bytes, and the head of an answer."""

    name: str
    body: bytes = attrs.field(repr=False)
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    cut: str | None = None

    @property
    def reply(self) -> Reply:
        return Reply(status=self.status, headers=self.headers, body=self.body, cut=self.cut)


Change = Callable[[Sample, random.Random], Sample]


class Broken(AssertionError):
    """A promise was not kept."""


def _as_it_is(_: Sample, outcome: str) -> str:
    """Check nothing more: `read` has done it."""
    return outcome


@attrs.frozen(kw_only=True)
class Subject:
    """One thing that is read, in one way."""

    name: str
    samples: Sequence[Sample]
    changes: Sequence[Change]
    read: Callable[[Sample], Awaitable[Any]]
    """Reads a sample. An error that comes out of it breaks a promise."""
    check: Callable[[Sample, Any], str] = _as_it_is
    """Returns what was read in a word, or raises `Broken`. It takes its time, which `read` must
    not: that is measured."""
    share: int = 100
    """How many cases it gets, beside the others."""
    in_loop: bool = True
    """Whether it is read in the event loop, which then waits."""


@attrs.frozen(kw_only=True)
class Trial:
    """What came of reading a case."""

    outcome: str
    flaw: str | None
    """The promise that was not kept, if one was not."""
    ms: float
    """CPU time in milliseconds."""


@attrs.frozen(kw_only=True)
class Case:
    """One sample for a subject, and the seeds of its changes."""

    subject: Subject = attrs.field(repr=False)
    seed: int
    number: int
    sample: Sample
    steps: tuple[int, ...]

    @classmethod
    def make(cls, subject: Subject, seed: int, number: int) -> "Case":
        """Make the case of this number; the same each time."""
        dice = random.Random(f"{seed} {subject.name} {number}")
        steps = tuple(dice.getrandbits(32) for _ in range(dice.choice((1, 1, 2, 3, 4, 6, 10))))
        return cls(
            subject=subject,
            seed=seed,
            number=number,
            sample=dice.choice(subject.samples),
            steps=steps if number else (),  # the first is a sample as it is
        )

    def made(self) -> Sample:
        """Return the sample with all its changes."""
        sample = self.sample
        for step in self.steps:
            dice = random.Random(step)
            sample = dice.choice(self.subject.changes)(sample, dice)
        return sample

    async def tried(self) -> "Trial":
        """Read it, and return what came of that."""
        made = self.made()
        start, took = time.thread_time(), 0.0
        flaw = None
        try:
            result = await self.subject.read(made)
            took = time.thread_time() - start
            outcome = self.subject.check(made, result)
        except Exception as error:  # noqa: BLE001  # whatever else comes out is what we look for
            outcome = type(error).__name__
            flaw = f"{outcome}: {error}"
        return Trial(outcome=outcome, flaw=flaw, ms=took * 1000)

    async def shrunk(self) -> "Case":
        """Leave out steps for as long as anything stays wrong."""
        case = self
        for step in reversed(self.steps):
            fewer = attrs.evolve(case, steps=tuple(one for one in case.steps if one != step))
            if (await fewer.tried()).flaw is not None:
                case = fewer
        return case

    @property
    def command(self) -> str:
        """What makes it again."""
        where = f"--way {self.subject.name!r} --seed {self.seed} --case {self.number}"
        return f"python -m tests.fuzz.run {where}"

    async def report(self, flaw: str | None = None) -> str:
        """Tell of a case that fails, as small as it can be made.

        `flaw` is what is told where reading it once more shows none, as of what took too long.
        """
        small = await self.shrunk()
        made = small.made()
        head = f"{made.name}, status {made.status}, headers {dict(made.headers)}, cut {made.cut}"
        trial = await small.tried()
        lines = (trial.flaw or flaw, self.command, head, small.story(), f"{made.body[:800]!r}")
        return "\n  ".join(map(str, lines))

    def story(self) -> str:
        """Return the names of its changes, in their order."""
        changes = (random.Random(step).choice(self.subject.changes) for step in self.steps)
        return f"changed by: {', '.join(change.__name__ for change in changes) or 'nothing'}"
