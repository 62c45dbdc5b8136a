"""What each fault of a server means to each call: every cell has its declared verdict or error."""

import gzip
import socket
from collections.abc import Awaitable, Callable, Mapping

import anyio
import attrs
import pytest

from tests.kit import fault_server as fault
from tests.kit.fault_server import Behaviour, FaultServer, http, ok
from udio_async import (
    Apiframe,
    AuthenticationFailed,
    BadAnswer,
    InsufficientCredits,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    RequestRefused,
    SongRequest,
    SubmitInDoubt,
    UdioApiV1,
    UdioApiV2,
    UdioError,
    Unreachable,
)
from udio_async._http import Call, Http, HttpSender, Reply
from udio_async.providers import Provider

PATIENCE = 10.0
"""Seconds that a call waits for an answer that comes."""
HURRY = 0.15
"""Seconds that it waits for one that does not."""
REQUEST = SongRequest(description="rain on a tin roof")

MakeProvider = Callable[[str], Provider]
PROVIDERS: Mapping[str, MakeProvider] = {
    "udioapi-v1": lambda url: UdioApiV1(api_key="k", base_url=url, generation="legacy"),
    "udioapi-v2": lambda url: UdioApiV2(api_key="k", base_url=url),
    "apiframe": lambda url: Apiframe(api_key="k", base_url=url),
}
CALLS: Mapping[str, Callable[[Provider, Http], Awaitable[object]]] = {
    "submit": lambda provider, http: provider.submit(http, REQUEST),
    "fetch": lambda provider, http: provider.fetch(http, ["t1"]),
    "fetch-many": lambda provider, http: provider.fetch(http, ["t1", "t2"]),
    "credits": lambda provider, http: provider.credits(http),
}


@attrs.frozen
class Case:
    """A fault, and what a submit and a look make of it."""

    behaviour: Behaviour
    submit: type[UdioError] | None
    """None: the song is accepted."""
    look: type[UdioError]
    patience: float = PATIENCE

    def expected(self, call: str) -> type[UdioError] | None:
        """What this call ends with; no answer about the account refuses a task."""
        if call == "submit":
            return self.submit
        return BadAnswer if (call, self.look) == ("credits", RequestRefused) else self.look


ID = b'{"code":200,"workId":"t1","data":{"task_id":"t1"},"task_id":"t1"}'
HTML = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"
NO_ID = b'{"code":500,"message":"Internal Server Error"}'
BOMB = gzip.compress(b" " * (64 << 20))


def status(code: int, body: bytes = b'{"message":"no"}', *headers: str) -> Behaviour:
    return fault.answer(http(code, body, "Content-Type: application/json", *headers))


def whole(body: bytes) -> Behaviour:
    return fault.answer(ok(body))


