"""Clients and transports of the user's: what of them counts, and what they may not do."""

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from anyio.lowlevel import checkpoint

from tests.kit import fault_server as faults
from tests.kit.fault_server import FaultServer
from tests.test_networks import ACCEPTED, HOST, make_client
from udio_async import (
    BadAnswer,
    Client,
    ClientClosed,
    InsufficientCredits,
    PollPolicy,
    SongRequest,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    WaitExpired,
)
from udio_async._concurrency import closed_after
from udio_async._http import Account, ApiKey, Call, HttpSender, Reply

Service = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def own_client(reply: Service, **options: Any) -> AsyncGenerator[Client]:  # noqa: ANN401
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(reply), **options) as http,
        make_client(http_client=http) as client,
    ):
        yield client


class Recorder:
    """Answers a submit, and keeps what came."""

    def __init__(self, *answers: httpx.Response) -> None:
        self._answers = list(answers)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return self._answers.pop(0) if self._answers else httpx.Response(200, json=ACCEPTED)


async def test_an_own_clients_headers_and_cookies_go_along() -> None:
    """But for those that say who pays and what is sent."""
    recorder = Recorder()
    mine = {"X-Gateway": "a", "User-Agent": "mine/1", "Authorization": "Bearer other"}
    async with own_client(
        recorder, headers={**mine, "Accept-Encoding": "br"}, cookies={"gate": "b"}
    ) as client:
        await client.submit("rain")
    headers = recorder.seen[0].headers
    assert (headers["x-gateway"], headers["cookie"], headers["user-agent"]) == (
        "a",
        "gate=b",
        "mine/1",
    )
    assert headers["authorization"] == "Bearer key-of-networks"
    assert headers["accept-encoding"] == "identity"
    assert headers["content-type"] == "application/json"


