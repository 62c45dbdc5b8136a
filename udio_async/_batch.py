"""Many requests at once, and their outcomes as they come.

The batch owns its submitters, the place of each request in the input, and the outcomes that nobody
has taken yet. Jobs and their tasks belong to the client.
"""

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from types import UnionType
from typing import Generic, Protocol, Self, TypeVar

import anyio
import attrs
from anyio import AsyncContextManagerMixin

from ._concurrency import Home, LastingTasks, foreign_cancellation_as
from ._errors import ClientClosed, InvalidRequest, UdioError
from ._job import Handover, Job
from ._polling import TrackedTask
from ._records import Outcome, SongRequest, as_request, shown
from ._validators import check_awaited, check_count

T = TypeVar("T")


_LONGEST_STRETCH = 64
"""Requests whose jobs are looked up in the journal at once."""


@attrs.frozen
class Asked:
    """One request of a batch: its place in the input from 0, and the key of its job."""

    index: int
    request: SongRequest
    key: str | None


class Jobs(Protocol):
    """The jobs of a batch: what a batch needs of its client."""

    def name(self, request: SongRequest) -> str | None:
        """Return the key of the batch's next job; None where the job gets one as it is sent."""
        ...

    async def recall(self, asked: Sequence[Asked]) -> Sequence[Job | None]:
        """Return the jobs that have their songs already, each at its place; None for others."""
        ...

    async def submit(self, asked: Asked, stopped_by: UdioError | None) -> Job | None:
        """Have a request accepted; return None for a job that this batch leaves alone.

        After `stopped_by` nothing is sent any more.
        """
        ...

    def received(self, tracked: TrackedTask) -> None:
        """Take in that somebody has the songs of a task."""
        ...

    def at_once(self) -> int:
        """Return for how many requests there is room if nobody has set a number."""
        ...


