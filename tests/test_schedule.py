"""When to look next: pure arithmetic, judged against the best that is possible."""

import math
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.polling import (
    LOOK_COSTS,
    MEDIAN,
    MIN_INTERVAL,
    SIGMAS,
    best_ages,
    evaluate,
    fixed,
    scheduled,
    song_time,
)
from udio_async import InvalidRequest, PollPolicy
from udio_async._polling.schedule import Schedule

SECONDS = st.floats(min_value=0.01, max_value=1e5)
FIELDS = ("look_cost", "min_interval", "deadline")


def learned(durations: Sequence[float], *, typical: float = MEDIAN, cost: float = 0.8) -> Schedule:
    schedule = Schedule(typical=typical, look_cost=cost, min_interval=MIN_INTERVAL)
    for duration in durations:
        schedule.learn(duration, duration)
    return schedule


def drawn(sigma: float, number: int, *, seed: int) -> list[float]:
    source = random.Random(seed)
    return [song_time(sigma, source) for _ in range(number)]


@given(
    typical=SECONDS,
    look_cost=SECONDS,
    min_interval=SECONDS,
    history=st.lists(st.floats(min_value=0, max_value=1e7), max_size=30),
    age=st.floats(min_value=0, max_value=1e9),
)
def test_a_wait_is_finite_and_never_below_the_minimum(
    typical: float, look_cost: float, min_interval: float, history: list[float], age: float
) -> None:
    """Whatever was learned, however old the song."""
    schedule = Schedule(typical=typical, look_cost=look_cost, min_interval=min_interval)
    for duration in history:
        schedule.learn(duration, duration)
    assert min_interval <= schedule.wait(age) < math.inf


@pytest.mark.parametrize("sigma", SIGMAS)
def test_a_song_later_than_anything_seen_is_looked_at_ever_more_rarely(sigma: float) -> None:
    """From twice the longest song on, each wait is longer than the one before."""
    songs = drawn(sigma, 200, seed=1)
    schedule = learned(songs)
    waits, age = [], 2 * max(songs)
    while age < 1e6:
        waits.append(schedule.wait(age))
        age += waits[-1]
    assert len(waits) > 10
    # A table of 400 steps is followed by a straight line: neighbours may differ by its rounding.
    assert all(later > 0.97 * earlier for earlier, later in pairwise(waits))
    assert waits[-1] > 100 * waits[0]


@pytest.mark.parametrize("real", [15.0, 240.0])
def test_learning_moves_the_first_look_towards_the_real_median(real: float) -> None:
    """The prior is wrong by a factor of four; more songs mend more of it."""
    source = random.Random(2)
    songs = [real * math.exp(0.2 * source.gauss(0, 1)) for _ in range(300)]
    aim = learned(songs, typical=real).wait(0.0)
    errors = [abs(learned(songs[:seen]).wait(0.0) - aim) for seen in (0, 30, 300)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.15 * aim < errors[0]


@pytest.mark.parametrize("counts_the_waiting", [True, False])
def test_the_songs_that_still_wait_are_learned_from(counts_the_waiting: bool) -> None:
    """Of 1,000 songs that start together only the short half is complete after the median.

    Alone, the control, they teach that songs are short.
    """
    songs = drawn(0.4, 1_000, seed=5)
    schedule = Schedule(typical=MEDIAN, look_cost=0.8, min_interval=MIN_INTERVAL)
    for song in songs:
        if song <= MEDIAN:
            schedule.learn(song, song)
        elif counts_the_waiting:
            schedule.seen(0.0, MEDIAN / 2)
            schedule.seen(MEDIAN / 2, MEDIAN)
    aim = learned(songs).wait(0.0)
    error = abs(schedule.wait(0.0) - aim)
    assert (error < 0.05 * aim) is counts_the_waiting


def test_a_song_found_by_a_first_late_look_is_not_taken_for_half_as_long() -> None:
    """All that the look at 90 s says is "at most 90 s"; most songs take about 60."""
    schedule = learned(drawn(0.2, 500, seed=6))
    schedule.wait(0.0)  # makes its estimate
    assert 55 < schedule.learn(0.0, 90.0) < 65
    assert schedule.learn(90.0, 91.0) == pytest.approx(90.5, abs=0.6)
    assert schedule.learn(9e4, 9.1e4) == pytest.approx(9.05e4, rel=0.01)


def test_forgotten_songs_teach_nothing() -> None:
    """A song that failed, or was given up, counts no more."""
    schedule, plain = learned([]), learned([])
    for each in (schedule, plain):
        for song in drawn(0.2, 100, seed=8):
            each.learn(song, song)
    schedule.seen(0.0, 500.0)
    schedule.seen(500.0, 900.0)
    schedule.forget(900.0)
    schedule.forget(0.0)
    assert schedule.wait(0.0) == plain.wait(0.0)


def test_a_dearer_look_is_made_more_rarely() -> None:
    """The price of a look is what the caller sets, and it shows."""
    songs = drawn(0.4, 500, seed=3)
    looks = [evaluate(scheduled(learned(songs, cost=cost)), songs).looks for cost in LOOK_COSTS]
    assert looks == sorted(looks, reverse=True)
    assert looks[0] > 1.5 * looks[-1]


SONGS = {sigma: drawn(sigma, 3_000, seed=7) for sigma in SIGMAS}


def cost_of(ages: Iterator[float], sigma: float, look_cost: float) -> float:
    return evaluate(ages, SONGS[sigma]).cost(look_cost)


@pytest.mark.parametrize("look_cost", LOOK_COSTS)
@pytest.mark.parametrize("sigma", SIGMAS)
def test_after_200_songs_the_cost_is_within_a_tenth_of_the_optimum(
    sigma: float, look_cost: float
) -> None:
    """Mean lag plus the price of the looks, beside dynamic programming that knows the truth."""
    best = cost_of(best_ages(sigma, look_cost), sigma, look_cost)
    histories = [drawn(sigma, 200, seed=100 + seed) for seed in range(5)]
    ours = fmean(
        cost_of(scheduled(learned(h, typical=0.8 * MEDIAN, cost=look_cost)), sigma, look_cost)
        for h in histories
    )
    assert ours < 1.1 * best


def test_a_fixed_interval_is_not_within_a_tenth_of_the_optimum() -> None:
    """A control: the comparison can tell a good schedule from a common one."""
    best = cost_of(best_ages(0.4, 0.8), 0.4, 0.8)
    assert cost_of(fixed(10.0), 0.4, 0.8) > 1.2 * best


@pytest.mark.parametrize("name", FIELDS)
def test_a_bad_policy_is_refused_with_name_value_and_remedy(name: str) -> None:
    """Whoever reads it knows what to change to what."""
    values: list[Any] = [0, -1, -0.5, math.nan, math.inf, "5", [5], True]
    for value in values:
        with pytest.raises(InvalidRequest, match="give seconds above 0") as caught:
            PollPolicy(**{name: value})
        assert name in str(caught.value)
        assert repr(value) in str(caught.value)


def test_a_deadline_cannot_be_left_open() -> None:
    """None means the provider's advice for the other two; a song needs an end."""
    assert PollPolicy(look_cost=None, min_interval=None).deadline == 1800
    with pytest.raises(InvalidRequest, match="deadline is None"):
        PollPolicy(deadline=None)  # type: ignore[arg-type]  # what a caller may try


@pytest.mark.parametrize("name", FIELDS)
def test_a_good_policy_is_kept(name: str) -> None:
    """Whole numbers and fractions alike."""
    for value in (1, 0.25):
        assert getattr(PollPolicy(**{name: value}), name) == value
