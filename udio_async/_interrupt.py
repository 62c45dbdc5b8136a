"""Ctrl-C while the command `udio-async` starts: one line, no traceback.

Python imports this package before the command line can do anything about it, and that takes a
quarter of a second. A program that uses the library is left alone.
"""

# ruff: noqa: PTH119, SIM105 - what would be needed for it takes a while to import

import os
import signal
import sys

_COMMAND = ("udio-async", "udio-async.exe")
_MODULE = "udio_async.cli"


def begin() -> None:
    """Let Ctrl-C end the command at once: nothing has been done yet."""
    if _IS_THE_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def end() -> None:
    """Give Ctrl-C back: from here on the command has something to tell."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def finish() -> None:
    """Let Ctrl-C end the process silently: all is done and told."""
    if _IS_THE_COMMAND and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def tell() -> int:
    """Write "interrupted" where somebody can read it; return the exit code."""
    if sys.stderr is not None:  # else the number may be that of another file
        try:
            os.write(2, b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n")
        except OSError:
            pass
    return 128 + signal.SIGINT


def _is_the_command() -> bool:
    """Return whether this process is the command, not a user's program."""
    called = (getattr(sys, "argv", None) or [""])[0]
    if called == "-m":  # so it is called until its module is found
        return _MODULE in sys.orig_argv
    return os.path.basename(called) in _COMMAND


def _leave(_number: int, _frame: object) -> None:
    """End the process from within a signal handler."""
    os._exit(tell())


_IS_THE_COMMAND = _is_the_command()
begin()
