"""The real command line as a child process, and sandboxes on real sockets for it to talk to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
from anyio.from_thread import start_blocking_portal

import udio_async.cli
from tests.kit.forks import Fork, Forks, can_have, forking
from udio_async.cli import main
from udio_async.sandbox import Fault, Sandbox

SPEED = 200.0
KEY = "sk-4711-never-shown"
COMMAND = (sys.executable, "-W", "error", "-m", "udio_async.cli")

Json = dict[str, Any]


@attrs.frozen
class Ended:
    """What a finished child left behind."""

    code: int
    out: str
    err: str

    def __attrs_post_init__(self) -> None:
        assert KEY not in self.out + self.err

    @property
    def lines(self) -> list[Json]:
        """stdout, which has to be JSON lines and nothing else."""
        return [json.loads(line) for line in self.out.splitlines()]


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: both keys, nothing else that says anything to us."""
    kept = {name: value for name, value in os.environ.items() if "COLOR" not in name}
    return {**kept, "UDIOAPI_API_KEY": KEY, "APIFRAME_API_KEY": KEY, **more}


_running = ExitStack()


@cache
def _forks() -> Forks:
    """What starts commands without their imports, which are most of what they cost."""
    needed = ("udio_async", "anyio._backends._asyncio", "anyio._backends._trio")
    return _running.enter_context(forking("udio_async.cli", *needed, flags=("-W", "error")))


@pytest.fixture(scope="session", autouse=True)
def _ends_forks() -> Iterator[None]:
    with _running:
        yield


def run_cli(*args: object, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ended:
    """Run a command to its end, in a child; a Python that starts anew if `env` is for its start."""
    words, env = [*map(str, args)], env or environment()
    if can_have(env):
        with _forks().start(words, env) as fork:
            out, err = fork.communicate(stdin, timeout=30)
        return Ended(fork.wait(), out, err)
    child = subprocess.run(
        [*COMMAND, *words], input=stdin, capture_output=True, timeout=30, env=env, check=False
    )
    return Ended(child.returncode, child.stdout.decode(), child.stderr.decode())


@pytest.fixture
def call_cli(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run a command in this process, where starting a child would show nothing more."""
    monkeypatch.setenv("UDIOAPI_API_KEY", KEY)
    monkeypatch.setenv("APIFRAME_API_KEY", KEY)
    # Commands that it shows are then those of a child.
    monkeypatch.setattr(sys, "argv", [str(Path(udio_async.cli.__file__).with_name("__main__.py"))])

    def call(*args: object) -> Ended:
        code = main([*map(str, args)])
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return call


@attrs.define
class Child:
    """A command that is still running."""

    process: Fork

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> Ended:
        """Read what is left; not by `communicate`, which would miss what is already buffered."""
        out, err = self.process.stdout.read(), self.process.stderr.read()
        return Ended(self.process.wait(30), out, err)

    def next_line(self) -> str:
        return self.process.stdout.readline()

    def next_error(self) -> str:
        return self.process.stderr.readline()


@pytest.fixture
def start_cli() -> Iterator[Callable[..., Child]]:
    """Start commands, and end those that a failed test leaves behind."""
    with ExitStack() as children:

        def start(*args: object, stdin: bytes = b"") -> Child:
            process = children.enter_context(_forks().start([*map(str, args)], environment()))
            process.write(stdin)
            children.callback(process.kill)
            return Child(process)

        yield start


@pytest.fixture(scope="session")
def run_sandbox() -> Iterator[Callable[..., AbstractContextManager[Sandbox]]]:
    """Start further sandboxes: `with run_sandbox(seed=1) as sandbox:`."""
    with start_blocking_portal() as portal:
        yield lambda **options: portal.wrap_async_context_manager(
            Sandbox(**{"speed": SPEED, "credits": 1e6, "api_key": KEY, **options})
        )


@pytest.fixture(scope="session")
def _shared(run_sandbox: Callable[..., AbstractContextManager[Sandbox]]) -> Iterator[Sandbox]:
    faults = (
        Fault("moderation", match="forbidden"),
        Fault("one_song", match="half"),
        Fault("stuck", match="never"),
    )
    with run_sandbox(faults=faults) as sandbox:
        yield sandbox


@attrs.frozen
class Bench:
    """The sandbox as one test sees it."""

    sandbox: Sandbox
    _charged_before: int

    @property
    def at(self) -> tuple[str, ...]:
        """The options that lead a command to it."""
        return ("--base-url", self.sandbox.base_url, "--speed", str(SPEED))

    @property
    def charged(self) -> list[str]:
        """The ids of the tasks that were paid for in this test."""
        return [charge.task_id for charge in self.sandbox.ledger[self._charged_before :]]


@pytest.fixture
def bench(_shared: Sandbox) -> Bench:
    """One sandbox for all tests. Prompts with "forbidden", "half" or "never" go wrong."""
    return Bench(_shared, len(_shared.ledger))


@pytest.fixture
def write_requests(tmp_path: Path) -> Callable[..., Path]:
    """Write values as a file of JSON lines."""

    def write(*values: object) -> Path:
        path = tmp_path / "requests.jsonl"
        path.write_text("".join(f"{json.dumps(value)}\n" for value in values))
        return path

    return write
