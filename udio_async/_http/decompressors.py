"""Decompressors with one interface, from whichever library is installed.

None of them returns much more at once than it is asked for.
"""

import functools
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

_STEP = 64
"""Bytes fed at once to a library that, on an error, loses the output before the error."""
_WINDOW_LOG = 23
"""Zstandard may look back 8 MiB, the most that RFC 9659 allows on the web."""


class Stream(Protocol):
    """One compressed stream, in the shape of the standard library's decompressors."""

    needs_input: bool
    damaged: bool
    """The rest cannot be decoded. All before it was returned."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes:
        """The bytes after its end."""
        ...

    def decompress(self, data: bytes, most: int) -> bytes:
        """Return about `most` bytes at most; call again without data for more."""
        ...


class Inflate:
    """gzip, zlib or bare deflate; `window_bits` says which, as in `zlib`."""

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
    """Return what can be decoded before the damage.

    When zlib raises its error, that is lost.
    """
    pieces = []
    with suppress(zlib.error):
        for place in range(len(data)):
            pieces.append(decompressor.decompress(data[place : place + 1]))  # noqa: PERF401  # up to the error
    return b"".join(pieces)


class _Stepped:
    """A library that is fed in small steps.

    When it raises an error, the output of that step is lost.
    """

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
                # Without new data, it may still have output from the data before.
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
    """The decompressor of Python 3.14, or of `backports.zstd`."""

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


class _BoundlessZstd(_Stepped):
    """The decompressor of `zstandard`, which has no limit of its own.

    One step of data becomes 2 MiB at most.
    """

    def __init__(self, library: Any) -> None:  # noqa: ANN401  # it has no types
        self._zstd = library.ZstdDecompressor(max_window_size=1 << _WINDOW_LOG).decompressobj()
        super().__init__(lambda data, _: bytes(self._zstd.decompress(data)), library.ZstdError)

    @property
    def eof(self) -> bool:
        return bool(self._zstd.eof)

    @property
    def is_hungry(self) -> bool:
        return True

    @property
    def unused_data(self) -> bytes:
        return bytes(self._zstd.unused_data) + self._left


def _library(*names: str) -> Any:  # noqa: ANN401  # they have no types
    for name in names:
        with suppress(ImportError):
            return import_module(name)
    return None


@functools.cache
def brotli() -> Callable[[], Stream] | None:
    """Return a maker of Brotli decompressors, or None without a library."""
    library = _library("brotli", "brotlicffi")
    # Versions before 1.2 cannot limit what comes out at once.
    bounded = hasattr(getattr(library, "Decompressor", None), "can_accept_more_data")
    return functools.partial(_Brotli, library) if bounded else None


@functools.cache
def zstd() -> Callable[[], Stream] | None:
    """Return a maker of Zstandard decompressors, or None without a library."""
    if (library := _library("compression.zstd", "backports.zstd")) is not None:
        return functools.partial(_Zstd, library)
    library = _library("zstandard")
    return None if library is None else functools.partial(_BoundlessZstd, library)
