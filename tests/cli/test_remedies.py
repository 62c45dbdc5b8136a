"""The shell speaks shell: no message of it tells to write Python."""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import anyio
import pytest

import udio_async
from udio_async import InvalidRequest, SqliteJournal, UdioError
from udio_async.cli import _hints
from udio_async.cli._remedies import REMEDIES, explain, in_shell

from .conftest import Bench, Ended, run_cli

PACKAGE = Path(udio_async.__file__).parent
PYTHON = re.compile(
    r"client\.|\bawait\b|hand_over|\.resolve\(|\w\(\)|[A-Z][A-Za-z]+\(|\w=['\"]|=True|\bgeneration=|\bbase_url\b"
    r"|\bUdioApi\w*|\b\w+Journal\b|SongRequest|\bJournalState|\w+Options\b|\bPollPolicy"
    r"|\bmax_\w+|\bon_doubt\b|\bsame_account\b|\bapi_key\b|\bhttp_client\b|\btrust_env\b"
)
"""What only a program has."""

UNSEEN = {
    "the API key in the environment variable {} {}": "the shell reads its keys itself",
    "no API key: the environment variable {}": "",
    "key is {}, which would show it": "it makes an ApiKey",
    "{} is no provider": "it makes the client; so in all that follow",
    "PollPolicy ": "",
    "{} is {}; give PollPolicy(...)": "",
    "the http_client that was given is closed": "",
    "the http_client wanted to send a paid request again": "",
    "a hook of the http_client was stopped while it read": "",
    "the http_client has closed the answer unread": "",
    "the auth class of the http_client ended without": "",
    "the client is {}; use it inside": "",
    "the client is not open": "",
    "{}() was called without `await`": "",
    "{} belongs to another event loop": "it has one",
    "the event loop has ended while a client was open": "it closes what it opens",
    "a batch runs inside `async with": "",
    "states is {}; give a list": "",
    "give songs, not {}": "",
    "{} has no callbacks: leave client.callbacks() out": "it takes none",
    "say same_account=True": "`rekey` does",
    "journal is {}; give a path": "",
    "{} is {}; give UdioApiOptions(...) or": "it makes the options of the provider",
    "this MemoryJournal is another client's": "each command has one client",
    "job {} is over, and a MemoryJournal keeps only": "a key that comes twice is refused before",
}
"""Messages of the library that no command can come to, and why."""


def texts_of(path: Path) -> Iterator[str]:
    """Every text of a module that may be shown, with {} for what is filled in."""
    tree = ast.parse(path.read_text())
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = (
                part.value if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
            yield "".join(map(str, pieces))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in told | parts
        ):
            yield node.value


def is_message(text: str) -> bool:
    """A sentence, and neither a name nor a type."""
    return text.count(" ") >= 2 and "attrs.Attribute" not in text


@cache
def python_messages(*, of_shell: bool) -> Sequence[str]:
    """The messages that name Python, of the library or of the command line."""
    return [
        text
        for path in sorted(PACKAGE.rglob("*.py"))
        if ("cli" in path.parts) is of_shell
        and not {"sandbox", "testing"} & {*path.relative_to(PACKAGE).parts}
        for text in texts_of(path)
        if is_message(text) and PYTHON.search(text)
    ]


def filled(message: str) -> str:
    """The message as it is shown, with something in its gaps."""
    return message.replace("use generation={}", "use generation='legacy'").replace("{}", "5")


def test_every_message_of_the_library_has_shell_words() -> None:
    """Each that names Python is in the table, or listed with the reason that nobody meets it."""
    seen = [text for text in python_messages(of_shell=False) if not text.startswith(tuple(UNSEEN))]
    assert len(seen) > 8, "the search finds them"
    for text in seen:
        remedies = [one for one in REMEDIES if re.search(one.python, filled(text))]
        assert remedies, f"{text!r} has no remedy in a shell"
        for remedy in remedies:
            told = in_shell(filled(text), remedy.error)
            assert not PYTHON.search(told), told
    stale = [
        start
        for start in UNSEEN
        if not any(text.startswith(start) for text in python_messages(of_shell=False))
    ]
    assert not stale


def test_the_table_is_of_what_the_library_says() -> None:
    """No row of it waits for a message that there is no more."""
    texts = [filled(text) for path in PACKAGE.rglob("*.py") for text in texts_of(path)]
    for remedy in REMEDIES:
        pattern = remedy.python.replace("'callback'", "'legacy'")
        assert any(re.search(pattern, text) for text in texts), remedy


def test_the_shell_itself_names_no_python() -> None:
    """Its own sentences do not either."""
    ours = [text for text in python_messages(of_shell=True) if not _is_pattern(text)]
    assert ours == []


def _is_pattern(text: str) -> bool:
    """What the table looks for is Python of course; so is what a query or a page is made of."""
    return any(text == remedy.python for remedy in REMEDIES) or text.startswith(("select ", "<"))


ERRORS = [
    kind
    for name in udio_async.__all__
    if isinstance(kind := getattr(udio_async, name), type) and issubclass(kind, UdioError)
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_can_be_explained(kind: type[UdioError]) -> None:
    """In one line, with whatever the library says of such errors."""
    for remedy in REMEDIES:
        if not issubclass(kind, remedy.error):
            continue
        for text in python_messages(of_shell=False):
            if re.search(remedy.python, filled(text)):
                told = explain(kind(filled(text)))
                assert not PYTHON.search(told), told
    assert explain(kind("as it is")) == "as it is"


def test_without_a_journal_a_command_is_told_with_its_gaps() -> None:
    """Where it is not known which directory is meant, it says DIR."""
    message = "there is no job 'x' in this journal; client.jobs() lists them"
    told = explain(InvalidRequest(message))
    assert told.endswith(f"to see them all: {_hints.program()} jobs DIR")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("generate", "x", "--max-credits", "5"), "--max-credits 5.0 cannot be kept; give --price"),
        (("credits", "--base-url", "x"), "--base-url 'x' is no plain address"),
    ],
)
def test_what_is_said_in_a_shell(args: tuple[str, ...], words: str, bench: Bench) -> None:
    """The remedy is something to type, and nothing was sent."""
    at = () if "--base-url" in args else bench.at
    ended = run_cli(*args, *at)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert not PYTHON.search(ended.err.removeprefix("error: "))
    assert bench.charged == []


async def _made_by_another(path: Path) -> None:
    async with SqliteJournal(path).open("udioapi-v2 another key"):
        pass


@pytest.mark.parametrize("command", ["batch", "resume", "forget", "audit", "resolve"])
def test_another_account_has_a_way_on(
    command: str,
    bench: Bench,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever command meets the journal of another key, it names `rekey` with its DIR."""
    anyio.run(_made_by_another, tmp_path / "journal.db")
    monkeypatch.setattr("udio_async._lifetime.is_same_account", _is_not)
    (tmp_path / "ideas.txt").write_text("a song\n")
    words: dict[str, tuple[object, ...]] = {
        "batch": (tmp_path / "ideas.txt", "--out", tmp_path),
        "resolve": (tmp_path, "key", "--abandon"),
        "forget": (tmp_path, "key"),
    }
    ended = call_cli(command, *words.get(command, (tmp_path,)), *bench.at)
    assert ended.code == 2
    assert f"say so once: {_hints.program()} rekey {tmp_path} " in ended.err
    assert not PYTHON.search(ended.err)
    assert bench.charged == []


async def _is_not(*_: object) -> bool:
    return False
