"""The process that is watched: one client that makes songs, as many as each line of its input says.

    python -m tests.leaks.child URL INTERVAL [--leak]

Each line is answered with the numbers of its tasks and of blocks of memory that Python has given
to its objects, when all is at rest again.
"""

# ruff: noqa: T201 - it is listened to

import argparse
import gc
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import attrs
from anyio.abc import TaskGroup

from udio_async import Client, PollPolicy, Task, UdioApiV2
from udio_async._http import Http, messages
from udio_async.providers.udioapi_v2 import FEED


@attrs.define(eq=False)
class Hoard:
    """Keeps what each look has brought, and begins something that never ends."""

    tasks: TaskGroup
    kept: list[object] = attrs.field(factory=list)
    ended: threading.Event = attrs.field(factory=threading.Event)

    def keep(self, answer: Sequence[Task]) -> None:
        self.kept.append(answer)

    def grow(self) -> None:
        self.kept.append(Path(__file__).open())  # noqa: SIM115  # it is not to be closed
        threading.Thread(target=self.ended.wait, daemon=True).start()
        self.tasks.start_soon(anyio.sleep_forever)


class HoardingProvider(UdioApiV2):
    """Lets each answer be hoarded."""

    hoard: Hoard

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        answer = await super().fetch(http, task_ids)
        self.hoard.keep(answer)
        return answer


def fill_what_is_bounded(url: str) -> None:
    """Have the client remember the addresses of 1,024 tasks, which is as many as it does."""
    for number in range(1_100):
        messages._url(f"{url}{FEED}?workId=gen2{number:012}warm")  # as long as the server's


async def make_songs(client: Client, songs: int) -> None:
    requests = (f"a song about the number {number}" for number in range(songs))
    async with client.generate_many(requests, max_active=songs) as batch:
        async for outcome in batch:
            if outcome.error is not None:
                raise outcome.error


async def run(url: str, interval: float, leak: bool) -> None:
    poll = PollPolicy(interval=interval, min_interval=interval)
    kind = HoardingProvider if leak else UdioApiV2
    async with (
        anyio.create_task_group() as tasks,
        Client(kind(api_key="key", base_url=url), poll=poll) as client,
    ):
        HoardingProvider.hoard = Hoard(tasks)
        fill_what_is_bounded(url)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            await make_songs(client, int(line))
            if leak:
                HoardingProvider.hoard.grow()
            await anyio.wait_all_tasks_blocked()  # some still note down what was handed out
            gc.collect()
            print(len(anyio.get_running_tasks()), sys.getallocatedblocks(), flush=True)
        tasks.cancel_scope.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("interval", type=float, help="seconds between two looks at a song")
    parser.add_argument("--leak", action="store_true", help="leak on purpose")
    parser.add_argument("--backend", default="asyncio")
    options = parser.parse_args()
    anyio.run(run, options.url, options.interval, options.leak, backend=options.backend)


if __name__ == "__main__":
    main()
