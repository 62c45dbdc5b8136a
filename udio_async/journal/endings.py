"""The ends of jobs, written in the background."""

from collections.abc import Callable
from functools import partial

import anyio
from anyio.abc import TaskGroup

from .._errors import JournalError, UdioError
from . import jobs
from .base import Journal
from .entry import Entry, State


class Endings:
    """Writes how jobs ended; whoever wants to change such a job afterwards can wait for that.

    Args:
        journal: where they are kept.
        tasks: the tasks of the client, in which they are written.
        changing: the lock that is held while a job is read, changed and written back.
        broken: called with an end that could not be kept.
    """

    def __init__(
        self,
        journal: Journal,
        tasks: TaskGroup,
        changing: anyio.Lock,
        broken: Callable[[JournalError, Entry], None],
    ) -> None:
        self._journal = journal
        self._tasks = tasks
        self._changing = changing
        self._broken = broken
        self._writing: dict[str, anyio.Event] = {}

    def __contains__(self, key: str) -> bool:
        """Whether the end of a job is being written."""
        return key in self._writing

    def write(self, ended: Entry, *, uncertain: bool) -> None:
        """Begin to write the end of a job; callbacks count if its task is `uncertain`."""
        written = self._writing[ended.key] = anyio.Event()
        self._tasks.start_soon(partial(self._write, ended, written, uncertain=uncertain))

    async def written(self, key: str) -> None:
        """Wait until the end of a job has been written, if it is being written."""
        while (written := self._writing.get(key)) is not None:
            await written.wait()

    async def _write(self, ended: Entry, written: anyio.Event, *, uncertain: bool) -> None:
        try:
            if uncertain:
                await self._put_uncertain(ended)
            else:
                await self._journal.put(ended, expected=State.ACCEPTED)
        except JournalError as error:
            if not await self._is_known(ended):
                self._broken(error, ended)
        finally:
            if self._writing.get(ended.key) is written:  # another wait may have ended it, too
                del self._writing[ended.key]
            written.set()

    async def _put_uncertain(self, ended: Entry) -> None:
        """Write the end of a job whose task is not certain, with what callbacks have said."""
        async with self._changing:
            known = await self._journal.get(ended.key)
            if known is not None:
                ended = jobs.with_callbacks(ended, known)
            if ended != known:
                await self._journal.put(ended, expected=State.ACCEPTED)

    async def _is_known(self, ended: Entry) -> bool:
        """Return whether the end of this job was written before, by another wait for it."""
        try:
            known = await self._journal.get(ended.key)
        except UdioError:
            return False
        if known is None:
            return not self._journal.durable
        return known.state is not State.ACCEPTED
