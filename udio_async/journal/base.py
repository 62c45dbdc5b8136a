"""The protocol of a journal: entries by key, each change durable.

A journal of yours implements `Journal` and passes `udio_async.testing.JournalContract`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from .entry import Entry, State

Confirm = Callable[[], Awaitable[bool]]
"""Finds out whether two keys belong to the same account."""


@runtime_checkable
class Journal(Protocol):
    """Remembers entries by their key.

    A method that returns has made its change durable, as far as the implementation promises to be.
    A change that was begun is made, even if its caller is cancelled. After a `JournalError` from a
    change that could not be kept, every further change raises one too, until the journal is opened
    anew. A change that was refused because of its value, or because it expects another state, stops
    nothing else.

    An error of another kind, such as one of a driver, counts as a `JournalError` once it is open.

    Methods may be called at the same time: of many changes from the same state, only one is made.
    """

    @property
    def durable(self) -> bool:
        """Whether it outlives the client, so that a batch can be continued."""
        ...

    def open(
        self, account: str, *, confirm: Confirm | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Open it for one account, until the context is left.

        What was `sending` when its owner died is `in_doubt` afterwards.

        Args:
            account: the provider's name, a space, and a fingerprint that does not reveal the key.
            confirm: called if the journal was made with another key; the journal can be read
                meanwhile. If it returns true, the journal belongs to the new key from now on.

        Raises:
            AnotherAccount: it belongs to another account. Nothing was changed.
            JournalError: another process holds it, it was written by a newer version, or it is
                damaged.
        """
        ...

    async def add(self, entry: Entry) -> Entry | None:
        """Keep a new entry, and return None.

        Where its key is known already, nothing changes and the known entry is returned: so of many
        callers that add the same key, exactly one gets None and may submit.

        Raises:
            JournalError: it cannot be kept.
        """
        ...

    async def put(self, entry: Entry, *, expected: State) -> None:
        """Replace the entry of this key, if it is in the expected state.

        Raises:
            JournalError: it is in another state, and nothing was changed; or it cannot be kept.
        """
        ...

    async def get(self, key: str) -> Entry | None:
        """Return the entry of this key, or None.

        Raises:
            InvalidRequest: it was known, and is not kept any more.
        """
        ...

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Entry]:
        """Return the entries of those of these keys that are known, by key.

        Nothing is raised for a key that is not kept any more.
        """
        ...

    async def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that this task belongs to, or None.

        An entry in doubt that only a callback has connected with the task does not count.
        """
        ...

    def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the entries in these states, oldest first.

        The oldest is the one that was added first, whatever was changed since. Not all of them are
        in memory at once, so what changes meanwhile may come as it was or as it is.

        Args:
            states: which to return; empty means none.
            newest: only the newest so many, in the same order.
        """
        ...

    async def count(self) -> Mapping[State, int]:
        """Return how many entries there are in each state.

        States without entries may be missing.
        """
        ...

    async def note(self, name: str, value: str) -> None:
        """Keep a fact about the account, over an earlier one of that name.

        Raises:
            JournalError: it cannot be kept.
        """
        ...

    async def noted(self, name: str) -> str | None:
        """Return the fact of that name, or None."""
        ...
