"""Are doubts more frequent where a paid request may take a warm connection?

Submits go to servers that close connections as services do: for their age, after so many answers,
and because they start again. Each is asked in three ways: by clients that open a connection for
every paid request; by ours, which may take one that was used a moment ago; and, as a control, by
some that take any connection that is open. The network takes its time in both directions, so that a
request and the end of its connection can pass each other. Counted are submits that ended in doubt,
and connections.

    python -m benchmarks.doubts [--submits 10000] [--json] [--tls]

`--tls` has all of them speak TLS.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext
from functools import partial
from itertools import count
from pathlib import Path
from unittest.mock import patch

import anyio
import anyio.abc
import attrs

import udio_async as ua
from udio_async._http.connection import Connection as OurConnection

from .canned import UDIOAPI_ACCEPTED, UDIOAPI_SHOWN
from .certificates import HOST, certified, server_context

DELAY = 0.02
"""Seconds that the network takes in each direction."""
CLIENTS, TASKS = 20, 4
PAUSES = 0.02, 0.5
"""Seconds between two submits of a task, on average: one or the other. A client has four tasks."""
DOWN = 0.05
"""Seconds that a server needs to start again."""


@attrs.frozen
class Habits:
    """When a server closes connections."""

    name: str
    idle: float = 75.0
    """Seconds without a request."""
    requests: int = 10**9
    """After so many answers."""
    says_so: bool = True
    """Whether the last answer has `Connection: close`."""
    restarts: float | None = None
    """Seconds between two starts."""
    in_order: bool = True
    """Whether it answers what it has before it ends."""


SERVERS = (
    *(Habits(f"idle for {seconds:g} s", idle=seconds) for seconds in (0.5, 1, 2, 5)),
    Habits("10 requests, said", requests=10),
    Habits("10 requests, not said", requests=10, says_so=False),
    Habits("starts again, in order", restarts=0.5),
    Habits("starts again, killed", restarts=2.0, in_order=False),
)


# The server ----------------------------------------------------------------------------------


@attrs.define(eq=False)
class Server:
    """What the connections share."""

    habits: Habits
    lines: set["Line"] = attrs.field(factory=set)
    ids: Iterator[int] = attrs.field(factory=count)
    connections: int = 0
    ending: bool = False
    ended_at: float = -DELAY


class Line(asyncio.Protocol):
    """A connection. What it does and what it sees is `DELAY` later at the other end."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._answers = 0
        self._busy = 0
        self._closed = False
        self._in = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections += 1
        if transport.get_extra_info("sslcontext") is None:
            self._idle = self._loop.call_later(DELAY, self._open)
            return
        self._open()  # the request comes with the last words of the handshake
        if self._loop.time() - self._server.ended_at < DELAY:
            self.close()  # the handshake was under way when the server ended

    def _open(self) -> None:
        self._server.lines.add(self)
        self._idle = self._loop.call_later(self._server.habits.idle, self._tire)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # its given name
        self._idle.cancel()
        self._server.lines.discard(self)

    def data_received(self, data: bytes) -> None:
        self._loop.call_later(DELAY, self._take, data)

    def _take(self, data: bytes) -> None:
        self._in += data
        head, found, _ = self._in.partition(b"\r\n\r\n")
        if self._closed or not found:
            return  # nobody reads it any more, or it is not whole
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(self._in) < len(head) + 4 + length:
            return
        self._in = b""
        self._idle.cancel()
        self._busy += 1
        self._loop.call_later(random.uniform(0.001, 0.005), self._answer, head)

    def _answer(self, head: bytes) -> None:
        self._busy -= 1
        if self._closed:
            return
        self._answers += 1
        habits = self._server.habits
        last = self._answers >= habits.requests
        is_submit = head.startswith(b"POST")
        body = UDIOAPI_ACCEPTED % {"id": f"song-{next(self._server.ids)}"}
        body = body if is_submit else UDIOAPI_SHOWN[0]
        connection = "close" if self._server.ending or (last and habits.says_so) else "keep-alive"
        text = f"HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._loop.call_later(DELAY, self._transport.write, (text + body).encode())
        if last or self._server.ending:
            self.close()
        else:
            self._idle = self._loop.call_later(habits.idle, self._tire)

    def _tire(self) -> None:
        if self._loop.time() - self._idle.when() > DELAY:  # this machine was late, not the client
            self._idle = self._loop.call_later(2 * DELAY, self.close)
        else:
            self.close()

    def close(self) -> None:
        self._closed = True
        self._loop.call_later(DELAY, self._transport.close)

    def end(self, *, in_order: bool) -> None:
        """Close, as the server ends."""
        if not in_order:
            self._closed = True
            self._loop.call_later(DELAY, self._transport.abort)
        elif not self._busy:
            self.close()


