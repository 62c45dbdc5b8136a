"""Tags before and behind the sound, whatever its format."""

from struct import Struct

from .base import read

_APE = Struct("<8s4xI16x")


def behind_tags(view: memoryview, place: int) -> int:
    """Return the place behind the tags that begin at `place`: ID3v2 and APE.

    It is beyond the end where one of them is cut.
    """
    while True:
        behind = behind_id3(view, place)
        mark, size = read(_APE, view, behind)
        if mark != b"APETAGEX":
            return behind
        place = behind + _APE.size + size


def behind_id3(view: memoryview, place: int) -> int:
    """Return the place behind the ID3v2 tags that begin at `place`.

    It is beyond the end where one of them is cut.
    """
    while True:
        head = bytes(view[place : place + 10])
        if len(head) < 10 or head[:3] != b"ID3" or head[3] not in (2, 3, 4):
            return place
        a, b, c, d = head[6:]  # four times seven bits; some programs take eight
        size = a << 21 | b << 14 | c << 7 | d if max(head[6:]) < 128 else int.from_bytes(head[6:])
        place += 10 + size + (10 if head[5] & 16 else 0)


def only_tags(view: memoryview, place: int) -> bool:
    """Return whether nothing but tags and zeros follows `place`."""
    return place <= len(view) and not bytes(view[place : before_tags(view, place)]).strip(b"\0")


def before_tags(view: memoryview, start: int) -> int:
    """Return where the tags at the end begin: ID3v1, APE, Lyrics3.

    None of them reaches before `start`.
    """
    end = len(view)
    while 0 < (length := _tag_at_end(bytes(view[max(start, end - 128) : end]))) <= end - start:
        end -= length
    return end


def _tag_at_end(last: bytes) -> int:
    """Return the length of the tag that ends with these bytes, or 0."""
    if len(last) == 128 and last[:3] == b"TAG":
        return 128
    if last[-32:-24] == b"APETAGEX":
        header = 32 if last[-9] & 128 else 0
        return int.from_bytes(last[-20:-16], "little") + header
    if last[-9:] == b"LYRICS200" and last[-15:-9].isdigit():
        return int(last[-15:-9]) + 15
    return 0
