"""Requests that are kept for later, and requests that their owner takes back."""

from collections.abc import Iterable

import anyio

from .._errors import ClientClosed, UdioError
from .._records import SongRequest
from . import jobs
from .attempts import Attempts
from .base import Journal
from .entry import Entry, State
from .errors import about
from .keys import BatchKeys, canonical


class Kept:
    """Puts jobs aside, for `resume` or for nobody.

    `changing` is the lock that is held while a job is read, changed and written back.
    """

    def __init__(
        self, journal: Journal, attempts: Attempts, changing: anyio.Lock, *, provider: str
    ) -> None:
        self._journal = journal
        self._attempts = attempts
        self._changing = changing
        self._provider = provider
        self._taken_back: dict[str, int] = {}
        """The moments at which requests were taken back, by key."""
        self._now = 0

    @property
    def now(self) -> int:
        """This moment, counted in requests that were taken back so far."""
        return self._now

    async def keep(self, requests: Iterable[SongRequest]) -> None:
        """Keep requests for later, under the keys that a batch of them would give them.

        One that was taken back is kept again; any other that the journal knows stays as it is.
        """
        keys = BatchKeys()
        for request in requests:
            new = jobs.planned(keys.name(request), self._provider, canonical(request))
            async with self._changing:
                known = await self._journal.add(new)
                if known is not None and known.state is State.FORGOTTEN:
                    await self._plan_again(known)

    async def submit_ended(self, entry: Entry, error: UdioError) -> None:
        """Keep that the submit of a job ended in an error; it was kept for later before.

        If it was taken back, it is kept for later again. If its owner was told anything else, the
        job is left to them, as any other that was not taken.
        """
        if isinstance(error, ClientClosed):
            if entry.state in (State.REFUSED, State.NOT_SENT):  # for a moment, while it was tried
                await self._plan_again(entry)
        elif entry.state is State.PLANNED:
            await self._journal.put(jobs.unsent(entry, error), expected=entry.state)

    async def _plan_again(self, entry: Entry) -> None:
        """Keep a job for later again; an attempt that may have been paid gets a job of its own."""
        if entry.may_have_been_taken:
            await self._attempts.keep(jobs.earlier_attempt(entry))
        await self._journal.put(jobs.planned_again(entry), expected=entry.state)

    async def forget(self, entry: Entry) -> None:
        """Keep that its owner takes a request back; its errors are those of `Client.forget`."""
        forgotten = jobs.forgotten(entry)
        self._now += 1  # before it is written: a submit may read what is written at any moment
        self._taken_back[entry.key] = self._now
        with about(entry.key, entry):
            await self._journal.put(forgotten, expected=entry.state)

    def is_taken_back(self, entry: Entry, *, since: int) -> bool:
        """Return whether its owner has taken a job back after that moment."""
        return entry.state is State.FORGOTTEN and self._taken_back.get(entry.key, 0) > since
