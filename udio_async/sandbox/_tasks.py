"""Tasks that are being made, with their songs.

The clock alone says how far each is.
"""

import enum
from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from ._kinds import kind_of
from ._sounds import duration_of

JsonObject = Mapping[str, object]


class Phase(enum.IntEnum):
    """How far a task has come."""

    QUEUED = 0
    STARTED = 1
    TEXT = 2
    FIRST = 3
    COMPLETE = 4
    FAILED = 5


STARTS: Mapping[Phase, float] = {
    Phase.STARTED: 0.05,
    Phase.TEXT: 0.25,
    Phase.FIRST: 0.5,
    Phase.COMPLETE: 1.0,
}
"""The share of its time after which a usual task enters a phase."""
_NEVER = float("inf")


@attrs.frozen(kw_only=True)
class Course:
    """How a task goes: as usual, or as its fault wants it."""

    fails_before: Phase | None = None
    """It fails where it would have entered this phase."""
    stays_at: float = 1.0
    """The share of its time at which it stops for ever; 1 if it does not stop."""
    says_at_most: Phase = Phase.COMPLETE
    """The last phase that it shows, even if it is further."""
    words: Mapping[Phase, str] = attrs.field(factory=dict)
    """The word for a phase, instead of the usual word of its service."""


_USUAL = Course()
_COURSES = {
    "moderation": Course(fails_before=Phase.TEXT),  # lyrics are reviewed before audio is made
    "moderation_early": Course(fails_before=Phase.STARTED),  # what was asked for, before lyrics
    "upstream": Course(fails_before=Phase.FIRST),
    "message": Course(fails_before=Phase.FIRST),
    "cancelled": Course(fails_before=Phase.FIRST, words={Phase.FAILED: "cancelled"}),
    "expired": Course(fails_before=Phase.FIRST, words={Phase.FAILED: "expired"}),
    "stuck": Course(stays_at=0.99),
    "stuck_first": Course(says_at_most=Phase.FIRST),
    "unknown_word": Course(stays_at=0.05, words={Phase.STARTED: "in_review"}),
}
"""How a task goes, by the kind of its fault; as usual for kinds that are not in here."""


@attrs.frozen(kw_only=True)
class Order:
    """A submit in words that all three services share."""

    provider: str
    prompt: str
    request: JsonObject
    model: str
    title: str = ""
    lyrics: str = ""
    style: str = ""
    instrumental: bool = False
    key_ok: bool = True


@attrs.frozen(kw_only=True)
class MadeSong:
    """One of the songs that a task makes."""

    id: str
    title: str
    lyrics: str
    style: str
    number: int = 0
    """Its number among the songs with the same fault, from 0. It chooses a variant of the fault."""
    ending: str = ".mp3"
    """The ending that its file should have; links always end in `.mp3`."""
    late: float = 0.0
    """Seconds on the world's clock from the end of its task until its file is served."""

    @property
    def duration(self) -> float:
        """Seconds that its file lasts."""
        return duration_of(self.id, self.ending)


@attrs.define(kw_only=True)
class MadeTask:
    """A request that was accepted, and where it stands by the clock.

    Nothing runs for it: how far it is follows from the time at which somebody asks.
    """

    id: str
    order: Order
    songs: Sequence[MadeSong]
    born: float
    """When it was accepted, on the world's clock."""
    created_at: float
    """The same as Unix time."""
    length: float
    """Seconds on the world's clock until it is complete."""
    starts: Mapping[Phase, float] = STARTS
    """The share of its time after which it enters a phase."""
    fault: str = ""
    ended_links: set[str] = attrs.field(factory=set, init=False)
    """The songs whose first link was tried, and has expired."""
    downloads: Counter[str] = attrs.field(factory=Counter, init=False)
    """How often the file of each song was asked for."""
    looks: int = attrs.field(default=0, init=False)
    """How often it was looked at."""

    @property
    def kind(self) -> str:
        """The kind of its fault; "" if it has none."""
        return kind_of(self.fault)

    @property
    def course(self) -> Course:
        """How it goes."""
        return _COURSES.get(self.kind, _USUAL)

    @property
    def completes_at(self) -> float:
        """When it is complete, on the world's clock, unless it fails."""
        return self.born + self.length

    def progress(self, now: float) -> float:
        """Return the share that is done, 0 to 1."""
        return min((now - self.born) / self.length, self.course.stays_at)

    def phase(self, now: float) -> Phase:
        """Return the phase that it says it is in."""
        done = self.progress(now)
        if done >= self._fails_after:
            return Phase.FAILED
        entered = [phase for phase, start in self.starts.items() if done >= start]
        return min(max(entered, default=Phase.QUEUED), self.course.says_at_most)

    def is_made(self, now: float) -> bool:
        """Return whether its songs have their files, whatever it says."""
        return self.progress(now) >= 1.0 and self._fails_after == _NEVER

    def is_over(self, now: float) -> bool:
        """Return whether nothing is being made any more."""
        return self.is_made(now) or self.phase(now) is Phase.FAILED

    def enters_after(self, phase: Phase) -> float | None:
        """Return the seconds after which it says that it enters a phase.

        None if it never does.
        """
        if phase is Phase.FAILED:
            share = self._fails_after
        else:
            share = self.starts[phase]
            if phase > self.course.says_at_most or share >= self._fails_after:
                return None
        return None if share > self.course.stays_at else share * self.length

    def reached_at(self, phase: Phase) -> float:
        """Return the Unix time at which it entered a phase."""
        share = self._fails_after if phase is Phase.FAILED else self.starts.get(phase, 0.0)
        return self.created_at + share * self.length

    def is_lost(self, song: MadeSong) -> bool:
        """Return whether this song fails although its task does not."""
        return self.fault == "one_song" and song is self.songs[-1]

    @property
    def _fails_after(self) -> float:
        """The share of its time after which it fails."""
        phase = self.course.fails_before
        return _NEVER if phase is None else self.starts[phase]
