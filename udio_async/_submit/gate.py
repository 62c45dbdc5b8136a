"""The gate: whose turn it is to send a paid request, if anybody's."""

import math

import anyio

from .._errors import (
    ClientClosed,
    RateLimited,
    SpendLimitReached,
    TooManyDoubts,
    UdioError,
)
from .._limits import backoff
from .limit import ActiveLimit
from .policy import SubmitPolicy

_BACKOFF_CAP = 30.0


class SubmitGate:
    """Lets a few paid requests through, while everything allows it.

    That is the owner's limits, the number of doubts, and the provider.
    """

    def __init__(self, policy: SubmitPolicy) -> None:
        self._policy = policy
        self._most = policy.limit
        self._places = anyio.Semaphore(policy.concurrency)
        self._limit = ActiveLimit()
        self._not_before = 0.0
        self._taken = 0
        self._on_wire = 0
        self._running = 0
        self._refusals = 0
        self._moved = anyio.Event()
        self._doubts: set[str] = set()
        """Jobs of this run that are in doubt: they count for `max_in_doubt`."""
        self._doubted: set[str] = set()
        """Jobs that ever were in this run, also if their owner has ended the doubt since."""
        self._closed = False

    def expect(self, at_once: int) -> None:
        """Begin with the number of requests at once that an earlier run has found out."""
        self._limit = ActiveLimit.remembered(at_once)

    @property
    def found_out(self) -> int | None:
        """How many requests the provider works on at once, as far as it has said so."""
        return None if math.isinf(self._limit.limit) else int(self._limit.limit)

    def at_once(self) -> int:
        """Return for how many requests of a batch there is room, those that wait included."""
        return int(self._limit.at_once) + self._policy.concurrency

    async def enter(self) -> bool:
        """Wait for a place, and then until the provider may be asked.

        Who got through has to call `leave`.

        Returns:
            Whether this request tries for more at once than are known to be allowed.

        Raises:
            SpendLimitReached: the owner's limit is reached.
            TooManyDoubts: too many requests are in doubt.
            ClientClosed: the client is closed.
        """
        await self._places.acquire()
        try:
            probe = await self._may_send()
        except BaseException:
            self._places.release()
            raise
        self._taken += 1
        self._on_wire += 1
        return probe

    async def _may_send(self) -> bool:
        """Wait until the provider may be asked for more.

        With a limit that is reached, that is when it is known what the requests before have cost.
        """
        while True:
            self._check()
            now = anyio.current_time()
            running = self._running + self._on_wire
            if self.held_back:
                await self.pause()
            elif self._at_limit():
                await self._wait()
            elif not self._limit.admits(running, now):
                await self._wait(until=self._limit.next_try)
            else:
                probe = running >= self._limit.limit
                self._limit.probing = self._limit.probing or probe
                return probe

    def _at_limit(self) -> bool:
        return self._most is not None and self._taken >= self._most

    def check_open(self) -> None:
        """Refuse to send anything more once the client is closed.

        Raises:
            ClientClosed: it is.
        """
        if self._closed:
            raise ClientClosed("the client is closed; the request was not sent")

    def _check(self) -> None:
        self.check_open()
        if self._at_limit() and not self._on_wire:
            raise SpendLimitReached(
                f"the limit of this run is reached: {self._policy.limit_reached}"
            )
        if len(self._doubts) >= self._policy.max_in_doubt:
            raise TooManyDoubts(
                f"{len(self._doubts)} submits are in doubt, so nothing more is sent; "
                "settle them first: client.doubts() lists them"
            )

    async def _wait(self, until: float = float("inf")) -> None:
        with anyio.CancelScope(deadline=until):
            await self._moved.wait()

    def _move(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()

    def leave(self, *, probe: bool, accepted: bool, charged: bool) -> None:
        """Give the place back, and tell what became of the request.

        Args:
            probe: what `enter` returned.
            accepted: whether the provider took it.
            charged: whether it may have been charged; if not, it does not count for the limit.
        """
        self._on_wire -= 1
        if probe:
            self._limit.probing = False
        if accepted:
            self._refusals = 0
            self._limit.accepts(probe=probe)
        if not charged:
            self._taken -= 1
        self._move()
        self._places.release()

    def count_running(self) -> None:
        """Count a request whose songs are being made."""
        self._running += 1

    def count_ended(self) -> None:
        """Stop counting a request whose songs are not being made any more."""
        self._running -= 1
        self._move()

    def count_doubt(self, key: str) -> None:
        """Remember that the job of this key may have been taken."""
        self._doubts.add(key)
        self._doubted.add(key)

    def was_in_doubt(self, key: str) -> bool:
        """Return whether the job of this key came into doubt in this run, whatever came of it.

        A doubt that its owner has ended may come back: a callback shows that the task they named
        was another's.
        """
        return key in self._doubted

    def count_settled(self, key: str) -> None:
        """Forget a doubt of this run.

        Its owner has ended it, or it is submitted again.
        """
        self._doubts.discard(key)
        self._move()

    async def pause(self) -> None:
        """Wait as long as nothing may be sent.

        Raises:
            ClientClosed: the client is closed.
        """
        while self.held_back and not self._closed:
            await self._wait(until=self._not_before)
        self.check_open()

    @property
    def held_back(self) -> float:
        """Seconds that nothing may be sent from now on."""
        return max(0.0, self._not_before - anyio.current_time())

    @property
    def is_idle(self) -> bool:
        """Whether no request of this run is being made, as far as its looks tell."""
        return not self._running

    def hold_back(
        self, error: UdioError, *, attempt: int, probe: bool, unseen: bool = False
    ) -> bool:
        """Make every submit wait: the provider is one for all of them.

        Args:
            error: why the provider did not take it.
            attempt: how often it was tried before.
            probe: what `enter` returned.
            unseen: whether songs of ours may be in the making that nobody looks at.

        Returns:
            Whether this try counts. "Too many at once" does not, while songs of ours are being
            made: the next request goes when one of them ends.
        """
        now = anyio.current_time()
        limited = isinstance(error, RateLimited)
        busy = limited and (unseen or not self.is_idle)
        asked = error.retry_after if isinstance(error, RateLimited) else None
        if busy:
            self._refusals += 1
            if self.is_idle:  # nobody will tell when one of them ends
                attempt = self._refusals - 1
            # Told when to come back, and refused again then: it is about how many after all.
            elif asked is None or self._refusals > 1:
                self._limit.refused(self._running, self._on_wire, now, probe=probe)
        wait = max(backoff(attempt, base=1.0, cap=_BACKOFF_CAP), asked or 0.0)
        self._not_before = max(self._not_before, now + wait)
        return not busy

    def close(self) -> None:
        """Let nothing through any more."""
        self._closed = True
        self._move()

    async def drain(self) -> None:
        """Wait until no paid request is on the wire."""
        for _ in range(self._policy.concurrency):
            await self._places.acquire()
        for _ in range(self._policy.concurrency):
            self._places.release()
