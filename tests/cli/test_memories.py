"""A journal that was lost: the songs beside it are not paid for again without a question."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from udio_async._formats import SUFFIXES
from udio_async.sandbox import Fault, Sandbox

from .conftest import Ended
from .test_interrupt import on_a_full_disk

CallCli = Callable[..., Ended]
FAULTS = (
    Fault("charged_502", match="lost"),
    Fault("refused", match="refused once", times=1),
)


@pytest.fixture
def sandbox(run_sandbox: Callable[..., AbstractContextManager[Sandbox]]) -> Iterator[Sandbox]:
    with run_sandbox(faults=FAULTS, speed=400.0) as sandbox:
        yield sandbox


@pytest.fixture
def run(sandbox: Sandbox, call_cli: CallCli, tmp_path: Path) -> Callable[..., Ended]:
    """Run a batch of these ideas into one directory."""

    def run(ideas: str, *options: object) -> Ended:
        file = tmp_path / "ideas.txt"
        file.write_text("".join(f"{idea}\n" for idea in ideas.split(", ")))
        at = ("--base-url", sandbox.base_url, "--speed", "400")
        return call_cli("batch", file, "--out", tmp_path / "songs", *at, *options)

    return run


def charged(sandbox: Sandbox) -> Counter[str]:
    return Counter(charge.prompt for charge in sandbox.ledger)


def delete(songs: Path) -> None:
    (songs / "journal.db").unlink()


def empty(songs: Path) -> None:
    (songs / "journal.db").write_bytes(b"")


def nothing(songs: Path) -> None:
    pass


LOST: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "deleted": (delete, ()),
    "emptied": (empty, ()),
    "elsewhere": (nothing, ("--journal", "another.db")),
    "none": (nothing, ("--no-journal",)),
}


@pytest.mark.parametrize("way", LOST)
def test_a_lost_journal_is_asked_about(
    way: str,
    run: Callable[..., Ended],
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However it was lost: nothing is sent, and each of the ways on does what it says."""
    lose, options = LOST[way]
    monkeypatch.chdir(tmp_path)
    assert run("rain, sun, fog, ice").code == 0
    lose(tmp_path / "songs")
    refused = run("rain, sun, fog, ice, wind", *options)
    assert (refused.code, refused.out) == (2, "")
    assert "the songs of 4 requests are here: line 1 (rain), line 2 (sun), line 3 (fog), and 1" in (
        refused.err
    )
    assert "add --rest to submit only 1 request, of which nothing here tells" in refused.err
    assert "add --again to submit 5 requests, and pay again" in refused.err
    once = dict.fromkeys(("rain", "sun", "fog", "ice"), 1)
    assert charged(sandbox) == once
    went_on = run("rain, sun, fog, ice, wind", *options, "--rest")
    assert went_on.code == 0, went_on.err
    assert "5 requests (4 here already): 1 to submit" in went_on.err
    assert sorted(line["line"] for line in went_on.lines) == sorted([1, 2, 3, 4, 5] * 2)
    assert all(Path(line["path"]).is_file() for line in went_on.lines)
    assert charged(sandbox) == once | {"wind": 1}
    again = run("rain, sun, fog, ice, wind", *options, "--again")
    assert again.code == 0, again.err
    known = 0 if way == "none" else 1  # the journal knows wind by now
    assert charged(sandbox) == dict.fromkeys(once, 2) | {"wind": 2 - known}


