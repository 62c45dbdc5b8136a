"""Connections: each is lent to one request, and taken back."""

import errno
import os
import urllib.request
from collections.abc import AsyncIterator

import anyio
import httpx

from .._urls import is_local_url, is_loopback
from .connection import KEEP_ALIVE, PORTS, Connection
from .diagnosis import UnusableProxy
from .tls import ssl_context

CLOSE_TIMEOUT = 2.0
"""Seconds that closing one connection may take."""
_PASSING = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors that are not about the file that was read: too many files are open."""
_Origin = tuple[str, str, int | None]


class _ProxiedConnection(httpx.AsyncHTTPTransport):
    """A connection through a proxy. httpx opens it, and notices when it is stale."""

    is_stale = False
    is_warm = False  # it is not known when it was used

    def make_reusable(self) -> bool:
        """Return that it can take another request: httpx gets it ready."""
        return True


_Leased = Connection | _ProxiedConnection


class LeasedTransport(httpx.AsyncBaseTransport):
    """Lends each request a connection of its own.

    A shared pool looks at every connection for every request and loses slots when requests are
    cancelled. Here a connection whose answer was read to its end goes back on a pile, and the next
    request to that origin takes the uppermost; any other is closed. At most `keep` connections
    wait. Direct connections are our own (`Connection`); those through a proxy are of httpx.
    """

    def __init__(self, *, keep: int, trust_env: bool = True) -> None:
        self._keep = keep
        self._trust_env = trust_env
        self._proxies = Proxies(trust_env=trust_env)
        self._free: list[tuple[_Origin, _Leased]] = []
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on a leased connection.

        With the extension "fresh" it is a new one; with "paid" a new one, or one that `is_warm`.
        """
        url = request.url
        origin = (url.scheme, url.host, url.port)
        paid = request.extensions.get("paid", False)
        found = None
        if not request.extensions.get("fresh"):
            found = await self._take(origin, paid=paid)
        request.extensions["reused"] = found is not None
        connection = found or self._opened(url)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await _close(connection)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _LeasedStream(response.stream, self, origin, connection)
        return response

    async def _take(self, origin: _Origin, *, paid: bool) -> _Leased | None:
        while (connection := self._pop(origin, paid=paid)) is not None and connection.is_stale:
            await _close(connection)
        return connection

    def _pop(self, origin: _Origin, *, paid: bool) -> _Leased | None:
        for place in reversed(range(len(self._free))):
            where, connection = self._free[place]
            if where == origin and (connection.is_warm or not paid):
                del self._free[place]
                return connection
        return None

    def _opened(self, url: httpx.URL) -> _Leased:
        """Open a connection.

        Raises:
            UnusableProxy: proxy or certificates of the environment cannot be used.
            httpx.ConnectError: the certificates cannot be read now.
        """
        try:
            return self._open(url)
        except (ValueError, ImportError, httpx.InvalidURL) as error:  # httpx cannot use the proxy
            raise UnusableProxy(
                f"{_flaw_of_proxy(url, error)}; mend it, or take nothing from the environment"
            ) from None  # it may quote a password
        except OSError as error:
            if error.errno in _PASSING:
                raise httpx.ConnectError(str(error)) from error
            raise UnusableProxy(
                f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}"
            ) from error

    def _open(self, url: httpx.URL) -> _Leased:
        if url.scheme not in PORTS:
            raise httpx.UnsupportedProtocol(f"{url.scheme!r} is neither http nor https")
        proxy = self._proxies.of(url)
        if proxy is None:
            return Connection(
                ssl_context(trust_env=self._trust_env) if url.scheme == "https" else None
            )
        return _ProxiedConnection(
            verify=ssl_context(trust_env=self._trust_env),
            trust_env=False,
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE
            ),
            proxy=proxy,
        )

    async def take_back(self, origin: _Origin, connection: _Leased, *, whole: bool) -> None:
        """End a lease: the connection goes back on the pile, or is closed."""
        if not whole or self._closed or not connection.make_reusable():
            await _close(connection)
            return
        self._free.append((origin, connection))
        if len(self._free) > self._keep:
            await _close(self._free.pop(0)[1])

    async def aclose(self) -> None:
        """Close the waiting connections now, and the leased ones as they come back."""
        self._closed = True
        while self._free:
            await _close(self._free.pop()[1])


async def _close(connection: _Leased) -> None:
    with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
        await connection.aclose()


class _LeasedStream(httpx.AsyncByteStream):
    """A body that ends the lease of its connection when it is closed."""

    def __init__(
        self,
        chunks: httpx.AsyncByteStream,
        owner: LeasedTransport,
        origin: _Origin,
        connection: _Leased,
    ) -> None:
        self._stream = chunks
        self._chunks = aiter(chunks)
        self._owner = owner
        self._lease = (origin, connection)
        self._over = False
        self._whole = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._over:  # an error is raised once, as by a generator
            raise StopAsyncIteration
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._over = self._whole = True
            raise
        except BaseException:
            self._over = True
            raise

    async def aclose(self) -> None:
        if self._whole and isinstance(self._lease[1], Connection):
            # This does not wait, so it needs no shield.
            await self._owner.take_back(*self._lease, whole=True)
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._stream.aclose()
            finally:
                await self._owner.take_back(*self._lease, whole=self._whole)


class Proxies:
    """The proxies that the environment names; each origin is looked up once."""

    def __init__(self, *, trust_env: bool) -> None:
        self._trust_env = trust_env
        self._known: dict[_Origin, str | None] = {}

    def of(self, url: httpx.URL) -> str | None:
        """Return the proxy for a URL, or None; kept, because the environment is slow to read."""
        if not self._trust_env:
            return None
        origin = (url.scheme, url.host, url.port)
        if origin not in self._known:
            self._known[origin] = environment_proxy(url)
        return self._known[origin]


def environment_proxy(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL, or None.

    A request to this machine never gets a proxy on another machine: that proxy would take
    "localhost" for itself, and would see the key.
    """
    if urllib.request.proxy_bypass(f"{url.host}:{url.port or PORTS[url.scheme]}"):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and is_loopback(url.host) and not is_local_url(proxy):
        return None
    return proxy


def _flaw_of_proxy(url: httpx.URL, error: Exception) -> str:
    """Return which setting names the proxy for a URL, and what is wrong with it.

    A user name and a password are not shown, so neither is an error that may quote them.
    """
    for wanted in (f"{url.scheme}_proxy", "all_proxy"):
        # As `getproxies` has it: in any case, and the one in small letters first.
        names = sorted((name for name in os.environ if name.lower() == wanted), reverse=True)
        for name in names:
            if value := os.environ[name]:
                _, secret, rest = value.rpartition("@")
                shown = f"{name}={'...@' * bool(secret)}{rest} cannot be used"
                is_safe = not secret or isinstance(error, ImportError)
                return f"{shown}: {error}" if is_safe else shown
    return f"the proxy of the environment cannot be used: {error}"
