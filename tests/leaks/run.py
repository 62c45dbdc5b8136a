"""Does a client that runs for weeks grow?

    python -m tests.leaks.run --looks 200000 --songs 10000

A client in a process of its own makes songs in rounds, over real sockets, at a server in another
process. After each round, when all is at rest, the process is measured from outside: its memory,
file descriptors and threads. Only its tasks, and the blocks of memory that its objects have, it has
to count itself. What it remembers of the last 1,024 tasks is filled up before, and half the rounds
warm it up. After that may grow with each 1,000 looks, by the line of least squares:

- the memory by 10 KiB; in a short run by a little more, because pages come and go;
- the blocks, which have no such noise, by 50, so not by an object for each look.

Of the rest there may be no more than before.
"""

# ruff: noqa: T201 - it is a command

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.canned import Canned, serving

KIB, BLOCKS = 10.0, 50.0
"""By how much a client may grow with each 1,000 looks."""
NOISE = 300.0
"""KiB by which resident memory moves by itself, so that a short run cannot tell less."""
ROUND = 1_000
"""Looks in each round, about."""
INTERVAL = 0.1
"""Seconds between two looks at one song."""
WARM_UP = 0.5
"""The share of the rounds after which all that is made once has been made."""


@attrs.frozen
class Sample:
    """A client's process at rest, after a round."""

    looks: int
    songs: int
    memory: float
    """What is resident, in KiB."""
    descriptors: int
    threads: int
    tasks: int
    blocks: int
    """Of memory, given to objects of Python."""


@attrs.frozen
class Watched:
    """A client's process, seen from outside."""

    _process: "subprocess.Popen[str]"
    _server: Canned

    def make(self, songs: int) -> Sample:
        """Have it make songs, and measure it after that."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(songs, file=self._process.stdin, flush=True)
        tasks, blocks = map(int, self._process.stdout.readline().split())
        of_process = Path(f"/proc/{self._process.pid}")
        pages = int((of_process / "statm").read_text().split()[1])
        seen = self._server.statistics()
        return Sample(
            looks=seen.looks,
            songs=seen.jobs,
            memory=pages * os.sysconf("SC_PAGE_SIZE") / 1024,
            descriptors=_count(of_process / "fd"),
            threads=_count(of_process / "task"),
            tasks=tasks,
            blocks=blocks,
        )


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


@contextmanager
def watching(*, song_time: float, leak: bool, backend: str) -> Iterator[Watched]:
    """Run a client and its server."""
    with serving(median=song_time) as server:
        words = [server.url, str(INTERVAL), "--backend", backend, *(["--leak"] if leak else [])]
        with subprocess.Popen(
            [sys.executable, "-m", "tests.leaks.child", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:  # leaving it closes the standard input, which ends the client
            yield Watched(process, server)


def measure(
    looks: int, songs: int, *, leak: bool = False, backend: str = "asyncio"
) -> Iterator[Sample]:
    """Yield a sample after each round, until there were so many looks."""
    in_each_round = max(1, songs * ROUND // looks)
    song_time = INTERVAL * looks / songs
    with watching(song_time=song_time, leak=leak, backend=backend) as client:
        seen = 0
        while seen < looks:
            sample = client.make(in_each_round)
            seen = sample.looks
            yield sample


def warm(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the samples of the warm-up, and those after it."""
    first = round(WARM_UP * len(samples))
    return samples[:first], samples[first:]


def slope(name: str, samples: Sequence[Sample]) -> float:
    """Return by how much a figure grows with each 1,000 looks, by least squares."""
    mean = sum(sample.looks for sample in samples) / len(samples)
    spread = sum((sample.looks - mean) ** 2 for sample in samples)
    grown = sum((sample.looks - mean) * getattr(sample, name) for sample in samples)
    return 1_000 * float(grown) / spread


def limits(samples: Sequence[Sample]) -> Mapping[str, float]:
    """Return by how much figures may grow with each 1,000 looks."""
    thousands = (samples[-1].looks - samples[0].looks) / 1_000
    return {"memory": max(KIB, NOISE / thousands), "blocks": BLOCKS}


def leaks(samples: Sequence[Sample]) -> list[str]:
    """Say what has grown too much."""
    before, after = warm(samples)
    found = []
    for name, at_most in limits(after).items():
        if slope(name, after) > at_most:
            found.append(f"{name}: it grows")
    for name in ("descriptors", "threads", "tasks"):
        most, later = (max(getattr(each, name) for each in part) for part in (before, after))
        if later > most:
            found.append(f"{name}: {later}, at most {most} in the warm-up")
    return found


def show(samples: Iterator[Sample], looks: int) -> Sequence[Sample]:
    """Print some twenty lines of a table, as they come; return all."""
    print("".join(f"{field.name:>13}" for field in attrs.fields(Sample)))
    seen, shown_at = [], 0.0
    for sample in samples:
        seen.append(sample)
        if sample.looks >= shown_at:
            print("".join(f"{value:>13,.0f}" for value in attrs.astuple(sample)), flush=True)
            shown_at = sample.looks + looks / 20
    after = warm(seen)[1]
    for name, at_most in limits(after).items():
        print(f"{name}: {slope(name, after):+.1f} with each 1,000 looks, at most {at_most:.0f}")
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--looks", type=int, default=200_000)
    parser.add_argument("--songs", type=int, default=10_000)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--leak", action="store_true", help="a client that leaks on purpose")
    options = parser.parse_args()
    samples = measure(options.looks, options.songs, leak=options.leak, backend=options.backend)
    found = leaks(show(samples, options.looks))
    for each in found:
        print(f"LEAK {each}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
