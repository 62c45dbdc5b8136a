"""One task in flight, as the poller and those who wait for it share it."""

from collections.abc import Callable

import anyio
import attrs

from ._errors import UdioError
from ._records import Stage, Task
from ._schedule import Schedule
from .journal import Entry


@attrs.define(eq=False, kw_only=True)
class Watch:
    """One task in flight: what was last seen of it."""

    task: Task
    schedule: Schedule = attrs.field(repr=False)
    entry: Entry | None = attrs.field(default=None, repr=False)
    """What the journal knows of it."""
    resumed: bool = False
    """It was accepted in an earlier run, so how long it took is not known."""
    took: float | None = None
    """Seconds from accepted to complete, to within a look."""
    accepted_at: float
    looked_at: float
    outages_before: float
    """Seconds of outage that had passed when it was accepted; they do not count as its wait."""
    place: int | None = None
    """Which entry of the heap is its own, older ones being out of date; None while asked for."""
    asked_at: float = float("-inf")
    """When the latest look left."""
    called: Stage | None = None
    """What its callbacks have said so far, until a look has shown less."""
    called_at: float = 0.0
    followed: bool = False
    """Somebody wants to hear of each stage, not only of the end."""
    alone: bool = False
    """Ask about it in a request of its own: one for many went without it."""
    settling_since: float | None = None
    unknown_since: float | None = None
    over: bool = False
    error: UdioError | None = None
    _changed: anyio.Event | None = None
    _then: Callable[[], None] | None = None

    @property
    def task_id(self) -> str:
        """The provider's id of the task."""
        return self.task.id

    @property
    def is_called_for(self) -> bool:
        """Answer whether its callbacks have named what somebody waits for, and no look has yet."""
        if self.called is None or not self.task.stage.is_before(self.called):
            return False
        return self.called.is_final or self.followed

    @property
    def has_shown_less(self) -> bool:
        """Answer whether the latest look, sent after the callback, saw less than that had said."""
        looked = self.looked_at >= self.asked_at >= self.called_at
        return self.called is not None and looked and self.task.stage.is_before(self.called)

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

    def finish(self, error: UdioError | None = None) -> None:
        """End the wait, well or with an error."""
        self.over = True
        self.error = error
        self.announce()
        then, self._then = self._then, None  # it may hold this watch, in a circle
        if then is not None:
            then()

    def on_done(self, then: Callable[[], None]) -> None:
        """Call `then` once it is over, at once if it is already."""
        if self.over:
            then()
        else:
            self._then = then
