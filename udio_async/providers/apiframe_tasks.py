"""Answers of apiframe about a task: songs, stages, failures.

`/fetch`, `/fetch-many` and webhooks show the same object (docs.apiframe.ai, v1). All here are pure
functions of what came: they send nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import cattrs

from .._errors import BadAnswer, CallbackRejected
from .._records import CallbackNews, Failure, FailureKind, Song, Stage, Task
from .._urls import as_link, is_stream
from .ids import find_id, find_ids
from .replies import message_in
from .songs import distinct_songs
from .unfold import as_list, from_text, snake_names, songs_in, songs_of_task
from .wire import (
    MAX_ENTRIES,
    Link,
    Number,
    OptionalId,
    OptionalText,
    Seconds,
    ShownText,
    excerpt,
    loads,
    make_converter,
    objects_in,
    structure,
)
from .words import (
    ENDED_BADLY,
    ENDED_WELL,
    KNOWN,
    RUNNING,
    WAITING,
    FailureTable,
    explain,
    is_message,
    plain,
)

# Tables --------------------------------------------------------------------------------------

STAGES: Mapping[str, Stage] = {
    **dict.fromkeys(WAITING, Stage.QUEUED),
    **dict.fromkeys(RUNNING, Stage.PROCESSING),  # "retry": the vendor tries again by itself
    **dict.fromkeys(ENDED_WELL, Stage.COMPLETE),
    **dict.fromkeys(ENDED_BADLY, Stage.FAILED),
}
"""Their words for a task. Any other means: still running, as long as something moves."""

_REWORD = "the content rules stopped it: change the words"
FAILURES: FailureTable = (
    ("moderation", FailureKind.MODERATION, _REWORD),
    ("moderated", FailureKind.MODERATION, _REWORD),
    ("inappropriate", FailureKind.MODERATION, _REWORD),
    ("guidelines", FailureKind.MODERATION, _REWORD),
    ("invalid param", FailureKind.INPUT, "check the request's fields"),
    (
        "internal error",
        FailureKind.UPSTREAM,
        "the provider broke: try again later, which costs again",
    ),
)
"""Words in a failure. No page lists any: these have been seen."""


# Wire models ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WireSong:
    """One song of a task as apiframe shows it; `duration` is in seconds."""

    song_id: OptionalId = None
    lyrics: ShownText = None  # may be there before the audio
    audio_url: Link = None
    song_path: Link = None  # on no page of this endpoint: Udio's own name for the link
    image_url: Link = None
    title: ShownText = None  # on no page of this endpoint, but seen
    tags: ShownText = None
    duration: Seconds = None

    @property
    def file(self) -> str | None:
        """Its link, if that leads to a file, and not to a live stream."""
        return None if is_stream(self.audio_url or "") else self.audio_url


@attrs.frozen(kw_only=True)
class WireTask:
    """A task as `/fetch`, `/fetch-many` and webhooks show it.

    Names are those on the wire. Every field may be missing; `percentage` is 0 to 100.
    """

    task_id: OptionalId = None
    task_type: OptionalText = None
    status: OptionalText = None
    percentage: Number = None
    songs: list[WireSong] | None = None  # absent while "staged"
    actions: Any = None  # of image tasks


converter = make_converter()


# Pure functions ------------------------------------------------------------------------------

_ID = ("task_id", "taskId")
_AROUND = ("task", "data", "tasks")
"""Names that have been seen around a task."""


def open_task(payload: object, task_id: str = "") -> object:
    """Return the task inside a payload, with its names in snake_case.

    It may be inside `{"task": ...}`, `{"data": ...}`, `{"tasks": [...]}`, a list, or two of these.
    Of a list, the task with this id is returned, or the only one. Without a task inside, the
    payload itself is returned.
    """
    inner: Any = payload
    for _ in range(len(_AROUND)):
        inner = from_text(inner)
        if isinstance(inner, list):
            only = inner[0] if len(inner) == 1 else None
            inner = next((one for one in inner if find_id(one, _ID) == task_id), only)
        if not isinstance(inner, Mapping):
            break
        fields = snake_names(inner)
        if "task_id" in fields or "songs" in fields:
            return fields
        inner = next(filter(None, map(fields.get, _AROUND)), None)
    return payload


def read_task(
    payload: object,
    *,
    task_id: str,
    provider: str = "apiframe",
    base: str = "",
    converter: cattrs.Converter = converter,
) -> Task:
    """Read a task, as `/fetch`, `/fetch-many` and webhooks show it.

    Args:
        payload: the JSON as it came.
        task_id: the task that was asked about.
        provider: its name, for messages and records.
        base: the provider's address, for links that are a path below it.
        converter: the tests' one refuses fields that nobody documented.

    Raises:
        BadAnswer: it is about another task, or of a shape that nobody documented.
    """
    opened = open_task(payload, task_id)
    fields = _without_messages(opened)
    where = f"{provider} task {excerpt(task_id)}"
    ids = [*find_ids(fields, _ID), *find_ids(payload, _ID)]  # `fields` has one spelling only
    if ids and task_id.strip() not in ids:
        found = excerpt(ids[0])
        raise BadAnswer(f"asked about task {excerpt(task_id)}, and the answer is about {found}")
    listed = songs_of_task(songs_in(fields, "songs"), task_id, is_named=bool(ids))
    shown = objects_in(listed, f"{where}, songs")
    named = [snake_names(song) for song in shown]
    wire = structure(converter, {**fields, "songs": named}, WireTask, about=where)
    songs = [_with_links(song, base) for song in wire.songs or ()]
    places = distinct_songs([(song.song_id, song.file) for song in songs], task_id)
    songs = [songs[place] for place in places.values()]
    stage, settling = judge_stage(plain(wire.status), songs)
    task = Task(
        id=task_id,
        provider=provider,
        stage=stage,
        percentage=_percentage(wire.percentage),
        status=wire.status or "",
        status_known=plain(wire.status) in KNOWN,
        settling=settling,
        error=_task_failure(wire, opened, payload) if stage is Stage.FAILED else None,
        raw=payload if isinstance(payload, Mapping) else {},
    )
    return attrs.evolve(
        task,
        songs=tuple(
            read_song(songs[index], shown[place], index, song_id=song_id, task=task)
            for index, (song_id, place) in enumerate(places.items())
        ),
    )


def _with_links(song: WireSong, base: str) -> WireSong:
    """Leave out links that lead nowhere; complete those below `base`."""
    audio = song.audio_url or song.song_path
    return attrs.evolve(
        song,
        audio_url=audio and as_link(audio, base),
        image_url=song.image_url and as_link(song.image_url, base),
    )


def _percentage(number: float | None) -> float | None:
    """Return the number if it can be a percentage, else None."""
    return number if number is not None and 0 <= number <= 100 else None


def _without_messages(payload: object) -> dict[str, Any]:
    """Leave out an error's words, which come as text, object or list.

    Raises:
        BadAnswer: it is not an object.
    """
    if not isinstance(payload, Mapping):
        raise BadAnswer("the answer is no task, which would be an object")
    return {name: payload[name] for name in payload if name not in ("message", "error", "errors")}


def judge_stage(word: str, songs: Sequence[WireSong]) -> tuple[Stage, bool]:
    """Return the stage of a task, and whether it still has to settle.

    A task settles while it says "finished", or every song has a file, and yet something is missing.
    The client then looks on for `Traits.settle` seconds, and takes the task as it is then.

    Args:
        word: the task's own word, as `plain` spells it.
        songs: its songs, without duplicates.
    """
    stage = STAGES.get(word, Stage.PROCESSING if word else Stage.QUEUED)
    if stage is Stage.FAILED:
        return stage, False
    heard = any(song.audio_url for song in songs)
    if stage is Stage.COMPLETE and heard and all(song.audio_url for song in songs):
        return stage, False
    # Some tasks never say that they are done, and some say so before their audio is there.
    has_files = bool(songs) and all(song.file for song in songs)
    settling = stage is Stage.COMPLETE or has_files
    if heard:
        return Stage.FIRST_AUDIO, settling
    if any(song.lyrics for song in songs):
        return Stage.TEXT_READY, settling
    return (Stage.PROCESSING if settling else stage), settling


def read_song(
    song: WireSong, raw: Mapping[str, Any], index: int, *, song_id: str, task: Task
) -> Song:
    """Translate one song of a task into a `Song`.

    `raw` is the song as it came and is kept in it.
    """
    stage = _song_stage(song, task)
    lost = Failure(message=f"the task is {excerpt(task.status)}, and this song has no audio")
    return Song(
        id=song_id,
        task_id=task.id,
        provider=task.provider,
        index=index,
        stage=stage,
        title=song.title,
        lyrics=song.lyrics,
        tags=song.tags,
        duration=song.duration,
        audio_url=song.audio_url,
        audio_is_final=stage is Stage.COMPLETE and song.file is not None,
        image_url=song.image_url,
        error=lost if stage is Stage.FAILED else None,
        raw=raw,
    )


def _song_stage(song: WireSong, task: Task) -> Stage:
    """Return one song's stage, by its audio and by its task's stage."""
    if song.audio_url:
        done = task.settling or task.stage.is_final
        return Stage.COMPLETE if done else Stage.FIRST_AUDIO
    if task.stage.is_final:
        return Stage.FAILED
    return Stage.TEXT_READY if song.lyrics else Stage.PROCESSING


def _task_failure(wire: WireTask, *told: object) -> Failure:
    """Return why a task failed, in the first words that say so."""
    found = filter(is_message, map(message_in, told))
    return explain(next(found, f"the provider says {wire.status!r} and no more"), FAILURES)


def read_webhook(body: bytes, *, base: str = "") -> CallbackNews:
    """Read what is posted to a webhook: the task, with its id.

    Args:
        body: the bytes as they came; the secret has been checked before.
        base: the provider's address, for links that are a path below it.

    Raises:
        CallbackRejected: it is not a task, or names no task.
    """
    try:
        payload = open_task(loads(body))
        task_id = find_id(payload)
        task = read_task(payload, task_id=task_id or "", base=base)
    except BadAnswer as error:
        raise CallbackRejected(f"the webhook cannot be read: {error}") from None
    if task_id is None:
        raise CallbackRejected("the webhook names no task")
    return CallbackNews(stage=task.stage, task_id=task.id, songs=task.songs, error=task.error)


def read_many(payload: object, task_ids: Sequence[str], *, base: str = "") -> list[Task]:
    """Read the answer of `/fetch-many`: `{"tasks": [...]}`.

    A bare list and `{"data": [...]}` have been seen as well, and are read. Tasks are matched by id,
    never by place. A task that the answer does not show is missing in the result, and so is one
    that cannot be read: the others are returned. A task that nobody asked about is left out.

    Raises:
        BadAnswer: there is no list, or none of the tasks that it shows can be read.
    """
    listed = isinstance(payload, Mapping) and (payload.get("tasks") or payload.get("data"))
    entries = as_list(listed) if isinstance(payload, Mapping) else payload
    if not isinstance(entries, list):
        raise BadAnswer("the answer to /fetch-many holds no list of tasks")
    shown = {find_id(entry, _ID): entry for entry in entries[:MAX_ENTRIES]}
    tasks: list[Task] = []
    flaws: list[BadAnswer] = []
    for task_id in filter(shown.__contains__, task_ids):
        try:
            tasks.append(read_task(shown[task_id], task_id=task_id, base=base))
        except BadAnswer as error:
            flaws.append(error)
    if flaws and not tasks:
        raise flaws[0]
    return tasks
