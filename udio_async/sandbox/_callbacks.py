"""Callbacks: each stage of a task, posted to the address of its submit.

Only addresses on this machine are called. No document says whether a failed delivery is tried
again; here a delivery that is answered with an error is sent once more.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import SplitResult, urlsplit

import anyio
import attrs
import h11
from anyio.abc import SocketStream, TaskGroup

from .._urls import is_loopback
from ._answers import gzipped
from ._tasks import MadeTask, Phase

AT_ONCE = 32  # deliveries to one receiver: one that does not answer must not hold up others
TIMEOUT = 10.0  # seconds for one delivery
RETRY_AFTER = 0.5  # seconds
MAX_DELIVERIES = 10_000  # deliveries
_STAGES = (Phase.TEXT, Phase.FIRST, Phase.COMPLETE, Phase.FAILED)
_LATE = 0.5  # of the task's own time, after its end
_SECRET = "x-webhook-secret"  # noqa: S105 - the name of a header, not a secret

_JUST_AFTER = 1e-6  # seconds

Describe = Callable[[float], object]
"""Returns what is posted about a task at a time of the world's clock."""


@attrs.frozen(kw_only=True)
class Delivery:
    """One callback, as it was posted."""

    provider: str
    task_id: str
    url: str
    secret: str | None = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    """The bytes as they were posted; they may be gzipped."""
    forged: bool
    status: int | None
    """The status that the receiver answered; None without an answer, or if nobody was called."""
    at: float
    """Unix time at which the answer came."""


@attrs.frozen(kw_only=True)
class _Letter:
    """One callback that is about to be posted."""

    url: str
    secret: str | None
    body: bytes
    gzipped: bool = False
    forged: bool = False


@attrs.define
class Caller:
    """Posts callbacks, in tasks of the server, for as long as it runs."""

    deliveries: list[Delivery] = attrs.field(factory=list, init=False)
    _tasks: TaskGroup | None = attrs.field(default=None, init=False)
    _slots: defaultdict[str, anyio.Semaphore] = attrs.field(
        factory=lambda: defaultdict(lambda: anyio.Semaphore(AT_ONCE)), init=False
    )

    def start(self, tasks: TaskGroup) -> None:
        """Begin to call back, in these tasks."""
        self._tasks = tasks

    def follow(self, task: MadeTask, now: float, describe: Describe) -> None:
        """Report on a task that was accepted just now.

        Nothing happens if its submit named no address.
        """
        address = _address_of(task)
        if self._tasks is not None and address is not None:
            self._tasks.start_soon(self._report, task, now, address, describe)

    async def _report(
        self, task: MadeTask, now: float, address: tuple[str, str | None], describe: Describe
    ) -> None:
        """Post each stage of a task when it is due."""
        url, secret = address
        begin = anyio.current_time() - (now - task.born)
        async with anyio.create_task_group() as letters:
            for after, phase in _plan(task):
                await anyio.sleep_until(begin + after)
                moment = task.born + (task.enters_after(phase) or 0.0) + _JUST_AFTER
                body = json.dumps(describe(moment)).encode()
                letter = _spoiled(_Letter(url=url, secret=secret, body=body), task.kind)
                if task.fault == "forged_callback":
                    for forged in _forgeries(letter):
                        await self._deliver(task, forged)
                for _ in range(2 if task.fault == "doubled_callback" else 1):
                    letters.start_soon(self._deliver, task, letter)
                if task.fault in {"reordered_callbacks", "late_callback"}:
                    await anyio.sleep(0.05)  # so that they arrive in this order

    async def _deliver(self, task: MadeTask, letter: _Letter) -> None:
        """Post one callback, once more if it is answered with an error."""
        status = await self._post(letter)
        if status is not None and not 200 <= status < 300 and not letter.forged:
            self._note(task, letter, status)
            await anyio.sleep(RETRY_AFTER)
            status = await self._post(letter)
        self._note(task, letter, status)

    async def _post(self, letter: _Letter) -> int | None:
        """Return the status of the answer; None if there was none."""
        try:
            parts = urlsplit(letter.url)
            if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
                return None
            async with self._slots[parts.netloc]:
                with anyio.move_on_after(TIMEOUT):
                    return await _post(parts, letter)
        except (OSError, ValueError, anyio.BrokenResourceError, h11.ProtocolError):
            pass  # nobody speaks HTTP there, or no request can hold the address or the secret
        return None

    def _note(self, task: MadeTask, letter: _Letter, status: int | None) -> None:
        self.deliveries.append(
            Delivery(
                provider=task.order.provider,
                task_id=task.id,
                url=letter.url,
                secret=letter.secret,
                body=letter.body,
                forged=letter.forged,
                status=status,
                at=time.time(),
            )
        )
        del self.deliveries[:-MAX_DELIVERIES]


