"""Events: what an observer of a client is told, as it happens.

An observer is a plain function, called in the event loop: it should return at once. Whatever it
raises is logged and stops nothing.
"""

import logging
from collections.abc import Callable
from typing import Literal

import attrs

from ._records import Song, SongRequest, Task

logger = logging.getLogger("udio_async")

EventKind = Literal["submitted", "looked", "advanced", "finished", "retried", "healed", "late"]


@attrs.frozen(kw_only=True)
class Event:
    """One thing that happened to a job, or at the provider.

    | kind | what happened | filled in |
    | --- | --- | --- |
    | submitted | the provider accepted a request | `task`, `request` |
    | looked | one request asked about some songs | `task_ids` |
    | advanced | a task came a stage further | `task`, `since_look` |
    | finished | a wait ended, well or not | `task`, `error`, `since_look` |
    | retried | a submit or a look will be repeated | `error`, `wait` (seconds) |
    | healed | a callback has settled a submit in doubt | `task` |
    | late | a new song's file is not served yet and waited for | `task_ids`, `error`, `wait` |

        def observe(event: Event) -> None:
            print(event.kind, event.task.id if event.task else "")

        client = Client(provider, on_event=observe)
    """

    kind: EventKind
    provider: str
    task: Task | None = None
    request: SongRequest | None = None
    task_ids: tuple[str, ...] = ()
    error: Exception | None = None
    wait: float | None = None
    since_look: float | None = None
    """Seconds since the look before, or since the submit: the news is as old as this at most. None
    where it is not known: no look has shown it, or it is of an earlier run and was not seen yet."""
    resumed: bool = False
    """With "submitted": the job was accepted in an earlier run."""


Observer = Callable[[Event], object]


@attrs.frozen
class Teller:
    """Tells the observer of a client what happens; without an observer, nothing is done.

    An error of the observer stays out of the client: it is logged.
    """

    provider: str
    observer: Observer | None = None

    def __call__(
        self,
        kind: EventKind,
        *,
        task: Task | None = None,
        request: SongRequest | None = None,
        task_ids: tuple[str, ...] = (),
        error: Exception | None = None,
        wait: float | None = None,
        since_look: float | None = None,
        resumed: bool = False,
    ) -> None:
        """Tell of one event; the arguments are the fields of `Event`."""
        if self.observer is None:  # before an event is made that nobody gets
            return
        event = Event(
            kind=kind,
            provider=self.provider,
            task=task,
            request=request,
            task_ids=task_ids,
            error=error,
            wait=wait,
            since_look=since_look,
            resumed=resumed,
        )
        try:
            self.observer(event)
        except Exception:
            logger.exception("the observer failed on a %r event", kind)

    def late(self, song: Song, error: Exception, wait: float) -> None:
        """Tell that the file of a finished song is waited for."""
        tell = attrs.evolve(self, provider=song.provider)  # another client may have made the song
        tell("late", task_ids=(song.task_id,), error=error, wait=wait)
