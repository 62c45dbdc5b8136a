"""The gate by itself: whose turn it is, and when it is nobody's."""

import random
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from tests.kit.clocks import virtual_backend
from udio_async import (
    ClientClosed,
    RateLimited,
    SpendLimitReached,
    TooManyDoubts,
    Unreachable,
)
from udio_async._submit.gate import SubmitGate
from udio_async._submit.policy import SubmitPolicy

UNSENT = Unreachable("no route", sent=False)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(3)  # of the back-off


def gate_of(**policy: Any) -> SubmitGate:  # noqa: ANN401  # they are passed on
    return SubmitGate(SubmitPolicy(**policy))


async def waits(gate: SubmitGate, seconds: float = 1_000.0) -> bool:
    """Return whether nobody gets through in so many seconds."""
    with anyio.move_on_after(seconds) as scope:
        await gate.enter()
    return scope.cancelled_caught


async def test_a_few_are_on_the_wire_at_once() -> None:
    """The next one gets in when one leaves, whatever came of it."""
    for accepted in (True, False):
        gate = gate_of(concurrency=2)
        assert await gate.enter() is False
        assert await gate.enter() is False
        assert await waits(gate)
        gate.leave(probe=False, accepted=accepted, charged=accepted)
        assert not await waits(gate)
        assert await waits(gate)


async def test_a_limit_counts_what_is_on_the_wire() -> None:
    """One that was not charged makes room for another; one that was does not."""
    gate = gate_of(concurrency=9, max_submits=2)
    await gate.enter()
    await gate.enter()
    assert await waits(gate)
    gate.leave(probe=False, accepted=False, charged=False)
    assert not await waits(gate)
    gate.leave(probe=False, accepted=True, charged=True)
    assert await waits(gate)
    gate.leave(probe=False, accepted=False, charged=True)
    with pytest.raises(
        SpendLimitReached,
        match="limit of this run is reached: max_submits=2 is used up; give a higher",
    ):
        await gate.enter()


async def test_who_waits_for_a_limit_hears_how_it_ends() -> None:
    """At once, and not when something else moves."""
    gate = gate_of(concurrency=9, max_submits=1)
    await gate.enter()
    async with anyio.create_task_group() as tasks:

        async def refused() -> None:
            with pytest.raises(SpendLimitReached):
                await gate.enter()

        tasks.start_soon(refused)
        await anyio.sleep(1)
        gate.leave(probe=False, accepted=True, charged=True)
        with anyio.fail_after(1):
            await anyio.wait_all_tasks_blocked()


async def test_so_many_doubts_are_enough() -> None:
    """Each job counts once, until it is settled; who is refused takes no place."""
    gate = gate_of(concurrency=1, max_in_doubt=2)
    gate.count_doubt("a")
    gate.count_doubt("a")
    assert gate.was_in_doubt("a")
    assert not gate.was_in_doubt("b")
    assert not await waits(gate)
    gate.leave(probe=False, accepted=False, charged=False)
    gate.count_doubt("b")
    for _ in range(3):
        with pytest.raises(TooManyDoubts, match=r"^2 submits are in doubt"):
            await gate.enter()
    gate.count_settled("a")
    gate.count_settled("never heard of")
    assert gate.was_in_doubt("a")
    assert not await waits(gate)


async def test_a_doubt_that_is_settled_lets_those_go_on_who_wait() -> None:
    """They see it as soon as it is so."""
    gate = gate_of(max_submits=1)
    await gate.enter()
    moved = gate._moved
    gate.count_settled("a")
    assert moved.is_set()


async def test_a_wait_that_was_asked_for_is_kept() -> None:
    """By everybody, and a shorter one later takes nothing of it back."""
    gate = gate_of()
    slow = RateLimited("slow down", retry_after=50.0)
    assert gate.hold_back(slow, attempt=0, probe=False) is True
    assert gate.held_back == 50.0
    gate.hold_back(RateLimited("again", retry_after=5.0), attempt=0, probe=False)
    assert await waits(gate, 49.9)
    assert gate.held_back == pytest.approx(0.1)
    assert not await waits(gate, 0.2)
    assert gate.held_back == 0.0


@pytest.mark.parametrize(("attempt", "most"), [(0, 1.0), (1, 2.0), (4, 16.0), (9, 30.0)])
async def test_a_failure_is_followed_by_a_back_off(attempt: int, most: float) -> None:
    """From nothing up to a bound that doubles, and ends at half a minute; every try counts."""
    seen = []
    for _ in range(200):
        gate = gate_of()
        assert gate.hold_back(UNSENT, attempt=attempt, probe=False) is True
        seen.append(gate.held_back)
    assert 0 <= min(seen) < most / 10
    assert most * 0.9 < max(seen) <= most


async def test_too_many_at_once_is_no_failure() -> None:
    """Where songs of ours are being made, their number is the limit, and the try does not count."""
    gate = gate_of()
    for _ in range(3):
        gate.count_running()
    assert not gate.hold_back(RateLimited("too many"), attempt=0, probe=False)
    assert gate.found_out == 3
    assert gate.at_once() == 3 + 4


