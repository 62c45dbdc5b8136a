"""A fourth provider: one class, one case, some recordings, one line in the registry.

It has `id` where ours have `task_id`, and numbers where ours have words and ids.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from udio_async import Client, providers
from udio_async._errors import (
    AuthenticationFailed,
    BadAnswer,
    CallbackRejected,
    RequestRefused,
    SubmitInDoubt,
)
from udio_async._http import Account, ApiKey, Call, Http
from udio_async._records import (
    CallbackAddress,
    CallbackNews,
    Credits,
    Failure,
    ProviderOptions,
    Song,
    SongRequest,
    Stage,
    Task,
)
from udio_async._wire import OptionalId, OptionalText, make_converter, structure
from udio_async.providers.base import Traits, check_fields, key_from
from udio_async.providers.replies import ask
from udio_async.providers.verdicts import SHARED_RULES, read_look, send_submit
from udio_async.testing import KEY, ProviderCase, ProviderContract

# What would be providers/toy.py --------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WireTrack:
    number: OptionalId = None
    url: OptionalText = None


@attrs.frozen(kw_only=True)
class WireJob:
    state: OptionalId = None
    tracks: Sequence[WireTrack] = ()


TOY_TRAITS = Traits(
    fields=frozenset({"description"}), options=ProviderOptions, default_model="toy-1"
)
STAGES: Mapping[str, Stage] = {"1": Stage.PROCESSING, "2": Stage.COMPLETE, "3": Stage.FAILED}
converter = make_converter()


def read_task(payload: object, *, task_id: str) -> Task:
    job = structure(converter, payload, WireJob, about=f"task {task_id}")
    word = job.state or ""
    stage = STAGES.get(word, Stage.PROCESSING)
    songs = tuple(
        Song(
            id=track.number,
            task_id=task_id,
            provider="toy",
            index=index,
            stage=stage,
            audio_url=track.url,
            audio_is_final=stage is Stage.COMPLETE,
        )
        for index, track in enumerate(job.tracks)
        if track.number
    )
    failure = Failure(message=f"state {word}") if stage is Stage.FAILED else None
    return Task(id=task_id, provider="toy", stage=stage, status=word, songs=songs, error=failure)


def toy_key(value: str | ApiKey | None) -> ApiKey:
    return key_from(value, "TOY_API_KEY")


@attrs.frozen(kw_only=True)
class Toy:
    name = "toy"

    api_key: ApiKey = attrs.field(default=None, converter=toy_key)
    base_url: str = "https://toy.example.com"
    traits: Traits = attrs.field(default=TOY_TRAITS, repr=False)

    def check(self, request: SongRequest) -> None:
        check_fields(request, self.traits, provider=self.name)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        self.check(request)
        call = self._call("/songs", {"about": request.description, **request.extra})
        return await send_submit(http, call, SHARED_RULES, provider=self.name, id_at="id")

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        replies = [await ask(http, self._call(f"/songs/{task_id}")) for task_id in task_ids]
        return [
            read_task(read_look(reply, provider=self.name, task_id=task_id), task_id=task_id)
            for task_id, reply in zip(task_ids, replies, strict=True)
        ]

    async def credits(self, http: Http) -> Credits:
        payload = read_look(await ask(http, self._call("/me")), provider=self.name)
        return Credits(provider=self.name, remaining=payload["coins"])

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        raise CallbackRejected(f"{self.name} has no callbacks")

    def account(self) -> Account:
        return Account(base_url=self.base_url, key=self.api_key)

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Call:
        method = "GET" if body is None else "POST"
        return Call(account=self.account(), method=method, path=path, json=body)


# What would be tests/recordings/toy/ ---------------------------------------------------------

FILES = {
    "submit-ok.200.json": '{"id": 7001}',
    "submit-bad-key.401.json": '{"message": "who are you?"}',
    "submit-rude.400.json": '{"message": "no such words"}',
    "submit-late.500.json": '{"id": "t2", "message": "the answer was late"}',
    "submit-gateway.502.html": "<html></html>",
    "look-making.200.json": '{"id": "t1", "state": 1}',
    "look-made.200.json": (
        '{"state": 2, "tracks": [{"number": 4711, "url": "https://toy.example.com/1.mp3"}]}'
    ),
    "look-broken.200.json": '{"state": 3}',
    "look-new-word.200.json": '{"state": 99}',
    "look-gateway.502.html": "<html></html>",
    "me.200.json": '{"coins": 3}',
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


# What would be tests/providers/test_toy.py ---------------------------------------------------


class TestToy(ProviderContract):
    @pytest.fixture
    def case(self, recordings: Path) -> ProviderCase:
        return ProviderCase(
            provider=Toy(api_key=KEY),
            recordings=recordings,
            request=SongRequest(description="a bird"),
            path="/songs",
            body={"about": "a bird"},
            task_id="7001",
            accepted={"submit-ok": "7001", "submit-late": "t2"},
            refused={
                "submit-bad-key": AuthenticationFailed,
                "submit-rude": RequestRefused,
                "submit-gateway": SubmitInDoubt,
            },
            stages={
                "look-making": Stage.PROCESSING,
                "look-made": Stage.COMPLETE,
                "look-broken": Stage.FAILED,
            },
            failed_looks={"look-gateway": BadAnswer},
            run=("look-making", "look-made"),
            unknown_word="look-new-word",
            credits={"me": 3},
            unsupported=(SongRequest(lyrics="la"), SongRequest(description="x", title="y")),
        )


def test_one_line_registers_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its line in the registry, the provider is found by its name."""
    monkeypatch.setattr(providers, "PROVIDERS", {**providers.PROVIDERS, Toy.name: Toy})
    found: object = providers.provider_named("toy")
    assert found is Toy


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_paid_song_is_no_doubt(anyio_backend: str) -> None:
    """The client takes the id from where this provider has it, and finds the song by it."""

    def answer(request: httpx.Request) -> httpx.Response:
        is_submit = request.url.path == "/songs"
        name = "submit-ok.200.json" if is_submit else "look-made.200.json"
        return httpx.Response(200, text=FILES[name])

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer), verify=False) as http,
        Client(Toy(api_key=KEY, traits=TOY_TRAITS.hastened(1000)), http_client=http) as client,
    ):
        job = await client.submit("a bird")
        assert [song.id for song in await job.songs()] == ["4711"]
        assert job.task_id == "7001"
        assert await client.doubts() == []
