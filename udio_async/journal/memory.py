"""A journal in memory, which forgets with its client.

It is the default, for programs that write nothing to disk. The class says what it keeps of a job,
and for how long.
"""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from .._errors import InvalidRequest, JournalError
from .base import Confirm
from .entry import Entry, State
from .keys import is_fresh

MAX_ENDED = 10_000
"""Jobs with a name from their owner that are kept after their end."""


class MemoryJournal:
    """Remembers jobs as long as the client is open.

    It keeps all jobs that are unfinished or not delivered yet, and of the others the latest
    `MAX_ENDED` that have a name from their owner. So its size follows the number of songs in the
    making.

    A job without a name is forgotten at its end, because nobody can ask for it again. The exception
    is a job whose doubt its owner has ended: they may submit it again, or correct their answer. A
    named job never becomes a new request: once it is forgotten, its key is refused.

        Client(provider, journal=MemoryJournal())  # as without `journal`

    Give each client one of its own. There is nothing to close.
    """

    durable = False

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._over: dict[str, None] = {}
        """The keys of named jobs that are over, oldest first."""
        self._spent: set[str] = set()
        self._notes: dict[str, str] = {}
        self._is_open = False

    @asynccontextmanager
    async def open(
        self,
        account: str,  # noqa: ARG002  # it has only one
        *,
        confirm: Confirm | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[None]:
        """Start empty, and forget all when the client closes.

        Raises:
            JournalError: another client has it open.
        """
        if self._is_open:
            raise JournalError("this MemoryJournal is another client's; give each client its own")
        self._is_open = True
        for kept in (self._entries, self._over, self._spent, self._notes):
            kept.clear()
        try:
            yield
        finally:
            self._is_open = False

    async def add(self, entry: Entry) -> Entry | None:
        """Keep a new entry, unless its key is known."""
        known = await self.get(entry.key)
        if known is None:
            self._entries[entry.key] = entry
        return known

    async def put(self, entry: Entry, *, expected: State) -> None:
        """Replace an entry, and forget it if nothing more can happen to the job.

        Raises:
            JournalError: it is unknown or in another state; nothing was changed.
        """
        known = self._entries.get(entry.key)
        if known is None or known.state is not expected:
            raise JournalError(
                f"job {entry.key} is {known.state if known else 'unknown'}, not {expected}",
                job_key=entry.key,
                task_id=entry.task_id,
            )
        self._entries[entry.key] = entry
        self._over.pop(entry.key, None)
        if not _is_over(entry.state):
            return
        if is_fresh(entry.key) and not entry.told:
            del self._entries[entry.key]
            return
        self._over[entry.key] = None
        if len(self._over) > MAX_ENDED:
            oldest = next(iter(self._over))
            del self._over[oldest]
            if not self._entries.pop(oldest).state.may_be_sent:
                self._spent.add(oldest)

    async def get(self, key: str) -> Entry | None:
        """Return an entry that is kept, or None.

        Raises:
            InvalidRequest: the job is over and was forgotten; use another key.
        """
        if key in self._spent:
            raise InvalidRequest(
                f"job {key!r} is over, and a MemoryJournal keeps only the last {MAX_ENDED}; give "
                "the client a file as its journal, or use another key",
                job_key=key,
                charged="unknown",
            )
        return self._entries.get(key)

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Entry]:
        """Return the entries of those of these keys that are known, by key."""
        return {key: self._entries[key] for key in keys if key in self._entries}

    async def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that this task belongs to, or None."""
        for entry in self._entries.values():
            if entry.task_id == task_id and entry.state.is_paid:
                return entry
        return None

    async def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the entries in these states, oldest first."""
        found = [key for key, entry in self._entries.items() if entry.state in states]
        for key in found if newest is None else found[max(0, len(found) - newest) :]:
            entry = self._entries.get(key)
            if entry is not None:
                yield entry

    async def count(self) -> Mapping[State, int]:
        """Return how many entries there are in each state."""
        return Counter(entry.state for entry in self._entries.values())

    async def note(self, name: str, value: str) -> None:
        """Keep a fact about the account."""
        self._notes[name] = value

    async def noted(self, name: str) -> str | None:
        """Return the fact of that name, or None."""
        return self._notes.get(name)


def _is_over(state: State) -> bool:
    """Return whether a job in this state is over for a journal in memory."""
    return state not in (
        State.PLANNED,
        State.SENDING,
        State.ACCEPTED,
        State.IN_DOUBT,
        State.READY,
    )
