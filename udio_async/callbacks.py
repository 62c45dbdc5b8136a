"""The providers call us, and nobody else can: an ASGI application for callbacks and webhooks.

Each submit has an address of its own. What comes to it only says when to look: songs come from
the look, which asks the provider with the key. Only where no look is possible, because the answer
with the id was lost, are the callback's own songs taken, and marked `unverified`.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import anyio
import attrs
from anyio.abc import TaskGroup

from ._addresses import Addresses
from ._book import Book
from ._errors import CallbackRejected, JournalError
from ._events import Event, Observer
from ._hosts import is_private_url
from ._poller import Poller
from ._records import Failure, Song, SongRequest, Stage, Task
from ._submit import Submitter
from ._tasks import owned
from .journal import Entry, State
from .providers.base import CallbackNews, Provider

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_MAX_BODY = 1024 * 1024
_MAX_HEADERS = 16 * 1024
_TIMEOUT = 10.0
"""Seconds for a body to come in."""
_AT_ONCE = 64
"""Callbacks that are read at once; those of strangers are refused before they are read."""


@attrs.frozen(kw_only=True, eq=False)
class Reception:
    """What an open client has for those who call."""

    provider: Provider
    addresses: Addresses
    book: Book
    poller: Poller
    submitter: Submitter
    tasks: TaskGroup
    local: bool
    """The provider is on this machine, and so are its links."""
    observer: Observer | None = None

    async def take(self, key: str, news: CallbackNews) -> None:
        """Act on what a callback says of a job.

        Raises:
            JournalError: it cannot be kept, and should come again.
        """
        news = attrs.evolve(news, songs=tuple(map(self._checked, news.songs)))
        entry, healed = await self.book.hear(key, news)
        if entry is None:
            return
        if healed:
            self.submitter.lane.count_settled(key)
            self._tell_healed(entry)
        if self.poller.call(key, news.stage):
            return
        if key in self.submitter.running:
            self.submitter.note_early(key, news.stage)
        elif entry.state is State.ACCEPTED:
            self._watch(entry)

    def _watch(self, entry: Entry) -> None:
        """Look at a song of an earlier run, or one that was in doubt until now."""
        request = SongRequest.from_json(entry.request, self.provider.traits.options)
        self.poller.watch(entry.task_id or "", request, entry, resumed=True)

    def _tell_healed(self, entry: Entry) -> None:
        if self.observer is not None:
            stage = Stage.COMPLETE if entry.state is State.READY else Stage.QUEUED
            task = Task(
                id=entry.task_id or "",
                provider=self.provider.name,
                stage=Stage.FAILED if entry.state is State.FAILED else stage,
                songs=entry.songs,
            )
            self.observer(Event(kind="healed", provider=self.provider.name, task=task))

    def _checked(self, song: Song) -> Song:
        """Refuse links that lead somewhere else than to the public internet."""
        links = [url for url in (song.audio_url, song.image_url) if url is not None]
        if self.local or all(_is_public(url) for url in links):
            return song
        return attrs.evolve(
            song,
            stage=Stage.FAILED,
            audio_url=None,
            image_url=None,
            error=Failure(message="its links do not lead to the public internet"),
        )


def _is_public(url: str) -> bool:
    return url.startswith("https://") and not is_private_url(url)


class Callbacks:
    """An ASGI application that takes a client's callbacks; `Client.callbacks` makes it.

    Mount it in any ASGI server, at the path of its public URL. It answers 200 once what came is
    in the journal, 404 to addresses that were never given out, 401 to a wrong secret, 400 to what
    cannot be read, and 503 while the client is not open, too busy or without its journal. It
    changes nothing for any but the first.
    """

    def __init__(self, reception: Callable[[], Reception | None]) -> None:
        self._reception = reception
        self._busy = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, as ASGI wants it."""
        if scope["type"] == "http":
            status, reason = await self._answer(scope, receive)
            await _respond(send, status, reason)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close"})

    async def rotate(self) -> None:
        """Give out addresses made with a new secret; those of the one before stay good.

        Twice, and all that were given out before are unknown.

        Raises:
            JournalError: it cannot be kept.
            RuntimeError: the client is not open.
        """
        reception = self._reception()
        if reception is None:
            raise RuntimeError("the client is not open; use it inside `async with Client(...)`")
        await reception.addresses.rotate()

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, str]:
        """Take one callback, and return the status and its reason."""
        reception = self._reception()
        if reception is None or self._busy >= _AT_ONCE:
            return 503, "try again"
        self._busy += 1
        try:
            token = await _known_token(reception, scope)
            key, news = await _read_news(reception, scope, token, await _read_in_time(receive))
            await owned(reception.tasks, reception.take, key, news)
        except _Refused as refusal:
            return refusal.status, refusal.reason
        except (JournalError, RuntimeError):  # the latter: the client was closed meanwhile
            return 503, "it could not be kept, try again"
        finally:
            self._busy -= 1
        return 200, "ok"


@attrs.frozen
class _Refused(Exception):
    """This is not, or not any more, for us."""

    status: int
    reason: str


async def _known_token(reception: Reception, scope: Scope) -> str:
    """Return the part of the path that says whose callback it is, before anything is read."""
    if scope["method"] != "POST":
        raise _Refused(405, "a callback is a POST")
    token = str(scope["path"]).rpartition("/")[2]
    if await reception.addresses.find(token) is None:
        raise _Refused(404, "no such address")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADERS:
        raise _Refused(431, "too many headers")
    return token


async def _read_in_time(receive: Receive) -> bytes:
    """Read the body, but not much more than is allowed, and not for long."""
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


async def _read_news(
    reception: Reception, scope: Scope, token: str, body: bytes
) -> tuple[str, CallbackNews]:
    """Return the key of the job that this is about, and what is said of it."""
    address = await reception.addresses.find(token)
    key = await reception.addresses.job(token)
    if address is None or key is None:
        raise _Refused(404, "no such address")
    try:
        return key, reception.provider.read_callback(_headers(scope), body, address)
    except CallbackRejected as error:
        why = (401, "wrong secret") if error.forged else (400, "not a callback")
        raise _Refused(*why) from None


def _headers(scope: Scope) -> Mapping[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


async def _respond(send: Send, status: int, reason: str) -> None:
    body = reason.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    if status == 405:
        headers.append((b"allow", b"POST"))
    if status == 503:
        headers.append((b"retry-after", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """Say yes to the start and the end of a server that runs nothing else."""
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return
