"""Proxies and certificates: what counts, and what is told at once."""

import json
import socket
import ssl
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from tests.kit import fault_server as faults
from tests.kit.fault_server import FaultServer
from tests.kit.secure import make_certificate
from udio_async import (
    Client,
    NetworkUnusable,
    UdioApiV2,
    Unreachable,
)
from udio_async._http.diagnosis import PATIENCE, OutageJudge, UnknownHost, unsent
from udio_async._http.transport import environment_proxy

ACCEPTED = {"code": 200, "workId": "task-1", "data": {"task_id": "task-1"}}
HOST = "api.songs.invalid"
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of networks."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for the host that only who has it can verify, and its key."""
    return make_certificate(tmp_path_factory.mktemp("ca"), f"DNS:{HOST}", "DNS:localhost")


class Breaker:
    """A proxy that breaks TLS, as those of companies do: it answers in the host's name."""

    def __init__(self, ca: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(ca / "cert.pem", ca / "key.pem")
        self.tunnels: list[bytes] = []
        self.requests: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[str]:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._attend)
            port = listener.extra(SocketAttribute.local_port)
            yield f"http://127.0.0.1:{port}"
            tasks.cancel_scope.cancel()

    async def _attend(self, stream: SocketStream) -> None:
        async with stream:
            self.tunnels.append((await stream.receive()).partition(b"\r\n")[0])
            await stream.send(b"HTTP/1.1 200 Yes\r\n\r\n")
            try:
                inner = await TLSStream.wrap(
                    stream, server_side=True, ssl_context=self._context, standard_compatible=False
                )
                self.requests.append(await inner.receive())
                await inner.send(faults.ok(json.dumps(ACCEPTED).encode()))
                await inner.aclose()
            except (anyio.BrokenResourceError, anyio.EndOfStream, ssl.SSLError):
                return


def make_client(url: str = f"https://{HOST}", **options: Any) -> Client:  # noqa: ANN401 - handed on
    return Client(UdioApiV2(api_key="key-of-networks", base_url=url), **options)


# The environment


