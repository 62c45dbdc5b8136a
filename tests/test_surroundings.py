"""Hostile surroundings: certificates, resolvers, proxies, descriptors, a loop that stands still.

Whatever stands between a request and its provider: either nothing left and that is proved, or the
answer counts. All servers are on loopback; where the system itself can be made to fail, it is.
"""

import json
import os
import socket
import ssl
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.kit import fault_server as faults
from tests.kit.clocks import block, movable_backend
from tests.kit.fault_server import Behaviour, FaultServer
from tests.kit.secure import SecureServer, make_certificate
from udio_async import Client, Event, NetworkUnusable, SqliteJournal, UdioApiV2, Unreachable
from udio_async._http import Account, ApiKey, Call, HttpSender, Reply, tls
from udio_async.testing import ACCOUNT, make_entry

KEY = "key-of-surroundings"
HOST = "api.songs.invalid"
ACCEPTED = faults.ok(
    json.dumps({"code": 200, "workId": "task-1", "data": {"task_id": "task-1"}}).encode()
)
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that says nothing of networks."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def make_client(url: str, **options: Any) -> Client:  # noqa: ANN401  # handed on
    return Client(UdioApiV2(api_key=KEY, base_url=url), **options)


@asynccontextmanager
async def opened() -> AsyncGenerator[HttpSender]:
    async with anyio.create_task_group() as tasks, HttpSender(tasks) as http:
        yield http
        tasks.cancel_scope.cancel()


def paid(url: str, *, seconds: float = 10.0) -> Call:
    """A paid request: a POST that is sent once."""
    account = Account(base_url=url, key=ApiKey(KEY))
    return Call(
        account=account, method="POST", path="/s", json={"a": 1}, paid=True, timeout=seconds
    )


async def failure_of(http: HttpSender, request: Call) -> Unreachable:
    """Send a request that must not get an answer."""
    with pytest.raises(Unreachable) as caught:
        await http.send(request)
    return caught.value


