"""What must be true of everything that was read, said without a reader of ours."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import udio_async as ua
from udio_async.providers.kit import Reply

from .cases import Broken
from .records import is_text, iter_flaws
from .ways import KEY, Way

TASK_NAMES = ("workId", "work_id", "task_id", "taskId")
MOST_WORDS = 1000
"""Characters of a message."""
SMALL = 50_000
"""Bytes of an answer of which it is promised that each of its songs is read."""
MOST_BRACKETS = 5_000
"""Brackets of such an answer, also within texts: that many are counted before it is read."""


def keep(way: Way, reply: Reply, result: object, calls: int) -> None:
    """Check what a way has made of an answer: a result, or the error that it raised.

    Raises:
        Broken: a promise was not kept.
    """
    flaws = list(_flaws_of_result(way, result, calls))
    if way.verb == "submit":
        flaws += _flaws_of_verdict(reply, result)
    if way.verb == "look":
        flaws += _flaws_of_promised(way, reply, result)
    if flaws:
        raise Broken("; ".join(flaws))


def keep_alone(way: Way, result: object, calls: int) -> None:
    """Check what came of an answer of which nobody knows how much has arrived."""
    if flaws := list(_flaws_of_result(way, result, calls)):
        raise Broken("; ".join(flaws))


def outcome_of(result: object) -> str:
    """Return an outcome in a word, for the counts."""
    return type(result).__name__ if isinstance(result, ua.UdioError) else "read"


def _flaws_of_result(way: Way, result: object, calls: int) -> Iterator[str]:
    if way.verb == "submit":
        if calls > 1:
            yield f"a paid request was sent {calls} times"
        yield from _flaws_of_submit(result)
    if isinstance(result, ua.UdioError):
        yield from _flaws_of_error(way, result)
    elif way.verb == "look":
        yield from _flaws_of_tasks(way, result)
    elif isinstance(result, ua.CallbackNews):
        yield from iter_flaws(result)
        yield from _flaws_of_songs(result.songs, result.task_id or "", way)
    elif isinstance(result, ua.Credits):
        yield from iter_flaws(result)
    elif way.verb != "submit":
        yield f"{way.verb} gave {result!r:.100}"


# Errors ----------------------------------------------------------------------------------------

_DOCUMENTED: Mapping[str, tuple[type[ua.UdioError], ...]] = {
    "submit": (ua.RequestRefused, ua.AccountError, ua.ProviderUnavailable, ua.SubmitInDoubt),
    "look": (ua.RequestRefused, ua.AccountError, ua.ProviderUnavailable),
    "credits": (ua.AccountError, ua.ProviderUnavailable),
    "callback": (ua.CallbackRejected,),
}
"""What `Provider` says that each method raises, of what an answer can be the reason for."""


def _flaws_of_error(way: Way, error: ua.UdioError) -> Iterator[str]:
    said = str(error)
    if not isinstance(error, _DOCUMENTED[way.verb]):
        yield f"{way.verb} is not documented to raise {type(error).__name__}: {said}"
    if not is_text(said) or len(said) > MOST_WORDS or KEY in said:
        yield f"a message of {len(said)} characters, which nobody can be shown: {said[:200]!r}"
    if error.provider not in (way.provider.name, None if way.verb == "callback" else ""):
        yield f"the error does not say whose it is: {error.provider}"
    wait = getattr(error, "retry_after", None)
    if wait is not None and not 0 <= wait < float("inf"):
        yield f"nobody can wait {wait} s"


# Submits: the money ----------------------------------------------------------------------------

_MAY_REFUSE = {*range(300, 500), 503, 521, 523, 525, 526} - {303, 408, 409}
"""Statuses of answers that may say that nothing was taken."""
_SAYS_SO = re.compile(
    r"credit|balance|funds|coins|quota|payment|top.?up|recharge|subscription|plan|trial|too long"
    "|余额不足|积分不足|点数不足|额度不足",
    re.IGNORECASE,
)
_ID_IN_TEXT = re.compile(rf'(?="(?:{"|".join(TASK_NAMES)})"\s*:\s*(?:"([^"]*)"?|(\d+)))')
"""It looks ahead only, so that one may begin within another."""


def _flaws_of_submit(result: object) -> Iterator[str]:
    """A submit is accepted with an id, refused and not charged, or in doubt: nothing else."""
    if isinstance(result, str):
        if not result.strip() or not is_text(result):
            yield f"accepted as {result!r:.100}"
    elif isinstance(result, ua.SubmitInDoubt):
        if (result.charged, result.may_repeat) != ("unknown", False) or not result.evidence:
            yield f"a doubt that is none: {result.charged}, {result.may_repeat}"
    elif not isinstance(result, ua.UdioError) or result.charged != "no":
        yield f"neither accepted, nor refused, nor in doubt: {result!r:.100}"


def _flaws_of_verdict(reply: Reply, result: object) -> Iterator[str]:
    """What names a task is no refusal, and a refusal has to be one."""
    ids = ids_in(reply)
    if isinstance(result, str):
        if result not in ids:
            yield f"accepted as {result!r:.100}, which the answer does not name"
    elif isinstance(result, ua.UdioError) and result.charged == "no":
        if ids:
            yield f"{type(result).__name__} says that nothing was taken, and the answer names {ids}"
        if not may_refuse(reply):
            yield f"{type(result).__name__} says that nothing was taken, and nothing else does"


def ids_in(reply: Reply) -> set[str]:
    """Return what may be the id of a task, anywhere in an answer."""
    names = {"utf-8", json.detect_encoding(reply.body)}
    texts = [reply.body.decode(name, errors="replace") for name in names]
    values = [value for text in texts if (value := _loaded(text)) is not None]
    if values and reply.cut is None:
        under = (one for value in values for one in _under(TASK_NAMES, value))
        found = {str(one) for one in under if _is_id(one)}
    else:
        pairs = [pair for text in texts for pair in _ID_IN_TEXT.findall(text)]
        found = {quoted or digits for quoted, digits in pairs}
    return {one.strip().encode(errors="replace").decode() for one in found if _is_id(one)}


def _is_id(value: object) -> bool:
    """Whether it may be an id, and is not what a server writes where there is none."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "-1", "null", "none", "nil", "undefined")
    return type(value) is int and 0 < value < 10**39


