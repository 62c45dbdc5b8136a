"""Faults: what goes wrong, chosen beforehand, and with which submits."""

from collections.abc import Sequence

import attrs

from .._errors import InvalidRequest
from .._validators import check_count
from ._kinds import ALL, KINDS, PROVIDERS, is_known, kind_of, listed

__all__ = ["KINDS", "Fault", "FaultPlan"]


def _known_kind(_: object, __: object, kind: str) -> None:
    """Refuse a kind that is not in the list."""
    if not is_known(kind):
        known = ", ".join(sorted(each.written for each in ALL.values()))
        raise ValueError(f"No such fault {kind!r}; known: {known}")


def _known_provider(_: object, __: object, provider: str) -> None:
    """Refuse a provider that is not here."""
    if provider and provider not in PROVIDERS:
        raise ValueError(f"No such provider {provider!r}; known: {', '.join(PROVIDERS)}")


def _text(_: object, field: "attrs.Attribute[str]", value: object) -> None:
    """Refuse anything but text."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field.name} is {value!r}; give text")


def _count(_: object, field: "attrs.Attribute[int]", number: object) -> None:
    """Refuse anything but a whole number from 1 on."""
    check_count(field.name, number)


@attrs.frozen
class Fault:
    """One thing that goes wrong in the sandbox, and with which submits.

        Sandbox(faults=[Fault("stuck", every=20), Fault("html_502", match="rain")])

    Only a submit with a good key and a valid body counts, and only where the fault can happen. If
    several faults want the same submit, the first one in the sandbox's list gets it, and the next
    one gets the next submit that it counts. So with `every=20` each of several faults hits one
    submit in twenty.

    Raises:
        ValueError: there is no such fault, or it would never happen.
    """

    kind: str = attrs.field(validator=_known_kind)
    """What goes wrong: "stuck", "message:Server overload"."""
    match: str = attrs.field(default="", kw_only=True, validator=_text)
    """Only submits whose prompt contains this."""
    every: int = attrs.field(default=1, kw_only=True, validator=_count)
    """Only every n-th submit that matches."""
    provider: str = attrs.field(default="", kw_only=True, validator=_known_provider)
    """Only this provider: "udioapi-v1", "udioapi-v2", "apiframe"; "" is any."""
    times: int | None = attrs.field(
        default=None, kw_only=True, validator=attrs.validators.optional(_count)
    )
    """At most so often; None is without end."""

    def __attrs_post_init__(self) -> None:
        if self.provider and self.provider not in ALL[kind_of(self.kind)].providers:
            raise ValueError(f"{self.kind} never happens at {self.provider}")

    def wants(self, provider: str, prompt: str) -> bool:
        """Return whether a submit is one of those that this fault counts."""
        possible = provider in ALL[kind_of(self.kind)].providers
        return possible and self.provider in {"", provider} and self.match in prompt


Fault.__doc__ = f"{Fault.__doc__}\n\nEvery `kind` there is:\n\n{listed()}\n"


@attrs.define
class FaultPlan:
    """Deals the faults out to submits, in their order."""

    faults: Sequence[Fault]
    _seen: list[int] = attrs.field(init=False)
    _dealt: list[int] = attrs.field(init=False)
    _due: list[bool] = attrs.field(init=False)
    """Whether each fault is due, and has not got a submit yet."""

    def __attrs_post_init__(self) -> None:
        self._seen = [0] * len(self.faults)
        self._dealt = [0] * len(self.faults)
        self._due = [False] * len(self.faults)

    def deal(self, provider: str, prompt: str) -> str:
        """Return the kind of fault that this submit gets; "" if it gets none."""
        wanting = [i for i, fault in enumerate(self.faults) if fault.wants(provider, prompt)]
        for i in wanting:
            self._count(i)
        for i in wanting:
            if self._due[i]:
                self._due[i] = False
                self._dealt[i] += 1
                return self.faults[i].kind
        return ""

    def _count(self, i: int) -> None:
        """Count a submit; a fault that is due waits for the next free submit."""
        fault = self.faults[i]
        self._seen[i] += 1
        if self._seen[i] % fault.every == 0:
            self._due[i] = fault.times is None or self._dealt[i] < fault.times
