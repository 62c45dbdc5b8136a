"""The verbs of a client, each with what has to be so before, against a provider with a ledger."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import attrs
import httpx
from anyio.abc import TaskGroup

from tests.kit.asgi import call as post
from tests.model.world import MP3, Order, Process, World, address_of
from udio_async import (
    Client,
    InvalidRequest,
    Job,
    Journal,
    JournalEntry,
    JournalState,
    MemoryJournal,
    Song,
    SongRequest,
    SqliteJournal,
    Stage,
    SubmitInDoubt,
    UdioError,
)
from udio_async.callbacks import Callbacks
from udio_async.journal.sqlite_file import SqliteFile

T = TypeVar("T")


# A client and its account ----------------------------------------------------------------------


@attrs.define(eq=False)
class Account(World):
    """At a provider whose songs take 20 seconds and never fail."""

    answers_to_lose: int = 0
    addresses: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    """Where the provider is to call back, by the id of the task."""
    under_way: int = 0
    """Requests that have no answer yet."""

    def _fault(self, paid: bool) -> str:
        if not paid or not self.answers_to_lose:
            return ""
        self.answers_to_lose -= 1
        return "answer lost"

    def _charge(self, prompt: str, request: httpx.Request, left_at: float) -> Order:
        order = super()._charge(prompt, request, left_at)
        order.end, order.ends_at = "complete", anyio.current_time() + 20
        address = address_of(request)
        assert address is not None
        self.addresses[order.task_id] = address
        return order

    async def exchange(
        self, request: httpx.Request, process: Process, *, told: bool = True
    ) -> httpx.Response:
        self.under_way += 1
        try:
            return await super().exchange(request, process, told=told)
        finally:
            self.under_way -= 1


class KeepingMemory(MemoryJournal):
    """Remembers the last of each job, even when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, JournalEntry] = {}

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        await super().put(entry, expected=expected)
        self.last[entry.key] = entry