def _under(names: Sequence[str], value: object) -> Iterator[object]:
    """Return all that stands under one of these names, however deep."""
    left = [value]
    while left:
        inner = left.pop()
        if isinstance(inner, dict):
            yield from (inner[name] for name in names if name in inner)
            left += inner.values()
        elif isinstance(inner, list):
            left += inner


def may_refuse(reply: Reply) -> bool:
    """Return whether anything in an answer says that nothing was taken."""
    if reply.status in _MAY_REFUSE:
        return True
    said = _loaded(reply.body.decode(json.detect_encoding(reply.body), errors="replace"))
    if reply.cut is not None or said is None:
        return False
    code = said.get("code") if isinstance(said, dict) else None
    number = int(code) if isinstance(code, str | int) and str(code).isdecimal() else 0
    words = _SAYS_SO.search(" ".join(json.dumps(said, ensure_ascii=False).split()))
    return number in range(400, 500) or words is not None


def _loaded(text: str) -> Any:  # noqa: ANN401  # JSON is anything
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None


# Looks -----------------------------------------------------------------------------------------


def _tasks_in(result: object) -> list[ua.Task]:
    return result if isinstance(result, list) else []


def _flaws_of_tasks(way: Way, result: object) -> Iterator[str]:
    tasks = _tasks_in(result)
    names = [task.id for task in tasks]
    if not set(names) <= set(way.tasks) or len(set(names)) < len(names):
        yield f"asked about {way.tasks}, told of {names}"
    for task in tasks:
        yield from iter_flaws(task)
        yield from _flaws_of_songs(task.songs, task.id, way)
        if (task.error is not None) != (task.stage is ua.Stage.FAILED):
            yield f"a task that is {task.stage} has the error {task.error}"
        yield from _flaws_of_failure(task.error)
        if task.percentage is not None and not 0 <= task.percentage <= 100:
            yield f"a task is done to {task.percentage} percent"


def _flaws_of_promised(way: Way, reply: Reply, result: object) -> Iterator[str]:
    found = {task.id: {song.id for song in task.songs} for task in _tasks_in(result)}
    for name, songs in promised(way, reply).items():
        if not songs and isinstance(result, ua.BadAnswer):
            continue  # no song is lost, and the next look may show more
        if not songs <= found.get(name, set()) or name not in found:
            read = f"{found.get(name)} ({result!r:.100})"
            yield f"task {name} shows {songs}, and of it was read {read}"
    if found and len(way.tasks) == 1 and names_others(way, reply):
        yield f"asked about {way.tasks}, and the answer was about another task"


