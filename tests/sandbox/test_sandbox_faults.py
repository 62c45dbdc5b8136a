"""Faults happen to the submits that they were chosen for, and cost what they say."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.sandbox.services import every_provider, look, submit
from udio_async.sandbox import Fault, _submits
from udio_async.sandbox._faults import KINDS

MakeService = Callable[..., tuple[httpx.AsyncClient, Any]]
LEDGER = "/_sandbox/ledger"
ALWAYS = 600.0  # seconds at speed 1 after which any song is finished


async def charges(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    ledger: list[dict[str, Any]] = (await http.get(LEDGER)).json()["charges"]
    return ledger


@every_provider
@pytest.mark.parametrize(
    ("kind", "status", "charged"),
    [
        ("http_500", 500, 0),
        ("html_502", 502, 0),
        ("charged_502", 502, 1),
        ("rate_limited", 429, 0),
        ("refused", 400, 0),
    ],
)
async def test_a_bad_answer_costs_what_it_says(
    make_service: MakeService, provider: str, kind: str, status: int, charged: int
) -> None:
    """The ledger counts what was taken, not what was answered."""
    http, _ = make_service(faults=[Fault(kind)])
    answer = await submit(http, provider)
    assert answer.status_code == status
    assert len(await charges(http)) == charged
    assert answer.headers["content-type"].startswith("text/html") == (status == 502)
    assert ("retry-after" in answer.headers) == (status == 429)


@pytest.mark.parametrize("provider", ["udioapi-v1", "udioapi-v2"])
async def test_a_500_may_name_a_task_that_was_taken(
    make_service: MakeService, provider: str
) -> None:
    """As both pages show it; the task goes on as if nothing had happened."""
    http, clock = make_service(faults=[Fault("http_500_with_id")])
    answer = await submit(http, provider)
    work_id = answer.json()["workId"]
    assert answer.status_code == 500
    assert answer.json() == {
        "code": 500,
        "message": "Internal Server Error",
        "workId": work_id,
        "data": {"task_id": work_id},
    }
    assert [charge["task_id"] for charge in await charges(http)] == [work_id]
    clock.now = ALWAYS
    assert (await look(http, provider, work_id)).status_code == 200


async def test_apiframe_never_names_a_task_in_a_500(make_service: MakeService) -> None:
    """Its pages know no such answer."""
    http, _ = make_service(faults=[Fault("http_500_with_id")])
    assert (await submit(http, "apiframe")).status_code == 200


@every_provider
async def test_a_slow_submit_is_charged_before_it_answers(
    make_service: MakeService, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a caller who gives up has paid."""
    monkeypatch.setattr(_submits, "SLOW_ANSWER_SECONDS", 0.05)
    http, _ = make_service(faults=[Fault("slow_submit")])
    start = time.monotonic()
    assert (await submit(http, provider)).status_code == 200
    assert time.monotonic() - start >= 0.05
    assert len(await charges(http)) == 1


@every_provider
@pytest.mark.parametrize("kind", ["malformed", "look_500"])
async def test_the_first_two_looks_may_fail(
    make_service: MakeService, provider: str, kind: str
) -> None:
    """And then the song is there."""
    http, _ = make_service(faults=[Fault(kind)])
    body = (await submit(http, provider)).json()
    task_id = body.get("workId") or body["task_id"]
    seen = [await look(http, provider, task_id) for _ in range(3)]
    if kind == "look_500":
        assert [answer.status_code for answer in seen] == [500, 500, 200]
    else:
        assert [_is_json(answer) for answer in seen] == [False, False, True]


def _is_json(answer: httpx.Response) -> bool:
    try:
        answer.json()
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "field", "text"),
    [
        ("moderation", "fail_message", "Does Not Meet Guidelines"),
        ("moderation_early", "fail_message", "Does Not Meet Guidelines"),
        ("upstream", "error_message", "Server overload"),
        ("message:Prompt likely malformed", "error_message", "Prompt likely malformed"),
    ],
)
async def test_a_v2_task_fails_in_documented_words(
    make_service: MakeService, kind: str, field: str, text: str
) -> None:
    """The type says FAILED, and each item says why."""
    http, clock = make_service(faults=[Fault(kind)])
    work_id = (await submit(http, "udioapi-v2")).json()["workId"]
    clock.now = ALWAYS
    data = (await look(http, "udioapi-v2", work_id)).json()["data"]
    assert data["type"] == "FAILED"
    assert [item[field] for item in data["response_data"]] == [text, text]
    assert [item["audio_url"] for item in data["response_data"]] == ["", ""]
    assert len(await charges(http)) == 1


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("moderation", "Unable to generate lyrics from song description"),
        ("upstream", "Server overload"),
        ("message:Network error", "Network error"),
    ],
)
async def test_a_v1_task_fails_through_its_items(
    make_service: MakeService, kind: str, text: str
) -> None:
    """The v1 page has no word for a failed task, only `error_message`."""
    http, clock = make_service(faults=[Fault(kind)])
    work_id = (await submit(http, "udioapi-v1")).json()["workId"]
    clock.now = ALWAYS
    data = (await look(http, "udioapi-v1", work_id)).json()
    assert [item["error_message"] for item in data["response_data"]] == [text, text]


