"""The SQLite journal: durable, owned by one, honest about damage and full disks, gone when left."""

# ruff: noqa: ANN401, ASYNC240 - SQLite's values, and files of tests

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs
import pytest
import trio

from tests.journal.damage import damage
from udio_async import (
    Client,
    ClientClosed,
    JournalError,
    JournalState,
    Sandbox,
    Song,
    SqliteJournal,
    Stage,
    UdioError,
)
from udio_async.journal import sqlite_disk, sqlite_file
from udio_async.testing import ACCOUNT, listed, make_entry

ROOT = Path(__file__).parents[2]
HELD = "in use by another process or client; wait for it to end"
SENDING, ACCEPTED = JournalState.SENDING, JournalState.ACCEPTED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "songs.db"


@pytest.fixture(params=[True, False], ids=["threaded", "inline"])
def journal(request: pytest.FixtureRequest, path: Path) -> SqliteJournal:
    return SqliteJournal(path, threaded=request.param)


async def ask(journal: SqliteJournal, statement: str) -> Any:
    """Ask the journal's own connection something."""
    return await journal._read(lambda store: store._db.execute(statement).fetchone()[0])


async def cannot_open(journal: SqliteJournal, match: str, account: str = ACCOUNT) -> None:
    with pytest.raises(JournalError, match=match):
        async with journal.open(account):
            pass


# How it is opened ----------------------------------------------------------------------------


async def test_it_syncs_every_commit(journal: SqliteJournal) -> None:
    async with journal.open(ACCOUNT):
        assert await ask(journal, "pragma journal_mode") == "wal"
        assert await ask(journal, "pragma synchronous") == 2
        assert await ask(journal, "pragma locking_mode") == "exclusive"


class _Lying(sqlite3.Connection):
    """Ignores one pragma and tells what it goes on with, as SQLite does where a switch fails."""

    ignored, instead = "", ""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith(f"pragma {self.ignored}"):
            return super().execute(f"select {self.instead}")
        return super().execute(sql, *values)


@pytest.mark.parametrize(
    ("ignored", "instead"),
    [
        ("journal_mode", "'delete'"),
        ("journal_mode", "'memory'"),
        ("synchronous", "1"),
        ("synchronous", "0"),
        ("locking_mode", "'normal'"),
    ],
)
async def test_a_switch_that_fails_is_noticed(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch, ignored: str, instead: str
) -> None:
    def connect(store: sqlite_file.SqliteFile) -> sqlite3.Connection:
        return sqlite3.connect(store._path, isolation_level=None, factory=_Lying)

    monkeypatch.setattr(_Lying, "ignored", ignored)
    monkeypatch.setattr(_Lying, "instead", instead)
    with monkeypatch.context() as lying:
        lying.setattr(sqlite_file.SqliteFile, "_connect", connect)
        await cannot_open(journal, f"pragma {ignored}")
    async with journal.open(ACCOUNT):
        pass


async def test_only_its_owner_can_read_it(journal: SqliteJournal, path: Path) -> None:
    before = os.umask(0)
    try:
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"songs.db": 0o600, "songs.db-wal": 0o600, "songs.db-lock": 0o600}


async def test_a_path_that_is_no_file_is_a_journal_error(tmp_path: Path) -> None:
    await cannot_open(SqliteJournal(tmp_path), "cannot be opened: it is a folder")
    lost = tmp_path / "no" / "such" / "folder.db"
    await cannot_open(SqliteJournal(lost), f"there is no folder {lost.parent}; make it first")
    (tmp_path / "file").touch()
    await cannot_open(SqliteJournal(tmp_path / "file" / "in.db"), "cannot be opened: Not a dir")


async def test_a_newer_version_is_refused(journal: SqliteJournal, path: Path) -> None:
    async with journal.open(ACCOUNT):
        pass
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 3")
    db.close()
    await cannot_open(journal, "has version 3, this library knows 2; update it")