def _address_of(task: MadeTask) -> tuple[str, str | None] | None:
    """Return the address that a submit named, and the secret to send there.

    None if it named no address, or wants no callback.
    """
    asked: Mapping[str, object] = task.order.request
    match task.order.provider:
        case "udioapi-v1":
            url, secret = asked.get("callback_url"), None
            if asked.get("disable_callback"):
                return None
        case "apiframe":
            url, secret = asked.get("webhook_url"), asked.get("webhook_secret")
        case _:
            return None
    if not isinstance(url, str) or not url or task.fault == "dropped_callbacks":
        return None
    return url, secret if isinstance(secret, str) else None


def _plan(task: MadeTask) -> Iterator[tuple[float, Phase]]:
    """Return the callbacks: seconds after the submit, and the phase of each."""
    entered = [(task.enters_after(phase), phase) for phase in _STAGES]
    due = sorted((after, phase) for after, phase in entered if after is not None)
    if not due:  # the task stays in a phase of which no callback tells
        return
    end = due[-1][0]
    if task.fault == "skipped_callbacks":
        yield due[-1]
    elif task.fault == "late_callback":
        yield from ((end + _LATE * task.length, phase) for _, phase in due)
    elif task.fault == "reordered_callbacks":
        yield from ((end, phase) for _, phase in reversed(due))
    else:
        yield from due


def _spoiled(letter: _Letter, kind: str) -> _Letter:
    """Return a callback as the fault of its task wants it."""
    if kind == "gzipped_callback":
        return attrs.evolve(letter, body=gzipped(letter.body), gzipped=True)
    if kind == "slash_callback":
        path, mark, query = letter.url.partition("?")
        return attrs.evolve(letter, url=f"{path}/{mark}{query}")
    return letter


def _forgeries(letter: _Letter) -> Iterator[_Letter]:
    """Return what a stranger would post, who knows how callbacks look and not the address."""
    last = "0" if letter.url[-1] != "0" else "1"
    yield attrs.evolve(letter, url=letter.url[:-1] + last, forged=True)
    if letter.secret is not None:
        yield attrs.evolve(letter, secret="guessed", forged=True)  # noqa: S106 - a wrong one
        yield attrs.evolve(letter, secret=None, forged=True)


async def _post(parts: SplitResult, letter: _Letter) -> int:
    """Send one request and return the status of its answer."""
    headers = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(letter.body)),
        "Connection": "close",
    }
    if letter.secret is not None:
        headers[_SECRET] = letter.secret
    if letter.gzipped:
        headers["Content-Encoding"] = "gzip"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    line = h11.Connection(h11.CLIENT)
    request = h11.Request(method="POST", target=target, headers=list(headers.items()))
    message = [request, h11.Data(data=letter.body), h11.EndOfMessage()]
    async with await anyio.connect_tcp(parts.hostname or "", parts.port or 80) as stream:
        await stream.send(b"".join(line.send(part) or b"" for part in message))
        return await _read_status(line, stream)


async def _read_status(line: h11.Connection, stream: SocketStream) -> int:
    """Return the status of the answer that comes in."""
    while True:
        event = line.next_event()
        if event is h11.NEED_DATA:
            try:
                line.receive_data(await stream.receive())
            except anyio.EndOfStream:
                line.receive_data(b"")
        elif isinstance(event, h11.Response):
            return event.status_code
        elif not isinstance(event, h11.InformationalResponse):
            raise h11.RemoteProtocolError("no answer")