class Batch(AsyncContextManagerMixin):
    """Many requests in the making; iterate over their outcomes.

    Get one from `client.generate_many` or `client.resume`, and use it inside `async with`. Outcomes
    come as requests end, not in their order: `Outcome.index` is the place in the input. Each
    request gives one outcome; only a job of `resume` that somebody else waits for by now gives
    none.

        async with client.generate_many(["rain", "sun"]) as batch:
            async for outcome in batch:
                print(outcome.request.description, outcome.ok)

    It may be entered and left in any tasks of its client's event loop. Leaving it early stops the
    submits. Songs of requests that were accepted by then are still being made at the provider, and
    `client.resume()` hands them out.

    At most `max_active` requests are in the making, and no more are pulled while as many outcomes
    wait to be taken: a generator of any length will do.
    """

    def __init__(
        self,
        requests: Iterable[SongRequest | str] | AsyncIterable[SongRequest | str],
        jobs: Jobs,
        *,
        max_active: int | None,
        submitters: int,
    ) -> None:
        check_requests(requests, verb="generate_many")
        if max_active is not None:
            check_count("max_active", max_active)
        self._home = Home()
        self._jobs = jobs
        self._asked = deque[Asked]()
        """Requests that were pulled, and are to be submitted."""
        self._stretch = 1
        """How many requests to pull at once: more while all of them were made before."""
        # An async input may wait for the outcomes of what was pulled before.
        self._longest = 1 if isinstance(requests, AsyncIterable) else _LONGEST_STRETCH
        self._ahead = _LONGEST_STRETCH if isinstance(requests, (list, tuple)) else 1
        """How many requests to pull at once in any case, as far as there is room for them."""
        self._input = aiter(requests if isinstance(requests, AsyncIterable) else _Pulled(requests))
        self._pulling = anyio.Lock()
        self._max_active = max_active
        self._submitters = submitters
        self._submitting = 0
        self._next_index = 0
        self._active = 0
        self._finished = deque[Outcome | Handover]()
        self._late = deque[Handover]()
        """Jobs whose songs could not be saved before: they are handed out when nothing else is in
        the making."""
        self._waiting: set[Handover] = set()
        self._moved: anyio.Event | None = None
        """There while somebody waits."""
        self._stopped_by: UdioError | None = None
        self._entered = False
        self._awaits_input = False
        """Whether the input takes its time: it may be waiting for outcomes."""
        self._input_ended = False
        self._hand_in = self._job_ended  # bound once, not once for each song
        self._input_error: Exception | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        self._home.check("this batch")
        try:
            async with LastingTasks() as tasks:
                self._entered = True
                self._submitting = self._submitters
                for _ in range(self._submitters):
                    tasks.start_soon(self._submit_all)
                yield self
        finally:
            self._entered = False
            for handover in self._waiting:
                handover.cancel()
            if isinstance(self._input, (AsyncGenerator, _Pulled)):
                await self._input.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        self._home.check("this batch")
        if not self._entered:
            raise RuntimeError(
                "a batch runs inside `async with client.generate_many(...) as batch`"
            )
        while not self._finished:
            if self._late and not self._active and (self._awaits_input or not self._submitting):
                self._finished.append(self._late.popleft())
            elif self._submitting or self._active:
                await self._change()
            elif self._input_error is not None:
                error, self._input_error = self._input_error, None
                raise error
            else:
                raise StopAsyncIteration
        finished = self._finished.popleft()
        self._announce()
        if isinstance(finished, Outcome):
            return finished
        self._jobs.received(finished.tracked)
        return finished.outcome()

    async def _change(self) -> None:
        """Wait until something has moved."""
        if self._moved is None:
            self._moved = anyio.Event()
        await self._moved.wait()

    def _announce(self) -> None:
        """Wake all that wait for something to move."""
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    async def _submit_all(self) -> None:
        """Turn requests into accepted jobs, while there is room for them.

        A few of these run at once, one for each of `submitters`.
        """
        try:
            while (asked := await self._next()) is not None:
                await self._submit_one(asked)
        finally:
            self._submitting -= 1
            if not self._submitting:
                self._end_unsubmitted()
            self._announce()

    def _end_unsubmitted(self) -> None:
        """End what was pulled and has nobody to submit it any more: its consumer waits for it."""
        while self._asked:
            asked = self._asked.popleft()
            closed = ClientClosed("the batch has ended; this request was not sent")
            self._end(Outcome(index=asked.index, request=asked.request, error=closed))

    async def _next(self) -> Asked | None:
        """Take the next request once there is room for it and its outcome; None at the end.

        An error of the input is kept, and raised to the consumer after all outcomes.
        """
        async with self._pulling:
            while not self._asked and not self._input_ended:
                number = min(max(self._stretch, self._ahead), await self._room())
                pulled = await self._pull(number)
                is_one = number == 1 or not pulled
                self._take_up(pulled, [None] if is_one else await self._jobs.recall(pulled))
            return self._asked.popleft() if self._asked else None

    async def _room(self) -> int:
        """Wait until there is room for a request and its outcome; return for how many."""
        while True:
            # What was made before is not in the making, so a stretch of it may be longer.
            most = self._max_active or max(self._jobs.at_once(), self._stretch)
            room = most - max(self._active, len(self._finished))
            if room > 0:
                return room
            await self._change()

    async def _pull(self, number: int) -> Sequence[Asked]:
        """Pull so many requests, fewer where the input ends or fails."""
        pulled: list[Asked] = []
        try:
            while len(pulled) < number:
                given = await self._next_of_input()
                request = _request_at(self._next_index, given)
                pulled.append(Asked(self._next_index, request, self._jobs.name(request)))
                self._active += 1
                self._next_index += 1
        except StopAsyncIteration:
            self._input_ended = True
        except Exception as error:  # noqa: BLE001  # raised to the consumer, after the songs
            self._input_ended, self._input_error = True, error
        return pulled

    async def _next_of_input(self) -> SongRequest | str:
        self._awaits_input = True
        self._announce()
        try:
            with foreign_cancellation_as(InvalidRequest):
                return await anext(self._input)
        finally:
            self._awaits_input = False

    def _take_up(self, pulled: Sequence[Asked], made: Sequence[Job | None]) -> None:
        """End what was made before, and leave the rest to be submitted."""
        for asked, job in zip(pulled, made, strict=False):
            if job is None:
                self._asked.append(asked)
            else:
                self._end(self._handover(job, asked))
        if self._asked:
            self._stretch = 1
        elif pulled:
            self._stretch = min(2 * self._stretch, self._longest)

    def _handover(self, job: Job, asked: Asked) -> Handover:
        return Handover.of(job, asked.index, asked.request, self._hand_in)

    async def _submit_one(self, asked: Asked) -> None:
        """Submit one request; its end comes through `_end`, well or not."""
        try:
            # What was accepted in an earlier run is looked at, even where nothing more is sent.
            job = await self._jobs.submit(asked, self._stopped_by)
        except UdioError as error:
            if error.stops_batch:
                self._stopped_by = self._stopped_by or error
            index, request = asked.index, asked.request
            self._end(Outcome(index=index, request=request, job_key=error.job_key, error=error))
        except Exception as error:  # noqa: BLE001  # of an adapter; raised to the consumer, after the songs
            self._input_ended, self._input_error = True, error
            while self._asked:  # it would fail for these, too
                self._asked.popleft()
                self._end(None)
            self._end(None)
        except BaseException:  # cancelled: nobody will hear of it, and nobody shall wait for it
            self._end(None)
            raise
        else:
            if job is None:  # it is somebody else's by now, or over
                self._end(None)
            else:
                self._stretch = min(2, self._longest) if job.is_over else 1
                handover = self._handover(job, asked)
                self._waiting.add(handover)
                handover.wait()

    def _job_ended(self, handover: Handover) -> None:
        self._waiting.discard(handover)
        self._end(handover)

    def _end(self, finished: Outcome | Handover | None) -> None:
        """Count a request as over, and queue its outcome if it has one."""
        self._active -= 1
        if isinstance(finished, Handover) and finished.comes_late:
            self._late.append(finished)
        elif finished is not None:
            self._finished.append(finished)
        self._announce()


