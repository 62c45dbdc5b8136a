"""All verbs of the library together: seeded schedules against a provider with a ledger.

    python -m tests.model.run --seeds 0:5000
    python -m tests.model.run --seeds 17 --show

A schedule is a few runs of a program that ends, is closed or is killed. In each, several tasks use
one client at once, on a virtual clock, while answers are lost and callers leave. In the end it
runs once more, without any trouble. Then must hold, by the ledger:

1. Nothing was paid twice that its owner did not ask for twice.
2. Everything that was paid for and made is in its owner's hands.
3. What an error says of money is what the ledger says.
4. Nothing left after its caller had taken it back, or the client was closed.
"""

import argparse
import gc
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from tests.kit.asgi import call
from tests.kit.clocks import virtual_backend
from tests.model.planted import PLANTS
from tests.model.world import PROVIDERS, Network, Process, World, in_memory
from udio_async import (
    Client,
    ClientClosed,
    DownloadFailed,
    InvalidRequest,
    Job,
    Journal,
    JournalEntry,
    JournalError,
    JournalState,
    MemoryJournal,
    Outcome,
    PollPolicy,
    Song,
    SongRequest,
    SqliteJournal,
    Stage,
    UdioError,
)
from udio_async._download.names import file_name

FAST = Path("/dev/shm")  # a disk in memory, where there is one
PUBLIC = "https://songs.example.org/udio"


# The program's owner -------------------------------------------------------------------------


@attrs.define(eq=False)
class Wish:
    """A song that somebody wants."""

    prompt: str
    key: str | None
    batch: bool = False
    """Whether it is only asked for in batches, which name it by its words."""
    allowed: int = 1
    """How often it may be charged."""
    ends: list[str] = attrs.field(factory=list)
    """How each call for it ended: what its error says of money, "songs", or "unknown"."""
    calls: int = 0
    spans: list[tuple[float, float]] = attrs.field(factory=list)
    """When it may have left: while somebody asked for it."""
    had: set[str] = attrs.field(factory=set)
    """The ids of the songs that somebody was given."""

    @property
    def request(self) -> SongRequest:
        return SongRequest(description=self.prompt, key=self.key)


@attrs.define(eq=False)
class Owner:
    """What the owner of a program wants, has, and finds wrong."""

    world: World
    folder: Path
    durable: bool
    wishes: dict[str, Wish] = attrs.field(factory=dict)
    anywhere: list[tuple[float, float]] = attrs.field(factory=list)
    """When anything that is kept may have left: while somebody resumed."""
    wrong: list[str] = attrs.field(factory=list)

    def new(self, random: Random) -> Wish:
        prompt = f"wish {len(self.wishes)}"
        kind = random.choice(["keyed", "keyed", "fresh", "batch"])
        wish = Wish(prompt, f"key {len(self.wishes)}" if kind == "keyed" else None, kind == "batch")
        self.wishes[prompt] = wish
        return wish

    def wrongly(self, text: str) -> None:
        self.wrong.append(text)
        self.world.note(f"WRONG: {text}")

    def check(self, wish: Wish, error: UdioError) -> None:
        """Compare what an error says of money with the ledger."""
        wish.ends.append(error.charged)
        self.world.note(f"{wish.prompt}: {type(error).__name__}, charged {error.charged}: {error}")
        charges = len(self.world.charges(wish.prompt))
        if error.charged == "no" and wish.calls == 1 and charges:
            self.wrongly(f"{wish.prompt} is charged, and {error!r} says no")
        if error.charged == "yes" and not charges:
            self.wrongly(f"{wish.prompt} is not charged, and {error!r} says yes")

    def have(self, wish: Wish, songs: Iterable[Song]) -> None:
        ids = {song.id for song in songs}
        wish.ends.append("songs")
        self.world.note(f"{wish.prompt}: has {sorted(ids)}")
        if wish.had and wish.allowed == 1 and not ids & wish.had:
            self.wrongly(f"{wish.prompt} has other songs than before: {ids}, {wish.had}")
        wish.had |= ids

    def has(self, task_id: str, name: str) -> bool:
        """Whether a song is in its owner's hands: on disk, or given to him for good."""
        song = Song(
            id=name,
            task_id=task_id,
            provider=self.world.provider.name,
            index=0,
            stage=Stage.COMPLETE,
            title="Rain",
        )
        for known in (song, attrs.evolve(song, task_id="")):  # of a callback that named no task
            if (self.folder / file_name(known)).exists():
                return True
        return not self.durable and any(name in wish.had for wish in self.wishes.values())

    def allow_resubmits(self) -> None:
        """Allow one more charge for what was asked for, and is not proved to be taken."""
        for wish in self.wishes.values():
            if not any(order.acknowledged for order in self.world.charges(wish.prompt)):
                wish.allowed += 1

    def judge(self) -> None:
        """Say at the end what does not hold."""
        for wish in self.wishes.values():
            orders = self.world.charges(wish.prompt)
            if len(orders) > wish.allowed:
                self.wrongly(f"{wish.prompt} is paid {len(orders)} times, {wish.allowed} wanted")
            if orders and wish.ends and set(wish.ends) == {"no"}:
                self.wrongly(f"{wish.prompt} is charged, and every call said no")
            for left in self.world.left.get(wish.prompt, []):
                if not any(a <= left <= b for a, b in [*wish.spans, *self.anywhere]):
                    self.wrongly(f"{wish.prompt} left at {left:.2f}, when nobody asked for it")
        for order in self.world.orders.values():
            lost = [name for name in order.names if not self.has(order.task_id, name)]
            if order.end == "complete" and lost:
                self.wrongly(f"{order.prompt} is paid for as {order.task_id}, and lost: {lost}")


