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
                answer = _Answer()
                await self._pass_on(first, server, answer)
                tasks.start_soon(self._upstream, client, server, answer)
                await self._downstream(client, server, answer)
                tasks.cancel_scope.cancel()

    async def _pass_on(self, data: bytes, server: SocketStream, answer: "_Answer") -> None:
        """Send what the client says; a submit may come on a connection that was used before."""
        if data.startswith(SUBMITS):
            answer.paid, answer.passed = True, 0
        await server.send(data)

    async def _upstream(
        self, client: SocketStream, server: SocketStream, answer: "_Answer"
    ) -> None:
        with suppress(*GONE):
            while True:
                await self._pass_on(await client.receive(), server, answer)

    async def _downstream(
        self, client: SocketStream, server: SocketStream, answer: "_Answer"
    ) -> None:
        with suppress(*GONE):
            while (room := self._room(answer)) is None or room > 0:
                chunk = await server.receive()
                room = self._room(answer)  # it may have asked for something else meanwhile
                await client.send(chunk if room is None else chunk[:room])
                answer.passed += len(chunk)
                if answer.paid:
                    self.longest = max(self.longest, answer.passed)

    def _room(self, answer: "_Answer") -> int | None:
        """How many bytes of an answer are still passed on; None for all."""
        if not answer.paid or self.cut_after is None:
            return None
        return max(0, self.cut_after - answer.passed)


@attrs.define
class _Answer:
    """What a connection is answered at present."""

    paid: bool = False
    """Whether it is the answer to a submit."""
    passed: int = 0
    """Bytes of it that were passed on."""


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
