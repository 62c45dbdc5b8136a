"""What journals know before a run: its own, and the one of the folder if that is another."""

import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs

from .. import Client, JournalError, SqliteJournal
from ..files import SUFFIXES, file_names
from ..journal import Entry as Job
from ..journal import Journal, State, is_fresh, is_of_batch, read_note, texts_in
from ._clients import open_client
from ._failures import BadInput, reason_of
from ._input import Entry
from ._journal_file import journal_beside
from ._question import ask
from ._renamed import Digest, Jobs, Renamed, digest_of
from ._service import Service

SETTLED = "paid for in an earlier journal"
"""The journal's note of the jobs that are not asked about again."""
SETTLED_SONGS = "songs of which nothing tells"
"""The journal's note of the songs that are not asked about again, by their fingerprints."""
_SONG = re.compile(rf".+-([0-9a-f]{{12}})({'|'.join(map(re.escape, SUFFIXES))})", re.DOTALL)
_MOMENT = re.compile(r"(?:19|20)\d{10}")
"""The date and time of a recording, as machines name them; hardly ever one of our fingerprints."""


@attrs.frozen
class Known:
    """What journals know before a run."""

    states: Mapping[str, State] = attrs.field(factory=dict)
    tasks: frozenset[str] = frozenset()
    """The ids of the tasks of all jobs."""
    settled: frozenset[str] = frozenset()
    """Jobs of an earlier journal that its owner was asked about before."""
    same: Mapping[Digest, Jobs] = attrs.field(factory=dict)
    """The jobs that were or may have been paid for, by what they ask for."""
    unsent: Mapping[Digest, Jobs] = attrs.field(factory=dict)
    """The jobs that `resume` would submit, by what they ask for."""
    songs: frozenset[str] = frozenset()
    """The fingerprints of songs whose jobs are known, or that were asked about before."""
    beside: Mapping[Digest, Jobs] = attrs.field(factory=dict)
    """As `same`, by the folder's journal, where that is not the one of the run."""

    def may_submit(self, job: str, *, resubmits: bool) -> bool:
        """Return whether the next run would submit this job."""
        state = self.states.get(job)
        return state is None or state.may_be_sent or (resubmits and state is State.IN_DOUBT)

    def paid(self) -> Mapping[Digest, Jobs]:
        """Return the jobs of both journals that were or may have been paid for, as `same`."""
        return {
            digest: {**self.beside.get(digest, {}), **self.same.get(digest, {})}
            for digest in (*self.beside, *self.same)
        }

    def beside_of(self, entry: Entry) -> Jobs:
        """Return the job that this request has in the folder's journal, if it has one there."""
        same = self.beside.get(digest_of(entry), {}) if self.beside else {}
        return {entry.job: same[entry.job]} if entry.job in same else {}

    def renamed(self, entries: Sequence[Entry], elsewhere: Collection[str]) -> list[str]:
        """Return the jobs that `resume` would submit although a row asks for them by another key.

        Args:
            entries: all requests of the file.
            elsewhere: the keys of rows that are not submitted: they stand for other requests.
        """
        renamed = Renamed(entries, self.unsent, {})
        asked = (one for one in entries if one.job not in self.states and one.job not in elsewhere)
        found = [renamed.take(entry) for entry in asked]
        return [earlier.job for earlier in found if earlier is not None]


def fingerprint_in(name: str) -> str:
    """Return the fingerprint in the name of a song's file, or "" if it is none of ours."""
    found = _SONG.fullmatch(name)
    return "" if found is None or _MOMENT.fullmatch(found[1]) else found[1]


def read_journals(service: Service, journal: Path | None, out: Path, *, backend: str) -> Known:
    """Return what the journal of the run knows, and the one in the folder beside it.

    A journal that is not there yet knows nothing.

    Raises:
        BadInput: a journal is in use, damaged or not ours.
    """
    own = journal if journal is not None and journal.is_file() else None
    return ask(partial(_read, service, own, journal_beside(journal, out)), backend=backend)


async def _read(service: Service, path: Path | None, beside: Path | None) -> Known:
    known = Known()
    if path is not None:
        journal = service.journal(path)
        async with open_client(service, journal) as client:
            known = await known_by(client, journal)
    return await with_beside(known, beside, service.provider().name)


async def known_by(client: Client, journal: Journal) -> Known:
    """Return what the journal of a client knows."""
    known = await _take_in(client.jobs(), client.provider.name)
    settled = await read_note(journal, SETTLED, texts_in) or ()
    songs = await read_note(journal, SETTLED_SONGS, texts_in) or ()
    return attrs.evolve(known, settled=frozenset(settled), songs=known.songs.union(songs))


async def with_beside(known: Known, path: Path | None, provider: str) -> Known:
    """Add what the folder's journal knows, where the run has another one or none.

    It is read as it is: another run may be writing it.

    Raises:
        BadInput: it cannot be read, so nobody knows what it has paid for.
    """
    if path is None:
        return known
    try:
        other = await _take_in(SqliteJournal(path).entries(list(State)), provider)
    except JournalError as error:
        raise BadInput(
            f"{path} may know requests that are paid for, and cannot be read: {reason_of(error)}; "
            "move it away if none of it is needed"
        ) from error
    return attrs.evolve(known, songs=known.songs | other.songs, beside=other.same)


async def _take_in(jobs: AsyncIterator[Job], provider: str) -> Known:
    """Return what these jobs tell; of other providers' jobs only their songs count."""
    states: dict[str, State] = {}
    tasks: set[str] = set()
    songs: set[str] = set()
    same: Counter[str] = Counter()
    paid: dict[Digest, dict[str, str | None]] = defaultdict(dict)
    unsent: dict[Digest, dict[str, str | None]] = defaultdict(dict)
    async for job in jobs:
        songs.update(fingerprint_in(file_names(song)[0]) for song in job.songs)
        if job.provider != provider:
            continue
        states[job.key] = job.state
        if job.task_id is not None:
            tasks.add(job.task_id)
        name, digest = job.key, Digest(job.request)
        if is_of_batch(job.key):
            same[digest] += 1
            if not job.key.startswith(digest):  # named by the rule of an earlier version
                name = f"{digest}-{same[digest]}"
                states[name] = job.state
        if not (job.state is State.FORGOTTEN or is_fresh(name) or job.attempt_of):
            (unsent if job.state.may_be_sent else paid)[digest][name] = job.task_id
    return Known(states, frozenset(tasks), same=paid, unsent=unsent, songs=frozenset(songs))
