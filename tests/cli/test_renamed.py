"""A row whose key or spelling a program has changed is not paid for again unasked."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import anyio
import pytest

from udio_async import JournalEntry, JournalState, SqliteJournal
from udio_async.sandbox import Fault, Sandbox

from .conftest import Child, Ended

CallCli = Callable[..., Ended]
FAULTS = (
    Fault("charged_502", match="lost"),
    Fault("stuck", match="stuck"),
    Fault("refused", match="refused once", times=1),
)
KEPT_JOURNAL = pytest.mark.parametrize("kept", [True, False], ids=["journal", "no journal"])


@pytest.fixture
def sandbox(run_sandbox: Callable[..., AbstractContextManager[Sandbox]]) -> Iterator[Sandbox]:
    with run_sandbox(faults=FAULTS, speed=400.0) as sandbox:
        yield sandbox


@pytest.fixture
def run(sandbox: Sandbox, call_cli: CallCli, tmp_path: Path) -> Callable[..., Ended]:
    """Run a table of "key: description" into one directory; one without a colon has no key."""

    def run(rows: str, *options: object) -> Ended:
        pairs = [row.rpartition(":")[::2] for row in rows.split(", ")]
        file = tmp_path / "ideas.csv"
        file.write_text("key,description\n" + "".join(f"{key},{idea}\n" for key, idea in pairs))
        at = ("--base-url", sandbox.base_url, "--speed", "400")
        return call_cli("batch", file, "--out", tmp_path / "songs", *at, *options)

    return run


def listed(journal: SqliteJournal) -> list[JournalEntry]:
    async def read() -> list[JournalEntry]:
        return [entry async for entry in journal.entries(frozenset(JournalState))]

    return anyio.run(read)


def charged(sandbox: Sandbox) -> Counter[str]:
    return Counter(charge.prompt for charge in sandbox.ledger)


SAVED_AGAIN = {
    "zeros": ("001:rain, 002:sun", "1:rain, 2:sun"),
    "whole": ("1:rain, 2:sun", "1.0:rain, 2.0:sun"),
    "long": ("123456789012345678:rain, 2:sun", "1.23457E+17:rain, 2:sun"),
    "date": ("1-2:rain, 1-3:sun", "01.02.2026:rain, 01.03.2026:sun"),
    "swapped": ("a:rain, b:sun", "b:rain, a:sun"),
    "keys added": ("rain, sun", "1:rain, 2:sun"),
    "keys taken away": ("1:rain, 2:sun", "rain, sun"),
}


@KEPT_JOURNAL
@pytest.mark.parametrize("way", SAVED_AGAIN)
def test_other_keys_are_asked_about(
    way: str, kept: bool, run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing is sent, and each of the ways on does what it says."""
    before, after = SAVED_AGAIN[way]
    assert run(before).code == 0
    once = {"rain": 1, "sun": 1}
    if not kept:
        (tmp_path / "songs" / "journal.db").unlink()
    elif way == "swapped":  # the journal has both keys, and refuses other words under them
        refused = run(after)
        assert (refused.code, charged(sandbox)) == (1, once), refused.err
        return
    refused = run(f"{after}, new:fog")
    assert (refused.code, refused.out) == (2, "")
    assert "requests have other keys than before; nothing was sent" in refused.err
    assert "(rain) had " in refused.err
    assert charged(sandbox) == once
    went_on = run(f"{after}, new:fog", "--rest")
    assert went_on.code == 0, went_on.err
    assert sorted(line["line"] for line in went_on.lines) == [2, 2, 3, 3, 4, 4]
    assert charged(sandbox) == once | {"fog": 1}
    again = run(f"{after}, new:fog")
    assert again.code == 0, "what was answered is not asked again"
    assert charged(sandbox) == once | {"fog": 1}


