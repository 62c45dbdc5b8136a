"""A mixed batch, and what is left of it: stdout, manifest, gallery, journal and files agree."""

import errno
import hashlib
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from mutagen import File

from udio_async import Client, Saved, Stage, Task
from udio_async._events import Event
from udio_async.cli._manifest import Manifest, read_manifest
from udio_async.cli._plan import Plan
from udio_async.cli._progress import Flight, Progress
from udio_async.cli._verify import verify
from udio_async.sandbox import Fault, Sandbox

from .conftest import COMMAND, KEY, SPEED, Bench, Ended, environment, run_cli

Json = dict[str, Any]
FAILURES = {
    "moderation": ("moderation", "ModerationFailed"),
    "upstream": ("upstream", "UpstreamFailed"),
    "overload": ("message:Server overload", None),
    "refused": ("refused", "RequestRefused"),
    "half": ("one_song", None),
}
"""Words in a prompt, the sandbox's fault for them, and the error; None where providers differ."""
SONGS_OF = {"half": 1}


def requests_for(number: int) -> list[Json]:
    """One in twenty goes wrong in each way; the others are of many kinds."""
    words = dict(enumerate(FAILURES, start=3))
    requests: list[Json] = []
    for place in range(number):
        word = words.get(place % 20, "a plain song")
        requests.append({"description": f"{word}, number {place} <b>&amp;"})
    return requests


def run_mixed(
    provider: str, number: int, directory: Path, run_sandbox: Callable[..., Any]
) -> tuple[Ended, Sandbox, list[Json]]:
    requests = requests_for(number)
    file = directory / "requests.jsonl"
    file.write_text("".join(f"{json.dumps(request)}\n" for request in requests))
    faults = [Fault(kind, match=word) for word, (kind, _) in FAILURES.items()]
    opened: AbstractContextManager[Sandbox] = run_sandbox(faults=faults, credits=1e9)
    with opened as sandbox:
        at = ("--base-url", sandbox.base_url, "--provider", provider, "--speed", str(SPEED))
        legacy = ("--legacy",) if provider == "udioapi-v1" else ()
        ended = run_cli(
            "batch", file, "--out", directory / "songs", *at, *legacy, "--max-active", 50
        )
    return ended, sandbox, requests


def _word(request: Json) -> str:
    return str(request["description"]).partition(",")[0]


