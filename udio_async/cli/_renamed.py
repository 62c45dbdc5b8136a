"""Requests of a file that an earlier run knows under another key.

A spreadsheet that saves a table again turns the key 001 into 1, or into a date; a column of keys is
added, or taken away. A key is only a name: what such a row asks for may be paid for already.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import attrs

from ..journal import canonical, is_fresh, is_of_batch, request_digest
from ._input import Entry
from ._record import Record
from ._text import shortened

Jobs = Mapping[str, str | None]
"""Keys of jobs, each with the id of its task if that is known."""


@attrs.frozen
class Earlier:
    """A request of an earlier run that asks for the same under another key.

    Or for something else under the same key: then its songs are not those of the row.
    """

    job: str
    records: tuple[Record, ...] = ()
    task_id: str | None = None
    """Its task, if the journal knows it."""
    words: str | None = None
    """What it asks for, if that is something else."""

    def __str__(self) -> str:
        if self.words is not None:
            return f"has the key of ({shortened(self.words, 40)})"
        return "had no key" if is_of_batch(self.job) else f"had the key {shortened(self.job, 40)!r}"


class Renamed:
    """Finds earlier requests that no row of the file stands for; each is given to one row."""

    def __init__(
        self,
        entries: Sequence[Entry],
        jobs: Mapping[str, Jobs],
        records: Mapping[str, Sequence[Record]],
    ) -> None:
        """Compare a file with what is known.

        Args:
            entries: all requests of the file.
            jobs: jobs of the journal that were or may have been paid for, by what they ask for.
            records: the lines of songs.jsonl, by their job.
        """
        # A key that stands beside other words now is as good as gone: rows were numbered anew.
        rows = {(entry.job, _digest(entry)) for entry in entries}
        named = {(entry.job, entry.asked) for entry in entries}
        known = {job for same in jobs.values() for job in same}
        self._records = records
        self._jobs = {
            digest: [job for job in same.items() if (job[0], digest) not in rows]
            for digest, same in jobs.items()
        }
        self._words: dict[str | None, list[str]] = defaultdict(list)
        for job, (first, *_) in records.items():
            if job not in known and (job, first.asked) not in named and not is_fresh(job):
                self._words[first.asked].append(job)

    def take(self, entry: Entry) -> Earlier | None:
        """Return the earlier request that this one may be, or None."""
        digest = _digest(entry)
        if same := self._jobs.get(digest):
            job, task_id = same.pop(0)
            return Earlier(job, tuple(self._records.get(job, ())), task_id)
        # songs.jsonl has only a few words of each request; a job without a key has its digest, too.
        for job in self._words.get(entry.asked, ()):
            if not is_of_batch(job) or job.startswith(digest):
                self._words[entry.asked].remove(job)
                return Earlier(job, tuple(self._records[job]))
        return None


def _digest(entry: Entry) -> str:
    return request_digest(canonical(entry.request))
