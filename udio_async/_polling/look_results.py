"""Results of looks: good ones, bad ones, refusals.

A bad look says nothing about the songs. The caller brings the time, in seconds.
"""

import logging
from math import inf

import attrs

from .._errors import AccountError, ProviderUnavailable, RequestError, Unreachable
from .._http import HttpClientClosed
from .._limits import backoff
from .._records import Stage, Task, failure_error
from .agenda import Agenda
from .judgement import (
    as_it_is,
    is_unreadable,
    judged,
    kept,
    not_known,
    refusal,
    settled,
    still_running,
    unfinished,
)
from .learning import learn
from .reachability import PROBE_CAP, Reachability
from .registry import Registry
from .timetable import Timetable
from .tracked import TrackedTask

_GRACE = 60.0
"""For so many seconds a provider is not believed that it does not know a task, or refuses us."""
_REFUSALS = 3
"""After so many refusals in a row only one look at a time is sent, to see if it is refused too."""
_LISTED_LATER = 2.0
"""Another song may be listed within so many `min_interval` after a task ended with too few."""
_PATIENCE = 3.0
"""A task with an unknown word is given up after so many usual durations without any change."""

logger = logging.getLogger("udio_async")


class CutOff(Unreachable):
    """We stopped waiting for this answer ourselves, so it is not an outage of the provider."""


