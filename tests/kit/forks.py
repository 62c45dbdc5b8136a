"""Child processes that need not start Python anew: forks of one that has imported everything.

A command of the shell takes half a second of processor time to start, and hardly any to run. A fork
is a process like another one, with streams, signals, an environment and an end of its own. What
only an interpreter that starts can show, like its locale, needs `subprocess`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self, TextIO

import attrs

ROOT = Path(__file__).parents[2]
_OF_THE_START = ("PYTHON", "LC_", "LANG")


@attrs.define(eq=False)
class Fork:
    """A child that runs, with as much of `subprocess.Popen` as is of use here."""

    pid: int
    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    _told: socket.socket = attrs.field(alias="told")
    returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; return the exit code, or minus the number of the signal."""
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(self._told.recv(100))
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0) from None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, words: bytes = b"", timeout: float | None = None) -> tuple[str, str]:
        """Write to its stdin, and return its stdout and stderr; after a time-out it is killed."""
        with ThreadPoolExecutor(3) as pool:
            pool.submit(self.write, words)
            out, err = pool.submit(self.stdout.read), pool.submit(self.stderr.read)
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            return out.result(), err.result()

    def write(self, words: bytes) -> None:
        """Write all of its stdin, and close it."""
        with suppress(BrokenPipeError), self.stdin:
            self.stdin.write(words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in (self.stdin, self.stdout, self.stderr):
            with suppress(BrokenPipeError):
                stream.close()
        with self._told:
            self.wait()


@attrs.frozen
class Forks:
    """The process that is forked."""

    _orders: socket.socket

    def start(self, args: Sequence[str], env: Mapping[str, str]) -> Fork:
        """Run the module with these arguments, in a child."""
        order = json.dumps({"args": args, "env": dict(env), "cwd": str(Path.cwd())}).encode()
        told, tells = socket.socketpair()
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = (
            os.pipe() for _ in range(3)
        )
        given = (stdin, stdout, stderr, tells.detach())
        socket.send_fds(self._orders, [order], given)
        for descriptor in given:
            os.close(descriptor)
        return Fork(
            pid=_read_number(told),
            stdin=os.fdopen(to_stdin, "wb"),
            stdout=os.fdopen(from_stdout, encoding="utf-8", newline=""),
            stderr=os.fdopen(from_stderr, encoding="utf-8", newline=""),
            told=told,
        )


def _read_number(told: socket.socket) -> int:
    """Read the first line, and no byte of the next."""
    text = b""
    while not text.endswith(b"\n"):
        read = told.recv(1)
        if not read:
            raise EOFError("the process that is forked has ended")
        text += read
    return int(text)


def can_have(env: Mapping[str, str]) -> bool:
    """Whether a fork may have this environment: nothing in it is for Python's start."""
    return _of_the_start(env) == _of_the_start(os.environ)


def _of_the_start(env: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_OF_THE_START)}


@contextmanager
def forking(module: str, *imports: str, flags: Sequence[str] = ()) -> Iterator[Forks]:
    """Start the process that is forked: each child runs the module, and has imported these."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, *flags, "-m", "tests.kit.forking", str(number), module, *imports],
            pass_fds=[number],
            cwd=ROOT,
        )
    with process, ours:  # it ends when nobody can give orders any more
        yield Forks(ours)