async def test_an_own_clients_auth_signs_and_the_key_stays() -> None:
    """Whatever it writes into `Authorization` gives way to the provider's key."""

    class Signing(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
            request.headers["X-Signature"] = "signed"
            request.headers["Authorization"] = "Basic other"
            yield request

    for auth in (Signing(), ("user", "word")):
        recorder = Recorder()
        async with own_client(recorder, auth=auth) as client:
            await client.submit("rain")
        assert recorder.seen[0].headers["authorization"] == "Bearer key-of-networks"
    assert "x-signature" not in recorder.seen[0].headers


class SendsACopy(httpx.Auth):
    def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
        content, headers = request.content, request.headers
        yield httpx.Request(request.method, request.url, content=content, headers=headers)


@pytest.mark.parametrize("scheme", ["digest", "asks again", "sends a copy"])
async def test_an_auth_that_asks_twice_pays_once(scheme: str) -> None:
    """A digest would send the same request again after a 401: a paid one goes out once."""

    class Insisting(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
            yield request
            yield request

    class Copying(SendsACopy):
        def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
            yield request
            yield from super().auth_flow(request)

    digest = httpx.DigestAuth("user", "word")
    auth = {"digest": digest, "asks again": Insisting(), "sends a copy": Copying()}[scheme]
    challenge = 'Digest realm="a", nonce="b", qop="auth", algorithm=MD5'
    recorder = Recorder(httpx.Response(401, headers={"WWW-Authenticate": challenge}))
    async with own_client(recorder, auth=auth) as client:
        with pytest.raises(Exception, match="401"):
            await client.submit("rain")
    assert len(recorder.seen) == 1


async def test_an_auth_that_fetches_a_token_first_may_do_so() -> None:
    """Other requests than the paid one are its own."""

    class Fetching(httpx.Auth):
        requires_response_body = True

        def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
            token = yield httpx.Request("GET", "https://login.example/token")
            request.headers["X-Token"] = token.text
            yield request

    recorder = Recorder(httpx.Response(200, text="t"))
    async with own_client(recorder, auth=Fetching()) as client:
        await client.submit("rain")
    assert [request.url.host for request in recorder.seen] == ["login.example", HOST]
    assert recorder.seen[1].headers["x-token"] == "t"
    assert "authorization" not in recorder.seen[0].headers


async def read_whole(response: httpx.Response) -> None:
    await response.aread()


async def raise_if_bad(response: httpx.Response) -> None:
    response.raise_for_status()


async def raise_with_words(response: httpx.Response) -> None:
    await response.aread()
    response.raise_for_status()


@pytest.mark.parametrize("hook", [read_whole, raise_if_bad, raise_with_words])
async def test_hooks_may_read_the_answer_and_make_no_doubt_of_it(
    hook: Callable[[httpx.Response], Awaitable[None]],
) -> None:
    """An answer that a hook has read or refused is an answer all the same."""
    recorder = Recorder(httpx.Response(200, json=ACCEPTED), httpx.Response(402, json={"a": 1}))
    async with own_client(recorder, event_hooks={"response": [hook]}) as client:
        assert (await client.submit("rain")).task_id == "task-1"
        with pytest.raises(InsufficientCredits):
            await client.submit("sun")


class Pieces(httpx.AsyncByteStream):
    """A body that is read once, as that of a connection."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        while self._pieces:
            await checkpoint()
            piece = self._pieces.pop(0)
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self._pieces.clear()


def refused(*pieces: bytes | Exception) -> httpx.AsyncBaseTransport:
    """Return a transport that refuses a submit, with this body."""
    return httpx.MockTransport(lambda _: httpx.Response(429, stream=Pieces(*pieces)))


async def close_it(response: httpx.Response) -> None:
    await response.aclose()


async def read_half(response: httpx.Response) -> None:
    async with closed_after(response.aiter_raw()) as chunks:
        async for _ in chunks:
            break
    response.raise_for_status()


QUEUED = (b'{"message": "Your request ', b'is queued"}')
BODIES: Mapping[str, tuple[bytes | Exception, ...]] = {
    "whole": QUEUED,
    "empty": (),
    "cut off": (QUEUED[0], httpx.ReadError("reset")),
    "too long": (b"x" * 700_000,) * 3,
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("hook", [raise_if_bad, close_it, read_half])
async def test_an_answer_is_the_same_whatever_a_hook_does_with_it(
    hook: Callable[[httpx.Response], Awaitable[None]], body: str
) -> None:
    """httpx closes an answer when a hook raises: its words are read before."""
    outcomes = []
    for hooks in ([], [hook]):
        transport = refused(*BODIES[body])
        async with httpx.AsyncClient(transport=transport, event_hooks={"response": hooks}) as own:
            outcomes.append(await outcome_of(own))
    assert isinstance(outcomes[0], Reply)
    assert outcomes[0] == outcomes[1]


async def test_words_that_a_hook_did_not_read_keep_a_song_from_being_paid_twice() -> None:
    """The number alone says "wait"; the words say that it is taken."""
    asked = []

    def queue(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(429, stream=Pieces(*QUEUED))

    for auth in (None, SendsACopy()):
        async with own_client(queue, event_hooks={"response": [raise_if_bad]}, auth=auth) as client:
            with pytest.raises(SubmitInDoubt):
                await client.submit("rain")
    assert len(asked) == 2


@pytest.mark.parametrize("stopped_by", ["a hook", "a transport"])
async def test_an_answer_that_nobody_can_read_any_more_counts_as_cut(stopped_by: str) -> None:
    """It is not taken for a whole answer without words."""

    async def read_in_no_time(response: httpx.Response) -> None:
        with anyio.move_on_after(0):
            await response.aread()

    class Closing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await refused(*QUEUED).handle_async_request(request)
            if stopped_by == "a transport":
                await response.aclose()
            return response

    hooks = {"response": [read_in_no_time] if stopped_by == "a hook" else []}
    async with httpx.AsyncClient(transport=Closing(), event_hooks=hooks) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Reply)
    assert outcome.cut


async def test_an_own_clients_hooks_stay_in_their_order() -> None:
    """Ours comes first, is added once, and only where there are others; the list is the same."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(Recorder())) as own:
        await outcome_of(own)
        assert own.event_hooks == {"request": [], "response": []}
        mine = own.event_hooks["response"]
        mine.append(raise_if_bad)
        await outcome_of(own)
        assert own.event_hooks["response"] is mine
        assert own.event_hooks["response"][1:] == [raise_if_bad]
        own.event_hooks["response"].insert(0, read_whole)
        await outcome_of(own)
        assert own.event_hooks["response"][1:] == [read_whole, raise_if_bad]


async def test_an_own_clients_timeouts_count_but_for_the_answer_of_a_paid_request() -> None:
    """A read time-out would make a doubt of an answer that is on its way."""
    recorder = Recorder()
    async with own_client(recorder, timeout=httpx.Timeout(3.0, connect=7.0)) as client:
        await client.submit("rain")
    paid = recorder.seen[0].extensions["timeout"]
    assert paid == {"connect": 7.0, "read": None, "write": None, "pool": 3.0}


async def test_a_hook_that_breaks_makes_a_doubt() -> None:
    """The request had left: nobody knows what became of it."""

    async def broken(_: httpx.Response) -> None:
        raise ZeroDivisionError

    async with own_client(Recorder(), event_hooks={"response": [broken]}) as client:
        with pytest.raises(SubmitInDoubt):
            await client.submit("rain")


async def test_a_client_that_is_closed_meanwhile_ends_the_waits() -> None:
    """It cannot be opened again; the songs are paid for, and go on being made."""
    answers = [httpx.Response(200, json={"code": 200, "workId": f"w-{n}"}) for n in range(3)]
    own = httpx.AsyncClient(transport=httpx.MockTransport(Recorder(*answers)))
    poll = PollPolicy(interval=0.05, min_interval=0.01)
    async with make_client(http_client=own, poll=poll) as client:
        jobs = [await client.submit("rain") for _ in range(3)]
        await own.aclose()
        for job in jobs:
            with pytest.raises(WaitExpired, match="http_client that was given is closed") as caught:
                await job.songs()
            assert caught.value.charged == "yes"


def look_only(_: httpx.Request) -> None:
    """A hook that was written for a synchronous client: httpx cannot await it."""


async def breaks(_: httpx.Request) -> None:
    raise ValueError("no budget left")


async def looks_and_breaks(request: httpx.Request) -> None:
    json.loads(request.content)
    raise ValueError("no budget left")


class Unable(httpx.AsyncBaseTransport):
    """Fails before it has looked at what it is to send."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise NotImplementedError("only GET")


class Copying(Unable):
    """Sends a copy, and fails in what it does afterwards."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        copy.copy(request)
        raise KeyError("x-request-id")


class Resetting(Unable):
    """Fails as a connection does, whatever it has done before."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise ConnectionResetError("reset by peer")


@pytest.mark.parametrize("hook", [look_only, breaks])
async def test_a_hook_that_breaks_before_the_request_left_makes_no_doubt(
    hook: Callable[[httpx.Request], object],
) -> None:
    """Nobody has looked at the body, so nobody can have sent it."""
    recorder = Recorder()
    transport = httpx.MockTransport(recorder)
    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [hook]}) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert (outcome.sent, outcome.charged, recorder.seen) == (False, "no", [])


async def test_a_transport_that_breaks_at_once_makes_no_doubt() -> None:
    """It is no error of a network, and the body was not looked at."""
    async with httpx.AsyncClient(transport=Unable()) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert outcome.charged == "no"


@pytest.mark.parametrize(
    ("hooks", "transport"),
    [({"request": [looks_and_breaks]}, Unable()), ({}, Copying()), ({}, Resetting())],
    ids=["the body was looked at", "it was copied", "a connection was reset"],
)
async def test_what_may_have_sent_it_makes_a_doubt(
    hooks: Mapping[str, list[Callable[[httpx.Request], object]]], transport: Unable
) -> None:
    """Who has looked at the body, or speaks of a connection, may have sent it."""
    async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert (outcome.sent, outcome.charged) == (True, "unknown")


# Answers of others ---------------------------------------------------------------------------


def asks_elsewhere(reply: Service) -> Callable[[object], Awaitable[None]]:
    """Return a hook that asks another host, and refuses a bad answer of it."""

    async def hook(_: object) -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(reply)) as other:
            (await other.post("https://metrics.example/count")).raise_for_status()

    return hook


@pytest.mark.parametrize("status", [307, 400, 401, 402, 404, 429, 503])
async def test_another_hosts_answer_in_a_response_hook_is_no_answer_of_the_provider(
    status: int,
) -> None:
    """The song may be taken, whatever the other host says; it is not submitted again."""
    recorder = Recorder()
    hook = asks_elsewhere(lambda _: httpx.Response(status, json={"message": "busy"}))
    async with own_client(recorder, event_hooks={"response": [hook]}) as client:
        with pytest.raises(SubmitInDoubt):
            await client.submit("rain")
    assert len(recorder.seen) == 1


@pytest.mark.parametrize("status", [307, 401, 429, 500])
async def test_another_hosts_answer_in_a_request_hook_keeps_the_request_from_leaving(
    status: int,
) -> None:
    """Nothing was sent, and the other host's words are not the provider's."""
    recorder, hook = Recorder(), asks_elsewhere(lambda _: httpx.Response(status))
    transport = httpx.MockTransport(recorder)
    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [hook]}) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert (outcome.charged, recorder.seen) == ("no", [])


class GivesUp(httpx.Auth):
    """Sends nothing more when it gets no token, as an ended generator does."""

    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
        token = yield httpx.Request("POST", "https://login.example/token")
        if "access_token" in token.json():
            yield request


@pytest.mark.parametrize("status", [200, 401, 429, 500])
async def test_an_auth_class_that_gives_up_has_sent_nothing(status: int) -> None:
    """The answer to its own request is not the provider's, whatever is in it."""
    recorder = Recorder(httpx.Response(status, json=ACCEPTED))
    async with httpx.AsyncClient(transport=httpx.MockTransport(recorder), auth=GivesUp()) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert outcome.charged == "no"
    assert "the auth class of the http_client ended" in str(outcome)
    assert [request.url.host for request in recorder.seen] == ["login.example"]


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("reads", [True, False])
async def test_what_an_auth_class_asks_for_after_the_answer_does_not_replace_it(
    status: int, reads: bool
) -> None:
    """It fetches a new token, and may not send the paid request again."""

    class Renewing(httpx.Auth):
        requires_response_body = reads

        def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
            yield request
            yield httpx.Request("POST", "https://login.example/token")
            yield request

    recorder = Recorder(
        httpx.Response(402, json={"message": "top up"}), httpx.Response(status, json=ACCEPTED)
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(recorder), auth=Renewing()) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Reply)
    assert (outcome.status, outcome.body) == (402, b'{"message":"top up"}')
    assert [request.url.host for request in recorder.seen] == [HOST, "login.example"]


# What fails elsewhere, or repeats ------------------------------------------------------------

CALL = Call(
    account=Account(base_url=f"https://{HOST}", key=ApiKey("key")),
    method="POST",
    path="/songs",
    json={"idea": "rain"},
    paid=True,
)


async def outcome_of(
    client: httpx.AsyncClient, call: Call = CALL
) -> Reply | Unreachable | BadAnswer:
    """Send a paid request through a client of the user's."""
    outcomes: list[Reply | Unreachable | BadAnswer] = []
    async with anyio.create_task_group() as tasks, HttpSender(tasks, client=client) as http:
        try:
            outcomes.append(await http.send(call))
        except (Unreachable, BadAnswer) as error:
            outcomes.append(error)
    return outcomes[0]


def elsewhere() -> Exception:
    """Return the error of a request to another host."""
    return httpx.ConnectError("away", request=httpx.Request("GET", "https://metrics.example"))


TOKEN = httpx.Request("POST", "https://login.example/token")
AWAY: Mapping[str, Exception] = {
    "unreachable": elsewhere(),
    "busy": httpx.PoolTimeout("busy"),
    "no address": httpx.InvalidURL("Invalid port: 'x'"),
    "no header": httpx.LocalProtocolError("Illegal header value", request=TOKEN),
    "closed": ClientClosed("the other client is closed before the request left"),
}


@pytest.mark.parametrize("what", AWAY)
async def test_a_hook_that_cannot_reach_another_host_says_nothing_of_the_request(
    what: str,
) -> None:
    """It runs after the answer."""

    async def told(_: httpx.Response) -> None:
        raise AWAY[what]

    hooks = {"response": [told]}
    transport = httpx.MockTransport(Recorder())
    async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert outcome.sent


async def take_stream(request: httpx.Request) -> None:
    assert isinstance(request.stream, httpx.AsyncByteStream)
    assert [chunk async for chunk in request.stream]


async def take_content(request: httpx.Request) -> None:
    assert request.content


async def take_copy(request: httpx.Request) -> None:
    copy.copy(request)


TOKENLESS: Mapping[str, Exception] = {
    "unreachable": elsewhere(),
    "too slow": httpx.ReadTimeout("slow", request=TOKEN),
    "reset": httpx.ReadError("reset", request=TOKEN),
    "not HTTP": httpx.RemoteProtocolError("odd", request=TOKEN),
    "no header": httpx.LocalProtocolError("Illegal header value", request=TOKEN),
    "no address": httpx.InvalidURL("Invalid port: 'x'"),
}


@pytest.mark.parametrize("what", TOKENLESS)
async def test_a_request_hook_that_fails_at_another_host_has_sent_nothing(what: str) -> None:
    """Its error names another request, and nobody has looked at the body of ours."""

    async def fetch(_: httpx.Request) -> None:
        raise TOKENLESS[what]

    async def look_and_fetch(request: httpx.Request) -> None:
        await take_content(request)
        raise TOKENLESS[what]

    for hook, charged in ((fetch, "no"), (look_and_fetch, "unknown")):
        transport = httpx.MockTransport(Recorder())
        async with httpx.AsyncClient(transport=transport, event_hooks={"request": [hook]}) as own:
            outcome = await outcome_of(own)
        assert isinstance(outcome, Unreachable | BadAnswer)
        assert outcome.charged == charged


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_request_hook_that_awaits_a_cancelled_task_has_sent_nothing() -> None:
    """A token is fetched once for all, and whoever had begun that was cancelled."""

    async def share(_: httpx.Request) -> None:
        fetching = asyncio.create_task(asyncio.sleep(60))
        fetching.cancel()
        await fetching

    transport = httpx.MockTransport(Recorder())
    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [share]}) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert outcome.charged == "no"


