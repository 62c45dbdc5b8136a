"""A connection of our own: what it raises, when it is used again, and TLS that goes on."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from tests.kit import fault_server as faults
from tests.kit.fault_server import Connection, FaultServer
from tests.kit.secure import SecureServer, make_certificate
from udio_async._http import LeasedTransport

GOOD = faults.ok(b'{"id":"song-1"}')


async def ask(transport: httpx.AsyncBaseTransport, url: str, **extensions: object) -> bytes:
    """Send one request, and return the body of its answer."""
    request = httpx.Request("GET", url, extensions=extensions)
    response = await transport.handle_async_request(request)
    try:
        return await response.aread()
    finally:
        await response.aclose()


# What a step that is too slow raises


@pytest.mark.parametrize("begun", [b"", faults.http(200, b"half", length=9)])
async def test_an_answer_that_stops_is_a_time_out(begun: bytes) -> None:
    """As in httpx, whether it does not begin or does not go on; nothing is left open."""
    async with FaultServer(faults.stall(begun)) as server:
        transport = LeasedTransport(keep=1)
        with pytest.raises(httpx.ReadTimeout):
            await ask(transport, server.url, timeout={"read": 0.05})
        await server.wait_for(lambda: server.open == 0)


async def test_what_is_no_web_address_is_not_asked() -> None:
    """Only http and https are spoken."""
    with pytest.raises(httpx.UnsupportedProtocol, match="ftp"):
        await ask(LeasedTransport(keep=1), "ftp://127.0.0.1/x")


async def test_a_request_that_cannot_be_written_does_not_leave() -> None:
    """Such as one whose header holds the end of a line."""
    async with FaultServer(faults.answer(GOOD)) as server:
        request = httpx.Request("GET", server.url, headers={"X-A": "b\r\nX-C: d"})
        with pytest.raises(httpx.LocalProtocolError):
            await LeasedTransport(keep=1).handle_async_request(request)
        await server.wait_for(lambda: server.accepted > 0 and server.open == 0)
        assert not server.requests


async def test_an_answer_that_came_before_the_request_was_taken_counts() -> None:
    """A server may refuse a long body by its head, and read no more of it."""

    async def refuse(connection: Connection) -> None:
        await connection.stream.receive(1)
        await connection.send(faults.http(413, b"too long", "Connection: close"))
        await connection.stream.send_eof()
        await connection.until_closed()

    async with FaultServer(refuse) as server:
        transport = LeasedTransport(keep=1)
        request = httpx.Request("POST", server.url, content=bytes(4 << 20))
        response = await transport.handle_async_request(request)
        assert response.status_code == 413
        assert await response.aread() == b"too long"
        await response.aclose()
        await transport.aclose()


# When it is used again


def is_stale(transport: LeasedTransport) -> bool:
    """Whether the connection that waits would not be used."""
    return transport._free[0][1].is_stale


@pytest.mark.parametrize(
    ("data", "again"),
    [
        (GOOD, True),
        (faults.chunked(b"{}"), True),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOOD, True),
        (faults.http(200, b"{}", "Connection: close"), False),
        (faults.http(200, b"{}").replace(b"1.1", b"1.0"), False),
        (GOOD + b"HTTP/1.1 200 OK\r\n", False),
    ],
    ids=["length", "chunks", "interim", "close", "HTTP/1.0", "more than was asked for"],
)
async def test_a_connection_is_used_again_where_nothing_speaks_against_it(
    data: bytes, again: bool
) -> None:
    """Neither the server's word, nor its version, nor bytes that belong to no answer."""
    async with FaultServer(faults.answer(data)) as server:
        transport = LeasedTransport(keep=1)
        for _ in range(3):
            await ask(transport, server.url)
        await transport.aclose()
        assert server.accepted == (1 if again else 3)


async def test_a_connection_on_which_the_server_spoke_unasked_is_not_used() -> None:
    """A time-out page, say: it would be taken for the answer to the next request."""
    goes_on = anyio.Event()

    async def speak(connection: Connection) -> None:
        await connection.request()
        await connection.send(GOOD)
        await goes_on.wait()
        await connection.send(faults.http(408, b"{}"))
        await connection.until_closed()

    async with FaultServer([speak, faults.answer(GOOD)]) as server:
        transport = LeasedTransport(keep=1)
        await ask(transport, server.url)
        assert not is_stale(transport)
        goes_on.set()
        await server.wait_for(lambda: is_stale(transport))
        assert await ask(transport, server.url) == b'{"id":"song-1"}'
        await transport.aclose()
        assert server.accepted == 2


