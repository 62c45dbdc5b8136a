"""Reading a reply once: its status, JSON, message and id.

Nothing here decides what a reply means: that is for `rules.py` and `verdicts.py`. Nothing here
fails because of what a server wrote, however odd. Searches in a body stop after a fixed number of
bytes and levels.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import count, islice
from typing import Any

import attrs

from .._errors import BadAnswer, UdioError
from .._http import Call, Http, Reply
from .._records import Failure, FailureKind
from .._urls import without_query
from .wire import describe, excerpt, is_id, loads

SHORTEST_KEY = 12
"""Characters of a key that is crossed out: a shorter one is a stand-in, and part of any word."""
_SHORTEST_END = 8
"""Characters of a key that are crossed out where a body was cut behind them."""
_BLANK = "***"
SEARCHED = 64 * 1024
"""Characters of a message, or bytes of a body without JSON, in which words are looked for."""

LONGEST_MESSAGE = 600
"""Characters that the words about a failure are told in."""


@contextmanager
def about(provider: str, task_id: str | None = None) -> Iterator[None]:
    """Add the provider's and the task's name to each error that passes.

    Names that an error has already are left as they are.
    """
    try:
        yield
    except UdioError as error:
        error.provider = error.provider or provider
        error.task_id = error.task_id or task_id
        raise


async def ask(http: Http, call: Call) -> Reply:
    """Send a call, and blank out the key where the reply repeats it.

    A feed echoes the request, and an error may quote the header: what is stored or shown later must
    not hold the key. Keys shorter than `SHORTEST_KEY` are stand-ins, and left.

    Raises:
        ProviderUnavailable: no answer came; `charged` says whether the request may have been read.
    """
    reply = await http.send(call)
    key = call.account.key.reveal()
    return without_key(reply, key) if len(key) >= SHORTEST_KEY else reply


def without_key(reply: Reply, key: str) -> Reply:
    """Return a reply in which a key is blanked out, in whatever way it was written there."""
    body, secret = reply.body, key.encode()
    for form in (secret, secret.replace(b"/", rb"\/")):  # some servers escape the slash in JSON
        if form in body:
            body = body.replace(form, _BLANK.encode())
    if b"\\u" in body or b"\x00" in body:  # letters are escaped, or have two bytes
        with suppress(BadAnswer):
            text = json.dumps(loads(body))
            body = text.replace(key, _BLANK).encode() if key in text else body
    if reply.cut is not None:
        ends = (secret[:length] for length in range(len(secret) - 1, _SHORTEST_END - 1, -1))
        cut = next(filter(body.endswith, ends), b"")
        body = body[: len(body) - len(cut)] + _BLANK.encode() if cut else body
    headers = reply.headers
    if any(key in value for value in headers.values()):
        headers = {name: value.replace(key, _BLANK) for name, value in headers.items()}
    if body is reply.body and headers is reply.headers:
        return reply
    return attrs.evolve(reply, body=body, headers=headers)


@attrs.frozen(kw_only=True)
class ReadReply:
    """A reply that has been read: all that the rules ask about.

    The `reply` itself stays as it came, for evidence and headers.
    """

    reply: Reply
    payload: Any
    """The JSON value, or None where there is none."""
    is_json: bool
    """Whether the body is whole, and JSON."""
    status: int
    """The HTTP status, or the body's own `code` where HTTP says 2xx and the body does not."""
    has_odd_code: bool
    """Whether that `code` is a number that no HTTP status has."""

    @classmethod
    def from_reply(cls, reply: Reply) -> "ReadReply":
        """Read a reply. Nothing is raised, whatever it holds.

        udioapi also answers HTTP 200 with an error in the body: `{"code": 401}`. Then the body's
        number counts, if the body is whole and it is a 4xx; any other is taken as a 500, which
        proves nothing.
        """
        try:
            payload, is_json = loads(reply.body), reply.cut is None
        except BadAnswer:
            payload, is_json = None, False
        code = _code_in(payload) if is_json and 200 <= reply.status < 300 else None
        status = reply.status
        if code is not None and not 200 <= code < 300:
            status = code if 400 <= code < 500 else 500
        return cls(
            reply=reply,
            payload=payload,
            is_json=is_json,
            status=status,
            has_odd_code=code is not None and not 100 <= code < 600,
        )

    @cached_property
    def text(self) -> str:
        """What the rules look for words in, in lower case and on one line.

        Of JSON only the provider's own message: lyrics that are echoed prove nothing.
        """
        body = self.reply.body
        said = _said_in(self.payload) if self.is_json else body[:SEARCHED].decode(errors="replace")
        return " ".join(said[:SEARCHED].lower().split())

    @property
    def message(self) -> str:
        """The provider's words, or what its body looks like.

        For a redirect it also says where it leads, without the query.
        """
        target = self.reply.headers.get("location", "") if 300 <= self.status < 400 else ""
        leads = f"it leads to {excerpt(without_query(target))}" if target else ""
        said = message_in(self.payload) or ("" if leads else describe(self.reply.body))
        return ", and ".join(filter(None, (leads, said)))


