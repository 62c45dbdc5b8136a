"""Connections: one for each request, lent and taken back."""

import functools
import os
import ssl
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable

import anyio
import httpx

from .._urls import is_local_url, is_loopback
from .diagnosis import UnusableProxy

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept."""
CLOSE_TIMEOUT = 2.0
"""Seconds that closing one connection may take."""
_PORTS = {"http": 80, "https": 443}
_Origin = tuple[str, str, int | None]


class LeasedTransport(httpx.AsyncBaseTransport):
    """Lends each request a connection of its own.

    A shared pool looks at every connection for every request and loses slots when requests are
    cancelled. Here one that was read to its end goes back on a pile, from whose top the next
    request to that origin takes it; anything else is closed. `keep` connections wait at most.
    """

    def __init__(self, *, keep: int, trust_env: bool = True) -> None:
        self._keep = keep
        self._trust_env = trust_env
        self._free: list[tuple[_Origin, httpx.AsyncHTTPTransport]] = []
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send on a leased connection, opened for it if the extension "fresh" says so."""
        url = request.url
        origin = (url.scheme, url.host, url.port)
        found = None if request.extensions.get("fresh") else self._take(origin)
        request.extensions["reused"] = found is not None
        if found is not None:
            # It reports how far a connection got, which this one has behind it: a fifth of the CPU.
            request.extensions.pop("trace", None)
        line = found or self._opened(url)
        try:
            response = await line.handle_async_request(request)
        except BaseException:
            await _close(line)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_LeasedStream(response.stream, functools.partial(self._end, origin, line)),
            extensions=response.extensions,
        )

    def _take(self, origin: _Origin) -> httpx.AsyncHTTPTransport | None:
        """Return the connection to this origin that was used last, or None."""
        for place in reversed(range(len(self._free))):
            if self._free[place][0] == origin:
                return self._free.pop(place)[1]
        return None

    def _opened(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        """Open a connection.

        Raises:
            UnusableProxy: proxy or certificates of the environment cannot be used.
        """
        try:
            return self._open(url)
        except (ValueError, ImportError) as error:  # a proxy that httpx cannot use
            raise UnusableProxy(
                f"the proxy of the environment cannot be used: {error}; mend HTTPS_PROXY or "
                "ALL_PROXY, or take nothing from the environment"
            ) from error
        except OSError as error:
            raise UnusableProxy(
                f"the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}"
            ) from error

    def _open(self, url: httpx.URL) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=_context(trust_env=self._trust_env),
            trust_env=False,
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE
            ),
            proxy=environment_proxy(url) if self._trust_env else None,
        )

    async def _end(self, origin: _Origin, line: httpx.AsyncHTTPTransport, whole: bool) -> None:
        """End a lease: the connection is kept, or closed."""
        if not whole or self._closed:
            await _close(line)
            return
        self._free.append((origin, line))
        if len(self._free) > self._keep:
            await _close(self._free.pop(0)[1])

    async def aclose(self) -> None:
        """Close the waiting connections now, and the leased ones as they come back."""
        self._closed = True
        while self._free:
            await _close(self._free.pop()[1])


async def _close(line: httpx.AsyncHTTPTransport) -> None:
    with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
        await line.aclose()


class _LeasedStream(httpx.AsyncByteStream):
    """A body that ends the lease of its connection when it is closed."""

    def __init__(
        self, chunks: httpx.AsyncByteStream, end: Callable[[bool], Awaitable[None]]
    ) -> None:
        self._chunks = chunks
        self._end = end
        self._whole = False

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async for chunk in self._chunks:
            yield chunk
        self._whole = True

    async def aclose(self) -> None:
        with anyio.CancelScope(shield=True):
            try:
                await self._chunks.aclose()
            finally:
                await self._end(self._whole)


def _context(*, trust_env: bool) -> ssl.SSLContext:
    """Return the TLS context, for the certificates of the environment."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if trust_env else ()
    return _ssl_context(tuple(os.environ.get(name) for name in names))


@functools.cache
def _ssl_context(places: tuple[str | None, ...]) -> ssl.SSLContext:
    """Build the context that all connections share: one costs 40 ms."""
    return httpx.create_ssl_context(trust_env=bool(places))


def environment_proxy(url: httpx.URL) -> str | None:
    """Return the proxy that the environment names for a URL, or None.

    Requests to this machine get no proxy on another machine: for that one, "localhost" would be
    itself, and it would see the key.
    """
    if urllib.request.proxy_bypass(f"{url.host}:{url.port or _PORTS[url.scheme]}"):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and is_loopback(url.host) and not is_local_url(proxy):
        return None
    return proxy
