"""Small sound files of every kind, written by hand: what a file says is the test's to decide."""

import struct
from collections.abc import Sequence

MP3_FRAME = bytes((0xFF, 0xFB, 0x10, 0xC4)) + bytes(100)
"""A silent frame of MPEG 1 layer III: 32 kbit/s, 44.1 kHz, 104 bytes."""
MP3_SECONDS = 1152 / 44_100
ADTS_FRAME = bytes((0xFF, 0xF1, 0x50, 0x80, 50 >> 3, (50 & 7) << 5 | 0x1F, 0xFC)) + bytes(43)
"""A frame of AAC LC: stereo, 44.1 kHz, 50 bytes."""
ADTS_SECONDS = 1024 / 44_100
ID3 = b"ID3\x04\x00\x00" + bytes((0, 0, 1, 0)) + bytes(128)
"""An ID3v2 tag of 128 bytes, as its size in sevens of bits says."""
ID3V1 = b"TAG" + bytes(125)
_APE_ITEM = struct.pack("<II", 4, 0) + b"Title\0Song"
_APE_ENDS = [
    struct.pack("<8sIIII8x", b"APETAGEX", 2000, len(_APE_ITEM) + 32, 1, flags)
    for flags in (0xA000_0000, 0x8000_0000)
]
APE = _APE_ENDS[0] + _APE_ITEM + _APE_ENDS[1]
LYRICS3 = b"LYRICSBEGININD00003110LYR00002la000032LYRICS200"


def mp3(frames: int = 50, *, stated: int | None = None, mark: bytes = b"Info") -> bytes:
    """Frames, behind one with a header that states how many there are."""
    if stated is None:
        return MP3_FRAME * frames
    place, info = 36, mark + struct.pack(">II", 1, stated)
    if mark == b"VBRI":
        info = mark + struct.pack(">HHHII", 1, 0, 0, 0, stated)
    return MP3_FRAME[:place] + info + MP3_FRAME[place + len(info) :] + MP3_FRAME * frames


def adts(frames: int = 50) -> bytes:
    return ADTS_FRAME * frames


def wav_chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    head = struct.pack("<4sI", name, len(body) if size is None else size)
    return head + body + bytes(len(body) % 2)


def wav(
    sound: bytes,
    *,
    rate: int = 8_000,
    block: int = 2,
    form: int = 1,
    mark: bytes = b"RIFF",
    stated: int | None = None,
    riff: int | None = None,
    before: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """Write samples of `block` bytes; `stated` and `riff` are what it says of its lengths."""
    details = struct.pack("<HHIIHH", form, 1, rate, rate * block, block, block * 8)
    if form == 0xFFFE:
        details += struct.pack(
            "<HHIH14s", 22, block * 8, 4, 1, b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        )
    body = before + wav_chunk(b"fmt ", details) + wav_chunk(b"data", sound, stated) + behind
    return struct.pack("<4sI", mark, len(body) + 4 if riff is None else riff) + b"WAVE" + body


def crc(data: bytes, polynomial: int, bits: int) -> int:
    rest = 0
    for byte in data:
        rest ^= byte << bits - 8
        for _ in range(8):
            rest = (rest << 1 ^ (polynomial if rest >> bits - 1 else 0)) & (1 << bits) - 1
    return rest


def flac_frame(number: int, samples: Sequence[int], *, by_samples: bool = False) -> bytes:
    """One frame as it is, uncompressed: 16 bits, mono, 8 kHz."""
    head = b"\xff\xf9" if by_samples else b"\xff\xf8"
    head += bytes((0x74, 0x08)) + _as_in_utf8(number) + struct.pack(">H", len(samples) - 1)
    head += bytes([crc(head, 0x07, 8)])
    frame = head + b"\x02" + struct.pack(f">{len(samples)}h", *samples)
    return frame + struct.pack(">H", crc(frame, 0x8005, 16))


def _as_in_utf8(number: int) -> bytes:
    if number < 0x80:
        return bytes([number])
    rest: list[int] = []
    while number >= 0x40 >> len(rest):
        rest.insert(0, 0x80 | number & 0x3F)
        number >>= 6
    return bytes([0xFF << 7 - len(rest) & 0xFF | number, *rest])


def flac_head(*, block: int, total: int, blocks: Sequence[bytes] = ()) -> bytes:
    stream = struct.pack(">HH6xQ16x", block, block, 8_000 << 44 | 15 << 36 | total)
    bodies = [(0, stream), *((1, body) for body in blocks)]
    heads = [kind << 24 | len(body) for kind, body in bodies]
    heads[-1] |= 1 << 31
    return b"fLaC" + b"".join(
        struct.pack(">I", head) + body for head, (_, body) in zip(heads, bodies, strict=True)
    )


def flac_frames(
    samples: Sequence[int], *, block: int = 1024, by_samples: bool = False
) -> list[bytes]:
    return [
        flac_frame(
            place if by_samples else place // block,
            samples[place : place + block],
            by_samples=by_samples,
        )
        for place in range(0, len(samples), block)
    ]


def flac(samples: Sequence[int], *, block: int = 1024, total: int | None = None) -> bytes:
    head = flac_head(block=block, total=len(samples) if total is None else total)
    return head + b"".join(flac_frames(samples, block=block))


VORBIS = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 8_000, 0, 0, 0, 0xB8, 1)
OPUS = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, 312, 44_100, 0, 0)
OGG_FLAC = b"\x7fFLAC\x01\x00\x00\x01" + flac_head(block=1024, total=0)


