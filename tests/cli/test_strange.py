"""Songs in a folder of which neither the journal nor songs.jsonl tells."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from udio_async.sandbox import Fault, Sandbox

from .conftest import Ended

CallCli = Callable[..., Ended]
OURS = ("journal.db", "songs.jsonl", "index.html")


@pytest.fixture
def sandbox(run_sandbox: Callable[..., AbstractContextManager[Sandbox]]) -> Iterator[Sandbox]:
    with run_sandbox(faults=[Fault("refused", match="refused once", times=1)]) as sandbox:
        yield sandbox


@pytest.fixture
def at(sandbox: Sandbox) -> tuple[str, ...]:
    return ("--base-url", sandbox.base_url, "--speed", "400")


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    return tmp_path / "songs"


@pytest.fixture
def run(at: tuple[str, ...], call_cli: CallCli, songs: Path, tmp_path: Path) -> CallCli:
    """Run a batch of these ideas, into one folder unless another is named."""

    def run(ideas: str, *options: object, out: Path = songs) -> Ended:
        file = tmp_path / "ideas.txt"
        file.write_text("".join(f"{idea}\n" for idea in ideas.split(", ")))
        return call_cli("batch", file, "--out", out, *at, *options)

    return run


@pytest.fixture
def restore(run: CallCli, songs: Path, tmp_path: Path) -> Callable[[str, str], None]:
    """Make two batches, and bring all but the audio back as it was after the first."""

    def restore(first: str, second: str) -> None:
        run(first)
        backup = shutil.copytree(songs, tmp_path / "backup")
        assert run(second).code == 0
        for name in OURS:
            shutil.copy(backup / name, songs / name)

    return restore


def charged(sandbox: Sandbox) -> Counter[str]:
    return Counter(charge.prompt for charge in sandbox.ledger)


def lose_journal(songs: Path) -> None:
    (songs / "journal.db").unlink()


def keep_lines(songs: Path, asked: str) -> None:
    """Leave only the lines of one request in songs.jsonl."""
    manifest = songs / "songs.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if json.loads(line)["asked"] == asked))


@pytest.mark.parametrize("answer", ["--rest", "--again"])
def test_a_folder_whose_journal_and_list_are_older_than_its_songs(
    answer: str, restore: Callable[[str, str], None], run: CallCli, sandbox: Sandbox
) -> None:
    """It is asked about once, though the journal knows other requests of the batch."""
    restore("rain", "rain, sun, fog")
    refused = run("rain, sun, fog")
    assert (refused.code, refused.out) == (2, "")
    assert "neither the journal nor songs.jsonl tells of 4 songs here: " in refused.err
    assert "add --rest to submit only 2 requests, if these songs are not theirs" in refused.err
    assert charged(sandbox) == {"rain": 1, "sun": 1, "fog": 1}
    assert run("rain, sun", answer).code == 0
    later = run("rain, sun, ice")
    assert later.code == 0, later.err
    assert charged(sandbox) == {"rain": 1, "sun": 2, "fog": 1, "ice": 1}


def test_strange_songs_are_no_trouble_where_nothing_would_be_bought(
    restore: Callable[[str, str], None], run: CallCli, sandbox: Sandbox
) -> None:
    """Nothing is asked; nor is that taken for an answer to a question."""
    restore("rain", "rain, sun")
    assert run("rain").code == 0
    assert run("rain, sun").code == 2
    assert charged(sandbox) == {"rain": 1, "sun": 1}


def test_resume_leaves_alone_what_strange_songs_may_be_of(  # noqa: PLR0917 - fixtures
    restore: Callable[[str, str], None],
    sandbox: Sandbox,
    at: tuple[str, ...],
    call_cli: CallCli,
    songs: Path,
    tmp_path: Path,
) -> None:
    """By the older journal it was refused. If the songs are not its own, they can be moved."""
    restore("refused once, rain", "refused once, rain")
    resumed = call_cli("resume", songs, *at)
    assert resumed.code == 1
    assert "1 request left alone: neither the journal nor songs.jsonl tells of 2 songs here: " in (
        resumed.err
    )
    assert "move them to another folder, and run this again" in resumed.err
    assert charged(sandbox) == {"refused once": 1, "rain": 1}
    (tmp_path / "others").mkdir()
    told = (songs / "songs.jsonl").read_text()
    for song in songs.glob("*.mp3"):
        if song.name not in told:
            song.rename(tmp_path / "others" / song.name)
    assert call_cli("resume", songs, *at).code == 0
    assert charged(sandbox) == {"refused once": 2, "rain": 1}


def test_the_songs_of_two_folders_in_one(run: CallCli, sandbox: Sandbox, tmp_path: Path) -> None:
    """The journal and the list of one of them know nothing of the other's songs."""
    one, other = tmp_path / "one", tmp_path / "other"
    run("rain, sun", out=one)
    run("fog", out=other)
    for song in one.glob("*.mp3"):
        shutil.copy(song, other)
    assert run("rain, sun", out=other).code == 2
    assert charged(sandbox) == {"rain": 1, "sun": 1, "fog": 1}


