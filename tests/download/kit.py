"""A download without a provider: a server that answers by script, and what the client knows."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest

from tests.kit import fault_server as faults
from tests.kit.fault_server import Behaviour, FaultServer
from tests.kit.sounds import MP3_SECONDS, mp3
from udio_async import Song, Stage
from udio_async._download import Downloads, Saved, waiting
from udio_async._http import HttpSender

MP3 = mp3(160)
SECONDS = 160 * MP3_SECONDS
FILE = faults.http(200, MP3)


@attrs.define
class Waits:
    """What would have been waited, in seconds."""

    waited: list[float] = attrs.field(factory=list)
    meanwhile: Callable[[], object] = lambda: None
    """Done during each wait."""

    @property
    def total(self) -> float:
        return sum(self.waited)

    async def pause(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.meanwhile()
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Nobody waits; what it would have been is kept."""
    waits = Waits()
    monkeypatch.setattr(waiting, "pause", waits.pause)
    return waits


def song_at(url: str | None, *, ident: str = "id-1", duration: float | None = None) -> Song:
    return Song(
        id=ident,
        task_id="task-1",
        provider="udioapi-v2",
        index=0,
        stage=Stage.COMPLETE,
        title="A Song",
        audio_url=url,
        audio_is_final=True,
        duration=duration,
    )


@attrs.define(kw_only=True)
class Provider:
    """What the provider knows of a song besides its link."""

    age: float | None = None
    """Seconds since it was completed, as far as the client knows."""
    link: str | None = None
    """The link that a look shows."""
    looks: int = 0

    async def refresh(self, song: Song) -> Song | None:
        self.looks += 1
        if self.link is None:
            return song
        return attrs.evolve(song, audio_url=self.link, audio_is_final=True)

    async def tell_age(self, _: Song) -> float | None:
        return self.age


@attrs.frozen
class Bench:
    """A server, and downloads from it."""

    server: FaultServer
    downloads: Downloads
    provider: Provider
    directory: Path

    async def get(self, *, path: str = "a.mp3", duration: float | None = None) -> Saved:
        """Save one song, or raise why not."""
        song = song_at(f"{self.server.url}/{path}", duration=duration)
        [result] = await self.downloads.save([song], directory=self.directory)
        if isinstance(result, Exception):
            raise result
        return result

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


MakeBench = Callable[..., Awaitable[Bench]]


@asynccontextmanager
async def bench(
    directory: Path,
    script: Behaviour | Sequence[Behaviour],
    *,
    provider: Provider | None = None,
    **options: object,
) -> AsyncGenerator[Bench]:
    provider = provider or Provider()
    async with (
        FaultServer(script) as server,
        anyio.create_task_group() as tasks,
        HttpSender(tasks) as http,
    ):
        downloads = Downloads(
            http,
            refresh=provider.refresh,
            age=provider.tell_age,
            local=True,
            **options,  # type: ignore[arg-type]  # a watch, or limits
        )
        yield Bench(server, downloads, provider, directory)


def then_file(*before: bytes) -> list[Behaviour]:
    """Answers, one for each connection, and then the file."""
    return [*(faults.answer_once(data) for data in before), faults.answer(FILE)]
