"""How long a file is waited for, and how often it is tried.

All durations are seconds.
"""

import math
import random
from collections.abc import Awaitable, Callable, Iterator

import anyio
import attrs

from .._limits import backoff
from .answers import AttemptFailed

PATIENCE = 180.0
"""Seconds after a song was completed for which its file is waited for."""
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 15.0
_LONGEST_BACKOFF = 30.0
_SLACK = 1.0
"""Seconds by which the last wait for a new song may end late."""


@attrs.frozen(kw_only=True)
class Limits:
    """Limits for one download, in seconds, attempts and bytes per second."""

    deadline: float = 600.0
    """Seconds for one file, with all its attempts."""
    attempts: int = 5
    """Attempts in a row that bring nothing of the file."""
    backoff: float = 1.0
    min_speed: float = 1024.0
    """Bytes per second over a `window`; a slower transfer is begun anew."""
    window: float = 30.0


async def pause(seconds: float) -> None:
    """Wait. Every wait of this package is this one, so that a test can leave them all out."""
    await anyio.sleep(seconds)


def waits(seconds: float) -> Iterator[float]:
    """Return growing waits that add up to `seconds`."""
    step = _FIRST_WAIT
    while seconds > 0:
        wait = step * random.uniform(0.75, 1.0)  # noqa: S311  # so that clients do not come at once
        wait = wait if seconds - wait >= _FIRST_WAIT else seconds
        yield wait
        seconds -= wait
        step = min(step * 2, _LONGEST_WAIT)


def _asked(error: AttemptFailed, *, within: float, instead: float) -> float:
    """Return the seconds that the server asked to wait for.

    If fewer are left, the file is tried all the same, after `instead` seconds.
    """
    return instead if (error.wait or 0.0) >= within else error.wait or 0.0


@attrs.define
class Tries:
    """The attempts and the time that are left for one file."""

    _limits: Limits
    _ends: float = attrs.field(init=False)
    _failed: int = 0

    def __attrs_post_init__(self) -> None:
        self._ends = anyio.current_time() + self._limits.deadline

    @property
    def seconds(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._ends - anyio.current_time())

    async def again(self, error: AttemptFailed) -> bool:
        """Wait before another attempt; return whether there is one.

        An attempt that brought some of the file counts as the first again.
        """
        self._failed = 1 if error.progress else self._failed + 1
        wait = backoff(self._failed - 1, base=self._limits.backoff, cap=_LONGEST_BACKOFF)
        wait = max(wait, _asked(error, within=self.seconds, instead=_LONGEST_BACKOFF))
        if self._failed >= self._limits.attempts or wait >= self.seconds:
            return False
        await pause(wait)
        return True


@attrs.define
class Patience:
    """The time that is left to wait for the file of a new song."""

    _age: Callable[[], Awaitable[float | None]]
    """Tells how new the song is; asked only when it matters."""
    _seconds: float
    """From the completion of the song on."""
    _tell: Callable[[AttemptFailed, float], None]
    """Called before each wait, with the reason and the seconds."""
    is_new: bool = attrs.field(default=False, init=False)
    """Whether the song was completed only moments ago when its file was missed."""
    waited: float = attrs.field(default=0.0, init=False)
    is_over: bool = attrs.field(default=False, init=False)
    """Whether the file was missed, and no time is left to wait for it."""
    _waits: Iterator[float] | None = attrs.field(default=None, init=False)
    _ends: float = attrs.field(default=0.0, init=False)

    async def again(self, error: AttemptFailed) -> bool:
        """Wait before another attempt; return whether there is one.

        The first call asks how new the song is.
        """
        if self._waits is None:
            age = await self._age()
            left = 0.0 if age is None else self._seconds - age
            self.is_new = age is not None and age < max(self._seconds, PATIENCE)
            self._waits, self._ends = waits(left), anyio.current_time() + left
        left = self._ends - anyio.current_time()
        wait = next(self._waits, math.inf)
        wait = max(wait, _asked(error, within=left, instead=_LONGEST_WAIT))
        self.is_over = anyio.current_time() + wait > self._ends + _SLACK
        if self.is_over:
            return False
        self.waited += wait
        self._tell(error, wait)
        await pause(wait)
        return True
