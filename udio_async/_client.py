"""The front door: `Client`, and what it hands out, `Job` and `Batch`."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Iterable,
)
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import urlsplit

import anyio
import attrs
from anyio import AsyncContextManagerMixin

from ._batch import Batch, check_count
from ._download import download
from ._errors import InvalidRequest, UdioError
from ._events import Observer, guarded
from ._http import MAX_DOWNLOADS, AsyncClient, Http, is_loopback
from ._job import Job
from ._poller import Poller
from ._records import Credits, Song, SongRequest
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
        check_count("max_active", max_active)
        check_count("submit_concurrency", submit_concurrency)
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

    async def submit(self, request: SongRequest | str) -> Job:
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
    ) -> Batch:
        """Make many songs, and get an `Outcome` for each as it finishes.

        Requests are pulled as there is room for them. A slow consumer holds back new submits,
        not the looks at accepted songs. An `AccountError` or `Blocked` stops the submits of the
        batch: the requests that are left end with it, unsent.

            async with client.generate_many(ideas) as batch:
                async for outcome in batch:
                    ...
        """
        return Batch(
            requests,
            self.submit,
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


def _as_request(request: object) -> SongRequest:
    if isinstance(request, SongRequest):
        return request
    if isinstance(request, str):
        return SongRequest(description=request)
    raise InvalidRequest(f"{request!r} is no request; give a SongRequest or a text")
