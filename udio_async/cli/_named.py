"""Options of a provider as a shell gives them: NAME=VALUE."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import attrs
import click

from .. import Provider

_SWITCHES = {"true": True, "yes": True, "false": False, "no": False}
_CALLBACKS = ("callback_url", "webhook_url")
"""What providers call the address that they report to."""


def read_named(
    pairs: Iterable[str], given: Mapping[str, str | None], provider: Provider
) -> dict[str, Any]:
    """Return options with values of the types that the provider wants.

    A name that the provider does not know is kept: it is refused later, with the names that are
    known.

    Args:
        pairs: texts like "clarity_strength=0.5".
        given: options that have a flag of their own; None if it was left out.
        provider: whose options they are.

    Raises:
        click.UsageError: one is not a pair, is given twice, or is of another type.
    """
    named = {name: value for name, value in given.items() if value is not None}
    if "callback_url" in named:
        named[_callback_name(provider)] = named.pop("callback_url")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not name or not equals:
            raise click.UsageError(
                f"--option {pair!r} is not NAME=VALUE; give one such as clarity_strength=0.5"
            )
        if name in named:
            raise click.UsageError(f"{name} is given twice; leave one out")
        named[name] = value
    types = {field.name: field.type for field in attrs.fields(provider.traits.options)}
    return {name: _as_typed(name, value, types.get(name)) for name, value in named.items()}


def _callback_name(provider: Provider) -> str:
    """Return the provider's name for the address that it reports to."""
    known = [field.name for field in attrs.fields(provider.traits.options)]
    return next((name for name in _CALLBACKS if name in known), _CALLBACKS[0])


def _as_typed(name: str, value: str, kind: object) -> object:
    """Return the value of an option as its class wants it.

    Raises:
        click.UsageError: it is of another kind.
    """
    kinds = get_args(kind)
    if bool in kinds:
        if value.lower() not in _SWITCHES:
            raise click.UsageError(f"{name} is {value!r}; give true or false")
        return _SWITCHES[value.lower()]
    if float in kinds:
        try:
            return float(value)
        except ValueError:
            raise click.UsageError(f"{name} is {value!r}; give a number such as 0.5") from None
    return value
