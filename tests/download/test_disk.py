"""What a disk refuses: no song is lost or half there, and whoever buys songs hears of it."""

import errno
import os
import pkgutil
import stat
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit import fault_server as faults
from udio_async import DownloadFailed
from udio_async._download import disk as disk_room
from udio_async._download import parts, remove_stale, sound
from udio_async._download.disk import WRITING, Action, Disk, Step, disk_rule
from udio_async._download.names import file_name, file_names, is_part

from .kit import FILE, MP3, Waits, bench, song_at, waits

__all__ = ["waits"]  # a fixture

HELD = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO")
AGAIN = ("ESTALE", "EBUSY", "EMFILE")
PLAIN = ("ENAMETOOLONG", "EILSEQ", "EFBIG")
STEPS = (Step.OPEN, Step.WRITE, Step.READ, Step.SYNC, Step.RENAME)


def no(name: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


@attrs.define
class Watch:
    """Keeps what it hears."""

    heard: list[object] = attrs.field(factory=list)

    def refused(self, directory: Path, error: OSError) -> None:
        self.heard.append((directory, error.errno))

    def written(self, directory: Path, _size: int) -> None:
        self.heard.append(directory)


@attrs.define
class BadDisk:
    """Refuses a step of every file operation, the first times."""

    patch: pytest.MonkeyPatch
    left: int = 0
    name: str = ""
    passing: int = 0
    """How many operations are let through before."""

    def refuse(self, step: Step, name: str, *, times: int = 1_000_000, after: int = 0) -> None:
        self.left, self.name, self.passing = times, name, after
        getattr(self, f"_refuse_{step.name.lower()}")()

    def _fail(self) -> None:
        if self.passing:
            self.passing -= 1
        elif self.left:
            self.left -= 1
            raise no(self.name)

    def _before(self, owner: Any, name: str, applies: Callable[..., bool]) -> None:  # noqa: ANN401
        original = getattr(owner, name)

        def wrapped(*args: Any, **named: Any) -> Any:  # noqa: ANN401
            if applies(*args):
                self._fail()
            return original(*args, **named)

        self.patch.setattr(owner, name, wrapped)

    def _refuse_folder(self) -> None:
        self._before(Path, "mkdir", lambda *_: True)

    def _refuse_open(self) -> None:
        self._before(Path, "open", lambda path, *_: path.name.endswith(".part"))

    def _refuse_write(self) -> None:
        bad, original = self, Path.open

        class File(FileIO):
            def write(self, data: Any, /) -> int:  # noqa: ANN401
                bad._fail()
                return super().write(data)

        def opened(path: Path, mode: str = "r", *args: Any, **named: Any) -> Any:  # noqa: ANN401
            if mode == "ab":
                return File(path, "ab")
            return original(path, mode, *args, **named)

        self.patch.setattr(Path, "open", opened)

    def _refuse_read(self) -> None:
        self._before(sound, "bytes_of", lambda *_: True)

    def _refuse_sync(self) -> None:
        self._before(os, "fsync", lambda handle: not stat.S_ISDIR(os.fstat(handle).st_mode))

    def _refuse_sync_folder(self) -> None:
        self._before(os, "fsync", lambda handle: stat.S_ISDIR(os.fstat(handle).st_mode))

    def _refuse_link(self) -> None:
        self._before(os, "link", lambda *_: True)

    def _refuse_rename(self) -> None:
        def no_links(*_: object) -> None:
            raise no("EPERM")

        self.patch.setattr(os, "link", no_links)
        self._before(os, "rename", lambda *_: True)

    def _refuse_remove(self) -> None:
        self._before(os, "unlink", lambda *_: True)


@pytest.fixture
def bad_disk(monkeypatch: pytest.MonkeyPatch) -> BadDisk:
    return BadDisk(monkeypatch)


# The table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HELD)
@pytest.mark.parametrize("step", [Step.FOLDER, *STEPS])
async def test_a_disk_that_takes_nothing_is_told_to_whoever_buys(
    step: Step, name: str, tmp_path: Path, bad_disk: BadDisk, waits: Waits
) -> None:
    """At once, with the folder; the error says which file, why, and what to do. Nothing is left."""
    watch = Watch()
    async with bench(tmp_path, faults.answer(FILE), disk=watch) as test:
        bad_disk.refuse(step, name)
        with pytest.raises(OSError, match=os.strerror(getattr(errno, name))) as caught:
            await test.get()
    error = caught.value
    assert error.errno == getattr(errno, name)
    assert error.filename == str(
        tmp_path if step is Step.FOLDER else tmp_path / file_name(song_at(None))
    )
    assert str(tmp_path) in (error.strerror or "")  # the remedy
    assert watch.heard == [(tmp_path, error.errno)]
    assert test.files == []
    assert waits.waited == []


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("file", "this is a file, not a folder; give another folder"),
        ("file/inner", "a part of this path is a file, not a folder; give another folder"),
    ],
)
async def test_a_file_in_the_place_of_the_folder(folder: str, told: str, tmp_path: Path) -> None:
    """The error says that it is one, and what to do."""
    (tmp_path / "file").write_bytes(b"somebody's")
    async with bench(tmp_path / folder, faults.answer(FILE)) as test:
        with pytest.raises(OSError, match=told) as caught:
            await test.get()
    assert caught.value.filename == str(tmp_path / folder)