@pytest.mark.parametrize("first", ["token", "song"])
async def test_an_auth_that_cannot_fetch_a_token(first: str) -> None:
    """Before the paid request nothing has left, whatever goes wrong; after it, that is a doubt."""

    class Renewing(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
            token = httpx.Request("GET", "https://login.example/token")
            yield token if first == "token" else request
            yield request if first == "token" else token

    def reply(request: httpx.Request) -> httpx.Response:
        if request.url.host == HOST:
            return httpx.Response(200, json=ACCEPTED)
        raise httpx.ReadError("login is away") if first == "token" else elsewhere()

    async with httpx.AsyncClient(transport=httpx.MockTransport(reply), auth=Renewing()) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert outcome.sent == (first == "song")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("first", ["refresh", "song"])
async def test_an_auth_class_that_awaits_a_cancelled_task_ends_nothing_else(first: str) -> None:
    """A refresh that is shared, and was cancelled with the request that had begun it."""

    class Sharing(httpx.Auth):
        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            if first == "song":
                yield request
            refresh = asyncio.create_task(asyncio.sleep(60))
            refresh.cancel()
            await refresh
            yield request

    transport = httpx.MockTransport(Recorder())
    async with httpx.AsyncClient(transport=transport, auth=Sharing()) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert "awaited a task that was cancelled" in str(outcome)
    assert outcome.sent == (first == "song")


class Reading(httpx.AsyncBaseTransport):
    """Sends a body, and then has an error that is mostly one of connecting."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        assert [chunk async for chunk in request.stream] == [request.content]
        raise httpx.ConnectError("the pool of another library is closed")


async def test_a_transport_that_has_read_the_body_may_have_sent_it() -> None:
    async with httpx.AsyncClient(transport=Reading()) as own:
        outcome = await outcome_of(own)
    assert isinstance(outcome, Unreachable)
    assert outcome.sent


class Repeating(httpx.AsyncBaseTransport):
    """Asks again after a bad answer, as retrying transports do."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.inner.handle_async_request(request)
        if response.status_code < 500:
            return response
        await response.aclose()
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Untold(httpx.AsyncBaseTransport):
    """Reports nothing of how far a request got, as bridges to other libraries do."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._inner.handle_async_request(
            httpx.Request(
                request.method, request.url, headers=request.headers, stream=request.stream
            )
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


class Persistent(httpx.AsyncClient):
    """Asks again after a bad answer, or none."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401
        with suppress(httpx.ConnectError):
            response = await super().send(request, **options)
            if response.status_code < 500:
                return response
            await response.aclose()
        return await super().send(request, **options)


class Signing(httpx.Auth):
    """Signs the query anew for each try."""

    def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
        for number in (1, 2):
            url = request.url.copy_merge_params({"try": number})
            headers = request.headers
            yield httpx.Request(request.method, url, headers=headers, content=request.content)


REPEATING: Mapping[str, Callable[[], httpx.AsyncClient]] = {
    "a transport": lambda: httpx.AsyncClient(transport=Repeating(httpx.AsyncHTTPTransport())),
    "one that tells nothing": lambda: httpx.AsyncClient(transport=Repeating(Untold())),
    "a client": Persistent,
    "a client that is told nothing": lambda: Persistent(transport=Untold()),
    "an auth class": lambda: httpx.AsyncClient(auth=Signing()),
}


@pytest.mark.parametrize("what", REPEATING)
async def test_a_paid_request_leaves_once_whoever_wants_to_repeat_it(what: str) -> None:
    """The first one may have been taken, whatever its answer says."""
    async with FaultServer(faults.answer(faults.http(502))) as server, REPEATING[what]() as own:
        async with make_client(server.url, http_client=own) as client:
            with pytest.raises(SubmitInDoubt):
                await client.submit("rain")
        assert len([request for request in server.requests if request.body]) == 1


async def test_what_has_not_left_may_be_tried_again_by_the_clients_own_means() -> None:
    """A connection that was refused costs nothing."""
    async with FaultServer(faults.hang_up()) as server:
        closed = server.url
    tried: list[httpx.Request] = []

    class Elsewhere(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            tried.append(request)
            if len(tried) > 1:
                return httpx.Response(200, json=ACCEPTED)
            async with httpx.AsyncHTTPTransport() as inner:
                return await inner.handle_async_request(request)

    own = Persistent(transport=Elsewhere())
    async with own, make_client(closed, http_client=own) as client:
        assert (await client.submit("rain")).task_id == "task-1"
    assert len(tried) == 2


class Logging(httpx.AsyncHTTPTransport):
    """Reads the body before it is sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        assert [chunk async for chunk in request.stream]
        return await super().handle_async_request(request)


class Rebuilding(httpx.AsyncClient):
    """Sends a request of its own making."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401
        made = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.content
        )
        return await super().send(made, **options)


class Tracing(httpx.AsyncClient):
    """Wants to hear itself how far a request is."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:  # noqa: ANN401
        async def heard(_event: str, _info: Any) -> None:  # noqa: ANN401
            pass

        request.extensions["trace"] = heard
        return await super().send(request, **options)


class Fetching(httpx.Auth):
    """Fetches a token with the extensions of the request, for its time-outs."""

    def auth_flow(self, request: httpx.Request) -> Any:  # noqa: ANN401 - a generator
        yield httpx.Request(
            "GET", request.url.copy_with(path="/token"), extensions=request.extensions
        )
        yield request


HARMLESS: Mapping[str, Callable[[], httpx.AsyncClient]] = {
    "logs the body": lambda: httpx.AsyncClient(transport=Logging()),
    "rebuilds the request": Rebuilding,
    "traces it itself": Tracing,
    "fetches a token alike": lambda: httpx.AsyncClient(auth=Fetching()),
}


@pytest.mark.parametrize("what", HARMLESS)
async def test_what_sends_a_paid_request_once_is_left_alone(what: str) -> None:
    """However it does so."""
    accepted = faults.answer(faults.ok(json.dumps(ACCEPTED).encode()))
    async with FaultServer(accepted) as server, HARMLESS[what]() as own:
        async with make_client(server.url, http_client=own) as client:
            assert (await client.submit("rain")).task_id == "task-1"
        assert len([request for request in server.requests if request.body]) == 1


# Waits before it leaves ----------------------------------------------------------------------


async def waits(_: httpx.Request) -> None:
    await anyio.sleep_forever()


async def looks_and_waits(request: httpx.Request) -> None:
    await take_content(request)
    await anyio.sleep_forever()


async def reads_and_waits(request: httpx.Request) -> None:
    await take_stream(request)
    await anyio.sleep_forever()


class Within(httpx.AsyncBaseTransport):
    """Does to a request what a hook does."""

    def __init__(self, hook: Callable[[httpx.Request], Awaitable[None]]) -> None:
        self._hook = hook

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._hook(request)
        return httpx.Response(200, json=ACCEPTED)


@pytest.mark.parametrize("where", ["a hook", "a transport"])
@pytest.mark.parametrize(
    ("hook", "charged"),
    [(waits, "no"), (looks_and_waits, "unknown"), (reads_and_waits, "unknown")],
)
async def test_a_request_that_waits_too_long_is_unsent_if_nobody_has_its_body(
    hook: Callable[[httpx.Request], Awaitable[None]], charged: str, where: str
) -> None:
    """It waited for a rate limit, or for a place in the pool, until our time was over."""
    hooks = {"request": [hook] if where == "a hook" else []}
    async with httpx.AsyncClient(transport=Within(hook), event_hooks=hooks) as own:
        outcome = await outcome_of(own, attrs.evolve(CALL, timeout=0))
    assert isinstance(outcome, Unreachable)
    assert outcome.charged == charged


@pytest.mark.parametrize(
    "take", [take_stream, take_content, take_copy, lambda request: request.aread()]
)
async def test_a_request_that_was_given_up_does_not_leave_later(
    take: Callable[[httpx.Request], Awaitable[object]],
) -> None:
    """A transport may go on in a task of its own, which hears nothing of our deadline."""
    kept: list[httpx.Request] = []

    async def keep(request: httpx.Request) -> None:
        kept.append(request)
        await anyio.sleep_forever()

    async with httpx.AsyncClient(transport=Within(keep)) as own:
        outcome = await outcome_of(own, attrs.evolve(CALL, timeout=0))
    assert isinstance(outcome, Unreachable)
    assert outcome.charged == "no"
    for _ in range(2):
        with pytest.raises(RuntimeError, match="was given up"):
            await take(kept[0])


@pytest.mark.parametrize("where", ["a hook", "a transport"])
async def test_a_request_that_is_taken_back_while_it_waits_does_not_leave(
    where: str, tmp_path: Path
) -> None:
    """It can be submitted again, and is paid once."""
    recorder, mine = Recorder(), SongRequest(description="rain", key="mine")
    waiting, may_go = anyio.Event(), anyio.Event()

    async def limit(request: httpx.Request) -> None:
        if request.method == "POST":
            waiting.set()
            await may_go.wait()

    class Limited(httpx.MockTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if where == "a transport":
                await limit(request)
            return await super().handle_async_request(request)

    own = httpx.AsyncClient(
        transport=Limited(recorder), event_hooks={"request": [limit] if where == "a hook" else []}
    )
    async with own, make_client(http_client=own, journal=tmp_path / "songs.db") as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.submit, mine)
            await waiting.wait()
            tasks.cancel_scope.cancel()
        may_go.set()
        await anyio.wait_all_tasks_blocked()
        assert "POST" not in [request.method for request in recorder.seen]
        assert (await client.submit(mine)).task_id == "task-1"
    assert [request.method for request in recorder.seen].count("POST") == 1


# Callers that leave --------------------------------------------------------------------------


class Slow:
    """A service whose answer is on its way until it may come."""

    def __init__(self) -> None:
        self.asked = 0
        self.on_wire, self.may_come = anyio.Event(), anyio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.asked += 1
            self.on_wire.set()
            await self.may_come.wait()
        return httpx.Response(200, json=ACCEPTED)


@pytest.mark.parametrize("leaves", ["the caller", "the client"])
async def test_an_answer_counts_where_nothing_told_that_the_request_left(
    leaves: str, tmp_path: Path
) -> None:
    """The transport reports nothing; the caller leaves, or the client is closed, meanwhile."""
    service, mine = Slow(), SongRequest(description="rain", key="mine")
    journal = tmp_path / "songs.db"
    async with httpx.AsyncClient(transport=httpx.MockTransport(service)) as own:
        client = make_client(http_client=own, journal=journal)
        async with client, anyio.create_task_group() as tasks:
            left = anyio.CancelScope()

            async def submit() -> None:
                with left, suppress(UdioError):
                    await client.submit(mine)

            tasks.start_soon(submit)
            await service.on_wire.wait()
            if leaves == "the caller":
                left.cancel()
            else:
                tasks.start_soon(client.aclose)
            await anyio.wait_all_tasks_blocked()
            service.may_come.set()
        async with make_client(http_client=own, journal=journal) as again:
            assert (await again.submit(mine)).task_id == "task-1"
    assert service.asked == 1
