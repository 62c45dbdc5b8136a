"""From bytes to records: bounded JSON, strict types, readable errors.

A record is read strictly first. Where that fails, each odd field is left out, with one line in the
log, and the rest is read: a title that is a number must not cost a song that is paid for.
"""

import html
import json
import logging
import math
import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Annotated, Any, TypeVar, get_origin

import cattrs
from cattrs import (
    BaseValidationError,
    ClassValidationError,
    IterableValidationError,
    transform_error,
)
from cattrs.cols import list_structure_factory

from .._errors import BadAnswer

T = TypeVar("T")

MAX_DEPTH = 64
"""Levels of nesting. The deepest documented answer has four."""
MAX_DIGITS = 40
"""Digits of a number: a longer one is an attack on the parser, not a duration."""
MAX_VALUES = 20_000
"""Values in one answer, commas of its texts included: reading so many takes 20 ms."""
MAX_CONTAINERS = 5_000
"""Lists and objects in one answer, for the same reason; the largest documented one has 100."""
MAX_ENTRIES = 100
"""Entries of a list that are read: no task has nearly as many songs."""
MAX_TOLD = 20
"""Odd fields of one answer that are logged, at most."""
_NO_IDS = frozenset({"", "0", "-1", "null", "none", "nil", "undefined"})
"""What servers write where there is no id."""
EXCERPT = 80
"""Characters of a foreign body that an error may show."""

OptionalText = Annotated[str | None, "text"]
"""Text, where "" and null both mean "not yet"."""
ShownText = Annotated[str | None, "shown"]
"""Text that people read: `&amp;` in it becomes "&"."""
Link = Annotated[str | None, "link"]
"""A link: `&amp;` in its query becomes "&"."""
OptionalId = Annotated[str | None, "id"]
"""An id, which some servers write as a number; "", "null" and 0 count as missing."""
Seconds = Annotated[float | None, "seconds"]
"""A duration: 156.36, "156.36", "2:36", "" or null."""
Instant = Annotated[datetime | None, "instant"]
"""A time: ISO 8601, "2024-09-05 13:09:01" (read as UTC), epoch seconds or ms; bad is None."""
Number = Annotated[float | None, "number"]
"""A number, perhaps written as text ("56", "1,234"), or null."""

logger = logging.getLogger("udio_async")


# Bytes to plain values -----------------------------------------------------------------------


def loads(body: bytes) -> Any:  # noqa: ANN401  # JSON is anything
    """Read JSON as it may come from a stranger.

    UTF-8, UTF-16 and UTF-32 are told apart, with or without a byte order mark. Bytes that are
    not text become U+FFFD, halves of characters become "?". NaN and Infinity, which JSON does not
    have, and numbers of too many digits become None.

    Raises:
        BadAnswer: it is not JSON, is nested too deep, or has more values than any answer.
    """
    try:
        text = body.decode(json.detect_encoding(body), errors="replace").removeprefix("\ufeff")
        brackets = text.count("[") + text.count("{")
        if brackets > MAX_CONTAINERS or text.count(",") > MAX_VALUES:
            raise BadAnswer(f"the answer holds too many values to be one: {describe(body)}")
        value = _JSON.decode(text)
        # A usual answer needs no walk through all of its values.
        plain = brackets <= MAX_DEPTH and "\\ud" not in text and "\\uD" not in text
        return value if plain else _clean(value, 0)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"the answer is no usable JSON: {describe(body)}") from error


def excerpt(body: bytes | str) -> str:
    """Return the beginning of a text, on one line and printable.

    At most `EXCERPT` characters; a longer one ends in "…".
    """
    text = body[: EXCERPT * 4].decode(errors="replace") if isinstance(body, bytes) else body
    line = " ".join(text[: EXCERPT * 4].split())
    line = "".join(char if char.isprintable() else "\ufffd" for char in line)
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1] + "…"


def describe(body: bytes) -> str:
    """Return what a body looks like, for an error message."""
    if not body.strip():
        return "it is empty"
    shown = excerpt(body)
    if re.match(r"<(!doctype|html|head|body|\?xml)", shown, re.IGNORECASE):
        return f"it is a web page, as gateways send them: {shown!r}"
    return repr(shown)


def _integer(digits: str) -> int | None:
    """Read a whole number; None for one that is too long."""
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _finite(digits: str) -> float | None:
    """Read a number; None for one that is infinite."""
    number = float(digits)  # 1e400 is valid JSON and becomes infinite
    return number if math.isfinite(number) else None


def _no_number(_word: str) -> None:
    """Read NaN and Infinity as None."""


_JSON = json.JSONDecoder(parse_int=_integer, parse_float=_finite, parse_constant=_no_number)


