"""A client that is called back, and the provider in memory that calls it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.kit.asgi import call
from tests.kit.timed import SONG, TimedProvider
from udio_async import CallbackAddress, Callbacks, Client, Event, SqliteJournal, SubmitInDoubt

PUBLIC = "https://songs.example.org/udio"
LINKS = ["https://cdn.example.org/a.mp3", "https://cdn.example.org/b.mp3"]


def sixty(_place: int) -> float:
    return 60.0


def provider_with(**options: Any) -> TimedProvider:  # noqa: ANN401  # they are passed on
    return TimedProvider(options.pop("durations", sixty), callbacks="task", **options)


@attrs.define(eq=False)
class Line:
    """An open client, its application, and the provider at the other end."""

    provider: TimedProvider
    client: Client
    app: Callbacks
    events: list[Event] = attrs.field(factory=list)

    def address(self, place: int = 0) -> CallbackAddress:
        given = self.provider.given[place]
        assert given is not None
        return given

    async def post(self, body: bytes, place: int = 0, **changes: Any) -> int:  # noqa: ANN401
        """Call as the provider would, or with changes."""
        address = self.address(place)
        headers = {"x-secret": changes.pop("secret", address.secret)}
        return await call(self.app, changes.pop("url", address.url), body, headers=headers)


@asynccontextmanager
async def line_to(provider: TimedProvider, **options: Any) -> AsyncGenerator[Line]:  # noqa: ANN401
    events: list[Event] = []
    async with Client(provider, on_event=events.append, **options) as client:
        yield Line(provider, client, client.callbacks(PUBLIC), events)


def lose(provider: TimedProvider) -> TimedProvider:
    """Have the first answer lost, after the song was taken."""
    doubt = SubmitInDoubt("the answer was lost", evidence="nothing came back")
    provider.refuse = lambda place: doubt if place == 0 else None
    return provider


@asynccontextmanager
async def in_doubt(**options: Any) -> AsyncGenerator[Line]:  # noqa: ANN401
    async with line_to(lose(provider_with()), **options) as line:
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(attrs.evolve(SONG, key="mine"))
        yield line


def journal_at(path: Path) -> SqliteJournal:
    return SqliteJournal(path / "songs.db", threaded=False)
