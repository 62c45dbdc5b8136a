"""Bugs that have been, or might be: the model has to find each of them.

Each is put into the library by replacing one function, as long as the `with` block lasts.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import attrs

from udio_async import (
    GenerationFailed,
    InvalidRequest,
    MemoryJournal,
    RateLimited,
    Song,
    SongRequest,
    UdioError,
    WaitExpired,
)
from udio_async._http import Departure
from udio_async._http.messages import Body
from udio_async._http.trail import Trail
from udio_async._polling import TrackedTask
from udio_async._polling.look_results import LookResults
from udio_async._session import Session
from udio_async._submit import Submitter
from udio_async.journal import Entry, State, jobs, sqlite_file
from udio_async.journal.attempts import Attempts
from udio_async.journal.kept import Kept
from udio_async.journal.keys import FreshKeys, canonical
from udio_async.journal.store import JobStore

Plant = Callable[[], AbstractContextManager[object]]


@contextmanager
def resume_takes_what_is_gone_for_new() -> Iterator[None]:
    """A finished job is forgotten while `resume` walks a list of keys, and counts as new then."""
    submit = Submitter.submit

    async def put(self: MemoryJournal, entry: Entry, *, expected: State) -> None:
        self._entries[entry.key] = entry
        if entry.state in {State.READY, State.DELIVERED}:
            del self._entries[entry.key]

    async def with_any(self: Submitter, *args: Any, only: object = None, **options: Any) -> object:  # noqa: ANN401
        return await submit(self, *args, **options)

    with (
        patch.object(MemoryJournal, "put", put),
        patch.object(Submitter, "submit", with_any),
        patch.object(FreshKeys, "gave", lambda *_: False),
    ):
        yield


def a_request_cannot_be_taken_back() -> AbstractContextManager[object]:
    """A submit whose caller has left, or whose client is closed, is sent when its turn comes."""
    return patch.object(Departure, "withdraw", lambda *_: None)


def closing_lets_waiting_submits_leave() -> AbstractContextManager[object]:
    """Those that wait when the client is closed are sent in its grace time."""
    return patch.object(Submitter, "close", lambda _: None)


def a_lost_answer_is_no_charge() -> AbstractContextManager[object]:
    """What may have been taken is called unpaid."""

    def verdict(_: Submitter, error: Exception) -> UdioError:
        return UdioError(str(error), charged="no")

    return patch.object(Submitter, "_verdict", verdict)


def a_lost_answer_is_asked_again() -> AbstractContextManager[object]:
    """As most clients do: any failure of the submit is tried again."""

    def verdict(_: Submitter, error: Exception) -> UdioError:
        return RateLimited(str(error), charged="no")

    return patch.object(Submitter, "_verdict", verdict)


def resume_leaves_songs_that_are_ready() -> AbstractContextManager[object]:
    """Songs that nobody was given before the process ended are in no list."""
    resume = Session.resume

    def without(self: Session, states: Collection[State], **options: Any) -> object:  # noqa: ANN401
        return resume(self, frozenset(states) - {State.READY}, **options)

    return patch.object(Session, "resume", without)


def ready_is_delivered() -> AbstractContextManager[object]:
    """A song counts as handed out before its owner has it."""
    ended = jobs.ended

    def at_once(*args: Any, **options: Any) -> Entry:  # noqa: ANN401
        return attrs.evolve(ended(*args, **options), state=State.DELIVERED)

    return patch.object(jobs, "ended", at_once)


def callbacks_of_doubts_are_dropped() -> AbstractContextManager[object]:
    """A callback about what is in doubt is acknowledged, and forgotten."""
    return patch.object(jobs, "heard", lambda entry, _: entry)


def late_ids_are_dropped() -> AbstractContextManager[object]:
    """What a callback says of an attempt before the last one is acknowledged, and forgotten."""
    of_attempt = Attempts.of

    async def latest(self: Attempts, key: str, attempt: int | None) -> Entry | None:
        entry = await of_attempt(self, key, None)
        return None if entry is not None and attempt not in {None, entry.attempt} else entry

    return patch.object(Attempts, "of", latest)


def earlier_attempts_are_overwritten() -> AbstractContextManager[object]:
    """A doubt that is submitted again keeps nothing of the attempt before."""
    return patch.object(Entry, "may_have_been_taken", property(lambda _: False))


@contextmanager
def the_intent_is_not_kept() -> Iterator[None]:
    """A request leaves before anything of it stands in the journal."""
    keep, accept, settle = JobStore.intend, JobStore.accept, JobStore.settle
    late: dict[str, tuple[SongRequest, Entry | None]] = {}

    async def intend(self: JobStore, request: SongRequest, key: str, known: Entry | None) -> Entry:
        late[key] = request, known
        sent = jobs.first_sending(key, self._provider, canonical(request), now=0.0)
        return attrs.evolve(sent, attempt=known.attempt + 1) if known else sent

    async def accepted(self: JobStore, entry: Entry, task_id: str) -> Entry:
        return await accept(self, await keep(self, *_of(entry)), task_id)

    async def settled(self: JobStore, entry: Entry, error: UdioError) -> Entry:
        return await settle(self, await keep(self, *_of(entry)), error)

    def _of(entry: Entry) -> tuple[SongRequest, str, Entry | None]:
        request, known = late[entry.key]
        return request, entry.key, known

    with patch.multiple(JobStore, intend=intend, accept=accepted, settle=settled):
        yield


def an_answer_cannot_be_corrected() -> AbstractContextManager[object]:
    """A wrong id that was given to `resolve` stays."""
    resolved = jobs.resolved

    def once(entry: Entry, **answer: Any) -> Entry:  # noqa: ANN401
        if entry.state is not State.IN_DOUBT:
            raise InvalidRequest(f"job {entry.key} is not in doubt")
        return resolved(entry, **answer)

    return patch.object(jobs, "resolved", once)


def a_batch_in_memory_makes_anew_what_is_kept() -> AbstractContextManager[object]:
    """Where no later run can find a job, a batch gives all texts names of their own."""

    async def knows(_: JobStore, _key: str) -> bool:
        return False

    return patch.object(JobStore, "knows", knows)


def a_batch_buys_what_was_taken_back() -> AbstractContextManager[object]:
    """A request that waits in a batch is sent, whatever its owner has said since."""
    return patch.object(Kept, "is_taken_back", lambda *_, **_since: False)


def what_was_paid_can_be_forgotten() -> AbstractContextManager[object]:
    """`forget` takes any job away."""
    return patch.object(jobs, "forgotten", lambda entry: attrs.evolve(entry, state=State.FORGOTTEN))


def a_failed_download_counts_as_had() -> AbstractContextManager[object]:
    """A job is delivered once a download of it was tried."""
    download = Session.download

    async def anyway(self: Session, songs: list[Song], **how: Any) -> object:  # noqa: ANN401
        try:
            return await download(self, songs, **how)
        finally:
            for song in songs:
                if song.job_key is not None:
                    await self.store.deliver(song.job_key)

    return patch.object(Session, "download", anyway)


def a_restart_takes_what_was_sent_for_unsent() -> AbstractContextManager[object]:
    """A request that was on the wire when the process died is sent again."""
    return patch.object(
        sqlite_file, "doubted", lambda entry, _: attrs.evolve(entry, state=State.NOT_SENT)
    )


def an_expired_wait_says_unpaid() -> AbstractContextManager[object]:
    """A song that is waited for no longer is called unpaid."""
    return patch.object(WaitExpired, "charged", "no")


def a_failed_look_ends_the_song() -> AbstractContextManager[object]:
    """One look that fails is taken for the end of the song."""

    def missed(self: LookResults, batch: list[TrackedTask], error: Exception, now: float) -> float:
        for tracked in batch:
            self.registry.finish(tracked, GenerationFailed(str(error), task_id=tracked.task_id))
        return 0.0

    return patch.object(LookResults, "missed", missed)


def what_nobody_tells_counts_as_here() -> AbstractContextManager[object]:
    """A request in the hands of a client of the owner's is called back, though it may have left."""
    return patch.object(Departure, "may_have_left", property(lambda self: self._left))


