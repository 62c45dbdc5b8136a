"""`songs.jsonl`: appended to, read again, and compared with the files."""

import hashlib
import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from udio_async import Stage
from udio_async.cli import _output
from udio_async.cli._manifest import MANIFEST, Manifest, read_manifest
from udio_async.cli._output import FailedLine, SongLine, Trouble
from udio_async.cli._verify import verify

from .conftest import COMMAND, Bench, Ended, environment

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


@pytest.mark.parametrize(
    ("failed", "song"),
    [
        ({"job": "j", "line": 3}, {"job": "j", "line": 4}),
        ({"key": "j", "line": 3}, {"job": "j", "line": 3}),
        ({"key": "k"}, {"key": "k"}),
        ({"line": 3, "asked": "rain"}, {"line": 3, "asked": "rain"}),
    ],
)
def test_songs_overtake_the_failure_of_their_request(
    failed: dict[str, Any], song: dict[str, Any], tmp_path: Path
) -> None:
    write(tmp_path, {**FAILED, **failed}, {**SONG, **song})
    assert [record.id for record in read_manifest(tmp_path)] == ["s1"]
    write(tmp_path, {**SONG, **song}, {**FAILED, **failed})
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", None]


@pytest.mark.parametrize("later", [SONG, FAILED], ids=["song", "failure"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"job": "a"}, {"job": "b"}),
        ({"key": "a"}, {"key": "b"}),
        ({"job": "a", "key": "a"}, {"job": "b"}),
        ({"asked": "rain"}, {"asked": "sun"}),
        ({"job": "a", "asked": "rain"}, {"asked": "rain"}),
    ],
)
def test_the_same_line_of_another_file_overtakes_nothing(
    one: dict[str, Any], other: dict[str, Any], later: dict[str, Any], tmp_path: Path
) -> None:
    """Two batches may share a directory, and each file has such a line."""
    write(tmp_path, {**FAILED, "line": 3, **one}, {**later, "line": 3, **other})
    assert [record.id for record in read_manifest(tmp_path)] == [None, later.get("id")]


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_torn_last_line_is_read_over_and_repaired(cut: int, tmp_path: Path) -> None:
    """A crash left half a line: what stands before it counts, and what comes after it too."""
    path = write(tmp_path, SONG)
    with path.open("a") as file:
        file.write(json.dumps({**SONG, "id": "s2"})[: cut * 8])
    told: list[str] = []
    assert [record.id for record in read_manifest(tmp_path, told.append)] == ["s1"]
    assert told == [f"{path}:2 is half a line and was left out"]
    told.clear()
    Manifest(tmp_path, told.append).append(song_line(id="s3"))
    assert told == [f"{path}:2 is half a line and was left out"]
    assert [record.id for record in read_manifest(tmp_path, told.append)] == ["s1", "s3"]
    assert len(told) == 1


@pytest.mark.parametrize("cut", [5, 30, -1])
def test_a_line_that_another_program_is_writing_is_not_cut_off(cut: int, tmp_path: Path) -> None:
    """Neither by opening the directory nor by a line that is appended later."""
    path = write(tmp_path, SONG)
    line = f"{json.dumps({**SONG, 'id': 's2'})}\n"
    with path.open("a") as file:
        file.write(line[:cut])
        file.flush()
        before = path.read_bytes()
        manifest = Manifest(tmp_path, lambda _: None)
        assert path.read_bytes() == before
        file.write(line[cut:])
    manifest.append(song_line(id="s3"))
    told: list[str] = []
    assert [record.id for record in read_manifest(tmp_path, told.append)] == ["s1", "s2", "s3"]
    assert not told


@pytest.mark.parametrize("cut", [1, 14, 40])
def test_half_a_line_is_all_that_a_crash_may_leave(cut: int, tmp_path: Path) -> None:
    """Of the first line, too."""
    (tmp_path / MANIFEST).write_text(json.dumps(SONG)[:cut])
    Manifest(tmp_path).append(song_line(id="s3"))
    assert [record.id for record in read_manifest(tmp_path)] == ["s3"]


def test_a_last_line_that_only_lacks_its_end_counts(tmp_path: Path) -> None:
    path = write(tmp_path, SONG)
    path.write_text(path.read_text().rstrip("\n"))
    assert len(read_manifest(tmp_path)) == 1
    Manifest(tmp_path).append(song_line(id="s2"))
    assert len(read_manifest(tmp_path)) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"provider": ', "not JSON"),
        ('{"provider": NaN}', "provider"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ({"id": "s1"}, "a field is missing"),
        ({**SONG, "title": 4}, "title"),
        ({**SONG, "timeline": {"looks": "many"}}, "looks"),
    ],
)
def test_a_damaged_line_is_told_and_left_out(line: object, reason: str, tmp_path: Path) -> None:
    """It stays in the file, and what comes before and after it counts."""
    path = write(tmp_path, SONG, line, {**SONG, "id": "s2"})
    before = path.read_bytes()
    for use in (read_manifest, Manifest):
        told: list[str] = []
        use(tmp_path, told.append)
        (only,) = told
        assert only.startswith(f"{path}: 1 line is damaged and left out: 2 (")
        assert reason in only
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", "s2"]
    assert path.read_bytes() == before


