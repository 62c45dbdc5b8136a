"""The one door to the network: what leaves, what comes back, and what is left behind."""

import asyncio
import contextlib
import copy
import gzip
import hashlib
import logging
import pickle
import random
import socket
import traceback
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Mapping
from http.cookiejar import CookieJar
from itertools import repeat
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from anyio.lowlevel import checkpoint

from tests.kit import fault_server as faults
from tests.kit.fault_server import Behaviour, FaultServer
from udio_async import UdioApiV2
from udio_async._errors import (
    AuthenticationFailed,
    BadAnswer,
    InvalidRequest,
    ProviderUnavailable,
    Unreachable,
)
from udio_async._http import (
    MAX_BODY,
    Account,
    ApiKey,
    Call,
    HttpSender,
    LeasedTransport,
    LinkRefused,
    Reply,
)
from udio_async._http.messages import link_request

CANARY = "canary-5f1d0c7e2b"
Ask = Callable[[], Coroutine[Any, Any, object]]
GOOD = faults.ok(b'{"id":"song-1"}')


@contextlib.asynccontextmanager
async def opened(**options: Any) -> AsyncGenerator[HttpSender]:  # noqa: ANN401  # handed on
    async with anyio.create_task_group() as tasks, HttpSender(tasks, **options) as http:
        yield http
        tasks.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def opened_with(
    transport: httpx.AsyncBaseTransport,
    **options: Any,  # noqa: ANN401  # handed on
) -> AsyncGenerator[HttpSender]:
    """A sender with a client of the user's that has this transport."""
    async with (
        httpx.AsyncClient(transport=transport) as client,
        opened(client=client, **options) as http,
    ):
        yield http


def call(server: FaultServer | str, **fields: Any) -> Call:  # noqa: ANN401  # handed on
    """A look at the server with the canary as its key."""
    url = server if isinstance(server, str) else server.url
    account = Account(base_url=url, key=ApiKey(CANARY), body_field=fields.pop("body_field", None))
    return Call(**{"account": account, "method": "GET", "path": "/v1/feed", **fields})


def submit(server: FaultServer | str, **fields: Any) -> Call:  # noqa: ANN401  # handed on
    """A paid request: a POST that is sent once."""
    words = {"prompt": "a song"}
    return call(server, **{"method": "POST", "json": words, "paid": True, **fields})


async def failure_of(http: HttpSender, request: Call) -> ProviderUnavailable:
    try:
        reply = await http.send(request)
    except ProviderUnavailable as error:
        return error
    raise AssertionError(f"no failure but {reply}")


async def fault(behaviour: Behaviour, **fields: Any) -> Reply | ProviderUnavailable:  # noqa: ANN401  # handed on
    """Submit to a server with one fault: the reply, or the error."""
    async with FaultServer(behaviour) as server, opened() as http:
        try:
            return await http.send(submit(server, **fields))
        except ProviderUnavailable as error:
            return error


# The key


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        ("", "is empty"),
        ("abc\n", "ends in a line break"),
        ("ab\rc", "line break"),
        (" abc", "space"),
        ("a\tb", "space"),
        ("ab\x00", "control"),
        ("ab\x7f", "control"),
        ("schlüssel", "outside ASCII"),
        ('"sk-abcdef"', "contains a quotation mark"),
        ("'sk-abcdef'", "contains a quotation mark"),
        ("“sk-abcdef”", "contains a quotation mark"),
        ("Bearer sk-abcdef", "begins with 'Bearer'"),
        ("bearer sk-abcdef", "begins with 'Bearer'"),
    ],
)
def test_what_is_no_key_is_refused_unseen(value: str, flaw: str) -> None:
    """The error says what is wrong and how to mend it, and never shows the value."""
    with pytest.raises(AuthenticationFailed, match=flaw) as caught:
        ApiKey(value)
    assert "account page" in str(caught.value)
    frames = list(traceback.TracebackException.from_exception(caught.value).format())
    assert not value or value not in "".join(frames[1:])
    held = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(caught.tb)]
    assert [key.reveal() for key in held if isinstance(key, ApiKey)] == [""]


def test_what_is_no_text_is_no_key() -> None:
    """Such as the result of `os.environ.get`."""
    with pytest.raises(AuthenticationFailed, match="is NoneType"):
        ApiKey(None)  # type: ignore[arg-type]  # the mistake in question


def test_a_key_shows_itself_to_nobody() -> None:
    """Not to repr, str, format, attrs, dict, pickle or copy."""
    key = ApiKey(CANARY)
    account = Account(base_url="https://api.example", key=key)
    shown = f"{key} {key!r} {[key]} {account} {attrs.asdict(account)} {dir(key)}"
    assert CANARY not in shown
    assert not hasattr(key, "__dict__")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(account, protocol)
    assert copy.deepcopy(account) == account
    assert key == ApiKey(CANARY)
    assert key != CANARY
    assert len({key, ApiKey(CANARY), ApiKey("other")}) == 2
    assert key.fingerprint() == hashlib.sha256(CANARY.encode()).hexdigest()


