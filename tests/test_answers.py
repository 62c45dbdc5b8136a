"""What becomes of a song, answer by answer: printed into docs/answers.md, and read as its user.

Run as a program, this file prints the page again.
"""

import json
import random
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import anyio
import anyio.lowlevel
import httpx
import pytest

from tests.kit.clocks import virtual_backend
from udio_async import (
    Apiframe,
    Client,
    GenerationFailed,
    Job,
    Song,
    SongRequest,
    Stage,
    UdioApiV1,
    UdioApiV2,
    UdioError,
    WaitExpired,
)
from udio_async._download import Source, waiting
from udio_async.providers import Provider
from udio_async.providers.words import ENDED_BADLY, ENDED_WELL, RUNNING, WAITING

PAGE = Path(__file__).parents[1] / "docs" / "answers.md"
KEY = "key-of-answers"
SERVICES: dict[str, Provider] = {
    "udioapi v1": UdioApiV1(api_key=KEY),
    "udioapi v1 legacy": UdioApiV1(api_key=KEY, generation="legacy"),
    "udioapi v2": UdioApiV2(api_key=KEY),
    "apiframe": Apiframe(api_key=KEY),
}
INVENTED = (
    "archived", "assembling", "baking", "billing_pending", "blended", "buffering", "cached",
    "checking", "composing", "cooking", "cooling", "deferred", "degraded", "delegated",
    "draining", "encoding", "evaluating", "finalizing", "frozen", "harmonizing", "hibernating",
    "locked", "mastering", "merging", "mixing", "on_hold", "parked", "partial", "paused",
    "post_processing", "quarantined", "rehearsing", "review", "shipped", "singing", "stalled",
    "throttled", "tuning", "validating", "weaving",
)  # fmt: skip
STATUSES = (401, 402, 403, 404, 418, 429, 500, 503)
FRAME = b"\xff\xfb\x90\x00" + bytes(413)
AUDIO = FRAME * 80


REQUEST = SongRequest(lyrics="rain", style="folk", title="Rain")
T = TypeVar("T")
Answer = Callable[[int, str], httpx.Response | None]
"""What is said to the n-th request, about which task; None for what is usual."""


def nothing(_number: int, _about: str) -> httpx.Response | None:
    """Nothing unusual."""
    return None


