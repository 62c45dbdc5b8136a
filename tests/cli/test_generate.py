"""`udio-async generate` and `udio-async credits`."""

import errno
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import pytest

from udio_async import JournalError, SqliteJournal
from udio_async._download import PATIENCE
from udio_async.cli._manifest import read_manifest
from udio_async.cli._names import FILE_WAIT
from udio_async.cli._text import amount, as_typed
from udio_async.journal import State
from udio_async.sandbox import Fault, Sandbox

from .conftest import SPEED, Bench, Child, Ended, run_cli
from .test_journal import run_shown, shown_after


def test_every_option_reaches_the_provider(bench: Bench, tmp_path: Path) -> None:
    """Lyrics come from stdin; without --out nothing is saved."""
    options = ["--lyrics", "-", "--style", "pop", "--title", "Rain", "--negative-tags", "sad"]
    more = ["--model", "chirp-v5", "--vocal-gender", "female"]
    ended = run_cli("generate", *options, *more, *bench.at, stdin="La la, λ".encode())
    assert ended.code == 0, ended.err
    assert [line["path"] for line in ended.lines] == [None, None]
    assert [line["title"] for line in ended.lines] == ["Rain", "Rain"]
    assert "line" not in ended.lines[0]
    body = bench.sandbox.ledger[-1].request
    assert {
        name: body[name] for name in ("prompt", "style", "title", "tags", "model", "gender")
    } == {
        "prompt": "La la, λ",
        "style": "pop",
        "title": "Rain",
        "tags": "sad",
        "model": "chirp-v5",
        "gender": "female",
    }


def test_the_options_of_udioapi(bench: Bench, call_cli: Callable[..., Ended]) -> None:
    """Weights have flags, and so has the callback; both are options of the provider."""
    weights = (
        "--style-weight",
        "0.5",
        "--weirdness-constraint",
        "1",
        "--option",
        "audio-weight=0.25",
    )
    callback = ("--callback-url", "https://songs.example.org/hook")
    ended = call_cli("generate", "x", "--provider", "udioapi-v1", *weights, *callback, *bench.at)
    assert ended.code == 0, ended.err
    body = bench.sandbox.ledger[-1].request
    assert body["callback_url"] == "https://songs.example.org/hook"
    names = ("style_weight", "weirdness_constraint", "audio_weight")
    assert [body[name] for name in names] == [0.5, 1.0, 0.25]


def test_the_options_of_apiframe(bench: Bench, call_cli: Callable[..., Ended]) -> None:
    """Each is read as its type: a number, a switch, or text as it is."""
    pairs = ("clarity_strength=0.5", "bypass-prompt-optimization=true", "webhook_secret=1=2")
    options = [word for pair in pairs for word in ("--option", pair)]
    callback = ("--callback-url", "https://songs.example.org/hook")
    ended = call_cli("generate", "x", "--provider", "apiframe", *options, *callback, *bench.at)
    assert ended.code == 0, ended.err
    body = bench.sandbox.ledger[-1].request
    assert (body["clarity_strength"], body["bypass_prompt_optimization"]) == (0.5, True)
    assert body["webhook_url"] == "https://songs.example.org/hook"
    assert body["webhook_secret"] == "1=2"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--option", "prompt"), "--option 'prompt' is not NAME=VALUE; give one such as"),
        (("--option", "=1"), "--option '=1' is not NAME=VALUE"),
        (("--option", "claritystrength=1"), "did you mean clarity_strength?); known: bypass_"),
        (("--option", "clarity_strength=high"), "clarity_strength is 'high'; give a number such"),
        (("--option", "clarity_strength=7"), "clarity_strength is 7.0; give a number from 0 to 1"),
        (("--option", "bypass_prompt_optimization=2"), "is '2'; give true or false"),
        (("--style-weight", "0.5"), "options of apiframe: unknown 'style_weight'"),
        (("--option", "webhook_url=x", "--callback-url", "y"), "webhook_url is given twice"),
        (
            ("--callback-url", "songs.example.org"),
            "callback address 'songs.example.org' names no host",
        ),
    ],
)
def test_an_option_that_cannot_be_sent(
    words: tuple[str, ...], told: str, bench: Bench, call_cli: Callable[..., Ended]
) -> None:
    """It names the option, what it was and what it may be; nothing is sent."""
    ended = call_cli("generate", "x", "--provider", "apiframe", *words, *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    assert told in ended.err


def test_why_it_is_tried_again(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]], call_cli: Callable[..., Ended]
) -> None:
    """The reason stands in the first line that says so, and is told once."""
    with run_sandbox(faults=[Fault("rate_limited", times=1)]) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        ended = call_cli("generate", "Rain", *at)
    assert ended.code == 0, ended.err
    told = [line for line in ended.err.splitlines() if "trying again" in line]
    assert len(told) == 1
    assert told[0].startswith("udioapi-v2 is busy or away, trying again: ")
    assert "answered 429" in told[0]


