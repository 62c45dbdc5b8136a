"""A file server that cuts, resets, stalls, drips and lies by script, and knows ranges."""

import random
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import attrs

from .fault_server import GONE, Connection, FaultServer, Request

FRAME_HEAD = bytes((0xFF, 0xFB, 0x10, 0xC4))
"""Of MPEG 1 layer III: 32 kbit/s, 44.1 kHz, 104 bytes in all."""
FRAME_BYTES = 104
FRAME_SECONDS = 1152 / 44100


def make_mp3(seed: object, frames: int = 400) -> bytes:
    """Frames with noise in them: no two songs are alike."""
    dice = random.Random(f"{seed}")
    return b"".join(FRAME_HEAD + dice.randbytes(FRAME_BYTES - 4) for _ in range(frames))


RESUMABLE = ("cut", "reset", "stall", "drip")
LIES = ("too long", "no such part", "another part", "changed", "weak", "no range", "gzip", "busy")
HOPELESS = ("page", "short")
"""Whatever is tried, no whole song comes of it."""


@attrs.define(eq=False)
class MediaServer:
    """Serves `files` by path; `faults` says what the first answers for a path do."""

    url: str
    files: Mapping[str, bytes]
    faults: Callable[[str, int], str]
    """The fault of the n-th answer for a path, from 0; "" for none."""
    sent: Counter[str] = attrs.field(factory=Counter)
    """Bytes of bodies that left, by path."""
    asked: Counter[str] = attrs.field(factory=Counter)

    async def serve(self, connection: Connection) -> None:
        try:
            while True:
                await self._answer(connection, await connection.request())
        except GONE:
            pass

    async def _answer(self, connection: Connection, request: Request) -> None:
        path = request.line.split()[1].strip("/")
        fault = self.faults(path, self.asked[path])
        self.asked[path] += 1
        data = self.files[path]
        etag = '"changed"' if fault == "changed" else f'"{len(data)}"'
        head = {"Content-Type": "audio/mpeg", "ETag": f"W/{etag}" if fault == "weak" else etag}
        if fault == "busy":
            await self._send(connection, path, 503, b"busy", {})
        elif fault == "page":
            await self._send(connection, path, 200, b"<html>Sign in</html>", head)
        elif fault == "short":  # and calls it whole
            await self._send(connection, path, 200, data[: len(data) // 2 - 50], head)
        elif fault == "half":
            await self._send(connection, path, 200, data[: len(data) // 208 * 104], head)
        elif fault == "gzip":
            await self._send(connection, path, 200, data, {**head, "Content-Encoding": "gzip"})
        elif fault == "too long":
            head["Content-Length"] = str(len(data) + 999)
            await self._send(connection, path, 200, data, head, end=True)
        else:
            await self._send_file(connection, path, request, fault, head)

    async def _send_file(
        self, connection: Connection, path: str, request: Request, fault: str, head: dict[str, str]
    ) -> None:
        data, status = self.files[path], 200
        start = self._start(request, head["ETag"]) if fault != "no range" else 0
        if fault == "no such part":
            await self._send(connection, path, 416, b"", {})
            return
        if start:
            wrong = 7 if fault == "another part" else 0
            status, data = 206, data[start - wrong :]
            size = len(self.files[path])
            head["Content-Range"] = f"bytes {start - wrong}-{size - 1}/{size}"
        if fault not in RESUMABLE:
            await self._send(connection, path, status, data, head)
            return
        part = data[: max(1, len(data) // 3)]
        head["Content-Length"] = str(len(data))
        await self._send(connection, path, status, part, head)
        if fault == "stall":
            await connection.until_closed()
        elif fault == "drip":
            for place in range(len(part), len(data)):
                await connection.send(data[place : place + 1])
                self.sent[path] += 1
                await anyio.sleep(0.02)
        elif fault == "reset":
            await connection.reset()
        await connection.stream.aclose()

    def _start(self, request: Request, etag: str) -> int:
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
        return int(asked[1]) if asked and request.headers.get("if-range") == etag else 0

    async def _send(
        self,
        connection: Connection,
        path: str,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        *,
        end: bool = False,
    ) -> None:
        lines = {"Content-Length": str(len(body)), **headers}
        head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{n}: {v}\r\n" for n, v in lines.items())
        await connection.send(head.encode() + b"\r\n")
        await connection.send(body)
        self.sent[path] += len(body)
        if end:
            await connection.stream.aclose()


@asynccontextmanager
async def serving_media(
    files: Mapping[str, bytes], faults: Callable[[str, int], str] = lambda _path, _place: ""
) -> AsyncGenerator[MediaServer]:
    server = MediaServer("", files, faults)
    async with FaultServer(server.serve) as listener:
        server.url = listener.url
        yield server
