"""Encoded bodies: gzip, deflate, Brotli, Zstandard, decoded in pieces.

We ask for none of them, but gateways send them all the same, or only say so. So a claim is only
tried: a body that is not in the claimed coding is passed on as it is. gzip and Zstandard begin with
a mark that no text and no sound begins with: a body with such a mark is always decoded. Brotli and
Zstandard need a library (`decompressors`); without one, such bodies are left as they are. The
length of the output is limited.
"""

import codecs
import functools
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from . import decompressors
from .decompressors import Inflate, Stream

Coding = Literal["gzip", "deflate", "br", "zstd"]

PIECE = 64 * 1024
"""Bytes that are decoded at once, at most."""
MAX_LAYERS = 3
"""So many codings on top of each other are undone: those that were applied last."""
_MAX_STREAMS = 1000
"""Streams in a row that a body may have: each takes time to begin, though it may be empty."""
_HEAD = 256
"""From so many bytes it is decided whether a body is in a coding that has no mark."""
_NAMES: dict[str, Coding] = {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "x-deflate": "deflate",
    "br": "br",
    "zstd": "zstd",
}
_MARKS: dict[Coding, bytes] = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
"""How streams begin. A coding without a mark is tried."""
_LONGEST_MARK = 4
_CONTROLS = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f]")


def codings_of(claim: str) -> list[Coding]:
    """Return the codings of a `Content-Encoding` header, the last one first.

    They are to be undone in this order. Words that are not a coding ("none", "utf-8",
    "aws-chunked") are left out.
    """
    names = (word.partition(";")[0].strip(" \t\"'").lower() for word in claim.split(","))
    known: list[Coding] = [_NAMES[name] for name in names if name in _NAMES]
    return known[: -MAX_LAYERS - 1 : -1]


