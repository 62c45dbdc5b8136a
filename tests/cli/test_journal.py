"""What a batch remembers: it continues, its doubts can be ended, and its books can be checked.

The sandbox outlives the commands, so its ledger tells what was paid for in all.
"""

import asyncio
import json
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import attrs
import pytest

from udio_async import (
    Client,
    SongRequest,
    UdioApiOptions,
    UdioApiV2,
    Unreachable,
    WaitExpired,
)
from udio_async.cli import _hints, _remedies
from udio_async.cli._advice import LET_GO
from udio_async.sandbox import Fault, Sandbox

from .conftest import KEY, Child, Ended, Json, environment, run_cli

SPEED = 400.0
FAULTS = (
    Fault("charged_502", match="lost", times=3),
    Fault("slow_submit", match="slow"),
    Fault("stuck", match="never"),
)

CallCli = Callable[..., Ended]
StartCli = Callable[..., Child]
WriteRequests = Callable[..., Path]


@pytest.fixture
def sandbox(
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
) -> Iterator[Sandbox]:
    """A sandbox of one test, whose ledger is that test's."""
    with run_sandbox(faults=FAULTS, speed=SPEED) as sandbox:
        yield sandbox


@pytest.fixture
def at(sandbox: Sandbox) -> tuple[str, ...]:
    """The options that lead a command to it."""
    return ("--base-url", sandbox.base_url, "--speed", str(SPEED))


def run_shown(command: str) -> Ended:
    """Run a command as it was shown, as somebody who copies it would."""
    child = subprocess.run(
        command, shell=True, capture_output=True, env=environment(), timeout=30, check=False
    )
    return Ended(child.returncode, child.stdout.decode(), child.stderr.decode())


def shown_after(text: str, words: str) -> str:
    """The command on the line after the one with these words."""
    lines = text.splitlines()
    place = next(number for number, line in enumerate(lines) if words in line)
    return lines[place + 1].strip()


def asks(*descriptions: str) -> list[Json]:
    return [{"description": description} for description in descriptions]


def charged(sandbox: Sandbox) -> Counter[str]:
    """How often each prompt was paid for."""
    return Counter(charge.prompt for charge in sandbox.ledger)


