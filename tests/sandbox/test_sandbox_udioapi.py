"""The sandbox answers as the udioapi pages say."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from udio_async.sandbox import Sandbox

Json = Any  # what `response.json()` returns
MakeService = Callable[..., tuple[httpx.AsyncClient, Any]]
V2 = {"gpt_description_prompt": "a song about rain", "model": "chirp-v4-5"}
CALLBACK = {**V2, "callback_url": "https://example.com/callback"}
TOKEN = {"prompt": "a song about rain", "token": "sandbox"}
LOOKS = 2000
# The fields of one item in the samples of "POST /generate".
ITEM: dict[str, type | tuple[type, ...]] = {
    "id": str,
    "audio_url": str,
    "image_url": str,
    "image_large_url": str,
    "created_at": str,
    "createTime": str,
    "timestamp": int,
    "status": str,
    "title": str,
    "prompt": str,
    "tags": str,
    "duration": (float, str),
    "model_name": str,
    "extra_message": str,
    "fail_message": str,
    "error_message": str,
}


async def submit(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> str:
    answer = await http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["workId"])


async def look(http: httpx.AsyncClient, path: str, work_id: str) -> Json:
    answer = await http.get(path, params={"workId": work_id})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def finish(http: httpx.AsyncClient, path: str, work_id: str) -> Json:
    for _ in range(LOOKS):
        answer = await look(http, path, work_id)
        data = answer.get("data", answer)
        if data["type"] in {"SUCCESS", "complete", "FAILED"}:
            return data
    raise AssertionError("The task never ended")


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/generate", TOKEN), ("/api/generate", CALLBACK), ("/api/v2/generate", V2)],
    ids=["v1 with token", "v1 with callback", "v2"],
)
async def test_a_submit_is_answered_with_the_documented_envelope(
    http: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    """All three pages show code, message, workId and data.task_id, the ids being one."""
    answer = (await http.post(path, json=body)).json()
    work_id = answer["workId"]
    assert work_id.startswith("gen2")
    assert work_id.endswith("bksv")
    assert answer == {
        "code": 200,
        "message": "success",
        "workId": work_id,
        "data": {"task_id": work_id},
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_v1_feed_is_flat_and_ends_complete(http: httpx.AsyncClient, method: str) -> None:
    """The v1 feed has no envelope; GET and POST both work."""
    work_id = await submit(http, "/api/generate", TOKEN)
    data = await finish(http, "/api/feed", work_id)
    again = await http.request(method, "/api/feed", params={"workId": work_id})
    assert again.json() == data
    assert data["type"] == "complete"
    assert data["request_body"] == {"prompt": "a song about rain"}
    assert [item["status"] for item in data["response_data"]] == ["complete", "complete"]


async def test_v2_feed_has_an_envelope_and_ends_in_success(http: httpx.AsyncClient) -> None:
    """The v2 feed wraps what the v1 feed says, and gives each item all sixteen fields."""
    work_id = await submit(http, "/api/v2/generate", V2)
    data = await finish(http, "/api/v2/feed", work_id)
    assert data["type"] == "SUCCESS"
    assert data["request_body"] == V2
    assert len(data["response_data"]) == 2
    for item in data["response_data"]:
        assert item.keys() == ITEM.keys()
        assert all(isinstance(item[name], kind) for name, kind in ITEM.items())
        assert item["model_name"] == "chirp-v4-5"
        assert item["extra_message"] == "All generated successfully."


async def test_v1_stages_come_in_the_documented_order(make_service: MakeService) -> None:
    """new, IN_PROGRESS, text, first, complete; the first audio is one song's, and a stream."""
    http, clock = make_service()
    work_id = await submit(http, "/api/generate", TOKEN)
    seen: dict[str, Any] = {}
    for clock.now in range(0, 300, 2):
        answer = await look(http, "/api/feed", work_id)
        seen.setdefault(answer["type"], answer["response_data"])
    assert list(seen) == ["new", "IN_PROGRESS", "text", "first", "complete"]
    assert seen["new"] == seen["IN_PROGRESS"] == []
    text, first, complete = seen["text"], seen["first"], seen["complete"]
    assert [item["status"] for item in text + first + complete] == (
        ["text"] * 2 + ["first"] * 2 + ["complete"] * 2
    )
    assert [item["duration"] for item in text] == ["", ""]
    assert "/stream/?item_id=" in first[0]["audio_url"]
    assert first[0]["duration"] > 0
    assert (first[1]["audio_url"], first[1]["duration"]) == ("", "")
    assert all(item["audio_url"].endswith(f"/media/{item['id']}.mp3") for item in complete)
    assert [item["id"] for item in text] == [item["id"] for item in complete]


