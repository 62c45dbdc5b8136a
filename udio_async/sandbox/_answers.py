"""Answers that the services share: errors, faults, encodings."""

import gzip
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ._bodies import RefusedError
from ._kinds import detail_of
from ._tasks import MadeTask

Endpoint = Callable[[Request], Awaitable[Response]]
BROKEN_LOOKS_PER_TASK = 2
_BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head>"
    "<body><center><h1>502 Bad Gateway</h1></center><hr><center>cloudflare</center></body></html>"
)


class Dialect(Protocol):
    """The way in which one service words its answers."""

    refusal: str
    """The message for a request that it does not take."""

    def accepted(self, task_id: str, status: int = 200) -> Response:
        """Hand out the id of a task."""
        ...

    def error(self, status: int, message: str = "") -> Response:
        """Refuse a request."""
        ...

    def no_credit(self, status: int) -> Response:
        """Refuse a request because the account is empty, under this HTTP status."""
        ...


def answering(dialect: Dialect, endpoint: Endpoint) -> Endpoint:
    """Let an endpoint refuse a request by an exception."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RefusedError as error:
            return dialect.error(error.status, error.message)

    return answer


# Answers to a submit --------------------------------------------------------------------------


def bad_gateway() -> Response:
    """Answer as the gateway before a service does."""
    return HTMLResponse(_BAD_GATEWAY, 502)


def _rate_limited(dialect: Dialect, _: str) -> Response:
    """Refuse for a second, with a `Retry-After`."""
    response = dialect.error(429, "Rate limit exceeded")
    response.headers["Retry-After"] = "1"
    return response


REFUSALS: Mapping[str, Callable[[Dialect, str], Response]] = {
    "http_500": lambda dialect, _: dialect.error(500, "Internal Server Error"),
    "html_502": lambda _, __: bad_gateway(),
    "rate_limited": _rate_limited,
    "refused": lambda dialect, _: dialect.error(400, dialect.refusal),
    "no_credit": lambda dialect, fault: dialect.no_credit(int(detail_of(fault))),
}
"""Answers to a submit that is not charged, by the kind of the fault."""

CONFIRMATIONS: Mapping[str, Callable[[Dialect, str], Response]] = {
    "charged_502": lambda _, __: bad_gateway(),
    "http_500_with_id": lambda dialect, task_id: dialect.accepted(task_id, 500),
}
"""Answers to a submit that is charged, where they are not the usual one, by the fault."""


# Answers to a look ----------------------------------------------------------------------------


_BROKEN_LOOKS: Mapping[str, tuple[int, str]] = {
    "look_500": (500, "Internal Server Error"),
    "look_401": (401, "Unauthorized: Invalid or missing API key"),
    "look_402": (402, "Insufficient balance"),
    "look_403": (403, "Forbidden"),
    "look_404": (404, "Task not found"),
    "look_429": (429, "Rate limit exceeded"),
}
"""The status and the message of the first looks, by the kind of a fault."""


def answer_broken_look(dialect: Dialect, task: MadeTask) -> Response | None:
    """Count a look at a task; return its answer if it has to fail.

    None if the usual answer is due.
    """
    task.looks += 1
    if task.looks > BROKEN_LOOKS_PER_TASK:
        return None
    if task.kind == "malformed":
        return Response('{"code":200,"message":"succ', media_type="application/json")
    broken = _BROKEN_LOOKS.get(task.kind)
    return dialect.error(*broken) if broken else None


# Encodings ------------------------------------------------------------------------------------


def gzipped(data: bytes) -> bytes:
    """Compress bytes; the same bytes give the same result each time."""
    return gzip.compress(data, mtime=0)


_ENCODINGS: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "encoded": ("gzip", gzipped),
    "encoded_answers": ("gzip", gzipped),
    "odd_encoding": ("utf-8", bytes),
    "odd_encoding_answers": ("utf-8", bytes),
}
"""The header's value, and what is done to the bytes, by the kind of the fault."""


def encode(response: Response, kind: str) -> Response:
    """Encode an answer as the fault `kind` wants it; others stay as they are."""
    if kind in _ENCODINGS:
        name, change = _ENCODINGS[kind]
        response.body = change(bytes(response.body))
        response.headers["Content-Encoding"] = name
        response.headers["Content-Length"] = str(len(response.body))
    return response


def encoded_answer(response: Response, *tasks: MadeTask) -> Response:
    """Encode an answer about tasks, if one of them has such a fault."""
    kinds = [task.kind for task in tasks if task.kind.endswith("_answers")]
    return encode(response, kinds[0]) if kinds else response