def check_requests(
    requests: object, *, verb: str, kinds: UnionType | type = Iterable | AsyncIterable
) -> None:
    """Refuse one request, or text, where many are meant; `verb` is for the message.

    Raises:
        InvalidRequest: these are not many requests, or one in a list is not a request.
    """
    check_awaited(requests)
    is_one = isinstance(requests, (str, SongRequest))
    if is_one or isinstance(requests, (bytes, Mapping)) or not isinstance(requests, kinds):
        remedy = "write [request]" if is_one else "give a list"
        raise InvalidRequest(f"{verb} takes a list of requests, not {shown(requests)}; {remedy}")
    if isinstance(requests, (list, tuple, set, frozenset)):  # before anything is sent
        for index, request in enumerate(requests):
            _request_at(index, request)


def _request_at(index: int, request: object) -> SongRequest:
    """Return a request of the input.

    Raises:
        InvalidRequest: it is not a request; the message names its place.
    """
    name = f"requests[{index}]"
    if not isinstance(request, str):
        return as_request(request, name=name)
    try:
        return as_request(request)
    except InvalidRequest as error:
        raise InvalidRequest(f"{name}: {error}") from error


class _Pulled(Generic[T]):
    """An ordinary iterable that is pulled like an async one."""

    def __init__(self, values: Iterable[T]) -> None:
        self._values = iter(values)

    async def __anext__(self) -> T:
        try:
            return next(self._values)
        except StopIteration:
            raise StopAsyncIteration from None

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """Close a generator; anything else has nothing to close."""
        if isinstance(self._values, Generator):
            self._values.close()
