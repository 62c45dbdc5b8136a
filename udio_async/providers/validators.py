"""What options may be: attrs validators that refuse before anything is sent."""

from typing import Any

import attrs

from .._errors import InvalidRequest

Field = attrs.Attribute
LONGEST_SONG = 86_400  # a day: what is longer was meant as something else than seconds


def _is_number(value: object) -> bool:
    """Answer whether it is a number; True is an int to Python, and none to an API."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def text(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse what is neither text nor None. The value is not shown: it may be a secret."""
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{field.name} is {type(value).__name__}; give text")


def switch(_: object, field: "Field[Any]", value: object) -> None:
    """Refuse what is neither true, false nor None."""
    if value is not None and not isinstance(value, bool):
        raise InvalidRequest(f"{field.name} is {value!r}; give true or false")


def fraction(_: object, field: "Field[Any]", value: Any) -> None:  # noqa: ANN401  # a user's value
    """Refuse what is not a number from 0 to 1, or None."""
    if value is not None and not (_is_number(value) and 0 <= value <= 1):
        raise InvalidRequest(f"{field.name} is {value!r}; give a number from 0 to 1")


def hundredths(_: object, field: "Field[Any]", value: Any) -> None:  # noqa: ANN401  # a user's value
    """Refuse what is not a number from 0 to 1 with at most two decimals, or None."""
    fraction(_, field, value)
    if value is not None and round(value, 2) != value:
        raise InvalidRequest(f"{field.name} is {value!r}; give at most two decimals")


def moment(_: object, field: "Field[Any]", value: Any) -> None:  # noqa: ANN401  # a user's value
    """Refuse what is no number of seconds into a song, or None."""
    if value is not None and not (_is_number(value) and 0 <= value < LONGEST_SONG):
        raise InvalidRequest(f"{field.name} is {value!r}; give seconds into the song")
