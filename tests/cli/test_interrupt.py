"""Ctrl-C, a terminal that goes away, a reader that leaves, and a terminal."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from udio_async.cli._manifest import read_manifest
from udio_async.sandbox import Fault, Sandbox

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


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_after_a_second_interrupt_only_what_is_certain_is_said(
    backend: str,
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    start_cli: Callable[..., Child],
    tmp_path: Path,
) -> None:
    """What was accepted by then, as a lower bound: a request on the wire may be one more."""
    path = tmp_path / "in.txt"
    path.write_text("never ready\nslow\n")
    faults = (Fault("stuck", match="never"), Fault("slow_submit", match="slow"))
    with run_sandbox(faults=faults) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", 1)
        child = start_cli("batch", path, "--out", tmp_path, "--backend", backend, *at)
        while len(sandbox.ledger) < 2:
            time.sleep(0.01)
        time.sleep(0.2)  # one has its answer by now, the other one has not
        child.interrupt()
        while child.next_error() != "stopping; Ctrl-C again stops at once\n":
            pass
        child.interrupt()
        ended = child.end()
    assert ended.code == 130
    assert "at least 1 accepted request not delivered; kept in the journal" in ended.err
    assert "to continue:\n" in ended.err
    assert "not known" not in ended.err
    assert " of 2 " not in ended.err


INTERRUPTING = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
"""


def ended_by(code: str, folder: Path, command: Sequence[str] = COMMAND) -> tuple[int, bytes, bytes]:
    """Return how the command ends, and what it says, if Python runs this code as it starts."""
    (folder / "sitecustomize.py").write_text(code)
    child = subprocess.run(
        [*command, "demo", "--out", str(folder / "demo")],
        capture_output=True,
        env=environment(PYTHONPATH=f"{folder}:{Path(__file__).parents[2]}"),
        timeout=30,
        check=False,
    )
    return child.returncode, child.stdout, child.stderr


@pytest.mark.parametrize("name", ["httpx", "click", "udio_async.cli._execute"])
@pytest.mark.parametrize("script", [False, True], ids=["module", "script"])
def test_an_interrupt_while_the_command_starts_is_one_line(
    name: str, script: bool, tmp_path: Path
) -> None:
    """Nobody has to read a traceback out of an import; exit 130."""
    code = INTERRUPTING.format(name=name)
    command: tuple[str, ...] = COMMAND
    if script:
        path = tmp_path / "udio-async"
        path.write_text("import sys\nfrom udio_async.cli import main\nsys.exit(main())\n")
        command = (sys.executable, str(path))
    assert ended_by(code, tmp_path, command) == (130, b"", b"interrupted\n")


INTERRUPTING_A_CLASS = """
import os, signal, sys
class Odd:
    def __set_name__(self, *_):
        os.kill(os.getpid(), signal.SIGINT)
class Finder:
    def find_spec(self, name, *_):
        if name == "udio_async.cli._execute":
            class Interrupted:
                odd = Odd()
sys.meta_path.insert(0, Finder())
"""


def test_an_interrupt_while_a_class_is_made_is_one_line(tmp_path: Path) -> None:
    """Python 3.11 puts a RuntimeError around it there; classes of rich are such."""
    assert ended_by(INTERRUPTING_A_CLASS, tmp_path) == (130, b"", b"interrupted\n")