def test_a_key_from_the_environment_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever forgot to set it reads which name to set."""
    monkeypatch.setenv("SONG_KEY", CANARY)
    assert ApiKey.from_env("SONG_KEY").reveal() == CANARY
    with pytest.raises(AuthenticationFailed, match="variable NO_SUCH_KEY is not set; set it"):
        ApiKey.from_env("NO_SUCH_KEY")
    flaws = {"": "is empty", f"{CANARY} ": "a space", f"{CANARY}\n": "ends in a line break"}
    for value, flaw in flaws.items():
        monkeypatch.setenv("SONG_KEY", value)
        with pytest.raises(AuthenticationFailed, match=f"SONG_KEY .*{flaw}") as caught:
            ApiKey.from_env("SONG_KEY")
        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        frames = [frame for frame in report.stack if frame.name != traceback_frame()]
        assert CANARY not in "".join(map(repr, (frame.locals for frame in frames)))


def traceback_frame() -> str:
    """The test's own frame, which holds the value by right."""
    return "test_a_key_from_the_environment_names_its_variable"


# Where it may go


def test_a_key_must_be_wrapped() -> None:
    """A bare text would be shown by the account's repr."""
    with pytest.raises(InvalidRequest, match="ApiKey") as caught:
        Account(base_url="https://api.example", key=CANARY)  # type: ignore[arg-type]  # on purpose
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example",
        "ftp://api.example",
        "api.example",
        "https://",
        "https://user:pass@api.example",
        "https://api.example?x=1",
        "https://api.example#x",
        "https://api.example/a/../b",
        "https://api.example\\@evil.example",
        "https://api.example\n",
        "http://127.0.0.1.evil.example",
        "HTTP://api.example",
        "",
    ],
)
def test_a_base_url_that_could_leak_the_key_is_refused(url: str) -> None:
    """Only https, or http on loopback, and nothing but scheme, host, port and path."""
    with pytest.raises(InvalidRequest, match="base_url") as caught:
        Account(base_url=url, key=ApiKey(CANARY))
    assert "pass" not in str(caught.value)


ADDRESSES = (
    "https://api.example",
    "https://api.example:8443/api/",
    "http://localhost:8787",
    "http://127.0.0.1:1/x",
    "http://[::1]:8787",
)


@pytest.mark.parametrize("url", ADDRESSES)
def test_the_scheme_of_a_base_url_may_be_in_any_case(url: str) -> None:
    """As people paste it; from there on it is the same address."""
    scheme, rest = url.split(":", 1)
    known = Account(base_url=f"{scheme.upper()}:{rest}", key=ApiKey(CANARY))
    assert known == Account(base_url=url, key=ApiKey(CANARY))


@pytest.mark.parametrize(
    ("url", "flaw"),
    [
        ("https://256.1.1.1", "is no address"),
        ("https://api.example:0", "has port 0"),
        ("http://127.0.0.1:0", "has port 0"),
        ("https://api.example:99999", "is no address"),
    ],
)
def test_a_base_url_that_leads_nowhere_is_refused_when_it_is_given(url: str, flaw: str) -> None:
    """Not with the first request, of which it was said that its query is wrong."""
    with pytest.raises(InvalidRequest, match=f"base_url '{url}' {flaw}"):
        UdioApiV2(api_key=CANARY, base_url=url)


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_base_url_loses_its_trailing_slash(url: str) -> None:
    """So that a path can always be put behind it."""
    assert Account(base_url=url, key=ApiKey(CANARY)).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "path",
    ["", "feed", "//evil.example/x", "/a//b", "/\\evil", "/@evil", "/../x", "/a?b", "/a#b", "/a b"],
)
def test_a_path_cannot_lead_to_another_origin(path: str) -> None:
    """The key's way is fixed by the account alone."""
    with pytest.raises(InvalidRequest, match="path"):
        call("https://api.example", path=path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("body_field", [None, "token"])
async def test_a_redirect_is_an_answer_and_the_key_stays(
    status: int, body_field: str | None
) -> None:
    """No code and no target makes the key, in header or body, reach another server."""
    async with FaultServer(faults.answer(GOOD)) as other:
        targets = [
            f"{other.url}/x",
            f"//127.0.0.1:{other.port}/x",
            f"http://k@127.0.0.1:{other.port}",
        ]
        script = [faults.answer_once(faults.redirect(status, target)) for target in targets]
        async with FaultServer(script) as server, opened() as http:
            for _ in targets:
                reply = await http.send(submit(server, body_field=body_field))
                assert reply.status == status
        assert len(server.requests) == len(targets)
        assert other.accepted == 0


async def test_a_request_says_who_asks_and_nothing_else() -> None:
    """Key as the account wants it, JSON in UTF-8, no cookies, our own name, no encoding."""
    cookie = faults.ok(b"{}", "Set-Cookie: sid=1; Path=/")
    async with FaultServer(faults.answer(cookie)) as server, opened() as http:
        account = Account(base_url=f"{server.url}/api/", key=ApiKey(CANARY), body_field="token")
        for number in range(2):
            await http.send(
                Call(
                    account=account,
                    method="POST",
                    path="/v1/generate",
                    query={"n": f"ü{number}"},
                    json={"text": "höre"},
                )
            )
        bare = attrs.evolve(account, scheme="", body_field=None)
        await http.send(Call(account=bare, method="GET", path="/v1/feed"))
    first, second, third = server.requests
    assert first.line == "POST /api/v1/generate?n=%C3%BC0 HTTP/1.1"
    assert first.body == '{"text": "höre", "token": "'.encode() + CANARY.encode() + b'"}'
    assert first.headers["authorization"] == f"Bearer {CANARY}"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["accept-encoding"] == "identity"
    assert first.headers["user-agent"].startswith("udio-async/")
    assert "cookie" not in second.headers
    assert third.headers["authorization"] == CANARY
    assert third.body == b""


async def test_a_query_that_cannot_be_written_is_refused() -> None:
    """Such as an identifier that is half a character."""
    async with opened() as http:
        with pytest.raises(InvalidRequest, match="query") as caught:
            await http.send(call("https://api.example", query={"id": "\ud800"}))
    assert_nowhere(caught.value)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800", object()])
async def test_what_is_no_json_is_refused_before_anything_is_sent(value: object) -> None:
    """A request that cannot be written is the caller's to fix."""
    async with FaultServer(faults.answer(GOOD)) as server, opened() as http:
        with pytest.raises(InvalidRequest, match="no JSON") as caught:
            await http.send(submit(server, json={"x": value}, body_field="token"))
        assert not server.accepted
    assert_nowhere(caught.value)


# What comes back


@pytest.mark.parametrize(
    "data",
    [
        GOOD,
        faults.chunked(b'{"id":', b'"song-1"}'),
        faults.http(200, b'{"id":"song-1"}', length="none"),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + GOOD,
        b"HTTP/1.1 102 Processing\r\nX: y\r\n\r\n" + GOOD,
    ],
)
async def test_a_whole_answer_is_handed_over(data: bytes) -> None:
    """With a length, in chunks, until the connection ends, after interim answers."""
    reply = await fault(faults.answer_once(data))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.cut) == (200, b'{"id":"song-1"}', None)


