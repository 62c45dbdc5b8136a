"""WAV: chunks, of which one has the format and one the samples."""

from struct import Struct

from .base import Measured, breaks_off, read
from .tags import before_tags

MARKS = (b"RIFF", b"RF64", b"BW64")
_CHUNK = Struct("<4sI")
_LENGTHS = Struct("<QQ")
"""The two lengths in a file that may be longer than 4 GB: of the file, and of its sound."""
_FORMAT = Struct("<HHIIH")
_BY_BLOCKS = (1, 3, 6, 7, 0xFFFE)
"""Samples of a fixed size: PCM, floats, A-law, mu-law, and those that say more elsewhere."""
_ELSEWHERE = 0xFFFF_FFFF
_UNKNOWN = 0x7FFF_F000
"""A length of this or more, or 0, is written by programs that do not know it yet."""
_SLACK = 8
"""Bytes by which a stated length of the file is often too large, with all of the sound there."""


def measure(view: memoryview, start: int) -> Measured:
    """Go from chunk to chunk to the sound, and check its length.

    Stated lengths are trusted only where a program may have known them.
    """
    _, stated = read(_CHUNK, view, start)
    long = block = rate = size = body = 0
    name, place = b"", start + 12
    while name != b"data":
        if place + 8 > len(view):
            return Measured(".wav", 0.0, "breaks off before its sound")
        name, size = read(_CHUNK, view, place)
        body, place = place + 8, place + 8 + size + size % 2
        if name == b"ds64":
            stated, long = read(_LENGTHS, view, body)
        elif name == b"fmt ":
            form, _, hertz, _, block = read(_FORMAT, view, body)
            rate = block * hertz if form in _BY_BLOCKS else 0
    if size == _ELSEWHERE and long:
        size = long
    elif size == 0 or size >= _UNKNOWN:
        size = before_tags(view, body) - body
        if block and size % block > block % 2:  # behind odd ones there may be padding
            size += block
    there = min(size, len(view) - body)
    seconds = there / rate if rate else None
    if there < size:
        return Measured(".wav", seconds, breaks_off(seconds))
    missing = start + 8 + stated - len(view)
    if missing > _SLACK and 0 < stated < _UNKNOWN:
        return Measured(".wav", seconds, f"lacks {missing:,} bytes behind its sound")
    return Measured(".wav", seconds)
