"""An hour in a millisecond: clocks that jump to the next timer when nothing else is left to do.

They jump over worker threads and real sockets too, so they are for code that has neither.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import anyio.lowlevel
import trio
import trio.abc
import trio.testing


class _NoWait(selectors.DefaultSelector):
    """Says at once what is ready, and lets the loop's clock jump instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.jump = 0.0
        self.before_turn: Callable[[], bool] | None = None
        """Called at each turn; tells whether it has woken somebody."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.before_turn is not None and self.before_turn():
            timeout = 0
        ready = super().select(0)
        if not ready and timeout:
            self.jump += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time passes only while everybody sleeps."""

    def __init__(self) -> None:
        self._no_wait = _NoWait()
        super().__init__(self._no_wait)

    def time(self) -> float:
        return self._no_wait.jump

    def move(self, seconds: float) -> None:
        self._no_wait.jump += seconds

    def call_before_turns(self, function: Callable[[], bool] | None) -> None:
        self._no_wait.before_turn = function


class MovableLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock is the real one, and can be moved ahead."""

    _ahead = 0.0

    def time(self) -> float:
        return super().time() + self._ahead

    def move(self, seconds: float) -> None:
        self._ahead += seconds


class MovableClock(trio.abc.Clock):
    """The same for trio."""

    _ahead = 0.0

    def start_clock(self) -> None:
        """It goes already."""

    def current_time(self) -> float:
        return time.monotonic() + self._ahead

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.current_time()

    def jump(self, seconds: float) -> None:
        self._ahead += seconds


def movable_backend(name: str) -> tuple[str, Mapping[str, Any]]:
    """Return backend and options for real sockets, beside which `block` moves the clock."""
    if name == "trio":
        return "trio", {"clock": MovableClock()}
    return "asyncio", {"loop_factory": MovableLoop}


def virtual_backend(name: str) -> tuple[str, Mapping[str, Any]]:
    """Return backend and options for `anyio.run` and for anyio's pytest plugin."""
    if name == "trio":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualLoop}


def block(seconds: float) -> None:
    """Let the time of the loop pass while nobody runs, as `time.sleep` in a callback does."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, (trio.testing.MockClock, MovableClock))
        clock.jump(seconds)
    else:
        assert isinstance(loop, (VirtualLoop, MovableLoop))
        loop.move(seconds)


class AtTurn(trio.abc.Instrument):
    """Does something once: before the n-th turn of the event loop from now.

    Between two turns every task is suspended, and each has run once at most since the turn before.
    So this comes to every suspension of all of them, if `number` does.
    """

    def __init__(self, number: int, then: Callable[[], object]) -> None:
        self._left = number
        self._then = then

    @property
    def has_come(self) -> bool:
        return self._left <= 0

    def _turn(self) -> bool:
        self._left -= 1
        if self._left == 0:
            self._then()
        return self._left == 0

    def after_io_wait(self, timeout: float) -> None:
        self._turn()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the turns meanwhile."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            trio.lowlevel.add_instrument(self)
            try:
                yield
            finally:
                trio.lowlevel.remove_instrument(self)
        else:
            assert isinstance(loop, VirtualLoop)
            loop.call_before_turns(self._turn)
            try:
                yield
            finally:
                loop.call_before_turns(None)


async def in_the_loop(function: Callable[..., Any], *args: Any, **_: Any) -> Any:  # noqa: ANN401
    """Stand in for `anyio.to_thread.run_sync`: a virtual clock does not wait for threads."""
    await anyio.lowlevel.checkpoint()
    return function(*args)
