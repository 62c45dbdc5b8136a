"""When to look next at a song that is being made. Pure arithmetic, no clock, no I/O.

A look costs as much as some seconds of waiting; an event that is noticed late costs the seconds
until then. The events of a song: it fails early, because its words are refused; or it is complete,
after a text and a first audio, which matter where somebody follows the song. How likely each event
is at each age is learned (`durations`, `failures`); from that follow the best looks (`looks`).

Until something is learned, the provider's typical time says when a song is complete; the text comes
after a quarter of it, the first audio after a half. A small share is assumed to fail early, so the
first look comes soon enough to notice that, until it is learned that songs do not.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence

import attrs

from .._records import Stage
from .durations import Durations
from .failures import EarlyFailures
from .looks import at_age, chances_of, grid, next_looks

_PASSED = {Stage.TEXT_READY: 1, Stage.FIRST_AUDIO: 2, Stage.COMPLETE: 3}
_EXPECTED = ((0.25, 0.7), (0.5, 0.7), (1.0, 0.5))
"""Assumed at first: when a song reaches text, first audio and the end, in typical times; and the
deviation of the logarithm: with 0.5, two songs in three take 0.6 to 1.6 times as long."""
_MEMORY = 30.0
"""After so many more songs have ended, what one has taught counts for a third; or after as many as
are being made, if that is more."""
_RESCALE = 500.0
"""A song's weight is e to this power at most: with 710 it is too large for a float."""

_STEP, _GROWTH = 1 / 50, 1 / 40
"""Steps between the ages in tables: in median times, or in shares of the age if that is more."""
_LATE = 2.326
"""Standard deviations above the median that one song in a hundred exceeds."""
_TABLE, _BEYOND = 4.5, 3.0
"""Standard deviations above the median: where tables end, and up to where they are used."""

_RARER = 8.0
"""Beyond that age, the wait for a look is a second longer for each so many seconds of age."""

Reached = Sequence[tuple[float, float]]
"""For text, first audio and the end, as far as a song got: the ages between which it got there."""


def passed(stage: Stage) -> int:
    """Return how many of text, first audio and the end a song at this stage has reached."""
    return _PASSED.get(stage, 0)


@attrs.frozen
class _Table:
    """When to look next, for each stage and each age of a grid."""

    _ages: Sequence[float]
    _looks: Sequence[Sequence[float]]
    _beyond: float
    """An age that hardly any song reaches."""

    def wait(self, age: float, stage: int) -> float:
        """Return the seconds until the next look; beyond the table, more the older the song is."""
        looks = self._looks[min(stage, len(self._looks) - 1)]
        known = min(age, self._beyond)
        return at_age(self._ages, looks, known) - known + (age - known) / _RARER


