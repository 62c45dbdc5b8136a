"""A job's states, and every move from one to another. Pure: nothing is stored here.

All moves are functions of an entry that return the next one. Which are allowed is the table
`MOVES`; the drawing in `docs/architecture.md` is printed from it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any

import attrs

from .. import _errors
from .._errors import (
    ClientClosed,
    GenerationFailed,
    InvalidRequest,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from .._records import CallbackNews, Song, Stage, Task, failure_error


class State(StrEnum):
    """How far a job has come, as far as is known for certain."""

    PLANNED = "planned"
    """Kept by its owner, and not submitted yet."""
    SENDING = "sending"
    """The intent is kept; the request may be on the wire, or may have been when we died."""
    ACCEPTED = "accepted"
    """The provider's id is kept: the song is paid for, and is being made."""
    REFUSED = "refused"
    """The provider took nothing."""
    NOT_SENT = "not_sent"
    """It is proved that nothing left."""
    IN_DOUBT = "in_doubt"
    """It may have been taken. Its owner ends this, or a callback does."""
    READY = "ready"
    """There are songs, and their owner does not have them yet."""
    DELIVERED = "delivered"
    """Its owner has the songs: their files are saved, or he has said so."""
    FAILED = "failed"
    """Accepted, and then not made."""
    ABANDONED = "abandoned"
    """A doubt that its owner has let go."""
    FORGOTTEN = "forgotten"
    """Taken back by its owner before anything was taken for it."""

    @property
    def may_be_sent(self) -> bool:
        """Whether it is certain that nothing was taken, so that it may be submitted."""
        return self in (State.PLANNED, State.REFUSED, State.NOT_SENT, State.FORGOTTEN)

    @property
    def is_paid(self) -> bool:
        """Whether the provider has accepted it."""
        return self in (State.ACCEPTED, State.READY, State.DELIVERED, State.FAILED)

    @property
    def has_songs(self) -> bool:
        """Whether its songs are known."""
        return self in (State.READY, State.DELIVERED)


_HEARD = (State.ACCEPTED, State.IN_DOUBT, State.READY, State.FAILED)
_RESOLVED = (State.ACCEPTED, State.NOT_SENT, State.ABANDONED)

MOVES: Mapping[State, frozenset[State]] = {
    state: frozenset(moves) - {state}
    for state, moves in {
        State.PLANNED: (State.SENDING, State.FORGOTTEN),
        State.SENDING: (State.REFUSED, State.NOT_SENT, *_HEARD),
        State.ACCEPTED: (State.READY, State.FAILED, *_RESOLVED),
        State.REFUSED: (State.SENDING, State.FORGOTTEN, *_HEARD),
        State.NOT_SENT: (State.SENDING, State.FORGOTTEN, *_HEARD, *_RESOLVED),
        State.IN_DOUBT: (State.SENDING, *_HEARD, *_RESOLVED),
        State.READY: (State.DELIVERED, *_RESOLVED),
        State.DELIVERED: _RESOLVED,
        State.FAILED: _RESOLVED,
        State.ABANDONED: (State.ACCEPTED, State.READY, State.FAILED, State.NOT_SENT),
        State.FORGOTTEN: (State.SENDING, *_HEARD, *_RESOLVED),
    }.items()
}
"""From each state to those that may follow. A change of an entry within its state is no move."""


