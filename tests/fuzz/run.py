"""Change what was recorded, read it, and see whether every promise is kept.

    python -m tests.fuzz.run --bodies 500000 --seed 1 [--way "look at v1"] [--trio]
    python -m tests.fuzz.run --way "look at v1" --seed 1 --case 17

The second one reads one case again, and tells what is wrong with it. The exit code is 1 if a
promise was not kept.
"""

# ruff: noqa: T201 - it is a command

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from functools import partial

import anyio

from .applications import of_applications
from .cases import Case, Subject
from .files import of_files
from .journals import of_journals
from .parsers import at_parsers
from .reports import tried
from .sockets import over_sockets


async def try_all(subjects: Sequence[Subject], options: argparse.Namespace) -> int:
    """Read all bodies, and print what came of them."""
    total = sum(subject.share for subject in subjects)
    start, broken, cases = time.monotonic(), 0, 0
    for subject in subjects:
        wanted = max(1, options.bodies * subject.share // total)
        report = await tried(subject, wanted, seed=options.seed, timed=True)
        print(report, flush=True)
        broken, cases = broken + report.broken, cases + report.cases
    took = time.monotonic() - start
    print(f"{cases} bodies, seed {options.seed}, {took:.0f} s: {broken} broken promises")
    return int(broken > 0)


async def try_one(subject: Subject, options: argparse.Namespace) -> int:
    """Read one case, and print what is wrong with it."""
    case = Case.make(subject, options.seed, options.case)
    trial = await case.tried()
    print(f"{trial.outcome}, {trial.ms:.1f} ms" if trial.flaw is None else await case.report())
    return int(trial.flaw is not None)


async def command(options: argparse.Namespace, every: Sequence[Subject]) -> int:
    async with over_sockets() as sockets:
        subjects = [one for one in (*every, *sockets) if options.way in (None, one.name)]
        if options.case is None:
            return await try_all(subjects, options)
        [subject] = subjects
        return await try_one(subject, options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bodies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--way", help="the name of one subject")
    parser.add_argument("--case", type=int, help="the number of one case of this way")
    parser.add_argument("--trio", action="store_true")
    options = parser.parse_args()
    logging.getLogger("udio_async").disabled = True
    every = [*at_parsers(), *of_files(), *of_applications(), *of_journals()]
    backend = "trio" if options.trio else "asyncio"
    sys.exit(anyio.run(partial(command, options, every), backend=backend))


if __name__ == "__main__":
    main()