async def test_a_proxy_that_breaks_tls_works_by_the_environment_alone(
    ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY and SSL_CERT_FILE are all that is needed."""
    breaker = Breaker(ca)
    async with breaker.running() as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.setenv("SSL_CERT_FILE", str(ca / "cert.pem"))
        async with make_client() as client:
            assert (await client.submit("rain")).task_id == "task-1"
    assert breaker.tunnels[0] == f"CONNECT {HOST}:443 HTTP/1.1".encode()
    assert breaker.requests[0].startswith(b"POST")


async def test_one_option_switches_the_environment_off(
    ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the proxy nor the certificates count."""
    breaker = Breaker(ca)
    async with breaker.running() as address, make_client(trust_env=False) as client:
        monkeypatch.setenv("HTTPS_PROXY", address)
        with anyio.move_on_after(1):
            await client.submit("rain")
    assert breaker.tunnels == []


async def test_without_the_ca_nothing_is_sent_and_it_is_told_at_once(
    ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate does not mend itself; the error names the remedy."""
    breaker = Breaker(ca)
    async with breaker.running() as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        async with make_client() as client:
            with pytest.raises(NetworkUnusable, match=r"certificate.*SSL_CERT_FILE") as caught:
                await client.submit("rain")
    assert caught.value.charged == "no"
    assert breaker.requests == []
    assert len(breaker.tunnels) == 1


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://a.example", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://a.example", {"ALL_PROXY": "p:1"}, "http://p:1"),
        (
            "https://a.example",
            {"ALL_PROXY": "http://a:1", "HTTPS_PROXY": "http://p:1"},
            "http://p:1",
        ),
        ("https://a.example", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, None),
        ("https://b.a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".a.example"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example:443"}, None),
        ("https://a.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("http://127.0.0.1:9", {"HTTP_PROXY": "http://p.example:1"}, None),
        ("http://127.0.0.1:9", {"HTTP_PROXY": "http://localhost:1"}, "http://localhost:1"),
    ],
)
def test_which_proxy_counts(
    url: str, environment: dict[str, str], proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As httpx reads it; loopback is asked of no proxy elsewhere, which would see the key."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    assert environment_proxy(httpx.URL(url)) == proxy


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HTTPS_PROXY", "socks://127.0.0.1:9", "HTTPS_PROXY"),
        ("ALL_PROXY", "ftp://127.0.0.1:9", "ALL_PROXY"),
        ("HTTPS_PROXY", "http://[::1", r"HTTPS_PROXY=http://\[::1 cannot be used: Invalid port"),
        ("https_proxy", "http://[::1", "https_proxy=http"),
        ("HTTPS_PROXY", "http://me:hunter2@[::1", r"HTTPS_PROXY=\.\.\.@\[::1 cannot be used; mend"),
        (
            "HTTPS_PROXY",
            "http://me:hunter2/x@host:1",
            "HTTPS_PROXY=...@host:1 cannot be used; mend",
        ),
        ("SSL_CERT_FILE", "/no/such/file", "SSL_CERT_FILE"),
    ],
)
async def test_what_the_environment_cannot_mean_is_told_at_once(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing left, and the error names what to mend."""
    monkeypatch.setenv(name, value)
    async with make_client() as client:
        with pytest.raises(NetworkUnusable, match=said) as caught:
            await client.submit("rain")
    assert caught.value.charged == "no"
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown, "neither is a password shown"


async def test_a_proxy_that_wants_a_password_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked again it would say the same."""
    async with FaultServer(faults.answer(faults.http(407))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with make_client() as client:
            with pytest.raises(NetworkUnusable, match="407"):
                await client.submit("rain")
        assert proxy.accepted == 1


async def test_a_proxy_that_is_down_is_tried_again_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event shows why, and how long it waits."""
    seen: list[Any] = []
    async with FaultServer(faults.answer(faults.http(502))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        async with make_client(on_event=seen.append) as client:
            with anyio.move_on_after(10) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(client.submit, "rain")
                    await proxy.wait_for(lambda: proxy.accepted >= 2)
                    tasks.cancel_scope.cancel()
            assert not scope.cancelled_caught
    assert seen[0].kind == "retried"
    assert "502" in str(seen[0].error)
    assert seen[0].error.charged == "no"


async def test_a_dead_address_is_named_with_its_port() -> None:
    """Two services on one machine differ in nothing else."""
    url = "http://127.0.0.1:9"
    async with make_client(url) as client:
        with pytest.raises(Unreachable, match=r"GET 127\.0\.0\.1:9/api/"):
            await client.credits()


# What passes, and what does not


def test_an_unknown_host_is_believed_after_a_minute() -> None:
    """Until then the resolver may be to blame; another failure begins the minute anew."""
    outlook = OutageJudge()
    unknown = UnknownHost("no such host")
    for now in (0.0, PATIENCE - 1):
        judged = outlook.judge(unknown, now)
        assert type(judged) is Unreachable
        assert judged.may_repeat
    assert type(outlook.judge(unknown, PATIENCE)) is NetworkUnusable
    outlook.judge(Unreachable("refused", sent=False), PATIENCE)
    assert type(outlook.judge(unknown, PATIENCE + 1)) is Unreachable


def test_what_worked_before_may_work_again() -> None:
    """A certificate that is wrong all of a sudden is a hotel's, and passes."""
    outlook = OutageJudge()
    wrong = NetworkUnusable("certificate")
    assert type(outlook.judge(wrong, 0.0)) is NetworkUnusable
    outlook.reached()
    assert type(outlook.judge(wrong, 0.0)) is Unreachable


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ssl.SSLCertVerificationError(1, "self-signed"), NetworkUnusable),
        (httpx.UnsupportedProtocol("ftp"), NetworkUnusable),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), UnknownHost),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), Unreachable),
        (ConnectionRefusedError("refused"), Unreachable),
    ],
)
def test_the_cause_decides(cause: Exception, kind: type[Exception]) -> None:
    """However deep libraries have wrapped it."""
    error = httpx.ConnectError("")
    error.__cause__ = RuntimeError()
    error.__cause__.__context__ = cause
    assert type(unsent("no way", error)) is kind
