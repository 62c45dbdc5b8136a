"""Songs that are here already: under an earlier name, in another locale, or behind a link."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from udio_async import Song, Stage
from udio_async._download.names import file_name, former_names
from udio_async.cli._manifest import MANIFEST, read_manifest
from udio_async.cli._verify import verify

from .conftest import Bench, Ended, Json, environment, run_cli

LONG = {"lyrics": "la", "style": "pop", "title": "é" * 80, "key": "a"}
ACCENTED = {"lyrics": "la", "style": "pop", "title": "Café ♫", "key": "a"}
ASCII = environment(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")


def song_of(line: Json) -> Song:
    names = ("id", "task_id", "provider", "index", "title")
    return Song(**{name: line[name] for name in names}, stage=Stage.COMPLETE)


@pytest.fixture
def make(bench: Bench, write_requests: Callable[..., Path], tmp_path: Path) -> Callable[..., Ended]:
    """Run the batch of these requests, always the same command."""

    def run(*requests: object, env: dict[str, str] | None = None) -> Ended:
        path = write_requests(*requests)
        return run_cli("batch", path, "--out", tmp_path / "songs", *bench.at, env=env)

    return run


def rename_as_before(songs: Path, lines: list[Json], *, told: bool) -> list[Path]:
    """Give the songs the names that an earlier version gave them."""
    renamed = []
    for line in lines:
        [*_, former] = (name for name in former_names(song_of(line)) if not name.isascii())
        renamed.append(Path(line["path"]).rename(songs / former))
    manifest = songs / MANIFEST
    if told:
        text = manifest.read_text()
        for line, path in zip(lines, renamed, strict=True):
            text = text.replace(json.dumps(Path(line["path"]).name), json.dumps(path.name))
        manifest.write_text(text)
    else:
        manifest.unlink()
    return renamed


def test_a_song_that_was_named_after_its_id_alone_is_found_by_the_manifest(
    make: Callable[..., Ended], bench: Bench, tmp_path: Path
) -> None:
    """Whatever its name: the manifest has it, and the bytes are the song's."""
    songs = tmp_path / "songs"
    first = make({"description": "one"})
    text = (songs / MANIFEST).read_text()
    for number, line in enumerate(first.lines):
        path = Path(line["path"])
        path.rename(songs / f"old {number}.mp3")
        text = text.replace(json.dumps(path.name), json.dumps(f"old {number}.mp3"))
    (songs / MANIFEST).write_text(text)
    again = make({"description": "one"})
    assert again.code == 0, again.err
    assert {path.name for path in songs.glob("*.mp3")} == {"old 0.mp3", "old 1.mp3"}
    assert (songs / MANIFEST).read_text() == text


def test_one_file_is_not_two_songs(make: Callable[..., Ended], tmp_path: Path) -> None:
    """Where an earlier version gave two songs one name, each gets its own."""
    songs = tmp_path / "songs"
    first = make({"description": "one"})
    one, other = (Path(line["path"]) for line in first.lines)
    text = (songs / MANIFEST).read_text()
    (songs / MANIFEST).write_text(
        text.replace(one.name, "both.mp3").replace(other.name, "both.mp3")
    )
    one.rename(songs / "both.mp3")
    other.unlink()
    again = make({"description": "one"})
    assert again.code == 0, again.err
    assert {Path(line["path"]) for line in again.lines} == {one, other}
    assert one.read_bytes() != other.read_bytes()
    assert {song.state for song in verify(songs)} == {"ok"}


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
def test_a_song_of_an_earlier_name_is_not_fetched_again(
    told: bool, make: Callable[..., Ended], bench: Bench, tmp_path: Path
) -> None:
    """It keeps its name, and the manifest says it."""
    songs = tmp_path / "songs"
    first = make(LONG)
    assert first.code == 0, first.err
    renamed = rename_as_before(songs, first.lines, told=told)
    before = {path: path.stat().st_ino for path in renamed}
    manifest = (songs / MANIFEST).read_bytes() if told else b""
    again = make(LONG)
    assert again.code == 0, again.err
    assert {Path(line["path"]) for line in again.lines} == set(renamed)
    assert {path: path.stat().st_ino for path in songs.glob("*.mp3")} == before
    assert [song.state for song in verify(songs)] == ["ok", "ok"]
    if told:
        assert (songs / MANIFEST).read_bytes() == manifest
    resumed = run_cli("resume", songs, *bench.at)
    assert (resumed.code, resumed.lines) == (0, [])
    assert len(bench.charged) == 1


def test_half_a_file_of_an_earlier_name_is_not_the_song(
    make: Callable[..., Ended], tmp_path: Path
) -> None:
    """It is left alone, and the song is fetched."""
    first = make(LONG)
    renamed = rename_as_before(tmp_path / "songs", first.lines, told=False)
    half = renamed[0].read_bytes()[:1000]
    renamed[0].write_bytes(half)
    again = make(LONG)
    assert again.code == 0, again.err
    paths = {Path(line["path"]) for line in again.lines}
    assert renamed[0] not in paths
    assert renamed[1] in paths
    assert renamed[0].read_bytes() == half


