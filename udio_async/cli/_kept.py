"""What the journal holds for a later run: the requests of stdin, and what is not finished."""

import attrs

from .._book import Keys
from .._records import ProviderOptions, Song, SongRequest
from .._tasks import open_tasks
from ..journal import Entry as Job
from ..journal import Journal, State
from ._found import is_here
from ._input import Entry
from ._manifest import Manifest

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
    journal: Journal, options: type[ProviderOptions], manifest: Manifest
) -> list[Entry]:
    """Return the requests without an end, and those whose songs are not all saved and told."""
    jobs = await journal.entries(_UNFINISHED | {State.READY})
    return [
        Entry(attrs.evolve(SongRequest.from_json(job.request, options), key=job.key))
        for job in jobs
        if job.state is not State.READY or not _is_done(job, manifest)
    ]


def _is_done(job: Job, manifest: Manifest) -> bool:
    title = job.request.get("title")
    named = [attrs.evolve(song, title=song.title or title) for song in job.songs]
    return all(_is_kept(song, manifest) for song in named if song.error is None)


def _is_kept(song: Song, manifest: Manifest) -> bool:
    record = manifest.record_of(song)
    return record is not None and is_here(song, manifest.directory, record)
