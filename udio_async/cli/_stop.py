"""Ending a run before its time: by a signal, or because its output goes nowhere any more."""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NoReturn

import anyio
import attrs
from anyio.abc import TaskStatus

_SHOW_CURSOR = "\x1b[?25h"
_SIGPIPE = 13  # spelled out: Windows has no such signal


@attrs.define(eq=False)
class Stop:
    """Cancels the work of the run, and remembers the exit code that says why."""

    _tell: Callable[[str], None]
    code: int | None = None
    _scopes: list[anyio.CancelScope] = attrs.field(factory=list, init=False)

    @contextmanager
    def stoppable(self) -> Generator[None]:
        """Mark work that may be cancelled at any moment; what is around it ends in good order."""
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            if self.code is not None:
                scope.cancel()
            yield

    def now(self, code: int) -> None:
        """Cancel the work."""
        self.code = code
        for scope in self._scopes:
            scope.cancel()

    def stdout_lost(self, error: OSError) -> None:
        """Cancel the work because its lines cannot be written: in silence if the reader left."""
        # What is still buffered would fail again when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            self.now(128 + _SIGPIPE)
        else:
            self._tell(f"error: cannot write to stdout: {error.strerror}")
            self.now(1)

    async def watch(self, *, task_status: TaskStatus[None]) -> None:
        """Cancel the work at the first signal, and leave at once at the second."""
        try:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for number in signals:
                    if self.code is not None:
                        self._leave(128 + number)
                    # Submits on the wire are waited for: each of them may be a paid song.
                    self._tell("stopping; Ctrl-C again stops at once")
                    self.now(128 + number)
        except NotImplementedError:  # Windows: there Ctrl-C raises KeyboardInterrupt
            task_status.started()

    def _leave(self, code: int) -> NoReturn:
        """End the process: an exception would wait for the very requests that are waited for."""
        self._tell("stopped at once; what was on the wire may be in doubt")
        if sys.stderr.isatty():
            sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
        os._exit(code)
