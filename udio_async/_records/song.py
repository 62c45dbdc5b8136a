"""What is being made, and what came of it: stages, failures, songs and tasks."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import attrs

from .._errors import GenerationFailed, ModerationFailed, UpstreamFailed


class Stage(StrEnum):
    """How far a task or a song has come.

    Stages only move forward, in the order in which they stand here, and may be skipped. They are
    text, too: `Stage.COMPLETE == "complete"`.

        done = [song for song in songs if song.stage is Stage.COMPLETE]
    """

    QUEUED = "queued"
    PROCESSING = "processing"
    TEXT_READY = "text"
    """Title and lyrics are there, the audio is not."""
    FIRST_AUDIO = "first"
    """Something can be listened to; it may be a live stream or only one of the songs."""
    COMPLETE = "complete"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Return whether nothing will change any more."""
        return self in (Stage.COMPLETE, Stage.FAILED)

    def is_before(self, other: "Stage") -> bool:
        """Return whether going from this stage to `other` is a step forward.

        Nothing is a step forward from a final stage.
        """
        return not self.is_final and _ORDER[self] < _ORDER[other]


_ORDER = {stage: place for place, stage in enumerate(Stage)}


def as_stage(value: Stage | str) -> Stage:
    """Return the stage that is meant, also where an adapter gives it as text.

    Raises:
        ValueError: there is no such stage.
    """
    return value if isinstance(value, Stage) else Stage(value)


class FailureKind(StrEnum):
    """The cause of a failed generation, as far as it is known.

    It says who can do something about it.

        for song in songs:
            if song.error is not None and song.error.kind is FailureKind.MODERATION:
                print("change the words of", song.title)
    """

    MODERATION = "moderation"
    """Content rules: change the words."""
    INPUT = "input"
    """The request was malformed or too long: change it."""
    UPSTREAM = "upstream"
    """The provider broke: try again later."""
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class Failure:
    """Why a task or one of its songs failed.

    `message` has the provider's own words, `advice` what to do. Both are in `str(failure)`.

        for song in songs:
            if song.error is not None:
                print(song.title, song.error.kind, song.error)
    """

    message: str
    kind: FailureKind = FailureKind.UNKNOWN
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.advice})" if self.advice else self.message


@attrs.frozen(kw_only=True)
class Song:
    """One song, the same record whichever provider made it.

    What a provider does not say is None. `raw` is its whole answer about this song. Links
    (`audio_url`, `image_url`) expire at the provider, after days or weeks: save the files, or keep
    `task_id` and look again.

        for song in await client.generate("a song about rain"):
            print(song.title, song.duration, song.audio_url)
    """

    id: str
    task_id: str
    provider: str
    index: int
    """Its place among the songs of its task, from 0."""
    stage: Stage = attrs.field(converter=as_stage)
    title: str | None = None
    lyrics: str | None = None
    tags: str | None = None
    """The style that the provider gave it."""
    duration: float | None = None
    """Seconds of audio."""
    model: str | None = None
    audio_url: str | None = None
    audio_is_final: bool = False
    """False for a live stream or a partial file: listen to it, do not keep it."""
    image_url: str | None = None
    created_at: datetime | None = None
    """With a time zone: the provider's own, or UTC where it names none."""
    error: Failure | None = None
    """Set when this song failed; the others of its task may be fine."""
    unverified: bool = False
    """A callback said so, and no look could confirm it: its task's id was never received."""
    job_key: str | None = attrs.field(default=None, eq=False)
    """The job that it was made for, where a client has handed it out."""
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)
    """What the provider said, word for word."""


@attrs.frozen(kw_only=True)
class Task:
    """What one look showed of an accepted request.

    A task has 0 to n songs, usually two. Songs may be missing at first; those that are there keep
    their ids and places.

        task = job.task
        print(task.id, task.stage, [song.title for song in task.songs])
    """

    id: str
    provider: str
    stage: Stage = attrs.field(converter=as_stage)
    songs: tuple[Song, ...] = ()
    percentage: float | None = None
    """0 to 100, where the provider says it."""
    status: str = ""
    """The provider's own word for the stage."""
    status_known: bool = True
    """False where nobody has documented that word: if nothing moves for three times as long as a
    song usually takes, the task is given up as failed."""
    settling: bool = False
    """True where the provider says it is done but the audio does not show it yet."""
    error: Failure | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)
    """What the provider said, word for word; a client keeps it once the task is final."""


_FAILURES: Mapping[FailureKind, type[GenerationFailed]] = {
    FailureKind.MODERATION: ModerationFailed,
    FailureKind.UPSTREAM: UpstreamFailed,
}


def failure_error(task: Task) -> GenerationFailed:
    """Return the error for a task that failed.

    It holds the songs that have a link, in `songs`: those that arrived all the same, and those that
    are said to have failed.
    """
    failure = task.error or Failure(message="the provider gave no reason")
    songs = tuple(song for song in task.songs if song.audio_url)
    count = sum(song.stage is not Stage.FAILED for song in songs)
    arrived = f"; {count} of its songs arrived all the same" if count else ""
    return _FAILURES.get(failure.kind, GenerationFailed)(
        f"{task.provider} task {task.id} failed: {failure}{arrived}",
        songs=songs,
        provider=task.provider,
        task_id=task.id,
    )
