"""Songs whose times are drawn from a known distribution, and the best way of looking at them.

Three kinds. "end": only the end matters, a log-normal time. "failing": the same, and one song in
twenty fails after about 3 s instead. "followed": a text, a first audio and the end matter, each
with a log-normal time, given that it is later than the one before.

The optimum is found by dynamic programming over a fine grid of ages, for whoever knows the
distribution, with the same minimum interval. It shares no code with the library's schedule.
"""

import bisect
import math
import random
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Literal

import attrs

MEDIAN = 60.0
MIN_INTERVAL = 5.0
STAGES = (MEDIAN / 4, MEDIAN / 2, MEDIAN)
"""Medians of the text, the first audio and the end of a followed song."""
FAIL_SHARE, FAIL_MEDIAN, FAIL_SIGMA = 0.05, 3.0, 0.5
NORMAL = NormalDist()

Kind = Literal["end", "failing", "followed"]
KINDS: tuple[Kind, ...] = ("end", "failing", "followed")
Policy = Callable[[int, float], float]
"""Says the age of the next look at a song of which so many moments are known, at this age."""


@attrs.frozen
class Life:
    """What happens to one song."""

    moments: tuple[float, ...]
    """The ages at which something happens that matters; the last one is its end."""
    fails: bool = False


def draw(kind: Kind, sigma: float, source: random.Random) -> Life:
    """Make up a song."""
    if kind == "failing" and source.random() < FAIL_SHARE:
        return Life((FAIL_MEDIAN * math.exp(FAIL_SIGMA * source.gauss(0, 1)),), fails=True)
    if kind != "followed":
        return Life((MEDIAN * math.exp(sigma * source.gauss(0, 1)),))
    moments, age = [], 0.0
    for median in STAGES:
        left = _survival(age, median, sigma) * (1 - source.random())  # of those that are later
        age = max(age, median * math.exp(sigma * NORMAL.inv_cdf(1 - min(left, 1 - 1e-15))))
        moments.append(age)
    return Life(tuple(moments))


def _survival(age: float, median: float, sigma: float) -> float:
    return NORMAL.cdf(-math.log(age / median) / sigma) if age > 0 else 1.0


def optimum(kind: Kind, sigma: float, look_cost: float, *, step: float = 0.5) -> Policy:
    """Return the way of looking that costs least."""
    if kind == "followed":
        return _best_for_stages(sigma, look_cost, step=max(step, 1.0))
    return at_ages(best_ages(kind, sigma, look_cost, step=step))


def at_ages(ages: Iterator[float]) -> Policy:
    """Look at these ages, whatever is seen."""
    table: list[float] = []

    def next_look(_known: int, age: float) -> float:
        while not table or table[-1] <= age:
            table.append(next(ages))
        return table[bisect.bisect_right(table, age)]

    return next_look


def best_ages(kind: Kind, sigma: float, look_cost: float, *, step: float = 0.5) -> Iterator[float]:
    """Iterate over the best ages to look at, where only the end matters.

    `value[i]` is the least cost still to come, weighted with the chance that a song is not yet
    over at the i-th grid point: the next look at j costs one look for all of these, and the lag of
    those that end in between.
    """
    ages = [i * step for i in range(int(MEDIAN * math.exp(4.8 * sigma) / step) + 2)]
    share, mean = zip(*(_moments(kind, age, sigma) for age in ages), strict=True)
    value, after = [0.0] * len(ages), [len(ages)] * len(ages)
    nearest, farthest = math.ceil(MIN_INTERVAL / step), int(160 / step)
    for i in reversed(range(len(ages))):
        choices = (
            (
                look_cost * (1 - share[i])
                + ages[j] * (share[j] - share[i])
                - (mean[j] - mean[i])
                + value[j],
                j,
            )
            for j in range(i + nearest, min(i + farthest, len(ages)))
        )
        value[i], after[i] = min(choices, default=(0.0, len(ages)))
    i = 0
    while (i := after[i]) < len(ages):
        yield ages[i]
    yield from (ages[-1] + 10.0 * further for further in range(1, 10_000))


def _moments(kind: Kind, age: float, sigma: float) -> tuple[float, float]:
    """The share of songs over by this age, and their part of the mean time."""
    share, mean = _log_normal(age, MEDIAN, sigma)
    if kind == "end":
        return share, mean
    failed, failed_mean = _log_normal(age, FAIL_MEDIAN, FAIL_SIGMA)
    return (
        FAIL_SHARE * failed + (1 - FAIL_SHARE) * share,
        FAIL_SHARE * failed_mean + (1 - FAIL_SHARE) * mean,
    )


def _log_normal(age: float, median: float, sigma: float) -> tuple[float, float]:
    if age <= 0:
        return 0.0, 0.0
    z = math.log(age / median) / sigma
    return NORMAL.cdf(z), median * math.exp(sigma**2 / 2) * NORMAL.cdf(z - sigma)


def _best_for_stages(sigma: float, look_cost: float, *, step: float) -> Policy:
    """Return the best way of looking at songs with three moments.

    What is known of a song is its stage at the look before: how long it has been there already
    says nothing, as the chance to move on depends on its age alone.
    """
    size = int(MEDIAN * math.exp(4.8 * sigma) / step) + 2
    moves = [_moving(median, sigma, size, step) for median in STAGES]
    values = [[0.0] * size for _ in STAGES]
    after = [[size] * size for _ in STAGES]
    for i in reversed(range(size)):
        for known in range(len(STAGES)):
            values[known][i], after[known][i] = _best_from(
                i, known, moves, values, look_cost, step=step
            )

    def next_look(known: int, age: float) -> float:
        i = round(age / step)
        j = after[known][i] if i < size else size
        return j * step if j < size else age + 10.0

    return next_look


def _moving(median: float, sigma: float, size: int, step: float) -> list[float]:
    """The chance of one that is waited for to come in each step of the grid."""
    left = [_survival(i * step, median, sigma) for i in range(size + 1)]
    return [1 - left[i + 1] / left[i] if left[i] > 0 else 1.0 for i in range(size)]


def _best_from(
    i: int,
    known: int,
    moves: Sequence[Sequence[float]],
    values: Sequence[Sequence[float]],
    look_cost: float,
    *,
    step: float,
) -> tuple[float, int]:
    """The least cost of a song in this stage at the i-th grid point, and the next look."""
    size, nearest = len(moves[0]), math.ceil(MIN_INTERVAL / step)
    text, first, end = moves
    before, read, heard = (float(known == stage) for stage in range(3))
    unseen = lag = 0.0
    best, at = math.inf, size
    for j in range(i + 1, size):
        to_text, to_first, to_end = before * text[j - 1], read * first[j - 1], heard * end[j - 1]
        before, read, heard = before - to_text, read + to_text - to_first, heard + to_first - to_end
        news = to_text + to_first + to_end
        lag += step * (unseen + news / 2)
        unseen += news
        if look_cost + lag >= best:
            break
        rest = before * values[0][j] + read * values[1][j] + heard * values[2][j]
        if j - i >= nearest and look_cost + lag + rest < best:
            best, at = look_cost + lag + rest, j
    return (0.0, size) if at == size else (best, at)