@KEPT_JOURNAL
def test_who_means_new_songs_says_so(
    kept: bool, run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A file with keys of its own may ask for the same words once more."""
    run("a:rain")
    if not kept:
        (tmp_path / "songs" / "journal.db").unlink()
    refused = run("b:rain")
    assert refused.code == 2, "also where nothing else would be submitted"
    assert "line 2 (rain) had the key 'a'" in refused.err
    assert "add --again to submit 1 request" in refused.err
    assert run("b:rain", "--again").code == 0
    assert run("b:rain").code == 0
    assert charged(sandbox) == {"rain": 2}


@KEPT_JOURNAL
def test_equal_rows_that_are_both_meant(
    kept: bool, run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A new row with the words of one that is still there is a new song."""
    assert run("a:rain, b:rain").code == 0
    if not kept:
        (tmp_path / "songs" / "journal.db").unlink()
    ended = run("a:rain, b:rain, c:rain", *([] if kept else ["--rest"]))
    assert ended.code == 0, ended.err
    assert charged(sandbox) == {"rain": 3}


def test_of_equal_rows_only_what_is_gone_is_asked_about(
    run: Callable[..., Ended], sandbox: Sandbox
) -> None:
    run("001:rain, b:rain")
    refused = run("1:rain, b:rain, c:rain")
    assert refused.code == 2
    assert "1 request may have been paid for: line 2 (rain) had the key '001'" in refused.err
    assert run("1:rain, b:rain, c:rain", "--rest").code == 0
    assert charged(sandbox) == {"rain": 3}


@KEPT_JOURNAL
def test_rows_that_were_numbered_anew(
    kept: bool, run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """One came in at the top: the last one has a new key, and is paid for all the same."""
    run("1:rain, 2:sun")
    if not kept:
        (tmp_path / "songs" / "journal.db").unlink()
    refused = run("1:fog, 2:rain, 3:sun")
    assert (refused.code, refused.out) == (2, "")
    assert "line 4 (sun) had the key '2'" in refused.err
    run("1:fog, 2:rain, 3:sun", "--rest")
    assert charged(sandbox) == {"rain": 1, "sun": 1}


def test_a_key_of_other_words_after_a_lost_journal(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Its songs are not those of the row, and it is not known whether new ones are meant."""
    run("a:rain")
    (tmp_path / "songs" / "journal.db").unlink()
    refused = run("a:fog")
    assert (refused.code, refused.out) == (2, "")
    assert "line 2 (fog) has the key of (rain)" in refused.err
    rest = run("a:fog", "--rest")
    assert (rest.code, rest.out) == (1, "")
    assert "line 2 (fog) is left alone: its key is that of another request" in rest.err
    assert charged(sandbox) == {"rain": 1}
    assert run("a:fog", "--again").code == 0


@KEPT_JOURNAL
def test_a_doubt_under_another_key_is_not_sent_again(
    kept: bool, run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    assert run("001:lost").code == 1
    if not kept:
        (tmp_path / "songs" / "journal.db").unlink()
    assert run("1:lost").code == 2
    left = run("1:lost", "--rest")
    assert left.code == 1
    assert "line 2 (lost) is left alone: what became of it is not known" in left.err
    assert charged(sandbox) == {"lost": 1}


def test_what_is_still_being_made_is_left_to_the_old_key(
    run: Callable[..., Ended], sandbox: Sandbox, start_cli: Callable[..., Child], tmp_path: Path
) -> None:
    songs, file = tmp_path / "songs", tmp_path / "before.csv"
    file.write_text("key,description\n001,stuck\n")
    child = start_cli("batch", file, "--out", songs, "--base-url", sandbox.base_url)
    while not sandbox.ledger:
        time.sleep(0.01)
    child.interrupt()
    assert child.end().code == 130
    assert run("1:stuck").code == 2
    left = run("1:stuck", "--rest")
    assert left.code == 1
    assert "is still being made" in left.err
    assert charged(sandbox) == {"stuck": 1}


@pytest.mark.parametrize("command", ["generate", "generate --key"])
def test_a_song_of_generate_is_another_one(
    command: str, run: Callable[..., Ended], sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """Each is asked for on purpose; but a name that was given is one that a file may have lost."""
    key = ("--key", "mine") if "--key" in command else ()
    at = ("--base-url", sandbox.base_url, "--speed", "400", "--out", tmp_path / "songs")
    for _ in range(2):
        assert call_cli("generate", "rain", *key, *at).code == 0
    assert run("rain").code == (2 if key else 0)
    assert call_cli("generate", "rain", "--key", "other", *at).code == 0, "so does another name"


def test_songs_that_are_not_all_here_are_fetched_under_the_new_key(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    (line, _) = run("001:rain").lines
    Path(line["path"]).unlink()
    assert run("1:rain").code == 2
    fetched = run("1:rain", "--rest")
    assert fetched.code == 0, fetched.err
    assert Path(line["path"]).is_file()
    assert charged(sandbox) == {"rain": 1}


def test_what_was_kept_under_another_key_is_submitted_once(
    run: Callable[..., Ended], sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """Nothing was taken for it, so nothing is asked; but `resume` does not submit it once more."""
    songs = tmp_path / "songs"
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    assert run("001:rain, b:rain, 002:refused once").code == 1
    assert run("1:rain, b:rain, 2:refused once", "--rest").code == 0
    assert call_cli("resume", songs, *at).code == 0
    assert charged(sandbox) == {"rain": 2, "refused once": 1}


def test_a_refused_row_is_submitted_though_a_finished_one_with_its_words_is_gone(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """The journal knows it under its own key: so no other one was its name before."""
    assert run("a:refused once, b:refused once").code == 1
    journal = SqliteJournal(tmp_path / "songs" / "journal.db")
    states = {entry.key: entry.state for entry in listed(journal)}
    left = next(key for key, state in states.items() if state is JournalState.REFUSED)
    ended = run(f"{left}:refused once")
    assert ended.code == 0, ended.err
    assert charged(sandbox) == {"refused once": 2}


def test_a_row_takes_the_place_of_one_earlier_request_only(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """What was refused is not taken back for a row that stands for a finished request."""
    run("a:refused once, b:refused once")
    assert run("c:refused once", "--rest").code == 0
    journal = SqliteJournal(tmp_path / "songs" / "journal.db")
    states = Counter(entry.state for entry in listed(journal))
    assert states == {JournalState.REFUSED: 1, JournalState.DELIVERED: 1}
    assert charged(sandbox) == {"refused once": 1}


# In another spelling ---------------------------------------------------------------------------

TITLES = "title,lyrics,style\n{},la la,pop\nB,la la,pop\n"
CHANGED = {
    "Excel, as text": (
        'rain, slow\nsun and "fun"\n',
        '"rain, slow"\r\n"sun and ""fun"""\r\n',
        "ideas.txt",
    ),
    "JSON lines, as text": ('sun and "fun"\n', json.dumps('sun and "fun"'), "ideas.txt"),
    "pandas": (TITLES.format("1999"), TITLES.format("1999.0"), "ideas.csv"),
    "Excel, zeros": (TITLES.format("007"), TITLES.format("7"), "ideas.csv"),
    "Excel, true": (TITLES.format("true"), TITLES.format("TRUE"), "ideas.csv"),
    "a no-break space": ("rain !\n", "rain\u00a0!\n", "ideas.txt"),
    "one that was put in": ("rain!\n", "rain\u202f!\n", "ideas.txt"),
    "print": ('don\'t say "no"...\n', "don\u2019t say \u201cno\u201d\u2026\n", "ideas.txt"),
    "Google, as tabs": (
        'title,lyrics,style\nA,"one\ntwo",pop\n',
        "title,lyrics,style\nA,one two,pop\n",
        "ideas.csv",
    ),
    "a backslash that was text": ("a\\# b\n", "a# b\n", "ideas.txt"),
    "and another key": (
        "key,title,lyrics,style\n001,007,la la,pop\n",
        "key,title,lyrics,style\n1,7,la la,pop\n",
        "ideas.csv",
    ),
}


@pytest.fixture
def save(sandbox: Sandbox, call_cli: CallCli, tmp_path: Path) -> Callable[..., Ended]:
    """Save a file, and run it into the one directory."""

    def save(content: str, name: str, *options: object) -> Ended:
        file = tmp_path / name
        file.write_text(content, newline="")
        at = ("--base-url", sandbox.base_url, "--speed", "400")
        return call_cli("batch", file, "--out", tmp_path / "songs", *at, *options)

    return save


@pytest.mark.parametrize("way", CHANGED)
def test_another_spelling_is_asked_about(
    way: str, save: Callable[..., Ended], sandbox: Sandbox
) -> None:
    """It may be meant, so it is no other request by itself; nothing is sent before an answer."""
    before, after, name = CHANGED[way]
    assert save(before, name).code == 0
    paid = charged(sandbox)
    refused = save(after, name)
    assert (refused.code, refused.out) == (2, "")
    assert "requests have other words than before; nothing was sent" in refused.err
    assert "differs only in blanks, quotes or the spelling of a number" in refused.err
    assert "put the old words back if they are meant" in refused.err
    left_out = save(after, name, "--rest")
    assert left_out.code == 0, left_out.err
    assert left_out.lines, "its songs are told"
    assert save(after, name).code == 0, "what was answered is not asked again"
    assert charged(sandbox) == paid
    assert save(before, name).code == 0, "the old words are still known"
    assert charged(sandbox) == paid


def test_another_spelling_that_is_meant_is_paid_for(
    save: Callable[..., Ended], sandbox: Sandbox
) -> None:
    save("rain\n", "ideas.txt")
    assert save('"rain"\n', "ideas.txt", "--again").code == 0
    assert charged(sandbox) == {"rain": 1, '"rain"': 1}


def test_what_was_kept_in_another_spelling_is_submitted_once(
    save: Callable[..., Ended], sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """Nothing was taken for it, so nothing is asked; but `resume` does not submit it once more."""
    assert save("refused once\n", "ideas.txt").code == 1
    assert save('"refused once"\n', "ideas.txt").code == 0
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    assert call_cli("resume", tmp_path / "songs", *at).code == 0
    assert charged(sandbox) == {'"refused once"': 1}


@pytest.mark.parametrize(
    "after",
    [
        'rain\nsun\n"rain"\n',  # beside the old one, which is still there
        '"rain"\nrain\nsun\n',
        "Rain\nsun\n",  # in place of the old one
        "rain.\nsun\n",
        "sun\nfog\n",
        "rain\nsun\n007\n7\nTRUE\n",
    ],
)
def test_words_that_are_others_are_not_asked_about(
    after: str, save: Callable[..., Ended], sandbox: Sandbox
) -> None:
    """A file that grows, and in which rows are written anew, is an ordinary one."""
    assert save("rain\nsun\n", "ideas.txt").code == 0
    ended = save(after, "ideas.txt")
    assert ended.code == 0, ended.err
    assert set(charged(sandbox)) == {"rain", "sun", *after.split()}


def test_a_row_takes_no_request_that_another_row_asks_for(
    save: Callable[..., Ended], sandbox: Sandbox
) -> None:
    """The one has it in another spelling, the other under another key: it is the other's."""
    save("key,description\n001,rain\n", "ideas.csv")
    after = 'key,description\n5,"""rain"""\n1,rain\n'
    refused = save(after, "ideas.csv")
    assert "1 request may have been paid for: line 3 (rain) had the key '001'" in refused.err
    assert save(after, "ideas.csv", "--rest").code == 0
    assert charged(sandbox) == {"rain": 1, '"rain"': 1}
