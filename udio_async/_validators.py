"""Checks of values: plain functions, and validators for attrs fields.

Each refuses with `InvalidRequest`, before anything is sent; the message names the field, the value
and what to give. Validators take None for a field that was left out, unless they say otherwise.
"""

import math
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import CoroutineType
from typing import Any, TypeGuard

import attrs

from ._errors import InvalidRequest

Field = attrs.Attribute
LONGEST_SONG = 86_400  # a day: what is longer was meant as something else than seconds


def is_number(value: object) -> TypeGuard[float]:
    """Return whether it is a number that a float can hold, and not True or False.

    A whole number may be larger: then arithmetic with floats raises `OverflowError`.
    """
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= sys.float_info.max
    return isinstance(value, float)


def shown(value: object) -> str:
    """Return a value for a message.

    Python refuses to write a whole number of more than 4,300 digits.
    """
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"


def check_above_zero(name: str, value: object, *, remedy: str = "give a number above 0") -> None:
    """Refuse anything but a finite number above 0.

    Raises:
        InvalidRequest: the message has `name`, the value and the `remedy`.
    """
    if not (is_number(value) and 0 < value < math.inf):
        raise InvalidRequest(f"{name} is {shown(value)}; {remedy}")


def check_not_negative(name: str, value: object, *, remedy: str) -> None:
    """Refuse anything but a finite number from 0 on.

    Raises:
        InvalidRequest: the message has `name`, the value and the `remedy`.
    """
    if not (is_number(value) and 0 <= value < math.inf):
        raise InvalidRequest(f"{name} is {shown(value)}; {remedy}")


def check_count(name: str, value: object) -> None:
    """Refuse anything but a whole number from 1 on.

    Raises:
        InvalidRequest: the message has `name` and the value.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidRequest(f"{name} is {shown(value)}; give a whole number, at least 1")


def as_path(name: str, value: object) -> Path:
    """Return the path that is meant, one that the system can be asked for.

    Bytes of a command line that are no UTF-8 are passed on, as Python writes them.

    Raises:
        InvalidRequest: it is no path, or has a NUL or half a character; the message has `name` and
            the value.
    """
    if isinstance(value, (str, os.PathLike)):
        with suppress(TypeError, UnicodeEncodeError):  # a path of bytes; half a character
            path = Path(value)
            if b"\0" not in os.fsencode(path):
                return path
    raise InvalidRequest(
        f"{name} is {shown(value)}, which is no path; give text of whole characters, without NUL"
    )


def check_awaited(value: object) -> None:
    """Refuse a call whose `await` was forgotten: it is given in place of what it would return."""
    if isinstance(value, CoroutineType):
        value.close()  # or Python would warn of it as well, somewhere else
        raise InvalidRequest(
            f"{value.__qualname__}() was called without `await`; write `await` before it"
        )


def count(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but a whole number from 1 on; None too."""
    check_count(field.name, value)


def above_zero(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but a finite number above 0; None too."""
    check_above_zero(field.name, value)


def text(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but text.

    The value is not shown: it may be a secret.
    """
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{field.name} is {type(value).__name__}; give text")


def switch(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but true and false."""
    if value is not None:
        yes_or_no(_, field, value)


def fraction(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but a number from 0 to 1."""
    if value is not None and not (is_number(value) and 0 <= value <= 1):
        raise InvalidRequest(f"{field.name} is {shown(value)}; give a number from 0 to 1")


def hundredths(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but a number from 0 to 1 with at most two decimals."""
    fraction(_, field, value)
    if is_number(value) and round(value, 2) != value:
        raise InvalidRequest(f"{field.name} is {shown(value)}; give at most two decimals")


def moment(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but seconds into a song, below a day."""
    if value is not None and not (is_number(value) and 0 <= value < LONGEST_SONG):
        raise InvalidRequest(f"{field.name} is {shown(value)}; give seconds into the song")


def yes_or_no(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse anything but true and false; None too."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"{field.name} is {shown(value)}; give true or false")
