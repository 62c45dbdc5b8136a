"""What the journal holds for this run: what is not finished, or not in the directory."""

from pathlib import Path

import attrs

from .._client import Client
from .._names import file_name
from ..journal import Entry as Job
from ..journal import State
from ._input import Entry

_UNFINISHED = frozenset(State) - {State.SENDING, State.FAILED, State.ABANDONED, State.FORGOTTEN}


async def read_unfinished(client: Client, out: Path) -> list[Entry]:
    """Return the requests without an end, and those whose songs are not all in `out`."""
    return [
        Entry(client.request_of(job))
        async for job in client.jobs(_UNFINISHED)
        if job.state is not State.DELIVERED or not _is_saved(job, out)
    ]


def _is_saved(job: Job, out: Path) -> bool:
    title = job.request.get("title")
    named = [attrs.evolve(song, title=song.title or title) for song in job.songs]
    return all((out / file_name(song)).is_file() for song in named if song.error is None)
