"""Every move of a job from one state to another.

All are pure functions of an entry that return the next one; nothing is stored here.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from .. import _errors
from .._errors import (
    Charged,
    ClientClosed,
    GenerationFailed,
    InvalidRequest,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from .._records import CallbackNews, Song, Stage, Task, failure_error
from .entry import MOVES, Entry, State

_UNTIMED: Mapping[str, Any] = {"took": None, "reached": (), "failed": None}
"""The times of an attempt that has only begun: none is known."""
_UNSENT: Mapping[str, Any] = {
    "task_id": None,
    "told": False,
    "songs": (),
    "saved": (),
    "undelivered": "",
    "evidence": "",
    "error": "",
    **_UNTIMED,
}
"""What is known of an attempt that was not sent yet: nothing."""

Change = Callable[[Entry], Entry]


def _moved(entry: Entry, state: State, **changes: Any) -> Entry:  # noqa: ANN401  # any field
    """Return the entry in its next state; a move outside `MOVES` is a bug."""
    assert state is entry.state or state in MOVES[entry.state], (entry.state, state)
    return attrs.evolve(entry, state=state, **changes)


# Submitting ----------------------------------------------------------------------------------


def planned(key: str, provider: str, request: Mapping[str, Any]) -> Entry:
    """Return the entry of a job that is kept to be submitted later."""
    return Entry(key=key, provider=provider, request=request, state=State.PLANNED, attempt=0)


def planned_again(entry: Entry) -> Entry:
    """Plan a job once more: its submit was taken back, or its owner keeps it again.

    All that is known of the attempt before is cleared: `earlier_attempt` keeps it as a job.
    """
    return _moved(entry, State.PLANNED, **_UNSENT)


def unsent(entry: Entry, error: UdioError) -> Entry:
    """Keep what its owner was told of a job that was kept for later, and did not leave."""
    return _moved(entry, State.NOT_SENT, evidence=str(error), error=type(error).__name__)


def first_sending(key: str, provider: str, request: Mapping[str, Any], *, now: float) -> Entry:
    """Return the entry of a job that is submitted for the first time."""
    return Entry(key=key, provider=provider, request=request, state=State.SENDING, submitted_at=now)


def sending_again(entry: Entry, *, now: float) -> Entry:
    """Return the entry of a job that is submitted once more.

    All that is known of the attempt before is cleared: `earlier_attempt` keeps it as a job.
    """
    return _moved(entry, State.SENDING, attempt=entry.attempt + 1, submitted_at=now, **_UNSENT)


def attempt_key(key: str, attempt: int) -> str:
    """Return the key of an attempt that is kept as a job of its own."""
    return f"{key} (attempt {attempt})"


def earlier_attempt(entry: Entry, attempt: int | None = None) -> Entry:
    """Return an attempt that may have been paid, as a job of its own.

    Its key is `attempt_key`, because another attempt takes the job's own.
    """
    attempt = entry.attempt if attempt is None else attempt
    if attempt == entry.attempt:
        known = attrs.evolve(entry, state=State.ABANDONED)
    else:  # nothing is known of that attempt but its number
        known = attrs.evolve(
            entry, state=State.ABANDONED, task_id=None, songs=(), evidence="", error=""
        )
    return attrs.evolve(
        known,
        key=attempt_key(entry.key, attempt),
        attempt=attempt,
        attempt_of=entry.key,
        told=False,
        saved=(),
        undelivered="",
        **_UNTIMED,
    )


def accepted(entry: Entry, task_id: str) -> Entry:
    """Keep the provider's id: the job is paid for."""
    return _moved(entry, State.ACCEPTED, task_id=task_id, told=False, error="", evidence="")


