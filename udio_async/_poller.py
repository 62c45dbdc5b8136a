"""One scheduler that looks at every song in flight.

A waiting song is an entry in a heap, not a task. The scheduler takes what is due, as many as the
provider lets one request ask about, and starts one look for them. A look that fails says nothing
about the songs: it slows the looks at this provider down, and is repeated.
"""

import heapq
import logging
import random
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from ._errors import (
    AccountError,
    ProviderUnavailable,
    RateLimited,
    RequestError,
    UdioError,
    Unreachable,
    WaitExpired,
)
from ._events import Event, EventKind, Observer
from ._http import Http
from ._limits import backoff
from ._records import Failure, Song, SongRequest, Stage, Task
from ._schedule import PollPolicy, Schedule
from ._watch import Watch
from .journal import Entry
from .providers.base import Provider, failure_error

_LOOKS_AT_ONCE = 8
_GATHER = 0.1
"""Seconds that a look waits for more songs to become due, where one request takes many."""
_UNKNOWN_GRACE = 60.0
"""Seconds for which a provider may say that it does not know a task."""
_PROBE_CAP = 20.0
"""Seconds between two probes of a provider that stays away, at most."""
_SPREAD = 30.0
"""Seconds over which the looks that piled up meanwhile are spread, at most."""
_SPREAD_PER_LOOK = 0.05
_CALLED_GAP = 1.0
"""Seconds between two looks at one song, whatever callbacks come."""
_OVERSLEPT = 1.0
"""Seconds: waking up later than this means that something blocked the event loop."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

logger = logging.getLogger("udio_async")


@attrs.define
class _Reachability:
    """What the answers so far say about the provider as a whole."""

    failures: int = 0
    not_before: float = 0.0
    answered_at: float = 0.0
    outages: float = 0.0
    """Seconds without any good answer while there were bad ones, in all."""
    _failing_since: float = 0.0

    def failed(self, error: Exception, now: float) -> float:
        """Return the seconds to wait before the next look at anything."""
        if not self.failures:
            self._failing_since = now
        wait = backoff(self.failures, base=1.0, cap=_PROBE_CAP)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        self.failures += 1
        self.not_before = max(self.not_before, now + wait)
        return wait

    def answered(self, now: float) -> bool:
        """Answer whether this good answer ends an outage."""
        self.answered_at = now
        if not self.failures:
            return False
        self.outages = self.away(now)
        self.failures = 0
        return True

    def away(self, now: float) -> float:
        """Return the seconds of outage so far, one that goes on included."""
        return self.outages + (now - self._failing_since if self.failures else 0.0)


class Poller:
    """Looks at all watched tasks of one provider until each is done, failed or given up."""

    def __init__(
        self,
        provider: Provider,
        http: Http,
        tasks: TaskGroup,
        *,
        policy: PollPolicy,
        observer: Observer | None = None,
    ) -> None:
        self._provider = provider
        self._traits = provider.traits
        self._http = http
        self._tasks = tasks
        self._observer = observer
        self._deadline = policy.deadline
        self._min_interval = policy.min_interval or self._traits.min_interval
        self._look_cost = policy.look_cost or self._traits.typical_duration / 75
        self._gather = _GATHER if self._traits.max_ids_per_look > 1 else 0.0
        self._schedules: dict[str, Schedule] = {}
        self._heap: list[tuple[float, int, Watch]] = []
        self._numbers = count()
        self._by_key: dict[str, Watch] = {}
        self._reach = _Reachability()
        self._looking = 0
        self._moved = anyio.Event()
        self._closed = False
        self.on_end: Callable[[Watch], None] | None = None
        """Called with each watch that is over."""

    def watch(
        self,
        task_id: str,
        request: SongRequest,
        entry: Entry | None = None,
        *,
        resumed: bool = False,
    ) -> Watch:
        """Look at this accepted request from now on until it is over.

        One that is `resumed` may have been complete for days: it is looked at right away, and its
        deadline counts from now.
        """
        now = anyio.current_time()
        watch = Watch(
            task=Task(id=task_id, provider=self._provider.name, stage=Stage.QUEUED, raw=_NOTHING),
            schedule=self._schedule_for(request.model or self._traits.default_model),
            entry=entry,
            resumed=resumed,
            accepted_at=now,
            looked_at=now,
            outages_before=self._reach.away(now),
        )
        if resumed:
            self._push(now, watch)
        else:
            self._plan(watch, now)
        if entry is not None:
            self._by_key[entry.key] = watch
        self._tell("submitted", task=watch.task, request=request, resumed=resumed)
        return watch

    def call(self, key: str, stage: Stage) -> bool:
        """Take in that a callback has named this stage of a job; answer whether it is watched.

        It says when to look, and nothing more: at once where the song should be over or somebody
        follows its stages, else hardly before it can be late, as another callback should come.
        """
        watch = self._by_key.get(key)
        if watch is None:
            return False
        if watch.called is None or watch.called.is_before(stage):
            watch.called, watch.called_at = stage, anyio.current_time()
            if watch.place is not None:
                self._plan(watch, watch.called_at)
        return True

    def _schedule_for(self, model: str) -> Schedule:
        if model not in self._schedules:
            self._schedules[model] = Schedule(
                typical=self._traits.typical_duration,
                look_cost=self._look_cost,
                min_interval=self._min_interval,
            )
        return self._schedules[model]

    def _plan(self, watch: Watch, now: float, at_most: float = float("inf")) -> None:
        """Look at it again when its schedule says so, and at the latest when its time is up."""
        if watch.is_called_for:
            self._push(max(now, watch.asked_at + _CALLED_GAP), watch)
            return
        age = now - watch.accepted_at
        together = min(len(self._heap) + 1, self._traits.max_ids_per_look)
        wait = min(watch.schedule.wait(age, together=together), at_most)
        if watch.called is not None:  # they do come: the next one will say when to look
            wait = max(wait, watch.schedule.late() - age)
        # A little jitter, so that what was submitted together does not march in step for ever.
        wait = max(wait * random.uniform(0.95, 1.05), self._min_interval)  # noqa: S311  # no secret
        expires_in = self._deadline - self._waited(watch, now)
        if wait > expires_in:
            wait = max(expires_in, self._min_interval)
        self._push(now + wait, watch)

    def _push(self, due: float, watch: Watch) -> None:
        watch.place = next(self._numbers)
        heapq.heappush(self._heap, (due, watch.place, watch))
        if self._heap[0][2] is watch:
            self._moved.set()

    def _waited(self, watch: Watch, now: float) -> float:
        """Seconds since it was accepted in which the provider could be asked."""
        return now - watch.accepted_at - (self._reach.away(now) - watch.outages_before)

    async def run(self) -> None:
        """Look for ever; cancelled with the client, which ends the waits that are left."""
        try:
            while True:
                batch = self._take(anyio.current_time()) if self._may_look() else []
                if batch:
                    self._looking += 1
                    self._tasks.start_soon(self._look, batch)
                else:
                    await self._sleep_until_due()
        finally:
            self._closed = True
            for watch in self._all([]):
                self._abandon(watch)

    def _may_look(self) -> bool:
        """A few looks run at once; while the provider stays away, one alone probes it."""
        return self._looking < (1 if self._reach.failures else _LOOKS_AT_ONCE)

    async def _sleep_until_due(self) -> None:
        due = float("inf")
        if self._heap and self._may_look():
            due = max(self._heap[0][0] + self._gather, self._reach.not_before)
        self._moved = anyio.Event()
        with anyio.CancelScope(deadline=due):
            await self._moved.wait()
        now = anyio.current_time()
        if now - due > _OVERSLEPT:
            self._spread(now)

    def _take(self, now: float) -> list[Watch]:
        """Take the due songs, and those nearly due while the request has room for them."""
        batch: list[Watch] = []
        if now < self._reach.not_before or not self._heap:
            return batch
        if now < self._heap[0][0] + self._gather:
            return batch
        room = self._traits.max_ids_per_look
        if room > 2 and self._due_at_least(room + 2, now) == room + 1:
            room -= 1  # the next request would ask about a single one
        while len(batch) < room and self._may_go(batch, now):
            _, place, watch = heapq.heappop(self._heap)
            if not watch.over and place == watch.place:
                watch.place, watch.asked_at = None, now
                batch.append(watch)
        return batch

    def _due_at_least(self, enough: int, now: float) -> int:
        """Count the due songs, but no further than `enough`: they lie at the top of the heap."""
        due, places = 0, [0]
        while places and due < enough:
            place = places.pop()
            if place < len(self._heap) and self._heap[place][0] <= now:
                due += 1
                places += (2 * place + 1, 2 * place + 2)
        return due

    def _may_go(self, batch: list[Watch], now: float) -> bool:
        """Answer whether the next song may go with this request."""
        if not self._heap:
            return False
        due, _, watch = self._heap[0]
        if batch and (watch.alone or batch[0].alone):
            return False
        waited = now - watch.looked_at
        nearly_due = waited >= self._min_interval and waited >= (due - watch.looked_at) / 2
        return due <= now or nearly_due

    async def _look(self, batch: list[Watch]) -> None:
        """Ask once about these songs. Whatever happens, each is over or planned again."""
        at_most = float("inf")
        try:
            looked = await self._provider.fetch(self._http, [watch.task_id for watch in batch])
            tasks = {task.id: task for task in looked}
        except AccountError as error:
            self._give_up_all(batch, error)
        except RequestError as error:
            self._unknown(batch, error)
        except Exception as error:  # noqa: BLE001  # one bad look must not end all the others
            self._missed(batch, error)
            at_most = _PROBE_CAP  # nothing was learned of them: they are still due
        else:
            self._heard(batch, tasks)
        finally:
            self._looking -= 1
            self._moved.set()
            self._put_back([watch for watch in batch if not watch.over], at_most)

    def _put_back(self, batch: list[Watch], at_most: float) -> None:
        now = anyio.current_time()
        for watch in batch:
            if watch.has_shown_less:
                watch.called = None
            if self._closed:
                self._abandon(watch)
            else:
                self._plan(watch, now, at_most)

    def _heard(self, batch: list[Watch], tasks: dict[str, Task]) -> None:
        now = anyio.current_time()
        if self._reach.answered(now):
            self._spread(now)
        self._tell("looked", task_ids=tuple(watch.task_id for watch in batch))
        for watch in batch:
            task = tasks.get(watch.task_id)
            watch.alone = task is None
            if task is not None:
                self._advance(watch, task, now)
            if not watch.over and self._waited(watch, now) >= self._deadline:
                self._finish(watch, self._expired(watch))

    def _advance(self, watch: Watch, task: Task, now: float) -> None:
        """Take in a good look. A task never moves backwards, whatever the provider says."""
        before = watch.task.stage
        age_before, age = watch.looked_at - watch.accepted_at, now - watch.accepted_at
        watch.looked_at, watch.unknown_since = now, None
        if not watch.resumed:
            watch.schedule.seen(age_before, age)
        if task.settling:
            task = self._settled(watch, task, now)
        if task.stage.is_before(before):
            return
        watch.task = task if task.stage.is_final else _without_raw(task)
        if task.stage is Stage.FAILED:
            self._finish(watch, failure_error(task))
        elif task.stage is Stage.COMPLETE:
            if not watch.resumed:
                if watch.called is Stage.COMPLETE:
                    age_before = age = watch.called_at - watch.accepted_at
                watch.took = watch.schedule.learn(age_before, age)
            self._finish(watch, None)
        elif before.is_before(task.stage):
            watch.announce()
            self._tell("advanced", task=task)

    def _settled(self, watch: Watch, task: Task, now: float) -> Task:
        """Take a task as it is once it has said "done" for a while without its audio."""
        if watch.settling_since is None:
            watch.settling_since = now
        if now - watch.settling_since < self._traits.settle:
            return task
        songs = tuple(map(_settled_song, task.songs))
        heard = any(song.error is None for song in songs)
        return attrs.evolve(task, stage=Stage.COMPLETE if heard else Stage.FAILED, songs=songs)

    def _missed(self, batch: list[Watch], error: Exception) -> None:
        """Slow the looks down, unless a single song is to blame."""
        if not isinstance(error, ProviderUnavailable):
            logger.error("a look at %s failed unforeseen", self._provider.name, exc_info=error)
        now = anyio.current_time()
        # An answer that cannot be read may be the fault of one task. Then the others are read when
        # each is asked about alone, and that one must not pass for an outage.
        unreadable = not self._reach.failures and not isinstance(error, (RateLimited, Unreachable))
        wait = 0.0 if unreadable and batch[0].alone else self._reach.failed(error, now)
        self._tell("retried", error=error, wait=wait)
        for watch in batch:
            watch.alone = watch.alone or unreadable
            if watch.alone and self._waited(watch, now) >= self._deadline:
                self._finish(watch, self._expired(watch))
        self._give_up_unanswered(batch, now)

    def _give_up_unanswered(self, batch: list[Watch], now: float) -> None:
        """End the waits that have seen no answer of the provider for a whole deadline."""
        for watch in self._all(batch):
            if now - max(watch.accepted_at, self._reach.answered_at) > self._deadline:
                self._finish(watch, self._expired(watch))

    def _unknown(self, batch: list[Watch], error: RequestError) -> None:
        """Believe only of a single task, and only after a while, that it is unknown.

        A fresh one may not have got around yet, and a gateway may be astray for a moment.
        """
        now = anyio.current_time()
        for watch in batch:
            if len(batch) == 1 and watch.unknown_since is None:
                watch.unknown_since = now
            if watch.unknown_since is not None and now - watch.unknown_since > _UNKNOWN_GRACE:
                error.task_id, error.charged = watch.task_id, "unknown"
                self._finish(watch, error)
            watch.alone = True

    def _give_up_all(self, batch: list[Watch], error: AccountError) -> None:
        """End every wait: no look will succeed until the key is mended. The ids are kept."""
        for watch in self._all(batch):
            self._finish(
                watch,
                type(error)(
                    f"{error}; task {watch.task_id} keeps running there",
                    provider=self._provider.name,
                    task_id=watch.task_id,
                    charged="yes",
                ),
            )

    def _all(self, batch: list[Watch]) -> list[Watch]:
        waiting = [*batch, *(watch for _, place, watch in self._heap if place == watch.place)]
        return [watch for watch in waiting if not watch.over]

    def _spread(self, now: float) -> None:
        """Spread what piled up during an outage or a blocked loop, so that it is no burst."""
        late = [entry for entry in self._heap if entry[0] <= now]
        if len(late) <= _LOOKS_AT_ONCE:
            return
        window = min(_SPREAD, _SPREAD_PER_LOOK * len(late) / self._traits.max_ids_per_look)
        self._heap = [entry for entry in self._heap if entry[0] > now] + [
            (now + window * place / len(late), number, watch)
            for place, (_, number, watch) in enumerate(sorted(late, key=lambda entry: entry[:2]))
        ]
        heapq.heapify(self._heap)

    def finished(self, entry: Entry) -> Watch:
        """Return the watch of a job that was ready in an earlier run: it is over."""
        now = anyio.current_time()
        task = Task(
            id=entry.task_id or "",
            provider=entry.provider,
            stage=Stage.COMPLETE,
            songs=entry.songs,
        )
        return Watch(
            task=task,
            schedule=self._schedule_for(self._traits.default_model),
            entry=entry,
            resumed=True,
            accepted_at=now,
            looked_at=now,
            outages_before=0.0,
            over=True,
        )

    def learn(self, model: str, took: float) -> None:
        """Take in how long a song of an earlier run took, in seconds."""
        self._schedule_for(model).learn(took, took)

    def _end(self, watch: Watch, error: UdioError | None) -> None:
        if watch.entry is not None:
            if self._by_key.get(watch.entry.key) is watch:
                del self._by_key[watch.entry.key]
            if error is not None:
                error.job_key = watch.entry.key
        if not watch.resumed:
            watch.schedule.forget(watch.looked_at - watch.accepted_at)
        watch.finish(error)
        if self.on_end is not None:
            self.on_end(watch)

    def _finish(self, watch: Watch, error: UdioError | None) -> None:
        self._end(watch, error)
        self._tell("finished", task=watch.task, error=error)

    def _expired(self, watch: Watch) -> WaitExpired:
        return self._still_running(watch, f"after {self._deadline:g} s")

    def _abandon(self, watch: Watch) -> None:
        """Let nobody wait for ever for what a closed client would have looked at."""
        self._end(watch, self._still_running(watch, "as the client is closed"))

    def _still_running(self, watch: Watch, when: str) -> WaitExpired:
        return WaitExpired(
            f"{self._provider.name} task {watch.task_id} is still {watch.task.stage} {when}; "
            "it keeps running there, look again with this id",
            provider=self._provider.name,
            task_id=watch.task_id,
        )

    def _tell(
        self,
        kind: EventKind,
        *,
        task: Task | None = None,
        request: SongRequest | None = None,
        task_ids: tuple[str, ...] = (),
        error: Exception | None = None,
        wait: float | None = None,
        resumed: bool = False,
    ) -> None:
        if self._observer is not None:
            self._observer(
                Event(
                    kind=kind,
                    provider=self._provider.name,
                    task=task,
                    request=request,
                    task_ids=task_ids,
                    error=error,
                    wait=wait,
                    resumed=resumed,
                )
            )


def _settled_song(song: Song) -> Song:
    """Take a song of a settled task as it is: with its audio, or failed without."""
    if song.error is not None or song.stage is Stage.COMPLETE:
        return song
    if song.audio_url is not None:
        return attrs.evolve(song, stage=Stage.COMPLETE)
    lost = Failure(message="the task is done, and this song has no audio")
    return attrs.evolve(song, stage=Stage.FAILED, error=lost)


def _without_raw(task: Task) -> Task:
    """Let the words of an answer go while more answers will come: ten thousand songs may wait."""
    songs = tuple(attrs.evolve(song, raw=_NOTHING) for song in task.songs)
    return attrs.evolve(task, songs=songs, raw=_NOTHING)
