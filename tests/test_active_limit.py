"""How many songs at once: what each refusal and each acceptance says about it."""

import math

import pytest

from udio_async._submit.limit import ActiveLimit


def refused_at(running: int, *, on_wire: int = 1, now: float = 100.0) -> ActiveLimit:
    limit = ActiveLimit()
    limit.refused(running, on_wire, now, probe=False)
    return limit


def test_nothing_is_known_at_first() -> None:
    """Any number may be sent; a batch has twenty in the making, and one more for each accepted."""
    limit = ActiveLimit()
    assert limit.admits(10_000, now=0.0)
    assert limit.next_try == math.inf
    assert limit.at_once == 20
    for _ in range(3):
        limit.accepts(probe=False)
    assert limit.at_once == 23
    assert limit.limit == math.inf


def test_a_refusal_sets_the_limit_at_what_was_being_made() -> None:
    """Three seconds later one more may try whether it was about speed, and one alone."""
    limit = refused_at(5)
    assert (limit.limit, limit.at_once, limit.next_try) == (5, 5, 103.0)
    assert limit.admits(4, now=100.0)
    assert not limit.admits(5, now=102.9)
    assert limit.admits(5, now=103.0)
    limit.probing = True
    assert not limit.admits(5, now=103.0)
    assert limit.admits(4, now=103.0)
    assert limit.next_try == math.inf


def test_it_was_about_speed() -> None:
    """One more was accepted after the wait: there is no limit known any more."""
    limit = refused_at(5)
    limit.accepts(probe=True)
    assert limit.limit == math.inf
    limit.accepts(probe=False)
    assert limit.admits(1_000, now=0.0)


def test_it_was_about_the_number() -> None:
    """Refused again: then one more is tried after forty songs, then after eighty, and so on."""
    limit = refused_at(5)
    limit.refused(5, 1, 103.0, probe=True)
    assert limit.next_try == math.inf
    assert limit.limit == 5
    for trust in (40, 80, 160, 320, 640, 640):
        for _ in range(trust - 1):
            limit.accepts(probe=False)
        assert not limit.admits(5, now=1e9), trust
        limit.accepts(probe=False)
        assert limit.admits(5, now=1e9), trust
        assert limit.limit == 5  # six were refused
        limit.refused(5, 1, 1e9, probe=True)


def test_there_is_more_room_than_there_was() -> None:
    """One beyond the limit was accepted, as it was tried for the number: the limit grows freely."""
    limit = refused_at(5)
    limit.refused(5, 1, 103.0, probe=True)
    limit.accepts(probe=True)
    assert limit.limit == 6
    assert not limit.admits(6, now=1e9)
    limit.accepts(probe=False)
    assert limit.limit == 6.5
    for _ in range(19):  # trust is back at twenty
        assert not limit.admits(100, now=1e9)
        limit.accepts(probe=False)
    assert limit.admits(100, now=1e9)


def test_it_grows_up_to_what_was_refused() -> None:
    """By half a song for each that is accepted, up to one below the number that was too many."""
    limit = refused_at(5, on_wire=4)
    grown = []
    for _ in range(8):
        limit.accepts(probe=False)
        grown.append(limit.limit)
    assert grown == [5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.0, 8.0]


def test_the_lowest_refusal_counts() -> None:
    """What was refused with few on the wire is not forgotten for one with many."""
    limit = refused_at(5)
    limit.refused(5, 9, 101.0, probe=False)
    for _ in range(9):
        limit.accepts(probe=False)
    assert limit.limit == 5


@pytest.mark.parametrize(("running", "limits"), [(40, [40, 29, 14, 6]), (1, [1, 1, 1])])
def test_refusals_in_a_row_shrink_it_ever_faster(running: int, limits: list[int]) -> None:
    """Never below one. The wait until one more is tried doubles."""
    limit, now, delay = ActiveLimit(), 0.0, 3.0
    for number, expected in enumerate(limits):
        limit.refused(running, 1, now, probe=False)
        assert limit.limit == expected
        if not number or running > 1:
            assert limit.next_try == now + delay
            delay *= 2
        running = max(1, expected - 1) if running > 1 else 0
        now += 1_000.0


def test_one_accepted_ends_the_row() -> None:
    """Then the next refusal counts as the first."""
    limit = refused_at(40)
    limit.accepts(probe=False)
    limit.refused(30, 1, 200.0, probe=False)
    assert limit.limit == 30


def test_a_refusal_at_the_limit_is_no_news() -> None:
    """It came from those that were on the wire already."""
    limit = refused_at(5)
    limit.refused(5, 3, 100.5, probe=False)
    limit.refused(6, 2, 100.6, probe=False)
    assert (limit.limit, limit.next_try) == (5, 103.0)


def test_a_refusal_counts_trust_anew() -> None:
    """What was accepted before it proves nothing."""
    limit = ActiveLimit()
    for _ in range(25):
        limit.accepts(probe=False)
    limit.refused(5, 1, 100.0, probe=False)
    assert not limit.admits(5, now=100.0)


def test_an_earlier_run_is_believed() -> None:
    """Its number is the limit, and one more was too many."""
    limit = ActiveLimit.remembered(7)
    limit.accepts(probe=False)
    assert limit.limit == 7
    assert limit.admits(6, now=0.0)
    assert not limit.admits(7, now=1e9)
