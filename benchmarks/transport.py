"""What does a request cost, and does the loop stay free, with more and more of them in flight?

    python -m benchmarks.transport [--quick] [--json] [--tls]

One server process answers about 400 bytes of JSON after 20 ms. For each client and each number of
requests in flight: CPU of this process per request, and the longest time that the event loop
was kept from its other work. Every client is used as it comes: httpx, httpx2 and aiohttp open up to
100 connections, ours up to 64. Ours and httpx are measured once more with as many connections as
requests in flight; for httpx that takes long, so `--quick` leaves its largest number out. With
`--tls` all of them speak TLS: over warm connections, so handshakes do not count.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import anyio
import attrs
import httpx
import httpx2

from udio_async._http import MAX_IDLE, MAX_IN_FLIGHT, Account, ApiKey, Call, HttpSender

from .certificates import HOST, certified

IN_FLIGHT = (1, 16, 100, 1000)
OURS, OPEN = "udio_async", "udio_async, gate open"
STOCK, WIDE = "httpx", "httpx, pool as wide"

SERVER = """
import asyncio, pathlib, sys

from benchmarks.certificates import server_context

BODY = sys.argv[1].encode()
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
ANSWER = HEAD % len(BODY) + BODY

class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""
    def data_received(self, data):
        self.seen += data
        while b"\\r\\n\\r\\n" in self.seen:
            self.seen = self.seen.partition(b"\\r\\n\\r\\n")[2]
            asyncio.get_running_loop().call_later(0.02, self.answer)
    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(ANSWER)

async def main():
    context = server_context(pathlib.Path(sys.argv[2])) if sys.argv[2:] else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, backlog=2048, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

_SONG = '{"id":"8a4f2c1e","status":"PENDING","audio_url":null}'
BODY = f'{{"code":200,"data":[{",".join([_SONG] * 7)}]}}'

Ask = Callable[[], Awaitable[object]]
Opener = Callable[[str, int], contextlib.AbstractAsyncContextManager[Ask]]


@contextlib.asynccontextmanager
async def ours(url: str, gate: int, idle: int | None = None) -> AsyncGenerator[Ask]:
    """Our sender, with so many requests at once, and as many idle connections or fewer."""
    look = Call(account=Account(base_url=url, key=ApiKey("key")), method="GET", path="/v1/feed")
    async with (
        anyio.create_task_group() as tasks,
        HttpSender(tasks, max_in_flight=gate, max_idle=idle or gate) as http,
    ):
        yield lambda: http.send(look)


@contextlib.asynccontextmanager
async def stock_httpx(url: str, pool: int = 100, kept: int = 20) -> AsyncGenerator[Ask]:
    limits = httpx.Limits(max_connections=pool, max_keepalive_connections=kept)
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:
        yield lambda: client.get(f"{url}/v1/feed")


@contextlib.asynccontextmanager
async def stock_httpx2(url: str) -> AsyncGenerator[Ask]:
    async with httpx2.AsyncClient(timeout=None) as client:
        yield lambda: client.get(f"{url}/v1/feed")


@contextlib.asynccontextmanager
async def stock_aiohttp(url: str) -> AsyncGenerator[Ask]:
    # A context made now: aiohttp's own was made at its import, before this certificate was.
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> bytes:
            async with session.get(f"{url}/v1/feed") as response:
                return await response.read()

        yield ask


