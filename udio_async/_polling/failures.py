"""Songs that fail early, because their words are refused: how many, and after how long.

Few songs fail, so what was learned of their share fades more slowly than what was learned of times.
Pure arithmetic, no clock, no I/O.
"""

import math
from collections.abc import Sequence

from .durations import Durations

_AFTER, _SIGMA = 0.04, 0.5
"""When such a song fails, in typical times (at 4 s of 100), and the deviation of the logarithm."""
_EARLY = 0.25
"""Before this age, in typical times, a failure is an early one."""
_SHARE, _WEIGHT = 0.05, 20.0
"""The share of songs that is assumed to fail early, and how many songs this counts for."""
_MEMORY = 200.0
"""After so many more songs, what one song has taught counts for a third."""
_MOVED = 1.25
"""Tables are built again once the share has changed by this factor."""
_FIRST_LOOK = 0.11
"""When to look first, at the latest, in typical times, unless the share is below half of that."""


class EarlyFailures:
    """The share of songs that fail early, and the time after which they do."""

    def __init__(self, typical: float, *, bin_width: float) -> None:
        self.share = _SHARE
        """The share of all songs that tables are built with."""
        self._times = Durations(_AFTER * typical, _SIGMA, bin_width=bin_width)
        self._early, self._first_look = _EARLY * typical, _FIRST_LOOK * typical
        self._failed, self._tried = _SHARE * _WEIGHT, _WEIGHT

    @property
    def first_look(self) -> float:
        """The age at which one look shows most of them; 0 where there are too few for one."""
        return self._first_look if self.share >= _SHARE / 2 else 0.0

    def surviving(self, ages: Sequence[float]) -> list[float]:
        """Return, for each age, the share of all songs that is going to fail after it."""
        return [self.share * self._times.survival(age) for age in ages]

    def saw(self, before: float, age: float, weight: float, *, failed: bool) -> None:
        """Learn that a song has failed between these ages, or has not; `inf` if it never will.

        A song that has not failed counts only in part, because it may still fail: by the share of
        early failures that would have been seen at this age.
        """
        if before >= self._early:
            return
        still = 0.0 if failed or age >= self._early else self._times.survival(age)
        counts = self._times.survival(before) - still
        fading = 1 - counts / _MEMORY
        self._failed = self._failed * fading + failed
        self._tried = self._tried * fading + counts
        if failed:
            self._times.learn(before, min(age, self._early), weight)

    def scale(self, factor: float) -> None:
        """Multiply all weights so far by this factor."""
        self._times.scale(factor)

    def has_moved(self) -> bool:
        """Take over what was learned, if it has changed much; return whether it has."""
        share = self._failed / self._tried
        if abs(math.log(share / self.share)) < math.log(_MOVED):
            return self._times.has_moved()
        self.share = share
        return True
