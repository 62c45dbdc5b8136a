"""What a journal remembers: listed, taken back, and taken over by a new key."""

import os
import pty
import shlex
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from udio_async import JournalState
from udio_async.cli import _hints
from udio_async.cli._names import STATES
from udio_async.sandbox import Fault, Sandbox

from .conftest import COMMAND, Ended, Json, environment, run_cli

SPEED = 400.0
FAULTS = (
    Fault("charged_502", match="lost"),
    Fault("moderation", match="forbidden"),
    Fault("refused", match="unpaid"),
)

CallCli = Callable[..., Ended]
WriteRequests = Callable[..., Path]


@pytest.fixture
def sandbox(run_sandbox: Callable[..., AbstractContextManager[Sandbox]]) -> Iterator[Sandbox]:
    """A sandbox of one test, whose ledger is that test's."""
    with run_sandbox(faults=FAULTS, speed=SPEED) as sandbox:
        yield sandbox


@pytest.fixture
def at(sandbox: Sandbox) -> tuple[str, ...]:
    return ("--base-url", sandbox.base_url, "--speed", "400")


@pytest.fixture
def made(
    at: tuple[str, ...], call_cli: CallCli, write_requests: WriteRequests, tmp_path: Path
) -> Path:
    """A directory with a job of each kind that a batch leaves."""
    wants: list[Json] = [
        {"description": "good", "key": "good one"},
        {"description": "lost answer", "key": "lost"},
        {"description": "forbidden", "key": "failed"},
        {"description": "unpaid", "key": "refused"},
    ]
    call_cli("batch", write_requests(*wants), "--out", tmp_path, "--max-active", 1, *at)
    return tmp_path


def test_the_states_are_those_of_the_library() -> None:
    """The help names each, in the same order."""
    assert tuple(JournalState) == STATES
    shown = run_cli("jobs", "--help").out
    assert all(f"  {state} " in shown for state in STATES)


def test_jobs_are_listed(made: Path, at: tuple[str, ...], call_cli: CallCli) -> None:
    """Each with its state, key, request and task; as JSON with all that is known, too."""
    shown = call_cli("jobs", made, "--text", *at)
    assert shown.code == 0
    *lines, last = shown.out.splitlines()
    assert last == "4 jobs."
    assert [line.split()[0] for line in lines] == ["delivered", "in_doubt", "failed", "refused"]
    listed = call_cli("jobs", made, "--json", *at).lines
    good, lost, failed, refused = listed
    assert lines[0] == f"delivered  'good one'  good  task {good['task_id']}"
    assert [job["key"] for job in listed] == ["good one", "lost", "failed", "refused"]
    assert len(good["songs"]) == 2
    assert good["request"] == {"description": "good"}
    assert lost["evidence"]
    assert failed["error"] == "ModerationFailed"
    assert (refused["error"], refused["task_id"]) == ("RequestRefused", None)


def test_jobs_of_some_states(made: Path, at: tuple[str, ...], call_cli: CallCli) -> None:
    """Only those that are asked for; a state that does not exist is named with the others."""
    states = ("--state", "refused", "--state", "failed")
    listed = call_cli("jobs", made, *states, "--json", *at).lines
    assert [job["key"] for job in listed] == ["failed", "refused"]
    unknown = call_cli("jobs", made, "--state", "done", *at)
    assert unknown.code == 2
    assert "'delivered'" in unknown.err


def test_a_request_is_taken_back(
    sandbox: Sandbox, made: Path, at: tuple[str, ...], call_cli: CallCli
) -> None:
    """What nothing was taken for is; of each other one it is said why not, and what helps."""
    ended = call_cli("forget", made, "refused", "good one", "lost", "failed", "typo", *at)
    assert ended.code == 2
    assert ended.out.startswith("refused: taken back; ")
    assert ended.out.count("\n") == 1
    headline, *reasons = ended.err.splitlines()
    assert headline == "error: 4 jobs cannot be taken back"
    program = _hints.program()
    options = shlex.join(at)
    for reason, words in zip(
        reasons,
        (
            "'good one': it is made and paid for, and you have its songs",
            f"to give it up: {program} resolve {made} lost {options} --abandon",
            "failed: it was accepted, and failed",
            f"there is no job 'typo' in this journal; to see them all: {program} jobs {made} ",
        ),
        strict=True,
    ):
        assert words in reason
    (forgotten,) = call_cli("jobs", made, "--state", "forgotten", "--json", *at).lines
    assert forgotten["key"] == "refused"
    assert call_cli("forget", made, "refused", *at).code == 0, "once more says the same"
    before = Counter(charge.prompt for charge in sandbox.ledger)
    call_cli("resume", made, *at)
    assert Counter(charge.prompt for charge in sandbox.ledger) == before