@attrs.frozen(kw_only=True)
class Entry:
    """One job: what was asked for, and what is known of it."""

    key: str
    provider: str
    request: Mapping[str, Any]
    """The request in its canonical form, as JSON; `request_of` turns it back into one."""
    state: State
    attempt: int = 1
    """How often it was submitted."""
    attempt_of: str | None = None
    """Where this is an earlier attempt of another job, that may have been paid: that job's key."""
    task_id: str | None = None
    told: bool = False
    """Whether its owner gave the task's id, and may correct it."""
    songs: tuple[Song, ...] = ()
    saved: tuple[str, ...] = ()
    """The ids of the songs that its owner has, where that is not all of them."""
    undelivered: str = ""
    """Why its songs could not be saved, the last time."""
    evidence: str = ""
    """What was seen when it came into doubt, failed or was refused."""
    error: str = ""
    """The class of the error that ended it, if one did."""
    submitted_at: float = 0.0
    """Unix time of the latest attempt."""
    took: float | None = None
    """Seconds from accepted to ready."""
    reached: tuple[tuple[float, float], ...] = ()
    """For its text, its first audio and its end, as far as it came: the seconds from accepted after
    which, and by which, it was there."""
    failed: tuple[float, float] | None = None
    """The same for its failure, if it failed."""

    @property
    def was_taken(self) -> bool:
        """Whether something proves that the provider has taken it."""
        return self.state.is_paid or self.task_id is not None or bool(self.songs)

    @property
    def may_have_been_taken(self) -> bool:
        """Whether its latest attempt may have been paid, whatever its owner says of it."""
        return self.was_taken or self.told or self.state is State.IN_DOUBT


Change = Callable[[Entry], Entry]

_UNTIMED: Mapping[str, Any] = {"took": None, "reached": (), "failed": None}
"""What is known of the time of an attempt that has not come far."""


def _moved(entry: Entry, state: State, **changes: Any) -> Entry:  # noqa: ANN401  # any field
    assert state is entry.state or state in MOVES[entry.state], (entry.state, state)
    return attrs.evolve(entry, state=state, **changes)


# Submitting ----------------------------------------------------------------------------------


def planned(key: str, provider: str, request: Mapping[str, Any]) -> Entry:
    """Return the entry of a job that shall be submitted later."""
    return Entry(key=key, provider=provider, request=request, state=State.PLANNED, attempt=0)


def first_sending(key: str, provider: str, request: Mapping[str, Any], *, now: float) -> Entry:
    """Return the entry of a job that was never asked for, and is being submitted."""
    return Entry(key=key, provider=provider, request=request, state=State.SENDING, submitted_at=now)


def sending_again(entry: Entry, *, now: float) -> Entry:
    """Submit it once more: of the attempt before, nothing is said any more."""
    return _moved(
        entry,
        State.SENDING,
        attempt=entry.attempt + 1,
        task_id=None,
        told=False,
        songs=(),
        saved=(),
        undelivered="",
        evidence="",
        error="",
        submitted_at=now,
        **_UNTIMED,
    )


def attempt_key(key: str, attempt: int) -> str:
    """Return the key of an attempt that is kept as a job of its own."""
    return f"{key} (attempt {attempt})"


def earlier_attempt(entry: Entry, attempt: int | None = None) -> Entry:
    """Return an attempt that may have been paid as a job of its own, as another one follows it."""
    attempt = entry.attempt if attempt is None else attempt
    if attempt == entry.attempt:
        known = attrs.evolve(entry, state=State.ABANDONED)
    else:  # nothing is left of it but its number
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
    """Take in the provider's id."""
    return _moved(entry, State.ACCEPTED, task_id=task_id, told=False, error="", evidence="")


def settled(entry: Entry, error: UdioError) -> Entry:
    """Take in why a submit brought no id; what a callback has said meanwhile counts more."""
    state = State.IN_DOUBT
    if error.charged == "no":
        unsent = isinstance(error, Unreachable | ClientClosed)
        state = State.NOT_SENT if unsent else State.REFUSED
    evidence = error.evidence if isinstance(error, SubmitInDoubt) else str(error)
    return healed(_moved(entry, state, evidence=evidence, error=type(error).__name__))


def doubted(entry: Entry, evidence: str) -> Entry:
    """Take in that its owner died, or was closed, while it was on the wire."""
    return _moved(entry, State.IN_DOUBT, evidence=evidence)


def with_evidence(entry: Entry, evidence: str) -> Entry:
    """Say more about a doubt."""
    return attrs.evolve(entry, evidence=evidence)


# Callbacks -----------------------------------------------------------------------------------


