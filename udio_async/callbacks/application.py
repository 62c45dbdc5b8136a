"""An ASGI application that takes the providers' callbacks.

Each submit has an address of its own. What comes to it only says when to look: songs come from the
look, which asks the provider with the key. Only where no look is possible, because the answer with
the id was lost, are the callback's own songs taken, and marked `unverified`.

Strangers can post here too. So the address is checked before a byte of the body is read, and size,
time and number of callbacks are bounded: 1 MiB, 10 seconds, 64 at a time.
"""

import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

import anyio
import attrs

from .._concurrency import Unfinished
from .._errors import CallbackRejected, ClientClosed, InvalidRequest, JournalError
from .._records import CallbackAddress, CallbackNews, Failure, Song, Stage
from .._urls import is_private_url
from .addresses import Addresses
from .handler import CallbackHandler

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MAX_BODY = 1024 * 1024
_MAX_HEADERS = 16 * 1024
_TIMEOUT = 10.0
"""Seconds for a body to come in."""
_PACKED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How gzip and zlib begin."""
_MOST_MEMBERS = 100
"""Archives one after the other, which together are one body."""
_FIELDS = (b"data", b"payload")
"""Fields of a form that a callback has been posted in."""
_AT_ONCE = 64
"""Callbacks that are read at once; those of strangers are refused before they are read."""


def _checked(song: Song, *, local: bool) -> Song:
    """Refuse links of a song that do not lead to the public internet.

    A song loses such a cover and stays a song; one whose audio leads elsewhere has failed. With
    `local`, the provider is on this machine and so may its links be.
    """
    if local:
        return song
    audio = _public(song.audio_url)
    checked = attrs.evolve(song, image_url=_public(song.image_url), audio_url=audio)
    if song.audio_url is None or audio is not None:
        return checked
    return attrs.evolve(
        checked,
        stage=Stage.FAILED,
        audio_is_final=False,
        error=Failure(message="its link does not lead to the public internet"),
    )


def _public(url: str | None) -> str | None:
    """Return a link to a public host as one by https; None for any other."""
    scheme, _, rest = (url or "").partition(":")
    link = f"https:{rest}" if scheme.lower() in {"http", "https"} else ""
    return link if link and not is_private_url(link) else None


class Callbacks:
    """An ASGI application that takes a client's callbacks.

    Get one from `Client.callbacks`, and mount it in any ASGI server at the path of its public URL.
    It serves for as long as the client is open, and has nothing to close. Callbacks may come twice,
    late or in any order: the result is the same.

    It answers 200 once what came is in the journal, 404 to addresses that were never given out, 401
    to a wrong secret, 400 to what cannot be read, and 503 while the client is not open, too busy or
    without its journal. Only a callback that is answered with 200 changes anything.

        app = client.callbacks("https://songs.example.org/udio")
        routes = [Mount("/udio", app)]  # with Starlette
    """

    def __init__(self, handler: Callable[[], CallbackHandler | None]) -> None:
        """Hand callbacks to what `handler` returns: None while the client is not open."""
        self._handler = handler
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, as ASGI wants it.

        HTTP gets an answer in any case; a WebSocket is closed.
        """
        if scope["type"] == "http":
            status, reason = await self._answer(scope, receive)
            await _respond(send, status, reason)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def rotate(self) -> None:
        """Make further addresses with a new secret.

        Addresses made with the secret before stay good, until the next call. So call it twice to
        make all addresses of today unknown; callbacks on their way to them are then lost, and their
        songs are found by looks.

        Raises:
            JournalError: the new secret cannot be kept; the old one stays in use.
            RuntimeError: the client is not open.
        """
        handler = self._handler()
        if handler is None:
            raise RuntimeError("the client is not open; use it inside `async with Client(...)`")
        await handler.addresses.rotate()

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        """Take one callback, and return the HTTP status and its reason."""
        handler = self._handler()
        if handler is None or self._busy >= _AT_ONCE:
            return 503, "try again"
        self._busy += 1
        try:
            token = await _known_token(handler.addresses, scope)
            body = _unpacked(await _read_in_time(receive))
            address, job = await _address_of(handler.addresses, token)
            news = _read_news(handler, _headers(scope), body, address)
            await handler.hear(*job, _named(news, *job))
        except _Refused as refusal:
            return refusal.status, refusal.reason
        except (JournalError, ClientClosed, Unfinished):  # the others: it was closed meanwhile
            return 503, "it could not be kept, try again"
        except InvalidRequest:  # a job that is over, and that nothing is kept of
            return 200, "ok"
        finally:
            self._busy -= 1
        return 200, "ok"