@pytest.mark.parametrize("first", ["ascii", "utf-8"])
def test_another_locale_finds_the_same_songs(
    first: str, make: Callable[..., Ended], bench: Bench, tmp_path: Path
) -> None:
    """Names of ASCII are written where no others can be, and both are found in both."""
    songs = tmp_path / "songs"
    one, other = (ASCII, None) if first == "ascii" else (None, ASCII)
    made = make(ACCENTED, env=one)
    assert made.code == 0, made.err
    names = {os.fsencode(path.name) for path in songs.glob("*.mp3")}
    assert len(names) == 2
    assert {name.isascii() for name in names} == {first == "ascii"}
    assert all(
        name.startswith(b"Cafe-" if first == "ascii" else "Café ♫-".encode()) for name in names
    )
    again = make(ACCENTED, env=other)
    assert again.code == 0, again.err
    assert {os.fsencode(path.name) for path in songs.glob("*.mp3")} == names
    assert [line["path"] for line in again.lines] != []
    for env in (one, other):
        checked = run_cli("verify", songs, "--text", env=env)
        assert (checked.code, checked.out) == (0, "2 songs ok, 0 not.\n")
        assert run_cli("gallery", songs, env=env).code == 0
        assert (songs / "index.html").read_text().count('class="play"') >= 2
    assert len(read_manifest(songs)) == 2
    assert len(bench.charged) == 1


def test_in_a_locale_of_ascii_all_text_is_what_was_typed(bench: Bench, tmp_path: Path) -> None:
    """What is asked for, and the directory, whose name can be copied from what is printed."""
    out = tmp_path / "müsik"
    command = ("generate", "a café ♫", "--out", out, *bench.at)
    ended = run_cli(*command, env=ASCII)
    assert ended.code == 0, ended.err
    assert bench.sandbox.ledger[-1].request["gpt_description_prompt"] == "a café ♫"
    assert all(Path(line["path"]).is_file() for line in ended.lines)
    assert f"2 songs in {out}" in ended.err


def move(line: Json, target: Path) -> Path:
    """Move a song elsewhere and leave a link, as collections do."""
    path = Path(line["path"])
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    path.symlink_to(target)
    return path


def test_a_song_behind_a_link_is_that_song(
    make: Callable[..., Ended], bench: Bench, tmp_path: Path
) -> None:
    """Moved to another disk, it is neither told nor fetched again, and the manifest stays."""
    songs = tmp_path / "songs"
    first = make({"description": "one"}, {"description": "two"})
    move(first.lines[0], tmp_path / "disk" / "a.mp3")
    before = (songs / MANIFEST).read_bytes()
    again = make({"description": "one"}, {"description": "two"}, {"description": "three"})
    assert again.code == 0, again.err
    assert len(again.lines) == 6
    assert "moved" not in again.err
    assert (songs / MANIFEST).read_bytes().startswith(before)
    assert len(read_manifest(songs)) == 6
    assert {song.state for song in verify(songs)} == {"ok"}
    resumed = run_cli("resume", songs, *bench.at)
    assert (resumed.code, resumed.lines) == (0, [])
    assert len(bench.charged) == 3


@pytest.mark.parametrize("target", ["nothing", "another song"])
def test_a_song_that_was_moved_away_is_told_and_the_others_go_on(
    target: str, make: Callable[..., Ended], bench: Bench, tmp_path: Path
) -> None:
    """Only its owner can bring it back. What is known of it stays known, nothing is followed."""
    songs, disk = tmp_path / "songs", tmp_path / "disk" / "a.mp3"
    first = make({"description": "one"})
    path = move(first.lines[0], disk)
    if target == "nothing":
        disk.unlink()
    else:
        disk.write_bytes(Path(first.lines[1]["path"]).read_bytes())
    there = disk.read_bytes() if disk.exists() else None
    again = make({"description": "one"}, {"description": "two"})
    assert again.code == 1
    bad = [line for line in again.lines if line["error"]]
    assert [line["id"] for line in bad] == [first.lines[0]["id"]]
    assert f"was moved: {path} is a link that does not lead to it; bring the" in again.err
    assert again.err.count("error: ") == 1
    assert "to try again" not in again.err
    assert sum(line["path"] is not None for line in again.lines) == 3
    assert [song.state for song in verify(songs)].count("moved") == 1
    assert path.is_symlink()
    assert (disk.read_bytes() if disk.exists() else None) == there
    path.unlink()
    assert make({"description": "one"}, {"description": "two"}).code == 0
    assert path.is_file()
    assert {song.state for song in verify(songs)} == {"ok"}
    assert len(bench.charged) == 2


def test_names_leave_room_for_what_is_added(make: Callable[..., Ended]) -> None:
    """The longest title, and its cover, while they are written: 143 bytes at most."""
    lines = make(LONG).lines
    assert len(lines) == 2
    for line in lines:
        assert len(os.fsencode(Path(line["path"]).name)) <= 143 - len(".01234567.part")
        song = attrs.evolve(song_of(line), title="w" * 300)
        assert len(file_name(song)) == 110 + len("-0123456789ab.mp3")