async def test_v2_is_in_progress_until_success(make_service: MakeService) -> None:
    """The v2 type knows only two words on the good path; the items tell the stage."""
    http, clock = make_service()
    work_id = await submit(http, "/api/v2/generate", V2)
    seen: list[tuple[str, str]] = []
    for clock.now in range(0, 300, 2):
        data = (await look(http, "/api/v2/feed", work_id))["data"]
        stage = data["response_data"][0]["status"] if data["response_data"] else ""
        if (data["type"], stage) not in seen:
            seen.append((data["type"], stage))
    assert seen == [
        ("IN_PROGRESS", ""),
        ("IN_PROGRESS", "text"),
        ("IN_PROGRESS", "first"),
        ("SUCCESS", "complete"),
    ]


async def test_own_title_lyrics_and_style_are_kept(http: httpx.AsyncClient) -> None:
    """A custom request gets its own words back, with another song behind each item."""
    body = {"prompt": "la la la", "title": "Mine", "style": "pop"}
    work_id = await submit(http, "/api/v2/generate", body)
    items = (await finish(http, "/api/v2/feed", work_id))["response_data"]
    assert [(i["title"], i["prompt"], i["tags"]) for i in items] == [
        ("Mine", "la la la", "pop")
    ] * 2
    assert items[0]["id"] != items[1]["id"]


async def test_instrumental_songs_have_no_lyrics(http: httpx.AsyncClient) -> None:
    """`make_instrumental` shows in the text stage."""
    work_id = await submit(http, "/api/v2/generate", {**V2, "make_instrumental": True})
    items = (await finish(http, "/api/v2/feed", work_id))["response_data"]
    assert [item["prompt"] for item in items] == ["[Instrumental]"] * 2


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Authorization": ""}, "No API key provided in Authorization header"),
        ({"Authorization": "Bearer wrong"}, "Unauthorized: Invalid or missing API key"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/generate"), ("POST", "/api/v2/generate"), ("GET", "/api/v2/credits")],
)
async def test_a_missing_and_a_wrong_key_are_told_apart(
    http: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], message: str
) -> None:
    """Both are 401, in different words."""
    answer = await http.request(method, path, json=CALLBACK, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"code": 401, "message": message}


async def test_a_wrong_token_is_refused(http: httpx.AsyncClient) -> None:
    """The older v1 page takes the key from the body."""
    answer = await http.post("/api/generate", json={**TOKEN, "token": "wrong"})
    assert answer.status_code == 401
    assert answer.json()["message"] == "Unauthorized: Invalid or missing API key"


