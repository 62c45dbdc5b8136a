"""Answers of udioapi.pro about a task: songs, stages, failures.

v1 shows a task flat (page "feed"), v2 in an envelope (page "v2 feed"), a callback as a bare list of
songs (page "generate with callback"). The songs are the same in all three.

All here are pure functions of what came: they send nothing. A song with odd or missing fields is
read without them, and never lost.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import cattrs

from .._errors import BadAnswer, CallbackRejected
from .._records import CallbackNews, Failure, FailureKind, Song, Stage, Task
from .._urls import as_link, is_stream
from .ids import find_id
from .replies import message_in
from .songs import distinct_songs
from .udioapi_failures import FAILURES
from .unfold import (
    as_songs,
    layers,
    names_this_task,
    open_envelope,
    snake_names,
    sole_song,
    songs_of_task,
    with_data,
)
from .wire import (
    Instant,
    Link,
    OptionalId,
    OptionalText,
    Seconds,
    ShownText,
    excerpt,
    loads,
    log_odd,
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
    explain,
    is_message,
    plain,
)

# Wire models ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Item:
    """One song as udioapi shows it, in a feed as in a callback.

    Names are those on the wire, in snake_case. Every field may be missing; `duration` is in
    seconds.
    """

    id: OptionalId = None
    audio_url: Link = None
    image_url: Link = None
    image_large_url: Link = None
    created_at: Instant = None
    create_time: Instant = None
    timestamp: Instant = None
    status: OptionalText = None
    title: ShownText = None
    prompt: ShownText = None  # the lyrics
    tags: ShownText = None  # style tags here, although the request's `tags` are negative
    duration: Seconds = None
    model_name: OptionalText = None
    extra_message: OptionalText = None
    fail_message: OptionalText = None
    error_message: OptionalText = None

    @property
    def failure(self) -> str | None:
        """What went wrong with it, or None. A failed item may still say "text"."""
        for said in (self.fail_message, self.error_message):
            if said and is_message(said):
                return said.strip()
        return self.status if plain(self.status) in ENDED_BADLY else None

    @property
    def file(self) -> str | None:
        """Its link, if that leads to a file, and not to a live stream."""
        return None if is_stream(self.audio_url or "", STREAM_HOSTS) else self.audio_url

    @property
    def has_file(self) -> bool:
        """Whether its link leads to a file."""
        return self.file is not None


@attrs.frozen(kw_only=True)
class Feed:
    """What the feed says about a task, without its envelope."""

    type: OptionalText = None
    response_data: list[Item] | None = None
    request_body: Any = None  # an echo; its names differ between pages
    created_at: Instant = None
    fail_message: OptionalText = None
    error_message: OptionalText = None
    task_id: OptionalId = None
    work_id: OptionalId = None


STREAM_HOSTS = ("audiopipe.suno.ai",)


# Stages --------------------------------------------------------------------------------------

ALL_DONE = "all generated successfully"
"""The `extra_message` that goes with complete songs, even where their status says "first"."""


def is_failed(payload: object) -> bool:
    """Return whether a feed in an envelope says that its task failed.

    It does when `data.type` is one of the words of `ENDED_BADLY`.
    """
    data = payload.get("data") if isinstance(payload, Mapping) else None
    word = data.get("type") if isinstance(data, Mapping) else None
    return isinstance(word, str) and plain(word) in ENDED_BADLY


def task_word(feed: Feed) -> str:
    """Return the provider's word for the state of the task.

    A callback has none: then it is the word that all its songs share, or "".
    """
    words = {item.status for item in feed.response_data or ()}
    return feed.type or (words.pop() if len(words) == 1 else None) or ""


def _words_of(feed: Feed) -> list[str | None]:
    """Return all words for a state in a feed: the task's and its songs'."""
    return [feed.type, *(item.status for item in feed.response_data or ())]


def goes_on(feed: Feed) -> bool:
    """Return whether a task says itself that it is still being made."""
    word = plain(feed.type)
    failed = any(said and is_message(said) for said in (feed.fail_message, feed.error_message))
    return bool(word) and word not in ENDED_BADLY | ENDED_WELL and not failed


def judge_stage(word: str, items: Sequence[Item], *, runs: bool) -> tuple[Stage, bool]:
    """Return the stage of a task, and whether it still has to settle.

    A task settles while it says "done" and does not show all its audio yet; or while it says that
    it runs and shows only songs that have failed, though not for what was asked: another may be
    listed later. The order of the checks matters: the documents' own samples say SUCCESS over songs
    that are still "text", and "first" over songs that are complete.

    Args:
        word: the task's own word, as `plain` spells it.
        items: its songs, without duplicates.
        runs: whether the task says itself that it is still being made.
    """
    alive = [item for item in items if not item.failure]
    if word in ENDED_BADLY:
        return Stage.FAILED, False
    if items and not alive:
        may_change = runs and not all(map(_is_refused, items))
        return (Stage.PROCESSING, True) if may_change else (Stage.FAILED, False)
    heard = any(item.audio_url for item in alive)
    if heard and _is_complete(word, alive):
        return Stage.COMPLETE, False
    done = word in ENDED_WELL or _says_done(alive)
    # Some tasks never say that they are done.
    if done or (alive and all(item.has_file for item in alive)):
        return (_stage_by_songs(word, alive) or Stage.PROCESSING), True
    return _stage_by_songs(word, alive) or _stage_by_word(word, has_items=bool(items)), False


def _is_complete(word: str, alive: Sequence[Item]) -> bool:
    """Return whether every song that has not failed has its final audio."""
    if word in ENDED_WELL and all(item.has_file for item in alive):
        return True
    running = word in RUNNING or word in WAITING
    if not running and all(item.has_file and _lower(item.status) == "complete" for item in alive):
        return True
    return _says_done(alive) and all(item.audio_url for item in alive)


def _is_refused(item: Item) -> bool:
    """Return whether a song has failed for what was asked: no later look will tell otherwise."""
    return explain(item.failure or "", FAILURES).kind in (FailureKind.MODERATION, FailureKind.INPUT)


def _says_done(alive: Sequence[Item]) -> bool:
    """Return whether the message of every song says that all is made."""
    return bool(alive) and all(ALL_DONE in _lower(item.extra_message) for item in alive)


def _stage_by_songs(word: str, alive: Sequence[Item]) -> Stage | None:
    """Return the stage that the songs themselves show, or None."""
    words = {word, *(_lower(item.status) for item in alive)}
    done = word in ENDED_WELL
    if "first" in words or any(item.has_file or (done and item.audio_url) for item in alive):
        return Stage.FIRST_AUDIO
    if "text" in words or any(item.title or item.prompt for item in alive):
        return Stage.TEXT_READY
    return None


def _stage_by_word(word: str, *, has_items: bool) -> Stage:
    """Return the stage by the task's word, where no song shows anything.

    An unknown word means: still running.
    """
    if word in WAITING or not word or not (has_items or word in RUNNING):
        return Stage.QUEUED
    return Stage.PROCESSING


def _lower(text: str | None) -> str:
    return (text or "").strip().lower()


# Reading -------------------------------------------------------------------------------------

converter = make_converter()


def read_task(
    payload: Any,  # noqa: ANN401  # JSON is anything
    *,
    task_id: str,
    provider: str,
    base: str = "",
    converter: cattrs.Converter = converter,
) -> Task:
    """Read a feed's answer, or a callback's list of songs.

    Any of their shapes will do: see `open_envelope`.

    Args:
        payload: the JSON as it came.
        task_id: the task that was asked about.
        provider: its name, for messages and records.
        base: the provider's address, for links that are a path below it.
        converter: the tests' one refuses fields that nobody documented.

    Raises:
        BadAnswer: it is about another task, or of a shape that nobody documented.
    """
    whole = with_data(payload)
    opened = open_envelope(whole)
    is_named = names_this_task(task_id, whole, *layers(whole), opened)
    where = f"{provider} task {excerpt(task_id)}"
    listed = songs_of_task(opened.get("response_data"), task_id, is_named=is_named)
    shown = objects_in(listed, f"{where}, response_data")
    named = [snake_names(song) for song in shown]
    feed = structure(converter, {**opened, "response_data": named}, Feed, about=where)
    linked = [_with_links(item, base) for item in feed.response_data or ()]
    items = [_believed(item, plain(task_word(feed)), where) for item in linked]
    places = distinct_songs([(item.id, item.file) for item in items], task_id)
    items = [items[place] for place in places.values()]
    stage, settling = judge_stage(plain(task_word(feed)), items, runs=goes_on(feed))
    task = Task(
        id=task_id,
        provider=provider,
        stage=stage,
        status=task_word(feed),
        status_known={plain(word) for word in _words_of(feed)} <= KNOWN,
        settling=settling,
        error=_task_failure(feed, items, payload) if stage is Stage.FAILED else None,
        raw=payload if isinstance(payload, Mapping) else opened,
    )
    return attrs.evolve(
        task,
        songs=tuple(
            read_song(items[index], shown[place], index, song_id=song_id, task=task)
            for index, (song_id, place) in enumerate(places.items())
        ),
    )


def _with_links(item: Item, base: str) -> Item:
    """Leave out links that lead nowhere; complete those below `base`."""
    shown = (item.audio_url, item.image_url, item.image_large_url)
    links = tuple(link and as_link(link, base) for link in shown)
    if links == shown:
        return item
    audio, image, large_image = links
    return attrs.evolve(item, audio_url=audio, image_url=image, image_large_url=large_image)


def _believed(item: Item, word: str, where: str) -> Item:
    """Leave out the error of a song that says that it is complete, and has its final file.

    Servers write warnings there, and words for "all went well". Where the task has failed (`word`
    is its own), the error is believed.
    """
    complete = item.has_file and plain(item.status) in ENDED_WELL and word not in ENDED_BADLY
    if not complete or item.failure is None:
        return item
    log_odd(f"{where}, the error of the complete song {excerpt(item.id or '')}", item.failure)
    return attrs.evolve(item, fail_message=None, error_message=None)


def shows_audio(payload: object) -> bool:
    """Return whether an answer holds a song with a link to it."""
    try:
        listed = as_songs(open_envelope(payload).get("response_data"))
        songs = objects_in(listed, "response_data")
    except BadAnswer:
        return False
    shown = ({"audio_url": snake_names(song).get("audio_url")} for song in songs)
    items = (structure(converter, link, Item, about="an answer, a song") for link in shown)
    return any(item.audio_url is not None and as_link(item.audio_url) for item in items)


def read_callback(body: bytes, *, provider: str, base: str = "") -> CallbackNews:
    """Read a callback: a bare list of songs, without their task's id.

    It may have an envelope, as a feed has; some post each song by itself.

    Args:
        body: the bytes as they came.
        provider: its name, for messages and records.
        base: the provider's address, for links that are a path below it.

    Raises:
        CallbackRejected: it is nothing of that, or it names no songs and no failure, or only one
            song by itself, that has failed: the others may be well.
    """
    try:
        payload = with_data(loads(body))
        song = sole_song(payload)
        alone = song is not None and (song is payload or not is_failed(payload))
        task_id = find_id(payload) or (None if alone else find_id(open_envelope(payload)))
        shown = [song] if alone else payload
        task = read_task(shown, task_id=task_id or "", provider=provider, base=base)
    except BadAnswer as error:
        raise CallbackRejected(f"the callback cannot be read: {error}", provider=provider) from None
    if (alone and task.stage is Stage.FAILED) or not (task.songs or task.stage is Stage.FAILED):
        raise CallbackRejected("the callback names no songs", provider=provider)
    return CallbackNews(stage=task.stage, task_id=task_id, songs=task.songs, error=task.error)


def _task_failure(feed: Feed, items: Sequence[Item], payload: object) -> Failure:
    """Return why a task failed, in the first words that say so."""
    said = [feed.fail_message, feed.error_message, *(item.failure for item in items)]
    found = (text for text in (*said, message_in(payload)) if text and is_message(text))
    return explain(next(found, f"the provider says {task_word(feed)!r} and no more"), FAILURES)


def read_song(item: Item, raw: Mapping[str, Any], index: int, *, song_id: str, task: Task) -> Song:
    """Translate one item of a task into a `Song`.

    `raw` is the item as it came and is kept in the song.
    """
    stage = _song_stage(item, task)
    failure = item.failure
    if stage is Stage.FAILED and failure is None:
        failure = f"the task is {excerpt(task.status or task.stage)}, and this song has no audio"
    return Song(
        id=song_id,
        task_id=task.id,
        provider=task.provider,
        index=index,
        stage=stage,
        title=item.title,
        lyrics=item.prompt,
        tags=item.tags,
        duration=item.duration,
        model=item.model_name,
        audio_url=item.audio_url,
        audio_is_final=stage is Stage.COMPLETE and item.has_file,
        image_url=item.image_url or item.image_large_url,
        created_at=item.created_at or item.create_time or item.timestamp,
        error=explain(failure, FAILURES) if failure else None,
        raw=raw,
    )


def _song_stage(item: Item, task: Task) -> Stage:
    """Return one song's stage, by its audio and not by its status.

    Songs of a task become ready one by one.
    """
    if item.failure:
        return Stage.FAILED
    if task.stage.is_final and not item.audio_url:
        return Stage.FAILED
    done = task.settling or task.stage is Stage.FAILED or _lower(item.status) == "complete"
    if task.stage is Stage.COMPLETE or (item.has_file and done):
        return Stage.COMPLETE
    if item.audio_url:
        return Stage.FIRST_AUDIO
    if item.title or item.prompt or _lower(item.status) in ("text", "first"):
        return Stage.TEXT_READY
    return Stage.PROCESSING
