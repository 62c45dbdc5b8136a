"""Kill a batch at random moments, run it again until it is done, and compare the books.

python -m tests.crash.kill --rounds 200 --seed 1
"""

# ruff: noqa: T201 - it is a command too

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import attrs

from tests.crash.world import (
    World,
    environment,
    judge,
    judge_files,
    read_words,
    serving,
    settle,
    tail,
)
from tests.kit.forks import Fork, Forks, forking

SONGS = 40
SPAN = 0.6
"""Seconds after the start within which a child is killed."""
IMPORTS = ("udio_async", "anyio._backends._asyncio")
"""What all children need, and only one process has to read."""


@attrs.define
class Report:
    """What so many kills have done."""

    kills: int = 0
    batches: int = 0
    doubts: int = 0
    false_doubts: int = 0
    most_doubts: int = 0
    runs: int = 0
    violations: list[str] = attrs.field(factory=list)


def run_until(seconds: float, child: Fork) -> tuple[str, bool]:
    """Kill a child so long after it was ready; return its words, and if it died.

    A pipe holds all that it says.
    """
    with child:
        assert child.stdout.readline() == "ready\n"
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.stdout.read(), True
        return child.stdout.read(), False


@attrs.frozen
class Place:
    """Where batches run: at this provider, as children of this kind."""

    world: World
    forks: Forks
    folder: Path


def one_batch(
    place: Place, journal: Path, dice: random.Random, report: Report, rounds: int, *flags: str
) -> None:
    """Run one batch as often as it takes; the journal's name is the batch's."""
    world = place.world
    while True:
        enough = report.kills >= rounds or (flags and report.violations)
        moment = 60.0 if enough else dice.uniform(0.0, SPAN)
        args = [world.url, str(journal), journal.stem, str(SONGS), *flags]
        words, died = run_until(moment, place.forks.start(args, environment()))
        said = read_words(words)
        report.runs += 1
        if not died and not said.done:
            report.violations.append(f"{journal.stem}: it ended by itself")
            return
        if not died:
            if "--library" in flags:
                report.violations += judge_files(world, journal, SONGS)
            else:
                report.violations += judge(world, journal.stem, SONGS, said)
            return
        report.kills += 1
        after = anyio.run(settle, world, journal, journal.stem, SONGS, said)
        report.doubts += after.doubts
        report.false_doubts += after.false_doubts
        report.most_doubts = max(report.most_doubts, after.doubts)
        report.violations += [f"kill {report.kills}: {text}" for text in after.violations]


def kill(place: Place, *flags: str, rounds: int, seed: int, lane: int = 0) -> Report:
    """Kill so often, over as many batches as it takes."""
    dice, report = random.Random(f"{seed}/{lane}"), Report()
    while report.kills < rounds:
        journal = place.folder / f"seed-{seed}-{lane}-batch-{report.batches}.db"
        one_batch(place, journal, dice, report, rounds, *flags)
        report.batches += 1
        if flags and report.violations:  # a control has done its work
            break
    return report


def kill_in_lanes(folder: Path, *flags: str, rounds: int, seed: int, lanes: int = 2) -> Report:
    """Kill so often in all, in a few batches at once over one provider."""
    folder.mkdir(parents=True, exist_ok=True)
    each = -(-rounds // lanes)
    children = forking("tests.crash.child", *IMPORTS)
    with serving() as world, children as forks, ThreadPoolExecutor(lanes) as pool:
        place = Place(world, forks, folder)
        reports = list(
            pool.map(
                lambda lane: kill(place, *flags, rounds=each, seed=seed, lane=lane),
                range(lanes),
            )
        )
    return Report(
        kills=sum(report.kills for report in reports),
        batches=sum(report.batches for report in reports),
        doubts=sum(report.doubts for report in reports),
        false_doubts=sum(report.false_doubts for report in reports),
        most_doubts=max(report.most_doubts for report in reports),
        runs=sum(report.runs for report in reports),
        violations=[text for report in reports for text in report.violations],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--intent-late", action="store_true", help="the control: it must fail")
    parser.add_argument(
        "--library", action="store_true", help="a program that generates and downloads"
    )
    parser.add_argument("--ready-is-the-end", action="store_true", help="its control: it must fail")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = ("intent_late", "library", "ready_is_the_end")
    flags = [f"--{name.replace('_', '-')}" for name in names if getattr(options, name)]
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = kill_in_lanes(Path(folder), *flags, rounds=options.rounds, seed=options.seed)
    if options.json:
        print(json.dumps(attrs.asdict(report)))
        sys.exit(bool(report.violations))
    print(
        f"seed {options.seed}: {report.kills} kills, {report.runs} runs, {report.batches} batches, "
        f"{report.batches * SONGS} songs in {time.monotonic() - start:.0f} s\n"
        f"in doubt: {report.doubts}, at most {report.most_doubts} after one kill; "
        f"{report.false_doubts} of them had not been taken\n"
        f"lost or paid twice: {len(report.violations)}\n{tail(report.violations)}"
    )
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
