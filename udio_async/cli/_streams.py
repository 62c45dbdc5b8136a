"""The standard streams: closed, broken, or of few characters.

A daemon has none, a terminal goes away with its ssh session, a disk is full. stdout is what the
command is for, so its loss is reported; stderr only tells, and nobody is there to hear that it is
gone.
"""

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT, _STDERR = 1, 2
_SIGHUP, _SIGPIPE = 1, 13  # spelled out: Windows has no such signals
_PATIENCE = 1.0
"""Seconds that a line on stderr may hold up everything else."""


def _lenient(error: UnicodeError) -> tuple[bytes, int]:
    """Write a title without the characters that a terminal lacks.

    Bytes of a file name that are not text are written as they are: it may be copied.
    """
    assert isinstance(error, UnicodeEncodeError)
    codes = map(ord, error.object[error.start : error.end])
    return bytes(code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else 0x3F for code in codes), error.end


_LENIENT = "udio_async.lenient"
codecs.register_error(_LENIENT, _lenient)


class StdoutLost(OSError):
    """Nothing can be written to stdout any more.

    It has no `errno`: with one, click would end the process.
    """

    def __init__(self, reason: OSError, *, of_terminal: bool = False) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.has_hung_up = of_terminal and reason.errno == errno.EIO
        """Whether it was a terminal that is gone; the signal of that may come a moment later."""


class _Stdout(io.FileIO):
    """A stdout that reports when it fails; what is still buffered is dropped."""

    def __init__(self, file: int, mode: str, *, closefd: bool) -> None:
        super().__init__(file, mode, closefd)
        self._is_terminal = self.isatty()  # one that is gone says no

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            while (written := super().write(data)) is None:  # somebody made the pipe non-blocking
                select.select([], [self], [])
        except OSError as error:
            lead_nowhere(self.fileno())
            raise StdoutLost(error, of_terminal=self._is_terminal) from error
        return written


class _Stderr(io.FileIO):
    """A stderr that never fails: what cannot be written is dropped."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            written = super().write(data)
            if written is None and select.select([], [self], [], _PATIENCE)[1]:
                written = super().write(data)
        except OSError:
            lead_nowhere(self.fileno())
            written = None
        return memoryview(data).nbytes if written is None else written


def as_lost(error: OSError) -> StdoutLost:
    """Return the error of a stdout that has no guard: on Windows."""
    if isinstance(error, StdoutLost):
        return error
    lead_nowhere(sys.stdout.fileno())  # what is still buffered would fail again at the end
    return StdoutLost(error)


def tell_lost(lost: StdoutLost, tell: Callable[[str], None]) -> int:
    """Write why stdout takes no more, and return the exit code.

    Nothing is written if its reader has simply left, or the terminal is gone.
    """
    if isinstance(lost.reason, BrokenPipeError):
        return 128 + _SIGPIPE
    if lost.has_hung_up:
        return 128 + _SIGHUP
    tell(f"error: cannot write to stdout: {lost.reason.strerror}")
    return 1


def lead_nowhere(descriptor: int) -> None:
    """Make a descriptor lead to the null device.

    What is still written there is lost, without an error.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def usable_streams() -> Generator[None]:
    """Open streams that are closed, and guard those that may break.

    Nothing else may be opened before: else the journal, or a socket, would get the number of
    stderr, and our messages with it.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    _open_closed()
    sys.stdout = _guarded(sys.stdout, _Stdout, _STDOUT)
    sys.stderr = _guarded(sys.stderr, _Stderr, _STDERR)
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _open_closed() -> None:
    """Give each closed stream the null device, in the order of their numbers.

    A new descriptor gets the lowest free number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            stream = open(nowhere, mode, encoding="utf-8", errors=_LENIENT, closefd=False)  # noqa: SIM115 - a descriptor, and as long as the process
            setattr(sys, name, stream)


def _is_read_only(descriptor: int) -> bool:
    """Return whether a descriptor can only be read.

    Then it is no better than closed. That is so where one /dev/null serves as all three.
    """
    import fcntl  # noqa: PLC0415 - Windows has none

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY


def _guarded(stream: TextIO, kind: type[io.FileIO], descriptor: int) -> TextIO:
    """Return a stream with a guard; one that a host has replaced stays."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors=_LENIENT)
    try:
        ours = stream.fileno() == descriptor
    except OSError:
        return stream
    if os.name != "posix" or not ours:  # a console of Windows is not a file
        return stream
    if _is_read_only(descriptor):
        lead_nowhere(descriptor)
    with suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(kind(descriptor, "w", closefd=False)),
        encoding=stream.encoding,
        errors=_LENIENT,
        line_buffering=kind is _Stderr or stream.isatty(),
    )
