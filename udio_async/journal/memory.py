"""A journal that forgets with its client: the default, when nothing is to be written to disk."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager

from .._errors import JournalError
from .base import Entry, State

_UNFINISHED = frozenset({State.SENDING, State.ACCEPTED, State.IN_DOUBT})


class MemoryJournal:
    """Keeps only what is unfinished, so that its size is that of the songs in flight."""

    durable = False

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._notes: dict[str, str] = {}
        self._is_open = False

    @asynccontextmanager
    async def open(self, account: str) -> AsyncGenerator[None]:  # noqa: ARG002  # it has only one
        """Start empty."""
        if self._is_open:
            raise JournalError("this MemoryJournal is another client's; give each client its own")
        self._is_open = True
        self._entries.clear()
        self._notes.clear()
        try:
            yield
        finally:
            self._is_open = False

    async def add(self, entry: Entry) -> Entry | None:
        """Keep a new entry, unless its key is known."""
        known = self._entries.get(entry.key)
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
        if entry.state in _UNFINISHED:
            self._entries[entry.key] = entry
        else:
            del self._entries[entry.key]

    async def get(self, key: str) -> Entry | None:
        """Return an unfinished entry."""
        return self._entries.get(key)

    async def entries(
        self, states: Collection[State], *, last: int | None = None
    ) -> Sequence[Entry]:
        """Return the unfinished entries in these states."""
        found = [entry for entry in self._entries.values() if entry.state in states]
        return found if last is None else found[-last:]

    async def note(self, name: str, value: str) -> None:
        """Keep a fact about the account."""
        self._notes[name] = value

    async def noted(self, name: str) -> str | None:
        """Return the fact of that name."""
        return self._notes.get(name)
