"""How far a request has got, and what an error proves about that."""

from collections.abc import Mapping
from typing import Any

import anyio
import httpx

from .._urls import is_private_host
from .departure import Departure
from .messages import Body, LinkRefused, SentAgain, is_same
from .transport import CLOSE_TIMEOUT

_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


class Trail:
    """The steps that a request has taken, as httpx's `trace` extension reports them.

    With `public_only` it also checks the address that the connection really leads to, before
    anything is sent. A client of the user's (`foreign`) may report nothing: from the moment it has
    the request, it may have sent it.
    """

    connecting = False
    sent = False
    _held = False
    """Whether it is certainly unsent, though a client of the user's has it."""
    _unwritten = False
    """Whether it could not be written as HTTP when it was about to leave."""
    _is_over = False
    """Whether its exchange has ended."""
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
            if isinstance(request.stream, Body):
                request.stream.before_touch = self._check_wanted

    def hold(self) -> None:
        """Mark that an auth class has it, which may send another request first."""
        if not self.sent:
            self._held = True
            if self._departure is not None:
                self._departure.stay()

    def hand_over(self) -> None:
        """Mark that foreign code may send it without telling us."""
        self._held = self.connecting = False
        if self._departure is not None:
            self._departure.hand_over()

    def _check_wanted(self) -> None:
        """Refuse the body to whoever asks for it too late, before anybody has it."""
        if self._is_over:
            raise RuntimeError(
                "the request was given up, and nothing was sent; it may not leave now"
            )
        if self._departure is not None and not self.sent:
            self._departure.check()

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
            # Compared by name, because h11 and httpcore each have such a class.
            self._unwritten = type(info["exception"]).__name__ == "LocalProtocolError"

    def _leave(self, sent: Any) -> None:  # noqa: ANN401  # of httpcore, or what stands for it
        if sent.method == b"CONNECT":  # asks a proxy for a tunnel; our request comes later
            return
        if self._is_another(sent):
            return
        if self._request.extensions["paid"]:
            if self.sent:
                raise SentAgain
            if isinstance(self._request.stream, Body):  # it has been read, but not been sent
                self._request.stream.was_read = False
        if self._departure is not None:
            self._departure.leave()
        self.sent = True

    def _is_another(self, sent: Any) -> bool:  # noqa: ANN401
        """Whether it is a request of an auth class, which has our extensions."""
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
        """Let nothing leave any more, and close the connection that was opened.

        A cancelled TLS handshake leaves its socket open. If a client of the user's has sent the
        request, other requests may use the connection, as with HTTP/2.
        """
        self._is_over = True
        if self._stream is not None and not (self._foreign and self.sent):
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await self._stream.aclose()

    def proves_unsent(self, error: Exception) -> bool:
        """Return whether no byte of the request can have left before this error."""
        if self._foreign and self._was_read:
            return False
        if self.sent:
            return self._unwritten and isinstance(error, httpx.LocalProtocolError)
        if not self._foreign or self._held or self.connecting:
            return True
        named = _request_of(error)
        is_ours = named is not None and is_same(named, self._request)
        if is_ours and isinstance(error, _BEFORE_SENDING):
            return True
        # httpx puts our request into whatever a transport raises: another one is that of a hook.
        is_of_a_hook = named is not None and not is_ours
        return not self.was_touched and (is_of_a_hook or not _is_of_a_network(error))

    @property
    def is_unsent(self) -> bool:
        """Whether it is certain that no byte of it has left: its connection has reported."""
        return self.connecting and not self.sent and not self._was_read

    @property
    def _was_read(self) -> bool:
        """Whether somebody has read the body, to send it or to look at it."""
        return isinstance(self._request.stream, Body) and self._request.stream.was_read

    @property
    def was_touched(self) -> bool:
        """Whether somebody may have the body, to send it or to look at it."""
        return not isinstance(self._request.stream, Body) or self._request.stream.was_touched


def _is_of_a_network(error: Exception) -> bool:
    """Whether it may come after a request was sent, whoever has sent it."""
    kinds = (httpx.TransportError, OSError, EOFError)
    return isinstance(error, kinds) and not isinstance(error, httpx.LocalProtocolError)


def _request_of(error: Exception) -> httpx.Request | None:
    """Return the request that an error of httpx names, if it names one."""
    try:
        request = getattr(error, "request", None)
    except RuntimeError:  # it was made without sending any
        return None
    return request if isinstance(request, httpx.Request) else None
