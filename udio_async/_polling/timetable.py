"""The timetable: when each task is due.

It depends on the model, on callbacks and on the speed of the provider.
"""

import random

from ..journal import Entry
from ..providers.base import Traits
from .learning import learn_from
from .policy import PollPolicy
from .schedule import Schedule, passed
from .tracked import TrackedTask

_TYPICAL_PER_LOOK, _TYPICAL_PER_LOOK_FOLLOWED = 75, 200
"""The price of a look is the typical time divided by this. Whoever follows a song watches
it, and wants to hear of it sooner."""
_SETTLING = 4.0
"""Intervals between two looks at a task that only has to settle, at most."""
_CALLED_GAP = 1.0
"""Seconds between two looks at one song, at least, however many callbacks come."""


class Timetable:
    """Knows how long songs of each model take, and when to look.

    It has no clock: the caller brings the time.
    """

    def __init__(self, traits: Traits, policy: PollPolicy) -> None:
        self.traits = traits
        """The provider's, adapted to the speed that it has stated."""
        self._policy = policy
        self._schedules: dict[str, Schedule] = {}

    def schedule_for(self, model: str) -> Schedule:
        """Return what has been learned of a model so far."""
        if model not in self._schedules:
            self._schedules[model] = Schedule(**self._pace())
        return self._schedules[model]

    def learn_from(self, model: str, entry: Entry) -> None:
        """Learn from how long a job of an earlier run took."""
        learn_from(entry, self.schedule_for(model))

    @property
    def min_interval(self) -> float:
        """Seconds between two looks at one task, at least."""
        return self._policy.min_interval or self.traits.min_interval

    def _pace(self) -> dict[str, float]:
        typical = self.traits.typical_duration
        return {
            "typical": typical,
            "look_cost": self._policy.look_cost or typical / _TYPICAL_PER_LOOK,
            "follow_cost": self._policy.look_cost or typical / _TYPICAL_PER_LOOK_FOLLOWED,
            "min_interval": self.min_interval,
        }

    def hasten(self, speed: float) -> None:
        """Look more often, if songs are made faster by this factor."""
        if speed != self.traits.speed:
            self.traits = self.traits.hastened(speed)
            for schedule in self._schedules.values():
                schedule.restart(**self._pace())

    def due(
        self, tracked: TrackedTask, now: float, *, left: float, others: int, at_most: float
    ) -> float:
        """Return when to look next at a task.

        That is when its schedule says so; but at the latest after `at_most` seconds, or when a look
        can decide how it ends, or when its time is up.

        Args:
            tracked: the task.
            now: the time.
            left: seconds for which it may still be waited for.
            others: tasks that wait as well; some of them go with the same request.
            at_most: seconds after which to look at the latest.
        """
        if tracked.callback_is_ahead:
            return max(now, tracked.asked_at + _CALLED_GAP)
        wait = min(self._wait(tracked, now - tracked.accepted_at, others), at_most)
        wait = min(wait, tracked.decided_at - now)
        wait = max(wait, self.min_interval)
        if wait > left:
            wait = max(left, self.min_interval)
        return now + wait

    def _wait(self, tracked: TrackedTask, age: float, others: int) -> float:
        if self._policy.interval is not None:
            return self._policy.interval
        follows = tracked.followed or others < self._policy.follow
        calls = tracked.has_callback and not tracked.callbacks_are_silent
        wait = tracked.schedule.wait(
            age,
            stages_passed=passed(tracked.task.stage),
            follows=follows and not calls,
            may_fail=not (tracked.resumed or calls),
            together=min(others + 1, self.traits.max_ids_per_look),
        )
        if tracked.settling is not None:  # the longer nothing changes, the less a look is worth
            unchanged = age + tracked.accepted_at - tracked.settling.since
            wait = max(wait, min(unchanged, _SETTLING * self.traits.min_interval))
        if tracked.callback_stage is not None:  # callbacks come: the next will say when to look
            wait = max(wait, tracked.schedule.late() - age)
        # A little jitter: what was submitted together shall not be looked at together for ever.
        return wait * random.uniform(0.97, 1.03)  # noqa: S311  # no secret