def test_what_a_power_cut_leaves_is_cut_off(tmp_path: Path) -> None:
    """Zeros, on some file systems; and an editor may have changed the ends of lines."""
    path = write(tmp_path, SONG, {**SONG, "id": "s2"})
    lines = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(lines + bytes(1000))
    told: list[str] = []
    Manifest(tmp_path, told.append).append(song_line(id="s3"))
    assert told == [f"{path}:3 is half a line and was left out"]
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", "s2", "s3"]


def test_damaged_lines_are_told_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, *["{"] * 5, SONG)
    told: list[str] = []
    read_manifest(tmp_path, told.append)
    said = "1 (it is not JSON), 2 (it is not JSON), 3 (it is not JSON), 2 more"
    assert told == [f"{path}: 5 lines are damaged and left out: {said}"]


def test_a_line_without_end_is_not_held(tmp_path: Path) -> None:
    """Whatever it is, it is none of ours."""
    path = write(tmp_path, SONG, '{"provider": "' + "x" * 10_000_000, {**SONG, "id": "s2"})
    size = path.stat().st_size
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", "s2"]
    Manifest(tmp_path)
    assert path.stat().st_size == size


def test_a_line_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """A disk that takes only half of it leaves no half, and the next line is a line."""
    manifest = Manifest(tmp_path)
    manifest.append(song_line())
    path = tmp_path / MANIFEST
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            manifest.append(song_line(id="s2"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    manifest.append(song_line(id="s2"))
    manifest.append(song_line(id="s3"))
    assert [line["id"] for line in lines_of(tmp_path)] == ["s1", "s2", "s3"]


def test_half_a_line_that_could_not_be_taken_back_spoils_no_other(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.append(song_line())
    with (tmp_path / MANIFEST).open("a") as file:
        file.write('{"provider": "udio')
    manifest.append(song_line(id="s2"))
    assert [record.id for record in read_manifest(tmp_path)] == ["s1", "s2"]


FOREIGN = {
    "requests": b'{"description": "a song about rain"}\n{"description": "sun"}\n',
    "half of that": b'{"description": "a song about rain"',
    "notes": b"milk, bread",
    "a list": b"[1, 2, 3]\n",
    "wide text": "songs of mine".encode("utf-16"),
    "no text": bytes(range(256)),
    "a provider of power": b'{"provider": 5}\n',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_the_user_is_neither_added_to_nor_cut(
    content: bytes, bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """It only has the name of a manifest; told before anything is spent."""
    (tmp_path / MANIFEST).write_bytes(content)
    (tmp_path / "in.txt").write_text("one\n")
    ended = call_cli("batch", tmp_path / "in.txt", "--out", tmp_path, *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    (error,) = ended.err.splitlines()
    assert error.startswith(
        f"error: {tmp_path / MANIFEST} is not a manifest of udio-async; move it"
    )
    assert (tmp_path / MANIFEST).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_to_an_empty_file_lines_may_be_added(content: bytes, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    Manifest(tmp_path).append(song_line())
    assert len(read_manifest(tmp_path)) == 1


@pytest.mark.parametrize("kind", ["link", "link to nothing", "directory", "pipe"])
def test_only_a_plain_file_is_written_to(
    kind: str, bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """And nothing that a link leads to; told before anything is spent."""
    songs, other = tmp_path / "songs", tmp_path / "other"
    songs.mkdir()
    path = songs / MANIFEST
    if kind == "link":
        other.write_text(f"{json.dumps(SONG)}\n")
    if kind.startswith("link"):
        path.symlink_to(other)
    elif kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)
    (tmp_path / "in.txt").write_text("one\n")
    ended = call_cli("batch", tmp_path / "in.txt", "--out", songs, *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    what = "a symbolic link" if kind.startswith("link") else "not a plain file"
    assert f"{path} is {what}" in ended.err
    assert other.exists() is (kind == "link")
    if other.exists():
        assert other.read_text() == f"{json.dumps(SONG)}\n"


def test_stdout_may_not_lead_to_the_manifest(bench: Bench, tmp_path: Path) -> None:
    """As `> songs/songs.jsonl` does: each would write over the lines of the other."""
    (tmp_path / "in.txt").write_text("one\n")
    command = ("batch", tmp_path / "in.txt", "--out", tmp_path, *bench.at)
    with (tmp_path / MANIFEST).open("wb") as file:
        child = subprocess.run(
            [*COMMAND, *map(str, command)],
            stdout=file,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert (child.returncode, bench.charged) == (2, [])
    assert b"error: stdout leads to " in child.stderr


def test_unknown_names_are_left_to_later_versions(tmp_path: Path) -> None:
    write(tmp_path, {**SONG, "mood": {"deep": [1]}})
    assert read_manifest(tmp_path)[0].id == "s1"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../a.mp3", "a/../../b.mp3", "C:a.mp3", "\\\\host\\a.mp3", "a\0.mp3", "", "."],
)
@pytest.mark.parametrize("name", ["path", "cover"])
def test_a_path_that_leads_outside_is_left_out(name: str, path: str, tmp_path: Path) -> None:
    """The line is told, and nobody goes there."""
    write(tmp_path, {**SONG, name: path}, {**SONG, "id": "s2"})
    told: list[str] = []
    assert [record.id for record in read_manifest(tmp_path, told.append)] == ["s2"]
    (only,) = told
    assert "leads outside the directory" in only


@pytest.mark.parametrize(
    ("target", "content", "state"),
    [
        ("same", b"song", "ok"),
        ("other", b"sonG", "moved"),
        ("longer", b"song and dance", "moved"),
        ("nowhere", None, "moved"),
    ],
)
def test_behind_a_link_only_the_same_song_counts(
    target: str,
    content: bytes | None,
    state: str,
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """By its hash, so nothing else is told; and the gallery leads nobody out of the directory."""
    songs = tmp_path / "songs"
    songs.mkdir()
    if content is not None:
        (tmp_path / target).write_bytes(content)
    (songs / "a.mp3").symlink_to(tmp_path / target)
    good = {"sha256": hashlib.sha256(b"song").hexdigest(), "size": 4}
    write(songs, {**SONG, "path": "a.mp3", "cover": "a.mp3", **good})
    assert [song.state for song in verify(songs)] == [state]
    assert call_cli("verify", songs).code == (0 if state == "ok" else 1)
    assert call_cli("gallery", songs).code == 0
    page = (songs / "index.html").read_text()
    assert "./a.mp3" not in page
    assert "The file a.mp3 was moved; a link is in its place." in page


def test_a_link_without_a_hash_proves_nothing(tmp_path: Path) -> None:
    """Nor does one to a device, which is never read."""
    (tmp_path / "a.mp3").symlink_to("/dev/zero")
    (tmp_path / "b.mp3").symlink_to(tmp_path / "c")
    (tmp_path / "c").write_bytes(b"song")
    paths = ("a.mp3", "b.mp3")
    write(tmp_path, *({**SONG, "id": path, "path": path, "size": 4} for path in paths))
    assert [song.state for song in verify(tmp_path)] == ["moved", "moved"]


def test_a_song_that_cannot_be_read_now_keeps_what_is_known(tmp_path: Path) -> None:
    """Its line still tells what it was; once it is gone, its new line counts."""
    write(tmp_path, {**SONG, "path": "a.mp3", "size": 4})
    (tmp_path / "a.mp3").symlink_to(tmp_path / "nowhere")
    trouble = Trouble(type="x", message="m", charged="yes", task_id="t1", advice="a")
    failed = song_line(error=trouble)
    Manifest(tmp_path).append(failed)
    assert [record.size for record in read_manifest(tmp_path)] == [4]
    (tmp_path / "a.mp3").unlink()
    Manifest(tmp_path).append(failed)
    assert [record.size for record in read_manifest(tmp_path)] == [None]


@pytest.mark.parametrize("command", ["verify", "gallery", "report"])
def test_a_file_of_the_user_is_not_read_as_ours(
    command: str, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    path = write(tmp_path, {"description": "rain"})
    ended = call_cli(command, tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {path} is not a manifest of udio-async; give the DIR")
    assert [each.name for each in tmp_path.iterdir()] == [MANIFEST]


@pytest.mark.parametrize("command", ["verify", "gallery", "report"])
def test_reading_commands_say_what_they_left_out(
    command: str, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """One line on stderr, and they do what they are for with the rest."""
    path = write(tmp_path, "spoilt", SONG, "{}")
    ended = call_cli(command, tmp_path)
    assert ended.code == 0
    assert ended.err.startswith(f"warning: {path}: 2 lines are damaged and left out: 1 (")
    assert ended.err.count("\n") == 1


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
