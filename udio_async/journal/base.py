"""What a journal is: entries that only move forward, each change durable before it counts."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import attrs

from .._records import Song


class State(StrEnum):
    """How far a job has come, as far as is known for certain.

    sending ─┬─ accepted ─┬─ ready ── done
             │            └─ failed
             ├─ in_doubt ─── accepted | sending | abandoned
             ├─ refused ──── sending
             └─ not_sent ─── sending
    """

    SENDING = "sending"
    """The intent is kept; the request may be on the wire, or may have been when we died."""
    ACCEPTED = "accepted"
    """The provider's id is kept: the song is paid for, and is being made."""
    REFUSED = "refused"
    """The provider took nothing."""
    NOT_SENT = "not_sent"
    """It is proved that nothing left."""
    IN_DOUBT = "in_doubt"
    """It may have been taken. Only its owner ends this."""
    READY = "ready"
    """The songs' links are kept."""
    FAILED = "failed"
    """Accepted, and then not made."""
    ABANDONED = "abandoned"
    """A doubt that its owner has let go."""


@attrs.frozen(kw_only=True)
class Entry:
    """One job: what was asked for, and what is known of it."""

    key: str
    provider: str
    request: Mapping[str, Any]
    """The request in its canonical form, as JSON."""
    state: State
    attempt: int = 1
    task_id: str | None = None
    songs: tuple[Song, ...] = ()
    evidence: str = ""
    """What was seen when it came into doubt or was refused."""
    error: str = ""
    """The class of the error that ended it, if one did."""
    submitted_at: float = 0.0
    """Unix time of the latest attempt."""
    took: float | None = None
    """Seconds from accepted to ready."""


@runtime_checkable
class Journal(Protocol):
    """Remembers entries by their key.

    A method that returns has made its change durable, as far as the implementation promises to
    be. All raise `JournalError` when they cannot, and from then on for every change.
    """

    @property
    def durable(self) -> bool:
        """Answer whether it outlives the client, so that a batch can be continued."""
        ...

    def open(self, account: str) -> AbstractAsyncContextManager[None]:
        """Open it for one account, named by a fingerprint that tells nothing of the key.

        What was `sending` when its owner died is `in_doubt` afterwards.

        Raises:
            JournalError: another process holds it, it is another account's, it was written by a
                newer version, or it is damaged.
        """
        ...

    async def add(self, entry: Entry) -> Entry | None:
        """Keep a new entry; where its key is known already, change nothing and return that one."""
        ...

    async def put(self, entry: Entry, *, expected: State) -> None:
        """Replace the entry of this key, if it is in the expected state.

        Raises:
            JournalError: it is in another state.
        """
        ...

    async def get(self, key: str) -> Entry | None:
        """Return the entry of this key."""
        ...

    async def entries(
        self, states: Collection[State], *, last: int | None = None
    ) -> Sequence[Entry]:
        """Return the entries in these states, oldest first; only the newest `last` of them."""
        ...

    async def note(self, name: str, value: str) -> None:
        """Keep a fact about the account, over an earlier one of that name."""
        ...

    async def noted(self, name: str) -> str | None:
        """Return the fact of that name."""
        ...