def test_what_was_settled_is_not_asked_about_again(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """After --rest the journal remembers what it does not know."""
    run("rain, sun")
    delete(tmp_path / "songs")
    assert run("rain, sun, fog", "--rest").code == 0
    later = run("rain, sun, fog, ice")
    assert later.code == 0, later.err
    assert "4 requests (1 done already, 2 here already): 1 to submit" in later.err
    assert set(charged(sandbox).values()) == {1}


def test_what_is_all_here_counts_as_had(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nothing would be submitted, so nothing is asked; the songs are told as ever."""
    first = run("rain, sun")
    delete(tmp_path / "songs")
    again = run("rain, sun")
    assert again.code == 0, again.err
    same = ("id", "path", "sha256", "title", "line", "job", "asked")
    assert sorted([line[name] for name in same] for line in again.lines) == sorted(
        [line[name] for name in same] for line in first.lines
    )
    assert set(charged(sandbox).values()) == {1}


def test_songs_that_are_gone_with_the_journal(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """They were paid for: --rest fetches them, and only --again pays once more."""
    run("rain, sun")
    delete(tmp_path / "songs")
    for song in (tmp_path / "songs").glob("*.mp3"):
        song.unlink()
    refused = run("rain, sun")
    assert refused.code == 2
    assert "2 requests may have been paid for, whose songs are not all here" in refused.err
    assert "add --rest to fetch the songs of 2 requests, which costs nothing" in refused.err
    assert "--rest to submit" not in refused.err, "there is no rest"
    fetched = run("rain, sun, fog", "--rest")
    assert "3 requests (2 fetched again): 1 to submit" in fetched.err
    assert fetched.code == 0, fetched.err
    assert sorted(line["line"] for line in fetched.lines) == [1, 1, 2, 2, 3, 3]
    assert all(Path(line["path"]).is_file() for line in fetched.lines)
    assert set(charged(sandbox).values()) == {1}
    assert run("rain, sun", "--again").code == 0
    assert charged(sandbox) == {"rain": 2, "sun": 2, "fog": 1}


def test_what_is_gone_is_not_called_untaken_by_a_run_that_is_stopped(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """It was paid for, whether or not the run has come to it."""
    songs = tmp_path / "songs"
    run("rain, sun, fog, ice, wind, hail")
    delete(songs)
    for song in songs.glob("*.mp3"):
        song.unlink()
    at = ("--base-url", sandbox.base_url, "--speed", "400", "--rest")
    stopped = on_a_full_disk("batch", tmp_path / "ideas.txt", "--out", songs, *at)
    assert stopped.code == 1
    assert "nothing was taken" not in stopped.err
    assert "known from an earlier run" in stopped.err


@pytest.mark.parametrize("deleted", [1, 2])
def test_a_file_that_is_gone_is_fetched_again_without_the_journal(
    deleted: int, run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Once --rest was answered, each run does so, and asks nothing."""
    paths = [Path(line["path"]) for line in run("rain").lines]
    delete(tmp_path / "songs")
    assert run("rain, sun", "--rest").code == 0
    for path in paths[:deleted]:
        path.unlink()
    again = run("rain, sun")
    assert again.code == 0, again.err
    assert all(path.is_file() for path in paths)
    assert charged(sandbox) == {"rain": 1, "sun": 1}


def test_what_is_left_alone_is_told_in_each_run(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A doubt that only the list knows has no task to look at: exit 1, and what can be done."""
    run("lost, rain")
    delete(tmp_path / "songs")
    for options in (("--rest",), ()):
        ended = run("lost, rain", *options)
        assert ended.code == 1, ended.err
        assert "2 requests (1 here already, 1 left alone): 0 to submit" in ended.err
        assert "error: line 1 (lost) is left alone: what became of it is not known" in ended.err
        assert "look for them in your account, or add --again to pay again" in ended.err
    assert charged(sandbox) == {"lost": 1, "rain": 1}


def test_a_task_that_the_provider_does_not_show_is_left_alone(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """As after some months; the reason is told, and nothing is paid again."""
    songs = tmp_path / "songs"
    (line, *_) = run("rain").lines
    delete(songs)
    Path(line["path"]).unlink()
    manifest = songs / "songs.jsonl"
    manifest.write_text(manifest.read_text().replace(line["task_id"], "another"))
    ended = run("rain", "--rest")
    assert ended.code == 1
    assert "error: line 1 (rain) is left alone: " in ended.err
    assert "another" in ended.err
    assert charged(sandbox) == {"rain": 1}


def test_a_doubt_that_only_the_list_knows(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A line of songs.jsonl that says "may have been paid" is enough to ask."""
    assert run("lost").code == 1
    delete(tmp_path / "songs")
    refused = run("lost")
    assert refused.code == 2
    assert "may have been paid for" in refused.err
    assert charged(sandbox) == {"lost": 1}


def test_a_song_on_the_same_line_of_another_file_ends_no_doubt(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """The doubt is still asked about once the journal is lost."""
    assert run("lost").code == 1
    assert run("rain").code == 0
    delete(tmp_path / "songs")
    assert run("lost").code == 2
    assert charged(sandbox) == {"lost": 1, "rain": 1}


REHEARSAL = ("--provider", "sandbox", "--speed", "400")


@pytest.fixture
def rehearse(call_cli: CallCli, tmp_path: Path) -> Callable[..., Ended]:
    """Run a command that makes songs of `--provider sandbox` in the directory of `run`."""

    def rehearse(command: str) -> Ended:
        (tmp_path / "ideas.txt").write_text("rain\n")
        words = {
            "batch": ("batch", tmp_path / "ideas.txt", *REHEARSAL),
            "demo": ("demo", "--speed", "400"),
        }
        return call_cli(*words[command], "--out", tmp_path / "songs")

    return rehearse


@pytest.mark.parametrize("command", ["batch", "demo"])
def test_songs_of_a_rehearsal_are_no_answer_to_a_real_batch(
    command: str,
    run: Callable[..., Ended],
    rehearse: Callable[..., Ended],
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    """Nor does a real batch add its songs to them; each kind has its own directory."""
    songs = tmp_path / "songs"
    assert rehearse(command).code == 0
    before = (songs / "songs.jsonl").read_bytes()
    refused = run("rain", "--again")
    assert (refused.code, refused.out) == (2, "")
    assert f"{songs} has songs of --provider sandbox" in refused.err
    assert "give another one as --out" in refused.err
    assert (songs / "songs.jsonl").read_bytes() == before
    assert not charged(sandbox)
    assert rehearse(command).code == 0, "the same rehearsal may be run again"


@pytest.mark.parametrize("command", ["batch", "demo"])
def test_a_rehearsal_adds_nothing_to_real_songs(
    command: str,
    run: Callable[..., Ended],
    rehearse: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    songs = tmp_path / "songs"
    assert run("rain").code == 0
    before = (songs / "songs.jsonl").read_bytes()
    refused = rehearse(command)
    assert refused.code == 2
    assert f"{songs} has real songs" in refused.err
    assert (songs / "songs.jsonl").read_bytes() == before


def test_an_older_journal(
    run: Callable[..., Ended], sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """What it calls refused was made since; neither the batch nor `resume` buys it again."""
    songs = tmp_path / "songs"
    run("refused once, rain")
    shutil.copy(songs / "journal.db", tmp_path / "backup.db")
    assert run("refused once, rain").code == 0
    shutil.copy(tmp_path / "backup.db", songs / "journal.db")
    assert run("refused once, rain, fog").code == 2
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    resumed = call_cli("resume", songs, *at)
    assert "1 request left alone" in resumed.err
    assert resumed.code == 0, "its songs are here"
    for song in songs.glob("*.mp3"):
        song.unlink()
    assert call_cli("resume", songs, "--only-paid", *at).code == 0, "that one is not asked for"
    assert call_cli("resume", songs, *at).code == 1
    assert charged(sandbox) == {"refused once": 1, "rain": 1}


def test_equal_requests_keep_their_names(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Of two that are the same, one is here: the other is bought once, and not twice."""
    run("rain")
    delete(tmp_path / "songs")
    for _ in range(2):
        ended = run("rain, rain", "--rest")
        assert ended.code == 0, ended.err
        assert sorted(line["line"] for line in ended.lines) == [1, 1, 2, 2]
        assert not any("key" in line for line in ended.lines)
    assert charged(sandbox) == {"rain": 2}


def test_a_list_of_an_earlier_version(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """It does not name the jobs, but what was asked for on which line."""
    run("rain, sun")
    songs = tmp_path / "songs"
    delete(songs)
    lines = [json.loads(line) for line in (songs / "songs.jsonl").read_text().splitlines()]
    for line in lines:
        del line["job"]
    (songs / "songs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert run("rain, sun, fog").code == 2
    assert run("rain, sun").code == 0
    assert set(charged(sandbox).values()) == {1}


def test_new_words_under_an_old_title_are_a_new_song(
    sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """A list of an earlier version has only the title; the journal knows whose song it is of."""
    songs, file = tmp_path / "songs", tmp_path / "in.jsonl"
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    for words in ("la la la", "other words"):
        file.write_text(json.dumps({"title": "Rain", "lyrics": words, "style": "pop"}))
        ended = call_cli("batch", file, "--out", songs, *at)
        assert ended.code == 0, ended.err
        lines = [json.loads(line) for line in (songs / "songs.jsonl").read_text().splitlines()]
        for line in lines:
            line.pop("job", None)
        (songs / "songs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert charged(sandbox) == {"la la la": 1, "other words": 1}


def test_songs_of_which_nothing_tells(
    run: Callable[..., Ended], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Journal and list are lost, the songs of a batch are here: that is asked about, too."""
    run("rain, sun")
    songs = tmp_path / "songs"
    delete(songs)
    (songs / "songs.jsonl").unlink()
    refused = run("rain, sun")
    assert refused.code == 2
    assert "neither the journal nor songs.jsonl tells of 4 songs here: " in refused.err
    assert set(charged(sandbox).values()) == {1}


def test_a_song_of_generate_is_no_reason_to_ask(
    run: Callable[..., Ended], sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """Nor are audio files of the user's own."""
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    songs = tmp_path / "songs"
    assert call_cli("generate", "first", "--out", songs, *at).code == 0
    for number in range(5):
        (songs / f"my own {number}.mp3").write_bytes(b"x")
    assert run("rain").code == 0


@pytest.mark.parametrize("ending", SUFFIXES)
def test_a_song_of_any_kind_is_one(ending: str, run: Callable[..., Ended], tmp_path: Path) -> None:
    """Whatever it is saved as, it counts where nothing tells of it."""
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in range(3):
        (songs / f"Rain-{number:012x}{ending}").write_bytes(b"x")
    refused = run("rain")
    assert refused.code == 2
    assert "tells of 3 songs here: " in refused.err


# A request with a key ----------------------------------------------------------------------------


@pytest.fixture
def generate(sandbox: Sandbox, call_cli: CallCli, tmp_path: Path) -> CallCli:
    """Generate a song about rain into the same directory."""
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    return lambda *options: call_cli("generate", "rain", "--out", tmp_path / "songs", *at, *options)


@pytest.mark.parametrize("lose", [delete, empty])
@pytest.mark.parametrize("answer", ["--rest", "--again"])
def test_a_key_is_not_bought_again_without_a_question(
    answer: str, lose: Callable[[Path], None], generate: CallCli, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Songs are here of which nothing tells; they may be those of the key."""
    assert generate("--key", "mine").code == 0
    lose(tmp_path / "songs")
    refused = generate("--key", "mine")
    assert (refused.code, refused.out) == (2, "")
    assert "neither the journal nor songs.jsonl tells of 2 songs here: " in refused.err
    assert charged(sandbox) == {"rain": 1}
    assert generate("--key", "mine", answer).code == 0
    assert generate("--key", "mine").code == 0, "the journal knows it now"
    assert charged(sandbox) == {"rain": 2}


def test_a_key_of_which_the_list_tells_is_had(
    generate: CallCli, sandbox: Sandbox, call_cli: CallCli, tmp_path: Path
) -> None:
    """A batch has written its songs down; if one is gone, it can be fetched again."""
    songs, file = tmp_path / "songs", tmp_path / "in.jsonl"
    file.write_text(json.dumps({"description": "rain", "key": "mine"}))
    at = ("--base-url", sandbox.base_url, "--speed", "400")
    assert call_cli("batch", file, "--out", songs, *at).code == 0
    delete(songs)
    had = generate("--key", "mine")
    assert had.code == 0, had.err
    assert {line["key"] for line in had.lines} == {"mine"}
    gone, _ = (Path(line["path"]) for line in had.lines)
    delete(songs)
    gone.unlink()
    refused = generate("--key", "mine")
    assert (refused.code, refused.out) == (2, "")
    assert "1 request may have been paid for, whose songs are not all here: (rain)" in refused.err
    fetched = generate("--key", "mine", "--rest")
    assert fetched.code == 0, fetched.err
    assert gone.is_file()
    assert charged(sandbox) == {"rain": 1}


def test_rest_and_again_are_about_a_key(generate: CallCli, sandbox: Sandbox) -> None:
    """Without one each song is a new one anyway."""
    assert "--rest and --again go with --key" in generate("--rest").err
    assert charged(sandbox) == {}


def test_rest_and_again_exclude_one_another(run: Callable[..., Ended]) -> None:
    assert "exclude one another" in run("rain", "--rest", "--again").err