async def test_other_files_are_refused_and_left_alone(journal: SqliteJournal, path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("create table songs (title)")
    db.commit()
    db.close()
    await cannot_open(journal, "is no journal of this library; give another path")
    db = sqlite3.connect(path)
    assert db.execute("select name from sqlite_master").fetchall() == [("songs",)]
    db.close()
    path.write_text("a shopping list, " * 500)
    await cannot_open(journal, "not a database")
    assert path.read_text().startswith("a shopping list")


async def test_another_account_is_told_what_to_do(journal: SqliteJournal) -> None:
    async with journal.open(ACCOUNT):
        pass
    await cannot_open(journal, "made with another API key; use that one", "other")


@pytest.mark.parametrize(
    "harm",
    [
        "delete from meta",
        "update meta set value = 'text'",
        "drop table notes",
        "drop table jobs",
        "update jobs set entry = 5",
        "update jobs set entry = '[]'",
        "update jobs set entry = x'ff'",
        "update jobs set entry = null",
        "update jobs set entry = replace(entry, 'sending', 'no such state')",
        "update jobs set entry = '" + "[" * 100_000 + "'",
    ],
    ids=lambda harm: harm[:60],
)
async def test_a_file_with_other_contents_raises_nothing_but_journal_errors(
    journal: SqliteJournal, path: Path, harm: str
) -> None:
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("a"))
    db = sqlite3.connect(path)
    with suppress(sqlite3.IntegrityError):
        db.execute(harm)
        db.commit()
    db.close()
    with anyio.fail_after(10), suppress(JournalError):
        async with journal.open(ACCOUNT):
            await journal.noted("name")
            await listed(journal, list(JournalState))
    assert left_open(path) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_damaged_file_raises_nothing_but_journal_errors(tmp_path: Path) -> None:
    """The long form: `python -m tests.journal.damage --cases 2000`."""
    report = await damage(tmp_path, cases=300, seed=1)
    assert report.violations == []
    assert report.refused > 50, f"most damage is noticed: {report}"


@pytest.mark.parametrize(
    ("date", "read"),
    [
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("2025-05-01T12:00:00", datetime(2025, 5, 1, 12, tzinfo=UTC)),
    ],
)
async def test_a_date_that_is_in_no_other_zone_costs_no_song(
    journal: SqliteJournal, path: Path, date: str, read: datetime | None
) -> None:
    made = datetime(2025, 1, 1, tzinfo=UTC)
    song = Song(
        id="one",
        task_id="task",
        provider="contract",
        index=0,
        stage=Stage.COMPLETE,
        created_at=made,
    )
    entry = make_entry("a", JournalState.READY, task_id="task", songs=(song,))
    async with journal.open(ACCOUNT):
        await journal.add(entry)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update jobs set entry = replace(entry, ?, ?)", (made.isoformat(), date))
    [found] = await listed(journal, [JournalState.READY])
    assert found == attrs.evolve(entry, songs=(attrs.evolve(song, created_at=read),))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_large_file_is_read_through_only_where_a_process_has_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take seconds. What is damaged is found when it is read, then."""
    monkeypatch.setattr(sqlite_disk, "CHECKED", 0)
    report = await damage(tmp_path, cases=100, seed=2)
    assert report.violations == []
    assert report.broke_later > 5, f"some damage is noticed later: {report}"
    assert report.refused > 10, f"left by a dead process, it is refused: {report}"


async def test_a_reader_of_a_damaged_file_hears_of_it_too(
    path: Path, journal: SqliteJournal
) -> None:
    """Without a client the same errors come: what is written in a row may be anything."""
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("a"))
        await journal.note("name", "value")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update jobs set state = 'unheard of', entry = '{\"key\": 1}'")
        database.execute("update notes set value = x'ff'")
    for read in (
        journal.get("a"),
        journal.get_many(["a"]),
        journal.count(),
        journal.noted("name"),
        listed(journal, ["unheard of"]),  # type: ignore[list-item]  # as the row says
    ):
        with pytest.raises(JournalError, match="cannot be trusted"):
            await read


# Who owns it ---------------------------------------------------------------------------------

_HOLD = """
import anyio, sys
from udio_async import SqliteJournal
from udio_async.testing import ACCOUNT, make_entry

