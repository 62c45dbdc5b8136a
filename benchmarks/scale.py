"""What does a song cost with 100, 1,000 and 10,000 of them in flight?

Each cell is a process of its own with one `Client`, as it comes, and one `generate_many` over a
loopback socket. The server is another process; its songs take log-normal times, so long that all
are in flight together and shorter than real ones, so that a run takes minutes. What the providers
call typical is therefore told the client as well, and wrong by a third, because nobody knows it
exactly. Everything else is the default. Measured are

- CPU: of the client's process, from the first submit to the last outcome, per song and per
  request: a process that is idle in between pays more for each request, and one that is busy looks
  less often, so both flatter the many;
- memory: what the process has grown by when all songs are accepted and waiting, and at its most,
  when the waiting ones have their lyrics and answers come in, divided by the songs;
- lag: how late a task wakes up that sleeps 5 ms, from 1,000 songs on, its own CPU counted as ours.
  Other work on the machine makes it late as well, so beside it stand "own", no more of the
  lateness than the client's thread was running in that time, and "gc", the longest garbage
  collection: Python stops for it, the longer the more objects there are in the process;
- requests and connections, and how late the server showed a complete song, by its own clock.

Not measured: real networks, TLS, rate limits, downloads.

    python -m benchmarks.scale [--quick] [--json]
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from array import array
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

import udio_async as ua

from .canned import Statistics, quantile, serving

PROVIDERS = ("udioapi-v2", "apiframe")
SIGMA = 0.2
TYPICAL = 4 / 3
"""What the client takes for typical, in medians."""
PROBE = 0.005
PROBED_FROM = 1_000
"""Songs: with fewer, the probe would cost as much as they do."""


@attrs.frozen(kw_only=True)
class Client:
    """What one client process measured of itself."""

    returned: int
    cpu: float
    wall: float
    waiting_kib: float
    """Growth when all were accepted, per song."""
    peak_kib: float
    """Growth at its most, per song."""
    lag_worst: float
    lag_p99: float
    own_lag_worst: float
    own_lag_p99: float
    longest_collection: float


@attrs.frozen(kw_only=True)
class Cell:
    """One provider with so many songs."""

    provider: str
    songs: int
    client: Client
    server: Statistics

    @property
    def cpu_ms(self) -> float:
        return 1000 * self.client.cpu / self.songs

    @property
    def cpu_ms_per_request(self) -> float:
        return self.cpu_ms / self.requests

    @property
    def requests(self) -> float:
        return (self.server.submits + self.server.looks) / self.songs


# The client process --------------------------------------------------------------------------


def resident() -> int:
    """Return the bytes of memory that this process has (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def provider(name: str, url: str, *, typical: float) -> ua.Provider:
    made: ua.Apiframe | ua.UdioApiV2
    kind = ua.Apiframe if name == "apiframe" else ua.UdioApiV2
    made = kind(api_key="key", base_url=url)
    return attrs.evolve(made, traits=attrs.evolve(made.traits, typical_duration=typical))


@attrs.define
class Watcher:
    """Looks at the process while the songs are made."""

    songs: int
    before: int = attrs.field(factory=resident)
    waiting: int = 0
    peak: int = 0
    lags: "array[float]" = attrs.field(factory=lambda: array("d"))
    own_lags: "array[float]" = attrs.field(factory=lambda: array("d"))
    longest_collection: float = 0.0
    _collecting_since: float = 0.0
    _all_pulled: asyncio.Event = attrs.field(factory=asyncio.Event)

    def requests(self) -> Generator[str]:
        for number in range(self.songs):
            if number == self.songs - 1:
                self._all_pulled.set()
            yield f"a song about the number {number}"

    async def weigh(self) -> None:
        await self._all_pulled.wait()
        await asyncio.sleep(0.2)  # the last ones are on the wire
        self.waiting = resident()
        while True:
            self.peak = max(self.peak, resident())
            await asyncio.sleep(0.5)

    def collecting(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._collecting_since = time.perf_counter()
        else:
            took = time.perf_counter() - self._collecting_since
            self.longest_collection = max(self.longest_collection, took)

    async def probe(self) -> None:
        while self.songs >= PROBED_FROM:
            start, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(PROBE)
            lag = time.perf_counter() - start - PROBE
            self.lags.append(lag)
            self.own_lags.append(min(lag, time.thread_time() - cpu))


async def run_client(made: ua.Provider, songs: int) -> None:
    async with ua.Client(made) as client:
        for _ in range(20):  # what is made once is not the songs' cost
            await client.credits()
        gc.collect()
        print(json.dumps(attrs.asdict(await make_songs(client, songs))))


async def make_songs(client: ua.Client, songs: int) -> Client:
    watcher = Watcher(songs)
    gc.callbacks.append(watcher.collecting)
    watching = [asyncio.create_task(watch()) for watch in (watcher.weigh, watcher.probe)]
    returned, cpu, start = 0, time.process_time(), time.perf_counter()
    async with client.generate_many(watcher.requests(), max_active=songs) as batch:
        async for outcome in batch:
            returned += outcome.ok
    cpu, wall = time.process_time() - cpu, time.perf_counter() - start
    for task in watching:
        task.cancel()
    lags, own_lags = sorted(watcher.lags), sorted(watcher.own_lags)
    return Client(
        returned=returned,
        cpu=cpu,
        wall=wall,
        waiting_kib=(watcher.waiting - watcher.before) / songs / 1024,
        peak_kib=(watcher.peak - watcher.before) / songs / 1024,
        lag_worst=max(lags, default=0.0),
        lag_p99=quantile(lags, 0.99),
        own_lag_worst=max(own_lags, default=0.0),
        own_lag_p99=quantile(own_lags, 0.99),
        longest_collection=watcher.longest_collection,
    )


# The benchmark -------------------------------------------------------------------------------


def measure(name: str, songs: int, *, median: float) -> Cell:
    with serving(median=median, sigma=SIGMA) as server:
        cell = [name, str(songs), server.url, str(median * TYPICAL)]
        command = [sys.executable, "-m", "benchmarks.scale", "--cell", *cell]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        client = Client(**json.loads(done.stdout))
        return Cell(provider=name, songs=songs, client=client, server=server.statistics())


def all_cells(*, quick: bool) -> list[Cell]:
    """Measure the dear cells alone; the others, which leave the machine idle, together."""
    median = 20.0 if quick else 75.0
    together = [(name, songs) for name in PROVIDERS for songs in (100, 1_000)]
    cells = [] if quick else [measure(name, 10_000, median=median) for name in PROVIDERS]
    with ThreadPoolExecutor(len(together)) as pool:
        cells += pool.map(lambda cell: measure(*cell, median=median), together)
    return sorted(cells, key=lambda cell: (PROVIDERS.index(cell.provider), cell.songs))


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
    most = max(cell.songs for cell in cells)
    for name in PROVIDERS:
        few, *_, many = (cell for cell in cells if cell.provider == name)
        of = f"{name}, {most:,} songs:"
        found += [
            Goal(f"{of} CPU per song / at {few.songs}", many.cpu_ms / few.cpu_ms, 1.15),
            Goal(f"{of} KiB per waiting song", many.client.waiting_kib, 4),
            Goal(f"{of} worst lag, ms", 1000 * many.client.lag_worst, 100),
            Goal(f"{of} worst own lag, ms", 1000 * many.client.own_lag_worst, 100),
            Goal(f"{of} p99 of the lag, ms", 1000 * many.client.lag_p99, 20),
            Goal(f"{of} songs not returned", many.songs - many.client.returned, 0),
        ]
        if name == "udioapi-v2":  # one song in each request; apiframe's are fuller with more songs
            per_request = many.cpu_ms_per_request / few.cpu_ms_per_request
            found.append(Goal(f"{of} CPU per request / at {few.songs}", per_request, 1.15))
        if name == "apiframe":
            found += [
                Goal(f"{of} requests per song", many.requests, 1.5),
                Goal(f"{of} mean lateness, s", many.server.late_mean, 2),
            ]
    return found


def show(cells: list[Cell]) -> None:
    print(
        f"{'':<11}{'':>7}{'in':>8}{'CPU ms per':>16}{'requests':>10}{'KiB per song':>14}"
        f"{'lag ms (own, gc)':>26}{'late s':>21}"
    )
    print(
        f"{'provider':<11}{'songs':>7}{'flight':>8}{'song':>8}{'request':>8}{'per song':>10}"
        f"{'waiting, peak':>14}{'p99':>11}{'worst':>15}{'mean':>6}{'p50':>5}{'p95':>5}{'p99':>5}"
    )
    for cell in cells:
        client, server = cell.client, cell.server
        memory = f"{client.waiting_kib:.1f}, {client.peak_kib:.1f}"
        p99 = f"{1000 * client.lag_p99:.0f} ({1000 * client.own_lag_p99:.0f})"
        worst = (
            f"{1000 * client.lag_worst:.0f} "
            f"({1000 * client.own_lag_worst:.0f}, {1000 * client.longest_collection:.0f})"
        )
        print(
            f"{cell.provider:<11}{cell.songs:>7,}{server.in_flight:>8,}{cell.cpu_ms:>8.2f}"
            f"{cell.cpu_ms_per_request:>8.2f}{cell.requests:>10.2f}{memory:>14}{p99:>11}{worst:>15}{server.late_mean:>6.1f}"
            f"{server.late_p50:>5.1f}{server.late_p95:>5.1f}{server.late_p99:>5.1f}"
        )
    print()
    show_goals(goals(cells))


def show_goals(found: list[Goal]) -> None:
    for goal in found:
        verdict = "met" if goal.met else "MISSED"
        print(f"{goal.figure:9.2f}  {verdict:<7} {goal.name} (goal: at most {goal.at_most:g})")


def report(cells: list[Cell], *, quick: bool) -> dict[str, Any]:
    return {
        "benchmark": "scale",
        "quick": quick,
        "cells": [
            {**attrs.asdict(cell), "cpu_ms": cell.cpu_ms, "requests": cell.requests}
            for cell in cells
        ],
        "goals": [{**attrs.asdict(goal), "met": goal.met} for goal in goals(cells)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="up to 1,000 songs, under a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        name, songs, url, typical = options.cell
        made = provider(name, url, typical=float(typical))
        asyncio.run(run_client(made, int(songs)))
        return
    cells = all_cells(quick=options.quick)
    if options.json:
        print(json.dumps(report(cells, quick=options.quick)))
    else:
        show(cells)


if __name__ == "__main__":
    main()
