"""The requests of a journal that `resume` has to continue."""

import attrs

from .. import Client, Song
from ..journal import Entry as Job
from ..journal import State
from ._found import is_here
from ._input import Entry
from ._manifest import Manifest
from ._memories import Known

_UNFINISHED = frozenset(State) - {State.SENDING, State.FAILED, State.ABANDONED, State.FORGOTTEN}


async def read_unfinished(
    client: Client, manifest: Manifest, *, only_paid: bool
) -> tuple[list[Entry], Known]:
    """Return the requests that are not finished, and their states.

    A request is finished when all its songs are in the folder and in the manifest. With
    `only_paid`, those that would cost something are left out.
    """
    wanted = [state for state in _UNFINISHED if state.is_paid or not only_paid]
    entries: list[Entry] = []
    states: dict[str, State] = {}
    async for job in client.jobs(wanted):
        if job.state is not State.DELIVERED or not _is_done(job, manifest):
            entries.append(Entry(client.request_of(job), job=job.key))
            states[job.key] = job.state
    return entries, Known(states)


def _is_done(job: Job, manifest: Manifest) -> bool:
    title = job.request.get("title")
    named = [attrs.evolve(song, title=song.title or title) for song in job.songs]
    return all(_is_saved(song, manifest) for song in named if song.error is None)


def _is_saved(song: Song, manifest: Manifest) -> bool:
    record = manifest.record_of(song)
    return record is not None and is_here(song, manifest.directory, record)
