"""What is remembered of a job, its possible states, and which state may follow which.

The drawing in `docs/jobs.md` is printed from the table `MOVES`.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import attrs

from .._records import Song


class State(StrEnum):
    """How far a job has come, as far as is certain.

    They are text, too: `JournalState.READY == "ready"`.

        async for entry in client.jobs([JournalState.IN_DOUBT, JournalState.FAILED]):
            print(entry.key, entry.state)
    """

    PLANNED = "planned"
    """It is kept for later: it was not submitted yet, or its submit was taken back."""
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
"""How the owner of a job may end its doubt."""
_SHOWN = (State.READY, State.IN_DOUBT)
"""What a callback may show of a job whose owner has named the wrong task."""

USUAL_MOVES: Mapping[State, frozenset[State]] = {
    state: frozenset(moves) - {state}
    for state, moves in {
        State.PLANNED: (State.SENDING, State.NOT_SENT, State.FORGOTTEN, *_HEARD),
        State.SENDING: (State.REFUSED, State.NOT_SENT, *_HEARD),
        State.ACCEPTED: (State.READY, State.FAILED),
        State.REFUSED: (State.SENDING, State.PLANNED, State.FORGOTTEN, *_HEARD),
        State.NOT_SENT: (State.SENDING, State.PLANNED, State.FORGOTTEN, *_HEARD),
        State.IN_DOUBT: (State.SENDING, *_HEARD, *_ANSWERS),
        State.READY: (State.DELIVERED,),
        State.DELIVERED: (),
        State.FAILED: (),
        State.ABANDONED: (State.ACCEPTED, State.READY, State.FAILED),
        State.FORGOTTEN: (State.SENDING, State.PLANNED, *_HEARD),
    }.items()
}
"""From each state to those that may follow. A change of an entry within its state is no move."""
CORRECTIONS: Mapping[State, frozenset[State]] = {
    state: frozenset((*_ANSWERS, *(_SHOWN if state.is_paid else ()))) - {state}
    for state in State
    if state not in (State.PLANNED, State.SENDING, State.REFUSED, State.IN_DOUBT)
}
"""Further moves of a job whose owner has ended a doubt: they give another answer, or a callback
shows that the task they named was not the one of this job. So even a job that is delivered may
come back."""
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
    """The key of the job that this is an earlier attempt of; such an attempt may have been paid."""
    task_id: str | None = None
    told: bool = False
    """Whether its owner gave the task's id, and may correct it."""
    songs: tuple[Song, ...] = ()
    saved: tuple[str, ...] = ()
    """The ids of the songs that its owner has; empty if they have all or none."""
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
    """For its text, its first audio and its end, as far as it came: two times in seconds from
    accepted. At the first it was not there yet, at the second it was."""
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


@attrs.frozen(kw_only=True)
class Times:
    """How long a job took, and its stages; `Entry` says what each of them is."""

    took: float | None
    reached: Sequence[tuple[float, float]] = ()
    failed: tuple[float, float] | None = None
