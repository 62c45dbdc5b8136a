"""`udio-async batch`, to its end."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import miniaudio
import pytest

from udio_async.sandbox import Sandbox

from .conftest import SPEED, Bench, Ended, environment, run_cli


def test_songs_are_saved_and_told(
    bench: Bench, write_requests: Callable[..., Path], tmp_path: Path
) -> None:
    """Each song comes as one JSON line with its file and the line of its request; exit 0."""
    requests = write_requests(
        {"description": "A song about rain"},
        {"lyrics": "La la", "style": "pop", "title": "東京の夜", "options": {"style_weight": 0.5}},
        {"description": "Another one", "instrumental": True, "title": None},
    )
    ended = run_cli("batch", requests, "--out", tmp_path / "songs", *bench.at)
    assert ended.code == 0, ended.err
    assert sorted((line["line"], line["index"]) for line in ended.lines) == [
        (number, index) for number in (1, 2, 3) for index in (0, 1)
    ]
    assert {line["task_id"] for line in ended.lines} == set(bench.charged)
    assert {line["title"] for line in ended.lines if line["line"] == 2} == {"東京の夜"}
    for line in ended.lines:
        audio = miniaudio.decode(Path(line["path"]).read_bytes())
        assert abs(audio.duration - line["duration"]) < 0.2
    assert "6 songs in" in ended.err


def test_failures_are_told_and_the_others_go_on(
    bench: Bench, write_requests: Callable[..., Path], tmp_path: Path
) -> None:
    """A failed task and a failed song are objects with `error`; the rest arrives; exit 1."""
    requests = write_requests(
        {"description": "Something forbidden"},
        {"description": "Only half of it"},
        {"description": "All of it"},
    )
    ended = run_cli("batch", requests, "--out", tmp_path, *bench.at)
    assert ended.code == 1
    (task,) = (line for line in ended.lines if line["line"] == 1)
    assert task["error"]["type"] == "ModerationFailed"
    assert task["error"]["task_id"] == task["task_id"] in bench.charged
    assert task["error"]["charged"] == "unknown"
    half = {line["index"]: line for line in ended.lines if line["line"] == 2}
    assert Path(half[0]["path"]).exists()
    assert half[1]["error"]["message"]
    assert half[1]["path"] is None
    assert sum(line["line"] == 3 and line["error"] is None for line in ended.lines) == 2
    assert ended.err.count("error: ") == 2
    assert "2 of 3 requests failed" in ended.err


def test_a_failed_download_is_that_songs_failure(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """What stands in the way of one file costs neither the other song nor the link; exit 1."""
    requests = write_requests({"description": "A song about rain"})
    for out in (tmp_path / "good", tmp_path / "bad"):
        with run_sandbox(seed=7) as sandbox:  # the same seed makes the same songs
            at = ("--base-url", sandbox.base_url, "--speed", SPEED)
            ended = call_cli("batch", requests, "--out", out, *at)
        if out.name == "good":
            assert ended.code == 0
            name = Path(next(line["path"] for line in ended.lines if line["index"] == 0)).name
            (tmp_path / "bad" / name).mkdir(parents=True)
    assert ended.code == 1
    failed, saved = sorted(ended.lines, key=lambda line: line["index"])
    assert (failed["path"], failed["error"]["type"]) == (None, "DownloadFailed")
    assert failed["audio_url"]
    assert Path(saved["path"]).exists()


def test_a_wrong_key_stops_the_batch_and_is_told_once(
    bench: Bench, write_requests: Callable[..., Path], tmp_path: Path
) -> None:
    """Each request gets its line, stderr one; the key is in neither."""
    requests = write_requests(*({"description": f"Song {number}"} for number in range(20)))
    key = "wrong-key-4711"
    env = environment(UDIOAPI_API_KEY=key)
    ended = run_cli("batch", requests, "--out", tmp_path, *bench.at, env=env)
    assert ended.code == 1
    assert {line["error"]["type"] for line in ended.lines} == {"AuthenticationFailed"}
    assert sorted(line["line"] for line in ended.lines) == list(range(1, 21))
    assert ended.err.count("error: ") == 1
    assert key not in ended.out + ended.err
    assert bench.charged == []


def test_stdin_and_quiet(bench: Bench, tmp_path: Path) -> None:
    """`-` reads from stdin, and a good run with --quiet leaves stderr empty."""
    text = json.dumps({"description": "A song about rain"}).encode()
    ended = run_cli("batch", "-", "--out", tmp_path, "--quiet", *bench.at, stdin=text)
    assert (ended.code, ended.err) == (0, "")
    assert len(ended.lines) == 2


@pytest.mark.parametrize("options", [["udioapi-v1", "--legacy"], ["apiframe"]])
def test_the_other_services(
    options: list[str],
    bench: Bench,
    call_cli: Callable[..., Ended],
    write_requests: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """The same file does for the other services."""
    requests = write_requests({"description": "A song about rain"})
    args = ("batch", requests, "--out", tmp_path, "--provider", *options)
    ended = call_cli(*args, *bench.at)
    assert ended.code == 0, ended.err
    assert [line["provider"] for line in ended.lines] == [options[0]] * 2