# One task of the program ---------------------------------------------------------------------


@attrs.define(eq=False)
class Actor:
    """Somebody who uses the client: picks verbs, and leaves when his patience ends."""

    client: Client
    owner: Owner
    process: Process
    random: Random

    async def act(self) -> None:
        verbs: Sequence[tuple[int, Callable[[], Coroutine[Any, Any, None]]]] = [
            (6, self.make_one),
            (4, self.make_many),
            (3, self.resume),
            (4, self.end_doubts),
            (1, self.forget_one),
            (1, self.keep_some),
            (1, self.list_jobs),
        ]
        weights, choices = zip(*verbs, strict=True)
        with suppress(_ProgramEnded):
            for _ in range(self.random.randint(1, 4)):
                await anyio.sleep(self.random.choice([0, 0, 1, 30, 100]) * self.random.random())
                [verb] = self.random.choices(choices, weights)
                with self._sees_the_end():
                    await verb()

    @contextmanager
    def _sees_the_end(self) -> Iterator[None]:
        """End with the program; the callers of a closed client are told so."""
        try:
            yield
        except ClientClosed:
            raise _ProgramEnded from None
        except RuntimeError as error:
            if "the client is " not in str(error):
                raise
            raise _ProgramEnded from None
        except Exception:
            if not self.process.killed:
                raise
            raise _ProgramEnded from None

    @asynccontextmanager
    async def _asking(self, *wishes: Wish) -> AsyncIterator[anyio.CancelScope]:
        began = anyio.current_time()
        for wish in wishes:
            wish.calls += 1
        patience = self.random.choice([0, 1, 3, 30, 1e4, 1e4]) * self.random.random()
        scope = anyio.CancelScope(deadline=anyio.current_time() + patience)
        try:
            with scope:
                yield scope
        finally:
            for wish in wishes:
                wish.spans.append((began, self._now()))
                if scope.cancelled_caught or self.process.killed:
                    self.owner.world.note(f"{wish.prompt}: its caller leaves")
                    wish.ends.append("unknown")

    def _now(self) -> float:
        """The time, or when the client began to be closed: nothing may leave after it."""
        return min(anyio.current_time(), self.process.closed_at)

    def _pick(self, *, batch: bool) -> Wish:
        """A new wish, or one that was asked for before, where that is no second purchase."""
        again = [
            wish
            for wish in self.owner.wishes.values()
            if (wish.key is not None or (batch and wish.batch and self.owner.durable))
        ]
        if again and self.random.random() < 0.4:
            return self.random.choice(again)
        wish = self.owner.new(self.random)
        wish.batch = wish.batch and batch
        return wish

    # Verbs

    async def make_one(self) -> None:
        wish = self._pick(batch=False)
        how = self.random.choice(["generate", "submit", "updates"])
        self.owner.world.note(f"{wish.prompt}: {how}, key {wish.key}")
        await self._make(wish, wish.request, how)

    async def _make(self, wish: Wish, request: SongRequest, how: str) -> None:
        async with self._asking(wish):
            try:
                if how == "generate":
                    songs = await self.client.generate(request)
                else:
                    songs = await self._follow(await self.client.submit(request), how)
            except UdioError as error:
                if not self.process.killed:
                    self.owner.check(wish, error)
            else:
                self.owner.have(wish, songs)
                await self._save(songs)

    async def _follow(self, job: Job, how: str) -> tuple[Song, ...]:
        if how == "updates":
            async for _ in job.updates():
                pass
        return await job.songs()

    async def make_many(self) -> None:
        wishes = list({w.prompt: w for w in (self._pick(batch=True) for _ in range(4))}.values())
        self.owner.world.note(f"batch of {[wish.prompt for wish in wishes]}")
        leaves_after = self.random.choice([0, 1, 99, 99])
        async with (
            self._asking(*wishes),
            self.client.generate_many(
                [wish.request for wish in wishes], max_active=self.random.randint(1, 4)
            ) as batch,
        ):
            async for outcome in batch:
                await self._take(outcome)
                leaves_after -= 1
                if leaves_after < 0:
                    for wish in wishes:  # nobody hears what becomes of the others
                        wish.ends.append("unknown")
                    break

    async def resume(self) -> None:
        began = anyio.current_time()
        self.owner.world.note("resume")
        with anyio.move_on_after(self.random.choice([10, 1e4, 1e4]) * self.random.random()):
            try:
                async with self.client.resume(max_active=self.random.randint(1, 4)) as batch:
                    async for outcome in batch:
                        await self._take(outcome)
            finally:
                self.owner.anywhere.append((began, self._now()))
                for wish in self.owner.wishes.values():  # it may have begun with any
                    wish.ends.append("unknown")

    async def _take(self, outcome: Outcome) -> None:
        wish = self.owner.wishes[outcome.request.description or ""]
        if outcome.error is not None:
            if not self.process.killed:
                self.owner.check(wish, outcome.error)
            return
        self.owner.have(wish, outcome.songs)
        await self._save(outcome.songs)

    async def _save(self, songs: Sequence[Song]) -> None:
        if self.random.random() < 0.3:
            return
        with suppress(DownloadFailed, ClientClosed, JournalError):
            await self.client.download(songs, self.owner.folder)

    async def end_doubts(self, *, honestly: bool = False) -> None:
        """Look at the account, and say what became of each doubt; sometimes wrongly at first."""
        for doubt in await self.client.doubts():
            known = {job.task_id async for job in self.client.jobs() if job.key != doubt.key}
            prompt = str(doubt.request["description"])
            charged = [
                o.task_id for o in self.owner.world.charges(prompt) if o.task_id not in known
            ]
            answers: list[dict[str, Any]] = []
            if not honestly and self.random.random() < 0.5:
                wrong: list[dict[str, Any]] = [
                    {"task_id": "t-wrong"},
                    {"abandon": True},
                    {"resubmit": True},
                ]
                answers.append(self.random.choice(wrong))
            if {"resubmit": True} in answers:  # knowing that it may be paid for again
                self.owner.wishes[prompt].allowed += 1
            else:
                answers.append({"task_id": charged[0]} if charged else {"resubmit": True})
            for answer in answers:
                self.owner.world.note(f"{prompt}: resolved by {answer}")
                with suppress(InvalidRequest):  # a callback, or somebody else, was quicker
                    await self.client.resolve(doubt.key, **answer)
                if answer == {"resubmit": True} and not honestly:
                    request = self.client.request_of(doubt)
                    await self._make(self.owner.wishes[prompt], request, "generate")
                await anyio.sleep(self.random.choice([0, 0, 10]))

    async def forget_one(self) -> None:
        jobs = [job async for job in self.client.jobs()]
        if jobs:
            job = self.random.choice(jobs)
            self.owner.world.note(f"forget {job.request['description']}")
            with suppress(InvalidRequest):
                await self.client.forget(job.key)

    async def keep_some(self) -> None:
        wish = self._pick(batch=True)
        if wish.key is None and not wish.batch:
            return
        self.owner.world.note(f"keep {wish.prompt}")
        with suppress(InvalidRequest):
            await self.client.keep([wish.request])

    async def list_jobs(self) -> None:
        async for job in self.client.jobs():
            assert job.request["description"] in self.owner.wishes
            assert bool(job.songs) or not job.state.has_songs


