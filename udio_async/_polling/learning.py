"""What a look at a task, or a job of an earlier run, teaches a schedule."""

from .._records import Stage
from ..journal import Entry
from .schedule import Schedule, passed
from .tracked import TrackedTask


def learn(tracked: TrackedTask, stage: Stage, looked_before: float) -> None:
    """Learn from a look that has shown this stage; the look before was at `looked_before`."""
    before, age = looked_before - tracked.accepted_at, tracked.looked_at - tracked.accepted_at
    failed = stage is Stage.FAILED
    tracked.reached = tracked.schedule.saw(
        tracked.begun,
        tracked.reached,
        before,
        age,
        max(passed(stage), len(tracked.reached)),
        failed=failed,
        by=_called(tracked, stage),
    )
    if failed:
        tracked.failed = before, age
    elif stage is Stage.COMPLETE:
        tracked.took = tracked.schedule.expected(*tracked.reached[-1])


def learn_from(entry: Entry, schedule: Schedule) -> None:
    """Learn from a job of an earlier run; an old entry tells only when it was complete."""
    reached = entry.reached
    if not reached and entry.took is not None:
        reached = (0.0, entry.took), (0.0, entry.took), (entry.took, entry.took)
    if reached or entry.failed is not None:
        schedule.remember(reached, entry.failed)


def _called(tracked: TrackedTask, stage: Stage) -> float | None:
    """Return the age at which a callback has told of the end, if one has."""
    told = stage is Stage.COMPLETE and tracked.callback_stage is Stage.COMPLETE
    return tracked.callback_at - tracked.accepted_at if told else None
