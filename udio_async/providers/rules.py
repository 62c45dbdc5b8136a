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
    """A regular expression that is searched in the provider's message, which is in lower case;
    empty means any message."""
    json: bool | None = None
    """True: the body has to be JSON. False: it must not be. None: either."""
    retry_after: bool = False
    """Whether the answer has to carry a `Retry-After` header."""

    def matches(self, reply: ReadReply) -> bool:
        """Return whether all conditions of this row hold for the reply."""
        return (
            (not self.statuses or reply.status in self.statuses)
            and (self.json is None or self.json == reply.is_json)
            and (not self.retry_after or "retry-after" in reply.reply.headers)
            and (not self.words or re.search(self.words, reply.text) is not None)
        )


_LOOK_FIRST = "It may be running and paid for: look at the account before paying again."
_CDN_WORDS = "error code: 1010|challenge-platform|cf-chl|just a moment|cf-mitigated"

# "You have insufficient API credits", "Your account balance is too low", "Credits are used up":
# a word for lack and a word for money, near each other in either order. Not meant are words for
# what was not charged ("0 credits were charged") and for rights ("insufficient permissions").
_LACKING = (
    r"(?:\b(?:insufficient|out of|too low|too few|exhausted|depleted|"
    r"negative|lacks?|exceed(?:s|ed)?|zero|0|used up|no more|no remaining)|"
    r"n[o'\u2019]t (?:have )?(?:enough|sufficient|any))"
)
_MONEY = r"(?:credits?|balance|funds|coins)\b"
_TAKEN = r"(?! (?:\w+ ){0,2}(?:charged|deducted|used|spent|taken|consumed)\b)"
_NO_MONEY = "|".join(
    (
        rf"{_LACKING} (?:(?!permission|scope|access|right)\S+ ){{0,2}}{_MONEY}{_TAKEN}",
        rf"{_MONEY} (?:(?:is|are|has|have|was|been|remaining|left) )*{_LACKING}",
        r"\bno credits? (?:left|remaining|available)|insufficient[_ ](?:quota|credits?|balance)",
        r"payment required",
        r"\b(?:subscription|plan|trial) (?:has |is |was )?(?:expired|ended|inactive|cancell?ed)",
        r"\bno active (?:subscription|plan)",
        "余额不足|积分不足|点数不足|额度不足",
    )
)
# Said to an empty account, but also offered to an account that only has to wait.
_OFFER = (
    r"\btop[- ]?up\b|\brecharge\b|"
    r"\b(?:add|buy|purchase|purchasing) (?:more |some )?(?:credits|funds)"
)

