"""One task in the making, shared by the poller and those who wait."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import anyio
import attrs

from .._errors import UdioError
from .._records import Stage, Task
from ..journal import Entry
from ..journal.jobs import remembered_error
from .schedule import Reached, Schedule

NOTHING: Mapping[str, Any] = MappingProxyType({})
"""The raw answer of a task that has none yet, or whose words were dropped."""


def _nothing(_tracked: "TrackedTask") -> None:
    """Do nothing: it is over, or nobody looks at it."""


@attrs.frozen
class Sighting:
    """What looks show of a task, and since when they have all shown the same."""

    shown: object
    since: float


def seen(before: Sighting | None, shown: object, now: float) -> Sighting:
    """Return the sighting after a look: still the one before, if the look has shown the same."""
    return before if before is not None and before.shown == shown else Sighting(shown, now)


@attrs.define(eq=False, kw_only=True)
class TrackedTask:
    """One task in the making: what was last seen of it, and who waits."""

    task: Task
    schedule: Schedule = attrs.field(repr=False)
    entry: Entry | None = attrs.field(default=None, repr=False)
    """What the journal knows of it."""
    resumed: bool = False
    """It was accepted in an earlier run, so how long it took is not known."""
    took: float | None = None
    """Seconds from accepted to complete, as exactly as looks can tell."""
    begun: float = 0.0
    """The moment at which it began, as its schedule counts."""
    reached: Reached = ()
    """When it came to each stage, as exactly as looks can tell."""
    failed: tuple[float, float] | None = None
    """The ages between which it failed."""
    has_callback: bool = False
    """It has an address at which its provider tells of each stage."""
    accepted_at: float
    looked_at: float
    outages_before: float
    """Seconds of outage that had passed when it was accepted; they do not count as its wait."""
    place: int | None = None
    """Where the agenda has its next look; None while it is asked for."""
    asked_at: float = float("-inf")
    """When the latest look left."""
    callback_stage: Stage | None = None
    """The latest stage that a callback has told of; None again once a look has shown less."""
    callback_at: float = 0.0
    id_is_confirmed: bool = False
    """A callback has named this task, not only the job's owner."""
    followed: bool = False
    """Somebody wants to hear of each stage, not only of the end."""
    on_follow: Callable[["TrackedTask"], None] = attrs.field(default=_nothing, repr=False)
    """Called when somebody begins to."""
    ask_alone: bool = False
    """Ask about it in a request of its own: an answer about many has left it out, or was odd."""
    settling: Sighting | None = None
    """The songs that it shows while the provider says "done", but not all audio is there."""
    decided_at: float = float("inf")
    """From this time on, a look that shows the same once more decides how it ends."""
    unknown_word: Sighting | None = None
    """What it shows while it says a word that nobody knows."""
    unknown_since: float | None = None
    refused_since: float | None = None
    over: bool = False
    error: UdioError | None = None
    waiters: int = 0
    """How many callers wait for its end."""
    _changed: anyio.Event | None = None
    _then: Callable[[], None] | None = None
    """Called at its end. Mostly one batch waits, if any; a list for each of ten thousand would be
    one more object that the garbage collector visits."""
    _then_too: list[Callable[[], None]] | None = None
    """What others want to be called."""

    @classmethod
    def of_ended(cls, entry: Entry, schedule: Schedule, now: float) -> "TrackedTask":
        """Return the task of a job that is over, with its songs.

        Nobody looks at it.
        """
        task = Task(
            id=entry.task_id or "",
            provider=entry.provider,
            stage=Stage.COMPLETE,
            songs=entry.songs,
        )
        return cls(
            task=task,
            schedule=schedule,
            entry=entry,
            resumed=True,
            accepted_at=now,
            looked_at=now,
            outages_before=0.0,
            over=True,
            error=remembered_error(entry),
        )

    @property
    def task_id(self) -> str:
        """The provider's id of the task."""
        return self.task.id

    @property
    def key(self) -> str | None:
        """The job's name in the journal."""
        return self.entry.key if self.entry is not None else None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for its end."""
        return self.waiters > 0 or self._then is not None

    @property
    def is_seen(self) -> bool:
        """Whether somebody may ask how far its songs are; a batch only waits for its end."""
        return self.waiters > 0 or self.followed or self._then is None

    @property
    def was_shown(self) -> bool:
        """Whether a look has shown it since it was tracked."""
        return self.looked_at > self.accepted_at

    @property
    def callback_is_ahead(self) -> bool:
        """Whether a callback has told of a stage that somebody waits for.

        It is ahead only until a look shows that stage.
        """
        if self.callback_stage is None or not self.task.stage.is_before(self.callback_stage):
            return False
        return self.callback_stage.is_final or self.followed

    @property
    def callbacks_are_silent(self) -> bool:
        """Whether a look has shown progress of which no callback has told."""
        return self.callback_stage is None and Stage.PROCESSING.is_before(self.task.stage)

    @property
    def has_shown_less(self) -> bool:
        """Whether a look after the callback saw less than the callback had said."""
        looked = self.looked_at >= self.asked_at >= self.callback_at
        return (
            self.callback_stage is not None
            and looked
            and self.task.stage.is_before(self.callback_stage)
        )

    def follow(self) -> None:
        """Note that somebody wants to hear of each stage."""
        if not self.followed:
            self.followed = True
            self.on_follow(self)

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Mark that somebody waits for its end."""
        self.waiters += 1
        try:
            yield
        finally:
            self.waiters -= 1

    async def changed(self) -> None:
        """Wait for the next step forward, or for the end."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def announce(self) -> None:
        """Wake whoever waits for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def announce_end(self) -> None:
        """Wake whoever waits, and call those who wanted to be called; it is over already."""
        self.announce()
        calls = self._then, *(self._then_too or ())
        self._then = self._then_too = None  # they may hold this task, in a circle
        for call in calls:
            if call is not None:
                call()

    def on_end(self, then: Callable[[], None]) -> None:
        """Call `then` once it is over, at once if it is already."""
        if self.over:
            then()
        elif self._then is None:
            self._then = then
        else:
            self._then_too = [*(self._then_too or ()), then]

    def no_more(self, then: Callable[[], None]) -> None:
        """Stop calling `then`."""
        left = [call for call in (self._then, *(self._then_too or ())) if call not in (then, None)]
        self._then, self._then_too = (left[0], left[1:]) if left else (None, None)
