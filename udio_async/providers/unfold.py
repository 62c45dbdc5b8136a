"""Answers in another form: names in camelCase, JSON within a text, lists within objects.

Documentation and services differ in all of these, and the songs in the answers are paid for. A
usual answer is not changed, and takes no time here. Nothing fails because of what a server wrote,
except with `BadAnswer` where that is said.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .._errors import BadAnswer
from .ids import find_ids
from .wire import excerpt, is_id, loads

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PLAIN_ID = re.compile(r"[\w.-]{1,200}", re.ASCII)
_AROUND = ("data", "result", "response")
"""Names that services use for an envelope around a task or its songs."""
_SONGS = ("response_data", "songs", "results", "clips", "tracks", "output")
"""Names that services use for the songs of a task."""
_LINKS = ("audio_url", "song_path")
_SONG_IDS = ("id", "song_id")
_TASK_IDS = ("task_id", "work_id")
_OWN_IDS = ("workId", "work_id", "task_id", "taskId")
_LEVELS = 4
"""So many envelopes are opened within the outermost one, at most."""


def snake_names(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object with its names in snake_case: `audioUrl` becomes `audio_url`.

    If an object has both, the value of the usual name counts, unless it is empty.
    """
    if "".join(fields).islower():
        return fields
    named: dict[str, Any] = {}
    for name, value in fields.items():
        usual = _snake(name)
        if not named.get(usual) or (name == usual and value):
            named[usual] = value
    return named


@lru_cache(maxsize=256)
def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()


