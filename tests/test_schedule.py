"""When to look next: pure arithmetic, judged against the best that is possible."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.oracle import (
    FAIL_MEDIAN,
    MEDIAN,
    MIN_INTERVAL,
    Kind,
    Life,
    Policy,
    at_ages,
    draw,
    optimum,
)
from benchmarks.polling import LOOK_COSTS, SIGMAS, evaluate, fixed, scheduled
from udio_async import InvalidRequest, PollPolicy
from udio_async._polling.durations import Durations
from udio_async._polling.failures import EarlyFailures
from udio_async._polling.looks import Planner, chances_of, grid, next_looks
from udio_async._polling.schedule import Schedule

SECONDS = st.floats(min_value=0.01, max_value=1e5)
FIELDS = ("look_cost", "min_interval", "deadline", "interval")


def remember(schedule: Schedule, life: Life) -> None:
    """Teach it a song that was looked at all the time."""
    moments = [(moment, moment) for moment in life.moments]
    if life.fails:
        schedule.remember([], moments[0])
    else:
        unseen = [(0.0, life.moments[-1])] * (3 - len(moments))
        schedule.remember([*unseen, *moments])


def taught(lives: Sequence[Life], *, typical: float = MEDIAN, cost: float = 0.8) -> Schedule:
    schedule = Schedule(typical=typical, look_cost=cost, min_interval=MIN_INTERVAL)
    for life in lives:
        remember(schedule, life)
    return schedule


def learned(durations: Sequence[float], *, typical: float = MEDIAN, cost: float = 0.8) -> Schedule:
    return taught([Life((duration,)) for duration in durations], typical=typical, cost=cost)


def lives_of(kind: Kind, sigma: float, number: int, *, seed: int) -> list[Life]:
    source = random.Random(seed)
    return [draw(kind, sigma, source) for _ in range(number)]


def drawn(sigma: float, number: int, *, seed: int) -> list[float]:
    return [life.moments[-1] for life in lives_of("end", sigma, number, seed=seed)]


def ends(schedule: Schedule, after: float, by: float) -> None:
    """A new song that is seen at one age, and complete at the next."""
    song = schedule.begin()
    reached = schedule.saw(song, (), 0.0, after, 0)
    reached = schedule.saw(song, reached, after, by, 3)
    schedule.forget(song, reached, by)


@settings(max_examples=50, deadline=None)  # a table takes some time, the more on a busy machine
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
        remember(schedule, Life((duration,)))
    assert min_interval <= schedule.wait(age) < math.inf
    for stages in range(3):
        assert min_interval <= schedule.wait(age, stages_passed=stages, follows=True) < math.inf


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
    short: list[tuple[float, float]] = []
    for song in songs:
        if song <= MEDIAN:
            short.append((schedule.begin(), song))
        elif counts_the_waiting:
            begun = schedule.begin()
            schedule.saw(begun, (), 0.0, MEDIAN / 2, 0)
            schedule.saw(begun, (), MEDIAN / 2, MEDIAN, 0)
    for begun, song in short:
        schedule.forget(begun, schedule.saw(begun, (), song, song, 3), song)
    aim = learned(songs).wait(0.0)
    error = abs(schedule.wait(0.0) - aim)
    assert (error < 0.1 * aim) is counts_the_waiting


def test_a_song_found_by_a_first_late_look_is_not_taken_for_half_as_long() -> None:
    """All that the look at 90 s says is "at most 90 s"; most songs take about 60."""
    schedule = learned(drawn(0.2, 500, seed=6))
    schedule.wait(0.0)  # makes its estimate
    assert 55 < schedule.expected(0.0, 90.0) < 65
    assert schedule.expected(90.0, 91.0) == pytest.approx(90.5, abs=0.6)
    assert schedule.expected(9e4, 9.1e4) == pytest.approx(9.05e4, rel=0.01)


def test_forgotten_songs_teach_nothing() -> None:
    """A song that failed, or was given up, counts no more."""
    schedule, plain = learned([]), learned([])
    seen, unseen = schedule.begin(), schedule.begin()
    for each in (schedule, plain):
        for song in drawn(0.2, 100, seed=8):
            remember(each, Life((song,)))
    schedule.saw(seen, (), 0.0, 500.0, 0)
    schedule.saw(seen, (), 500.0, 900.0, 0)
    schedule.forget(seen, (), 900.0)
    schedule.forget(unseen, (), 0.0)
    for age in range(0, 300, 10):
        assert schedule.wait(age, may_fail=False) == plain.wait(age, may_fail=False)


def test_a_dearer_look_is_made_more_rarely() -> None:
    """The price of a look is what the caller sets, and it shows."""
    songs = lives_of("end", 0.4, 500, seed=3)
    looks = [evaluate(scheduled(taught(songs, cost=cost)), songs).looks for cost in LOOK_COSTS]
    assert looks == sorted(looks, reverse=True)
    assert looks[0] > 1.5 * looks[-1]


# Beside the optimum --------------------------------------------------------------------------

GOALS: dict[Kind, float] = {"end": 1.05, "failing": 1.12, "followed": 1.12}
"""The benchmark, with more songs, has less noise and lower ones."""


def cost_of(way: Policy, songs: Sequence[Life], look_cost: float) -> float:
    return evaluate(way, songs).cost(look_cost)


@pytest.mark.parametrize("kind", GOALS)
@pytest.mark.parametrize(("sigma", "look_cost"), [(0.2, 0.8), (0.4, 0.2), (0.7, 1.6)])
def test_after_200_songs_the_cost_is_near_the_optimum(
    kind: Kind, sigma: float, look_cost: float
) -> None:
    """All lags and the price of the looks, beside dynamic programming that knows the truth."""
    songs = lives_of(kind, sigma, 1_000, seed=7)
    best = cost_of(optimum(kind, sigma, look_cost, step=1.0), songs, look_cost)
    schedules = [
        taught(lives_of(kind, sigma, 200, seed=seed), typical=0.8 * MEDIAN, cost=look_cost)
        for seed in range(100, 105)
    ]
    ours = fmean(
        cost_of(scheduled(schedule, follows=kind == "followed"), songs, look_cost)
        for schedule in schedules
    )
    assert ours < GOALS[kind] * best


def test_a_fixed_interval_is_not_near_the_optimum() -> None:
    """A control: the comparison can tell a good schedule from a common one."""
    for kind in GOALS:
        songs = lives_of(kind, 0.4, 1_000, seed=7)
        best = cost_of(optimum(kind, 0.4, 0.8, step=1.0), songs, 0.8)
        assert cost_of(at_ages(fixed(10.0)), songs, 0.8) > 1.2 * best


# Stages --------------------------------------------------------------------------------------


def test_the_first_look_comes_early_until_songs_have_shown_that_they_do_not_fail() -> None:
    """It costs one look. Where others would tell of a failure, there is none of it."""
    new = learned([])
    assert MIN_INTERVAL <= new.wait(0.0) < MEDIAN / 5
    assert new.wait(0.0, may_fail=False) > MEDIAN / 4
    assert learned(drawn(0.2, 100, seed=1)).wait(0.0) > MEDIAN / 2
    failing = taught([*[Life((FAIL_MEDIAN,), fails=True)] * 10, *[Life((MEDIAN,))] * 90])
    assert failing.wait(0.0) < MEDIAN / 5


def test_a_followed_song_is_looked_at_for_each_stage() -> None:
    """About as often before its first audio as after it; one that nobody follows hardly so."""
    songs = lives_of("followed", 0.2, 200, seed=2)
    schedule = taught(songs)
    looks = {
        follows: [evaluate_until(schedule, life, 1, follows=follows) for life in songs]
        for follows in (True, False)
    }
    assert fmean(looks[True]) > 2.5
    assert fmean(looks[False]) < 1.2


def evaluate_until(schedule: Schedule, life: Life, known: int, *, follows: bool) -> int:
    """How many looks are made until the moment after this one."""
    looks, age = 0, 0.0
    while age < life.moments[known]:
        stages = sum(moment <= age for moment in life.moments)
        age += schedule.wait(age, stages_passed=stages, follows=follows)
        looks += 1
    return looks


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_what_was_learned_ages(factor: float) -> None:
    """Of a provider that has become slower, or faster, twenty songs say more than 200 before."""
    schedule = learned(drawn(0.2, 200, seed=3))
    before = schedule.expected(0.0, 1e6)
    for song in drawn(0.2, 20, seed=4):
        ends(schedule, factor * song - 5, factor * song)
    schedule.wait(0.0)
    now = schedule.expected(0.0, 1e6)
    assert abs(math.log(now / before)) > 0.4 * abs(math.log(factor))


def test_a_long_run_ends_no_learning() -> None:
    """After 40,000 songs the weight of the newest is as large as before, and finite."""
    schedule = learned([])
    for _ in range(40_000):
        schedule.forget(schedule.begin(), (), 0.0)
    for song in drawn(0.2, 100, seed=3):
        remember(schedule, Life((2 * song,)))
    schedule.wait(0.0)
    assert 1.8 * MEDIAN < schedule.expected(0.0, 1e6) < 2.2 * MEDIAN


@pytest.mark.parametrize("name", FIELDS)
def test_a_bad_policy_is_refused_with_name_value_and_remedy(name: str) -> None:
    """Whoever reads it knows what to change to what."""
    values: list[Any] = [0, -1, -0.5, math.nan, math.inf, 10**400, "5", [5], True]
    for value in values:
        with pytest.raises(InvalidRequest, match="give seconds above 0") as caught:
            PollPolicy(**{name: value})
        assert name in str(caught.value)
        assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", [*FIELDS, "follow"])
def test_a_number_that_cannot_even_be_written_is_refused(name: str) -> None:
    """Python raises a ValueError of its own for it."""
    wrong: dict[str, Any] = {name: -(10**5_000)}
    with pytest.raises(InvalidRequest, match=f"{name} is a number of thousands of digits; give"):
        PollPolicy(**wrong)


def test_an_interval_and_a_price_are_refused_together() -> None:
    """With a fixed interval no look is weighed, so one of them would be passed over."""
    with pytest.raises(InvalidRequest, match=r"interval 5 and look_cost 2; give one"):
        PollPolicy(interval=5, look_cost=2)


@pytest.mark.parametrize("value", [-1, 1.5, "5", None, True])
def test_a_bad_number_of_followed_songs_is_refused(value: Any) -> None:  # noqa: ANN401
    with pytest.raises(InvalidRequest, match="give a number of songs"):
        PollPolicy(follow=value)


def test_a_deadline_cannot_be_left_open() -> None:
    """None means the provider's advice for the other two; a song needs an end."""
    assert PollPolicy(look_cost=None, min_interval=None).deadline == 1800
    with pytest.raises(InvalidRequest, match="deadline is None"):
        PollPolicy(deadline=None)  # type: ignore[arg-type]  # what a caller may try