# A new key -----------------------------------------------------------------------------------

NEW_KEY = environment(UDIOAPI_API_KEY="the-new-key")


@pytest.fixture
def unfinished(
    at: tuple[str, ...], call_cli: CallCli, write_requests: WriteRequests, tmp_path: Path
) -> Path:
    """A directory whose only job is a doubt, so that no task shows whose account it is."""
    call_cli("batch", write_requests({"description": "lost"}), "--out", tmp_path, *at)
    return tmp_path


@pytest.fixture
def replaced(sandbox: Sandbox, unfinished: Path) -> None:
    """The service knows only the new key from now on."""
    sandbox._world.api_key = NEW_KEY["UDIOAPI_API_KEY"]


def opens(journal: Path, *at: str, env: dict[str, str] | None = None) -> bool:
    """Return whether a journal takes this key: `forget` has to open it."""
    ended = run_cli("forget", journal, "typo", *at, env=env)
    assert ended.code == 2
    return "there is no job 'typo'" in ended.err


def test_no_journal_is_given_to_a_key_that_is_none(unfinished: Path, at: tuple[str, ...]) -> None:
    """The service is asked before, and its answer is told; the right key still opens it."""
    refused = run_cli("rekey", unfinished, "--yes", *at, env=NEW_KEY)
    assert (refused.code, refused.out) == (1, "")
    assert "Unauthorized" in refused.err
    assert opens(unfinished, *at)
    nowhere = ("--base-url", "http://127.0.0.1:9")
    taken = run_cli("rekey", unfinished, "--yes", *nowhere, env=NEW_KEY)
    assert taken.code == 0, "without an answer the word of its owner counts"
    assert "the key could not be tried: " in taken.err
    assert "from now on" in taken.out


@pytest.mark.usefixtures("replaced")
def test_a_new_key_is_told_how_to_go_on(unfinished: Path, at: tuple[str, ...]) -> None:
    """The refusal names the command; without an answer it changes nothing, with one it does."""
    refused = run_cli("forget", unfinished, "lost", *at, env=NEW_KEY)
    assert refused.code == 2
    command = refused.err.partition("say so once: ")[2].strip()
    words = shlex.split(command.removeprefix(_hints.program()))
    asked = run_cli(*words, env=NEW_KEY)
    assert asked.code == 2
    assert "give --yes if the key in UDIOAPI_API_KEY" in asked.err
    assert not opens(unfinished, *at, env=NEW_KEY)
    given = run_cli(*words, "--yes", env=NEW_KEY)
    assert (given.code, given.err) == (0, "")
    assert "belongs to today's key from now on" in given.out
    assert opens(unfinished, *at, env=NEW_KEY)
    assert not opens(unfinished, *at), "the earlier one is out"
    again = run_cli(*words, env=NEW_KEY)
    assert (again.code, again.out.count("belongs to this key already")) == (0, 1)


def test_a_first_run_with_a_wrong_key_is_forgotten(
    at: tuple[str, ...], call_cli: CallCli, write_requests: WriteRequests, tmp_path: Path
) -> None:
    """Nothing was taken, so the right key goes on by itself, in every command."""
    batch = ("batch", write_requests({"description": "one"}), "--out", tmp_path, *at)
    assert run_cli(*batch, env=environment(UDIOAPI_API_KEY="wrong")).code == 1
    assert opens(tmp_path, *at)
    assert opens(tmp_path, *at, env=NEW_KEY)
    continued = call_cli(*batch)
    assert continued.code == 0, continued.err
    wrong = run_cli("forget", tmp_path, "key", *at, env=NEW_KEY)
    assert "rekey" not in wrong.err, "now it is somebody's, and no key"
    assert "Unauthorized" in wrong.err


