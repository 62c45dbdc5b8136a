"""The paid step: one request leaves, and its answer gets exactly one verdict.

It is repeated only where it is proved that nothing was taken (`Unreachable` with `sent=False`)
or where the provider said so (`RateLimited`). Everything else is the adapter's verdict, raised as
an error that says whether money may be gone.
"""

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.abc import TaskGroup

from ._errors import RateLimited, Unreachable
from ._events import Event, Observer
from ._http import Http
from ._limits import backoff
from ._records import SongRequest
from ._tasks import owned
from .providers.base import Provider

T = TypeVar("T")

_ATTEMPTS = 8
_BACKOFF_CAP = 30.0


class Submitter:
    """Sends paid requests, a few at a time, each in a task of the client.

    A caller that is cancelled while it waits for its turn sends nothing; once its request is on
    the wire, it goes on without the caller.
    """

    def __init__(
        self,
        provider: Provider,
        http: Http,
        tasks: TaskGroup,
        *,
        concurrency: int,
        observer: Observer | None = None,
    ) -> None:
        self._provider = provider
        self._http = http
        self._tasks = tasks
        self._concurrency = concurrency
        self._observer = observer
        self._lane = anyio.Semaphore(concurrency)
        self._not_before = 0.0
        self._closing = anyio.Event()

    async def submit(self, request: SongRequest, accepted: Callable[[str], T]) -> T:
        """Have the song accepted and return what `accepted` makes of the task's id.

        Raises:
            RequestError, AccountError, ProviderUnavailable: nothing was taken.
            SubmitInDoubt: it may have been taken; it is not asked for again.
        """
        for attempt in range(_ATTEMPTS - 1):
            try:
                return await self._try(attempt, request, accepted)
            except (RateLimited, Unreachable) as error:
                if not _took_nothing(error):
                    raise
                self._tell_retried(error)
        return await self._try(_ATTEMPTS - 1, request, accepted)

    async def _try(self, attempt: int, request: SongRequest, accepted: Callable[[str], T]) -> T:
        await self._take_turn()
        return await owned(self._tasks, self._paid_step, attempt, request, accepted)

    async def _take_turn(self) -> None:
        """Wait for a place in the lane, and there until the provider may be asked again."""
        await self._lane.acquire()
        try:
            while not self._closing.is_set() and anyio.current_time() < self._not_before:
                with anyio.CancelScope(deadline=self._not_before):
                    await self._closing.wait()
        except BaseException:
            self._lane.release()
            raise
        if self._closing.is_set():
            self._lane.release()
            raise RuntimeError("the client is closed; the request was not sent")

    async def _paid_step(
        self, attempt: int, request: SongRequest, accepted: Callable[[str], T]
    ) -> T:
        try:
            return accepted(await self._provider.submit(self._http, request))
        except (RateLimited, Unreachable) as error:
            if _took_nothing(error):  # before the lane is free: the next one shall see it
                self._hold_back(attempt, error)
            raise
        finally:
            self._lane.release()

    def _hold_back(self, attempt: int, error: RateLimited | Unreachable) -> None:
        """Make every submit wait, not only this one: the provider is one for all of them."""
        wait = backoff(attempt, base=1.0, cap=_BACKOFF_CAP)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        self._not_before = max(self._not_before, anyio.current_time() + wait)

    def _tell_retried(self, error: RateLimited | Unreachable) -> None:
        if self._observer:
            wait = max(0.0, self._not_before - anyio.current_time())
            self._observer(
                Event(kind="retried", provider=self._provider.name, error=error, wait=wait)
            )

    async def drain(self) -> None:
        """Wait until no paid request is on the wire, and let none leave any more."""
        self._closing.set()
        for _ in range(self._concurrency):
            await self._lane.acquire()
        for _ in range(self._concurrency):
            self._lane.release()


def _took_nothing(error: RateLimited | Unreachable) -> bool:
    return isinstance(error, RateLimited) or not error.sent
