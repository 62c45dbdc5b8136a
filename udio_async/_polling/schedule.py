"""When to look next at a song that is being made. Pure arithmetic, no clock, no I/O.

A look costs `c` seconds' worth of trouble; a look that comes late costs its lateness. If a song
finishes now with chance h(t) per second given that it has not yet, then looking every
sqrt(2c / h(t)) seconds is the best trade, so the right number of looks per second is
sqrt(h(t) / 2c). The next look is due when that rate, summed from now on, has come to one.

How long songs take is taken for log-normal: a positive time with a tail of stragglers. It starts
from the provider's typical time and is learned from the songs that finish, and from how long the
others have waited: of many songs that start together the short ones finish first, and alone they
would speak for all. Its hazard falls in the far tail, so a song later than anything seen is looked
at ever more rarely.
"""

import bisect
import math
from collections import Counter
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import attrs

from .._validators import check_above_zero

_STANDARD = NormalDist()
_PRIOR_SIGMA = 0.5
"""Deviation of the logarithm: two in three songs take 0.6 to 1.6 times the typical time."""
_PRIOR_WEIGHT = 4.0
"""How many finished songs the prior counts for."""
_ROUNDS = 5
"""Steps of the estimate at each call: it continues where it stopped, so a few are enough."""
_LATE = 2.326
"""Standard deviations, in the logarithm, beyond which one song in a hundred takes."""
_LEAST_SIGMA = 0.02
_LEAST_SHARE = 1e-9
_GRID = 400
_REACH = 5.0
"""The table covers this many standard deviations around the median."""


