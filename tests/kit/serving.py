"""Serving an ASGI application over a real socket, on the loop of the test."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import h11
import uvicorn
from anyio.abc import SocketAttribute, SocketStream

from udio_async.callbacks import Callbacks
from udio_async.callbacks.application import Message


@asynccontextmanager
async def uvicorn_serving(make_app: Callable[[int], Callbacks]) -> AsyncGenerator[int]:
    """Serve with uvicorn, on asyncio, the application for this port; return the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port: int = listener.getsockname()[1]
        # asyncio does so only for sockets that name their protocol; else each answer waits 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(
            make_app(port), log_config=None, access_log=False, timeout_keep_alive=75
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            try:
                yield port
            finally:
                server.should_exit = True


@asynccontextmanager
async def plainly_serving(make_app: Callable[[int], Callbacks]) -> AsyncGenerator[int]:
    """The same on any back end: one request for each connection."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = listener.extra(SocketAttribute.local_port)
    app = make_app(port)

    async def serve(stream: SocketStream) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            async with stream:
                await _answer(app, stream)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        try:
            yield port
        finally:
            tasks.cancel_scope.cancel()


async def _answer(app: Callbacks, stream: SocketStream) -> None:
    line = h11.Connection(h11.SERVER)

    async def next_event() -> h11.Event | type[h11.PAUSED]:
        while (event := line.next_event()) is h11.NEED_DATA:
            line.receive_data(await stream.receive())
        return event  # type: ignore[return-value]  # what is left of its union

    async def receive() -> Message:
        event = await next_event()
        if isinstance(event, h11.Data):
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        event: h11.Event
        if message["type"] == "http.response.start":
            event = h11.Response(status_code=message["status"], headers=message["headers"])
        else:
            event = h11.Data(data=message["body"])
        await stream.send(line.send(event) or b"")

    request = await next_event()
    assert isinstance(request, h11.Request)
    scope = {
        "type": "http",
        "method": request.method.decode(),
        "path": request.target.decode().partition("?")[0],
        "headers": list(request.headers),
    }
    await app(scope, receive, send)
