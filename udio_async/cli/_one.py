"""`generate`: the songs of one request."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from .. import Event, UdioError
from .._download import try_folder
from ..journal import Entry as Job
from ..journal import FreshKeys
from ._directory import prepare_directory
from ._execute import View, execute
from ._failures import BadInput, reason_of
from ._gone import take_found
from ._hints import Hints
from ._input import Entry, read_request
from ._manifest import Manifest
from ._memories import Found, find_in_directory, refuse_disagreement
from ._plan import read_journal
from ._run import Run
from ._service import Service
from ._terms import Terms, make_all, open_for
from ._text import one_line
from ._unfinished import iter_earlier


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
    found = Found()
    if out is not None:
        prepare_directory(out)
    if terms.journal is not None:
        terms.prepare_journal()
        key = FreshKeys().name(entry.request)
        is_named = key == entry.request.key
        entry = Entry(attrs.evolve(entry.request, key=key), job=key)
        if is_named and out is not None:
            found = _look_in(out, entry, service, terms, backend=view.backend)
    work = partial(_make_one, entry=entry, found=found, service=service, terms=terms)
    return execute(work, requests=1, view=view, out=out, hints=hints, file_wait=terms.file_wait)


def _look_in(out: Path, entry: Entry, service: Service, terms: Terms, *, backend: str) -> Found:
    """Return what the folder knows of a request that the journal does not know.

    Raises:
        BadInput: it may have been paid for, and the command does not say what to do then.
    """
    if terms.lost == "again" or service.is_sandbox:
        return Found()
    known = read_journal(service, terms.journal, backend=backend)
    found = find_in_directory(
        [entry], known, Manifest(out), provider=service.provider().name, resubmits=terms.resubmits
    )
    refuse_disagreement(found, known, waiting=len(found.left_of([entry])), out=out, lost=terms.lost)
    return found


async def _make_one(
    run: Run, *, entry: Entry, found: Found, service: Service, terms: Terms
) -> None:
    told = terms.journal is not None or service.is_sandbox
    observer = run.observe if told else partial(_observe_and_tell, run)
    async with open_for(run, service, terms, observer=observer) as (client, journal):
        if run.hints is not None:
            async for line in iter_earlier(client, run.hints, but=entry.job):
                run.display.note(line)
        await take_found(run, client, journal, found)
        left = found.left_of([entry])
        if left and run.out is not None:
            await _try_disk(run.out, await journal.get(entry.job))
        await make_all(run, client, left, terms)


async def _try_disk(out: Path, earlier: Job | None) -> None:
    """See whether the disk takes a song before one is bought: no earlier run tells this one.

    Raises:
        DiskUnavailable: it does not.
    """
    if earlier is None or earlier.state.may_be_sent:
        await try_folder(out)


def _observe_and_tell(run: Run, event: Event) -> None:
    """Show the id by which the song can be found, where nothing else remembers it."""
    run.observe(event)
    if event.kind == "submitted" and event.task is not None:
        run.display.note(f"accepted as task {one_line(event.task.id)}")