def settled(entry: Entry, error: UdioError) -> Entry:
    """Keep why a submit brought no id.

    If a callback has said more meanwhile, that counts.
    """
    state = State.IN_DOUBT
    if error.charged == "no":
        unsent = isinstance(error, Unreachable | ClientClosed)
        state = State.NOT_SENT if unsent else State.REFUSED
    evidence = error.evidence if isinstance(error, SubmitInDoubt) else str(error)
    return healed(_moved(entry, state, evidence=evidence, error=type(error).__name__))


def doubted(entry: Entry, evidence: str) -> Entry:
    """Keep that the client died or was closed while the request was on the wire."""
    return _moved(entry, State.IN_DOUBT, evidence=evidence)


def with_evidence(entry: Entry, evidence: str) -> Entry:
    """Replace the evidence of a doubt."""
    return attrs.evolve(entry, evidence=evidence)


# Callbacks -----------------------------------------------------------------------------------


def heard(entry: Entry, news: CallbackNews) -> Entry:
    """Keep what a callback says of a job that has no id yet.

    The job never moves backwards. If its owner has given an id, the provider's word counts more:
    the same id is certain from now on, and another id takes its place. Songs that the given task
    does not have are this job's as well.
    """
    is_closed = entry.state.has_songs and entry.task_id is None  # no look will ever tell more
    if is_closed or (entry.state is State.FAILED and not entry.told):
        return with_other_songs(entry, news.songs)
    if entry.told and entry.state.is_paid:
        if news.task_id is None:
            return with_other_songs(entry, news.songs)
        if news.task_id == entry.task_id:
            return attrs.evolve(with_other_songs(entry, news.songs), told=False)
        return _moved(entry, State.ACCEPTED, task_id=news.task_id, told=False, songs=())
    # Also beside an id: it may be that of the service behind the provider, which no look knows.
    further = attrs.evolve(entry, songs=_further(entry.songs, news.songs))
    if news.task_id is None or entry.state is State.ACCEPTED:
        return healed(further)
    return healed(attrs.evolve(further, task_id=news.task_id, told=False))


def keeps_callbacks(entry: Entry) -> bool:
    """Return whether what callbacks bring of an accepted job is kept beside its task.

    It is where the task is not certain: its owner has named it, or a callback with songs has. Also
    after a failure: what has failed under such an id may not have been this job's task.
    """
    is_open = entry.state in (State.ACCEPTED, State.FAILED)
    return entry.told or (is_open and any(song.unverified for song in entry.songs))


def _further(songs: Sequence[Song], shown: Sequence[Song]) -> tuple[Song, ...]:
    """Return all songs that callbacks have shown, each at the furthest stage of any callback.

    A whole song counts more than any stage, also after it was said to have failed.
    """
    known = {song.id: song for song in songs}
    named = {song.id for song in shown}
    if named and not any(song.stage.is_final for song in songs) and not named & known.keys():
        known = {}  # a provider may give its songs other ids as it goes on
    for song in shown:
        before = known.get(song.id)
        arrived = _is_whole(song) and (before is None or not _is_whole(before))
        if before is None or arrived or before.stage.is_before(song.stage):
            known[song.id] = attrs.evolve(song, unverified=True, raw={})
    return tuple(sorted(known.values(), key=lambda song: song.index))


def are_attempts_of_one(entry: Entry, other: Entry) -> bool:
    """Return whether two jobs are attempts of the same request."""
    return (entry.attempt_of or entry.key) == (other.attempt_of or other.key)


def misnamed(entry: Entry, attempt: Entry) -> Entry:
    """Take back the task that an owner named: a callback has shown that it is another attempt's."""
    return _moved(
        entry,
        State.IN_DOUBT,
        evidence=f"task {entry.task_id}, which was named for it, is that of {attempt.key!r}",
        task_id=None,
        told=False,
        songs=(),
        saved=(),
        undelivered="",
        **_UNTIMED,
    )