async def test_a_connection_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute somebody on the way may have forgotten it."""
    now = 1000.0
    monkeypatch.setattr("udio_async._http.connection.monotonic", lambda: now)
    async with FaultServer(faults.answer(GOOD)) as server:
        transport = LeasedTransport(keep=1)
        await ask(transport, server.url)
        assert not is_stale(transport)
        now += 61.0
        assert is_stale(transport)
        await transport.aclose()


# When it takes a paid request

KEPT = faults.ok(b"{}", "Connection: Keep-Alive")


@pytest.mark.parametrize(
    ("data", "looks", "times", "again"),
    [
        (KEPT, 1, (0.1, 0.1), True),
        (KEPT, 1, (0.1, 0.005), False),
        (KEPT, 1, (0.2, 0.1), False),
        (GOOD, 1, (0.1, 0.1), False),
        (GOOD, 2, (0.1, 0.1), True),
        (GOOD, 2, (0.0, 0.3), False),
    ],
    ids=["said", "just now", "slowly answered", "not said", "shown", "shown long ago"],
)
async def test_a_paid_request_takes_a_connection_that_was_used_a_moment_ago(
    data: bytes,
    looks: int,
    times: tuple[float, float],
    again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the server has said or shown that it keeps it, and no answer may end it just now.

    The times are how long an answer took, and how long ago the last one came.
    """
    now = 1000.0
    took, idle = times
    monkeypatch.setattr("udio_async._http.connection.monotonic", lambda: now)

    async def take_time(connection: Connection) -> None:
        nonlocal now
        while True:
            await connection.request()
            now += took
            await connection.send(data)

    async with FaultServer(take_time) as server:
        transport = LeasedTransport(keep=1)
        for _ in range(looks):
            await ask(transport, server.url)
        now += idle
        await ask(transport, server.url, paid=True)
        await transport.aclose()
        assert server.accepted == (1 if again else 2)


async def test_a_paid_request_takes_no_connection_that_was_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server may say that it keeps it, and close it at once."""
    now = 1000.0
    monkeypatch.setattr("udio_async._http.connection.monotonic", lambda: now)
    async with FaultServer(faults.answer_once(KEPT)) as server:
        transport = LeasedTransport(keep=1)
        for _ in range(5):
            await ask(transport, server.url, paid=True)
            await server.wait_for(lambda: server.open == 0)
            now += 0.1
        await transport.aclose()
        assert server.accepted == 5


async def test_what_is_asked_once_more_has_a_new_connection() -> None:
    """Or it might meet another one that the server has just closed."""
    async with FaultServer(faults.answer(KEPT)) as server:
        transport = LeasedTransport(keep=1)
        for _ in range(3):
            await ask(transport, server.url, fresh=True)
        await transport.aclose()
        assert server.accepted == 3


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for 127.0.0.1 and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")


@pytest.mark.skipif(httpx.__name__ == "httpx2", reason="its contexts ask the operating system")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_goes_on_from_the_connection_before(
    version: ssl.TLSVersion, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second connection to a host spares both sides most of the handshake."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    server = SecureServer(certificate, GOOD, version=version)
    async with server.running() as url:
        for _ in range(3):  # a client after the other
            transport = LeasedTransport(keep=1)
            assert await ask(transport, url, fresh=True) == b'{"id":"song-1"}'
            await transport.aclose()
    assert server.resumed == [False, True, True]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("behind", "hangs_up"),
    [(faults.http(429, b"{}"), False), (b"", True)],
    ids=["more than was asked for", "the last one"],
)
async def test_what_came_behind_an_answer_is_seen_through_tls(
    behind: bytes,
    hangs_up: bool,
    version: ssl.TLSVersion,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have been taken from the socket with the answer: a poll of the socket shows nothing.

    A paid request would take the stray answer for its own, or wait for one that never comes.
    """
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    monkeypatch.setattr("udio_async._http.connection.SETTLED", 0.0)
    server = SecureServer(certificate, KEPT, version=version, behind=behind, hangs_up=hangs_up)
    async with server.running() as url:
        transport = LeasedTransport(keep=1)
        for _ in range(3):
            assert await ask(transport, url, paid=True) == b"{}"
        await transport.aclose()
    assert len(server.resumed) == len(server.requests) == 3


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("size", [60_000, 65_536])
async def test_what_was_read_with_a_large_answer_is_seen(
    size: int, tls: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio reads up to 256 KiB at once, of which anyio keeps what nobody has asked for."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    monkeypatch.setattr("udio_async._http.connection.SETTLED", 0.0)
    head = b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
    whole = head % (size - len(head % size)) + bytes(size - len(head % size))
    behind = KEPT.replace(b"{}", b"{ }").replace(b" 2", b" 3") + bytes(20_000)
    if tls:
        server = SecureServer(certificate, whole, behind=behind)
        running = server.running()
    else:
        running = _serving(FaultServer(faults.answer(whole + behind)))
    async with running as url:
        transport = LeasedTransport(keep=1)
        for _ in range(3):
            assert await ask(transport, url, paid=True) == bytes(size - len(head % size))
        await transport.aclose()


@asynccontextmanager
async def _serving(server: FaultServer) -> AsyncGenerator[str]:
    async with server:
        yield server.url


async def test_a_certificate_is_always_verified(certificate: Path) -> None:
    """Without its CA no request leaves, and no session is kept."""
    server = SecureServer(certificate, GOOD)
    async with server.running() as url:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError) as caught:
                await ask(LeasedTransport(keep=1, trust_env=False), url)
            assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
