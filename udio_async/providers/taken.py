"""Signs in an answer without an id that the request was taken all the same."""

from collections.abc import Iterator, Mapping
from itertools import islice

from .ids import song_ids
from .replies import ReadReply, code_in
from .words import ENDED_WELL, RUNNING, WAITING, plain

_TAKEN = (WAITING | RUNNING | ENDED_WELL | {"ok"}) - {"active"}
"""States of what was taken. An account is "active" as well."""
_OVER = ("data", "result", "response", "task", "job", "queue")
"""Objects in which the state of a task may stand."""
_PLACES = frozenset(["position", "queueposition", "positioninqueue", "queueplace"])
"""Places in a queue, without "_" and "-" and in lower case."""
_WIDTH = 30


def says_taken(read: ReadReply) -> bool:
    """Return whether a body shows that the request was taken, whatever its status and words say.

    It does so by `success: true`, by a `code` of 2xx over some data, by a `code` or `status` of 2xx
    under another HTTP status, by the state of a task, by a place in a queue, or by songs under 2xx.
    """
    payload = read.payload
    if not read.is_json or not isinstance(payload, dict):
        return False
    code, http = code_in(payload), read.reply.status
    well = _is_2xx(code) and bool(payload.get("data"))
    well = well or payload.get("success") is True or payload.get("ok") is True
    unlike = not _is_2xx(http) and (_is_2xx(code) or _is_2xx(payload.get("status")))
    songs = _is_2xx(read.status) and bool(song_ids(payload))
    return well or unlike or songs or any(map(_shows_state, _objects(payload)))


def _is_2xx(number: object) -> bool:
    return type(number) is int and 200 <= number < 300


def _objects(payload: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """Iterate over the body and the objects in it that may be a task."""
    yield payload
    for name in _OVER:
        inner = payload.get(name)
        for one in inner[:_WIDTH] if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                yield one


def _shows_state(task: Mapping[str, object]) -> bool:
    for name, value in islice(task.items(), _WIDTH):
        spelled = name.lower().replace("_", "").replace("-", "")
        if spelled in ("status", "state") and isinstance(value, str) and plain(value) in _TAKEN:
            return True
        if (spelled == "queued" and value is True) or (spelled in _PLACES and _is_place(value)):
            return True  # `"queued": 3` counts what waits there
    return False


def _is_place(value: object) -> bool:
    text = str(value) if isinstance(value, str) or type(value) is int else ""
    return text.isdecimal()
