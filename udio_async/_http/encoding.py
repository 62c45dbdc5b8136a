"""Undoes the codings of a body: gzip, deflate, Brotli, Zstandard; piece by piece, and bounded.

We ask for none of them, and gateways send them all the same, or say so and do not. So what is
claimed is only tried: a body that is not in its coding is handed on as it is. Brotli and
Zstandard need a library that bounds what comes out at once; without one they are unknown.
"""

import codecs
import functools
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Literal, Protocol

Coding = Literal["gzip", "deflate", "br", "zstd"]

PIECE = 64 * 1024
"""Bytes that are decoded at once, at most."""
MAX_LAYERS = 3
"""Codings on top of each other that are undone: the last ones applied."""
_MAX_STREAMS = 1000
"""Streams in a row that a body may consist of: each takes time to begin, and may be empty."""
_HEAD = 256
"""Bytes by which it is decided whether a body is in a coding that has no mark of its own."""
_STEP = 64
"""Bytes fed at once to a library that loses, with an error, what came before it."""
_WINDOW_LOG = 23
"""Zstandard may look back 8 MiB, the most that RFC 9659 allows on the web."""
_NAMES: dict[str, Coding] = {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
    "x-deflate": "deflate",
    "br": "br",
    "zstd": "zstd",
}
_MARKS = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
"""How streams begin. A coding without a mark is tried."""
_CONTROLS = re.compile(r"[\0-\x08\x0b\x0c\x0e-\x1f]")


def codings_of(claim: str) -> list[Coding]:
    """Read a `Content-Encoding` header: the codings to undo, the first one first.

    What is no coding that we know ("none", "utf-8", "aws-chunked") is left out.
    """
    names = (word.partition(";")[0].strip(" \t\"'").lower() for word in claim.split(","))
    known = [_NAMES[name] for name in names if name in _NAMES]
    return known[: -MAX_LAYERS - 1 : -1]


class Decoder:
    """Undoes the codings of one body. It never holds more than some pieces of it."""

    def __init__(self, codings: Sequence[Coding], *, most: int) -> None:
        """Undo these codings; `most` bounds what is read of each, in bytes."""
        # A server that says gzip once may have done it twice.
        layers: list[Coding] = [*codings, "gzip"] if "gzip" in codings else [*codings]
        room = most + most // 64 + 1024  # what cannot be compressed gets a little longer
        self._layers = [_Layer(coding, room) for coding in layers]

    @property
    def flaw(self) -> str | None:
        """Why what came out is not all of it."""
        return next((layer.flaw for layer in self._layers if layer.flaw is not None), None)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, into pieces of which some are empty.

        None takes longer than some milliseconds: between two, let others have a turn.
        """
        for start in range(0, len(data), PIECE):
            yield from _through(self._layers, data[start : start + PIECE])

    def end(self) -> Iterator[bytes]:
        """Return what was held back, once there is nothing more to feed."""
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
    """One coding, or what only claims to be in it."""

    def __init__(self, coding: Coding, room: int) -> None:
        self.flaw: str | None = None
        self._coding: Coding = coding
        self._room = room
        self._decided = False
        self._held = b""
        """What came before it was decided, or while it is not known whether a stream begins."""
        self._stream: _Stream | None = None
        self._streams = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield b""  # a turn for others, even where nothing comes out for long
        if not self._decided:
            self._held += data
            if not self._decide(ended=False):
                return
            data, self._held = self._held, b""
        yield from self._decode(data)

    def end(self) -> Iterator[bytes]:
        if not self._decided and self._held:
            self._decide(ended=True)
            data, self._held = self._held, b""
            yield from self._decode(data)
        if self._stream is not None and not self._stream.eof:
            self.flaw = self.flaw or f"its {self._coding} ends early"

    def _decide(self, *, ended: bool) -> bool:
        """Find out whether the body is in its coding, as soon as enough of it is there."""
        mark, head = _MARKS.get(self._coding), self._held
        if not ended and len(head) < (_HEAD if mark is None else len(mark)):
            return False
        self._decided = True
        if head.startswith(mark) if mark is not None else not _is_text(head):
            self._stream = _open_stream(self._coding, head)
            if self._stream is None and mark is not None:
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
        """Begin another stream, if one follows; return it as far as it is there."""
        mark = _MARKS.get(self._coding)
        self._held += behind
        if mark is None or not self._held.startswith(mark):
            self._held = self._held[: len(mark or b"")]  # padding, and never a stream
            return b""
        self._streams += 1
        if self._streams >= _MAX_STREAMS:
            self.flaw = f"its {self._coding} has too many parts"
            return b""
        self._stream = _open_stream(self._coding, self._held)
        data, self._held = self._held, b""
        return data


def _is_text(head: bytes) -> bool:
    """Whether it could be read as it is: what is compressed cannot."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.search(text)


def _open_stream(coding: Coding, head: bytes) -> "_Stream | None":
    """Return what decodes a stream that begins like this; None where nothing does."""
    if coding == "gzip":
        return _Inflate(31)
    if coding == "zstd":
        return make() if (make := _zstd()) is not None else None
    if coding == "deflate" and head[0] & 15 == 8 and int.from_bytes(head[:2]) % 31 == 0:
        return _Inflate(15)  # as it ought to be; some servers leave the frame of zlib out
    make = _brotli() if coding == "br" else functools.partial(_Inflate, -15)
    return make() if make is not None and _fits(make(), head[:_HEAD]) else None


