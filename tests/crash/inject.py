"""Kill a run at its n-th system call, or let that call fail, for every n.

python -m tests.crash.inject --seed 1
"""

# ruff: noqa: T201 - it is a command too

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import attrs

from tests.crash.world import (
    World,
    child_command,
    environment,
    finish,
    judge,
    read_words,
    serving,
    settle,
    tail,
)

SONGS = 5
KILLED_AT = ("write", "pwrite64", "fsync", "fdatasync", "sendto")
FAILING = ("pwrite64", "fsync", "fdatasync")
TIMEOUT = 20.0
"""Seconds after which a child that a failed call has left waiting is killed."""


@attrs.frozen
class Point:
    """One place where something happens to a run."""

    call: str
    number: int
    fault: str
    """What strace does there: "signal=SIGKILL" or "error=EIO"."""

    @property
    def name(self) -> str:
        return f"{self.call}-{self.number}-{self.fault.partition('=')[2]}"


def _strace(*more: str) -> list[str]:
    return ["strace", "-f", "-qq", "--seccomp-bpf", *more]


def all_points(world: World, folder: Path) -> list[Point]:
    """Count the calls of an undisturbed run; strace counts them for each thread."""
    log = folder / "calls"
    command = child_command(world.url, folder / "undisturbed.db", "undisturbed", SONGS)
    subprocess.run(
        [*_strace("-o", str(log), "-e", f"trace={','.join(KILLED_AT)}"), *command],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )
    counts: Counter[tuple[str, str]] = Counter()
    for line in log.read_text().splitlines():
        thread, _, call = line.partition(" ")
        name = call.strip().partition("(")[0]
        if name in KILLED_AT:
            counts[thread, name] += 1
    most: dict[str, int] = defaultdict(int)
    for (_, name), number in counts.items():
        most[name] = max(most[name], number)
    kills = [Point(c, n + 1, "signal=SIGKILL") for c in KILLED_AT for n in range(most[c])]
    return kills + [Point(c, n + 1, "error=EIO") for c in FAILING for n in range(most[c])]


def strike(world: World, folder: Path, point: Point) -> list[str]:
    """Run five songs into the fault, then to their end; return what is wrong."""
    journal = folder / f"{point.name}.db"
    inject = f"inject={point.call}:{point.fault}:when={point.number}"
    command = child_command(world.url, journal, point.name, SONGS)
    with subprocess.Popen(
        [*_strace("-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            words, complaints = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()  # strace takes its child with it
            process.communicate()
            return [f"{point.name}: it did not end"]
    said = read_words(words)
    violations = (
        [] if point.fault != "error=EIO" or said.done else [f"it died: {complaints[-2000:]}"]
    )
    after = anyio.run(settle, world, journal, point.name, SONGS, said)
    rest = anyio.run(finish, world, journal, point.name, SONGS)
    violations += after.violations + judge(world, point.name, SONGS, rest)
    return [f"{point.name}: {text}" for text in violations]


def strike_all(folder: Path, *, sample: int | None, seed: int) -> tuple[Sequence[Point], list[str]]:
    """Strike at all points, or at a sample of them, two at a time."""
    with serving() as world, ThreadPoolExecutor(2) as pool:
        points = all_points(world, folder)
        if sample is not None:
            points = random.Random(seed).sample(points, min(sample, len(points)))
        found = pool.map(lambda point: strike(world, folder, point), points)
        return points, [text for violations in found for text in violations]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="only so many points")
    parser.add_argument("--seed", type=int, default=1, help="which ones")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        points, violations = strike_all(Path(folder), sample=options.sample, seed=options.seed)
    counts = Counter(f"{point.fault} at {point.call}" for point in points)
    print(f"{len(points)} points in {time.monotonic() - start:.0f} s")
    print("\n".join(f"  {number} x {name}" for name, number in counts.items()))
    print(f"lost, paid twice or never ended: {len(violations)}\n{tail(violations)}")
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
