"""One request and its answer: within a deadline, with our own errors."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import Any, ClassVar

import anyio
import attrs
import httpx
from anyio.lowlevel import checkpoint

from .._concurrency import foreign_cancellation_as
from .._errors import BadAnswer, ClientClosed, Unreachable
from .._urls import is_private_host
from .departure import Departure
from .diagnosis import unsent
from .encoding import Decoder, codings_of
from .messages import Body, LinkRefused, Receiver, Reply, SentAgain, is_same
from .transport import CLOSE_TIMEOUT

MAX_BODY = 1024 * 1024
"""Bytes of an API answer that are read, at most, encoded or decoded."""
MAX_DOWNLOAD = 256 * 1024 * 1024
"""Bytes of an encoded download that are read. What is decoded its receiver counts."""
_OF_THE_CODING = ("content-length", "content-range", "etag")
"""Headers that speak of the encoded bytes, which a receiver never sees."""
Opener = Callable[[httpx.Request], Awaitable[httpx.Response]]
logger = logging.getLogger("udio_async")


@attrs.define
class Incoming:
    """What has come in so far, decoded.

    Each step returns whether more is wanted.
    """

    most: ClassVar[int] = MAX_BODY

    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytearray = attrs.field(factory=bytearray, repr=False)
    cut: str | None = None
    decoder: Decoder | None = attrs.field(default=None, init=False)

    async def begin(self, response: httpx.Response) -> bool:
        """Take the head of an answer."""
        self.status = response.status_code
        self.headers = dict(response.headers.items())
        claim = self.headers.get("content-encoding")
        codings = codings_of(claim) if claim else []
        self.decoder = Decoder(codings, most=self.most) if codings else None
        return True

    async def take(self, chunk: bytes) -> bool:
        """Take the next bytes of the body."""
        if self.decoder is None:
            return await self.keep(chunk)
        return await self._keep_decoded(self.decoder, self.decoder.feed(chunk))

    async def end(self) -> None:
        """Take what the decoder held back, as nothing more comes."""
        if self.decoder is not None:
            await self._keep_decoded(self.decoder, self.decoder.end())

    async def _keep_decoded(self, decoder: Decoder, pieces: Iterator[bytes]) -> bool:
        for piece in pieces:
            if piece and not await self.keep(piece):
                return False
            await checkpoint()  # a few bytes may become very many
        self.cut = self.cut or decoder.flaw
        return decoder.flaw is None

    async def keep(self, data: bytes) -> bool:
        """Keep decoded bytes, up to `most`."""
        room = self.most - len(self.body)
        self.body += data[:room]
        if len(data) > room:
            self.cut = f"it is longer than {self.most} bytes"
        return len(data) <= room

    def reply(self) -> Reply:
        """Return the answer as adapters get it."""
        assert self.status is not None
        return Reply(status=self.status, headers=self.headers, body=bytes(self.body), cut=self.cut)


@attrs.define
class Download(Incoming):
    """Hands the body on, and remembers why the receiver wanted no more."""

    most: ClassVar[int] = MAX_DOWNLOAD

    receive: Receiver = attrs.field(kw_only=True)
    error: Exception | None = None

    @property
    def target(self) -> str | None:
        """Where a redirect points to."""
        moved = self.status in (301, 302, 303, 307, 308)
        return self.headers.get("location") if moved else None

    async def begin(self, response: httpx.Response) -> bool:
        await super().begin(response)
        if self.target:
            return False
        headers = {
            name: value
            for name, value in self.headers.items()
            if self.decoder is None or name not in _OF_THE_CODING
        }
        return await self._tell(self.receive.begin(response.status_code, headers))

    async def keep(self, data: bytes) -> bool:
        return await self._tell(self.receive.write(data))

    async def _tell(self, news: Awaitable[None]) -> bool:
        try:
            await news
        except Exception as error:  # noqa: BLE001  # the receiver's own: its caller gets it back
            self.error = error
            return False
        return True


class _Trail:
    """The way that a request has gone, as httpx's `trace` extension reports.

    With `public_only` it also checks to whom the connection really leads, before anything is sent.
    A client of the user's need not report anything: a request in `foreign` hands may have left at
    once.
    """

    connecting = False
    sent = False
    _held = False
    """Whether it is known to be unsent yet, in foreign hands."""
    _unwritten = False
    """Whether it could not be written down, as it was about to leave."""
    _stream: Any = None

    def __init__(
        self,
        request: httpx.Request,
        departure: Departure | None,
        *,
        public_only: bool,
        foreign: bool,
    ) -> None:
        self._request = request
        self._departure = departure
        self._public_only = public_only
        self._foreign = foreign
        if foreign:
            self.hand_over()

    def hold(self) -> None:
        """Mark that an auth class has it, which may ask for something else before."""
        if not self.sent:
            self._held = True
            if self._departure is not None:
                self._departure.stay()

    def hand_over(self) -> None:
        """Mark that foreign code may send it, untold."""
        self._held = False
        if self._departure is not None:
            self._departure.hand_over()

    def answered(self) -> None:
        """Mark that an answer is there."""
        self.sent = True
        if self._departure is not None and self._request.extensions["paid"]:
            self._departure.answered()

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.started":
            self.connecting = True
            if self._departure is not None:
                self._departure.stay()
        elif event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
            self._check_peer()
        elif event.endswith(".send_request_headers.started"):
            self._leave(info["request"])
        elif event == "http11.send_request_headers.failed":
            # Of h11 or httpcore, whichever was told: nothing else here needs their classes.
            self._unwritten = type(info["exception"]).__name__ == "LocalProtocolError"

    def _leave(self, sent: Any) -> None:  # noqa: ANN401  # of httpcore, or what stands for it
        if sent.method == b"CONNECT":  # a proxy is asked for a tunnel, which is not our request yet
            return
        if self._is_another(sent):
            return
        if self._request.extensions["paid"]:
            if self.sent:
                raise SentAgain
            if isinstance(self._request.stream, Body):  # who has read it has only looked at it
                self._request.stream.was_read = False
        if self._departure is not None:
            self._departure.leave()
        self.sent = True

    def _is_another(self, sent: Any) -> bool:  # noqa: ANN401
        """Whether it is one that an auth class has made, with our extensions."""
        ours = self._request
        if getattr(sent, "stream", ours.stream) is ours.stream:
            return False
        target: bytes = getattr(getattr(sent, "url", None), "target", ours.url.raw_path)
        return target.partition(b"?")[0] != ours.url.raw_path.partition(b"?")[0]

    def _check_peer(self) -> None:
        """Refuse a private address: a public name may lead there, now or on a second look."""
        peer = self._stream.get_extra_info("server_addr") if self._public_only else None
        if peer is not None and is_private_host(str(peer[0])):
            raise LinkRefused(f"it leads to {peer[0]}, which is not on the public internet")

    @property
    def reused(self) -> bool:
        """Whether it left on a connection that was open before."""
        return self.sent and not self.connecting

    async def hang_up(self) -> None:
        """Close what was opened: a TLS handshake that is cancelled leaves its socket open.

        In foreign hands others may be using it once it is open, as with HTTP/2.
        """
        if self._stream is not None and not (self._foreign and self.sent):
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await self._stream.aclose()

    def proves_unsent(self, error: Exception) -> bool:
        """Return whether no byte of the request can have left before this error."""
        if self._foreign and self._was_read:
            return False
        if isinstance(error, httpx.LocalProtocolError):
            # It could not be written down. Of HTTP/2 it may also be about what the server sent.
            return not self.sent or self._unwritten
        known = not self._foreign or self._held or self.connecting or self._is_about(error)
        return not self.sent and known

    @property
    def is_unsent(self) -> bool:
        """Whether it is certain that no byte of it has left: its connection is told of."""
        return self.connecting and not self.sent and not self._was_read

    @property
    def _was_read(self) -> bool:
        """Whether somebody has read the body, to send it or to look at it."""
        return isinstance(self._request.stream, Body) and self._request.stream.was_read

    def _is_about(self, error: Exception) -> bool:
        """Whether it is one of the connection for this request.

        A hook, or an auth class, may have asked for something else, after the answer.
        """
        if not isinstance(error, _BEFORE_SENDING):
            return False
        if isinstance(error, httpx.InvalidURL):
            return True
        try:
            return is_same(error.request, self._request)
        except RuntimeError:  # it tells of none: nobody has sent anything when it was made
            return False


_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


def _reason(error: Exception) -> str:
    """Return what went wrong, without the server's words: they may hold the key."""
    deeper: BaseException | None = error
    while deeper and not str(deeper):  # trio wraps a bad certificate into two empty errors
        deeper = deeper.__cause__ or deeper.__context__
    return str(deeper or "").partition(": bytearray(")[0] or type(error).__name__


