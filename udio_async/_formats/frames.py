"""MP3, MP2 and raw AAC (ADTS): frames, each with its length."""

import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import attrs

from .base import Measured, Suffix, breaks_off, no_audio
from .tags import behind_id3, only_tags

Frame = tuple[int, float]
"""Its length in bytes and in seconds."""

_KBITS = {  # by MPEG 1 or not: the table of layer III
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MP2_KBITS = {
    True: (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    False: _KBITS[False],
}
_MP3_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG1 = 3
_LAYER3 = 1
_LAYER2 = 2
_AAC_RATES = (96, 88.2, 64, 48, 44.1, 32, 24, 22.05, 16, 12, 11.025, 8, 7.35)  # kHz
_NO_ZERO = re.compile(rb"[^\0]")
_SEARCH = 64 * 1024
"""Bytes in which the first frame is looked for. Zeros before them do not count."""
_IN_A_ROW = 3
"""Frames in a row that are no coincidence."""
_LONGEST_FREE = 4 * 1024
"""Bytes of a frame whose header does not say how long it is; players take no more."""


@attrs.frozen
class _Kind:
    """A way to read frames: `unpack` takes what `read` needs from a place."""

    suffix: Suffix
    unpack: Callable[[memoryview, int], tuple[int, ...]]
    read: Callable[..., Frame | None]

    def frame_at(self, view: memoryview, place: int) -> Frame | None:
        """Return the frame that begins here, or None."""
        try:
            return self.read(*self.unpack(view, place))
        except struct.error:  # fewer bytes than a header has
            return None


@attrs.frozen
class _Header:
    """The first frame of an MP3, which tells about the others.

    It is a Xing, Info or VBRI header, and plays nothing itself.
    """

    length: int = 0
    """Bytes of that frame."""
    seconds: float = 0.0
    added: float = 0.0
    """Seconds of these that the encoder has put before and behind the sound."""


def measure(view: memoryview, start: int) -> Measured:
    """Go through the frames from the first to the last.

    Raises:
        NoAudio: there are no frames in a row near the beginning.
    """
    kind, frame, place = _first_frame(view, start)
    header = _header(view, place, frame) if kind.suffix == ".mp3" else _Header()
    place, seconds = _walk(view, place + header.length, kind)
    while place != (behind := behind_id3(view, place)):  # two files were joined, tags and all
        place, played = _walk(view, behind, kind)
        seconds += played
    if not only_tags(view, place):
        return _behind_junk(view, place, kind, seconds)
    # Some count the frame of the header and some do not: one less will do.
    if seconds < header.seconds - 1.5 * frame[1]:
        flaw = f"{breaks_off(seconds)}, its header says {header.seconds:.2f} s"
        return Measured(kind.suffix, seconds, flaw)
    return Measured(kind.suffix, max(0.0, seconds - header.added))


def _behind_junk(view: memoryview, place: int, kind: _Kind, seconds: float) -> Measured:
    """Measure a file with something else than frames at `place`: players go on at the next frame.

    Not more than `_SEARCH` bytes are searched, in all.
    """
    flaw, left = breaks_off(seconds), _SEARCH
    while left > 0 and (found := _next_frames(view, place, kind, within=left)) is not None:
        flaw = "has something else than sound in its middle"
        left -= found - place
        place, played = _walk(view, found, kind)
        seconds += played
    return Measured(kind.suffix, seconds, flaw)


def _next_frames(view: memoryview, place: int, kind: _Kind, *, within: int) -> int | None:
    """Return the place of the next frames in a row, or None."""
    window = bytes(view[place : place + within])
    found = window.find(b"\xff", 1)
    while found > 0:
        if _begins(view, place + found, kind, least=_IN_A_ROW):
            return place + found
        found = window.find(b"\xff", found + 1)
    return None


def _walk(view: memoryview, place: int, kind: _Kind) -> tuple[int, float]:
    """Go from frame to frame to where there is none.

    Returns:
        That place, and the seconds of all frames that are whole.
    """
    unpack, read = kind.unpack, kind.read  # the only loop that takes time
    seconds = lasts = 0.0
    try:
        while frame := read(*unpack(view, place)):
            length, lasts = frame
            place += length
            seconds += lasts
    except struct.error:
        pass
    return place, seconds - lasts if place > len(view) else seconds


def _first_frame(view: memoryview, start: int) -> tuple[_Kind, Frame, int]:
    """Find the first frame: how it is read, the frame, and its place.

    Raises:
        NoAudio: there is none in the first `_SEARCH` bytes behind zeros.
    """
    for kind in (_MP3, _ADTS, _MP2, *_free_formats(view, start)):
        if frame := _begins(view, start, kind, least=1):
            return kind, frame, start
    start = found.start() if (found := _NO_ZERO.search(view, start)) else len(view)
    window = bytes(view[start : start + _SEARCH])
    place = window.find(b"\xff")
    while place >= 0:
        for kind in (_MP3, _ADTS):
            if frame := _begins(view, start + place, kind, least=_IN_A_ROW):
                return kind, frame, start + place
        place = window.find(b"\xff", place + 1)
    raise no_audio(view)


def _begins(view: memoryview, place: int, kind: _Kind, *, least: int) -> Frame | None:
    """Return the first of three frames in a row, or None.

    If the file ends before the third, `least` frames are enough.
    """
    first = None
    for number in range(_IN_A_ROW):
        if number >= least and place >= len(view):
            break
        frame = kind.frame_at(view, place)
        if frame is None:
            return None
        first, place = first or frame, place + frame[0]
    return first


def _header(view: memoryview, place: int, frame: Frame) -> _Header:
    """Read the header in the first frame, if there is one."""
    length, lasts = frame
    head = bytes(view[place : place + min(length, 192)]).ljust(192, b"\0")
    if head[36:40] == b"VBRI":
        return _Header(length, int.from_bytes(head[50:54]) * lasts)
    for inside in (13, 21, 36):  # which one, is a matter of MPEG version and channels
        info = head[inside:]
        if info[:4] not in (b"Xing", b"Info"):
            continue
        frames = int.from_bytes(info[8:12]) if info[7] & 1 else 0
        added = int.from_bytes(info[141:144]) if info[7] & 15 == 15 and info[120:121] == b"L" else 0
        samples = 1152 if head[1] >> 3 & 3 == _MPEG1 else 576
        return _Header(length, frames * lasts, ((added >> 12) + (added & 0xFFF)) * lasts / samples)
    return _Header()


def _mpeg_frame(layer: int, head: int) -> Frame | None:
    """Read the four bytes of a frame header, or None if it is none of this layer."""
    version, kbits, rate = head >> 19 & 3, head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or head >> 17 & 3 != layer or version not in _MP3_RATES:
        return None
    if kbits in (0, 15) or rate == 3:
        return None
    samples = 576 if layer == _LAYER3 and version != _MPEG1 else 1152
    hertz = _MP3_RATES[version][rate]
    bits = (_KBITS if layer == _LAYER3 else _MP2_KBITS)[version == _MPEG1][kbits] * 1000
    return samples // 8 * bits // hertz + (head >> 9 & 1), samples / hertz


_mp3_frame = lru_cache(maxsize=4096)(partial(_mpeg_frame, _LAYER3))
_mp2_frame = lru_cache(maxsize=4096)(partial(_mpeg_frame, _LAYER2))


def _free_formats(view: memoryview, place: int) -> Iterator[_Kind]:
    """Return ways to read frames whose header does not say their length.

    Each takes the length to the next place that looks like such a header.
    """
    head = bytes(view[place : place + _LONGEST_FREE])
    like = _mp3_frame(int.from_bytes(head[:4]) | 1 << 12)  # as if it said the lowest bit rate
    if len(head) < 4 or head[2] >> 4 or like is None:
        return
    length = head.find(head[:2], 4)
    while length > 0:
        read = partial(_free_frame, int.from_bytes(head[:4]), length - (head[2] >> 1 & 1), like[1])
        yield _Kind(".mp3", _MP3.unpack, read)
        length = head.find(head[:2], length + 1)


def _free_frame(first: int, length: int, seconds: float, head: int) -> Frame | None:
    """Read a frame of this length, if its header is like the first one."""
    # Version, layer, no bit rate and the sample rate are as in the first frame.
    return (length + (head >> 9 & 1), seconds) if head >> 10 == first >> 10 else None


def _adts_frame(head: int, length: int, blocks: int) -> Frame | None:
    """Read the seven bytes of a frame header, or None if it is none."""
    length = (head & 3) << 11 | length >> 5
    rate = head >> 10 & 15
    if head >> 20 != 0xFFF or head >> 17 & 3 or rate >= len(_AAC_RATES) or length < 7:
        return None
    return length, 1.024 * ((blocks & 3) + 1) / _AAC_RATES[rate]


_MP3 = _Kind(".mp3", struct.Struct(">I").unpack_from, _mp3_frame)
_MP2 = _Kind(".mp2", struct.Struct(">I").unpack_from, _mp2_frame)
_ADTS = _Kind(".aac", struct.Struct(">IHB").unpack_from, _adts_frame)
