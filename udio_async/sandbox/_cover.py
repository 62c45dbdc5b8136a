"""Covers: a sun and a row of equaliser bars on an evening sky."""

import colorsys
import math
import random
import struct
import zlib
from functools import lru_cache

SIZE = 256
_BARS = 16
_BAR_WIDTH = SIZE // _BARS


@lru_cache(maxsize=256)
def make_cover(song_id: str) -> bytes:
    """Draw the PNG of a song; the same id gives the same picture."""
    dice = random.Random(f"cover {song_id}")  # noqa: S311 - a picture, not a secret
    hue = dice.random()
    sun = (dice.uniform(0.3, 0.7) * SIZE, dice.uniform(0.3, 0.5) * SIZE, dice.uniform(40, 70))
    bars = [dice.randint(20, 110) for _ in range(_BARS)]
    rows = (b"\0" + _draw_row(y, hue, sun, bars) for y in range(SIZE))
    return _as_png(b"".join(rows))


def _draw_row(y: int, hue: float, sun: tuple[float, float, float], bars: list[int]) -> bytes:
    height = y / SIZE
    row = bytearray(_color(hue + 0.15 * height, 0.7, 0.25 + 0.5 * height) * SIZE)
    x, sun_y, radius = sun
    if abs(y - sun_y) < radius:
        half = math.sqrt(radius**2 - (y - sun_y) ** 2)
        _fill(row, round(x - half), round(x + half), _color(hue + 0.5, 0.45, 1.0))
    for i, bar in enumerate(bars):
        if y >= SIZE - bar:
            left = i * _BAR_WIDTH
            _fill(row, left + 2, left + _BAR_WIDTH - 2, _color(hue + 0.05, 0.6, 0.2))
    return bytes(row)


def _fill(row: bytearray, left: int, right: int, color: bytes) -> None:
    left, right = max(left, 0), min(right, SIZE)
    row[3 * left : 3 * right] = color * (right - left)


def _color(hue: float, saturation: float, value: float) -> bytes:
    return bytes(round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, saturation, value))


def _as_png(rows: bytes) -> bytes:
    """Return rows of pixels as a PNG file."""
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, 2, 0, 0, 0)  # 8 bits each of red, green, blue
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
