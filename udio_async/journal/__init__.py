"""What is remembered of each job: nothing is paid for twice, nothing paid for is lost."""

from .base import Journal
from .jobs import Entry, State
from .memory import MemoryJournal
from .sqlite import SqliteJournal

__all__ = ["Entry", "Journal", "MemoryJournal", "SqliteJournal", "State"]
