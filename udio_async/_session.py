"""What can be asked of a client while it is open.

It holds the jobs, the paid step, the looks and the files together; `_lifetime` makes them.
"""

import os
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Collection,
    Iterable,
    Sequence,
)
from contextlib import suppress

import anyio
import attrs
from anyio.abc import TaskGroup

from ._account import AccountNotes
from ._batch import Asked, Batch
from ._concurrency import closed_after, to_its_end
from ._download import Downloads, Saved, Source
from ._errors import InvalidRequest, JournalError, UdioError, WaitExpired
from ._job import Job
from ._polling import Poller, TrackedTask
from ._records import Outcome, Song, SongRequest, Task, check_name, songs_in
from ._submit import SubmitGate, Submitter
from .callbacks import CallbackHandler
from .journal import BatchKeys, Entry, Kept, State, Times, spelled
from .journal.store import JobStore
from .providers import Provider, readable_request_of, request_of

RESUMED = frozenset({State.PLANNED, State.SENDING, State.ACCEPTED, State.READY, State.IN_DOUBT})
"""What `resume` takes up: what is kept for it, and what is or may be paid for and is not here."""
_LEARN_FROM = 200
"""Songs of earlier runs from which the schedule learns, at most."""
_OLD = 1800.0
"""Seconds after its submit from which a task of an earlier run was hardly completed just now."""
_GRACE = 30.0
"""Seconds that leaving waits for submits on the wire: each may be a paid song."""


