"""`batch`: the songs of every request in a file."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

import attrs

from ..journal import BatchKeys
from ._checks import left_to_make, look_in
from ._execute import View, execute
from ._failures import say
from ._hints import Hints
from ._input import Entry, read_entries
from ._manifest import open_directory
from ._memories import Found
from ._plan import confirm, make_plan
from ._rows import Format
from ._run import Run
from ._service import Service
from ._terms import Terms, make_all, open_for


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
    manifest = open_directory(out, quiet=view.quiet, sandbox=service.is_sandbox)
    terms.prepare()
    known, found = look_in(manifest, entries, service, terms, backend=view.backend, is_file=True)
    plan = make_plan(
        entries,
        known,
        found,
        provider,
        resubmits=terms.resubmits,
        max_submits=terms.max_submits,
        max_credits=terms.max_credits,
    )
    yes = terms.yes or service.is_sandbox
    if not view.quiet:
        say(str(reading.preview))
    confirm(plan, provider, yes=yes, quiet=view.quiet)
    work = partial(
        _make,
        entries=entries,
        service=service,
        terms=terms,
        found=found,
        forgotten=known.renamed(entries, found.jobs),
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


async def _make(
    run: Run,
    *,
    entries: list[Entry],
    service: Service,
    terms: Terms,
    found: Found,
    forgotten: Sequence[str],
    keep: bool,
) -> None:
    async with open_for(run, service, terms) as (client, journal):
        if journal.durable and keep:
            await client.keep(entry.request for entry in found.left_of(entries))
        for key in forgotten:  # or `resume` would submit it once more, under its old key
            await client.forget(key)
            run.display.note(f"{key!r} is taken back: a row asks for the same by another key")
        left = await left_to_make(run, client, journal, entries, found)
        await make_all(run, client, left, terms)
