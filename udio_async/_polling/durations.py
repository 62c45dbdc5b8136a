"""How long something takes from the submit on: learned from what looks have shown.

The time is taken to be log-normal: never below 0, and very long for a few songs. A look shows only
that something happened since the look before, so the mean of all such times in between is taken.
Songs that are still waiting count as well: of many songs that start together the short ones finish
first, and if only those counted, the estimate would be too short.

Each song counts with a weight that the caller gives: newer songs weigh more, so that what was
learned fades. Pure arithmetic, no clock, no I/O.
"""

import math
from collections import defaultdict
from statistics import NormalDist

_STANDARD = NormalDist()
_PRIOR_WEIGHT = 4.0
"""How many songs the prior counts for."""
_ROUNDS = 5
"""Rounds of each estimate. The next estimate goes on from it, so a few are enough."""
_MIN_SIGMA = 0.02
_MIN_COUNT = 1e-100
_MIN_SHARE = 1e-9
_ENOUGH_NEWS = 0.1
"""A new estimate is made once this share of all weights is new."""
_SIGNIFICANT = 0.125
"""Tables are built again once the mean or sigma has changed by so many sigmas."""


class Durations:
    """A log-normal time, learned from songs."""

    def __init__(self, typical: float, sigma: float, *, bin_width: float) -> None:
        self.mean = math.log(typical)
        """The mean of the logarithm; of the typical time, until something is learned."""
        self.sigma = sigma
        self._count = _PRIOR_WEIGHT
        # of the logarithms: sum, and sum of squares
        self._sum = _PRIOR_WEIGHT * self.mean
        self._squares = _PRIOR_WEIGHT * (self.mean**2 + self.sigma**2)
        self._bin = bin_width
        self._waiting: defaultdict[int, float] = defaultdict(float)  # weight, by binned age
        self._news = 0.0
        self._told = self.mean, self.sigma

    @property
    def median(self) -> float:
        """Seconds that half of them take at most."""
        return math.exp(self.mean)

    def quantile(self, deviations: float) -> float:
        """Return the seconds that are so many standard deviations above the median."""
        return math.exp(self.mean + deviations * self.sigma)

    def survival(self, age: float) -> float:
        """Return the share that takes longer than this."""
        if age <= 0:
            return 1.0
        return 0.5 * math.erfc((math.log(age) - self.mean) / (self.sigma * math.sqrt(2)))

    # Learning

    def learn(self, after: float, by: float, weight: float) -> None:
        """Learn that it happened to a song between these ages."""
        value, square = self._expected(*_logarithms(after, by))
        self._count += weight
        self._sum += weight * value
        self._squares += weight * square
        self._news += weight

    def expected(self, after: float, by: float) -> float:
        """Return when it is expected to have happened, if it did between these ages."""
        value, _ = self._expected(*_logarithms(after, by))
        return min(max(math.exp(value), after), by)

    def add_censored(self, age: float, weight: float) -> None:
        """Count a song to which it has not happened by this age."""
        self._waiting[int(age / self._bin)] += weight

    def remove_censored(self, age: float, weight: float) -> None:
        """Stop counting such a song; one of age 0 was never counted."""
        place = int(age / self._bin)
        waiting = self._waiting.get(place, 0.0)
        if age <= 0 or waiting < weight * 0.999:  # a restart has forgotten it
            return
        left = waiting - weight
        if left > waiting * 1e-9:  # less is only an error of rounding
            self._waiting[place] = left
        else:
            del self._waiting[place]

    def scale(self, factor: float) -> None:
        """Multiply all weights so far by this factor, but leave more than 0 of them."""
        factor = max(factor, _MIN_COUNT / self._count)
        self._count *= factor
        self._sum *= factor
        self._squares *= factor
        self._news *= factor
        for place in self._waiting:
            self._waiting[place] *= factor

    def has_moved(self) -> bool:
        """Estimate anew if enough is new; return whether the estimate has changed much."""
        if self._news < _ENOUGH_NEWS * self._count:
            return False
        self._news = 0.0
        self._estimate()
        mean, sigma = self._told
        if (
            abs(self.mean - mean) < _SIGNIFICANT * sigma
            and abs(self.sigma - sigma) < _SIGNIFICANT * sigma
        ):
            return False
        self._told = self.mean, self.sigma
        return True

    def _estimate(self) -> None:
        """Fit mean and deviation by expectation-maximisation.

        Songs that are still waiting are right-censored: each counts with what is expected of it,
        given that it takes longer than it has so far.
        """
        waiting = [
            (math.log((place + 0.5) * self._bin), songs) for place, songs in self._waiting.items()
        ]
        for _ in range(_ROUNDS):
            count, total, squares = self._count, self._sum, self._squares
            for low, songs in waiting:
                value, square = self._expected(low, math.inf)
                count += songs
                total += songs * value
                squares += songs * square
            self.mean = total / count
            self.sigma = math.sqrt(max(squares / count - self.mean**2, _MIN_SIGMA**2))

    def _expected(self, low: float, high: float) -> tuple[float, float]:
        """Return the mean of the logarithm and of its square, given that it lies between these."""
        a, b = (low - self.mean) / self.sigma, (high - self.mean) / self.sigma
        share = _STANDARD.cdf(b) - _STANDARD.cdf(a)
        if share < _MIN_SHARE:  # nothing was expected there
            value = low if math.isinf(high) else (low + high) / 2
            return value, value**2
        at_a, at_b = _STANDARD.pdf(a), _STANDARD.pdf(b)
        first = (at_a - at_b) / share
        second = 1 + (a * at_a - (0.0 if math.isinf(b) else b * at_b)) / share
        value = self.mean + self.sigma * first
        return value, self.mean * (2 * value - self.mean) + self.sigma**2 * second


def _logarithms(after: float, by: float) -> tuple[float, float]:
    return math.log(max(after, 1e-3)), math.log(max(by, 1e-3))
