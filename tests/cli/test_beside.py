"""The folder's own journal, where a run has another one or none: what it knows counts."""

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from udio_async.sandbox import Fault, Sandbox

from .conftest import Child, Ended

CallCli = Callable[..., Ended]
FAULTS = (
    Fault("stuck", match="never"),
    Fault("charged_502", match="lost"),
    Fault("refused", match="refused once", times=1),
)
OTHERS = [("--no-journal",), ("--journal", "another.db")]


@pytest.fixture
def sandbox(run_sandbox: Callable[..., AbstractContextManager[Sandbox]]) -> Iterator[Sandbox]:
    with run_sandbox(faults=FAULTS, speed=400.0) as sandbox:
        yield sandbox


@pytest.fixture
def at(sandbox: Sandbox) -> tuple[str, ...]:
    return ("--base-url", sandbox.base_url, "--speed", "400")


@pytest.fixture
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "songs"


@pytest.fixture
def command(at: tuple[str, ...], songs: Path, tmp_path: Path) -> Callable[..., tuple[object, ...]]:
    """The words of a batch of these ideas."""

    def command(ideas: str, *options: object) -> tuple[object, ...]:
        file = tmp_path / "ideas.txt"
        file.write_text("".join(f"{idea}\n" for idea in ideas.split(", ")))
        return ("batch", file, "--out", songs, *at, *options)

    return command


@pytest.fixture
def run(command: Callable[..., tuple[object, ...]], call_cli: CallCli) -> CallCli:
    return lambda *words: call_cli(*command(*words))


def charged(sandbox: Sandbox) -> Counter[str]:
    return Counter(charge.prompt for charge in sandbox.ledger)


def leave_only_the_journal(songs: Path) -> None:
    for path in songs.iterdir():
        if path.name != "journal.db":
            path.unlink()


@pytest.mark.parametrize("other", OTHERS, ids=" ".join)
def test_what_is_being_made_is_not_bought_again(
    other: tuple[str, ...],
    command: Callable[..., tuple[object, ...]],
    run: CallCli,
    start_cli: Callable[..., Child],
    sandbox: Sandbox,
) -> None:
    """The interrupted batch goes on with its own journal; another one has to be meant."""
    child = start_cli(*command("quick, never ready"))
    child.next_line()
    child.interrupt()
    assert child.end().code == 130
    once = {"quick": 1, "never ready": 1}
    assert charged(sandbox) == once
    refused = run("never ready", *other)
    assert (refused.code, refused.out) == (2, "")
    assert "has a journal of its own, journal.db, which this run would not go on with" in (
        refused.err
    )
    assert "by journal.db 1 request may have been paid for" in refused.err
    assert ": line 1 (never ready)" in refused.err
    assert "leave out --journal and --no-journal to go on with journal.db" in refused.err
    left = run("never ready", *other, "--rest")
    assert left.code == 1
    assert "line 1 (never ready) is left alone: " in left.err
    assert "is still being made" in left.err
    assert charged(sandbox) == once


@pytest.mark.parametrize("other", OTHERS, ids=" ".join)
def test_its_songs_are_fetched_with_rest_and_bought_with_again(
    other: tuple[str, ...], run: CallCli, sandbox: Sandbox, songs: Path
) -> None:
    run("rain, sun")
    leave_only_the_journal(songs)
    assert run("rain, sun, fog", *other).code == 2
    fetched = run("rain, sun, fog", *other, "--rest")
    assert fetched.code == 0, fetched.err
    assert "3 requests (2 fetched again): 1 to submit" in fetched.err
    assert all(Path(line["path"]).is_file() for line in fetched.lines)
    assert charged(sandbox) == {"rain": 1, "sun": 1, "fog": 1}
    assert run("rain, sun", *other, "--again").code == 0
    assert charged(sandbox) == {"rain": 2, "sun": 2, "fog": 1}


def test_what_was_answered_is_not_asked_again(run: CallCli, sandbox: Sandbox, songs: Path) -> None:
    run("rain")
    leave_only_the_journal(songs)
    other = ("--journal", "another.db")
    assert run("rain, sun", *other, "--rest").code == 0
    later = run("rain, sun, fog", *other)
    assert later.code == 0, later.err
    assert charged(sandbox) == {"rain": 1, "sun": 1, "fog": 1}


def test_a_doubt_of_it_is_not_sent_again(run: CallCli, sandbox: Sandbox, songs: Path) -> None:
    run("lost")
    leave_only_the_journal(songs)
    assert run("lost", "--no-journal").code == 2
    assert run("lost", "--no-journal", "--rest").code == 1
    assert charged(sandbox) == {"lost": 1}


def test_equal_requests_are_counted(run: CallCli, sandbox: Sandbox, songs: Path) -> None:
    """It has one of two: only that one is asked about, and only the other is bought."""
    run("rain")
    leave_only_the_journal(songs)
    refused = run("rain, rain", "--no-journal")
    assert "by journal.db 1 request may have been paid for" in refused.err
    assert run("rain, rain", "--no-journal", "--rest").code == 0
    assert charged(sandbox) == {"rain": 2}


def test_a_key_that_has_changed_since(
    at: tuple[str, ...], call_cli: CallCli, sandbox: Sandbox, songs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "in.jsonl"
    words = ("batch", file, "--out", songs, *at)
    file.write_text(json.dumps({"description": "rain", "key": "001"}))
    assert call_cli(*words).code == 0
    leave_only_the_journal(songs)
    file.write_text(json.dumps({"description": "rain", "key": "1"}))
    refused = call_cli(*words, "--no-journal")
    assert refused.code == 2
    assert "line 1 (rain) had the key '001'" in refused.err
    assert charged(sandbox) == {"rain": 1}


def test_resume_leaves_alone_what_it_has_bought(
    at: tuple[str, ...], call_cli: CallCli, run: CallCli, sandbox: Sandbox, songs: Path
) -> None:
    other = ("--journal", "another.db")
    assert run("refused once", *other).code == 1
    assert run("refused once").code == 0
    leave_only_the_journal(songs)
    resumed = call_cli("resume", songs, *other, *at)
    assert resumed.code == 1
    assert "1 request left alone: by songs.jsonl or another journal" in resumed.err
    assert charged(sandbox) == {"refused once": 1}


def test_jobs_of_another_provider_are_others(run: CallCli, sandbox: Sandbox) -> None:
    """A journal belongs to one provider; the same words may be meant for both."""
    assert run("rain", "--provider", "apiframe").code == 0
    assert run("rain", "--journal", "another.db").code == 0
    assert charged(sandbox) == {"rain": 2}


def test_a_database_of_another_program_is_left_alone(run: CallCli, songs: Path) -> None:
    """It may be the reason for --journal; one of ours that is damaged hides what is paid for."""
    songs.mkdir()
    other = ("--journal", "another.db")
    with closing(sqlite3.connect(songs / "journal.db")) as database:
        database.execute("create table theirs (x)")
    assert run("rain", *other).code == 0
    (songs / "journal.db").unlink()
    assert run("sun").code == 0
    with (songs / "journal.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"damage" * 4096)
    refused = run("fog", *other)
    assert refused.code == 2
    assert "may know requests that are paid for, and cannot be read: " in refused.err
    assert "move it away if none of it is needed" in refused.err