@attrs.define(kw_only=True, eq=False)
class Session:
    """The verbs of an open client."""

    provider: Provider
    callbacks: CallbackHandler
    max_active: int | None
    """Songs of a batch that may be in the making; None for what the provider takes."""
    submitters: int
    tasks: TaskGroup
    store: JobStore
    kept: Kept
    gate: SubmitGate
    account: AccountNotes
    poller: Poller
    submitter: Submitter
    downloads: Downloads

    async def begin(self) -> None:
        """Take up what earlier runs have left in the journal, and begin to look."""
        if self.store.durable:
            await self._learn_from_earlier_runs()
            await self.store.heal_all()
            await self.account.note_start()
            known = await self.account.max_active_found()
            if known is not None:
                self.gate.expect(known)
        self.tasks.start_soon(self.poller.run)

    async def _learn_from_earlier_runs(self) -> None:
        known = [State.READY, State.DELIVERED, State.FAILED]
        async for entry in self.store.entries(known, newest=_LEARN_FROM):
            model = entry.request.get("model") or self.provider.traits.default_model
            self.poller.learn(model, entry)

    async def drain(self) -> None:
        """Take back what has not left, and wait for what has."""
        self.downloads.close()
        self.submitter.close()
        await to_its_end(self._wait_for_the_wire)
        await self._keep_what_was_found_out()

    async def _keep_what_was_found_out(self) -> None:
        if self.gate.found_out is not None and self.store.durable:
            with suppress(JournalError):
                await self.account.keep_max_active(self.gate.found_out)

    async def _wait_for_the_wire(self) -> None:
        with anyio.move_on_after(_GRACE):
            await self.gate.drain()

    # Songs

    async def submit(
        self,
        request: SongRequest,
        key: str | None = None,
        *,
        stopped_by: UdioError | None = None,
        only: frozenset[State] | None = None,
        asked_at: int | None = None,
    ) -> Job | None:
        """Have a request accepted: a new one, or the one of this key."""
        is_new = key is None and request.key is None
        name = key or self.store.fresh_key(request)
        tracked = await self.submitter.submit(
            request, name, is_new=is_new, stopped_by=stopped_by, only=only, asked_at=asked_at
        )
        return None if tracked is None else Job(request, tracked, self.hand_over)

    def make_many(
        self,
        requests: Iterable[SongRequest | str] | AsyncIterable[SongRequest | str],
        *,
        max_active: int | None,
        only: frozenset[State] | None = None,
    ) -> Batch:
        """Return a batch of these requests.

        They are asked for now. Only an async input may be a queue: what it yields, somebody asks
        for at that moment.
        """
        is_queue = only is None and isinstance(requests, AsyncIterable)
        return Batch(
            requests,
            _BatchJobs(
                session=self,
                store=self.store,
                gate=self.gate,
                poller=self.poller,
                only=only,
                asked_at=None if is_queue else self.kept.now,
            ),
            max_active=self.max_active if max_active is None else max_active,
            submitters=self.submitters,
        )

    def resume(self, states: Collection[State | str], *, max_active: int | None) -> Batch:
        """Return a batch of the jobs in these states.

        Those that somebody here waits for are left out.
        """
        wanted = _known_states(states)
        return self.make_many(self._unfinished(wanted), max_active=max_active, only=wanted)

    async def _unfinished(self, states: frozenset[State]) -> AsyncGenerator[SongRequest]:
        async with closed_after(self.store.entries(states)) as entries:
            async for entry in entries:
                if entry.state is State.SENDING and not self.submitter.is_running(entry.key):
                    continue  # somebody else's, or settled meanwhile
                if not self._is_awaited(entry.key):
                    yield readable_request_of(entry, provider=self.provider)

    def _is_awaited(self, key: str) -> bool:
        tracked = self.poller.find(key)
        return self.submitter.is_awaited(key) or (tracked is not None and tracked.is_awaited)

    def request_of(self, entry: Entry) -> SongRequest:
        """Return the request of a job, with the job's key."""
        return request_of(entry, provider=self.provider)

    def hand_over(self, tracked: TrackedTask) -> None:
        """Remember that somebody has the songs of a task.

        A journal on disk waits for its owner to save them, or to acknowledge them: the process may
        die before. One that ends with the process has nobody else to hand them to. A wait that
        ended in an error handed out nothing, even if the songs have come since.
        """
        if tracked.key is None or tracked.error is not None or self.store.durable:
            return
        if not self.tasks.cancel_scope.cancel_called:
            had = [song.id for song in tracked.task.songs]
            self.tasks.start_soon(self._forget_delivered, tracked.key, had)

    async def _forget_delivered(self, key: str, song_ids: Sequence[str]) -> None:
        """Let a journal in memory forget songs that were handed out."""
        with suppress(UdioError):  # it has forgotten them before
            await self.store.deliver(key, song_ids)

    # Jobs

    def jobs(self, states: Collection[State | str]) -> AsyncIterator[Entry]:
        """Iterate over the jobs in these states, oldest first."""
        return self.store.entries(_known_states(states))

    async def resolve(
        self, key: str, *, task_id: str | None, resubmit: bool, abandon: bool
    ) -> None:
        """End a doubt, or correct how it was ended."""
        check_name("key", key)
        if task_id is not None:
            check_name("task_id", task_id)
            task_id = task_id.strip()
        before = await self.store.known(spelled(key))
        key = before.key
        after = await self.store.resolve(key, task_id=task_id, resubmit=resubmit, abandon=abandon)
        self.gate.count_settled(key)
        if before.task_id != after.task_id and before.task_id is not None:
            self.poller.drop(
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
        check_name("key", key)
        key = spelled(key)
        if self.submitter.is_running(key):
            raise InvalidRequest(
                f"job {key!r} is being submitted; cancel that", job_key=key, charged="unknown"
            )
        await self.kept.forget(await self.store.known(key))

    async def acknowledge(self, songs: Song | Iterable[Song] | Outcome | str) -> None:
        """Keep that the owner of jobs has these songs, or all of the job of this key."""
        if isinstance(songs, str):
            check_name("key", songs)
            await self.store.deliver_all(spelled(songs))
            return
        for song in songs_in(songs):
            if song.job_key is None:
                raise InvalidRequest(
                    f"song {song.id} names no job; give its job's key",
                    task_id=song.task_id or None,
                    charged="yes",
                )
            await self.store.deliver(song.job_key, [song.id])

    # The account

    async def look(self, task_id: str) -> Task:
        """Look once at a task of the account, whoever asked for it."""
        check_name("task_id", task_id)
        task_id = task_id.strip()
        try:
            return await self.poller.look_once(task_id)
        except UdioError as error:
            await self.store.tell_of_task(task_id, error)
            raise

    # Files

    async def download(
        self,
        songs: list[Song],
        *,
        directory: str | os.PathLike[str],
        covers: bool,
        tags: bool,
        patience: float,
    ) -> list[Saved]:
        """Save songs, note in the journal which were saved, and raise the first error."""
        results = await self.downloads.save(
            songs, directory=directory, covers=covers, tags=tags, patience=patience
        )
        saved: dict[str, list[str]] = {}
        for song, result in zip(songs, results, strict=True):
            key = await self.store.key_of(song)
            if key is None:
                continue
            if isinstance(result, Saved):
                saved.setdefault(key, []).append(song.id)
            else:
                await self.store.note_undelivered(key, f"{type(result).__name__}: {result}")
        for key, song_ids in saved.items():
            await self.store.deliver(key, song_ids)
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, Saved)]


