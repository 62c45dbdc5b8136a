"""`resume`: whatever the journal in a folder holds unfinished."""

from functools import partial
from pathlib import Path

from ._checks import with_room
from ._disagreement import songs_in
from ._execute import View, execute
from ._hints import Hints
from ._journal_file import journal_beside
from ._known import known_by, with_beside
from ._manifest import MANIFEST, Manifest, open_directory
from ._memories import find_in_directory
from ._run import Run
from ._service import Service
from ._terms import Terms, make_all, open_for
from ._text import counted
from ._unfinished import read_unfinished


def resume_all(
    service: Service, out: Path, view: View, terms: Terms, *, hints: Hints, only_paid: bool
) -> int:
    """Make whatever the journal holds unfinished, or of that what is paid for."""
    service.provider()  # a wrong option or a missing key shows before anything is started
    manifest = open_directory(out, quiet=view.quiet, sandbox=service.is_sandbox)
    work = partial(
        _resume,
        service=service,
        terms=terms,
        manifest=manifest,
        only_paid=only_paid,
        is_shared=terms.journal is not None and terms.journal.parent.resolve() != out.resolve(),
        beside=journal_beside(terms.journal, out),
    )
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


async def _resume(
    run: Run,
    *,
    service: Service,
    terms: Terms,
    manifest: Manifest,
    only_paid: bool,
    is_shared: bool,
    beside: Path | None,
) -> None:
    async with open_for(run, service, terms) as (client, journal):
        entries = await read_unfinished(client, manifest, only_paid=only_paid, is_shared=is_shared)
        provider = client.provider.name
        known = await known_by(client, journal)
        found = find_in_directory(
            entries,
            await with_beside(known, beside, provider),
            manifest,
            provider=provider,
            resubmits=terms.resubmits,
        )
        run.progress.left_alone = len(found.gone)
        if found.jobs:
            run.display.error(
                f"{counted(len(found.jobs), 'request')} left alone: by {MANIFEST} or another "
                "journal they were or may have been paid for; their batch asks what to do"
            )
        left = found.left_of(entries)
        if found.strange and found.waiting:
            left = found.paid_of(left)
            run.progress.left_alone += len(found.waiting)
            run.display.error(
                f"{counted(len(found.waiting), 'request')} left alone: neither the journal nor "
                f"{MANIFEST} tells of {songs_in(found)}; if they are not theirs, move them to "
                "another folder, and run this again"
            )
        run.progress.total = len(left)
        if not found.strange:
            left = await with_room(run, left, found)
        await make_all(run, client, left, terms)