@pytest.mark.usefixtures("replaced")
@pytest.mark.parametrize(("answer", "code"), [(b"y\n", 0), (b"n\n", 130), (b"\n", 130)])
def test_on_a_terminal_it_asks(
    answer: bytes, code: int, unfinished: Path, at: tuple[str, ...]
) -> None:
    """Only a plain yes counts."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "rekey", str(unfinished), *at],
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env=NEW_KEY,
    ) as child:
        os.close(terminal)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(controller, 1000)
        os.write(controller, answer)
        assert child.wait(30) == code
    os.close(controller)
    assert opens(unfinished, *at, env=NEW_KEY) is (code == 0)


def test_a_journal_of_another_provider_is_left_alone(
    unfinished: Path, at: tuple[str, ...], call_cli: CallCli
) -> None:
    """No yes makes it this one's."""
    ended = call_cli("rekey", unfinished, "--yes", "--provider", "apiframe", *at)
    assert ended.code == 2
    assert "give --provider udioapi-v2, or another --journal" in ended.err
    assert opens(unfinished, *at)


# What the journal knows by itself ------------------------------------------------------------


@pytest.fixture
def of_apiframe(
    at: tuple[str, ...], call_cli: CallCli, write_requests: WriteRequests, tmp_path: Path
) -> Path:
    """A directory whose journal was made with apiframe, and has a doubt."""
    requests = write_requests({"description": "lost", "options": {"webhook_secret": "hidden"}})
    call_cli("batch", requests, "--out", tmp_path, "--provider", "apiframe", *at)
    return tmp_path


@pytest.mark.parametrize("key", ["", "another-key"])
def test_a_list_needs_neither_key_nor_provider(key: str, of_apiframe: Path) -> None:
    """Nothing is sent for it; secrets are left out as the provider in the journal wants it."""
    env = environment(APIFRAME_API_KEY=key, UDIOAPI_API_KEY=key)
    (job,) = run_cli("jobs", of_apiframe, "--json", env=env).lines
    assert (job["provider"], job["state"]) == ("apiframe", "in_doubt")
    (doubt,) = run_cli("doubts", of_apiframe, "--json", env=env).lines
    assert doubt["key"] == job["key"]
    assert "hidden" not in str([job, doubt])


def test_the_provider_is_that_of_the_journal(of_apiframe: Path, at: tuple[str, ...]) -> None:
    """So commands about it work without `--provider`; one that is given counts."""
    assert opens(of_apiframe, *at)
    other = run_cli("forget", of_apiframe, "typo", "--provider", "udioapi-v2", *at)
    assert "give --provider apiframe, or another --journal" in other.err


@pytest.mark.parametrize("command", [("resume",), ("audit",), ("resolve", "key", "--resubmit")])
def test_no_sandbox_is_offered_where_a_journal_is(
    command: tuple[str, ...], of_apiframe: Path, at: tuple[str, ...]
) -> None:
    """One that starts anew cannot go on with it."""
    name, *rest = command
    env = environment(APIFRAME_API_KEY="")
    ended = run_cli(name, of_apiframe, *rest, *at, env=env)
    assert ended.code == 2
    assert "no API key: set the environment variable APIFRAME_API_KEY\n" in ended.err


# What stdout gets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [("jobs",), ("doubts",), ("audit", "--price", "10"), ("verify",), ("credits",)]
)
def test_a_pipe_gets_json_from_every_command(
    command: tuple[str, ...], made: Path, at: tuple[str, ...], call_cli: CallCli
) -> None:
    """An object on each line, without being asked to; --text is for who wants to read it."""
    name, *options = command
    place = () if name == "credits" else (made,)
    service = () if name == "verify" else at
    piped = call_cli(name, *place, *options, *service)
    assert piped.lines
    assert call_cli(name, *place, *options, *service, "--json").lines == piped.lines
    text = call_cli(name, *place, *options, *service, "--text").out
    assert text
    assert not text.startswith("{")


def test_a_terminal_gets_text(made: Path, at: tuple[str, ...]) -> None:
    """Also from a command whose songs are for programs elsewhere."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "jobs", str(made), *at], stdout=terminal, env=environment()
    ) as child:
        os.close(terminal)
        assert child.wait(30) == 0
        assert b"delivered" in os.read(controller, 1000).split(b"\r\n")[0]
    os.close(controller)