# "Too many concurrent generations", "maximum of 4 active jobs", "wait for one to finish": a word
# for a number that is reached, near a word for "at the same time", within one sentence. Such a
# request is sent again. So the answer is not read like this if it has words about the request's own
# texts, which a provider quotes; words that may say that the request was taken; words that refuse
# for longer than a song takes; or an offer ("for higher concurrency"). "At most 2 songs at once" is
# about one request.
_REACHED = (
    r"(?:\btoo many|\b(?:limit|max(?:imum)?|quota|at most|no more than|up to|reached)\b|"
    r"\bonly (?:\w+ )?(?:\d|one|two|a single)|\bexceed|"
    r"\balready (?:\w+ )?\d|\b\d+ ?(?:/|of) ?\d+\b)"
)
_MADE = r"(?:tasks?|jobs?|generations?|songs?|tracks?|requests?)\b"
_AT_ONCE = (
    r"(?:(?<!higher )(?<!more )(?<!extra )(?<!increased )(?<!unlimited )(?:\bconcurren|\bsimultan)|"
    rf"\b(?:parallel|running|active|ongoing|unfinished|in[- ]progress) {_MADE}|"
    rf"\b{_MADE} (?:\w+ )?(?:in parallel|running|in progress))"
)
_AT_A_TIME = (
    rf"\b(?:too many (?:\w+ )?{_MADE}|"
    r"only (?:\d+|one|two|a single) (?:tasks?|jobs?|generations?|requests?))"
    r" (?:\w+ )?(?:at once|at (?:a|the same) time)"
)
_OTHERS = (
    r"(?:one|another|others?|some|any|previous|earlier|existing|"
    r"(?:running|active|current|pending) (?:tasks|jobs|generations|songs|tracks|requests))"
)
_OWN_TEXTS = (
    r"lyric|prompt|\btitle|\btags?\b|\bstyle|descri|moderat|guideline|polic|inappropriate|"
    r"in (?:a|one|a single) (?:request|song)"
)
_MAY_BE_TAKEN = (
    r"queued|\b(?:in|into|to) (?:(?:the|a|our|your) )?queue|scheduled|\bstart(?:ed|s)\b|"
    r"(?:\bwill|['\u2019]ll) (?!not|fail)|(?<!not )accepted|submitted|received|created|"
    r"\b(?:is|now) (?:now )?(?:being|pending|waiting|delayed|process)|"
    r"\balready (?:be|process|exist)|duplicate|identical|idempoten|\bsame (?!time)|"
    r"\bthis (?:task|job|song|generation)|"
    r"wait(?:ing)?[- ]?list|\bon hold\b|backlog|\bsaved\b|\badded\b|\bruns? later|"
    r"\bwaits\b|\bhas to wait|\bit must wait|\byours?\b[^.,;:!?]{0,20}\bwait|"
    r"已提交|已受理|已接受|排队|队列"
)
_FOR_LONGER = (
    r"suspend|\bbann|expired|\bended\b|\bnot allowed|used up|\bmonth|\bdaily\b|\btoday\b|"
    r"\b(?:per|a|this) (?:day|week|year)\b|(?:maximum|limit|quota) (?:is |of )?0\b"
)
# "Put on the waiting list", "your request is queued": taken, even under a number for "wait".
_HELD = (
    r"^(?!.*(?:\bnot|n['\u2019]t) (?:be )?(?:added|put|placed|moved)).*(?:"
    r"\b(?:added|put|placed|moved) (?:in|into|on|onto|to) (?:(?:the|a|our|your) )?"
    r"(?:wait(?:ing)?[- ]?list|queue|backlog)|\byours waits\b|"
    r"\b(?:your (?:task|job|song|request|generation)|yours|it) (?:"
    r"(?:is|was|has been) (?:now |already )?(?:accepted|queued|saved|scheduled|waiting|pending|"
    r"on hold|being processed)|will be (?:made|run|started|processed))|"
    r"\bwe(?: will|['\u2019]ll) (?:make|run|start|process) it\b)"
)
_NEVER_BESIDE = rf"^(?!.*(?:{_OWN_TEXTS}|{_MAY_BE_TAKEN}|{_FOR_LONGER}))"
_TOO_MANY = (
    rf"{_NEVER_BESIDE}.*(?:"
    rf"{_REACHED}[^.;!?]{{0,60}}{_AT_ONCE}|{_AT_ONCE}[^.;!?]{{0,60}}{_REACHED}|{_AT_A_TIME}|"
    rf"\bwait (?:for|until) (?:(?:your|the|an?) )?{_OTHERS} [^.;!?]{{0,40}}"
    r"(?:finish|complete|end|done)|"
    r"并发[^。]{0,12}(?:上限|超|过多|限制|已满)|任务(?:数量?)?(?:过多|已达|超))"
)

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
    "all went well: `success: true`, a `code` of 2xx over data, songs",
)
BEFORE_RULES = (NOT_SENT, LOST, DIED, HAS_ID, ID_ELSEWHERE)

# Rows for an answer without an id, the first that matches decides -----------------------------

NO_CREDIT = Rule(
    seen="words for want of money in JSON, under any status: insufficient credits, balance too "
    "low, used up, payment required, subscription expired, ...",
    error=InsufficientCredits,
    advice="Top up the account.",
    words=_NO_MONEY,
    json=True,
)
TOO_MANY = Rule(
    seen="words for too many songs at once in JSON, under any 4xx but 401, 408 and 409: too many "
    "concurrent tasks, the maximum of active jobs, wait for one to finish, ...",
    error=RateLimited,
    advice="Wait until one of them is made, then ask again.",
    statuses=frozenset(range(400, 500)) - {401, 408, 409},
    words=_TOO_MANY,
    json=True,
)
TOO_MANY_ASKED = attrs.evolve(
    TOO_MANY,
    seen="400 or 429 with no more than `too many requests`, tasks, jobs or generations in JSON",
    statuses=frozenset({400, 429}),
    words=rf"{_NEVER_BESIDE}.*\btoo many (?:tasks|jobs|generations|requests)\b",
)
HELD = attrs.evolve(
    LOST,
    seen="409, 425, 429 or 503 with words that it waits there, in JSON: put on the waiting "
    "list, your request is queued, ...",
    statuses=frozenset({409, 425, 429, 503}),
    words=_HELD,
    json=True,
)
OFFERED = attrs.evolve(
    NO_CREDIT,
    seen="an offer to pay in JSON, under any status: top up, recharge, buy more credits, ...",
    words=_OFFER,
)
CDN_CHALLENGE = Rule(
    seen="403 or 503 with a challenge of the CDN, or `error code: 1010`",
    error=Blocked,
    advice="The CDN before the provider blocked this client, which says nothing about the key: "
    "check the network, the proxy and the User-Agent.",
    statuses=frozenset({403, 503}),
    words=_CDN_WORDS,
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
    NO_CREDIT,
    TOO_MANY,
    TOO_MANY_ASKED,
    HELD,
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
    TOO_MANY,
    TOO_MANY_ASKED,
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
