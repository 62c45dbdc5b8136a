"""One task of a program that uses a client: it picks verbs, and leaves when its patience ends."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from random import Random
from typing import Any

import anyio
import attrs

from tests.model.owner import Owner, Wish
from tests.model.world import Process
from udio_async import (
    Client,
    ClientClosed,
    DownloadFailed,
    InvalidRequest,
    Job,
    JournalEntry,
    JournalError,
    Outcome,
    Song,
    SongRequest,
    UdioError,
)


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
            (2, self.forget_one),
            (2, self.keep_some),
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
    async def _asking(
        self, *wishes: Wish, patience: float | None = None
    ) -> AsyncIterator[anyio.CancelScope]:
        began = anyio.current_time()
        for wish in wishes:
            wish.calls += 1
        if patience is None:
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
            if (
                wish.key is not None or (batch and wish.batch and (self.owner.durable or wish.kept))
            )
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
        await self._make_batch(self._pick_some())

    def _pick_some(self) -> Sequence[Wish]:
        return list({w.prompt: w for w in (self._pick(batch=True) for _ in range(4))}.values())

    async def _make_batch(self, wishes: Sequence[Wish]) -> None:
        self.owner.world.note(f"batch of {[wish.prompt for wish in wishes]}")
        async with self._asking(*wishes):
            await self._run_batch(wishes, leaves_after=self.random.choice([0, 1, 99, 99]))

    async def make_all(self, count: int) -> None:
        """Make one large batch, or what is left of it; somebody may lose patience."""
        wishes = self.owner.batch_of(count)
        leaves_after = self.random.choice([self.random.randrange(count), count, count])
        with suppress(_ProgramEnded), self._sees_the_end():
            async with self._asking(*wishes):
                await self._run_batch(wishes, leaves_after=leaves_after)

    async def make_the_rest(self, count: int) -> None:
        """Make what is left of the large batch, however long it takes."""
        wishes = self.owner.batch_of(count)
        async with self._asking(*wishes, patience=float("inf")):
            await self._run_batch(wishes, leaves_after=count)

    async def _run_batch(self, wishes: Sequence[Wish], *, leaves_after: int) -> None:
        """Take the outcomes, and check that each request has one."""
        asked = [wish.request for wish in wishes]
        most = self.random.choice([None, self.random.randint(1, 4), len(asked)])
        places = []
        async with self.client.generate_many(asked, max_active=most) as batch:
            async for outcome in batch:
                places.append(outcome.index)
                await self._take(outcome)
                if len(places) > leaves_after:
                    for wish in wishes:  # nobody hears what becomes of the others
                        wish.ends.append("unknown")
                    return
        if not self.process.killed and sorted(places) != list(range(len(asked))):
            self.owner.wrongly(f"{len(asked)} requests have the outcomes {sorted(places)}")

    async def resume(self) -> None:
        began = anyio.current_time()
        calls = {wish.prompt: wish.calls for wish in self.owner.wishes.values()}
        self.owner.world.note("resume")
        with anyio.move_on_after(self.random.choice([10, 1e4, 1e4]) * self.random.random()):
            try:
                async with self.client.resume(max_active=self.random.randint(1, 4)) as batch:
                    async for outcome in batch:
                        prompt = outcome.request.description or ""
                        alone = self.owner.wishes[prompt].calls == calls.get(prompt, 0)
                        # An error is about its own attempt: others may have been charged since.
                        if outcome.error is None or alone:
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
            prompt = str(doubt.request["description"])
            answers: list[dict[str, Any] | None] = []
            if not honestly and self.random.random() < 0.5:
                wrong: list[dict[str, Any]] = [
                    {"task_id": "t-wrong"},
                    {"abandon": True},
                    {"resubmit": True},
                ]
                answers.append(self.random.choice(wrong))
            if {"resubmit": True} in answers:  # knowing that it may be paid for again
                self.owner.wishes[prompt].allowed += 1
                self.owner.wishes[prompt].denied = True
            else:
                answers.append(None)
            for given in answers:
                answer = given or await self._found(doubt)
                self.owner.world.note(f"{prompt}: resolved by {answer}")
                with suppress(InvalidRequest):  # a callback, or somebody else, was quicker
                    await self.client.resolve(doubt.key, **answer)
                if answer == {"resubmit": True} and not honestly:
                    request = self.client.request_of(doubt)
                    await self._make(self.owner.wishes[prompt], request, "generate")
                await anyio.sleep(self.random.choice([0, 0, 10]))

    async def _found(self, doubt: JournalEntry) -> dict[str, Any]:
        """Return what the account shows of a doubt now: somebody else may have ended it since."""
        known = {job.task_id async for job in self.client.jobs() if job.key != doubt.key}
        charges = self.owner.world.charges(str(doubt.request["description"]))
        charged = [order.task_id for order in charges if order.task_id not in known]
        return {"task_id": charged[0]} if charged else {"resubmit": True}

    async def forget_one(self) -> None:
        jobs = [job async for job in self.client.jobs()]
        unsent = [job for job in jobs if job.state.may_be_sent]
        if jobs:
            job = self.random.choice(unsent or jobs)
            self.owner.world.note(f"forget {job.request['description']}")
            with suppress(InvalidRequest):
                await self.client.forget(job.key)
                wish = self.owner.wishes[str(job.request["description"])]
                wish.taken_back.append(anyio.current_time())

    async def keep_some(self) -> None:
        """Keep requests for later; sometimes a batch of them follows at once."""
        wishes = [wish for wish in self._pick_some() if wish.key is not None or wish.batch]
        self.owner.world.note(f"keep {[wish.prompt for wish in wishes]}")
        await self.client.keep([wish.request for wish in wishes])
        for wish in wishes:
            wish.kept = True
            wish.kept_at.append(anyio.current_time())
        if wishes and self.random.random() < 0.5:
            await self._make_batch(wishes)

    async def list_jobs(self) -> None:
        async for job in self.client.jobs():
            assert job.request["description"] in self.owner.wishes
            assert bool(job.songs) or not job.state.has_songs


class _ProgramEnded(Exception):
    pass
