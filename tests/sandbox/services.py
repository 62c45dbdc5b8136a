"""The three services as plain HTTP: what a submit is, a look, and the songs in an answer."""

from typing import Any

import httpx
import pytest

PROVIDERS = ("udioapi-v1", "udioapi-v2", "apiframe")
every_provider = pytest.mark.parametrize("provider", PROVIDERS)
Json = Any  # what `response.json()` returns
_LOOKS = 3000


async def submit(http: httpx.AsyncClient, provider: str, prompt: str = "rain") -> httpx.Response:
    match provider:
        case "udioapi-v1":
            return await http.post("/api/generate", json={"prompt": prompt, "token": "sandbox"})
        case "udioapi-v2":
            return await http.post("/api/v2/generate", json={"gpt_description_prompt": prompt})
        case _:
            return await http.post("/udio-imagine", json={"prompt": prompt})


async def look(http: httpx.AsyncClient, provider: str, task_id: str) -> httpx.Response:
    match provider:
        case "udioapi-v1":
            return await http.get("/api/feed", params={"workId": task_id})
        case "udioapi-v2":
            return await http.get("/api/v2/feed", params={"workId": task_id})
        case _:
            return await http.post("/fetch", json={"task_id": task_id})


def id_in(answer: httpx.Response) -> str:
    """The task's id in the answer to a submit."""
    body = answer.json()
    return str(body.get("workId") or body["task_id"])


def word_in(answer: httpx.Response) -> str:
    """The task's own word in a look."""
    body = answer.json()
    task = body.get("data", body)
    return str(task.get("type") or task["status"])


def songs_in(answer: httpx.Response) -> list[dict[str, Any]]:
    """The songs in a look."""
    body = answer.json()
    task = body.get("data", body)
    songs: list[dict[str, Any]] = task.get("response_data") or task.get("songs") or []
    return songs


def song_id(song: dict[str, Any]) -> str:
    return str(song.get("id") or song["song_id"])


def link(song: dict[str, Any]) -> str:
    return str(song["audio_url"])


async def accepted(http: httpx.AsyncClient, provider: str, prompt: str = "rain") -> str:
    """Submit, and return the task's id."""
    answer = await submit(http, provider, prompt)
    assert answer.status_code == 200, answer.text
    return id_in(answer)


async def with_files(http: httpx.AsyncClient, provider: str, task_id: str) -> httpx.Response:
    """Look until every song has a link to a file, whatever the task says."""
    for _ in range(_LOOKS):
        answer = await look(http, provider, task_id)
        songs = songs_in(answer)
        if songs and all("/media/" in (song["audio_url"] or "") for song in songs):
            return answer
    raise AssertionError("The songs never had their files")


async def with_word(http: httpx.AsyncClient, provider: str, task_id: str, word: str) -> Json:
    """Look until the task says this word."""
    for _ in range(_LOOKS):
        answer = await look(http, provider, task_id)
        if word_in(answer) == word:
            return answer
    raise AssertionError(f"The task never said {word!r}")
