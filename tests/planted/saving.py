"""Bugs of what is on the disk: the journal's file, and the songs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.planted.table import caught_by, replaced
from udio_async._download import delivery, disk, parts
from udio_async._download.disk import Disk
from udio_async._download.transfer import Transfer
from udio_async.journal.sqlite_file import SqliteFile

Bug = AbstractContextManager[object]
RESTS = (
    "tests/download/test_files.py::"
    "test_the_rest_is_asked_for_only_where_the_file_is_proved_the_same"
)


@caught_by("tests/journal/test_sqlite.py::test_it_syncs_every_commit")
def synchronous_is_normal() -> Bug:
    """A commit is not on the disk when it returns: a power cut forgets the intent."""
    pragma = SqliteFile._pragma

    def normal(self: SqliteFile, text: str, *, expect: object = None) -> None:
        lax = text.startswith("synchronous")
        pragma(self, "synchronous = normal" if lax else text, expect=None if lax else expect)

    return replaced(SqliteFile, "_pragma", normal)


@caught_by("tests/journal/test_sqlite.py::test_only_its_owner_can_read_it")
def others_read_the_journal() -> Bug:
    """Whoever has an account on the machine sees what was asked for."""
    connect = SqliteFile._connect

    def readable(self: SqliteFile) -> Any:  # noqa: ANN401
        opened = connect(self)
        self._path.chmod(0o644)
        return opened

    return replaced(SqliteFile, "_connect", readable)


@caught_by("tests/download/test_disk.py::test_a_name_outlives_a_power_cut")
def a_folder_is_not_synced() -> Bug:
    """After a power cut the file may have no name."""
    sync = disk._sync
    return replaced(
        disk, "_sync", lambda path, how: None if how == os.O_RDONLY else sync(path, how)
    )


@caught_by("tests/download/test_disk.py::test_a_name_outlives_a_power_cut")
def a_song_is_not_synced() -> Bug:
    """After a power cut the name may lead to a file of zeros."""
    return replaced(Disk, "sync", lambda *_: None)


@caught_by(RESTS)
def a_rest_is_asked_for_without_proof() -> Bug:
    """No If-Range: half of one file goes on with half of another."""
    resume = Transfer._resume

    def bare(self: Transfer) -> dict[str, str]:
        return {name: value for name, value in resume(self).items() if name != "If-Range"}

    return replaced(Transfer, "_resume", bare)


@caught_by(RESTS)
def a_weak_etag_is_a_proof() -> Bug:
    """A file that is only much like the one before is gone on with."""
    begin = Transfer._begin_file

    def trusting(self: Transfer, headers: Mapping[str, str]) -> None:
        begin(self, headers)
        self._validator = headers.get("etag") or self._validator

    return replaced(Transfer, "_begin_file", trusting)


@caught_by("tests/test_download.py::test_what_is_no_whole_song_leaves_nothing")
def a_part_is_named_unseen() -> Bug:
    """What came gets the name of the song before anybody has looked into it."""
    return replaced(delivery._Delivery, "_judge", lambda _self, sound, _cut: sound)


@contextmanager
def _no_part() -> Iterator[None]:
    with (
        replaced(parts, "part_of", lambda path: path),
        replaced(parts, "remove", lambda _: None),
        replaced(Disk, "publish", lambda *_: None),
    ):
        yield


@caught_by("tests/test_download.py::test_a_cancelled_download_leaves_nothing")
def a_part_has_the_final_name() -> Bug:
    """Half a song is left under the name of a whole one."""
    return _no_part()


@caught_by("tests/test_download.py::test_what_appears_meanwhile_is_left_alone")
def a_file_of_somebody_else_is_overwritten() -> Bug:
    """A rename takes the name from whoever has it."""

    def publish(_: Disk, part: Path, path: Path) -> None:
        part.replace(path)

    return replaced(Disk, "publish", publish)
