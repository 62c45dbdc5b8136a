"""The lease of a journal: one owner at a time, whatever else opens the file."""

# ruff: noqa: ASYNC220, ASYNC240 - other processes, and files of tests

import os
import shutil
import subprocess
import sys
from pathlib import Path

import anyio.lowlevel
import anyio.to_thread
import pytest

from udio_async import JournalError, SqliteJournal
from udio_async.testing import ACCOUNT, make_entry

fcntl = pytest.importorskip("fcntl", reason="on Windows locks belong to handles")
ROOT = Path(__file__).parents[2]
HELD = "in use by another process or client; wait for it to end"
OPEN = """
import anyio, sys
from udio_async import SqliteJournal
from udio_async.testing import ACCOUNT

async def main():
    async with SqliteJournal(sys.argv[1]).open(ACCOUNT):
        print("open")

anyio.run(main)
"""
HOLD = OPEN.replace('print("open")', 'print("open", flush=True), sys.stdin.read()')
FORK = """
import anyio, os, sys
from udio_async import SqliteJournal
from udio_async.testing import ACCOUNT

async def main():
    async with SqliteJournal(sys.argv[1]).open(ACCOUNT):
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            sys.stdin.read()
        os._exit(9)

anyio.run(main)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "songs.db"


def count_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


async def opened_elsewhere(path: Path) -> str:
    """Open a journal in another process; return what that says."""
    done = await anyio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, "-c", OPEN, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    )
    return done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize("threaded", [True, False])
async def test_whoever_opens_and_closes_the_file_leaves_the_lease(
    path: Path, *, threaded: bool
) -> None:
    """A backup, a hash or a web server in the same process: SQLite's own lock is gone with it."""
    async with SqliteJournal(path, threaded=threaded).open(ACCOUNT):
        shutil.copyfile(path, path.with_suffix(".backup"))
        assert HELD in await opened_elsewhere(path)
    assert await opened_elsewhere(path) == "open"


async def test_a_link_leads_to_the_same_lease(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "today.db"
    link.symlink_to(path)
    async with SqliteJournal(link).open(ACCOUNT):
        path.read_bytes()
        assert HELD in await opened_elsewhere(path)
    assert list(folder.iterdir()) == [link]


@pytest.mark.parametrize("threaded", [True, False])
async def test_a_reader_by_another_name_asks_the_owner(path: Path, *, threaded: bool) -> None:
    """The file is known, not its name: it is not opened beside SQLite."""
    journal = SqliteJournal(path, threaded=threaded)
    link = path.with_name("today.db")
    async with journal.open(ACCOUNT):
        os.link(path, link)
        reader = SqliteJournal(link, threaded=threaded)
        assert reader._owner is journal._owner
        assert reader._owner is not None
        await journal.add(make_entry("a"))
        assert await reader.get("a") == make_entry("a")


async def test_nothing_is_left_of_it(path: Path) -> None:
    """No file and no descriptor, also where the journal could not be opened."""
    before = count_descriptors()
    for _ in range(3):
        async with SqliteJournal(path).open(ACCOUNT):
            with pytest.raises(JournalError, match=HELD):
                async with SqliteJournal(path).open(ACCOUNT):
                    pass
    (path.parent / "other.db").write_bytes(b"no journal" * 1000)
    with pytest.raises(JournalError):
        async with SqliteJournal(path.parent / "other.db").open(ACCOUNT):
            pass
    assert count_descriptors() == before
    assert {file.name for file in path.parent.iterdir()} == {"songs.db", "other.db"}


async def test_what_a_dead_process_left_is_nobodys(path: Path) -> None:
    path.with_name("songs.db-lock").touch()
    async with SqliteJournal(path).open(ACCOUNT):
        assert HELD in await opened_elsewhere(path)
    assert [file.name for file in path.parent.iterdir()] == ["songs.db"]


async def test_it_ends_with_its_owner_though_a_fork_lives_on(path: Path) -> None:
    """A fork has the descriptors of its parent, and with them its lock."""
    with subprocess.Popen(
        [sys.executable, "-c", FORK, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(await anyio.to_thread.run_sync(parent.stdout.readline))
        assert parent.wait(timeout=10) == 9
        os.kill(child, 0)  # it lives
        assert await opened_elsewhere(path) == "open"


async def test_a_lease_that_was_removed_meanwhile_is_taken_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last owner removes the file just as the next one opens it: a third would make another."""
    lock = path.with_name("songs.db-lock")
    flock = fcntl.flock
    looked: list[int] = []

    def removed_first(handle: int, how: int) -> None:
        if not looked:
            lock.unlink()
        looked.append(handle)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    async with SqliteJournal(path).open(ACCOUNT):
        assert len(looked) == 2
        path.read_bytes()
        assert HELD in await opened_elsewhere(path)


async def test_another_folder_keeps_its_own(path: Path) -> None:
    """The folder was renamed while the journal was open, and another one has its name now."""
    folder = path.parent / "folder"
    folder.mkdir()
    one = SqliteJournal(folder / "songs.db")
    async with one.open(ACCOUNT):
        folder.rename(path.parent / "elsewhere")
        folder.mkdir()
        other = folder / "songs.db-lock"
        other.touch()
    assert other.exists()


async def test_where_files_have_no_such_locks_sqlites_own_have_to_do(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    async with SqliteJournal(path).open(ACCOUNT):
        assert HELD in await opened_elsewhere(path)
    assert [file.name for file in path.parent.iterdir()] == ["songs.db"]


async def test_a_reader_does_not_wait_for_an_owner_that_does_not_come(path: Path) -> None:
    """One asks while a client opens the file, in vain: another process has it."""
    async with SqliteJournal(path).open(ACCOUNT):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        await anyio.to_thread.run_sync(other.stdout.readline)

        async def open_in_vain() -> None:
            for _ in range(20):
                with pytest.raises(JournalError, match=HELD):
                    async with SqliteJournal(path).open(ACCOUNT):
                        pass

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(open_in_vain)
                for _ in range(20):
                    assert await SqliteJournal(path).count() == {}
        other.kill()


async def test_a_reader_meets_a_client_that_opens_at_this_moment(path: Path) -> None:
    async with SqliteJournal(path).open(ACCOUNT):
        pass
    done = anyio.Event()

    async def read() -> None:
        while not done.is_set():
            try:
                assert await SqliteJournal(path).count() == {}
            except JournalError as error:  # opened and closed again
                assert "ask again" in str(error)  # noqa: PT017  # it may come

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        for _ in range(30):
            await anyio.lowlevel.checkpoint()
            async with SqliteJournal(path).open(ACCOUNT):
                await anyio.lowlevel.checkpoint()
        done.set()


async def test_who_may_write_the_journal_may_take_a_lease_that_was_left(path: Path) -> None:
    """After a crash the file stays: it must not lock out the others of a group, or the owner."""
    async with SqliteJournal(path).open(ACCOUNT):
        path.chmod(0o660)
    async with SqliteJournal(path).open(ACCOUNT):
        lock = path.with_name("songs.db-lock").stat()
    assert lock.st_mode & 0o777 == 0o660
    assert (lock.st_uid, lock.st_gid) == (path.stat().st_uid, path.stat().st_gid)
