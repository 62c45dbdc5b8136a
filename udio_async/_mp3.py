"""How long an MP3 really plays: its frames walked from the first to the last. Pure.

A length can lie and a header can promise anything; the frames are what a player plays.
"""

import attrs

_KBITS = {  # by MPEG 1 or not: the table of layer III
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG1 = 3
_LAYER3 = 1
_SEARCH = 64 * 1024
"""Bytes in which the first frame is looked for."""
_TAG_MARKS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN")
"""What may stand behind the last frame."""


class NoMp3(ValueError):
    """There are no MPEG layer III frames."""


@attrs.frozen
class Measured:
    """What a walk over the frames found."""

    seconds: float
    whole: bool
    """False where the last frame is cut off, or something that is no frame follows it."""


@attrs.frozen
class _Frame:
    length: int
    seconds: float


def measure(data: bytes) -> Measured:
    """Walk the frames of an MP3.

    Raises:
        NoMp3: two frames in a row are nowhere near the beginning.
    """
    place = _first_frame(data)
    seconds = 0.0
    while frame := _frame_at(data, place):
        if place + frame.length > len(data):
            return Measured(seconds, whole=False)
        seconds += frame.seconds
        place += frame.length
    rest = data[place:]
    return Measured(seconds, whole=rest.startswith(_TAG_MARKS) or not rest.strip(b"\0"))


def _first_frame(data: bytes) -> int:
    start = _behind_id3(data)
    for place in range(start, min(start + _SEARCH, len(data) - 4)):
        frame = _frame_at(data, place)
        if frame and (place + frame.length >= len(data) or _frame_at(data, place + frame.length)):
            return place
    raise NoMp3(f"no MP3; it begins with {data[:12]!r}")


def _behind_id3(data: bytes) -> int:
    """Skip an ID3v2 tag: its size is four bytes of seven bits."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    a, b, c, d = data[6:10]
    return 10 + (a << 21 | b << 14 | c << 7 | d)


def _frame_at(data: bytes, place: int) -> _Frame | None:
    """Read the four bytes of a frame header, if there is one."""
    if place + 4 > len(data) or data[place] != 0xFF or data[place + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[place + 1] >> 3 & 3, data[place + 1] >> 1 & 3
    kbits, rate = data[place + 2] >> 4, data[place + 2] >> 2 & 3
    if layer != _LAYER3 or version not in _RATES or kbits in (0, 15) or rate == 3:
        return None
    padding = data[place + 2] >> 1 & 1
    samples = 1152 if version == _MPEG1 else 576
    hertz = _RATES[version][rate]
    bits = _KBITS[version == _MPEG1][kbits] * 1000
    return _Frame(samples // 8 * bits // hertz + padding, samples / hertz)
