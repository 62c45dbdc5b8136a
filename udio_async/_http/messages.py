"""Requests and answers: what goes out, and what comes back."""

import functools
import json
import re
from collections.abc import AsyncIterator, Mapping
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
"""Seconds until an API server has to take the connection; nothing has been sent by then."""
_API_TIMEOUT = httpx.Timeout(None, connect=_CONNECT_TIMEOUT).as_dict()
_PATH = re.compile(r"(/[\w.~%+=,:-]+)+/?", re.ASCII)


def _check_path(_: object, __: "attrs.Attribute[str]", value: str) -> None:
    if not _PATH.fullmatch(value) or ".." in value:
        raise InvalidRequest(f"path {value!r} could lead elsewhere; give one like '/v2/feed'")


@attrs.frozen(kw_only=True)
class Call:
    """One request to a provider's API, without its key.

    The key is in `account`, and is written into the request as it leaves.

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
    """Why `body` is not the whole, readable answer; None where it is."""


class Http(Protocol):
    """Sends a provider's requests: what an adapter is handed with each call."""

    async def send(self, call: Call) -> Reply:
        """Send one request and return the answer, whatever its status.

        Raises:
            InvalidRequest: the body is no JSON. Nothing was sent.
            Unreachable: no answer came; `sent` is False only where it is proved that nothing left.
            BadAnswer: something came that does not even begin like an answer.
        """
        ...


class Receiver(Protocol):
    """Takes a download as it comes in.

    What it raises ends the download, and reaches the caller of the download.
    """

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Look at the head of the answer, before any of its body."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body, up to 64 KiB."""
        ...


def api_request(call: Call) -> httpx.Request:
    """Build the request, and put the key into it last.

    Raises:
        InvalidRequest: query or body cannot be written.
    """
    url = _api_url(call)
    content = _content(call)
    headers = httpx.Headers(_api_headers(url.netloc, has_body=content is not None))
    if content is not None:
        headers["Content-Length"] = str(len(content))
    # Given a stream, httpx adds nothing of its own, which takes it as long as all the rest.
    stream = httpx.ByteStream(content or b"")
    extensions = {"timeout": _API_TIMEOUT, "paid": call.paid}
    request = _Watched(call.method, url, headers=headers, stream=stream, extensions=extensions)
    request.read()  # hooks may look at `content`
    request.stream = Body(content or b"", once=call.paid)
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
    """Read a URL. Tasks are looked at again and again, and songs asked for at one address."""
    return httpx.URL(text)


@functools.lru_cache(maxsize=64)
def _api_headers(host: bytes, *, has_body: bool) -> httpx.Headers:
    """Return what all requests to a host say alike, before the key goes into a copy of it."""
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
    """A request body as plain iterator.

    The one of httpx is a generator, which a failed write leaves half run: trio complains of it.
    With `once` a transport that wants to send it again gets an error instead.
    """

    def __init__(self, content: bytes, *, once: bool = False) -> None:
        self._content = content
        self._once = once
        self.was_read = False
        self.was_seen = False
        """Whether somebody has looked at it without reading this stream, to send it or not."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._once and self.was_read:
            raise SentAgain
        self.was_read = True
        self._left = [self._content]
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class _Watched(httpx.Request):
    """A request that remembers whether anybody has looked at its body."""

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
        self._note()  # a copy, which has the body and not this stream
        return super().__getstate__()

    def _note(self) -> None:
        if isinstance(self.stream, Body):
            self.stream.was_seen = True


class SentAgain(RuntimeError):
    """A paid request was to leave a second time."""

    def __init__(self) -> None:
        super().__init__("the http_client wanted to send a paid request again; it is sent once")


def is_same(one: httpx.Request, other: httpx.Request) -> bool:
    """Whether it is the request itself, or what somebody has made of it.

    An auth class may copy it, or sign its query.
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
    """A link that is never followed; asking again would change nothing."""


def link_request(url: str, headers: Mapping[str, str], *, local: bool) -> httpx.Request:
    """Build the request for a link that a provider wrote.

    A link to the public internet is asked for by https, also where it says http. In its query,
    "&amp;" stands for "&": it was copied out of a page.

    Args:
        url: the link.
        headers: more headers, say to ask for a part.
        local: whether http on this machine is allowed, for a provider there.

    Raises:
        LinkRefused: it is no link, not https, or does not lead to the public internet.
    """
    try:
        link = httpx.URL(url)
        host = link.host  # decodes what looks like punycode
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
        LinkRefused: it is none.
    """
    try:
        return urljoin(url, target)
    except ValueError:
        raise LinkRefused(f"{without_query(target)!r} is no link; it is not followed") from None