@pytest.mark.parametrize("path", ["/api/feed", "/api/v2/feed"])
async def test_feed_needs_an_id_that_it_knows_but_no_key(
    http: httpx.AsyncClient, path: str
) -> None:
    """The pages show feed without a key; a wrong one is refused all the same."""
    unknown = await http.get(path, params={"workId": "x"}, headers={"Authorization": ""})
    assert unknown.status_code == 404
    assert unknown.json() == {"code": 404, "message": "Task not found"}
    assert (await http.get(path)).json() == {"code": 400, "message": "workId is required"}
    wrong = await http.get(path, params={"workId": "x"}, headers={"Authorization": "Bearer no"})
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/api/generate", V2, "callback_url is required"),
        ("/api/generate", {}, "callback_url is required"),
        ("/api/v2/generate", {}, "gpt_description_prompt or prompt is required"),
        ("/api/v2/generate", {**V2, "gender": "other"}, "gender must be one of male, female"),
        ("/api/v2/generate", {**V2, "model": "chirp-v9"}, "model must be one of"),
        ("/api/v2/generate", {**V2, "title": "x" * 81}, "title must be at most 80 characters"),
        ("/api/v2/generate", {**V2, "style": "x" * 1001}, "style must be at most 1000"),
        ("/api/v2/generate", {"prompt": "x" * 3001}, "prompt must be at most 3000"),
        ("/api/v2/generate", {"prompt": "x" * 5001, "model": "chirp-v4-5"}, "prompt must be"),
        ("/api/v2/generate", {"gpt_description_prompt": "x" * 401}, "gpt_description_prompt must"),
        ("/api/v2/generate", {**V2, "style_weight": 1.1}, "style_weight must be between 0 and 1"),
        ("/api/v2/generate", {**V2, "audio_weight": 0.123}, "audio_weight must have at most 2"),
        ("/api/v2/generate", {**V2, "audio_weight": "1"}, "audio_weight must be a number"),
        ("/api/v2/generate", {**V2, "title": 1}, "title must be a string"),
        ("/api/v2/generate", {**V2, "make_instrumental": "no"}, "make_instrumental must be a bool"),
        ("/api/v2/generate", [V2], "Body must be a JSON object"),
        ("/api/generate", {"token": "sandbox"}, "prompt is required"),
        ("/api/generate", {**TOKEN, "custom_mode": True}, "style is required"),
        ("/api/generate", {**TOKEN, "custom_mode": True, "style": "s"}, "title is required"),
        ("/api/generate", {**TOKEN, "prompt": "x" * 3001}, "Topic too long."),
        ("/api/generate", {**TOKEN, "model": "chirp-v5"}, "model must be one of"),
        ("/api/generate", {**TOKEN, "cluster": "third"}, "cluster must be one of default, second"),
    ],
)
async def test_what_the_pages_rule_out_is_a_400_that_names_the_field(
    http: httpx.AsyncClient, sandbox: Sandbox, path: str, body: Json, message: str
) -> None:
    """Nothing is charged for it."""
    before = len(sandbox.ledger)
    answer = await http.post(path, json=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert answer.json()["message"].startswith(message)
    assert len(sandbox.ledger) == before


@pytest.mark.parametrize("path", ["/api/generate", "/api/v2/generate"])
async def test_no_body_is_a_400(http: httpx.AsyncClient, path: str) -> None:
    """In the documented words; broken JSON in others."""
    empty = await http.post(path)
    assert (empty.status_code, empty.json()["message"]) == (400, "No body provided")
    broken = await http.post(path, content=b"{")
    assert (broken.status_code, broken.json()["message"]) == (400, "Body is not valid JSON")


@pytest.mark.parametrize(
    "body",
    [
        {"custom_mode": True, "prompt": "la", "style": "pop", "title": "T"},
        {"custom_mode": True, "make_instrumental": True, "style": "pop", "title": "T"},
        {"custom_mode": False, "make_instrumental": True, "prompt": "rain"},
        {"prompt": "rain", "model": "udio-130", "cluster": "second", "disable_callback": True},
    ],
)
async def test_each_row_of_the_custom_mode_table_is_accepted(
    http: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    """With exactly the fields that the row needs."""
    await submit(http, "/api/generate", {**body, "token": "sandbox"})


async def test_credits_go_down_until_nothing_can_be_paid(make_service: MakeService) -> None:
    """Each request costs ten; what cannot be paid is a 402 and is not taken."""
    http, _ = make_service(credits=15)
    await submit(http, "/api/v2/generate", V2)
    refused = await http.post("/api/v2/generate", json=V2)
    assert refused.status_code == 402
    assert refused.json() == {"code": 402, "message": "Insufficient credits"}
    answer = (await http.get("/api/v2/credits")).json()
    data = {"credits": 5, "used_credits": 10}
    assert answer == {"code": 200, "message": "success", "data": data}
