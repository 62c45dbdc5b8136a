"""Calling an ASGI application without a server: for virtual clocks, and on both back ends."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from udio_async.callbacks import Callbacks


async def call(
    app: Callbacks,
    url: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    chunks: Sequence[tuple[float, bytes]] = (),
) -> int:
    """Send one request, whole or in `chunks` that come after so many seconds each."""
    parts = list(chunks) or [(0.0, body)]
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.disconnect"}
        wait, part = parts.pop(0)
        if wait:
            await anyio.sleep(wait)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Any) -> None:  # noqa: ANN401  # ASGI messages are plain mappings
        answers.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": "/" + url.split("/", 3)[-1],
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in (headers or {}).items()
        ],
    }
    await app(scope, receive, send)
    assert [answer["type"] for answer in answers] == ["http.response.start", "http.response.body"]
    status: int = answers[0]["status"]
    return status


def said(stage: str, **more: Any) -> bytes:  # noqa: ANN401  # JSON is anything
    """What the provider in memory posts."""
    return json.dumps({"stage": stage, **more}).encode()
