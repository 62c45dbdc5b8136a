"""Bodies that a service is sent: a JSON object and its fields."""

import json
from collections.abc import Mapping

import attrs
from starlette.requests import Request

from .._validators import is_number


@attrs.frozen
class RefusedError(Exception):
    """A request that gets an error: its key is wrong, or it breaks a rule of the documents."""

    status: int
    message: str = ""


async def read_json(request: Request) -> dict[str, object]:
    """Read a JSON object from a request's body.

    Raises:
        RefusedError: there is none.
    """
    text = await request.body()
    if not text.strip():
        raise RefusedError(400, "No body provided")
    try:
        body = json.loads(text)
    except ValueError as error:
        raise RefusedError(400, "Body is not valid JSON") from error
    if not isinstance(body, dict):
        raise RefusedError(400, "Body must be a JSON object")
    return body


def text(body: Mapping[str, object], name: str) -> str:
    """Return a text field; "" when it is absent or null.

    Raises:
        RefusedError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RefusedError(400, f"{name} must be a string")
    return value


def flag(body: Mapping[str, object], name: str) -> bool:
    """Return a yes-or-no field; False when it is absent or null.

    Raises:
        RefusedError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RefusedError(400, f"{name} must be a boolean")
    return value


def number(body: Mapping[str, object], name: str) -> float | None:
    """Return a number field; None when it is absent or null.

    Raises:
        RefusedError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return None
    if not is_number(value):
        raise RefusedError(400, f"{name} must be a number")
    return value


def share(body: Mapping[str, object], name: str) -> float | None:
    """Return a number field that lies between 0 and 1.

    Raises:
        RefusedError: it is something else.
    """
    value = number(body, name)
    if value is not None and not 0 <= value <= 1:
        raise RefusedError(400, f"{name} must be between 0 and 1")
    return value


def one_of(value: str, name: str, known: tuple[str, ...]) -> None:
    """Check a field that has a fixed set of values; "" passes.

    Raises:
        RefusedError: it has another.
    """
    if value and value not in known:
        raise RefusedError(400, f"{name} must be one of {', '.join(known)}")
