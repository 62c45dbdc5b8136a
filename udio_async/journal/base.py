"""What a journal is: entries that only move forward, each change durable before it counts."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol, runtime_checkable

from .jobs import Entry, State

Confirm = Callable[[], Awaitable[bool]]
"""Finds out whether another key is one of the same account."""


@runtime_checkable
class Journal(Protocol):
    """Remembers entries by their key.

    A method that returns has made its change durable, as far as the implementation promises to
    be. All raise `JournalError` when they cannot, and from then on for every change.
    """

    @property
    def durable(self) -> bool:
        """Whether it outlives the client, so that a batch can be continued."""
        ...

    def open(
        self, account: str, *, confirm: Confirm | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Open it for one account: its provider's name, a blank, and a fingerprint of the key.

        What was `sending` when its owner died is `in_doubt` afterwards. A journal that was made
        with another key is this account's from now on if `confirm`, called while it can be read,
        says that the account is the same.

        Raises:
            AnotherAccount: it is another account's.
            JournalError: another process holds it, it was written by a newer version, or it is
                damaged.
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
        """Return the entry of this key.

        Raises:
            InvalidRequest: it was known, and is not kept any more.
        """
        ...

    async def of_task(self, task_id: str) -> Entry | None:
        """Return the entry that has this task as its own: not one that is in doubt about it."""
        ...

    def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncIterator[Entry]:
        """Iterate over the entries in these states, oldest first; only over the newest so many.

        Not all of them are held at once. What changes meanwhile may come as it was or as it is.
        """
        ...

    async def count(self) -> Mapping[State, int]:
        """Return how many entries there are in each state."""
        ...

    async def note(self, name: str, value: str) -> None:
        """Keep a fact about the account, over an earlier one of that name."""
        ...

    async def noted(self, name: str) -> str | None:
        """Return the fact of that name."""
        ...