async def test_a_disk_may_be_full_at_any_write(
    tmp_path: Path, bad_disk: BadDisk, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever piece of the song it is: it is told, nothing is left, and with room it comes."""
    monkeypatch.setattr(parts, "_PIECE", 1)
    pieces = [MP3[at : at + 8_000] for at in range(0, len(MP3), 8_000)]
    script = faults.drip(faults.http(200, b"", length=len(MP3)), pieces, every=0.002)
    nth = 0
    for nth in range(len(pieces) + 1):
        async with bench(tmp_path / str(nth), script) as test:
            bad_disk.refuse(Step.WRITE, "ENOSPC", after=nth)
            try:
                await test.get()
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017  # or it is saved
            else:
                break  # it took fewer writes than that
            assert test.files == []
            bad_disk.left = 0
            assert (await test.get()).path.read_bytes() == MP3
    assert nth > 2
    assert waits.waited == []


async def test_a_song_that_is_written_is_told_too(tmp_path: Path, waits: Waits) -> None:
    """So that what was held goes on; one that was there already says nothing."""
    watch = Watch()
    async with bench(tmp_path, faults.answer(FILE), disk=watch) as test:
        await test.get()
        await test.get()
    assert watch.heard == [tmp_path]
    assert waits.waited == []


@pytest.mark.parametrize("name", AGAIN)
@pytest.mark.parametrize("step", STEPS)
async def test_a_disk_that_is_busy_is_tried_again(
    step: Step, name: str, tmp_path: Path, bad_disk: BadDisk, waits: Waits
) -> None:
    """And if it stays so, it is told; nobody stops buying for that."""
    watch = Watch()
    async with bench(tmp_path, faults.answer(FILE), disk=watch) as test:
        bad_disk.refuse(step, name, times=2)
        assert (await test.get()).path.read_bytes() == MP3
        (await test.get()).path.unlink()
        bad_disk.left = 1_000
        with pytest.raises(OSError, match="later") as caught:
            await test.get()
    assert caught.value.errno == getattr(errno, name)
    assert watch.heard == [tmp_path]
    assert test.provider.looks == 0  # no other link helps
    assert test.files == []
    assert waits.total < 60


@pytest.mark.parametrize("step", STEPS)
async def test_a_file_that_another_program_holds_open_is_tried_again(
    step: Step, tmp_path: Path, bad_disk: BadDisk, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virus scanner on Windows, say, where the error is called EACCES as for a foreign folder."""

    class SharingViolation(PermissionError):
        winerror = 32

    watch = Watch()
    monkeypatch.setattr(f"{__name__}.no", lambda _: SharingViolation(errno.EACCES, "is in use"))
    async with bench(tmp_path, faults.answer(FILE), disk=watch) as test:
        bad_disk.refuse(step, "EACCES", times=2)
        assert (await test.get()).path.read_bytes() == MP3
    assert watch.heard == [tmp_path]
    assert len(waits.waited) == 2


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("step", STEPS)
async def test_what_is_about_one_song_is_told_of_that_song(
    step: Step, name: str, tmp_path: Path, bad_disk: BadDisk, waits: Waits
) -> None:
    watch = Watch()
    async with bench(tmp_path, faults.answer(FILE), disk=watch) as test:
        bad_disk.refuse(step, name)
        with pytest.raises(OSError, match="give a folder") as caught:
            await test.get()
    assert caught.value.errno == getattr(errno, name)
    assert watch.heard == []
    assert waits.waited == []
    assert test.files == []


@pytest.mark.parametrize("name", ["EACCES", "EXDEV", "EPERM", "ENOTSUP", "EMLINK", "ENOSYS"])
async def test_no_hard_links_are_needed(
    name: str, tmp_path: Path, bad_disk: BadDisk, waits: Waits
) -> None:
    async with bench(tmp_path, faults.answer(FILE)) as test:
        bad_disk.refuse(Step.LINK, name)
        saved = await test.get()
    assert saved.path.read_bytes() == MP3
    assert test.files == [saved.path.name]
    assert waits.waited == []


async def test_a_python_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of Android."""
    monkeypatch.delattr(os, "link")
    async with bench(tmp_path, faults.answer(FILE)) as test:
        saved = await test.get()
    assert test.files == [saved.path.name]


async def test_a_name_that_is_taken_meanwhile_is_not_renamed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there are no links either."""

    def refuse(_: object, path: Path) -> None:
        Path(path).write_bytes(b"mine")
        raise no("EPERM")

    monkeypatch.setattr(os, "link", refuse)
    async with bench(tmp_path, faults.answer(FILE)) as test:
        with pytest.raises(DownloadFailed, match="move it away"):
            await test.get()
    [name] = test.files
    assert (tmp_path / name).read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "ENOSYS"])