async def main():
    journal = SqliteJournal(sys.argv[1])
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("a"))
        print("open", flush=True)
        sys.stdin.read()

anyio.run(main)
"""


@contextmanager
def script(text: str, *words: object) -> Generator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", text, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_process_waits_until_the_first_is_gone(path: Path) -> None:
    """The lease of a killed process ends with it, and what it was sending is in doubt."""
    journal = SqliteJournal(path)
    with script(_HOLD, path) as process:
        assert first_line(process) == "open\n"
        await cannot_open(journal, HELD)
        process.kill()
        process.communicate()
    async with journal.open(ACCOUNT):
        entry = await journal.get("a")
        assert entry is not None
        assert entry.state is JournalState.IN_DOUBT
        assert "died" in entry.evidence


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_second_client_in_one_process_does_not_break_the_lease(
    journal: SqliteJournal, path: Path
) -> None:
    """Locks of files end with the first handle that is closed, so none is opened for nothing."""
    async with journal.open(ACCOUNT):
        await cannot_open(SqliteJournal(path), HELD)
        with script(_HOLD, path) as process:
            _, complaint = process.communicate()
        assert HELD in complaint


# Reading without a client --------------------------------------------------------------------


async def read_all(journal: SqliteJournal) -> tuple[Any, ...]:
    """What every call that reads says."""
    entry = await journal.get("a")
    assert entry is not None
    return (
        entry.state,
        await journal.of_task("none"),
        [each.key for each in await listed(journal, list(JournalState))],
        dict(await journal.count()),
        await journal.noted("fact"),
    )


async def test_anybody_reads_a_journal_that_nobody_has_open(
    journal: SqliteJournal, path: Path
) -> None:
    """After its client, by one that was never opened, in a folder where nobody may write."""
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("a"))
        await journal.note("fact", "b")
        inside = await read_all(journal)
    before = path.read_bytes()
    assert await read_all(journal) == await read_all(SqliteJournal(path)) == inside
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_nobody_writes_without_a_client(journal: SqliteJournal, path: Path) -> None:
    """The error says what to do; a journal that is not there is not made."""
    entry = make_entry("a")
    with pytest.raises(ClientClosed, match="open a client"):
        await journal.add(entry)
    with pytest.raises(ClientClosed, match="open a client"):
        await journal.put(entry, expected=SENDING)
    with pytest.raises(ClientClosed, match="open a client"):
        await journal.note("fact", "b")
    with pytest.raises(JournalError, match="no journal at"):
        await journal.get("a")
    assert not path.exists()


async def test_another_object_reads_what_a_client_here_has_open(path: Path) -> None:
    """Through its owner, so that the lease holds; from another event loop as well."""
    async with SqliteJournal(path).open(ACCOUNT):
        reader = SqliteJournal(path)
        with pytest.raises(ClientClosed):
            await reader.note("fact", "b")
        assert await reader.get("a") is None
        found = await anyio.to_thread.run_sync(lambda: anyio.run(reader.count))
        assert dict(found) == {}
        with script(_HOLD, path) as process:
            _, complaint = process.communicate()
        assert HELD in complaint


def test_trio_inside_a_callback_of_asyncio_gets_its_answers(path: Path) -> None:
    """A cell of a notebook is such a callback; asyncio's own loop stands still meanwhile."""

    async def on_trio() -> None:
        async with SqliteJournal(path).open(ACCOUNT):
            await SqliteJournal(path).count()

    async def on_asyncio() -> None:
        trio.run(on_trio)

    asyncio.run(on_asyncio())


async def test_a_reader_whose_event_loop_has_ended_disturbs_nobody(path: Path) -> None:
    """Its answer is for nobody, and those that come after it are for their own."""
    async with SqliteJournal(path).open(ACCOUNT):
        reader = SqliteJournal(path)
        await anyio.to_thread.run_sync(lambda: anyio.run(ask_and_leave, reader))
        assert await reader.get("a") is None


async def ask_and_leave(reader: SqliteJournal) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(reader.count)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


