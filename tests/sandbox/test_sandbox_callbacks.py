"""The sandbox calls back as the pages say, and as they do not."""

import json
import random
from collections import Counter
from typing import Any

import anyio
import pytest

from tests.kit.receiver import Received, Receiver, receiving
from udio_async import (
    ApiframeOptions,
    Client,
    MemoryJournal,
    PollPolicy,
    Sandbox,
    SongRequest,
    Stage,
    SubmitInDoubt,
    UdioApiOptions,
)
from udio_async.providers.apiframe import read_webhook
from udio_async.providers.udioapi_feed import read_callback
from udio_async.sandbox import Fault

NEVER = PollPolicy(min_interval=1e3)
"""The tests listen to callbacks; nobody looks."""


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(1)


def v1_request(receiver: Receiver, path: str = "/v1") -> SongRequest:
    return SongRequest(
        description="a song", options=UdioApiOptions(callback_url=receiver.url + path)
    )


def apiframe_request(receiver: Receiver, secret: str | None = "sesame") -> SongRequest:
    options = ApiframeOptions(webhook_url=f"{receiver.url}/hook", webhook_secret=secret)
    return SongRequest(description="a song", options=options)


def sandbox_with(kind: str = "", **options: Any) -> Sandbox:  # noqa: ANN401 - they are passed on
    return Sandbox(speed=300, faults=[Fault(kind)] if kind else [], **options)


async def submit(sandbox: Sandbox, request: SongRequest, *, apiframe: bool = False) -> str:
    provider = sandbox.apiframe() if apiframe else sandbox.udioapi_v1(generation="callback")
    async with Client(provider, poll=NEVER) as client:
        return (await client.submit(request)).task_id


def v1_stages(received: list[Received]) -> list[Stage]:
    return [read_callback(each.body, provider="udioapi-v1").stage for each in received]


V1_STAGES = [Stage.TEXT_READY, Stage.FIRST_AUDIO, Stage.COMPLETE]


@pytest.mark.parametrize("generation", ["callback", "legacy"])
async def test_udioapi_posts_a_bare_list_at_each_stage(generation: str) -> None:
    """Songs, and nothing that names their task (page "generate with callback")."""
    async with receiving() as receiver, sandbox_with() as sandbox:
        provider = sandbox.udioapi_v1(generation=generation)
        style = {"style": "pop", "title": "T", "lyrics": "la"} if generation == "legacy" else {}
        request = SongRequest(
            description=None if style else "a song",
            options=UdioApiOptions(callback_url=f"{receiver.url}/v1"),
            **style,  # type: ignore[arg-type]  # all of it is text
        )
        async with Client(provider, poll=NEVER) as client:
            job = await client.submit(request)
        received = await receiver.wait_for(3)
    assert v1_stages(received) == V1_STAGES
    bodies = [json.loads(each.body) for each in received]
    assert all(isinstance(body, list) and len(body) == 2 for body in bodies)
    assert all(job.task_id not in each.body.decode() for each in received)
    assert [[song["status"] for song in body] for body in bodies] == [
        ["text"] * 2,
        ["first"] * 2,
        ["complete"] * 2,
    ]
    assert [bool(body[0]["audio_url"]) for body in bodies] == [False, True, True]
    assert all(each.headers["content-type"] == "application/json" for each in received)


async def test_apiframe_posts_the_task_with_the_secret() -> None:
    """The same object as `/fetch` shows, updates and result."""
    async with receiving() as receiver, sandbox_with() as sandbox:
        task_id = await submit(sandbox, apiframe_request(receiver), apiframe=True)
        received = await receiver.wait_for(3)
    news = [read_webhook(each.body) for each in received]
    assert {each.task_id for each in news} == {task_id}
    assert news[-1].stage is Stage.COMPLETE
    assert all(each.headers["x-webhook-secret"] == "sesame" for each in received)


async def test_without_a_secret_none_is_shown() -> None:
    async with receiving() as receiver, sandbox_with() as sandbox:
        await submit(sandbox, apiframe_request(receiver, None), apiframe=True)
        received = await receiver.wait_for(1)
    assert "x-webhook-secret" not in received[0].headers