def test_a_failed_generation(bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """It is one line on stderr, one object on stdout, and exit 1."""
    ended = call_cli("generate", "Something forbidden", "--out", tmp_path, "--quiet", *bench.at)
    assert ended.code == 1
    assert len(ended.lines) == 1
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1


def test_a_request_that_the_provider_cannot_take(
    bench: Bench, call_cli: Callable[..., Ended]
) -> None:
    """It is refused here: exit 2, nothing sent."""
    ended = call_cli("generate", "Rain", "--title", "Rain", *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    assert "title only together with lyrics" in ended.err


def test_the_in_process_sandbox_needs_nothing(tmp_path: Path) -> None:
    """`--provider sandbox` works without a key, and saves."""
    out = tmp_path / "songs"
    ended = run_cli(
        "generate", "Rain", "--provider", "sandbox", "--speed", 100, "--out", out, env={"PATH": ""}
    )
    assert ended.code == 0, ended.err
    assert sorted(out.iterdir()) == sorted(Path(line["path"]) for line in ended.lines)


# What breaks off -----------------------------------------------------------------------------


def wait_for(state: State, path: Path) -> None:
    """Wait until the journal of another process has a job in this state."""

    async def has_one() -> bool:
        try:
            return (await SqliteJournal(path).count()).get(state, 0) > 0
        except JournalError:  # it is being made
            return False

    while not anyio.run(has_one):
        time.sleep(0.02)


def test_a_kill_in_the_middle_loses_no_song(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    start_cli: Callable[..., Child],
    tmp_path: Path,
) -> None:
    """After kill -9 the same words are a new song, and the command for the first one is shown."""
    with run_sandbox(speed=20) as sandbox:
        command = ("generate", "Rain", "--out", tmp_path)
        at = ("--base-url", sandbox.base_url, "--speed", 20)
        child = start_cli(*command, *at)
        wait_for(State.ACCEPTED, tmp_path / "journal.db")
        child.process.kill()
        assert child.end().out == "", "it was in the middle"
        again = run_cli(*command, *at)
        assert again.code == 0, again.err
        told = "1 earlier request (Rain) is paid for and not finished; to take it up: "
        shown = next(line for line in again.err.splitlines() if line.startswith(told))
        resumed = run_shown(shown.removeprefix(told))
        assert resumed.code == 0, resumed.err
        assert {line["task_id"] for line in resumed.lines} == {sandbox.ledger[0].task_id}
        assert len(sandbox.ledger) == 2
    assert len(list(tmp_path.glob("*.mp3"))) == 4


def test_a_key_is_bought_once(bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """Without one, each run is a new song; with one, the second run has those of the first."""
    for words in ((), (), ("--key", "rain"), ("--key", "rain")):
        ended = call_cli("generate", "Rain", "--out", tmp_path, *words, *bench.at)
        assert ended.code == 0, ended.err
        assert len(ended.lines) == 2
        assert "earlier request" not in ended.err
    assert len(bench.charged) == 3
    other = call_cli("generate", "Sun", "--out", tmp_path, "--key", "rain", *bench.at)
    assert other.code == 1
    assert "key 'rain' stands for another request: description was 'Rain'" in other.err
    without = call_cli("generate", "Rain", "--key", "rain", *bench.at)
    assert (without.code, len(bench.charged)) == (2, 3)
    assert "--key needs a journal" in without.err


def test_nothing_is_bought_for_a_full_disk(
    bench: Bench,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each run tries the folder before; what was bought already is told, however full it is."""

    def write(_directory: Path, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    named = ("generate", "Rain", "--out", tmp_path, "--key", "rain", *bench.at)
    assert call_cli(*named).code == 0
    monkeypatch.setattr("udio_async._download.folder_check._write", write)
    for _ in range(2):
        refused = call_cli("generate", "Sun", "--out", tmp_path, *bench.at)
        assert (refused.code, refused.out) == (1, "")
        assert f"as {tmp_path} takes no files: No space left on device; make room" in refused.err
    assert call_cli(*named).code == 0
    assert len(bench.charged) == 1


def test_what_was_refused_is_not_taken_up(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """Whoever asked was told, and may have asked again: `resume` buys nothing, nor tells it."""
    with run_sandbox(faults=[Fault("refused", times=1)]) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        assert call_cli("generate", "Rain", "--out", tmp_path, *at).code == 1
        assert call_cli("generate", "Rain", "--out", tmp_path, *at).code == 0
        resumed = call_cli("resume", tmp_path, *at)
        assert (resumed.code, resumed.out, len(sandbox.ledger)) == (0, "", 1)


@pytest.mark.parametrize("ending", ["kill", "interrupt"])
def test_the_command_for_a_paid_song_buys_no_other(
    ending: str,
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    start_cli: Callable[..., Child],
    tmp_path: Path,
) -> None:
    """A request with a key that was refused before: its owner was told no."""
    faults = [Fault("refused", match="Sun", times=1)]
    with run_sandbox(speed=20, faults=faults) as sandbox:
        at = ("--out", tmp_path, "--base-url", sandbox.base_url, "--speed", 20)
        assert run_cli("generate", "Sun", "--key", "b", *at).code == 1
        child = start_cli("generate", "Rain", *at)
        wait_for(State.ACCEPTED, tmp_path / "journal.db")
        if ending == "interrupt":
            child.interrupt()
            shown = shown_after(child.end().err, "to continue:")
        else:
            child.process.kill()
            child.end()
            told = run_cli("generate", "Fog", *at).err
            shown = told.partition("to take it up: ")[2].partition("\n")[0]
        resumed = run_shown(shown)
        assert resumed.code == 0, resumed.err
        assert {line["asked"] for line in resumed.lines} == {"Rain"}
        assert "Sun" not in {charge.prompt for charge in sandbox.ledger}


@pytest.mark.parametrize("key", [(), ("--key", "b")], ids=["without a key", "with a key"])
def test_what_was_refused_is_asked_for_by_the_same_command(
    key: tuple[str, ...],
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """Nothing is paid for that another command could take up."""
    with run_sandbox(credits=0) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        refused = call_cli("generate", "Rain", "--out", tmp_path, *key, *at)
    shown = shown_after(refused.err, "buy credits, then run the same command:")
    assert f" generate Rain --out {tmp_path} " in shown


@pytest.mark.parametrize("deleted", [1, 2])
def test_a_song_whose_file_is_gone_is_fetched_by_resume(
    deleted: int, bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """It costs nothing, and a song that is here is not told again."""
    made = call_cli("generate", "Rain", "--out", tmp_path, *bench.at)
    paths = [Path(line["path"]) for line in made.lines]
    for path in paths[:deleted]:
        path.unlink()
    resumed = call_cli("resume", tmp_path, *bench.at)
    assert resumed.code == 0, resumed.err
    assert all(path.is_file() for path in paths)
    assert {record.path for record in read_manifest(tmp_path)} == {path.name for path in paths}
    assert len(bench.charged) == 1
    assert call_cli("resume", tmp_path, *bench.at).out == "", "nothing is left to do"


def test_without_a_journal_the_task_is_told(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """There it is all that finds the song; with a journal in another place that knows it."""
    ended = call_cli("generate", "Rain", *bench.at)
    assert f"accepted as task {bench.charged[-1]}" in ended.err
    kept = call_cli("generate", "Rain", "--journal", tmp_path / "songs.db", *bench.at)
    assert kept.code == 0, kept.err
    assert "accepted as task" not in kept.err
    (job,) = call_cli("jobs", tmp_path, "--journal", tmp_path / "songs.db", *bench.at).lines
    assert (job["task_id"], job["state"]) == (bench.charged[-1], "ready")


def test_a_late_file_is_waited_for_and_told(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """Once for each reason; or not waited for, and then `resume` fetches it."""
    with run_sandbox(faults=[Fault("cdn_late")]) as sandbox:
        command = ("--out", tmp_path, "--base-url", sandbox.base_url, "--speed", SPEED)
        at_once = call_cli("generate", "Rain", *command, "--file-wait", 0)
        assert at_once.code == 1
        assert {line["error"]["type"] for line in at_once.lines} == {"NotServedYet"}
        late = call_cli("generate", "Rain", *command)
        assert late.code == 0, late.err
        assert late.err.count("does not serve a finished file yet, waiting for it") == 1


def test_the_wait_for_a_file_is_that_of_the_library() -> None:
    assert FILE_WAIT == PATIENCE


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_credits(backend: str, bench: Bench, call_cli: Callable[..., Ended]) -> None:
    """What is left, as the sandbox counts it."""
    args = ("credits", "--json", "--provider", "apiframe", "--backend", backend)
    ended = call_cli(*args, *bench.at)
    assert ended.code == 0, ended.err
    (answer,) = ended.lines
    assert answer.keys() == {"provider", "remaining", "used", "plan"}
    assert answer["provider"] == "apiframe"
    assert answer["remaining"] > 0


def test_credits_are_written_out(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """All their digits, wherever they are shown, and as they can be typed where that is meant."""
    path = tmp_path / "in.txt"
    path.write_text("one\ntwo\n")
    with run_sandbox(credits=1_234_567) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        assert "1,234,567 credits left" in call_cli("credits", "--text", *at).out
        limits = ("--price", "1234567.5", "--max-credits", "2500000")
        planned = call_cli("batch", path, "--out", tmp_path, *at, *limits)
        assert "2 to submit, about 2,469,135 credits" in planned.err
        assert "about 2,469,135\n" in planned.err
        audit = call_cli("audit", tmp_path, "--text", *at, "--price", "1234567.5")
        assert "1,234,567.5 a request, so 2,469,135 credits expected" in audit.out
        assert "2,469,115 credits less" in audit.out


def test_amounts_lose_nothing_but_rounding() -> None:
    amounts = (1234567, 0.1 + 0.2, 12.5, 0, -0.0, 1e12, 0.000001)
    shown = ["1,234,567", "0.3", "12.5", "0", "0", "1,000,000,000,000", "0.000001"]
    assert [amount(number) for number in amounts] == shown
    assert [as_typed(number) for number in (60.0, 1234567.0, 0.5)] == ["60", "1234567", "0.5"]


def test_credits_with_a_wrong_key(
    bench: Bench, call_cli: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the library is one line, and exit 1."""
    monkeypatch.setenv("UDIOAPI_API_KEY", "wrong-key-4711")
    ended = call_cli("credits", *bench.at)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert "wrong-key-4711" not in ended.err
