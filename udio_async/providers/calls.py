"""Sending a call to a provider, and naming the provider in each error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import attrs

from .._errors import BadAnswer, UdioError
from .._http import Call, Http, Reply
from .wire import loads

SHORTEST_KEY = 12
"""A key of at least so many characters is crossed out: a shorter one is not a real key, and may be
part of any word."""
_SHORTEST_END = 8
"""At the end of a body that was cut, the beginning of a key is crossed out from this length on."""
_BLANK = "***"


@contextmanager
def about(provider: str, task_id: str | None = None) -> Iterator[None]:
    """Add the provider's and the task's name to each error that passes.

    Names that an error has already are left as they are.
    """
    try:
        yield
    except UdioError as error:
        error.provider = error.provider or provider
        error.task_id = error.task_id or task_id
        raise


async def ask(http: Http, call: Call) -> Reply:
    """Send a call, and blank out the key where the reply repeats it.

    A feed echoes the request, and an error may quote the header: what is stored or shown later must
    not hold the key. Keys shorter than `SHORTEST_KEY` are not real ones, and are left.

    Raises:
        ProviderUnavailable: no answer came; `charged` says whether the request may have been read.
    """
    reply = await http.send(call)
    key = call.account.key.reveal()
    return without_key(reply, key) if len(key) >= SHORTEST_KEY else reply


def without_key(reply: Reply, key: str) -> Reply:
    """Return a reply in which a key is blanked out, however it is written: plain, escaped, cut."""
    body, secret = reply.body, key.encode()
    for form in (secret, secret.replace(b"/", rb"\/")):  # some servers escape the slash in JSON
        if form in body:
            body = body.replace(form, _BLANK.encode())
    if b"\\u" in body or b"\x00" in body:  # letters are escaped, or have two bytes
        with suppress(BadAnswer):
            text = json.dumps(loads(body))
            body = text.replace(key, _BLANK).encode() if key in text else body
    if reply.cut is not None:
        ends = (secret[:length] for length in range(len(secret) - 1, _SHORTEST_END - 1, -1))
        cut = next(filter(body.endswith, ends), b"")
        body = body[: len(body) - len(cut)] + _BLANK.encode() if cut else body
    headers = reply.headers
    if any(key in value for value in headers.values()):
        headers = {name: value.replace(key, _BLANK) for name, value in headers.items()}
    if body is reply.body and headers is reply.headers:
        return reply
    return attrs.evolve(reply, body=body, headers=headers)
