"""A journal is used with the service at one address: no other is shown the key, or paid."""

import shlex
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from udio_async import SqliteJournal, UdioApiV2
from udio_async.cli import _hints
from udio_async.cli._address import ADDRESS, is_same_service
from udio_async.providers import account_of

from .conftest import KEY, Bench, Ended

GATEWAY = "https://gateway.example/udio"
CallCli = Callable[..., Ended]


def noted(journal: Path) -> str | None:
    async def read() -> str | None:
        return await SqliteJournal(journal).noted(ADDRESS)

    return anyio.run(read)


def note(journal: Path, address: str) -> None:
    """Let a journal be one of the service at this address."""

    async def write() -> None:
        kept = SqliteJournal(journal)
        async with kept.open(account_of(UdioApiV2(api_key=KEY))):
            await kept.note(ADDRESS, address)

    anyio.run(write)


@pytest.fixture
def made(bench: Bench, call_cli: CallCli, tmp_path: Path) -> Path:
    """A directory that a batch with the sandbox has made."""
    (tmp_path / "ideas.txt").write_text("rain\n")
    batch = ("batch", tmp_path / "ideas.txt", "--out", tmp_path / "songs", *bench.at)
    assert call_cli(*batch).code == 0
    return tmp_path / "songs"


@pytest.fixture
def of_gateway(made: Path) -> Path:
    """A directory whose journal was made with a gateway."""
    note(made / "journal.db", GATEWAY)
    return made


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    """A service at another address, which only has to see whether anybody comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


COMMANDS: dict[str, tuple[str, ...]] = {
    "resume": (),
    "audit": (),
    "forget": ("key",),
    "resolve": ("key", "--task-id", "id"),
    "rekey": (),
    "batch": (),
    "generate": ("--key", "name"),
}


@pytest.mark.parametrize("key", [KEY, "another-key-4711"])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_goes_to_another_address(  # noqa: PLR0917 - fixtures
    command: str,
    key: str,
    of_gateway: Path,
    stranger: socket.socket,
    call_cli: CallCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even the question whether a new key is of the same account."""
    monkeypatch.setenv("UDIOAPI_API_KEY", key)
    place: dict[str, tuple[object, ...]] = {
        "batch": (of_gateway.parent / "ideas.txt", "--out", of_gateway),
        "generate": ("rain", "--out", of_gateway),
    }
    here = f"http://127.0.0.1:{stranger.getsockname()[1]}"
    words = (*place.get(command, (of_gateway,)), *COMMANDS[command])
    ended = call_cli(command, *words, "--base-url", here)
    assert (ended.code, ended.out) == (2, "")
    if command == "rekey":  # which is the way on
        assert f"give --yes if {here} is the service that {of_gateway}/journal.db was" in ended.err
    else:
        assert (
            f"error: {of_gateway}/journal.db was made with --base-url {GATEWAY}, and this would go "
            f"to {here}; give --base-url {GATEWAY}, or another --journal; if the service has "
            f"moved, say so once: {_hints.program()} rekey "
        ) in ended.err
    assert noted(of_gateway / "journal.db") == GATEWAY
    with pytest.raises(BlockingIOError):
        stranger.accept()


def test_a_service_that_has_moved(of_gateway: Path, bench: Bench, call_cli: CallCli) -> None:
    """The command that the refusal names takes the journal along, once it was confirmed."""
    refused = call_cli("resume", of_gateway, *bench.at)
    shown = refused.err.partition("say so once: ")[2].strip()
    words = shlex.split(shown.removeprefix(_hints.program()))
    moved = call_cli(*words, "--yes")
    assert (moved.code, moved.err) == (0, "")
    assert call_cli("resume", of_gateway, *bench.at).code == 0
    assert noted(of_gateway / "journal.db") == bench.sandbox.base_url
    assert len(bench.charged) == 1


def test_lists_need_no_address(of_gateway: Path, call_cli: CallCli) -> None:
    """They send nothing."""
    assert call_cli("jobs", of_gateway, "--text").out.endswith("1 job.\n")
    assert call_cli("doubts", of_gateway, "--text").code == 0


def test_a_journal_without_a_note_gets_it(made: Path, bench: Bench, call_cli: CallCli) -> None:
    """One that a program has made, or an earlier version, is taken as it is."""
    journal = made / "journal.db"
    assert noted(journal) == bench.sandbox.base_url
    (made / "new.db").write_bytes(b"")
    note(made / "new.db", "")
    damaged = call_cli("resume", made, "--journal", made / "new.db", *bench.at)
    assert (damaged.code, "its note 'base URL' is ''" in damaged.err) == (2, True)
    (made / "new.db").unlink()

    async def make() -> None:
        async with SqliteJournal(made / "other.db").open(account_of(UdioApiV2(api_key=KEY))):
            pass

    anyio.run(make)
    assert call_cli("resume", made, "--journal", made / "other.db", *bench.at).code == 0
    assert noted(made / "other.db") == bench.sandbox.base_url


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://udioapi.pro", "https://udioapi.pro/", True),
        ("https://udioapi.pro", "https://UdioApi.pro:443", True),
        ("https://udioapi.pro/a", "https://udioapi.pro/b", False),
        ("https://udioapi.pro", "https://udioapi.pro:8443", False),
        ("https://udioapi.pro", "https://gateway.example", False),
        ("http://127.0.0.1:8787", "http://localhost:41233", True),
        ("http://127.0.0.1:8787", "http://[::1]:8787", True),
        ("http://127.0.0.1:8787", "https://udioapi.pro", False),
    ],
)
def test_two_spellings_of_one_service(one: str, other: str, *, same: bool) -> None:
    """All of this machine are one: a sandbox has another port each time."""
    assert is_same_service(one, other) is same
    assert is_same_service(other, one) is same


@pytest.mark.parametrize("command", ["audit", "forget", "rekey"])
def test_what_submits_nothing_notes_no_address(
    command: str, made: Path, bench: Bench, call_cli: CallCli
) -> None:
    """A wrong one would refuse the right one in the next run."""
    assert noted(made / "journal.db") is not None
    with sqlite3.connect(made / "journal.db") as db:
        db.execute("delete from notes where name = ?", (ADDRESS,))
    db.close()
    call_cli(command, made, *COMMANDS[command], *bench.at)
    assert noted(made / "journal.db") is None
