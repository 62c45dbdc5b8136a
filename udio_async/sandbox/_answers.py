"""What the two HTTP interfaces share: reading a body, faults, the order of the paid step."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import anyio
import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ._world import MadeTask, Order, OutOfCreditsError, World

Endpoint = Callable[[Request], Awaitable[Response]]
SLOW_ANSWER_SECONDS = 1.0  # real ones: it is the caller's time-out that it tries

_BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head>"
    "<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>"
)


class Dialect(Protocol):
    """How one service words its answers."""

    refusal: str
    """What it says of a request that it does not take."""

    def accepted(self, task_id: str, status: int = 200) -> Response:
        """Hand out the id of a task."""
        ...

    def error(self, status: int, message: str = "") -> Response:
        """Refuse a request."""
        ...


@attrs.frozen
class InvalidBodyError(Exception):
    """A request that the documentation rules out."""

    message: str


async def read_json(request: Request) -> dict[str, object]:
    """Read a JSON object from a request's body.

    Raises:
        InvalidBodyError: there is none.
    """
    text = await request.body()
    if not text.strip():
        raise InvalidBodyError("No body provided")
    try:
        body = json.loads(text)
    except ValueError as error:
        raise InvalidBodyError("Body is not valid JSON") from error
    if not isinstance(body, dict):
        raise InvalidBodyError("Body must be a JSON object")
    return body


async def answer_submit(
    world: World, dialect: Dialect, order: Order, follow: Callable[[MadeTask], None]
) -> Response:
    """Take an order that is in order: meet its fault, charge it, call back about it, answer."""
    fault = world.plan.deal(order.provider, order.prompt)
    refusal = _refuse(fault, dialect)
    if refusal is not None:
        return refusal
    try:
        task = world.accept(order, fault)
    except OutOfCreditsError:
        return dialect.error(402, "Insufficient balance")
    follow(task)
    return await _confirm(fault, dialect, task)


def _refuse(fault: str, dialect: Dialect) -> Response | None:
    """Answer for the faults that cost nothing."""
    match fault:
        case "http_500":
            return dialect.error(500, "Internal Server Error")
        case "html_502":
            return HTMLResponse(_BAD_GATEWAY, 502)
        case "rate_limited":
            response = dialect.error(429, "Rate limit exceeded")
            response.headers["Retry-After"] = "1"
            return response
        case "refused":
            return dialect.error(400, dialect.refusal)
        case _:
            return None


async def _confirm(fault: str, dialect: Dialect, task: MadeTask) -> Response:
    """Answer for a task that is paid."""
    match fault:
        case "charged_502":
            return HTMLResponse(_BAD_GATEWAY, 502)
        case "http_500_with_id":
            return dialect.accepted(task.id, 500)
        case "slow_submit":
            await anyio.sleep(SLOW_ANSWER_SECONDS)
    return dialect.accepted(task.id)


def answer_broken_look(dialect: Dialect, task: MadeTask) -> Response | None:
    """Count a look at a task; return the answer if this one fails."""
    if not task.breaks_this_look():
        return None
    if task.fault == "malformed":
        return Response('{"code":200,"message":"succ', media_type="application/json")
    return dialect.error(500, "Internal Server Error")


def text(body: Mapping[str, object], name: str) -> str:
    """Return a text field; "" when it is absent or null.

    Raises:
        InvalidBodyError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidBodyError(f"{name} must be a string")
    return value


def flag(body: Mapping[str, object], name: str) -> bool:
    """Return a yes-or-no field; False when it is absent or null.

    Raises:
        InvalidBodyError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidBodyError(f"{name} must be a boolean")
    return value


def number(body: Mapping[str, object], name: str) -> float | None:
    """Return a number field; None when it is absent or null.

    Raises:
        InvalidBodyError: it is something else.
    """
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidBodyError(f"{name} must be a number")
    return value


def share(body: Mapping[str, object], name: str) -> float | None:
    """Return a number field that lies between 0 and 1.

    Raises:
        InvalidBodyError: it is something else.
    """
    value = number(body, name)
    if value is not None and not 0 <= value <= 1:
        raise InvalidBodyError(f"{name} must be between 0 and 1")
    return value


def one_of(value: str, name: str, known: tuple[str, ...]) -> None:
    """Check a field that has a fixed set of values; "" passes.

    Raises:
        InvalidBodyError: it has another.
    """
    if value and value not in known:
        raise InvalidBodyError(f"{name} must be one of {', '.join(known)}")