class _ProgramEnded(Exception):
    pass


# Runs of the program -------------------------------------------------------------------------


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
        client = Client(world.provider, journal=journal, poll=poll, **options)
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
            async with client.resume() as batch:
                async for outcome in batch:
                    if outcome.error is None:
                        await client.download(outcome, self.owner.folder)
            self.owner.anywhere.append((began, anyio.current_time()))
            for wish in self.owner.wishes.values():  # of their outcomes only the songs are taken
                wish.ends.append("unknown")

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


async def _schedule(seed: int, folder: Path) -> Owner:
    random = Random(seed)  # it shall be the same each time
    name = random.choice(list(PROVIDERS))
    world = World(
        provider=PROVIDERS[name](),
        random=Random(random.random()),
        trouble=random.choice([0, 0.1, 0.3, 0.6]),
    )
    owner = Owner(world, folder, durable=random.random() < 0.6)
    async with anyio.create_task_group() as outside:
        world.tasks = outside
        await Program(random, owner).run()
        outside.cancel_scope.cancel()
    owner.judge()
    return owner


def replay(seed: int) -> Owner:
    """Run one schedule, and return what its owner has found wrong."""
    backend, options = virtual_backend("trio" if seed % 2 else "asyncio")
    folder = Path(tempfile.mkdtemp(dir=FAST if FAST.is_dir() else None))
    try:
        with in_memory(seed):
            return anyio.run(
                _schedule, seed, folder, backend=backend, backend_options=dict(options)
            )
    finally:
        shutil.rmtree(folder)