def _code_in(payload: object) -> int | None:
    """Return the status in the body: udioapi answers HTTP 200 with `"code": 401`.

    A number as text counts as well. None where the body has no such number.
    """
    code = payload.get("code") if isinstance(payload, dict) else None
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:9])
    return code if type(code) is int else None


def message_in(payload: object) -> str:
    """Return the provider's words in one line, or "" where there are none.

    They are found in any of the shapes in use: udioapi has `message`, on one page `msg`; apiframe
    has `errors[].msg`, and elsewhere `message`, `error` as text or `error.message`.
    """
    return excerpt(_said_in(payload))


def _said_in(payload: object) -> str:
    """Return the first words found, in the body or in its `data`."""
    if not isinstance(payload, dict):
        return ""
    names = ("errors", "message", "msg", "error", "detail", "reason", "error_message")
    found = (_words(payload.get(name)) for name in names)
    return next(filter(None, found), "") or _said_in(payload.get("data"))


def _words(value: object) -> str:
    """Return the text of one error, or of the first five in a list."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value[:5])))
    if isinstance(value, dict):
        value = value.get("msg") or value.get("message") or value.get("detail")
    return value if isinstance(value, str) else ""


ID_PATHS = (
    "workId",
    "work_id",
    "data.task_id",
    "data.taskId",
    "task_id",
    "taskId",
    "data.workId",
    "data.work_id",
)
"""Where a reply may hold the task's id: each name that a page or a sample shows, at both places."""


def find_id(payload: object, paths: Sequence[str] = ID_PATHS) -> str | None:
    """Return the task's id from the first of these places that has one.

    A path is names joined by dots: "data.task_id". The id is opaque and kept as it is; a number
    becomes its digits. None where there is no id.
    """
    return next(find_ids(payload, paths), None)


def find_ids(payload: object, paths: Sequence[str] = ID_PATHS) -> Iterator[str]:
    """Iterate over the ids at all of these places, in their order."""
    for path in paths:
        value = payload
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if is_id(value):
            yield str(value)


