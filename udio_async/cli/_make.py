"""`generate`, `batch` and `resume`: from requests to songs on disk."""

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal

import attrs

from .. import Client, Event, JournalError, MemoryJournal, SqliteJournal, UdioError
from ..journal import BatchKeys, FreshKeys, Journal, State
from ._clients import open_client
from ._directory import prepare_directory, sweep
from ._failures import BadInput, reason_of, say
from ._hints import Hints
from ._input import Entry, read_entries, read_request
from ._manifest import MANIFEST, Manifest
from ._memories import SETTLED, Found, Lost, find_in_directory, refuse_disagreement
from ._names import FILE_WAIT, SANDBOX
from ._plan import confirm, make_plan, read_journal
from ._progress import Progress
from ._rows import Format
from ._run import Run, View, execute
from ._service import Service
from ._text import counted, one_line
from ._unfinished import iter_earlier, read_unfinished

_NOTHING = Found()


@attrs.frozen(kw_only=True)
class Terms:
    """The limits of a run: how many at once, for how much, and its journal."""

    max_active: int = 1
    max_submits: int | None = None
    max_credits: float | None = None
    on_doubt: Literal["hold", "resubmit"] = "hold"
    journal: Path | None = None
    tags: bool = False
    file_wait: float = FILE_WAIT
    yes: bool = False
    lost: Lost = "ask"

    @property
    def resubmits(self) -> bool:
        """Whether what earlier runs left in doubt is asked for again."""
        return self.on_doubt == "resubmit"


def make_one(
    values: Mapping[str, Any],
    service: Service,
    out: Path | None,
    view: View,
    terms: Terms,
    *,
    hints: Hints | None,
) -> int:
    """Make the songs of one request, and return the exit code.

    They are new ones, unless it has a key.

    Raises:
        BadInput: the request cannot be sent, or the songs not saved. Nothing was sent.
    """
    try:
        entry = Entry(read_request(values, service.provider()))
    except (UdioError, ValueError) as error:
        raise BadInput(reason_of(error)) from error
    if out is not None:
        prepare_directory(out)
    if terms.journal is not None:
        prepare_directory(terms.journal.parent)
        key = FreshKeys().name(entry.request)
        entry = Entry(attrs.evolve(entry.request, key=key), job=key)
    work = partial(_make_one, entry=entry, service=service, terms=terms)
    return execute(work, requests=1, view=view, out=out, hints=hints, file_wait=terms.file_wait)


def make_many(  # noqa: PLR0917 - the first five are those of the other two
    file: BinaryIO,
    name: str,
    service: Service,
    out: Path,
    view: View,
    terms: Terms,
    *,
    kind: Format | None,
    encoding: str | None,
    hints: Hints | None,
    keep: bool,
) -> int:
    """Make the songs of every request in a file. `keep`: there is no file to read again."""
    provider = service.provider()
    reading = read_entries(file, name, provider, kind, encoding)
    entries = _named(reading.entries)
    manifest = open_directory(out, view)
    if terms.journal is not None:
        prepare_directory(terms.journal.parent)
    known = read_journal(service, terms.journal, backend=view.backend)
    found = Found()
    if terms.lost != "again" and service.name != SANDBOX:  # which costs nothing, and forgets
        found = find_in_directory(
            entries, known, manifest, provider=provider.name, resubmits=terms.resubmits
        )
    plan = make_plan(
        entries,
        known,
        found,
        provider,
        resubmits=terms.resubmits,
        max_submits=terms.max_submits,
        max_credits=terms.max_credits,
    )
    refuse_disagreement(found, known, waiting=plan.waiting, out=out, lost=terms.lost)
    yes = terms.yes or service.name == SANDBOX
    if not view.quiet:
        say(str(reading.preview))
    confirm(plan, provider, yes=yes, quiet=view.quiet)
    work = partial(
        _make,
        entries=_left(entries, found),
        service=service,
        terms=terms,
        found=found,
        keep=keep,
    )
    return execute(
        work,
        requests=len(entries),
        view=view,
        out=out,
        hints=hints,
        manifest=manifest,
        tags=terms.tags,
        file_wait=terms.file_wait,
    )


def _named(entries: Iterable[Entry]) -> list[Entry]:
    """Name the requests as the journal of a batch names them."""
    keys = BatchKeys()
    return [attrs.evolve(entry, job=keys.name(entry.request)) for entry in entries]


def _left(entries: list[Entry], found: Found) -> list[Entry]:
    """Leave out requests that the folder has; the others keep their keys."""
    elsewhere = found.jobs
    if not elsewhere:
        return entries
    return [
        attrs.evolve(entry, request=attrs.evolve(entry.request, key=entry.job))
        for entry in entries
        if entry.job not in elsewhere
    ]


