"""An answer as it comes in: its head, and its decoded body."""

import json
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import suppress
from typing import ClassVar

import anyio
import attrs
import httpx
from anyio.lowlevel import checkpoint

from .encoding import Decoder, codings_of
from .messages import Receiver, Reply

MAX_BODY = 1024 * 1024
"""Bytes of an API answer that are read, at most; before and after decoding."""
MAX_DOWNLOAD = 256 * 1024 * 1024
"""Bytes of an encoded download that are read, at most. The receiver counts the decoded ones."""
_OF_THE_CODING = ("content-length", "content-range", "etag")
"""Headers that are about the encoded bytes, which the receiver does not get."""


@attrs.define
class Incoming:
    """What has come in so far, decoded.

    Each step returns whether more is wanted.
    """

    most: ClassVar[int] = MAX_BODY

    status: int | None = None
    headers: dict[str, str] = attrs.field(factory=dict)
    body: bytearray = attrs.field(factory=bytearray, repr=False)
    cut: str | None = None
    decoder: Decoder | None = attrs.field(default=None, init=False)
    is_packed: bool = attrs.field(default=False, init=False)
    """Whether the body is in a coding, or claims to be."""

    async def begin(self, response: httpx.Response) -> bool:
        """Take the head of an answer."""
        self.status = response.status_code
        self.headers = dict(response.headers.items())
        if "transfer-encoding" in self.headers:  # then this alone says where the body ends
            self.headers.pop("content-length", None)
        codings = codings_of(self.headers.get("content-encoding", ""))
        self.is_packed = bool(codings)
        # A part may begin with any bytes, also with those of a mark, by chance.
        if codings or self.status != 206:
            self.decoder = Decoder(codings, most=self.most)
        return True

    async def take(self, chunk: bytes) -> bool:
        """Take the next bytes of the body."""
        if self.decoder is not None and self.decoder.passes(chunk):
            self.decoder = None
        if self.decoder is None:
            return await self.keep(chunk)
        return await self._keep_decoded(self.decoder, self.decoder.feed(chunk))

    async def end(self) -> None:
        """Take what the decoder has held back; no more bytes come."""
        if self.decoder is not None:
            await self._keep_decoded(self.decoder, self.decoder.end())

    async def _keep_decoded(self, decoder: Decoder, pieces: Iterator[bytes]) -> bool:
        for piece in pieces:
            if piece:
                self.is_packed = self.is_packed or not decoder.changes_nothing
                if not await self.keep(piece):
                    return False
            if not decoder.changes_nothing:
                await checkpoint()  # a few bytes may become very many
        if decoder.changes_nothing:
            self.decoder = None
        self.cut = self.cut or decoder.flaw
        return decoder.flaw is None

    async def keep(self, data: bytes) -> bool:
        """Keep decoded bytes, up to `most`."""
        room = self.most - len(self.body)
        self.body += data[:room]
        if len(data) > room:
            self.cut = f"it is longer than {self.most} bytes"
        return len(data) <= room

    def believe_object(self) -> None:
        """Accept a JSON object that is closed, though the end of its coding is missing.

        That is good enough for a look: it is free, and the next answer would be the same.
        """
        decoder = self.decoder
        ends_early = decoder is not None and decoder.ends_early and self.cut == decoder.flaw
        if ends_early and _is_object(self.body):
            self.cut = None

    def reply(self) -> Reply:
        """Return the answer in the form that adapters get."""
        assert self.status is not None
        return Reply(status=self.status, headers=self.headers, body=bytes(self.body), cut=self.cut)


def _is_object(body: bytearray) -> bool:
    """Return whether a body is one JSON object from its first to its last byte."""
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


@attrs.define
class Download(Incoming):
    """Passes the body on, and remembers why the receiver wanted no more of it."""

    most: ClassVar[int] = MAX_DOWNLOAD

    receive: Receiver = attrs.field(kw_only=True)
    error: Exception | None = None
    cookies: list[tuple[str, str]] = attrs.field(factory=list, init=False, repr=False)
    """The headers that set cookies, but for those with letters that no request can carry."""
    _has_begun: bool = attrs.field(default=False, init=False)
    """Whether the receiver has got the head."""

    @property
    def target(self) -> str | None:
        """Where a redirect points to."""
        moved = self.status in (301, 302, 303, 307, 308)
        return self.headers.get("location") if moved else None

    async def begin(self, response: httpx.Response) -> bool:
        await super().begin(response)
        cookies = response.headers.get_list("set-cookie")
        self.cookies = [("set-cookie", each) for each in cookies if each.isascii()]
        if self.target:
            return False
        # The head of a file waits for the first bytes, which show if they are encoded.
        is_known = self.decoder is None or response.status_code // 100 != 2
        return await self._begin() if is_known else True

    async def keep(self, data: bytes) -> bool:
        return await self._begin() and await self._tell(self.receive.write(data))

    async def end(self) -> None:
        await super().end()
        if not self.target:
            await self._begin()

    async def _begin(self) -> bool:
        """Pass the head on, once; return whether more is wanted."""
        if self._has_begun:
            return self.error is None
        self._has_begun = True
        assert self.status is not None
        headers = {
            name: value
            for name, value in self.headers.items()
            if not self.is_packed or name not in _OF_THE_CODING
        }
        return await self._tell(self.receive.begin(self.status, headers))

    async def _tell(self, news: Awaitable[None]) -> bool:
        try:
            await news
        except Exception as error:  # noqa: BLE001  # of the receiver: the caller of the download gets it
            self.error = error
            return False
        return True


async def abandon(chunks: AsyncIterator[bytes]) -> None:
    """Stop reading, unwinding nested generators from the innermost `await`.

    If only the outermost is closed, the garbage collector closes the others, and trio complains.
    """
    with anyio.CancelScope(shield=True) as scope:
        scope.cancel()
        with suppress(Exception):  # the reason why nobody reads on is known already
            async for _ in chunks:
                pass