def _positive(_policy: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value is None and field.default is None:
        return
    check_above_zero(f"PollPolicy {field.name}", value, remedy="give seconds above 0")


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How eagerly to look. All durations are seconds.

    `look_cost` is the price of one look in seconds of waiting: at 0.8, a look is worth hearing of
    the songs 0.8 seconds earlier. None takes a 75th of the provider's typical song time, which is
    0.8 for a minute. `min_interval` replaces the provider's advice on the shortest time between two
    looks at one task. After `deadline` a task is given up with `WaitExpired`; it goes on at the
    provider, and its id is in the error.

        Client(provider, poll=PollPolicy(look_cost=2.0, deadline=600.0))  # fewer looks, 10 minutes

    Raises:
        InvalidRequest: a duration that is not above 0.
    """

    look_cost: float | None = attrs.field(default=None, validator=_positive)
    min_interval: float | None = attrs.field(default=None, validator=_positive)
    deadline: float = attrs.field(default=1800.0, validator=_positive)


class Schedule:
    """Learns how long songs take, and plans looks from that."""

    def __init__(self, *, typical: float, look_cost: float, min_interval: float) -> None:
        self.restart(typical=typical, look_cost=look_cost, min_interval=min_interval)

    def restart(self, *, typical: float, look_cost: float, min_interval: float) -> None:
        """Forget what was learned, because songs take a very different time."""
        self._look_cost = look_cost
        self._min_interval = min_interval
        self._count = _PRIOR_WEIGHT
        self._mean = math.log(typical)
        self._sigma = _PRIOR_SIGMA
        # of the logarithms of the durations: sum, and sum of squares
        self._sum = _PRIOR_WEIGHT * self._mean
        self._squares = _PRIOR_WEIGHT * (self._mean**2 + self._sigma**2)
        self._bin = typical / 30
        self._waiting: Counter[int] = Counter()  # songs, by the binned age they were last seen at
        self._tabulated_at = 0.0
        self._ages: list[float] = []
        self._looks: list[float] = []

    def learn(self, longer_than: float, at_most: float) -> float:
        """Learn from a song that was completed between these two ages.

        Returns how many seconds it took, as far as can be told. That is where songs which take so
        long are to be expected: of those found by the first look, near that look.
        """
        low, high = (math.log(max(age, 1e-3)) for age in (longer_than, at_most))
        value, square = self._expected(low, high)
        self._count += 1
        self._sum += value
        self._squares += square
        return min(max(math.exp(value), longer_than), at_most)

    def seen(self, before: float, age: float) -> None:
        """Count a song as seen at this age, and not at `before`."""
        self.forget(before)
        self._waiting[int(age / self._bin)] += 1

    def forget(self, age: float) -> None:
        """Stop counting a song that was last seen at this age.

        At 0 it was never seen.
        """
        place = int(age / self._bin)
        if age > 0 and self._waiting[place]:  # none that was seen before a `restart`
            self._waiting[place] -= 1

    def wait(self, age: float, *, together: int = 1) -> float:
        """Return the seconds to wait before the next look at a song of this age.

        A look that asks about several songs is dearer than one, and for each of them cheaper: an
        eighth of the price where 16 go `together`, so it falls with the power 3/4 of how many.
        """
        self._tabulate()
        target = self._looks_by(age) + together**-0.375  # the rate goes with the root of the price
        if target <= self._looks[-1]:
            wait = _interpolate(target, self._looks, self._ages) - age
        else:  # later than anything seen: ever more rarely
            wait = age / 8
        return max(wait, self._min_interval)

    def late(self) -> float:
        """Return the age in seconds that only one song in a hundred reaches."""
        self._tabulate()
        return math.exp(self._mean + _LATE * self._sigma)

    def _estimate(self) -> None:
        """Fit mean and deviation to what is complete and to what was seen waiting.

        A waiting song counts with what is expected of it, given that it takes longer than it has
        so far: expectation and maximisation, for data censored on the right.
        """
        waiting = [
            (math.log((place + 0.5) * self._bin), songs)
            for place, songs in self._waiting.items()
            if songs
        ]
        for _ in range(_ROUNDS):
            count, total, squares = self._count, self._sum, self._squares
            for low, songs in waiting:
                value, square = self._expected(low, math.inf)
                count += songs
                total += songs * value
                squares += songs * square
            self._mean = total / count
            self._sigma = math.sqrt(max(squares / count - self._mean**2, _LEAST_SIGMA**2))

    def _expected(self, low: float, high: float) -> tuple[float, float]:
        """Return the mean of the logarithm and of its square between two bounds."""
        a, b = (low - self._mean) / self._sigma, (high - self._mean) / self._sigma
        share = _STANDARD.cdf(b) - _STANDARD.cdf(a)
        if share < _LEAST_SHARE:  # nothing was expected there
            value = low if math.isinf(high) else (low + high) / 2
            return value, value**2
        at_a, at_b = _STANDARD.pdf(a), _STANDARD.pdf(b)
        first = (at_a - at_b) / share
        second = 1 + (a * at_a - (0.0 if math.isinf(b) else b * at_b)) / share
        value = self._mean + self._sigma * first
        return value, self._mean * (2 * value - self._mean) + self._sigma**2 * second

    def _tabulate(self) -> None:
        """Sum the look rate over a grid of ages, anew when a tenth more has been learned."""
        if self._count < self._tabulated_at * 1.1:
            return
        self._tabulated_at = self._count
        self._estimate()
        steps = [_REACH * (2 * i / _GRID - 1) for i in range(_GRID + 1)]
        self._ages = [math.exp(self._mean + self._sigma * z) for z in steps]
        rates = [
            math.sqrt(self._hazard(z, age) / (2 * self._look_cost))
            for z, age in zip(steps, self._ages, strict=True)
        ]
        areas = (
            (rates[i - 1] + rates[i]) / 2 * (self._ages[i] - self._ages[i - 1])
            for i in range(1, _GRID + 1)
        )
        self._looks = [0.0, *accumulate(areas)]

    def _hazard(self, z: float, age: float) -> float:
        survival = max(1 - _STANDARD.cdf(z), 1e-12)
        return _STANDARD.pdf(z) / (survival * self._sigma * age)

    def _looks_by(self, age: float) -> float:
        return _interpolate(age, self._ages, self._looks)


def _interpolate(x: float, xs: list[float], ys: list[float]) -> float:
    """Read a rising table between its entries; outside of it, its nearest end."""
    right = bisect.bisect_right(xs, x)
    if right == 0:
        return ys[0]
    if right == len(xs):
        return ys[-1]
    left = right - 1
    share = (x - xs[left]) / (xs[right] - xs[left])
    return ys[left] + share * (ys[right] - ys[left])