def test_the_command_that_an_interrupt_shows_continues(
    sandbox: Sandbox,
    at: tuple[str, ...],
    start_cli: StartCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """Nothing on the wire is lost, and in the end each prompt was paid for once and is here."""
    prompts = [f"quick {number}" for number in range(30)]
    prompts[1] = "slow to be accepted"  # on the wire when the first song arrives
    options = ("--out", tmp_path / "my songs", "--max-active", 2)
    child = start_cli("batch", write_requests(*asks(*prompts)), *options, *at)
    child.next_line()
    child.interrupt()
    ended = child.end()
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert len(sandbox.ledger) < len(prompts)
    continued = run_shown(shown_after(ended.err, "to continue:"))
    assert continued.code == 0, continued.err
    assert charged(sandbox) == dict.fromkeys(prompts, 1)
    assert sorted(line["line"] for line in continued.lines) == sorted([*range(1, 31)] * 2)
    assert all(Path(line["path"]).is_file() for line in continued.lines)


def test_what_came_from_stdin_is_resumed(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    start_cli: StartCli,
    tmp_path: Path,
) -> None:
    """Its requests cannot be read again, so the journal has them, and `resume` is shown."""
    prompts = [f"quick {number}" for number in range(30)]
    text = "".join(f"{json.dumps(ask)}\n" for ask in asks(*prompts))
    options = ("--max-active", "2", "--backend", "trio", *at)
    child = start_cli("batch", "-", "--out", tmp_path, *options, stdin=text.encode())
    child.next_line()
    child.interrupt()
    ended = child.end()
    command = shown_after(ended.err, "to continue:")
    assert f"resume {tmp_path} --max-active 2" in command
    paid = charged(sandbox)
    assert call_cli("resume", tmp_path, "--only-paid", *at).code == 0
    assert charged(sandbox) == paid, "nothing was submitted"
    assert len(list(tmp_path.glob("*.mp3"))) == 2 * len(paid) < 2 * len(prompts)
    continued = run_shown(command)
    assert continued.code == 0, continued.err
    assert charged(sandbox) == dict.fromkeys(prompts, 1)
    assert len(list(tmp_path.glob("*.mp3"))) == 2 * len(prompts)
    again = call_cli("resume", tmp_path, *at)
    assert (again.code, again.out) == (0, ""), "nothing is left"


def test_a_request_of_another_program_holds_up_no_other(
    sandbox: Sandbox, at: tuple[str, ...], call_cli: CallCli, tmp_path: Path
) -> None:
    """One with options of its own: what it has paid for is fetched, what it has kept is named."""

    @attrs.frozen(kw_only=True)
    class WithNote(UdioApiOptions):
        note: str

    async def submit() -> None:
        provider = UdioApiV2(api_key=KEY, base_url=sandbox.udioapi_v2().base_url)
        async with Client(provider, journal=tmp_path / "journal.db") as client:
            options = WithNote(note="for Ann")
            await client.keep([SongRequest(description="later", options=options, key="later")])
            await client.submit(SongRequest(description="odd", options=options, key="odd"))
            await client.submit(SongRequest(description="the last one", key="last"))

    asyncio.run(submit())
    resumed = call_cli("resume", tmp_path, *at)
    assert resumed.code == 1
    assert len(list(tmp_path.glob("*.mp3"))) == 4
    [failed] = [line for line in resumed.lines if line.get("error")]
    assert failed["key"] == "later", failed
    assert "not understood" in json.dumps(failed)
    assert charged(sandbox) == {"odd": 1, "the last one": 1}


def test_a_killed_batch_continues(
    sandbox: Sandbox,
    at: tuple[str, ...],
    start_cli: StartCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """After kill -9 the same command pays for no prompt again; a lost answer is a doubt."""
    prompts = [f"quick {number}" for number in range(30)]
    prompts[1] = "slow to be accepted"
    command = ("batch", write_requests(*asks(*prompts)), "--out", tmp_path, "--max-active", 2, *at)
    child = start_cli(*command)
    child.next_line()
    child.process.kill()
    child.end()
    ended = run_cli(*command)
    delivered = {line["line"] for line in ended.lines if not line["error"]}
    failed = [line for line in ended.lines if line["error"]]
    assert {line["error"]["type"] for line in failed} <= {"SubmitInDoubt"}
    assert delivered | {line["line"] for line in failed} == set(range(1, 31))
    assert len(failed) <= 4, "no more than were on the wire"
    assert set(charged(sandbox).values()) == {1}
    assert ended.code == (1 if failed else 0)


def test_a_finished_batch_run_again_only_tells(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """The same lines again; nothing is paid for, and only a missing file is fetched."""
    requests = write_requests(*asks("one", "two"), {"description": "named", "key": "my own"})
    command = ("batch", requests, "--out", tmp_path, *at)
    first = call_cli(*command)
    assert first.code == 0, first.err
    gone, *kept = sorted(tmp_path.glob("*.mp3"))
    gone.unlink()
    before = {path: path.stat().st_ino for path in kept}
    again = call_cli(*command)
    assert again.code == 0, again.err
    told, retold = first.lines, again.lines
    assert all(line.pop("timeline") for line in told)
    assert not any(line.pop("timeline") for line in retold)  # when it began is not known any more
    assert sorted(told, key=str) == sorted(retold, key=str)
    assert [line["line"] for line in again.lines if line.get("key") == "my own"] == [3, 3]
    assert gone.is_file()
    assert {path: path.stat().st_ino for path in kept} == before
    gone.unlink()
    resumed = call_cli("resume", tmp_path, *at)
    assert [line["path"] for line in resumed.lines if Path(line["path"]) == gone] == [str(gone)]
    assert gone.is_file()
    assert charged(sandbox) == {"one": 1, "two": 1, "named": 1}
    assert KEY.encode() not in (tmp_path / "journal.db").read_bytes()
    assert (tmp_path / "journal.db").stat().st_mode & 0o077 == 0


def test_doubts_and_their_ends(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """Each of the three answers does what it says, by the commands that are shown."""

    def call_shown(command: str) -> Ended:
        program = f"{_hints.program()} "
        assert command.startswith(program)
        return call_cli(*shlex.split(command.removeprefix(program)))

    requests = write_requests(*asks("lost, and found", "lost again", "lost for good", "good"))
    batch = ("batch", requests, "--out", tmp_path, *at)
    ended = call_cli(*batch)
    assert ended.code == 1
    failed = {line["line"]: line for line in ended.lines if line["error"]}
    assert failed.keys() == {1, 2, 3}
    for line in failed.values():
        assert line["error"]["type"] == "SubmitInDoubt"
        assert f"resolve {tmp_path} {line['key']} " in line["error"]["message"]
        assert "--task-id ID, --resubmit, --abandon" in line["error"]["message"]
    audit = call_cli("audit", tmp_path, "--price", 10, "--text", *at)
    assert audit.code == 1
    assert "as much as 3 requests in doubt would cost" in audit.out
    shown = call_shown(f"{shown_after(ended.err, '3 requests in doubt; to see them:')} --text")
    assert shown.code == 0
    assert "asked  lost, and found\n" in shown.out
    assert "credits: " in shown.out
    listed = call_cli("doubts", tmp_path, "--json", *at).lines
    assert [doubt["key"] for doubt in listed] == [failed[line]["key"] for line in (1, 2, 3)]
    found, again, gone = (doubt["commands"] for doubt in listed)
    task_id = sandbox.ledger[0].task_id
    mistyped = call_shown(found["task_id"].replace(" ID", " 4711"))
    assert (mistyped.code, mistyped.out) == (2, "")
    assert "udioapi-v2 knows no task 4711, so nothing was written down" in mistyped.err
    given = call_shown(found["task_id"].replace(" ID", f" {task_id}"))
    assert given.code == 0, given.err
    assert given.out.startswith(f"It is task {task_id}: complete with 2 songs (")
    resubmitted = call_shown(again["resubmit"])
    assert "It will be submitted again" in resubmitted.out
    assert "end the doubt" in (tmp_path / "index.html").read_text()
    assert call_shown(gone["abandon"]).out.startswith("Given up")
    assert call_cli("gallery", tmp_path).code == 0
    page = (tmp_path / "index.html").read_text()
    assert page.count("You have let it go") == 1
    assert page.count("end the doubt with `udio-async resolve`") == 2
    assert call_cli("doubts", tmp_path, "--text", *at).out == "0 requests in doubt.\n"
    assert charged(sandbox)["lost again"] == 1, "an answer alone pays for nothing"
    continued = call_shown(shown_after(resubmitted.out, "To continue"))
    assert continued.code == 0, continued.err
    assert {line["task_id"] for line in continued.lines} >= {task_id}
    counts = {"lost, and found": 1, "lost again": 2, "lost for good": 1, "good": 1}
    assert charged(sandbox) == counts
    ended = call_cli(*batch)
    assert [line["line"] for line in ended.lines if line["error"]] == [3]
    assert "given it up" in ended.err
    assert "in doubt; to see" not in ended.err
    assert charged(sandbox) == counts


def test_a_doubt_that_was_let_go_asks_for_nothing(
    at: tuple[str, ...], call_cli: CallCli, write_requests: WriteRequests, tmp_path: Path
) -> None:
    """The next run says so on stdout and in songs.jsonl, and not what it said of the doubt."""
    batch = ("batch", write_requests(*asks("lost")), "--out", tmp_path, *at)
    (doubt,) = call_cli(*batch).lines
    assert doubt["error"]["advice"] != LET_GO
    assert call_cli("resolve", tmp_path, doubt["key"], *at, "--abandon").code == 0
    (told,) = call_cli(*batch).lines
    *_, kept = map(json.loads, (tmp_path / "songs.jsonl").read_text().splitlines())
    assert [line["error"]["advice"] for line in (told, kept)] == [LET_GO, LET_GO]


def test_a_wrong_id_can_be_given_again(  # noqa: PLR0917 - fixtures
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where nobody could be asked it is believed; what comes of it names the way back."""
    batch = ("batch", write_requests(*asks("lost")), "--out", tmp_path, *at)
    assert call_cli(*batch).code == 1
    (doubt,) = call_cli("doubts", tmp_path, *at).lines
    resolve = ("resolve", tmp_path, doubt["key"], *at, "--task-id")
    with monkeypatch.context() as patch:
        patch.setattr("udio_async._session.Session.look", _unreachable)
        believed = call_cli(*resolve, "4711")
    assert believed.code == 0, believed.err
    assert "It is task 4711, which could not be looked at now (no answer)" in believed.out
    monkeypatch.setattr("udio_async._polling.look_results._GRACE", 0.1)
    resumed = call_cli("resume", tmp_path, *at)
    assert resumed.code == 1
    again = f"if it is wrong, give another: {_hints.program()} resolve {tmp_path} {doubt['key']} "
    assert again in resumed.err
    assert " --task-id ID" in resumed.err
    assert call_cli(*resolve, sandbox.ledger[0].task_id).code == 0
    assert call_cli("resume", tmp_path, *at).code == 0
    assert charged(sandbox) == {"lost": 1}


async def _unreachable(*_: object) -> None:
    raise Unreachable("no answer")


def test_a_secret_of_a_doubt_is_not_shown(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """What was asked for is listed without the secret of its webhook."""
    url = "https://example.org/hook"
    options = {"webhook_url": url, "webhook_secret": "hush-4711"}
    requests = write_requests({"description": "lost " * 30, "options": options})
    at = ("--provider", "apiframe", *at)
    ended = call_cli("batch", requests, "--out", tmp_path, *at)
    assert ended.code == 1
    (doubt,) = call_cli("doubts", tmp_path, "--json", *at).lines
    assert doubt["request"]["options"] == {"webhook_url": url}
    shown = call_cli("doubts", tmp_path, "--text", *at)
    assert "hush" not in shown.out + ended.out + ended.err
    assert next(line for line in shown.out.splitlines() if "asked" in line).endswith("lost lost…")
    assert " --provider apiframe " in doubt["commands"]["resubmit"]


def test_on_doubt_resubmit(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """It may pay twice, and here it does: only because it was asked to."""
    batch = ("batch", write_requests(*asks("lost")), "--out", tmp_path, *at)
    for _ in range(2):
        assert call_cli(*batch).code == 1
    assert charged(sandbox) == {"lost": 1}
    codes = [call_cli(*batch, "--on-doubt", "resubmit").code for _ in range(3)]
    assert codes == [1, 1, 0]
    assert charged(sandbox) == {"lost": 4}


def test_audit(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """It agrees, until somebody else spends with the same key; without a price it cannot tell."""
    prompts = [f"song {number}" for number in range(6)]
    assert call_cli("batch", write_requests(*asks(*prompts)), "--out", tmp_path, *at).code == 0
    audit = ("audit", tmp_path, "--text", *at)
    agreed = call_cli(*audit, "--price", 10)
    assert agreed.code == 0, agreed.out + agreed.err
    assert "6 requests accepted\n" in agreed.out
    assert "They agree.\nThis is conclusive only if nobody else uses the key.\n" in agreed.out
    unknown = call_cli(*audit)
    assert unknown.code == 2
    assert "60 credits charged" in unknown.out
    assert "give --price" in unknown.err
    assert call_cli("generate", "somebody else", *at).code == 0
    differs = call_cli(*audit, "--price", 10)
    assert differs.code == 1
    assert "They differ: 10 credits more were charged than expected.\n" in differs.out
    less = call_cli(*audit, "--price", 20, "--json")
    assert less.code == 1
    (values,) = less.lines
    assert (values["counted"], values["difference"]) == (70, -50)
    assert (
        "They differ: 50 credits less were charged than expected."
        in call_cli(*audit, "--price", 20).out
    )


def test_a_journal_in_use(  # noqa: PLR0917 - fixtures
    sandbox: Sandbox,
    at: tuple[str, ...],
    start_cli: StartCli,
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """A second process on the same journal is refused in one line and sends nothing."""
    command = ("batch", write_requests(*asks("quick", "never ready")), "--out", tmp_path, *at)
    child = start_cli(*command)
    child.next_line()
    for refused in (call_cli(*command), call_cli("resolve", tmp_path, "key", "--abandon", *at)):
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.count("\n") == 1
        assert "in use by another process" in refused.err
    listed = call_cli("jobs", tmp_path, "--text", *at)
    assert (listed.code, listed.err) == (0, ""), "what only reads is not refused"
    assert "never ready  task " in listed.out
    doubts = call_cli("doubts", tmp_path, "--text", *at)
    assert (doubts.code, doubts.out, doubts.err) == (0, "0 requests in doubt.\n", "")
    assert charged(sandbox) == {"quick": 1, "never ready": 1}
    child.interrupt()
    assert child.end().code == 130


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b"no database at all " * 500), "is not a journal of"),
        (lambda path: os.truncate(path, 5000), "cannot be trusted"),
    ],
    ids=["garbage", "cut"],
)
def test_a_damaged_journal(  # noqa: PLR0917 - fixtures
    spoil: Callable[[Path], object],
    words: str,
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """One line, exit 2, and nothing is sent."""
    requests = write_requests(*asks("one"))
    command = ("batch", requests, "--out", tmp_path, "--journal", tmp_path / "j" / "my.db", *at)
    assert call_cli(*command).code == 0
    spoil(tmp_path / "j" / "my.db")
    write_requests(*asks("another one"))
    refused = call_cli(*command)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: ")
    assert refused.err.count("error") == 1
    assert words in refused.err
    assert charged(sandbox) == {"one": 1}


def test_a_journal_of_another_account(  # noqa: PLR0917 - fixtures
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another key or another provider is refused, in one line that shows no key."""
    batch = ("batch", write_requests(*asks("one")), "--out", tmp_path, *at)
    assert call_cli(*batch).code == 0
    monkeypatch.setenv("UDIOAPI_API_KEY", "another-key-4711")
    apiframe = ("--provider", "apiframe", *at)
    for code, told, refused in (
        (1, "Unauthorized", call_cli(*batch)),  # it is no key at all
        (
            2,
            "and this is apiframe; give --provider udioapi-v2, or another --journal",
            call_cli("audit", tmp_path, *apiframe),
        ),
        (2, "give --provider udioapi-v2,", call_cli("rekey", tmp_path, "--yes", *apiframe)),
    ):
        assert (refused.code, refused.out) == (code, "")
        assert told in refused.err
        assert refused.err.count("\n") == 1
        assert "another-key" not in refused.err
    assert charged(sandbox) == {"one": 1}


def test_limits(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """No more is submitted than the limits allow, and the next run goes on."""
    requests = write_requests(*asks(*(f"song {number}" for number in range(6))))
    batch = ("batch", requests, "--out", tmp_path, *at)
    refused = call_cli(*batch, "--max-credits", 20)
    assert refused.code == 2
    assert "states no price" in refused.err
    assert not charged(sandbox)
    before = 0
    for paid, limit in ((2, ("--max-submits", 2)), (5, ("--max-credits", 0.3, "--price", 0.1))):
        ended = call_cli(*batch, *limit)
        assert ended.code == 1
        assert f": {paid - before} to submit" in ended.err
        before = paid
        failed = {line["error"]["type"] for line in ended.lines if line["error"]}
        assert failed == {"SpendLimitReached"}
        assert len(sandbox.ledger) == paid
    assert call_cli(*batch).code == 0
    assert set(charged(sandbox).values()) == {1}
    assert len(sandbox.ledger) == 6
    one = call_cli("generate", "song", "--max-credits", 5, "--price", 10, *at)
    assert one.code == 1
    assert (
        "--max-credits 5 pays for 0 requests at 10 credits each; give a higher --max-credits"
        in one.err
    )
    assert len(sandbox.ledger) == 6


def test_a_key_stands_for_one_request(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """Twice in a file it is refused; for other words than before it is that line's failure."""
    named = {"description": "a song", "key": "a"}
    batch = ("batch", tmp_path / "requests.jsonl", "--out", tmp_path, *at)
    write_requests(named, {"description": "another", "key": "a"}, {**named, "key": "-b"})
    refused = call_cli(*batch)
    assert refused.code == 2
    assert "requests.jsonl:2: key 'a' is that of line 1 already" in refused.err
    assert "requests.jsonl:3: key '-b' begins like an option" in refused.err
    write_requests(named)
    assert call_cli(*batch).code == 0
    write_requests({**named, "description": "other words"})
    failed = call_cli(*batch)
    assert failed.lines[0]["error"]["type"] == "InvalidRequest"
    assert "stands for another request" in failed.err
    assert charged(sandbox) == {"a song": 1}


def test_no_journal(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """It can be left out, and a sandbox of the run itself has none: it forgets its songs."""
    requests = write_requests(*asks("one"))
    real = ("batch", requests, "--out", tmp_path / "real")
    assert call_cli(*real, "--no-journal", *at).code == 0
    own = ("batch", requests, "--out", tmp_path / "own", "--provider", "sandbox", "--speed", SPEED)
    assert call_cli(*own).code == 0
    assert not list(tmp_path.glob("*/journal.db"))
    refused = call_cli(*own, "--journal", tmp_path / "kept.db")
    assert (refused.code, refused.out) == (2, "")
    assert "--journal does not go with --provider sandbox, which forgets its songs" in refused.err
    assert 'start one with "udio-async sandbox"' in refused.err
    assert not (tmp_path / "kept.db").exists()
    assert call_cli(*real, *at).code == 0
    resumed = call_cli("resume", tmp_path / "real", "--provider", "sandbox")
    assert resumed.code == 2
    assert "real/journal.db does not go with --provider sandbox" in resumed.err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["batch", "-", "--out", ".", "--journal", "a", "--no-journal"], "exclude one another"),
        (["resume", "."], "there is no journal at journal.db"),
        (["doubts", ".", "--journal", "other.db"], "there is no journal at other.db"),
        (["audit", "."], "there is no journal"),
        (["resolve", ".", "key", "--resubmit"], "there is no journal"),
        (["resolve", ".", "key"], "give one of --task-id ID, --resubmit and --abandon"),
        (["resolve", ".", "key", "--abandon", "--resubmit"], "give one of"),
        (["resolve", ".", "key", "--task-id", " "], "--task-id is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(
    args: list[str],
    words: str,
    call_cli: CallCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is told in one line with exit 2, and leaves no file behind."""
    monkeypatch.chdir(tmp_path)
    ended = call_cli(*args)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_in_doubt_can_be_resolved(
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    write_requests: WriteRequests,
    tmp_path: Path,
) -> None:
    """A key that is unknown or done is refused with exit 2."""
    requests = write_requests({"description": "a song", "key": "a"})
    assert call_cli("batch", requests, "--out", tmp_path, *at).code == 0
    for key, words in (
        ("a", "job 'a' is delivered, not in doubt"),
        ("b", "there is no job 'b' in this journal; to see them all: "),
    ):
        refused = call_cli("resolve", tmp_path, key, "--resubmit", *at)
        assert refused.code == 2
        assert words in refused.err


def test_a_wait_that_expired_names_the_command() -> None:
    """The song is still being made, so the hint is how to wait again; without a journal, none."""
    error = WaitExpired("task 7 is still queued", task_id="7")
    again = "udio-async resume songs"
    hints = _hints.Hints(again=again, same=again, directory=Path("songs"), options=())
    assert _remedies.explain(error, hints).endswith("to wait for it again: udio-async resume songs")
    assert _remedies.explain(error, None) == "task 7 is still queued"


def test_the_program_is_named_as_it_can_be_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By its name where a shell finds it, and else as it was called."""
    directory = tmp_path / "a venv"
    directory.mkdir()
    script = directory / "udio-async"
    script.touch(0o755)
    other = tmp_path / "udio-async"
    other.touch(0o755)
    for called, path, shown in (
        (script, directory, "udio-async"),
        (script, "", shlex.quote(str(script))),
        (script, tmp_path, shlex.quote(str(script))),  # that would be another one
        (tmp_path / "__main__.py", "", f"{sys.executable} -m udio_async.cli"),
    ):
        monkeypatch.setattr(sys, "argv", [str(called)])
        monkeypatch.setenv("PATH", str(path))
        assert _hints.program() == shown
