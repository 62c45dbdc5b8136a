"""Reading a reply once: its status, its JSON and the provider's words.

What a reply means is decided elsewhere: in `rules.py` and `verdicts.py`. Whatever a server wrote,
nothing here raises.
"""

import re
import time
from functools import cached_property
from typing import Any

import attrs

from .._errors import BadAnswer
from .._http import Reply
from .._urls import split_url, without_query
from . import waits
from .phrases import NOT_TAKEN, TAKEN
from .sayings import LONGEST, said_in
from .wire import describe, excerpt, loads
from .words import RUNNING, WAITING, plain

SEARCHED = 64 * 1024
"""Bytes of a body without JSON in which words are looked for."""

_NEW_SENTENCE = re.compile(r"\n(?=[A-Z])")
"""A line that begins like a sentence, where the one before may have no mark at its end."""
_STATES = (WAITING | RUNNING) - {"active", "first", "new", "retry", "text"}
"""States of a task, without words that stand for something else in an error."""


@attrs.frozen(kw_only=True)
class ReadReply:
    """A reply that has been read: it has all that the rules ask for.

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
    """Whether the body's `code` is a number that is not an HTTP status."""
    sent_to: str = ""
    """The path that the request was sent to, if it is known."""

    @classmethod
    def from_reply(cls, reply: Reply, *, sent_to: str = "") -> "ReadReply":
        """Read a reply. Nothing is raised, whatever it holds.

        udioapi also answers HTTP 200 with an error in the body: `{"code": 401}`. If the body is
        whole, its number then counts: a 4xx as it is, any other error as a 500, which proves
        nothing.
        """
        try:
            payload, is_json = loads(reply.body), reply.cut is None
        except BadAnswer:
            payload, is_json = None, False
        code = code_in(payload) if is_json and 200 <= reply.status < 300 else None
        status = reply.status
        if code is not None and not 200 <= code < 300:
            status = code if 400 <= code < 500 else 500
        return cls(
            reply=reply,
            payload=payload,
            is_json=is_json,
            status=status,
            has_odd_code=code is not None and not 100 <= code < 600,
            sent_to=sent_to,
        )

    @cached_property
    def text(self) -> str:
        """The text in which the rules look for words, in lower case and on one line.

        Of JSON it is all that the provider itself says, wherever it stands: lyrics that are echoed
        prove nothing.
        """
        body = self.reply.body
        said = said_in(self.payload) if self.is_json else body[:SEARCHED].decode(errors="replace")
        return " ".join(_NEW_SENTENCE.sub(". ", said).lower().split())

    @cached_property
    def may_be_taken(self) -> bool:
        """Whether the text hints that the request was taken, or waits at the provider.

        A web page does not: it is a gateway's, and holds any words.
        """
        text = self.text[:LONGEST].removeprefix("\ufeff")
        if not self.is_json and text.startswith("<"):
            return False
        states = (plain(one.strip(".!\u2026 ")) for one in text.split(". "))
        return not _STATES.isdisjoint(states) or bool(TAKEN.search(NOT_TAKEN.sub("", text)))

    @property
    def says_no(self) -> bool:
        """Whether the body says that it went wrong although HTTP says 2xx, and has no data."""
        payload = self.payload
        if not isinstance(payload, dict) or not 200 <= self.reply.status < 300:
            return False
        failed = payload.get("success") is False or self.status != self.reply.status
        return failed and not payload.get("data")

    @cached_property
    def wait(self) -> float | None:
        """The seconds to wait that the provider asks for, wherever it says so; None if nowhere."""
        said = self.text if self.is_json else ""
        return waits.asked(self.reply.headers, self.payload, said, now=time.time())

    @property
    def leads_elsewhere(self) -> bool:
        """Whether a redirect leads to another path than the request's, or says not where to.

        The same path of another host, or with another scheme, is the same place that has moved.
        """
        target = split_url(self.reply.headers.get("location", ""))
        if target is None or target.query or not self.sent_to:
            return True
        return target.path.rstrip("/") != self.sent_to.rstrip("/")

    @property
    def message(self) -> str:
        """The provider's words, or what its body looks like.

        For a redirect it also says where the redirect leads, without the query.
        """
        target = self.reply.headers.get("location", "") if 300 <= self.status < 400 else ""
        leads = f"it leads to {excerpt(without_query(target))}" if target else ""
        said = message_in(self.payload) or ("" if leads else describe(self.reply.body))
        return ", and ".join(filter(None, (leads, said)))


def code_in(payload: object) -> int | None:
    """Return the status in the body: udioapi answers HTTP 200 with `"code": 401`.

    A number as text counts as well. None where the body has no such number.
    """
    code = payload.get("code") if isinstance(payload, dict) else None
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:9])
    return code if type(code) is int else None


def message_in(payload: object) -> str:
    """Return the provider's words in one line, or "" where there are none.

    It is the first message, in any of the shapes in use: udioapi has `message`, on one page `msg`;
    apiframe has `errors[].msg`, and elsewhere `message`, `error` as text or `error.message`.
    """
    return excerpt(_message(payload))


def _message(payload: object) -> str:
    """Return the first words found, in the body or in its `data`."""
    if not isinstance(payload, dict):
        return ""
    names = ("errors", "message", "msg", "error", "detail", "reason", "error_message")
    found = (_words(payload.get(name)) for name in names)
    return next(filter(None, found), "") or _message(payload.get("data"))


def _words(value: object) -> str:
    """Return the text of one error, or of the first five in a list."""
    if isinstance(value, list):
        return "; ".join(filter(None, map(_words, value[:5])))
    if isinstance(value, dict):
        value = value.get("msg") or value.get("message") or value.get("detail")
    return value if isinstance(value, str) else ""
