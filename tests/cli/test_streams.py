"""Standard streams that are closed, full, or of few characters: no command dies of them."""

import contextlib
import itertools
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from udio_async.cli import _streams
from udio_async.cli._manifest import read_manifest

from .conftest import COMMAND, Bench, Ended, environment

SETS = [set(chosen) for number in (1, 2, 3) for chosen in itertools.combinations(range(3), number)]
NAMES = ("stdin", "stdout", "stderr")


def run_closed(closed: set[int], *args: object, env: dict[str, str] | None = None) -> Ended:
    """Run a command as a daemon would, without some of its streams."""
    without = " ".join(f"{number}>&-" for number in closed)
    child = subprocess.run(
        ["sh", "-c", f'exec "$@" {without}', "sh", *COMMAND, *map(str, args)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env or environment(),
        timeout=30,
        check=False,
    )
    return Ended(child.returncode, child.stdout.decode(), child.stderr.decode())


@pytest.mark.parametrize("closed", SETS, ids=lambda closed: "-".join(NAMES[n] for n in closed))
def test_a_batch_goes_on_without_streams(closed: set[int], bench: Bench, tmp_path: Path) -> None:
    """Songs, manifest and journal are what counts; what is told on stderr lands in no file."""
    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\nforbidden\n")
    ended = run_closed(closed, "batch", path, "--out", songs, *bench.at)
    assert ended.code == 1  # one request is refused on purpose, and told
    assert "Traceback" not in ended.err
    assert len(list(songs.glob("*.mp3"))) == 2
    assert len(read_manifest(songs)) == 3
    with contextlib.closing(sqlite3.connect(songs / "journal.db")) as journal:
        assert journal.execute("pragma quick_check").fetchone() == ("ok",)
        states = journal.execute("select state from jobs order by state").fetchall()
    assert states == [("delivered",), ("failed",)]
    assert len(ended.out.splitlines()) == (0 if 1 in closed else 3)
    assert ("1 of 2 requests failed" in ended.err) is (2 not in closed)


def test_streams_that_can_only_be_read_are_no_better_than_closed(
    bench: Bench, tmp_path: Path
) -> None:
    """As some supervisors leave them: one /dev/null for all three."""
    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\n")
    with Path(os.devnull).open("rb") as nothing:
        child = subprocess.run(
            [*COMMAND, "batch", str(path), "--out", str(songs), *bench.at],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            env=environment(),
            check=False,
        )
    assert child.returncode == 0
    assert len(read_manifest(songs)) == 2


@pytest.fixture
def songs(bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path) -> Path:
    """What a batch has left behind."""
    (tmp_path / "in.txt").write_text("one\n")
    directory = tmp_path / "songs"
    assert call_cli("batch", tmp_path / "in.txt", "--out", directory, *bench.at).code == 0
    return directory


COMMANDS = {
    "help": ("--help",),
    "version": ("--version",),
    "generate": ("generate", "Rain", "{at}"),
    "resume": ("resume", "{songs}", "{at}"),
    "doubts": ("doubts", "{songs}", "--text", "{at}"),
    "doubts as json": ("doubts", "{songs}", "--json", "{at}"),
    "jobs": ("jobs", "{songs}", "{at}"),
    "credits": ("credits", "{at}"),
    "gallery": ("gallery", "{songs}"),
    "report": ("report", "{songs}"),
    "verify": ("verify", "{songs}"),
    "demo": ("demo", "--speed", "120", "--out", "{demo}"),
}


def filled_in(words: tuple[str, ...], songs: Path, bench: Bench) -> list[str]:
    given = {"{songs}": [str(songs)], "{demo}": [str(songs / "demo")], "{at}": list(bench.at)}
    return [part for word in words for part in given.get(word, [word])]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_command_needs_a_stream(command: tuple[str, ...], songs: Path, bench: Bench) -> None:
    """All three closed, and the exit code says that all is well."""
    assert run_closed({0, 1, 2}, *filled_in(command, songs, bench)).code == 0


def test_a_refusal_is_told_where_somebody_can_read_it(bench: Bench, tmp_path: Path) -> None:
    """Requests from a stdin that is closed are none: one line, and nothing is sent."""
    ended = run_closed({0, 1}, "batch", "-", "--out", tmp_path, *bench.at)
    assert (ended.code, ended.err.count("\n"), bench.charged) == (2, 1, [])
    assert "stdin holds no requests" in ended.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"resume", "doubts as json", "demo"}))
