"""A process that forks with a client open: the child has neither its event loop nor its journal."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, os, sys
from udio_async import Client, PollPolicy, SongRequest, SqliteJournal
from tests.kit.timed import TimedProvider

path = sys.argv[1]

def refused(call, *args):
    try:
        asyncio.run(call(*args))
    except Exception as error:
        return type(error).__name__
    return "done"

def child(client, journal):
    other = Client(TimedProvider(lambda _: 0.1), journal=path)
    print(refused(client.generate, "in the child"))
    print(refused(client.credits))
    print(refused(journal.get, "rain"))
    print(refused(journal.get, "moon"))  # which the parent has looked for in vain
    print(refused(other.open))
    entry = asyncio.run(SqliteJournal(path).get("rain"))
    print(entry.state, flush=True)

async def main():
    journal = SqliteJournal(path)
    provider = TimedProvider(lambda _: 0.05, min_interval=0.01)
    async with Client(provider, journal=journal, poll=PollPolicy(interval=0.05)) as client:
        await client.generate(SongRequest(description="rain", key="rain"))
        await journal.get_many(["moon"])
        if os.fork() == 0:
            try:
                child(client, journal)
            finally:
                os._exit(0)
        os.wait()
        await client.generate(SongRequest(description="sun", key="sun"))
        print(len([entry async for entry in client.jobs()]))

asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_is_told_and_its_parent_goes_on(tmp_path: Path) -> None:
    """Each verb is refused there, nothing hangs or is sent, and the journal can still be read."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "songs.db")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.split() == [
        *("RuntimeError", "RuntimeError", "ClientClosed", "ClientClosed", "JournalError"),
        *("ready", "2"),
    ]
