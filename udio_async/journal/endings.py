"""The ends of jobs, written in the background."""

from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from .._errors import JournalError, UdioError
from . import jobs
from .base import Journal
from .entry import Entry, State


class Endings:
    """Writes how jobs ended, and lets those wait who want to change them afterwards.

    Args:
        journal: where they are kept.
        tasks: the tasks of the client, in which they are written.
        changing: is held by whoever reads a job, changes it and writes it back.
        broken: is told of an end that could not be kept.
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

    def write(self, ended: Entry) -> None:
        """Write the end of a job from now on."""
        written = self._writing[ended.key] = anyio.Event()
        self._tasks.start_soon(self._write, ended, written)

    async def written(self, key: str) -> None:
        """Wait until the end of a job has been written, if it is being written."""
        while (written := self._writing.get(key)) is not None:
            await written.wait()

    async def _write(self, ended: Entry, written: anyio.Event) -> None:
        try:
            if ended.told:
                await self._put_told(ended)
            else:
                await self._journal.put(ended, expected=State.ACCEPTED)
        except JournalError as error:
            if not await self._is_known(ended):
                self._broken(error, ended)
        finally:
            if self._writing.get(ended.key) is written:  # another wait may have ended it, too
                del self._writing[ended.key]
            written.set()

    async def _put_told(self, ended: Entry) -> None:
        """Write the end of a job whose task its owner named, unless callbacks know better."""
        async with self._changing:
            known = await self._journal.get(ended.key)
            if known is not None:
                ended = jobs.with_callbacks(ended, known)
            if ended != known:
                await self._journal.put(ended, expected=State.ACCEPTED)

    async def _is_known(self, ended: Entry) -> bool:
        """Return whether another wait has kept the end of the same job: the first one counts."""
        try:
            known = await self._journal.get(ended.key)
        except UdioError:
            return False
        if known is None:
            return not self._journal.durable
        return known.state is not State.ACCEPTED
