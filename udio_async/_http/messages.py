"""Requests as they are built, and answers as adapters get them."""

import functools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from importlib import metadata
from typing import Any, Protocol
from urllib.parse import urlencode, urljoin

import attrs
import httpx

from .._errors import BadAnswer, InvalidRequest
from .._urls import is_loopback, is_private_host, without_query
from .account import Account

IDLE_TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""
_CONNECT_TIMEOUT = 10.0
"""Seconds for the connection to an API server; nothing has been sent in that time."""
_API_TIMEOUT = httpx.Timeout(None, connect=_CONNECT_TIMEOUT).as_dict()
_PATH = re.compile(r"(/[\w.~%+=,:-]+)+/?", re.ASCII)


def _check_path(_: object, __: "attrs.Attribute[str]", value: str) -> None:
    if not _PATH.fullmatch(value) or ".." in value:
        raise InvalidRequest(f"path {value!r} could lead elsewhere; give one like '/v2/feed'")


@attrs.frozen(kw_only=True)
class Call:
    """One request to a provider's API, without its key.

    The key is in `account`, and is put into the request last.

    Raises:
        InvalidRequest: the path could lead away from the account's base URL.
    """

    account: Account
    method: str
    path: str = attrs.field(validator=_check_path)
    """Below the account's base URL, with its leading slash."""
    query: Mapping[str, str] = attrs.field(factory=dict)
    json: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    timeout: float = 30.0
    """Seconds for the whole exchange, from the first byte out to the last byte in."""
    paid: bool = False
    """Sent once only, on a connection that is new or was used a moment ago: never a stale one."""


@attrs.frozen(kw_only=True)
class Reply:
    """An answer: status, headers (lower-case names) and at most 1 MiB of body."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    cut: str | None = None
    """Why `body` is not the whole, readable answer; None if it is."""


class Http(Protocol):
    """Sends a provider's requests; an adapter gets one with each call."""

    async def send(self, call: Call) -> Reply:
        """Send one request and return the answer, whatever its status.

        Raises:
            InvalidRequest: the body cannot be written as JSON. Nothing was sent.
            Unreachable: no answer came; `sent` is False only if it is proved that nothing left.
            BadAnswer: something came that does not even begin like an answer.
        """
        ...


class Receiver(Protocol):
    """Takes a download as it comes in.

    An error that it raises ends the download, and is raised to the caller of the download.
    """

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Look at the head of the answer, before any of its body."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        ...


def api_request(call: Call) -> httpx.Request:
    """Build the request, and put the key into it last.

    Raises:
        InvalidRequest: query or body cannot be written.
    """
    url = _api_url(call)
    content = _content(call)
    headers = _api_headers(url.netloc, has_body=content is not None)
    # httpx copies the headers. With a stream it adds none of its own, which would double the time.
    stream = httpx.ByteStream(content or b"")
    extensions = {"timeout": _API_TIMEOUT, "paid": call.paid}
    request = _Watched(call.method, url, headers=headers, stream=stream, extensions=extensions)
    request.read()  # hooks may look at `content`
    request.stream = Body(content or b"", once=call.paid)
    if content is not None:
        request.headers["Content-Length"] = str(len(content))
    account = call.account
    request.headers["Authorization"] = f"{account.scheme} {account.key.reveal()}".lstrip()
    return request


def _api_url(call: Call) -> httpx.URL:
    try:
        query = f"?{urlencode(call.query)}" if call.query else ""
        return _url(f"{call.account.base_url}{call.path}{query}")
    except (ValueError, httpx.InvalidURL) as error:
        flaw = str(error)
    raise InvalidRequest(f"the query of {call.path} cannot be written: {flaw}; give plain text")


@functools.lru_cache(maxsize=1024)
def _url(text: str) -> httpx.URL:
    """Parse a URL. Cached: the same few addresses are asked again and again."""
    return httpx.URL(text)


@functools.lru_cache(maxsize=64)
def _api_headers(host: bytes, *, has_body: bool) -> httpx.Headers:
    """Return the headers that all requests to a host share; the key goes only into a copy."""
    headers = {"Host": host.decode("ascii"), "Accept": "application/json", **_own_headers()}
    return httpx.Headers({**headers, "Content-Type": "application/json"} if has_body else headers)


def _own_headers() -> dict[str, str]:
    return {"Accept-Encoding": "identity", "User-Agent": f"udio-async/{installed_version()}"}


