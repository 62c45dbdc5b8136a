"""What is remembered of each job: nothing is paid for twice, nothing paid for is lost."""

from .base import Journal
from .jobs import Entry, State
from .keys import BatchKeys, FreshKeys, is_fresh, is_of_batch, normalised, request_digest
from .memory import MemoryJournal
from .sqlite import SqliteJournal

__all__ = [
    "BatchKeys",
    "Entry",
    "FreshKeys",
    "Journal",
    "MemoryJournal",
    "SqliteJournal",
    "State",
    "is_fresh",
    "is_of_batch",
    "normalised",
    "request_digest",
]
