"""The registry: which tasks are tracked, and who is told about them."""

from collections.abc import Callable

from .._errors import UdioError
from .._events import Teller
from .judgement import still_running
from .tracked import TrackedTask


class Registry:
    """The tasks that are tracked, by job.

    `ended` is called with each that is over, `tell` about everything.
    """

    def __init__(self, *, ended: Callable[[TrackedTask], None], tell: Teller) -> None:
        self.tell = tell
        self._ended = ended
        self._by_key: dict[str, TrackedTask] = {}
        self._by_task: dict[str, TrackedTask] = {}

    def find(self, key: str) -> TrackedTask | None:
        """Return the tracked task of a job, or None."""
        return self._by_key.get(key)

    def of_task(self, task_id: str) -> TrackedTask | None:
        """Return the tracked task of this id, or None."""
        return self._by_task.get(task_id)

    def add(self, tracked: TrackedTask) -> None:
        """Make it possible to find a task by its id, and by its job if it has one."""
        self._by_task[tracked.task_id] = tracked
        if tracked.key is not None:
            self._by_key[tracked.key] = tracked

    def _end(self, tracked: TrackedTask, error: UdioError | None) -> None:
        if self._by_task.get(tracked.task_id) is tracked:
            del self._by_task[tracked.task_id]
        if tracked.key is not None:
            if self._by_key.get(tracked.key) is tracked:
                del self._by_key[tracked.key]
            if error is not None:
                error.job_key = tracked.key
        if not tracked.resumed:
            age = tracked.looked_at - tracked.accepted_at
            tracked.schedule.forget(tracked.begun, tracked.reached, age)
        tracked.over, tracked.error = True, error
        try:
            self._ended(tracked)  # it reads the error, and comes before those who wait
        finally:  # an adapter's songs may be odd: those who wait hear of the end all the same
            tracked.announce_end()

    def finish(
        self, tracked: TrackedTask, error: UdioError | None, *, since_look: float | None = None
    ) -> None:
        """End a task, well or with an error, and tell the observer.

        One that is over stays as it is: its job got another task while a look was on its way.
        """
        if tracked.over:
            return
        self._end(tracked, error)
        self.tell("finished", task=tracked.task, error=error, since_look=since_look)

    def abandon(self, tracked: TrackedTask) -> None:
        """End the wait for a task because the client is closed."""
        self._end(tracked, still_running(tracked, "as the client is closed"))
