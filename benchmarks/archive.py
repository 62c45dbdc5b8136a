"""What does a journal of a million songs cost the client that opens it?

A journal is filled with finished jobs, a thousandth of which their owner does not have yet. Then
two processes open a client each, over that journal and over an empty one, and list what is left
to hand out. Measured are

- opening: seconds until the client is open;
- listing: seconds until what is left has been listed;
- memory: what the process has grown by, beyond that over the empty one.

Not measured: a disk that has not read the file before; the system may still have it in memory.

    python -m benchmarks.archive [--rows 1000000] [--json]
"""

import argparse
import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs

import udio_async as ua
from udio_async.testing import make_entry

from .scale import Goal, resident, show_goals

PROVIDER = ua.UdioApiV2(api_key="key", base_url="http://127.0.0.1:9")
"""Nothing is sent to it."""


@attrs.frozen(kw_only=True)
class Opening:
    """What one process measured."""

    opened: float
    listed: float
    left: int
    """Jobs that are listed."""
    grown: int
    """Bytes."""


async def fill(path: Path, rows: int) -> None:
    """Make a journal of so many jobs: one by the library, and copies of it."""
    async with ua.Client(PROVIDER, journal=path):
        pass
    entry = make_entry("job", ua.JournalState.READY, task_id="task")
    journal = ua.SqliteJournal(path)
    async with ua.Client(PROVIDER, journal=journal):
        await journal.add(entry)
    await asyncio.to_thread(_copy, path, rows)


def _copy(path: Path, rows: int) -> None:
    database = sqlite3.connect(path)
    [text] = database.execute("select entry from jobs").fetchone()
    database.execute("delete from jobs")
    database.executemany(
        "insert into jobs (key, state, task_id, entry) values (?, ?, ?, ?)",
        (_row(json.loads(text), number) for number in range(rows)),
    )
    database.commit()
    database.close()


def _row(entry: dict[str, object], number: int) -> tuple[str, str, str, str]:
    state = "ready" if number % 1_000 == 0 else "delivered"
    key, task_id = f"job {number}", f"task {number}"
    entry |= {"key": key, "task_id": task_id, "state": state}
    return key, state, task_id, json.dumps(entry)


async def open_and_list(path: str) -> Opening:
    async with ua.Client(PROVIDER) as client:  # what is loaded once is not the journal's cost
        assert not [job async for job in client.jobs()]
    before, start = resident(), time.perf_counter()
    async with ua.Client(PROVIDER, journal=path) as client:
        opened = time.perf_counter()
        left = len([job.key async for job in client.jobs([ua.JournalState.READY])])
        listed = time.perf_counter()
    return Opening(
        opened=opened - start, listed=listed - opened, left=left, grown=resident() - before
    )


def in_process(path: Path) -> Opening:
    command = [sys.executable, "-m", "benchmarks.archive", "--cell", str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Opening(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(attrs.asdict(asyncio.run(open_and_list(options.cell)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        full, empty = Path(folder) / "full.db", Path(folder) / "empty.db"
        asyncio.run(fill(full, options.rows))
        size = full.stat().st_size
        found, without = in_process(full), in_process(empty)
    grown = (found.grown - without.grown) / 2**20
    goals = [
        Goal("opening, s", found.opened, 2),
        Goal("MiB above an empty journal", grown, 64),
        Goal("jobs not listed", -(-options.rows // 1_000) - found.left, 0),
    ]
    if options.json:
        print(json.dumps({"benchmark": "archive", "size": size, **attrs.asdict(found)}))
        return
    print(
        f"{options.rows:,} jobs, {size / 2**20:,.0f} MiB: {found.opened:.2f} s to open, "
        f"{found.listed:.2f} s to list {found.left:,} that are left, {grown:+.1f} MiB\n"
    )
    show_goals(goals)


if __name__ == "__main__":
    main()
