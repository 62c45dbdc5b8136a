"""FLAC without compression: 16 bits, mono (RFC 9639)."""

import array
import hashlib
import sys

from ._checksums import crc

_SAMPLES = 4096  # in a frame
_VERBATIM = b"\x02"  # a subframe of samples as they are


def make_flac(samples: "array.array[int]", rate: int) -> bytes:
    """Write samples into a FLAC file."""
    return (
        b"fLaC"
        + _stream_info(samples, rate)
        + b"".join(
            _frame(number, samples[start : start + _SAMPLES])
            for number, start in enumerate(range(0, len(samples), _SAMPLES))
        )
    )


def _stream_info(samples: "array.array[int]", rate: int) -> bytes:
    """Return the block that every file has to have.

    It holds frame sizes, rate, channels, bits, length and checksum.
    """
    bits = rate << 44 | 0 << 41 | 15 << 36 | len(samples)
    digest = hashlib.md5(_ordered(samples, "little"), usedforsecurity=False).digest()
    sizes = _SAMPLES.to_bytes(2) * 2 + bytes(6)  # the bytes of a frame are not told
    info = sizes + bits.to_bytes(8) + digest
    return b"\x80" + len(info).to_bytes(3) + info  # 0x80: the last block before the sound


def _frame(number: int, samples: "array.array[int]") -> bytes:
    """Return one frame of samples as they are."""
    # 0x70: the number of samples, less one, comes in two bytes; 0x00: the rate is told above;
    # 0x08: mono and 16 bits. The frame's number is written as UTF-8 writes a character.
    head = b"\xff\xf8\x70\x08" + chr(number).encode() + (len(samples) - 1).to_bytes(2)
    head += crc(head, 0x07, 8).to_bytes(1)
    frame = head + _VERBATIM + _ordered(samples, "big")
    return frame + crc(frame, 0x8005, 16).to_bytes(2)


def _ordered(samples: "array.array[int]", order: str) -> bytes:
    """Return samples in this order of bytes."""
    if sys.byteorder == order:
        return samples.tobytes()
    swapped = samples[:]
    swapped.byteswap()
    return swapped.tobytes()
