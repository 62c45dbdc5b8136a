"""Changes the code a little, many times, and counts how often the tests notice.

    nice -n 15 python -m tests.mutation.run                       a sample of all targets
    nice -n 15 python -m tests.mutation.run --target ledger       of one
    nice -n 15 python -m tests.mutation.run --only NAME           those with this in their names

It is a runner of our own, because the usual ones do not fit: mutmut leaves out decorated functions
(properties, context managers, caches), which much of this package is, and cosmic-ray starts pytest
anew for each mutant, which takes longer than the tests. Here one session of pytest collects the
tests, and forks for each mutant: the child changes the code of one function in memory, and runs the
tests that meet this function, the quickest first, until one fails.

Tables (the rules, the moves of a job) are not mutated: the documentation is printed from them, and
tests compare the two.

It ends with 0 if at least 90 % were killed, and each of the others has its reason in
`survivors.toml`.
"""

import json
import os
import random
import resource
import select
import signal
import sys
import threading
import time
import tomllib
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import NoReturn

import attrs
import pytest
from _pytest.runner import runtestprotocol  # the only way to run one test in a fork

from tests.mutation.mutants import Mutant, live_function, mutants_of
from tests.mutation.targets import SLOW, TARGETS, Target

KILLED, NO_END, LIVED, UNMET = "killed", "killed (no end)", "LIVED", "LIVED (no test meets it)"
BROKEN = "BROKEN (it could not be tried)"
ENOUGH = 0.9
CPU = 8.0
"""Seconds of tests for one mutant, by what they take without it."""
NO_MORE = 12
"""Seconds of CPU after which a mutant has no end."""
PATIENCE = 60.0
"""Seconds, by the clock on the wall, after which it has none either."""
OPTIONS = (
    *("-qq", "--no-header", "--no-summary", "--tb=native", "--timeout=90", "-k", "not trio"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
REASONS = Path(__file__).with_name("survivors.toml")


@attrs.frozen
class Run:
    """What one test took, and which functions it met."""

    seconds: float
    met: frozenset[str]


@attrs.define
class Mutator:
    """A plugin that runs, in a fork for each mutant, the tests that meet it."""

    mutants: Sequence[tuple[Target, Mutant]]
    seconds: float
    tell: Callable[[str], None]
    results: dict[str, str] = attrs.field(factory=dict)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop over the tests."""
        if session.testsfailed:
            raise session.Interrupted("some of the tests cannot be imported")
        until = time.monotonic() + self.seconds
        items = [item for item in session.items if item.name.partition("[")[0] not in SLOW]
        runs = look_at(items, {(mutant.module, mutant.function) for _, mutant in self.mutants})
        self.tell(f"{len(runs)} of {len(items)} tests pass without a mutant")
        for target, mutant in self.mutants:
            if time.monotonic() > until:
                self.tell("the time is up")
                break
            chosen = _meeting(mutant, target, items, runs)
            result = in_fork(partial(_try, mutant, chosen)) if chosen else UNMET
            self.results[mutant.name] = result
            self.tell(f"{result}: {mutant.name}")
        return True


def _meeting(
    mutant: Mutant, target: Target, items: Sequence[pytest.Item], runs: dict[str, Run]
) -> list[pytest.Item]:
    """Return the tests of a target that meet a mutant, the quickest first."""
    there = [item for item in items if item.nodeid.partition("::")[0] in target.tests]
    meeting = [
        item
        for item in there
        if item.nodeid in runs and f"{mutant.module}:{mutant.function}" in runs[item.nodeid].met
    ]
    chosen, left = [], CPU
    for item in sorted(meeting, key=lambda item: runs[item.nodeid].seconds):
        left -= runs[item.nodeid].seconds
        if left < 0:
            break
        chosen.append(item)
    return chosen


def _try(mutant: Mutant, items: Sequence[pytest.Item]) -> str:
    """Put the mutant in, and run the tests until one fails."""
    mutant.put_in()
    killed = any(not _passes(item) for item in items)
    return KILLED if killed else LIVED


def _passes(item: pytest.Item) -> bool:
    return not any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def look_at(items: Sequence[pytest.Item], mutated: set[tuple[str, str]]) -> dict[str, Run]:
    """Run the tests once as they are, in a fork; those that fail are left out."""
    codes = {live_function(*where).__code__: ":".join(where) for where in mutated}
    text = in_fork(partial(_watched, items, codes), endless=True)
    return {test: Run(seconds, frozenset(met)) for test, (seconds, met) in json.loads(text).items()}


def _watched(items: Sequence[pytest.Item], codes: Mapping[CodeType, str]) -> str:
    """Run the tests, and note which of these functions they call; as JSON."""
    met = set[str]()

    def trace(frame: FrameType, _event: str, _arg: object) -> None:
        if (name := codes.get(frame.f_code)) is not None:
            met.add(name)

    runs: dict[str, tuple[float, list[str]]] = {}
    threading.settrace(trace)
    for item in items:
        met.clear()
        began = time.process_time()
        sys.settrace(trace)
        passed = _passes(item)
        sys.settrace(None)
        if passed:
            runs[item.nodeid] = time.process_time() - began, sorted(met)
    return json.dumps(runs)


def in_fork(work: Callable[[], str], *, endless: bool = False) -> str:
    """Return what some work returns in a child; `NO_END` if the child had to be ended.

    `BROKEN` if the work has failed: that says nothing about the tests.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _work(work, writer, endless=endless)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        if not endless and not select.select([pipe], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)  # it waits for what never comes
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    return said or (NO_END if os.WIFSIGNALED(status) else BROKEN)


def _work(work: Callable[[], str], writer: int, *, endless: bool) -> NoReturn:
    """Do the work of a child, and leave without a word to pytest."""
    if not endless:
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (NO_MORE, NO_MORE))
    try:
        text = work()
        with os.fdopen(writer, "w") as pipe:
            pipe.write(text)
    except BaseException:  # noqa: BLE001  # nothing of a child goes back to pytest
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def sample(size: int, seed: int, target_name: str | None, only: str) -> list[tuple[Target, Mutant]]:
    """Return some mutants of each target, the same ones for the same seed."""
    chosen: list[tuple[Target, Mutant]] = []
    for name, target in TARGETS.items():
        if target_name not in (None, name):
            continue
        mutants: list[Mutant] = []
        for module in target.modules:
            path, _, function = module.partition(":")
            mutants += mutants_of(f"udio_async.{path}", (function,) if function else ())
        mutants = [mutant for mutant in mutants if only in mutant.name]
        share = len(mutants) if only else int(size * (1 if target_name else target.share))
        dice = random.Random(f"{seed} {name}")
        chosen += [(target, mutant) for mutant in dice.sample(mutants, min(share, len(mutants)))]
    random.Random(seed).shuffle(chosen)  # so a run whose time is up is a sample as well
    return chosen


def reasons() -> dict[str, str]:
    """Return why each mutant that is known to live is no hole."""
    return {row["name"]: row["why"] for row in tomllib.loads(REASONS.read_text())["survivor"]}


def main(arguments: Sequence[str]) -> int:
    """Return 0 if enough were killed, and each survivor has its reason."""
    parser = ArgumentParser(prog="python -m tests.mutation.run")
    parser.add_argument("--size", type=int, default=200, help="mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--only", default="", help="all mutants with this in their names")
    parser.add_argument("--seconds", type=float, default=1500.0, help="after which to stop")
    wanted = parser.parse_args(arguments)
    out = os.fdopen(os.dup(1), "w", buffering=1)  # pytest takes the other away
    chosen = sample(wanted.size, wanted.seed, wanted.target, wanted.only)
    mutator = Mutator(chosen, wanted.seconds, lambda text: print(text, file=out))
    tests = sorted({test for target, _ in chosen for test in target.tests})
    pytest.main([*OPTIONS, *tests], plugins=[mutator])
    return summary(mutator.results, lambda text: print(text, file=out))


def summary(results: dict[str, str], tell: Callable[[str], None]) -> int:
    """Tell the figures, and what is new among the survivors."""
    known = reasons()
    lived = [name for name, result in results.items() if result not in (KILLED, NO_END)]
    unknown = [name for name in lived if name not in known]
    share = 1 - len(lived) / max(1, len(results))
    tell(f"{len(results) - len(lived)} of {len(results)} mutants were killed: {share:.1%}")
    for name in unknown:
        tell(f"without a reason: {name}")
    return int(share < ENOUGH or bool(unknown))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
