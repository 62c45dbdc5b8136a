"""The arithmetic of waiting: rates, back-off, `Retry-After`.

Nothing here sleeps or reads a clock: callers bring the time and do the waiting, so an hour of
trouble takes no time to test. Times are seconds as `float`.
"""

import math
import random
import re
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

import attrs

from ._errors import InvalidRequest

MAX_RETRY_AFTER = 600.0
"""Seconds: no server makes us wait longer than this in one go."""

_NUMBER = re.compile(r"(?P<amount>\d+(\.\d*)?|\.\d+)\s*(?P<unit>ms|s)?", re.ASCII | re.IGNORECASE)


def parse_retry_after(
    value: str | None, *, now: float, longest: float = MAX_RETRY_AFTER
) -> float | None:
    """Return the seconds that a `Retry-After` header asks for.

    That is 0 to `longest`. Understood are seconds ("7", "1.5", "2s"), milliseconds with their unit
    ("1500ms") and HTTP dates against `now` (Unix time). None for a missing header, and for anything
    that asks for no sensible wait: negative, past, not a number, not a date.
    """
    text = (value or "").strip()
    number = _NUMBER.fullmatch(text)
    if number:
        scale = 0.001 if (number["unit"] or "").lower() == "ms" else 1.0
        return min(float(number["amount"]) * scale, longest)
    wait = _seconds_until(text, now)
    return None if wait is None or wait < 0 else min(wait, longest)


def _seconds_until(date: str, now: float) -> float | None:
    """Return the seconds until an HTTP date, or None if it is no date."""
    try:
        moment = parsedate_to_datetime(date)
        # A date without a zone is UTC by the rules of HTTP.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def backoff(
    attempt: int, *, base: float, cap: float, random: Callable[[], float] = random.random
) -> float:
    """Return the seconds to wait before retry number `attempt`, counted from 0.

    "Full jitter": anywhere between 0 and `base * 2 ** attempt`, at most `cap`, so that clients
    that failed together do not come back together. `random` returns a float from 0 to 1.
    """
    # 2.0 ** 1024 overflows, and no cap is that far away.
    return random() * min(cap, base * 2.0 ** min(attempt, 1000))


@attrs.define
class Gcra:
    """A rate limit by the generic cell rate algorithm: one number, no queue.

    Hands out slots in the order of asking, `1 / rate` seconds apart after a first `burst`, so that
    no window of one second holds more than `rate + burst` of them.

        gate = Gcra(rate=2.0, burst=4)
        await anyio.sleep(gate.reserve(anyio.current_time()))

    Raises:
        InvalidRequest: a rate that is not a positive finite number, or a burst below 1.
    """

    rate: float
    """Slots per second."""
    burst: int = 1
    """Slots that may be used at once after a pause."""
    _next: float = attrs.field(init=False, default=-math.inf)

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise InvalidRequest(f"a rate of {self.rate!r} per second; give a number above 0")
        if self.burst < 1:
            raise InvalidRequest(f"a burst of {self.burst!r}; give 1 or more")

    def reserve(self, now: float) -> float:
        """Take the next free slot; return the seconds from `now` until then.

        A slot that was taken cannot be given back.
        """
        gap = 1.0 / self.rate
        slot = max(self._next, now - (self.burst - 1) * gap)
        self._next = slot + gap
        return max(0.0, slot - now)
