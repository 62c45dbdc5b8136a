"""`generate`: the songs of one request."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from .. import Event, UdioError
from ..journal import FreshKeys
from ._checks import left_to_make, look_for_one
from ._execute import View, execute
from ._failures import BadInput, reason_of
from ._hints import Hints
from ._input import Entry, read_request
from ._memories import Found
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
    terms.prepare(out)
    is_named = entry.request.key is not None
    if terms.journal is not None:
        key = FreshKeys().name(entry.request)
        entry = Entry(attrs.evolve(entry.request, key=key), job=key)
    found = Found(waiting=(entry,))
    if is_named and out is not None:
        found = look_for_one(out, entry, service, terms, backend=view.backend)
    work = partial(_make_one, entry=entry, found=found, service=service, terms=terms)
    return execute(work, requests=1, view=view, out=out, hints=hints, file_wait=terms.file_wait)


async def _make_one(
    run: Run, *, entry: Entry, found: Found, service: Service, terms: Terms
) -> None:
    told = terms.journal is not None or service.is_sandbox
    observer = run.observe if told else partial(_observe_and_tell, run)
    async with open_for(run, service, terms, observer=observer) as (client, journal):
        if run.hints is not None:
            async for line in iter_earlier(client, run.hints, but=entry.job):
                run.display.note(line)
        left = await left_to_make(run, client, journal, [entry], found)
        await make_all(run, client, left, terms)


def _observe_and_tell(run: Run, event: Event) -> None:
    """Show the id by which the song can be found, where nothing else remembers it."""
    run.observe(event)
    if event.kind == "submitted" and event.task is not None:
        run.display.note(f"accepted as task {one_line(event.task.id)}")
