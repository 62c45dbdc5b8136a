"""Times of songs in the making, from what a client tells."""

import time
from collections.abc import Mapping
from typing import Any

import attrs

from .. import Event, SongRequest, Stage


@attrs.define
class _Times:
    """The times of one task, on the monotonic clock but for `accepted_at`."""

    accepted: float
    accepted_at: float
    queued: float | None
    text: float | None = None
    first: float | None = None
    complete: float | None = None
    looks: int = 0
    looked: float | None = None
    looked_before: float | None = None


@attrs.define(eq=False)
class Timelines:
    """Keeps the times of tasks in the making, until they are taken."""

    _times: dict[tuple[str, str], _Times] = attrs.field(factory=dict)
    _pulled: dict[int, float] = attrs.field(factory=dict)

    def pull(self, request: SongRequest) -> None:
        """Remember when a request's turn has come."""
        self._pulled[id(request)] = time.monotonic()

    def observe(self, event: Event) -> None:
        """Remember what a client tells."""
        now = time.monotonic()
        if event.kind == "looked":
            for task_id in event.task_ids:
                times = self._times.get((event.provider, task_id))
                if times is not None:
                    times.looks += 1
                    times.looked_before, times.looked = times.looked, now
            return
        if event.task is None:
            return
        where = (event.provider, event.task.id)
        if event.kind == "submitted" and not event.resumed:
            pulled = self._pulled.pop(id(event.request), None)
            queued = None if pulled is None else now - pulled
            self._times[where] = _Times(now, time.time(), queued)
        elif (times := self._times.get(where)) is not None:
            _advance(times, event, now - times.accepted)

    def take(self, provider: str, task_id: str | None) -> Mapping[str, Any] | None:
        """Return the times of a task that was saved just now; forget them.

        All are seconds, as `Timeline` in the manifest has them. None for a job of an earlier run:
        when that began is not known here.
        """
        times = self._times.pop((provider, task_id or ""), None)
        if times is None:
            return None
        known_unfinished = times.accepted if times.looked_before is None else times.looked_before
        noticed = None if times.complete is None else times.complete + times.accepted
        return {
            "accepted_at": round(times.accepted_at, 3),
            "queued": _seconds(times.queued),
            "text": _seconds(times.text),
            "first": _seconds(times.first),
            "complete": _seconds(times.complete),
            "saved": _seconds(time.monotonic() - times.accepted),
            "looks": times.looks,
            "noticed_within": _seconds(None if noticed is None else noticed - known_unfinished),
        }


def _advance(times: _Times, event: Event, age: float) -> None:
    """Remember when a task came to this stage."""
    assert event.task is not None
    if event.kind == "finished":
        times.complete = None if event.error else age
    elif event.task.stage is Stage.TEXT_READY:
        times.text = age
    elif event.task.stage is Stage.FIRST_AUDIO:
        times.first = age


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
