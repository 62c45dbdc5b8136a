"""What do callbacks save, and how much sooner is a song seen, with 1,000 of them in flight?

Each cell is a process of its own with one `Client`, as it comes, and one `generate_many` over a
loopback socket: by polling alone, or with its `callbacks` application, which uvicorn serves in the
same process and on the same loop. The server is another process; its songs take log-normal times
around 25 s, and are called back with their text, a first audio and the end. What the provider
calls typical is told the client wrong by a third, because nobody knows it exactly. Measured are

- looks per song, and how late the server showed a complete song, by its own clock;
- CPU: of the client's process, callbacks included, from the first submit to the last outcome;
- callbacks that were answered with something else than 200.

Not measured: real networks, TLS, a proxy before the application.

    python -m benchmarks.callbacks [--quick] [--json]
"""

import argparse
import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import uvicorn

import udio_async as ua

from .canned import Statistics, serving

PROVIDERS = ("udioapi-v1", "apiframe")
MODES = ("polling", "callbacks")
SIGMA = 0.2
TYPICAL = 4 / 3
"""What the client takes for typical, in medians."""


@attrs.frozen(kw_only=True)
class Cell:
    """One provider in one mode."""

    provider: str
    mode: str
    songs: int
    returned: int
    cpu: float
    """Seconds of the client's process."""
    server: Statistics

    @property
    def looks(self) -> float:
        return self.server.looks / self.songs

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.cpu / self.songs


# The client process --------------------------------------------------------------------------


def provider(name: str, url: str, *, typical: float) -> ua.Provider:
    made: ua.Apiframe | ua.UdioApiV1
    if name == "apiframe":
        made = ua.Apiframe(api_key="key", base_url=url)
    else:
        made = ua.UdioApiV1(api_key="key", base_url=url, generation="legacy")
    return attrs.evolve(made, traits=attrs.evolve(made.traits, typical_duration=typical))


@asynccontextmanager
async def called(client: ua.Client) -> AsyncGenerator[None]:
    """Serve the client's application on its own loop."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        # asyncio does so only for sockets that name their protocol; else each answer waits 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app = client.callbacks(
            f"http://127.0.0.1:{listener.getsockname()[1]}/songs", allow_private=True
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=75)
        server = uvicorn.Server(config)
        serving_app = asyncio.create_task(server.serve([listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving_app


async def run_client(made: ua.Provider, songs: int, *, by_callbacks: bool) -> None:
    async with ua.Client(made) as client:
        for _ in range(20):  # what is made once is not the songs' cost
            await client.credits()
        if by_callbacks:
            async with called(client):
                await make_songs(client, songs)
        else:
            await make_songs(client, songs)


async def make_songs(client: ua.Client, songs: int) -> None:
    requests = (f"a song about the number {number}" for number in range(songs))
    returned, cpu = 0, time.process_time()
    async with client.generate_many(requests, max_active=songs) as batch:
        async for outcome in batch:
            returned += outcome.ok
    print(json.dumps({"returned": returned, "cpu": time.process_time() - cpu}))


# The benchmark -------------------------------------------------------------------------------


def measure(name: str, mode: str, songs: int, *, median: float) -> Cell:
    with serving(median=median, sigma=SIGMA) as server:
        cell = [name, mode, str(songs), server.url, str(median * TYPICAL)]
        command = [sys.executable, "-m", "benchmarks.callbacks", "--cell", *cell]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        return Cell(provider=name, mode=mode, songs=songs, server=server.statistics(), **found)


def all_cells(*, quick: bool) -> list[Cell]:
    """One after the other: each has the machine to itself."""
    songs, median = (200, 6.0) if quick else (1_000, 25.0)
    return [measure(name, mode, songs, median=median) for name in PROVIDERS for mode in MODES]


@attrs.frozen
class Goal:
    """A figure, and what it should be at most."""

    name: str
    figure: float
    at_most: float

    @property
    def met(self) -> bool:
        return self.figure <= self.at_most


def goals(cells: list[Cell]) -> list[Goal]:
    found = []
    for name in PROVIDERS:
        polling, called_back = (cell for cell in cells if cell.provider == name)
        of = f"{name}, {polling.songs:,} songs called back:"
        found += [
            Goal(f"{of} looks per song", called_back.looks, 2),
            Goal(f"{of} p95 of the lateness, ms", 1000 * called_back.server.late_p95, 200),
            Goal(
                f"{of} p95 / by polling", called_back.server.late_p95 / polling.server.late_p95, 0.5
            ),
            Goal(f"{of} not answered with 200", called_back.server.callbacks_refused, 0),
            Goal(f"{of} songs not returned", called_back.songs - called_back.returned, 0),
        ]
    return found


def show(cells: list[Cell]) -> None:
    print(
        f"{'provider':<11}{'mode':<10}{'songs':>7}{'looks/song':>12}{'late ms p50':>13}"
        f"{'p95':>8}{'CPU ms/song':>13}{'callbacks':>11}{'not 200':>9}"
    )
    for cell in cells:
        server = cell.server
        print(
            f"{cell.provider:<11}{cell.mode:<10}{cell.songs:>7,}{cell.looks:>12.2f}"
            f"{1000 * server.late_p50:>13.0f}{1000 * server.late_p95:>8.0f}{cell.cpu_ms:>13.2f}"
            f"{server.callbacks:>11,}{server.callbacks_refused:>9}"
        )
    print()
    for goal in goals(cells):
        verdict = "met" if goal.met else "MISSED"
        print(f"{goal.figure:9.2f}  {verdict:<7} {goal.name} (goal: at most {goal.at_most:g})")


def report(cells: list[Cell], *, quick: bool) -> dict[str, Any]:
    return {
        "benchmark": "callbacks",
        "quick": quick,
        "cells": [
            {**attrs.asdict(cell), "cpu_ms": cell.cpu_ms, "looks": cell.looks} for cell in cells
        ],
        "goals": [{**attrs.asdict(goal), "met": goal.met} for goal in goals(cells)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="200 songs, under a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cell", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        name, mode, songs, url, typical = options.cell
        made = provider(name, url, typical=float(typical))
        asyncio.run(run_client(made, int(songs), by_callbacks=mode == "callbacks"))
        return
    cells = all_cells(quick=options.quick)
    if options.json:
        print(json.dumps(report(cells, quick=options.quick)))
    else:
        show(cells)


if __name__ == "__main__":
    main()
