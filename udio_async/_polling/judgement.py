"""Judgements about a task, from looks and refusals.

No clock and no I/O: the caller brings the time.
"""

import attrs

from .._errors import AccountError, RateLimited, RequestError, Unreachable, WaitExpired, restated
from .._records import Failure, Song, Stage, Task
from .._urls import sound_links_in, without_query
from ..providers.words import ENDED_BADLY, plain
from .tracked import NOTHING, TrackedTask, seen


def unfinished(task: Task, *, usual: int) -> Task:
    """Return a task that is over and shows fewer songs than usual as one that has to settle.

    A service may list its songs one by one, so another may come a moment later, and it is paid for.
    Where the task says itself that it has failed, no other comes.
    """
    shows_few = 0 < len(task.songs) < usual
    if not (task.stage.is_final and shows_few) or plain(task.status) in ENDED_BADLY:
        return task
    stage = Stage.FIRST_AUDIO if task.stage is Stage.COMPLETE else Stage.PROCESSING
    return attrs.evolve(task, stage=stage, settling=True)


def settled(tracked: TrackedTask, task: Task, now: float, *, settle: float) -> Task:
    """Return the task as over (`as_it_is`) once nothing has changed for `settle` seconds.

    The provider says "done", but not all audio is there yet. Until then, return it as it came.
    """
    # Not compared with `tracked.task`: that may be at a later stage, and would never be the same.
    tracked.settling = seen(tracked.settling, _songs_shown(task), now)
    decided_at = tracked.settling.since + settle
    tracked.decided_at = min(tracked.decided_at, decided_at)
    return task if now < decided_at else as_it_is(task)


def judged(tracked: TrackedTask, task: Task, now: float, *, patience: float) -> Task:
    """Return the task as over once its unknown word has lasted for `patience` seconds.

    Nothing else has changed in that time either. With audio it is complete, without it has failed.
    """
    tracked.unknown_word = seen(tracked.unknown_word, _shown(task), now)
    decided_at = tracked.unknown_word.since + patience
    tracked.decided_at = min(tracked.decided_at, decided_at)
    if now < decided_at:
        return task
    if any(song.audio_url for song in task.songs):
        return as_it_is(task)
    lost = Failure(
        message=f"it says {task.status!r}, which is no documented status, and nothing has "
        f"moved for {patience:.3g} s",
        advice="look at your account before asking again: it may be running",
    )
    return attrs.evolve(task, stage=Stage.FAILED, error=lost)


def _shown(task: Task) -> object:
    """Return all that changes while a task goes on."""
    return task.stage, task.status, task.percentage, _songs_shown(task)


def _songs_shown(task: Task) -> list[object]:
    """Return how far the songs are.

    Their order and their covers say nothing about that. Nor does the query of a link, which may be
    a signature that is new in each answer.
    """
    return [
        (song.id, song.stage, without_query(song.audio_url or ""), song.audio_is_final, song.error)
        for song in sorted(task.songs, key=lambda song: song.id)
    ]


def as_it_is(task: Task) -> Task:
    """Return the task as over: songs with audio are complete, others failed."""
    songs = tuple(map(_settled_song, task.songs))
    if any(song.error is None for song in songs):
        return attrs.evolve(task, stage=Stage.COMPLETE, songs=songs, error=None, settling=False)
    lost = next((song.error for song in songs), None)
    error = task.error or lost or Failure(message="the task is done, and it has no songs")
    if links := sound_links_in(task.raw):  # they are paid for, and the user has to find them
        named = f"{error.message}; but its answer has these links: {' '.join(links)}"
        error = attrs.evolve(error, message=named)
    return attrs.evolve(task, stage=Stage.FAILED, songs=songs, error=error, settling=False)


def _settled_song(song: Song) -> Song:
    if song.error is not None or song.stage is Stage.COMPLETE:
        return song
    if song.audio_url is not None:
        return attrs.evolve(song, stage=Stage.COMPLETE)
    lost = Failure(message="the task is done, and this song has no audio")
    return attrs.evolve(song, stage=Stage.FAILED, error=lost)


def kept(tracked: TrackedTask, task: Task) -> Task:
    """Return what is kept of a task until the next look.

    A batch may have ten thousand tasks, and nobody asks for their songs before the end. These would
    take most of the memory, and keep the garbage collector busy.
    """
    if tracked.is_seen or task.settling:
        return without_raw(task)
    return attrs.evolve(task, songs=(), raw=NOTHING)


def without_raw(task: Task) -> Task:
    """Drop the raw answers."""
    songs = tuple(attrs.evolve(song, raw=NOTHING) for song in task.songs)
    return attrs.evolve(task, songs=songs, raw=NOTHING)


def refusal(tracked: TrackedTask, error: AccountError) -> AccountError:
    """Return the error for a wait that ends because the provider refuses to tell any more.

    It holds the task's id.
    """
    return restated(
        error,
        f"{str(error).rstrip('.')}; task {tracked.task_id} keeps running there",
        provider=tracked.task.provider,
        task_id=tracked.task_id,
        charged="unknown" if _may_be_mistyped(tracked) else "yes",
    )


def not_known(tracked: TrackedTask, error: RequestError) -> RequestError:
    """Return the error that ends a wait because the provider does not know the task."""
    return restated(
        error,
        f"{str(error).rstrip('.')}{_if_mistyped(tracked)}",
        provider=tracked.task.provider,
        task_id=tracked.task_id,
        charged="unknown" if _may_be_mistyped(tracked) else "yes",
    )


def _may_be_mistyped(tracked: TrackedTask) -> bool:
    """Return whether nobody but the owner of the job has ever named this task."""
    seen = tracked.was_shown or tracked.id_is_confirmed
    return not seen and tracked.entry is not None and tracked.entry.told


def _if_mistyped(tracked: TrackedTask) -> str:
    if not _may_be_mistyped(tracked):
        return ""
    return "; you gave this id: if it is wrong, client.resolve() takes another"


def still_running(
    tracked: TrackedTask, when: str, *, unanswered: Exception | None = None
) -> WaitExpired:
    """Return the error for a wait that ends while the task goes on.

    `unanswered` is the reason why nothing newer is known.
    """
    seen = f"is still {tracked.task.stage} {when}"
    if unanswered is not None:
        why = str(unanswered).rstrip(".")
        seen = f"was {tracked.task.stage} when it was last seen, and no look told more ({why})"
    return WaitExpired(
        f"{tracked.task.provider} task {tracked.task_id} {seen}; "
        f"it keeps running there, look again with this id{_if_mistyped(tracked)}",
        provider=tracked.task.provider,
        task_id=tracked.task_id,
        charged="unknown" if _may_be_mistyped(tracked) else None,
    )


def is_unreadable(error: Exception) -> bool:
    """Return whether an answer came that made no sense.

    That may be the fault of a single task.
    """
    return not isinstance(error, (RateLimited, Unreachable))