@pytest.mark.parametrize("status", [200, 400, 402, 429, 500, 502])
async def test_any_status_is_an_answer(status: int) -> None:
    """Status and headers are handed over; judging them is the adapter's task."""
    page = faults.http(status, b"<html>", "Retry-After: 7", "Content-Type: text/html")
    reply = await fault(faults.answer(page))
    assert isinstance(reply, Reply)
    assert (reply.status, reply.headers["retry-after"], reply.body) == (status, "7", b"<html>")


BODY_AT = GOOD.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", range(0, len(GOOD), 9))
async def test_an_answer_cut_anywhere_gives_what_arrived(after: int, reset: bool) -> None:
    """Before the body begins it is unreachable, and may have arrived; later the part is kept."""
    result = await fault(faults.cut(GOOD, after=after, reset=reset))
    if after < BODY_AT or (reset and isinstance(result, Unreachable)):
        assert isinstance(result, Unreachable)  # a reset may also overtake what was sent
        assert result.sent
    else:
        assert isinstance(result, Reply)
        assert result.cut
        assert GOOD[BODY_AT:].startswith(result.body)
        assert reset or result.body == GOOD[BODY_AT:after]


@pytest.mark.parametrize(
    ("behaviour", "body"),
    [
        (faults.answer_once(faults.http(200, b"{}", length=10)), b"{}"),
        (faults.answer_once(faults.chunked(b"{}")[:-5]), b"{}"),
        (faults.answer_once(faults.chunked(b"{}")[:-5] + b"zz\r\n"), b"{}"),
        (faults.stall(faults.http(200, b"{}", length=10)), b"{}"),
    ],
    ids=["short", "chunks missing", "bad chunk", "silence"],
)
async def test_a_body_that_is_not_whole_says_why(behaviour: Behaviour, body: bytes) -> None:
    """Status and bytes are kept, since an id among them means a song; `cut` says what is wrong."""
    reply = await fault(behaviour, timeout=0.3)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (200, body)
    assert reply.cut


async def test_more_than_a_length_promised_is_not_read() -> None:
    """Bytes behind the body belong to no answer: a look that meets them is asked once more."""
    lying = faults.http(200, b"{}" + b"x" * 100, length=2)
    async with FaultServer(faults.answer(lying)) as server, opened() as http:
        for _ in range(3):
            assert (await http.send(call(server))).body == b"{}"
        assert server.accepted == 3


