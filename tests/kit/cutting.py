"""A relay before a server that cuts the answers to submits short, and lets all else pass."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
import attrs
from anyio.abc import SocketAttribute, SocketStream

from tests.kit.fault_server import GONE

SUBMITS = (b"POST /api/generate", b"POST /api/v2/generate", b"POST /udio-imagine")


@attrs.define
class CuttingRelay:
    """Passes on `cut_after` bytes of each answer to a submit; None passes them all on."""

    url: str
    cut_after: int | None = None
    longest: int = 0
    """Bytes of the longest answer to a submit so far."""

    async def relay(self, client: SocketStream, host: str, port: int) -> None:
        with suppress(*GONE):
            async with (
                client,
                await anyio.connect_tcp(host, port) as server,
                anyio.create_task_group() as tasks,
            ):
                try:
                    first = await client.receive()
                except anyio.EndOfStream:  # it was opened, and not needed
                    return
                await server.send(first)
                tasks.start_soon(self._upstream, client, server)
                await self._downstream(client, server, paid=first.startswith(SUBMITS))
                tasks.cancel_scope.cancel()

    async def _upstream(self, client: SocketStream, server: SocketStream) -> None:
        with suppress(*GONE):
            while True:
                await server.send(await client.receive())

    async def _downstream(self, client: SocketStream, server: SocketStream, *, paid: bool) -> None:
        room = self.cut_after if paid else None
        passed = 0
        with suppress(*GONE):
            while room is None or passed < room:
                chunk = await server.receive()
                await client.send(chunk if room is None else chunk[: room - passed])
                passed += len(chunk)
                if paid:
                    self.longest = max(self.longest, passed)


@asynccontextmanager
async def cutting_relay(base_url: str) -> AsyncGenerator[CuttingRelay]:
    """Open a relay before the server at `base_url`, on a free port of loopback."""
    target = urlsplit(base_url)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    relay = CuttingRelay(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")

    async def attend(client: SocketStream) -> None:
        await relay.relay(client, str(target.hostname), int(target.port or 80))

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, attend)
        yield relay
        tasks.cancel_scope.cancel()
