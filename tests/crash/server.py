"""The sandbox as a server that takes its time with submits: `python -m tests.crash.server`.

A real answer to a submit takes a while, in which a client may die: before it is charged, and after.
"""

# ruff: noqa: T201 - it is listened to

from unittest.mock import patch

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from udio_async.sandbox import _server, serve
from udio_async.sandbox._app import make_app
from udio_async.sandbox._submits import SubmitHandler

BEFORE, AFTER = 0.01, 0.02
"""Seconds before a submit is charged, and after."""


def unhurried(handler: SubmitHandler) -> ASGIApp:
    """Return the application with slow submits."""
    app = make_app(handler)

    async def take_time(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start":
                await anyio.sleep(AFTER)
            await send(message)

        if scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body = await receive()
        if body["type"] == "http.disconnect":
            return

        async def received() -> Message:  # taken, whether or not its sender lives on
            return body

        await anyio.sleep(BEFORE)
        await app(scope, received, send_late)

    return take_time


if __name__ == "__main__":
    with patch.object(_server, "make_app", unhurried):
        serve(port=0, speed=600, credits=1e12, on_ready=lambda url: print(url, flush=True))