async def test_a_job_that_was_looked_for_in_vain_is_known_once_it_is_added(
    journal: SqliteJournal,
) -> None:
    """Whether it is added afterwards, or at the same time."""
    async with journal.open(ACCOUNT):
        assert await journal.get_many(["later"]) == {}
        assert await journal.get("later") is None
        await journal.add(make_entry("later"))
        assert await journal.get("later") is not None
        for place in range(20):
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(journal.get_many, [f"{place}"])
                tasks.start_soon(journal.add, make_entry(f"{place}"))
                tasks.start_soon(journal.get_many, [f"{place}"])
            assert await journal.get(f"{place}") is not None


async def test_a_job_that_was_looked_for_in_vain_is_asked_for_in_each_file(
    journal: SqliteJournal, path: Path
) -> None:
    """The same object, opened again: another program has added the job meanwhile."""
    async with journal.open(ACCOUNT):
        assert await journal.get_many(["a"]) == {}
    other = SqliteJournal(path)
    async with other.open(ACCOUNT):
        await other.add(make_entry("a"))
        assert await journal.get("a") is not None
    async with journal.open(ACCOUNT):
        assert await journal.get("a") is not None


async def test_a_key_that_is_another_jobs_alias_is_known(
    journal: SqliteJournal, path: Path
) -> None:
    """It is not added a second time: both names are of one job."""
    async with journal.open(ACCOUNT):
        assert await journal.add(make_entry("old")) is None
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("update jobs set alias = 'new'")
    async with journal.open(ACCOUNT):
        known = await journal.add(make_entry("new"))
        assert known is not None
        assert known.key == "old"
        assert dict(await journal.count()) == {known.state: 1}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_journal_is_read_while_another_process_writes_it(path: Path) -> None:
    """What it has committed is there, also out of the log; the writer is not disturbed."""
    with script(_HOLD, path) as process:
        assert first_line(process) == "open\n"
        entry = await SqliteJournal(path).get("a")
        assert entry is not None
        assert entry.state is SENDING
        await cannot_open(SqliteJournal(path), HELD)


