"""All verbs of the library together: seeded schedules against a provider with a ledger.

    python -m tests.model.run --seeds 0:5000
    python -m tests.model.run --seeds 17 --show
    python -m tests.model.run --seeds 0:300 --songs 25

A schedule is a few runs of a program that ends, is closed or is killed. In each, several tasks use
one client at once, on a virtual clock, while answers are lost and callers leave. In the end it
runs once more, without any trouble. With `--songs`, one of the tasks of each run makes the same
large batch, and its requests have one outcome each. Then must hold, by the ledger:

1. Nothing was paid twice that its owner did not ask for twice.
2. Everything that was paid for and made is in its owner's hands.
3. What an error says of money is what the ledger says.
4. Nothing left after its caller or owner had taken it back, or the client was closed.
"""

import argparse
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

import anyio
import attrs

from tests.kit.clocks import virtual_backend
from tests.model.owner import Owner
from tests.model.planted import PLANTS
from tests.model.program import Program
from tests.model.world import PROVIDERS, World, in_memory

FAST = Path("/dev/shm")  # a disk in memory, where there is one


async def _schedule(seed: int, folder: Path, songs: int) -> Owner:
    random = Random(seed)  # it shall be the same each time
    name = random.choice(list(PROVIDERS))
    world = World(
        provider=PROVIDERS[name](),
        random=Random(random.random()),
        trouble=random.choice([0, 0.1, 0.3, 0.6]),
    )
    owner = Owner(world, folder, durable=random.random() < 0.6)
    async with anyio.create_task_group() as outside:
        world.tasks = outside
        await Program(random, owner, songs).run()
        outside.cancel_scope.cancel()
    owner.judge()
    return owner


def replay(seed: int, songs: int = 0) -> Owner:
    """Run one schedule, and return what its owner has found wrong."""
    backend, options = virtual_backend("trio" if seed % 2 else "asyncio")
    folder = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
    try:
        with in_memory(seed):
            return anyio.run(
                _schedule, seed, folder, songs, backend=backend, backend_options=dict(options)
            )
    finally:
        shutil.rmtree(folder)


@attrs.frozen
class Result:
    """What a schedule came to."""

    seed: int
    charged: int
    """How many songs were paid for."""
    wrong: Sequence[str]
    seen: Sequence[str]


def run(seed: int, songs: int = 0) -> Result:
    """Run one schedule."""
    logging.getLogger("udio_async").setLevel(logging.CRITICAL)
    owner = replay(seed, songs)
    return Result(seed, len(owner.world.orders), owner.wrong, owner.world.seen)


def workers() -> ProcessPoolExecutor:
    """Return a process for each core; what is the same in one is the same in another."""
    os.environ["PYTHONHASHSEED"] = "0"  # sets have the same order
    return ProcessPoolExecutor(
        mp_context=get_context("spawn"),
        initializer=gc.set_threshold,  # it took an eighth of the time
        initargs=(100_000,),
    )


def run_all(seeds: Iterable[int], songs: int = 0) -> Iterator[Result]:
    """Run schedules, on all cores."""
    with workers() as pool:
        for result in pool.map(partial(run, songs=songs), seeds, chunksize=50):
            yield attrs.evolve(result, seen=())


def find(plant: str, seeds: Iterable[int]) -> int | None:
    """Return the first schedule that finds a planted bug."""
    with PLANTS[plant]():
        return next((seed for seed in seeds if run(seed).wrong), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default="0:1000", help="one, or a range like 0:5000")
    parser.add_argument("--songs", type=int, default=0, help="in a large batch, beside other verbs")
    parser.add_argument("--show", action="store_true", help="tell what happens")
    parser.add_argument("--plant", choices=PLANTS, help="put a bug in that is to be found")
    options = parser.parse_args()
    first, _, end = options.seeds.partition(":")
    seeds = range(int(first), int(end or int(first) + 1))
    one_by_one = options.show or options.plant or len(seeds) < 100
    one = partial(run, songs=options.songs)
    began, charged, failed = time.monotonic(), 0, 0
    with PLANTS[options.plant]() if options.plant else nullcontext():
        for result in map(one, seeds) if one_by_one else run_all(seeds, options.songs):
            charged += result.charged
            failed += bool(result.wrong)
            if options.show:
                print(f"seed {result.seed}", *result.seen, sep="\n")
            if result.wrong:
                print(f"seed {result.seed}: {'; '.join(result.wrong[:3])}", flush=True)
    passed = time.monotonic() - began
    print(f"{len(seeds)} schedules, {charged} songs charged, {failed} wrong, {passed:.1f} s")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
