"""One song in the making, as its owner sees it."""

from collections.abc import AsyncIterator, Callable
from typing import Self

import attrs

from ._concurrency import Home
from ._polling import TrackedTask
from ._records import Outcome, Song, SongRequest, Stage, Task

Received = Callable[[TrackedTask], None]
"""Told when the songs of a task have been handed to somebody."""


@attrs.frozen(eq=False)
class Job:
    """A song that the provider has accepted and is making.

    It goes on being made whether somebody waits for it or not.

        job = await client.submit("a song about rain")
        async for task in job.updates():
            print(task.stage)
        songs = await job.songs()
    """

    request: SongRequest
    _tracked: TrackedTask = attrs.field(repr=False)
    _received: Received = attrs.field(repr=False)
    _home: Home = attrs.field(factory=Home, init=False, repr=False)

    @property
    def key(self) -> str:
        """The job's name in the journal: with it, it is asked for again and resolved."""
        return self._tracked.key or ""

    @property
    def task_id(self) -> str:
        """The provider's id of the task: it finds the songs again, whatever happens here."""
        return self._tracked.task_id

    @property
    def task(self) -> Task:
        """What was last seen of it."""
        return self._tracked.task

    def updates(self) -> AsyncIterator[Task]:
        """Iterate over the steps forward: text ready, first audio, complete or failed.

        Each stage comes once; stages that passed between two looks are skipped. The iteration
        ends with the job, with a failed one too: `songs` raises its error.
        """
        self._home.check("this job")
        self._tracked.follow()
        return _Updates(self._tracked, self._received)

    async def songs(self) -> tuple[Song, ...]:
        """Wait until the job is done and return its songs; call it as often as you like.

        Raises:
            GenerationFailed: accepted, then failed as a whole.
            WaitExpired: still running after the deadline, or when the client was closed.
            AccountError: the key stopped working while it was being made.
        """
        self._home.check("this job")
        with self._tracked.awaited():
            while not self._tracked.over:
                await self._tracked.changed()
        self._received(self._tracked)
        if self._tracked.error is not None:
            raise self._tracked.error
        return _handed_out(self._tracked, self.request.title)


def _handed_out(tracked: TrackedTask, title: str | None) -> tuple[Song, ...]:
    """The songs, with their job, and the title asked for where the provider knows no titles."""
    return tuple(
        attrs.evolve(song, title=song.title or title, job_key=tracked.key)
        for song in tracked.task.songs
    )


@attrs.frozen(eq=False)
class Handover:
    """Calls `then` with itself once a job is over.

    One small object: the garbage collector visits all of them, and 10,000 may wait.
    """

    tracked: TrackedTask
    index: int
    request: SongRequest | str
    then: Callable[["Handover"], None]

    @classmethod
    def of(
        cls, job: Job, index: int, request: SongRequest | str, then: Callable[["Handover"], None]
    ) -> Self:
        """Return what waits for this job, once it is told to."""
        return cls(job._tracked, index, request, then)  # noqa: SLF001  # its own room

    def wait(self) -> None:
        """Call `then` when the job is over, at once if it is already."""
        self.tracked.on_end(self)

    def __call__(self) -> None:
        """Take in that the job is over."""
        self.then(self)

    def cancel(self) -> None:
        """Wait for it no more."""
        self.tracked.no_more(self)

    @property
    def comes_late(self) -> bool:
        """Whether its songs could not be saved before: those of others go first."""
        return self.tracked.entry is not None and bool(self.tracked.entry.undelivered)

    def outcome(self) -> Outcome:
        """Return how the job ended."""
        title = None if isinstance(self.request, str) else self.request.title
        return Outcome(
            index=self.index,
            request=self.request,
            job_key=self.tracked.key,
            task_id=self.tracked.task_id,
            songs=_handed_out(self.tracked, title),
            error=self.tracked.error,
        )


@attrs.define(eq=False)
class _Updates:
    """A class, not a generator: leaving it early leaves nothing behind to close."""

    _tracked: TrackedTask
    _received: Received
    _shown: Stage = Stage.QUEUED

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Task:
        with self._tracked.awaited():
            while not self._shown.is_before(self._tracked.task.stage):
                if self._tracked.over:
                    raise StopAsyncIteration
                await self._tracked.changed()
        self._shown = self._tracked.task.stage
        if self._tracked.over:
            self._received(self._tracked)
        return self._tracked.task