def an_error_of_a_hook_counts_as_the_requests() -> AbstractContextManager[object]:
    """Whatever could not be reached, nothing was sent."""
    return patch.object(Trail, "proves_unsent", lambda self, _error: not self.sent)


def a_client_may_repeat_a_paid_request() -> AbstractContextManager[object]:
    """The body can be read as often as somebody likes."""

    def again(self: Body) -> AsyncIterator[bytes]:
        self._once = False
        return once(self)

    once = Body.__aiter__
    return patch.object(Body, "__aiter__", again)


PLANTS: Mapping[str, Plant] = {
    plant.__name__: plant
    for plant in (
        resume_takes_what_is_gone_for_new,
        a_request_cannot_be_taken_back,
        closing_lets_waiting_submits_leave,
        a_lost_answer_is_no_charge,
        a_lost_answer_is_asked_again,
        resume_leaves_songs_that_are_ready,
        ready_is_delivered,
        callbacks_of_doubts_are_dropped,
        late_ids_are_dropped,
        earlier_attempts_are_overwritten,
        the_intent_is_not_kept,
        an_answer_cannot_be_corrected,
        a_batch_in_memory_makes_anew_what_is_kept,
        a_batch_buys_what_was_taken_back,
        what_was_paid_can_be_forgotten,
        a_failed_download_counts_as_had,
        a_restart_takes_what_was_sent_for_unsent,
        an_expired_wait_says_unpaid,
        a_failed_look_ends_the_song,
        what_nobody_tells_counts_as_here,
        an_error_of_a_hook_counts_as_the_requests,
        a_client_may_repeat_a_paid_request,
    )
}