@contextlib.asynccontextmanager
async def bare_sockets(url: str) -> AsyncGenerator[Ask]:
    """As cheap as it gets in Python: a fixed request, an answer cut out by its length."""
    port = int(url.rpartition(":")[2])
    context = ssl.create_default_context() if url.startswith("https") else None
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask() -> bytes:
        if free:
            reader, writer = free.pop()
        else:
            reader, writer = await asyncio.open_connection(HOST, port, ssl=context)
        writer.write(b"GET /v1/feed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        free.append((reader, writer))
        return body

    yield ask
    for _, writer in free:
        writer.close()
        await writer.wait_closed()


CLIENTS: dict[str, Opener] = {
    OURS: lambda url, _: ours(url, MAX_IN_FLIGHT, MAX_IDLE),
    OPEN: ours,
    STOCK: lambda url, _: stock_httpx(url),
    WIDE: lambda url, in_flight: stock_httpx(url, in_flight, in_flight),
    "httpx2": lambda url, _: stock_httpx2(url),
    "aiohttp": lambda url, _: stock_aiohttp(url),
    "bare sockets": lambda url, _: bare_sockets(url),
}


@attrs.frozen(kw_only=True)
class Cell:
    """One client at one number of requests in flight."""

    client: str
    in_flight: int
    requests: int
    cpu_ms: float
    """Milliseconds of CPU per request, median of the runs."""
    lag_ms: float
    """The longest that the loop was kept away, in milliseconds, worst of the runs."""


async def worst_lag(lags: list[float]) -> None:
    while True:
        start = time.perf_counter()
        await asyncio.sleep(0.005)
        lags.append(time.perf_counter() - start - 0.005)


async def run_once(
    opener: Opener, url: str, in_flight: int, requests: int, *, warm: int = 100
) -> tuple[float, float]:
    """Return CPU seconds per request and the worst lag in seconds, so many connections warm."""
    async with opener(url, in_flight) as ask:

        async def worker(share: int) -> None:
            for _ in range(share):
                await ask()

        async def all_workers(total: int) -> None:
            workers = min(in_flight, total)
            async with asyncio.TaskGroup() as tasks:
                for number in range(workers):
                    tasks.create_task(worker(total // workers + (number < total % workers)))

        await all_workers(min(in_flight, warm))
        lags: list[float] = [0.0]
        gc.collect()
        probe = asyncio.create_task(worst_lag(lags))
        await asyncio.sleep(0)
        start = time.process_time()
        await all_workers(requests)
        cpu = time.process_time() - start
        probe.cancel()
        return cpu / requests, max(lags)


def measure(client: str, url: str, in_flight: int, *, requests: int, runs: int) -> Cell:
    results = [
        asyncio.run(run_once(CLIENTS[client], url, in_flight, requests)) for _ in range(runs)
    ]
    return Cell(
        client=client,
        in_flight=in_flight,
        requests=requests,
        cpu_ms=1000 * statistics.median(cpu for cpu, _ in results),
        lag_ms=1000 * max(lag for _, lag in results),
    )


@contextlib.contextmanager
def serving(tls: Path | None = None, *, body: str = BODY) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, body, *([] if tls is None else [str(tls)])]
    scheme = "http" if tls is None else "https"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"{scheme}://{HOST}:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def size(client: str, in_flight: int, *, quick: bool) -> tuple[int, int]:
    """Return requests per run and runs: enough to be steady, few where one costs much."""
    if client == WIDE and in_flight > 16:
        return (0 if quick and in_flight > 100 else max(200, in_flight)), 1
    if in_flight == 1:
        return (40, 1) if quick else (200, 3)
    if quick:
        return max(160, in_flight), 1 if in_flight > 100 else 3
    return 1000, 1 if client == STOCK else 3


def all_cells(*, quick: bool, tls: bool) -> list[Cell]:
    cells = []
    with certified() if tls else contextlib.nullcontext() as folder, serving(folder) as url:
        for in_flight in IN_FLIGHT:
            for client in CLIENTS:
                requests, runs = size(client, in_flight, quick=quick)
                if requests:
                    cells.append(measure(client, url, in_flight, requests=requests, runs=runs))
    return cells


def goals(cells: list[Cell]) -> dict[str, float]:
    """Return the figures that we promise, as ratios within this run."""
    cost = {(cell.client, cell.in_flight): cell.cpu_ms for cell in cells}
    most = max(number for client, number in cost if client == WIDE)
    lags = {name: max(c.lag_ms for c in cells if c.client == name) for name in (OURS, OPEN)}
    return {
        "ours, CPU at 1,000 in flight / at 16 (goal: at most 1.15)": cost[OURS, 1000]
        / cost[OURS, 16],
        "gate open, CPU at 1,000 in flight / at 16": cost[OPEN, 1000] / cost[OPEN, 16],
        f"httpx, pool as wide / gate open, CPU at {most:,} in flight (goal: at least 5)": cost[
            WIDE, most
        ]
        / cost[OPEN, most],
        "httpx / ours, both as they come, CPU at 1,000 in flight": cost[STOCK, 1000]
        / cost[OURS, 1000],
        "ours / aiohttp, CPU at 16 in flight (goal: at most 2.0)": cost[OURS, 16]
        / cost["aiohttp", 16],
        "ours / aiohttp, CPU at 1,000 in flight (goal: at most 2.0)": cost[OURS, 1000]
        / cost["aiohttp", 1000],
        "ours, worst lag in ms (goal: below 100)": lags[OURS],
        "gate open, worst lag in ms": lags[OPEN],
    }


def show(cells: list[Cell]) -> None:
    print("CPU ms per request | worst lag ms".rjust(62))
    print("in flight".ljust(24) + "".join(f"{n:>20,}" for n in IN_FLIGHT))
    for client in CLIENTS:
        row = [cell for cell in cells if cell.client == client]
        print(client.ljust(24) + "".join(f"{c.cpu_ms:>11.2f} |{c.lag_ms:>7.0f}" for c in row))
    print()
    for name, figure in goals(cells).items():
        print(f"{figure:8.2f}  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests, under 30 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--tls", action="store_true", help="with a certificate of this machine")
    options = parser.parse_args()
    cells = all_cells(quick=options.quick, tls=options.tls)
    if options.json:
        print(json.dumps({"cells": [attrs.asdict(cell) for cell in cells], "goals": goals(cells)}))
    else:
        show(cells)


if __name__ == "__main__":
    main()