def _translated(error: Exception, trail: _Trail, request: httpx.Request) -> Unreachable | BadAnswer:
    """Return the error for an exchange without an answer.

    It is the only place that translates httpx's errors.
    """
    if isinstance(error, LinkRefused):  # our own, of the connection
        return error
    reason = _reason(error)
    where = f"{request.method} {request.url.netloc.decode()}{request.url.path}"
    failure: Unreachable | BadAnswer
    if trail.proves_unsent(error):  # a proxy, too, may answer with something that is no HTTP
        failure = unsent(f"{where}: {reason}; nothing was sent", error)
    elif isinstance(error, httpx.RemoteProtocolError) and not _is_silence(error):
        failure = BadAnswer(f"{where}: the answer is not HTTP: {reason}")
    else:
        failure = Unreachable(f"{where}: {reason}; it may have arrived", sent=True)
    # The original's frames and request hold headers and body, which tracebacks would show.
    failure.__cause__ = type(error)(reason) if isinstance(error, httpx.TransportError) else None
    return failure


def _is_silence(error: Exception) -> bool:
    """Whether the connection ended without a byte of an answer."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "without sending a response" in str(error)
    return isinstance(error, httpx.NetworkError)


async def exchange(
    opener: Opener,
    request: httpx.Request,
    answer: Incoming,
    *,
    seconds: float,
    foreign: bool = False,
    public_only: bool = False,
    departure: Departure | None = None,
) -> None:
    """Send the request and fill in the answer, within so many seconds.

    Args:
        opener: what sends it.
        request: built by `api_request` or `link_request`.
        answer: is filled in; what came before a failure stays in it.
        seconds: for the whole exchange.
        foreign: a client of the user's sends it, which need not report how far it got.
        public_only: refuse a connection to a private address.
        departure: of a paid request, which may be taken back.

    Raises:
        Unreachable, BadAnswer: not even a status line came.
        ClientClosed: it was taken back before it left.
    """
    trail = _Trail(request, departure, public_only=public_only, foreign=foreign)
    request.extensions["trace"] = trail
    failure: Unreachable | BadAnswer | None = None
    why = ""
    # The one scope of a request: its steps have none of their own.
    with anyio.move_on_after(seconds) as scope:
        try:
            with foreign_cancellation_as(Unreachable) if foreign else nullcontext():
                response = await _ask(opener, request, trail)
            trail.answered()
            await _pour(response, answer)
        except ClientClosed:
            raise
        except Exception as error:  # noqa: BLE001  # transports raise more than they document
            failure, why = _translated(error, trail, request), _reason(error)
        finally:
            if answer.status is None:
                await trail.hang_up()
    if scope.cancelled_caught:
        late = TimeoutError(f"no whole answer within {seconds:g} s")
        failure, why = _translated(late, trail, request), _reason(late)
    if failure:
        logger.debug("no whole answer: %s", failure)
    if failure and answer.status is None:
        raise failure
    if failure:
        answer.cut = answer.cut or f"it was cut off: {why}"
        await answer.end()


async def _ask(opener: Opener, request: httpx.Request, trail: _Trail) -> httpx.Response:
    """Wait for the head of the answer.

    A look that met a stale connection is asked once more. What is no HTTP counts as stale too: on a
    connection used again it may be left over from the answer before.
    """
    try:
        return await opener(request)
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        if request.extensions["paid"] or not request.extensions.get("reused", trail.reused):
            raise
    request.extensions.update(fresh=True, trace=trail)
    return await opener(request)


async def _pour(response: httpx.Response, answer: Incoming) -> None:
    """Read the answer as far as it is wanted.

    However that ends, nothing is left half read.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)
    chunks = aiter(response.stream)
    whole = False
    try:
        if await answer.begin(response):
            async for chunk in chunks:
                if not await answer.take(chunk):
                    break
            else:
                whole = True
                await answer.end()
    finally:
        if not whole:
            await _abandon(chunks)
        await response.aclose()


async def _abandon(chunks: AsyncIterator[bytes]) -> None:
    """Stop reading, unwinding nested generators from the innermost `await`.

    Closing the outermost leaves the others to the garbage collector, which trio complains of.
    """
    with anyio.CancelScope(shield=True) as scope:
        scope.cancel()
        async for _ in chunks:
            pass
