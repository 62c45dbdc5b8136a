"""Reasons why a request could not leave: those that pass, and those that last."""

import socket
import ssl
from collections.abc import Iterator

import httpx

from .._errors import NetworkUnusable, Unreachable

PATIENCE = 60.0
"""For so many seconds, an unknown host may be the fault of a resolver that has just started."""
_UNKNOWN = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)
)


class UnusableProxy(httpx.ProxyError):
    """The proxy of the environment cannot be used."""


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
    """A host that no resolver knows; at first this may pass."""


class HttpClientClosed(NetworkUnusable):
    """The user has closed the client that was given; it cannot be opened again."""


def unsent(message: str, error: BaseException) -> Unreachable:
    """Return the error for a request that has not left; its kind depends on the cause."""
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
    """Judges whether an error that keeps requests from leaving will pass.

    It remembers what happened to the requests before.
    """

    def __init__(self) -> None:
        self._reached = False
        self._unknown_since: float | None = None

    def reached(self) -> None:
        """Remember that an answer came: then later errors may pass, too."""
        self._reached, self._unknown_since = True, None

    def judge(self, error: Unreachable, now: float) -> Unreachable:
        """Return the error to raise: of the kind that may pass, or of the kind that lasts."""
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
