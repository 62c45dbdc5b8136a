"""A program that is run again and again over one journal, until it ends without any trouble."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from tests.kit.asgi import call
from tests.model.actor import Actor
from tests.model.own import own_client
from tests.model.owner import Owner
from tests.model.world import Network, Process
from udio_async import (
    Client,
    InvalidRequest,
    Journal,
    JournalEntry,
    JournalError,
    JournalState,
    MemoryJournal,
    Outcome,
    PollPolicy,
    SqliteJournal,
)

PUBLIC = "https://songs.example.org/udio"


class MortalJournal(SqliteJournal):
    """Keeps nothing more once its process is killed."""

    def __init__(self, path: Path, process: Process) -> None:
        super().__init__(path, threaded=False)
        self._process = process

    def _check(self) -> None:
        if self._process.killed:
            raise JournalError("the process was killed")

    async def add(self, entry: JournalEntry) -> JournalEntry | None:
        self._check()
        return await super().add(entry)

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        self._check()
        await super().put(entry, expected=expected)

    async def note(self, name: str, value: str) -> None:
        self._check()
        await super().note(name, value)


@attrs.define(eq=False)
class Program:
    """A schedule: the same program run again and again, over one journal."""

    random: Random
    owner: Owner
    songs: int = 0
    """How many there are in the large batch that each run makes; none if it is 0."""

    async def run(self) -> None:
        if self.owner.durable:
            for _ in range(self.random.randint(1, 3)):
                await self._one_run(self.random.choice(["end", "close", "kill"]))
            await self._last_run()
        else:
            await self._one_run("end", settled=True)

    @asynccontextmanager
    async def _client(self, process: Process, **options: Any) -> AsyncIterator[Client]:  # noqa: ANN401
        world = self.owner.world
        journal: Journal = MemoryJournal()
        if self.owner.durable:
            journal = MortalJournal(self.owner.folder / "songs.db", process)
        poll = PollPolicy(deadline=self.random.choice([60, 400, 2000]))
        Network.world, Network.process = world, process
        own = own_client(world, process) if self.random.random() < 0.2 else None
        client = Client(world.provider, journal=journal, poll=poll, http_client=own, **options)
        if world.provider.traits.callbacks != "none":
            app = client.callbacks(PUBLIC)

            async def post(url: str, body: bytes, headers: Any) -> bool:  # noqa: ANN401
                if process.killed:
                    return False
                status = await call(app, url, body, headers=headers)
                return status < 300 and not process.killed

            world.post = post
        try:
            async with client:
                yield client
        finally:
            world.post = None

    async def _one_run(self, end: str, *, settled: bool = False) -> None:
        process, random = Process(), self.random
        resubmits = self.owner.durable and random.random() < 0.25
        options: dict[str, Any] = {
            "on_doubt": "resubmit" if resubmits else "hold",
            "submit_concurrency": random.randint(1, 4),
            "max_in_doubt": random.choice([1, 4, 100]),
        }
        self.owner.world.note(f"the program runs until {end}: {options}")
        if resubmits:
            self.owner.allow_resubmits()
        lasts = random.uniform(0, 150)
        with anyio.CancelScope() as everything:
            async with anyio.create_task_group() as tasks:
                async with self._client(process, **options) as client:
                    async with anyio.create_task_group() as timer:
                        if end == "kill":
                            timer.start_soon(_kill, process, everything, lasts)
                        done = await self._start_actors(tasks, client, process)
                        with anyio.move_on_after(1e9 if end == "end" else lasts):
                            await done.wait()
                        if end == "kill":
                            await anyio.sleep_forever()
                    if settled:
                        await self._settle(client, process)
                    process.closed_at = anyio.current_time()
                self.owner.world.note("the client is closed")

    async def _start_actors(
        self, tasks: TaskGroup, client: Client, process: Process
    ) -> anyio.Event:
        done = anyio.Event()
        actors = [
            Actor(client, self.owner, process, Random(self.random.random()))
            for _ in range(self.random.randint(1, 3))
        ]
        left = len(actors)

        async def act(actor: Actor) -> None:
            nonlocal left
            if self.songs and actor is actors[0]:
                await actor.make_all(self.songs)
            else:
                await actor.act()
            left -= 1
            if not left:
                done.set()

        for actor in actors:
            tasks.start_soon(act, actor)
        return done

    async def _last_run(self) -> None:
        process = Process()
        self._calm()
        async with self._client(process) as client:
            await self._settle(client, process)
            if self.songs:  # what no run has come to
                await Actor(client, self.owner, process, Random(0)).make_the_rest(self.songs)
                await self._settle(client, process)

    def _calm(self) -> None:
        world = self.owner.world
        world.note("no more trouble")
        world.trouble = 0
        for order in world.orders.values():
            if order.end == "stuck":
                order.end = "complete"

    async def _settle(self, client: Client, process: Process) -> None:
        """Do what an owner does in the end: settle doubts, and take what there is."""
        self._calm()
        last = Actor(client, self.owner, process, Random(0))
        for _ in range(3):
            await last.end_doubts(honestly=True)
            await self._correct(client)
            began = anyio.current_time()
            outcomes = 0
            async with client.resume() as batch:
                async for outcome in batch:
                    outcomes += 1
                    if outcome.error is None:
                        await self._take(client, outcome)
            self.owner.anywhere.append((began, anyio.current_time()))
            for wish in self.owner.wishes.values():  # of their outcomes only the songs are taken
                wish.ends.append("unknown")
            if not outcomes and not await client.doubts():
                break

    async def _take(self, client: Client, outcome: Outcome) -> None:
        """Save the songs, or keep their links: of a large batch most, which is quicker."""
        if self.songs and self.random.random() < 0.8:
            self.owner.kept.update(song.id for song in outcome.songs)
            await client.acknowledge(outcome)
        else:
            await client.download(outcome, self.owner.folder)

    async def _correct(self, client: Client) -> None:
        """Look for what was let go, or told wrongly."""
        jobs = [job async for job in client.jobs()]
        known = {job.task_id for job in jobs}
        for order in self.owner.world.orders.values():
            if order.task_id in known or order.delivered:
                continue  # what a callback has brought is known already
            for job in jobs:
                told = job.told or job.state is JournalState.ABANDONED
                if told and job.request["description"] == order.prompt:
                    with suppress(InvalidRequest):
                        await client.resolve(job.key, task_id=order.task_id)
                    jobs.remove(job)
                    break


async def _kill(process: Process, everything: anyio.CancelScope, after: float) -> None:
    await anyio.sleep(after)
    process.killed = True
    everything.cancel()
