"""What does it cost to save songs, and does the loop stay free meanwhile?

One server process has MP3 files of 128 kbit/s. `Client.download` saves 100 of 4 MB, then 2,000 of
100 kB, each verified, made durable and given its name, as always. Beside it stand the loops that
people write by hand with httpx and aiohttp: as many downloads at once, each chunk written to the
file as it comes, nothing verified. Measured are CPU of this process with all its threads, per MB,
the time it took, and the longest time that the event loop was kept from its other work.

    python -m benchmarks.download [--quick] [--json] [--tls]
"""

import argparse
import asyncio
import contextlib
import gc
import json
import random
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import attrs
import httpx

import udio_async as ua

from .certificates import HOST, certified
from .transport import worst_lag

MB = 1_000_000
SIZES = {"4 MB": 4 * MB, "100 kB": 100_000}
OURS, HTTPX, AIOHTTP = "udio_async", "by hand, httpx", "by hand, aiohttp"
AT_ONCE = 4
GOAL_RATIO, GOAL_LAG = 1.5, 50.0
"""CPU per MB over that of the loop with httpx; milliseconds."""

SERVER = """
import asyncio, pathlib, sys

from benchmarks.certificates import server_context

FILES = {}
for size in map(int, sys.argv[2:]):
    body = pathlib.Path(sys.argv[1], str(size)).read_bytes()
    head = b"HTTP/1.1 200 OK\\r\\nContent-Type: audio/mpeg\\r\\nContent-Length: %d\\r\\n\\r\\n"
    FILES[b"%d" % size] = head % len(body) + body

class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""
    def data_received(self, data):
        self.seen += data
        while b"\\r\\n\\r\\n" in self.seen:
            head, _, self.seen = self.seen.partition(b"\\r\\n\\r\\n")
            self.transport.write(FILES[head.split(b"/")[1]])

async def main():
    tls = pathlib.Path(sys.argv[1], "cert.pem").exists()
    context = server_context(pathlib.Path(sys.argv[1])) if tls else None
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""

Save = Callable[[list[str], Path], Awaitable[None]]


async def ours(links: list[str], directory: Path) -> None:
    site = links[0].rpartition("/")[0].rpartition("/")[0]
    songs = [
        ua.Song(
            id=f"song-{number}",
            task_id=f"task-{number}",
            provider="udioapi-v2",
            index=0,
            stage=ua.Stage.COMPLETE,
            title=f"Song {number}",
            audio_url=link,
            audio_is_final=True,
        )
        for number, link in enumerate(links)
    ]
    async with ua.Client(ua.UdioApiV2(api_key="key", base_url=site)) as client:
        await client.download(songs, directory)


async def by_hand_httpx(links: list[str], directory: Path) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient() as client:

        async def save(number: int, link: str) -> None:
            async with places, client.stream("GET", link) as response:
                response.raise_for_status()
                with (directory / f"{number}.mp3").open("wb") as file:  # as people write it
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)

        await asyncio.gather(*(save(number, link) for number, link in enumerate(links)))


async def by_hand_aiohttp(links: list[str], directory: Path) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    # A context made now: aiohttp's own was made at its import, before this certificate was.
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
    async with aiohttp.ClientSession(raise_for_status=True, connector=connector) as client:

        async def save(number: int, link: str) -> None:
            async with places, client.get(link) as response:
                with (directory / f"{number}.mp3").open("wb") as file:  # as people write it
                    async for chunk in response.content.iter_any():
                        file.write(chunk)

        await asyncio.gather(*(save(number, link) for number, link in enumerate(links)))


CLIENTS: dict[str, Save] = {OURS: ours, HTTPX: by_hand_httpx, AIOHTTP: by_hand_aiohttp}


@attrs.frozen(kw_only=True)
class Cell:
    """One client with files of one size."""

    client: str
    size: str
    songs: int
    cpu_ms_per_mb: float
    """Milliseconds, median of the runs."""
    mb_per_second: float
    lag_ms: float
    """The longest that the loop was kept away, in milliseconds, worst of the runs."""


async def run_once(save: Save, links: list[str], directory: Path) -> tuple[float, float, float]:
    """Return CPU seconds, seconds, and the worst lag in seconds."""
    lags: list[float] = [0.0]
    gc.collect()
    probe = asyncio.create_task(worst_lag(lags))
    await asyncio.sleep(0)
    wall, cpu = time.perf_counter(), time.process_time()
    await save(links, directory)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    probe.cancel()
    return cpu, wall, max(lags)


def measure(client: str, url: str, size: str, *, songs: int, runs: int) -> Cell:
    links = [f"{url}/{SIZES[size]}/{number}.mp3" for number in range(songs)]
    results = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as place:
            results.append(asyncio.run(run_once(CLIENTS[client], links, Path(place))))
            saved = [path.stat().st_size for path in Path(place).iterdir()]
            assert len(saved) == songs, f"{client}: {len(saved)} of {songs} songs are there"
            assert min(saved) > SIZES[size] - 1000, f"{client}: a song is not whole"
    megabytes = songs * SIZES[size] / MB
    return Cell(
        client=client,
        size=size,
        songs=songs,
        cpu_ms_per_mb=1000 * statistics.median(cpu for cpu, _, _ in results) / megabytes,
        mb_per_second=megabytes / statistics.median(wall for _, wall, _ in results),
        lag_ms=1000 * max(lag for _, _, lag in results),
    )


def make_mp3(size: int) -> bytes:
    """Return frames of 128 kbit/s with noise in them."""
    dice, length = random.Random(size), 144 * 128_000 // 44_100
    frames = (b"\xff\xfb\x90\xc4" + dice.randbytes(length - 4) for _ in range(size // length))
    return b"".join(frames)


@contextlib.contextmanager
def serving(*, tls: bool) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        if tls:
            folder = stack.enter_context(certified())
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for size in SIZES.values():
            (folder / str(size)).write_bytes(make_mp3(size))
        command = [sys.executable, "-c", SERVER, str(folder), *map(str, SIZES.values())]
        server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(server.terminate)
        assert server.stdout is not None
        yield f"{'https' if tls else 'http'}://{HOST}:{int(server.stdout.readline())}"


def all_cells(*, quick: bool, tls: bool) -> list[Cell]:
    counts = {"4 MB": 10, "100 kB": 200} if quick else {"4 MB": 100, "100 kB": 2_000}
    with serving(tls=tls) as url:
        for client in CLIENTS:  # what is made once is not the songs' cost
            measure(client, url, "100 kB", songs=8, runs=1)
        return [
            measure(client, url, size, songs=songs, runs=1 if quick else 3)
            for size, songs in counts.items()
            for client in CLIENTS
        ]


def goals(cells: list[Cell]) -> dict[str, float]:
    """Return the figures that we promise, as ratios within this run."""
    cost = {(cell.client, cell.size): cell.cpu_ms_per_mb for cell in cells}
    named = "ours / by hand with httpx, CPU per MB, songs of {} (goal: at most {})"
    ratios = {
        named.format(size, GOAL_RATIO): cost[OURS, size] / cost[HTTPX, size] for size in SIZES
    }
    worst = max(cell.lag_ms for cell in cells if cell.client == OURS)
    return {**ratios, f"ours, worst lag in ms (goal: at most {GOAL_LAG:g})": worst}


def show(cells: list[Cell]) -> None:
    for size in SIZES:
        rows = [cell for cell in cells if cell.size == size]
        print(f"{rows[0].songs:,} songs of {size}")
        for cell in rows:
            print(
                f"  {cell.client:<18}{cell.cpu_ms_per_mb:>7.2f} ms CPU per MB"
                f"{cell.mb_per_second:>7.0f} MB/s{cell.lag_ms:>7.0f} ms worst lag"
            )
    print()
    for name, figure in goals(cells).items():
        print(f"{figure:8.2f}  {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the songs, once")
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