def check_mixed(ended: Ended, sandbox: Sandbox, requests: list[Json], songs: Path) -> None:
    """Hold everything that a batch leaves behind against everything else."""
    assert ended.code == 1, ended.err
    by_line: dict[int, list[Json]] = {}
    for line in ended.lines:
        by_line.setdefault(line["line"], []).append(line)
    assert sorted(by_line) == list(range(1, len(requests) + 1))  # each has its outcome
    for number, lines in by_line.items():
        word = _word(requests[number - 1])
        _, error = FAILURES.get(word, ("", ""))
        good = [line for line in lines if line["error"] is None]
        bad = [line for line in lines if line["error"]]
        assert len(good) == SONGS_OF.get(word, 0 if word in FAILURES else 2), lines
        assert bool(bad) is (word in FAILURES)
        for line in bad:
            assert error is None or line["error"]["type"] == error
            assert line["error"]["message"]
            assert line["asked"].startswith(word)
            assert line["error"]["type"] != "ModerationFailed" or line["error"]["advice"]
        for line in good:
            data = Path(line["path"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == line["sha256"]
            assert len(data) == line["size"]
            assert Path(line["cover"]).read_bytes().startswith(b"\x89PNG")
            assert line["timeline"]["looks"] >= 1
            assert line["timeline"]["saved"] >= line["timeline"]["complete"] > 0
    reasons = re.findall(r"^  failed +(.*)$", ended.err, re.MULTILINE)[0]
    failed = sum(word in FAILURES for word in map(_word, requests))
    assert sum(map(int, re.findall(r"(\d+) ", reasons))) == failed
    assert f"{failed} of {len(requests)} requests failed" in ended.err
    assert "to try again" not in ended.err  # what was refused would be refused again
    assert len(sandbox.ledger) == sum("refused" not in r["description"] for r in requests)
    # The manifest says the same.
    told = Counter((line.get("id"), line["task_id"]) for line in ended.lines)
    records = read_manifest(songs)
    assert Counter((record.id, record.task_id) for record in records) == told
    assert {checked.state for checked in verify(songs)} == {"ok"}
    # The journal, too.
    states = Counter(
        state
        for (state,) in sqlite3.connect(songs / "journal.db").execute("select state from jobs")
    )
    assert sum(states.values()) == len(requests)
    assert states["delivered"] == sum(
        any(line["error"] is None for line in lines) for lines in by_line.values()
    )
    # And the gallery shows each song and each failure.
    page = (songs / "index.html").read_text()
    assert all(quote(record.path) in page for record in records if record.path)
    assert len(re.findall(r'class="card[ "]', page)) == len(records)


@pytest.mark.parametrize("provider", ["udioapi-v1", "udioapi-v2", "apiframe"])
def test_what_a_mixed_batch_leaves_behind_agrees(
    provider: str, run_sandbox: Callable[..., Any], tmp_path: Path
) -> None:
    """The right error for each, the others on disk and whole, and one story everywhere."""
    ended, sandbox, requests = run_mixed(provider, 40, tmp_path, run_sandbox)
    check_mixed(ended, sandbox, requests, tmp_path / "songs")
    again = run_cli("verify", tmp_path / "songs")
    assert again.code == 0, again.err
    song = next(path for path in (tmp_path / "songs").glob("*.mp3"))
    song.write_bytes(song.read_bytes()[:-1])
    assert run_cli("verify", tmp_path / "songs").code == 1


# Other input ---------------------------------------------------------------------------------


def test_a_spreadsheet_and_a_list_of_ideas(bench: Bench, tmp_path: Path) -> None:
    """By the ending of the file's name, or as `--format` says."""
    sheet = tmp_path / "songs.csv"
    sheet.write_bytes(
        b"\xef\xbb\xbfdescription,lyrics,style,title,instrumental\r\n"
        b'"A song, with commas\nand lines",,,,yes\r\n\r\n,La la,pop,"My ""title""",\r\n'
    )
    ended = run_cli("batch", sheet, "--out", tmp_path / "a", *bench.at)
    assert ended.code == 0, ended.err
    assert {line["line"] for line in ended.lines} == {2, 5}
    assert {line["title"] for line in ended.lines if line["line"] == 5} == {'My "title"'}
    ideas = tmp_path / "ideas.txt"
    ideas.write_text("a song about rain\n\n  a song about sun  \n")
    ended = run_cli("batch", ideas, "--out", tmp_path / "b", *bench.at)
    assert {line["asked"] for line in ended.lines} == {"a song about rain", "a song about sun"}
    ended = run_cli(
        *("batch", "-", "--format", "text", "--out", tmp_path / "c", *bench.at),
        stdin=b"an idea\n",
    )
    assert ended.code == 0, ended.err
    assert "1 request: 1 to submit" in ended.err
    assert len(bench.charged) == 5


BAD = {
    "no column": ("in.csv", b"idea,style\nx,y\n", "no column 'description'"),
    "no idea": ("in.csv", b"style,title\nx,y\n", "no column 'description'"),
    "column twice": ("in.csv", b"description,description\nx,y\n", "both mean description"),
    "near miss": ("in.csv", b"descripton\nx\n", "did you mean description?"),
    "cells": ("in.csv", b"description\na,b\n", "has 2 cells"),
    "truth": ("in.csv", b"description,instrumental\na,maybe\n", "instrumental is 'maybe'"),
    "open quote": ("in.csv", b'description\n"a\n', "is not a CSV"),
    "mixed encodings": ("in.csv", b"description\nfine\nB\xe4ume\n", "is not UTF-8: byte 0xe4"),
    "mixed text": ("in.txt", b"fine\nB\xe4ume\n", "in.txt:2: is not UTF-8"),
    "long line": ("in.txt", b"x" * 10_000_000, "is longer than"),
    "long cell": ("in.csv", b'description\n"' + b"x\n" * 5_000_000, ""),
    "text as json": ("in.jsonl", b"a song about rain\n", "--format text"),
    "not closed": ("in.jsonl", b'{"description": "a"\n', "the object is not closed at column"),
    "key twice": ("in.csv", b"description,key\na,k\nb,k\n", "key 'k' is that of line 2 already"),
    "nothing": ("in.txt", b"\n \n", "give one idea per line"),
    "only names": ("in.csv", b"description\n", "one request per line"),
}


@pytest.mark.parametrize(("name", "content", "reason"), BAD.values(), ids=BAD)
def test_bad_input_is_told_and_nothing_is_submitted(  # noqa: PLR0917 - three are of the table
    name: str,
    content: bytes,
    reason: str,
    bench: Bench,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """Which line, what is wrong, and what to do; exit 2."""
    path = tmp_path / name
    path.write_bytes(content)
    ended = call_cli("batch", path, "--out", tmp_path / "songs", *bench.at)
    assert ended.code == 2
    assert reason in ended.err
    assert len(ended.err) < 2_000
    assert ended.out == ""
    assert bench.charged == []
    assert not (tmp_path / "songs").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a file at hand")
def test_a_file_that_cannot_be_read_is_told(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """It can be opened, and its disk fails."""
    ended = call_cli("batch", "/proc/self/mem", "--out", tmp_path / "songs", *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    assert ended.err.startswith("error: cannot read /proc/self/mem: Input/output error")


def test_many_problems_are_counted(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """Twenty are shown."""
    path = tmp_path / "in.jsonl"
    path.write_text("{}\n" * 50)
    ended = call_cli("batch", path, "--out", tmp_path, *bench.at)
    assert ended.err.count("in.jsonl:") == 20
    assert "and 30 more" in ended.err
    assert "50 problems, nothing was sent" in ended.err


def test_what_will_be_spent_is_said_before(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """What the journal has already is not counted."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\n")
    command = ("batch", path, "--out", tmp_path / "songs", *bench.at, "--price", "10")
    assert "2 requests: 2 to submit, about 20 credits" in call_cli(*command).err
    path.write_text("one\ntwo\nthree\n")
    again = call_cli(*command)
    assert "3 requests (2 done already): 1 to submit, about 10 credits" in again.err
    itself = ("--provider", "sandbox", "--speed", SPEED, "--price", "10")
    ended = call_cli("batch", path, "--out", tmp_path / "others", *itself)
    assert "3 requests: 3 to submit, about 30 credits" in ended.err
    assert len(bench.charged) == 3


@pytest.mark.parametrize("limit", [("--max-submits", 2), ("--max-credits", 29)])
def test_what_will_be_spent_keeps_to_the_limits(
    limit: tuple[str, int], bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """What is said is what is then charged, and the rest is named."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\nthree\n")
    ended = call_cli("batch", path, "--out", tmp_path, *bench.at, "--price", "10", *limit)
    said = "3 requests: 2 to submit, about 20 credits; the limit leaves 1 to a later run"
    assert said in ended.err
    assert "requests     2 of 3 finished" in ended.err
    assert "left         1 not submitted: the limit of this run" in ended.err
    assert "failed" not in ended.err
    assert "4 songs in " in ended.err
    assert ", 1 request left for a later run (" in ended.err
    assert "to continue, with the same limit for the next run:\n" in ended.err
    assert (ended.code, len(bench.charged)) == (1, 2)
    assert call_cli("batch", path, "--out", tmp_path, *bench.at, "--price", "10", *limit).code == 0
    assert len(bench.charged) == 3


def test_a_limit_that_allows_nothing(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """The same command would not go on either, so it is not shown."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\n")
    limit = ("--price", "10", "--max-credits", 5)
    ended = call_cli("batch", path, "--out", tmp_path, *bench.at, *limit)
    assert "left         2 not submitted: the limit of this run" in ended.err
    assert ended.err.endswith(
        "to continue: the same command with a higher --max-credits or --max-submits\n"
    )
    assert (ended.code, len(bench.charged)) == (1, 0)


def test_a_refused_key_has_to_be_mended_first(bench: Bench, tmp_path: Path) -> None:
    """The command that goes on comes after that."""
    (tmp_path / "in.txt").write_text("one\ntwo\n")
    batch = ("batch", tmp_path / "in.txt", "--out", tmp_path, *bench.at)
    ended = run_cli(*batch, env=environment(UDIOAPI_API_KEY="wrong"))
    assert ended.code == 1
    assert "fix the key, then run the same command:\n" in ended.err


def test_what_is_in_doubt_costs_only_if_it_is_asked_for_again() -> None:
    known = Plan(requests=10, done=3, in_doubt=2, price=10)
    assert str(known) == ("10 requests (3 done already, 2 in doubt): 5 to submit, about 50 credits")
    again = attrs.evolve(known, resubmits=True)
    assert str(again).endswith(": 7 to submit, about 70 credits")


def test_the_time_that_is_left_counts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown before the first song is done; by its own age for each that is being made."""
    ages = {"a": 40.0, "b": 40.0, "c": 0.0}
    monkeypatch.setattr(Flight, "age", property(lambda flight: ages[flight.task.id]))
    tasks = {name: Task(id=name, provider="p", stage=Stage.QUEUED) for name in ages}
    progress = Progress(7, at_once=2)
    progress.observe(Event(kind="submitted", provider="p", task=tasks["a"]))
    progress.observe(Event(kind="submitted", provider="p", task=tasks["b"]))
    left = [progress.left]
    progress.deliver("p", "a", songs=2, ok=True)
    left.append(progress.left)  # five wait, b is due
    progress.observe(Event(kind="submitted", provider="p", task=tasks["c"]))
    progress.deliver("p", "b", songs=2, ok=True)
    progress.done = 6  # and c is the last
    left.append(progress.left)
    for age in (30, 60):
        ages["c"] = age
        left.append(progress.left)
    assert left == [None, (5 * 40) / 2, 40, 10, None]


def test_a_damaged_line_of_the_manifest_stops_nothing(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """It is told once, the batch is made, and half a line at the end costs nothing either."""
    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\n")
    assert call_cli("batch", path, "--out", songs, *bench.at).code == 0
    first, second = (songs / "songs.jsonl").read_bytes().splitlines()
    (songs / "songs.jsonl").write_bytes(first[:50] + b"\n" + second[:-9])
    ended = call_cli("batch", path, "--out", songs, *bench.at)
    assert ended.code == 0, ended.err
    assert ended.err.count("warning: ") == 2
    assert f"{songs / 'songs.jsonl'}: 1 line is damaged and left out: 1 (" in ended.err
    assert f"{songs / 'songs.jsonl'}:2 is half a line and was left out" in ended.err
    assert len(read_manifest(songs)) == 2
    assert len(bench.charged) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a file at hand")
def test_a_full_disk_is_told_before_anything_is_spent(bench: Bench, tmp_path: Path) -> None:
    """An empty file can be made there all the same."""
    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\n")
    command = ("batch", str(path), "--out", str(songs), *bench.at)
    child = subprocess.run(  # no file may be longer than nothing
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *COMMAND, *command],
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert child.returncode == 2
    assert f"error: cannot write to {songs}: File too large; mend" in child.stderr.decode()
    assert list(songs.iterdir()) == []
    assert bench.charged == []


def test_without_manifest_and_gallery_no_song_is_lost(
    bench: Bench,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either failure is told, and changes nothing about the songs; the next run writes them."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\ntwo\n")
    for name in ("index", "index-songs", *(f"index-songs-{number}" for number in range(2, 10))):
        (songs / f"{name}.html").mkdir(parents=True)
    ended = call_cli("batch", path, "--out", songs, *bench.at)
    assert ended.code == 0
    assert f"error: no gallery: {songs / 'index.html'}: it is not a page of" in ended.err
    assert len(read_manifest(songs)) == 4
    (songs / "songs.jsonl").unlink()
    with monkeypatch.context() as patches:
        patches.setattr(Manifest, "append", refuse)
        again = call_cli("batch", path, "--out", songs, *bench.at)
    assert again.code == 0
    assert again.err.count("error: songs.jsonl could not be written: No space left") == 1
    assert "error: 4 lines missing in songs.jsonl\nto continue:\n" in again.err
    assert len(list(songs.glob("*.mp3"))) == len(again.lines) == 4
    assert call_cli("resume", songs, *bench.at).code == 0
    assert len(read_manifest(songs)) == 4
    assert len(bench.charged) == 2


def test_a_batch_that_goes_on_completes_manifest_and_gallery(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """What an earlier run told is there once, what came later is there too."""
    path, songs = tmp_path / "in.txt", tmp_path / "songs"
    path.write_text("one\ntwo\nthree\n")
    command = ("batch", path, "--out", songs, *bench.at)
    first = call_cli(*command, "--max-submits", 1)
    assert (first.code, len(bench.charged)) == (1, 1)
    again = call_cli(*command)
    assert again.code == 0, again.err
    records = read_manifest(songs)
    assert {record.id for record in records} == {line["id"] for line in again.lines}
    assert sorted(record.asked or "" for record in records) == sorted(["one", "two", "three"] * 2)
    assert all(record.timeline for record in records)
    page = (songs / "index.html").read_text()
    assert len(re.findall(r'class="card[ "]', page)) == len(records) == 6


def test_keys_are_not_shown() -> None:
    """A control of these tests' own: the key is in their environment."""
    assert KEY in environment().values()


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 130), (b"\n", 130)])
def test_on_a_terminal_it_asks_before_it_spends(answer: bytes, code: int, tmp_path: Path) -> None:
    """At a real service, which is never called here: no is the answer that nothing needs."""
    path = tmp_path / "in.txt"
    path.write_text("one\n")
    ours, its = pty.openpty()
    try:
        command = ("batch", path, "--out", tmp_path / "songs", "--price", "10")
        with subprocess.Popen(
            [*COMMAND, *map(str, command)], stdin=its, stderr=its, stdout=its, env=environment()
        ) as child:
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, answer)
            assert child.wait(30) == code
            shown += os.read(ours, 1000)
    finally:
        os.close(ours)
        os.close(its)
    assert b"1 request: 1 to submit, about 10 credits" in shown
    assert b"nothing was sent" in shown
    assert not list((tmp_path / "songs").iterdir())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_what_cannot_be_kept_is_not_bought(
    number: int,
    bench: Bench,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A first song that the disk does not take is the last reason to pay; with room it goes on."""
    path = tmp_path / "in.txt"
    path.write_text("".join(f"idea {place}\n" for place in range(20)))
    command = ("batch", path, "--out", tmp_path, "--max-active", 2, *bench.at)

    async def full(*_: object, **__: object) -> list[Saved]:
        raise OSError(number, "no more", "a song.mp3")

    with monkeypatch.context() as patch:
        patch.setattr(Client, "download", full)
        ended = call_cli(*command)
    assert ended.code == 1
    assert re.search(
        r"error: a song\.mp3: no more; so \d+ requests not submitted: make room", (ended.err)
    )
    assert "to continue:" in ended.err
    assert len(bench.charged) < 15
    again = call_cli(*command)
    assert again.code == 0, again.err
    assert len(bench.charged) == 20
    assert len(list(tmp_path.glob("*.mp3"))) == 40


@pytest.mark.parametrize("command", ["batch", "resume"])
def test_tags_for_songs_that_are_here_are_not_promised(
    command: str, bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """It is said that the files stay as they are, and what gives them tags does so."""
    file, songs = tmp_path / "in.txt", tmp_path / "songs"
    file.write_text("one\n")
    words = {"batch": ("batch", file, "--out", songs), "resume": ("resume", songs)}[command]
    first = call_cli("batch", file, "--out", songs, *bench.at)
    moved, _ = (Path(line["path"]) for line in first.lines)
    again = call_cli(*words, "--tags", *bench.at)
    assert again.code == 0, again.err
    assert "--tags changes no file that is here already (2 songs); files that" in again.err
    moved.unlink()
    fetched = call_cli(*words, "--tags", *bench.at)
    assert "no file that is here already (1 song)" in fetched.err
    tagged = File(moved)
    assert tagged is not None
    assert tagged.tags
    assert all(song.state == "ok" for song in verify(songs))
    assert len(bench.charged) == 1