def _clean(value: Any, depth: int) -> Any:  # noqa: ANN401  # JSON is anything
    """Return a value without lone surrogates.

    Neither SQLite nor a file name can hold them.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if not isinstance(value, dict | list):
        return value
    if depth == MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_clean(entry, depth + 1) for entry in value]
    return {_clean(key, depth): _clean(entry, depth + 1) for key, entry in value.items()}


# Plain values to records ---------------------------------------------------------------------


def make_converter(*, strict: bool = False) -> cattrs.Converter:
    """Build a converter that changes no value into another type.

    A plain cattrs converter turns null into "None" and "false" into true.

    Args:
        strict: a key that the model does not know is an error as well. Tests over recordings use
            it, so that a new field is a red test and not an outage.
    """
    converter = cattrs.Converter(forbid_extra_keys=strict)
    # All of this comes before any model: cattrs bakes the hooks into its classes.
    converter.register_structure_hook(str, _exact_text)
    converter.register_structure_hook(int, _exact_integer)
    converter.register_structure_hook(bool, _exact_bool)
    converter.register_structure_hook(float, _exact_float)
    converter.register_structure_hook_factory(_is_list, _exact_list)
    for alias, hook in _TOLERANT:
        converter.register_structure_hook_func(partial(operator.eq, alias), hook)
    return converter


def structure(converter: cattrs.Converter, payload: object, kind: type[T], *, about: str) -> T:
    """Make a record of a plain value.

    A field of an odd type gets its default, and the log one line about it.

    Args:
        converter: made by `make_converter`.
        payload: the JSON value.
        kind: the class of the record.
        about: the task or the page, for the log.

    Raises:
        BadAnswer: it is not an object, or lacks a field that it must have; the message says which.
    """
    if not isinstance(payload, Mapping):
        raise BadAnswer(f"the answer should be an object, and is {_name(payload)}")
    odd: Odd = []
    try:
        return converter.structure(payload, kind)
    except BaseValidationError as error:
        plain = _without_odd(payload, error, about, odd)
    try:
        record = converter.structure(plain, kind)
    except BaseValidationError as error:
        faults = transform_error(error, path="answer", format_exception=_fault)
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        listed = "; ".join(excerpt(fault) for fault in faults[:3])
        raise BadAnswer(f"the answer has an undocumented shape: {listed}{more}") from error
    for where, flaw in odd[:MAX_TOLD]:
        log_odd(where, flaw)
    return record


def _fault(error: BaseException, _kind: type | None) -> str:
    """Return what is wrong with a field, for a message."""
    return "a field is missing" if isinstance(error, KeyError) else str(error)


Odd = list[tuple[str, str]]


def _without_odd(value: Any, error: BaseException, where: str, odd: Odd) -> Any:  # noqa: ANN401  # JSON is anything
    """Return a value with None at each place that `error` is about.

    Each place is added to `odd`, with what is wrong there.
    """
    if isinstance(error, ClassValidationError) and isinstance(value, Mapping):
        fields = dict(value)
        for flaw, note in error.group_exceptions()[0]:
            if note.name in fields:
                there = f"{where}, {note.name}"
                fields[note.name] = _without_odd(fields[note.name], flaw, there, odd)
        return fields
    if isinstance(error, IterableValidationError):
        entries = list(value[:MAX_ENTRIES])
        for flaw, at in error.group_exceptions()[0]:
            place = int(at.index)
            entries[place] = _without_odd(value[place], flaw, f"{where} {place}", odd)
        return entries
    odd.append((where, str(error)))
    return None


@lru_cache(maxsize=4096)
def log_odd(where: str, flaw: str) -> None:
    """Log one odd field, once: a task is looked at many times."""
    logger.warning("%s is left out: %s", where, excerpt(flaw))


def objects_in(value: object, where: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list, at most `MAX_ENTRIES`.

    Anything else in it is left out, with one line in the log. None counts as an empty list.

    Raises:
        BadAnswer: it is not a list.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadAnswer(f"{where} should be a list, and is {_name(value)}")
    entries = value[:MAX_ENTRIES]
    for place, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            log_odd(f"{where} {place}", f"expected an object, found {_name(entry)}")
            break  # one line will do
    return [entry for entry in entries if isinstance(entry, Mapping)]


def _name(value: object) -> str:
    """Return what a JSON value is, for a message, without printing all of it."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return excerpt(json.dumps(value, default=repr))


def _expected(what: str, value: object) -> TypeError:
    """Return the error for a value of another type."""
    return TypeError(f"expected {what}, found {_name(value)}")


