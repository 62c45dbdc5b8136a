"""The record of every job: pays for nothing twice, loses nothing paid.

`base` says what a journal promises, `memory` and `sqlite` are the two that exist. `jobs` has the
states and every move between them, `keys` names the jobs, `kept` puts some aside, and `store` is a
client's own use of its journal. A journal belongs to one account and has one owner at a time.
"""

from .base import Journal
from .entry import Entry, State, Times
from .errors import TranslatedJournal
from .kept import Kept
from .keys import (
    MOST_RETURNS,
    BatchKeys,
    FreshKeys,
    canonical,
    is_fresh,
    is_of_batch,
    normalised,
    request_digest,
    spelled,
    with_line_feeds,
)
from .memory import MemoryJournal
from .notes import read_note, texts_in
from .sqlite import SqliteJournal

__all__ = [
    "MOST_RETURNS",
    "BatchKeys",
    "Entry",
    "FreshKeys",
    "Journal",
    "Kept",
    "MemoryJournal",
    "SqliteJournal",
    "State",
    "Times",
    "TranslatedJournal",
    "canonical",
    "is_fresh",
    "is_of_batch",
    "normalised",
    "read_note",
    "request_digest",
    "spelled",
    "texts_in",
    "with_line_feeds",
]
