"""Providers on paper: what they say is worded as the real ones word it, and kept in memory."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import attrs

from udio_async import (
    Apiframe,
    CallbackAddress,
    Credits,
    SongRequest,
    SubmitInDoubt,
    Task,
    Traits,
    UdioApiV1,
)
from udio_async._http import Account, Http
from udio_async._records import CallbackNews
from udio_async.providers import apiframe_tasks, udioapi_feed

WORDS = ("text", "first", "complete", "failed")
CDN = "https://cdn.example.org"
REAL: Mapping[str, UdioApiV1 | Apiframe] = {
    "udioapi-v1": UdioApiV1(api_key="key"),
    "apiframe": Apiframe(api_key="key"),
}


@attrs.define(eq=False)
class PaperProvider:
    """Takes every song; how far each is, the test says."""

    real: UdioApiV1 | Apiframe
    songs: int
    """How many submits are to come."""
    loses: Callable[[int], bool] = lambda _place: False
    """Whether the answer to the submit at that place, from 0, is lost."""
    ids: dict[str, str] = attrs.field(factory=dict)
    """By the words of the request, as all of these."""
    addresses: dict[str, CallbackAddress | None] = attrs.field(factory=dict)
    reached: dict[str, str] = attrs.field(factory=dict)
    """The word that the feed has for a task, by its id; none is at the start."""
    submits: int = 0
    looks: int = 0
    all_sent: anyio.Event = attrs.field(factory=anyio.Event)

    @property
    def name(self) -> str:
        return self.real.name

    @property
    def traits(self) -> Traits:
        return attrs.evolve(self.real.traits, min_interval=0.2, typical_duration=0.5, settle=0.1)

    def account(self) -> Account:
        return self.real.account()

    def check(self, request: SongRequest) -> None:
        pass

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        place, words = self.submits, request.description or ""
        self.submits += 1
        task_id = self.ids[words] = f"task-{words}"
        self.addresses[words] = callback
        if self.submits == self.songs:
            self.all_sent.set()
        if self.loses(place):
            raise SubmitInDoubt("the answer was lost", evidence="nothing came back")
        return task_id

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        self.looks += 1
        return [self._task(task_id) for task_id in task_ids]

    def _task(self, task_id: str) -> Task:
        word = self.reached.get(task_id, "")
        if self.name == "apiframe":
            return apiframe_tasks.read_task(apiframe_task(task_id, word), task_id=task_id)
        feed = {"type": word or "new", "response_data": udioapi_items(task_id, word)}
        return udioapi_feed.read_task(feed, task_id=task_id, provider=self.name)

    async def credits(self, http: Http) -> Credits:
        return Credits(provider=self.name, remaining=1e9)

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        return self.real.read_callback(headers, body, address)

    def called(self, task_id: str, word: str) -> Any:  # noqa: ANN401  # JSON is anything
        """Return what it posts at this stage."""
        if self.name == "apiframe":
            return apiframe_task(task_id, word)
        return udioapi_items(task_id, word)


def udioapi_items(task_id: str, word: str) -> list[dict[str, Any]]:
    """Return the songs of a task at this stage, as callback and feed show them."""
    if not word:
        return []
    ready = {"first": (0,), "complete": (0, 1)}.get(word, ())
    return [
        {
            "id": f"{task_id}-{place}",
            "audio_url": f"{CDN}/{task_id}-{place}.mp3" if place in ready else "",
            "image_url": f"{CDN}/{task_id}-{place}.jpeg",
            "created_at": "2025-08-19T23:07:28.936Z",
            "status": "text" if word == "failed" else word,
            "title": "Summer Dreams",
            "prompt": "[Verse 1]\nWalking down the street, feeling so free",
            "tags": "pop, upbeat, electronic",
            "duration": 156.36 if place in ready else "",
            "model_name": "chirp-v3-5",
            "extra_message": "All generated successfully." if word == "complete" else "",
            "fail_message": "",
            "error_message": "Server overload" if word == "failed" else "",
        }
        for place in (0, 1)
    ]


def apiframe_task(task_id: str, word: str) -> dict[str, Any]:
    """Return a task at this stage, as webhook and fetch show it."""
    task: dict[str, Any] = {"task_id": task_id, "task_type": "udio"}
    if not word:
        return {"task_id": task_id, "status": "staged"}
    if word == "failed":
        return {**task, "status": "failed", "message": "Internal Error, Please try again later"}
    done = word == "complete"
    songs = [
        {
            "song_id": f"{task_id}-{place}",
            "lyrics": "[Verse 1]\nWalking down the street, feeling so free",
            "audio_url": f"{CDN}/{task_id}-{place}.mp3" if done else None,
            "image_url": f"{CDN}/{task_id}-{place}.jpeg",
        }
        for place in (0, 1)
    ]
    return {**task, "status": "finished" if done else "processing", "songs": songs}
