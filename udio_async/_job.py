"""One song in the making, as its owner sees it."""

from collections.abc import AsyncIterator, Callable
from typing import Self

import attrs

from ._records import Outcome, Song, SongRequest, Stage, Task
from ._watch import Watch


@attrs.frozen(eq=False)
class Job:
    """A song that the provider has accepted and is making."""

    request: SongRequest
    _watch: Watch = attrs.field(repr=False)

    @property
    def task_id(self) -> str:
        """The provider's id of the task: it finds the songs again, whatever happens here."""
        return self._watch.task_id

    @property
    def task(self) -> Task:
        """What was last seen of it."""
        return self._watch.task

    def updates(self) -> AsyncIterator[Task]:
        """Iterate over the steps forward: text ready, first audio, complete or failed.

        Each stage comes once; stages that passed between two looks are skipped. The iteration
        ends with the job, with a failed one too: `songs` raises its error.
        """
        self._watch.followed = True
        return _Updates(self._watch)

    async def songs(self) -> tuple[Song, ...]:
        """Wait until the job is done and return its songs; call it as often as you like.

        Raises:
            GenerationFailed: accepted, then failed as a whole.
            WaitExpired: still running after the deadline, or when the client was closed.
            AccountError: the key stopped working while it was being made.
        """
        while not self._watch.over:
            await self._watch.changed()
        if self._watch.error is not None:
            raise self._watch.error
        return _titled(self._watch.task, self.request.title)


def _titled(task: Task, title: str | None) -> tuple[Song, ...]:
    """The songs so far, with the title asked for where the provider knows no titles."""
    return tuple(attrs.evolve(song, title=song.title or title) for song in task.songs)


def on_outcome(
    job: Job, index: int, request: SongRequest | str, then: Callable[[Outcome], None]
) -> None:
    """Call `then` with the job's outcome once it is over."""
    job._watch.on_done(_HandOver(job._watch, index, request, then))  # noqa: SLF001  # its own room


@attrs.frozen(eq=False)
class _HandOver:
    """One small object: the garbage collector visits all of them, and 10,000 may wait."""

    _watch: Watch
    _index: int
    _request: SongRequest | str
    _then: Callable[[Outcome], None]

    def __call__(self) -> None:
        title = None if isinstance(self._request, str) else self._request.title
        self._then(
            Outcome(
                index=self._index,
                request=self._request,
                task_id=self._watch.task_id,
                songs=_titled(self._watch.task, title),
                error=self._watch.error,
            )
        )


@attrs.define(eq=False)
class _Updates:
    """A class, not a generator: leaving it early leaves nothing behind to close."""

    _watch: Watch
    _shown: Stage = Stage.QUEUED

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Task:
        while not self._shown.is_before(self._watch.task.stage):
            if self._watch.over:
                raise StopAsyncIteration
            await self._watch.changed()
        self._shown = self._watch.task.stage
        return self._watch.task
