"""What lives while a client is open, and what can be asked of it.

A session puts the rooms together: the journal with its jobs, the gate and the paid step, the
poller, the connections. Everything is given to each of them as it is made.
"""

import logging
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
)
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
from anyio.abc import TaskGroup

from ._addresses import Addresses
from ._audit import Audit, CreditCounter
from ._batch import Batch
from ._concurrency import Home, LastingTasks, owned, wait_shielded
from ._download import Downloads, Readiness, Saved
from ._errors import GenerationFailed, InvalidRequest, UdioError, WaitExpired
from ._events import Event, Observer
from ._gate import SubmitGate, SubmitPolicy
from ._http import AsyncClient, Http, HttpSender
from ._job import Job
from ._polling import Poller, PollPolicy, TrackedTask
from ._records import CallbackNews, Credits, Song, SongRequest, Stage, Task
from ._room import Room
from ._submit import Submitter
from ._urls import is_local_url
from .journal import Entry, Journal, State
from .journal.jobs import timed
from .journal.keys import BatchKeys
from .journal.store import JobStore
from .providers import request_of
from .providers.base import Provider, account_of

RESUMED = frozenset({State.PLANNED, State.SENDING, State.ACCEPTED, State.READY, State.IN_DOUBT})
"""What `resume` takes up: what is kept for it, and what is or may be paid for and is not here."""
_LEARN_FROM = 200
"""Songs of earlier runs from which the schedule learns, at most."""
_OLD = 1800.0
"""Seconds after its submit from which a task of an earlier run was hardly completed just now."""
_GRACE = 30.0
"""Seconds that leaving waits for submits on the wire: each may be a paid song."""
_CONFIRMED_BY = 3
"""Tasks of a journal that a new key is shown before its account is taken for another."""

logger = logging.getLogger("udio_async")


@attrs.frozen(kw_only=True)
class Options:
    """What a client is made with."""

    provider: Provider
    journal: Journal
    max_active: int
    submits: SubmitPolicy
    poll: PollPolicy
    requests_per_second: float | None
    http_client: AsyncClient | None
    trust_env: bool
    observer: Observer | None


