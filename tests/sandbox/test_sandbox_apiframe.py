"""The sandbox answers as the apiframe pages say."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from udio_async.sandbox import Sandbox

Json = Any  # what `response.json()` returns
MakeService = Callable[..., tuple[httpx.AsyncClient, Any]]
BODY = {"prompt": "a true friend"}
LOOKS = 2000


async def submit(http: httpx.AsyncClient, body: Json = None) -> str:
    answer = await http.post("/udio-imagine", json=body or BODY)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["task_id"]
    return str(answer.json()["task_id"])


async def fetch(http: httpx.AsyncClient, task_id: str) -> Json:
    answer = await http.post("/fetch", json={"task_id": task_id})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def finish(http: httpx.AsyncClient, task_id: str) -> Json:
    for _ in range(LOOKS):
        task = await fetch(http, task_id)
        if task["status"] in {"finished", "failed"}:
            return task
    raise AssertionError("The task never ended")


async def test_a_finished_task_has_two_songs_with_their_own_lyrics(http: httpx.AsyncClient) -> None:
    """In exactly the documented fields."""
    task_id = await submit(http)
    assert str(uuid.UUID(task_id)) == task_id
    task = await finish(http, task_id)
    assert task.keys() == {"task_id", "task_type", "status", "songs"}
    assert (task["task_id"], task["task_type"]) == (task_id, "udio")
    one, other = task["songs"]
    assert one.keys() == other.keys() == {"lyrics", "song_id", "audio_url", "image_url"}
    assert one["lyrics"] != other["lyrics"]
    assert one["audio_url"].endswith(f"/media/{one['song_id']}.mp3")


async def test_statuses_come_in_the_documented_order(make_service: MakeService) -> None:
    """Lyrics and image come before the audio, and the percentage only rises."""
    http, clock = make_service()
    task_id = await submit(http)
    seen: dict[str, Any] = {}
    percentages: list[int] = []
    for half_seconds in range(600):
        clock.now = half_seconds / 2
        task = await fetch(http, task_id)
        seen[task["status"]] = task
        percentages += [task["percentage"]] if "percentage" in task else []
    assert list(seen) == ["staged", "pending", "starting", "processing", "finished"]
    assert seen["staged"] == {"task_id": task_id, "status": "staged"}
    assert percentages == sorted(percentages)
    assert percentages[-1] == 99
    songs = seen["processing"]["songs"]
    assert [song["audio_url"] for song in songs] == [None, None]
    assert all(song["lyrics"] and song["image_url"] for song in songs)


async def test_own_lyrics_are_kept(http: httpx.AsyncClient) -> None:
    """In both songs."""
    task = await finish(http, await submit(http, {"prompt": "rap", "lyrics": "la la"}))
    assert [song["lyrics"] for song in task["songs"]] == ["la la", "la la"]


@pytest.mark.parametrize("key", ["sandbox", "Bearer sandbox"])
async def test_the_key_goes_bare_or_as_bearer(http: httpx.AsyncClient, key: str) -> None:
    """The page shows it bare, the vendor's own client sends Bearer."""
    answer = await http.get("/account", headers={"Authorization": key})
    assert answer.status_code == 200
    assert answer.json().keys() == {"email", "credits", "total_images", "plan"}


@pytest.mark.parametrize("key", ["", "wrong"])
@pytest.mark.parametrize("path", ["/udio-imagine", "/fetch", "/fetch-many", "/account"])
async def test_any_other_key_is_an_empty_401(http: httpx.AsyncClient, path: str, key: str) -> None:
    """An empty object, as documented."""
    method = "GET" if path == "/account" else "POST"
    answer = await http.request(method, path, json=BODY, headers={"Authorization": key})
    assert (answer.status_code, answer.json()) == (401, {})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "prompt is required"),
        ({**BODY, "model": "udio-32"}, "model must be one of udio32-v1.5, udio130-v1.5"),
        ({**BODY, "prompt_strength": 2}, "prompt_strength must be between 0 and 1"),
        ({**BODY, "lyrics_placement_start": "4"}, "lyrics_placement_start must be a number"),
        ({**BODY, "bypass_prompt_optimization": 1}, "bypass_prompt_optimization must be a boolean"),
        ({**BODY, "webhook_url": 1}, "webhook_url must be a string"),
    ],
)
async def test_what_the_page_rules_out_is_a_400_with_errors(
    http: httpx.AsyncClient, sandbox: Sandbox, body: Json, message: str
) -> None:
    """Nothing is charged for it."""
    before = len(sandbox.ledger)
    answer = await http.post("/udio-imagine", json=body)
    assert (answer.status_code, answer.json()) == (400, {"errors": [{"msg": message}]})
    assert len(sandbox.ledger) == before


async def test_all_documented_fields_are_accepted(http: httpx.AsyncClient) -> None:
    """With values of the documented kinds."""
    shares = ("prompt_strength", "clarity_strength", "lyrics_strength", "generation_quality")
    await submit(
        http,
        {
            **BODY,
            "model": "udio130-v1.5",
            "bypass_prompt_optimization": True,
            **dict.fromkeys(shares, 0.5),
            "negative_prompt": "drums",
            "lyrics_placement_start": 4,
            "lyrics_placement_end": 20.5,
            "tags": "rap pop",
            "webhook_url": "https://example.com/hook",
            "webhook_secret": "abc123",
        },
    )


async def test_an_unknown_task_is_a_404(http: httpx.AsyncClient) -> None:
    """With the error in the usual place."""
    answer = await http.post("/fetch", json={"task_id": "x"})
    assert (answer.status_code, answer.json()) == (404, {"errors": [{"msg": "Task not found"}]})


async def test_fetch_many_leaves_unknown_ids_out(http: httpx.AsyncClient) -> None:
    """The answer is matched by id, never by position."""
    known = [await submit(http), await submit(http)]
    answer = await http.post("/fetch-many", json={"task_ids": [known[0], "x", known[1]]})
    assert [task["task_id"] for task in answer.json()["tasks"]] == known


@pytest.mark.parametrize("ids", [None, [], ["a"], ["a"] * 21, ["a", 1]])
async def test_fetch_many_takes_two_to_twenty_ids(http: httpx.AsyncClient, ids: Json) -> None:
    """Anything else is a 400."""
    answer = await http.post("/fetch-many", json={"task_ids": ids})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["msg"].startswith("task_ids must")


async def test_a_request_costs_nine_credits_until_none_are_left(make_service: MakeService) -> None:
    """What cannot be paid is a 402 and is not taken."""
    http, _ = make_service(credits=10)
    await submit(http)
    assert (await http.get("/account")).json()["credits"] == 1
    assert (await http.post("/udio-imagine", json=BODY)).status_code == 402