class Service:
    """Answers as it is told, through a client of the user's: no socket, no thread."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.submits = 0
        self.looks = 0
        self.files = 0
        self.submit: Answer = nothing
        self.look: Answer = nothing
        self.file: Answer = nothing
        self.word = "complete"
        self.with_songs = True

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(".mp3"):
            self.files += 1
            return self.file(self.files, "") or httpx.Response(
                200, content=AUDIO, headers={"Content-Type": "audio/mpeg"}
            )
        if request.url.path.endswith(("/generate", "/udio-imagine")):
            self.submits += 1
            task_id = f"task-{self.submits}"
            ids = {"workId": task_id, "task_id": task_id, "data": {"task_id": task_id}}
            return self.submit(self.submits, "") or httpx.Response(200, json={"code": 200, **ids})
        self.looks += 1
        return self.look(self.looks, request.url.params.get("workId", "")) or self._shown(request)

    def _shown(self, request: httpx.Request) -> httpx.Response:
        if self.provider.name == "apiframe":
            asked = json.loads(request.content)
            tasks = [self._task(name) for name in asked.get("task_ids", [asked.get("task_id")])]
            return httpx.Response(200, json=tasks[0] if "task_id" in asked else {"tasks": tasks})
        task_id = request.url.params["workId"]
        songs = [self._song("id", f"{task_id}-{place}") for place in "ab"]
        data = {"type": self.word, "response_data": songs if self.with_songs else []}
        return httpx.Response(200, json={"code": 200, "data": data})

    def _task(self, task_id: str) -> dict[str, Any]:
        songs = [self._song("song_id", f"{task_id}-{place}") for place in "ab"]
        return {"task_id": task_id, "status": self.word, "songs": songs if self.with_songs else []}

    def _song(self, name: str, song_id: str) -> dict[str, Any]:
        return {name: song_id, "audio_url": f"https://cdn.songs.example.org/{song_id}.mp3"}


@asynccontextmanager
async def client_of(service: Service) -> AsyncGenerator[Client]:
    random.seed(1)  # of the jitter
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(service)) as http,
        Client(service.provider, http_client=http) as client,
    ):
        if service.provider.traits.callbacks != "none":
            client.callbacks("https://songs.example.org/udio")
        yield client


def told(error: UdioError) -> str:
    return f"`{type(error).__name__}`, charged: {error.charged}"


async def end_of(job: Job) -> str:
    """How the wait for a song ended, in the words of the page."""
    try:
        songs = await job.songs()
    except UdioError as error:
        return told(error)
    return f"{sum(song.error is None for song in songs)} songs"


def after(seconds: float) -> str:
    return "within a minute" if seconds < 60 else f"after {seconds / 60:.0f} min"


# Words ---------------------------------------------------------------------------------------


async def outcome_of_word(provider: Provider, word: str, *, with_songs: bool) -> str:
    service = Service(provider)
    service.word, service.with_songs = word, with_songs
    async with client_of(service) as client:
        job = await client.submit(REQUEST)
        began = anyio.current_time()
        said = await end_of(job)
        return f"{said} | {after(anyio.current_time() - began)}"


async def word_rows(provider: Provider, *, with_songs: bool) -> list[str]:
    groups: dict[str, dict[str, None]] = {}
    for words in (ENDED_WELL, ENDED_BADLY, WAITING, RUNNING, INVENTED):
        for word in sorted(words):
            outcome = await outcome_of_word(provider, word, with_songs=with_songs)
            shown = f"{len(INVENTED)} invented ones" if word in INVENTED else f"`{word}`"
            groups.setdefault(outcome, {})[shown] = None
    return [f"| {', '.join(words)} | {outcome} |" for outcome, words in groups.items()]


async def word_tables() -> list[str]:
    sections: dict[str, list[str]] = {}
    for name, provider in SERVICES.items():
        for with_songs in (False, True):
            shows = "it shows both songs" if with_songs else "it shows no song"
            table = "\n".join([WORDS_HEAD, *await word_rows(provider, with_songs=with_songs)])
            sections.setdefault(f": {shows}\n\n{table}", []).append(name)
    return [f"### {', '.join(names)}{section}" for section, names in sections.items()]


# Statuses ------------------------------------------------------------------------------------


def refusing(status: int, *, once: bool) -> Answer:
    def answer(number: int, about: str) -> httpx.Response | None:
        if about == "task-2" or (once and number > 1):
            return None
        return httpx.Response(status, json={"message": "no"})

    return answer


async def outcome_of_look(status: int, *, once: bool) -> str:
    """Of a song whose looks meet this, and of another that is being made meanwhile."""
    service = Service(SERVICES["udioapi v2"])
    service.look = refusing(status, once=once)
    async with client_of(service) as client:
        job, other = await client.submit(REQUEST), await client.submit(REQUEST)
        began = anyio.current_time()
        said = await end_of(job)
        took = after(anyio.current_time() - began)
        assert await end_of(other) == "2 songs"
        service.look = nothing
        assert await end_of(await client.submit(REQUEST)) == "2 songs"
    return said if said == "2 songs" else f"{said}, {took}"


async def outcome_of_submit(status: int, *, once: bool) -> str:
    service = Service(SERVICES["udioapi v2"])
    service.submit = refusing(status, once=once)
    async with client_of(service) as client:
        try:
            said = await end_of(await client.submit(REQUEST))
        except UdioError as error:
            said = told(error)
    return f"{said}, sent {service.submits}x"


def completed_now() -> Callable[..., Awaitable[float]]:
    """Return what tells the age of a song that is complete from now on."""
    begun = anyio.current_time()

    async def age(*_: object) -> float:
        return anyio.current_time() - begun

    return age


async def outcome_of_download(status: int, *, once: bool) -> str:
    service = Service(SERVICES["udioapi v2"])
    service.file = refusing(status, once=once)
    song = Song(
        id="a", task_id="task-1", provider="udioapi-v2", index=0, stage=Stage.COMPLETE,
        audio_url="https://cdn.songs.example.org/a.mp3", audio_is_final=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, patch.object(Source, "age", completed_now()):
        async with client_of(service) as client:
            try:
                [saved] = await client.download(song, folder)
            except UdioError as error:
                return f"{told(error)}, fetched {service.files}x"
            assert saved.path.exists()
    return f"saved, fetched {service.files}x"


async def status_table(outcome: Callable[..., Awaitable[str]]) -> str:
    rows = [
        f"| {status} | {await outcome(status, once=True)} | {await outcome(status, once=False)} |"
        for status in STATUSES
    ]
    return "\n".join([STATUSES_HEAD, *rows])


# The page ------------------------------------------------------------------------------------


def run(call: Callable[..., Awaitable[T]], *args: Any) -> T:  # noqa: ANN401 - handed on
    """Run on a clock that jumps."""
    backend, options = virtual_backend("asyncio")
    return anyio.run(call, *args, backend=backend, backend_options=dict(options))


async def _no_pause(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


def page() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "pause", _no_pause)
        downloads = anyio.run(status_table, outcome_of_download)  # disks know no virtual clock
    sections = [
        INTRODUCTION,
        *run(word_tables),
        LOOKS,
        run(status_table, outcome_of_look),
        SUBMITS,
        run(status_table, outcome_of_submit),
        DOWNLOADS,
        downloads,
    ]
    return "\n\n".join(sections) + "\n"


INTRODUCTION = """# What becomes of a song, answer by answer