def ogg_page(packet: bytes, *, flags: int, samples: int, serial: int = 1, number: int = 0) -> bytes:
    parts = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = struct.pack("<4sBBqII", b"OggS", 0, flags, samples, serial, number)
    page = head + bytes(4) + bytes([len(parts)]) + parts + packet
    return page[:22] + struct.pack("<I", crc(page, 0x04C11DB7, 32)) + page[26:]


def ogg(
    first: bytes = VORBIS,
    *,
    samples: int = 8_000,
    pages: int = 5,
    serial: int = 1,
    ends: bool = True,
) -> bytes:
    """A stream whose last page plays up to `samples`; what is in the pages is no sound."""
    places = [samples * (place + 1) // pages for place in range(pages)]
    return ogg_page(first, flags=2, samples=0, serial=serial) + b"".join(
        ogg_page(
            bytes(300),
            flags=4 if ends and place == samples else 0,
            samples=place,
            serial=serial,
            number=number,
        )
        for number, place in enumerate(places, 1)
    )


def box(name: bytes, *parts: bytes, size: int | None = None) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8 if size is None else size, name) + body


def full_box(name: bytes, *numbers: int, flags: int = 0) -> bytes:
    return box(name, struct.pack(f">I{len(numbers)}I", flags, *numbers))


def mp4_index(
    *,
    samples: int = 50,
    ticks: int = 1024,
    size: int = 20,
    hertz: int = 8_000,
    kind: bytes = b"soun",
    more: bytes = b"",
    cut: int | None = None,
) -> bytes:
    """An index of samples that all have one length; `cut` is what a list of cuts leaves, in ms."""
    table = box(
        b"stbl",
        full_box(b"stts", 1, samples, ticks),
        full_box(b"stsz", 0, samples, *[size] * samples),
    )
    handler = box(b"hdlr", bytes(8), kind, bytes(12))
    track = box(
        b"trak",
        full_box(b"tkhd", 0, 0, 1, 0),
        box(b"edts", full_box(b"elst", 1, cut, 0, 1 << 16)) if cut is not None else b"",
        box(b"mdia", full_box(b"mdhd", 0, 0, hertz, 0), handler, box(b"minf", table)),
    )
    return box(b"moov", full_box(b"mvhd", 0, 0, 1000, 0), track, more)


def mp4_fragment(*numbers: int, flags: int = 0, each: int | None = None, track: int = 1) -> bytes:
    """A fragment; `numbers` are those of its run, from the count of samples on."""
    head = full_box(b"tfhd", track, *([] if each is None else [each]), flags=8 if each else 0)
    return box(b"moof", box(b"traf", head, full_box(b"trun", *numbers, flags=flags)))


FTYP = box(b"ftyp", b"M4A \0\0\0\0")
MDAT = box(b"mdat", bytes(1000))
