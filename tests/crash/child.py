"""A batch in a process of its own, to be killed: `python -m tests.crash.child URL JOURNAL ...`.

It says "ready" before it begins, then one line of JSON for each id that it was told and for each
outcome, and "done" at the end. The flags break what the tests around it must then catch.
"""

# ruff: noqa: T201 - it is listened to

import argparse
import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from unittest.mock import patch

import anyio
import attrs

from udio_async import (
    Client,
    Event,
    JournalEntry,
    JournalError,
    JournalState,
    Song,
    UdioApiV2,
    UdioError,
)
from udio_async.journal import sqlite_file
from udio_async.journal.store import JobStore

KEY = "sandbox"
SPEED = 600.0


def provider_at(url: str) -> UdioApiV2:
    """Return a provider that looks as often as this sandbox is fast."""
    made = UdioApiV2(api_key=KEY, base_url=url)
    return attrs.evolve(made, traits=made.traits.hastened(SPEED))


def prompts(prefix: str, songs: int) -> list[str]:
    """Return what the batch of this name asks for."""
    return [f"{prefix} number {number}" for number in range(songs)]


@contextmanager
def intent_late() -> Generator[None]:
    """Keep the intent only once there is an answer: what nobody must ever do."""
    accept = JobStore.accept

    async def intend(store: JobStore, request: object, key: str, known: object) -> JournalEntry:
        return JournalEntry(
            key=key,
            provider="udioapi-v2",
            request=request.as_json(),  # type: ignore[attr-defined]  # a SongRequest
            state=JournalState.SENDING,
        )

    async def accept_late(store: JobStore, entry: JournalEntry, task_id: str) -> JournalEntry:
        await store._journal.add(entry)
        return await accept(store, entry, task_id)

    with patch.multiple(JobStore, intend=intend, accept=accept_late):
        yield


@contextmanager
def synchronous(mode: str) -> Generator[None]:
    """Sync less than is promised."""
    original = sqlite_file.SqliteFile._pragma

    def pragma(store: sqlite_file.SqliteFile, text: str, *, expect: object = None) -> None:
        if text.startswith("synchronous"):
            text, expect = f"synchronous = {mode}", None
        original(store, text, expect=expect)

    with patch.object(sqlite_file.SqliteFile, "_pragma", pragma):
        yield


def say(**words: object) -> None:
    print(json.dumps(words), flush=True)


def tell(event: Event) -> None:
    if event.kind == "submitted" and event.task is not None:
        say(accepted=event.task.id)


async def run(url: str, journal: Path, prefix: str, songs: int) -> None:
    try:
        async with (
            Client(provider_at(url), journal=journal, on_event=tell) as client,
            client.generate_many(prompts(prefix, songs)) as batch,
        ):
            async for outcome in batch:
                error = outcome.error
                say(
                    prompt=outcome.request.description,
                    ok=outcome.ok,
                    error=type(error).__name__ if error else None,
                    task_id=outcome.task_id or (error.task_id if error else None),
                )
    except JournalError as error:
        say(error=str(error))
    print("done", flush=True)


def saved_in(journal: Path) -> Path:
    """Return where a program over this journal saves its songs."""
    return journal.with_suffix(".songs")


TAKEN_UP = [
    JournalState.SENDING,
    JournalState.ACCEPTED,
    JournalState.READY,
    JournalState.IN_DOUBT,
    JournalState.NOT_SENT,
]


async def run_library(
    url: str, journal: Path, prefix: str, songs: int, *, ready_is_the_end: bool
) -> None:
    """A program that knows nothing but the library: it takes up what is paid for, then generates
    and downloads what it has not asked for yet."""
    taken_up = [s for s in TAKEN_UP if not (ready_is_the_end and s is JournalState.READY)]
    async with Client(provider_at(url), journal=journal, on_event=tell) as client:

        async def save(words: object, made: Sequence[Song]) -> None:
            await client.download(made, saved_in(journal))
            say(prompt=words, ok=True)

        async def make(words: str) -> None:
            async with at_once:
                try:
                    await save(words, await client.generate(words))
                except UdioError as error:
                    say(prompt=words, error=type(error).__name__, task_id=error.task_id)

        async with client.resume(taken_up) as batch:
            async for outcome in batch:
                if outcome.ok:
                    await save(outcome.request.description, outcome.songs)
        asked = {job.request["description"] async for job in client.jobs()}
        at_once = anyio.Semaphore(8)
        async with anyio.create_task_group() as tasks:
            for words in prompts(prefix, songs):
                if words not in asked:
                    tasks.start_soon(make, words)
    print("done", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("journal", type=Path)
    parser.add_argument("prefix")
    parser.add_argument("songs", type=int)
    parser.add_argument("--intent-late", action="store_true")
    parser.add_argument("--library", action="store_true", help="generate, then download")
    parser.add_argument("--ready-is-the-end", action="store_true")
    parser.add_argument("--synchronous", default="full", choices=["full", "normal", "off"])
    options = parser.parse_args()
    with ExitStack() as breaks:
        if options.intent_late:
            breaks.enter_context(intent_late())
        if options.synchronous != "full":
            breaks.enter_context(synchronous(options.synchronous))
        print("ready", flush=True)
        program = run
        if options.library:
            program = partial(run_library, ready_is_the_end=options.ready_is_the_end)
        anyio.run(program, options.url, options.journal, options.prefix, options.songs)


if __name__ == "__main__":
    main()