@pytest.mark.parametrize(
    "behaviour",
    [
        faults.answer_once(b"garbage\r\n\r\n"),
        faults.answer_once(b"<html>502</html>\r\n\r\n"),
        faults.answer_once(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n"),
        faults.endless_headers(),
        faults.answer_once(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
    ],
    ids=["garbage", "bare html", "200 KB header", "endless headers", "bad header"],
)
async def test_what_is_no_http_answer_is_a_bad_one(behaviour: Behaviour) -> None:
    """It came, it cannot be read, and what was sent is not quoted."""
    error = await fault(behaviour)
    assert isinstance(error, BadAnswer)
    assert "yyy" not in str(error)
    assert "html" not in str(error)


@pytest.mark.parametrize("length", [MAX_BODY, MAX_BODY + 1])
async def test_a_body_is_read_up_to_one_mebibyte(length: int) -> None:
    """The last allowed byte is read, the next one is not."""
    reply = await fault(faults.answer_once(faults.ok(b"x" * length)))
    assert isinstance(reply, Reply)
    assert len(reply.body) == MAX_BODY
    assert bool(reply.cut) == (length > MAX_BODY)


async def test_an_endless_body_ends_at_the_cap() -> None:
    """No length, no end: what is read is bounded all the same."""
    head = faults.http(200, length="none")
    reply = await fault(faults.flood(head, repeat(b"x" * 60_000)))
    assert isinstance(reply, Reply)
    assert len(reply.body) == MAX_BODY
    assert "longer than" in str(reply.cut)


async def test_a_gzip_bomb_is_unpacked_only_up_to_the_cap() -> None:
    """200 MiB of nothing, asked for by nobody, cost less than 8 MiB."""
    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    tracemalloc.start()
    try:
        reply = await fault(faults.answer_once(faults.ok(bomb, "Content-Encoding: gzip")))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(reply, Reply)
    assert reply.body == bytes(MAX_BODY)
    assert "longer than" in str(reply.cut)
    assert peak < 8 << 20


async def test_the_deadline_is_for_the_whole_exchange() -> None:
    """A server that drips one byte at a time never satisfies it by being busy."""
    for behaviour in (faults.drip(b""), faults.drip(b"HTTP/1.1 200 OK\r\nX: ")):
        error = await fault(behaviour, timeout=0.1)
        assert isinstance(error, ProviderUnavailable)
    late = await fault(faults.stall(), timeout=0.1)
    assert isinstance(late, Unreachable)
    assert late.sent
    reply = await fault(faults.drip(faults.http(200, length="none")), timeout=0.1)
    assert isinstance(reply, Reply)
    assert "0.1 s" in str(reply.cut)


# What has left


async def test_a_refused_connection_proves_that_nothing_was_sent(free_port: int) -> None:
    """Nobody listens: trying again costs nothing."""
    async with opened() as http:
        error = await failure_of(http, submit(f"http://127.0.0.1:{free_port}"))
    assert isinstance(error, Unreachable)
    assert not error.sent
    assert isinstance(error.__cause__, httpx.ConnectError)


async def test_an_unknown_host_proves_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name without an address leads nowhere."""

    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    async with opened() as http:
        error = await failure_of(http, submit("https://api.example"))
    assert isinstance(error, Unreachable)
    assert not error.sent


@pytest.mark.parametrize(
    "behaviour", [faults.answer_once(GOOD), faults.hang_up(), faults.hang_up(reset=True)]
)
async def test_a_failed_tls_handshake_proves_that_nothing_was_sent(behaviour: Behaviour) -> None:
    """The request is not written before the other side has shown its certificate."""

    async def plain(connection: faults.Connection) -> None:
        await connection.stream.receive()
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    for script in (plain, behaviour):
        async with FaultServer(script) as server, opened() as http:
            url = server.url.replace("http://", "https://")
            error = await failure_of(http, submit(url, timeout=0.3))
        assert isinstance(error, Unreachable)
        assert not error.sent
        assert not server.requests


async def test_a_connect_timeout_proves_that_nothing_was_sent(full_port: int) -> None:
    """A listener whose backlog is full takes no connection."""
    async with opened() as http:
        error = await failure_of(http, submit(f"http://127.0.0.1:{full_port}", timeout=0.2))
    assert isinstance(error, Unreachable)
    assert not error.sent


@pytest.mark.parametrize("reset", [False, True])
async def test_a_connection_closed_after_accepting_may_have_got_it(reset: bool) -> None:
    """Bytes left, and nobody can know whether they were read."""
    error = await fault(faults.hang_up(reset=reset))
    assert isinstance(error, Unreachable)
    assert error.sent or isinstance(error.__cause__, httpx.ConnectError)


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (httpx.ConnectError, False),
        (httpx.ConnectTimeout, False),
        (httpx.PoolTimeout, False),
        (httpx.ProxyError, False),
        (httpx.UnsupportedProtocol, False),
        (httpx.ReadError, True),
        (httpx.WriteError, True),
        (httpx.ReadTimeout, True),
        (RuntimeError, True),
        (OSError, True),
    ],
)
async def test_without_trace_events_only_the_kind_of_error_is_proof(
    kind: type[Exception], sent: bool
) -> None:
    """A transport of the user's own may tell nothing: then the worst is assumed."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise kind("broken")

    async with opened_with(httpx.MockTransport(fail)) as http:
        error = await failure_of(http, submit("https://api.example"))
    assert isinstance(error, Unreachable)
    assert error.sent is sent


# Connections


async def test_connections_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks one after another need one connection; a submit right behind them opens its own."""
    monkeypatch.setattr("udio_async._http.connection.monotonic", lambda: 1000.0)
    async with FaultServer(faults.answer(GOOD)) as server, opened() as http:
        for _ in range(5):
            await http.send(call(server))
        assert server.accepted == 1
        await http.send(submit(server))
        assert server.accepted == 2
        await http.send(call(server))
        assert server.accepted == 2


async def test_a_submit_never_meets_a_stale_connection() -> None:
    """200 submits to a server that closes as the second request comes; none is sent twice."""
    async with FaultServer(faults.answer_then_ignore(GOOD)) as server, opened() as http:
        for _ in range(200):
            assert (await http.send(submit(server))).status == 200
        assert sum(request.line.startswith("POST") for request in server.requests) == 200


async def test_a_submit_whose_connection_closes_under_it_is_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server has said that it keeps it, and breaks its word: that may have been a restart."""
    monkeypatch.setattr("udio_async._http.connection.SETTLED", 0.0)
    kept = faults.ok(b"{}", "Connection: keep-alive")
    async with FaultServer(faults.answer_then_ignore(kept)) as server, opened() as http:
        await http.send(submit(server))
        error = await failure_of(http, submit(server))
        assert isinstance(error, Unreachable)
        assert (error.sent, error.charged) == (True, "unknown")
        assert [request.connection for request in server.requests] == [0, 0]


@pytest.mark.parametrize(("left", "sent"), [(True, True), (False, False)])
async def test_an_answer_that_breaks_the_protocol_does_not_prove_that_nothing_left(
    *, left: bool, sent: bool
) -> None:
    """HTTP/2 has one error for what we may not send and for what the server may not."""

    class Http2(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if left:
                await request.extensions["trace"](
                    "http2.send_request_headers.started", {"request": request}
                )
            raise httpx.LocalProtocolError("Expected 99 bytes, received 15")

    async with opened_with(Http2()) as http:
        error = await failure_of(http, submit("https://api.example"))
    assert error.charged == ("unknown" if sent else "no")


async def test_a_look_that_meets_a_stale_connection_is_asked_once_more() -> None:
    """The control for the test above: reuse does meet the trap, and a look survives it."""
    async with FaultServer(faults.answer_then_ignore(GOOD)) as server:
        transport = LeasedTransport(keep=4)
        request = httpx.Request("GET", server.url)
        response = await transport.handle_async_request(request)
        await response.aread()
        with pytest.raises(httpx.RemoteProtocolError):
            await transport.handle_async_request(request)
        await transport.aclose()
        async with opened() as http:
            for _ in range(20):
                assert (await http.send(call(server))).status == 200


async def test_a_connection_closed_while_idle_is_replaced() -> None:
    """The usual end of a kept connection is no failure."""
    async with FaultServer(faults.answer_once(GOOD)) as server, opened() as http:
        for _ in range(5):
            await server.wait_for(lambda: server.open == 0)
            assert (await http.send(call(server))).status == 200


async def test_a_dead_server_is_not_asked_for_ever() -> None:
    """A look is repeated once, and only where a connection was used again."""
    script = [faults.answer_then_ignore(GOOD), faults.cut(GOOD, after=0)]
    async with FaultServer(script) as server, opened() as http:
        await http.send(call(server))
        error = await failure_of(http, call(server))
        assert isinstance(error, Unreachable)
        assert error.sent
        assert len(server.requests) == 3


async def test_idle_connections_are_bounded() -> None:
    """However many origins answered."""
    async with anyio.create_task_group() as tasks:
        servers = [FaultServer(faults.answer(GOOD)) for _ in range(5)]
        async with contextlib.AsyncExitStack() as stack:
            for server in servers:
                await stack.enter_async_context(server)
            async with HttpSender(tasks, max_idle=4) as http:
                for server in servers:
                    await http.send(call(server))
                await servers[0].wait_for(lambda: sum(s.open for s in servers) == 4)
            await servers[0].wait_for(lambda: sum(s.open for s in servers) == 0)
        tasks.cancel_scope.cancel()


async def test_no_more_requests_than_allowed_are_in_flight() -> None:
    """The gate holds back the rest, and the wait there counts for no deadline."""
    gate = anyio.Event()
    async with FaultServer(faults.answer_when(gate, GOOD)) as server:
        async with opened(max_in_flight=3) as http, anyio.create_task_group() as callers:
            for _ in range(20):
                callers.start_soon(http.send, call(server))
            await server.wait_for(lambda: len(server.requests) == 3)
            await anyio.wait_all_tasks_blocked()
            assert len(server.requests) == 3
            gate.set()
        assert len(server.requests) == 20
        assert server.accepted == 3


async def test_requests_keep_to_their_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every API call waits for its slot, in order."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 1))

    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(anyio, "current_time", lambda: 100.0)
    mock = httpx.MockTransport(lambda _: httpx.Response(200))
    async with opened_with(mock, requests_per_second=2) as http:
        for _ in range(4):
            await http.send(call("https://api.example"))
    assert waits == [0.0, 0.5, 1.0, 1.5]


async def test_proxies_of_the_environment_count_unless_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy is contacted, and never without `trust_env`."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with (
        FaultServer(faults.answer(GOOD)) as server,
        FaultServer(faults.answer(GOOD)) as proxy,
    ):
        monkeypatch.setenv("http_proxy", proxy.url)
        async with opened(trust_env=False) as http:
            await http.send(call(server))
        assert (server.accepted, proxy.accepted) == (1, 0)
        async with opened() as http:
            await http.send(call(server))
        assert (server.accepted, proxy.accepted) == (1, 1)


async def test_a_proxy_that_declines_proves_that_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asking a proxy for a tunnel is not sending the request."""
    monkeypatch.setenv("no_proxy", "")
    for behaviour in (faults.answer(faults.http(403)), faults.stall()):
        async with FaultServer(behaviour) as proxy:
            monkeypatch.setenv("https_proxy", proxy.url)
            async with opened(trust_env=True) as http:
                error = await failure_of(http, submit("https://api.example", timeout=0.3))
        assert isinstance(error, Unreachable)
        assert not error.sent
        assert CANARY not in str(proxy.requests)


async def test_a_given_client_is_used_with_the_key_and_left_open() -> None:
    """Its cookies go along, its credentials give way to the key, and no redirect is followed."""
    seen: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"Location": "https://b.example/", "Set-Cookie": "a=1"})

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(reply), auth=("user", "word"), follow_redirects=True
    ) as client:
        async with opened(client=client) as http:
            for _ in range(2):
                assert (await http.send(call("https://api.example"))).status == 302
        assert not client.is_closed
    assert [request.headers["authorization"] for request in seen] == [f"Bearer {CANARY}"] * 2
    assert [request.headers.get("cookie") for request in seen] == [None, "a=1"]


class CancelledJar(CookieJar):
    def add_cookie_header(self, request: object) -> None:
        del request
        raise asyncio.CancelledError


@attrs.frozen
class CancelledStream(httpx.AsyncByteStream):
    where: str

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        yield b"{}"
        if self.where == "body":
            raise asyncio.CancelledError

    async def aclose(self) -> None:
        if self.where == "close":
            raise asyncio.CancelledError


@pytest.mark.parametrize("where", ["cookies", "body", "close"])
@pytest.mark.parametrize("kind", ["paid", "look", "download"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_out_of_a_given_client_is_an_error(where: str, kind: str) -> None:
    """Nobody has cancelled the caller; and what is said about the request is true."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=CancelledStream(where)))
    jar = CancelledJar() if where == "cookies" else None
    async with (
        httpx.AsyncClient(transport=transport, cookies=jar) as client,
        opened(client=client) as http,
    ):

        async def ask() -> Reply:
            if kind == "download":
                return await http.download("https://example.com/a", receive=Basket())
            return await http.send((submit if kind == "paid" else call)("https://a.example"))

        if where == "cookies":
            with pytest.raises(Unreachable, match="code that was given") as caught:
                await ask()
            assert not caught.value.sent
        else:
            assert "code that was given" in ((await ask()).cut or "")


# Cancelled callers


async def by_scope(send: Ask, reached: Callable[[], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as callers:
        callers.start_soon(send)
        await reached()
        callers.cancel_scope.cancel()


async def natively(send: Ask, reached: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.ensure_future(send())
    await reached()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def by_timeout(send: Ask, reached: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await send()

    limits: list[asyncio.Timeout] = []
    task = asyncio.ensure_future(limited())
    await reached()
    limits[0].reschedule(0)
    await task


@pytest.mark.parametrize("cancel", [by_scope, natively, by_timeout])
async def test_a_cancelled_caller_leaves_the_request_running(
    cancel: Callable[..., Awaitable[None]], anyio_backend: str
) -> None:
    """The answer is still read, and its connection serves the next request."""
    if anyio_backend == "trio" and cancel is not by_scope:
        pytest.skip("only asyncio has this way to cancel")
    gate = anyio.Event()
    server = FaultServer(faults.answer_when(gate, GOOD))
    async with server, opened(max_in_flight=1) as http:

        async def reached() -> None:
            await server.wait_for(lambda: len(server.requests) == 1)

        await cancel(lambda: http.send(submit(server)), reached)
        gate.set()
        await http.send(call(server))
        assert [request.connection for request in server.requests] == [0, 0]


async def test_a_caller_cancelled_at_the_gate_sends_nothing() -> None:
    """Nor does it keep its place there."""
    gate = anyio.Event()
    async with FaultServer(faults.answer_when(gate, GOOD)) as server:
        async with opened(max_in_flight=1) as http, anyio.create_task_group() as callers:
            callers.start_soon(http.send, submit(server))
            await server.wait_for(lambda: len(server.requests) == 1)
            for _ in range(5):
                with anyio.move_on_after(0):
                    await http.send(submit(server))
            gate.set()
            await http.send(submit(server))
        assert len(server.requests) == 2


async def test_leaving_in_the_middle_leaves_nothing_behind() -> None:
    """Requests that are waiting, connecting or reading when the client goes are all ended."""
    before = open_sockets()
    script = [faults.stall(), faults.stall(faults.http(200, b"{", length=9)), faults.answer(GOOD)]
    async with FaultServer(script) as server:
        async with anyio.create_task_group() as tasks, HttpSender(tasks, max_in_flight=8) as http:
            for _ in range(20):
                tasks.start_soon(http.send, call(server))
            await server.wait_for(lambda: len(server.requests) >= 10)
            tasks.cancel_scope.cancel()
        await server.wait_for(lambda: server.open == 0)
    assert open_sockets() == before


# A storm of cancellations


async def storm(ask: Ask, *, count: int, seed: int, native: bool) -> None:
    """Run `count` requests, 64 at a time, and cancel nearly all of them at random moments."""
    luck = random.Random(seed)
    for _ in range(count // 64):
        async with anyio.create_task_group() as callers:
            cancels = [
                start(callers, ask, native=native and luck.random() < 0.5) for _ in range(64)
            ]
            luck.shuffle(cancels)
            for cancel in cancels:
                for _ in range(luck.randrange(4)):
                    await checkpoint()
                cancel()


def start(callers: anyio.abc.TaskGroup, ask: Ask, *, native: bool) -> Callable[[], object]:
    """Start one caller and return what cancels it."""
    if native:
        task = asyncio.ensure_future(ask())
        callers.start_soon(ended, task)
        return task.cancel
    scope = anyio.CancelScope()

    async def scoped() -> None:
        with scope, contextlib.suppress(httpx.HTTPError):
            await ask()

    callers.start_soon(scoped)
    return scope.cancel


async def ended(task: "asyncio.Future[object]") -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


async def test_a_storm_of_cancellations_costs_no_connection(anyio_backend: str) -> None:
    """3,000 requests cancelled at random, then 32 good ones, and no socket is left."""
    before = open_sockets()
    async with FaultServer(faults.answer(GOOD)) as server:
        async with opened(max_in_flight=8) as http:
            await storm(
                lambda: http.send(call(server)),
                count=3_008,
                seed=7,
                native=anyio_backend == "asyncio",
            )
            for _ in range(32):
                assert (await http.send(call(server))).status == 200
            assert server.open <= 8
        await server.wait_for(lambda: server.open == 0)
    assert open_sockets() == before


@pytest.mark.skipif(httpx.__name__ == "httpx2", reason="httpx2 has mended its pool")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_stock_client_does_not_survive_that_storm(anyio_backend: str) -> None:
    """The control: the pool of httpx loses its slots for good, which is why we lease."""
    limits = httpx.Limits(max_connections=8)
    good = 0
    async with (
        FaultServer(faults.answer(GOOD)) as server,
        httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(5, pool=None)) as client,
    ):
        await storm(lambda: client.get(server.url), count=3_008, seed=7, native=True)
        with anyio.move_on_after(1.5):
            for _ in range(32):
                good += (await client.get(server.url)).status_code == 200
    assert good < 32


# The canary


def appearances(error: BaseException) -> str:
    """Everything that a logger, debugger or error tracker would write down about an error."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    seen = [*report.format(), repr(error), str(error), f"{error}", repr(vars(error))]
    chain: list[BaseException | None] = [error, error.__cause__, error.__context__]
    seen += [repr(link) + repr(vars(link)) for link in chain if link is not None]
    with contextlib.suppress(TypeError, pickle.PicklingError):
        seen.append(repr(pickle.dumps(error)))
    return "\n".join(seen)


def assert_nowhere(error: BaseException) -> None:
    assert CANARY not in appearances(error)


@attrs.frozen
class LeakyKey:
    """A key as one would write it without thinking."""

    value: str


class LeakyTransport(httpx.AsyncBaseTransport):
    """Fails as httpx does, with the request's headers in a frame."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        wire = request.headers.raw
        raise httpx.ReadError(f"broken after {len(wire)} headers", request=request)


@pytest.mark.parametrize("body_field", [None, "token"])
async def test_the_key_appears_nowhere(
    body_field: str | None, caplog: pytest.LogCaptureFixture, free_port: int
) -> None:
    """Not in a log record of any logger, nor in any error with all its locals."""
    caplog.set_level(logging.DEBUG)
    behaviours = [
        faults.answer_once(b"garbage\r\n\r\n"),
        faults.cut(GOOD, after=0),
        faults.cut(GOOD, after=0, reset=True),
        faults.stall(),
        faults.endless_headers(),
    ]
    errors = [await fault(each, timeout=0.3, body_field=body_field) for each in behaviours]
    async with opened() as http:
        url = f"http://127.0.0.1:{free_port}"
        errors.append(await failure_of(http, submit(url, body_field=body_field)))
    async with opened_with(LeakyTransport()) as http:
        errors.append(await failure_of(http, submit(url, body_field=body_field)))
    for error in errors:
        assert isinstance(error, ProviderUnavailable)
        assert_nowhere(error)
    assert len(caplog.records) > 20
    for record in caplog.records:
        assert CANARY not in f"{vars(record)} {record.getMessage()}"


@pytest.mark.parametrize(
    "data",
    [
        f"HTTP/1.1 {CANARY}\r\n\r\n",
        f"{CANARY}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nContent-Length: {CANARY}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: {CANARY}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}\r\n",
    ],
)
async def test_a_key_that_the_server_repeats_is_not_quoted(data: str) -> None:
    """A garbled answer may hold what we sent."""
    result = await fault(faults.answer_once(data.encode()))
    if isinstance(result, Reply):
        assert CANARY not in repr(result)
    else:
        assert_nowhere(result)


async def test_the_canary_would_be_found(caplog: pytest.LogCaptureFixture) -> None:
    """The control: a careless key and a careless error are seen by the same eyes."""
    caplog.set_level(logging.DEBUG)
    key = LeakyKey(CANARY)
    assert CANARY in f"{key}"
    assert CANARY in repr(pickle.dumps(key))
    logging.getLogger("udio_async.test").debug("asking with %s", key)
    assert CANARY in "".join(record.getMessage() for record in caplog.records)
    request = httpx.Request("GET", "https://a.example", headers={"Authorization": CANARY})
    with pytest.raises(httpx.ReadError) as caught:
        await LeakyTransport().handle_async_request(request)
    assert CANARY in appearances(caught.value)


# Downloads


@attrs.define
class Basket:
    """Collects a download, or refuses it."""

    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    data: bytearray = attrs.field(factory=bytearray)
    begin_error: Exception | None = None
    write_error: Exception | None = None

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers
        if self.begin_error:
            raise self.begin_error

    async def write(self, chunk: bytes) -> None:
        await checkpoint()
        self.data += chunk
        if self.write_error:
            raise self.write_error


SONG = bytes(range(256)) * 4_000


async def test_a_download_arrives_in_pieces_without_a_key() -> None:
    """Head first, then chunks of at most 64 KiB; the reply itself is empty."""
    async with FaultServer(faults.answer(faults.ok(SONG, "ETag: x"))) as server, opened() as http:
        basket = Basket()
        reply = await http.download(
            f"{server.url}/a.mp3", receive=basket, headers={"Range": "bytes=0-"}, local=True
        )
    assert (reply.status, reply.body, reply.cut) == (200, b"", None)
    assert (basket.status, basket.headers["etag"], bytes(basket.data)) == (200, "x", SONG)
    assert server.requests[0].headers["range"] == "bytes=0-"
    assert not {"authorization", "cookie", "referer"} & set(server.requests[0].headers)


@pytest.mark.parametrize("moment", ["begin_error", "write_error"])
async def test_a_receiver_that_raises_ends_the_download(moment: str) -> None:
    """Its error reaches the caller as it is, and the connection is closed."""
    wrong = LookupError("no room")
    async with FaultServer(faults.answer(faults.ok(SONG))) as server, opened() as http:
        basket = Basket()
        setattr(basket, moment, wrong)
        with pytest.raises(LookupError) as caught:
            await http.download(server.url, receive=basket, local=True)
        assert caught.value is wrong
        await server.wait_for(lambda: server.open == 0)


async def test_a_cancelled_download_leaves_nothing_behind() -> None:
    """Wherever the caller goes away: waiting, reading, or inside of its own receiver."""
    before = open_sockets()
    slow = faults.drip(faults.ok(SONG)[:200], repeat(b"x" * 999))
    async with FaultServer(slow) as server, opened() as http:
        for wait in (0, 0.003, 0.01, 0.02, 0.03):
            with anyio.move_on_after(wait):
                await http.download(server.url, receive=Basket(), local=True)
        await server.wait_for(lambda: server.open == 0)
    assert open_sockets() == before


async def test_a_cut_download_says_so() -> None:
    """What arrived was handed on; `cut` tells that it is not the whole."""
    async with FaultServer(faults.cut(faults.ok(SONG), after=90_000)) as server, opened() as http:
        basket = Basket()
        reply = await http.download(server.url, receive=basket, local=True)
    assert reply.cut
    assert SONG.startswith(bytes(basket.data))


async def test_redirects_of_a_download_are_followed_ten_times() -> None:
    """And not once more; the receiver sees only the last answer."""
    for hops in (10, 11):
        script = [faults.answer_once(faults.redirect(302, f"/{n}")) for n in range(hops)]
        async with FaultServer([*script, faults.answer(GOOD)]) as server, opened() as http:
            basket = Basket()
            if hops == 10:
                assert (await http.download(server.url, receive=basket, local=True)).status == 200
            else:
                with pytest.raises(BadAnswer, match="more than 10"):
                    await http.download(server.url, receive=basket, local=True)
        assert (basket.status == 200) == (hops == 10)


def to_the_same_link(*cookies: str) -> bytes:
    return faults.http(302, b"", "Location: /a", *(f"Set-Cookie: {each}" for each in cookies))


@pytest.mark.parametrize("own", [None, "own=1"], ids=["ours", "client"])
async def test_a_redirect_to_the_same_link_with_a_cookie_is_no_circle(own: str | None) -> None:
    """The answer depends on the cookie, which a client of the user's sends with its own."""
    script = [faults.answer_once(to_the_same_link("a=1; Path=/", "b=2")), faults.answer(GOOD)]
    async with (
        FaultServer(script) as server,
        httpx.AsyncClient(cookies={"own": "1"}) as client,
        opened(client=client if own else None) as http,
    ):
        basket = Basket()
        await http.download(f"{server.url}/a", receive=basket, local=True)
    sent = [set(each.headers.get("cookie", "").split("; ")) - {""} for each in server.requests]
    always = {own} if own else set[str]()
    assert sent == [always, {"a=1", "b=2"} | always]
    assert basket.status == 200


async def test_a_cookie_that_no_request_can_carry_is_left_out() -> None:
    script = [faults.answer_once(to_the_same_link("a=\u00e9", "b=2")), faults.answer(GOOD)]
    async with FaultServer(script) as server, opened() as http:
        basket = Basket()
        await http.download(f"{server.url}/a", receive=basket, local=True)
    assert server.requests[-1].headers["cookie"] == "b=2"
    assert basket.status == 200


async def test_a_redirect_to_the_same_link_with_the_same_cookie_is_a_circle() -> None:
    async with FaultServer(faults.answer(to_the_same_link("a=1"))) as server, opened() as http:
        with pytest.raises(BadAnswer, match="circle"):
            await http.download(f"{server.url}/a", receive=Basket(), local=True)
    assert len(server.requests) == 2


async def test_a_cookie_goes_to_its_own_site_and_is_forgotten_with_the_download() -> None:
    """Neither another host that is redirected to, nor the next download gets it."""
    async with FaultServer(faults.answer(GOOD), host="::1") as other:
        away = faults.http(302, b"", f"Location: {other.url}/b", "Set-Cookie: a=1")
        async with FaultServer(faults.answer(away)) as server, opened() as http:
            for _ in range(2):
                await http.download(f"{server.url}/a", receive=Basket(), local=True)
        requests = [*server.requests, *other.requests]
    assert len(requests) == 4
    assert not any("cookie" in request.headers for request in requests)


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.example/a.mp3",
        "ftp://cdn.example/a",
        "file:///etc/passwd",
        "https://user@cdn.example/a",
        "https://",
        "//cdn.example/a",
        "",
        "https://[::1/a?sig=secret",
    ],
)
async def test_a_link_that_is_not_https_is_not_followed(url: str) -> None:
    """Neither as a link nor behind a redirect, and its signature is not quoted."""
    async with opened() as http:
        with pytest.raises(BadAnswer) as caught:
            await http.download(url, receive=Basket())
        assert "secret" not in str(caught.value)
    if "://" not in url:
        return
    async with FaultServer(faults.answer(faults.redirect(302, url))) as server, opened() as http:
        with pytest.raises(BadAnswer):
            await http.download(server.url, receive=Basket(), local=True)


async def test_http_on_loopback_is_for_a_local_provider() -> None:
    """Without `local` loopback is asked for nothing, be it in the clear or not."""
    async with FaultServer(faults.answer(GOOD)) as server, opened() as http:
        with pytest.raises(BadAnswer, match="does not lead to the public internet"):
            await http.download(server.url, receive=Basket())
        assert not server.accepted


# Helpers


def open_sockets() -> int:
    """How many sockets this process holds."""
    return sum(link.startswith("socket:") for link in links("/proc/self/fd"))


def links(folder: str) -> Iterator[str]:
    for entry in Path(folder).iterdir():
        with contextlib.suppress(OSError):
            yield str(entry.readlink())


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose listener has no room left for a connection."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield port


@pytest.mark.parametrize(
    "url", ["https://xn--a.com/a.mp3", "https://xn--ls8h=.la/", "https://[::g]/"]
)
def test_a_name_that_nobody_can_decode_is_no_link(url: str) -> None:
    """It costs its own song, and no other: nothing else is raised. httpx2 asks for it as it is."""
    with contextlib.suppress(LinkRefused):
        assert str(link_request(url, {}, local=False).url) == url
