"""One scheduler that looks at every song in flight.

A waiting song is an entry in a heap, not a task. The scheduler takes what is due, as many as the
provider lets one request ask about, and starts one look for them. A look that fails says nothing
about the songs: it slows the looks at this provider down, and is repeated.
"""

import logging
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from .._errors import (
    AccountError,
    ProviderUnavailable,
    RateLimited,
    RequestError,
    UdioError,
    Unreachable,
    WaitExpired,
)
from .._events import Event, EventKind, Observer
from .._http import Http
from .._limits import backoff
from .._records import Failure, Song, SongRequest, Stage, Task, failure_error
from ..journal import Entry
from ..journal.jobs import remembered_error
from ..providers.base import Provider
from .agenda import Agenda
from .pace import Listening
from .reachability import PROBE_CAP, Reachability
from .schedule import PollPolicy, Schedule
from .tracked import TrackedTask

_LOOKS_AT_ONCE = 8
_GATHER = 0.1
"""Seconds that a look waits for more songs to become due, where one request takes many."""
_GRACE = 60.0
"""Seconds for which a provider may say that it does not know a task, or refuse to tell of it."""
_REFUSALS = 3
"""Refusals in a row after which one look alone probes whether the next is refused as well."""
_PATIENCE = 3.0
"""Times a song's usual duration that a word which nobody knows is waited with."""
_LAST_LOOK = 10.0
"""Seconds that a look may take which begins when the time of its song is up, at most."""
_CALLED_GAP = 1.0
"""Seconds between two looks at one song, whatever callbacks come."""
_OVERSLEPT = 1.0
"""Seconds: waking up later than this means that something blocked the event loop."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})

logger = logging.getLogger("udio_async")


class Poller:
    """Looks at all tracked tasks of one provider until each is done, failed or given up.

    `started` is called for each of them, and `ended` with each when it is over.
    """

    def __init__(
        self,
        provider: Provider,
        http: Http,
        tasks: TaskGroup,
        *,
        policy: PollPolicy,
        local: bool = False,
        started: Callable[[], None] = lambda: None,
        ended: Callable[[TrackedTask], None] = lambda _: None,
        observer: Observer | None = None,
    ) -> None:
        self._provider = provider
        self._traits = provider.traits
        self._policy = policy
        self._local = local
        self._http = self.listening(http)
        self._tasks = tasks
        self._started = started
        self._ended = ended
        self._observer = observer
        self._deadline = policy.deadline
        self._gather = _GATHER if self._traits.max_ids_per_look > 1 else 0.0
        self._schedules: dict[str, Schedule] = {}
        self._agenda = Agenda()
        self._by_key: dict[str, TrackedTask] = {}
        self._reach = Reachability()
        self._looking = 0
        self._moved = anyio.Event()
        self._closed = False

    # What is tracked

    def track(
        self,
        task_id: str,
        request: SongRequest,
        entry: Entry | None = None,
        *,
        resumed: bool = False,
    ) -> TrackedTask:
        """Look at this accepted request from now on until it is over.

        One that is `resumed` may have been complete for days: it is looked at right away, and its
        deadline counts from now. A job that is tracked already is the same one.
        """
        if entry is not None and (known := self._by_key.get(entry.key)) is not None:
            return known
        now = anyio.current_time()
        tracked = TrackedTask(
            task=Task(id=task_id, provider=self._provider.name, stage=Stage.QUEUED, raw=_NOTHING),
            schedule=self._schedule_for(request.model or self._traits.default_model),
            entry=entry,
            resumed=resumed,
            accepted_at=now,
            looked_at=now,
            outages_before=self._reach.away(now),
        )
        if resumed:
            self._put(tracked, now)
        else:
            self._plan(tracked, now)
        if entry is not None:
            self._by_key[entry.key] = tracked
        self._started()
        self._tell("submitted", task=tracked.task, request=request, resumed=resumed)
        return tracked

    def finished(self, entry: Entry) -> TrackedTask:
        """Return the task of a job that is over, with its songs."""
        now = anyio.current_time()
        task = Task(
            id=entry.task_id or "",
            provider=entry.provider,
            stage=Stage.COMPLETE,
            songs=entry.songs,
        )
        return TrackedTask(
            task=task,
            schedule=self._schedule_for(self._traits.default_model),
            entry=entry,
            resumed=True,
            accepted_at=now,
            looked_at=now,
            outages_before=0.0,
            over=True,
            error=remembered_error(entry),
        )

    def find(self, key: str) -> TrackedTask | None:
        """Return the tracked task of a job."""
        return self._by_key.get(key)

    def drop(self, key: str, error: UdioError) -> None:
        """Look no more at the task of a job: its owner has said that it is another."""
        tracked = self._by_key.get(key)
        if tracked is not None:
            tracked.place = None
            self._finish(tracked, error)

    def call(self, key: str, stage: Stage) -> bool:
        """Take in that a callback has named this stage of a job; return whether it is tracked.

        It says when to look, and nothing more: at once where the song should be over or somebody
        follows its stages, else hardly before it can be late, as another callback should come.
        """
        tracked = self._by_key.get(key)
        if tracked is None:
            return False
        if tracked.called is None or tracked.called.is_before(stage):
            tracked.called, tracked.called_at = stage, anyio.current_time()
            if tracked.place is not None:
                self._plan(tracked, tracked.called_at)
        return True

    def learn(self, model: str, took: float) -> None:
        """Take in how long a song of an earlier run took, in seconds."""
        self._schedule_for(model).learn(took, took)

    def _schedule_for(self, model: str) -> Schedule:
        if model not in self._schedules:
            self._schedules[model] = Schedule(**self._pace())
        return self._schedules[model]

    # How often

    @property
    def _min_interval(self) -> float:
        return self._policy.min_interval or self._traits.min_interval

    def _pace(self) -> dict[str, float]:
        typical = self._traits.typical_duration
        look_cost = self._policy.look_cost or typical / 75
        return {
            "typical": typical,
            "look_cost": look_cost,
            "min_interval": self._min_interval,
        }

    def listening(self, http: Http) -> Http:
        """Return what sends as `http` does; a sandbox on this machine tells its speed so."""
        return Listening(http, self._hasten) if self._local else http

    def _hasten(self, speed: float) -> None:
        """Look as much oftener as the songs are made faster."""
        if speed != self._traits.speed:
            self._traits = self._traits.hastened(speed)
            for schedule in self._schedules.values():
                schedule.restart(**self._pace())

    # When

    def _plan(self, tracked: TrackedTask, now: float, at_most: float = float("inf")) -> None:
        """Look at it again when its schedule says so, and at the latest when its time is up."""
        if tracked.is_called_for:
            self._put(tracked, max(now, tracked.asked_at + _CALLED_GAP))
            return
        age = now - tracked.accepted_at
        together = min(len(self._agenda) + 1, self._traits.max_ids_per_look)
        wait = min(tracked.schedule.wait(age, together=together), at_most)
        if tracked.called is not None:  # they do come: the next one will say when to look
            wait = max(wait, tracked.schedule.late() - age)
        # A little jitter, so that what was submitted together does not march in step for ever.
        wait = max(wait * random.uniform(0.95, 1.05), self._min_interval)  # noqa: S311  # no secret
        left = self._left(tracked, now)
        if wait > left:
            wait = max(left, self._min_interval)
        self._put(tracked, now + wait)

    def _put(self, tracked: TrackedTask, due: float) -> None:
        if self._agenda.put(tracked, due):
            self._moved.set()

    def _left(self, tracked: TrackedTask, now: float) -> float:
        """Seconds until it is given up; those in which nobody could be asked do not count."""
        away = self._reach.away(now) - tracked.outages_before
        return self._deadline - (now - tracked.accepted_at - away)

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
            for tracked in self._waiting([]):
                self._abandon(tracked)

    def _may_look(self) -> bool:
        """A few looks run at once; while the provider stays away, one alone probes it."""
        return self._looking < (1 if self._reach.failures else _LOOKS_AT_ONCE)

    async def _sleep_until_due(self) -> None:
        due = float("inf")
        if self._agenda and self._may_look():
            due = max(self._agenda.next_due + self._gather, self._reach.not_before)
        self._moved = anyio.Event()
        with anyio.CancelScope(deadline=due):
            await self._moved.wait()
        now = anyio.current_time()
        if now - due > _OVERSLEPT:
            self._spread(now)

    def _take(self, now: float) -> list[TrackedTask]:
        """Take the due songs, and those nearly due while the request has room for them."""
        if now < max(self._reach.not_before, self._agenda.next_due + self._gather):
            return []
        room = self._traits.max_ids_per_look
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
        """Whether the next song may go with this request."""
        if batch and (tracked.alone or batch[0].alone):
            return False
        waited = now - tracked.looked_at
        nearly_due = waited >= self._min_interval and waited >= (due - tracked.looked_at) / 2
        return due <= now or nearly_due

    def _spread(self, now: float) -> None:
        self._agenda.spread(now, at_once=_LOOKS_AT_ONCE, per_request=self._traits.max_ids_per_look)

    # A look

    async def _look(self, batch: list[TrackedTask]) -> None:
        """Ask once about these songs. Whatever happens, each is over or planned again."""
        at_most = float("inf")
        try:
            tasks = await self._ask(batch)
        except AccountError as error:
            at_most = self._refused(batch, error)
        except RequestError as error:
            self._unknown(batch, error)
        except Exception as error:  # noqa: BLE001  # one bad look must not end all the others
            self._missed(batch, error)
            at_most = PROBE_CAP  # nothing was learned of them: they are still due
        else:
            self._take_in(batch, tasks)
        finally:
            self._looking -= 1
            self._moved.set()
            self._put_back([tracked for tracked in batch if not tracked.over], at_most)

    async def _ask(self, batch: list[TrackedTask]) -> dict[str, Task]:
        """Ask about these songs, for no longer than the first of them may still be waited for."""
        now = anyio.current_time()
        least = min(_LAST_LOOK, self._deadline / 4)
        seconds = max(least, min(self._left(tracked, now) for tracked in batch))
        with anyio.move_on_after(seconds):
            looked = await self._provider.fetch(self._http, [tracked.task_id for tracked in batch])
            return {task.id: task for task in looked}
        raise Unreachable(f"{self._provider.name} has not answered within {seconds:.3g} s")

    def _put_back(self, batch: list[TrackedTask], at_most: float) -> None:
        now = anyio.current_time()
        for tracked in batch:
            if tracked.has_shown_less:
                tracked.called = None
            if self._closed:
                self._abandon(tracked)
            else:
                self._plan(tracked, now, at_most)

    def _take_in(self, batch: list[TrackedTask], tasks: dict[str, Task]) -> None:
        now = anyio.current_time()
        if self._reach.answered(now):
            self._spread(now)
        self._tell("looked", task_ids=tuple(tracked.task_id for tracked in batch))
        for tracked in batch:
            task = tasks.get(tracked.task_id)
            tracked.alone = task is None
            if task is not None:
                self._advance(tracked, task, now)
            if not tracked.over and self._left(tracked, now) <= 0:
                self._expire(tracked)

    def _advance(self, tracked: TrackedTask, task: Task, now: float) -> None:
        """Take in a good look. A task never moves backwards, whatever the provider says."""
        before = tracked.task.stage
        age_before, age = tracked.looked_at - tracked.accepted_at, now - tracked.accepted_at
        tracked.looked_at, tracked.unknown_since, tracked.refused_since = now, None, None
        if not tracked.resumed:
            tracked.schedule.seen(age_before, age)
        if task.settling:
            task = self._settled(tracked, task, now)
        if not task.status_known and not task.stage.is_final:
            task = self._judged(tracked, task, now)
        else:
            tracked.odd = None
        if task.stage.is_before(before):
            return
        tracked.task = task if task.stage.is_final else _without_raw(task)
        if task.stage is Stage.FAILED:
            self._finish(tracked, failure_error(task))
        elif task.stage is Stage.COMPLETE:
            if not tracked.resumed:
                if tracked.called is Stage.COMPLETE:
                    age_before = age = tracked.called_at - tracked.accepted_at
                tracked.took = tracked.schedule.learn(age_before, age)
            self._finish(tracked, None)
        elif before.is_before(task.stage):
            tracked.announce()
            self._tell("advanced", task=task)

    def _settled(self, tracked: TrackedTask, task: Task, now: float) -> Task:
        """Take a task as it is once nothing has moved for a while in what looks like its end."""
        # Not beside `tracked.task`: that may be further on, and would then never be the same.
        if tracked.settling is None or task.songs != tracked.settling.songs:
            tracked.settling, tracked.settling_since = _without_raw(task), now
        if now - tracked.settling_since < self._traits.settle:
            return task
        return as_it_is(task)

    def _judged(self, tracked: TrackedTask, task: Task, now: float) -> Task:
        """Take a task for over once it has said a word that nobody knows, and nothing has moved."""
        if tracked.odd is None or _shown(tracked.odd) != _shown(task):
            tracked.odd, tracked.odd_since = _without_raw(task), now
        patience = _PATIENCE * self._traits.typical_duration
        if now - (tracked.odd_since or now) < patience:
            return task
        if any(song.audio_url for song in task.songs):
            return as_it_is(task)
        lost = Failure(
            message=f"it says {task.status!r}, which is no documented status, and nothing has "
            f"moved for {patience:.3g} s",
            advice="look at your account before asking again: it may be running",
        )
        return attrs.evolve(task, stage=Stage.FAILED, error=lost)

    def _missed(self, batch: list[TrackedTask], error: Exception) -> None:
        """Slow the looks down, unless a single song is to blame."""
        if not isinstance(error, ProviderUnavailable):
            logger.error("a look at %s failed unforeseen", self._provider.name, exc_info=error)
        now = anyio.current_time()
        # An answer that cannot be read may be the fault of one task. Then the others are read when
        # each is asked about alone, and that one must not pass for an outage.
        unreadable = not self._reach.failures and not isinstance(error, (RateLimited, Unreachable))
        wait = 0.0 if unreadable and batch[0].alone else self._reach.failed(error, now)
        self._tell("retried", error=error, wait=wait)
        for tracked in batch:
            tracked.alone = tracked.alone or unreadable
            if tracked.alone and self._left(tracked, now) <= 0:
                self._expire(tracked)
        self._give_up_unanswered(batch, now)

    def _give_up_unanswered(self, batch: list[TrackedTask], now: float) -> None:
        """End the waits that have seen no answer of the provider for a whole deadline."""
        for tracked in self._waiting(batch):
            if now - max(tracked.accepted_at, self._reach.answered_at) >= self._deadline:
                self._expire(tracked)

    def _unknown(self, batch: list[TrackedTask], error: RequestError) -> None:
        """Believe only of a single task, and only after a while, that it is unknown.

        A fresh one may not have got around yet, and a gateway may be astray for a moment.
        """
        now = anyio.current_time()
        for tracked in batch:
            if len(batch) == 1 and tracked.unknown_since is None:
                tracked.unknown_since = now
            if tracked.unknown_since is not None and now - tracked.unknown_since > _GRACE:
                error.task_id, error.charged = tracked.task_id, "unknown"
                self._finish(tracked, error)
            tracked.alone = True

    def _refused(self, batch: list[TrackedTask], error: AccountError) -> float:
        """Believe a refusal only when it stays, and only of the task that was asked about.

        It ends no other wait and no submit: whether they are refused, too, is seen when they are
        asked for. Where nothing else has worked for as long either, one refusal is enough.

        Returns the seconds after which to look again, at most.
        """
        now = anyio.current_time()
        stays = now - self._reach.refused(now) >= _GRACE
        wait = backoff(self._reach.refusals, base=2.0, cap=PROBE_CAP)
        self._tell("retried", error=error, wait=wait)
        if self._reach.refusals >= _REFUSALS and not stays:
            self._reach.failed(error, now)
        for tracked in batch:
            tracked.alone = True
            if tracked.refused_since is None:
                tracked.refused_since = now
            if len(batch) == 1 and (stays or now - tracked.refused_since >= _GRACE):
                self._finish(tracked, self._refusal(tracked, error))
        return wait

    def _refusal(self, tracked: TrackedTask, error: AccountError) -> AccountError:
        """Return the error that ends a wait because nothing is told about it. The id is kept."""
        return type(error)(
            f"{error}; task {tracked.task_id} keeps running there",
            provider=self._provider.name,
            task_id=tracked.task_id,
            charged="yes",
        )

    def _waiting(self, batch: list[TrackedTask]) -> list[TrackedTask]:
        """Return these and all that wait for a look."""
        return [tracked for tracked in (*batch, *self._agenda) if not tracked.over]

    # The end

    def _end(self, tracked: TrackedTask, error: UdioError | None) -> None:
        if tracked.key is not None:
            if self._by_key.get(tracked.key) is tracked:
                del self._by_key[tracked.key]
            if error is not None:
                error.job_key = tracked.key
        if not tracked.resumed:
            tracked.schedule.forget(tracked.looked_at - tracked.accepted_at)
        tracked.over, tracked.error = True, error
        self._ended(tracked)  # before anybody hears of it
        tracked.end(error)

    def _finish(self, tracked: TrackedTask, error: UdioError | None) -> None:
        self._end(tracked, error)
        self._tell("finished", task=tracked.task, error=error)

    def _expire(self, tracked: TrackedTask) -> None:
        """End a wait whose time is up, well if all the audio has been there for a while."""
        if tracked.task.settling:
            tracked.task = as_it_is(tracked.task)
            failed = tracked.task.stage is Stage.FAILED
            self._finish(tracked, failure_error(tracked.task) if failed else None)
        else:
            self._finish(tracked, self._still_running(tracked, f"after {self._deadline:g} s"))

    def _abandon(self, tracked: TrackedTask) -> None:
        """Let nobody wait for ever for what a closed client would have looked at."""
        self._end(tracked, self._still_running(tracked, "as the client is closed"))

    def _still_running(self, tracked: TrackedTask, when: str) -> WaitExpired:
        return WaitExpired(
            f"{self._provider.name} task {tracked.task_id} is still {tracked.task.stage} {when}; "
            "it keeps running there, look again with this id",
            provider=self._provider.name,
            task_id=tracked.task_id,
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


def _shown(task: Task) -> object:
    """What moves, if anything does."""
    return task.stage, task.status, task.percentage, task.songs


def as_it_is(task: Task) -> Task:
    """Take a task for over: its songs are complete with their audio, or failed without."""
    songs = tuple(map(_settled_song, task.songs))
    if any(song.error is None for song in songs):
        return attrs.evolve(task, stage=Stage.COMPLETE, songs=songs, settling=False)
    lost = next((song.error for song in songs), None)
    error = task.error or lost or Failure(message="the task is done, and it has no songs")
    return attrs.evolve(task, stage=Stage.FAILED, songs=songs, error=error, settling=False)


def _settled_song(song: Song) -> Song:
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