def with_other_songs(entry: Entry, songs: Iterable[Song]) -> Entry:
    """Add songs that a callback showed and the named task does not have: they are paid for, too.

    Only whole songs are added. One that is known from callbacks alone is also taken further: as
    long as it might still come, the job would wait for it. If the named task has failed, the
    failure is taken back: the job has songs after all.
    """
    before = [song for song in entry.songs if _is_whole(song) or not song.unverified]
    known = tuple(song.id for song in before)
    coming = {song.id: song for song in entry.songs if song.id not in known}
    further = _further(tuple(coming.values()), [song for song in songs if song.id not in known])
    others = tuple(song for song in further if _is_whole(song) or song.id in coming)
    if not any(map(_is_whole, others)):
        return attrs.evolve(entry, songs=(*before, *others)) if others else entry
    state = State.ACCEPTED if entry.state is State.ACCEPTED else State.READY
    had = known if entry.state is State.DELIVERED else entry.saved
    return _moved(entry, state, songs=(*before, *others), saved=had, error="", evidence="")


def with_callbacks(end: Entry, known: Entry) -> Entry:
    """Return how a job ends whose task is not certain, with what callbacks have said meanwhile.

    If a callback has named the task, the songs that a look has shown are all.

    Args:
        end: the job as its task ended; still accepted if there is no such task.
        known: the job in the journal; returned unchanged if a callback has named another task.
    """
    if known.task_id != end.task_id or known.state is not State.ACCEPTED:
        return known
    if end.state is not State.ACCEPTED:
        end = attrs.evolve(end, told=known.told)
        if not known.told and any(map(_is_whole, end.songs)):
            return end
        further = with_other_songs(end, known.songs)
        if further.songs or known.told:
            return further
        return attrs.evolve(end, songs=known.songs)  # a later callback may show them whole
    brought = any(map(_is_whole, known.songs)) and all(song.stage.is_final for song in known.songs)
    return ended(known, known.songs, took=None) if brought else known


def _is_whole(song: Song) -> bool:
    return song.audio_is_final and song.error is None


def without_task(entry: Entry) -> Entry:
    """Take back an id that turned out to be another job's, and the songs that came with it."""
    own = tuple(song for song in entry.songs if song.task_id != entry.task_id)
    return attrs.evolve(entry, task_id=None, songs=own)


def healed(entry: Entry) -> Entry:
    """Move a job on if callbacks have said what became of it.

    While its request is on the wire, the answer is waited for first.
    """
    if entry.state is State.SENDING or entry.state.is_paid:
        return entry
    if entry.task_id is not None:
        return _moved(entry, State.ACCEPTED, error="", evidence="")
    if not entry.songs:
        return entry
    if not all(song.stage.is_final for song in entry.songs):
        # Whatever the answer said, a song proves that the request was taken: never submit again.
        return entry if entry.state is State.ABANDONED else _moved(entry, State.IN_DOUBT)
    failures = [song.error for song in entry.songs if song.error is not None]
    if len(failures) < len(entry.songs):
        return _moved(entry, State.READY, error="", evidence="")
    error = failure_error(
        Task(id="", provider=entry.provider, stage=Stage.FAILED, error=failures[0])
    )
    return _moved(entry, State.FAILED, error=type(error).__name__, evidence=str(error))


# The end -------------------------------------------------------------------------------------


def timed(
    entry: Entry, reached: Sequence[tuple[float, float]], failed: tuple[float, float] | None
) -> Entry:
    """Keep at which times a job reached its stages."""
    return attrs.evolve(entry, reached=tuple(reached), failed=failed)


def ended(entry: Entry, songs: tuple[Song, ...], *, took: float | None) -> Entry:
    """Keep the songs of a task that is complete."""
    return _moved(entry, State.READY, songs=without_raw(songs), took=took, error="", evidence="")


def failed(entry: Entry, error: GenerationFailed) -> Entry:
    """Keep that a task has failed; songs that arrived are still delivered."""
    arrived = any(song.audio_is_final for song in error.songs)
    return _moved(
        entry,
        State.READY if arrived else State.FAILED,
        songs=without_raw(error.songs),
        error=type(error).__name__,
        evidence=str(error),
    )