async def test_a_failed_task_calls_once_more_with_its_reason() -> None:
    """Not documented; the fields for it are."""
    async with receiving() as receiver, sandbox_with("moderation") as sandbox:
        await submit(sandbox, v1_request(receiver))
        [v1] = await receiver.wait_for(1)
        receiver.received.clear()
        await submit(sandbox, apiframe_request(receiver), apiframe=True)
        [apiframe] = await receiver.wait_for(1)
    assert read_callback(v1.body, provider="udioapi-v1").stage is Stage.FAILED
    assert read_webhook(apiframe.body).stage is Stage.FAILED


ORDERS = {
    "late_callback": V1_STAGES,
    "reordered_callbacks": V1_STAGES[::-1],
    "skipped_callbacks": V1_STAGES[-1:],
}


@pytest.mark.parametrize("kind", ORDERS)
async def test_callbacks_may_be_late_reordered_or_skipped(kind: str) -> None:
    async with receiving() as receiver, sandbox_with(kind) as sandbox:
        await submit(sandbox, v1_request(receiver))
        received = await receiver.wait_for(len(ORDERS[kind]))
        assert v1_stages(received) == ORDERS[kind]


async def test_callbacks_may_come_twice() -> None:
    async with receiving() as receiver, sandbox_with("doubled_callback") as sandbox:
        await submit(sandbox, v1_request(receiver))
        received = await receiver.wait_for(6)
    assert Counter(v1_stages(received)) == dict.fromkeys(V1_STAGES, 2)


async def test_callbacks_may_never_come() -> None:
    """Those of the next song do."""
    async with (
        receiving() as receiver,
        Sandbox(speed=300, faults=[Fault("dropped_callbacks", times=1)]) as sandbox,
    ):
        await submit(sandbox, v1_request(receiver, "/dropped"))
        await submit(sandbox, v1_request(receiver, "/next"))
        received = await receiver.wait_for(3)
    assert {each.path for each in received} == {"/next"}


async def test_forged_callbacks_come_before_the_true_ones() -> None:
    """To an address that was never given out, with a wrong secret, and without one."""
    async with receiving() as receiver, sandbox_with("forged_callback") as sandbox:
        await submit(sandbox, apiframe_request(receiver), apiframe=True)
        received = await receiver.wait_for(12)
        assert sum(each.forged for each in sandbox.deliveries) >= 9
    first = [(each.path, each.headers.get("x-webhook-secret")) for each in received[:4]]
    assert first == [
        ("/hoo0", "sesame"),
        ("/hook", "guessed"),
        ("/hook", None),
        ("/hook", "sesame"),
    ]


async def test_a_failing_receiver_is_tried_once_more() -> None:
    """No document says so, nor that it is not."""
    async with receiving(lambda _: 500) as receiver, sandbox_with("skipped_callbacks") as sandbox:
        await submit(sandbox, v1_request(receiver))
        await receiver.wait_for(2)
        with anyio.fail_after(5):
            while len(sandbox.deliveries) < 2:  # noqa: ASYNC110  # they happen in another thread
                await anyio.sleep(0.01)
    assert [each.status for each in sandbox.deliveries] == [500, 500]
    assert len(receiver.received) == 2


async def test_a_receiver_that_never_answers_delays_nobody_else() -> None:
    async with (
        receiving(lambda received: 0 if received.path == "/slow" else 200) as receiver,
        sandbox_with() as sandbox,
    ):
        await submit(sandbox, v1_request(receiver, "/slow"))
        await submit(sandbox, v1_request(receiver, "/quick"))
        await receiver.wait_for(6)
    assert Counter(each.path for each in receiver.received) == {"/slow": 3, "/quick": 3}


async def test_an_address_elsewhere_is_not_called() -> None:
    """The sandbox is no network."""
    async with sandbox_with("skipped_callbacks") as sandbox:
        options = UdioApiOptions(callback_url="https://songs.example.org/v1")
        await submit(sandbox, SongRequest(description="a song", options=options))
        with anyio.fail_after(5):
            while not sandbox.deliveries:  # noqa: ASYNC110  # they happen in another thread
                await anyio.sleep(0.01)
    [delivery] = sandbox.deliveries
    assert delivery.status is None


async def test_a_song_whose_answer_was_lost_calls_back_all_the_same() -> None:
    async with receiving() as receiver, sandbox_with("charged_502") as sandbox:
        async with Client(sandbox.apiframe(), journal=MemoryJournal()) as client:
            with pytest.raises(SubmitInDoubt):
                await client.submit(apiframe_request(receiver))
        received = await receiver.wait_for(3)
        [charge] = sandbox.ledger
    assert read_webhook(received[-1].body).task_id == charge.task_id
