"""A client of the user's own, made safe for paid requests."""

from collections.abc import AsyncGenerator

import httpx

from .messages import SentAgain, is_same
from .reread import Lost, Rereadable, rereadable_answer

_STOCK_AGENT = "python-httpx/"


class UserClient:
    """Sends through an `httpx.AsyncClient` of the user's.

    Its headers, cookies, auth, event hooks, time-outs and transports are used. Some things stay
    ours: `Authorization` with the key, the headers about body and answer, that a paid request is
    sent once and has our deadline, and that API calls follow no redirect. The client is left open.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ask(self, request: httpx.Request) -> httpx.Response:
        """Send a request to the provider's API."""
        self._dress(request)
        with rereadable_answer(self._client, request):
            return await self._send(request, _WithKey(self._client.auth or httpx.Auth(), request))

    async def follow(self, request: httpx.Request) -> httpx.Response:
        """Send a request to a link, without any credentials."""
        self._dress(request)
        request.headers.pop("Authorization", None)
        return await self._send(request, None)

    def _dress(self, request: httpx.Request) -> None:
        """Add the headers, cookies and time-outs of the client, as it would.

        Doing so twice changes nothing.
        """
        agent = self._client.headers.get("User-Agent", "")
        for name, value in self._client.headers.multi_items():
            if name not in request.headers:
                request.headers[name] = value
        if agent and not agent.startswith(_STOCK_AGENT):
            request.headers["User-Agent"] = agent
        if "Cookie" not in request.headers:
            self._client.cookies.set_cookie_header(request)
        limits = self._client.timeout.as_dict()
        if request.extensions["paid"]:  # our deadline is the only limit for its answer
            limits |= {"read": None, "write": None}
        request.extensions["timeout"] = limits

    async def _send(self, request: httpx.Request, auth: "_WithKey | None") -> httpx.Response:
        try:
            response = await self._client.send(
                request, stream=True, auth=auth, follow_redirects=False
            )
        except httpx.HTTPStatusError as error:
            # A hook called `raise_for_status`, perhaps on the answer to a request of its own.
            if not is_same(error.request, request):
                raise
            response = error.response
        answer = auth.answer if auth is not None else None
        if answer is not None and not _is_answer_to(response, request):
            await response.aclose()  # the auth class has asked for more, after our answer
            response = answer
        if response.is_closed or response.is_stream_consumed:
            return _replayed(response)
        return response


class _WithKey(httpx.Auth):
    """The client's own auth, under the provider's key.

    A paid request is sent once, even if that auth wants to send it again.
    """

    def __init__(self, inner: httpx.Auth, request: httpx.Request) -> None:
        self._inner = inner
        # The client may make another request of it, without these extensions.
        self._once = request.extensions["paid"]
        self._trail = request.extensions["trace"]
        self._left = False
        self.answer: httpx.Response | None = None
        """The provider's own, which need not be the last."""

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        was_sent = self._left and not self._trail.is_unsent
        if self._once and was_sent:  # the client repeats requests
            raise SentAgain
        self._left = False
        self._trail.hold()
        key = request.headers["Authorization"]
        steps = self._inner.async_auth_flow(request)
        try:
            outgoing = await anext(steps)
            while not (self._left and self._once and is_same(outgoing, request)):
                if is_same(outgoing, request):
                    outgoing.headers["Authorization"] = key
                    self._trail.hand_over()
                    self._left = True
                response = yield outgoing
                if is_same(outgoing, request):
                    self.answer = response
                outgoing = await steps.asend(response)
        except StopAsyncIteration:
            self._check_handed_on()
        finally:
            await steps.aclose()

    def _check_handed_on(self) -> None:
        """Refuse to end without our request: the answer to another one would be taken for its own.

        An auth class that has read the body may have put it into that other one.
        """
        if not self._left and not self._trail.was_touched:
            raise RuntimeError(
                "the auth class of the http_client ended without the request; it has to yield it"
            )


def _is_answer_to(response: httpx.Response, request: httpx.Request) -> bool:
    """Whether it may be the answer to this request; one that names no request may be."""
    try:
        return is_same(response.request, request)
    except RuntimeError:
        return True


def _replayed(response: httpx.Response) -> httpx.Response:
    """Return an answer that was read or closed on its way to us, so that we can read it."""
    try:
        stream: httpx.AsyncByteStream = httpx.ByteStream(response.content)
    except httpx.ResponseNotRead:
        if isinstance(response.stream, Rereadable):
            return response
        stream = Lost()
    headers = [
        (name, value)
        for name, value in response.headers.multi_items()
        if name not in ("content-encoding", "content-length", "transfer-encoding")
    ]
    return httpx.Response(response.status_code, headers=headers, stream=stream)