def test_a_few_lines_in_the_list_hide_no_other_songs(
    run: CallCli, sandbox: Sandbox, songs: Path
) -> None:
    """Whoever has to choose --rest is told of all songs that may be those of the rest."""
    run("rain, sun, fog")
    lose_journal(songs)
    keep_lines(songs, "rain")
    refused = run("rain, sun, fog")
    assert refused.code == 2
    assert "by songs.jsonl the songs of 1 request are here: line 1 (rain)" in refused.err
    assert "neither the journal nor songs.jsonl tells of 4 songs here: " in refused.err
    assert "of which nothing here tells" not in refused.err
    assert charged(sandbox) == {"rain": 1, "sun": 1, "fog": 1}


@pytest.mark.parametrize("ideas", ["rain", "rain, sun, fog, ice, wind"])
def test_one_song_that_nothing_tells_of_is_enough(
    ideas: str, run: CallCli, sandbox: Sandbox, songs: Path
) -> None:
    """However many requests there are, it may be one of theirs."""
    run("rain")
    _, *others = sorted(songs.glob("*.mp3"))
    for path in (*others, *songs.glob("*.png"), *(songs / name for name in OURS)):
        path.unlink()
    refused = run(ideas)
    assert refused.code == 2
    assert "neither the journal nor songs.jsonl tells of 1 song here: " in refused.err
    assert charged(sandbox) == {"rain": 1}


def test_a_song_that_was_renamed_is_known(run: CallCli, songs: Path) -> None:
    """Its fingerprint tells whose it is, by the list and by the journal alone."""
    run("rain")
    for number, song in enumerate(sorted(songs.glob("*.mp3"))):
        song.rename(song.with_name(f"{number:02} {song.name}"))
    assert run("rain, sun").code == 0
    (songs / "songs.jsonl").unlink()
    assert run("rain, sun, fog").code == 0


def test_a_song_of_generate_in_the_journal_of_the_batch_is_known(
    at: tuple[str, ...], run: CallCli, call_cli: CallCli, songs: Path, tmp_path: Path
) -> None:
    """Wherever the journal is."""
    journal = ("--journal", tmp_path / "mine.db")
    assert call_cli("generate", "first", "--out", songs, *journal, *at).code == 0
    assert run("rain", *journal).code == 0


def test_another_key_is_bought_beside_songs_of_the_first(
    at: tuple[str, ...], call_cli: CallCli, songs: Path, sandbox: Sandbox
) -> None:
    """The journal knows whose the songs are that songs.jsonl does not name."""
    for _ in range(2):
        for key in ("a", "b"):
            made = call_cli("generate", key, "--key", key, "--out", songs, *at)
            assert made.code == 0, made.err
    assert charged(sandbox) == {"a": 1, "b": 1}