@pytest.mark.parametrize("name", FIELDS)
def test_a_good_policy_is_kept(name: str) -> None:
    """Whole numbers and fractions alike."""
    values: list[Any] = [1, 0.25]
    for value in values:
        assert getattr(PollPolicy(**{name: value}), name) == value


@pytest.mark.parametrize("failing", [True, False])
@pytest.mark.parametrize("price", [0.2, 5.0, 100.0])
@pytest.mark.parametrize(("typical", "sigma"), [(5.0, 0.5), (100.0, 0.02), (1500.0, 1.2)])
def test_the_short_sums_say_what_the_planner_says(
    typical: float, sigma: float, price: float, *, failing: bool
) -> None:
    """Where only the end matters, the looks are those of the planner for any number of stages."""
    times = Durations(typical, sigma, bin_width=1.0)
    failures = EarlyFailures(typical, bin_width=1.0)
    ages = grid(step=typical / 50, growth=1 / 40, until=times.quantile(4.5))
    chances = chances_of(
        ages,
        [[times.survival(age) for age in ages]],
        failing=failures.surviving(ages) if failing else [0.0] * len(ages),
    )
    for min_interval in (1.0, 5.0):
        (quick,) = next_looks(chances, price=price, min_interval=min_interval)
        (full,) = Planner(chances, price, min_interval).plan()
        assert quick == pytest.approx(full)