def find_id_at(payload: object, path: str) -> str | None:
    """Return the id at the place that an adapter names, or None.

    A number in the path is a place in a list, from 0: "clips.0.id". A list of one stands for what
    is in it, and names are compared without regard to case.
    """
    value = payload
    for name in path.split("."):
        value = _below(value, name)
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    return str(value) if is_id(value) else None


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
    """Look for an id in a body that was cut or is no JSON.

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
    """Return what a body may say: a wrong byte order mark must not hide the rest."""
    encodings = dict.fromkeys(("utf-8", json.detect_encoding(body).removesuffix("-sig")))
    return [body.decode(name, errors="replace") for name in encodings]


_ID_NAME = re.compile("(?:x-)?(?:task|work)[ _-]?ids?", re.IGNORECASE)
_TASK_NAME = re.compile("(?:task|work)s?", re.IGNORECASE)
_ID_IN_TEXT = re.compile(
    rf"""\b{_ID_NAME.pattern}["']?\s*[:=]\s*\[?\s*"""
    r"""(?!["']?\s*(?:0|-1|null|none|nil|undefined)\s*(?:["'\s,}}\]]|$))"""
    r"""(?:["']\s*[^"'\s]|[^"'\s,}}\]])""",
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
        return any(_ID_IN_TEXT.search(text) for text in _texts(read.reply.body))
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
            return True  # JSON within JSON, say
    return False


def _names_task(name: str, value: object) -> bool:
    if _TASK_NAME.fullmatch(name) and isinstance(value, dict):
        return _is_given(value.get("id"))
    return _ID_NAME.fullmatch(name) is not None and _is_given(value)


def _is_given(value: object) -> bool:
    return bool(value) if isinstance(value, (dict, list)) else is_id(value)


def says_taken(read: ReadReply) -> bool:
    """Return whether a body says that all went well, whatever its status and its words say.

    It does with `success: true`, with a `code` of 2xx over some data, and with songs under 2xx.
    """
    payload = read.payload
    if not read.is_json or not isinstance(payload, dict):
        return False
    code = _code_in(payload)
    well = code is not None and 200 <= code < 300 and bool(payload.get("data"))
    songs = 200 <= read.status < 300 and bool(song_ids(payload))
    return payload.get("success") is True or well or songs


_DEPTH = 3
_WIDTH = 12
"""How far a search for ids goes into an answer, whatever it holds."""
_NAMED = 4
"""Songs that are named, at most."""


def song_ids(payload: object, depth: int = _DEPTH) -> list[str]:
    """Return the ids of songs in an answer that has no task's id.

    At most `_NAMED` of them, from lists up to `_DEPTH` levels down: they are shown as evidence, to
    somebody who compares them with the provider's own list.
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


def distinct_songs(songs: Sequence[tuple[str | None, str | None]], task_id: str) -> dict[str, int]:
    """Return which entries are songs of their own: the id of each song, and its place in `songs`.

    Of a song that is listed twice the entry with a file counts. Two files are two songs, also where
    both have one id. An entry whose id is missing, or is that of the task, is a song of its own.
    Whatever has no id for itself gets one from its task and its number, which counts from 0.

    Args:
        songs: of each entry, the song's id and the link to its file; None where there is none.
        task_id: the task that they are of.
    """
    files = {song_id: file for song_id, file in reversed(songs) if file}
    places: dict[object, int] = {}
    for place, (song_id, file) in enumerate(songs):
        has_id = song_id not in (None, task_id)
        song = (song_id, file or files.get(song_id)) if has_id else place
        if song not in places or (file and not songs[places[song]][1]):
            places[song] = place
    found: dict[str, int] = {}
    for place in places.values():
        name = songs[place][0]
        if name is None or name in (task_id, *found):
            numbered = (f"{task_id}-{number}" for number in count(len(found)))
            name = next(one for one in numbered if one not in found)
        found[name] = place
    return found


FailureTable = tuple[tuple[str, FailureKind, str], ...]
"""Words in a failure, in lower case, with its kind and what to do about it."""


def explain(message: str, table: FailureTable) -> Failure:
    """Return a failure with its kind and advice.

    `table` is searched in order for words in the message, without regard to case. A message with
    none of them is of kind UNKNOWN, without advice. A very long one is cut: `raw` has all of it.
    """
    lowered = message.lower()
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE - 1]}…"
    for words, kind, advice in table:
        if words in lowered:
            return Failure(message=message, kind=kind, advice=advice)
    return Failure(message=message)