def delivered(entry: Entry, song_ids: Collection[str] | None = None) -> Entry:
    """Keep that its owner has these songs; None means all of them."""
    wanted = [song.id for song in entry.songs if _is_whole(song)]
    saved = wanted if song_ids is None else [*entry.saved, *song_ids]
    if set(wanted) <= set(saved):
        return _moved(entry, State.DELIVERED, saved=(), undelivered="")
    return attrs.evolve(entry, saved=tuple(dict.fromkeys(saved)))


def undelivered(entry: Entry, why: str) -> Entry:
    """Keep why its songs could not be saved."""
    return attrs.evolve(entry, undelivered=why)


# What its owner says -------------------------------------------------------------------------


def resolved(
    entry: Entry, *, task_id: str | None = None, resubmit: bool = False, abandon: bool = False
) -> Entry:
    """Keep how the owner of a job ends a doubt, or corrects an earlier answer.

    Raises:
        InvalidRequest: there is no doubt about it, or not exactly one answer is given.
    """
    if (task_id is not None) + resubmit + abandon != 1:
        raise InvalidRequest(
            "give one of task_id, resubmit and abandon",
            job_key=entry.key,
            charged=charged(entry),
        )
    corrects = entry.told or entry.state is State.ABANDONED
    if not corrects and entry.state is not State.IN_DOUBT:
        raise InvalidRequest(
            f"job {entry.key!r} is {entry.state}, not in doubt",
            job_key=entry.key,
            charged=charged(entry),
        )
    state = State.NOT_SENT if resubmit else State.ABANDONED
    return _moved(
        entry,
        State.ACCEPTED if task_id is not None else state,
        task_id=task_id,
        told=True,
        songs=tuple(song for song in entry.songs if song.unverified),
        saved=(),
        undelivered="",
        **_UNTIMED,
    )


def forgotten(entry: Entry) -> Entry:
    """Take back a request for which nothing was taken.

    Raises:
        InvalidRequest: it was taken, or may have been.
    """
    if not entry.state.may_be_sent:
        raise InvalidRequest(
            f"job {entry.key!r} is {entry.state}: it was or may have been taken, and cannot be "
            "taken back",
            job_key=entry.key,
            charged=charged(entry),
        )
    if entry.state is State.FORGOTTEN:
        return entry
    return _moved(entry, State.FORGOTTEN)


# Errors --------------------------------------------------------------------------------------


def charged(entry: Entry) -> Charged:
    """Return whether a job has cost credits: "no" only where that is certain."""
    if entry.state is State.FAILED:
        return GenerationFailed.charged
    if entry.state.has_songs or (entry.was_taken and not entry.told):
        return "yes"
    return "unknown" if entry.told or not entry.state.may_be_sent else "no"


def remembered_error(entry: Entry) -> UdioError | None:
    """Return the error that a job ended with, or None.

    For a job in doubt it is the doubt.
    """
    error: UdioError
    if entry.error and (entry.state is State.FAILED or entry.state.has_songs):
        kind = getattr(_errors, entry.error, GenerationFailed)
        error = kind(entry.evidence, songs=entry.songs)
    elif entry.state is State.ABANDONED:
        error = SubmitInDoubt(f"job {entry.key} was in doubt, and you have given it up")
    elif entry.state is State.IN_DOUBT:
        error = SubmitInDoubt(
            f"job {entry.key} may have been taken by {entry.provider}: {entry.evidence}; "
            "look at your account, then client.resolve() it",
            evidence=entry.evidence,
        )
    else:
        return None
    error.provider, error.task_id, error.job_key = entry.provider, entry.task_id, entry.key
    return error


def without_raw(songs: tuple[Song, ...]) -> tuple[Song, ...]:
    """Leave out the provider's whole answers, which no journal keeps."""
    return tuple(attrs.evolve(song, raw={}) for song in songs)