def _exact_text(value: object, _kind: object) -> str:
    """Take text only."""
    if type(value) is not str:
        raise _expected("text", value)
    return value


def _id(value: object, kind: object) -> str | None:
    """Take an id: text or a whole number."""
    text = str(value) if type(value) is int else _optional_text(value, kind)
    return text if is_id(value) else None


def is_id(value: object) -> bool:
    """Return whether a value can be an id.

    "", "null", 0 and the like stand where there is no id.
    """
    if isinstance(value, str):
        return value.strip().lower() not in _NO_IDS
    return type(value) is int and value > 0


def _exact_integer(value: object, _kind: object) -> int:
    """Take whole numbers only."""
    if type(value) is not int:  # True is an int to Python, and must not become 1
        raise _expected("an integer", value)
    return value


def _exact_bool(value: object, _kind: object) -> bool:
    """Take true and false only."""
    if type(value) is not bool:
        raise _expected("true or false", value)
    return value


def _exact_float(value: object, _kind: object) -> float:
    """Take numbers only."""
    if type(value) is not float and type(value) is not int:
        raise _expected("a number", value)
    return float(value)


def _is_list(kind: object) -> bool:
    return get_origin(kind) is list


def _exact_list(kind: Any, converter: cattrs.Converter) -> Callable[[Any, Any], list[Any]]:  # noqa: ANN401  # a type
    """Build a hook that takes lists only.

    cattrs itself also takes text and the keys of objects.
    """
    structure_list = list_structure_factory(kind, converter)

    def hook(value: object, kind: type) -> list[Any]:
        if not isinstance(value, list):
            raise _expected("a list", value)
        entries: list[Any] = structure_list(value[:MAX_ENTRIES], kind)
        return entries

    return hook


def _optional_text(value: object, kind: object) -> str | None:
    """Take text; "" and null mean None."""
    return None if value is None or value == "" else _exact_text(value, kind)


_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|#\d{2,7}|#[xX][0-9a-fA-F]{2,6});", re.ASCII)


def _shown_text(value: object, kind: object) -> str | None:
    """Take text, and replace what HTML has for a character: `&amp;` becomes "&"."""
    text = _optional_text(value, kind)
    return text and _ENTITY.sub(lambda found: html.unescape(found[0]), text)


def _link(value: object, kind: object) -> str | None:
    """Take a link, also one in a list or as the `url` of an object; `&amp;` becomes "&"."""
    value = value[0] if isinstance(value, list) and len(value) == 1 else value
    value = value.get("url") if isinstance(value, dict) else value
    path, mark, query = (_optional_text(value, kind) or "").partition("?")
    return path + mark + query.replace("&amp;", "&") or None


_GROUPED = re.compile(r"\s*\d{1,3}(?:,\d{3})+(?:\.\d+)?\s*", re.ASCII)


def _number(value: object, kind: object) -> float | None:
    """Take a number, or one that is written as text."""
    if not isinstance(value, str):
        return None if value is None else _exact_float(value, kind)
    if _GROUPED.fullmatch(value):
        value = value.replace(",", "")
    try:
        return _finite(value[:MAX_DIGITS]) if value.strip() else None
    except ValueError:
        raise _expected("a number", value) from None


_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)", re.ASCII)


def _seconds(value: object, kind: object) -> float | None:
    """Take a duration: a number of seconds, or "2:36"."""
    if isinstance(value, str) and (clock := _CLOCK.fullmatch(value.strip())):
        hours, minutes, seconds = clock.groups(default="0")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    seconds_or_none = _number(value, kind)
    if seconds_or_none is not None and seconds_or_none < 0:
        raise _expected("a duration", value)
    return seconds_or_none


_EPOCH = re.compile(r"\s*\d+(?:\.\d*)?\s*", re.ASCII)
_MOST_SECONDS = 1e11  # in the year 5138; as milliseconds it is 1973


def _instant(value: object, _kind: object) -> datetime | None:
    """Read a time, or None: an unreadable date must not cost a song."""
    try:
        if isinstance(value, str) and not _EPOCH.fullmatch(value):
            moment = datetime.fromisoformat(value.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            moment.astimezone(UTC)  # some moments of the years 1 and 9999 are in no other zone
            return moment
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            number = float(value)
            seconds = number if abs(number) < _MOST_SECONDS else number / 1000
            return datetime.fromtimestamp(seconds, tz=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


_TOLERANT: tuple[tuple[object, Callable[[Any, Any], Any]], ...] = (
    (OptionalText, _optional_text),
    (ShownText, _shown_text),
    (Link, _link),
    (OptionalId, _id),
    (Seconds, _seconds),
    (Instant, _instant),
    (Number, _number),
)
