"""A provider with a ledger, in memory: it takes money, loses answers, and never forgets a charge.

It speaks HTTP to the client's own adapters in place of a connection, on virtual clocks.
"""

import json
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch

import anyio
import anyio.to_thread
import attrs
import httpx
import trio

from tests.kit.clocks import in_the_loop
from udio_async import Apiframe, UdioApiV1, UdioApiV2
from udio_async._http import sender

MP3 = (bytes.fromhex("fffb9064") + bytes(413)) * 8
Provider = UdioApiV1 | UdioApiV2 | Apiframe
Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[bool]]
"""Posts a callback; tells whether it was acknowledged."""

PROVIDERS: Mapping[str, Callable[[], Provider]] = {
    "udioapi-v1": lambda: UdioApiV1(api_key="key"),
    "udioapi-v2": lambda: UdioApiV2(api_key="key"),
    "apiframe": lambda: Apiframe(api_key="key"),
}

UNTAKEN = (
    *("unreachable", "lost on the way", "hangs unread", "throttled", "told to wait", "empty"),
    *("refused", "broken", "gateway"),
)
TAKEN = ("answer lost", "answer hangs", "broken with id", "gateway after all", "no JSON", "cut")
"""What may become of a submit, beside its being answered well: not charged, and charged."""


@attrs.define(eq=False)
class Order:
    """One song that was charged."""

    prompt: str
    task_id: str
    ends_at: float
    end: str
    """ "complete", "half" of it only, "failed", or "stuck": it is never ready."""
    files_at: float
    """When the audio can be had: the links are shown before."""
    left_at: float
    """When the first byte of the submit left."""
    acknowledged: bool = False
    """Whether the client has said that it knows of it, to a callback."""
    delivered: bool = False
    """Whether it has been given the songs so."""

    def word(self, now: float) -> str:
        """How far it is: not begun, "text", or its end."""
        if now >= self.ends_at and self.end != "stuck":
            return "complete" if self.end == "half" else self.end
        return "text" if now >= self.ends_at - 20 else ""

    @property
    def made(self) -> tuple[str, ...]:
        """The ids of the songs that are made in the end."""
        return {"complete": self.names, "half": self.names[:1]}.get(self.end, ())

    @property
    def names(self) -> tuple[str, ...]:
        """The ids of its songs."""
        return f"{self.task_id}-0", f"{self.task_id}-1"


