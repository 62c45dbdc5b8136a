"""Every journal of ours keeps the contract, over threads and over virtual clocks."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clocks import virtual_backend
from udio_async import Journal, MemoryJournal, SqliteJournal
from udio_async.testing import JournalContract

Reopen = Callable[[], Journal]


class TestMemory(JournalContract):
    @pytest.fixture
    def reopen(self) -> Reopen:
        return MemoryJournal


class TestOneMemory(JournalContract):
    """The same object opened again is empty as well."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        journal = MemoryJournal()
        return lambda: journal


class TestSqlite(JournalContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: SqliteJournal(tmp_path / "songs.db")


class TestSqliteWithoutThread(JournalContract):
    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        return lambda: SqliteJournal(tmp_path / "songs.db", threaded=False)


class TestSqliteOnVirtualClocks(TestSqliteWithoutThread):
    @pytest.fixture(params=["asyncio", "trio"])
    def anyio_backend(self, request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
        return virtual_backend(str(request.param))


class TestOneSqlite(JournalContract):
    """One object, opened again and again."""

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Reopen:
        journal = SqliteJournal(tmp_path / "songs.db")
        return lambda: journal
