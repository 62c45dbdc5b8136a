"""One task in flight, as the poller and those who wait for it share it."""

from collections.abc import Callable

import anyio
import attrs

from ._errors import UdioError
from ._records import Task
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
