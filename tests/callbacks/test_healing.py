"""A submit whose answer is lost is paid for once, and its callback brings the song."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from tests.kit.serving import plainly_serving
from udio_async import Apiframe, Client, Event, Sandbox, SqliteJournal, UdioApiV1
from udio_async.sandbox import Fault

MakeProvider = Callable[[Sandbox], UdioApiV1 | Apiframe]
PROVIDERS: dict[str, MakeProvider] = {
    "udioapi-v1 callback": lambda sandbox: sandbox.udioapi_v1(generation="callback"),
    "udioapi-v1 legacy": lambda sandbox: sandbox.udioapi_v1(),
    "apiframe": lambda sandbox: sandbox.apiframe(),
}
BATCH = ["a song that is asked for once"]


@attrs.define(eq=False)
class Watcher:
    """Counts events, and waits for the first that ends a doubt."""

    kinds: list[str] = attrs.field(factory=list)
    healed: anyio.Event = attrs.field(factory=anyio.Event)

    def __call__(self, event: Event) -> None:
        self.kinds.append(event.kind)
        if event.kind == "healed":
            self.healed.set()


@asynccontextmanager
async def called_client(
    provider: UdioApiV1 | Apiframe, journal: Path, watcher: Watcher
) -> AsyncGenerator[Client]:
    async with (
        Client(
            provider, journal=SqliteJournal(journal, threaded=False), on_event=watcher
        ) as client,
        plainly_serving(
            lambda port: client.callbacks(f"http://127.0.0.1:{port}/songs", allow_private=True)
        ),
    ):
        yield client


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_lost_answer_is_healed_by_the_callback(name: str, tmp_path: Path) -> None:
    """The same batch again has the song; what no look could confirm says so."""
    watcher = Watcher()
    async with Sandbox(speed=600, faults=[Fault("charged_502")]) as sandbox:
        provider = PROVIDERS[name](sandbox)
        async with called_client(provider, tmp_path / "songs.db", watcher) as client:
            async with client.generate_many(BATCH) as batch:
                first = [outcome async for outcome in batch]
            with anyio.fail_after(20):
                await watcher.healed.wait()
            assert await client.doubts() == []
            async with client.generate_many(BATCH) as batch:
                second = [outcome async for outcome in batch]
        charges = sandbox.ledger
    assert [outcome.ok for outcome in (*first, *second)] == [False, True]
    songs = second[0].songs or ()
    assert len(songs) == 2
    assert all(song.audio_url for song in songs)
    assert {song.unverified for song in songs} == {provider.name == "udioapi-v1"}
    assert len(charges) == 1
    assert watcher.kinds.count("healed") == 1


async def test_callbacks_before_a_slow_answer_bring_the_song_with_one_look(tmp_path: Path) -> None:
    """All three stages were called before the answer came; nothing was ever in doubt."""

    async def make(name: str) -> None:
        watcher = Watcher()
        provider = attrs.evolve(PROVIDERS[name](sandbox))
        async with called_client(provider, tmp_path / f"{name}.db", watcher) as client:
            songs = await client.generate(BATCH[0])
        assert not any(song.unverified for song in songs)
        assert watcher.kinds.count("looked") == 1
        assert "healed" not in watcher.kinds

    async with (
        Sandbox(speed=600, faults=[Fault("slow_submit")]) as sandbox,
        anyio.create_task_group() as tasks,
    ):
        for name in PROVIDERS:
            tasks.start_soon(make, name)
    assert len(sandbox.ledger) == len(PROVIDERS)