CASES: Mapping[str, Case] = {
    # no answer
    "closes at once": Case(fault.hang_up(), SubmitInDoubt, Unreachable),
    "resets at once": Case(fault.hang_up(reset=True), SubmitInDoubt, Unreachable),
    "reads and closes": Case(fault.cut(b"", after=0), SubmitInDoubt, Unreachable),
    "reads and resets": Case(fault.cut(b"", after=0, reset=True), SubmitInDoubt, Unreachable),
    "never answers": Case(fault.stall(), SubmitInDoubt, Unreachable, HURRY),
    "half a status line": Case(fault.stall(b"HTTP/1.1 2"), SubmitInDoubt, Unreachable, HURRY),
    # an answer that is no HTTP
    "garbage": Case(fault.cut(b"\x00\x01 what?\r\n\r\n", after=99), SubmitInDoubt, BadAnswer),
    "endless headers": Case(fault.endless_headers(), SubmitInDoubt, BadAnswer),
    "200 KB of headers": Case(
        status(200, ID, "X-Long: " + "y" * 200_000), SubmitInDoubt, BadAnswer
    ),
    # an answer that is not whole
    "dripping body": Case(
        fault.drip(http(200, length=9999), every=0.01), SubmitInDoubt, BadAnswer, HURRY
    ),
    "length too long, id seen": Case(
        fault.cut(http(200, ID, length=999), after=999), None, BadAnswer
    ),
    "length too short": Case(
        fault.cut(http(200, ID, length=9), after=999), SubmitInDoubt, BadAnswer
    ),
    "reset in the body": Case(
        fault.cut(http(200, ID), after=len(http(200, ID)) - 50, reset=True),
        SubmitInDoubt,
        ProviderUnavailable,
    ),
    "bad chunk": Case(
        fault.cut(
            http(200, b"zz\r\nhello", "Transfer-Encoding: chunked", length="none"), after=999
        ),
        SubmitInDoubt,
        BadAnswer,
    ),
    "no length, ends early": Case(
        fault.cut(http(200, ID[:20], length="none"), after=999), SubmitInDoubt, BadAnswer
    ),
    "gzip bomb": Case(status(200, BOMB, "Content-Encoding: gzip"), SubmitInDoubt, BadAnswer),
    "2 MiB": Case(whole(b'{"message":"' + b"x" * (2 << 20) + b'"}'), SubmitInDoubt, BadAnswer),
    # an answer that is no JSON, or not ours
    "empty": Case(whole(b""), SubmitInDoubt, BadAnswer),
    "HTML with 200": Case(whole(HTML), SubmitInDoubt, BadAnswer),
    "HTML with 502": Case(status(502, HTML), SubmitInDoubt, BadAnswer),
    "too many values": Case(whole(b"[" + b"1," * 60_000 + b"1]"), SubmitInDoubt, BadAnswer),
    "nested 100,000 deep": Case(whole(b"[" * 100_000), SubmitInDoubt, BadAnswer),
    "a number": Case(whole(b"7"), SubmitInDoubt, BadAnswer),
    "a text": Case(whole(b'"lone \\ud800"'), SubmitInDoubt, BadAnswer),
    # statuses
    "301": Case(status(301, b"", "Location: /x"), SubmitInDoubt, BadAnswer),
    "302": Case(status(302, b"", "Location: /x"), SubmitInDoubt, BadAnswer),
    "303": Case(status(303, b"", "Location: /x"), SubmitInDoubt, BadAnswer),
    "307": Case(status(307, b"", "Location: /x"), RequestRefused, BadAnswer),
    "308": Case(status(308, b"", "Location: /x"), RequestRefused, BadAnswer),
    "400": Case(status(400), RequestRefused, RequestRefused),
    "400 without JSON": Case(status(400, HTML), SubmitInDoubt, BadAnswer),
    "401": Case(status(401, b"{}"), AuthenticationFailed, AuthenticationFailed),
    "402": Case(status(402), InsufficientCredits, InsufficientCredits),
    "403": Case(status(403), PermissionDenied, PermissionDenied),
    "403 of the CDN": Case(
        status(403, b"error code: 1010"), ProviderUnavailable, ProviderUnavailable
    ),
    "404": Case(status(404), RequestRefused, RequestRefused),
    "408": Case(status(408), SubmitInDoubt, BadAnswer),
    "409": Case(status(409), SubmitInDoubt, BadAnswer),
    "422": Case(status(422), RequestRefused, RequestRefused),
    "429": Case(status(429, b"{}", "Retry-After: 7"), RateLimited, RateLimited),
    "500": Case(status(500, NO_ID), SubmitInDoubt, BadAnswer),
    "500 with an id": Case(status(500, ID), None, BadAnswer),
    "500 in the body of a 200": Case(whole(NO_ID), SubmitInDoubt, BadAnswer),
    "503": Case(status(503), SubmitInDoubt, BadAnswer),
    "503 told to wait": Case(status(503, b"{}", "Retry-After: 7"), RateLimited, RateLimited),
    "504": Case(status(504, HTML), SubmitInDoubt, BadAnswer),
    "521": Case(status(521, HTML), Unreachable, ProviderUnavailable),
    "524": Case(status(524, HTML), SubmitInDoubt, BadAnswer),
}


@attrs.frozen
class Impatient:
    """Sends like another, but waits only as long as the case is worth."""

    _http: Http
    _patience: float

    async def send(self, call: Call) -> Reply:
        return await self._http.send(attrs.evolve(call, timeout=self._patience))


async def outcome_of(
    url: str, provider: str, call: str, patience: float = PATIENCE
) -> UdioError | None:
    """Make one call; nothing but a documented error may come out of it."""
    async with anyio.create_task_group() as tasks, HttpSender(tasks) as http:
        try:
            await CALLS[call](PROVIDERS[provider](url), Impatient(http, patience))
        except UdioError as error:
            return error
    return None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_every_call_meets_every_fault_with_its_declared_verdict(
    case: str, provider: str
) -> None:
    """A submit gets its verdict, a look its error, and no submit is sent twice."""
    for call in CALLS:
        expected = CASES[case].expected(call)
        async with FaultServer(CASES[case].behaviour) as server:
            error = await outcome_of(server.url, provider, call, CASES[case].patience)
        assert isinstance(error, expected) if expected else error is None, (call, error)
        assert call != "submit" or len(server.requests) <= 1, "a submit is never repeated"
        if isinstance(error, SubmitInDoubt):
            assert error.charged == "unknown"
            assert error.evidence


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_nothing_was_sent_where_nobody_listens(provider: str) -> None:
    """A refused connection proves that nothing left: not a doubt."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for call in CALLS:
            error = await outcome_of(url, provider, call)
            assert isinstance(error, Unreachable), call
            assert not error.sent