def names_others(way: Way, reply: Reply) -> bool:
    """Return whether an answer about one task says that it is about another."""
    value = _loaded(reply.body.decode(json.detect_encoding(reply.body), errors="replace"))
    of_apiframe = way.provider.name == "apiframe"
    names = ("task_id",) if of_apiframe else TASK_NAMES
    outer = value if isinstance(value, dict) else {}
    inner = outer.get("data") if not of_apiframe else None
    parts = (outer, inner if isinstance(inner, dict) else {})
    ids = {str(part[name]) for part in parts for name in names if _is_id(part.get(name))}
    return bool(ids) and not ids & {*way.tasks}


_LINK = re.compile(r"https?://[^\s/]+(?:[/?#]\S*)?\Z", re.IGNORECASE)


def _flaws_of_failure(failure: ua.Failure | None) -> Iterator[str]:
    if failure is not None and not 0 < len(failure.message) <= MOST_WORDS:
        yield f"a failure is told in {len(failure.message)} characters"


def _flaws_of_songs(songs: Sequence[ua.Song], task_id: str, way: Way) -> Iterator[str]:
    ids = [song.id for song in songs]
    if len(set(ids)) < len(ids) or not all(one.strip() for one in ids):
        yield f"songs without names of their own: {ids}"
    for place, song in enumerate(songs):
        if (song.index, song.task_id, song.provider) != (place, task_id, way.provider.name):
            yield f"song {place} says that it is {song.index} of {song.task_id}, {song.provider}"
        if song.stage is ua.Stage.FAILED and song.error is None:
            yield f"song {place} has failed, and does not say why"
        yield from _flaws_of_failure(song.error)
        if song.audio_is_final and not (song.audio_url and song.stage is ua.Stage.COMPLETE):
            yield f"song {place} is final, and is {song.stage} at {song.audio_url}"
        said = {text for text in song.raw.values() if type(text) is str}
        for text in (song.title, song.lyrics, song.tags, song.model):
            if text is not None and text not in said:
                yield f"song {place} is said to have {text!r:.100}, which nobody has said"
        for link in (song.audio_url, song.image_url):
            if link is not None and not _LINK.match(link):
                yield f"song {place} has a link that is none: {link!r:.100}"


def promised(way: Way, reply: Reply) -> Mapping[str, set[str]]:
    """Return the songs of each task that have to be read, whatever else is odd in an answer."""
    if reply.status != 200 or reply.cut or len(reply.body) > SMALL:
        return {}
    if reply.body.count(b"[") + reply.body.count(b"{") > MOST_BRACKETS:
        return {}
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    if _depth(value) > 60 or _has_odd_code(value):
        return {}
    if len(way.tasks) > 1:
        return _promised_of_many(way, value)
    others = {str(one) for one in _under(TASK_NAMES, value) if one is not None} - set(way.tasks)
    shown = _shown(way, value)
    return {} if others or shown is None else {way.tasks[0]: shown}


def _promised_of_many(way: Way, value: object) -> Mapping[str, set[str]]:
    tasks = value.get("tasks") if isinstance(value, dict) else value
    shown = tasks[:100] if isinstance(tasks, list) else []
    tasks = [task for task in shown if isinstance(task, dict)]
    names = Counter(str(task.get("task_id")) for task in tasks)
    found: dict[str, set[str]] = {}
    for task in tasks:
        name, songs = str(task.get("task_id")), _shown(way, task)
        if name in way.tasks and names[name] == 1 and songs is not None:
            found[name] = songs
    return found


def _shown(way: Way, value: object) -> set[str] | None:
    """Return the ids of songs in an answer about one task; None where it shows no list of them."""
    name = "song_id" if way.provider.name == "apiframe" else "id"
    songs: object = value
    if isinstance(value, dict):
        data = value.get("data")
        inner = data if isinstance(data, dict) and name == "id" else value
        songs = inner.get("songs" if name == "song_id" else "response_data")
        songs = data if isinstance(data, list) and name == "id" else songs
    elif name == "song_id":
        return None
    if not isinstance(songs, list):
        return None
    ids = (song.get(name) for song in songs[:100] if isinstance(song, dict))
    names = {str(one) for one in ids if _is_id(one) and is_text(str(one))}
    return names - {*way.tasks}  # the id of a task is none of a song


def _has_odd_code(value: object) -> bool:
    code = value.get("code", 200) if isinstance(value, dict) else 200
    return code not in (200, 201, None)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level]
        level = [part for one in inner if isinstance(one, list) for part in one]
    return depth