def from_text(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the object or the list that a text of JSON holds; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return loads(value.encode())
        except BadAnswer:
            return value
    return value


def with_data(payload: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return an answer in which neither the whole nor `data` is a text of JSON."""
    payload = from_text(payload)
    if isinstance(payload, Mapping) and isinstance(payload.get("data"), str):
        return {**payload, "data": from_text(payload["data"])}
    return payload


def open_envelope(payload: Any) -> Mapping[str, Any]:  # noqa: ANN401  # JSON is anything
    """Return a task's own object out of any of its envelopes, with its names in snake_case.

    udioapi v1 shows it without an envelope, v2 inside `{"code": 200, "data": {...}}`, and a
    callback is a list of songs only. Servers also answer on one path in the form of the other, and
    put an envelope into an envelope. In the result the songs are `response_data`, whatever their
    name was, but still in a form that `as_songs` has to read.

    Raises:
        BadAnswer: the answer is neither an object nor a list.
    """
    around, songs = _descend(payload)
    opened = None if songs is None else {"response_data": songs}
    for envelope in reversed(around):
        opened = _opened(envelope, opened)
    if opened is None:
        raise BadAnswer("the answer is neither an object nor a list of songs")
    return opened


def layers(payload: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401  # JSON is anything
    """Return the objects around a task's songs, from the outside, in snake_case."""
    return [snake_names(envelope) for envelope in _descend(payload)[0]]


def _descend(payload: Any) -> tuple[list[Mapping[str, Any]], list[Any] | None]:  # noqa: ANN401  # JSON is anything
    """Return the envelopes from the outside in, and the list that is inside them, if there is one.

    A list of one envelope is opened as well, and is not counted as a level.
    """
    around: list[Mapping[str, Any]] = []
    inner = from_text(payload)
    while len(around) <= _LEVELS:
        if isinstance(inner, list):
            only = from_text(inner[0]) if len(inner) == 1 else None
            if not (isinstance(only, Mapping) and _is_around(only)):
                return around, inner
            inner = only
        if not isinstance(inner, Mapping):
            break
        around.append(inner)
        fields = snake_names(inner)
        if _is_task(fields) or _lists_songs(fields):
            break
        inner = _first_nested(fields, _AROUND)
    return around, None


def _opened(envelope: Mapping[str, Any], inner: dict[str, Any] | None) -> dict[str, Any]:
    """Return the task of an envelope; `inner` is the task of the one within it, if there is one."""
    fields = snake_names(envelope)
    own = {name: fields[name] for name in fields if name not in ("code", "message", *_AROUND)}
    if _lists_songs(fields):
        return own
    if inner is not None and inner.get("response_data"):
        return inner
    if _is_song(fields) and not _is_task(fields):
        return {**own, "response_data": [envelope]}
    songs = songs_in(fields, "response_data")
    if _holds_songs(songs):
        return {**own, "response_data": songs}
    return own if inner is None else inner


def _is_task(fields: Mapping[str, Any]) -> bool:
    """Return whether an object is a task of udioapi itself, not an envelope."""
    return "type" in fields and "response_data" in fields


def _lists_songs(fields: Mapping[str, Any]) -> bool:
    """Return whether an object has a list under the name for songs, in some form."""
    return isinstance(as_songs(_first_nested(fields, ("response_data",))), list)


def songs_in(fields: Mapping[str, Any], usual: str) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the value that holds the songs of a task, under the usual name or another one."""
    if _first_nested(fields, (usual,)) is None:
        for name in (*_SONGS, *_AROUND):
            if _holds_songs(fields.get(name)):
                return fields[name]
    return fields.get(usual)


def _holds_songs(value: object) -> bool:
    """Return whether a value is, in some form, a list of objects with a field for a link."""
    return _has_links(as_songs(value))


def _has_links(listed: object) -> bool:
    entries = listed if isinstance(listed, list) else []
    named = (snake_names(one) for one in entries if isinstance(one, Mapping))
    return any(name in fields for fields in named for name in _LINKS)


def _is_song(fields: Mapping[str, Any]) -> bool:
    """Return whether an object outside of any list is a song: with a link, and an id of a song.

    A task with a link, and with no id but its own, shows the track that it was made from.
    """
    task_ids = [fields.get(name) for name in _TASK_IDS]
    ids = filter(is_id, map(fields.get, _SONG_IDS))
    return "audio_url" in fields and any(one not in task_ids for one in ids)


def _is_around(entry: Mapping[str, Any]) -> bool:
    """Return whether an object is not a song, but an envelope around songs."""
    fields = snake_names(entry)
    return "audio_url" not in fields and _first_nested(fields, (*_SONGS, *_AROUND)) is not None


def sole_song(payload: Any, levels: int = _LEVELS) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the single song that a callback consists of, taken out of envelopes, or None.

    A song in a list does not count: the list may show all songs of a task.
    """
    payload = from_text(payload)
    if not isinstance(payload, Mapping):
        return None
    fields = snake_names(payload)
    inner = _first_nested(fields, (*_SONGS, *_AROUND))
    if inner is not None:
        return sole_song(inner, levels - 1) if levels else None
    shown = "id" in fields and ("audio_url" in fields or "status" in fields)
    return payload if shown else None


def _first_nested(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the first value under these names that is a non-empty object or list, or None."""
    values = (from_text(fields.get(name)) for name in names)
    return next((one for one in values if one and isinstance(one, Mapping | list)), None)


def as_songs(value: Any, task_id: str = "", levels: int = _LEVELS) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the list of songs that a value holds, as `as_list` does; any other value as it is.

    Here an object with an id may hold the list. Entries that name another task than `task_id` are
    left out: those songs are not ours.
    """
    value = from_text(value)
    if isinstance(value, Mapping):
        fields = snake_names(value)
        has_link = bool(fields.get("audio_url"))
        if has_link and not _is_song(fields):
            return value
        nested = None if has_link else _first_nested(fields, (*_SONGS, *_AROUND))
        songs = as_songs(nested, task_id, levels - 1) if nested is not None and levels else None
        if _has_links(songs):
            return [] if _is_of_another(value, task_id) else songs
        if isinstance(songs, Mapping):
            return value
    listed = as_list(value)
    if not (task_id and isinstance(listed, list)):
        return listed
    kept = [one for one in listed if not (_has_id(one) and _is_of_another(one, task_id))]
    return kept if len(kept) < len(listed) else listed


def _has_id(entry: object) -> bool:
    """Return whether a song has an id. If not, its task id may be its own id, in a wrong field."""
    fields = snake_names(entry) if isinstance(entry, Mapping) else {}
    return any(is_id(fields.get(name)) for name in _SONG_IDS)


def _is_of_another(entry: object, task_id: str) -> bool:
    """Return whether an object names a task other than the one that was asked about."""
    named = _tasks_named(entry)
    # A wrong field may hold any text, or a link: that does not name a task.
    return bool(task_id) and task_id not in named and any(map(_PLAIN_ID.fullmatch, named))


def _tasks_named(entry: object) -> list[str]:
    """Return the ids of tasks in an object."""
    fields = snake_names(entry) if isinstance(entry, Mapping) else {}
    return [str(one) for name in _TASK_IDS if is_id(one := fields.get(name))]


def names_this_task(task_id: str, *around: object) -> bool:
    """Return whether an answer names the task that was asked about; it may name none.

    One object may name it twice: beside our id stands that of the service behind udioapi. An
    object that names only others is another task's, also if ours is named around it: a gateway
    may add the id that was asked for to an answer that it has kept of another.

    Raises:
        BadAnswer: it is about another task.
    """
    inside = (one.get("data") for one in around if isinstance(one, Mapping))
    shown = [ids for one in (*around, *inside) if (ids := [*find_ids(one, _OWN_IDS)])]
    for ids in shown:
        if task_id.strip() not in ids:
            raise BadAnswer(
                f"asked about task {excerpt(task_id)}, and the answer is about {excerpt(ids[0])}"
            )
    return bool(shown)


def songs_of_task(value: Any, task_id: str, *, is_named: bool) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the list of songs that a value stands for, as `as_songs`, but never lose all of them.

    If the answer around them names the task (`is_named`), it is about that task: another id beside
    a song is then that of the service behind the provider. If a song names the task itself, others
    that name another one are left out all the same.

    Raises:
        BadAnswer: every song names another task, and nothing around them says which it is. They may
            be ours or not: that does not prove that the task has no songs, so ask again.
    """
    ours, every = as_songs(value, task_id), as_songs(value)
    if ours == every:
        return ours
    if is_named and not any(task_id in _tasks_named(one) for one in every):
        return every
    if not ours or (_has_links(every) and not _has_links(ours)):
        raise BadAnswer(f"asked about task {excerpt(task_id)}, and all songs name another one")
    return ours


def as_list(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the list of objects that a value holds; any other value as it is.

    The value may be a text of JSON, a list of such texts, a list in a list, an object that has the
    objects by id or number, an object around one list, or a single object with an id or a link.
    """
    value = from_text(value)
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], list):
            return as_list(value[0])
        return list(map(from_text, value)) if any(isinstance(one, str) for one in value) else value
    if not isinstance(value, Mapping):
        return value
    fields = snake_names(value)
    ids = (fields.get(name) for name in (*_SONG_IDS, "task_id"))
    if fields.get("audio_url") or any(isinstance(one, str | int) for one in ids):
        return [value]
    inner = list(value.values())
    if len(inner) == 1 and isinstance(inner[0], list):
        [inner] = inner
    return inner if all(isinstance(one, Mapping) for one in inner) else value
