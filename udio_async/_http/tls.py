"""The TLS context that all connections share, and the sessions of earlier connections."""

import functools
import os
import ssl
from typing import ClassVar
from weakref import WeakKeyDictionary

import httpx

_MOST_HOSTS = 64
"""Hosts whose session is kept; when there are more, the oldest is dropped."""


class ResumingConnection(ssl.SSLObject):
    """A TLS connection that resumes the session of an earlier one with the same host.

    Where the server allows it, both sides save the certificate and half of the work. No request is
    sent with the handshake: Python sends no early data, which somebody could send again.
    """

    _kept: ClassVar["WeakKeyDictionary[ssl.SSLContext, dict[str | None, ssl.SSLSession]]"] = (
        WeakKeyDictionary()
    )
    _begun = False

    def do_handshake(self) -> None:
        """Take the first or the next step of the handshake."""
        if not self._begun:
            self._begun = True
            known = self._kept.get(self.context, {}).get(self.server_hostname)
            if known is not None:
                self.session = known
        super().do_handshake()

    def remember(self) -> None:
        """Keep the session for the next connection; TLS 1.3 has one only after the first read.

        A session that was resumed is not read again: that takes a third as long as a handshake.
        """
        session = None if self.session_reused else self.session
        if session is not None:
            hosts = self._kept.setdefault(self.context, {})
            hosts.pop(self.server_hostname, None)
            hosts[self.server_hostname] = session
            if len(hosts) > _MOST_HOSTS:
                del hosts[next(iter(hosts))]


def ssl_context(*, trust_env: bool) -> ssl.SSLContext:
    """Return the TLS context, with the certificates of the environment if `trust_env`.

    Raises:
        OSError: the environment names certificates that cannot be read.
    """
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR") if trust_env else ()
    return _context(tuple(os.environ.get(name) for name in names))


@functools.cache
def _context(places: tuple[str | None, ...]) -> ssl.SSLContext:
    """Build a context. That takes 40 ms, so all connections share it."""
    context = httpx.create_ssl_context(trust_env=bool(places))
    context.set_alpn_protocols(["http/1.1"])
    if type(context) is ssl.SSLContext:  # that of httpx2 asks the operating system
        context.sslobject_class = ResumingConnection
        # SSLKEYLOGFILE would let its reader see the API key.
        context.keylog_filename = None  # type: ignore[assignment]  # None means no log
    return context
