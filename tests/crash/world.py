"""The sandbox in a process of its own, and the law that must hold after every crash."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.crash.child import prompts, provider_at, saved_in
from udio_async import Client, JournalEntry, JournalState, SqliteJournal

ROOT = Path(__file__).parents[2]
CONCURRENCY = 4
"""Submits on the wire at once, which is what one crash may put in doubt."""


def environment() -> dict[str, str]:
    """Return the environment of a child: this source tree, and no files written beside it."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def child_command(url: str, journal: Path, prefix: str, songs: int, *flags: str) -> list[str]:
    words = [url, str(journal), prefix, str(songs), *flags]
    return [sys.executable, "-m", "tests.crash.child", *words]


@attrs.frozen
class World:
    """The provider's side of the truth."""

    url: str

    def charges(self) -> dict[str, list[str]]:
        """Return the ids that were charged for each prompt."""
        found = defaultdict(list)
        with urllib.request.urlopen(f"{self.url}/_sandbox/ledger") as answer:
            for charge in json.load(answer)["charges"]:
                found[charge["prompt"]].append(charge["task_id"])
        return dict(found)

    def settled_charges(self) -> dict[str, list[str]]:
        """The same, once what a dead process had sent has arrived."""
        before, now = None, self.charges()
        while before != now:
            time.sleep(0.05)
            before, now = now, self.charges()
        return now


@contextmanager
def serving() -> Generator[World]:
    """Run the sandbox in another process."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.server"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert process.stdout is not None
            yield World(process.stdout.readline().strip())
        finally:
            process.kill()


@attrs.frozen
class Said:
    """What a child had said before it ended."""

    accepted: frozenset[str]
    errors_with_id: frozenset[str]
    errors: tuple[str, ...]
    delivered: frozenset[str]
    """Prompts whose songs it had."""
    done: bool


def read_words(text: str) -> Said:
    """Read the lines of a child; the last one may be torn."""
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    failed = [line for line in lines if line.get("error")]
    return Said(
        accepted=frozenset(line["accepted"] for line in lines if "accepted" in line),
        errors_with_id=frozenset(line["task_id"] for line in failed if line.get("task_id")),
        errors=tuple(line["error"] for line in failed),
        delivered=frozenset(line["prompt"] for line in lines if line.get("ok")),
        done=text.endswith("done\n"),
    )


@attrs.define
class Aftermath:
    """What one crash had left behind."""

    doubts: int
    false_doubts: int
    """Nothing had been taken."""
    violations: list[str]


async def settle(world: World, journal: Path, prefix: str, songs: int, said: Said) -> Aftermath:
    """Check what is known after a crash, and end the doubts by what the provider's books say."""
    charges = world.settled_charges()
    violations, false_doubts = [], 0
    async with Client(
        provider_at(world.url), journal=SqliteJournal(journal, threaded=False)
    ) as client:
        entries = [entry async for entry in client.jobs()]
        known: dict[str, list[JournalEntry]] = {}
        for entry in entries:  # each attempt that may have been paid has one
            known.setdefault(entry.request["description"], []).append(entry)
        ids = {entry.task_id for entry in entries}
        violations += [f"id {task_id} was told and is lost" for task_id in said.accepted - ids]
        for prompt in prompts(prefix, songs):
            for task_id in charges.get(prompt, []):
                remembered = any(
                    entry.task_id == task_id or entry.state is JournalState.IN_DOUBT
                    for entry in known.get(prompt, [])
                )
                if not remembered and task_id not in said.errors_with_id:
                    violations.append(f"{prompt!r} is charged as {task_id} and nobody knows")
        doubts = await client.doubts()
        for doubt in doubts:
            taken = charges.get(doubt.request["description"])
            if taken:
                await client.resolve(doubt.key, task_id=taken[0])
            else:
                false_doubts += 1
                await client.resolve(doubt.key, resubmit=True)
    if len(doubts) > CONCURRENCY:
        violations.append(f"{len(doubts)} songs in doubt after one crash")
    return Aftermath(len(doubts), false_doubts, violations)


async def finish(world: World, journal: Path, prefix: str, songs: int) -> Said:
    """Run the batch to its end in this process."""
    delivered, errors = set(), []
    async with (
        Client(provider_at(world.url), journal=journal) as client,
        client.generate_many(prompts(prefix, songs)) as batch,
    ):
        async for outcome in batch:
            if outcome.ok and len(outcome.songs) == 2:
                delivered.add(str(outcome.request.description))
            else:
                errors.append(repr(outcome.error))
    return Said(frozenset(), frozenset(), tuple(errors), frozenset(delivered), done=True)


def judge(world: World, prefix: str, songs: int, said: Said) -> list[str]:
    """Return what is wrong at the end: every song delivered, and each charged exactly once."""
    charges = world.charges()
    wanted = prompts(prefix, songs)
    violations = [
        f"{prompt!r} was charged {len(charges.get(prompt, []))} times"
        for prompt in wanted
        if len(charges.get(prompt, [])) != 1
    ]
    violations += [f"{prompt!r} is lost" for prompt in wanted if prompt not in said.delivered]
    return violations


def judge_files(world: World, journal: Path, songs: int) -> list[str]:
    """Return what is wrong in the end with what a program has saved."""
    charges, folder = world.charges(), saved_in(journal)
    violations = [
        f"{prompt!r} was charged {len(charges.get(prompt, []))} times"
        for prompt in prompts(journal.stem, songs)
        if len(charges.get(prompt, [])) != 1
    ]
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    whole = [name for name in names if name.endswith(".mp3")]
    if len(whole) != 2 * songs:
        violations.append(f"{journal.stem}: {len(whole)} of {2 * songs} songs are saved")
    return violations


def tail(lines: Sequence[str], most: int = 10) -> str:
    """Return the first few of many complaints."""
    more = f"\n... and {len(lines) - most} more" if len(lines) > most else ""
    return "\n".join(lines[:most]) + more