async def test_a_file_system_that_cannot_sync_will_do(
    name: str, tmp_path: Path, bad_disk: BadDisk
) -> None:
    async with bench(tmp_path, faults.answer(FILE)) as test:
        bad_disk.refuse(Step.SYNC, name)
        assert (await test.get()).path.read_bytes() == MP3


@pytest.mark.parametrize("name", ["EINVAL", "EACCES", "EIO", "EBADF"])
@pytest.mark.parametrize("step", [Step.SYNC_FOLDER, Step.REMOVE])
async def test_what_is_refused_after_the_song_has_its_name_costs_nothing(
    step: Step, name: str, tmp_path: Path, bad_disk: BadDisk
) -> None:
    async with bench(tmp_path, faults.answer(FILE)) as test:
        bad_disk.refuse(step, name)
        assert (await test.get()).path.read_bytes() == MP3


async def test_a_name_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes are on the disk before they get their name, and then the name is."""
    sync, link, done = os.fsync, os.link, list[tuple[str, int]]()

    def noted_sync(handle: int) -> None:
        sync(handle)
        done.append(("sync", os.fstat(handle).st_ino))

    def noted_link(source: Path, name: Path) -> None:
        link(source, name)
        done.append(("link", name.stat().st_ino))

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "link", noted_link)
    async with bench(tmp_path, faults.answer(FILE)) as test:
        path = (await test.get()).path
        song, folder = path.stat().st_ino, path.parent.stat().st_ino
    assert done == [("sync", song), ("link", song), ("sync", folder)]


def test_every_step_and_every_error_has_a_row() -> None:
    """And none is without a remedy where something is told."""
    for step in Step:
        for number in errno.errorcode:
            rule = disk_rule(step, OSError(number, os.strerror(number)))
            assert rule.remedy or rule.action not in (Action.HELD, Action.AGAIN, Action.TOLD)
            assert (rule.steps == WRITING) <= bool(rule.remedy)


def test_an_error_without_a_number_is_told_as_it_is() -> None:
    disk = Disk(Path("songs/a.mp3"))
    with pytest.raises(OSError, match="what it says; fix that"), disk.doing(Step.WRITE):
        raise OSError("what it says")
    assert disk.held is None


async def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    watch = Watch()
    (tmp_path / "songs").write_text("mine")
    async with bench(tmp_path / "songs", faults.answer(FILE), disk=watch) as test:
        with pytest.raises(FileExistsError, match="give another folder"):
            await test.get()
    assert watch.heard == [(tmp_path / "songs", errno.EEXIST)]


async def test_a_part_that_somebody_removes_is_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: Waits
) -> None:
    """Nothing of it is taken for granted."""
    original, times = disk_room._link, iter([True])

    def remove_first(part: Path, path: Path) -> bool:
        if next(times, False):
            part.unlink()
        return original(part, path)

    monkeypatch.setattr(disk_room, "_link", remove_first)
    async with bench(tmp_path, faults.answer(FILE)) as test:
        saved = await test.get()
        assert len(test.server.requests) == 2
    assert saved.path.read_bytes() == MP3
    assert test.files == [saved.path.name]
    assert len(waits.waited) == 1


# What is left behind -------------------------------------------------------------------------


async def test_what_a_killed_process_left_is_removed_after_an_hour(tmp_path: Path) -> None:
    """Ours only, and not what another process may be busy with."""
    hour_ago = time.time() - 3700
    name = file_name(song_at(None))
    kept = ["a song.part", "notes.txt", f"{name}.0123abcd.part.txt", f"{name}.00000002.part"]
    for old in (f"{name}.00000001.part", f"{name[:-4]}.jpg.00000001.part", *kept):
        (tmp_path / old).write_bytes(b"half")
        os.utime(tmp_path / old, (hour_ago, hour_ago))
    os.utime(tmp_path / kept[-1])
    async with bench(tmp_path, faults.answer(FILE)) as test:
        saved = await test.get()
    assert test.files == sorted([*kept, saved.path.name])
    assert remove_stale(tmp_path / "nowhere", 0.0) == 0


@pytest.mark.parametrize("title", ["é" * 200, "x" * 200, "音" * 100])
def test_names_leave_room_for_all_that_is_added(title: str) -> None:
    """143 bytes, as eCryptfs has them; and what is added is known to be ours."""
    song = attrs.evolve(song_at(None), title=title)
    for name in (*file_names(song), file_name(song).replace(".mp3", ".webp")):
        part = f"{name}.01234567.part"
        assert len(part.encode()) <= 143
        assert is_part(part)


async def test_a_cancelled_download_leaves_nothing_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it comes, is checked, gets its tags, and its name: then it is there, whole."""
    half = FILE[: len(FILE) // 2]
    async with bench(tmp_path, faults.stall(half)) as test, anyio.create_task_group() as users:
        users.start_soon(test.get)
        await test.server.wait_for(lambda: bool(test.server.requests))
        users.cancel_scope.cancel()
    assert test.files == []
    for step in ("disk.Disk.sync", "disk._link", "sound.measure_file", "delivery.measure_file"):
        await _cancel_during(step, tmp_path, monkeypatch)


async def _cancel_during(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / step
    directory.mkdir()
    scope = anyio.CancelScope()
    module, _, name = f"udio_async._download.{step}".rpartition(".")
    owner = pkgutil.resolve_name(module)
    original = getattr(owner, name)

    def cancel(*args: Any) -> Any:  # noqa: ANN401
        anyio.from_thread.run_sync(scope.cancel)
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, cancel)
        async with bench(directory, faults.answer(FILE)) as test:
            with scope:
                await test.get()
    assert all((directory / name).read_bytes() == MP3 for name in test.files)
    assert not any(name.endswith(".part") for name in test.files)
