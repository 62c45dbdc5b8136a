"""Whose turn it is to send a paid request, and whether any may be sent at all."""

import anyio
import attrs

from ._errors import ProviderUnavailable, RateLimited, SpendLimitReached, Unreachable
from ._limits import backoff

_BACKOFF_CAP = 30.0


@attrs.frozen(kw_only=True)
class SubmitPolicy:
    """What a client may spend, and what it does about doubts."""

    concurrency: int = 4
    max_in_doubt: int = 4
    max_submits: int | None = None
    resubmit_doubts: bool = False


class Lane:
    """Lets a few paid requests through at a time, while limits, doubts and the provider allow."""

    def __init__(self, policy: SubmitPolicy) -> None:
        self._policy = policy
        self._places = anyio.Semaphore(policy.concurrency)
        self._not_before = 0.0
        self._taken = 0
        self._on_wire = 0
        self._left = anyio.Event()
        self._doubts: set[str] = set()
        self._closing = anyio.Event()

    async def enter(self) -> None:
        """Wait for a place, and there until the provider may be asked; `leave` gives it back.

        Raises:
            SpendLimitReached: the owner's limit of songs is reached.
            ProviderUnavailable: too many songs are in doubt.
            RuntimeError: the client is closed.
        """
        await self._places.acquire()
        try:
            await self._may_send()
        except BaseException:
            self._places.release()
            raise
        self._taken += 1
        self._on_wire += 1

    async def _may_send(self) -> None:
        """Wait until the provider may be asked, and until it is known what those before cost."""
        while not self._closing.is_set():
            if anyio.current_time() < self._not_before:
                with anyio.CancelScope(deadline=self._not_before):
                    await self._closing.wait()
            elif self._at_limit() and self._on_wire:
                await self._left.wait()
            else:
                break
        self._check()

    def _at_limit(self) -> bool:
        limit = self._policy.max_submits
        return limit is not None and self._taken >= limit

    def _check(self) -> None:
        if self._closing.is_set():
            raise RuntimeError("the client is closed; the request was not sent")
        if self._at_limit():
            limit = self._policy.max_submits
            raise SpendLimitReached(f"{limit} songs were submitted, which is this client's limit")
        if len(self._doubts) >= self._policy.max_in_doubt:
            raise ProviderUnavailable(
                f"{len(self._doubts)} submits are in doubt, so nothing more is sent; "
                "settle them first: client.doubts() lists them"
            )

    def leave(self) -> None:
        """Give the place to the next one."""
        self._on_wire -= 1
        self._left.set()
        self._left = anyio.Event()
        self._places.release()

    def count_doubt(self, key: str) -> None:
        """Remember that the job of this key may have been taken."""
        self._doubts.add(key)

    def count_settled(self, key: str) -> None:
        """Forget a doubt of this run: its owner has ended it, or it is submitted again."""
        self._doubts.discard(key)

    def count_nothing_taken(self) -> None:
        """Do not count the song that entered last: it cost nothing."""
        self._taken -= 1

    @property
    def held_back(self) -> float:
        """Seconds that nothing may be sent from now on."""
        return max(0.0, self._not_before - anyio.current_time())

    def hold_back(self, attempt: int, error: RateLimited | Unreachable) -> None:
        """Make every submit wait, not only this one: the provider is one for all of them."""
        wait = backoff(attempt, base=1.0, cap=_BACKOFF_CAP)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        self._not_before = max(self._not_before, anyio.current_time() + wait)

    async def drain(self) -> None:
        """Wait until no paid request is on the wire, and let none leave any more."""
        self._closing.set()
        for _ in range(self._policy.concurrency):
            await self._places.acquire()
        for _ in range(self._policy.concurrency):
            self._places.release()
