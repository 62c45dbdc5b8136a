"""`songs.jsonl`: appended to, read again, and compared with the files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from udio_async import Stage
from udio_async.cli import _output
from udio_async.cli._failures import BadInput
from udio_async.cli._manifest import MANIFEST, Manifest, read_manifest, verify
from udio_async.cli._output import FailedLine, SongLine, Trouble

from .conftest import Ended

SONG: dict[str, Any] = {"provider": "udioapi-v2", "task_id": "t1", "id": "s1", "index": 0}
TIMELINE = {"accepted_at": 1.0, "complete": 60.5, "looks": 4}
FAILED: dict[str, Any] = {
    "provider": "udioapi-v2",
    "task_id": None,
    "error": {"type": "RateLimited", "message": "later", "charged": "no"},
}


def song_line(path: Path | None = None, **more: object) -> SongLine:
    """A line as a batch tells it."""
    values: dict[str, Any] = dict.fromkeys(field.name for field in attrs.fields(SongLine))
    given = {**SONG, "stage": Stage.COMPLETE, "path": str(path) if path else None, **more}
    return SongLine(**{**values, **given})


def failed_line(**more: object) -> FailedLine:
    values: dict[str, Any] = dict.fromkeys(field.name for field in attrs.fields(FailedLine))
    trouble: dict[str, Any] = dict.fromkeys(field.name for field in attrs.fields(Trouble))
    error = Trouble(**{**trouble, "type": "RateLimited", "message": "later", "charged": "no"})
    given: dict[str, Any] = {**values, "provider": "udioapi-v2", "error": error, **more}
    return FailedLine(**given)


def write(directory: Path, *lines: object) -> Path:
    """Write a manifest by hand. Text is written as it is."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path = directory / MANIFEST
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path


def lines_of(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / MANIFEST).read_bytes().splitlines()]


def test_a_line_is_appended_at_once_and_its_path_is_relative(tmp_path: Path) -> None:
    """In ASCII, with forward slashes, and with nothing that `--json` leaves out."""
    Manifest(tmp_path).append(song_line(tmp_path / "deep" / "東京.mp3", title="東京"))
    assert (tmp_path / MANIFEST).read_bytes().isascii()
    (line,) = lines_of(tmp_path)
    assert (line["path"], line["title"]) == ("deep/東京.mp3", "東京")
    assert "key" not in line


def test_what_is_known_is_not_told_again(tmp_path: Path) -> None:
    """Neither by the same manifest nor by that of a later run; a change is a new line."""
    for _ in range(2):
        manifest = Manifest(tmp_path)
        for _ in range(2):
            manifest.append(song_line(tmp_path / "a.mp3"))
            manifest.append(failed_line(key="k"))
    assert len(lines_of(tmp_path)) == 2
    Manifest(tmp_path).append(song_line(tmp_path / "b.mp3"))
    assert [record.path for record in read_manifest(tmp_path)] == [None, "b.mp3"]


def test_a_later_run_does_not_forget_the_timeline(tmp_path: Path) -> None:
    """It did not see the song being made, so it has none to tell."""
    write(tmp_path, {**SONG, "timeline": TIMELINE, "asked": "rain"})
    Manifest(tmp_path).append(song_line(tmp_path / "a.mp3"))
    (record,) = read_manifest(tmp_path)
    assert record.timeline is not None
    assert (record.path, record.asked, record.timeline.looks) == ("a.mp3", "rain", 4)


def test_a_file_elsewhere_is_not_written_down(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"other\.mp3"):
        Manifest(tmp_path / "songs").append(song_line(tmp_path / "other.mp3"))


@pytest.mark.parametrize("origin", [{"key": "k"}, {"line": 3}])
def test_songs_overtake_the_failure_of_their_request(
    origin: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path, {**FAILED, **origin}, {**SONG, **origin})
    assert [record.id for record in read_manifest(tmp_path)] == ["s1"]
    write(tmp_path, {**SONG, **origin}, {**FAILED, **origin})
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", None]


