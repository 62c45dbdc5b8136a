"""Looking for ids in an answer: that of its task, and those of its songs.

Whatever a server wrote, nothing here raises. Each search ends after a fixed number of bytes or
levels.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from .replies import SEARCHED, ReadReply
from .wire import is_id

ID_PATHS = (
    "workId",
    "work_id",
    "data.workId",
    "data.work_id",
    "data.task_id",
    "data.taskId",
    "task_id",
    "taskId",
)
"""Where a reply may hold the task's id: each name that a page or a sample shows, at both places.

The `workId` comes first, as udioapi's feed is asked by it: a task id beside it may be that of the
service behind udioapi.
"""


def find_id(payload: object, paths: Sequence[str] = ID_PATHS) -> str | None:
    """Return the task's id from the first of these places that has one.

    A path is names joined by dots: "data.task_id". The id is opaque and kept as it is, without
    blanks around it; a number becomes its digits. None where there is no id.
    """
    return next(find_ids(payload, paths), None)


def find_ids(payload: object, paths: Sequence[str] = ID_PATHS) -> Iterator[str]:
    """Iterate over the ids at all of these places, in their order."""
    for path in paths:
        value = payload
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if is_id(value):
            yield str(value).strip()


def find_id_at(payload: object, path: str) -> str | None:
    """Return the id at the place that an adapter names, or None.

    A number in the path is a place in a list, from 0: "clips.0.id". A list of one stands for what
    is in it, and names are compared without regard to case.
    """
    value = payload
    for name in path.split("."):
        value = _below(value, name)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return str(value).strip() if is_id(value) else None


def _below(value: object, name: str) -> object:
    """Return what is under a name, or at a place, of a JSON value; None where there is nothing."""
    if isinstance(value, list):
        if name.isdecimal():
            return value[int(name)] if int(name) < len(value) else None
        value = value[0] if len(value) == 1 else None
    if not isinstance(value, dict):
        return None
    named = {key.lower(): inner for key, inner in value.items()}
    return value.get(name, named.get(name.lower()))


def find_id_in_text(body: bytes, paths: Sequence[str] = ID_PATHS) -> str | None:
    """Look for an id in a body that was cut or is not JSON.

    The task behind an id is paid for, so it is worth a search in broken text. A number counts only
    when something follows it: a cut may have left half of it.
    """
    names = "|".join(map(_name_in_text, paths))
    pattern = rf'(?:{names})\s*(?:"([^"\\\s]{{1,200}})"|(\d{{1,40}})\s*[,}}])'
    found = (one[1] or one[2] for text in _texts(body) for one in re.finditer(pattern, text))
    return next(filter(is_id, found), None)


def _name_in_text(path: str) -> str:
    """Return a pattern for what stands before an id: its name, and the list it is the first of."""
    names = [name for name in path.split(".") if not name.isdecimal()] or [path]
    listed = r"\s*\[" if path.endswith(".0") else ""
    return rf'"{re.escape(names[-1])}"\s*:{listed}'


def _texts(body: bytes) -> list[str]:
    """Return the body as text, in each encoding that it may have: its first bytes may mislead."""
    encodings = dict.fromkeys(("utf-8", json.detect_encoding(body).removesuffix("-sig")))
    return [body.decode(name, errors="replace") for name in encodings]


_ID_NAME = re.compile("(?:x-)?(?:task|work)[ _-]?ids?", re.IGNORECASE)
_TASK_NAME = re.compile("(?:task|work)s?", re.IGNORECASE)
# Blanks are never given back: of a long run of them each part would be tried, for hours.
_ID_IN_TEXT = re.compile(
    rf"""\b{_ID_NAME.pattern}["']?\s*+[:=]\s*+(?:\[\s*+)?"""
    r"""(?!["']?\s*+(?:0|-1|null|none|nil|undefined)(?:["'\s,}}\]]|$))"""
    r"""(?:["']\s*+[^"'\s]|[^"'\s,}}\]])""",
    re.IGNORECASE,
)


def names_task(read: ReadReply) -> bool:
    """Return whether a reply has anything like a task's id, at any place.

    Such a reply may be read as "taken", so it never counts as a refusal.
    """
    headers = read.reply.headers
    if any(_ID_NAME.fullmatch(name) and _is_given(headers[name]) for name in headers):
        return True
    if not read.is_json:
        return any(map(_ID_IN_TEXT.search, _texts(read.reply.body)))
    left = [read.payload]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if any(_names_task(name, value[name]) for name in value):
                return True
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, str) and _ID_IN_TEXT.search(value[:SEARCHED]):
            return True  # a text may hold JSON itself
    return False


def _names_task(name: str, value: object) -> bool:
    if _TASK_NAME.fullmatch(name) and isinstance(value, dict):
        return _is_given(value.get("id"))
    return _ID_NAME.fullmatch(name) is not None and _is_given(value)


def _is_given(value: object) -> bool:
    return bool(value) if isinstance(value, (dict, list)) else is_id(value)


_DEPTH = 3
_WIDTH = 12
"""How far a search for ids goes into an answer, whatever it holds."""
_NAMED = 4
"""Songs that are named, at most."""


def song_ids(payload: object, depth: int = _DEPTH) -> list[str]:
    """Return the ids of songs in an answer that has no task's id.

    At most `_NAMED` of them, from lists up to `_DEPTH` levels down. They are evidence for whoever
    settles the doubt, who compares them with the provider's own list.
    """
    listed = isinstance(payload, list)
    values: Iterable[object] = payload if isinstance(payload, list) else ()
    if isinstance(payload, Mapping):
        values = payload.values()
    found: list[str] = []
    for value in islice(values, _WIDTH):
        if listed and (name := find_id(value, ("id", "song_id"))) is not None:
            found.append(name)
        elif depth:
            found += song_ids(value, depth - 1)
        if len(found) >= _NAMED:
            break
    return found[:_NAMED]
