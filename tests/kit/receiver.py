"""A receiver of callbacks over a real socket, which answers as it is told."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import attrs
from anyio.abc import SocketStream


@attrs.frozen(kw_only=True)
class Received:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@attrs.define(eq=False)
class Receiver:
    """Keeps what comes in; `answer` says with which status, and 0 is no answer at all."""

    url: str
    answer: Callable[[Received], int] = lambda _: 200
    received: list[Received] = attrs.field(factory=list)
    _came: anyio.Event = attrs.field(factory=anyio.Event)

    async def wait_for(self, number: int) -> list[Received]:
        """Wait until so many requests have come."""
        with anyio.fail_after(15):
            while len(self.received) < number:
                await self._came.wait()
        return self.received

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            try:
                request = await _read(stream)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return  # who sends has ended before
            self.received.append(request)
            self._came.set()
            self._came = anyio.Event()
            status = self.answer(request)
            if not status:
                await anyio.sleep_forever()
            await stream.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)


async def _read(stream: SocketStream) -> Received:
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive()
    path = first.split()[1]
    return Received(path=path, headers=headers, body=body, at=anyio.current_time())


@asynccontextmanager
async def receiving(
    answer: Callable[[Received], int] = lambda _: 200,
) -> AsyncGenerator[Receiver]:
    """Listen on a free port of this machine."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        receiver = Receiver(f"http://127.0.0.1:{port}", answer)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, receiver.serve)
            yield receiver
            tasks.cancel_scope.cancel()
