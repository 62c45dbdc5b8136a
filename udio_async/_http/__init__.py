"""The HTTP room: the only one that imports httpx.

All requests leave here, and all answers come in here. There is a module for each topic: address and
key (`account`), requests and answers (`messages`), how connections are lent (`transport`), a
connection (`connection`, `tls`), whether a paid request may be taken back (`departure`), how far a
request got (`trail`), one exchange (`exchange`), its answer (`incoming`), why nothing left
(`diagnosis`), a client of the user's own (`user_client`), how bodies are decoded (`encoding`), and
the class that the rest of the library uses (`sender`).
"""

import httpx

from .account import Account, ApiKey
from .departure import Departure
from .diagnosis import HttpClientClosed
from .incoming import MAX_BODY, MAX_DOWNLOAD
from .messages import Call, Http, LinkRefused, Receiver, Reply, installed_version
from .sender import MAX_DOWNLOADS, MAX_IDLE, MAX_IN_FLIGHT, HttpSender, PaidHttp
from .transport import LeasedTransport

AsyncClient = httpx.AsyncClient
"""The class of a client of the user's own, for annotations elsewhere."""

__all__ = [
    "MAX_BODY",
    "MAX_DOWNLOAD",
    "MAX_DOWNLOADS",
    "MAX_IDLE",
    "MAX_IN_FLIGHT",
    "Account",
    "ApiKey",
    "AsyncClient",
    "Call",
    "Departure",
    "Http",
    "HttpClientClosed",
    "HttpSender",
    "LeasedTransport",
    "LinkRefused",
    "PaidHttp",
    "Receiver",
    "Reply",
    "installed_version",
]
