"""Flip bytes of a journal and use it: only `JournalError` may come out, and nothing may hang.

python -m tests.journal.damage --cases 2000 --seed 1
"""

# ruff: noqa: T201 - it is a command too

import argparse
import random
import shutil
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import anyio
import attrs

from udio_async import JournalError, JournalState, SqliteJournal
from udio_async.testing import ACCOUNT, listed, make_entry


@attrs.define
class Report:
    """What so many damaged files have led to."""

    cases: int = 0
    refused: int = 0
    """Not opened."""
    broke_later: int = 0
    """Opened, and a call has raised `JournalError`."""
    changed: int = 0
    """Nothing was noticed, and an entry reads differently."""
    unharmed: int = 0
    violations: list[str] = attrs.field(factory=list)


async def make(path: Path) -> None:
    """Write a journal, and copies of it and of its log as a dead process leaves them."""
    journal = SqliteJournal(path, threaded=False)
    async with journal.open(ACCOUNT):
        for number, state in enumerate(list(JournalState) * 5):
            key = f"{number:03}"
            await journal.add(make_entry(key))
            await journal.put(
                make_entry(key, state, task_id=f"task-{number}"), expected=JournalState.SENDING
            )
        await journal.note("credits at first", "10.0")
        shutil.copy(path, path.with_suffix(".open"))
        shutil.copy(f"{path}-wal", path.with_suffix(".log"))


def flip(path: Path, dice: random.Random) -> None:
    """Change a few bytes, the first hundred of the file more often than others."""
    content = bytearray(path.read_bytes())
    for _ in range(dice.choice([1, 2, 8, 100])):
        end = 100 if dice.random() < 0.2 else len(content)
        place = dice.randrange(min(end, len(content)))
        content[place] = dice.choice([0, 255, content[place] ^ (1 << dice.randrange(8))])
    if dice.random() < 0.1:
        del content[dice.randrange(len(content)) :]
    path.write_bytes(content)


async def use(path: Path, report: Report, sound: list[object]) -> None:
    """Do with a damaged journal what a client does with it."""
    journal = SqliteJournal(path, threaded=report.cases % 10 == 0)
    opened = False
    try:
        with anyio.fail_after(10):
            async with journal.open(ACCOUNT):
                opened = True
                found: list[object] = [await journal.noted("credits at first")]
                found += await listed(journal, list(JournalState))
                await journal.get("000")
                await journal.add(make_entry("new"))
                changed = make_entry("new", JournalState.ACCEPTED, task_id="task")
                await journal.put(changed, expected=JournalState.SENDING)
                await journal.note("credits at first", "20.0")
        report.unharmed += found == sound
        report.changed += found != sound
    except JournalError:
        report.broke_later += opened
        report.refused += not opened


async def contents(path: Path) -> list[object]:
    """Return all that a sound journal tells."""
    journal = SqliteJournal(path, threaded=False)
    async with journal.open(ACCOUNT):
        found: list[object] = [await journal.noted("credits at first")]
        return found + await listed(journal, list(JournalState))


async def damage(folder: Path, *, cases: int, seed: int) -> Report:
    """Damage so many journals, with and without a log beside them."""
    report, path = Report(), folder / "sound.db"
    await make(path)
    sound = await contents(path)
    for case in range(cases):
        dice = random.Random(f"{seed}/{case}")
        target = folder / f"{case}.db"
        log = folder / f"{case}.db-wal"
        if dice.random() < 0.3:
            shutil.copy(path.with_suffix(".open"), target)
            shutil.copy(path.with_suffix(".log"), log)
            flip(dice.choice([target, log]), dice)
        else:
            shutil.copy(path, target)
            flip(target, dice)
        try:
            await use(target, report, sound)
        except Exception as error:  # noqa: BLE001  # whatever else comes out is what we look for
            report.violations.append(f"seed {seed}, case {case}: {error!r}")
        report.cases += 1
        target.unlink()
        log.unlink(missing_ok=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = partial(damage, Path(folder), cases=options.cases, seed=options.seed)
        report = anyio.run(run)
    print(f"{report} in {time.monotonic() - start:.0f} s")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