@attrs.define(eq=False)
class World:
    """The service, its ledger, and the network before it."""

    provider: Provider
    random: Random
    trouble: float
    """How likely each exchange meets a fault, from 0 to 1."""
    orders: dict[str, Order] = attrs.field(factory=dict)
    """Everything that was charged, by the task's id."""
    left: dict[str, list[float]] = attrs.field(factory=dict)
    """When a submit of this prompt began to leave, for each time."""
    seen: list[str] = attrs.field(factory=list)
    """What happened, for whoever replays a schedule."""
    post: Post | None = None
    tasks: Any = None
    """A task group for callbacks that are on their way."""

    # The ledger

    def charges(self, prompt: str) -> list[Order]:
        return [order for order in self.orders.values() if order.prompt == prompt]

    def note(self, text: str) -> None:
        self.seen.append(f"{anyio.current_time():9.2f}  {text}")

    # The network

    async def exchange(
        self, request: httpx.Request, process: "Process", *, told: bool = True
    ) -> httpx.Response:
        """Carry a request over, and its answer back; `told` how far it gets, or not."""
        paid = is_paid(request)
        prompt = _prompt(request) if paid else ""
        fault = self._fault(paid)
        left_at = anyio.current_time()  # untold it cannot be called back any more
        trace = request.extensions["trace"] if told else _untold
        await trace("connection.connect_tcp.started", {})
        await anyio.sleep(self.random.uniform(0, 0.5))
        if process.killed or fault == "unreachable":
            raise httpx.ConnectError("connection refused")
        await trace("connection.connect_tcp.complete", {"return_value": _Line()})
        await trace("http11.send_request_headers.started", {"request": _Sent()})
        if told:
            left_at = anyio.current_time()
        else:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            async for _ in request.stream:
                pass
        if paid:
            self.left.setdefault(prompt, []).append(left_at)
            self.note(f"{prompt} leaves: {fault or 'well'}")
        return await (
            self._submit(prompt, request, fault, left_at) if paid else self._answer(request, fault)
        )

    def _fault(self, paid: bool) -> str:
        if self.random.random() >= self.trouble:
            return ""
        return self.random.choice(UNTAKEN + TAKEN if paid else LOOK_FAULTS)

    async def _submit(
        self, prompt: str, request: httpx.Request, fault: str, left_at: float
    ) -> httpx.Response:
        order: Order | None = None
        try:
            await anyio.sleep(self.random.uniform(0, 1))
        except BaseException:
            # It is on its way, whoever has gone away: it arrives or not.
            if fault in TAKEN or self.random.random() < 0.5:
                self._charge(prompt, request, left_at)
            raise
        if not fault or fault in TAKEN:
            order = self._charge(prompt, request, left_at)
        if fault in {"hangs unread", "answer hangs"}:
            await anyio.sleep(1000)
        await anyio.sleep(self.random.uniform(0, 1))
        if fault in ("lost on the way", "answer lost"):
            raise httpx.ReadError("connection reset by peer")
        status, headers, body = _submit_answer(self.provider.name, fault, order)
        return answer(status, body, headers)

    def _charge(self, prompt: str, request: httpx.Request, left_at: float) -> Order:
        now = anyio.current_time()
        ends = ["complete", "half", "failed", "stuck"]
        ends_at = now + self.random.uniform(1, 90)
        order = Order(
            prompt=prompt,
            task_id=f"t{len(self.orders)}",
            ends_at=ends_at,
            end=self.random.choices(ends, [8, 2 * self.trouble, 1, self.trouble])[0],
            files_at=ends_at + self.random.choice([0, 0, 0, 60 * self.trouble]),
            left_at=left_at,
        )
        self.orders[order.task_id] = order
        self.note(f"{prompt} is charged as {order.task_id}, {order.end} at {order.ends_at:.2f}")
        address = address_of(request)
        if address is not None and self.tasks is not None:
            self.tasks.start_soon(self._call_back, order, *address)
        return order

    async def _call_back(self, order: Order, url: str, secret: str) -> None:
        """Post what is new, some of it late, and the end a few times."""
        for moment in (order.ends_at - 20, *[order.ends_at] * 4):
            await anyio.sleep_until(moment + self.random.expovariate(1 / 10))
            word = order.word(anyio.current_time())
            if not word or self.post is None or self.random.random() < self.trouble:
                continue
            shown = self._shown(order)
            if self.provider.name != "apiframe":
                shown = shown["data"]["response_data"]
            body = json.dumps(shown).encode()
            acknowledged = await self.post(url, body, {"x-webhook-secret": secret})
            order.acknowledged = order.acknowledged or acknowledged
            order.delivered = order.delivered or (acknowledged and word == "complete")
            self.note(f"callback of {order.task_id}: {word}, taken: {acknowledged}")

    # Looks and files

    async def _answer(self, request: httpx.Request, fault: str) -> httpx.Response:
        await anyio.sleep(self.random.uniform(0, 0.5))
        if fault == "reset":
            raise httpx.ReadError("connection reset by peer")
        if fault == "broken":
            return answer(500, b'{"message": "sorry"}')
        if fault == "no JSON":
            return answer(200, b"<html></html>")
        if request.url.host == CDN:
            order = self.orders[request.url.path.strip("/").partition("-")[0]]
            if anyio.current_time() < order.files_at:
                return answer(404, b"")
            return answer(200, MP3, {"etag": '"1"'})
        return answer(200, json.dumps(self._look(request)).encode())

    def _look(self, request: httpx.Request) -> object:
        if self.provider.name != "apiframe":
            return self._task(request.url.params["workId"])
        asked = _body(request)
        if "task_ids" in asked:
            known = [self.orders[name] for name in asked["task_ids"] if name in self.orders]
            return {"tasks": [self._shown(order) for order in known]}
        return self._task(asked["task_id"])

    def _task(self, task_id: str) -> object:
        order = self.orders.get(task_id)
        return {"code": 404, "message": "no such task"} if order is None else self._shown(order)

    def _shown(self, order: Order) -> dict[str, Any]:
        word = order.word(anyio.current_time())
        ready = word == "complete"
        told = {"title": "Rain", "prompt": "la la", "lyrics": "la la", "status": word}
        songs: list[dict[str, Any]] = [
            told
            | {"id": name, "song_id": name}
            | {"audio_url": f"https://{CDN}/{name}.mp3" if ready else None}
            for name in (order.names if word else ())
        ]
        if ready and order.end == "half":
            songs[1] |= {"status": "text", "error_message": "no luck", "audio_url": None}
        if self.provider.name == "apiframe":
            status = {"complete": "finished", "failed": "failed"}.get(word, "processing")
            return {"task_id": order.task_id, "status": status, "songs": songs}
        if word == "failed":
            songs = [song | {"status": "text", "error_message": "no luck"} for song in songs]
        types: Mapping[str, Mapping[str, str]] = {
            "udioapi-v1": {"": "new"},
            "udioapi-v2": {"complete": "SUCCESS"},
        }
        kind = types[self.provider.name].get(word, word or "IN_PROGRESS")
        return {"code": 200, "data": {"type": kind, "response_data": songs}}