@pytest.mark.parametrize("kind", ["moderation", "upstream", "message:invalid param"])
async def test_an_apiframe_task_fails_with_a_message(make_service: MakeService, kind: str) -> None:
    """As other apiframe tasks do."""
    http, clock = make_service(faults=[Fault(kind)])
    task_id = (await submit(http, "apiframe")).json()["task_id"]
    clock.now = ALWAYS
    task = (await look(http, "apiframe", task_id)).json()
    assert task["status"] == "failed"
    assert task["message"]


@every_provider
async def test_one_of_two_songs_may_be_missing(make_service: MakeService, provider: str) -> None:
    """The task ends well, with one link; the other file does not exist."""
    http, clock = make_service(faults=[Fault("one_song")])
    body = (await submit(http, provider)).json()
    clock.now = ALWAYS
    answer = (await look(http, provider, body.get("workId") or body["task_id"])).json()
    data = answer.get("data", answer)
    assert data.get("type", data.get("status")) in {"SUCCESS", "complete", "finished"}
    one, other = data.get("response_data") or data["songs"]
    assert (await http.get(one["audio_url"])).status_code == 200
    assert not other["audio_url"]
    lost = other.get("id") or other["song_id"]
    assert (await http.get(f"/media/{lost}.mp3")).status_code == 404


@every_provider
async def test_a_stuck_task_never_ends(make_service: MakeService, provider: str) -> None:
    """It stays at 99 %."""
    http, clock = make_service(faults=[Fault("stuck")])
    body = (await submit(http, provider)).json()
    clock.now = 1e9
    answer = (await look(http, provider, body.get("workId") or body["task_id"])).json()
    data = answer.get("data", answer)
    assert data.get("type") in {None, "first", "IN_PROGRESS"}
    assert data.get("percentage") in {None, 99}


async def test_faults_choose_by_prompt_provider_turn_and_number(make_service: MakeService) -> None:
    """Every second "storm" for v2, at most twice; each fault counts for itself."""
    chosen = Fault("http_500", match="storm", every=2, provider="udioapi-v2", times=2)
    http, _ = make_service(faults=[chosen, Fault("refused", match="hail")])
    storms = [(await submit(http, "udioapi-v2", "a storm")).status_code for _ in range(8)]
    assert storms == [200, 500, 200, 500, 200, 200, 200, 200]
    assert (await submit(http, "udioapi-v2", "rain")).status_code == 200
    assert (await submit(http, "apiframe", "a storm")).status_code == 200
    assert (await submit(http, "apiframe", "hail")).status_code == 400


async def test_a_bad_request_uses_no_fault_up(make_service: MakeService) -> None:
    """Only submits that would have been taken count."""
    http, _ = make_service(faults=[Fault("http_500", times=1)])
    assert (await http.post("/udio-imagine", json={})).status_code == 400
    assert (await submit(http, "apiframe")).status_code == 500
    assert (await submit(http, "apiframe")).status_code == 200


@pytest.mark.parametrize("kind", ["", "htp_500", "message:", 5, None])
def test_an_unknown_kind_is_refused_and_the_known_are_named(kind: object) -> None:
    """A typing error must not become a test that tries nothing."""
    with pytest.raises(ValueError, match="known: ") as caught:
        Fault(kind)  # type: ignore[arg-type]  # that is the point
    assert all(known in str(caught.value) for known in KINDS)


@pytest.mark.parametrize(
    "settings",
    [
        {"every": 0},
        {"every": 1.5},
        {"every": True},
        {"times": 0},
        {"times": "2"},
        {"provider": "udio"},
        {"match": 5},
        {"match": None},
    ],
)
def test_an_impossible_choice_is_refused(settings: dict[str, Any]) -> None:
    """It would never happen."""
    with pytest.raises(ValueError, match=r"provider|at least 1|give text") as caught:
        Fault("stuck", **settings)
    assert all(repr(value) in str(caught.value) for value in settings.values())
