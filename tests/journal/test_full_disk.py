"""A disk that is full, from any page on: no id is lost, and nothing is bought blindly."""

# ruff: noqa: ASYNC240 - files of tests

import random
import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import (
    CallbackAddress,
    Client,
    JournalEntry,
    JournalError,
    JournalState,
    SongRequest,
    SqliteJournal,
    SubmitInDoubt,
    UdioError,
)
from udio_async._http import Http
from udio_async.journal.sqlite_file import SqliteFile

CONCURRENCY = 4
SONGS = 20
WORDS = [f"a song about {number}, and then some more words" for number in range(SONGS)]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(6)  # of the looks


@attrs.define(eq=False)
class Ledger(TimedProvider):
    """Remembers what was charged for."""

    charged: Counter[str] = attrs.field(factory=Counter)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        task_id = await super().submit(http, request, callback)
        self.charged[str(request.description)] += 1
        return task_id


class Disk:
    """Has room for so many pages of a journal."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.pages = 1_000_000
        original = SqliteFile._connect

        def connect(store: SqliteFile) -> sqlite3.Connection:
            database = original(store)
            database.execute(f"pragma max_page_count = {self.pages}")
            return database

        patch.setattr(SqliteFile, "_connect", connect)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


async def run(provider: TimedProvider, path: Path) -> dict[str, UdioError]:
    """Run the batch; return the errors of its requests, or for each that of opening the journal."""
    client = Client(
        provider,
        journal=SqliteJournal(path, threaded=False),
        submit_concurrency=CONCURRENCY,
    )
    try:
        async with client, client.generate_many(WORDS) as batch:
            outcomes = [outcome async for outcome in batch]
    except JournalError as error:
        return dict.fromkeys(WORDS, error)
    return {str(each.request.description): each.error for each in outcomes if each.error}


async def ids_in(path: Path) -> set[str]:
    """Read the ids that a journal has."""
    if not path.exists() or not path.stat().st_size:
        return set()
    journal = SqliteJournal(path, threaded=False)
    return {entry.task_id async for entry in journal.entries(list(JournalState)) if entry.task_id}


async def test_however_full_the_disk_is_no_id_is_lost(tmp_path: Path, disk: Disk) -> None:
    """Each id that was charged is in the journal or in an error.

    With room the batch goes on, and pays for nothing again; what an error has told is a doubt
    there. For each number of pages, from none to enough.
    """
    broke, ids_told = 0, 0
    for pages in range(1, 40):
        path = tmp_path / f"{pages}.db"
        provider = Ledger(lambda _: 60.0, submit_time=1.0)
        disk.pages = pages
        errors = await run(provider, path)
        disk.pages = 1_000_000
        charged, kept = set(provider.completes_at), await ids_in(path)
        told = {error.task_id for error in errors.values() if error.task_id}
        ids_told += len(told)
        assert charged == told | kept
        assert len(charged - kept) <= CONCURRENCY
        if not errors:
            break
        broke += 1
        assert all(isinstance(error, JournalError) for error in errors.values())
        assert all(error.charged == "yes" for error in errors.values() if error.task_id)
        assert all(
            errors[words].charged == "no" for words in WORDS if words not in provider.charged
        )
        doubts = await run(provider, path)
        assert len(doubts) <= CONCURRENCY
        assert all(isinstance(error, SubmitInDoubt) for error in doubts.values())
        assert provider.charged.most_common(1)[0][1] == 1
    else:
        raise AssertionError("40 pages are too few")
    assert broke > 8
    assert ids_told  # so the lines about them have checked something


async def test_a_job_whose_id_could_not_be_kept_is_in_doubt_for_who_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not being submitted any more, so nobody is told to wait for it."""
    put = SqliteFile.put

    def refuse(store: SqliteFile, entry: JournalEntry, expected: JournalState) -> None:
        if entry.state is JournalState.ACCEPTED:
            raise sqlite3.OperationalError("disk I/O error")
        put(store, entry, expected)

    monkeypatch.setattr(SqliteFile, "put", refuse)
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
    request = SongRequest(description="rain", key="mine")
    async with Client(Ledger(lambda _: 60.0), journal=journal) as client:
        with pytest.raises(JournalError) as first:
            await client.submit(request)
        with pytest.raises(JournalError, match="could not be kept") as again:
            await client.submit(request)
        with pytest.raises(JournalError, match="could not be kept"):
            await client.resolve("mine", abandon=True)
        with pytest.raises(JournalError, match="could not be kept"):
            await client.forget("mine")
    assert (first.value.charged, again.value.charged) == ("yes", "unknown")