def _content(call: Call) -> bytes | None:
    """Return the JSON body, with the key if the provider wants it there."""
    if call.json is None:
        return None
    field = call.account.body_field
    secret = {field: call.account.key.reveal()} if field else {}
    try:
        return json.dumps({**call.json, **secret}, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        flaw = str(error)
    del secret  # a traceback with locals shows what this frame still holds
    raise InvalidRequest(f"the body of {call.path} is no JSON: {flaw}; give plain values")


class Body(httpx.AsyncByteStream):
    """A request body as a plain iterator.

    That of httpx is a generator: a failed write leaves it half run, and trio complains. With `once`
    a transport that wants to send the body a second time gets an error instead.
    """

    def __init__(self, content: bytes, *, once: bool = False) -> None:
        self._content = content
        self._once = once
        self.was_read = False
        self.was_seen = False
        """Whether somebody has read the body, but not from this stream, perhaps to send it."""
        self.before_touch: Callable[[], None] | None = None
        """Called before anybody has the body; it may raise."""

    @property
    def was_touched(self) -> bool:
        """Whether somebody may have the body."""
        return self.was_read or self.was_seen

    def touch(self) -> None:
        """Ask whether the body may still be read. Whoever has it already may have sent it."""
        if self.before_touch is not None and not self.was_touched:
            self.before_touch()

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._once and self.was_read:
            raise SentAgain
        self.touch()
        self.was_read = True
        self._left = [self._content]
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _Watched(httpx.Request):
    """A request that remembers whether anybody has read its body."""

    @property
    def content(self) -> bytes:
        self._note()
        return super().content

    def read(self) -> bytes:
        self._note()
        return super().read()

    async def aread(self) -> bytes:
        self._note()
        return await super().aread()

    def __getstate__(self) -> dict[str, Any]:
        self._note()  # the copy has the body, but not this stream
        return super().__getstate__()

    def _note(self) -> None:
        if isinstance(self.stream, Body):
            self.stream.touch()
            self.stream.was_seen = True


class SentAgain(RuntimeError):
    """Something tried to send a paid request a second time."""

    def __init__(self) -> None:
        super().__init__("the http_client wanted to send a paid request again; it is sent once")


def is_same(one: httpx.Request, other: httpx.Request) -> bool:
    """Whether two requests are the same one, or one was made from the other.

    An auth class may copy a request, or sign its query.
    """
    if one.stream is other.stream:
        return True
    here, there = (each.url.copy_with(query=None) for each in (one, other))
    return (one.method, here) == (other.method, there)


@functools.cache
def installed_version() -> str:
    """Return the version of this package, "dev" in a source tree."""
    try:
        return metadata.version("udio-async")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "dev"


class LinkRefused(BadAnswer):
    """A link that is never followed. To try again would change nothing."""


def link_request(url: str, headers: Mapping[str, str], *, local: bool) -> httpx.Request:
    """Build the request for a link that a provider wrote.

    A link to the public internet is fetched by https, also if it says http. In its query, "&amp;"
    is read as "&": such links were copied out of a page.

    Args:
        url: the link.
        headers: more headers, for example to ask for a part.
        local: whether http on this machine is allowed, for a provider there.

    Raises:
        LinkRefused: it is not a link, not https, or does not lead to the public internet.
    """
    try:
        link = httpx.URL(url)
        host = link.host  # fails if it only looks like punycode
        if b"&amp;" in link.query:
            link = link.copy_with(query=link.query.replace(b"&amp;", b"&"))
        if link.scheme == "http" and not local:
            link = link.copy_with(scheme="https")
    except (httpx.InvalidURL, TypeError, ValueError):
        raise LinkRefused(f"{without_query(str(url))!r} is no link; it is not followed") from None
    safe = link.scheme == "https" or (local and link.scheme == "http" and is_loopback(host))
    if not safe or not host or link.userinfo:
        raise LinkRefused(f"{without_query(url)!r} is no https link; it is not followed")
    if not local and is_private_host(host):
        raise LinkRefused(
            f"{without_query(url)!r} does not lead to the public internet; it is not followed"
        )
    request = httpx.Request("GET", link, headers={**headers, **_own_headers()})
    request.stream = Body(b"")
    request.extensions = {"timeout": httpx.Timeout(IDLE_TIMEOUT).as_dict(), "paid": False}
    return request


def joined(url: str, target: str) -> str:
    """Return the address that a redirect leads to.

    Raises:
        LinkRefused: it is not an address.
    """
    try:
        return urljoin(url, target)
    except ValueError:
        raise LinkRefused(f"{without_query(target)!r} is no link; it is not followed") from None
