"""Notes of a journal that have to be read: in a damaged file their text may be anything."""

import json
from collections.abc import Callable
from typing import TypeVar

from .._errors import JournalError
from .base import Journal

T = TypeVar("T")


async def read_note(journal: Journal, name: str, read: Callable[[str], T]) -> T | None:
    """Return what a note says, or None where there is none.

    Args:
        journal: the journal.
        name: the name of the note.
        read: makes a value of its text, and raises ValueError or TypeError if it cannot.

    Raises:
        JournalError: the note is not what was once written there, or cannot be read at all.
    """
    text = await journal.noted(name)
    try:
        return None if text is None else read(text)
    except (ValueError, TypeError) as error:
        raise JournalError(
            f"the journal cannot be trusted: its note {name!r} is {text!r:.60}; "
            "go on with a copy of it from before, or with another file"
        ) from error


def texts_in(text: str) -> list[str]:
    """Read a list of texts, written as JSON.

    Raises:
        ValueError: it is not such a list.
    """
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ValueError("no list of texts")
    return found
