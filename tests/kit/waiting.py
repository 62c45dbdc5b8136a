"""Every place where a submit waits before its first byte leaves, held there until it is let go."""

import socket
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
)
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from typing import Any

import anyio
import attrs
import httpx
import pytest
from anyio.abc import TaskStatus

from tests.kit.fault_server import Behaviour, Connection, FaultServer
from tests.kit.timed import SONG, TimedProvider
from udio_async import (
    Client,
    JournalEntry,
    JournalState,
    MemoryJournal,
    RateLimited,
    RequestRefused,
    SongRequest,
    UdioApiV2,
    UdioError,
    Unreachable,
    _lifetime,
)

PUBLIC = "https://songs.example.org/udio"


class Latch:
    """Holds whoever comes while it is shut, and tells that somebody came."""

    def __init__(self) -> None:
        self.reached = anyio.Event()
        self.open = anyio.Event()

    async def hold(self) -> None:
        self.reached.set()
        await self.open.wait()


class SlowJournal(MemoryJournal):
    """Takes its time for one call of a method, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: str | None = None
        self.latch = Latch()

    async def _maybe(self, method: str) -> None:
        if method == self.slow:
            self.slow = None
            await self.latch.hold()

    async def add(self, entry: JournalEntry) -> JournalEntry | None:
        await self._maybe("add")
        return await super().add(entry)

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        await self._maybe(f"put {entry.state}")
        await super().put(entry, expected=expected)

    async def get(self, key: str) -> JournalEntry | None:
        await self._maybe("get")
        return await super().get(key)

    async def note(self, name: str, value: str) -> None:
        await self._maybe("note")
        await super().note(name, value)

    async def noted(self, name: str) -> str | None:
        await self._maybe("noted")
        return await super().noted(name)

    async def entries(
        self, states: Collection[JournalState], *, newest: int | None = None
    ) -> AsyncIterator[JournalEntry]:
        await self._maybe("entries")
        async for entry in super().entries(states, newest=newest):
            yield entry


@attrs.define(eq=False, kw_only=True)
class Held:
    """A client, and a call that waits at one place before its request leaves."""

    client: Client
    call: Callable[[], Coroutine[Any, Any, object]]
    sent: Callable[[], int]
    """How many paid requests have left so far."""
    reached: Callable[[], Awaitable[object]]
    """Waits until the call is at its place."""
    let_go: Callable[[], object] = lambda: None
    close: Callable[[], Awaitable[object]]
    """Closes the client."""
    journal: MemoryJournal | None = None
    charged: str = "no"
    """What an error may say: "unknown" where an earlier call for the same job may have paid."""


Point = Callable[[], AbstractAsyncContextManager[Held]]


@asynccontextmanager
async def in_a_task(client: Client) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """Open a client in a task of its own; what is yielded closes it, in whatever scope."""
    leave, left = anyio.Event(), anyio.Event()

    async def run(*, task_status: TaskStatus[None]) -> None:
        async with client:
            task_status.started()
            await leave.wait()
        left.set()

    async def close() -> None:
        leave.set()
        await left.wait()

    async with anyio.create_task_group() as tasks:
        await tasks.start(run)
        try:
            yield close
        finally:
            with anyio.CancelScope(shield=True):
                await close()


# On virtual clocks, with a provider in memory -------------------------------------------------


@asynccontextmanager
async def _held(
    provider: TimedProvider,
    call: Callable[[Client], Coroutine[Any, Any, object]],
    *,
    before: Callable[[Client, SlowJournal], Coroutine[Any, Any, None]] | None = None,
    slow: str | None = None,
    charged: str = "no",
    **options: Any,  # noqa: ANN401  # they are passed on
) -> AsyncGenerator[Held]:
    journal = SlowJournal()
    client = Client(provider, journal=journal, **options)
    async with in_a_task(client) as close, anyio.create_task_group() as others:
        if before is not None:
            others.start_soon(before, client, journal)
            await anyio.sleep(5)
        journal.slow = slow
        yield Held(
            client=client,
            call=lambda: call(client),
            sent=lambda: len(provider.sent),
            reached=journal.latch.reached.wait if slow else lambda: anyio.sleep(5),
            let_go=journal.latch.open.set,
            close=close,
            journal=journal,
            charged=charged,
        )
        journal.latch.open.set()
        others.cancel_scope.cancel()


def _song(_place: int) -> float:
    return 60.0


def _submit(client: Client) -> Coroutine[Any, Any, object]:
    return client.submit(SONG)


def _named(client: Client) -> Coroutine[Any, Any, object]:
    return client.submit(SongRequest(description="a song", key="mine"))


async def _drop(client: Client, _: SlowJournal) -> None:
    await _quietly(client.submit(SONG))


async def _sixteen(client: Client, _: SlowJournal) -> None:
    async with anyio.create_task_group() as tasks:
        for _number in range(16):
            tasks.start_soon(_quietly, client.submit(SONG))


@asynccontextmanager
async def _few_at_once(held: AbstractAsyncContextManager[Held]) -> AsyncGenerator[Held]:
    """Run 16 requests at once, fewer than submits are allowed: otherwise looks take the places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_lifetime, "MAX_IN_FLIGHT", 16 - 20)
        async with held as found:
            yield found


