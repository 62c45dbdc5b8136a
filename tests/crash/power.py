"""Cut the power at every moment of a recorded run, and open what may be on the disk then.

What was synced is there. Of what was written since, each piece may be there, missing, or torn at a
sector, in any order; a name that was not synced with its folder may be missing, or still there.

    python -m tests.crash.power --states 10000 --seed 1
"""

# ruff: noqa: T201 - it is a command too

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import anyio
import attrs

from tests.crash.child import provider_at
from tests.crash.trace import Step, read_steps, record
from tests.crash.world import child_command, serving, tail
from udio_async import JournalEntry, JournalError, JournalState, SqliteJournal
from udio_async.testing import listed

SECTOR = 512


@attrs.define
class DiskFile:
    """One file: what is surely on the disk, and what was written since."""

    durable: bytes = b""
    loose: list[Step] = attrs.field(factory=list)
    name_durable: bool = False

    def after_a_cut(self, dice: random.Random) -> bytes:
        """Return what may be there, once the power is back."""
        loose = list(self.loose)
        mode = dice.randrange(4)
        if mode == 0:  # nothing of it
            loose = []
        elif mode == 1:  # the first so many
            loose = loose[: dice.randint(0, len(loose))]
        elif mode == 2:  # any of it, in any order
            loose = [step for step in loose if dice.random() < 0.5]
            dice.shuffle(loose)
        else:  # any sectors of it
            loose = [torn for step in loose for torn in _tear(step, dice)]
        content = self.durable
        for step in loose:
            content = _apply(content, step)
        return content


def _tear(step: Step, dice: random.Random) -> list[Step]:
    """Return those of a write's sectors that made it."""
    if step.kind == "truncate":
        return [step] if dice.random() < 0.5 else []
    first = step.offset - step.offset % SECTOR
    edges = [*range(first, step.offset + len(step.data), SECTOR), step.offset + len(step.data)]
    pieces = []
    for start, end in pairwise(edges):
        if dice.random() < 0.5:
            begin = max(start, step.offset)
            data = step.data[begin - step.offset : end - step.offset]
            pieces.append(Step("write", step.path, begin, data))
    return pieces


def _apply(content: bytes, step: Step) -> bytes:
    if step.kind == "truncate":
        return content[: step.offset].ljust(step.offset, b"\0")
    filled = content.ljust(step.offset, b"\0")
    return filled[: step.offset] + step.data + filled[step.offset + len(step.data) :]


@attrs.define
class Disk:
    """A folder as the steps so far have left it."""

    folder: str
    files: dict[str, DiskFile] = attrs.field(factory=dict)
    unlinked: dict[str, DiskFile] = attrs.field(factory=dict)
    """Gone, but their names may come back."""
    posts: list[str] = attrs.field(factory=list)
    """Prompts that have left."""
    told: list[str] = attrs.field(factory=list)
    """Ids that the caller was told."""

    def take(self, step: Step) -> None:
        if step.kind == "post":
            self._take_post(step.data)
        elif step.kind == "told":
            for line in step.data.splitlines():
                if line.startswith(b'{"accepted"'):
                    self.told.append(json.loads(line)["accepted"])
        elif step.kind == "unlink":
            self.unlinked[step.path] = self.files.pop(step.path)
        elif step.kind == "open":
            if step.path not in self.files:
                self.files[step.path] = DiskFile()
        elif step.kind == "sync":
            self._sync(step.path)
        else:
            self.files[step.path].loose.append(step)

    def _take_post(self, data: bytes) -> None:
        """A body comes alone or behind its head; it is small, so it is never split."""
        start = data.find(b'{"')
        if start >= 0 and b'"gpt_description_prompt"' in data:
            self.posts.append(json.loads(data[start:])["gpt_description_prompt"])

    def _sync(self, path: str) -> None:
        if path == self.folder:
            self.unlinked.clear()
            for file in self.files.values():
                file.name_durable = True
            return
        file = self.files[path]
        for step in file.loose:
            file.durable = _apply(file.durable, step)
        file.loose = []

    def cut(self, into: Path, dice: random.Random) -> None:
        """Write what may be left into a folder."""
        for path, file in self.files.items():
            if file.name_durable or dice.random() < 0.5:
                (into / Path(path).name).write_bytes(file.after_a_cut(dice))
        for path, file in self.unlinked.items():
            if path not in self.files and dice.random() < 0.5:
                (into / Path(path).name).write_bytes(file.after_a_cut(dice))


