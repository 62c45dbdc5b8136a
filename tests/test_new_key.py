"""A journal and a new API key: what shows that both are of one account."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from udio_async import (
    AnotherAccount,
    Apiframe,
    AuthenticationFailed,
    Client,
    Provider,
    SongRequest,
    SqliteJournal,
    UdioApiV1,
    UdioApiV2,
    UdioError,
)

RAIN = SongRequest(description="rain", key="rain")
V1 = partial(UdioApiV1, generation="legacy")
Maker = Callable[..., Provider]


async def opened(maker: Maker, path: Path, answer: object, *, status: int = 200) -> None:
    """Submit with one key, then open the journal with another one, to which each look says this."""

    def serve(request: httpx.Request) -> httpx.Response:
        if "the-new-key" in request.headers["authorization"]:
            return httpx.Response(status, json=answer)
        if request.method == "POST" and "fetch" not in request.url.path:
            taken = {"code": 200, "workId": "t1", "task_id": "t1", "data": {"task_id": "t1"}}
            return httpx.Response(200, json=taken)
        return httpx.Response(200, json={"code": 200, "data": {"credits": 9}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:

        def client(key: str) -> Client:
            journal = SqliteJournal(path, threaded=False)
            return Client(maker(api_key=key), journal=journal, http_client=http)

        async with client("the-old-key") as old:
            await old.submit(RAIN)
        async with client("the-new-key"):
            pass


@pytest.mark.parametrize(
    ("maker", "answer"),
    [
        (UdioApiV2, {"code": 200, "data": None}),
        (UdioApiV2, {"code": 200, "data": {}}),
        (UdioApiV2, {"code": 200}),
        (UdioApiV2, {"code": 200, "data": {"type": "", "response_data": []}}),
        (UdioApiV2, {"code": 200, "data": {"type": "no such task"}}),
        (V1, {"code": 200, "data": []}),
        (V1, {"code": 200, "data": None}),
        (Apiframe, {}),
        (Apiframe, {"tasks": []}),
        (Apiframe, {"task_id": "t1", "status": ""}),
        (Apiframe, {"task_id": "t1", "status": "no such task"}),
    ],
)
async def test_an_answer_that_shows_nothing_proves_no_account(
    maker: Maker, answer: object, tmp_path: Path
) -> None:
    """The id in it is the one that was asked for; another account may get the same answer."""
    with pytest.raises(AnotherAccount, match="hand_over"):
        await opened(maker, tmp_path / "songs.db", answer)


@pytest.mark.parametrize(
    ("maker", "answer"),
    [
        (UdioApiV2, {"code": 200, "data": {"type": "IN_PROGRESS", "response_data": []}}),
        (UdioApiV2, {"code": 200, "data": {"type": "new", "response_data": [{"id": "a"}]}}),
        (V1, {"type": "QUEUED"}),
        (Apiframe, {"task_id": "t1", "status": "processing"}),
    ],
)
async def test_a_task_that_is_shown_proves_it(maker: Maker, answer: object, tmp_path: Path) -> None:
    """A state or a song of it is known to its own account only."""
    await opened(maker, tmp_path / "songs.db", answer)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationFailed), (403, AnotherAccount), (404, AnotherAccount)],
)
async def test_a_key_that_is_none_is_told_so(
    status: int, error: type[UdioError], tmp_path: Path
) -> None:
    """It is no key of another account, and to hand the journal over would help nobody."""
    answer: dict[str, Any] = {"code": status, "message": "no"}
    with pytest.raises(error):
        await opened(UdioApiV2, tmp_path / "songs.db", answer, status=status)
