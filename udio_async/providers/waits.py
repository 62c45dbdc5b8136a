"""How long a provider asks to wait: by headers, by fields of its JSON, or in words."""

import math
import re
from collections.abc import Mapping
from itertools import islice

from .._limits import MAX_RETRY_AFTER, parse_retry_after

_FIELDS: Mapping[str, str] = {
    "retryafter": "s",
    "retryafterseconds": "s",
    "retryafterms": "ms",
}
"""Fields of JSON, without "_" and "-" and in lower case, with their units."""
_OVER = ("error", "data", "detail", "details")
"""Objects in which such a field may stand."""
_UNITS: Mapping[str, float] = {
    "ms": 0.001,
    "millisec": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "day": 86400.0,
}
_IN_WORDS = re.compile(
    r"\b(?:again|retry|wait|back)(?: (?:in|after|for|at least|about|another))* "
    r"(\d{1,6}(?:\.\d{1,6})?) ?(ms\b|millisec|s\b|sec|m\b|min|h\b|hour|day)"
)
_RESETS = ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_WIDTH = 30
"""Fields that are looked at."""
_MOMENT = 1e9
"""A number from here on is a Unix time: as a wait it would be thirty years."""


def asked(headers: Mapping[str, str], payload: object, said: str, *, now: float) -> float | None:
    """Return the seconds that a provider asks to wait, or None.

    `Retry-After` counts most, then a field of the JSON, then words, then the end of a limit that
    is used up, which may lie far away: of that no more than `MAX_RETRY_AFTER` counts.

    Args:
        headers: of the answer. Some gateways say it in milliseconds, in a header of their own.
        payload: its JSON, or None.
        said: its words, in lower case.
        now: the Unix time, for waits that are told as a moment.
    """
    in_ms = headers.get("retry-after-ms")
    told = (f"{in_ms}ms" if in_ms else None, headers.get("retry-after"), *_fields(payload))
    for value in told:
        wait = _seconds(value, now)
        if wait is not None:
            return wait
    in_words = _IN_WORDS.search(said)
    if in_words:
        return float(in_words[1]) * _UNITS[in_words[2]]
    for name in _RESETS:
        is_used_up = headers.get(name.replace("reset", "remaining"), "").strip() == "0"
        wait = _seconds(headers.get(name), now) if is_used_up else None
        if wait is not None:
            return min(wait, MAX_RETRY_AFTER)
    return None


def _seconds(value: str | None, now: float) -> float | None:
    """Return a wait that is told as seconds, milliseconds, a date or a Unix time."""
    wait = parse_retry_after(value, now=now, longest=math.inf)
    if wait is not None and wait >= _MOMENT:
        moment = wait / 1000 if wait >= _MOMENT * 1000 else wait
        return moment - now if moment > now else None
    return wait


def _fields(payload: object, depth: int = 1) -> list[str]:
    """Return the waits in a body, as a header would have them."""
    found: list[str] = []
    if isinstance(payload, dict):
        for name, value in islice(payload.items(), _WIDTH):
            unit = _FIELDS.get(name.lower().replace("_", "").replace("-", ""))
            if unit and isinstance(value, (str, int, float)):
                # A bare number of thousands is of milliseconds, as JavaScript has them.
                in_ms = unit == "ms" or value in range(1000, 1_000_000, 1000)
                found.append(f"{value}ms" if in_ms else str(value))
        for name in _OVER if depth else ():
            found += _fields(payload.get(name), depth - 1)
    return found
