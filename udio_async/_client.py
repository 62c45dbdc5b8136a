"""The front door: `Client`, and what it hands out, `Job` and `Batch`."""

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Generator,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Generic, Self, TypeVar
from urllib.parse import urlsplit

import anyio
import attrs
from anyio import AsyncContextManagerMixin

from ._download import download
from ._errors import AccountError, Blocked, InvalidRequest, UdioError
from ._events import Observer, guarded
from ._http import MAX_DOWNLOADS, AsyncClient, Http, is_loopback
from ._poller import Poller, Watch
from ._records import Credits, Outcome, Song, SongRequest, Stage, Task
from ._schedule import PollPolicy
from ._submit import Submitter
from ._tasks import open_tasks
from .providers.base import Provider

T = TypeVar("T")

_GRACE = 30.0
"""Seconds that leaving the client waits for submits on the wire: each may be a paid song."""


@attrs.frozen
class _House:
    """What a client has only while it is open."""

    http: Http
    poller: Poller
    submitter: Submitter


class Client(AsyncContextManagerMixin):
    """Generates songs with one provider, one or ten thousand at a time.

    Use it as `async with Client(UdioApiV2(api_key="...")) as client:`. The arguments may be used
    again for another client, on another event loop too.

    Args:
        provider: `UdioApiV1`, `UdioApiV2`, `Apiframe`, or your own `Provider`.
        max_active: songs of one batch that may be in the making at once.
        submit_concurrency: submits that may be on the wire at once.
        poll: when to look at a song, and when to give it up.
        requests_per_second: an upper bound on API requests; None for no bound of our own.
        http_client: an `httpx.AsyncClient` of yours, used as it is and left open.
        trust_env: take proxies from the environment.
        on_event: called with an `Event` for whatever happens to a song; it must not block.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        max_active: int = 20,
        submit_concurrency: int = 4,
        poll: PollPolicy | None = None,
        requests_per_second: float | None = None,
        http_client: AsyncClient | None = None,
        trust_env: bool = False,
        on_event: Observer | None = None,
    ) -> None:
        if isinstance(provider, type) or not isinstance(provider, Provider):
            raise InvalidRequest(
                f"{provider!r} is no provider; give one, such as UdioApiV2(api_key='...')"
            )
        _check_count("max_active", max_active)
        _check_count("submit_concurrency", submit_concurrency)
        self.provider = provider
        self._max_active = max_active
        self._submit_concurrency = submit_concurrency
        self._policy = poll or PollPolicy()
        self._requests_per_second = requests_per_second
        self._http_client = http_client
        self._trust_env = trust_env
        self._observer = guarded(on_event)
        self._house: _House | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        async with (
            open_tasks() as tasks,
            Http(
                tasks,
                client=self._http_client,
                requests_per_second=self._requests_per_second,
                trust_env=self._trust_env,
            ) as http,
        ):
            self._house = _House(
                http=http,
                poller=Poller(
                    self.provider, http, tasks, policy=self._policy, observer=self._observer
                ),
                submitter=Submitter(
                    self.provider,
                    http,
                    tasks,
                    concurrency=self._submit_concurrency,
                    observer=self._observer,
                ),
            )
            tasks.start_soon(self._house.poller.run)
            try:
                yield self
            finally:
                submitter, self._house = self._house.submitter, None
                with anyio.move_on_after(_GRACE, shield=True):
                    await submitter.drain()
                tasks.cancel_scope.cancel()

    def _inside(self) -> "_House":
        if self._house is None:
            raise RuntimeError("the client is closed; use it inside `async with Client(...)`")
        return self._house

    async def submit(self, request: SongRequest | str) -> "Job":
        """Have the provider accept a song, and return while it is being made.

        Raises:
            RequestError: the request cannot be made like this; nothing was taken.
            AccountError: the key or the credits; nothing was taken.
            ProviderUnavailable: no usable answer; nothing was taken.
            SubmitInDoubt: the answer was lost; the song may be running and paid for.
        """
        house = self._inside()
        request = _as_request(request)
        self.provider.check(request)

        def accepted(task_id: str) -> Job:
            # An answer may come while the client is being closed: its id is not lost.
            return Job(request, house.poller.watch(task_id, request))

        return await house.submitter.submit(request, accepted)

    async def generate(self, request: SongRequest | str) -> tuple[Song, ...]:
        """Make a song and wait for it: the songs of its task, usually two.

        Where one of them failed and another did not, both are returned, the failed one with its
        `error`.

        Raises:
            GenerationFailed: accepted, then failed as a whole.
            WaitExpired: still running after the deadline; `task_id` finds it again.
            UdioError: everything that `submit` raises.
        """
        job = await self.submit(request)
        return await job.songs()

    def generate_many(
        self,
        requests: Iterable[SongRequest | str] | AsyncIterable[SongRequest | str],
        *,
        max_active: int | None = None,
    ) -> "Batch":
        """Make many songs, and get an `Outcome` for each as it finishes.

        Requests are pulled as there is room for them. A slow consumer holds back new submits,
        not the looks at accepted songs. An `AccountError` or `Blocked` stops the submits of the
        batch: the requests that are left end with it, unsent.

            async with client.generate_many(ideas) as batch:
                async for outcome in batch:
                    ...
        """
        return Batch(
            self,
            requests,
            max_active=self._max_active if max_active is None else max_active,
            submitters=self._submit_concurrency,
        )

    async def credits(self) -> Credits:
        """Return what the account has left."""
        return await self.provider.credits(self._inside().http)

    async def download(self, songs: Song | Iterable[Song], directory: str | Path) -> list[Path]:
        """Save the audio of finished songs into `directory`, and return the paths in order.

        A file appears under its final name only when it is whole. Songs that failed have no
        audio and are skipped.

        Raises:
            DownloadFailed: `NotAudio`, `Truncated` or `LinkExpired` say why. The other songs
                are saved all the same.
            OSError: the disk did not take it. The same goes for the others.
        """
        http, local = (
            self._inside().http,
            is_loopback(urlsplit(self.provider.base_url).hostname or ""),
        )
        wanted = [songs] if isinstance(songs, Song) else list(songs)
        wanted = [song for song in wanted if song.error is None]
        saved: dict[int, Path | Exception] = {}
        slots = anyio.Semaphore(MAX_DOWNLOADS)  # each has a file open

        async def save(place: int, song: Song) -> None:
            async with slots:
                try:
                    saved[place] = await download(http, song, Path(directory), local=local)
                except (UdioError, OSError) as error:
                    saved[place] = error

        async with open_tasks() as tasks:
            for place, song in enumerate(wanted):
                tasks.start_soon(save, place, song)
        results = [saved[place] for place in range(len(wanted))]
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, Path)]


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
        return self._delivered()

    def _delivered(self) -> tuple[Song, ...]:
        """The songs so far, with the title asked for where the provider knows no titles."""
        title = self.request.title
        return tuple(attrs.evolve(song, title=song.title or title) for song in self.task.songs)

    def _outcome(self, index: int, request: SongRequest | str) -> Outcome:
        return Outcome(
            index=index,
            request=request,
            task_id=self.task_id,
            songs=self._delivered(),
            error=self._watch.error,
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


class Batch(AsyncContextManagerMixin):
    """Many songs in the making: `async with` it, and iterate over the outcomes.

    Leaving it early stops the submits. Songs that were accepted by then are still being made at
    the provider.
    """

    def __init__(
        self,
        client: Client,
        requests: Iterable[SongRequest | str] | AsyncIterable[SongRequest | str],
        *,
        max_active: int,
        submitters: int,
    ) -> None:
        _check_requests(requests)
        _check_count("max_active", max_active)
        self._client = client
        self._input = aiter(requests if isinstance(requests, AsyncIterable) else _Pulled(requests))
        self._pulling = anyio.Lock()
        self._max_active = max_active
        self._submitters = submitters
        self._submitting = 0
        self._next_index = 0
        self._active = 0
        self._finished = deque[Outcome]()
        self._moved = anyio.Event()
        self._stopped_by: AccountError | Blocked | None = None
        self._input_ended = False
        self._input_error: Exception | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            async with open_tasks() as tasks:
                self._submitting = self._submitters
                for _ in range(self._submitters):
                    tasks.start_soon(self._submit_all)
                yield self
                tasks.cancel_scope.cancel()
        finally:
            if isinstance(self._input, (AsyncGenerator, _Pulled)):
                await self._input.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        while not self._finished:
            if not self._submitting and not self._active:
                if self._input_error is not None:
                    error, self._input_error = self._input_error, None
                    raise error
                raise StopAsyncIteration
            await self._change()
        outcome = self._finished.popleft()
        self._announce()
        return outcome

    async def _change(self) -> None:
        await self._moved.wait()

    def _announce(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()

    async def _submit_all(self) -> None:
        """One of a few that turn requests into accepted songs, while there is room for them."""
        try:
            while (numbered := await self._pull()) is not None:
                await self._submit_one(*numbered)
        finally:
            self._submitting -= 1
            self._announce()

    async def _pull(self) -> tuple[int, SongRequest | str] | None:
        """Take the next request once there is room for its song and for its outcome."""
        async with self._pulling:
            while max(self._active, len(self._finished)) >= self._max_active:
                await self._change()
            if self._input_ended:
                return None
            try:
                request = await anext(self._input)
            except StopAsyncIteration:
                self._input_ended = True
                return None
            except Exception as error:  # noqa: BLE001  # raised to the consumer, after the songs
                self._input_ended, self._input_error = True, error
                return None
            self._active += 1
            self._next_index += 1
            return self._next_index - 1, request

    async def _submit_one(self, index: int, request: SongRequest | str) -> None:
        if self._stopped_by is not None:
            self._finish(Outcome(index=index, request=request, error=self._stopped_by))
            return
        try:
            job = await self._client.submit(request)
        except UdioError as error:
            if isinstance(error, (AccountError, Blocked)):
                self._stopped_by = error
            self._finish(Outcome(index=index, request=request, error=error))
        else:
            # A partial holds half of what a closure does, and there may be 10,000 of them.
            job._watch.on_done(partial(self._made, index, request, job))  # noqa: SLF001  # same room

    def _made(self, index: int, request: SongRequest | str, job: Job) -> None:
        self._finish(job._outcome(index, request))  # noqa: SLF001  # same room

    def _finish(self, outcome: Outcome) -> None:
        self._active -= 1
        self._finished.append(outcome)
        self._announce()


def _as_request(request: object) -> SongRequest:
    if isinstance(request, SongRequest):
        return request
    if isinstance(request, str):
        return SongRequest(description=request)
    raise InvalidRequest(f"{request!r} is no request; give a SongRequest or a text")


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise InvalidRequest(f"{name} is {value!r}; give a whole number, at least 1")


def _check_requests(requests: object) -> None:
    one_or_none = isinstance(requests, (str, bytes, SongRequest, Mapping))
    if one_or_none or not isinstance(requests, (Iterable, AsyncIterable)):
        raise InvalidRequest(f"generate_many takes many requests, not {requests!r}; give a list")


class _Pulled(Generic[T]):
    """An ordinary iterable, pulled like an async one."""

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
        if isinstance(self._values, Generator):
            self._values.close()
