"""What happens to a job is written down before it counts.

The intent is kept before a paid request leaves, the provider's id before the caller hears of it.
"""

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

import anyio
import attrs
from anyio.abc import TaskGroup

from . import _errors
from ._errors import (
    GenerationFailed,
    InvalidRequest,
    JournalError,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from ._records import SongRequest, Stage, Task
from ._watch import Watch
from .journal import Entry, Journal, State
from .providers.base import CallbackNews, failure_error

logger = logging.getLogger("udio_async")

_UNANSWERED = frozenset({State.SENDING, State.IN_DOUBT, State.REFUSED, State.NOT_SENT})
_OWNERS = frozenset(State) - _UNANSWERED
"""States of a job whose id is its own: what a callback says of the others is not settled yet."""
_DELIVERY = frozenset({"callback_url", "disable_callback", "webhook_url", "webhook_secret"})
"""Options and raw fields that say where the answer goes, not which song is asked for."""


class Keys:
    """Names the jobs of a batch: equal requests are told apart by which of them it is.

    So the same batch, run again, has the same keys, whatever came in between.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def name(self, request: SongRequest) -> str:
        """Return the key of the next job of the batch."""
        if request.key is not None:
            return request.key
        digest = request_digest(request)
        self._seen[digest] += 1
        return f"{digest}-{self._seen[digest]}"


def request_digest(request: SongRequest) -> str:
    """Return a fingerprint of what is asked for, the same in every run."""
    text = json.dumps(_wanted(_canonical(request)), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _canonical(request: SongRequest) -> dict[str, Any]:
    """Return what is asked for as it comes back from the journal: no tuples, names are text."""
    try:
        asked: dict[str, Any] = json.loads(json.dumps(request.as_json()))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None
    return asked


def _wanted(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where the answer goes: an address or a secret may change, the song is the same."""
    wanted = dict(asked)
    for part in ("options", "extra"):
        left = {name: value for name, value in asked.get(part, {}).items() if name not in _DELIVERY}
        if left:
            wanted[part] = left
        else:
            wanted.pop(part, None)
    return wanted


def fresh_key(request: SongRequest) -> str:
    """Return the request's own key, or one that no other job has."""
    return request.key if request.key is not None else f"{request_digest(request)}-{uuid4().hex}"


class Book:
    """Keeps a client's jobs in its journal."""

    def __init__(self, journal: Journal, tasks: TaskGroup, *, provider: str) -> None:
        self._journal = journal
        self._tasks = tasks
        self._provider = provider
        self._broken: JournalError | None = None
        self._hearing = anyio.Lock()

    async def recall(self, request: SongRequest, key: str) -> Entry | None:
        """Return what is known of this job.

        Raises:
            InvalidRequest: the key stands for another request.
        """
        entry = await self._journal.get(key)
        if entry is not None and _wanted(entry.request) != _wanted(_canonical(request)):
            raise InvalidRequest(
                f"key {key!r} stands for another request: {_difference(entry, request)}; "
                "give the request that it stands for, or another key",
                job_key=key,
            )
        return entry

    async def intend(self, request: SongRequest, key: str, known: Entry | None) -> Entry:
        """Keep the intent to submit; what leaves afterwards is never forgotten.

        Raises:
            JournalError: it cannot be kept. Nothing may be sent.
            InvalidRequest: the same job is being submitted at this moment.
        """
        if self._broken is not None:
            raise JournalError(f"nothing more is submitted: {self._broken}", job_key=key)
        entry = Entry(
            key=key,
            provider=self._provider,
            request=_canonical(request),
            state=State.SENDING,
            attempt=known.attempt + 1 if known else 1,
            submitted_at=time.time(),
        )
        if known is not None:
            await self._journal.put(entry, expected=known.state)
        elif await self._journal.add(entry) is not None:
            raise InvalidRequest(f"key {key!r} is being submitted already", job_key=key)
        return entry

    async def accept(self, entry: Entry, task_id: str) -> Entry:
        """Keep the provider's id.

        Raises:
            JournalError: it is not kept, so the error carries the id, and nothing more is sent.
        """
        logger.info("%s accepted job %s as task %s", self._provider, entry.key, task_id)
        accepted = attrs.evolve(entry, state=State.ACCEPTED, task_id=task_id)
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
        """Keep the verdict on a submit that brought no id, unless a callback has answered it."""
        async with self._hearing:
            settled = attrs.evolve(
                await self._journal.get(entry.key) or entry,
                state=_verdict(error),
                evidence=error.evidence if isinstance(error, SubmitInDoubt) else str(error),
                error=type(error).__name__,
            )
            settled = _healed(await self._without_taken_id(settled))
            await self._put(settled, expected=entry.state)
            return settled

    async def add_evidence(self, key: str, evidence: str) -> None:
        """Keep more about a doubt, unless its owner has ended it meanwhile."""
        entry = await self._journal.get(key)
        if entry is not None and entry.state is State.IN_DOUBT:
            with suppress(JournalError):
                await self._journal.put(
                    attrs.evolve(entry, evidence=evidence), expected=State.IN_DOUBT
                )

    async def hear(self, key: str, news: CallbackNews) -> tuple[Entry | None, bool]:
        """Keep what a callback says of a job whose answer is missing.

        Its id makes it accepted. Songs without an id are kept as they come forward, and end the
        job with the task; while its request is on the wire, what was said waits for the answer.

        Returns the job, and whether this has ended a doubt about it.

        Raises:
            JournalError: it cannot be kept.
        """
        async with self._hearing:
            entry = await self._journal.get(key)
            while entry is not None and entry.state in _UNANSWERED:
                heard = _healed(await self._without_taken_id(_heard(entry, news)))
                if heard == entry:
                    break
                try:
                    await self._journal.put(heard, expected=entry.state)
                except JournalError:
                    before, entry = entry, await self._journal.get(key)
                    if entry is None or entry.state is before.state:
                        raise
                else:
                    return heard, heard.state not in _UNANSWERED
            return entry, False

    async def hear_all_kept(self) -> None:
        """End the doubts whose answer came by callback while they were on the wire."""
        for entry in await self._journal.entries([State.IN_DOUBT]):
            healed = _healed(await self._without_taken_id(entry))
            if healed != entry:
                await self._journal.put(healed, expected=State.IN_DOUBT)

    async def owner(self, task_id: str) -> Entry | None:
        """Return the job that the journal knows to have this task."""
        for entry in await self._journal.entries(_OWNERS):
            if entry.task_id == task_id:
                return entry
        return None

    async def _without_taken_id(self, entry: Entry) -> Entry:
        """Take the id from an entry that a callback has given that of another job."""
        if entry.task_id is None or entry.state is State.SENDING:
            return entry
        owner = await self.owner(entry.task_id)
        if owner is None or owner.key == entry.key:
            return entry
        logger.warning("a callback for job %s names the task of job %s", entry.key, owner.key)
        return attrs.evolve(entry, task_id=None)

    def ended(self, watch: Watch) -> None:
        """Keep how a wait ended, in the background: until then the id leads there again."""
        entry, error = watch.entry, watch.error
        if entry is None or entry.state is not State.ACCEPTED:
            return
        if error is None:
            songs = tuple(attrs.evolve(song, raw={}) for song in watch.task.songs)
            entry = attrs.evolve(entry, state=State.READY, songs=songs, took=watch.took)
        elif isinstance(error, GenerationFailed):
            entry = attrs.evolve(
                entry,
                state=State.FAILED,
                songs=tuple(attrs.evolve(song, raw={}) for song in error.songs),
                error=type(error).__name__,
                evidence=str(error),
            )
        else:  # it is still being made, as far as anybody knows
            return
        self._tasks.start_soon(self._put, entry, State.ACCEPTED)

    async def _put(self, entry: Entry, expected: State) -> None:
        try:
            await self._journal.put(entry, expected=expected)
        except JournalError as error:
            if await self._is_kept(entry):
                return
            self._broken = error
            logger.error("job %s is %s, which could not be kept: %s", entry.key, entry.state, error)  # noqa: TRY400  # its frames help nobody

    async def _is_kept(self, entry: Entry) -> bool:
        """Answer whether another wait for the same job has kept the same end before."""
        try:
            known = await self._journal.get(entry.key)
        except JournalError:
            return False
        if known is None:
            return not self._journal.durable
        return known.state in (State.READY, State.FAILED)  # the first end counts


def remembered_error(entry: Entry) -> UdioError:
    """Return the error that a job of an earlier run ended with, or waits with."""
    error: UdioError
    if entry.state is State.FAILED:
        kind = getattr(_errors, entry.error, GenerationFailed)
        error = kind(entry.evidence, songs=entry.songs)
    elif entry.state is State.ABANDONED:
        error = SubmitInDoubt(f"job {entry.key} was in doubt, and you have let it go")
    else:
        error = SubmitInDoubt(
            f"job {entry.key} may have been taken by {entry.provider}: {entry.evidence}; "
            "look at your account, then client.resolve() it",
            evidence=entry.evidence,
        )
    error.provider, error.task_id = entry.provider, entry.task_id
    return error


def _heard(entry: Entry, news: CallbackNews) -> Entry:
    """Put what a callback says into an entry. It never moves backwards."""
    if news.task_id is not None:
        return attrs.evolve(entry, task_id=news.task_id)
    known = {song.id: song for song in entry.songs}
    for song in news.songs:
        before = known.get(song.id)
        if before is None or before.stage.is_before(song.stage):
            known[song.id] = attrs.evolve(song, unverified=True, raw={})
    songs = tuple(sorted(known.values(), key=lambda song: song.index))
    return attrs.evolve(entry, songs=songs)


def _healed(entry: Entry) -> Entry:
    """Take an entry out of doubt if callbacks have said what became of it."""
    if entry.state is State.SENDING:
        return entry
    if entry.task_id is not None:
        return attrs.evolve(entry, state=State.ACCEPTED, error="", evidence="")
    if not entry.songs:
        return entry
    if not all(song.stage.is_final for song in entry.songs):
        # Whatever the answer said, it was taken: nothing may be submitted for it again.
        return attrs.evolve(entry, state=State.IN_DOUBT)
    task = Task(id="", provider=entry.provider, stage=Stage.COMPLETE, songs=entry.songs)
    failures = [song.error for song in entry.songs if song.error is not None]
    if len(failures) < len(entry.songs):
        return attrs.evolve(entry, state=State.READY, error="", evidence="")
    error = failure_error(attrs.evolve(task, stage=Stage.FAILED, error=failures[0]))
    return attrs.evolve(entry, state=State.FAILED, error=type(error).__name__, evidence=str(error))


def _verdict(error: UdioError) -> State:
    if isinstance(error, SubmitInDoubt):
        return State.IN_DOUBT
    return State.NOT_SENT if isinstance(error, Unreachable) else State.REFUSED


def _difference(entry: Entry, request: SongRequest) -> str:
    """Say in which fields a request differs from the one that was kept."""
    then, now = _wanted(entry.request), _wanted(_canonical(request))
    return "; ".join(
        f"{name} was {then.get(name)!r}, is {now.get(name)!r}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    )