async def _in_doubt(_: Client, journal: SlowJournal) -> None:
    """Leave a doubt in the journal, as an earlier run does."""
    request = {"description": "a song"}
    state, evidence = JournalState.IN_DOUBT, "the answer was lost"
    await journal.add(
        JournalEntry(key="mine", provider="timed", request=request, state=state, evidence=evidence)
    )


def first(error: Exception) -> Callable[[int], Exception | None]:
    return lambda place: error if place == 0 else None


async def _batch(client: Client, requests: Any) -> None:  # noqa: ANN401  # any kind of iterable
    async with client.generate_many(requests, max_active=1) as batch:
        async for _ in batch:
            pass


async def _slowly() -> AsyncGenerator[SongRequest]:
    yield SONG
    await anyio.sleep(500)
    yield SONG


async def _full(client: Client) -> None:
    async with client.generate_many([SONG] * 3, max_active=1) as batch:
        async for _ in batch:
            await anyio.sleep(10_000)


async def _resumed(client: Client) -> None:
    async with client.resume() as batch:
        async for _ in batch:
            pass


async def _keep(client: Client, _: SlowJournal) -> None:
    await client.keep([SONG])


def _with_callbacks(client: Client) -> Coroutine[Any, Any, object]:
    client.callbacks(PUBLIC)
    return client.submit(SONG)


