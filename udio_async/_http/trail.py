"""How far a request has got, and what an error proves about that."""

from collections.abc import Mapping
from typing import Any

import anyio
import httpx

from .._errors import UdioError
from .._urls import is_private_host
from .departure import Departure
from .messages import Body, LinkRefused, SentAgain, is_same
from .transport import CLOSE_TIMEOUT

_OF_A_NETWORK = (httpx.TransportError, OSError, EOFError, UdioError)
"""Errors that may come after a request was sent; a foreign transport may raise any of them."""
_BEFORE_SENDING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
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
        """Mark that an auth class has it, which may send another request first."""
        if not self.sent:
            self._held = True
            if self._departure is not None:
                self._departure.stay()

    def hand_over(self) -> None:
        """Mark that foreign code may send it without telling us."""
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
        """Close the connection that was opened: a cancelled TLS handshake leaves its socket open.

        If a client of the user's has sent the request, other requests may use it, as with HTTP/2.
        """
        if self._stream is not None and not (self._foreign and self.sent):
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await self._stream.aclose()

    def proves_unsent(self, error: Exception) -> bool:
        """Return whether no byte of the request can have left before this error."""
        if self._foreign and self._was_read:
            return False
        if isinstance(error, httpx.LocalProtocolError):
            # It could not be written as HTTP. With HTTP/2 it may be about what the server sent.
            return not self.sent or self._unwritten
        known = not self._foreign or self._held or self.connecting or self._is_about(error)
        return not self.sent and (known or self._is_of_a_hook(error))

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
        body = self._request.stream
        return not isinstance(body, Body) or body.was_read or body.was_seen

    def _is_of_a_hook(self, error: Exception) -> bool:
        """Whether it is not an error of a network, and nobody has read the body to send it."""
        return not self.was_touched and not isinstance(error, _OF_A_NETWORK)

    def _is_about(self, error: Exception) -> bool:
        """Whether the error is about the connection for this request.

        A hook or an auth class may have sent another request, even after the answer.
        """
        if not isinstance(error, _BEFORE_SENDING):
            return False
        if isinstance(error, httpx.InvalidURL):
            return True
        try:
            return is_same(error.request, self._request)
        except RuntimeError:  # it names no request: it was made without sending any
            return False
