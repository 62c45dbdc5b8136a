"""Sending a paid call or a look, and judging what comes back.

A submit costs credits, and no provider here knows idempotency keys. So it is sent once, and its
reply gets exactly one verdict: an id, or the error of the first row of `rules.py` that matches. A
look is free: a look that fails says nothing about the songs.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import attrs

from .._errors import (
    BadAnswer,
    InvalidRequest,
    ProviderUnavailable,
    RateLimited,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from .._http import Call, Http, Reply
from .._limits import MAX_RETRY_AFTER
from .calls import about, ask
from .ids import ID_PATHS, find_id, find_id_at, find_id_in_text, names_task, song_ids
from .replies import ReadReply
from .rules import HAS_ID, ID_ELSEWHERE, IN_DOUBT, LOOK_RULES, LOST, SHARED_RULES, Rule
from .taken import says_taken
from .wire import excerpt

# `SHARED_RULES` is of `rules.py`, and listed here because adapters outside of this library may
# import it from this module. New ones take it from the kit.
__all__ = ["SHARED_RULES", "accepted_id", "judge", "make_error", "read_look", "send_submit"]

SUBMIT_TIMEOUT = 120.0
"""Seconds that a submit may take: a shorter time-out would make doubts of answers on their way."""


@attrs.frozen(kw_only=True)
class Ruling:
    """The verdict on one reply: an id, or the row that matched.

    With an id the rule is `HAS_ID`, which has no error.
    """

    reply: ReadReply
    rule: Rule
    task_id: str | None = None


def judge(
    reply: Reply, rules: Iterable[Rule], *, id_at: str | None = None, sent_to: str = ""
) -> Ruling:
    """Return the verdict on the reply to a submit; nothing is raised.

    An id at any known place (or at `id_at`) means accepted, whatever the status: the documents show
    a 500 that carries one. It is searched for even in a body that was cut. An id at another place
    makes a doubt. Otherwise the first matching row decides; without one the request is in doubt.
    """
    read = ReadReply.from_reply(reply, sent_to=sent_to)
    task_id = None if id_at is None else find_id_at(read.payload, id_at)
    task_id = task_id or find_id(read.payload)
    if task_id is None and not read.is_json:
        paths = ID_PATHS if id_at is None else (id_at, *ID_PATHS)
        task_id = find_id_in_text(reply.body, paths)
    if task_id is not None:
        return Ruling(reply=read, rule=HAS_ID, task_id=task_id)
    if names_task(read) or says_taken(read):
        return Ruling(reply=read, rule=ID_ELSEWHERE)
    rule = next((rule for rule in rules if rule.matches(read)), IN_DOUBT)
    return Ruling(reply=read, rule=rule)


def accepted_id(
    reply: Reply,
    rules: Iterable[Rule],
    *,
    provider: str,
    id_at: str | None = None,
    sent_to: str = "",
) -> str:
    """Return the id of an accepted submit, or raise what its answer means.

    Args:
        reply: the answer as it came.
        rules: the provider's rows, the first that matches decides.
        provider: its name, for messages.
        id_at: a further place of the id, as in `send_submit`.
        sent_to: the path that it was sent to, for redirects.

    Raises:
        RequestError, AccountError, ProviderUnavailable: nothing was taken.
        SubmitInDoubt: it may have been taken; `evidence` quotes the answer.
    """
    ruling = judge(reply, rules, id_at=id_at, sent_to=sent_to)
    if ruling.task_id is not None:
        return ruling.task_id
    read, rule = ruling.reply, ruling.rule
    message = f"{provider} answered {read.status}: {read.message.rstrip('.')}. {rule.advice}"
    with about(provider):
        raise make_error(rule, message, read=read)


async def send_submit(
    http: Http, call: Call, rules: Iterable[Rule], *, provider: str, id_at: str | None = None
) -> str:
    """Send one paid call, once, and return the task's id.

    It goes on a connection that is new, or was used a moment ago: an older one may close under it,
    and nobody could tell whether the request was read. The answer may take `SUBMIT_TIMEOUT`
    seconds.

    Args:
        http: what sends it.
        call: the request; `paid` and `timeout` are set here.
        rules: the provider's rows, ending with `SHARED_RULES`.
        provider: its name, for messages.
        id_at: the place of the id, if it is not one of the usual places: "id", or "data.job.id"
            for an id inside other objects, or "clips.0.id" for one in a list. A list of one needs
            no number.

    Raises:
        InvalidRequest: `id_at` is not such a text; nothing was sent.
        RequestError, AccountError, ProviderUnavailable: nothing was taken.
        SubmitInDoubt: it left, and no readable answer came back. Do not send it again.
    """
    with about(provider):
        _check_place(id_at)
        try:
            reply = await ask(http, attrs.evolve(call, paid=True, timeout=SUBMIT_TIMEOUT))
        except ProviderUnavailable as error:
            if error.charged == "no":
                raise
            raise SubmitInDoubt(
                f"{provider} may have taken the song: {error}. {LOST.advice}",
                evidence=f"no answer: {excerpt(str(error))}",
            ) from error
        path = urlsplit(call.account.base_url).path.rstrip("/") + call.path
        return accepted_id(reply, rules, provider=provider, id_at=id_at, sent_to=path)


def _check_place(id_at: object) -> None:
    """Check `id_at` before anything is sent: after a paid call it would be too late."""
    if id_at is not None and (not isinstance(id_at, str) or not id_at):
        raise InvalidRequest(f"id_at is {id_at!r}; name one place, such as 'data.job.id'")


def make_error(rule: Rule, message: str, *, read: ReadReply) -> UdioError:
    """Build the error that a row names.

    The reply adds the wait that it asks for (`retry_after`, seconds), or the evidence of a doubt.
    """
    assert rule.error is not None
    if issubclass(rule.error, Unreachable):
        return rule.error(message, sent=False)
    error = rule.error(message)
    if isinstance(error, RateLimited):
        error.retry_after = None if read.wait is None else min(read.wait, MAX_RETRY_AFTER)
    if isinstance(error, SubmitInDoubt):
        error.evidence = _evidence(read)
    return error


def _evidence(read: ReadReply) -> str:
    """Return one line about the answer, for whoever settles the doubt.

    It holds the status, whether the body was whole, its beginning, and the ids of songs in it.
    """
    reply = read.reply
    phase = f"answer cut ({reply.cut})" if reply.cut else "whole answer"
    names = song_ids(read.payload)
    named = f"; it names the songs {', '.join(map(excerpt, names))}" if names else ""
    return f"HTTP {reply.status}, {phase}: {excerpt(reply.body) or 'empty'}{named}"


def read_look(
    reply: Reply,
    *,
    provider: str,
    task_id: str | None = None,
    rules: Iterable[Rule] = LOOK_RULES,
) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the JSON of a reply to a call that is free to repeat.

    Args:
        reply: the answer as it came.
        provider: its name, for messages.
        task_id: the task that was asked about, for messages.
        rules: what other answers mean; `ACCOUNT_RULES` if no task was asked about.

    Raises:
        AccountError: the key is wrong, or the credits are used up.
        RateLimited: it is too early; `retry_after` is the wait in seconds, if one was asked for.
        RequestRefused: the provider does not know the task.
        BadAnswer: anything else, which says nothing about the songs; look again.
    """
    read = ReadReply.from_reply(reply)
    return payload_of(read, provider=provider, task_id=task_id, rules=rules)


def payload_of(
    read: ReadReply,
    *,
    provider: str,
    task_id: str | None = None,
    rules: Iterable[Rule] = LOOK_RULES,
) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the JSON of a reply that has been read already.

    For adapters that look into the reply before they decide; otherwise use `read_look`.

    Raises:
        AccountError, RateLimited, RequestRefused, BadAnswer: as in `read_look`.
    """
    if read.is_json and (200 <= read.status < 300 or read.has_odd_code):
        return read.payload
    subject = f" about task {task_id}" if task_id else ""
    cut = f" (cut: {read.reply.cut})" if read.reply.cut else ""
    said = f"{provider} answered {read.status}{subject}{cut}: {read.message}"
    rule = next((rule for rule in rules if rule.matches(read)), None)
    with about(provider, task_id):
        if rule is None:
            raise BadAnswer(said)
        raise make_error(rule, f"{said.rstrip('.')}. {rule.advice}", read=read)
