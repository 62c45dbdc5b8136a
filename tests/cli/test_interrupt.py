"""Ctrl-C, a reader that leaves, and a terminal."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import COMMAND, Bench, Child, Ended, environment

QUICK_AND_STUCK = ({"description": "quick"}, {"description": "never ready"})


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_interrupt_names_what_was_accepted(
    backend: str,
    bench: Bench,
    start_cli: Callable[..., Child],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Exit 130, with the id of every task that was paid for and not delivered, and only those."""
    requests = write_requests(*QUICK_AND_STUCK)
    options = ("--out", tmp_path, "--no-journal", "--backend", backend)
    child = start_cli("batch", requests, *options, *bench.at)
    quick = [json.loads(child.next_line()) for _ in range(2)]
    child.interrupt()
    ended = child.end()
    assert ended.code == 130
    assert ended.out == ""
    (stuck,) = set(bench.charged) - {line["task_id"] for line in quick}
    assert "1 accepted request not delivered" in ended.err
    assert f"udioapi-v2  {stuck}  " in ended.err
    assert quick[0]["task_id"] not in ended.err
    assert "Traceback" not in ended.err


def test_sigterm_is_told_the_same_way(
    bench: Bench,
    start_cli: Callable[..., Child],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """A container that is stopped loses no id either; exit 143."""
    requests = write_requests(*QUICK_AND_STUCK)
    child = start_cli("batch", requests, "--out", tmp_path, "--no-journal", *bench.at)
    child.next_line()
    child.process.send_signal(signal.SIGTERM)
    ended = child.end()
    assert ended.code == 143
    assert "not delivered; look for them at the provider" in ended.err


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_interrupt_ends_at_once(
    backend: str,
    start_cli: Callable[..., Child],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """While a submit hangs on the wire the first Ctrl-C waits for it; the second does not."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        requests = write_requests({"description": "Rain"})
        child = start_cli(
            "batch",
            requests,
            "--out",
            tmp_path,
            "--no-journal",
            "--base-url",
            url,
            "--backend",
            backend,
        )
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(1)
            while child.next_error() != "1 request: 1 to submit\n":
                pass  # how the file was understood
            child.interrupt()
            assert child.next_error() == "stopping; Ctrl-C again stops at once\n"
            child.interrupt()
            ended = child.end()
    assert ended.code == 130
    assert "stopped at once; what was on the wire may be in doubt" in ended.err
    assert "Traceback" not in ended.err


def test_a_reader_that_leaves(
    bench: Bench,
    start_cli: Callable[..., Child],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Like `| head -1`: no traceback, exit as if by SIGPIPE, and what was paid for is named."""
    requests = write_requests(*QUICK_AND_STUCK, {"description": "a"}, {"description": "b"})
    child = start_cli("batch", requests, "--out", tmp_path, "--no-journal", *bench.at)
    child.next_line()
    assert child.process.stdout is not None
    child.process.stdout.close()
    assert child.process.stderr is not None
    err = child.process.stderr.read()
    assert child.process.wait() == 128 + signal.SIGPIPE
    assert "not delivered; look for them at the provider" in err
    assert "Traceback" not in err
    assert "Broken" not in err


def test_a_full_disk_behind_stdout(bench: Bench) -> None:
    """It is told in one line, and not lost in a traceback."""
    with Path("/dev/full").open("wb") as full:
        child = subprocess.run(
            [*COMMAND, "generate", "Rain", *bench.at],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert child.returncode == 1
    assert b"error: cannot write to stdout: No space left on device" in child.stderr
    assert b"Traceback" not in child.stderr


def test_progress_goes_to_the_terminal_and_json_to_the_pipe(
    bench: Bench, write_requests: Callable[..., Path], tmp_path: Path
) -> None:
    """A live display on stderr leaves stdout alone, ends its rows, and obeys NO_COLOR."""
    requests = write_requests({"description": "A \x1b[31mred\x1b[0m song"}, {"description": "b"})
    env = environment(TERM="xterm", COLUMNS="80", LINES="24", NO_COLOR="1")
    screen, stderr = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "batch", str(requests), "--out", str(tmp_path), *bench.at],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=env,
    )
    with child:
        os.close(stderr)
        shown = _read_all(screen)
        assert child.stdout is not None
        lines = [json.loads(line) for line in child.stdout.read().splitlines()]
    assert child.returncode == 0
    assert len(lines) == 4
    assert "0 of 2" in shown
    assert "accepted" in shown
    assert "\x1b[2K" in shown  # rows are wiped
    assert re.search(r"\x1b\[[0-9;]*3[0-7]m", shown) is None
    assert shown.endswith("\r\n")
    assert "4 songs in" in shown.splitlines()[-1]


def _read_all(screen: int) -> str:
    chunks = []
    try:
        while chunk := os.read(screen, 65536):
            chunks.append(chunk)
    except OSError:  # Linux says EIO when the other side is closed
        pass
    finally:
        os.close(screen)
    return b"".join(chunks).decode()


def test_no_terminal_gets_no_control_sequences(
    bench: Bench, call_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when colours are asked for."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    ended = call_cli("generate", "A \x1b[31mred\x1b[0m song", *bench.at)
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
