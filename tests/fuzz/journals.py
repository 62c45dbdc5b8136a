"""Journals whose rows, tables or bytes were changed: the file may hold anything."""

import random
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path

import anyio
import attrs

from udio_async import JournalEntry, JournalError, JournalState, Song, SqliteJournal, Stage
from udio_async.testing import ACCOUNT, listed, make_entry

from .cases import Broken, Change, Sample, Subject
from .changes import BY_STAGE, BY_TYPE, ODD, bits_flipped, bytes_cut
from .records import iter_flaws

STATES = list(JournalState)
AS_KEPT = ("Entry.request", "Song.raw", "Entry.songs")
"""The user's own words, and the provider's, come back as they were kept; songs are checked one by
one."""
SONGS = (
    Song(id="a", task_id="task", provider="contract", index=0, stage=Stage.COMPLETE, title="Été"),
    Song(id="b", task_id="task", provider="contract", index=1, stage=Stage.TEXT_READY),
)
COLUMNS = {
    "jobs": ("number", "key", "state", "task_id", "entry", "alias"),
    "notes": ("name", "value"),
    "meta": ("name", "value"),
}
VALUES = (
    None, 0, -1, 7, 2**62, 1.5, "", "accepted", "unheard of", "{}", "[]", "null", b"", b"\xff\x00",
    "\x00", "x" * 5000, "1 key-000",
    *(odd for odd in ODD if isinstance(odd, str) and odd.isascii()),
)  # fmt: skip
OTHER_JOBS = (
    "create view jobs as select 1 as number, 'a' as key, 'ready' as state, null as task_id, "
    "'{}' as entry, null as alias"
)
STATEMENTS = (
    "delete from jobs where number = 1", "drop table notes", "drop table jobs", "drop table meta",
    "delete from meta", "drop index jobs_by_task", "drop index jobs_by_alias",
    "alter table jobs rename column entry to entries", "alter table jobs add column more text",
    "pragma user_version = 1", "pragma user_version = 3", "pragma application_id = 1",
    f"drop table jobs; {OTHER_JOBS}",
    "create trigger t before update on jobs begin select raise(abort, 'no'); end",
    "create trigger t after insert on jobs begin delete from jobs; end",
)  # fmt: skip


def _sound() -> bytes:
    """Return a journal with a job in each state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sound.db")
        anyio.run(_write, path)
        with _as_database(path.read_bytes()) as database:
            return database.serialize()


async def _write(path: Path) -> None:
    journal = SqliteJournal(path, threaded=False)
    async with journal.open(ACCOUNT):
        for number, state in enumerate(STATES):
            await journal.add(make_entry(f"key-{number:03}"))
            entry = make_entry(f"key-{number:03}", state, task_id=f"task-{number}", songs=SONGS)
            await journal.put(entry, expected=JournalState.SENDING)
        await journal.note("credits at first", "10.0")


@contextmanager
def _as_database(content: bytes) -> Iterator[sqlite3.Connection]:
    """Open a file's content in memory, out of the mode that needs a log beside it."""
    plain = bytearray(content)
    plain[18:20] = b"\x01\x01"  # the versions of the format: no log
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        database.deserialize(bytes(plain))
        yield database
    finally:
        database.close()


# Changes ---------------------------------------------------------------------------------------


def in_database(change: Callable[[sqlite3.Connection, random.Random], None]) -> Change:
    """Make a change of a file out of one of a database; what is none stays as it is."""

    def changed(sample: Sample, dice: random.Random) -> Sample:
        with suppress(sqlite3.Error, UnicodeDecodeError), _as_database(sample.body) as database:
            change(database, dice)
            return attrs.evolve(sample, body=database.serialize())
        return sample

    changed.__name__ = change.__name__
    return changed


@in_database
def odd_column(database: sqlite3.Connection, dice: random.Random) -> None:
    table = dice.choice(("jobs", "jobs", "notes", "meta"))
    column = dice.choice(COLUMNS[table])
    odd = dice.choice(
        (*VALUES, *(value for value in ODD if isinstance(value, str) and value.isascii()))
    )
    where = "" if dice.random() < 0.2 else f"where rowid = {dice.randint(1, len(STATES))}"
    where = where if table == "jobs" else ""
    database.execute(f"update or replace {table} set {column} = ? {where}", (odd,))


