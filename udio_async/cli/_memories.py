"""Requests that the folder knows and the journal does not.

A journal is lost, emptied, restored from an older copy, or copied without its log; the songs are
still there, and `songs.jsonl` tells whose they are. To submit them all would pay for them again. So
the user is asked before anything is spent.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs

from .. import Stage
from ..files import SUFFIXES
from ..journal import State, is_of_batch
from ._failures import BadInput
from ._gallery import GALLERY
from ._input import Entry
from ._manifest import MANIFEST, Manifest, place_of
from ._output import SongLine
from ._page import is_page_of_ours
from ._record import Record
from ._renamed import Digest, Earlier, Jobs, Renamed
from ._text import counted, shortened

Lost = Literal["ask", "rest", "again"]
"""What becomes of requests that only the directory knows: see `--rest` and `--again`."""

SETTLED = "paid for in an earlier journal"
"""The journal's note of the jobs that are not asked about again."""
_OF_ONE = 2
"""Songs that one request makes, as a rule."""
_SHOWN = 3
_WORDS = 40
_SONG = re.compile(rf".+-[0-9a-f]{{12}}({'|'.join(map(re.escape, SUFFIXES))})", re.DOTALL)
_COVER = re.compile(r".+-[0-9a-f]{12}\.(jpe?g|png|webp|gif)", re.DOTALL)
_NOT_MADE = frozenset({"GenerationFailed", "ModerationFailed", "UpstreamFailed"})
"""Errors of songs for which there will never be a file."""


@attrs.frozen
class Known:
    """What the journal knows before a run."""

    states: Mapping[str, State] = attrs.field(factory=dict)
    tasks: frozenset[str] = frozenset()
    """The ids of the tasks of all jobs."""
    settled: frozenset[str] = frozenset()
    """Jobs of an earlier journal that its owner was asked about before."""
    same: Mapping[Digest, Jobs] = attrs.field(factory=dict)
    """The jobs that were or may have been paid for, by what they ask for."""
    unsent: Mapping[Digest, Jobs] = attrs.field(factory=dict)
    """The jobs that `resume` would submit, by what they ask for."""

    def may_submit(self, job: str, *, resubmits: bool) -> bool:
        """Return whether the next run would submit this job."""
        state = self.states.get(job)
        return state is None or state.may_be_sent or (resubmits and state is State.IN_DOUBT)

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


@attrs.frozen
class Had:
    """A request, and what the folder tells of its songs."""

    entry: Entry
    records: tuple[Record, ...]
    earlier: Earlier | None = None
    """What it was called in an earlier run, if that was something else."""

    @property
    def task_ids(self) -> tuple[str, ...]:
        """The tasks that made the songs, or were to; there is none of a request in doubt."""
        ids = [record.task_id for record in self.records]
        if self.earlier is not None:
            ids.append(self.earlier.task_id)
        return tuple(dict.fromkeys(task_id for task_id in ids if task_id is not None))

    def lines(self, directory: Path) -> Iterator[SongLine]:
        """Return its songs as lines of output."""
        for record in self.records:
            if record.id is not None and record.path is not None:
                yield _as_line(record, self.entry, directory)


@attrs.frozen(kw_only=True)
class Found:
    """The requests of a batch that the folder knows."""

    had: tuple[Had, ...] = ()
    """Their songs are all here."""
    gone: tuple[Had, ...] = ()
    """They were paid for, or may have been, and their songs are not all here."""
    strange: tuple[str, ...] = ()
    """Songs that nothing tells of, where they are likely those of this batch."""

    @property
    def jobs(self) -> frozenset[str]:
        """The keys of all that are not submitted because of the folder."""
        return frozenset(one.entry.job for one in (*self.had, *self.gone))

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
    is_file: bool = False,
) -> Found:
    """Find requests that would be submitted although the folder has them.

    Args:
        entries: the requests of the batch.
        known: what the journal knows.
        manifest: the folder's.
        provider: only its songs count, and none of a rehearsal.
        resubmits: whether requests in doubt would be submitted again.
        is_file: whether these are all requests of a file. Then one that an earlier run knows under
            a key that the file does not have any more may be one of them.
    """
    waiting = [entry for entry in entries if known.may_submit(entry.job, resubmits=resubmits)]
    strange = () if known.states else _strange_songs(manifest, waiting)
    records = [
        record
        for record in manifest.records()
        if record.provider == provider and not record.sandbox
    ]
    told = _Told(records, known)
    renamed = Renamed(entries, known.same, told.by_job) if is_file else Renamed((), {}, {})
    had: list[Had] = []
    gone: list[Had] = []
    for entry in waiting:
        made = told.take(entry)
        words = _other_words(made, entry)
        # A key that was forgotten may be that of a row which has another one since.
        state = known.states.get(entry.job, State.FORGOTTEN)
        is_known = state is not State.FORGOTTEN or (bool(made) and words is None)
        earlier = None if is_known else renamed.take(entry)
        if earlier is None and words is not None:
            earlier = Earlier(entry.job, words=words)
        one = Had(entry, tuple(made) if earlier is None else earlier.records, earlier)
        if _are_here(one.records, manifest.directory) and not _is_open(earlier, known):
            had.append(one)
        elif one.records or earlier or entry.job in known.settled:
            gone.append(one)
    return Found(had=tuple(had), gone=tuple(gone), strange=strange)


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


