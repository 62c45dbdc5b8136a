"""From bytes to lines, piece by piece.

A file is never in memory as a whole.
"""

import codecs
import select
from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from typing import BinaryIO

from ..journal import MOST_RETURNS, with_line_feeds
from ._encoding import Encoding, explain_bytes
from ._failures import BadInput

LINE_BYTES = 1 << 20
"""No provider takes a request that is nearly as long as this."""
_PIECE_BYTES = 1 << 16
MARK = "\ufeff"


class Unreadable(ValueError):
    """Nothing from here on can be read; without a number, nothing at all."""

    def __init__(self, message: str, number: int | None = None, what: str = "line") -> None:
        super().__init__(message)
        self.number = number
        self.what = what


class Source:
    """A file that is read once. Its beginning can be seen before."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        # Without a buffer a read tells apart what only the end of a file is, and what is not there
        # yet: somebody may have made the pipe non-blocking. All is read in large pieces anyway.
        self._file: BinaryIO = getattr(file, "raw", file)
        self.name = name
        self.head = self._read()

    def iter_pieces(self) -> Iterator[bytes]:
        """Return all of it from the beginning, in pieces of bytes."""
        piece = self.head
        while piece:
            yield piece
            # A shorter one ended the file: asked again, a terminal would wait for more.
            piece = self._read() if len(piece) == _PIECE_BYTES else b""

    def reopened(self, limit: int) -> BinaryIO:
        """Return all of it as a file that can be read in any order.

        What comes from a pipe is kept in memory for that.

        Raises:
            Unreadable: it would have to be kept, and has more bytes than `limit`.
        """
        if self._file.seekable():
            self._file.seek(0)
            return self._file
        kept = BytesIO()
        for piece in self.iter_pieces():
            kept.write(piece)
            if kept.tell() > limit:
                raise Unreadable(f"is longer than {limit:,} bytes; give it as a file")
        kept.seek(0)
        return kept

    def _read(self) -> bytes:
        """Return the next piece; only the last one is shorter."""
        piece = b""
        try:
            while len(piece) < _PIECE_BYTES:
                part: bytes | None = self._file.read(_PIECE_BYTES - len(piece))
                if part is None:
                    select.select([self._file], [], [])
                elif part:
                    piece += part
                else:
                    break
        except OSError as error:
            raise BadInput(f"cannot read {self.name}: {error.strerror}") from error
        return piece


def iter_text(pieces: Iterator[bytes], encoding: Encoding) -> Iterator[str]:
    r"""Decode a file; lines end in "\n", whatever they ended in.

    Raises:
        Unreadable: at the first byte that does not fit, after the text before it.
    """
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    line, before, held, foreign = 1, 0, "", False
    for piece in chain(pieces, [b""]):
        flaw: UnicodeDecodeError | None = None
        try:
            text = held + decoder.decode(piece, not piece)
        except UnicodeDecodeError as error:
            flaw = error
            text = held + error.object[: error.start].decode(encoding.codec, "replace")
        text, held = _without_half_an_end(text, last=not piece or flaw is not None)
        text = with_line_feeds(text)
        yield text
        line += text.count("\n")
        foreign = foreign or not text.isascii()
        before = 0 if "\n" in text else before
        before += len(text.rpartition("\n")[2].encode(encoding.codec, "replace"))
        if flaw is not None:
            flawed = explain_bytes(flaw, encoding, at=before + 1, mixed=foreign)
            raise Unreadable(flawed, line) from flaw


def _without_half_an_end(text: str, *, last: bool) -> tuple[str, str]:
    """Keep carriage returns at the end for the next piece.

    The next piece may begin with their line feed.
    """
    whole = text if last else text[:-MOST_RETURNS] + text[-MOST_RETURNS:].rstrip("\r")
    return whole, text[len(whole) :]


def iter_lines(texts: Iterator[str]) -> Iterator[tuple[int, str]]:
    """Return the lines with their numbers.

    One that is too long comes cut off, and is refused later. Byte order marks at the beginning of a
    line are not text.
    """
    number, rest = 1, ""
    for text in texts:
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield number, line.lstrip(MARK)
            number += 1
        rest = rest[: LINE_BYTES + 1]
    if rest:
        yield number, rest.lstrip(MARK)


def refuse_long(text: str) -> None:
    """Refuse a line that no provider could take.

    Raises:
        ValueError: it is too long.
    """
    if len(text) * 4 <= LINE_BYTES:
        return
    if len(text) > LINE_BYTES or len(text.encode(errors="surrogatepass")) > LINE_BYTES:
        raise ValueError(f"is longer than {LINE_BYTES:,} bytes")
