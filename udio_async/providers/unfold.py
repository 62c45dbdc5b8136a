"""Answers in another spelling: names in camelCase, JSON within a text, lists within objects.

Pages and services do not agree on any of them, and the songs behind them are paid for. A usual
answer is not changed, and costs nothing here. Nothing fails because of what a server wrote.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .._errors import BadAnswer
from .wire import loads

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_names(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object with its names in snake_case: `audioUrl` becomes `audio_url`.

    Where both are there, the usual name counts, unless it has no value.
    """
    if "".join(fields).islower():
        return fields
    named: dict[str, Any] = {}
    for name, value in fields.items():
        usual = _snake(name)
        if not named.get(usual) or (name == usual and value):
            named[usual] = value
    return named


@lru_cache(maxsize=256)
def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()


def from_text(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the object or the list that a text of JSON holds; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return loads(value.encode())
        except BadAnswer:
            return value
    return value


def with_data(payload: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return an answer in which `data` is no text of JSON."""
    if isinstance(payload, Mapping) and isinstance(payload.get("data"), str):
        return {**payload, "data": from_text(payload["data"])}
    return payload


def as_list(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return the list of objects that a value stands for; any other value as it is.

    It may be a text of JSON, an object of objects by their id or number, or an object around one
    list of objects.
    """
    if isinstance(value, list):
        return value
    value = from_text(value)
    if not isinstance(value, Mapping):
        return value
    inner = list(value.values())
    if len(inner) == 1 and isinstance(inner[0], list):
        [inner] = inner
    return inner if all(isinstance(one, Mapping) for one in inner) else value
