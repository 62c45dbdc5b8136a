"""Jobs that their owner gave no name, and which of them were taken."""

from .._errors import InvalidRequest
from .._records import SongRequest
from .keys import FreshKeys, is_fresh

_DIGITS = 18
"""Digits of a number, at most: Python refuses to read thousands of them."""


class FreshJobs:
    """Names such jobs, and remembers which of them the provider has taken, or may have.

    A journal in memory forgets such a job at its end, and its owner may have seen its name. One
    byte for each name is all that is kept, for there is no end to their number.
    """

    def __init__(self) -> None:
        self._keys = FreshKeys()
        self._taken = bytearray(1)  # they are numbered from 1
        self._others = set[str]()
        """Such names of other runs, which their owner has given to requests."""

    def name(self, request: SongRequest) -> str:
        """Return the request's own key, or one that no other job has."""
        if request.key is None:
            self._taken.append(False)
        return self._keys.name(request)

    def note_taken(self, key: str) -> None:
        """Remember that this job was taken, or may have been, if it has such a name."""
        if (number := self._number(key)) is not None:
            self._taken[number] = True
        elif is_fresh(key):
            self._others.add(key)

    def was_taken(self, key: str) -> bool:
        """Return whether this is such a name, of a job that was taken here, or may have been."""
        number = self._number(key)
        return key in self._others if number is None else bool(self._taken[number])

    def missing(self, key: str) -> InvalidRequest:
        """Return the error about a key under which nothing is kept."""
        if not self.was_taken(key):
            return InvalidRequest(
                f"there is no job {key!r} in this journal; client.jobs() lists them", job_key=key
            )
        return InvalidRequest(
            f"job {key} is over, and was handed out; without a journal on disk its songs are not "
            "kept",
            job_key=key,
            charged="unknown",
        )

    def _number(self, key: str) -> int | None:
        """Return the number of a job that was named here; None for any other."""
        digits = key.rpartition("-")[2]
        if not self._keys.gave(key) or len(digits) > _DIGITS:
            return None
        number = int(digits)
        return number if number < len(self._taken) else None  # or its owner has made it up
