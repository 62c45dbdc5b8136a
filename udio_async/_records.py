"""Values that go in and come out: requests, songs, tasks, outcomes.

All are frozen attrs classes, the same for every provider. Durations are seconds, times have a time
zone. A request is checked when it is made, before anything can be sent for it.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Self

import attrs

from ._errors import (
    GenerationFailed,
    InvalidRequest,
    ModerationFailed,
    UdioError,
    UpstreamFailed,
)
from ._validators import yes_or_no

VocalGender = Literal["male", "female"]


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


def _meaningful(_request: object, field: "attrs.Attribute[str | None]", value: object) -> None:
    """Refuse text that is empty or that no provider could store.

    That is NUL and lone surrogates.
    """
    if value is None:
        return
    if not isinstance(value, str):
        raise InvalidRequest(f"{field.name} is {type(value).__name__} {value!r}; give text")
    if not value.strip():
        raise InvalidRequest(f"{field.name} is empty; leave it out or give some text")
    bad = next((char for char in value if char == "\0" or "\ud800" <= char <= "\udfff"), None)
    if bad is not None:
        raise InvalidRequest(
            f"{field.name} contains {bad!r}, which is no text; remove it before sending"
        )


def _gender(_request: object, field: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse any voice but the two that providers know."""
    if value not in (None, "male", "female"):
        raise InvalidRequest(f"{field.name} is {value!r}; known: 'male', 'female'")