def _fits(stream: "_Stream", head: bytes) -> bool:
    stream.decompress(head, PIECE)
    return not stream.damaged and not (stream.eof and stream.unused_data)


# Libraries -----------------------------------------------------------------------------------


class _Stream(Protocol):
    """One compressed stream, in the shape of the standard library's decompressors."""

    needs_input: bool
    damaged: bool
    """What follows cannot be decoded. What came before it was returned."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes:
        """What stands behind its end."""
        ...

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return about `most` bytes at most; more comes with the next call, for no data."""
        ...


class _Inflate:
    """The standard library's zlib."""

    def __init__(self, window_bits: int) -> None:
        self._zlib = zlib.decompressobj(window_bits)
        self._left = b""
        self.needs_input = True
        self.damaged = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        data = self._left + data
        before = self._zlib.copy()
        try:
            piece = self._zlib.decompress(data, most)
        except zlib.error:
            self.damaged = True
            return _salvaged(before, data)
        self._left = self._zlib.unconsumed_tail
        self.needs_input = not self._left and len(piece) < most
        return piece


def _salvaged(decompressor: Any, data: bytes) -> bytes:  # noqa: ANN401  # zlib names no class
    """Return what can be decoded before the damage: zlib's error takes it along."""
    pieces = []
    with suppress(zlib.error):
        for place in range(len(data)):
            pieces.append(decompressor.decompress(data[place : place + 1]))  # noqa: PERF401  # up to the error
    return b"".join(pieces)


class _Stepped:
    """A library whose errors take along what came before them: it is fed in small steps."""

    def __init__(self, feed: Callable[[bytes, int], bytes], errors: type[Exception]) -> None:
        self._feed = feed
        self._errors = errors
        self._left = b""
        self.needs_input = True
        self.damaged = False

    @property
    def eof(self) -> bool:
        raise NotImplementedError

    @property
    def is_hungry(self) -> bool:
        """Whether it takes more data."""
        raise NotImplementedError

    @property
    def unused_data(self) -> bytes:
        return self._left

    def decompress(self, data: bytes, most: int) -> bytes:
        data = self._left + data
        place, pieces = 0, list[bytes]()
        self.needs_input = False
        while most > 0 and not (self.eof or self.needs_input or self.damaged):
            hungry = self.is_hungry
            step = data[place : place + _STEP] if hungry else b""
            place += len(step)
            try:
                pieces.append(self._feed(step, most))
                most -= len(pieces[-1])
                # With no data for it, it may still have some of what came of the data before.
                self.needs_input = hungry and not step and not pieces[-1]
            except self._errors:
                self.damaged = True
        self._left = data[place:]
        return b"".join(pieces)


class _Brotli(_Stepped):
    def __init__(self, library: Any) -> None:  # noqa: ANN401  # it has no types
        self._brotli = library.Decompressor()
        super().__init__(self._process, library.error)

    def _process(self, data: bytes, most: int) -> bytes:
        return bytes(self._brotli.process(data, output_buffer_limit=most))

    @property
    def eof(self) -> bool:
        return not self.damaged and bool(self._brotli.is_finished())

    @property
    def is_hungry(self) -> bool:
        return bool(self._brotli.can_accept_more_data())


class _Zstd(_Stepped):
    """That of Python 3.14, which others have as `backports.zstd`."""

    def __init__(self, library: Any) -> None:  # noqa: ANN401  # it has no types before 3.14
        self._zstd = library.ZstdDecompressor(
            options={library.DecompressionParameter.window_log_max: _WINDOW_LOG}
        )
        super().__init__(self._zstd.decompress, library.ZstdError)

    @property
    def eof(self) -> bool:
        return bool(self._zstd.eof)

    @property
    def is_hungry(self) -> bool:
        return bool(self._zstd.needs_input)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._zstd.unused_data) + self._left


class _OldZstd(_Stepped):
    """That of `zstandard`, which has no bound of its own: a step of data makes 2 MiB at most."""

    is_hungry = True

    def __init__(self, library: Any) -> None:  # noqa: ANN401  # it has no types
        self._zstd = library.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompressobj()
        super().__init__(lambda data, _: bytes(self._zstd.decompress(data)), library.ZstdError)

    @property
    def eof(self) -> bool:
        return bool(self._zstd.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._zstd.unused_data) + self._left


def _library(*names: str) -> Any:  # noqa: ANN401  # they have no types
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    return None


@functools.cache
def _brotli() -> Callable[[], _Stream] | None:
    library = _library("brotli", "brotlicffi")
    # Those before 1.2 cannot bound what comes out at once.
    bounded = hasattr(getattr(library, "Decompressor", None), "can_accept_more_data")
    return functools.partial(_Brotli, library) if bounded else None


@functools.cache
def _zstd() -> Callable[[], _Stream] | None:
    if (library := _library("compression.zstd", "backports.zstd")) is not None:
        return functools.partial(_Zstd, library)
    library = _library("zstandard")
    return None if library is None else functools.partial(_OldZstd, library)