class Decoder:
    """Decodes one body. It never holds more than some pieces of it."""

    def __init__(self, codings: Sequence[Coding], *, most: int) -> None:
        """Undo these codings, and read `most` bytes of each, at most."""
        room = most + most // 64 + 1024  # bytes that cannot be compressed become a little longer
        # A server may have used one coding more than it claims, or another one.
        self._layers = [_Layer(coding, room) for coding in (*codings, None)]

    @property
    def changes_nothing(self) -> bool:
        """Whether the body has turned out to be in no coding."""
        return all(layer.changes_nothing for layer in self._layers)

    @property
    def ends_early(self) -> bool:
        """Whether the only flaw is that an end is missing."""
        return all(layer.ends_early for layer in self._layers if layer.flaw is not None)

    @property
    def flaw(self) -> str | None:
        """Why the output is not the whole body, or None."""
        return next((layer.flaw for layer in self._layers if layer.flaw is not None), None)

    def passes(self, data: bytes) -> bool:
        """Whether a body that begins with these bytes is certainly in no coding.

        That is so for nearly all of them, and quicker than to decode them.
        """
        return len(self._layers) == 1 and self._layers[0].passes(data)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes into pieces; some are empty.

        Each takes a few milliseconds at most. The caller gives other tasks a turn between them.
        """
        for start in range(0, len(data), PIECE):
            yield from _through(self._layers, data[start : start + PIECE])

    def end(self) -> Iterator[bytes]:
        """Return what was held back; call it when no more bytes come."""
        for place, layer in enumerate(self._layers):
            for piece in layer.end():
                yield from _through(self._layers[place + 1 :], piece)


def _through(layers: Sequence["_Layer"], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    for piece in layers[0].feed(data):
        yield from _through(layers[1:], piece)


class _Layer:
    """One coding; or none, if the body only claims to be in it.

    Without a claim, the mark at the beginning of the body decides.
    """

    def __init__(self, claimed: Coding | None, room: int) -> None:
        self.flaw: str | None = None
        self.ends_early = False
        """Whether its flaw is that the end is missing."""
        self._coding: Coding | None = claimed
        self._room = room
        self._decided = False
        self._held = b""
        """Bytes that came before the coding was known, or while another stream may begin."""
        self._stream: Stream | None = None
        self._streams = 0

    @property
    def changes_nothing(self) -> bool:
        """Whether it passes the bytes on as they are, and has found no flaw."""
        return self._decided and self._stream is None and self.flaw is None

    def passes(self, data: bytes) -> bool:
        is_new = not (self._decided or self._held) and self._coding is None
        return is_new and len(data) >= _LONGEST_MARK and _coding_by_mark(data) is None

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._decided:
            self._held += data
            if not self._decide(ended=False):
                yield b""
                return
            data, self._held = self._held, b""
        if self._stream is not None:
            yield b""  # gives others a turn, even if there is no output for a long time
        yield from self._decode(data)

    def end(self) -> Iterator[bytes]:
        if not self._decided and self._held:
            self._decide(ended=True)
            data, self._held = self._held, b""
            yield from self._decode(data)
        if self._stream is not None and not self._stream.eof and self.flaw is None:
            self.flaw, self.ends_early = f"its {self._coding} ends early", True

    def _decide(self, *, ended: bool) -> bool:
        """Find out which coding the body is in, if any; return whether that is known."""
        head = self._held
        if not ended and len(head) < _LONGEST_MARK:
            return False
        if self._coding == "gzip" and _is_zlib(head):  # some servers confuse the two
            self._coding = "deflate"
        marked = _coding_by_mark(head)
        # The mark is decisive: any bytes may look like Brotli or deflate by chance.
        tried = marked is None and self._coding is not None and self._coding not in _MARKS
        if tried and not ended and len(head) < _HEAD:
            return False
        self._decided = True
        self._coding = self._coding if tried else marked
        if self._coding is not None and not (tried and _is_text(head)):
            self._stream = _open_stream(self._coding, head)
            if self._stream is None and not tried:
                self.flaw = f"it is {self._coding}, which takes a library: backports.zstd"
        return True

    def _decode(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            yield data
            return
        self._room -= len(data)
        if self._room < 0:
            self.flaw = self.flaw or f"its {self._coding} is too long"
        while self.flaw is None:
            if self._stream.eof and not (data := self._next_stream(data)):
                return
            yield self._stream.decompress(data, PIECE)
            if self._stream.damaged:
                self.flaw = f"its {self._coding} is damaged"
            if self._stream.needs_input and not self._stream.eof:
                return
            data = self._stream.unused_data if self._stream.eof else b""

    def _next_stream(self, behind: bytes) -> bytes:
        """Begin another stream, if one follows; return its bytes so far."""
        assert self._coding is not None
        mark = _MARKS.get(self._coding)
        self._held += behind
        if mark is None or not self._held.startswith(mark):
            self._held = self._held[: len(mark or b"")]  # padding, not another stream
            return b""
        self._streams += 1
        if self._streams >= _MAX_STREAMS:
            self.flaw = f"its {self._coding} has too many parts"
            return b""
        self._stream = _open_stream(self._coding, self._held)
        data, self._held = self._held, b""
        return data


def _coding_by_mark(head: bytes) -> Coding | None:
    return next((coding for coding, mark in _MARKS.items() if head.startswith(mark)), None)


def _is_zlib(head: bytes) -> bool:
    """Return whether bytes may be the beginning of a deflate stream in a zlib frame."""
    return head[0] & 15 == 8 and int.from_bytes(head[:2]) % 31 == 0


def _is_text(head: bytes) -> bool:
    """Return whether bytes can be read as text: compressed ones cannot."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(text)


def _open_stream(coding: Coding, head: bytes) -> Stream | None:
    """Return a decompressor for a stream that begins like this, or None."""
    if coding == "gzip":
        return Inflate(31)
    if coding == "zstd":
        return make() if (make := decompressors.zstd()) is not None else None
    if coding == "deflate" and _is_zlib(head):
        return Inflate(15)  # as it should be; some servers leave out the zlib frame
    make = decompressors.brotli() if coding == "br" else functools.partial(Inflate, -15)
    return make() if make is not None and _fits(make(), head[:_HEAD]) else None


def _fits(stream: Stream, head: bytes) -> bool:
    stream.decompress(head, PIECE)
    return not stream.damaged and not (stream.eof and stream.unused_data)
