"""Checksums of sound files, which the standard library lacks."""

from functools import lru_cache


def crc(data: bytes, polynomial: int, bits: int) -> int:
    """Return the checksum of some bytes, the highest bit first, begun at 0."""
    table, rest, mask = _table(polynomial, bits), 0, (1 << bits) - 1
    for byte in data:
        rest = (rest << 8 & mask) ^ table[(rest >> (bits - 8)) ^ byte]
    return rest


@lru_cache
def _table(polynomial: int, bits: int) -> list[int]:
    return [_shifted(byte << (bits - 8), polynomial, bits) for byte in range(256)]


def _shifted(rest: int, polynomial: int, bits: int) -> int:
    for _ in range(8):
        rest = (rest << 1) ^ (polynomial | 1 << bits if rest >> (bits - 1) else 0)
    return rest
