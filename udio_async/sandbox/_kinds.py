"""Faults as data: the one list of everything that can go wrong.

`help(Fault)`, `udio-async sandbox --help` and `docs/sandbox.md` are printed from it.
"""

import textwrap
from collections.abc import Collection, Iterator, Mapping

import attrs

PROVIDERS = ("udioapi-v1", "udioapi-v2", "apiframe")
_UDIOAPI = frozenset({"udioapi-v1", "udioapi-v2"})
_CALL_BACK = frozenset({"udioapi-v1", "apiframe"})
NO_CREDIT_STATUSES = (200, 400, 402, 403, 429, 500)
"""HTTP statuses under which services have been seen to say that an account is empty."""


@attrs.frozen
class Kind:
    """One thing that can go wrong."""

    name: str
    says: str
    """What happens, in a sentence without its capital and its full stop."""
    providers: Collection[str] = attrs.field(default=PROVIDERS, kw_only=True)
    """Where it can happen; submits to other providers are not counted."""
    detail: str = attrs.field(default="", kw_only=True)
    """The name of what stands behind a colon: "text" for `message:<text>`; "" if nothing does."""
    known: Collection[str] = attrs.field(default=(), kw_only=True)
    """The details that exist; empty means any text."""

    @property
    def written(self) -> str:
        """How it is written: `stuck`, `message:<text>`."""
        return f"{self.name}:<{self.detail}>" if self.detail else self.name

    @property
    def sentence(self) -> str:
        """What happens, and at which providers it never does."""
        passed = [name for name in PROVIDERS if name not in self.providers]
        never = f" (never at {' and '.join(passed)})" if passed else ""
        return f"{self.says}{never}."


@attrs.frozen
class Group:
    """Faults that are about the same thing, and cost the same."""

    title: str
    kinds: tuple[Kind, ...]