CDN = "files.example.org"
LOOK_FAULTS = ("reset", "broken", "no JSON")
SUBMITS = ("/api/generate", "/api/v2/generate", "/udio-imagine")


@attrs.define(eq=False)
class Process:
    """One run of the user's program. What is killed sends nothing and writes nothing down."""

    killed: bool = False
    closed_at: float = float("inf")
    """When it began to close its client."""


class Network:
    """Stands where the client has its connections."""

    world: World
    process: Process

    def __init__(self, **_: object) -> None:
        self._process = self.process

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.world.exchange(request, self._process)

    async def aclose(self) -> None:
        pass


@contextmanager
def in_memory(seed: int) -> Iterator[None]:
    """Put `Network` in place of connections and threads; all goes the same way each time."""
    random.seed(seed)  # of waits that are spread
    trio._core._run._r.seed(seed)  # of the order in which tasks go on
    with (
        patch.object(sender, "LeasedTransport", Network),
        patch.object(anyio.to_thread, "run_sync", in_the_loop),
        patch.object(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
    ):
        yield


def answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Return an answer, without what httpx would add to it: that takes longer than all the rest."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


class _Line:
    """An open connection."""

    def get_extra_info(self, _name: str) -> None:
        return None

    async def aclose(self) -> None:
        pass


class _Sent:
    method = b"POST"


async def _untold(_event: str, _info: object) -> None:
    """Tell nobody how far a request is."""


def is_paid(request: httpx.Request) -> bool:
    return request.method == "POST" and request.url.path in SUBMITS


def _body(request: httpx.Request) -> Mapping[str, Any]:
    body: Mapping[str, Any] = json.loads(request.content)
    return body


def _prompt(request: httpx.Request) -> str:
    body = _body(request)
    return str(body.get("gpt_description_prompt") or body["prompt"])


def address_of(request: httpx.Request) -> tuple[str, str] | None:
    body = _body(request)
    url = body.get("webhook_url") or body.get("callback_url")
    return None if url is None else (url, body.get("webhook_secret", ""))


def _submit_answer(
    provider: str, fault: str, order: Order | None
) -> tuple[int, Mapping[str, str], bytes]:
    says: Mapping[str, tuple[int, Mapping[str, str], object]] = {
        "throttled": (429, {}, {"message": "slow down"}),
        "told to wait": (429, {"retry-after": "20"}, {"message": "slow down"}),
        "empty": (400, {}, {"message": "Your credits are used up"}),
        "refused": (422, {}, {"message": "no such words"}),
        "broken": (500, {}, {"message": "sorry"}),
    }
    if fault in says:
        status, headers, body = says[fault]
        return status, headers, json.dumps(body).encode()
    if fault in ("gateway", "gateway after all"):
        return 502, {}, b"<html>Bad gateway</html>"
    if fault == "no JSON":
        return 200, {}, b"<html>Welcome</html>"
    assert order is not None
    said: object = {"task_id": order.task_id}
    if provider != "apiframe":
        said = {"code": 200, "workId": order.task_id, "data": {"task_id": order.task_id}}
    text = json.dumps(said).encode()
    if fault == "cut":
        return 200, {}, text[:-1] if provider == "apiframe" else text[: text.index(b"data")]
    return (500 if fault == "broken with id" else 200), {}, text