_WRITE = """
import anyio, sys
from udio_async.journal import SqliteJournal
from udio_async.testing import ACCOUNT, make_entry
async def main():
    journal = SqliteJournal(sys.argv[1])
    async with journal.open(ACCOUNT):
        print("open", flush=True)
        for number in range(100_000):
            await journal.add(make_entry(str(number)))
anyio.run(main)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_copy_of_a_busy_journal_is_whole(path: Path) -> None:
    """Whatever is written and moved from the log to the file meanwhile: no gap, and never less."""
    with script(_WRITE, path) as process:
        assert first_line(process) == "open\n"
        seen = 0
        while seen < 2_000:
            keys = [entry.key for entry in await listed(SqliteJournal(path), [SENDING])]
            assert keys == [str(number) for number in range(len(keys))]
            assert len(keys) >= seen
            seen = len(keys)
        process.kill()


# What it costs -------------------------------------------------------------------------------


async def test_what_waits_together_is_committed_together(path: Path) -> None:
    journal, statements = SqliteJournal(path), list[str]()

    async def change(key: str) -> None:
        await journal.add(make_entry(key))
        await journal.put(make_entry(key, ACCEPTED), expected=SENDING)

    async with journal.open(ACCOUNT):
        await journal._read(lambda store: store._db.set_trace_callback(statements.append))
        async with anyio.create_task_group() as tasks:
            for number in range(500):
                tasks.start_soon(change, str(number))
        assert len(await listed(journal, [ACCEPTED])) == 500
    commits = sum(statement.lower() == "commit" for statement in statements)
    assert commits < 100, "1,000 changes"


async def test_the_loop_and_its_threads_are_free_while_the_disk_is_slow(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, commit = threading.Event(), sqlite_file.SqliteFile.commit

    def slow(store: sqlite_file.SqliteFile, orders: Sequence[Any]) -> None:
        assert gate.wait(10)
        commit(store, orders)

    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        monkeypatch.setattr(sqlite_file.SqliteFile, "commit", slow)
        limiter = anyio.to_thread.current_default_thread_limiter()
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(journal.add, make_entry(str(number)))
            for _ in range(1_000):  # a thousand turns of the loop while the thread stands still
                await anyio.lowlevel.checkpoint()
            assert limiter.borrowed_tokens == 0
            gate.set()
        assert len(await listed(journal, [SENDING])) == 100


async def test_the_default_threads_may_all_be_busy(path: Path) -> None:
    busy, release = threading.Event(), threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1

    def hog() -> None:
        busy.set()
        release.wait(10)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, hog)
            while not busy.is_set():
                await anyio.lowlevel.checkpoint()
            journal = SqliteJournal(path)
            async with journal.open(ACCOUNT):
                await journal.add(make_entry("a"))
            assert limiter.borrowed_tokens == 1  # still: the journal did not wait for that thread
            release.set()
    finally:
        limiter.total_tokens = before


# When the disk fails -------------------------------------------------------------------------


async def fails_for_good(journal: SqliteJournal) -> None:
    """Every later change raises. What was kept can be read: only that tells what was not sent."""
    with pytest.raises(JournalError):
        await journal.add(make_entry("later"))
    with pytest.raises(JournalError):
        await journal.put(make_entry("0", ACCEPTED), expected=SENDING)
    with pytest.raises(JournalError):
        await journal.note("name", "value")
    assert await journal.get("0") is not None
    assert await journal.get("later") is None


async def test_a_full_disk_breaks_it_for_good(journal: SqliteJournal) -> None:
    """What was kept before is kept, what was refused is not, and the file is sound."""
    kept = 0
    async with journal.open(ACCOUNT):
        await ask(journal, "pragma max_page_count = 20")
        with pytest.raises(JournalError, match="cannot be written: the disk is full; make room"):  # noqa: PT012  # until it does
            for kept in range(1_000):
                await journal.add(make_entry(str(kept)))
        await fails_for_good(journal)
    assert kept > 10
    async with journal.open(ACCOUNT):
        entries = await listed(journal, list(JournalState))
    assert [entry.key for entry in entries] == [str(number) for number in range(kept)]


_LIMITED = """
import anyio, resource, sys
from udio_async import JournalError, SqliteJournal
from udio_async.testing import ACCOUNT, make_entry

async def main():
    journal = SqliteJournal(sys.argv[1])
    async with journal.open(ACCOUNT):
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        kept = 0
        try:
            while True:
                await journal.add(make_entry(str(kept)))
                kept += 1
        except JournalError as error:
            print(kept, error)
        for _ in range(2):
            try:
                await journal.add(make_entry("later"))
            except JournalError:
                print("still broken")

anyio.run(main)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_limit_of_the_file_size_breaks_it_for_good(path: Path) -> None:
    with script(_LIMITED, path) as process:
        words, complaints = process.communicate()
    assert process.returncode == 0, complaints
    first, *others = words.splitlines()
    assert "reports an error of the disk or a limit of its size" in first
    assert others == ["still broken"] * 2
    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        entries = await listed(journal, list(JournalState))
    assert len(entries) == int(first.split()[0]) > 10


async def all_ids(path: Path) -> set[str | None]:
    db = sqlite3.connect(path)
    ids = {task_id for (task_id,) in db.execute("select task_id from jobs")}
    db.close()
    return ids


def disk_fails_at(
    monkeypatch: pytest.MonkeyPatch, name: str, state: JournalState | None = None
) -> None:
    """Let a change fail as the disk would."""
    original = getattr(sqlite_file.SqliteFile, name)

    def change(store: sqlite_file.SqliteFile, first: Any, *more: Any) -> Any:
        if state is None or first.state is state:
            raise sqlite3.OperationalError("disk I/O error")
        return original(store, first, *more)

    monkeypatch.setattr(sqlite_file.SqliteFile, name, change)


