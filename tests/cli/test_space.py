"""A batch asks for no more songs than its disk has room for, as far as it has seen their size."""

import errno
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import anyio
import anyio.to_thread
import pytest

from udio_async.cli._space import Space
from udio_async.sandbox import Fault, Sandbox

from .conftest import SPEED, Bench, Ended

MB = 1 << 20


@pytest.fixture
def fill(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the disk take no song any more."""

    def write(_directory: Path, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda: monkeypatch.setattr("udio_async._download.folder_check._write", write)


def test_a_batch_for_a_full_disk_buys_nothing(
    fill: Callable[[], None], bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """Whatever its first row is; what was bought before is told, however full the disk is."""
    file, songs = tmp_path / "ideas.txt", tmp_path / "songs"
    batch = ("batch", file, "--out", songs, *bench.at)
    file.write_text("rain\n")
    assert call_cli(*batch).code == 0
    fill()
    assert call_cli(*batch).code == 0
    for ideas in ("sun\nrain\n", "fog\nsun\nrain\n"):
        file.write_text(ideas)
        refused = call_cli(*batch)
        assert refused.code == 1
        assert f"as {songs} takes no files: No space left on device; make room" in refused.err
    assert len(bench.charged) == 1


def test_resume_for_a_full_disk_buys_nothing(
    fill: Callable[[], None],
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """What was refused before can wait until its song can be saved."""
    file, songs = tmp_path / "ideas.txt", tmp_path / "songs"
    file.write_text("rain\n")
    with run_sandbox(faults=[Fault("refused", times=1)]) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        assert call_cli("batch", file, "--out", songs, *at).code == 1
        fill()
        refused = call_cli("resume", songs, *at)
        assert refused.code == 1
        assert f"as {songs} takes no files" in refused.err
        assert not sandbox.ledger
        assert call_cli("resume", songs, "--only-paid", *at).code == 0


def test_what_is_paid_for_is_fetched_although_nothing_more_is_bought(
    fill: Callable[[], None],
    run_sandbox: Callable[..., AbstractContextManager[Sandbox]],
    call_cli: Callable[..., Ended],
    tmp_path: Path,
) -> None:
    """A song may still fit where the largest one does not; its link does not wait."""
    file, songs = tmp_path / "ideas.txt", tmp_path / "songs"
    file.write_text("rain\nsun\n")
    with run_sandbox(faults=[Fault("refused", match="sun", times=1)]) as sandbox:
        at = ("--base-url", sandbox.base_url, "--speed", SPEED)
        assert call_cli("batch", file, "--out", songs, *at).code == 1
        for song in songs.glob("*.mp3"):
            song.unlink()
        fill()
        ended = call_cli("resume", songs, *at)
        assert ended.code == 1
        assert f"as {songs} takes no files" in ended.err
        assert len(list(songs.glob("*.mp3"))) == 2
        assert len(sandbox.ledger) == 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk with as much room as is written here."""
    usage = SimpleNamespace(free=100 * MB)

    async def at_once(func: Callable[..., object], *args: object) -> object:
        return func(*args)

    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    return usage


async def taken_at_once(space: Space, wanted: int) -> int:
    """How many may be in the making now."""
    taken = 0

    async def take() -> None:
        nonlocal taken
        for _ in range(wanted):
            await space.take()
            taken += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    return taken


async def test_before_any_is_saved_a_size_is_guessed(disk: SimpleNamespace, tmp_path: Path) -> None:
    """One may always be tried: with none in the making there is nothing to wait for."""
    disk.free = 5 * MB
    assert await taken_at_once(Space(tmp_path), 10) == 2
    disk.free = 0
    assert await taken_at_once(Space(tmp_path), 10) == 1


async def test_what_was_saved_tells_how_many_more_fit(
    disk: SimpleNamespace, tmp_path: Path
) -> None:
    disk.free = 20 * MB
    space = Space(tmp_path)
    await space.take()
    disk.free = 15 * MB
    space.leave(5 * MB)
    assert await taken_at_once(space, 10) == 3


@pytest.mark.parametrize("size", [2 * MB, 0], ids=["saved", "failed"])
async def test_one_that_ends_makes_room_for_the_next(
    size: int, disk: SimpleNamespace, tmp_path: Path
) -> None:
    """Whether it was saved, or failed and needs no room; until then the next one waits."""
    disk.free = 3 * MB
    space = Space(tmp_path)
    await space.take()
    taken = anyio.Event()

    async def take() -> None:
        await space.take()
        taken.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            assert not taken.is_set()
            space.leave(size)


async def test_one_that_ends_during_the_look_is_not_missed(
    disk: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would ever wake who waits, where it was the last one."""
    disk.free = 0
    space = Space(tmp_path)
    await space.take()

    async def slowly(func: Callable[..., object], *args: object) -> object:
        space.leave(0)
        return func(*args)

    monkeypatch.setattr(anyio.to_thread, "run_sync", slowly)
    with anyio.fail_after(5):
        await space.take()


async def test_without_a_directory_or_a_disk_that_tells_nobody_waits(tmp_path: Path) -> None:
    assert await taken_at_once(Space(None), 1_000) == 1_000
    space = Space(tmp_path / "not there")
    for _ in range(20):
        await space.take()