GROUPS = (
    Group(
        "Nothing is charged",
        (
            Kind("http_500", "500 without an id"),
            Kind("html_502", "502 with a gateway's HTML page"),
            Kind("rate_limited", "429 with `Retry-After`"),
            Kind("refused", "400 with a documented message"),
            Kind(
                "no_credit",
                "as if the account were empty, under this status: "
                f"{', '.join(map(str, NO_CREDIT_STATUSES))}; at 200 the 402 is in the body",
                detail="status",
                known=frozenset(map(str, NO_CREDIT_STATUSES)),
            ),
        ),
    ),
    Group(
        "Charged, and the answer is bad",
        (
            Kind("http_500_with_id", "500 that names the task", providers=_UDIOAPI),
            Kind("charged_502", "502 with a gateway's HTML page, but the request was taken"),
            Kind("slow_submit", "the answer comes a second late"),
            Kind("encoded_answers", "the answer and all looks are gzipped, asked for or not"),
            Kind(
                "odd_encoding_answers",
                "the answer and all looks say `Content-Encoding: utf-8` over plain bytes",
            ),
        ),
    ),
    Group(
        "Charged, and the first two looks fail, the third is fine",
        (
            Kind("malformed", "200 with broken JSON"),
            Kind("look_500", "500"),
            Kind("look_401", "401, as for a wrong key"),
            Kind("look_402", "402, as for an empty account"),
            Kind("look_403", "403"),
            Kind("look_404", "404, as for a task that nobody knows"),
            Kind("look_429", "429 without `Retry-After`"),
        ),
    ),
    Group(
        "Charged, and not every song arrives",
        (
            Kind("moderation", "the task fails, as its text is not allowed"),
            Kind(
                "moderation_early",
                "the same after about 3 s (divided by the speed), as its words are not allowed",
            ),
            Kind("upstream", "the task fails, as the provider is broken"),
            Kind(
                "message",
                "the task fails with this text, such as `message:Server overload`",
                detail="text",
            ),
            Kind("cancelled", "the task ends with this word, and no more is said"),
            Kind("expired", "the task ends with this word, and no more is said"),
            Kind("one_song", "the second song fails, the first is delivered"),
            Kind("stuck", "the task stays at 99 % for ever"),
            Kind("unknown_word", "the task stays at a word that nobody knows, without songs"),
            Kind(
                "placeholder",
                "the task is complete, and the links of its songs lead to `None.mp3`, `null`, "
                "`undefined.mp3` or to no name",
            ),
            Kind("cdn_gone", "the files are 404 for ever, and a fresh look shows the same links"),
        ),
    ),
    Group(
        "Charged, and what is said of the songs is odd",
        (
            Kind(
                "stuck_first",
                "the task stays at its first audio for ever, while both songs have their files",
            ),
            Kind("same_song_twice", "the first song is listed twice"),
            Kind(
                "odd_fields",
                "the title is a number, the tags are a list, the duration is a text such as "
                '"0:06", the image is null, the dates are no dates',
            ),
            Kind(
                "duration_lies",
                "three minutes more are stated than the file plays",
                providers=_UDIOAPI,
            ),
        ),
    ),
    Group(
        "Charged, and the files are troubled",
        (
            Kind(
                "cdn_late",
                "403 or 404 for half a minute to two and a half after the end (divided by the "
                "speed), then the file",
            ),
            Kind("link_expired", "the first link is 410 or 403, a fresh look shows a good one"),
            Kind("empty_body", "the first two downloads of a file are 200 without a byte"),
            Kind("error_page", "the first download of a file is 200 with an HTML page"),
            Kind("cut", "the first download of a file breaks off half way"),
            Kind("container", "the files are WAV, FLAC, Ogg or M4A, under links to `.mp3`"),
            Kind("encoded", "the files are gzipped, asked for or not"),
            Kind("odd_encoding", "the files say `Content-Encoding: utf-8` over plain bytes"),
            Kind(
                "partial_206",
                "the whole file is answered as 206, with or without `Content-Range`, or as 203",
            ),
        ),
    ),
    Group(
        "Charged, and calling back is troubled; without a callback nothing is",
        (
            Kind(
                "late_callback",
                "all come after the end, late by half of the time that the song took",
                providers=_CALL_BACK,
            ),
            Kind("doubled_callback", "each comes twice, at the same time", providers=_CALL_BACK),
            Kind(
                "reordered_callbacks",
                "all come at the end, the last stage first",
                providers=_CALL_BACK,
            ),
            Kind("dropped_callbacks", "none comes", providers=_CALL_BACK),
            Kind("skipped_callbacks", "only the last one comes", providers=_CALL_BACK),
            Kind(
                "forged_callback",
                "before each true one come forged ones: to a wrong address and, where there is a "
                "secret, with a wrong one and without one",
                providers=_CALL_BACK,
            ),
            Kind("gzipped_callback", "the bodies are gzipped, and say so", providers=_CALL_BACK),
            Kind(
                "slash_callback",
                "they are posted to the address with a slash behind it",
                providers=_CALL_BACK,
            ),
        ),
    ),
)

ALL: Mapping[str, Kind] = {kind.name: kind for group in GROUPS for kind in group.kinds}
KINDS = tuple(kind.name for kind in ALL.values() if not kind.detail)
"""The faults that need no detail."""


def kind_of(fault: str) -> str:
    """Return the name of a fault's kind: "message" for "message:Server overload"."""
    return fault.partition(":")[0]


def detail_of(fault: str) -> str:
    """Return what stands behind the colon of a fault."""
    return fault.partition(":")[2]


def is_known(fault: object) -> bool:
    """Return whether there is such a fault, with such a detail."""
    if not isinstance(fault, str):
        return False
    name, colon, detail = fault.partition(":")
    kind = ALL.get(name)
    if kind is None or bool(colon) != bool(kind.detail):
        return False
    return not colon or (detail in kind.known if kind.known else bool(detail))


def listed() -> str:
    """Return the list of all faults as text for people."""
    return "\n\n".join(f"{group.title}:\n" + "\n".join(_lines(group)) for group in GROUPS)


def _lines(group: Group) -> Iterator[str]:
    for kind in group.kinds:
        yield textwrap.fill(
            f"`{kind.written}`: {kind.sentence}",
            width=92,
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
        )
