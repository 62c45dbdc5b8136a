"""Looking at an answer once: its status, its JSON, its words and its id."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs

from .._errors import BadAnswer, UdioError
from .._http import Call, Http, Reply
from .._records import Failure, FailureKind
from .._wire import describe, excerpt, loads

SHORTEST_KEY = 12
"""Characters of a key that is crossed out: a shorter one is a stand-in, and part of any word."""


@contextmanager
def about(provider: str, task_id: str | None = None) -> Iterator[None]:
    """Put the names of the provider and the task on every error that passes."""
    try:
        yield
    except UdioError as error:
        error.provider = error.provider or provider
        error.task_id = error.task_id or task_id
        raise


async def ask(http: Http, call: Call) -> Reply:
    """Send a call, and cross out the key where the answer repeats it.

    A feed echoes the request, an error may quote the header: what is stored or shown later
    must not hold the key.
    """
    reply = await http.send(call)
    key = call.account.key.reveal().encode()
    if len(key) >= SHORTEST_KEY:
        for form in (key, key.replace(b"/", rb"\/")):  # some servers escape the slash in JSON
            if form in reply.body:
                reply = attrs.evolve(reply, body=reply.body.replace(form, b"***"))
    return reply


@attrs.frozen(kw_only=True)
class Answer:
    """A reply, looked at once: what the rules ask about."""

    reply: Reply
    payload: Any
    """The JSON value, or None where there is none."""
    is_json: bool
    """Whether the body is whole, and JSON."""
    status: int
    """The HTTP status, or the body's own `code` where HTTP says 2xx and the body does not."""

    @classmethod
    def from_reply(cls, reply: Reply) -> "Answer":
        """Look at a reply. Nothing is raised, whatever it holds."""
        try:
            payload, is_json = loads(reply.body), reply.cut is None
        except BadAnswer:
            payload, is_json = None, False
        return cls(
            reply=reply,
            payload=payload,
            is_json=is_json,
            status=_effective_status(reply.status, payload),
        )

    @property
    def text(self) -> str:
        """What the rows look for words in, in lower case.

        Of JSON only the provider's own message: lyrics that are echoed prove nothing.
        """
        if self.is_json:
            return _said_in(self.payload).lower()
        return self.reply.body.decode(errors="replace").lower()

    @property
    def message(self) -> str:
        """What the provider said, or what its body looks like."""
        return message_in(self.payload) or describe(self.reply.body)


def _effective_status(status: int, payload: object) -> int:
    """Return the status that counts: udioapi also answers HTTP 200 with `"code": 401`.

    Of such codes only 4xx are taken at their word; any other is a 500, which proves nothing.
    """
    code = payload.get("code") if isinstance(payload, dict) else None
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:9])
    if not 200 <= status < 300 or type(code) is not int or 200 <= code < 300:
        return status
    return code if 400 <= code < 500 else 500


def message_in(payload: object) -> str:
    """Find the provider's words in any of the shapes in use, and return one line of them.

    udioapi has `message`, on one page `msg`; apiframe has `errors[].msg`, and elsewhere
    `message`, `error` as text or `error.message`.
    """
    return excerpt(_said_in(payload))


def _said_in(payload: object) -> str:
    if not isinstance(payload, Mapping):
        return ""
    errors = payload.get("errors")
    if isinstance(errors, list) and errors:
        return "; ".join(filter(None, map(_words, errors[:5])))
    found = (_words(payload.get(name)) for name in ("message", "msg", "error", "detail"))
    return next(filter(None, found), "")


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("msg") or value.get("message")
    return value if isinstance(value, str) else ""


ID_PATHS = (("workId",), ("work_id",), ("data", "task_id"), ("data", "taskId"), ("task_id",))
"""Where an answer may hold the task's id: every place that any page or sample shows."""
_ID_IN_TEXT = re.compile(r'"(?:workId|work_id|task_id|taskId)"\s*:\s*"([^"\\\s]{1,200})"')


def find_id(payload: object) -> str | None:
    """Return the task's id from any of the known places. It is opaque, and kept as it is."""
    for path in ID_PATHS:
        value = payload
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        if type(value) is int or (isinstance(value, str) and value.strip()):
            return str(value)
    return None


def find_id_in_text(body: bytes) -> str | None:
    """Look for an id in a body that is cut or no JSON: an id is worth more than good manners."""
    found = _ID_IN_TEXT.search(body.decode(errors="replace"))
    return found[1] if found else None


FailureTable = tuple[tuple[str, FailureKind, str], ...]
"""Words in a failure, in lower case, with its kind and what to do about it."""


def explain(message: str, table: FailureTable) -> Failure:
    """Return a failure with its kind and advice; words that nobody documented are UNKNOWN."""
    lowered = message.lower()
    for words, kind, advice in table:
        if words in lowered:
            return Failure(message=message, kind=kind, advice=advice)
    return Failure(message=message)