class Schedule:
    """Learns how long songs take, stage by stage, and says when to look.

    For each song `begin` is called first, `saw` after each look, and `forget` at its end.
    """

    def __init__(
        self,
        *,
        typical: float,
        look_cost: float,
        follow_cost: float | None = None,
        min_interval: float,
    ) -> None:
        self._moment = 0.0
        self._active = 0
        self.restart(
            typical=typical,
            look_cost=look_cost,
            follow_cost=follow_cost,
            min_interval=min_interval,
        )

    def restart(
        self,
        *,
        typical: float,
        look_cost: float,
        follow_cost: float | None = None,
        min_interval: float,
    ) -> None:
        """Forget what was learned, because songs take a very different time.

        `follow_cost` is the price of a look at a song that somebody follows; without it, the price
        is `look_cost` as well.
        """
        self._look_cost = look_cost
        self._follow_cost = look_cost if follow_cost is None else follow_cost
        self._min_interval = min_interval
        self._first = self._moment
        width = typical / 30
        self._stages = [
            Durations(share * typical, sigma, bin_width=width) for share, sigma in _EXPECTED
        ]
        self._failures = EarlyFailures(typical, bin_width=width)
        self._learned: Sequence[Durations | EarlyFailures] = (*self._stages, self._failures)
        self._tables: dict[tuple[bool, bool, float], _Table] = {}

    # Learning

    def begin(self) -> float:
        """Return the moment at which a new song begins; the other methods know the song by it.

        The song counts for less with each song that ends from now on. When it ends itself does not
        matter: of songs that begin together the short ones end first, and must not count for less.
        """
        self._active += 1
        if self._moment - self._first > _RESCALE:
            for learned in self._learned:
                learned.scale(math.exp(self._first - self._moment))
            self._first = self._moment
        return self._moment

    def _end_one(self) -> None:
        self._moment += 1 / max(self._active, _MEMORY)
        self._active -= 1

    def _weight(self, song: float) -> float:
        return math.exp(song - self._first)

    def saw(
        self,
        song: float,
        reached: Reached,
        before: float,
        age: float,
        stages: int,
        *,
        failed: bool = False,
        by: float | None = None,
    ) -> Reached:
        """Learn from a look at a song, which had `reached` this at the age `before`.

        At this `age` it has passed so many `stages`, or has `failed`. If a callback has told of the
        end, it did so `by` that age. Returns what the song has reached by now.
        """
        weight = self._weight(song)
        news = [(before, age)] * (stages - len(reached))
        if news and by is not None:
            news[-1] = by, by
        for place, times in enumerate(self._stages[len(reached) :]):
            times.remove_censored(before, weight)
            if place < len(news):
                times.learn(*news[place], weight)
            else:
                times.add_censored(age, weight)
        if not reached:
            self._failures.saw(before, math.inf if news else age, weight, failed=failed)
        return (*reached, *news)

    def forget(self, song: float, reached: Reached, age: float) -> None:
        """Stop counting a song that is over, or given up, and was last seen at this age.

        One that was last seen at 0 was never seen.
        """
        for times in self._stages[len(reached) :]:
            times.remove_censored(age, self._weight(song))
        self._end_one()

    def remember(self, reached: Reached, failed: tuple[float, float] | None = None) -> None:
        """Learn from a song of an earlier run."""
        weight = self._weight(self.begin())
        for times, (after, by) in zip(self._stages, reached, strict=False):
            times.learn(after, by, weight)
        after, by = (0.0, math.inf) if reached or failed is None else failed
        self._failures.saw(after, by, weight, failed=not reached)
        self._end_one()

    def expected(self, after: float, by: float) -> float:
        """Return the age at which a song that was complete between these probably was."""
        return self._stages[-1].expected(after, by)

    # Looking

    def wait(
        self,
        age: float,
        *,
        stages_passed: int = 0,
        follows: bool = False,
        may_fail: bool = True,
        together: int = 1,
    ) -> float:
        """Return how many seconds to wait before looking at a song of this age again.

        Somebody `follows` each of its stages, or waits only for the end.
        `may_fail` is false for a song that cannot fail early, or whose callbacks would tell.

        A look that asks about several songs costs more than a look at one, but less for each of
        them: with 16 `together`, each costs an eleventh, which is 16 to the power -7/8.
        """
        self._drop_stale_tables()
        price = self._follow_cost if follows else self._look_cost
        price *= 2 ** (-7 / 8 * (together.bit_length() - 1))  # one table for each power of two
        key = follows, may_fail, price
        table = self._tables.get(key)
        if table is None:
            table = self._make_table(follows=follows, may_fail=may_fail, price=price)
            self._tables[key] = table
        return max(table.wait(age, stages_passed), self._min_interval)

    def late(self) -> float:
        """Return the age in seconds that only one song in a hundred reaches."""
        self._drop_stale_tables()
        return self._stages[-1].quantile(_LATE)

    def _drop_stale_tables(self) -> None:
        *stages, end, failures = [learned.has_moved() for learned in self._learned]
        if end or failures:
            self._tables.clear()
        elif any(stages):  # which matter only where somebody follows
            self._tables = {key: table for key, table in self._tables.items() if not key[0]}

    def _make_table(self, *, follows: bool, may_fail: bool, price: float) -> _Table:
        stages = self._stages if follows else self._stages[-1:]
        end = self._stages[-1]
        step = max(self._min_interval / 4, _STEP * end.median)
        ages = grid(step=step, growth=_GROWTH, until=end.quantile(_TABLE))
        chances = chances_of(
            ages,
            [[times.survival(age) for age in ages] for times in stages],
            failing=self._failures.surviving(ages) if may_fail else [0.0] * len(ages),
        )
        first, *later = next_looks(chances, price=price, min_interval=self._min_interval)
        first_look = self._failures.first_look if may_fail else 0.0
        early = bisect_left(ages, first_look / 2)
        first = [*(min(at, first_look) for at in first[:early]), *first[early:]]
        return _Table(ages, (first, *later), end.quantile(_BEYOND))