@attrs.define
class Report:
    """What so many power cuts have done."""

    states: int = 0
    moments: int = 0
    posts: int = 0
    forgotten: int = 0
    """States in which a request had left and its intent was gone."""
    ids_lost: int = 0
    """States in which an id that the caller was told was gone."""
    corrupt: int = 0
    """States that could not be opened."""
    first: list[str] = attrs.field(factory=list)

    @property
    def bad(self) -> int:
        return self.forgotten + self.ids_lost + self.corrupt


def account(url: str) -> str:
    made = provider_at(url)
    return f"{made.name} {made.account().key.fingerprint()}"


async def entries(path: Path, owner: str) -> Sequence[JournalEntry]:
    journal = SqliteJournal(path, threaded=False)
    async with journal.open(owner):
        return await listed(journal, list(JournalState))


def check(disk: Disk, found: Sequence[JournalEntry]) -> tuple[set[str], set[str]]:
    """Return what had left without a durable intent, and the ids that are gone."""
    intents = {entry.request["description"] for entry in found}
    return set(disk.posts) - intents, set(disk.told) - {entry.task_id for entry in found}


def replay(steps: Sequence[Step], folder: Path, *, states: int, seed: int, owner: str) -> Report:
    """Cut the power so often, spread evenly over all moments between two steps."""
    report = Report(moments=len(steps) + 1)
    disk, scratch = Disk(str(folder)), folder / "cut"
    for moment in range(len(steps) + 1):
        here = (moment + 1) * states // report.moments - moment * states // report.moments
        for number in range(here):
            scratch.mkdir()
            disk.cut(scratch, random.Random(f"{seed}/{moment}/{number}"))
            try:
                found = anyio.run(entries, scratch / "journal.db", owner)
                forgotten, lost = check(disk, found)
                complaint = f"forgotten: {forgotten}, ids lost: {lost}" if forgotten | lost else ""
                report.forgotten += bool(forgotten)
                report.ids_lost += bool(lost)
            except JournalError as error:
                complaint = str(error)
                report.corrupt += 1
            if complaint:
                report.first.append(f"seed {seed}, moment {moment}, state {number}: {complaint}")
            report.states += 1
            shutil.rmtree(scratch)
        if moment < len(steps):
            disk.take(steps[moment])
    report.posts = len(disk.posts)
    return report


def cut_power(
    folder: Path, *, songs: int, states: int, seed: int, synchronous: str = "full"
) -> Report:
    """Record a run of two batches on one journal, then cut the power in the middle of it."""
    steps: list[Step] = []
    with serving() as world:
        for prefix, more in (("first", songs // 2), ("second", songs - songs // 2)):
            command = child_command(world.url, folder / "journal.db", prefix, more)
            record([*command, "--synchronous", synchronous], folder.parent / "calls")
            steps += read_steps(folder.parent / "calls", folder)
    for leftover in folder.iterdir():
        leftover.unlink()
    report = replay(steps, folder, states=states, seed=seed, owner=account(world.url))
    assert report.posts == songs, f"{report.posts} of {songs} submits were recorded"
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--synchronous", default="full", help="normal and off must fail")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "journal"
        folder.mkdir()
        report = cut_power(
            folder,
            songs=options.songs,
            states=options.states,
            seed=options.seed,
            synchronous=options.synchronous,
        )
    if options.json:
        print(json.dumps(attrs.asdict(report)))
        sys.exit(bool(report.bad))
    print(
        f"synchronous={options.synchronous}, seed {options.seed}: {report.states} states at "
        f"{report.moments} moments of {report.posts} songs in {time.monotonic() - start:.0f} s\n"
        f"a request had left, its intent is gone: {report.forgotten}\n"
        f"an id was told, and is gone: {report.ids_lost}\n"
        f"damaged: {report.corrupt}\n{tail(report.first)}"
    )
    sys.exit(bool(report.bad))


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}: {error.stderr.decode()}")
