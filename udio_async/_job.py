"""One accepted request, as its owner sees it: `Job`.

The task behind it is followed by the poller, whether or not a `Job` is there to see it.
"""

from collections.abc import AsyncIterator, Callable
from typing import Self

import attrs

from ._concurrency import Home
from ._polling import TrackedTask
from ._records import Outcome, Song, SongRequest, Stage, Task

Received = Callable[[TrackedTask], None]
"""Is called when the songs of a task were handed to somebody."""


@attrs.frozen(eq=False, repr=False)
class Job:
    """A request that the provider has accepted and is working on.

    It goes on whether somebody waits for it or not, and cannot be cancelled: it is paid for. There
    is nothing to close. Any number of tasks of the client's event loop may wait for it.

        job = await client.submit("a song about rain")
        async for task in job.updates():
            print(task.stage)
        songs = await job.songs()
    """

    request: SongRequest
    _tracked: TrackedTask
    _received: Received
    _home: Home = attrs.field(factory=Home, init=False)

    def __repr__(self) -> str:
        return f"<Job {self.key!r}: task {self.task_id}, {self.task.stage.value}>"

    @property
    def key(self) -> str:
        """The job's name in the journal; with it the job is found again."""
        return self._tracked.key or ""

    @property
    def task_id(self) -> str:
        """The provider's id of the task.

        It finds the songs again, whatever happens here: write it down if you keep no journal.
        """
        return self._tracked.task_id

    @property
    def task(self) -> Task:
        """What the last look showed of it. Nothing is sent."""
        return self._tracked.task

    @property
    def is_over(self) -> bool:
        """Whether it has its songs, has failed, or is not waited for any more."""
        return self._tracked.over

    def updates(self) -> AsyncIterator[Task]:
        """Iterate over the steps forward: text ready, first audio, the end.

        Each stage comes once; stages that passed between two looks are skipped. The iteration ends
        with the job, with a failed one too: `songs` raises its error. Leaving it early leaves
        nothing to close.
        """
        self._home.check("this job")
        self._tracked.follow()
        return _Updates(self._tracked, self._received)

    async def songs(self) -> tuple[Song, ...]:
        """Wait until the job is done and return its songs.

        Call it as often as you like: it sends nothing and pays nothing. A caller that is cancelled
        takes nothing away from others that wait.

        Raises:
            GenerationFailed: accepted, then failed as a whole.
            WaitExpired: still being made after the deadline, or when the client was closed.
            AccountError: the key stopped working while it was being made.
            RuntimeError: called from another event loop than the client's.
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
    """Return the songs as their owner gets them.

    They know their job, and have the title asked for where the provider has no titles.
    """
    return tuple(
        attrs.evolve(song, title=song.title or title, job_key=tracked.key)
        for song in tracked.task.songs
    )


@attrs.frozen(eq=False)
class Handover:
    """Calls `then` with itself once a job is over.

    It is one small object, because the garbage collector visits all of them, and 10,000 may wait.
    """

    tracked: TrackedTask
    index: int
    request: SongRequest
    then: Callable[["Handover"], None]

    @classmethod
    def of(
        cls, job: Job, index: int, request: SongRequest, then: Callable[["Handover"], None]
    ) -> Self:
        """Return a handover for this job; it waits once `wait` is called."""
        return cls(job._tracked, index, request, then)  # noqa: SLF001  # its own room

    def wait(self) -> None:
        """Call `then` when the job is over, at once if it is already."""
        self.tracked.on_end(self)

    def __call__(self) -> None:
        """Tell `then` that the job is over."""
        self.then(self)

    def cancel(self) -> None:
        """Wait for it no more."""
        self.tracked.no_more(self)

    @property
    def comes_late(self) -> bool:
        """Whether its songs could not be saved before: then others go first."""
        return self.tracked.entry is not None and bool(self.tracked.entry.undelivered)

    def outcome(self) -> Outcome:
        """Return how the job ended."""
        return Outcome(
            index=self.index,
            request=self.request,
            job_key=self.tracked.key,
            task_id=self.tracked.task_id,
            songs=_handed_out(self.tracked, self.request.title),
            error=self.tracked.error,
        )


@attrs.define(eq=False)
class _Updates:
    """The steps of one job.

    A class and not a generator: leaving it early leaves nothing behind to close.
    """

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
