"""What does each layer of a request add?

Milliseconds of CPU of this process per request, with 16 and with 1,000 requests in flight over
connections that stay open; a submit opens one where none was used a moment ago. Each layer
does all that the ones above it in the table do. One server process answers after 20 ms, but for
`client.submit`: there it is the server that takes songs, which answers at once.

    python -m benchmarks.layers [--quick] [--json] [--tls] [--before FILE]

`--before` is what `--json` has printed earlier, of another version: its figures are shown beside.
`--tls` has all layers speak TLS.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from pathlib import Path

import anyio
import attrs
import h11
import httpx
from anyio.streams.tls import TLSStream

import udio_async as ua
from udio_async._http import Account, ApiKey, Call, HttpSender, LeasedTransport
from udio_async._http.exchange import exchange
from udio_async._http.incoming import Incoming
from udio_async._http.messages import api_request

from . import canned
from .canned import UDIOAPI_SHOWN
from .certificates import HOST, certified
from .transport import Ask, Opener, bare_sockets, ours, run_once, serving, stock_aiohttp

IN_FLIGHT = (16, 1_000)
BODY = UDIOAPI_SHOWN[1] % {"id": "gen2000000000001dbksv"}
SUBMIT = "client.submit"


@contextlib.asynccontextmanager
async def with_h11(url: str) -> AsyncGenerator[Ask]:
    """The least that a careful client does: a stream of anyio, and h11."""
    port = int(url.rpartition(":")[2])
    context = httpx.create_ssl_context() if url.startswith("https") else None
    free: list[tuple[anyio.abc.ByteStream, h11.Connection]] = []

    async def open_line() -> tuple[anyio.abc.ByteStream, h11.Connection]:
        stream: anyio.abc.ByteStream = await anyio.connect_tcp(HOST, port)
        if context is not None:
            stream = await TLSStream.wrap(
                stream, hostname=HOST, ssl_context=context, standard_compatible=False
            )
        return stream, h11.Connection(h11.CLIENT)

    async def ask() -> bytes:
        stream, http = free.pop() if free else await open_line()
        request = h11.Request(method="GET", target="/v1/feed", headers=[("Host", HOST)])
        await stream.send((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
        body = b""
        while type(event := http.next_event()) is not h11.EndOfMessage:
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive())
            elif isinstance(event, h11.Data):
                body += event.data
        http.start_next_cycle()
        free.append((stream, http))
        return body

    yield ask
    for stream, _ in free:
        await stream.aclose()


@contextlib.asynccontextmanager
async def httpx_lines(url: str, in_flight: int) -> AsyncGenerator[Ask]:
    """A transport of httpx for each connection, lent from a pile."""
    context = httpx.create_ssl_context()
    limits = httpx.Limits(max_connections=1)
    free = [httpx.AsyncHTTPTransport(verify=context, limits=limits) for _ in range(in_flight)]
    lines = list(free)

    async def ask() -> bytes:
        line = free.pop()
        response = await line.handle_async_request(httpx.Request("GET", f"{url}/v1/feed"))
        body = await response.aread()
        await response.aclose()
        free.append(line)
        return body

    yield ask
    for line in lines:
        await line.aclose()


@contextlib.asynccontextmanager
async def our_transport(url: str, in_flight: int) -> AsyncGenerator[Ask]:
    transport = LeasedTransport(keep=in_flight)

    async def ask() -> bytes:
        response = await transport.handle_async_request(httpx.Request("GET", f"{url}/v1/feed"))
        body = await response.aread()
        await response.aclose()
        return body

    yield ask
    await transport.aclose()


@contextlib.asynccontextmanager
async def our_exchange(url: str, in_flight: int) -> AsyncGenerator[Ask]:
    transport = LeasedTransport(keep=in_flight)
    look = Call(account=Account(base_url=url, key=ApiKey("key")), method="GET", path="/v1/feed")

    async def ask() -> object:
        answer = Incoming()
        await exchange(transport.handle_async_request, api_request(look), answer, seconds=30)
        return answer.reply()

    yield ask
    await transport.aclose()


@contextlib.asynccontextmanager
async def our_fetch(url: str, in_flight: int) -> AsyncGenerator[Ask]:
    provider = ua.UdioApiV2(api_key="key", base_url=url)
    async with (
        anyio.create_task_group() as tasks,
        HttpSender(tasks, max_in_flight=in_flight, max_idle=in_flight) as http,
    ):
        yield lambda: provider.fetch(http, ["gen2000000000001dbksv"])


LAYERS: Mapping[str, Opener] = {
    "bare sockets": lambda url, _: bare_sockets(url),
    "anyio stream, h11": lambda url, _: with_h11(url),
    "aiohttp": lambda url, _: stock_aiohttp(url),
    "httpx, a transport for each connection": httpx_lines,
    "our transport": our_transport,
    "our exchange": our_exchange,
    "our send": ours,
    "our fetch: one look, read": our_fetch,
}


@attrs.frozen(kw_only=True)
class Cell:
    """One layer at one number of requests in flight."""

    layer: str
    in_flight: int
    cpu_ms: float
    """Milliseconds of CPU per request, the least of the runs."""


def measure(layer: str, url: str, in_flight: int, *, requests: int, runs: int) -> Cell:
    results = [
        asyncio.run(run_once(LAYERS[layer], url, in_flight, requests, warm=in_flight))[0]
        for _ in range(runs)
    ]
    return Cell(layer=layer, in_flight=in_flight, cpu_ms=1000 * min(results))


async def submit_once(url: str, in_flight: int, songs: int, journal: str | None) -> float:
    """Return CPU seconds per song, from the call to its acceptance."""
    provider = ua.UdioApiV2(api_key="key", base_url=url)
    async with ua.Client(provider, journal=journal, submit_concurrency=in_flight) as client:

        async def worker(share: int) -> None:
            for _ in range(share):
                await client.submit("a song about summer")

        async def all_workers(total: int) -> None:
            workers = min(in_flight, total)
            async with asyncio.TaskGroup() as tasks:
                for number in range(workers):
                    tasks.create_task(worker(total // workers + (number < total % workers)))

        await all_workers(8)
        gc.collect()
        start = time.process_time()
        await all_workers(songs)
        return (time.process_time() - start) / songs


def measure_submit(kept: str, in_flight: int, *, songs: int, runs: int, tls: Path | None) -> Cell:
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place, canned.serving(median=600, tls=tls) as server:
            journal = f"{place}/songs.db" if kept == "SQLite" else None
            results.append(asyncio.run(submit_once(server.url, in_flight, songs, journal)))
    return Cell(layer=f"{SUBMIT}, {kept}", in_flight=in_flight, cpu_ms=1000 * min(results))


def all_cells(*, quick: bool, tls: bool) -> list[Cell]:
    runs = 1 if quick else 3
    cells = []
    with certified() if tls else contextlib.nullcontext() as folder:
        with serving(folder, body=BODY) as url:
            for layer in LAYERS:
                sized = partial(measure, layer, url, requests=1_000 if quick else 3_000, runs=runs)
                cells += [sized(in_flight) for in_flight in IN_FLIGHT]
        for kept in ("memory", "SQLite"):
            sized = partial(measure_submit, kept, songs=1_000, runs=runs, tls=folder)
            cells += [sized(in_flight) for in_flight in IN_FLIGHT]
    return cells


def show(cells: list[Cell], before: Mapping[tuple[str, int], float]) -> None:
    columns = [f"{number:,} in flight" for number in IN_FLIGHT]
    print("CPU ms per request".ljust(42) + "".join(f"{name:>22}" for name in columns))
    for layer in dict.fromkeys(cell.layer for cell in cells):
        row = [cell for cell in cells if cell.layer == layer]
        figures = [f"{_earlier(before, cell)}{cell.cpu_ms:.3f}" for cell in row]
        print(layer.ljust(42) + "".join(f"{figure:>22}" for figure in figures))


def _earlier(before: Mapping[tuple[str, int], float], cell: Cell) -> str:
    earlier = before.get((cell.layer, cell.in_flight))
    return "" if earlier is None else f"{earlier:.3f} -> "


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer requests, once")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--tls", action="store_true", help="with a certificate of this machine")
    parser.add_argument("--before", type=Path, help="what --json has printed earlier")
    options = parser.parse_args()
    cells = all_cells(quick=options.quick, tls=options.tls)
    if options.json:
        print(json.dumps({"cells": [attrs.asdict(cell) for cell in cells]}))
        return
    earlier = json.loads(options.before.read_text())["cells"] if options.before else []
    show(cells, {(cell["layer"], cell["in_flight"]): cell["cpu_ms"] for cell in earlier})


if __name__ == "__main__":
    main()
