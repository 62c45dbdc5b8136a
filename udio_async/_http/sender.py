"""The sender of all requests: it gives them turns, runs them in tasks, and follows downloads."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Self

import anyio
import attrs
import httpx
from anyio.abc import TaskGroup

from .._concurrency import owned
from .._errors import Unreachable
from .._limits import Gcra
from .._urls import without_query
from .departure import Departure
from .diagnosis import HttpClientClosed, OutageJudge
from .exchange import exchange
from .incoming import Download, Incoming
from .messages import (
    Call,
    Http,
    LinkRefused,
    Receiver,
    Reply,
    api_request,
    installed_version,
    joined,
    link_request,
)
from .transport import LeasedTransport, Proxies
from .user_client import UserClient

MAX_DOWNLOADS = 4
"""Downloads that run at once."""
MAX_IN_FLIGHT = 64
"""API requests that run at once; a client adds one for each submit that may be on the wire."""
MAX_IDLE = 24
"""Idle connections to APIs that are kept; a client adds two for each submit that may be on the
wire: one that has answered right now may not take a paid request yet."""
MAX_REDIRECTS = 10
"""Redirects that a download follows, at most. API calls follow none."""


class HttpSender(anyio.AsyncContextManagerMixin):
    """Sends requests in tasks of the client, over leased connections.

    `tasks` runs the requests, so they outlive cancelled callers. At most `max_in_flight` API
    requests and 4 downloads run at once; with `requests_per_second` the former also keep to that
    rate. At most `max_idle` connections to APIs are kept for the next request. A `client` of the
    user's is used with all that is set up in it (`UserClient`). It stays open, and decides which
    connection a paid request takes. Without one, proxies and certificates are those of the
    environment, if `trust_env`.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        max_idle: int = MAX_IDLE,
        client: httpx.AsyncClient | None = None,
        trust_env: bool = True,
        requests_per_second: float | None = None,
    ) -> None:
        installed_version()  # reads a file: better fail here than while a paid request is built
        self._tasks = tasks
        # `fast_acquire` does not let others run first. A request waits for its answer anyway.
        self._gate = anyio.Semaphore(max_in_flight, fast_acquire=True)
        self._download_gate = anyio.Semaphore(MAX_DOWNLOADS)
        self._rate = None if requests_per_second is None else Gcra(requests_per_second)
        # One for API requests, one for downloads: many downloads must not push out API connections.
        self._leased = [
            LeasedTransport(keep=keep, trust_env=trust_env) for keep in (max_idle, MAX_DOWNLOADS)
        ]
        self._client = client
        self._foreign = client is not None
        self._proxies = Proxies(trust_env=trust_env)
        self._outlook = OutageJudge()
        if client is None:
            self._open, self._open_download = (
                leased.handle_async_request for leased in self._leased
            )
        else:
            own = UserClient(client)
            self._open, self._open_download = own.ask, own.follow

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        try:
            yield self
        finally:
            for leased in self._leased:
                await leased.aclose()

    async def send(self, call: Call) -> Reply:
        """Send one request and return the answer, whatever its status.

        An answer that is not whole says so in `cut`. A caller that is cancelled while the request
        waits for its turn sends nothing; after that, the request runs on to its end.

        Raises:
            InvalidRequest: the body cannot be written as JSON. Nothing was sent.
            Unreachable: no answer; `sent` is False only if it is proved that nothing left.
            BadAnswer: something came that does not even begin like an answer.
        """
        await self._take_turn()
        return await owned(self._tasks, self._deliver, call)

    def for_tasks(self) -> Http:
        """Return a sender for tasks of the client; a request ends when its task is cancelled.

        It runs no task of its own for a request. Only a client of the user's needs one: its pool
        loses a connection for good when a request is cancelled.
        """
        return self if self._foreign else _ForTasks(self)

    async def send_here(self, call: Call) -> Reply:
        """Send one request, as `send` does; it ends when its caller is cancelled."""
        await self._take_turn()
        return await self._deliver(call)

    def paying(self, departure: Departure) -> "PaidHttp":
        """Return a sender for one paid request, which can be taken back."""
        return PaidHttp(self, departure)

    async def deliver(self, call: Call, departure: Departure) -> Reply:
        """Send a paid request that has its turn, from a task of the client, as `for_tasks` does."""
        if self._foreign:
            return await owned(self._tasks, self._deliver, call, departure)
        return await self._deliver(call, departure)

    async def _take_turn(self) -> None:
        """Wait for a place among the requests in flight, and for the rate."""
        await self._gate.acquire()
        try:
            if self._rate:
                await anyio.sleep(self._rate.reserve(anyio.current_time()))
        except BaseException:
            self._gate.release()
            raise

    async def _deliver(self, call: Call, departure: Departure | None = None) -> Reply:
        """Make an exchange, and free its place."""
        try:
            if departure is None:
                return await self._exchange(call, None)
            with departure.waits():
                return await self._exchange(call, departure)
        finally:
            self._gate.release()

    async def _exchange(self, call: Call, departure: Departure | None) -> Reply:
        self._check_open()
        answer = Incoming()
        try:
            await exchange(
                self._open,
                api_request(call),
                answer,
                seconds=call.timeout,
                foreign=self._foreign,
                departure=departure,
            )
        except Unreachable as error:
            judged = self._outlook.judge(error, anyio.current_time())
            raise judged from judged.__cause__
        self._outlook.reached()
        if not call.paid:
            answer.believe_object()
        return answer.reply()

    def _check_open(self) -> None:
        if self._client is not None and self._client.is_closed:
            raise HttpClientClosed(
                "the http_client that was given is closed; give one that is open"
            )

    async def download(
        self,
        url: str,
        *,
        receive: Receiver,
        headers: Mapping[str, str] | None = None,
        timeout: float = 600.0,  # noqa: ASYNC109  # it starts after the wait for a turn
        local: bool = False,
    ) -> Reply:
        """Fetch a link without any key, and pass its bytes on.

        It ends when its caller is cancelled. At most 10 redirects are followed, to https and public
        addresses only. A cookie that a redirect sets is sent to its own site only, and only until
        the download ends.

        Args:
            url: the link.
            receive: gets the head and the bytes as they come. Encoded bytes are decoded first; then
                it gets no length, range or ETag, because these are about the encoded bytes.
            headers: more headers, for example to ask for a part.
            timeout: seconds from the first byte out, for all redirects together.
            local: the provider is on this machine, so http on loopback is fetched too.

        Returns:
            The answer without a body; `cut` says why the receiver did not get it whole.

        Raises:
            Unreachable: no answer.
            BadAnswer: it leads to something that is not https, or in a circle.
            Exception: whatever `receive` raised.
        """
        async with self._download_gate:
            deadline = anyio.current_time() + timeout
            asked, cookies = set[tuple[str, str]](), None
            while len(asked) <= MAX_REDIRECTS:
                request = link_request(url, headers or {}, local=local)
                if cookies is not None:
                    cookies.set_cookie_header(request)
                step = url, request.headers.get("cookie", "")
                if step in asked:
                    raise LinkRefused(f"it redirects in a circle, to {without_query(url)} again")
                asked.add(step)
                answer = Download(receive=receive)
                await self._follow(request, answer, deadline=deadline, local=local)
                if not answer.target:
                    return answer.reply()
                cookies = httpx.Cookies() if cookies is None else cookies
                cookies.extract_cookies(
                    httpx.Response(answer.status or 0, headers=answer.cookies, request=request)
                )
                url = joined(url, answer.target)
        raise LinkRefused(
            f"it redirects more than {MAX_REDIRECTS} times, at last to {without_query(url)}"
        )

    async def _follow(
        self, request: httpx.Request, answer: Download, *, deadline: float, local: bool
    ) -> None:
        """Ask for one link.

        Raises:
            Unreachable: no answer.
            Exception: whatever the receiver raised.
        """
        if self._client is not None:  # it adds all cookies, its own and those that came
            request.headers.pop("cookie", None)
        proxied = self._proxies.of(request.url) is not None
        await exchange(
            self._open_download,
            request,
            answer,
            seconds=deadline - anyio.current_time(),
            foreign=self._foreign,
            # A proxy may well have a private address, and a client of the user's may use one.
            public_only=not (self._foreign or proxied or local),
        )
        if answer.error:
            raise answer.error


@attrs.frozen
class _ForTasks:
    """Sends in the task of its caller."""

    _http: HttpSender

    async def send(self, call: Call) -> Reply:
        return await self._http.send_here(call)


class PaidHttp:
    """Sends one paid request when it is its turn.

    Any other request that the provider makes meanwhile waits for a turn of its own.
    """

    def __init__(self, http: HttpSender, departure: Departure) -> None:
        self._http = http
        self._departure = departure
        self._has_turn = False

    async def take_turn(self) -> None:
        """Wait until the request may be sent.

        This is done before the journal is told about it.
        """
        await self._http._take_turn()  # noqa: SLF001  # its own room
        self._has_turn = True

    def give_back(self) -> None:
        """Give a turn that was not used to the next request."""
        if self._has_turn:
            self._has_turn = False
            self._http._gate.release()  # noqa: SLF001  # its own room

    async def send(self, call: Call) -> Reply:
        """Send a request, as `HttpSender.send` does.

        Raises:
            ClientClosed: it was taken back before it left.
        """
        self._departure.stay()
        if not self._has_turn:
            with self._departure.waits():
                await self.take_turn()
        self._has_turn = False
        return await self._http.deliver(call, self._departure)
