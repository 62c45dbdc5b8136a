"""The best ages at which to look at a song, if it is known how likely each event is at each age.

A look costs its price, and each event costs the seconds until a look shows it. This is dynamic
programming: from the last age backwards, for each stage in which a song may have been seen, the
next look is put where its cost and the costs of all later looks have the least sum. Pure
arithmetic, no clock, no I/O.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import inf, sqrt

import attrs

_MOST_AGES = 400


def grid(*, step: float, growth: float, until: float) -> list[float]:
    """Return ages from 0 on: `step` apart, or the share `growth` of the age if that is more."""
    ages = [0.0]
    while ages[-1] < until and len(ages) < _MOST_AGES:
        ages.append(ages[-1] + max(step, growth * ages[-1]))
    return ages


@attrs.frozen(kw_only=True)
class Chances:
    """What may happen to a song between one age of a grid and the next."""

    ages: Sequence[float]
    moves: Sequence[Sequence[float]]
    """For each stage, at each age: the chance that it comes to the next stage. After the last
    stage it is over."""
    fails: Sequence[float]
    """The chance that it fails, and so is over at once, in the first stage."""


@lru_cache(maxsize=32)  # clients that have learned nothing yet all ask for the same few
def next_looks(chances: Chances, *, price: float, min_interval: float) -> Sequence[Sequence[float]]:
    """Return, for each stage and each age of the grid, the age of the best next look.

    There are no looks after the end of the grid, so the results for its last ages cannot be used.
    """
    if len(chances.moves) == 1:
        return [_looks_for_the_end(chances, price, min_interval)]
    return Planner(chances, price, min_interval).plan()


def _looks_for_the_end(chances: Chances, price: float, min_interval: float) -> list[float]:
    """Return the best next looks where only the end matters.

    The same result as `Planner`, computed faster. Nearly all tables are of this kind, and here the
    sums have a short form. With Q the share of songs that are left at an age, and R its integral
    from there to the end of the grid, a look at b after one at a is late by
    (b - a) - (R(a) - R(b)) / Q(a), as the mean of all songs.
    """
    ages, last = chances.ages, len(chances.ages) - 1
    left, integral = _left(chances)
    beyond = [ages[0], *(now + (now - before) / 2 for before, now in pairwise(ages))]
    looks, to_pay = [ages[-1]] * len(ages), [0.0] * len(ages)
    for place in reversed(range(last)):
        age, share = ages[place], left[place]
        soonest = max(place + 1, bisect_left(beyond, age + min_interval))
        best, best_at = inf, last
        for at in range(soonest, last + 1):
            cost = price + ages[at] - age - (integral[place] - integral[at]) / share
            if cost >= best:
                break  # any later look costs even more
            cost += to_pay[at] / share
            if cost < best:
                best, best_at = cost, at
        looks[place] = ages[best_at]
        if best < inf:
            to_pay[place] = best * share
            if best_at == soonest:
                unseen = 1 - left[soonest] / share
                looks[place] = _within(age, ages[soonest], unseen, price, min_interval)
    return looks


def _left(chances: Chances) -> tuple[list[float], list[float]]:
    """Return the share of songs that are left at each age, and its integral from there on."""
    left = [1.0]
    for ending, failing in zip(chances.moves[0], chances.fails, strict=True):
        left.append(left[-1] * (1 - ending - failing))
    integral = [0.0]
    for (then, later), (some, fewer) in zip(
        reversed([*pairwise(chances.ages)]), reversed([*pairwise(left)]), strict=True
    ):
        integral.append(integral[-1] + (later - then) * (some + fewer) / 2)
    return left, integral[::-1]


def _within(age: float, soonest: float, unseen: float, price: float, min_interval: float) -> float:
    """Return the next look within one step of the grid, in which events are spread evenly."""
    span = soonest - age
    gap = sqrt(2 * price * span / unseen) if unseen > 0 else span
    return max(age + min_interval, age + min(gap, span))


@attrs.define
class Planner:
    """The tables while they are filled, from the last age backwards."""

    _chances: Chances
    _price: float
    _min_interval: float
    _costs: list[list[float]] = attrs.field(init=False)
    """What is still to be paid, for each stage at each age."""

    def plan(self) -> list[list[float]]:
        ages, stages = self._chances.ages, range(len(self._chances.moves))
        self._costs = [[0.0] * len(ages) for _ in stages]
        looks = [[ages[-1]] * len(ages) for _ in stages]
        for place in reversed(range(len(ages) - 1)):
            for stage in stages:
                cost, at = self._best(stage, place)
                self._costs[stage][place], looks[stage][place] = cost, at
        return looks

    def _best(self, stage: int, place: int) -> tuple[float, float]:
        """Return the least cost of a song seen in this stage at this age, and the next look.

        Most of the time for a table is spent here, so values are looked up before the loop.
        """
        ages, price, fails = self._chances.ages, self._price, self._chances.fails
        ahead = list(zip(self._chances.moves, self._costs, strict=True))[stage:]
        shares = [1.0, *[0.0] * (len(ahead) - 1)]  # of these songs, by the stage that they are in
        unseen = late = 0.0  # events, and the seconds until a look shows them
        earliest = ages[place] + self._min_interval
        best, best_at = inf, ages[-1]
        for at in range(place, len(ages) - 1):
            happened = 0.0 if stage else shares[0] * fails[at]
            arriving, going_on = -happened, 0.0
            for then, (moves, costs) in enumerate(ahead):
                leaving = shares[then] * moves[at]
                shares[then] += arriving - leaving
                arriving = leaving
                happened += leaving
                going_on += shares[then] * costs[at + 1]
            step = ages[at + 1] - ages[at]
            late += step * (unseen + happened / 2)
            unseen += happened
            if ages[at + 1] + step / 2 < earliest:
                continue  # too soon, by more than half a step
            if price + late >= best:
                break  # any later look costs even more
            if price + late + going_on < best:
                soonest = best == inf
                best, best_at = price + late + going_on, ages[at + 1]
                if soonest:
                    best_at = _within(ages[place], best_at, unseen, price, self._min_interval)
        return (best if best < inf else 0.0), best_at


def chances_of(
    ages: Sequence[float], survivals: Sequence[Sequence[float]], *, failing: Sequence[float]
) -> Chances:
    """Return the chances of a song.

    `survivals` has, for each stage, the share of songs that have not reached it at each age;
    `failing` has the share of all songs that will fail after it.
    """
    going = 1 - failing[0]
    moves = [[_lost(now, then) for now, then in pairwise(stage)] for stage in survivals]
    fails = [0.0] * len(moves[0])
    for at, ((now, then), (bad, still_bad)) in enumerate(
        zip(pairwise(survivals[0]), pairwise(failing), strict=True)
    ):
        left = going * now + bad
        if left > 0:
            fails[at] = (bad - still_bad) / left
            moves[0][at] = going * (now - then) / left
    return Chances(ages=tuple(ages), moves=tuple(map(tuple, moves)), fails=tuple(fails))


def _lost(now: float, then: float) -> float:
    return 1 - then / now if now > 0 else 1.0


def at_age(ages: Sequence[float], values: Sequence[float], age: float) -> float:
    """Return the value at this age, by linear interpolation between the ages of the grid."""
    place = max(bisect_right(ages, age) - 1, 0)
    if place == len(ages) - 1:
        return values[place]
    share = (age - ages[place]) / (ages[place + 1] - ages[place])
    return values[place] + share * (values[place + 1] - values[place])
