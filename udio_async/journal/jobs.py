"""The states of a job, and every move from one to another.

All moves are pure functions of an entry that return the next one; nothing is stored here. Which are
allowed is the table `MOVES`; the drawing in `docs/jobs.md` is printed from it.
"""

from collections.abc import Callable, Collection, Mapping
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
    """How far a job has come, as far as is certain.

    They are text, too: `JournalState.READY == "ready"`.

        async for entry in client.jobs([JournalState.IN_DOUBT, JournalState.FAILED]):
            print(entry.key, entry.state)
    """

    PLANNED = "planned"
    """It is kept for later, and was not submitted yet."""
    SENDING = "sending"
    """The request is on its way, or it was when the process died."""
    ACCEPTED = "accepted"
    """The provider took it and gave an id: it is paid for, and its songs are being made."""
    REFUSED = "refused"
    """The provider answered, and took nothing. It may be submitted."""
    NOT_SENT = "not_sent"
    """Nothing left this machine, or its owner says that nothing was taken. It may be submitted."""
    IN_DOUBT = "in_doubt"
    """It may have been taken and paid for. Its owner ends this doubt, or a callback does."""
    READY = "ready"
    """Its songs are made, and their owner does not have them yet."""
    DELIVERED = "delivered"
    """Its owner has the songs: their files are saved, or `acknowledge` said so."""
    FAILED = "failed"
    """It was accepted, and the provider made no songs."""
    ABANDONED = "abandoned"
    """It was in doubt, and its owner gave it up: nobody looks for it or submits it."""
    FORGOTTEN = "forgotten"
    """Its owner took it back while it was certain that the provider had taken nothing."""

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
"""What a callback may show, however late it comes."""
_ANSWERS = (State.ACCEPTED, State.NOT_SENT, State.ABANDONED)
"""How the owner of a doubt may end it."""

USUAL_MOVES: Mapping[State, frozenset[State]] = {
    state: frozenset(moves) - {state}
    for state, moves in {
        State.PLANNED: (State.SENDING, State.FORGOTTEN),
        State.SENDING: (State.REFUSED, State.NOT_SENT, *_HEARD),
        State.ACCEPTED: (State.READY, State.FAILED),
        State.REFUSED: (State.SENDING, State.FORGOTTEN, *_HEARD),
        State.NOT_SENT: (State.SENDING, State.FORGOTTEN, *_HEARD),
        State.IN_DOUBT: (State.SENDING, *_HEARD, *_ANSWERS),
        State.READY: (State.DELIVERED,),
        State.DELIVERED: (),
        State.FAILED: (),
        State.ABANDONED: (State.ACCEPTED, State.READY, State.FAILED),
        State.FORGOTTEN: (State.SENDING, *_HEARD),
    }.items()
}
"""From each state to those that may follow. A change of an entry within its state is no move."""
CORRECTIONS: Mapping[State, frozenset[State]] = {
    state: frozenset(_ANSWERS) - {state}
    for state in State
    if state not in (State.PLANNED, State.SENDING, State.REFUSED, State.IN_DOUBT)
}
"""Further moves of a job whose owner has ended a doubt, and now gives another answer. So even a
job that is delivered may come back: the task that he named was not the one of this job."""
MOVES: Mapping[State, frozenset[State]] = {
    state: moves | CORRECTIONS.get(state, frozenset()) for state, moves in USUAL_MOVES.items()
}
"""All moves that are allowed."""


@attrs.frozen(kw_only=True)
class Entry:
    """One job: what was asked for, and what is known of it.

    It is a value: a change makes a new one.

        async for entry in client.jobs():
            print(entry.key, entry.state, [song.title for song in entry.songs])
    """

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

    @property
    def was_taken(self) -> bool:
        """Whether something proves that the provider has taken it."""
        return self.state.is_paid or self.task_id is not None or bool(self.songs)

    @property
    def may_have_been_taken(self) -> bool:
        """Whether its latest attempt may have been paid, whatever its owner says of it."""
        return self.was_taken or self.told or self.state is State.IN_DOUBT


Change = Callable[[Entry], Entry]


def _moved(entry: Entry, state: State, **changes: Any) -> Entry:  # noqa: ANN401  # any field
    """Return the entry in its next state; a move outside `MOVES` is a bug."""
    assert state is entry.state or state in MOVES[entry.state], (entry.state, state)
    return attrs.evolve(entry, state=state, **changes)


# Submitting ----------------------------------------------------------------------------------


def planned(key: str, provider: str, request: Mapping[str, Any]) -> Entry:
    """Return the entry of a job that is kept to be submitted later."""
    return Entry(key=key, provider=provider, request=request, state=State.PLANNED, attempt=0)


def first_sending(key: str, provider: str, request: Mapping[str, Any], *, now: float) -> Entry:
    """Return the entry of a job that is submitted for the first time."""
    return Entry(key=key, provider=provider, request=request, state=State.SENDING, submitted_at=now)


def sending_again(entry: Entry, *, now: float) -> Entry:
    """Return the entry of a job that is submitted once more.

    What is known of the attempt before is cleared: `earlier_attempt` keeps that.
    """
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
        took=None,
    )


def attempt_key(key: str, attempt: int) -> str:
    """Return the key of an attempt that is kept as a job of its own."""
    return f"{key} (attempt {attempt})"


def earlier_attempt(entry: Entry, attempt: int | None = None) -> Entry:
    """Return an attempt that may have been paid, as a job of its own.

    It is kept under `attempt_key`, because another attempt takes the job's own key.
    """
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
        took=None,
    )


def accepted(entry: Entry, task_id: str) -> Entry:
    """Keep the provider's id: the job is paid for."""
    return _moved(entry, State.ACCEPTED, task_id=task_id, told=False, error="", evidence="")


def settled(entry: Entry, error: UdioError) -> Entry:
    """Keep why a submit brought no id.

    What a callback has said meanwhile counts more.
    """
    state = State.IN_DOUBT
    if error.charged == "no":
        unsent = isinstance(error, Unreachable | ClientClosed)
        state = State.NOT_SENT if unsent else State.REFUSED
    evidence = error.evidence if isinstance(error, SubmitInDoubt) else str(error)
    return healed(_moved(entry, state, evidence=evidence, error=type(error).__name__))


def doubted(entry: Entry, evidence: str) -> Entry:
    """Keep that its owner died or was closed while it was on the wire."""
    return _moved(entry, State.IN_DOUBT, evidence=evidence)


def with_evidence(entry: Entry, evidence: str) -> Entry:
    """Keep what else was seen about a doubt."""
    return attrs.evolve(entry, evidence=evidence)


# Callbacks -----------------------------------------------------------------------------------


def heard(entry: Entry, news: CallbackNews) -> Entry:
    """Keep what a callback says of a job that has no id yet.

    It never moves backwards. Where its owner has given the id and the callback names another, the
    provider's word counts.
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
    wanted = [song.id for song in entry.songs if song.audio_is_final and song.error is None]
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
    """Keep how its owner ends a doubt, or corrects an end that he gave.

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
        took=None,
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
