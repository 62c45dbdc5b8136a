"""Requests of a file that an earlier run knows under another key, or in another spelling.

A spreadsheet that saves a table again turns the key 001 into 1, or into a date; a column of keys is
added, or taken away. A key is only a name: what such a row asks for may be paid for already. So may
a row whose title was 001 before, or a line that has quotes around it now.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from ..journal import canonical, is_fresh, is_of_batch, request_digest
from ._input import Entry
from ._record import Record
from ._text import shortened

Jobs = Mapping[str, str | None]
"""Keys of jobs, each with the id of its task if that is known."""
_CHANGED = re.compile(
    r"""[\s"'`\\\u00ad\u00ab\u00b4\u00bb\u200b-\u200f\u2018-\u201f\u2039\u203a\u2060\ufeff]+"""
)
"""Blanks, quotes, backslashes and marks without a width: programs add them or put others."""


class Digest(str):
    """What a request asks for, as a fingerprint."""

    __slots__ = ("loose",)
    loose: str
    """The same for all requests that differ only in what programs change."""

    def __new__(cls, asked: Mapping[str, Any]) -> Self:
        """Take the fingerprints of what `canonical` returned."""
        digest = super().__new__(cls, request_digest(asked))
        digest.loose = request_digest({name: _loose(value) for name, value in asked.items()})
        return digest


def _loose(value: object) -> object:
    """Return a text without what programs change when they save it."""
    if not isinstance(value, str):
        return value
    text = _CHANGED.sub("", unicodedata.normalize("NFKC", value))
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return text.lower() if text.lower() in ("true", "false") else text


@attrs.frozen
class Earlier:
    """A request of an earlier run that asks for the same under another key or in another spelling.

    Or for something else under the same key: then its songs are not those of the row.
    """

    job: str
    records: tuple[Record, ...] = ()
    task_id: str | None = None
    """Its task, if the journal knows it."""
    words: str | None = None
    """What it asks for, if that is something else."""
    is_like: bool = False
    """Whether it asks for the same in another spelling."""

    @property
    def other(self) -> str:
        """What the row has others of."""
        return "words" if self.is_like else "keys"

    def __str__(self) -> str:
        if self.is_like:
            return "differs only in blanks, quotes or the spelling of a number, of TRUE or FALSE"
        if self.words is not None:
            return f"has the key of ({shortened(self.words, 40)})"
        return "had no key" if is_of_batch(self.job) else f"had the key {shortened(self.job, 40)!r}"


class Renamed:
    """Finds earlier requests that no row of the file stands for; each is given to one row."""

    def __init__(
        self,
        entries: Sequence[Entry],
        jobs: Mapping[Digest, Jobs],
        records: Mapping[str, Sequence[Record]],
    ) -> None:
        """Compare a file with what is known.

        Args:
            entries: all requests of the file.
            jobs: jobs of the journal that were or may have been paid for, by what they ask for.
            records: the lines of songs.jsonl, by their job.
        """
        # A key that stands beside other words now is as good as gone: rows were numbered anew.
        rows = {(entry.job, digest_of(entry)) for entry in entries}
        asked = {digest for _, digest in rows}
        named = {(entry.job, entry.asked) for entry in entries}
        known = {job for same in jobs.values() for job in same}
        self._records = records
        self._jobs = {
            digest: [job for job in same.items() if (job[0], digest) not in rows]
            for digest, same in jobs.items()
        }
        self._like: dict[str, list[Digest]] = defaultdict(list)
        for digest in jobs:
            if digest not in asked:  # else it is a row's own that is still there
                self._like[digest.loose].append(digest)
        self._words: dict[str | None, list[str]] = defaultdict(list)
        for job, (first, *_) in records.items():
            if job not in known and (job, first.asked) not in named and not is_fresh(job):
                self._words[first.asked].append(job)

    def take(self, entry: Entry) -> Earlier | None:
        """Return the earlier request that this one may be, or None."""
        digest = digest_of(entry)
        for known in (digest, *self._like.get(digest.loose, ())):
            if same := self._jobs.get(known):
                job, task_id = same.pop(0)
                records = tuple(self._records.get(job, ()))
                return Earlier(job, records, task_id, is_like=known != digest)
        # songs.jsonl has only a few words of each request; a job without a key has its digest, too.
        for job in self._words.get(entry.asked, ()):
            if not is_of_batch(job) or job.startswith(digest):
                self._words[entry.asked].remove(job)
                return Earlier(job, tuple(self._records[job]))
        return None


def digest_of(entry: Entry) -> Digest:
    """Return the fingerprint of what a request asks for."""
    return Digest(canonical(entry.request))
