"""A server on a raw socket that misbehaves by script.

    async with FaultServer([cut(ok(b"{}"), after=20), answer(ok(b"{}"))]) as server:
        ...  # the first connection is cut, all later ones are answered
        assert server.requests[0].body == b"..."

A behaviour is a coroutine function that is given one accepted connection. What is left open when
it returns is closed by FIN.
"""

import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count, repeat
from typing import Self

import anyio
import attrs
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, ConnectionError)


@attrs.frozen(kw_only=True)
class Request:
    """What came in, byte for byte."""

    connection: int
    """The connection's number, from 0."""
    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}


class Connection:
    """One accepted connection, from the server's side."""

    def __init__(self, number: int, stream: SocketStream, log: list[Request]) -> None:
        self.number = number
        self.stream = stream
        self._in = BufferedByteReceiveStream(stream)
        self._log = log

    async def request(self) -> Request:
        """Read the next request to its end, and record it."""
        head = await self._in.receive_until(b"\r\n\r\n", 1 << 20)
        length = Request(connection=self.number, head=head, body=b"").headers.get("content-length")
        body = await self._in.receive_exactly(int(length)) if length and length != "0" else b""
        request = Request(connection=self.number, head=head, body=body)
        self._log.append(request)
        return request

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def reset(self) -> None:
        """Close by RST: what is still under way is lost."""
        raw = self.stream.extra(SocketAttribute.raw_socket)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.stream.aclose()

    async def until_closed(self) -> None:
        """Wait for the other side to go."""
        with suppress(anyio.EndOfStream):
            while True:
                await self.stream.receive()


Behaviour = Callable[[Connection], Awaitable[None]]


class FaultServer:
    """Listens on loopback; the n-th connection gets the n-th behaviour, the last one repeats."""

    def __init__(self, script: Behaviour | Sequence[Behaviour], *, host: str = "127.0.0.1") -> None:
        self._host = host
        self._script = [script] if callable(script) else list(script)
        self._changed = anyio.Event()
        self.requests: list[Request] = []
        self.accepted = 0
        """Connections ever accepted."""
        self.open = 0
        """Connections open now."""
        self.port = 0

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @asynccontextmanager
    async def _serving(self) -> AsyncGenerator[Self]:
        listener = await anyio.create_tcp_listener(local_host=self._host, backlog=1024)
        self.port = listener.extra(SocketAttribute.local_port)
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._attend)
            yield self
            tasks.cancel_scope.cancel()

    async def __aenter__(self) -> Self:
        self._context = self._serving()
        return await self._context.__aenter__()

    async def __aexit__(self, *exc_info: object) -> bool | None:
        return await self._context.__aexit__(*exc_info)  # type: ignore[arg-type]  # passed on

    async def _attend(self, stream: SocketStream) -> None:
        connection = Connection(self.accepted, stream, self.requests)
        behaviour = self._script[min(self.accepted, len(self._script) - 1)]
        self.accepted += 1
        self._count(1)
        try:
            with suppress(*GONE, anyio.IncompleteRead):
                async with stream:
                    await behaviour(connection)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self.open += change
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for(self, reached: Callable[[], bool]) -> None:
        """Wait until something is true of connections or requests; fails after 10 seconds."""
        with anyio.fail_after(10):
            while not reached():
                with anyio.move_on_after(0.01):
                    await self._changed.wait()


def http(status: int, body: bytes = b"", *headers: str, length: int | str | None = None) -> bytes:
    """Write an answer; `length` lies about the body's length, "none" leaves it out."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers]
    if length != "none":
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def ok(body: bytes, *headers: str) -> bytes:
    return http(200, body, "Content-Type: application/json", *headers)


def chunked(*chunks: bytes) -> bytes:
    head = http(200, b"", "Transfer-Encoding: chunked", length="none")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def redirect(status: int, target: str) -> bytes:
    return http(status, b"", f"Location: {target}")


def answer(data: bytes) -> Behaviour:
    """Answer every request on a connection, and keep it open."""

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await connection.send(data)

    return behave


def answer_once(data: bytes) -> Behaviour:
    """Answer, and close: a connection that was promised to stay open is stale."""
    return cut(data, after=len(data))


def answer_then_ignore(data: bytes) -> Behaviour:
    """Answer once, read the next request and close on it: the race that makes reuse unsafe."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)
        await connection.request()

    return behave


def cut(data: bytes, *, after: int, reset: bool = False) -> Behaviour:
    """Send so many bytes of the answer, then close by FIN or RST."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        if after:
            await connection.send(data[:after])
        if reset:
            await connection.reset()

    return behave


def stall(data: bytes = b"") -> Behaviour:
    """Read the request, send these bytes and then nothing more, for ever."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        if data:
            await connection.send(data)
        await connection.until_closed()

    return behave


def drip(head: bytes, pieces: Iterable[bytes] = repeat(b"x"), *, every: float = 0.005) -> Behaviour:
    """Send the head, then the pieces with a pause (seconds) between them."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(head)
        for piece in pieces:
            await anyio.sleep(every)
            await connection.send(piece)

    return behave


def flood(head: bytes, pieces: Iterable[bytes]) -> Behaviour:
    """Send as fast as it is taken."""
    return drip(head, pieces, every=0)


def endless_headers() -> Behaviour:
    return flood(b"HTTP/1.1 200 OK\r\n", (b"X-%d: %s\r\n" % (n, b"y" * 200) for n in count()))


def hang_up(*, reset: bool = False) -> Behaviour:
    """Close at once after accepting."""

    async def behave(connection: Connection) -> None:
        if reset:
            await connection.reset()

    return behave


def answer_when(event: anyio.Event, data: bytes) -> Behaviour:
    """Answer every request, but not before the event."""

    async def behave(connection: Connection) -> None:
        while True:
            await connection.request()
            await event.wait()
            await connection.send(data)

    return behave
