"""An hour in a millisecond: clocks that jump to the next timer when nothing else is left to do.

They jump over worker threads and real sockets too, so they are for code that has neither.
"""

import asyncio
import selectors
import time
from collections.abc import Mapping
from typing import Any

import trio
import trio.abc
import trio.testing


class _NoWait(selectors.DefaultSelector):
    """Says at once what is ready, and lets the loop's clock jump instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.jump = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
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
