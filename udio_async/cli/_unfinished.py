"""The requests of a journal that `resume` has to continue."""

from collections.abc import AsyncIterator

import attrs

from .. import Client, Song
from ..journal import Entry as Job
from ..journal import State, is_fresh
from ..providers import readable_request_of
from ._entries import asked_for
from ._found import is_here
from ._hints import Hints
from ._input import Entry
from ._manifest import Manifest
from ._text import counted

_UNFINISHED = frozenset(State) - {State.SENDING, State.FAILED, State.ABANDONED, State.FORGOTTEN}
_OPEN = frozenset({State.PLANNED, State.ACCEPTED, State.READY, State.IN_DOUBT})
"""What is unfinished of a job that was asked for once, by `generate`: whoever asked was told of a
refusal."""


async def read_unfinished(
    client: Client, manifest: Manifest, *, only_paid: bool, is_shared: bool
) -> list[Entry]:
    """Return the requests that are not finished.

    A request is finished when all its songs are in the folder and in the manifest; one of
    `generate`, which writes no manifest, when they are in the folder, or were in one of those that
    share the journal (`is_shared`). With `only_paid`, those that would cost something are left out.
    """
    wanted = [state for state in _UNFINISHED if state.is_paid or not only_paid]
    return [
        Entry(readable_request_of(job, provider=client.provider), job=job.key)
        async for job in client.jobs(wanted)
        if not _is_over(job, manifest, is_shared=is_shared)
    ]


def _is_over(job: Job, manifest: Manifest, *, is_shared: bool) -> bool:
    of_generate = is_fresh(job.key) and not job.told
    if job.state is State.DELIVERED:
        return (of_generate and is_shared) or _is_done(job, manifest, told=not is_fresh(job.key))
    return of_generate and job.state not in _OPEN


def _is_done(job: Job, manifest: Manifest, *, told: bool) -> bool:
    """Return whether the songs are in the folder, and `told` of in the manifest if that counts."""
    title = job.request.get("title")
    named = [attrs.evolve(song, title=song.title or title) for song in job.songs]
    return all(_is_saved(song, manifest, told=told) for song in named if song.error is None)


def _is_saved(song: Song, manifest: Manifest, *, told: bool) -> bool:
    record = manifest.record_of(song)
    return (record is not None or not told) and is_here(song, manifest.directory, record)


async def iter_earlier(client: Client, hints: Hints, *, but: str) -> AsyncIterator[str]:
    """Say which earlier requests are paid for and not here, or may be, and what takes them up."""
    for states, what, command in (
        (
            [State.ACCEPTED, State.READY],
            "paid for and not finished; to take {} up",
            hints.resume_paid,
        ),
        ([State.IN_DOUBT], "in doubt; to see {}", hints.doubts),
    ):
        found = [job async for job in client.jobs(states) if job.key != but]
        if found:
            are, them = ("is", "it") if len(found) == 1 else ("are", "them")
            yield (
                f"{counted(len(found), 'earlier request')} ({asked_for(found[-1])}) "
                f"{are} {what.format(them)}: {command}"
            )
