"""A provider in memory whose songs take as long as it is told, for virtual clocks."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio
import attrs

from udio_async import (
    CallbackRejected,
    Credits,
    Failure,
    PollPolicy,
    Song,
    SongRequest,
    Stage,
    Task,
    Traits,
)
from udio_async._events import Observer, Teller
from udio_async._http import Account, ApiKey, Http
from udio_async._polling import Poller, TrackedTask
from udio_async._records import CallbackAddress, CallbackNews, ProviderOptions
from udio_async.providers.base import CallbackKind
from udio_async.testing import RecordedHttp

SONG = SongRequest(description="a song")
NO_HTTP = RecordedHttp()
"""The provider in memory sends nothing; were it to, this would fail."""


@attrs.frozen
class Look:
    """One request that asked about some tasks."""

    at: float
    task_ids: tuple[str, ...]


@attrs.define(eq=False)
class TimedProvider:
    """Accepts everything; the n-th task is complete `durations(n)` seconds after its submit."""

    durations: Callable[[int], float]
    max_ids_per_look: int = 1
    min_interval: float = 5.0
    typical_duration: float = 60.0
    answer_time: float = 0.0
    """Seconds that a look takes."""
    broken: Callable[[float], Exception | None] = lambda _now: None
    """Raised by a look at that moment, if anything."""
    retouch: Callable[[list[Task], float], Sequence[Task]] = lambda tasks, _now: tasks
    """Turns the answer of a look at that moment into what the poller gets to see."""
    settle: float = 30.0
    songs_per_request: int = 1
    """How many songs it says that a request makes; a look shows one, unless `retouch` adds more."""
    submit_time: float = 0.0
    """Seconds that a submit takes."""
    refuse: Callable[[int], Exception | None] = lambda _place: None
    """Raised by the submit at that place, from 0, if anything."""
    callbacks: CallbackKind = "none"
    given: list[CallbackAddress | None] = attrs.field(factory=list)
    """The callback address of each submit."""
    sent: list[float] = attrs.field(factory=list)
    """When each submit left."""
    on_wire: int = 0
    most_on_wire: int = 0
    """How many submits were on the wire, at most."""
    looks: list[Look] = attrs.field(factory=list)
    completes_at: dict[str, float] = attrs.field(factory=dict)
    seen_at: dict[str, float] = attrs.field(factory=dict)
    """When a look first showed the task complete."""
    _numbers: "count[int]" = attrs.field(factory=count)

    name: str = attrs.field(default="timed", init=False)

    @property
    def traits(self) -> Traits:
        return Traits(
            fields=frozenset({"description"}),
            options=ProviderOptions,
            default_model="timed",
            max_ids_per_look=self.max_ids_per_look,
            min_interval=self.min_interval,
            typical_duration=self.typical_duration,
            settle=self.settle,
            songs_per_request=self.songs_per_request,
            callbacks=self.callbacks,
        )

    def account(self) -> Account:
        return Account(base_url="https://memory.invalid", key=ApiKey("none"))

    def check(self, request: SongRequest) -> None:
        pass

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        place = len(self.sent)
        self.sent.append(anyio.current_time())
        self.given.append(callback)
        self.on_wire += 1
        self.most_on_wire = max(self.most_on_wire, self.on_wire)
        try:
            await anyio.sleep(self.submit_time)
        finally:
            self.on_wire -= 1
        if error := self.refuse(place):
            raise error
        number = next(self._numbers)
        self.completes_at[str(number)] = anyio.current_time() + self.durations(number)
        return str(number)

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        now = anyio.current_time()
        self.looks.append(Look(now, tuple(task_ids)))
        await anyio.sleep(self.answer_time)
        if error := self.broken(now):
            raise error
        return self.retouch([self._task(task_id, now) for task_id in task_ids], now)

    def _task(self, task_id: str, now: float) -> Task:
        if now < self.completes_at[task_id]:
            return Task(id=task_id, provider=self.name, stage=Stage.PROCESSING)
        self.seen_at.setdefault(task_id, now)
        song = Song(
            id=f"song-{task_id}",
            task_id=task_id,
            provider=self.name,
            index=0,
            stage=Stage.COMPLETE,
            audio_url="https://example.org/song.mp3",
            audio_is_final=True,
        )
        return Task(id=task_id, provider=self.name, stage=Stage.COMPLETE, songs=(song,))

    async def credits(self, http: Http) -> Credits:
        return Credits(provider=self.name, remaining=1e9)

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        """Read `{"stage": …, "task_id": … or null, "songs": [links], "ids": [ids]}`."""
        if headers.get("x-secret") != address.secret:
            raise CallbackRejected("wrong secret", forged=True)
        try:
            said = json.loads(body)
            stage = Stage(said["stage"])
        except (ValueError, LookupError, TypeError) as error:
            raise CallbackRejected(f"no callback: {error}") from None
        songs = tuple(
            Song(
                id=said["ids"][place] if "ids" in said else f"song {place}",
                task_id="",
                provider=self.name,
                index=place,
                stage=stage,
                audio_url=url,
                audio_is_final=stage is Stage.COMPLETE,
                error=Failure(message="no luck") if stage is Stage.FAILED else None,
            )
            for place, url in enumerate(said.get("songs", ()))
        )
        return CallbackNews(stage=stage, task_id=said.get("task_id"), songs=songs)

    @property
    def lags(self) -> list[float]:
        """How late each finished song was noticed, in seconds."""
        return [seen - self.completes_at[task_id] for task_id, seen in self.seen_at.items()]


@attrs.define(eq=False)
class ForgetfulProvider(TimedProvider):
    """Keeps nothing of a song that was seen complete, so that any growth is the client's."""

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        tasks = await super().fetch(http, task_ids)
        for task_id in self.seen_at:
            del self.completes_at[task_id]
        for record in (self.seen_at, self.looks, self.sent):
            record.clear()
        return tasks


@asynccontextmanager
async def polling(
    provider: TimedProvider,
    policy: PollPolicy | None = None,
    observer: Observer | None = None,
) -> AsyncGenerator[Poller]:
    """A running poller; songs are practically never given up unless the policy says so."""
    async with anyio.create_task_group() as tasks:
        policy = policy or PollPolicy(deadline=1e6)
        tell = Teller(provider.name, observer)
        poller = Poller(provider, NO_HTTP, tasks, policy=policy, tell=tell)
        tasks.start_soon(poller.run)
        yield poller
        tasks.cancel_scope.cancel()


async def submitted(provider: TimedProvider, poller: Poller) -> TrackedTask:
    """A song that was just accepted."""
    return poller.track(await provider.submit(NO_HTTP, SONG), SONG)


async def over(*watches: TrackedTask) -> None:
    """Wait until all are over."""
    for watch in watches:
        while not watch.over:
            await watch.changed()
