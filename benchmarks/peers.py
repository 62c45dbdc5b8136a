"""What would one pick instead, and what does that cost with 1,000 songs in the making?

Each client makes 1,000 songs of 5 s at once, all called together as its documentation shows for
one song: with its defaults, and with 5 s between two looks for everybody. Beside ours stand four
client libraries of other generation services that have the same shape (submit, look, result), and
two loops as people write them by hand against udioapi v2: `gather`, a fixed sleep of 5 s, time-outs
of 30 s and otherwise the defaults of httpx and aiohttp. Every client speaks to routes of its own on
one canned server in another process, with answers of about the same size.

Measured are wall time, CPU of the client's process, requests, connections, calls that failed, and
songs lost: made by the server and never returned to the caller. Then, with one song, what happens
when the server takes the submit and the answer is lost: how many songs were paid for in the end,
and what the caller hears. Each run is a process of its own and is stopped after its time, so one
that dies or hangs does not keep the others; what is not installed is said to be missing. All of
it takes half an hour.

`--tls` has all of them speak TLS, as with every real service; a plain run beside it shows what
that costs. Not measured: these services themselves, real networks. By default ours expects songs
of a minute or more, which is how long its providers take, so it finds songs of 5 s late on purpose;
with equal intervals it is told the 5 s. How late songs are found is measured by `polling` and
`scale`.

    python -m benchmarks.peers [--quick] [--json] [--songs 1000] [--seconds 5] [--limit 300] [--tls]
"""

import argparse
import asyncio
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

import udio_async as ua

from .canned import Statistics, serving
from .certificates import certified

INTERVAL = 5.0
PROMPT = "a song about summer"
OneSong = Callable[[], Awaitable[object]]


@attrs.frozen
class Pace:
    """How often to look: the client's own way, or this interval for songs of this length."""

    interval: float | None
    seconds: float


# The clients ---------------------------------------------------------------------------------


