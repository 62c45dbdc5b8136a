"""Which attempt of a job is meant, and which attempt a task belongs to."""

import logging

import attrs

from .._errors import InvalidRequest
from . import jobs
from .base import Journal
from .entry import Entry

logger = logging.getLogger("udio_async")


@attrs.frozen
class Attempts:
    """Finds attempts in a journal."""

    _journal: Journal

    async def of(self, key: str, attempt: int | None) -> Entry | None:
        """Return the entry of an attempt; an earlier attempt has an entry of its own."""
        entry = await self._journal.get(key)
        if entry is None and attempt is not None:  # forgotten since
            return await self._forgotten(key, attempt)
        if entry is None or attempt in (None, entry.attempt):
            return entry
        return await self.keep(jobs.earlier_attempt(entry, attempt))

    async def keep(self, earlier: Entry) -> Entry:
        """Keep an earlier attempt as a job of its own, once; return it as it is now.

        Another job may have its key already, given by its owner: then the attempt gets another key.
        """
        while (known := await self._journal.add(earlier)) is not None:
            if known.attempt_of == earlier.attempt_of:
                return known
            another = jobs.attempt_key(earlier.key, earlier.attempt)
            earlier = attrs.evolve(earlier, key=another)
        return earlier

    async def _forgotten(self, key: str, attempt: int) -> Entry | None:
        """Return an attempt of a job that is not kept any more, or None."""
        name = jobs.attempt_key(key, attempt)
        while (known := await self._journal.get(name)) is not None:
            if known.attempt_of == key:
                return known
            name = jobs.attempt_key(name, attempt)
        return None

    async def without_others_task(self, entry: Entry) -> Entry:
        """Take back a task id that belongs to another job."""
        if entry.task_id is None or not await self._others_task(entry, entry.task_id):
            return entry
        return jobs.without_task(entry)

    async def is_others(self, entry: Entry, task_id: str) -> bool:
        """Return whether a task belongs to another job.

        If only the owner has said so, of another attempt of the same request, the provider's word
        counts more: that attempt is in doubt again, and the task is not another job's.
        """
        other = await self._journal.of_task(task_id)
        if other is None or not other.told or not jobs.are_attempts_of_one(entry, other):
            return await self._others_task(entry, task_id)
        if other.key != entry.key:
            await self._journal.put(jobs.misnamed(other, entry), expected=other.state)
        return False

    async def _others_task(self, entry: Entry, task_id: str) -> bool:
        """Return whether this task belongs to another job."""
        owner = await self._journal.of_task(task_id)
        if owner is None or owner.key == entry.key:
            return False
        logger.warning("a callback for job %s names the task of job %s", entry.key, owner.key)
        return True

    async def check_free(self, task_id: str, entry: Entry) -> None:
        """Refuse a task that is another job's already.

        Raises:
            InvalidRequest: it is.
        """
        owner = await self._journal.of_task(task_id)
        if owner is not None and owner.key != entry.key:
            raise InvalidRequest(
                f"task {task_id!r} is that of job {owner.key!r} already; give the other id",
                job_key=entry.key,
                charged=jobs.charged(entry),
            )


def listens(entry: Entry) -> bool:
    """Return whether a callback may still change a job.

    It may not where the provider itself named the task: then looks do.
    """
    without_task = entry.task_id is None and entry.state.has_songs
    return jobs.keeps_callbacks(entry) or without_task or not entry.state.is_paid
