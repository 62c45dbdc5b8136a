"""Where an adapter says that its ids are."""

from collections.abc import Coroutine
from typing import Any

import pytest

from udio_async import ApiKey, InvalidRequest, SubmitInDoubt
from udio_async._http import Account, Call, Reply
from udio_async.providers.rules import SHARED_RULES
from udio_async.providers.verdicts import send_submit
from udio_async.testing import RecordedHttp


def submit(
    body: bytes, id_at: object, status: int = 200
) -> tuple[RecordedHttp, Coroutine[Any, Any, str]]:
    account = Account(base_url="https://api.example.org", key=ApiKey("a" * 12))
    http = RecordedHttp([Reply(status=status, headers={}, body=body)])
    call = Call(account=account, method="POST", path="/songs", json={})
    place: Any = id_at  # also what is no text
    return http, send_submit(http, call, SHARED_RULES, provider="p", id_at=place)


@pytest.mark.parametrize(
    ("body", "id_at"),
    [
        (b'{"id": "a"}', "id"),
        (b'{"ID": "a"}', "id"),
        (b'{"job": {"id": "a"}}', "job.id"),
        (b'[{"id": "a"}]', "id"),
        (b'[{"id": "a"}]', "0.id"),
        (b'{"ids": ["a"]}', "ids"),
        (b'{"ids": ["a"]}', "ids.0"),
        (b'{"clips": [{"id": "a"}, {"id": "b"}]}', "clips.0.id"),
        (b'{"clips": [{"id": "b"}, {"id": "a"}]}', "clips.1.id"),
        (b'{"0": {"id": "a"}}', "0.id"),
        (b'{"ids": ["a", "b', "ids.0"),
        (b'{"clips": [{"id": "a"}, {"id', "clips.0.id"),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
async def test_an_adapter_can_name_a_place_in_a_list(body: bytes, id_at: str, status: int) -> None:
    """A number is a place; a list of one needs none. The answer may be cut, and refuse in words."""
    _, submitted = submit(body, id_at, status)
    assert await submitted == "a"


@pytest.mark.parametrize(
    ("body", "id_at"),
    [
        (b'[{"id": "a"}, {"id": "b"}]', "id"),
        (b'{"ids": ["a", "b"]}', "ids"),
        (b'{"ids": ["a"]}', "ids.1"),
        (b'{"ids": "a"}', "ids.0"),
        (b'{"ids": []}', "ids"),
        (b'{"id": {"x": 1}}', "id"),
        (b'["a"]', "id"),
        (b'{"task_id": ["a", "b', "id"),
        (b'{"ids": ["a", "b', "ids"),
    ],
)
async def test_which_of_several_is_never_guessed(body: bytes, id_at: str) -> None:
    """Something may be paid for, and nobody knows which id it has."""
    _, submitted = submit(body, id_at)
    with pytest.raises(SubmitInDoubt):
        await submitted


@pytest.mark.parametrize("id_at", [("id", "uuid"), ["id"], 0, "", b"id"])
async def test_a_place_that_is_no_text_is_refused_before_anything_is_sent(id_at: object) -> None:
    """Otherwise the request would be paid for, and its id not read."""
    http, submitted = submit(b'{"id": "a"}', id_at)
    with pytest.raises(InvalidRequest, match="name one place"):
        await submitted
    assert http.calls == []


@pytest.mark.parametrize(
    "around", ['{"code": 200, "data": {"task_id":%s', '{"message": "task_id:%s"}']
)
@pytest.mark.timeout(20)  # a search that tries each part of the blanks takes hours
async def test_blanks_behind_the_name_of_an_id_are_passed_over(around: str) -> None:
    """As a gateway sends them to keep a connection open; meanwhile no other song would go on."""
    _, submitted = submit((around % (" " * 1_000_000)).encode(), None)
    with pytest.raises(SubmitInDoubt):
        await submitted
    _, submitted = submit((around % (" " * 1_000 + "'a b'")).encode(), None, status=429)
    with pytest.raises(SubmitInDoubt):
        await submitted