async def serve(habits: Habits, tls: list[str]) -> None:
    """Say the port, serve until standard input ends, and say how many connections there were."""
    loop = asyncio.get_running_loop()
    server = Server(habits)
    context = server_context(Path(tls[0])) if tls else None
    listen = partial(loop.create_server, lambda: Line(server), HOST, backlog=1024, ssl=context)
    listening = await listen(port=0)
    port = listening.sockets[0].getsockname()[1]
    print(port, flush=True)
    stopped = loop.run_in_executor(None, sys.stdin.read)
    while not stopped.done():
        await asyncio.wait([stopped], timeout=habits.restarts)
        if habits.restarts is None or stopped.done():
            continue
        listening.close()
        server.ending, server.ended_at = True, loop.time()
        for line in list(server.lines):
            line.end(in_order=habits.in_order)
        await asyncio.sleep(DOWN)
        server.ending = False
        listening = await listen(port=port)
    print(server.connections, flush=True)


# The clients ---------------------------------------------------------------------------------


WAYS: dict[str, AbstractContextManager[object]] = {
    "new": patch.object(OurConnection, "is_warm", new=False),
    "warm": nullcontext(),
    "any": patch.object(OurConnection, "is_warm", new=True),
}


@attrs.frozen
class Count:
    """What became of the submits to one server."""

    submits: int
    doubts: int
    connections: int


async def submit_all(url: str, submits: int) -> int:
    """Submit by many clients; return how many ended in doubt."""
    doubts = 0
    connect = anyio.connect_tcp

    async def connect_far(host: str, port: int) -> anyio.abc.SocketStream:
        stream = await connect(host, port)
        await anyio.sleep(2 * DELAY)
        return stream

    async def work(client: ua.Client, dice: random.Random, name: str) -> None:
        nonlocal doubts
        for place in range(submits // (CLIENTS * TASKS)):
            await anyio.sleep(dice.expovariate(1 / dice.choice(PAUSES)))
            try:
                await client.submit(f"{name}, song {place}")
            except ua.SubmitInDoubt:
                doubts += 1

    async with AsyncExitStack() as clients, anyio.create_task_group() as tasks:
        clients.enter_context(patch("anyio.connect_tcp", connect_far))
        for number in range(CLIENTS):
            provider = ua.UdioApiV2(api_key="key", base_url=url)
            client = ua.Client(provider, max_active=10_000, max_in_doubt=10_000)
            await clients.enter_async_context(client)
            for task in range(TASKS):
                name = f"client {number}, task {task}"
                tasks.start_soon(work, client, random.Random(name), name)
    return doubts


def measure(habits: Habits, submits: int, way: str, *, tls: Path | None) -> Count:
    """Ask one server, in a process of its own."""
    words = [json.dumps(attrs.asdict(habits)), *([] if tls is None else [str(tls)])]
    command = [sys.executable, "-m", "benchmarks.doubts", "--serve", *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        scheme = "http" if tls is None else "https"
        url = f"{scheme}://{HOST}:{int(server.stdout.readline())}"
        with WAYS[way]:
            doubts = anyio.run(submit_all, url, submits)
        server.stdin.close()
        return Count(submits, doubts, int(server.stdout.readline()))


def show_all(submits: int, tls: Path | None, *, as_json: bool) -> None:
    rows = []
    if not as_json:
        print(f"of {submits:,} submits".ljust(26), *map("{:>26}".format, WAYS))
    for habits in SERVERS:
        found = {way: measure(habits, submits, way, tls=tls) for way in WAYS}
        rows.append({"server": habits.name} | {way: attrs.asdict(n) for way, n in found.items()})
        if not as_json:
            cells = (f"{n.doubts:,} doubts {n.connections:,} lines" for n in found.values())
            print(habits.name.ljust(26), *map("{:>26}".format, cells), flush=True)
    if as_json:
        print(json.dumps({"benchmark": "doubts", "rows": rows}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--submits", type=int, default=10_000, help="for each server and way")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tls", action="store_true", help="with a certificate of this machine")
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        habits, *tls = options.serve
        asyncio.run(serve(Habits(**json.loads(habits)), tls))
        return
    with certified() if options.tls else nullcontext() as folder:
        show_all(options.submits, folder, as_json=options.json)


if __name__ == "__main__":
    main()
