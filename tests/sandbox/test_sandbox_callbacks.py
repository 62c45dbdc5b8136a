"""The sandbox calls back as the pages say, and as they do not."""

import json
import random
import threading
from collections import Counter
from typing import Any

import anyio
import httpx
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
from udio_async.providers.apiframe_tasks import read_webhook
from udio_async.providers.udioapi_feed import read_callback
from udio_async.sandbox import Fault, _callbacks
from udio_async.sandbox._callbacks import AT_ONCE, Delivery

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


async def wait_for_deliveries(sandbox: Sandbox, number: int) -> tuple[Delivery, ...]:
    with anyio.fail_after(5):
        while len(sandbox.deliveries) < number:  # noqa: ASYNC110  # they happen in another thread
            await anyio.sleep(0.01)
    return sandbox.deliveries


def is_told(sandbox: Sandbox, word: bytes) -> bool:
    return any(word in each.body for each in sandbox.deliveries[1:])


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
        deliveries = await wait_for_deliveries(sandbox, 2)
    assert [each.status for each in deliveries] == [500, 500]
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


async def test_a_receiver_that_never_answers_does_not_use_up_the_slots_of_another() -> None:
    """The control is the status of the deaf one: nobody waited until it was given up."""
    async with (
        receiving(lambda _: 0) as deaf,
        receiving() as receiver,
        sandbox_with("skipped_callbacks", credits=1e4) as sandbox,
        Client(sandbox.udioapi_v1(generation="callback"), poll=NEVER) as client,
    ):
        for _ in range(AT_ONCE + 1):
            await client.submit(v1_request(deaf))
        await deaf.wait_for(AT_ONCE)
        await client.submit(v1_request(receiver))
        await receiver.wait_for(1)
        assert {each.status for each in sandbox.deliveries} <= {200}


async def test_a_receiver_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked again: it may well have taken what it was sent."""
    monkeypatch.setattr(_callbacks, "TIMEOUT", 0.1)
    async with receiving(lambda _: 0) as deaf, sandbox_with() as sandbox:
        await submit(sandbox, v1_request(deaf))
        deliveries = await wait_for_deliveries(sandbox, 3)
    assert [each.status for each in deliveries] == [None] * 3
    assert len(deaf.received) == 3


async def test_closing_waits_for_no_receiver() -> None:
    before = set(threading.enumerate())
    async with receiving(lambda _: 0) as deaf:
        async with sandbox_with("skipped_callbacks") as sandbox:
            await submit(sandbox, v1_request(deaf))
            await deaf.wait_for(1)
        servers = [each for each in threading.enumerate() if each.name == "udio-async-sandbox"]
    assert set(servers) <= before
    assert sandbox.deliveries == ()


UNSENDABLE = [
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:port/v1",
    "http://[::1/v1",
    "http://127.0.0.1\u2100/v1",
    "http://127.0.0.1:9/v\u00fc",
    "http://127.0.0.1:9/v 1",
]


async def test_what_cannot_be_sent_stops_nobody() -> None:
    """Bad addresses and secrets are taken, as the pages name no check, and are not called."""
    async with receiving() as receiver, sandbox_with("skipped_callbacks") as sandbox:
        headers = {"Authorization": "Bearer sandbox"}
        async with httpx.AsyncClient(
            base_url=sandbox.base_url, headers=headers, verify=False
        ) as http:
            for url in UNSENDABLE:
                body = {
                    "prompt": "a song",
                    "callback_url": url.replace("http://127.0.0.1:9", receiver.url),
                }
                assert (await http.post("/api/generate", json=body)).is_success
            for secret in ("two\nlines", "\u00fcber", " padded"):
                body = {"prompt": "a song", "webhook_url": receiver.url, "webhook_secret": secret}
                assert (await http.post("/udio-imagine", json=body)).is_success
        deliveries = await wait_for_deliveries(sandbox, len(UNSENDABLE) + 3)
        assert {each.status for each in deliveries} == {None}
        assert not receiver.received
        await submit(sandbox, v1_request(receiver))
        await receiver.wait_for(1)


async def test_the_latest_deliveries_are_kept_and_listed_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_callbacks, "MAX_DELIVERIES", 2)
    async with receiving() as receiver, sandbox_with() as sandbox:
        await submit(sandbox, apiframe_request(receiver), apiframe=True)
        await receiver.wait_for(3)
        with anyio.fail_after(5):
            while not is_told(sandbox, b"finished"):  # noqa: ASYNC110  # in another thread
                await anyio.sleep(0.01)
        deliveries = sandbox.deliveries
        async with httpx.AsyncClient(base_url=sandbox.base_url, verify=False) as http:
            listing = await http.get("/_sandbox/deliveries")
    assert [each.status for each in deliveries] == [200, 200]
    assert {each.secret for each in deliveries} == {"sesame"}
    assert "sesame" not in listing.text + repr(deliveries)
    assert [each["at"] for each in listing.json()] == [each.at for each in deliveries]


async def test_an_address_elsewhere_is_not_called() -> None:
    """The sandbox is no network."""
    async with sandbox_with("skipped_callbacks") as sandbox:
        options = UdioApiOptions(callback_url="https://songs.example.org/v1")
        await submit(sandbox, SongRequest(description="a song", options=options))
        [delivery] = await wait_for_deliveries(sandbox, 1)
    assert delivery.status is None


async def test_a_song_whose_answer_was_lost_calls_back_all_the_same() -> None:
    async with receiving() as receiver, sandbox_with("charged_502") as sandbox:
        async with Client(sandbox.apiframe(), journal=MemoryJournal()) as client:
            with pytest.raises(SubmitInDoubt):
                await client.submit(apiframe_request(receiver))
        received = await receiver.wait_for(3)
        [charge] = sandbox.ledger
    assert read_webhook(received[-1].body).task_id == charge.task_id
