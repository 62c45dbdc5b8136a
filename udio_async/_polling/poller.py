"""The poller: one scheduler that looks at every task in the making.

A waiting task is an entry in a heap, not a task of the event loop. The scheduler takes the tasks
that are due, as many as one request may ask about, and starts one look for them. A look that fails
says nothing about the songs: it slows down all looks at this provider, and is repeated.
"""

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from .._errors import (
    AccountError,
    RequestError,
    RequestRefused,
    UdioError,
)
from .._events import Teller
from .._http import Http
from .._records import SongRequest, Stage, Task
from ..journal import Entry
from ..providers.base import Provider, look_at
from .agenda import Agenda
from .look_results import CutOff, LookResults
from .pace import Listening
from .policy import PollPolicy
from .registry import Registry
from .timetable import Timetable
from .tracked import NOTHING, TrackedTask

_LOOKS_AT_ONCE = 8
_GATHER = 0.1
"""Seconds that a look waits for more songs to become due, where one request takes many."""
_LAST_LOOK = 35.0
"""Seconds, at most, for a look that begins when the time of its song is up.

A call ends by itself after 30, and may have to wait for its turn."""
_OVERSLEPT = 1.0
"""Seconds: waking up later than this means that something blocked the event loop."""


class Poller:
    """Looks at all tracked tasks of one provider, until each is over.

    Over means done, failed or given up. `started` is called for each task, and `ended` with each
    that is over. The session owns the poller, and runs `run` in a task of the client.
    """

    def __init__(
        self,
        provider: Provider,
        http: Http,
        tasks: TaskGroup,
        *,
        policy: PollPolicy,
        tell: Teller,
        local: bool = False,
        started: Callable[[], None] = lambda: None,
        ended: Callable[[TrackedTask], None] = lambda _: None,
    ) -> None:
        self._provider = provider
        self._times = Timetable(provider.traits, policy)
        self._local = local
        self._http = self.listening(http)
        self._tasks = tasks
        self._started = started
        self._registry = Registry(ended=ended, tell=tell)
        self._deadline = policy.deadline
        self._gather = _GATHER if self._times.traits.max_ids_per_look > 1 else 0.0
        self._agenda = Agenda()
        self._results = LookResults(
            provider=provider.name,
            deadline=policy.deadline,
            agenda=self._agenda,
            registry=self._registry,
            times=self._times,
        )
        self._on_follow = self._look_sooner  # one object for all that are tracked
        self._looking = 0
        self._moved = anyio.Event()
        self._closed = False

    async def look_once(self, task_id: str) -> Task:
        """Look once at a task, which need not be tracked.

        Raises:
            RequestRefused: the provider does not know it.
            AccountError, ProviderUnavailable: it could not be looked at.
        """
        for task in await self._provider.fetch(self._http, [task_id]):
            if task.id == task_id:
                return task
        raise RequestRefused(
            f"{self._provider.name} shows no task {task_id}",
            provider=self._provider.name,
            task_id=task_id,
        )

    # What is tracked

    def track(
        self,
        task_id: str,
        request: SongRequest,
        entry: Entry | None = None,
        *,
        resumed: bool = False,
        has_callback: bool = False,
    ) -> TrackedTask:
        """Look at this accepted request from now on, until it is over.

        One that is `resumed` may have been complete for days: it is looked at right away, and its
        deadline counts from now. One that `has_callback` has an address that the provider calls, so
        its stages need no looks of their own. A job that is tracked already gets the same object.
        """
        if entry is not None and (known := self._registry.find(entry.key)) is not None:
            return known
        now = self._awake()
        schedule = self._times.schedule_for(request.model or self._times.traits.default_model)
        tracked = TrackedTask(
            task=Task(id=task_id, provider=self._provider.name, stage=Stage.QUEUED, raw=NOTHING),
            schedule=schedule,
            entry=entry,
            resumed=resumed,
            begun=0.0 if resumed else schedule.begin(),
            has_callback=has_callback,
            on_follow=self._on_follow,
            accepted_at=now,
            looked_at=now,
            outages_before=self._results.reach.away(now),
        )
        if resumed:
            self._put(tracked, now)
        else:
            self._plan(tracked, now)
        self._registry.add(tracked)
        self._started()
        self._registry.tell("submitted", task=tracked.task, request=request, resumed=resumed)
        if self._closed:  # nobody will look at it any more
            self._agenda.remove(tracked)
            self._registry.abandon(tracked)
        return tracked

    def finished(self, entry: Entry) -> TrackedTask:
        """Return the task of a job that is over, with its songs."""
        schedule = self._times.schedule_for(self._times.traits.default_model)
        return TrackedTask.of_ended(entry, schedule, anyio.current_time())

    def find(self, key: str) -> TrackedTask | None:
        """Return the tracked task of a job."""
        return self._registry.find(key)

    def is_of_another(self, key: str, task_id: str) -> bool:
        """Whether this task is looked at for another job than that of `key`."""
        known = self._registry.of_task(task_id)
        return known is not None and known.key != key

    def drop(self, key: str, error: UdioError) -> None:
        """Stop looking at the task of a job: its owner says it is another one."""
        tracked = self._registry.find(key)
        if tracked is not None:
            self._agenda.remove(tracked)
            self._registry.finish(tracked, error)

    def call(self, key: str, stage: Stage) -> bool:
        """Plan the look that a callback asks for; return whether the job is tracked.

        A callback says when to look, and nothing more. The look is made at once if the songs should
        be done, or if somebody follows the stages; otherwise only just before they would be late,
        because another callback should come.
        """
        tracked = self._registry.find(key)
        if tracked is None:
            return False
        if tracked.callback_stage is None or tracked.callback_stage.is_before(stage):
            tracked.callback_stage, tracked.callback_at = stage, anyio.current_time()
            if tracked.place is not None:
                self._plan(tracked, tracked.callback_at)
        return True

    def learn(self, model: str, entry: Entry) -> None:
        """Learn from how long a job of an earlier run took."""
        self._times.learn_from(model, entry)

    def listening(self, http: Http) -> Http:
        """Return an `Http` that notices the speed of a sandbox on this machine."""
        return Listening(http, self._times.hasten) if self._local else http

    # When

    def _plan(self, tracked: TrackedTask, now: float, at_most: float = float("inf")) -> None:
        """Plan the next look by the schedule, at the latest when the time is up."""
        left = self._results.left(tracked, now)
        others = len(self._agenda)
        self._put(tracked, self._times.due(tracked, now, left=left, others=others, at_most=at_most))

    def _look_sooner(self, tracked: TrackedTask) -> None:
        """Look at the stages too, from now on: somebody has begun to follow it."""
        if tracked.place is not None and not tracked.over:
            self._plan(tracked, anyio.current_time())

    def _put(self, tracked: TrackedTask, due: float) -> None:
        if self._agenda.put(tracked, due):
            self._moved.set()

    async def run(self) -> None:
        """Look for ever; a cancellation ends the waits that are left."""
        try:
            while True:
                now = self._awake()
                batch = self._take(now) if self._may_look() else []
                if batch:
                    self._looking += 1
                    self._tasks.start_soon(self._look, batch)
                else:
                    await self._sleep_until_due(now)
        finally:
            self._closed = True
            for tracked in self._results.waiting([]):
                self._registry.abandon(tracked)

    def _may_look(self) -> bool:
        """Return whether another look may start.

        A few run at once; while the provider does not answer, there is only one at a time.
        """
        return self._looking < (1 if self._results.reach.failures else _LOOKS_AT_ONCE)

    async def _sleep_until_due(self, now: float) -> None:
        due = float("inf")
        if self._agenda and self._may_look():
            due = max(self._agenda.next_due + self._gather, self._results.reach.not_before)
        self._moved = anyio.Event()
        beat = self._results.reach.beat(now) if self._agenda or self._looking else float("inf")
        with anyio.CancelScope(deadline=min(due, beat)):
            await self._moved.wait()
        now = anyio.current_time()
        if now - due > _OVERSLEPT:
            self._spread(now)

    def _awake(self) -> float:
        """Return the time; notice if this process did not run for a while."""
        now = anyio.current_time()
        if self._results.reach.awake(now):
            self._spread(now)
        return now

    def _take(self, now: float) -> list[TrackedTask]:
        """Return the tasks for the next look: those due, and some nearly due."""
        if now < max(self._results.reach.not_before, self._agenda.next_due + self._gather):
            return []
        room = self._times.traits.max_ids_per_look
        if room > 2 and self._agenda.due_at_least(room + 2, now) == room + 1:
            room -= 1  # the next request would ask about a single one
        batch = self._agenda.take(
            room, lambda batch, tracked, due: self._may_join(batch, tracked, due=due, now=now)
        )
        for tracked in batch:
            tracked.asked_at = now
        return batch

    def _may_join(
        self, batch: list[TrackedTask], tracked: TrackedTask, *, due: float, now: float
    ) -> bool:
        """Return whether the next task may go with this request."""
        if batch and (tracked.ask_alone or batch[0].ask_alone):
            return False
        waited = now - tracked.looked_at
        nearly_due = waited >= self._times.min_interval and waited >= (due - tracked.looked_at) / 2
        return due <= now or nearly_due

    def _spread(self, now: float) -> None:
        self._agenda.spread(
            now, at_once=_LOOKS_AT_ONCE, per_request=self._times.traits.max_ids_per_look
        )

    # A look

    async def _look(self, batch: list[TrackedTask]) -> None:
        """Ask once about these tasks.

        Whatever happens, each is over or planned again.
        """
        at_most = float("inf")
        try:
            tasks = await self._ask(batch)
        except AccountError as error:
            at_most = self._results.refused(batch, error, self._awake())
        except RequestError as error:
            at_most = self._results.unknown(batch, error, self._awake())
        except Exception as error:  # noqa: BLE001  # one bad look must not end all the others
            at_most = self._results.missed(batch, error, self._awake())
        else:
            self._take_in(batch, tasks)
        finally:
            self._looking -= 1
            self._moved.set()
            self._put_back([tracked for tracked in batch if not tracked.over], at_most)

    async def _ask(self, batch: list[TrackedTask]) -> dict[str, Task]:
        """Ask about these tasks, while the first of them may still be waited for.

        Raises:
            Unreachable: no answer came.
            CutOff: no answer came in the time that was left.
        """
        now = anyio.current_time()
        least = min(_LAST_LOOK, self._deadline / 4)
        seconds = max(least, min(self._results.left(tracked, now) for tracked in batch))
        with anyio.move_on_after(seconds):
            return await look_at(self._provider, self._http, [tracked.task_id for tracked in batch])
        raise CutOff(f"{self._provider.name} has not answered within {seconds:.3g} s")

    def _take_in(self, batch: list[TrackedTask], tasks: dict[str, Task]) -> None:
        now = self._awake()
        if self._results.reach.answered(now):
            self._spread(now)
        self._results.answered(batch, tasks, now)

    def _put_back(self, batch: list[TrackedTask], at_most: float) -> None:
        now = anyio.current_time()
        for tracked in batch:
            if tracked.has_shown_less:
                tracked.callback_stage = None
            if self._closed:
                self._registry.abandon(tracked)
            else:
                self._plan(tracked, now, at_most)
