"""`resume`: whatever the journal in a folder holds unfinished."""

from functools import partial
from pathlib import Path

from ._execute import View, execute
from ._hints import Hints
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
) -> None:
    async with open_for(run, service, terms) as (client, _):
        entries, known = await read_unfinished(
            client, manifest, only_paid=only_paid, is_shared=is_shared
        )
        found = find_in_directory(
            entries,
            known,
            manifest,
            provider=client.provider.name,
            resubmits=terms.resubmits,
        )
        run.progress.left_alone = len(found.gone)
        if found.jobs:
            run.display.error(
                f"{counted(len(found.jobs), 'request')} left alone: by {MANIFEST} they were or may "
                "have been paid for, and the journal is older; their batch asks what to do"
            )
        entries = found.left_of(entries)
        run.progress.total = len(entries)
        await make_all(run, client, entries, terms)