def _strange_songs(manifest: Manifest, waiting: Sequence[Entry]) -> tuple[str, ...]:
    """Return songs here that nothing tells of, if they may be those of the requests.

    A request that its owner has named may have been one of `generate`, which writes no list. For
    others a song that `generate` has saved is not a reason to ask: it has to look like a batch's.
    """
    told = {record.path for record in manifest.records()}
    with os.scandir(manifest.directory) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    songs = tuple(name for name in names if _SONG.fullmatch(name) and name not in told)
    if any(entry.request.key is not None for entry in waiting):
        return songs
    page = manifest.directory / GALLERY
    of_batch = not told and (
        any(_COVER.fullmatch(name) for name in names)
        or len(songs) >= max(len(waiting), _OF_ONE + 1)
        or (page.exists() and is_page_of_ours(page))
    )
    return songs if songs and of_batch else ()


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


def refuse_disagreement(found: Found, known: Known, *, waiting: int, out: Path, lost: Lost) -> None:
    """Stop before money is spent on what may be paid for already.

    Args:
        found: what the folder knows.
        known: what the journal knows.
        waiting: requests that would be submitted, without those that the folder knows.
        out: the folder, for the message.
        lost: the user's answer, if it was given with the command.

    Raises:
        BadInput: with what was found, and how to go on.
    """
    had = [one.entry for one in found.had if one.entry.job not in known.settled]
    gone = [one for one in found.gone if one.entry.job not in known.settled]
    asked = gone or (waiting and (had or found.strange))
    renamed = [
        one
        for one in (*found.had, *found.gone)
        if one.earlier is not None and one.entry.job not in known.settled
    ]
    if lost != "ask" or not (asked or renamed):
        return
    if renamed:
        others = " and ".join(sorted({one.earlier.other for one in renamed if one.earlier}))
        raise BadInput(
            f"by the journal and {MANIFEST} in {out}, requests have other {others} than before; "
            "nothing was sent",
            tuple(_renamed(renamed, others, waiting + len(had) + len(gone))),
        )
    raise BadInput(
        f"{out} has songs that the journal does not know, so it may have been lost; nothing was "
        "sent",
        tuple(_findings(had, gone, found.strange, waiting)),
    )


def _renamed(renamed: Sequence[Had], others: str, again: int) -> Iterator[str]:
    """Return which keys or words are others now, and what can be done, line by line."""
    names = (f"{name_of(one.entry)} {one.earlier}" for one in renamed)
    yield (
        f"{counted(len(renamed), 'request')} may have been paid for: {_listed(names, len(renamed))}"
    )
    yield f"put the old {others} back if they are meant: then nothing is paid for twice"
    yield "add --rest to leave them out of what is submitted; their songs are told or fetched"
    yield f"add --again to submit {counted(again, 'request')}, and pay again for what was made"


def _findings(
    had: Sequence[Entry], gone: Sequence[Had], strange: Sequence[str], rest: int
) -> Iterator[str]:
    """Return what was found and what can be done, line by line."""
    if had:
        yield (
            f"by {MANIFEST} the songs of {counted(len(had), 'request')} are here: "
            f"{_listed(map(name_of, had), len(had))}"
        )
    if gone:
        yield (
            f"by {MANIFEST} {counted(len(gone), 'request')} may have been paid for, whose songs "
            f"are not all here: {_listed((name_of(one.entry) for one in gone), len(gone))}"
        )
    if strange:
        yield (
            f"neither the journal nor {MANIFEST} tells of {counted(len(strange), 'song')} here: "
            f"{_listed(map(_file, strange), len(strange))}"
        )
    yield (
        "if you have the journal of that run, bring it back, with the -wal file beside it if there "
        "is one: then nothing is paid for twice"
    )
    fetched = sum(bool(one.task_ids) for one in gone)
    if fetched:
        yield (
            f"add --rest to fetch the songs of {counted(fetched, 'request')} again, which costs "
            "nothing"
        )
    if rest:
        yield f"add --rest to submit only {counted(rest, 'request')}, of which nothing here tells"
    again = rest + len(had) + len(gone)
    yield f"add --again to submit {counted(again, 'request')}, and pay again for what was made"


def _listed(names: Iterable[str], number: int) -> str:
    """Return the first few names, and how many more there are."""
    shown = [name for name, _ in zip(names, range(_SHOWN), strict=False)]
    more = [f"and {number - _SHOWN:,} more"] if number > _SHOWN else []
    return ", ".join([*shown, *more])


def name_of(entry: Entry) -> str:
    """Return a request's line and words, for a message."""
    place = f"line {entry.line} " if entry.line is not None else ""
    return f"{place}({shortened(entry.asked or '', _WORDS)})"


def _file(name: str) -> str:
    return shortened(name, _WORDS * 2)