def open_directory(out: Path, view: View) -> Manifest:
    """Prepare a folder for songs, and return its manifest.

    Raises:
        click.ClickException: songs cannot be saved there, or the manifest is not ours.
    """
    removed = sweep(out, prepare_directory(out))
    if removed and not view.quiet:
        say(f"removed {counted(removed, 'half-written file')} of an earlier run")
    return Manifest(out)


def make_rest(
    service: Service, out: Path, view: View, terms: Terms, *, hints: Hints, only_paid: bool
) -> int:
    """Make whatever the journal holds unfinished, or of that what is paid for."""
    service.provider()  # a wrong option or a missing key shows before anything is started
    manifest = open_directory(out, view)
    work = partial(_make_rest, service=service, terms=terms, manifest=manifest, only_paid=only_paid)
    return execute(
        work,
        requests=0,
        view=view,
        out=out,
        hints=hints,
        manifest=manifest,
        tags=terms.tags,
        file_wait=terms.file_wait,
    )


async def _make_one(run: Run, *, entry: Entry, service: Service, terms: Terms) -> None:
    told = terms.journal is not None or service.name == SANDBOX
    observer = run.observe if told else partial(_observe_and_tell, run)
    async with _open(run, service, terms, observer=observer) as (client, _):
        if run.hints is not None:
            async for line in iter_earlier(client, run.hints, but=entry.job):
                run.display.note(line)
        await _make_all(run, client, [entry], terms)


def _observe_and_tell(run: Run, event: Event) -> None:
    """Show the id by which the song can be found, where nothing else remembers it."""
    run.observe(event)
    if event.kind == "submitted" and event.task is not None:
        run.display.note(f"accepted as task {one_line(event.task.id)}")


async def _make(
    run: Run,
    *,
    entries: list[Entry],
    service: Service,
    terms: Terms,
    found: Found = _NOTHING,
    keep: bool = False,
) -> None:
    async with _open(run, service, terms) as (client, journal):
        if journal.durable:
            if keep:
                await client.keep(entry.request for entry in entries)
            await _settle(journal, found)
        await _tell_had(run, found)
        await _make_all(run, client, entries, terms)


async def _settle(journal: Journal, found: Found) -> None:
    """Remember what the user was asked about: it is not asked again."""
    if found.jobs:
        known = json.loads(await journal.noted(SETTLED) or "[]")
        await journal.note(SETTLED, json.dumps(sorted({*known, *found.jobs})))


async def _tell_had(run: Run, found: Found) -> None:
    """Write the songs that are here, and count what is not submitted."""
    for one in found.had:
        songs = 0
        if run.out is not None:
            for line in one.lines(run.out):
                await run.show(line)
                songs += 1
        run.progress.deliver("", None, songs=songs, ok=True)
    run.progress.total -= len(found.gone)


async def _make_rest(
    run: Run, *, service: Service, terms: Terms, manifest: Manifest, only_paid: bool
) -> None:
    async with _open(run, service, terms) as (client, _):
        entries, known = await read_unfinished(client, manifest, only_paid=only_paid)
        found = find_in_directory(
            entries,
            known,
            manifest,
            provider=client.provider.name,
            resubmits=terms.resubmits,
        )
        if found.jobs:
            run.display.error(
                f"{counted(len(found.jobs), 'request')} left alone: by {MANIFEST} they were or may "
                "have been paid for, and the journal is older; their batch asks what to do"
            )
        entries = _left(entries, found)
        run.progress.total = len(entries)
        await _make_all(run, client, entries, terms)


@asynccontextmanager
async def _open(
    run: Run, service: Service, terms: Terms, *, observer: Callable[[Event], object] | None = None
) -> AsyncGenerator[tuple[Client, Journal]]:
    """Open a client for the run, and see afterwards what it has left behind."""
    journal = MemoryJournal() if terms.journal is None else SqliteJournal(terms.journal)
    async with open_client(
        service,
        journal=journal,
        max_submits=terms.max_submits,
        max_credits=terms.max_credits,
        on_doubt=terms.on_doubt,
        on_event=observer or run.observe,
    ) as client:
        yield client, journal
    await _count_unheard(run.progress, journal)


async def _count_unheard(progress: Progress, journal: Journal) -> None:
    """See what became of requests that were on the wire when the run was stopped."""
    if progress.left_out <= 0:
        return
    try:
        doubts = [entry.key async for entry in journal.entries([State.IN_DOUBT])]
    except JournalError:  # then nothing is certain
        return
    ours = [key for key in doubts if not journal.durable or key in progress.jobs]
    progress.count_unheard(len(ours))


async def _make_all(run: Run, client: Client, entries: list[Entry], terms: Terms) -> None:
    run.progress.price = client.provider.traits.credits_per_song
    run.progress.at_once = terms.max_active
    await run.make_songs(client, entries, max_active=terms.max_active)
