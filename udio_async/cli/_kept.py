"""What the journal holds for a later run: the requests of stdin, and what is not finished."""

from pathlib import Path

import attrs

from .._book import Keys
from .._names import file_name
from .._records import ProviderOptions, SongRequest
from .._tasks import open_tasks
from ..journal import Entry as Job
from ..journal import Journal, State
from ._input import Entry

_UNFINISHED = frozenset({State.ACCEPTED, State.IN_DOUBT, State.REFUSED, State.NOT_SENT})


async def keep_all(journal: Journal, entries: list[Entry], provider: str) -> None:
    """Keep requests that can be read only once, under the keys that the batch will give them."""
    keys = Keys()
    async with open_tasks() as tasks:
        for entry in entries:
            job = Job(
                key=keys.name(entry.request),
                provider=provider,
                request=entry.request.as_json(),
                state=State.NOT_SENT,
                attempt=0,
            )
            tasks.start_soon(journal.add, job)


async def read_unfinished(
    journal: Journal, options: type[ProviderOptions], out: Path
) -> list[Entry]:
    """Return the requests without an end, and those whose songs are not all in `out`."""
    jobs = await journal.entries(_UNFINISHED | {State.READY})
    return [
        Entry(attrs.evolve(SongRequest.from_json(job.request, options), key=job.key))
        for job in jobs
        if job.state is not State.READY or not _is_saved(job, out)
    ]


def _is_saved(job: Job, out: Path) -> bool:
    title = job.request.get("title")
    named = [attrs.evolve(song, title=song.title or title) for song in job.songs]
    return all((out / file_name(song)).is_file() for song in named if song.error is None)