def in_entry(change: Change) -> Change:
    """Make a change of the JSON of a job out of one of an answer."""

    @in_database
    def changed(database: sqlite3.Connection, dice: random.Random) -> None:
        rows = database.execute("select number, entry from jobs").fetchall()
        number, text = dice.choice(rows or [(0, "{}")])
        body = text.encode() if isinstance(text, str) else b"{}"
        body = change(Sample(name="entry", body=body), dice).body
        # Half a character is never written: answers are cleaned before.
        text = body.decode(errors="replace").replace("\\ud800", "?")
        database.execute("update jobs set entry = ? where number = ?", (text, number))

    changed.__name__ = f"{change.__name__} in an entry"
    return changed


@in_database
def other_tables(database: sqlite3.Connection, dice: random.Random) -> None:
    database.executescript(dice.choice(STATEMENTS))


OF_JOURNALS: tuple[Change, ...] = (
    *map(in_entry, BY_TYPE), *map(in_entry, BY_TYPE), *map(in_entry, BY_STAGE[:4]),
    *[odd_column] * 12, *[other_tables] * 4, bits_flipped, bytes_cut,
)  # fmt: skip

# Reading ---------------------------------------------------------------------------------------


async def read_journal(sample: Sample) -> str:
    """Do with it what a client does, and before that what anybody may who only reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.db")
        path.write_bytes(sample.body)  # noqa: ASYNC240  # the journal keeps this loop as well
        journal = SqliteJournal(path, threaded=False)
        outcomes = [await _used(_looked_at, journal), await _used(_opened, journal)]
    return " and ".join(outcomes)


async def _used(
    use: Callable[[SqliteJournal], AsyncGenerator[object]], journal: SqliteJournal
) -> str:
    try:
        async with aclosing(use(journal)) as found:
            async for one in found:
                _check(one)
    except JournalError as error:
        if not str(error) or len(str(error)) > 1000:
            raise Broken(f"an error of {len(str(error))} characters") from error
        return "JournalError"
    return "read"


async def _looked_at(journal: SqliteJournal) -> AsyncGenerator[object]:
    for entry in await listed(journal, STATES):
        yield entry
    for entry in await listed(journal, STATES, newest=3):
        yield entry
    yield await journal.get("key-000")
    yield await journal.of_task("task-1")
    for entry in (await journal.get_many(["key-001", "key-002"])).values():
        yield entry
    for state, number in (await journal.count()).items():
        if state not in STATES or type(number) is not int:
            raise Broken(f"{number!r} jobs are {state!r}")
    yield await journal.noted("credits at first")


async def _opened(journal: SqliteJournal) -> AsyncGenerator[object]:
    with anyio.fail_after(10):
        async with journal.open(ACCOUNT):
            async for one in _looked_at(journal):
                yield one
            yield await journal.add(make_entry("new"))
            changed = make_entry("new", JournalState.ACCEPTED, task_id="task")
            await journal.put(changed, expected=JournalState.SENDING)
            yield await journal.get("new")
            await journal.note("credits at first", "20.0")
            yield await journal.noted("credits at first")


def _check(found: object) -> None:
    if found is None or type(found) is str:
        return
    if not isinstance(found, JournalEntry):
        raise Broken(f"a journal gave {found!r:.200}")
    records: list[attrs.AttrsInstance] = [found, *found.songs]
    flaws = [flaw for record in records for flaw in iter_flaws(record)]
    if flaws := [flaw for flaw in flaws if not flaw.startswith(AS_KEPT)]:
        raise Broken("; ".join(flaws))


def of_journals() -> list[Subject]:
    sample = Sample(name="journal.db", body=_sound())
    return [
        Subject(
            name="journal",
            samples=[sample],
            changes=OF_JOURNALS,
            read=read_journal,
            share=6,
            in_loop=False,  # its own thread reads it
        )
    ]