def _wire_fields(_request: object, field: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse what is no JSON object: its fields have names."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise InvalidRequest(f"{field.name} is {value!r}; give wire fields by name")


def _job_key(_request: object, field: "attrs.Attribute[str | None]", value: object) -> None:
    """Refuse a key that journals and command lines could not show."""
    name = value.partition(" (attempt ")[0] if isinstance(value, str) else ""
    if value is not None and not (name and str(value).isprintable() and len(name) <= 200):
        raise InvalidRequest(f"{field.name} is {value!r}; give 1 to 200 printable characters")


@attrs.frozen
class ProviderOptions:
    """Options that only one provider knows; each has its own subclass."""


def _provider_options(
    _request: object, field: "attrs.Attribute[ProviderOptions | None]", value: object
) -> None:
    if value is not None and not isinstance(value, ProviderOptions):
        raise InvalidRequest(
            f"{field.name} is {value!r}; give UdioApiOptions(...) or ApiframeOptions(...)"
        )


@attrs.frozen(kw_only=True)
class SongRequest:
    """A request for songs, whichever provider makes them.

    One request usually gives two songs, and is paid for once. It needs `description` (the provider
    writes the lyrics) or `lyrics` (your own); which of the other fields go with which is the
    provider's rule, checked before anything is sent.

        SongRequest(description="a song about rain", instrumental=True)
        SongRequest(lyrics="[Verse] Rain again", style="folk", title="Rain", key="rain-1")

    It is a frozen value: the same object may be submitted as often as you like.

    Raises:
        InvalidRequest: for an empty or impossible field. Nothing is ever sent for it.
    """

    description: str | None = attrs.field(default=None, validator=_meaningful)
    """What the song is about."""
    lyrics: str | None = attrs.field(default=None, validator=_meaningful)
    """The words to sing. On udioapi they exclude `description`."""
    style: str | None = attrs.field(default=None, validator=_meaningful)
    """Genre, mood, tempo: "pop, upbeat, 120 bpm"."""
    title: str | None = attrs.field(default=None, validator=_meaningful)
    """The song's name. apiframe has none: there it is only kept on the `Song`."""
    negative_tags: str | None = attrs.field(default=None, validator=_meaningful)
    """What to avoid: "sad, slow". Called `tags` by udioapi, `negative_prompt` by apiframe."""
    instrumental: bool = attrs.field(default=False, validator=yes_or_no)
    model: str | None = attrs.field(default=None, validator=_meaningful)
    """A model name as the provider spells it, known to us or not; None takes its default."""
    vocal_gender: VocalGender | None = attrs.field(default=None, validator=_gender)
    options: ProviderOptions | None = attrs.field(default=None, validator=_provider_options)
    """`UdioApiOptions` or `ApiframeOptions`, for what only that provider knows."""
    extra: Mapping[str, Any] = attrs.field(factory=dict, validator=_wire_fields, hash=False)
    """Raw wire fields, sent as they are and over ours: for what is newer than this library."""

    key: str | None = attrs.field(default=None, validator=_job_key)
    """A name of your own for this job: the same key is the same job, and is paid for once."""

    def __attrs_post_init__(self) -> None:
        if self.description is None and self.lyrics is None and not self.extra:
            raise InvalidRequest("the request has neither description nor lyrics; give one of them")

    def as_json(self) -> dict[str, Any]:
        """Return what is asked for as plain JSON, without the key.

        Equal requests give equal JSON: fields with their default value are left out.
        """
        values = {
            field.name: value
            for field in attrs.fields(type(self))
            if field.name not in ("key", "options", "extra")
            and (value := getattr(self, field.name)) != field.default
        }
        if self.options is not None:
            known = attrs.asdict(self.options)
            values["options"] = {name: value for name, value in known.items() if value is not None}
        return {**values, "extra": dict(self.extra)} if self.extra else values

    @classmethod
    def from_json(cls, data: Mapping[str, Any], options: type[ProviderOptions]) -> Self:
        """Return the request that `as_json` described.

        Args:
            data: what `as_json` returned, perhaps in an earlier run.
            options: the class of the provider's options, `provider.traits.options`.

        Raises:
            InvalidRequest: it describes no request, or has fields that this version does not know.
        """
        values = dict(data)
        try:
            if "options" in values:
                values["options"] = options(**values["options"])
            return cls(**values)
        except TypeError as error:
            raise InvalidRequest(f"{data!r} describes no request: {error}") from error


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
    stage: Stage
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
    stage: Stage
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

    It holds the songs that arrived all the same, in `songs`.
    """
    failure = task.error or Failure(message="the provider gave no reason")
    return _FAILURES.get(failure.kind, GenerationFailed)(
        f"{task.provider} task {task.id} failed: {failure}",
        songs=tuple(
            song for song in task.songs if song.audio_url and song.stage is not Stage.FAILED
        ),
        provider=task.provider,
        task_id=task.id,
    )


@attrs.frozen(kw_only=True)
class CallbackAddress:
    """The address for a provider's callbacks, and the secret to show there.

    The client makes one for each submit. `secret` is None where the provider has no place for it.
    """

    url: str
    secret: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class CallbackNews:
    """What a callback says of its task.

    That is how far it is, and either its id (apiframe) or its songs (udioapi v1). Nothing of it is
    proved: a look at the task is.
    """

    stage: Stage
    task_id: str | None = None
    songs: tuple[Song, ...] = ()
    """Their `task_id` is empty where the callback names none."""
    error: Failure | None = None


@attrs.frozen(kw_only=True)
class Credits:
    """What the account has left, in the provider's credits.

    What a credit is worth is the provider's own affair.

        left = await client.credits()
        print(left.provider, left.remaining)
    """

    provider: str
    remaining: float
    used: float | None = None
    plan: str | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Outcome:
    """How one request of a batch ended.

    It has songs, or the error that kept them away.

        if outcome.error is None:
            print([song.audio_url for song in outcome.songs])
        else:
            print(outcome.request, outcome.error)
    """

    index: int
    """The request's place in the input, from 0."""
    request: SongRequest | str
    job_key: str | None = None
    """The job's name in the journal."""
    task_id: str | None = None
    songs: tuple[Song, ...] = ()
    """What arrived; with an error, whatever arrived all the same."""
    error: UdioError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no error. One song may have failed: see `Song.error`."""
        return self.error is None
