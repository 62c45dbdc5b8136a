"""Posts callbacks at their time, over a few connections that stay open."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import attrs

_CONNECTIONS = 8

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@attrs.define(eq=False)
class Caller:
    """Calls one host back, and counts what it answers."""

    answers: dict[int, int] = attrs.field(factory=dict)
    """How many there were of each status; 0 stands for none."""
    _waiting: "asyncio.Queue[tuple[str, bytes]]" = attrs.field(factory=asyncio.Queue)
    _workers: list["asyncio.Task[None]"] = attrs.field(factory=list)

    def post_at(
        self, moment: float, url: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Post this when the loop's clock shows this moment."""
        if not self._workers:
            self._workers = [asyncio.create_task(self._work()) for _ in range(_CONNECTIONS)]
        parts = urlsplit(url)
        request = write_request(parts.path, parts.netloc, body, headers)
        asyncio.get_running_loop().call_at(
            moment, self._waiting.put_nowait, (parts.netloc, request)
        )

    async def _work(self) -> None:
        line: Line | None = None
        while True:
            netloc, request = await self._waiting.get()
            status = 0
            try:
                if line is None:
                    host, _, port = netloc.partition(":")
                    line = await asyncio.open_connection(host, int(port))
                status = await exchange(line, request)
            except (OSError, asyncio.IncompleteReadError):
                line = None
            self.answers[status] = self.answers.get(status, 0) + 1


def write_request(
    path: str, host: str, body: bytes, headers: Mapping[str, str] | None = None
) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def exchange(line: Line, request: bytes) -> int:
    """Send a request, and return the status of its answer."""
    reader, writer = line
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, found, after = head.partition(b"\r\ncontent-length:")
    await reader.readexactly(int(after.partition(b"\r\n")[0]) if found else 0)
    return int(head.split(b" ")[1])
