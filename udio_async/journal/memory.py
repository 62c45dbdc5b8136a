"""A journal that forgets with its client: the default, when nothing is to be written to disk."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from .._errors import InvalidRequest, JournalError
from .base import Confirm
from .jobs import Entry, State
from .keys import is_fresh

MAX_ENDED = 10_000
"""Jobs with a name of their owner's that are kept after their end."""


class MemoryJournal:
    """Remembers jobs as long as the client is open.

    It keeps what is unfinished or not delivered yet, and the latest jobs that have a name.

    So its size is that of the songs in flight. A job without a name is forgotten at its end, as
    nobody can ask for it again; only one whose doubt its owner has ended is kept, as he may submit
    it again, or correct that. A named one never becomes a new request, even when its songs are
    forgotten.

        Client(provider, journal=MemoryJournal())  # as without `journal`
    """

    durable = False

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._over: dict[str, None] = {}
        """The named ones among them that are over, oldest first."""
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
        """Start empty."""
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
        """Replace an entry, and forget it once nothing can come of it any more."""
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
        """Return an entry that is kept."""
        if key in self._spent:
            raise InvalidRequest(
                f"job {key!r} is over, and a MemoryJournal keeps only the last {MAX_ENDED}; give "
                "the client a file as its journal, or use another key",
                job_key=key,
            )
        return self._entries.get(key)

    async def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that has this task as its own."""
        for entry in self._entries.values():
            if entry.task_id == task_id and entry.state.is_paid:
                return entry
        return None

    async def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the entries in these states that are kept."""
        found = [key for key, entry in self._entries.items() if entry.state in states]
        for key in found if newest is None else found[-newest:]:
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
        """Return the fact of that name."""
        return self._notes.get(name)


def _is_over(state: State) -> bool:
    """Whether a client that forgets has nothing more to do for such a job."""
    return state not in (
        State.PLANNED,
        State.SENDING,
        State.ACCEPTED,
        State.IN_DOUBT,
        State.READY,
    )
