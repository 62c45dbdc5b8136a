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


def guarded(observer: Observer | None) -> Observer | None:
    """Keep an observer's own errors out of the client: they are logged."""
    if observer is None:
        return None

    def observe(event: Event) -> None:
        try:
            observer(event)
        except Exception:
            logger.exception("the observer failed on a %r event", event.kind)

    return observe


def tell_late(observer: Observer | None, song: Song, error: Exception, wait: float) -> None:
    """Tell an observer that the file of a finished song is waited for."""
    if observer is not None:
        ids = (song.task_id,)
        observer(Event(kind="late", provider=song.provider, task_ids=ids, error=error, wait=wait))
