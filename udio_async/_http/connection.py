"""One connection of our own: HTTP/1.1 on a stream of anyio.

The connections of httpx take three times as long, because they are made for any number of requests
at once, HTTP/2 and proxies. This one raises the errors of httpx and reports to the documented
`trace` extension, so the code above need not know which of the two it has.
"""

import logging
import select
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import Any

import anyio
import httpx
from anyio.abc import ByteStream, SocketAttribute
from anyio.lowlevel import checkpoint
from anyio.streams.tls import TLSAttribute, TLSStream

from .http1 import Answers, written
from .tls import ResumingConnection

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept."""
SETTLED = 0.01
"""Seconds from an answer until its connection may take a paid request.

A server that closes it after a number of answers does so at once: by then we have seen that.
"""
WARM = 0.25
"""Seconds, from when one request was sent, in which its connection may take a paid one.

We know of no service that closes an idle connection within half a second. The time of the answer
is not used, because a busy event loop reads an answer late.
"""
PORTS = {"http": 80, "https": 443}
_PIECE = 256 * 1024
"""Bytes that are read at once: as many as asyncio reads. If fewer were asked for, anyio would keep
the others, and nobody would see that a connection has unread bytes."""
_AT_ONCE = 500
"""Pieces of an answer after which other tasks of the event loop have a turn."""
_UNLIMITED = nullcontext()
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError)
_NOT_CONNECTED = (
    OSError,
    anyio.BrokenResourceError,
    anyio.EndOfStream,
)  # ssl.SSLError is the first
logger = logging.getLogger("udio_async")

Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]


async def _untold(_event: str, _info: Mapping[str, Any]) -> None:
    """Report to nobody."""


class Connection:
    """A connection that is opened by its first request, and carries one request at a time."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        """With a `context` it speaks TLS."""
        self._context = context
        self._stream: ByteStream | None = None
        self._answers = Answers()
        self._pieces = 0
        self._asked_at = 0.0
        self._idle_since = 0.0
        self._is_kept = False
        self._socket: Any = None
        self._tls: ssl.SSLObject | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and return the answer with its body still to be read.

        After an error nothing but `aclose` may be called.

        Raises:
            httpx.TransportError: as httpx would.
        """
        limits = request.extensions.get("timeout", {})
        trace = request.extensions.get("trace", _untold)
        if self._stream is None:
            await self._connect(request.url, trace, limits.get("connect"))
        assert isinstance(request.stream, httpx.AsyncByteStream)
        data = written(request, b"".join([chunk async for chunk in request.stream]))
        await trace("http11.send_request_headers.started", {"request": request})
        logger.debug("sending %s %s", request.method, request.url.path)
        self._asked_at = monotonic()
        await self._send(data, limits.get("write"))
        seconds = limits.get("read")
        answers = self._answers
        while answers.status is None:
            answers.feed(await self._receive(seconds))
        self._is_kept = self._is_kept or _says_kept(answers.headers)
        stream = _Body(self, seconds)
        return httpx.Response(answers.status, headers=answers.headers, stream=stream)

    # Opening

    async def _connect(self, url: httpx.URL, trace: Trace, seconds: float | None) -> None:
        host, port = url.raw_host.decode("ascii"), url.port or PORTS[url.scheme]
        logger.debug("connecting to %s, port %d", host, port)
        await trace("connection.connect_tcp.started", {})
        with _connecting(seconds):
            stream = await anyio.connect_tcp(host, port)
        self._stream = stream
        self._socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  # this is not Django
        await trace("connection.connect_tcp.complete", {"return_value": self})
        if self._context is not None:
            await self._secure(self._context, host, seconds)

    async def _secure(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        assert self._stream is not None
        with _connecting(seconds):
            stream = await TLSStream.wrap(
                _AllAtOnce(self._stream),
                hostname=host,
                ssl_context=context,
                standard_compatible=False,
            )
        self._stream = stream
        self._tls = stream.extra(TLSAttribute.ssl_object)  # noqa: S610  # this is not Django

    def get_extra_info(self, name: str) -> Any:  # noqa: ANN401  # as the `trace` extension has it
        """Return the address of the server for "server_addr", and None for any other name."""
        assert self._stream is not None
        if name == "server_addr":
            return self._stream.extra(SocketAttribute.remote_address, None)  # noqa: S610  # this is not Django
        return None

    # Sending

    async def _send(self, data: bytes, seconds: float | None) -> None:
        assert self._stream is not None
        try:
            with _within(seconds):
                await self._stream.send(data)
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except _BROKEN:
            pass  # a server that takes no more may have answered already: that is read next

    # Receiving

    async def read(self, seconds: float | None) -> bytes:
        """Return the next bytes of the body; none at its end."""
        answers = self._answers
        while not (piece := answers.take()) and not answers.is_whole:
            answers.feed(await self._receive(seconds))
        self._pieces += 1
        if self._pieces % _AT_ONCE == 0:  # each may be a single byte
            await checkpoint()
        return piece

    async def _receive(self, seconds: float | None) -> bytes:
        assert self._stream is not None
        try:
            with _within(seconds):
                return await self._stream.receive(_PIECE)
        except anyio.EndOfStream:
            return b""
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except _BROKEN as error:
            raise httpx.ReadError(str(error)) from error

    # Waiting and closing

    def make_reusable(self) -> bool:
        """Get ready for another request; return whether this connection can take one."""
        answers = self._answers
        if not answers.may_go_on or answers.has_more or self._has_unread():
            return False
        answers.begin()
        self._remember()
        self._is_kept = self._is_kept or self._idle_since > 0  # it was used again
        self._idle_since = monotonic()
        return True

    def _has_unread(self) -> bool:
        """Whether the server has sent more, or said that it hangs up.

        With TLS this may have been read from the socket already, so that `is_stale` cannot see it.
        """
        if self._tls is None:
            return False
        try:
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:  # it hangs up
            return True
        return True

    @property
    def is_stale(self) -> bool:
        """Whether it has waited too long, or the server has sent something or hung up meanwhile."""
        idle = monotonic() - self._idle_since
        return idle > KEEP_ALIVE or _is_readable(self._socket.fileno())

    @property
    def is_warm(self) -> bool:
        """Whether it is as safe for a paid request as a new connection is.

        The server has said or shown that it keeps the connection, and has answered a moment ago:
        so it will not hang up now.
        """
        now = monotonic()
        moment_ago = now - self._idle_since >= SETTLED and now - self._asked_at <= WARM
        return self._is_kept and moment_ago

    def _remember(self) -> None:
        if isinstance(self._tls, ResumingConnection) and not self._idle_since:  # once is enough
            self._tls.remember()

    async def aclose(self) -> None:
        """Close the connection, whatever it is doing."""
        if self._stream is not None:
            logger.debug("closing a connection")
            self._remember()
            self._answers.close()
            await self._stream.aclose()


class _AllAtOnce(ByteStream):
    """A stream under TLS that gives all the bytes that were read, as many as there are.

    TLS asks for fewer than asyncio reads; anyio would keep the others.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    async def receive(self, max_bytes: int = _PIECE) -> bytes:
        return await self._stream.receive(max(max_bytes, _PIECE))

    async def send(self, item: bytes) -> None:
        await self._stream.send(item)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        return self._stream.extra_attributes


class _Body(httpx.AsyncByteStream):
    """The body of an answer. Not a generator: one that is left half run makes trio complain."""

    def __init__(self, connection: Connection, seconds: float | None) -> None:
        self._connection = connection
        self._seconds = seconds

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if piece := await self._connection.read(self._seconds):
            return piece
        raise StopAsyncIteration


def _within(seconds: float | None) -> AbstractContextManager[object]:
    """Limit the time of a step; `seconds` is None where a deadline for all steps is enough."""
    return _UNLIMITED if seconds is None else anyio.fail_after(seconds)


@contextmanager
def _connecting(seconds: float | None) -> Iterator[None]:
    """Limit the time of a step before the request leaves, and raise its errors as httpx would."""
    try:
        with _within(seconds):
            yield
    except TimeoutError as error:
        raise httpx.ConnectTimeout(str(error)) from error
    except _NOT_CONNECTED as error:
        raise httpx.ConnectError(_why(error)) from error


def _why(error: Exception) -> str:
    """Return why there is no connection. The error of anyio says only that all attempts failed."""
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):  # one for each address; the first is enough
        cause = cause.exceptions[0]
    return str(cause or error)


def _says_kept(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the server says that it keeps the connection, as Node, nginx and Cloudflare do."""
    return any(
        name.lower() == b"connection" and value.lower() == b"keep-alive" for name, value in headers
    )


def _is_readable(file: int) -> bool:
    if file < 0:  # closed
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([file], [], [], 0)[0])
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))
