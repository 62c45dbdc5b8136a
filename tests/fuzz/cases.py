"""A case: something that was recorded, and the steps that change it.

Each step is a number that says all of its change, so a case is a few numbers: it can be made again
from its seed, and made smaller by leaving steps out.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

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


@attrs.frozen(kw_only=True)
class Subject:
    """One thing that is read, in one way."""

    name: str
    samples: Sequence[Sample]
    changes: Sequence[Change]
    read: Callable[[Sample], Awaitable[str]]
    """Reads a sample and returns the outcome in a word; raises `Broken`, or lets an error out, if
    that breaks a promise."""
    share: int = 100
    """How many cases it gets, beside the others."""


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

    async def outcome(self) -> str:
        return await self.subject.read(self.made())

    async def flaw(self) -> str | None:
        """Return what is wrong with it, or None."""
        try:
            await self.outcome()
        except Exception as error:  # noqa: BLE001  # whatever else comes out is what we look for
            return f"{type(error).__name__}: {error}"
        return None

    async def shrunk(self) -> "Case":
        """Leave out steps for as long as anything stays wrong."""
        case = self
        for step in reversed(self.steps):
            fewer = attrs.evolve(case, steps=tuple(one for one in case.steps if one != step))
            if await fewer.flaw() is not None:
                case = fewer
        return case

    @property
    def command(self) -> str:
        """What makes it again."""
        where = f"--way {self.subject.name!r} --seed {self.seed} --case {self.number}"
        return f"python -m tests.fuzz.run {where}"

    async def report(self) -> str:
        """Tell of a case that fails, as small as it can be made."""
        small = await self.shrunk()
        made = small.made()
        head = f"{made.name}, status {made.status}, headers {dict(made.headers)}, cut {made.cut}"
        return f"{await small.flaw()}\n  {self.command}\n  {head}\n  {made.body[:1500]!r}"
