"""Answers that stay readable, whatever a response hook of the user's does with them."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import httpx

from .incoming import MAX_BODY, abandon
from .messages import is_same

_asked: ContextVar[httpx.Request | None] = ContextVar("_asked", default=None)
"""Our request that this task is sending. An extension would be missing in a copy of it."""


@contextmanager
def rereadable_answer(client: httpx.AsyncClient, request: httpx.Request) -> Generator[None]:
    """Keep the answer to this request from being lost in a response hook.

    httpx closes an answer when a hook raises, before we can read it. So a hook of ours comes before
    the user's. It stays in the client, and does nothing for other requests. (A copy of the client
    would not do: a subclass may close its connections when the copy goes.)
    """
    hooks = client.event_hooks["response"]
    if hooks and hooks[0] is not _keep:
        # The same list: its owner may add to it later.
        hooks[:] = [_keep, *(hook for hook in hooks if hook is not _keep)]
    token = _asked.set(request)
    try:
        yield
    finally:
        _asked.reset(token)


async def _keep(response: httpx.Response) -> None:
    asked = _asked.get()
    if asked is None or response.is_stream_consumed or not is_same(response.request, asked):
        return
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = Rereadable(response.stream)


class Rereadable(httpx.AsyncByteStream):
    """A body that can be read again from its start, even after it was closed."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream
        self._source = aiter(stream)
        self._chunks: list[bytes] = []
        self._place = self._size = 0
        self._end: Exception | None = None
        """What comes after the last chunk, once it is known."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._place = 0
        return self

    async def __anext__(self) -> bytes:
        if self._place == len(self._chunks):
            await self._read_on()
        self._place += 1
        return self._chunks[self._place - 1]

    async def _read_on(self) -> None:
        if self._end is not None:
            raise self._end
        # Until the next chunk is there: a hook that is cancelled leaves the rest unreadable.
        self._end = httpx.ReadError("a hook of the http_client was stopped while it read")
        try:
            chunk = await anext(self._source)
        except Exception as error:
            self._end = error
            raise
        self._end = None
        self._size += len(chunk)
        self._chunks.append(chunk)

    async def aclose(self) -> None:
        """Read the rest first, as far as an answer is read at all."""
        try:
            with suppress(Exception):  # whoever reads it again meets the error
                while self._size <= MAX_BODY:
                    await self._read_on()
        finally:
            if self._end is None:
                await abandon(self._source)
            await self._stream.aclose()


class Lost(httpx.AsyncByteStream):
    """A body that was closed before anybody has read it to its end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise httpx.ReadError("the http_client has closed the answer unread")