async def test_an_id_that_cannot_be_kept_is_in_the_error(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is paid for; and nothing more is submitted."""
    disk_fails_at(monkeypatch, "put", ACCEPTED)
    errors: list[UdioError] = []
    async with Sandbox(speed=600) as sandbox:
        client = Client(sandbox.udioapi_v2(), journal=journal)
        async with client, client.generate_many(f"song {n}" for n in range(20)) as batch:
            errors += [outcome.error async for outcome in batch if outcome.error]
        charged = {charge.task_id for charge in sandbox.ledger}
    assert len(errors) == 20
    assert {type(error) for error in errors} == {JournalError}
    assert {error.task_id for error in errors} - {None} == charged
    assert 0 < len(charged) <= 4
    for error in errors:
        assert error.job_key
        if error.task_id:
            assert error.charged == "yes"
            assert error.task_id in str(error)


async def test_an_intent_that_cannot_be_kept_is_not_sent(
    journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk_fails_at(monkeypatch, "add")
    async with Sandbox() as sandbox:
        async with Client(sandbox.udioapi_v2(), journal=journal) as client:
            for _ in range(2):
                with pytest.raises(JournalError, match="disk I/O error") as caught:
                    await client.submit("a song")
                assert caught.value.charged == "no"
        assert sandbox.ledger == ()


async def test_credits_that_cannot_be_noted_cost_no_id(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is made beside the first submits, and must not tear them down."""
    disk_fails_at(monkeypatch, "note")
    async with Sandbox(credits=1e9) as sandbox:
        async with Client(sandbox.udioapi_v2(), journal=path) as client:
            with pytest.raises(JournalError) as caught:  # noqa: PT012  # until it does
                for number in range(1_000):
                    await client.submit(f"song {number}")
        ids = {charge.task_id for charge in sandbox.ledger}
    assert caught.value.task_id is None or caught.value.task_id in ids
    remembered = await all_ids(path)
    assert ids <= remembered | {caught.value.task_id}


# What is in it, and what is left of it -------------------------------------------------------


async def test_the_key_is_nowhere_in_it(path: Path, tmp_path: Path) -> None:
    key = "canary-key-5f3a9c"
    async with Sandbox(speed=600, api_key=key) as sandbox:
        async with Client(sandbox.udioapi_v2(), journal=path) as client:
            await client.generate("a song")
            assert key not in repr([entry async for entry in client.jobs()])
            for name in ("songs.db", "songs.db-wal"):
                shutil.copy(tmp_path / name, tmp_path / f"{name}.copy")
        assert sandbox.ledger[0].key_ok, "the canary was sent to the provider"
    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert len(files) == 3
    assert not [file.name for file in files if key.encode() in file.read_bytes()]


def handles() -> list[str]:
    """Return the open files of this process."""
    found = []
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found.append(str(handle.readlink()))
    return found


def left_open(path: Path) -> list[str]:
    threads = [thread.name for thread in threading.enumerate() if "journal" in thread.name]
    files = [file for file in handles() if str(path) in file] if sys.platform == "linux" else []
    return threads + files


async def test_nothing_is_left_open(journal: SqliteJournal, path: Path) -> None:
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("a"))
        assert left_open(path) or sys.platform != "linux"
    assert left_open(path) == []
    await cannot_open(journal, "another API key", "other")
    assert left_open(path) == []
    with pytest.raises(ZeroDivisionError):
        async with journal.open(ACCOUNT):
            raise ZeroDivisionError
    assert left_open(path) == []
    with anyio.move_on_after(0):
        async with journal.open(ACCOUNT):
            await anyio.sleep(10)
    assert left_open(path) == []
    assert [file.name for file in path.parent.iterdir()] == ["songs.db"], "the log is gone too"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_native_cancellation_while_it_opens_leaves_nothing_behind(path: Path) -> None:
    journal = SqliteJournal(path)

    async def hold() -> None:
        async with journal.open(ACCOUNT):
            await anyio.sleep(10)

    for turns in range(8):
        task = asyncio.create_task(hold())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with anyio.fail_after(5):
            while left_open(path):  # noqa: ASYNC110  # a thread has no asyncio.Event
                await asyncio.sleep(0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_change_of_a_natively_cancelled_waiter_is_kept(path: Path) -> None:
    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        task = asyncio.create_task(journal.add(make_entry("a")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await journal.get("a") == make_entry("a")
