"""What the folder knows and the journal does not: it is told, or fetched again.

No request of it is submitted.
"""

import json
from collections.abc import Sequence

import anyio
import attrs

from .. import Client, Outcome, Stage, Task, UdioError, WaitExpired
from .._concurrency import open_tasks
from .._records import failure_error
from ..journal import Journal, read_note, texts_in
from ._delivery import deliver
from ._disagreement import name_of
from ._known import SETTLED, SETTLED_SONGS, fingerprint_in
from ._memories import Found, Had
from ._remedies import explain
from ._run import Run
from ._text import counted

_AT_ONCE = 4


async def take_found(run: Run, client: Client, journal: Journal, found: Found) -> None:
    """Tell the songs that are here, and fetch those that are gone."""
    if journal.durable:
        await _settle(journal, found)
    await _tell_had(run, found.had)
    with run.stop.stoppable():
        await _fetch_gone(run, client, found.gone)


async def _settle(journal: Journal, found: Found) -> None:
    """Remember what the user was asked about: it is not asked again."""
    songs = map(fingerprint_in, found.strange) if found.is_answered else ()
    for note, new in ((SETTLED, found.jobs), (SETTLED_SONGS, frozenset(songs))):
        if new:
            known = await read_note(journal, note, texts_in) or ()
            await journal.note(note, json.dumps(sorted(new.union(known))))


async def _tell_had(run: Run, had: Sequence[Had]) -> None:
    """Write the songs that are here, and count what is not submitted."""
    for one in had:
        songs = 0
        if run.out is not None:
            for line in one.lines(run.out):
                await run.show(line)
                songs += 1
        run.progress.deliver("", None, songs=songs, ok=True)


async def _fetch_gone(run: Run, client: Client, gone: Sequence[Had]) -> None:
    """Fetch the songs whose tasks are known, which costs nothing; the others are left alone."""
    progress, slots = run.progress, anyio.Semaphore(_AT_ONCE)
    progress.gone.update(one.entry.job for one in gone)
    async with open_tasks() as tasks:
        for one in gone:
            await slots.acquire()
            tasks.start_soon(_fetch, run, client, one, slots)
    if progress.left_alone:
        run.display.say(
            f"{counted(progress.left_alone, 'request')} left alone: they were or may have been "
            "paid for; look for them in your account, or add --again to pay again"
        )


async def _fetch(run: Run, client: Client, one: Had, slots: anyio.Semaphore) -> None:
    try:
        outcome = await _look(client, one)
    except UdioError as error:
        run.progress.total -= 1
        run.progress.left_alone += 1
        run.progress.told.add(one.entry.job)
        run.display.error(f"{name_of(one.entry)} is left alone: {explain(error)}")
        slots.release()
    else:
        await run.space.take()
        await deliver(run, client, outcome, one.entry, slots)


async def _look(client: Client, one: Had) -> Outcome:
    """Return what became of a request.

    Raises:
        UdioError: that cannot be told, or it is still being made.
    """
    if not one.task_ids:
        others = one.earlier is not None and one.earlier.words is not None
        why = "its key is that of another request" if others else "what became of it is not known"
        raise WaitExpired(why)
    tasks: list[Task] = []
    for task_id in one.task_ids:
        tasks.append(await client.look(task_id))
        if not tasks[-1].stage.is_final:
            raise WaitExpired(f"task {task_id} is still being made", task_id=task_id)
    failed = [failure_error(task) for task in tasks if task.stage is Stage.FAILED]
    request = one.entry.request
    return Outcome(
        index=0,
        request=request,
        task_id=one.task_ids[-1],
        # A file without a title of its own has that of its request in its name.
        songs=tuple(
            attrs.evolve(song, title=song.title or request.title)
            for task in tasks
            for song in task.songs
        ),
        error=failed[-1] if failed else None,
    )