async def test_another_failure_says_nothing_about_the_number() -> None:
    """Nor does "too many" where none of ours is being made."""
    gate = gate_of()
    assert gate.hold_back(RateLimited("too many"), attempt=0, probe=False) is True
    gate.count_running()
    assert gate.hold_back(UNSENT, attempt=0, probe=False)
    assert gate.found_out is None
    assert gate.at_once() == 20 + 4


async def test_told_when_to_come_it_is_about_the_time_at_first() -> None:
    """Refused again then, it is about the number; something accepted in between ends the row."""
    gate = gate_of()
    told = RateLimited("too many", retry_after=1.0)
    gate.count_running()
    for _ in range(2):
        gate.hold_back(told, attempt=0, probe=False)
        assert gate.found_out is None
        await anyio.sleep(1)
        await gate.enter()
        gate.leave(probe=False, accepted=True, charged=True)
    gate.hold_back(told, attempt=0, probe=False)
    await anyio.sleep(1)
    await gate.enter()
    gate.leave(probe=False, accepted=False, charged=False)
    gate.hold_back(told, attempt=0, probe=False)
    assert gate.found_out == 1


async def test_at_the_limit_one_goes_when_one_ends() -> None:
    """Those on the wire count as well."""
    gate = gate_of()
    gate.expect(2)
    assert gate.found_out == 2
    gate.count_running()
    assert await gate.enter() is False
    assert await waits(gate)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(gate.enter)
        await anyio.sleep(1)
        gate.count_ended()
        with anyio.fail_after(1):
            await anyio.wait_all_tasks_blocked()
    assert await waits(gate)


async def test_one_alone_tries_for_more() -> None:
    """After some seconds; if it is accepted, it was about speed."""
    gate = gate_of()
    gate.count_running()
    gate.hold_back(RateLimited("too many"), attempt=0, probe=False)
    began = anyio.current_time()
    assert await gate.enter() is True
    assert anyio.current_time() - began == pytest.approx(3.0)
    assert await waits(gate)
    gate.leave(probe=True, accepted=True, charged=True)
    assert gate.found_out is None
    assert await gate.enter() is False


async def test_a_try_that_was_taken_back_may_be_made_again() -> None:
    """It has shown nothing."""
    gate = gate_of()
    gate.count_running()
    gate.hold_back(RateLimited("too many"), attempt=0, probe=False)
    assert await gate.enter() is True
    gate.leave(probe=True, accepted=False, charged=False)
    assert gate.found_out == 1
    assert await gate.enter() is True


async def test_nothing_gets_through_once_it_is_closed() -> None:
    """Whoever waits hears of it at once: for a place, for the limit, or for the time to pass."""
    gate = gate_of(concurrency=3, max_submits=1)
    gate.check_open()
    await gate.enter()
    gate.hold_back(RateLimited("slow down", retry_after=500.0), attempt=0, probe=False)
    ends: list[float] = []

    async def closed(wait: Any) -> None:  # noqa: ANN401  # a method
        with pytest.raises(ClientClosed):
            await wait()
        ends.append(anyio.current_time())

    began = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(closed, gate.enter)
        tasks.start_soon(closed, gate.pause)
        await anyio.sleep(1)
        gate.close()
    assert ends == [began + 1, began + 1]
    with pytest.raises(ClientClosed):
        gate.check_open()
    await closed(gate.enter)


async def test_who_waits_for_a_limit_hears_of_the_end() -> None:
    """Though nothing that is on the wire comes back."""
    gate = gate_of(max_submits=1)
    await gate.enter()
    async with anyio.create_task_group() as tasks:

        async def closed() -> None:
            with pytest.raises(ClientClosed):
                await gate.enter()

        tasks.start_soon(closed)
        await anyio.sleep(1)
        gate.close()


async def test_draining_waits_for_what_is_on_the_wire() -> None:
    """And leaves all places free."""
    gate = gate_of(concurrency=2)
    with anyio.fail_after(1):
        await gate.drain()
    await gate.enter()
    with anyio.move_on_after(100) as scope:
        await gate.drain()
    assert scope.cancelled_caught
    gate.leave(probe=False, accepted=True, charged=True)


async def test_a_drained_gate_is_as_it_was() -> None:
    """As many get through as before."""
    gate = gate_of(concurrency=2)
    await gate.drain()
    await gate.enter()
    await gate.enter()
    assert await waits(gate)


BOTH = (
    "max_submits=2 is used up, and max_credits=2 pays for 2 requests at 1 credit each; give a "
    "higher max_submits and max_credits"
)


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max_submits": 1}, "max_submits=1 is used up; give a higher max_submits"),
        (
            {"max_credits": 5.0, "price": 10.0},
            "max_credits=5 pays for 0 requests at 10 credits each; give a higher max_credits",
        ),
        (
            {"max_submits": 3, "max_credits": 1.5, "price": 1},
            "max_credits=1.5 pays for 1 request at 1 credit each; give a higher max_credits",
        ),
        (
            {"max_submits": 3, "max_credits": 100, "price": 10},
            "max_submits=3 is used up; give a higher max_submits",
        ),
        (
            {"max_submits": 2, "max_credits": 2, "price": 1},
            BOTH,
        ),
    ],
)
def test_the_limit_that_is_reached_is_named_with_its_remedy(
    limits: dict[str, Any], told: str
) -> None:
    """To raise the other one would change nothing."""
    assert SubmitPolicy(**limits).limit_reached == told
