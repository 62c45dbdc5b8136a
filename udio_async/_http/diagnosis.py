"""Reasons why nothing left: those that pass, and those that stay."""

import socket
import ssl
from collections.abc import Iterator

import httpx

from .._errors import NetworkUnusable, Unreachable

PATIENCE = 60.0
"""Seconds for which a host that nobody knows may be a resolver that has just begun to work."""
_UNKNOWN = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)


class UnusableProxy(httpx.ProxyError):
    """The proxy of the environment is none that can be asked."""


_LASTING = (
    UnusableProxy,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
    httpx.LocalProtocolError,
)
_CERTIFICATE = (
    "A network that signs with a CA of its own needs that CA in SSL_CERT_FILE; else this is not "
    "the server that it claims to be"
)


class UnknownHost(NetworkUnusable):
    """A host that no resolver knows; for a while that may pass."""


class HttpClientClosed(NetworkUnusable):
    """The user has closed the client that was given; it cannot be opened again."""


def unsent(message: str, error: BaseException) -> Unreachable:
    """Return the error of a request that has not left, by its cause."""
    causes = list(_chain(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return NetworkUnusable(f"{message}. {_CERTIFICATE}")
    if any(isinstance(cause, _LASTING) or _is_locked_proxy(cause) for cause in causes):
        return NetworkUnusable(message)
    if any(isinstance(cause, socket.gaierror) and cause.errno in _UNKNOWN for cause in causes):
        return UnknownHost(f"{message}. Check the name of the host, and the network")
    return Unreachable(message, sent=False)


def _is_locked_proxy(error: BaseException) -> bool:
    """Return whether a proxy wants a password."""
    return isinstance(error, httpx.ProxyError) and str(error).startswith("407")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class OutageJudge:
    """Judges whether what keeps requests here will pass.

    It goes by what happened to the requests before.
    """

    def __init__(self) -> None:
        self._reached = False
        self._unknown_since: float | None = None

    def reached(self) -> None:
        """Remember that an answer came: later trouble may pass again."""
        self._reached, self._unknown_since = True, None

    def judge(self, error: Unreachable, now: float) -> Unreachable:
        """Return the error to raise: one that may pass, or one that stays."""
        if not isinstance(error, NetworkUnusable):
            self._unknown_since = None
            return error
        if isinstance(error, UnknownHost):
            self._unknown_since = now if self._unknown_since is None else self._unknown_since
            lasts = now - self._unknown_since >= PATIENCE
        else:
            lasts = not self._reached
        judged = NetworkUnusable(str(error)) if lasts else Unreachable(str(error), sent=False)
        judged.__cause__ = error.__cause__
        return judged
