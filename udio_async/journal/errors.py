"""One kind of error from every journal.

A user's own journal may raise whatever its driver raises. The rest of the library catches only
`JournalError`: it adds the id of a paid song to it, and stops the submits.
"""

from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager

import attrs

from .._concurrency import closed_after, foreign_cancellation_as
from .._errors import JournalError, UdioError, restated
from .._records import Song
from . import jobs
from .base import Confirm, Journal
from .entry import Entry, State


@contextmanager
def _translated() -> Generator[None]:
    """Raise a `JournalError` in place of an error that is not from this library.

    Raises:
        JournalError: something else was raised, which is its cause.
    """
    try:
        with foreign_cancellation_as(JournalError):
            yield
    except UdioError:
        raise
    except Exception as error:
        raise JournalError(
            f"the journal failed: {type(error).__name__}: {error}; fix that, then open the client "
            "anew"
        ) from error


@contextmanager
def about(key: str, entry: Entry | None = None) -> Generator[None]:
    """Have an error of the journal say which job it is about, and what that may have cost.

    Raises:
        JournalError: the journal raised it.
    """
    try:
        yield
    except JournalError as error:
        raise restated(
            error,
            f"job {key}: {error}",
            job_key=key,
            task_id=None if entry is None else entry.task_id,
            charged="unknown" if entry is None else jobs.charged(entry),
        ) from error


@contextmanager
def about_song(song: Song) -> Generator[None]:
    """Have an error of the journal say of which task a song is, which is paid for.

    Raises:
        JournalError: the journal raised it.
    """
    try:
        yield
    except JournalError as error:
        raise restated(error, str(error), task_id=song.task_id, charged="yes") from error


@attrs.frozen(eq=False)
class TranslatedJournal:
    """A user's journal; while it is open, its methods raise only errors of this library."""

    _journal: Journal

    @property
    def durable(self) -> bool:
        return self._journal.durable

    def open(
        self, account: str, *, confirm: Confirm | None = None
    ) -> AbstractAsyncContextManager[None]:
        return self._journal.open(account, confirm=confirm)

    async def add(self, entry: Entry) -> Entry | None:
        with _translated():
            return await self._journal.add(entry)

    async def put(self, entry: Entry, *, expected: State) -> None:
        with _translated():
            await self._journal.put(entry, expected=expected)

    async def get(self, key: str) -> Entry | None:
        with _translated():
            return await self._journal.get(key)

    async def get_many(self, keys: Collection[str]) -> Mapping[str, Entry]:
        with _translated():
            return await self._journal.get_many(keys)

    async def of_task(self, task_id: str) -> Entry | None:
        with _translated():
            return await self._journal.of_task(task_id)

    async def entries(
        self, states: Collection[State], *, newest: int | None = None
    ) -> AsyncGenerator[Entry]:
        with _translated():
            async with closed_after(self._journal.entries(states, newest=newest)) as entries:
                async for entry in entries:
                    yield entry

    async def count(self) -> Mapping[State, int]:
        with _translated():
            return await self._journal.count()

    async def note(self, name: str, value: str) -> None:
        with _translated():
            await self._journal.note(name, value)

    async def noted(self, name: str) -> str | None:
        with _translated():
            return await self._journal.noted(name)
