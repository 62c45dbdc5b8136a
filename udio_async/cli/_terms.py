"""The terms of a run: how many at once, for how much, with which journal; and its client."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import attrs

from .. import Client, Event, JournalError, MemoryJournal
from ..journal import Journal, State
from ._clients import open_client
from ._delivery import make_songs
from ._directory import prepare_directory
from ._input import Entry
from ._memories import Lost
from ._names import FILE_WAIT
from ._progress import Progress
from ._run import Run
from ._service import Service

_OPEN = [State.IN_DOUBT, State.SENDING]
"""What may have been taken: one whose answer could not be kept is a doubt of the next run."""
_TAKEN = [state for state in State if state.is_paid or state is State.ABANDONED]


@attrs.frozen(kw_only=True)
class Terms:
    """The limits of a run: how many at once, for how much, and its journal."""

    max_active: int | None = None
    """Requests in the making at once; None for as many as the service takes."""
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

    def prepare(self, out: Path | None = None) -> None:
        """Make the directory of the journal, and one for songs, where there is none.

        Raises:
            click.ClickException: it cannot be made, or not be written to.
        """
        for directory in (out, self.journal and self.journal.parent):
            if directory is not None:
                prepare_directory(directory)


@asynccontextmanager
async def open_for(
    run: Run, service: Service, terms: Terms, *, observer: Callable[[Event], object] | None = None
) -> AsyncGenerator[tuple[Client, Journal]]:
    """Open a client for the run, and see afterwards what it has left behind."""
    path = terms.journal
    journal = MemoryJournal() if path is None else service.journal(path, notes=True)
    async with open_client(
        service,
        journal,
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
        doubts = [entry.key async for entry in journal.entries(_OPEN)]
        taken = {entry.key: entry.task_id async for entry in journal.entries(_TAKEN)}
    except JournalError:  # then nothing is certain
        return
    progress.count_earlier(taken)
    ours = [key for key in doubts if not journal.durable or key in progress.jobs]
    progress.count_unheard(len(ours))


async def make_all(run: Run, client: Client, entries: list[Entry], terms: Terms) -> None:
    run.progress.price = client.provider.traits.credits_per_request
    run.progress.at_once = terms.max_active
    await make_songs(run, client, entries, max_active=terms.max_active)
