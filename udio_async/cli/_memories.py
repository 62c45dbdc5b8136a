"""Requests that the folder knows and the journal of the run does not.

A journal is lost, emptied, restored from an older copy, or copied without its log, or another one
is given. The songs are still there; `songs.jsonl`, or the folder's own journal, tells whose they
are. To submit them all would pay for them again. So the user is asked before anything is spent.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import attrs

from .. import Stage
from ..journal import State, is_of_batch
from ._input import Entry
from ._known import Known, fingerprint_in
from ._manifest import Manifest, place_of
from ._output import SongLine
from ._record import Record
from ._renamed import Earlier, Jobs, Renamed

Lost = Literal["ask", "rest", "again"]
"""What becomes of requests that only the directory knows: see `--rest` and `--again`."""

_NOT_MADE = frozenset({"GenerationFailed", "ModerationFailed", "UpstreamFailed"})
"""Errors of songs for which there will never be a file."""


@attrs.frozen
class Had:
    """A request, and what is known of its songs."""

    entry: Entry
    records: tuple[Record, ...]
    earlier: Earlier | None = None
    """What it was called in an earlier run, if that was something else."""
    beside: Jobs = attrs.field(factory=dict)
    """Its job in the folder's journal, where the run has another one or none."""

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The tasks that made the songs, or were to; there is none of a request in doubt."""
        ids = [record.task_id for record in self.records]
        if self.earlier is not None:
            ids.append(self.earlier.task_id)
        ids += self.beside.values()
        return tuple(dict.fromkeys(task_id for task_id in ids if task_id is not None))

    def lines(self, directory: Path) -> Iterator[SongLine]:
        """Return its songs as lines of output."""
        for record in self.records:
            if record.id is not None and record.path is not None:
                yield _as_line(record, self.entry, directory)


@attrs.frozen(kw_only=True)
class Found:
    """What the folder knows, and the journal of the run does not."""

    had: tuple[Had, ...] = ()
    """Requests whose songs are all here."""
    gone: tuple[Had, ...] = ()
    """Requests that were paid for, or may have been, and whose songs are not all here."""
    strange: tuple[str, ...] = ()
    """Songs of which nothing tells: they may be those of the requests that wait."""
    waiting: tuple[Entry, ...] = ()
    """Requests that would be submitted."""
    is_answered: bool = False
    """Whether the command says what becomes of them: then it is not asked again."""

    @property
    def jobs(self) -> frozenset[str]:
        """The keys of all that are not submitted because of the folder."""
        return frozenset(one.entry.job for one in (*self.had, *self.gone))

    def paid_of(self, entries: list[Entry]) -> list[Entry]:
        """Leave out requests that would be submitted."""
        bought = {entry.job for entry in self.waiting}
        return [entry for entry in entries if entry.job not in bought]

    def left_of(self, entries: list[Entry]) -> list[Entry]:
        """Leave out requests that the folder has; the others keep their keys."""
        elsewhere = self.jobs
        if not elsewhere:
            return entries
        return [
            attrs.evolve(entry, request=attrs.evolve(entry.request, key=entry.job))
            for entry in entries
            if entry.job not in elsewhere
        ]


def find_in_directory(
    entries: Sequence[Entry],
    known: Known,
    manifest: Manifest,
    *,
    provider: str,
    resubmits: bool,
    lost: Lost = "ask",
    is_file: bool = False,
) -> Found:
    """Find requests that would be submitted although the folder has them.

    Args:
        entries: the requests of the batch.
        known: what the journals know.
        manifest: the folder's.
        provider: only its songs count, and none of a rehearsal.
        resubmits: whether requests in doubt would be submitted again.
        lost: the answer, if it was given with the command. With "again" only strange songs are
            looked for.
        is_file: whether these are all requests of a file. Then one that an earlier run knows under
            a key that the file does not have any more may be one of them.
    """
    waiting = [entry for entry in entries if known.may_submit(entry.job, resubmits=resubmits)]
    found = Found(
        strange=_strange_songs(manifest, known),
        waiting=tuple(waiting),
        is_answered=lost != "ask",
    )
    if lost == "again":
        return found
    records = [
        record
        for record in manifest.records()
        if record.provider == provider and not record.sandbox
    ]
    told = _Told(records, known)
    renamed = Renamed(entries, known.paid(), told.by_job) if is_file else Renamed((), {}, {})
    had: list[Had] = []
    gone: list[Had] = []
    rest: list[Entry] = []
    for entry in waiting:
        one = _had(entry, known, told, renamed)
        if _are_here(one.records, manifest.directory) and not _is_open(one.earlier, known):
            had.append(one)
        elif one.records or one.earlier or one.beside or entry.job in known.settled:
            gone.append(one)
        else:
            rest.append(entry)
    return attrs.evolve(found, had=tuple(had), gone=tuple(gone), waiting=tuple(rest))


def _had(entry: Entry, known: Known, told: "_Told", renamed: Renamed) -> Had:
    """Return what is known of a request that the journal of the run would submit."""
    made = told.take(entry)
    words = _other_words(made, entry)
    beside = known.beside_of(entry)
    # A key that was forgotten may be that of a row which has another one since.
    state = known.states.get(entry.job, State.FORGOTTEN)
    is_known = state is not State.FORGOTTEN or beside or (made and words is None)
    earlier = None if is_known else renamed.take(entry)
    if earlier is None and words is not None:
        earlier = Earlier(entry.job, words=words)
    return Had(entry, tuple(made) if earlier is None else earlier.records, earlier, beside)


class _Told:
    """The records of requests that were paid for, or may have been."""

    def __init__(self, records: Iterable[Record], known: Known) -> None:
        self.by_job: dict[str, list[Record]] = defaultdict(list)
        self._by_words: dict[str, dict[str | None, list[Record]]] = defaultdict(dict)
        for record in records:
            job = record.job or record.key
            if record.error is not None and record.error.charged == "no":
                continue
            if record.id is None and job is not None and job in known.states:
                continue  # the journal knows better what became of it
            if job is not None:
                self.by_job[job].append(record)
            elif record.line is not None and record.asked and record.task_id not in known.tasks:
                tasks = self._by_words[record.asked]
                tasks.setdefault(record.task_id, []).append(record)

    def take(self, entry: Entry) -> list[Record]:
        """Return the records of a request.

        Records that name no job are given to one request only.
        """
        named = self.by_job.get(entry.job)
        if named is not None:
            return named
        tasks = self._by_words.get(entry.asked or "")
        return tasks.pop(next(iter(tasks))) if tasks else []


def _other_words(records: Sequence[Record], entry: Entry) -> str | None:
    """Return what the records of this key ask for, if that is not what the request does."""
    asked = records[0].asked if records and not is_of_batch(entry.job) else None
    return None if asked == entry.asked else asked


def _is_open(earlier: Earlier | None, known: Known) -> bool:
    """Return whether the journal says that not all songs of an earlier request are saved."""
    state = None if earlier is None else known.states.get(earlier.job)
    return state is not None and state is not State.DELIVERED


def _are_here(records: Sequence[Record], directory: Path) -> bool:
    """Return whether each song that was made has its file; one at least."""
    wanted = [
        record for record in records if record.error is None or record.error.type not in _NOT_MADE
    ]
    return bool(wanted) and all(
        record.path is not None and place_of(directory, record.path).is_file() for record in wanted
    )


def _strange_songs(manifest: Manifest, known: Known) -> tuple[str, ...]:
    """Return the songs here of which neither the list nor a journal tells."""
    paths = (record.path for record in manifest.records() if record.path is not None)
    told = {"", *known.songs, *map(fingerprint_in, paths)}
    with os.scandir(manifest.directory) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    return tuple(name for name in names if fingerprint_in(name) not in told)


def _as_line(record: Record, entry: Entry, directory: Path) -> SongLine:
    assert record.id is not None
    assert record.path is not None
    return SongLine(
        **{name: getattr(record, name) for name in _OF_A_SONG},
        id=record.id,
        task_id=record.task_id or "",
        audio_url=None,
        image_url=None,
        stage=Stage.COMPLETE,
        path=str(place_of(directory, record.path)),
        cover=None if record.cover is None else str(place_of(directory, record.cover)),
        timeline=None,
        error=None,
        line=entry.line,
        key=entry.key,
        job=entry.job or None,
    )


_OF_A_SONG = (
    *("provider", "index", "title", "duration", "lyrics", "tags", "model"),
    *("sha256", "size", "asked"),
)
