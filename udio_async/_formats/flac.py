"""FLAC: its last frame says how far the sound goes.

Two checksums prove that it is a frame (RFC 9639).
"""

from collections.abc import Iterator
from functools import lru_cache
from struct import Struct

import attrs

from .base import Measured, breaks_off, no_audio, read
from .tags import before_tags

_BLOCK = Struct(">I")
_STREAM = Struct(">IHH6xQ")
"""The first block: its head, the least and the most samples in a frame, and a row of bits."""
_FIXED = b"\xff\xf8"
_MARKS = (_FIXED, b"\xff\xf9")
"""How frames begin that count frames, or samples. In one file all do the same."""
_WINDOW = 1024 * 1024
"""Bytes in which the last frame is looked for, at most."""
_TRIES = 4
"""Places that look like a frame, at most: a chance of one in many thousands each."""


@attrs.frozen
class _Frame:
    """A frame: the samples it covers, and its place in the window."""

    begins: int
    """In samples, as is `ends`."""
    ends: int
    place: int


def measure(view: memoryview, start: int) -> Measured:
    """Skip the blocks before the first frame, then find the last one.

    Raises:
        NoAudio: it does not say what stream it is.
    """
    head, _, most, bits = read(_STREAM, view, start + 4)
    rate, total = bits >> 44, bits & ((1 << 36) - 1)
    if head & 0x7FFF_FFFF != 34 or not rate:
        raise no_audio(view)
    place, last = start + 4, 0
    while not last:
        (head,) = read(_BLOCK, view, place)
        place, last = place + 4 + (head & 0xFF_FFFF), head >> 31
        if place >= len(view):
            return Measured(".flac", 0.0, "breaks off before its sound")
    end = before_tags(view, place)
    longest = most * ((bits >> 41 & 7) + 1) * ((bits >> 36 & 31) + 2) // 8 + 1024
    window = bytes(view[max(place, end - min(longest, _WINDOW)) : end])
    reached = 0
    for frame in _frames_from_the_end(window, bytes(view[place : place + 2]), most):
        if _crc(window[frame.place :], 0x8005, 16) == 0:
            seconds = frame.ends / rate
            return Measured(".flac", seconds, breaks_off(seconds) if frame.ends < total else None)
        reached = reached or frame.begins
    return Measured(".flac", reached / rate, breaks_off(reached / rate))


def _frames_from_the_end(window: bytes, mark: bytes, most: int) -> Iterator[_Frame]:
    """Return what looks like a frame, from the last on; a few at most."""
    tries = _TRIES if mark in _MARKS else 0
    place = window.rfind(mark)
    while tries and place >= 0:
        frame = _frame_at(window, place, most)
        if frame is not None:
            tries -= 1
            yield frame
        place = window.rfind(mark, 0, place + 1)


def _frame_at(window: bytes, place: int, most: int) -> _Frame | None:
    """Read a frame's header, if its checksum proves it to be one."""
    head = window[place : place + 16].ljust(16, b"\0")
    size, rate, ones = head[2] >> 4, head[2] & 15, 8 - (head[4] ^ 0xFF).bit_length()
    if size == 0 or ones in (1, 8):
        return None
    # The number is coded like a character in UTF-8.
    behind = 4 + max(1, ones)
    number = head[4] & (0x7F >> ones)
    for byte in head[5:behind]:
        number = (number << 6) | (byte & 0x3F)
    samples, more = _size(size, head[behind : behind + 2])
    behind += more + (0, 1, 2, 2, 0)[max(0, rate - 11)]
    if behind >= len(window) - place or _crc(head[: behind + 1], 0x07, 8) != 0:
        return None
    begins = number * most if head[:2] == _FIXED else number
    return _Frame(begins, begins + samples, place)


def _size(code: int, behind: bytes) -> tuple[int, int]:
    """Return the samples of a frame, and the bytes that say so.

    These bytes stand behind the frame's number.
    """
    if code in (6, 7):
        return int.from_bytes(behind[: code - 5]) + 1, code - 5
    if code == 1:
        return 192, 0
    return (576 << (code - 2) if code < 6 else 256 << (code - 8)), 0


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    """Return a checksum; it is 0 for data that ends in its own."""
    table, rest, mask = _table(polynomial, bits), 0, (1 << bits) - 1
    for byte in data:
        rest = (rest << 8 & mask) ^ table[(rest >> (bits - 8)) ^ byte]
    return rest


@lru_cache
def _table(polynomial: int, bits: int) -> list[int]:
    """Return the table for a checksum, one entry for each byte."""
    table = []
    for byte in range(256):
        rest = byte << (bits - 8)
        for _ in range(8):
            rest = (rest << 1) ^ (polynomial | 1 << bits if rest >> (bits - 1) else 0)
        table.append(rest)
    return table