class Session:
    """One opening of a client, on one event loop: it begins with `open`, and ends in good order."""

    def __init__(self, options: Options, *, public_url: str | None) -> None:
        self.provider = options.provider
        self.is_local = is_local_url(self.provider.account().base_url)
        """Whether the provider is on this machine, and so may its links be."""
        self._options = options
        self._public_url = public_url
        self._closed = False
        self.home = Home()
        self.is_open = False
        self._life = self._live()
        self._begun = anyio.Event()
        self._ended = anyio.Event()

    async def open(self) -> None:
        """Begin, once."""
        try:
            await self._life.__aenter__()
            self.is_open = True
        except BaseException:
            self._ended.set()
            raise
        finally:
            self._begun.set()

    async def aclose(self) -> None:
        """End, once; whoever comes later waits for that. What is being opened is closed then.

        Raises:
            RuntimeError: it was opened on another event loop.
        """
        self.home.check("the client")
        if not self._begun.is_set():
            await self._begun.wait()
        if not self.is_open:
            await wait_shielded(self._ended)
            return
        self.is_open = False
        try:
            await self._life.__aexit__(None, None, None)
        finally:
            self._ended.set()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[None]:
        options = self._options
        lasting = LastingTasks()
        async with (
            lasting as tasks,
            HttpSender(
                tasks,
                client=options.http_client,
                requests_per_second=options.requests_per_second,
                trust_env=options.trust_env,
            ) as http,
            options.journal.open(
                account_of(self.provider), confirm=lambda: self._is_same_account(http)
            ),
        ):
            self._put_together(tasks, http)
            if options.journal.durable:
                await self._learn_from_earlier_runs()
                await self._store.heal_all()
                await self._counter.note_start()
            tasks.start_soon(self._poller.run)
            try:
                yield
            finally:
                try:
                    await self._drain()
                finally:
                    self._closed = True
                    await lasting.end()  # before the journal is closed: it gets their last words

    def _put_together(self, tasks: TaskGroup, http: HttpSender) -> None:
        options, journal = self._options, self._options.journal
        self._tasks, self._http = tasks, http
        self._store = JobStore(journal, tasks, provider=self.provider.name)
        self._gate = SubmitGate(options.submits)
        self._room = Room()
        self._counter = CreditCounter(self.provider, http, journal)
        self._poller = Poller(
            self.provider,
            http,
            tasks,
            policy=options.poll,
            local=self.is_local,
            started=self._gate.count_running,
            ended=self._task_ended,
            observer=options.observer,
        )
        self._submitter = Submitter(
            provider=self.provider,
            http=http,
            tasks=tasks,
            poller=self._poller,
            store=self._store,
            gate=self._gate,
            counter=self._counter,
            room=self._room,
            resubmit_doubts=options.submits.resubmit_doubts,
            observer=options.observer,
        )
        self._ready = Readiness()
        self._downloads = Downloads(
            http,
            refresh=self._refreshed,
            age=self._age_of,
            local=self.is_local,
            disk=self._room,
        )
        if self._public_url is not None:
            self.take_callbacks(self._public_url)

    async def _is_same_account(self, http: Http) -> bool:
        """Whether the provider shows a task of the journal to a key that the journal not knows.

        A journal without any job is nobody's.
        """
        journal = self._options.journal
        if not sum((await journal.count()).values()):
            return True
        shown = [state for state in State if state.is_paid]
        async for entry in journal.entries(shown, newest=_CONFIRMED_BY):
            if entry.provider != self.provider.name or entry.task_id is None:
                return False
            try:
                looked = await self.provider.fetch(http, [entry.task_id])
            except UdioError as error:
                logger.debug("task %s is not shown to the new key: %s", entry.task_id, error)
                continue
            if any(task.id == entry.task_id for task in looked):
                logger.warning(
                    "the journal was made with another key; %s shows its task %s to this one, so "
                    "it is taken for one of the same account",
                    self.provider.name,
                    entry.task_id,
                )
                return True
        return False

    async def _learn_from_earlier_runs(self) -> None:
        known = [State.READY, State.DELIVERED, State.FAILED]
        async for entry in self._store.journal.entries(known, newest=_LEARN_FROM):
            model = entry.request.get("model") or self.provider.traits.default_model
            self._poller.learn(model, entry)

    async def _drain(self) -> None:
        """Take back what has not left, and wait for what has."""
        self._downloads.close()
        self._submitter.close()
        drained = anyio.Event()
        async with LastingTasks() as closing:  # the client's own may be broken
            closing.start_soon(self._wait_for_the_wire, drained)
            await wait_shielded(drained)

    async def _wait_for_the_wire(self, drained: anyio.Event) -> None:
        with anyio.move_on_after(_GRACE):
            await self._gate.drain()
        drained.set()

    # Songs

    async def submit(
        self,
        request: SongRequest,
        key: str | None = None,
        *,
        stopped_by: UdioError | None = None,
        only: frozenset[State] | None = None,
    ) -> Job | None:
        """Have a song accepted: a new one, or the one of this key."""
        is_new = key is None and request.key is None
        name = key or self._store.fresh_keys.name(request)
        tracked = await self._submitter.submit(
            request, name, is_new=is_new, stopped_by=stopped_by, only=only
        )
        return None if tracked is None else Job(request, tracked, self._hand_over)

    def make_many(
        self,
        requests: Iterable[SongRequest | str] | AsyncIterable[SongRequest | str],
        *,
        max_active: int | None,
        only: frozenset[State] | None = None,
    ) -> Batch:
        """Return a batch of these requests."""
        keys = BatchKeys() if self._store.journal.durable else None

        async def submit(request: SongRequest | str, stopped_by: UdioError | None) -> Job | None:
            request = as_request(request)
            key = request.key if keys is None else keys.name(request)
            return await self.submit(request, key, stopped_by=stopped_by, only=only)

        return Batch(
            requests,
            submit,
            self._hand_over,
            max_active=self._options.max_active if max_active is None else max_active,
            submitters=self._options.submits.concurrency,
        )

    def resume(self, states: Collection[State], *, max_active: int | None) -> Batch:
        """Return a batch of the jobs in these states that nobody here waits for."""
        wanted = frozenset(states)
        return self.make_many(self._unfinished(wanted), max_active=max_active, only=wanted)

    async def _unfinished(self, states: frozenset[State]) -> AsyncGenerator[SongRequest]:
        async for entry in self._store.journal.entries(states):
            if entry.state is State.SENDING and not self._submitter.is_running(entry.key):
                continue  # somebody else's, or settled meanwhile
            if not self._is_awaited(entry.key):
                yield self.request_of(entry)

    def _is_awaited(self, key: str) -> bool:
        tracked = self._poller.find(key)
        return self._submitter.is_awaited(key) or (tracked is not None and tracked.is_awaited)

    def request_of(self, entry: Entry) -> SongRequest:
        """Return the request of a job, with the job's key."""
        return request_of(entry, provider=self.provider)

    def _hand_over(self, tracked: TrackedTask) -> None:
        """Take in that somebody has the songs of a task.

        A journal on disk waits for its owner to save them, or to say that he has them: the
        process may die before. One that ends with the process has nobody else to hand them to.
        """
        if tracked.key is not None and not self._store.journal.durable and not self._closed:
            self._tasks.start_soon(self._store.deliver, tracked.key)

    def _task_ended(self, tracked: TrackedTask) -> None:
        self._gate.count_ended()
        entry, error = tracked.entry, tracked.error
        if tracked.task.stage.is_final and not _is_old(tracked):
            self._ready.note(tracked.task_id)
        if entry is None or entry.state is not State.ACCEPTED:
            return
        entry = timed(entry, tracked.reached, tracked.failed)
        if error is None:
            self._store.end(entry, tracked.task.songs, took=tracked.took)
        elif isinstance(error, GenerationFailed):
            self._store.fail(entry, error)
        # any other: it is still being made, as far as anybody knows

    # Jobs

    def jobs(self, states: Collection[State]) -> AsyncIterator[Entry]:
        """Iterate over the jobs in these states, oldest first."""
        return self._store.entries(states)

    async def resolve(self, key: str, **answer: object) -> None:
        """End a doubt, or correct how it was ended."""
        before = await self._store.known(key)
        after = await self._store.resolve(key, **answer)
        self._gate.count_settled(key)
        if before.task_id != after.task_id and before.task_id is not None:
            self._poller.drop(
                key,
                WaitExpired(
                    f"the owner of job {key} has said that its task is not {before.task_id}",
                    provider=self.provider.name,
                    task_id=before.task_id,
                    charged="unknown",
                ),
            )

    async def forget(self, key: str) -> None:
        """Take back a request for which nothing was taken."""
        if self._submitter.is_running(key):
            raise InvalidRequest(f"job {key!r} is being submitted; cancel that", job_key=key)
        await self._store.forget(key)

    async def plan(self, requests: Iterable[SongRequest]) -> None:
        """Keep requests for later, under the keys that a batch of them would give them."""
        keys = BatchKeys()
        for request in requests:
            await self._store.plan(request, keys.name(request))

    async def acknowledge(self, key: str, song_ids: Collection[str] | None = None) -> None:
        """Keep that the owner of a job has its songs."""
        await self._store.deliver(key, song_ids)

    # The account

    async def credits(self) -> Credits:
        """Return what the account has left."""
        return await self.provider.credits(self._http)

    async def audit(self) -> Audit | None:
        """Compare the journal with the provider's counter."""
        return await self._counter.audit()

    # Files

    async def download(
        self, songs: list[Song], *, directory: Path, covers: bool, tags: bool, patience: float
    ) -> list[Saved | Exception]:
        """Save the audio of songs, and keep which of them their owner has now."""
        results = await self._downloads.save(
            songs, directory=directory, covers=covers, tags=tags, patience=patience
        )
        saved: dict[str, list[str]] = {}
        for song, result in zip(songs, results, strict=True):
            key = await self._key_of(song)
            if key is None:
                continue
            if isinstance(result, Saved):
                saved.setdefault(key, []).append(song.id)
            else:
                await self._store.note_undelivered(key, f"{type(result).__name__}: {result}")
        for key, song_ids in saved.items():
            await self._store.deliver(key, song_ids)
        return results

    async def _key_of(self, song: Song) -> str | None:
        if song.job_key is not None or not song.task_id:
            return song.job_key
        entry = await self._store.journal.of_task(song.task_id)
        return None if entry is None else entry.key

    async def _age_of(self, song: Song) -> float | None:
        """Return the seconds since a song was completed, as far as this or its journal knows."""
        age = self._ready.age(song.task_id)
        if age is not None or not song.task_id:
            return age
        entry = await self._store.journal.of_task(song.task_id)
        if entry is None or not entry.submitted_at:
            return None
        took = self.provider.traits.typical_duration if entry.took is None else entry.took
        return max(0.0, time.time() - entry.submitted_at - took)

    async def _refreshed(self, song: Song) -> Song | None:
        """Look once at a song whose link is not good any more."""
        tasks = await self.provider.fetch(self._http, [song.task_id])
        songs = (other for task in tasks for other in task.songs)
        return next((other for other in songs if other.id == song.id), None)

    # Callbacks

    @property
    def addresses(self) -> Addresses | None:
        """The callback addresses that are given out; None while callbacks are not taken."""
        return self._submitter.addresses

    def take_callbacks(self, public_url: str) -> None:
        """Tell the provider an address below this URL with each submit from now on."""
        self._submitter.addresses = Addresses(self._options.journal, public_url)

    async def hear(self, key: str, attempt: int | None, news: CallbackNews) -> None:
        """Act on what a callback says of an attempt of a job, whoever waits for that.

        Raises:
            JournalError: it cannot be kept, and should come again.
        """
        await owned(self._tasks, self._hear, key, attempt, news)

    async def _hear(self, key: str, attempt: int | None, news: CallbackNews) -> None:
        heard = await self._store.hear(key, attempt, news)
        if heard is None:
            return
        entry = heard.entry
        if heard.healed:
            self._gate.count_settled(entry.key)
            self._tell_healed(entry)
        if self._poller.call(entry.key, news.stage):
            return
        if not self._submitter.note_early(entry.key, news.stage) and (
            entry.state is State.ACCEPTED and entry.task_id is not None
        ):
            # A song of an earlier run, or one that was in doubt until now.
            self._poller.track(entry.task_id, self.request_of(entry), entry, resumed=True)

    def _tell_healed(self, entry: Entry) -> None:
        observer: Callable[[Event], object] | None = self._options.observer
        if observer is not None:
            stage = Stage.COMPLETE if entry.state is State.READY else Stage.QUEUED
            task = Task(
                id=entry.task_id or "",
                provider=self.provider.name,
                stage=Stage.FAILED if entry.state is State.FAILED else stage,
                songs=entry.songs,
            )
            observer(Event(kind="healed", provider=self.provider.name, task=task))


def _is_old(tracked: TrackedTask) -> bool:
    """Whether a task was probably completed long before it was seen: in an earlier run."""
    submitted_at = 0.0 if tracked.entry is None else tracked.entry.submitted_at
    return tracked.resumed and time.time() - submitted_at > _OLD


def as_request(request: object) -> SongRequest:
    """Return a request, also where only its words are given.

    Raises:
        InvalidRequest: it is neither.
    """
    if isinstance(request, SongRequest):
        return request
    if isinstance(request, str):
        return SongRequest(description=request)
    raise InvalidRequest(f"{request!r} is no request; give a SongRequest or a text")
