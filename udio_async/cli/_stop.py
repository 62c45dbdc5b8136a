"""Ending a run early: by a signal, or because nobody reads its output."""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

import anyio
import attrs
from anyio.abc import TaskStatus

from ._streams import StdoutLost, tell_lost

_SHOW_CURSOR = "\x1b[?25h"
_HANG_UP = getattr(signal, "SIGHUP", None)


@attrs.define(eq=False)
class Stop:
    """Cancels the work of the run, and keeps the exit code that says why."""

    _tell: Callable[[str], None]
    code: int | None = None
    last_words: Callable[[], None] = lambda: None
    """Says what is left to do, when nobody will come to say it later."""
    _scopes: list[anyio.CancelScope] = attrs.field(factory=list, init=False)

    @contextmanager
    def stoppable(self) -> Generator[None]:
        """Mark work that may be cancelled at any moment.

        The code around it ends in good order.
        """
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            if self.code is not None:
                scope.cancel()
            yield

    def now(self, code: int) -> None:
        """Cancel the work, with this exit code."""
        self.code = code
        for scope in self._scopes:
            scope.cancel()

    def stdout_lost(self, lost: StdoutLost) -> None:
        """Cancel the work because its lines cannot be written."""
        code = tell_lost(lost, self._tell)
        if self.code is None:
            self.now(code)

    async def watch(self, *, task_status: TaskStatus[None]) -> None:
        """Cancel the work at the first signal, end at the second."""
        asked = False
        try:
            with anyio.open_signal_receiver(*_signals()) as signals:
                task_status.started()
                async for number in signals:
                    # A terminal that goes away says so several times, and is not impatient.
                    impatient = number != _HANG_UP
                    if asked and impatient:
                        self._leave(128 + number)
                    asked = asked or impatient
                    if self.code is None or impatient:
                        # Submits on the wire are waited for: each of them may be a paid song.
                        self._tell("stopping; Ctrl-C again stops at once")
                    if self.code is None:
                        self.now(128 + number)
        except NotImplementedError:  # Windows: there Ctrl-C raises KeyboardInterrupt
            task_status.started()

    def _leave(self, code: int) -> NoReturn:
        """End the process at once.

        An exception would wait for the very requests that the user does not want to wait for.
        """
        self._tell("stopped at once; what was on the wire may be in doubt")
        self.last_words()
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
        os._exit(code)


def _signals() -> list[signal.Signals]:
    """Return the signals that end a run, without one that `nohup` ignores."""
    wanted = [signal.SIGINT, signal.SIGTERM]
    if _HANG_UP is not None and signal.getsignal(_HANG_UP) is not signal.SIG_IGN:
        wanted.append(_HANG_UP)
    return wanted


@contextmanager
def calm() -> Generator[None]:
    """Ignore a terminal that goes away, while the last lines are written."""
    if _HANG_UP is None:
        yield
        return
    before = signal.signal(_HANG_UP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(_HANG_UP, before or signal.SIG_DFL)