Printed by `tests/test_answers.py`, which runs a client against each of these answers.

## Status words

In any case, with blanks, dashes or underscores. A word that nobody has documented means "still
running" as long as anything changes (stage, percentage, songs). If nothing changes for three times
as long as a song usually takes, the task has failed, and the error quotes the word. Songs of a task
that ended badly are in `error.songs`."""
LOOKS = """## Looks

JSON with this status, udioapi v2. Other songs and submits go on in every case."""
SUBMITS = """## Submits

JSON with this status and without an id; every other answer is in [verdicts](verdicts.md)."""
DOWNLOADS = """## Downloads

Of a song that was completed just now. Its file is waited for, about 3 minutes; that of an older one
is not."""
WORDS_HEAD = "| the task says | the wait ends with | when |\n| --- | --- | --- |"
STATUSES_HEAD = "| status | once | for good |\n| --- | --- | --- |"


@pytest.mark.timeout(180)  # some 800 waits of up to half an hour, on a clock that jumps
def test_the_documentation_is_what_happens() -> None:
    """docs/answers.md is what a client does; run this file to print it again."""
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", SERVICES)
def test_an_invented_word_is_in_the_error(name: str) -> None:
    """So that its user can ask the provider what it means."""

    async def said(word: str) -> str:
        service = Service(SERVICES[name])
        service.word, service.with_songs = word, False
        async with client_of(service) as client:
            with pytest.raises(UdioError) as caught:
                await (await client.submit(REQUEST)).songs()
        return str(caught.value)

    for word in INVENTED:
        assert repr(word) in run(said, word)


@pytest.mark.parametrize("status", [418, 429, 500, 503])
def test_a_wait_that_heard_nothing_says_so(status: int) -> None:
    """With the answer that came instead: that it is still being made, nobody can tell."""

    async def said() -> str:
        service = Service(SERVICES["udioapi v2"])
        service.look = refusing(status, once=False)
        async with client_of(service) as client:
            with pytest.raises(WaitExpired) as caught:
                await (await client.submit(REQUEST)).songs()
        return str(caught.value)

    told = run(said)
    assert "was queued when it was last seen, and no look told more (udioapi-v2 ans" in told
    assert f"answered {status}" in told
    assert "still queued" not in told


def test_songs_of_a_task_that_failed_are_counted() -> None:
    """They are in the error, and on disk from a shell."""

    async def said() -> str:
        service = Service(SERVICES["udioapi v2"])
        service.word = "failed"
        async with client_of(service) as client:
            with pytest.raises(GenerationFailed) as caught:
                await (await client.submit(REQUEST)).songs()
        assert len(caught.value.songs) == 2
        return str(caught.value)

    assert "2 of its songs arrived all the same" in run(said)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
