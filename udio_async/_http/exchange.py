"""One request and its answer: within a deadline, with our own errors."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import anyio
import httpx

from .._concurrency import foreign_cancellation_as
from .._errors import BadAnswer, Unreachable
from .departure import Departure
from .diagnosis import unsent
from .incoming import Incoming, abandon
from .messages import LinkRefused
from .trail import Trail

Opener = Callable[[httpx.Request], Awaitable[httpx.Response]]
_AS_IT_IS = nullcontext()
logger = logging.getLogger("udio_async")


class _Late(Exception):
    """Our own deadline has passed. It is no `TimeoutError`: that may be one of a network."""


def _reason(error: Exception) -> str:
    """Return what went wrong, without the server's words: they may hold the key."""
    deeper: BaseException | None = error
    while deeper and not str(deeper):  # trio wraps a bad certificate into two empty errors
        deeper = deeper.__cause__ or deeper.__context__
    return str(deeper or "").partition(": bytearray(")[0] or type(error).__name__


def _translated(error: Exception, trail: Trail, request: httpx.Request) -> Unreachable | BadAnswer:
    """Return the error for an exchange without an answer.

    It is the only place that translates httpx's errors.
    """
    if isinstance(error, LinkRefused):  # our own, from the check of the connection
        return error
    reason = _reason(error)
    where = f"{request.method} {request.url.netloc.decode()}{request.url.path}"
    failure: Unreachable | BadAnswer
    if trail.proves_unsent(error):  # also if a proxy has answered with something that is not HTTP
        failure = unsent(f"{where}: {reason}; nothing was sent", error)
    elif isinstance(error, httpx.RemoteProtocolError) and not _is_silence(error):
        failure = BadAnswer(f"{where}: the answer is not HTTP: {reason}")
    else:
        failure = Unreachable(f"{where}: {reason}; it may have arrived", sent=True)
    # The original's frames and request hold headers and body, which tracebacks would show.
    failure.__cause__ = type(error)(reason) if isinstance(error, httpx.TransportError) else None
    return failure


def _is_silence(error: Exception) -> bool:
    """Whether the connection ended before the first byte of an answer."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "without sending a response" in str(error)
    return isinstance(error, httpx.NetworkError)


async def exchange(
    opener: Opener,
    request: httpx.Request,
    answer: Incoming,
    *,
    seconds: float,
    foreign: bool = False,
    public_only: bool = False,
    departure: Departure | None = None,
) -> None:
    """Send the request and fill in the answer within `seconds`.

    Args:
        opener: what sends it.
        request: built by `api_request` or `link_request`.
        answer: is filled in; after a failure it keeps what came before.
        seconds: for the whole exchange.
        foreign: a client of the user's sends it, and may not report how far it got.
        public_only: refuse a connection to a private address.
        departure: of a paid request, which may be taken back.

    Raises:
        Unreachable, BadAnswer: not even a status line came.
        ClientClosed: the request was taken back before it left.
    """
    trail = Trail(request, departure, public_only=public_only, foreign=foreign)
    request.extensions["trace"] = trail
    failure: Unreachable | BadAnswer | None = None
    why = ""
    # One scope for the whole request: scopes for its steps would cost time.
    with anyio.move_on_after(seconds) as scope:
        try:
            with foreign_cancellation_as(Unreachable) if foreign else _AS_IT_IS:
                response = await _ask(opener, request, trail)
                trail.answered()
                await _pour(response, answer)
        except Exception as error:  # transports raise more than they document
            if departure is not None and error is departure.refusal:
                raise
            failure, why = _translated(error, trail, request), _reason(error)
        finally:
            if answer.status is None:
                await trail.hang_up()
    if not foreign:  # else the client may still have the request, and send it
        del request.extensions["trace"]  # they would keep each other alive until the next gc
    if scope.cancelled_caught:
        late = _Late(f"no whole answer within {seconds:g} s")
        failure, why = _translated(late, trail, request), _reason(late)
    if failure:
        logger.debug("no whole answer: %s", failure)
    if failure and answer.status is None:
        raise failure
    if failure:
        answer.cut = answer.cut or f"it was cut off: {why}"
        await answer.end()


async def _ask(opener: Opener, request: httpx.Request, trail: Trail) -> httpx.Response:
    """Wait for the head of the answer.

    A look that met a stale connection is sent once more. An answer that is not HTTP counts as stale
    too: on a connection that was used before, it may be left over from the answer before.
    """
    try:
        return await opener(request)
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        if request.extensions["paid"] or not request.extensions.get("reused", trail.reused):
            raise
    request.extensions.update(fresh=True, trace=trail)
    return await opener(request)


async def _pour(response: httpx.Response, answer: Incoming) -> None:
    """Read the answer, as far as it is wanted.

    Whatever happens, no stream is left half read.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)
    chunks = aiter(response.stream)
    whole = False
    try:
        if await answer.begin(response):
            async for chunk in chunks:
                if not await answer.take(chunk):
                    break
            else:
                whole = True
                await answer.end()
    finally:
        if not whole:
            await abandon(chunks)
        await response.aclose()