on_movable_clocks = pytest.mark.parametrize(
    "anyio_backend", [movable_backend("asyncio"), movable_backend("trio")], ids=["asyncio", "trio"]
)
Lookup = Callable[..., Any]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, Lookup]:
    """What the resolver says of some names, in place of the truth; it is asked in a thread."""
    said: dict[str, Lookup] = {}
    original = socket.getaddrinfo

    def lookup(host: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401  # as the original
        name = host.decode() if isinstance(host, bytes) else host
        flags = named.get("flags", more[4] if len(more) > 4 else 0)
        if name in said and flags & socket.AI_NUMERICHOST:  # it is asked here, in the loop
            raise socket.gaierror(socket.EAI_NONAME, "it is no number")
        return (
            said[name](original, *more, **named) if name in said else original(host, *more, **named)
        )

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return said


def leads_to(*hosts: str) -> Lookup:
    """A name with these addresses."""
    return lambda original, *more, **named: [
        found for host in hosts for found in original(host, *more, **named)
    ]


# Certificates --------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["self-signed", "expired", "IP address mismatch"])
async def test_a_wrong_certificate_gets_no_request(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its words nor the key leave, nothing is charged, and the error says what is wrong."""
    name = "IP:127.0.0.2" if "mismatch" in reason else "IP:127.0.0.1"
    make_certificate(tmp_path, name, expired=reason == "expired")
    server = SecureServer(tmp_path, ACCEPTED)
    if reason != "self-signed":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with server.running() as url, make_client(url) as client:
        with pytest.raises(NetworkUnusable, match=reason) as caught:
            await client.submit("rain")
        assert caught.value.charged == "no"
    assert server.requests == []


async def test_control_the_right_certificate_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: such a server takes requests, with the key."""
    server = SecureServer(make_certificate(tmp_path, "IP:127.0.0.1"), ACCEPTED)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with server.running() as url, make_client(url) as client:
        assert (await client.submit("rain")).task_id == "task-1"
    assert KEY.encode() in server.requests[0]


def test_no_certificate_is_ever_taken_on_trust() -> None:
    """Name, chain and a TLS of today are asked for; there is no option that says otherwise."""
    context = tls.ssl_context(trust_env=False)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


async def test_neither_a_netrc_nor_a_log_of_keys_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first would change who pays, the second would let others read along."""
    server = SecureServer(make_certificate(tmp_path, "IP:127.0.0.1"), ACCEPTED)
    log = tmp_path / "keys.log"
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with server.running() as url, make_client(url) as client:
        await client.submit("rain")
    assert f"Authorization: Bearer {KEY}".lower().encode() in server.requests[0].lower()
    assert b"Basic" not in server.requests[0]
    assert "_SECRET" not in (log.read_text() if log.exists() else "")


# Names ---------------------------------------------------------------------------------------


async def test_a_resolver_that_lies_gets_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolver: dict[str, Lookup]
) -> None:
    """The server that it names is not whom the request is for, even with a certificate we trust."""
    server = SecureServer(make_certificate(tmp_path, "DNS:other.songs.invalid"), ACCEPTED)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    resolver[HOST] = resolver["other.songs.invalid"] = leads_to("127.0.0.1")
    async with server.running():
        async with make_client(f"https://{HOST}:{server.port}") as client:
            with pytest.raises(NetworkUnusable, match="Hostname mismatch") as caught:
                await client.submit("rain")
        assert caught.value.charged == "no"
        assert server.requests == []
        async with make_client(f"https://other.songs.invalid:{server.port}") as client:
            await client.submit("rain")  # a control: to its own name it answers


@on_movable_clocks
async def test_a_resolver_that_says_nothing_costs_nothing_and_stops_nobody_else(
    tmp_path: Path, resolver: dict[str, Lookup]
) -> None:
    """More lookups hang than there are threads for them.

    Each request ends in its time, unsent; numbers need no lookup, and the journal has a thread of
    its own.
    """
    answers, threads = threading.Event(), min(32, (os.cpu_count() or 1) + 4)  # as asyncio has
    hanging: list[object] = []

    def hang(*_: Any, **__: Any) -> Any:  # noqa: ANN401  # as the original
        hanging.append(None)
        answers.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    resolver[HOST] = hang
    errors: list[Unreachable] = []

    async def ask(http: HttpSender) -> None:
        errors.append(await failure_of(http, paid(f"https://{HOST}", seconds=60.0)))

    journal = SqliteJournal(tmp_path / "songs.db")
    try:
        async with (
            FaultServer(faults.answer(ACCEPTED)) as server,
            opened() as http,
            journal.open(ACCOUNT),
            anyio.create_task_group() as tasks,
        ):
            for _ in range(threads + 2):
                tasks.start_soon(ask, http)
            while len(hanging) < threads:  # noqa: ASYNC110  # it is true of threads
                await anyio.sleep(0.005)
            await journal.add(make_entry("a"))
            reply = await http.send(paid(server.url))
            assert (reply.status, errors) == (200, [])
            block(100.0)
    finally:
        answers.set()
    assert [error.sent for error in errors] == [False] * (threads + 2)


# IPv6 ----------------------------------------------------------------------------------------

needs_ipv6 = pytest.mark.skipif(
    not Path("/proc/net/if_inet6").exists(), reason="this system has no IPv6"
)


@needs_ipv6
async def test_a_provider_that_is_only_on_ipv6_is_reached() -> None:
    """By its number, which the `Host` header has in brackets."""
    async with FaultServer(faults.answer(ACCEPTED), host="::1") as server:
        async with make_client(server.url) as client:
            assert (await client.submit("rain")).task_id == "task-1"
        assert server.requests[0].headers["host"] == f"[::1]:{server.port}"


@needs_ipv6
@pytest.mark.parametrize("addresses", [["::1"], ["127.0.0.1", "::1"], ["::1", "127.0.0.1"]])
async def test_of_several_addresses_one_that_works_is_enough(
    addresses: list[str], resolver: dict[str, Lookup]
) -> None:
    """In whatever order the resolver names them; it is asked once."""
    resolver["localhost"] = leads_to(*addresses)
    async with FaultServer(faults.answer(ACCEPTED), host="::1") as server:
        async with make_client(f"http://localhost:{server.port}") as client:
            assert (await client.submit("rain")).task_id == "task-1"
        assert len(server.requests) == 1


# Proxies -------------------------------------------------------------------------------------

TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(
    "behaviour",
    [
        faults.hang_up(),
        faults.hang_up(reset=True),
        faults.cut(b"", after=0),
        faults.cut(b"", after=0, reset=True),
        faults.cut(TUNNEL, after=20),
        faults.cut(b"what?\r\n\r\n", after=9),
        faults.cut(TUNNEL, after=len(TUNNEL)),
        faults.cut(TUNNEL, after=len(TUNNEL), reset=True),
    ],
    ids=[
        *("accepts and closes", "accepts and resets", "reads and closes", "reads and resets"),
        *("half an answer", "no HTTP", "closes its tunnel", "resets its tunnel"),
    ],
)
async def test_a_proxy_that_hangs_up_before_the_request_has_got_nothing(
    behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tunnel was not there yet, so trying again costs nothing."""
    async with FaultServer(behaviour) as proxy, opened() as http:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = await failure_of(http, paid(f"https://{HOST}"))
        assert not error.sent
        assert KEY not in str(proxy.requests)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_proxy_that_hangs_up_with_the_request_may_have_passed_it_on(
    reset: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on it is a doubt like any other."""
    async with FaultServer(faults.cut(b"", after=0, reset=reset)) as proxy, opened() as http:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        error = await failure_of(http, paid("http://127.0.0.1:1"))
        assert error.sent
        assert len(proxy.requests) == 1


# Descriptors ---------------------------------------------------------------------------------


@contextmanager
def no_descriptors() -> Generator[Callable[[], None]]:
    """Use up all file descriptors of the process; what it yields gives them back."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.dup(0)
    used = max(int(file.name) for file in Path("/dev/fd").iterdir())
    held = [probe]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(used, probe) + 1, before[1]))

    def give_back() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        while held:
            os.close(held.pop())

    try:
        with pytest.raises(OSError, match="Too many open files"):  # noqa: PT012  # until it does
            while True:
                held.append(os.dup(0))
        yield give_back
    finally:
        give_back()


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_without_descriptors_nothing_is_sent_and_it_is_tried_again(
    secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submit waits until there are some, as for a network that is away; it is charged once."""
    monkeypatch.setattr("udio_async._submit.gate.backoff", lambda *_, **__: 0.01)
    tls._context.cache_clear()  # the certificates have to be read as well
    told: list[BaseException | None] = []

    def observe(event: Event) -> None:
        if event.kind == "retried":
            told.append(event.error)
            if len(told) == 3:
                give_back()

    server = SecureServer(make_certificate(tmp_path, "IP:127.0.0.1"), ACCEPTED)
    async with FaultServer(faults.answer(ACCEPTED)) as plain, server.running() as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        async with make_client(url if secure else plain.url, on_event=observe) as client:
            await anyio.wait_all_tasks_blocked()  # the servers are where they need none any more
            with no_descriptors() as give_back:
                assert (await client.submit("rain")).task_id == "task-1"
        assert len(server.requests if secure else plain.requests) == 1
    assert len(told) == 3
    for error in told:
        assert isinstance(error, Unreachable)
        assert not error.sent
        assert "Too many open files" in str(error)


# A loop that stands still --------------------------------------------------------------------


@on_movable_clocks
async def test_an_answer_that_waits_in_the_socket_is_not_late() -> None:
    """Somebody blocks the event loop past the deadline of a request; its answer came meanwhile."""
    blocked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:  # in a thread, as the loop stands still
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                received.set()
                blocked.wait(10)
                connection.sendall(ACCEPTED)
                answered.set()
                connection.recv(1)

        received, answered = threading.Event(), threading.Event()
        server = threading.Thread(target=serve)
        server.start()
        replies: list[Reply] = []

        async def ask(http: HttpSender) -> None:
            port = listener.getsockname()[1]
            replies.append(await http.send(paid(f"http://127.0.0.1:{port}", seconds=60.0)))

        async with opened() as http, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, http)
            while not received.is_set():  # noqa: ASYNC110  # it is true of a thread
                await anyio.sleep(0.005)
            blocked.set()
            answered.wait(10)
            block(100.0)
        server.join()
    assert [(reply.status, reply.cut) for reply in replies] == [(200, None)]
