"""Reachability: what answers say about a provider as a whole.

It has no clock: the caller brings the time, in seconds.
"""

import attrs

from .._errors import RateLimited
from .._limits import backoff

PROBE_CAP = 20.0
"""Seconds between two probes of a provider that stays away, at most."""
_BEAT = 10.0
"""Seconds after which the poller wakes up, at the latest, while there are tasks."""


@attrs.define
class Reachability:
    """Knows whether a provider answers, since when not, and when to try again."""

    failures: int = 0
    not_before: float = 0.0
    answered_at: float = 0.0
    """When it last gave a good answer; or when this process last ran again after a sleep."""
    refusals: int = 0
    """Looks in a row that were refused for the key or the credits."""
    outages: float = 0.0
    """Seconds, in all, in which looks failed or this process did not run."""
    _awake_at: float = 0.0
    _failing_since: float = 0.0
    _refused_since: float = 0.0

    def beat(self, now: float) -> float:
        """Return when to wake up at the latest, so that a longer sleep is noticed."""
        return now + _BEAT

    def awake(self, now: float) -> bool:
        """Note that this process runs; return whether it did not for longer than is usual.

        The machine slept, or the process was stopped: as in an outage, the provider could not be
        asked, and its silence says nothing.
        """
        asleep = now - self._awake_at - _BEAT
        self._awake_at = now
        if asleep <= _BEAT:
            return False
        if not self.failures:  # else it is part of the outage that still goes on
            self.outages += asleep
        self.answered_at = now
        return True

    def failed(self, error: Exception, now: float, asked_at: float) -> float:
        """Count a look without an answer; return the seconds to wait.

        If this one timed out, the outage began when it was sent, or when the provider last gave
        an answer.
        """
        if not self.failures:
            self._failing_since = min(max(asked_at, self.answered_at), now)
        wait = backoff(self.failures, base=1.0, cap=PROBE_CAP)
        if isinstance(error, RateLimited) and error.retry_after is not None:
            wait = max(wait, error.retry_after)
        self.failures += 1
        self.not_before = max(self.not_before, now + wait)
        return wait

    def refused(self, now: float) -> float:
        """Count a look that was refused.

        Returns since when no look was answered well.
        """
        if not self.refusals:
            self._refused_since = now
        self.refusals += 1
        return self._refused_since

    def answered(self, now: float) -> bool:
        """Count a good answer; return whether it ends an outage."""
        self.answered_at = now
        self.refusals = 0
        if not self.failures:
            return False
        self.outages = self.away(now)
        self.failures = 0
        return True

    def away(self, now: float) -> float:
        """Return the seconds of all outages, with one that still goes on."""
        return self.outages + (now - self._failing_since if self.failures else 0.0)
