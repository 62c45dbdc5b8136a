"""A client's jobs in its journal: written down before they count.

The intent is kept before a paid request leaves, the provider's id before the caller hears of it.
The states of a job, and which may follow which, are in `jobs.py`.

After a job's end could not be kept in the journal, this client submits nothing more.
"""

import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress

import anyio
import attrs
from anyio.abc import TaskGroup

from .._concurrency import closed_after
from .._errors import GenerationFailed, InvalidRequest, JournalError, RequestError, UdioError
from .._records import CallbackNews, Song, SongRequest
from . import jobs
from .attempts import Attempts, listens
from .base import Journal
from .endings import Endings
from .entry import Entry, State, Times
from .errors import about, about_song
from .fresh import FreshJobs
from .kept import Kept
from .keys import canonical, difference, is_same

logger = logging.getLogger("udio_async")


class ChangedMeanwhile(Exception):
    """A job has changed since it was decided to submit it: decide again."""


@attrs.frozen
class Heard:
    """What became of a job by a callback."""

    entry: Entry
    healed: bool = False
    """Whether the callback has ended a doubt about the job, or shown that it was taken."""


class JobStore:
    """Keeps a client's jobs; one for each open client.

    It owns no journal: the session opens and closes that. `tasks` is the session's task group, in
    which the ends of jobs are written in the background.
    """

    def __init__(self, journal: Journal, tasks: TaskGroup, *, provider: str) -> None:
        self._journal = journal
        self._attempts = Attempts(journal)
        self._fresh = FreshJobs()
        self._provider = provider
        self._broken: JournalError | None = None
        # Held while a job is read, changed and written back: a callback may come at any moment.
        self._changing = anyio.Lock()
        self._endings = Endings(journal, tasks, self._changing, self._break)
        self.kept = Kept(journal, self._attempts, self._changing, provider=provider)

    @property
    def durable(self) -> bool:
        """Whether what is kept outlives the process."""
        return self._journal.durable

    # Submitting

    def fresh_key(self, request: SongRequest) -> str:
        """Return the request's own key, or one that no other job has."""
        return self._fresh.name(request)

    def check_new(self, key: str) -> None:
        """Refuse a key of which nothing is kept, if its job was taken.

        Raises:
            InvalidRequest: it was; a journal in memory has forgotten it at its end.
        """
        if self._fresh.was_taken(key):
            raise self._fresh.missing(key)

    async def knows(self, key: str) -> bool:
        """Return whether the journal knows a job of this key, or knew it once."""
        try:
            return await self._journal.get(key) is not None
        except UdioError:  # its submit raises it
            return True

    async def recall(self, request: SongRequest, key: str) -> Entry | None:
        """Return what is known of this job, or None.

        Raises:
            InvalidRequest: the key stands for another request (the message says how they differ),
                or for one that is forgotten.
            JournalError: what became of it could not be kept.
        """
        entry = await self._journal.get(key)
        if entry is None:
            return None
        self._check_kept(entry)
        asked = canonical(request)
        if not is_same(entry.request, asked):
            raise InvalidRequest(
                f"key {key!r} stands for another request: {difference(entry.request, asked)}; "
                "give the request that it stands for, or another key",
                job_key=key,
            )
        return entry

    async def recall_made(
        self, requests: Sequence[SongRequest], keys: Sequence[str]
    ) -> Sequence[Entry | None]:
        """Return those of many jobs that have their songs, each at its place; None for others."""
        known = await self._journal.get_many(keys)
        return [
            entry
            if (entry := known.get(key)) is not None
            and (entry.state.has_songs and entry.key == key)
            and (request.key is None or is_same(entry.request, canonical(request)))
            else None
            for request, key in zip(requests, keys, strict=True)
        ]

    async def intend(self, request: SongRequest, key: str, known: Entry | None) -> Entry:
        """Keep the intent to submit; afterwards the request may leave.

        An earlier attempt that may have been paid is kept as a job of its own.

        Args:
            request: what is asked for.
            key: the job's name.
            known: what `recall` returned for it.

        Raises:
            JournalError: it cannot be kept. Nothing may be sent.
            InvalidRequest: the same job is being submitted at this moment.
            ChangedMeanwhile: the job is not as `known` has it any more.
        """
        if self._broken is not None:
            raise JournalError(f"nothing more is submitted: {self._broken}", job_key=key)
        if known is None:
            entry = jobs.first_sending(key, self._provider, canonical(request), now=time.time())
            if await self._journal.add(entry) is not None:
                raise InvalidRequest(f"key {key!r} is being submitted already", job_key=key)
            return entry
        async with self._changing:
            if await self._journal.get(key) != known:
                raise ChangedMeanwhile
            if known.may_have_been_taken:
                await self._attempts.keep(jobs.earlier_attempt(known))
            entry = jobs.sending_again(known, now=time.time())
            await self._journal.put(entry, expected=known.state)
            return entry

    async def accept(self, entry: Entry, task_id: str) -> Entry:
        """Keep the provider's id of a job that was accepted.

        Raises:
            JournalError: it is not kept. The error carries the id, and nothing more is sent by this
                client.
        """
        logger.info("%s accepted job %s as task %s", self._provider, entry.key, task_id)
        accepted = jobs.accepted(entry, task_id)
        self._fresh.note_taken(entry.key)
        try:
            await self._journal.put(accepted, expected=entry.state)
        except JournalError as error:
            self._broken = error
            raise JournalError(
                f"{self._provider} accepted the song as task {task_id}, which could not be kept: "
                f"{error}. Write the id down: it is paid for.",
                provider=self._provider,
                job_key=entry.key,
                task_id=task_id,
                charged="yes",
            ) from error
        return accepted

    async def settle(self, entry: Entry, error: UdioError) -> Entry:
        """Keep why a submit brought no id.

        If a callback has brought an answer meanwhile, that counts. If the journal cannot keep it,
        nothing is raised: the caller raises its own error, and nothing more is submitted.
        """
        async with self._changing:
            settled = jobs.settled(entry, error)
            try:
                known = await self._journal.get(entry.key) or entry
                settled = jobs.settled(await self._attempts.without_others_task(known), error)
                await self._journal.put(settled, expected=entry.state)
            except JournalError as failure:
                self._break(failure, entry)
            if not settled.state.may_be_sent:
                self._fresh.note_taken(entry.key)
            return settled

    async def doubt(self, entry: Entry, evidence: str) -> None:
        """Keep that nobody waits any more for a request on the wire.

        If a callback has brought an answer meanwhile, that counts. Nothing is raised.
        """
        async with self._changing:
            try:
                known = await self._journal.get(entry.key) or entry
                known = await self._attempts.without_others_task(known)
                doubted = jobs.healed(jobs.doubted(known, evidence))
                await self._journal.put(doubted, expected=entry.state)
            except JournalError as failure:
                self._break(failure, entry)

    async def add_evidence(self, entry: Entry, evidence: str) -> Entry:
        """Add evidence to a doubt, unless it was ended meanwhile; return the job as it is now.

        Nothing is raised: evidence is welcome, and never worth a failure.
        """
        async with self._changing:
            try:
                entry = await self._journal.get(entry.key) or entry
                if entry.state is State.IN_DOUBT:
                    more = jobs.with_evidence(entry, evidence)
                    await self._journal.put(more, expected=entry.state)
                    entry = more
            except JournalError as failure:
                logger.debug("no more evidence for job %s: %s", entry.key, failure)
            return entry

    def _break(self, error: JournalError, entry: Entry) -> None:
        """Trust the journal no more: it lacks what it could not keep."""
        self._broken = self._broken or error
        logger.error("job %s: the journal could not keep what became of it: %s", entry.key, error)

    # Callbacks

    async def hear(self, key: str, attempt: int | None, news: CallbackNews) -> Heard | None:
        """Keep what a callback says of an attempt of a job.

        A job that is over does not change, but a job whose task nobody knows gets further songs.
        The id of the task, or songs without an id, end a doubt; songs that have all failed end the
        job as failed. While its request is on the wire, the answer is waited for first. An earlier
        attempt becomes a job of its own.

        Args:
            key: the job's name.
            attempt: which submit of it, counted from 1; None if that is not known.
            news: what the callback says.

        Returns:
            What the job is now; None if there is no such job any more.

        Raises:
            JournalError: it cannot be kept; the provider should call again.
        """
        async with self._changing:
            entry = await self._attempts.of(key, attempt)
            while entry is not None and listens(entry):
                task_id = news.task_id
                if task_id is not None and await self._attempts.is_others(entry, task_id):
                    break  # then the songs of this callback are not this job's either
                heard = jobs.heard(entry, news)
                if heard == entry:
                    break
                try:
                    await self._journal.put(heard, expected=entry.state)
                except JournalError:
                    before, entry = entry, await self._journal.get(entry.key)
                    if entry is None or entry.state is before.state:
                        raise
                else:
                    return Heard(heard, healed=heard.state is not entry.state)
            return None if entry is None else Heard(entry)

    async def heal_all(self) -> None:
        """End the doubts that a callback answered before they were doubts.

        Called when a journal is opened: the process may have died in between.
        """
        async with closed_after(self._journal.entries([State.IN_DOUBT])) as entries:
            async for entry in entries:
                healed = jobs.healed(await self._attempts.without_others_task(entry))
                if healed != entry:
                    await self._journal.put(healed, expected=entry.state)

    # The end

    def end(
        self,
        entry: Entry,
        songs: tuple[Song, ...],
        *,
        error: UdioError | None = None,
        times: Times,
    ) -> None:
        """Keep how an accepted job ended, in the background: until then the journal has its task.

        Another error than `GenerationFailed` ends only the wait: songs may still be made. If no
        task has the id of the owner or a callback, the job ends with what callbacks brought.
        """
        uncertain = jobs.keeps_callbacks(entry)
        entry = jobs.timed(entry, times.reached, times.failed)
        if error is None:
            ended = jobs.ended(entry, songs, took=times.took)
        elif isinstance(error, GenerationFailed):
            ended = jobs.failed(entry, error)
        elif uncertain and any(isinstance(one, RequestError) for one in (error, error.__cause__)):
            ended = entry
        else:
            return
        self._endings.write(ended, uncertain=uncertain)

    def is_ending(self, key: str) -> bool:
        """Whether the end of a job is being written."""
        return key in self._endings

    # Its owner

    async def tell_of_task(self, task_id: str, error: UdioError) -> None:
        """Have an error about a task say which job it is of, and what that may have cost."""
        entry: Entry | None = None
        with suppress(UdioError):  # then nobody knows
            entry = await self._journal.of_task(task_id)
        error.charged = "unknown" if entry is None else jobs.charged(entry)
        error.job_key = None if entry is None else entry.key

    async def key_of(self, song: Song) -> str | None:
        """Return the key of the job that a song belongs to, or None."""
        if song.job_key is not None or not song.task_id:
            return song.job_key
        with about_song(song):
            entry = await self._journal.of_task(song.task_id)
        return None if entry is None else entry.key

    async def deliver(self, key: str, song_ids: Collection[str] | None = None) -> None:
        """Keep that the owner of a job has these songs of it (None: all), if it is ready.

        Raises:
            JournalError: it cannot be kept; the songs will be handed out once more.
        """
        await self._change(key, lambda entry: jobs.delivered(entry, song_ids))

    async def deliver_all(self, key: str) -> None:
        """Do the same for all songs of the job of a key that its owner gives, also twice.

        Raises:
            InvalidRequest: there never was such a job.
        """
        try:
            with about(key):
                entry = await self._journal.get(key)
        except InvalidRequest:  # it is over, and nothing of it is kept any more
            return
        if entry is None and not self._fresh.was_taken(key):  # what is over may be forgotten
            raise self._fresh.missing(key)
        await self.deliver(key)

    async def note_undelivered(self, key: str, why: str) -> None:
        """Keep why the songs of a job could not be saved."""
        await self._change(key, lambda entry: jobs.undelivered(entry, why))

    async def _change(self, key: str, change: "jobs.Change") -> None:
        """Change a job that is ready, once its end has been written."""
        await self._endings.written(key)
        async with self._changing:
            with about(key):
                entry = await self._journal.get(key)
            if entry is None or entry.state is not State.READY:
                return
            changed = change(entry)
            if changed != entry:
                with about(key, entry):
                    await self._journal.put(changed, expected=State.READY)

    async def known(self, key: str) -> Entry:
        """Return the entry of a key that its owner gives.

        Raises:
            InvalidRequest: there is none; `client.jobs()` lists them.
        """
        with about(key):
            entry = await self._journal.get(key)
        if entry is None:
            raise self._fresh.missing(key)
        self._check_kept(entry)
        return entry

    def _check_kept(self, entry: Entry) -> None:
        """Raise if a request has left, and how it ended could not be kept."""
        if self._broken is not None and entry.state is State.SENDING:
            what = f"what became of job {entry.key} could not be kept: {self._broken}"
            raise JournalError(what, job_key=entry.key, charged="unknown")

    async def resolve(
        self, key: str, *, task_id: str | None, resubmit: bool, abandon: bool
    ) -> Entry:
        """Keep how its owner ends a doubt; return the job as it is now.

        It takes one of `task_id`, `resubmit` and `abandon`. Errors are those of `Client.resolve`.
        """
        async with self._changing:
            entry = await self.known(key)
            resolved = jobs.resolved(entry, task_id=task_id, resubmit=resubmit, abandon=abandon)
            with about(key, entry):
                if resolved.task_id is not None:
                    await self._attempts.check_free(resolved.task_id, entry)
                await self._journal.put(resolved, expected=entry.state)
            return resolved

    def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the jobs in these states, oldest first; only over the `newest` few."""
        return self._journal.entries(states, newest=newest)