def test_a_program_of_another_name_keeps_its_interrupts(tmp_path: Path) -> None:
    """While a library is imported, Ctrl-C is its user's own affair, and afterwards too."""
    path = tmp_path / "mine.py"
    path.write_text(
        "import signal, udio_async\n"
        "udio_async.Client\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(name="httpx"))
    for place, code in ((Path(__file__).parents[2], 0), (tmp_path, -signal.SIGINT)):
        child = subprocess.run(
            [sys.executable, str(path)],
            capture_output=True,
            env=environment(PYTHONPATH=f"{place}:{Path(__file__).parents[2]}"),
            timeout=30,
            check=False,
        )
        assert child.returncode == code, child.stderr


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_interrupt_of_a_question_is_one_line(
    backend: str, start_cli: Callable[..., Child]
) -> None:
    """While `credits` waits for an answer; exit 130."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        child = start_cli("credits", "--base-url", url, "--backend", backend)
        connection, _ = deaf.accept()
        with connection:
            assert connection.recv(1)
            child.interrupt()
            ended = child.end()
    assert (ended.code, ended.out, ended.err) == (130, "", "interrupted\n")


def test_an_interrupt_instead_of_an_answer_sends_nothing(tmp_path: Path) -> None:
    """At "Go on?" it means no."""
    path = tmp_path / "in.txt"
    path.write_text("one\n")
    screen, terminal = pty.openpty()
    command = ("batch", path, "--out", tmp_path / "songs")
    with subprocess.Popen(
        [*COMMAND, *map(str, command)],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(),
    ) as child:
        os.close(terminal)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(screen, 1000)
        time.sleep(0.2)  # it has asked, and has yet to begin to read
        child.send_signal(signal.SIGINT)
        rest = _read_all(screen)
    assert child.returncode == 130
    assert rest.split() == ["nothing", "was", "sent"]
    assert not list((tmp_path / "songs").iterdir())


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_hang_up_stops_in_order(
    backend: str,
    bench: Bench,
    start_cli: Callable[..., Child],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """As SIGTERM does: what was accepted is named, and how to go on; exit 129."""
    requests = write_requests(*QUICK_AND_STUCK)
    child = start_cli("batch", requests, "--out", tmp_path, "--backend", backend, *bench.at)
    for _ in range(2):
        child.next_line()
    child.process.send_signal(signal.SIGHUP)
    child.process.send_signal(signal.SIGHUP)  # a shell and its terminal both say it
    ended = child.end()
    assert ended.code == 129
    assert "1 accepted request not delivered; kept in the journal" in ended.err
    assert f"to continue:\n  {sys.executable} -m udio_async.cli batch" in ended.err
    assert "stopped at once" not in ended.err


def test_a_terminal_that_is_gone_is_survived(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """As when ssh breaks: no stream works any more, and the journal knows what was accepted."""
    path = tmp_path / "in.txt"
    path.write_text("quick\nnever ready\n")
    screen, terminal = pty.openpty()
    at_home = 'exec "$@" <"$0" >"$0" 2>"$0"'  # the first terminal of a new session is its own
    command = (*COMMAND, "batch", str(path), "--out", str(tmp_path), *bench.at)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
    child = subprocess.Popen(
        ["sh", "-c", at_home, os.ttyname(terminal), *command],
        env=environment(TERM="xterm"),
        start_new_session=True,
    )
    signal.signal(signal.SIGHUP, before)
    try:
        shown = b""
        while b".mp3" not in shown:
            shown += os.read(screen, 10_000)
        os.close(screen)
        assert child.wait(20) == 129
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
    path.write_text("quick\n")
    again = call_cli("batch", path, "--out", tmp_path, *bench.at)
    assert again.code == 0, again.err
    assert len(bench.charged) == 2
    assert {record.asked for record in read_manifest(tmp_path)} == {"quick"}
    assert (tmp_path / "index.html").is_file()


def test_nohup_keeps_a_run_going(bench: Bench, tmp_path: Path) -> None:
    """A signal that its starter has asked to ignore is ignored."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\n")
    with subprocess.Popen(
        ["nohup", *COMMAND, "batch", str(path), "--out", str(tmp_path / "songs"), *bench.at],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGHUP)
        assert len(child.stdout.readlines()) == 3
    assert child.returncode == 0


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
    child.process.stdout.close()
    err = child.process.stderr.read()
    assert child.process.wait() == 128 + signal.SIGPIPE
    assert "not delivered; look for them at the provider" in err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def on_a_full_disk(*args: object) -> Ended:
    """Run a command whose stdout takes nothing."""
    with Path("/dev/full").open("wb") as full:
        child = subprocess.run(
            [*COMMAND, *map(str, args)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    return Ended(child.returncode, "", child.stderr.decode())


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["loud", "quiet"])
@pytest.mark.parametrize("form", ["--json", "--text"])
def test_a_full_disk_behind_stdout_loses_no_song(
    form: str, quiet: tuple[str, ...], bench: Bench
) -> None:
    """Its id and its links are on stderr, for they are nowhere else."""
    ended = on_a_full_disk("generate", "Rain", form, *quiet, *bench.at)
    (task_id,) = bench.charged
    assert ended.code == 1
    assert "error: cannot write to stdout: No space left on device" in ended.err
    assert "error: 1 accepted request not delivered; look for them at the provider" in ended.err
    assert f"udioapi-v2  {task_id}  " in ended.err
    assert ended.err.count(f"    {bench.sandbox.base_url}") == 2
    assert "Traceback" not in ended.err


def test_a_full_disk_behind_stdout_names_what_takes_the_song_up(
    bench: Bench, tmp_path: Path
) -> None:
    """Where a journal has it, that is the command."""
    journal = tmp_path / "j.db"
    ended = on_a_full_disk("generate", "Rain", "--quiet", "--journal", journal, *bench.at)
    assert ended.code == 1
    assert "1 accepted request not delivered; kept in the journal" in ended.err
    assert f" resume {tmp_path} --only-paid --journal {journal}" in ended.err


def test_what_only_fetches_goes_on_so(
    bench: Bench,
    start_cli: Callable[..., Child],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """The command that an interrupted `resume --only-paid` shows submits nothing either."""
    songs = tmp_path / "songs"
    child = start_cli("batch", write_requests(*QUICK_AND_STUCK), "--out", songs, *bench.at)
    child.next_line()
    child.interrupt()
    assert child.end().code == 130
    for song in songs.glob("*.mp3"):
        song.unlink()
    child = start_cli("resume", songs, "--only-paid", *bench.at)
    child.next_line()
    child.interrupt()
    assert f" resume {songs} --only-paid " in child.end().err


def test_a_full_disk_behind_stdout_is_no_trouble_for_files(bench: Bench, tmp_path: Path) -> None:
    """The songs are here, so nothing is left to do about them."""
    ended = on_a_full_disk("generate", "Rain", "--out", tmp_path, *bench.at)
    assert ended.code == 1
    assert "2 songs in" in ended.err
    assert "not delivered" not in ended.err


def test_a_stopped_rerun_does_not_deny_what_is_paid_for(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """What an earlier run has bought was taken, also where this one did not come so far."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\nthree\n")
    command = ("batch", path, "--out", tmp_path / "songs", *bench.at)
    assert call_cli(*command).code == 0
    path.write_text("new\none\ntwo\nthree\n")
    ended = on_a_full_disk(*command, "--max-submits", "1", "--max-active", "1")
    assert ended.code == 1
    assert len(bench.charged) == 4
    assert "nothing was taken" not in ended.err
    assert "3 requests known from an earlier run" in ended.err
    assert "to continue:\n" in ended.err


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


def test_a_script_of_our_name_keeps_its_interrupts(tmp_path: Path) -> None:
    """One that is called like the command, and uses the library itself, is left alone as well."""
    path = tmp_path / "udio-async"
    path.write_text(
        "import signal, udio_async\n"
        "udio_async.Client\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    child = subprocess.run([sys.executable, str(path)], env=environment(), timeout=30, check=False)
    assert child.returncode == 0
