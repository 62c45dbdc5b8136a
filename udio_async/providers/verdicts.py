"""What an answer means for the money: one table per provider, read from the top.

A submit costs credits and no provider here knows idempotency keys, so every answer gets one of
four verdicts, and only a proof that nothing was taken allows another attempt. The tables are
data: the code matches them, the tests walk them, and `docs/verdicts.md` is printed from them.
"""

import time
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import attrs

from .._errors import (
    AuthenticationFailed,
    BadAnswer,
    Blocked,
    InsufficientCredits,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from .._http import Call, Http, Reply
from .._limits import parse_retry_after
from .._wire import excerpt
from .answers import Answer, about, ask, find_id, find_id_in_text


class Verdict(StrEnum):
    """What one attempt to submit came to."""

    NOT_SENT = "not_sent"
    """Proved: it never reached the provider."""
    REFUSED = "refused"
    """The provider said that it took nothing."""
    ACCEPTED = "accepted"
    """There is an id: the song is paid for and running, whatever the status says."""
    IN_DOUBT = "in_doubt"
    """Nobody can know. It is never sent again by itself."""


@attrs.frozen(kw_only=True)
class Rule:
    """One row of a table. Every condition that is given has to hold."""

    seen: str
    """What the row is about, for the documentation."""
    verdict: Verdict
    error: type[UdioError] | None
    """What is raised; None where there is nothing to raise."""
    advice: str
    statuses: frozenset[int] = frozenset()
    """HTTP statuses, or the body's own `code` where HTTP says 200; empty means any."""
    words: tuple[str, ...] = ()
    """Any of these in the body, in lower case; empty means any body."""
    json: bool | None = None
    """Whether the body has to be JSON, may not be, or either."""
    retry_after: bool = False
    """Whether the answer has to carry a `Retry-After` header."""
    wait_and_retry: bool = False
    """Whether the same attempt may be made again after a wait."""
    stops_lane: bool = False
    """Whether every other song would meet the same answer."""

    def matches(self, answer: Answer) -> bool:
        """Answer whether this row is the one for the answer."""
        return (
            (not self.statuses or answer.status in self.statuses)
            and (self.json is None or self.json == answer.is_json)
            and (not self.retry_after or "retry-after" in answer.reply.headers)
            and (not self.words or any(word in answer.text for word in self.words))
        )


# Judging a submit ----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Ruling:
    """The verdict on one answer: an id, or the row that matched."""

    verdict: Verdict
    answer: Answer
    rule: Rule
    task_id: str | None = None


def judge(reply: Reply, rules: Iterable[Rule]) -> Ruling:
    """Return the verdict on the answer to a submit.

    An id at any known place means accepted, whatever the status: the documents show a 500 that
    carries one. Otherwise the first matching row decides, and without one it is in doubt.
    """
    answer = Answer.from_reply(reply)
    task_id = find_id(answer.payload)
    if task_id is None and not answer.is_json:
        task_id = find_id_in_text(reply.body)
    if task_id is not None:
        return Ruling(verdict=Verdict.ACCEPTED, answer=answer, rule=HAS_ID, task_id=task_id)
    rule = next((rule for rule in rules if rule.matches(answer)), IN_DOUBT)
    return Ruling(verdict=rule.verdict, answer=answer, rule=rule)


def accepted_id(reply: Reply, rules: Iterable[Rule], *, provider: str) -> str:
    """Return the id of an accepted submit.

    Raises:
        RequestError, AccountError, ProviderUnavailable: nothing was taken.
        SubmitInDoubt: it may have been.
    """
    ruling = judge(reply, rules)
    if ruling.task_id is not None:
        return ruling.task_id
    answer, rule = ruling.answer, ruling.rule
    message = f"{provider} answered {answer.status}: {answer.message.rstrip('.')}. {rule.advice}"
    with about(provider):
        raise make_error(rule, message, reply=reply)


SUBMIT_TIMEOUT = 120.0
"""Seconds that a submit may take: an impatient time-out makes a doubt of an answer on its way."""


async def send_submit(http: Http, call: Call, rules: Iterable[Rule], *, provider: str) -> str:
    """Send one paid call, once, on a connection of its own, and return the id.

    Raises:
        RequestError, AccountError, ProviderUnavailable: nothing was taken.
        SubmitInDoubt: it left, and no readable answer came back.
    """
    with about(provider):
        try:
            reply = await ask(http, attrs.evolve(call, fresh=True, timeout=SUBMIT_TIMEOUT))
        except ProviderUnavailable as error:
            if isinstance(error, Unreachable) and not error.sent:
                raise
            raise SubmitInDoubt(
                f"{provider} may have taken the song: {error}. {LOST.advice}",
                evidence=f"no answer: {excerpt(str(error))}",
            ) from error
        return accepted_id(reply, rules, provider=provider)


def make_error(rule: Rule, message: str, *, reply: Reply) -> UdioError:
    """Build the error that a row names, with what this answer adds to it."""
    assert rule.error is not None
    error = rule.error(message)
    if isinstance(error, RateLimited):
        error.retry_after = _asked_wait(reply)
    if isinstance(error, Unreachable):
        error.sent = rule.verdict is not Verdict.NOT_SENT
    if isinstance(error, SubmitInDoubt):
        error.evidence = _evidence(reply)
    return error


def _asked_wait(reply: Reply) -> float | None:
    """Return the seconds that the provider asked for, if it did; some gateways say it in ms."""
    in_ms = reply.headers.get("retry-after-ms")
    asked = f"{in_ms}ms" if in_ms else reply.headers.get("retry-after")
    return parse_retry_after(asked, now=time.time())


def _evidence(reply: Reply) -> str:
    phase = f"answer cut ({reply.cut})" if reply.cut else "whole answer"
    return f"HTTP {reply.status}, {phase}: {excerpt(reply.body) or 'empty'}"


# Reading a look ------------------------------------------------------------------------------


def read_look(reply: Reply, *, provider: str, task_id: str | None = None) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the JSON of an answer to a call that is free to repeat.

    Raises:
        AccountError: the key or the credits.
        RateLimited: with the wait that was asked for.
        RequestRefused: the provider does not know the task.
        BadAnswer: anything else, which says nothing about the song.
    """
    answer = Answer.from_reply(reply)
    if answer.is_json and 200 <= answer.status < 300:
        return answer.payload
    subject = f" about task {task_id}" if task_id else ""
    cut = f" (cut: {reply.cut})" if reply.cut else ""
    said = f"{provider} answered {answer.status}{subject}{cut}: {answer.message}"
    rule = next((rule for rule in LOOK_RULES if rule.matches(answer)), None)
    with about(provider, task_id):
        if rule is None:
            raise BadAnswer(said)
        raise make_error(rule, f"{said.rstrip('.')}. {rule.advice}", reply=reply)


# The tables ----------------------------------------------------------------------------------

_LOOK_FIRST = "It may be running and paid for: look at the account before paying again."
_CDN_WORDS = ("error code: 1010", "challenge-platform", "cf-chl", "just a moment", "cf-mitigated")

# What is decided before any row below is asked

NOT_SENT = Rule(
    seen="no answer, and proved that nothing left: DNS, refused, connect time-out, TLS, proxy",
    verdict=Verdict.NOT_SENT,
    error=Unreachable,
    advice="Nothing left this machine.",
    wait_and_retry=True,
)
LOST = Rule(
    seen="no answer after the request left: reset, early end, time-out, cancelled",
    verdict=Verdict.IN_DOUBT,
    error=SubmitInDoubt,
    advice=_LOOK_FIRST,
)
DIED = attrs.evolve(LOST, seen="the process died between the intent and the id")
HAS_ID = Rule(
    seen="any status and any body, even a cut one, with an id at a known place",
    verdict=Verdict.ACCEPTED,
    error=None,
    advice="The task exists: it is watched, and never asked for again.",
)
BEFORE_RULES = (NOT_SENT, LOST, DIED, HAS_ID)

# Rows for an answer without an id, the first that matches decides

NO_CREDIT = Rule(
    seen='"insufficient credits" or "insufficient balance" in JSON, under any status',
    verdict=Verdict.REFUSED,
    error=InsufficientCredits,
    advice="Top up the account.",
    words=("insufficient credit", "insufficient balance", "not enough credit"),
    json=True,
    stops_lane=True,
)
CDN_CHALLENGE = Rule(
    seen="403 or 503 with a challenge of the CDN, or `error code: 1010`",
    verdict=Verdict.REFUSED,
    error=Blocked,
    advice="The CDN before the provider blocked this client, which says nothing about the key: "
    "check the network, the proxy and the User-Agent.",
    statuses=frozenset({403, 503}),
    words=_CDN_WORDS,
    json=False,
    stops_lane=True,
)
CDN_BLOCK = attrs.evolve(
    CDN_CHALLENGE, seen="403 without JSON", statuses=frozenset({403}), words=()
)
BAD_KEY = Rule(
    seen="401",
    verdict=Verdict.REFUSED,
    error=AuthenticationFailed,
    advice="Check the API key, and which provider it is for.",
    statuses=frozenset({401}),
    stops_lane=True,
)
UNPAID = attrs.evolve(NO_CREDIT, seen="402", statuses=frozenset({402}), words=(), json=None)
FORBIDDEN = Rule(
    seen="403 with JSON",
    verdict=Verdict.REFUSED,
    error=PermissionDenied,
    advice="The key is known, and may not do this.",
    statuses=frozenset({403}),
    json=True,
    stops_lane=True,
)
THROTTLED = Rule(
    seen="425, 429",
    verdict=Verdict.REFUSED,
    error=RateLimited,
    advice="Wait, then ask again.",
    statuses=frozenset({425, 429}),
    wait_and_retry=True,
)
TOLD_TO_WAIT = attrs.evolve(
    THROTTLED,
    seen="503 with JSON and a `Retry-After` header",
    statuses=frozenset({503}),
    json=True,
    retry_after=True,
)
DECLINED = Rule(
    seen="400, 404, 405, 413, 415, 422 with JSON",
    verdict=Verdict.REFUSED,
    error=RequestRefused,
    advice="Change the request; nothing was taken.",
    statuses=frozenset({400, 404, 405, 413, 415, 422}),
    json=True,
)
SEE_OTHER = attrs.evolve(LOST, seen="303", statuses=frozenset({303}))
REDIRECT = Rule(
    seen="any other 3xx",
    verdict=Verdict.REFUSED,
    error=RequestRefused,
    advice="Redirects are never followed: check base_url.",
    statuses=frozenset(range(300, 400)),
)
NOT_REACHED = Rule(
    seen="521, 523, 525, 526",
    verdict=Verdict.NOT_SENT,
    error=Unreachable,
    advice="The CDN says that it never reached the provider.",
    statuses=frozenset({521, 523, 525, 526}),
    wait_and_retry=True,
)
UNCLEAR = attrs.evolve(LOST, seen="408, 409", statuses=frozenset({408, 409}))
BROKEN = attrs.evolve(
    LOST,
    seen="500, 502, 503, 504, 520, 522, 524 and every other 5xx",
    statuses=frozenset(range(500, 600)),
)
IN_DOUBT = attrs.evolve(
    LOST, seen="anything else: 2xx without an id, HTML, a cut, huge or unreadable body"
)

SHARED_RULES = (
    NO_CREDIT,
    CDN_CHALLENGE,
    CDN_BLOCK,
    BAD_KEY,
    UNPAID,
    FORBIDDEN,
    THROTTLED,
    TOLD_TO_WAIT,
    DECLINED,
    SEE_OTHER,
    REDIRECT,
    NOT_REACHED,
    UNCLEAR,
    BROKEN,
    IN_DOUBT,
)
"""Rows that hold for every provider. A provider puts its own before them."""

# Rows for a look; what matches none is a `BadAnswer`, and is looked at again

LOOK_RULES = (
    NO_CREDIT,
    attrs.evolve(CDN_CHALLENGE, error=BadAnswer),
    attrs.evolve(CDN_BLOCK, error=BadAnswer),
    BAD_KEY,
    UNPAID,
    FORBIDDEN,
    THROTTLED,
    TOLD_TO_WAIT,
    attrs.evolve(
        DECLINED,
        seen="400, 404, 410, 422 with JSON",
        statuses=frozenset({400, 404, 410, 422}),
        advice="It does not know such a task: check the id and the key it was made with; "
        "results are kept for days only.",
    ),
)


# The documentation ---------------------------------------------------------------------------


def verdict_table(tables: Mapping[str, Iterable[Rule]]) -> str:
    """Print the tables as a Markdown page: provider name to its rows."""
    sections = [
        _INTRODUCTION,
        "## Before the answer is read",
        _markdown(BEFORE_RULES),
        "## An answer without an id, any provider",
        _markdown(SHARED_RULES),
    ]
    for name, rules in tables.items():
        own = [rule for rule in rules if rule not in SHARED_RULES]
        sections += [f"## {name}", _markdown(own) if own else "No rows of its own."]
    return "\n\n".join([*sections, _LOOKS, _markdown(LOOK_RULES)]) + "\n"


_INTRODUCTION = """# What an answer to a submit means

Printed from `udio_async/providers/verdicts.py`; change it there. A provider's own rows come before
the shared ones, and the first row that matches decides."""
_LOOKS = """## Looks (feed, fetch, account)

They cost nothing and are repeated. What is in no row here is a `BadAnswer`: that look failed, which
says nothing about the song."""


def _markdown(rules: Iterable[Rule]) -> str:
    head = "| seen | verdict | raises | then | advice |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *(_row(rule) for rule in rules)])


def _row(rule: Rule) -> str:
    then = "wait, then the same attempt again" if rule.wait_and_retry else ""
    then = "every other song would meet it" if rule.stops_lane else then
    raised = f"`{rule.error.__name__}`" if rule.error else ""
    cells = [rule.seen, rule.verdict, raised, then, rule.advice]
    return f"| {' | '.join(cells)} |"
