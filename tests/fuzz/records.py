"""Whether a record has the types that its class declares, all the way down."""

import json
import math
import types
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def iter_flaws(record: attrs.AttrsInstance) -> Iterator[str]:
    """Return what is wrong with the fields of a record."""
    for name, kind in _hints(type(record)).items():
        value = getattr(record, name)
        if not _fits(value, kind):
            yield f"{type(record).__name__}.{name} is {value!r:.200}, declared {kind}"


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401  # a type
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if origin is Literal:
        return value in get_args(kind)
    if origin is tuple:
        [inner, *_] = get_args(kind)
        return type(value) is tuple and all(_fits(each, inner) for each in value)
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, dict) and is_plain_json(value)
    return _is_of(value, kind) and _is_sound(value)


def _is_of(value: object, kind: type) -> bool:
    """Return whether it is of this very type; a record may be of one below it, a float whole."""
    if kind is float and type(value) is int:
        return True
    return isinstance(value, kind) if attrs.has(kind) else type(value) is kind


def _is_sound(value: object) -> bool:
    """Return whether a value can be written, compared and shown."""
    if isinstance(value, str):
        return is_text(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, datetime):
        return _is_moment(value)
    return not attrs.has(type(value)) or not list(iter_flaws(value))  # type: ignore[arg-type]


def _is_moment(value: datetime) -> bool:
    try:
        return value.tzinfo is not None and value.astimezone(UTC) == value
    except OverflowError:
        return False


def is_text(value: str) -> bool:
    """Return whether it can be written: it has no half of a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_plain_json(value: object) -> bool:
    """Return whether it can be written as JSON, which journals do."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        return False
    return True