@attrs.frozen(kw_only=True, eq=False)
class _BatchJobs:
    """The jobs of one batch."""

    session: Session
    store: JobStore
    gate: SubmitGate
    poller: Poller
    only: frozenset[State] | None
    """Jobs in other states are left alone; None for a batch of new requests."""
    asked_at: int | None
    """When they were asked for, by `Kept.now`; None for the moment of their submit."""
    keys: BatchKeys = attrs.field(factory=BatchKeys, init=False)

    def name(self, request: SongRequest) -> str | None:
        """Return the key of the next job, if it has one before it is sent."""
        if self.only is not None:
            return request.key  # as it was kept
        if not self.store.durable:  # only its owner gives names
            return request.key and spelled(request.key)
        return self.keys.name(request)

    async def recall(self, asked: Sequence[Asked]) -> Sequence[Job | None]:
        """Return the jobs that have their songs already, each at its place; None for others."""
        if not self.store.durable:
            return [None] * len(asked)
        try:
            entries = await self.store.recall_made(
                [each.request for each in asked], [each.key or "" for each in asked]
            )
        except UdioError:  # the submit of each request raises it
            return [None] * len(asked)
        return [
            None if entry is None else Job(each.request, self.poller.finished(entry), self.received)
            for each, entry in zip(asked, entries, strict=True)
        ]

    async def submit(self, asked: Asked, stopped_by: UdioError | None) -> Job | None:
        """Have a request accepted, unless its job is in none of the states that are wanted."""
        return await self.session.submit(
            asked.request,
            asked.key or await self._kept(asked.request),
            stopped_by=stopped_by,
            only=self.only,
            asked_at=self.asked_at,
        )

    async def _kept(self, request: SongRequest) -> str | None:
        """Return the key under which a journal in memory was told to keep a request, or None.

        Only what was kept is counted: a batch has no end, and all else is new in each.
        """
        if not await self.store.knows(BatchKeys().name(request)):
            return None
        key = self.keys.name(request)
        return key if await self.store.knows(key) else None

    def received(self, tracked: TrackedTask) -> None:
        """Take in that somebody has the songs of a task."""
        self.session.hand_over(tracked)

    def at_once(self) -> int:
        """Return for how many requests of a batch there is room."""
        return self.gate.at_once()


@attrs.frozen(eq=False)
class TaskEnd:
    """Called with each task that nobody looks at any more: what came of it is kept."""

    gate: SubmitGate
    store: JobStore
    source: Source

    def __call__(self, tracked: TrackedTask) -> None:
        """Take in that a task was completed, has failed, or was given up."""
        self.gate.count_ended()
        if tracked.task.stage.is_final and not _is_old(tracked):
            self.source.note_completed(tracked.task_id)
        if tracked.entry is not None and tracked.entry.state is State.ACCEPTED:
            entry, songs, error = tracked.entry, tracked.task.songs, tracked.error
            times = Times(took=tracked.took, reached=tracked.reached, failed=tracked.failed)
            self.store.end(entry, songs, error=error, times=times)


def _known_states(states: Collection[State | str]) -> frozenset[State]:
    """Return these states, also where they are given as texts.

    Raises:
        InvalidRequest: one is not a state, or they are not a list.
    """
    if isinstance(states, str) or not isinstance(states, Iterable):
        raise InvalidRequest(f"states is {states!r}; give a list of JournalState")
    wanted = list(states)
    for state in wanted:
        if state not in list(State):
            raise InvalidRequest(f"{state!r} is not a state; give one of {', '.join(State)}")
    return frozenset(map(State, wanted))


def _is_old(tracked: TrackedTask) -> bool:
    """Return whether a task was probably completed in an earlier run."""
    submitted_at = 0.0 if tracked.entry is None else tracked.entry.submitted_at
    return tracked.resumed and time.time() - submitted_at > _OLD