def heard(entry: Entry, news: CallbackNews) -> Entry:
    """Take in what a callback says of a job that has no id yet. It never moves backwards.

    Where its owner has given the id, the provider knows better.
    """
    if entry.told and entry.state.is_paid:
        if news.task_id in (None, entry.task_id):
            return entry
        return _moved(entry, State.ACCEPTED, task_id=news.task_id, told=False, songs=())
    if news.task_id is not None:
        return healed(attrs.evolve(entry, task_id=news.task_id))
    known = {song.id: song for song in entry.songs}
    for song in news.songs:
        before = known.get(song.id)
        if before is None or before.stage.is_before(song.stage):
            known[song.id] = attrs.evolve(song, unverified=True, raw={})
    songs = tuple(sorted(known.values(), key=lambda song: song.index))
    return healed(attrs.evolve(entry, songs=songs))


def without_task(entry: Entry) -> Entry:
    """Take back an id that turned out to be another job's."""
    return attrs.evolve(entry, task_id=None)


def healed(entry: Entry) -> Entry:
    """Move a job on if callbacks have said what became of it.

    While its request is on the wire, what they said waits for the answer.
    """
    if entry.state is State.SENDING or entry.state.is_paid:
        return entry
    if entry.task_id is not None:
        return _moved(entry, State.ACCEPTED, error="", evidence="")
    if not entry.songs:
        return entry
    if not all(song.stage.is_final for song in entry.songs):
        # Whatever the answer said, it was taken: nothing may be submitted for it again.
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
    """Take in when it came how far."""
    return attrs.evolve(entry, reached=tuple(reached), failed=failed)


def ended(entry: Entry, songs: tuple[Song, ...], *, took: float | None) -> Entry:
    """Take in the songs of a task that is complete."""
    return _moved(entry, State.READY, songs=without_raw(songs), took=took, error="", evidence="")


def failed(entry: Entry, error: GenerationFailed) -> Entry:
    """Take in that a task has failed; what arrived all the same is still to be delivered."""
    arrived = any(song.audio_is_final for song in error.songs)
    return _moved(
        entry,
        State.READY if arrived else State.FAILED,
        songs=without_raw(error.songs),
        error=type(error).__name__,
        evidence=str(error),
    )


def delivered(entry: Entry, song_ids: Collection[str] | None = None) -> Entry:
    """Take in that its owner has these songs; None means all of them."""
    wanted = [song.id for song in entry.songs if song.audio_is_final and song.error is None]
    saved = wanted if song_ids is None else [*entry.saved, *song_ids]
    if set(wanted) <= set(saved):
        return _moved(entry, State.DELIVERED, saved=(), undelivered="")
    return attrs.evolve(entry, saved=tuple(dict.fromkeys(saved)))


def undelivered(entry: Entry, why: str) -> Entry:
    """Take in why its songs could not be saved."""
    return attrs.evolve(entry, undelivered=why)


# What its owner says -------------------------------------------------------------------------


def resolved(
    entry: Entry, *, task_id: str | None = None, resubmit: bool = False, abandon: bool = False
) -> Entry:
    """Take in what its owner says of a doubt, or says anew of one that he has ended.

    Raises:
        InvalidRequest: there is no doubt about it, or not exactly one answer is given.
    """
    if (task_id is not None) + resubmit + abandon != 1:
        raise InvalidRequest("give one of task_id, resubmit and abandon", job_key=entry.key)
    corrects = entry.told or entry.state is State.ABANDONED
    if not corrects and entry.state is not State.IN_DOUBT:
        raise InvalidRequest(f"job {entry.key!r} is {entry.state}, not in doubt", job_key=entry.key)
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
        )
    if entry.state is State.FORGOTTEN:
        return entry
    return _moved(entry, State.FORGOTTEN)


# Errors --------------------------------------------------------------------------------------


def remembered_error(entry: Entry) -> UdioError | None:
    """Return the error that a job ended with, or waits with; None where there is none."""
    error: UdioError
    if entry.error and (entry.state is State.FAILED or entry.state.has_songs):
        kind = getattr(_errors, entry.error, GenerationFailed)
        error = kind(entry.evidence, songs=entry.songs)
    elif entry.state is State.ABANDONED:
        error = SubmitInDoubt(f"job {entry.key} was in doubt, and you have let it go")
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
    """Leave out the provider's own words, which no journal keeps."""
    return tuple(attrs.evolve(song, raw={}) for song in songs)