def test_the_same_line_of_another_file_overtakes_nothing(tmp_path: Path) -> None:
    """Two batches may share a directory, and their keys tell them apart."""
    write(tmp_path, {**FAILED, "line": 3, "key": "a"}, {**SONG, "line": 3, "key": "b"})
    assert [record.id for record in read_manifest(tmp_path)] == [None, "s1"]


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_torn_last_line_is_read_over_and_repaired(cut: int, tmp_path: Path) -> None:
    """A crash left half a line: what stands before it counts, and what comes after it too."""
    path = write(tmp_path, SONG)
    with path.open("a") as file:
        file.write(json.dumps({**SONG, "id": "s2"})[: cut * 8])
    assert [record.id for record in read_manifest(tmp_path)] == ["s1"]
    Manifest(tmp_path).append(song_line(id="s3"))
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", "s3"]


def test_a_last_line_that_only_lacks_its_end_counts(tmp_path: Path) -> None:
    path = write(tmp_path, SONG)
    path.write_text(path.read_text().rstrip("\n"))
    assert len(read_manifest(tmp_path)) == 1
    Manifest(tmp_path).append(song_line(id="s2"))
    assert len(read_manifest(tmp_path)) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"provider": ', "no JSON"),
        ('{"provider": NaN}', "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        ({"id": "s1"}, "a field is missing"),
        ({**SONG, "title": 4}, "title"),
        ({**SONG, "timeline": {"looks": "many"}}, "looks"),
    ],
)
def test_damage_is_told_with_its_line(line: object, reason: str, tmp_path: Path) -> None:
    """Nothing is guessed, and nothing is appended to a file that cannot be read."""
    path = write(tmp_path, SONG, line, SONG)
    for use in (read_manifest, Manifest):
        with pytest.raises(BadInput, match=reason) as caught:
            use(tmp_path)
        assert f"{path}:2 " in str(caught.value)


def test_unknown_names_are_left_to_later_versions(tmp_path: Path) -> None:
    write(tmp_path, {**SONG, "mood": {"deep": [1]}})
    assert read_manifest(tmp_path)[0].id == "s1"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../a.mp3", "a/../../b.mp3", "C:a.mp3", "\\\\host\\a.mp3", "a\0.mp3", "", "."],
)
@pytest.mark.parametrize("name", ["path", "cover"])
def test_a_path_that_leads_outside_is_refused(name: str, path: str, tmp_path: Path) -> None:
    write(tmp_path, {**SONG, name: path})
    with pytest.raises(BadInput, match="leads outside the directory"):
        read_manifest(tmp_path)


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    """A harmless name is not enough."""
    directory = tmp_path / "songs"
    directory.mkdir()
    (tmp_path / "secret").touch()
    (directory / "a.mp3").symlink_to(tmp_path / "secret")
    write(directory, {**SONG, "path": "a.mp3"})
    with pytest.raises(BadInput, match="leads outside the directory"):
        read_manifest(directory)


def test_verify_tells_what_is_missing_and_what_has_changed(
    call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """By size and SHA-256; exit 1 if any is not as it was saved."""
    good = {"sha256": hashlib.sha256(b"song").hexdigest(), "size": 4}
    for name, content in (("ok", b"song"), ("same-size", b"sonG"), ("short", b"so")):
        (tmp_path / f"{name}.mp3").write_bytes(content)
    names = ("ok", "same-size", "short", "gone")
    lines = [{**SONG, "id": name, "path": f"{name}.mp3", **good} for name in names]
    write(tmp_path, *lines, FAILED, {**SONG, "id": "not saved"})
    states = {song.id: song.state for song in verify(tmp_path)}
    assert states == {
        "ok": "ok",
        "same-size": "changed",
        "short": "changed",
        "gone": "missing",
    }
    ended = call_cli("verify", tmp_path, "--json")
    assert (ended.code, {line["id"]: line["state"] for line in ended.lines}) == (1, states)
    ended = call_cli("verify", tmp_path)
    assert (ended.code, ended.out.count("changed")) == (1, 2)
    write(tmp_path, lines[0])
    assert call_cli("verify", tmp_path).code == 0


@pytest.mark.parametrize("command", ["verify", "gallery", "report"])
def test_a_directory_without_songs_is_bad_input(
    command: str, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    ended = call_cli(command, tmp_path)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert MANIFEST in ended.err


def test_a_line_is_what_json_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But for its paths, so that one program reads both."""
    line = song_line(tmp_path / "a.mp3", line=4, title="A")
    _output.write_json(line)
    Manifest(tmp_path).append(line)
    printed = json.loads(capsys.readouterr().out)
    assert lines_of(tmp_path) == [{**printed, "path": "a.mp3"}]