def test_a_full_disk_behind_stdout_is_one_line(name: str, songs: Path, bench: Bench) -> None:
    """For every command that has something to write here, and exit 1."""
    command = filled_in(COMMANDS[name], songs, bench)
    with Path("/dev/full").open("wb") as full:
        child = subprocess.run(
            [*COMMAND, *command],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    errors = [line for line in child.stderr.decode().splitlines() if "error" in line]
    if name == "generate":  # a song was paid for, and its line was lost
        assert errors.pop().startswith("error: 1 accepted request not delivered")
    assert errors == ["error: cannot write to stdout: No space left on device"]
    assert child.returncode == 1
    assert b"Traceback" not in child.stderr


def test_a_reader_that_has_left_is_no_error_of_any_command(songs: Path, bench: Bench) -> None:
    """As `| true` has: exit as if by SIGPIPE, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.run(
        [*COMMAND, "doubts", str(songs), "--text", *bench.at],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writer)
    assert (child.returncode, child.stderr) == (141, b"")


def test_a_reader_of_stderr_that_leaves_costs_only_the_lines(bench: Bench, tmp_path: Path) -> None:
    """As `2> >(head -1)` does: the batch is made to its end."""
    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\ntwo\nforbidden\n")
    with subprocess.Popen(
        [*COMMAND, "batch", str(path), "--out", str(songs), "--max-active", "1", *bench.at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as child:
        assert child.stderr is not None
        assert child.stdout is not None
        assert child.stderr.readline() == b"in.txt: ideas as text\n"
        child.stderr.close()
        lines = child.stdout.read().splitlines()
    assert child.returncode == 1  # the forbidden one
    assert len(lines) == 5
    assert len(list(songs.glob("*.mp3"))) == 4


def test_a_pipe_that_does_not_block_loses_no_line(bench: Bench, tmp_path: Path) -> None:
    """Some programs leave the pipe that they share with us so; its reader is slow."""
    path = tmp_path / "in.txt"
    path.write_text("".join(f"a song about {number}\n" for number in range(40)))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with subprocess.Popen(
        [*COMMAND, "batch", str(path), "--out", str(tmp_path / "songs"), *bench.at],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as child:
        os.close(writer)
        assert child.stderr is not None
        told: list[bytes] = []
        listener = threading.Thread(target=lambda: told.extend(child.stderr or []))
        listener.start()
        with os.fdopen(reader, "rb") as pipe:
            first = pipe.readline()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(3)  # meanwhile the pipe fills up
            lines = [first, *pipe]
        listener.join()
    assert child.returncode == 0, told
    assert len([json.loads(line) for line in lines]) == 80


@pytest.mark.parametrize("lines", [0, 1])
def test_a_terminal_that_has_hung_up_ends_as_its_signal_would(lines: int) -> None:
    """The write may fail before the signal is heard of; there is nobody to tell it to."""
    screen, terminal = pty.openpty()
    stdout = _streams._Stdout(terminal, "w", closefd=False)
    for _ in range(lines):
        stdout.write(b"a.mp3\n")
    os.close(screen)
    with pytest.raises(_streams.StdoutLost) as caught:
        stdout.write(b"b.mp3\n")
    os.close(terminal)
    told: list[str] = []
    assert _streams.tell_lost(caught.value, told.append) == 128 + signal.SIGHUP
    assert told == []


def test_a_stream_of_few_characters_costs_a_character(bench: Bench) -> None:
    """In a locale of ASCII, a message about anything is written all the same."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = run_closed(set(), "generate", "forbidden ♫", *bench.at, env=environment(**plain))
    assert ended.code in (1, 2)
    assert "\nerror: " in ended.err
    assert "Traceback" not in ended.err


def test_a_path_that_is_no_text_can_be_copied(songs: Path) -> None:
    """Its bytes are printed as they are."""
    odd = os.fsencode(songs) + b"-\xe9"
    songs.rename(os.fsdecode(odd))
    child = subprocess.run(
        [*COMMAND, "gallery", odd], capture_output=True, env=environment(), check=False
    )
    assert (child.returncode, child.stderr) == (0, b"")
    assert child.stdout == odd + b"/index.html\n"


def test_a_number_that_is_taken_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something else has the number of a closed stream, it gets none of its lines."""
    monkeypatch.setattr(sys, "stdout", None)
    with _streams.usable_streams():
        assert sys.stdout is not None
        assert sys.stdout.fileno() > 2
        assert sys.stdout.write("lost\n") == 5
        sys.stdout.flush()
    assert sys.stdout is None