@attrs.frozen
class _Refused(Exception):
    """A callback that gets no 200: its status and the reason."""

    status: int
    reason: str


async def _known_token(addresses: Addresses, scope: Scope) -> str:
    """Return the last part of the path, if that address was given out.

    It says whose callback this is. Nothing of the body is read for it.

    Raises:
        _Refused: 405 for another method, 404 for another address, 431 for headers above 16 KiB.
    """
    if scope["method"] != "POST":
        raise _Refused(405, "a callback is a POST")
    token = str(scope["path"]).rstrip("/").rpartition("/")[2]
    if await addresses.find(token) is None:
        raise _Refused(404, "no such address")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADERS:
        raise _Refused(431, "too many headers")
    return token


async def _read_in_time(receive: Receive) -> bytes:
    """Read the body, within its limits of size and time.

    Raises:
        _Refused: 408 after 10 seconds, 413 above 1 MiB.
    """
    body, more = b"", True
    with anyio.move_on_after(_TIMEOUT) as time:
        while more and len(body) <= _MAX_BODY:
            message = await receive()
            body += message.get("body", b"")
            more = message["type"] == "http.request" and message.get("more_body", False)
    if time.cancelled_caught:
        raise _Refused(408, "too slow")
    if len(body) > _MAX_BODY:
        raise _Refused(413, "too long")
    return body


def _unpacked(body: bytes) -> bytes:
    """Return the JSON of a body without what a gateway has put around it: gzip, zlib, a form.

    JSON begins like none of them, which makes it safe whatever the headers say. Not more than 1 MiB
    is unpacked, so a small body cannot fill the memory.

    Raises:
        _Refused: 400 for a broken archive, 413 for more than 1 MiB.
    """
    plain = b""
    for _ in range(_MOST_MEMBERS):
        if not body.startswith(_PACKED):
            break
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # of both kinds
        try:
            plain += unpacker.decompress(body, _MAX_BODY + 1 - len(plain))
        except zlib.error:
            raise _Refused(400, "not a callback") from None
        if len(plain) > _MAX_BODY:
            raise _Refused(413, "too long")
        body = unpacker.unused_data
    return _text_in(plain or body)


def _text_in(body: bytes) -> bytes:
    """Return the JSON out of a form, and without zero bytes behind it."""
    name, mark, value = body.partition(b"=")
    if mark and name in _FIELDS:
        body = unquote_to_bytes(value.partition(b"&")[0].replace(b"+", b" "))
    wide = body[:4].count(0) > 0 or body.startswith((b"\xff\xfe", b"\xfe\xff"))  # UTF-16, UTF-32
    return body if wide else body.rstrip(b"\0 \t\r\n")


async def _address_of(
    addresses: Addresses, token: str
) -> tuple[CallbackAddress, tuple[str, int | None]]:
    """Return the address, and the job's key and attempt it was given to."""
    address, job = await addresses.find(token), await addresses.job(token)
    if address is None or job is None:
        raise _Refused(404, "no such address")
    return address, job


def _read_news(
    handler: CallbackHandler, headers: Mapping[str, str], body: bytes, address: CallbackAddress
) -> CallbackNews:
    """Return what the callback says, without links that must not be followed.

    Raises:
        _Refused: 401 for a wrong secret, 400 for what is no callback.
    """
    try:
        news = handler.provider.read_callback(headers, body, address)
    except CallbackRejected as error:
        why = (401, "wrong secret") if error.forged else (400, "not a callback")
        raise _Refused(*why) from None
    songs = (_checked(song, local=handler.is_local) for song in news.songs)
    return attrs.evolve(news, songs=tuple(songs))


def _named(news: CallbackNews, key: str, attempt: int | None) -> CallbackNews:
    """Name songs by their job that have neither an id nor a task: others have the same numbers."""
    job = key if attempt in (None, 1) else f"{key}-{attempt}"
    songs = [
        attrs.evolve(song, id=f"{job}{song.id}")
        if not song.task_id and song.id == f"-{song.index}"
        else song
        for song in news.songs
    ]
    return attrs.evolve(news, songs=tuple(songs))


def _headers(scope: Scope) -> Mapping[str, str]:
    """Return the headers, with names in lower case; the last one counts."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


async def _respond(send: Send, status: int, reason: str) -> None:
    """Send an answer in plain text, with what its status needs."""
    body = reason.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    if status == 405:
        headers.append((b"allow", b"POST"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to the start and the end of a server.

    For servers that run this application and nothing else.
    """
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return