@attrs.define(kw_only=True)
class LookResults:
    """Applies what looks have shown, and ends the waits for tasks that are over."""

    provider: str
    deadline: float
    agenda: Agenda
    registry: Registry
    times: Timetable
    reach: Reachability = attrs.field(factory=Reachability)
    unanswered: Exception | None = None
    """Why the latest look told nothing; None if it told something."""
    told_at: float = -inf
    """When a look told something for the last time."""
    route_is_away: bool = False
    """The provider does not know a task that it has shown before: its lookup is out of order."""

    def left(self, tracked: TrackedTask, now: float) -> float:
        """Return the seconds until a task is given up.

        Seconds in which the provider could not be asked do not count.
        """
        away = self.reach.away(now) - tracked.outages_before
        # Rounded: a look that was planned for the end must find exactly 0 left.
        return round(self.deadline - (now - tracked.accepted_at - away), 6)

    def answered(self, batch: list[TrackedTask], tasks: dict[str, Task], now: float) -> None:
        """Apply a good look, which may have left out some of the tasks."""
        self.unanswered, self.told_at, self.route_is_away = None, now, False
        self.registry.tell("looked", task_ids=tuple(tracked.task_id for tracked in batch))
        # The others have ended while the look was on its way.
        for tracked in [tracked for tracked in batch if not tracked.over]:
            task = tasks.get(tracked.task_id)
            odd = None if task is None else self._try_to_advance(tracked, task, now)
            tracked.ask_alone = task is None or odd is not None
            if task is None:  # else it would be looked at after each shortest interval
                tracked.decided_at = inf
            if not tracked.over and self.left(tracked, now) <= 0:
                self._expire(tracked, unanswered=odd)

    def _try_to_advance(self, tracked: TrackedTask, task: Task, now: float) -> Exception | None:
        """Apply what a good look showed of one task, or return why it makes no sense.

        An adapter may raise anything, and one odd task must not end all other waits.
        """
        try:
            self._advance(tracked, task, now)
        except Exception as error:
            logger.exception("%s task %s cannot be read", self.provider, tracked.task_id)
            return error
        return None

    def _advance(self, tracked: TrackedTask, task: Task, now: float) -> None:
        """Apply what a good look showed of one task.

        A task never moves backwards, whatever the provider says.
        """
        before, looked_before = tracked.task.stage, tracked.looked_at
        tracked.looked_at, tracked.unknown_since, tracked.refused_since = now, None, None
        decided_at, tracked.decided_at = tracked.decided_at, inf
        made = task.stage is Stage.COMPLETE
        traits, shown = self.times.traits, task
        task = unfinished(task, usual=traits.songs_per_request)
        if task.settling:
            settle = traits.settle if task is shown else _LISTED_LATER * traits.min_interval
            task = settled(tracked, task, now, settle=settle)
        elif not task.stage.is_before(before):  # it goes on, whatever it looked like before
            tracked.settling = None
        if not task.status_known and not task.stage.is_final:
            patience = _PATIENCE * traits.typical_duration
            task = judged(tracked, task, now, patience=patience)
        else:
            tracked.unknown_word = None
        error = failure_error(task) if task.stage is Stage.FAILED else None
        if not tracked.resumed:
            # Songs that were there already did not take the time that others were waited for.
            learn(tracked, Stage.COMPLETE if made else task.stage, looked_before)
        if task.stage.is_before(before):  # the service answers from an older copy of its books
            tracked.decided_at = decided_at
            self._end_settled([tracked], now)
            return
        never_seen = tracked.resumed and looked_before == tracked.accepted_at
        since_look = None if never_seen else now - looked_before
        tracked.task = task if task.stage.is_final else kept(tracked, task)
        if task.stage.is_final:
            self.registry.finish(tracked, error, since_look=since_look)
        elif before.is_before(task.stage):
            tracked.announce()
            self.registry.tell("advanced", task=task, since_look=since_look)

    def missed(self, batch: list[TrackedTask], error: Exception, now: float) -> float:
        """Apply a look that failed: look less often, unless one task is to blame.

        Returns:
            Seconds after which to look again, at most.
        """
        self.unanswered = error
        if not isinstance(error, ProviderUnavailable):
            logger.error("a look at %s failed unforeseen", self.provider, exc_info=error)
        # An answer that cannot be read may be the fault of one task. So each is asked about alone
        # from now on: then the others can be read, and that one must not count as an outage.
        unreadable = not self.reach.failures and is_unreadable(error)
        wait = 0.0
        if not isinstance(error, CutOff) and not (unreadable and batch[0].ask_alone):
            wait = self.reach.failed(error, now, batch[0].asked_at)
        self.registry.tell("retried", error=error, wait=wait)
        for tracked in batch:
            tracked.ask_alone = tracked.ask_alone or unreadable
        return self._nothing_learned(batch, error, now)

    def _nothing_learned(self, batch: list[TrackedTask], error: Exception, now: float) -> float:
        """End the waits whose time is up; the others are still due.

        Returns:
            Seconds after which to look again, at most.
        """
        if isinstance(error, HttpClientClosed):  # no later look will tell more
            for tracked in self.waiting(batch):
                self._expire(tracked, unanswered=error)
        self._end_settled(batch, now)
        self._expire_late(batch, error, now)
        self._give_up_unanswered(batch, now)
        return PROBE_CAP

    def _end_settled(self, batch: list[TrackedTask], now: float) -> None:
        """End waits for a further song whose time is up, though this look has told nothing.

        The songs that were listed are whole, and must not wait for looks to succeed again.
        """
        for tracked in batch:
            task = tracked.task
            stages = {song.stage for song in task.songs if song.error is None}
            is_due = task.settling and now >= tracked.decided_at
            if not tracked.over and is_due and stages == {Stage.COMPLETE}:
                self._expire(tracked, unanswered=None)

    def _expire_late(self, batch: list[TrackedTask], error: Exception, now: float) -> None:
        """End the waits whose time is up: this was their last look, and it has told nothing.

        An answer about many that cannot be read may be the fault of one. Then each gets a last look
        of its own.
        """
        if len(batch) > 1 and is_unreadable(error):
            return
        for tracked in batch:
            if not tracked.over and self.left(tracked, now) <= 0:
                self._expire(tracked, unanswered=error)

    def _give_up_unanswered(self, batch: list[TrackedTask], now: float) -> None:
        """End the waits that have seen no answer of the provider for a whole deadline."""
        for tracked in self.waiting(batch):
            if now - max(tracked.accepted_at, self.reach.answered_at) >= self.deadline:
                self._expire(tracked, unanswered=self.unanswered)

    def unknown(self, batch: list[TrackedTask], error: RequestError, now: float) -> float:
        """Apply an answer that says the task is unknown.

        It is believed only if it is about a single task, and only after a while: a new task may not
        be known everywhere yet, and a gateway may err for a moment. If a look has shown the task
        before, and none has told anything since, the provider's lookup is out of order: an outage,
        for all tasks.

        Returns:
            Seconds after which to look again, at most.
        """
        first = batch[0]
        if len(batch) == 1:
            if first.unknown_since is None:
                first.unknown_since = now
            if first.was_shown and self.told_at <= first.unknown_since:
                self.route_is_away = True
        if self.route_is_away:
            return self._missed_route(batch, error, now)
        for tracked in batch:
            if tracked.unknown_since is not None and now - tracked.unknown_since > _GRACE:
                self.registry.finish(tracked, not_known(tracked, error))
            tracked.ask_alone = True
        self._end_settled(batch, now)
        self._expire_late(batch, error, now)
        return inf

    def _missed_route(self, batch: list[TrackedTask], error: RequestError, now: float) -> float:
        """Look less often, because the provider's lookup is out of order."""
        self.unanswered = error
        wait = self.reach.failed(error, now, batch[0].asked_at)
        self.registry.tell("retried", error=error, wait=wait)
        for tracked in batch:
            if not tracked.was_shown:  # when lookup works again, it may still be too new
                tracked.unknown_since = None
        return self._nothing_learned(batch, error, now)

    def refused(self, batch: list[TrackedTask], error: AccountError, now: float) -> float:
        """Apply a refusal for the key or the credits.

        It is believed only if it lasts, and only for the task that was asked about: it ends no
        other wait and no submit. If all looks were refused for that long, one refusal of the task
        is enough.

        Returns:
            Seconds after which to look again, at most.
        """
        stays = now - self.reach.refused(now) >= _GRACE
        wait = backoff(self.reach.refusals, base=2.0, cap=PROBE_CAP)
        self.registry.tell("retried", error=error, wait=wait)
        if self.reach.refusals >= _REFUSALS and not stays:
            self.reach.failed(error, now, batch[0].asked_at)
        self._end_settled(batch, now)
        for tracked in batch:
            tracked.ask_alone = True
            if tracked.refused_since is None:
                tracked.refused_since = now
            if len(batch) == 1 and (stays or now - tracked.refused_since >= _GRACE):
                self.registry.finish(tracked, refusal(tracked, error))
        self._expire_late(batch, error, now)
        return wait

    def waiting(self, batch: list[TrackedTask]) -> list[TrackedTask]:
        """Return these and all that wait for a look."""
        return [tracked for tracked in (*batch, *self.agenda) if not tracked.over]

    def _expire(self, tracked: TrackedTask, *, unanswered: Exception | None) -> None:
        """End a wait whose time is up; `unanswered` is why the latest look has told nothing.

        A task that looked like its end is taken as it is.
        """
        if tracked.task.settling:
            tracked.task = as_it_is(tracked.task)
            failed = tracked.task.stage is Stage.FAILED
            self.registry.finish(tracked, failure_error(tracked.task) if failed else None)
        else:
            late = still_running(tracked, f"after {self.deadline:g} s", unanswered=unanswered)
            late.__cause__ = unanswered  # the journal tells "not known" from "still running" by it
            self.registry.finish(tracked, late)
