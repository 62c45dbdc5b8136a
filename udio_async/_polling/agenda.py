"""The agenda: a heap of tasks by the time of their next look.

It has no clock and asks nobody: the caller brings the time, in seconds.
"""

import heapq
from collections.abc import Callable, Iterator
from itertools import count

from .tracked import TrackedTask

_SPREAD = 30.0
"""Looks that have piled up are spread over so many seconds, at most."""
_SPREAD_PER_LOOK = 0.05
"""How many of these seconds each request gets."""

MayJoin = Callable[[list[TrackedTask], TrackedTask, float], bool]
"""Says whether a task that is due at this time may be asked about together with those before it."""


class Agenda:
    """The tasks that wait for their next look, by the time it is due."""

    def __init__(self) -> None:
        # The heap holds only numbers: the garbage collector does not visit such pairs. Some are out
        # of date, because their task was planned anew; the first one never is.
        self._heap: list[tuple[float, int]] = []
        self._tasks: dict[int, TrackedTask] = {}
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[TrackedTask]:
        """Iterate over the tasks that wait, in no order."""
        return iter(self._tasks.values())

    @property
    def next_due(self) -> float:
        """The time of the next look; infinity if there is none."""
        return self._heap[0][0] if self._heap else float("inf")

    def put(self, task: TrackedTask, due: float) -> bool:
        """Plan a look at this time, and forget the one planned before.

        Returns whether it is now the first look of all.
        """
        self.remove(task)
        task.place = next(self._numbers)
        self._tasks[task.place] = task
        heapq.heappush(self._heap, (due, task.place))
        return self._heap[0][1] == task.place

    def remove(self, task: TrackedTask) -> None:
        """Forget the look that is planned, if there is one."""
        if task.place is not None:
            del self._tasks[task.place]
            task.place = None
            while self._heap and self._heap[0][1] not in self._tasks:
                heapq.heappop(self._heap)

    def take(self, room: int, may_join: MayJoin) -> list[TrackedTask]:
        """Take the next tasks, as many as fit into one request."""
        batch: list[TrackedTask] = []
        while self._heap and len(batch) < room:
            due, place = self._heap[0]
            task = self._tasks[place]
            if not task.over:
                if not may_join(batch, task, due):
                    break
                batch.append(task)
            self.remove(task)
        return batch

    def due_at_least(self, enough: int, now: float) -> int:
        """Return how many tasks are due, but stop counting at `enough`.

        They are at the top of the heap, so most of it is not visited.
        """
        due, places = 0, [0]
        while places and due < enough:
            place = places.pop()
            if place < len(self._heap) and self._heap[place][0] <= now:
                due += 1
                places += (2 * place + 1, 2 * place + 2)
        return due

    def spread(self, now: float, *, at_once: int, per_request: int) -> None:
        """Spread looks that piled up while the provider could not be asked.

        Otherwise they would all leave at once.
        """
        heap = [entry for entry in self._heap if entry[1] in self._tasks]
        late = [entry for entry in heap if entry[0] <= now]
        if len(late) <= at_once:
            return
        window = min(_SPREAD, _SPREAD_PER_LOOK * len(late) / per_request)
        self._heap = [entry for entry in heap if entry[0] > now] + [
            (now + window * place / len(late), number)
            for place, (_, number) in enumerate(sorted(late))
        ]
        heapq.heapify(self._heap)