VIRTUAL: dict[str, Point] = {
    "the same job is being submitted": lambda: _held(
        TimedProvider(_song, submit_time=60.0),
        _named,
        before=lambda client, _: _quietly(_named(client)),
        charged="unknown",
    ),
    "what is known of the job": lambda: _held(
        TimedProvider(_song), _named, slow="get", charged="unknown"
    ),
    "a place": lambda: _held(
        TimedProvider(_song, submit_time=60.0), _submit, before=_drop, submit_concurrency=1
    ),
    "the end of a Retry-After": lambda: _held(
        TimedProvider(_song, refuse=first(RateLimited("slow down", retry_after=90.0))), _submit
    ),
    "what a failed try came to": lambda: _held(
        TimedProvider(_song, refuse=lambda _: Unreachable("no route", sent=False)),
        _submit,
        slow="put not_sent",
    ),
    "one of the requests at once": lambda: _few_at_once(
        _held(
            TimedProvider(_song, submit_time=60.0), _submit, before=_sixteen, submit_concurrency=20
        )
    ),
    "another one's Retry-After": lambda: _held(
        TimedProvider(_song, refuse=first(RateLimited("slow down", retry_after=90.0))),
        _submit,
        before=lambda client, _: _quietly(client.submit(SONG), seconds=3),
    ),
    "what others on the wire cost": lambda: _held(
        TimedProvider(_song, submit_time=60.0, refuse=first(RequestRefused("too long"))),
        _submit,
        before=lambda client, _: _quietly(client.submit(SONG)),
        max_submits=1,
    ),
    "one of ours to end, as there are too many": lambda: _held(
        TimedProvider(_song, refuse=lambda place: RateLimited("too many") if place else None),
        _submit,
        before=_drop,
    ),
    "its turn under requests_per_second": lambda: _held(
        TimedProvider(_song), _submit, before=_drop, requests_per_second=1 / 500
    ),
    "the intent": lambda: _held(TimedProvider(_song), _submit, slow="add"),
    "the intent of another attempt": lambda: _held(
        TimedProvider(_song, refuse=first(Unreachable("no", sent=False))),
        _named,
        slow="put sending",
    ),
    "the attempt before, kept as a job of its own": lambda: _held(
        TimedProvider(_song),
        _named,
        before=_in_doubt,
        slow="add",
        charged="unknown",
        on_doubt="resubmit",
    ),
    "the secrets of callbacks": lambda: _held(
        TimedProvider(_song, callbacks="task"), _with_callbacks, slow="noted"
    ),
    "its callback address": lambda: _held(
        TimedProvider(_song, callbacks="task"), _with_callbacks, slow="note"
    ),
    "the next request of a batch": lambda: _held(
        TimedProvider(_song), lambda client: _batch(client, _slowly())
    ),
    "room in a batch": lambda: _held(
        TimedProvider(lambda _: 1e5), lambda client: _batch(client, [SONG] * 3)
    ),
    "a consumer that is slow": lambda: _held(TimedProvider(lambda _: 1.0, min_interval=0.1), _full),
    "what is known of a job of a batch": lambda: _held(
        TimedProvider(_song),
        lambda client: _batch(client, [SongRequest(description="a song", key="mine")]),
        slow="get",
    ),
    "what is known of a resumed job": lambda: _held(
        TimedProvider(_song), _resumed, before=_keep, slow="get"
    ),
    "the intent of a resumed job": lambda: _held(
        TimedProvider(_song), _resumed, before=_keep, slow="put sending"
    ),
    "what is to be resumed": lambda: _held(
        TimedProvider(_song), _resumed, before=_keep, slow="entries"
    ),
}
"""Each name says what is waited for."""


async def _quietly(call: Awaitable[object], *, seconds: float = 1e4) -> None:
    with anyio.move_on_after(seconds), suppress(UdioError):
        await call


# Over real sockets ---------------------------------------------------------------------------


async def silent(connection: Connection) -> None:
    """Accept, and say nothing."""
    await connection.until_closed()


def says(data: bytes) -> Behaviour:
    """Say something at once, and then nothing more."""

    async def behave(connection: Connection) -> None:
        await connection.send(data)
        await connection.until_closed()

    return behave


def after_request(data: bytes) -> Behaviour:
    """Read one request (of a proxy's tunnel), answer it, and say nothing more."""

    async def behave(connection: Connection) -> None:
        await connection.request()
        await connection.send(data)
        await connection.until_closed()

    return behave