@attrs.frozen
class Result:
    """What a schedule came to."""

    seed: int
    charged: int
    """How many songs were paid for."""
    wrong: Sequence[str]
    seen: Sequence[str]


def run(seed: int) -> Result:
    """Run one schedule."""
    logging.getLogger("udio_async").setLevel(logging.CRITICAL)
    owner = replay(seed)
    return Result(seed, len(owner.world.orders), owner.wrong, owner.world.seen)


def workers() -> ProcessPoolExecutor:
    """Return a process for each core; what is the same in one is the same in another."""
    os.environ["PYTHONHASHSEED"] = "0"  # sets have the same order
    return ProcessPoolExecutor(
        mp_context=get_context("spawn"),
        initializer=gc.set_threshold,  # it took an eighth of the time
        initargs=(100_000,),
    )


def run_all(seeds: Iterable[int]) -> Iterator[Result]:
    """Run schedules, on all cores."""
    with workers() as pool:
        for result in pool.map(run, seeds, chunksize=50):
            yield attrs.evolve(result, seen=())


def find(plant: str, seeds: Iterable[int]) -> int | None:
    """Return the first schedule that finds a planted bug."""
    with PLANTS[plant]():
        return next((seed for seed in seeds if run(seed).wrong), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default="0:1000", help="one, or a range like 0:5000")
    parser.add_argument("--show", action="store_true", help="tell what happens")
    parser.add_argument("--plant", choices=PLANTS, help="put a bug in that is to be found")
    options = parser.parse_args()
    first, _, end = options.seeds.partition(":")
    seeds = range(int(first), int(end or int(first) + 1))
    one_by_one = options.show or options.plant or len(seeds) < 100
    began, charged, failed = time.monotonic(), 0, 0
    with PLANTS[options.plant]() if options.plant else nullcontext():
        for result in map(run, seeds) if one_by_one else run_all(seeds):
            charged += result.charged
            failed += bool(result.wrong)
            if options.show:
                print(f"seed {result.seed}", *result.seen, sep="\n")
            if result.wrong:
                print(f"seed {result.seed}: {'; '.join(result.wrong[:3])}", flush=True)
    passed = time.monotonic() - began
    print(f"{len(seeds)} schedules, {charged} songs charged, {failed} wrong, {passed:.1f} s")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
