"""A journal's file or log is moved, replaced, removed or cut short: nothing more is paid for."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import Client, JournalError, JournalState, Song
from udio_async.journal import SqliteJournal
from udio_async.testing import ACCOUNT, listed, make_entry

SENDING = JournalState.SENDING
LOST = "was moved, replaced, removed or cut short while it was open"


def removed(path: Path) -> None:
    path.unlink()


def renamed(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))


def replaced(path: Path) -> None:
    """As a tool does that brings an older copy back."""
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    path.rename(path.with_suffix(".moved"))
    copy.rename(path)


def folder_renamed(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def folder_is_a_file(path: Path) -> None:
    folder_renamed(path)
    path.parent.touch()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def log_removed(path: Path) -> None:
    removed(log_of(path))


def log_renamed(path: Path) -> None:
    renamed(log_of(path))


def log_replaced(path: Path) -> None:
    replaced(log_of(path))


def log_cut_short(path: Path) -> None:
    cut_short(log_of(path))


def log_emptied(path: Path) -> None:
    os.truncate(log_of(path), 0)


def size_of(path: Path) -> int:
    return path.stat().st_size


LOG_WAYS = [log_removed, log_renamed, log_replaced, log_cut_short, log_emptied]
WAYS = [removed, renamed, replaced, cut_short, folder_renamed, folder_is_a_file, *LOG_WAYS]
Way = Callable[[Path], None]


@pytest.fixture(params=WAYS)
def lose(request: pytest.FixtureRequest) -> Way:
    way: Way = request.param
    return way


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "songs.db"


@pytest.mark.parametrize("threaded", [True, False])
async def test_nothing_more_is_kept_in_it(path: Path, lose: Way, *, threaded: bool) -> None:
    """The error names the file and what to do; so does every one after it."""
    told = f"{path} {LOST}.*put it back"
    if lose in LOG_WAYS:
        told = f"{path} has lost its log: {log_of(path).name} {LOST}.*run again"
    journal = SqliteJournal(path, threaded=threaded)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        lose(path)
        for key in ("second", "third"):
            with pytest.raises(JournalError, match=told):
                await journal.add(make_entry(key))


@pytest.mark.parametrize("lose", [log_removed, log_renamed, log_replaced])
async def test_what_was_kept_in_a_log_that_is_gone_is_in_the_file(
    path: Path, tmp_path: Path, lose: Way
) -> None:
    """Also for a run after a `kill -9`, and where an older log was brought back."""
    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        older = log_of(path).with_suffix(".older")
        shutil.copy(log_of(path), older)
        await journal.add(make_entry("second"))
        lose(path)
        if lose is log_replaced:
            older.rename(log_of(path))
        with pytest.raises(JournalError, match=LOST):
            await journal.add(make_entry("third"))
        as_left = tmp_path / "as a dead process leaves it"
        shutil.copytree(path.parent, as_left)
    for folder in (as_left, path.parent):
        left = SqliteJournal(folder / path.name)
        assert await listed(left, [SENDING]) == [make_entry("first"), make_entry("second")]


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_long_run_is_not_taken_for_a_loss(path: Path, *, threaded: bool) -> None:
    """SQLite begins its log anew again and again; others read the files; it is opened again."""
    journal = SqliteJournal(path, threaded=threaded)
    longest = 0
    for run in range(3):
        async with journal.open(ACCOUNT):
            for number in range(150):
                entry = make_entry(f"{run}-{number}")
                request = {"description": "word " * 20_000}
                await journal.add(attrs.evolve(entry, request=request))
                longest = max(longest, size_of(log_of(path)))
                if number % 50 == 0:
                    for file in (path, log_of(path)):
                        shutil.copyfile(file, path.with_name("backup"))
                    assert await SqliteJournal(path).get(entry.key) is not None
        assert not log_of(path).exists()
    assert sum((await journal.count()).values()) == 450
    assert longest < size_of(path) / 2, "the log was begun anew"


@pytest.mark.parametrize("threaded", [True, False])
async def test_what_was_kept_before_is_in_the_file_that_was_moved(
    path: Path, *, threaded: bool
) -> None:
    """SQLite's log stays behind, where the next journal of that name would delete it."""
    journal = SqliteJournal(path, threaded=threaded)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        renamed(path)
        with pytest.raises(JournalError, match=LOST):
            await journal.add(make_entry("second"))
        moved = SqliteJournal(path.with_suffix(".moved"), threaded=threaded)
        assert await listed(moved, [SENDING]) == [make_entry("first")]


async def test_put_back_it_goes_on(path: Path) -> None:
    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        renamed(path)
        with pytest.raises(JournalError, match=LOST):
            await journal.add(make_entry("second"))
    path.with_suffix(".moved").rename(path)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("second"))
        assert sum((await journal.count()).values()) == 2


async def test_reading_it_goes_on_until_something_is_to_be_kept(path: Path) -> None:
    """A look at the file's place is made for each commit that changes something, and no other."""
    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        removed(path)
        assert await journal.get("first") == make_entry("first")


async def test_a_link_to_it_counts_as_its_place(path: Path, tmp_path: Path) -> None:
    """Led elsewhere, the next run would find another file."""
    link = tmp_path / "link.db"
    link.symlink_to(path)
    journal = SqliteJournal(link)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        other = tmp_path / "other.db"
        other.touch()
        link.unlink()
        link.symlink_to(other)
        with pytest.raises(JournalError, match=LOST):
            await journal.add(make_entry("second"))


async def test_a_program_may_change_its_directory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is that of the moment at which it was opened."""
    monkeypatch.chdir(path.parent)
    journal = SqliteJournal(path.name)
    async with journal.open(ACCOUNT):
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir(tmp_path)
            await journal.add(make_entry("first"))
    assert await listed(SqliteJournal(path), [SENDING]) == [make_entry("first")]


class TestClient:
    """On a virtual clock."""

    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
        return virtual_backend(str(request.param))

    async def test_nothing_more_is_sent_and_no_paid_song_is_lost(
        self, path: Path, lose: Way
    ) -> None:
        """What was accepted is waited for; an id that comes later is in the error."""
        provider = TimedProvider(lambda _: 60.0, submit_time=10.0)
        songs: list[Song] = []
        errors: list[JournalError] = []

        async def wait() -> None:
            songs.extend(await job.songs())

        async def generate() -> None:
            with pytest.raises(JournalError) as caught:
                await client.generate("a song on the wire")
            errors.append(caught.value)

        journal = SqliteJournal(path, threaded=False)
        async with Client(provider, journal=journal) as client:
            job = await client.submit("an accepted song")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                tasks.start_soon(generate)
                await anyio.sleep(5)
                lose(path)
            with pytest.raises(JournalError, match=LOST):
                await client.generate("a song afterwards")
        assert len(provider.sent) == 2
        assert [song.task_id for song in songs] == [job.task_id]
        (error,) = errors
        assert error.charged == "yes"
        assert {error.task_id, job.task_id} == set(provider.completes_at)
