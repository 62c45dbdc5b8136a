"""What can go wrong, chosen beforehand."""

from collections.abc import Sequence

import attrs

PROVIDERS = ("udioapi-v1", "udioapi-v2", "apiframe")

NOT_TAKEN = frozenset({"http_500", "html_502", "rate_limited", "refused"})
"""The submit is answered with an error and costs nothing."""

TAKEN_BUT_UNCLEAR = frozenset({"http_500_with_id", "charged_502", "slow_submit"})
"""The submit costs its credits, and the answer is late or does not say so."""

BROKEN_LOOKS = frozenset({"malformed", "look_500"})
"""The first looks at the task fail, the song is fine."""

NEVER_READY = frozenset({"moderation", "upstream", "one_song", "stuck"})
"""The submit is accepted and charged, and not every song arrives."""

CALLBACKS = frozenset(
    {
        "late_callback",
        "doubled_callback",
        "reordered_callbacks",
        "dropped_callbacks",
        "skipped_callbacks",
        "forged_callback",
    }
)
"""The submit is accepted, and its callbacks are troubled; without any, nothing is."""

KINDS = NOT_TAKEN | TAKEN_BUT_UNCLEAR | BROKEN_LOOKS | NEVER_READY | CALLBACKS
MESSAGE = "message:"
BROKEN_LOOKS_PER_TASK = 2


def _known_kind(_: object, __: object, kind: str) -> None:
    if kind in KINDS or (kind.startswith(MESSAGE) and len(kind) > len(MESSAGE)):
        return
    known = ", ".join([*sorted(KINDS), f"{MESSAGE}<text>"])
    raise ValueError(f"No such fault {kind!r}; known: {known}")


def _known_provider(_: object, __: object, provider: str) -> None:
    if provider and provider not in PROVIDERS:
        raise ValueError(f"No such provider {provider!r}; known: {', '.join(PROVIDERS)}")


def _positive(_: object, field: "attrs.Attribute[int]", number: int) -> None:
    if number < 1:
        raise ValueError(f"{field.name} must be 1 or more, not {number}")


@attrs.frozen
class Fault:
    """One thing that goes wrong in the sandbox, and with which submits.

    Only a submit with a good key and a valid body counts. When several faults want the same
    submit, the first one in the sandbox's list gets it.
    """

    kind: str = attrs.field(validator=_known_kind)
    """What goes wrong.

    Nothing is charged:
        `http_500`: 500 without an id.
        `html_502`: 502 with a gateway's HTML page.
        `rate_limited`: 429 with `Retry-After`.
        `refused`: 400 with a documented message.

    Charged, and the answer is bad:
        `http_500_with_id`: 500 that names the task (documented for udioapi; apiframe never does
        it, so the fault passes over apiframe's submits).
        `charged_502`: as `html_502`, but the song was taken.
        `slow_submit`: the answer comes a second late.

    Charged, and looking at the task is troubled:
        `malformed`: the first two looks are answered with broken JSON.
        `look_500`: the first two looks are answered with 500.

    Charged, and not every song arrives:
        `moderation`, `upstream`: the task fails, in the words of that provider.
        `message:<text>`: the task fails with this text, such as `message:Server overload`.
        `one_song`: the second song fails, the first is delivered.
        `stuck`: the task stays at 99 % for ever.

    Charged, and calling back is troubled:
        `late_callback`: all of them come after the end, half of the song's time late.
        `doubled_callback`: each comes twice, at the same time.
        `reordered_callbacks`: all come at the end, the last stage first.
        `dropped_callbacks`: none comes.
        `skipped_callbacks`: only the last one comes.
        `forged_callback`: before each true one come forged ones: to a wrong address, and with a
            wrong secret and without one where there is one.
    """

    match: str = attrs.field(default="", kw_only=True)
    """Only submits whose prompt contains this."""
    every: int = attrs.field(default=1, kw_only=True, validator=_positive)
    """Only every n-th submit that matches."""
    provider: str = attrs.field(default="", kw_only=True, validator=_known_provider)
    """Only this provider: "udioapi-v1", "udioapi-v2", "apiframe"; "" is any."""
    times: int | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(_positive)
    )
    """At most so often; None is without end."""

    def wants(self, provider: str, prompt: str) -> bool:
        """Whether a submit is one of those that this fault counts."""
        if self.kind == "http_500_with_id" and provider == "apiframe":
            return False
        return self.provider in {"", provider} and self.match in prompt


@attrs.define
class FaultPlan:
    """Deals the faults out to submits, in order."""

    faults: Sequence[Fault]
    _seen: list[int] = attrs.field(init=False)
    _dealt: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = [0] * len(self.faults)
        self._dealt = [0] * len(self.faults)

    def deal(self, provider: str, prompt: str) -> str:
        """Return the kind of fault that this submit gets; "" is none."""
        due = [i for i, fault in enumerate(self.faults) if fault.wants(provider, prompt)]
        for i in due:
            self._seen[i] += 1
        for i in due:
            if self._is_due(i):
                self._dealt[i] += 1
                return self.faults[i].kind
        return ""

    def _is_due(self, i: int) -> bool:
        fault = self.faults[i]
        used_up = fault.times is not None and self._dealt[i] >= fault.times
        return not used_up and self._seen[i] % fault.every == 0