@asynccontextmanager
async def udioapi(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    async with _ours(ua.UdioApiV2(api_key="key", base_url=url), pace) as one_song:
        yield one_song


@asynccontextmanager
async def apiframe(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    async with _ours(ua.Apiframe(api_key="key", base_url=url), pace) as one_song:
        yield one_song


@asynccontextmanager
async def _ours(provider: ua.UdioApiV2 | ua.Apiframe, pace: Pace) -> AsyncGenerator[OneSong]:
    policy = ua.PollPolicy()
    if pace.interval is not None:
        traits = attrs.evolve(provider.traits, typical_duration=pace.seconds)
        provider = attrs.evolve(provider, traits=traits)
        policy = ua.PollPolicy(min_interval=pace.interval)
    async with ua.Client(provider, poll=policy) as client:
        yield lambda: client.generate(PROMPT)


@asynccontextmanager
async def fal(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    module: Any = importlib.import_module("fal_client.client")
    module.QUEUE_URL_FORMAT = f"{url}/fal/"  # the scheme in it is fixed to https
    client = module.AsyncClient(key="key")
    options = {} if pace.interval is None else {"interval": pace.interval}
    yield lambda: client.subscribe("bench/song", {"prompt": PROMPT}, **options)


@asynccontextmanager
async def replicate(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    client = importlib.import_module("replicate").Client(api_token="key", base_url=url)
    if pace.interval is not None:
        client.poll_interval = pace.interval

    async def one_song() -> object:
        prediction = await client.models.predictions.async_create("bench/song", {"prompt": PROMPT})
        await prediction.async_wait()
        return prediction.output

    yield one_song


@asynccontextmanager
async def acedata(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    client = importlib.import_module("acedatacloud").AsyncAceDataCloud(
        api_token="key", base_url=url
    )
    options = {} if pace.interval is None else {"poll_interval": pace.interval}

    async def one_song() -> object:
        handle = await client.audio.generate(prompt=PROMPT)
        return await handle.wait(**options)

    yield one_song


@asynccontextmanager
async def sonilo(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    options = {} if pace.interval is None else {"poll_interval": pace.interval}
    async with importlib.import_module("sonilo").AsyncSonilo(api_key="key", base_url=url) as client:
        yield lambda: client.text_to_music.generate_async(prompt=PROMPT, duration=60, **options)


_BODY = {"model": "chirp-v3-5", "gpt_description_prompt": PROMPT}


@asynccontextmanager
async def bare_httpx(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    async with importlib.import_module("httpx").AsyncClient(timeout=30) as client:

        async def one_song() -> object:
            accepted = (await client.post(f"{url}/api/v2/generate", json=_BODY)).json()
            while True:
                await asyncio.sleep(pace.interval or INTERVAL)
                query = {"workId": accepted["workId"]}
                feed = (await client.get(f"{url}/api/v2/feed", params=query)).json()["data"]
                if feed["type"] == "SUCCESS":
                    return feed["response_data"]

        yield one_song


@asynccontextmanager
async def bare_aiohttp(url: str, pace: Pace) -> AsyncGenerator[OneSong]:
    module = importlib.import_module("aiohttp")
    async with module.ClientSession(timeout=module.ClientTimeout(30)) as session:

        async def one_song() -> object:
            async with session.post(f"{url}/api/v2/generate", json=_BODY) as response:
                accepted = await response.json()
            while True:
                await asyncio.sleep(pace.interval or INTERVAL)
                query = {"workId": accepted["workId"]}
                async with session.get(f"{url}/api/v2/feed", params=query) as response:
                    feed = (await response.json())["data"]
                if feed["type"] == "SUCCESS":
                    return feed["response_data"]

        yield one_song


@attrs.frozen
class Peer:
    """One client of the comparison."""

    name: str
    package: str
    """What to install."""
    module: str
    open: Callable[[str, Pace], AbstractAsyncContextManager[OneSong]]

    @property
    def version(self) -> str | None:
        """Its version, or None where it is not installed."""
        if importlib.util.find_spec(self.module) is None:
            return None
        try:
            return metadata.version(self.package)
        except metadata.PackageNotFoundError:  # run from a source tree
            return "source"


OURS = "udio_async, udioapi"
PEERS = (
    Peer(OURS, "udio-async", "udio_async", udioapi),
    Peer("udio_async, apiframe", "udio-async", "udio_async", apiframe),
    Peer("fal-client", "fal-client", "fal_client", fal),
    Peer("replicate", "replicate", "replicate", replicate),
    Peer("acedatacloud", "acedatacloud", "acedatacloud", acedata),
    Peer("sonilo", "sonilo", "sonilo", sonilo),
    Peer("by hand, httpx", "httpx", "httpx", bare_httpx),
    Peer("by hand, aiohttp", "aiohttp", "aiohttp", bare_aiohttp),
)


# The client process --------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Heard:
    """What one client process heard."""

    returned: int
    errors: dict[str, int]
    waiting: int
    """Neither returned nor failed when the time was up."""
    wall: float
    cpu: float


async def run_client(peer: Peer, url: str, pace: Pace, *, songs: int, limit: float) -> None:
    async with peer.open(url, pace) as one_song:
        start, cpu = time.perf_counter(), time.process_time()
        calls = [asyncio.ensure_future(one_song()) for _ in range(songs)]
        done, waiting = await asyncio.wait(calls, timeout=limit)
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        errors = Counter(type(error).__name__ for call in done if (error := call.exception()))
        heard = Heard(
            returned=len(done) - errors.total(),
            errors=errors,
            waiting=len(waiting),
            wall=wall,
            cpu=cpu,
        )
        print(json.dumps(attrs.asdict(heard)), flush=True)
        for call in waiting:
            call.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


# The benchmark -------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Row:
    """One client in one run; `heard` is None where its process gave no answer."""

    peer: str
    version: str | None
    songs: int
    heard: Heard | None
    server: Statistics | None
    failure: str = ""

    @property
    def failed(self) -> int:
        """Calls that raised an error."""
        return sum(self.heard.errors.values()) if self.heard else self.songs

    @property
    def lost(self) -> int | None:
        """Songs that the server made and no call returned or still waits for."""
        if self.heard is None or self.server is None:
            return None
        return max(self.server.jobs - self.heard.returned - self.heard.waiting, 0)

    @property
    def note(self) -> str:
        """What went wrong, if anything."""
        if self.heard is None:
            return self.failure
        notes = [f"{count} x {error}" for error, count in self.heard.errors.items()]
        if self.heard.waiting:
            notes.append(f"{self.heard.waiting} not back after {self.heard.wall:.0f} s: stopped")
        return ", ".join(notes)


def measure(
    peer: Peer, *, pace: Pace, songs: int, limit: float, lose: int = 0, tls: Path | None = None
) -> Row:
    """Run one client in its process, which is killed when it does not end by itself."""
    if peer.version is None:
        missing = f"not installed: pip install {peer.package}"
        return Row(
            peer=peer.name, version=None, songs=songs, heard=None, server=None, failure=missing
        )
    with serving(median=pace.seconds, lose=lose, tls=tls) as server:
        run = {"url": server.url, "songs": songs, "limit": limit, **attrs.asdict(pace)}
        command = [sys.executable, "-m", "benchmarks.peers", "--run", peer.name, json.dumps(run)]
        heard, failure = _answer_of(command, timeout=1.5 * limit + 30)
        return Row(
            peer=peer.name,
            version=peer.version,
            songs=songs,
            heard=heard,
            server=server.statistics(),
            failure=failure,
        )


def _answer_of(command: list[str], *, timeout: float) -> tuple[Heard | None, str]:
    """Return what the process printed, or why there is nothing."""
    environment = {**os.environ, "NO_PROXY": "*"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        if not error.stdout:
            return None, f"killed after {timeout:.0f} s"
        return Heard(**json.loads(error.stdout)), ""  # measured, and then hung in closing
    if not done.stdout:
        return None, f"died: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"
    return Heard(**json.loads(done.stdout)), ""


def all_rows(
    *, songs: int, seconds: float, limit: float, quick: bool, tls: Path | None
) -> dict[str, list[Row]]:
    """Run everything: one client after the other, or all together where they have little to do."""
    once = partial(measure, songs=songs, limit=limit, tls=tls)
    paces = {"defaults": Pace(None, seconds), "equal intervals": Pace(INTERVAL, seconds)}
    with ThreadPoolExecutor(len(PEERS) if quick else 1) as pool:
        rows = {
            name: list(pool.map(partial(once, pace=pace), PEERS)) for name, pace in paces.items()
        }
    with ThreadPoolExecutor(len(PEERS)) as pool:
        one_song = partial(once, pace=Pace(None, 1.0), songs=1, limit=90.0, lose=1)
        rows["lost answer"] = list(pool.map(one_song, PEERS))
    return rows


def cpu_ratios(rows: list[Row]) -> dict[str, float]:
    """Return the CPU of each client that returned every song, as a multiple of ours."""
    spent = {
        row.peer: row.heard.cpu for row in rows if row.heard and row.heard.returned == row.songs
    }
    return {peer: cpu / spent[OURS] for peer, cpu in spent.items() if OURS in spent}


def show(runs: dict[str, list[Row]], *, songs: int, seconds: float) -> None:
    for name in ("defaults", "equal intervals"):
        rows = runs[name]
        print(f"{songs:,} songs of {seconds:g} s, {name}")
        print(
            f"  {'':<22}{'version':<14}{'wall s':>7}{'CPU s':>7}{'x ours':>8}{'requests':>10}"
            f"{'connections':>13}{'failed':>8}{'lost':>6}"
        )
        ratios = cpu_ratios(rows)
        for row in rows:
            print(f"  {row.peer:<22}{row.version or '-':<14}{_figures(row, ratios)}  {row.note}")
        print()
    print("One song, and the answer to its submit is lost")
    print(f"  {'':<22}{'songs paid':>10}  the caller hears")
    for row in runs["lost answer"]:
        paid = row.server.jobs if row.server else "-"
        errors = row.heard.errors if row.heard else {}
        heard = ", ".join(errors) or row.note or "of one song, made"
        print(f"  {row.peer:<22}{paid:>10}  {heard}")


def _figures(row: Row, ratios: dict[str, float]) -> str:
    if row.heard is None or row.server is None:
        return ""
    ratio = f"{ratios[row.peer]:.1f}" if row.peer in ratios else "-"
    requests = row.server.submits + row.server.looks
    return (
        f"{row.heard.wall:>7.1f}{row.heard.cpu:>7.1f}{ratio:>8}{requests:>10,}"
        f"{row.server.connections:>13,}{row.failed:>8,}{row.lost:>6,}"
    )


def report(runs: dict[str, list[Row]], *, songs: int, seconds: float) -> dict[str, Any]:
    return {
        "benchmark": "peers",
        "songs": songs,
        "seconds": seconds,
        "python": sys.version.split()[0],
        "runs": {
            name: [
                {**attrs.asdict(row), "failed": row.failed, "lost": row.lost, "note": row.note}
                for row in rows
            ]
            for name, rows in runs.items()
        },
        "cpu_ratios": {
            name: cpu_ratios(rows) for name, rows in runs.items() if name != "lost answer"
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="100 songs, under two minutes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--songs", type=int, default=None, help="1,000, or 100 with --quick")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a song takes")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one client")
    parser.add_argument("--tls", action="store_true", help="with a certificate of this machine")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        peer = next(peer for peer in PEERS if peer.name == options.run[0])
        run = json.loads(options.run[1])
        pace = Pace(run["interval"], run["seconds"])
        asyncio.run(run_client(peer, run["url"], pace, songs=run["songs"], limit=run["limit"]))
        return
    songs = options.songs or (100 if options.quick else 1_000)
    with certified() if options.tls else nullcontext() as tls:
        runs = all_rows(
            songs=songs,
            seconds=options.seconds,
            limit=options.limit,
            quick=options.quick,
            tls=tls,
        )
    if options.json:
        print(json.dumps(report(runs, songs=songs, seconds=options.seconds)))
    else:
        show(runs, songs=songs, seconds=options.seconds)


if __name__ == "__main__":
    main()
