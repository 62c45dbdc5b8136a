"""A directory of the user's: what is written there, and what is left alone."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from udio_async.cli._directory import prepare_directory, sweep
from udio_async.cli._failures import BadInput
from udio_async.cli._journal_file import check_journal
from udio_async.cli._manifest import MANIFEST

from .conftest import COMMAND, Bench, Ended, environment, run_cli

SONG = {"provider": "udioapi-v2", "task_id": "t1", "id": "s1", "index": 0}
HOUR = 3600
FORMER = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-x'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
"""


# Pages ---------------------------------------------------------------------------------------

PAGES = [("gallery", "index", "Songs"), ("report", "report", "Where the time went")]


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """A directory with a manifest."""
    directory = tmp_path / "songs"
    directory.mkdir()
    (directory / MANIFEST).write_text(f"{json.dumps(SONG)}\n")
    return directory


def _state(path: Path) -> tuple[object, ...]:
    """Return what any change of a file shows in. A look at it changes only the time of access."""
    found = os.lstat(path)
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return (found.st_mode, found.st_ino, *times, path.read_bytes() if path.is_file() else b"")


@pytest.mark.parametrize(("command", "name", "_title"), PAGES)
@pytest.mark.parametrize("kind", ["page", "link", "link to nothing", "directory", "empty"])
def test_what_is_not_our_page_is_left_alone(  # noqa: PLR0917 - fixtures
    command: str,
    name: str,
    _title: str,
    kind: str,
    songs: Path,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """Ours gets a name beside it, which is said, and the same one every time."""
    path, other = songs / f"{name}.html", tmp_path / "other.html"
    if kind == "page":
        path.write_text("<!doctype html>\n<h1>my site</h1>")
    elif kind == "link":
        assert call_cli(command, songs).code == 0
        path.rename(other)  # even to a page of ours: where it leads is not our business
        path.symlink_to(other)
    elif kind == "link to nothing":
        path.symlink_to(other)
    elif kind == "directory":
        path.mkdir()
    else:
        path.touch()
    before = _state(path)
    for _ in range(2):
        ended = call_cli(command, songs)
        assert (ended.code, ended.out) == (0, f"{songs / name}-songs.html\n")
        assert ended.err == (
            f"warning: {path} is not a page of udio-async and was left alone; "
            f"this one is {name}-songs.html\n"
        )
    assert _state(path) == before
    assert other.exists() is (kind == "link")
    assert sorted(each.name for each in songs.iterdir()) == sorted(
        [MANIFEST, f"{name}.html", f"{name}-songs.html"]
    )


@pytest.mark.parametrize(("command", "name", "title"), PAGES)
def test_our_page_is_replaced_also_from_before_it_said_so(
    command: str, name: str, title: str, songs: Path, call_cli: Callable[..., Ended]
) -> None:
    path = songs / f"{name}.html"
    path.write_text(FORMER.format(title=title))
    for _ in range(2):
        assert call_cli(command, songs).out == f"{path}\n"
        assert '<meta name="generator" content="udio-async">' in path.read_text()[:200]


def test_a_batch_leaves_the_users_page_alone(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """And the summary names the page that it wrote."""
    (tmp_path / "in.txt").write_text("one\n")
    (tmp_path / "index.html").write_text("my site")
    ended = call_cli("batch", tmp_path / "in.txt", "--out", tmp_path, *bench.at)
    assert ended.code == 0
    assert (tmp_path / "index.html").read_text() == "my site"
    assert f"  gallery      {tmp_path / 'index-songs.html'}\n" in ended.err
    assert "was left alone" in ended.err


def grow_old(path: Path) -> None:
    """Let it be written to more than an hour ago."""
    then = os.lstat(path).st_mtime - HOUR - 9
    os.utime(path, (then, then), follow_symlinks=False)


# Parts ---------------------------------------------------------------------------------------


def test_the_probe_follows_no_link_and_leaves_nothing(tmp_path: Path) -> None:
    """Under no name that could be known before."""
    precious, songs = tmp_path / "precious", tmp_path / "songs"
    precious.write_text("precious")
    songs.mkdir()
    (songs / ".udio-async.part").symlink_to(precious)
    prepare_directory(songs)
    assert precious.read_text() == "precious"
    assert [path.name for path in songs.iterdir()] == [".udio-async.part"]


def test_a_link_to_nothing_is_no_directory(tmp_path: Path) -> None:
    """A disk that is not mounted: said so, and nothing is made elsewhere."""
    (tmp_path / "songs").symlink_to(tmp_path / "disk")
    with pytest.raises(BadInput, match="is a symbolic link that leads nowhere; mount"):
        prepare_directory(tmp_path / "songs")
    assert not (tmp_path / "disk").exists()


OURS = (
    "A song-0123456789ab.mp3.01234567.part",
    "A song-0123456789ab.webp.01234567.part",
    "index.html.01234567.part",
    "report-songs.html.01234567.part",
    ".udio-async.01234567.part",
)
NOT_OURS = (
    "A song-0123456789ab.mp3",
    "A song.mp3.part",
    "movie.01234567.part",
    "index.html.part",
    "index.html",
    ".udio-async.part",
    "A song-0123456789ab.mp3.0123456.part",
)


def test_parts_of_killed_runs_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """Plain files with names of ours, to which nobody has written for an hour."""
    now = prepare_directory(tmp_path)
    for name in (*OURS, *NOT_OURS):
        (tmp_path / name).touch()
        grow_old(tmp_path / name)
    young = tmp_path / "Young-0123456789ab.mp3.01234567.part"
    young.touch()
    link = tmp_path / "Link-0123456789ab.mp3.01234567.part"
    link.symlink_to(tmp_path / "index.html")
    grow_old(link)
    directory = tmp_path / "Directory-0123456789ab.mp3.01234567.part"
    directory.mkdir()
    grow_old(directory)
    assert sweep(tmp_path, now) == len(OURS)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*NOT_OURS, young.name, link.name, directory.name}


def test_a_run_says_what_it_has_removed(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """Each command that makes many songs does so."""
    (tmp_path / "in.txt").write_text("one\n")
    songs, demo = tmp_path / "songs", tmp_path / "demo"
    for out, command in (
        (songs, ("batch", tmp_path / "in.txt", "--out", songs, *bench.at)),
        (songs, ("resume", songs, *bench.at)),
        (demo, ("demo", "--speed", 120, "--out", demo)),
    ):
        out.mkdir(exist_ok=True)
        part = out / OURS[0]
        part.touch()
        grow_old(part)
        ended = call_cli(*command)
        assert ended.code == 0
        assert "removed 1 half-written file of an earlier run\n" in ended.err
        assert not part.exists()


# Journals ------------------------------------------------------------------------------------


def foreign_database(path: Path, *, application: int = 0) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"pragma application_id = {application}")
        database.execute("create table bookmarks (address)")
        database.commit()


FOREIGN = {
    "database": (foreign_database, "is a database of another program"),
    "another program's": (
        lambda path: foreign_database(path, application=7),
        "is a database of another program",
    ),
    "text": (lambda path: path.write_text("notes"), "is not a journal of udio-async"),
    "pipe": (os.mkfifo, "is not a plain file"),
    "link": (lambda path: path.symlink_to("nowhere"), "is a symbolic link that leads nowhere"),
}


@pytest.mark.parametrize(("make", "words"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_journal_is_not_made_one(
    make: Callable[[Path], object],
    words: str,
    bench: Bench,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """Not a byte of it changes, nothing appears beside it, and nothing is sent."""
    place = tmp_path / "mine"
    place.mkdir()
    path = place / "my.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    (tmp_path / "in.txt").write_text("one\n")
    commands = (
        ("batch", tmp_path / "in.txt", "--out", tmp_path / "songs"),
        ("doubts", tmp_path),
        ("resume", tmp_path),
    )
    for command in commands:
        ended = call_cli(*command, "--journal", path, *bench.at)
        assert (ended.code, ended.out) == (2, "")
        assert f"error: {path} {words}; give another path with --journal" in ended.err
    assert (path.read_bytes() if path.is_file() else b"") == before
    assert [each.name for each in place.iterdir()] == ["my.db"]
    assert bench.charged == []


def test_a_journal_may_lie_behind_a_link(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """Its owner may have moved it to a better disk. An empty file is a journal to be."""
    (tmp_path / "in.txt").write_text("one\n")
    songs, elsewhere = tmp_path / "songs", tmp_path / "elsewhere.db"
    elsewhere.touch()
    songs.mkdir()
    (songs / "journal.db").symlink_to(elsewhere)
    for _ in range(2):
        ended = call_cli("batch", tmp_path / "in.txt", "--out", songs, *bench.at)
        assert ended.code == 0, ended.err
    assert len(bench.charged) == 1
    assert (songs / "journal.db").is_symlink()


def test_a_journal_that_was_just_begun_is_one(tmp_path: Path) -> None:
    """All it holds may still be in its log."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma journal_mode = wal")
        check_journal(path)
        assert path.stat().st_size


# Read-only places ----------------------------------------------------------------------------

UNSHARE = shutil.which("unshare")
SHUT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


def run_shut(directory: Path, *args: object) -> Ended:
    """Run a command to which the directory is read-only, whoever it runs as."""
    assert UNSHARE is not None
    alone = (UNSHARE, "--user", "--map-root-user", "--mount", "sh", "-c", SHUT, directory)
    child = subprocess.run(
        [*map(str, alone), *COMMAND, *map(str, args)],
        capture_output=True,
        env=environment(),
        timeout=30,
        check=False,
    )
    return Ended(child.returncode, child.stdout.decode(), child.stderr.decode())


@pytest.fixture
def shut(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> tuple[Path, Callable[..., Ended]]:
    """A directory of songs that is read-only, and what runs a command on it."""
    songs = tmp_path / "songs"
    songs.mkdir()
    if UNSHARE is None or run_shut(songs, "--version").code != 0:
        pytest.skip("this machine lets nobody mount anything")
    (tmp_path / "in.txt").write_text("one\n")
    assert call_cli("batch", tmp_path / "in.txt", "--out", songs, *bench.at).code == 0
    return songs, lambda *args: run_shut(songs, *args)


@pytest.mark.parametrize("command", ["gallery", "report"])
def test_a_page_for_a_read_only_folder_is_refused(
    command: str, shut: tuple[Path, Callable[..., Ended]]
) -> None:
    """In one line with the folder and the remedy."""
    songs, run = shut
    ended = run(command, songs)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"error: cannot write to {songs}: Read-only file system; allow that, or copy the folder "
        "to where you may write\n"
    )


def test_songs_of_a_read_only_folder_can_be_verified(
    shut: tuple[Path, Callable[..., Ended]],
) -> None:
    songs, run = shut
    assert run("verify", songs, "--text").out == "2 songs ok, 0 not.\n"


@pytest.mark.parametrize(
    ("command", "said"), [("jobs", "1 job.\n"), ("doubts", "0 requests in doubt.\n")]
)
def test_a_journal_in_a_read_only_folder_can_be_read(
    command: str, said: str, shut: tuple[Path, Callable[..., Ended]], bench: Bench
) -> None:
    songs, run = shut
    ended = run(command, songs, "--text", *bench.at)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith(said)


def test_what_a_killed_run_was_sending_is_told_in_a_read_only_folder(
    shut: tuple[Path, Callable[..., Ended]], bench: Bench, call_cli: Callable[..., Ended]
) -> None:
    """It is no doubt before the journal can be opened, and `doubts` does not keep silent."""
    songs, run = shut
    with closing(sqlite3.connect(songs / "journal.db")) as database, database:
        database.execute(
            "update jobs set state = 'sending', task_id = null, entry ="
            " json_remove(json_set(entry, '$.state', 'sending'), '$.task_id', '$.songs', '$.saved')"
        )
    ended = run("doubts", songs, "--text", *bench.at)
    assert (ended.code, ended.out) == (0, "0 requests in doubt.\n")
    assert ended.err.startswith("warning: 1 request on the way to the provider; if the run")
    opened = call_cli("doubts", songs, "--text", *bench.at)
    assert opened.out.endswith("1 request in doubt.\n")
    assert opened.err == ""


@pytest.mark.parametrize("command", ["audit", "resolve", "resume"])
def test_a_journal_in_a_read_only_folder_is_not_called_damaged(
    command: str, shut: tuple[Path, Callable[..., Ended]], bench: Bench
) -> None:
    """One line says what stands in the way."""
    songs, run = shut
    ended = run(command, songs, *(["key", "--abandon"] * (command == "resolve")), *bench.at)
    assert "Traceback" not in ended.err
    assert "trusted" not in ended.err
    assert ended.code == 2
    assert "read-only" in ended.err.lower()
    assert ended.err.count("\n") == 1


def test_a_batch_for_a_read_only_folder_is_refused(
    shut: tuple[Path, Callable[..., Ended]], bench: Bench
) -> None:
    songs, run = shut
    charged = len(bench.charged)
    ended = run("batch", songs.parent / "in.txt", "--out", songs, *bench.at)
    assert ended.code == 2
    assert f"error: cannot write to {songs}: Read-only file system; mend that" in ended.err
    assert len(bench.charged) == charged


def test_a_directory_below_a_file_is_named(call_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """And not the journal that would be in it."""
    (tmp_path / "in.txt").write_text("one\n")
    for command in (("batch", tmp_path / "in.txt"), ("generate", "Rain")):
        ended = call_cli(*command, "--out", "/dev/null/x", "--base-url", "http://127.0.0.1:9")
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("error: cannot write to /dev/null/x: Not a directory")


def test_the_missing_directory_is_named(tmp_path: Path) -> None:
    """For every command that reads one."""
    for command in ("verify", "gallery", "report"):
        ended = run_cli(command, tmp_path / "nowhere")
        assert ended.code == 2
        assert ended.err.startswith(f"error: there is no manifest at {tmp_path / 'nowhere'}")
