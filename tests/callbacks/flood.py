"""Forged callbacks at full speed, beside songs that are being looked at.

python -m tests.callbacks.flood --seconds 10

The senders are a process of their own; strangers' addresses and a true one with wrong secrets.
"""

# ruff: noqa: T201 - it is a command too

import argparse
import gc
import json
import math
import os
import random
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import attrs

from tests.kit.caller import __file__ as caller_file
from tests.kit.serving import uvicorn_serving
from tests.kit.timed import TimedProvider
from udio_async import Client, Event, Outcome

SONGS = 200
MIB = 1024 * 1024


@attrs.define(kw_only=True)
class Figures:
    """What a flood has done, or as much time without one."""

    answers: dict[int, int]
    ended: int
    """Songs that were delivered."""
    lags: list[float]
    """Seconds from complete to the look that saw it, sorted."""
    grown: int
    """Bytes of memory that the process has grown by in that time."""
    traced: int
    """Bytes of Python's own, where it is traced."""

    def lag(self, part: float) -> float:
        return self.lags[min(int(part * len(self.lags)), len(self.lags) - 1)]


def resident() -> int:
    """Return the bytes of memory that this process has (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def flood_from_outside(port: int, address: str, seconds: float) -> dict[int, int]:
    command = [sys.executable, caller_file, str(port), address, str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return {int(status): times for status, times in json.loads(done.stdout).items()}


async def flood(*, seconds: float, forging: bool) -> Figures:
    """Make songs that take from half of this time to all of it, under a flood or without."""
    dice = random.Random(1)
    lengths = [seconds * min(0.75 * math.exp(0.15 * dice.gauss(0, 1)), 1) for _ in range(SONGS)]
    provider = TimedProvider(
        lambda place: lengths[place],
        callbacks="task",
        typical_duration=seconds,
        min_interval=seconds / 20,
        answer_time=0.01,
    )
    outcomes: list[Outcome] = []
    all_accepted, all_ended = anyio.Event(), anyio.Event()

    async def make_songs(client: Client) -> None:
        async with client.generate_many(
            [str(number) for number in range(SONGS)], max_active=SONGS
        ) as batch:
            async for outcome in batch:
                outcomes.append(outcome)  # noqa: PERF401  # seen as they come
        all_ended.set()

    def tell(event: Event) -> None:
        if event.kind == "submitted" and len(provider.completes_at) == SONGS:
            all_accepted.set()

    answers: dict[int, int] = {}
    before = after = (0, 0)
    async with (
        Client(provider, submit_concurrency=SONGS, on_event=tell) as client,
        uvicorn_serving(
            lambda port: client.callbacks(f"http://127.0.0.1:{port}/songs", allow_private=True)
        ) as port,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(make_songs, client)
        await all_accepted.wait()
        before = measured()
        if forging:
            address = provider.given[0]
            assert address is not None
            path = urlsplit(address.url).path
            answers = await anyio.to_thread.run_sync(flood_from_outside, port, path, seconds)
        await all_ended.wait()
        after = measured()
    return Figures(
        answers=answers,
        ended=sum(outcome.ok for outcome in outcomes),
        lags=sorted(provider.lags),
        grown=after[0] - before[0],
        traced=after[1] - before[1],
    )


def measured() -> tuple[int, int]:
    """Return the bytes of this process, and those that are traced, garbage left out."""
    gc.collect()
    return resident(), tracemalloc.get_traced_memory()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    for forging in (True, False):  # what is made once counts as the flood's
        figures = anyio.run(partial(flood, seconds=options.seconds, forging=forging))
        print(
            f"{'flood' if forging else 'calm'}: {sum(figures.answers.values())} forged, answered "
            f"{figures.answers}; {figures.ended} of {SONGS} songs; late p50 "
            f"{1000 * figures.lag(0.5):.0f} ms, p95 {1000 * figures.lag(0.95):.0f} ms; "
            f"grown by {figures.grown / MIB:.1f} MiB"
        )


if __name__ == "__main__":
    main()
