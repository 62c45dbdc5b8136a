"""How many requests a provider works on at once: found out while it is used, with few refusals.

Nothing is known at first, and the number grows with each request that is accepted. A refusal sets
a limit at what was being made. Below a number that was refused, the limit grows again with each
request; at that number one more is tried now and then, ever more rarely. Refusals with nothing
accepted between them mean that it is far too much: the limit falls faster with each. It is pure
arithmetic: the caller brings the time.
"""

import math

import attrs

_FIRST = 20
"""Requests at once before anything is known."""
_FIRST_PROBE = 3.0
"""Seconds after a "too many" until one more submit shows whether it was about speed."""
_TRUST = 20
"""Requests accepted at the limit after which one more is tried, the first time."""
_MOST_TRUST = 640
_SHRINK = (1.0, 0.75, 0.5)
"""The share of what runs that the limit is set to, while nothing was accepted in between."""


@attrs.define(eq=False)
class ActiveLimit:
    """What is known of how many requests may be in the making."""

    limit: float = math.inf
    """So many may be made at once, as far as is known."""
    probing: bool = attrs.field(default=False, init=False)
    """Whether one beyond the limit is on the wire."""
    _ceiling: float = attrs.field(default=math.inf, init=False)
    """So many were refused."""
    _probe_at: float = attrs.field(default=math.inf, init=False)
    _delay: float = attrs.field(default=_FIRST_PROBE, init=False)
    _trust: int = attrs.field(default=_TRUST, init=False)
    _accepted: int = attrs.field(default=0, init=False)
    """Requests accepted since the limit was last set or tried."""
    _accepted_in_all: int = attrs.field(default=0, init=False)
    _in_a_row: int = attrs.field(default=0, init=False)
    """Times that the limit was set without a request accepted in between."""

    @classmethod
    def remembered(cls, limit: int) -> "ActiveLimit":
        """Begin with what an earlier run has found out."""
        known = cls(limit)
        known._ceiling = limit + 1  # not an argument of the class: only this method sets it
        return known

    @property
    def at_once(self) -> float:
        """How many requests to have in the making where nobody has set a number."""
        return min(self.limit, _FIRST + self._accepted_in_all)

    def admits(self, running: int, now: float) -> bool:
        """Whether one more may be sent beside those that run or are on the wire."""
        if running < self.limit:
            return True
        return not self.probing and (now >= self._probe_at or self._accepted >= self._trust)

    @property
    def next_try(self) -> float:
        """When one more may be sent although nothing moves."""
        return math.inf if self.probing else self._probe_at

    def refused(self, running: int, on_wire: int, now: float, *, probe: bool) -> None:
        """Take in that one more than those that run was too many, with so many on the wire."""
        self._accepted = 0
        self._ceiling = min(self._ceiling, running + on_wire)  # of a few at once, all are refused
        if probe:
            self._probe_at = math.inf  # so it is about how many, not about how fast
            self._trust = min(2 * self._trust, _MOST_TRUST)
        elif running < self.limit:
            self.limit = max(1, int(running * _SHRINK[min(self._in_a_row, len(_SHRINK) - 1)]))
            self._probe_at = now + self._delay
            self._delay *= 2
            self._in_a_row += 1

    def accepts(self, *, probe: bool) -> None:
        """Take in that one was accepted; one beyond the limit shows that there is more room."""
        self._accepted += 1
        self._accepted_in_all += 1
        self._in_a_row = 0
        if probe and self._probe_at < math.inf:
            self.limit = self._ceiling = math.inf
        elif probe:
            self.limit += 1
            self._ceiling = math.inf
            self._accepted, self._trust = 0, _TRUST
        elif self.limit + 1 < self._ceiling:
            self.limit += 0.5