HALF_A_HANDSHAKE = b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"
TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@asynccontextmanager
async def _connecting(
    behaviour: Behaviour,
    *,
    tls: bool = False,
    proxy: str | None = None,
    own: bool = False,
    reached: int = 1,
) -> AsyncGenerator[Held]:
    """A client that connects to a server which behaves like this."""
    with pytest.MonkeyPatch.context() as patch:
        async with FaultServer(behaviour) as server, AsyncExitStack() as stack:
            for name in ("no_proxy", "NO_PROXY"):
                patch.setenv(name, "" if proxy else "*")
            url = f"https://localhost:{server.port}" if tls else server.url
            if proxy:
                for name in ("https_proxy", "HTTPS_PROXY"):
                    patch.setenv(name, f"{proxy}://localhost:{server.port}")
                url = "https://api.songs.example.org"
            http = await stack.enter_async_context(httpx.AsyncClient()) if own else None
            journal = MemoryJournal()
            client = Client(
                UdioApiV2(api_key="key-of-waiting", base_url=url),
                journal=journal,
                http_client=http,
                trust_env=proxy is not None,
            )
            close = await stack.enter_async_context(in_a_task(client))
            yield Held(
                client=client,
                call=lambda: _named(client),
                sent=lambda: sum(request.line.startswith("POST") for request in server.requests),
                reached=lambda: server.wait_for(
                    lambda: server.accepted >= 1 and len(server.requests) >= reached
                ),
                close=close,
                journal=journal,
            )


@asynccontextmanager
async def _looking_up() -> AsyncGenerator[Held]:
    """The name of the host is looked up, in a thread, for as long as the test wants."""
    asked, answer = threading.Event(), threading.Event()
    original = socket.getaddrinfo

    def lookup(host: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  # as the original
        numeric = socket.AI_NUMERICHOST in (*more, *named.values()) or (
            len(more) > 4 and more[4] & socket.AI_NUMERICHOST
        )
        if not numeric and host in ("slow.example.org", b"slow.example.org"):
            asked.set()
            answer.wait(20)
            host = "127.0.0.1"
        return original(host, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        async with FaultServer(silent) as server:
            journal = MemoryJournal()
            url = f"https://slow.example.org:{server.port}"
            client = Client(UdioApiV2(api_key="key-of-waiting", base_url=url), journal=journal)
            async with in_a_task(client) as close:
                yield Held(
                    client=client,
                    call=lambda: _named(client),
                    sent=lambda: len(server.requests),
                    reached=lambda: _until(asked.is_set),
                    let_go=answer.set,
                    close=close,
                    journal=journal,
                )
                answer.set()


@asynccontextmanager
async def _unanswered(*, own: bool = False) -> AsyncGenerator[Held]:
    """The queue of the listener is full, so the handshake of TCP gets no answer."""
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        journal = MemoryJournal()
        provider = UdioApiV2(api_key="key-of-waiting", base_url=f"http://127.0.0.1:{port}")
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(httpx.AsyncClient()) if own else None
            client = Client(provider, journal=journal, http_client=http)
            close = await stack.enter_async_context(in_a_task(client))
            yield Held(
                client=client,
                call=lambda: _named(client),
                sent=lambda: 0,  # nobody accepts it, so nobody can have read anything
                reached=lambda: anyio.sleep(0.3),
                close=close,
                journal=journal,
            )


async def _until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110  # it is true of a thread
            await anyio.sleep(0.01)


REAL: dict[str, Point] = {
    "the address of the host": _looking_up,
    "a connection": _unanswered,
    "TLS": lambda: _connecting(silent, tls=True, reached=0),
    "the rest of TLS": lambda: _connecting(says(HALF_A_HANDSHAKE), tls=True, reached=0),
    "a proxy's tunnel": lambda: _connecting(after_request(b""), proxy="http"),
    "the rest of a proxy's answer": lambda: _connecting(after_request(TUNNEL[:20]), proxy="http"),
    "TLS through a proxy": lambda: _connecting(after_request(TUNNEL), proxy="http"),
    "the rest of TLS through a proxy": lambda: _connecting(
        after_request(TUNNEL + HALF_A_HANDSHAKE), proxy="http"
    ),
    "TLS to a proxy": lambda: _connecting(silent, proxy="https", reached=0),
    "a connection, with a client of the user's": lambda: _unanswered(own=True),
    "TLS, with a client of the user's": lambda: _connecting(silent, tls=True, own=True, reached=0),
}
