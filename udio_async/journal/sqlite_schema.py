"""The tables of a journal's file, and how those of earlier versions are brought up to date."""

import secrets
import sqlite3
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path

from .._errors import JournalError
from .keys import is_of_batch, request_digest, spelled
from .sqlite_rows import as_entry

_APPLICATION = 0x7564696F  # "udio"
_VERSION = 2
_SCHEMA = """
create table meta (name text primary key, value blob not null) without rowid;
create table notes (name text primary key, value text not null) without rowid;
create table jobs (
    number integer primary key,
    key text not null unique,
    state text not null,
    task_id text,
    entry text not null,
    alias text
);
create index jobs_by_state on jobs (state, number);
create index jobs_by_task on jobs (task_id) where task_id is not null;
create unique index jobs_by_alias on jobs (alias) where alias is not null;
"""
_FROM_VERSION_1 = """
alter table jobs add column alias text;
drop index jobs_by_state;
create index jobs_by_state on jobs (state, number);
create index jobs_by_task on jobs (task_id) where task_id is not null;
create unique index jobs_by_alias on jobs (alias) where alias is not null;
"""
"""`alias`: the key that a batch would give the job today, where the rule has changed since."""
_CHANGED_BY = {
    "numbers": """entry like '%.0%' and (entry like '%"options"%' or entry like '%"extra"%')""",
    "blanks": r"""entry like '%\r\r\n%' or entry like '%\ufeff%' or entry like '%\u200b%'
        or entry like '%\u2060%'""",
}
"""Rules for keys that came later: the note that one is kept, and which rows it may have changed."""


def prepare_tables(db: sqlite3.Connection, shown: Path, *, is_checked: bool) -> None:
    """Make the tables in a new file; refuse a file that is not a journal of this library."""
    application = db.execute("pragma application_id").fetchone()[0]
    version = db.execute("pragma user_version").fetchone()[0]
    if not application and not db.execute("select 1 from sqlite_master").fetchone():
        _create(db)
    elif application != _APPLICATION:
        raise JournalError(f"{shown} is no journal of this library; give another path")
    elif version not in (1, _VERSION):
        raise JournalError(
            f"{shown} has version {version}, this library knows {_VERSION}; update it"
        )
    elif is_checked and db.execute("pragma quick_check").fetchone()[0] != "ok":
        raise sqlite3.DatabaseError("its check failed")
    elif version == 1:
        _update(db)
    _add_spellings(db)
    for rule, rows in _CHANGED_BY.items():
        _add_aliases(db, rule, rows)


def _create(db: sqlite3.Connection) -> None:
    """Make the tables, and a salt for the mark of the account."""
    _run(db, _SCHEMA)
    db.execute("insert into meta values ('salt', ?)", (secrets.token_bytes(16),))
    db.execute(f"pragma application_id = {_APPLICATION}")


def _update(db: sqlite3.Connection) -> None:
    """Bring a journal of the first version up to date.

    A job of a batch gets, as its alias, the key that the batch would make for it today.
    """
    _run(db, _FROM_VERSION_1)
    taken: Counter[str] = Counter()
    rows = db.execute("select number, key, entry from jobs order by number").fetchall()
    for number, key, text in rows:
        if not is_of_batch(key):
            continue
        digest = request_digest(as_entry(text).request)
        taken[digest] += 1
        if f"{digest}-{taken[digest]}" != key:
            alias = f"{digest}-{taken[digest]}"
            db.execute("update jobs set alias = ? where number = ?", (alias, number))


def _add_spellings(db: sqlite3.Connection) -> None:
    """Give each job that was called by another spelling of its key an alias, once."""
    if _is_new(db, "spelled keys"):
        rows = db.execute("select number, key from jobs where key glob '*[^!-~]*'")
        for number, key in rows.fetchall():
            if isinstance(key, str) and spelled(key) != key:
                db.execute(
                    "update or ignore jobs set alias = ? where number = ? and alias is null",
                    (spelled(key), number),
                )


def _is_new(db: sqlite3.Connection, rule: str) -> bool:
    """Note that the journal keeps a rule for keys; return whether it did not do so before."""
    return db.execute("insert or ignore into meta values (?, '')", (rule,)).rowcount > 0


def _add_aliases(db: sqlite3.Connection, rule: str, changed: str) -> None:
    """Give each job of a batch whose key was made by an earlier rule an alias, once."""
    if not _is_new(db, rule):
        return
    rows = db.execute(
        "select number, key, coalesce(alias, key), entry from jobs "  # noqa: S608  # one of ours
        f"where {changed} order by number"
    )
    taken: Counter[str] = Counter()
    for number, key, name, text in rows.fetchall():
        if not isinstance(key, str) or not is_of_batch(key):
            continue
        with suppress(sqlite3.DatabaseError):  # a damaged row is told of when it is needed
            digest = request_digest(as_entry(text).request)
            if not key.startswith(digest) and not name.startswith(digest):
                taken[digest] = _free_place(db, digest, taken[digest] + 1)
                alias = f"{digest}-{taken[digest]}"
                db.execute("update jobs set alias = ? where number = ?", (alias, number))


def _free_place(db: sqlite3.Connection, digest: str, first: int) -> int:
    """Return the first place from `first` on among equal requests that no job has."""
    taken = "select 1 from jobs where key = ? or alias = ?"
    return next(
        place
        for place in count(first)
        if db.execute(taken, (f"{digest}-{place}",) * 2).fetchone() is None
    )


def _run(db: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        db.execute(statement)
    db.execute(f"pragma user_version = {_VERSION}")
