"""Entries as the texts of rows, and the errors of values that cannot be written."""

import sqlite3
from datetime import UTC, datetime
from math import isfinite

from cattrs.preconf.json import make_converter

from .entry import Entry

WRONG_VALUE = (
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""Errors for a value that cannot be written or looked for, while the file is sound."""


def _number(value: object, _: object) -> float:
    """Take finite numbers only: cattrs would take the text "nan" for one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _instant(value: str, _: object) -> datetime | None:
    """Take a date, or None for one that is in no other zone: a date must not cost a song."""
    moment = datetime.fromisoformat(value)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return None
    return moment


_converter = make_converter()
_converter.register_structure_hook(float, _number)
_converter.register_structure_hook(datetime, _instant)


def as_text(entry: Entry) -> str:
    """Return an entry as a row holds it."""
    return _converter.dumps(entry)


def as_entry(text: str) -> Entry:
    """Return the entry that a row holds.

    Raises:
        sqlite3.DatabaseError: it holds something else, so the file is damaged.
    """
    try:
        return _converter.loads(text, Entry)
    except Exception as error:
        raise sqlite3.DatabaseError(f"a row is no job: {error}") from error
