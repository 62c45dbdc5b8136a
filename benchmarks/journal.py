"""What does it cost to remember every song?

The same batch twice, over a loopback socket to a server in a process of its own: once with a
journal in a file, once without. Each is a process of its own with one `Client`, as it comes.
Measured are

- CPU: of the client's process with all its threads, from the first submit to the last outcome, per
  song, and the ratio of the two;
- commits: transactions that have changed something, each of which waits for the disk, per song;
- opening: the time until a client over the finished journal is open, and has listed all its songs;
- again: the time in which the same batch, run again, has returned them all without one request.

Not measured: how long a slow disk takes for a commit. It delays a submit by two of them.

    python -m benchmarks.journal [--quick] [--json]
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

import udio_async as ua
from udio_async.journal import sqlite_file

from .canned import serving
from .scale import SIGMA, TYPICAL, Goal, provider, show_goals

PROVIDER = "udioapi-v2"


@attrs.frozen(kw_only=True)
class Run:
    """One batch in one client process."""

    songs: int
    returned: int
    cpu: float
    wall: float
    commits: int
    reads: int
    """Transactions that have changed nothing."""


@attrs.frozen(kw_only=True)
class Reopening:
    """What a journal full of finished songs costs at the next start. Seconds."""

    open: float
    listed: float
    again: float
    returned: int
    size: int
    """Bytes of the file."""


@attrs.frozen(kw_only=True)
class Report:
    """The figures of both runs, and of the start after them."""

    plain: Run
    kept: Run
    reopening: Reopening
    submits: int
    """What the server of the journalled run has seen in all, the second time included."""

    @property
    def ratio(self) -> float:
        return self.kept.cpu / self.plain.cpu

    @property
    def commits_per_song(self) -> float:
        return self.kept.commits / self.kept.songs


# The client processes ------------------------------------------------------------------------


@attrs.define
class Counter:
    """Counts the transactions of a journal."""

    commits: int = 0
    reads: int = 0

    def watch(self) -> None:
        """Count from now on, in this process."""
        commit = sqlite_file.SqliteFile.commit  # counted, not changed

        def counted(store: sqlite_file.SqliteFile, orders: Sequence[Any]) -> None:
            before = store._db.total_changes  # noqa: SLF001  # counted, not changed
            commit(store, orders)
            if store._db.total_changes > before:  # noqa: SLF001  # counted, not changed
                self.commits += 1
            else:
                self.reads += 1

        setattr(sqlite_file.SqliteFile, "commit", counted)  # noqa: B010  # as above


def ideas(songs: int) -> list[str]:
    return [f"a song about the number {number}" for number in range(songs)]


async def run_batch(made: ua.Provider, songs: int, journal: str | None) -> Run:
    counter = Counter()
    counter.watch()
    async with ua.Client(made, journal=journal) as client:
        for _ in range(20):  # what is made once is not the songs' cost
            await client.credits()
        returned, cpu, start = 0, time.process_time(), time.perf_counter()
        async with client.generate_many(ideas(songs), max_active=songs) as batch:
            async for outcome in batch:
                returned += outcome.ok
    return Run(
        songs=songs,
        returned=returned,
        cpu=time.process_time() - cpu,
        wall=time.perf_counter() - start,
        commits=counter.commits,
        reads=counter.reads,
    )


async def reopen(made: ua.Provider, songs: int, journal: str) -> Reopening:
    start = time.perf_counter()
    async with ua.Client(made, journal=journal) as client:
        opened = time.perf_counter()
        assert len([job async for job in client.jobs()]) == songs
        listed = time.perf_counter()
        returned = 0
        async with client.generate_many(ideas(songs)) as batch:
            async for outcome in batch:
                returned += outcome.ok
        again = time.perf_counter()
    return Reopening(
        open=opened - start,
        listed=listed - opened,
        again=again - listed,
        returned=returned,
        size=Path(journal).stat().st_size,  # noqa: ASYNC240  # nothing else runs here
    )


# The benchmark -------------------------------------------------------------------------------


def in_process(what: str, *words: object) -> dict[str, Any]:
    """Run one of the above in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.journal", "--cell", what, *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def cell(what: str, url: str, typical: str, songs: str, journal: str = "") -> Run | Reopening:
    made = provider(PROVIDER, url, typical=float(typical))
    if what == "reopen":
        return asyncio.run(reopen(made, int(songs), journal))
    return asyncio.run(run_batch(made, int(songs), journal or None))


def measure(songs: int, *, median: float) -> Report:
    typical = median * TYPICAL
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "songs.db"
        with serving(median=median, sigma=SIGMA) as server:
            plain = Run(**in_process("run", server.url, typical, songs))
        with serving(median=median, sigma=SIGMA) as server:
            kept = Run(**in_process("run", server.url, typical, songs, path))
            reopening = Reopening(**in_process("reopen", server.url, typical, songs, path))
            submits = server.statistics().submits
    return Report(plain=plain, kept=kept, reopening=reopening, submits=submits)


def goals(found: Report) -> list[Goal]:
    songs = found.kept.songs
    at_once = found.reopening.open + found.reopening.listed
    return [
        Goal("CPU with a journal / without", found.ratio, 1.3),
        Goal("commits per song", found.commits_per_song, 8),
        Goal(f"opening with {songs:,} songs and listing them, s", at_once, 2),
        Goal("songs not returned", songs - found.kept.returned, 0),
        Goal("songs not returned again", songs - found.reopening.returned, 0),
        Goal("songs submitted twice", found.submits - songs, 0),
    ]


def show(found: Report) -> None:
    for name, run in (("without", found.plain), ("with a journal", found.kept)):
        print(
            f"{name:<15}{run.songs:>7,} songs{1000 * run.cpu / run.songs:>8.2f} ms CPU per song"
            f"{run.commits:>8,} commits{run.reads:>8,} reads{run.wall:>7.0f} s in all"
        )
    after = found.reopening
    print(
        f"then{'':<11}{after.size / 1024 / found.kept.songs:>7.1f} KiB per song"
        f"{after.open:>8.2f} s to open{after.listed:>8.2f} s to list"
        f"{after.again:>8.2f} s for the same batch again\n"
    )
    show_goals(goals(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="1,000 songs, under a minute")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cell", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(attrs.asdict(cell(*options.cell))))
        return
    found = measure(1_000, median=8.0) if options.quick else measure(10_000, median=60.0)
    if options.json:
        results = [{**attrs.asdict(goal), "met": goal.met} for goal in goals(found)]
        print(
            json.dumps(
                {
                    "benchmark": "journal",
                    "quick": options.quick,
                    **attrs.asdict(found),
                    "goals": results,
                }
            )
        )
    else:
        show(found)


if __name__ == "__main__":
    main()