class SuspendingSqlite(SqliteJournal):
    """Lets its callers wait, as for a thread: what they ask for is done, cancelled or not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, threaded=False)

    async def _write(self, work: Callable[[SqliteFile], T]) -> T:
        written = await super()._write(work)
        await anyio.lowlevel.checkpoint()
        return written

    async def _read(self, work: Callable[[SqliteFile], T]) -> T:
        found = await super()._read(work)
        await anyio.lowlevel.checkpoint()
        return found


JOURNALS: Mapping[str, Callable[[Path], Journal]] = {
    "memory": lambda _: KeepingMemory(),
    "SQLite": lambda folder: SuspendingSqlite(folder / "songs.db"),
}


@attrs.define(eq=False)
class Scene:
    """A client, its account, and what its owner has."""

    account: Account
    client: Client
    journal: Journal
    app: Callbacks
    folder: Path
    others: TaskGroup = attrs.field(init=False)
    """For those who use the client meanwhile."""
    had: set[str] = attrs.field(factory=set)
    """The ids of the songs that were handed out."""
    closed_with: Mapping[str, JournalEntry] = attrs.field(factory=dict)
    """What a journal in memory knew, and has forgotten as its client was closed."""
    job: Job | None = None
    songs: Sequence[Song] = ()

    def take(self, songs: Iterable[Song]) -> None:
        self.had |= {song.id for song in songs}

    def has(self, prompt: str) -> bool:
        return any(self.had >= set(order.names) for order in self.account.charges(prompt))

    async def take_all_unfinished(self) -> None:
        async with self.client.resume() as batch:
            async for outcome in batch:
                self.take(outcome.songs)
                if outcome.error is not None:
                    raise outcome.error


def asked(name: str) -> SongRequest:
    return SongRequest(description=name, key=f"key of {name}")


# The verbs -------------------------------------------------------------------------------------


async def nothing(_: Scene) -> None:
    pass


async def generate(scene: Scene) -> None:
    scene.take(await scene.client.generate(asked("a song")))


async def submit(scene: Scene) -> None:
    scene.job = await scene.client.submit(asked("a song"))


async def songs(scene: Scene) -> None:
    assert scene.job is not None
    scene.take(await scene.job.songs())


async def updates(scene: Scene) -> None:
    assert scene.job is not None
    async for task in scene.job.updates():
        scene.take(task.songs if task.stage is Stage.COMPLETE else ())


async def generate_many(scene: Scene) -> None:
    wanted = [name for name in ("one", "two") if not scene.has(name)]
    async with scene.client.generate_many(map(asked, wanted), max_active=2) as batch:
        async for outcome in batch:
            scene.take(outcome.songs)
            if outcome.error is not None:
                raise outcome.error


async def leave_some_unfinished(scene: Scene) -> None:
    await scene.client.submit(asked("one"))
    await scene.client.keep([asked("two")])


async def resume(scene: Scene) -> None:
    await scene.take_all_unfinished()


async def come_in_doubt(scene: Scene) -> None:
    scene.account.answers_to_lose = 1
    with suppress(SubmitInDoubt):
        await scene.client.submit(asked("a song"))
    assert len(await scene.client.doubts()) == 1


async def resolve(scene: Scene) -> None:
    await scene.client.resolve("key of a song", task_id="t0")


async def callback(scene: Scene) -> None:
    """The provider calls about what is in doubt, and the server of the application gives up."""
    [order] = scene.account.charges("a song")
    body = json.dumps(scene.account._shown(order)).encode()
    url, secret = scene.account.addresses[order.task_id]
    status = await post(scene.app, url, body, headers={"x-webhook-secret": secret})
    if status != 200:
        raise RuntimeError(f"it was answered with {status}")


async def keep(scene: Scene) -> None:
    await scene.client.keep(map(asked, ("one", "two")))


async def keep_one(scene: Scene) -> None:
    await scene.client.keep([asked("a song")])


async def forget(scene: Scene) -> None:
    with suppress(InvalidRequest):  # it is forgotten already
        await scene.client.forget("key of a song")


async def have_songs(scene: Scene) -> None:
    scene.songs = await scene.client.generate(asked("a song"))
    scene.take(scene.songs)


async def download(scene: Scene) -> None:
    saved = await scene.client.download(scene.songs, scene.folder)
    assert [each.path.read_bytes() for each in saved] == [MP3, MP3]


async def be_submitting(scene: Scene) -> None:
    async def impatiently() -> None:
        with suppress(UdioError):
            await submit(scene)

    scene.others.start_soon(impatiently)
    await anyio.sleep(1)


async def close(scene: Scene) -> None:
    await scene.client.aclose()


async def open_again(scene: Scene) -> None:
    with suppress(RuntimeError):  # it is open already
        await scene.client.open()


async def close_and_open(scene: Scene) -> None:
    await scene.client.aclose()
    if isinstance(scene.journal, KeepingMemory):
        scene.closed_with = dict(scene.journal.last)
    await scene.client.open()


Step = Callable[[Scene], Awaitable[None]]


@attrs.frozen
class Verb:
    """What is cancelled, what has to be so before, and what is done after that."""

    call: Step
    before: Step = nothing
    again: Step | None = None
    """None for the same call."""
    charges: Mapping[str, int] = attrs.field(factory=lambda: {"a song": 1})
    """What the ledger has to say in the end."""

    async def repeat(self, scene: Scene) -> None:
        await (self.again or self.call)(scene)


TWO = {"one": 1, "two": 1}
VERBS: Mapping[str, Verb] = {
    "generate": Verb(generate),
    "submit": Verb(submit),
    "songs": Verb(songs, before=submit),
    "updates": Verb(updates, before=submit),
    "generate_many": Verb(generate_many, charges=TWO),
    "resume": Verb(resume, before=leave_some_unfinished, charges=TWO),
    "resolve": Verb(resolve, before=come_in_doubt),
    "a callback": Verb(callback, before=come_in_doubt),
    "keep": Verb(keep, charges=TWO),
    "forget": Verb(forget, before=keep_one, charges={}),
    "download": Verb(download, before=have_songs),
    "opening": Verb(open_again, before=close, charges={}),
    "closing": Verb(close, before=be_submitting, again=close_and_open),
}
