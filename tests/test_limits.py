"""Pure arithmetic of restraint."""

import math
import random
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async._errors import InvalidRequest
from udio_async._limits import Gcra, backoff, parse_retry_after

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("2s", 2.0),
        ("1500ms", 1.5),
        ("250 ms", 0.25),
        ("86400", 600.0),
        ("9" * 5000, 600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 90), 90.0),
        (formatdate(NOW + 90_000, usegmt=True), 600.0),
        (formatdate(NOW, usegmt=True), 0.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e400", None),
        ("soon", None),
        ("5, 10", None),
        ("٣", None),
        (formatdate(NOW - 1, usegmt=True), None),
        ("Fri, 31 Dec 100000 23:59:59 GMT", None),
        ("Fri, 99 Dec 2026 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 600.0),
        ("\0", None),
    ],
)
def test_retry_after_is_bounded_or_nothing(value: str | None, wait: float | None) -> None:
    """Every way to write a wait is understood, and nonsense is no wait."""
    assert parse_retry_after(value, now=NOW) == (None if wait is None else pytest.approx(wait))


def test_a_wrong_weekday_is_forgiven() -> None:
    """A date is judged by its day and time; servers get the name of the day wrong."""
    right = formatdate(NOW + 30, usegmt=True)
    assert parse_retry_after("Xxx" + right[3:], now=NOW) in (None, pytest.approx(30.0))
    wrong = ("Mon" if right[:3] != "Mon" else "Tue") + right[3:]
    assert parse_retry_after(wrong, now=NOW) == pytest.approx(30.0)


@given(st.text())
def test_no_retry_after_raises_or_leaves_the_bounds(value: str) -> None:
    """Whatever a server sends, the wait is None or from 0 to 600 seconds."""
    wait = parse_retry_after(value, now=NOW)
    assert wait is None or 0 <= wait <= 600


@given(st.integers(0, 10**6), st.floats(0, 1))
def test_backoff_stays_below_its_cap(attempt: int, luck: float) -> None:
    """Full jitter: from 0 to the doubled base, never above the cap, for any attempt."""
    wait = backoff(attempt, base=0.5, cap=30.0, random=lambda: luck)
    assert 0 <= wait <= min(30.0, 0.5 * 2.0 ** min(attempt, 100))


def test_backoff_spreads_clients_that_failed_together() -> None:
    """A thousand clients come back over the whole span, not at once."""
    luck = random.Random(1)
    waits = [backoff(3, base=1.0, cap=60.0, random=luck.random) for _ in range(1000)]
    for tenth in range(10):
        share = sum(tenth * 0.8 <= wait < (tenth + 1) * 0.8 for wait in waits)
        assert 60 <= share <= 140


@given(
    st.floats(0.1, 200),
    st.integers(1, 20),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=60),
)
def test_no_second_holds_more_than_rate_and_burst(
    rate: float, burst: int, gaps: list[float]
) -> None:
    """Whenever the slots are asked for, no window of one second exceeds the limit."""
    limit = Gcra(rate, burst)
    now, slots = 0.0, []
    for gap in gaps:
        now += gap
        slots.append(now + limit.reserve(now))
    assert slots == sorted(slots)
    for start in slots:
        assert sum(start <= slot < start + 1 - 1e-6 for slot in slots) <= rate + burst


def test_an_unused_limit_delays_nobody() -> None:
    """Whoever asks slower than the rate never waits."""
    limit = Gcra(10)
    assert [limit.reserve(now * 0.2) for now in range(50)] == [0.0] * 50


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_an_impossible_rate_is_refused(rate: float) -> None:
    """A rate that would divide by zero or wait for ever is named and refused."""
    with pytest.raises(InvalidRequest, match="above 0"):
        Gcra(rate)


def test_an_impossible_burst_is_refused() -> None:
    """A burst below one would never hand out a slot."""
    with pytest.raises(InvalidRequest, match="1 or more"):
        Gcra(1, 0)
