"""What a reply means, as tables that are read from the top.

Each row names the error that is raised; the error's class says what that means for the money. The
first row that matches decides. The same rows are matched by the code, walked by the tests and
printed into `docs/verdicts.md`.

Where an answer could mean "taken" or "not taken", its row says "in doubt". A needless doubt costs
its owner a look at the account; a request that was taken and is sent again costs credits.
"""

import re

import attrs

from .._errors import (
    AuthenticationFailed,
    BadAnswer,
    Blocked,
    InsufficientCredits,
    PermissionDenied,
    RateLimited,
    RequestRefused,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from .._limits import MAX_RETRY_AFTER
from . import phrases
from .replies import ReadReply


@attrs.frozen(kw_only=True)
class Rule:
    """One row of a table: conditions, and the error they lead to.

    All conditions that are given have to hold; one that is left out always holds. An adapter of
    your own puts its rows before `SHARED_RULES`:

        BUSY = Rule(seen="460", error=RateLimited, advice="Wait.", statuses=frozenset({460}))
    """

    seen: str
    """The answers that this row is for, in words for the documentation."""
    error: type[UdioError] | None
    """What is raised. Its class decides whether the provider may have been paid
    (`charged`), whether the request is sent again (`may_repeat`) and whether the batch ends
    (`stops_batch`). `Unreachable` says that nothing reached the provider."""
    advice: str
    statuses: frozenset[int] = frozenset()
    """HTTP statuses, or the body's own `code` where HTTP says 200; empty means any."""
    words: str = ""
    """A regular expression that is searched in what the provider says, in lower case, its codes
    also as words ("too many tasks"); empty means anything."""
    json: bool | None = None
    """True: the body has to be JSON. False: it must not be. None: either."""
    retry_after: bool = False
    """Whether the answer has to carry a `Retry-After` header."""
    taken: bool | None = None
    """True: something in the answer has to hint that the request was taken, or waits there. False:
    nothing may. None: either."""
    says_no: bool = False
    """Whether the body has to say that it went wrong, where HTTP says 2xx: by `success: false` or a
    `code`, without any data."""
    long_wait: bool = False
    """Whether the answer has to ask for a longer wait than the client ever waits."""
    elsewhere: bool = False
    """Whether the answer has to lead to another path than the request's."""

    def matches(self, reply: ReadReply) -> bool:
        """Return whether all conditions of this row hold for the reply."""
        return (
            (not self.statuses or reply.status in self.statuses)
            and (self.json is None or self.json == reply.is_json)
            and (not self.retry_after or "retry-after" in reply.reply.headers)
            and (not self.says_no or reply.says_no)
            and (not self.long_wait or (reply.wait or 0.0) > MAX_RETRY_AFTER)
            and (not self.elsewhere or reply.leads_elsewhere)
            and (not self.words or re.search(self.words, reply.text) is not None)
            and (self.taken is None or self.taken == reply.may_be_taken)
        )


_ANY_4XX = frozenset(range(400, 500))
_LOOK_FIRST = "It may be running and paid for: look at the account before paying again."
# What is decided before any row below is asked ------------------------------------------------

NOT_SENT = Rule(
    seen="no answer, and proved that nothing left: DNS, refused, connect time-out, TLS, proxy",
    error=Unreachable,
    advice="Nothing left this machine.",
)
LOST = Rule(
    seen="no answer after the request left: reset, early end, time-out, cancelled",
    error=SubmitInDoubt,
    advice=_LOOK_FIRST,
)
DIED = attrs.evolve(LOST, seen="the process died between the intent and the id")
HAS_ID = Rule(
    seen="any status and any body, even a cut one, with an id at a known place",
    error=None,
    advice="The task exists: it is watched, and never asked for again.",
)
ID_ELSEWHERE = attrs.evolve(
    LOST,
    seen="any status and any body, with an id at another place or one that is cut, or a word that "
    "all went well: `success: true`, a `code` of 2xx over data or under another HTTP status, the "
    "state of a task that waits, runs or is done, a place in a queue, songs",
)
BEFORE_RULES = (NOT_SENT, LOST, DIED, HAS_ID, ID_ELSEWHERE)

# Rows for an answer without an id, the first that matches decides -----------------------------

NO_CREDIT = Rule(
    seen="words for want of money in JSON, under any status but 201 to 299: insufficient credits, "
    "balance too low, used up, payment required, subscription expired, ...",
    error=InsufficientCredits,
    advice="Top up the account.",
    statuses=frozenset(range(600)) - frozenset(range(201, 300)),
    words=phrases.NO_MONEY,
    json=True,
)
NO_CREDIT_SAID = attrs.evolve(
    NO_CREDIT,
    seen="the same under 201 to 299, if the body has `success: false`, or a `code` that is no 2xx, "
    "and no data",
    statuses=frozenset(),
    says_no=True,
)
HELD = attrs.evolve(
    LOST,
    seen="2xx, 409, 425, 429 or 5xx with words that it was taken, waits there or is a copy, but "
    "no web page: accepted, queued, position 5, your song will be generated, duplicate, charged, "
    "... Not `was not accepted`, `the queue is full`, `too many queued requests`",
    statuses=frozenset({*range(200, 300), 409, 425, 429, *range(500, 600)}),
    taken=True,
)
OF_A_PERIOD = Rule(
    seen="400 or 429 with words for a limit of a day, a week or a month in JSON, and for no "
    "shorter time: daily limit, quota of this month, ...",
    error=PermissionDenied,
    advice="A limit of the account is reached that no wait of minutes lifts: continue when it is "
    "renewed, or take a larger plan.",
    statuses=frozenset({400, 429}),
    words=phrases.OF_A_PERIOD,
    json=True,
    taken=False,
)
LONG_WAIT = attrs.evolve(
    OF_A_PERIOD,
    seen="429 that asks for a wait of more than ten minutes",
    statuses=frozenset({429}),
    words=phrases.NOT_QUOTED,
    json=None,
    long_wait=True,
)
TOO_MANY = Rule(
    seen="words for too many songs at once in JSON, under any 4xx but 401, 408 and 409: too many "
    "concurrent tasks, the maximum of active jobs, wait for one to finish, ...",
    error=RateLimited,
    advice="Wait until one of them is made, then ask again.",
    statuses=_ANY_4XX - {401, 408, 409},
    words=phrases.TOO_MANY,
    json=True,
    taken=False,
)
TOO_MANY_SAID = attrs.evolve(
    TOO_MANY,
    seen="the same under HTTP 2xx, if the body has `success: false`, or a `code` that is no 2xx, "
    "and no data",
    statuses=frozenset(),
    says_no=True,
)
TOO_MANY_HELD = attrs.evolve(
    LOST,
    seen="the same under any 4xx, beside words that it was taken or waits there",
    statuses=TOO_MANY.statuses,
    words=TOO_MANY.words,
    json=True,
    taken=True,
)
TOO_FAST = attrs.evolve(
    TOO_MANY,
    seen="400, 403 or 429 with no more than `too many requests`, tasks, jobs or generations, `rate "
    "limit`, `slow down`, ... in JSON",
    statuses=frozenset({400, 403, 429}),
    words=phrases.TOO_FAST,
    advice="Wait, then ask again.",
)
OFFERED = attrs.evolve(
    NO_CREDIT,
    seen="an offer to pay in JSON, under any status but 2xx: top up, recharge, buy more credits, "
    "...",
    statuses=frozenset(range(600)) - frozenset(range(200, 300)),
    words=phrases.OFFER,
)
CDN_CHALLENGE = Rule(
    seen="403 or 503 with a challenge of the CDN, or `error code: 1010`",
    error=Blocked,
    advice="The CDN before the provider blocked this client, which says nothing about the key: "
    "check the network, the proxy and the User-Agent.",
    statuses=frozenset({403, 503}),
    words=phrases.CDN_WORDS,
    json=False,
)
CDN_BLOCK = attrs.evolve(
    CDN_CHALLENGE, seen="403 without JSON", statuses=frozenset({403}), words=""
)
BAD_KEY = Rule(
    seen="401",
    error=AuthenticationFailed,
    advice="Check the API key, and which provider it is for.",
    statuses=frozenset({401}),
)
UNPAID = attrs.evolve(NO_CREDIT, seen="402", statuses=frozenset({402}), words="", json=None)
KEY_REFUSED = attrs.evolve(
    BAD_KEY,
    seen="words for a key that does not fit in JSON, under any 4xx but 402, 403, 408, 409 and 429: "
    "invalid API key, token expired, unauthorized, ...",
    statuses=_ANY_4XX - {402, 403, 408, 409, 429},
    words=phrases.BAD_KEY,
    json=True,
)
ACCOUNT_CLOSED = Rule(
    seen="words for an account that is closed in JSON, under any 4xx but 402, 408 and 409: account "
    "suspended, key disabled, ...",
    error=PermissionDenied,
    advice="Ask the provider what is wrong with the account.",
    statuses=_ANY_4XX - {402, 408, 409},
    words=phrases.ACCOUNT_CLOSED,
    json=True,
)
FORBIDDEN = Rule(
    seen="403 with JSON",
    error=PermissionDenied,
    advice="The key is known, and may not do this.",
    statuses=frozenset({403}),
    json=True,
)
THROTTLED = Rule(
    seen="425, 429",
    error=RateLimited,
    advice="Wait, then ask again.",
    statuses=frozenset({425, 429}),
)
TOLD_TO_WAIT = attrs.evolve(
    THROTTLED,
    seen="503 with JSON and a `Retry-After` header",
    statuses=frozenset({503}),
    json=True,
    retry_after=True,
)
DECLINED = Rule(
    seen="400, 413, 415, 422 with JSON",
    error=RequestRefused,
    advice="Change the request; nothing was taken.",
    statuses=frozenset({400, 413, 415, 422}),
    json=True,
)
NOT_THERE = attrs.evolve(
    DECLINED,
    seen="404, 405 with JSON",
    statuses=frozenset({404, 405}),
    advice="Check base_url, then the request; nothing was taken.",
)
SEE_OTHER = attrs.evolve(LOST, seen="303", statuses=frozenset({303}))
# A framework answers a POST that it took with a way to what it made.
FOUND = attrs.evolve(
    LOST,
    seen="301 or 302 to another path than the request's, or to none",
    statuses=frozenset({301, 302}),
    elsewhere=True,
)
REDIRECT = Rule(
    seen="any other 3xx",
    error=RequestRefused,
    advice="Redirects are never followed: check base_url.",
    statuses=frozenset(range(300, 400)),
)
NOT_REACHED = Rule(
    seen="521, 523, 525, 526",
    error=Unreachable,
    advice="The CDN says that it never reached the provider.",
    statuses=frozenset({521, 523, 525, 526}),
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
    HELD,
    NO_CREDIT,
    NO_CREDIT_SAID,
    ACCOUNT_CLOSED,
    KEY_REFUSED,
    OF_A_PERIOD,
    LONG_WAIT,
    TOO_MANY,
    TOO_MANY_SAID,
    TOO_MANY_HELD,
    TOO_FAST,
    OFFERED,
    CDN_CHALLENGE,
    CDN_BLOCK,
    BAD_KEY,
    UNPAID,
    FORBIDDEN,
    THROTTLED,
    TOLD_TO_WAIT,
    DECLINED,
    NOT_THERE,
    SEE_OTHER,
    FOUND,
    REDIRECT,
    NOT_REACHED,
    UNCLEAR,
    BROKEN,
    IN_DOUBT,
)
"""Rows that hold for every provider. A provider puts its own before them."""

# Rows for what is free; what matches none is a `BadAnswer`, and is asked for again -------------

ACCOUNT_RULES = (
    NO_CREDIT,
    NO_CREDIT_SAID,
    ACCOUNT_CLOSED,
    KEY_REFUSED,
    TOO_MANY,
    TOO_FAST,
    OFFERED,
    attrs.evolve(CDN_CHALLENGE, error=BadAnswer),
    attrs.evolve(CDN_BLOCK, error=BadAnswer),
    BAD_KEY,
    UNPAID,
    FORBIDDEN,
    THROTTLED,
    TOLD_TO_WAIT,
)
"""Rows for a question about the account, such as its credits."""

LOOK_RULES = (
    *ACCOUNT_RULES,
    attrs.evolve(
        DECLINED,
        seen="400, 404, 410, 422 with JSON",
        statuses=frozenset({400, 404, 410, 422}),
        advice="It does not know such a task: check the id and the key it was made with; "
        "results are kept for days only.",
    ),
)
"""Rows for a look at tasks."""
