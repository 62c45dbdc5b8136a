"""MP4: boxes within boxes, with an index of the sound.

The index says how long each bit of sound plays and how large it is. It comes first, last, or spread
over the file in fragments.
"""

import sys
from array import array
from collections.abc import Iterator
from itertools import islice
from operator import mul
from struct import Struct

import attrs

from .base import Measured, breaks_off, no_audio, read
from .tags import before_tags

_HEAD = Struct(">I4s")
_LONG = Struct(">Q")
_NUMBER = Struct(">I")
_TRACKS = 16
"""Tracks that are looked at, at most: a song has one, a video two."""
_BOXES = 200_000
"""Boxes in a row that are looked at, at most: a song of an hour has some thousands."""
_FIRST = (b"styp", b"moov", b"mdat", b"free", b"skip", b"wide")
"""Boxes that files begin with, besides the usual one."""
_SOUND = int.from_bytes(b"soun")
_LASTS = 0x100
_OF_EACH = (_LASTS, 0x200, 0x400, 0x800)
"""The flags of what a fragment says of each sample."""


@attrs.frozen
class _Box:
    """A box: its name, and where its content begins and ends."""

    view: memoryview
    name: bytes
    body: int
    end: int

    def find(self, *path: bytes) -> Iterator["_Box"]:
        """Iterate over the boxes at this path below it."""
        end = min(self.end, len(self.view))
        for box in _boxes(self.view, self.body, end):
            if box.name == path[0]:
                found = attrs.evolve(box, end=min(box.end, end))  # else each walks all the rest
                yield from found.find(*path[1:]) if path[1:] else (found,)

    def number(self, place: int) -> int:
        """Return the number of four bytes at a place in the box."""
        (number,) = read(_NUMBER, self.view, self.body + place)
        return int(number)

    def numbers(self, place: int) -> "array[int]":
        """Return all numbers of four bytes from a place on."""
        data = bytes(self.view[self.body + place : self.end])
        numbers = array("I", data[: len(data) // 4 * 4])
        if sys.byteorder == "little":
            numbers.byteswap()
        return numbers

    @property
    def is_long(self) -> bool:
        """Whether dates and durations have eight bytes."""
        return self.number(0) >> 24 == 1

    @property
    def behind_dates(self) -> int:
        """The number that stands behind two dates."""
        return self.number(20 if self.is_long else 12)


@attrs.frozen
class _Index:
    """What is known before any fragment.

    It is about the first track with sound, and the size of all tracks.
    """

    track: int
    hertz: int
    """Ticks in a second, by the track's clock."""
    seconds: float
    each: int
    """Ticks of a sample, where a fragment does not say."""
    size: int
    """Bytes of all samples, those of other tracks too."""

    def seconds_of(self, there: int) -> float:
        """Return how much plays of which so many bytes are there, by its bit rate on average."""
        return self.seconds * min(1.0, there / self.size) if self.size else self.seconds


def measure(view: memoryview, start: int) -> Measured:
    """Go from box to box, wherever the index is.

    Raises:
        NoAudio: there is no sound in it.
    """
    index, ticks, ahead, there, end = None, 0, 0, 0, start
    for box in islice(_boxes(view, start, len(view)), _BOXES):
        if box.name == b"mdat":
            there += min(box.end, len(view)) - box.body
        if box.end > len(view):
            break
        end = box.end
        if box.name == b"moov":
            index = _index(box)
        elif box.name == b"moof" and index:
            ahead += _ticks_of_fragment(box, index)
        elif box.name == b"mdat":
            ticks, ahead = ticks + ahead, 0
    if index is None and end == len(view):
        raise no_audio(view)
    if index is None:
        return Measured(".m4a", None, "breaks off before its index")
    seconds = index.seconds_of(there) + ticks / index.hertz or None
    whole = not ahead and there >= max(1, index.size) and before_tags(view, end) == end
    return Measured(".m4a", seconds, None if whole else breaks_off(seconds))


def begins(head: bytes) -> bool:
    """Return whether a file with these first bytes is an MP4.

    It is not always a box of its own that says so. The first byte of a length is no letter.
    """
    return head[4:8] == b"ftyp" or (head[4:8] in _FIRST and head[0] < ord("\t"))


def in_fragments(view: memoryview) -> bool:
    """Return whether the index is spread over the file."""
    return any(box.name == b"moof" for box in _boxes(view, 0, len(view)))


def _boxes(view: memoryview, place: int, end: int) -> Iterator[_Box]:
    """Iterate over the boxes in a row.

    The last may reach beyond the end of what there is.
    """
    while place + _HEAD.size <= end:
        size, name = read(_HEAD, view, place)
        body = place + _HEAD.size
        if size == 1:
            (size,) = read(_LONG, view, body)
            body += _LONG.size
        elif size == 0:  # as far as there is anything
            size = end - place
        if size < body - place:
            return
        yield _Box(view, name, body, place + size)
        place += size


def _index(movie: _Box) -> _Index | None:
    """Read the index of the first track with sound, or None."""
    tracks = [*islice(movie.find(b"trak"), _TRACKS)]
    sound = next((track for track in tracks if _SOUND in _kinds(track)), None)
    heads = [*sound.find(b"tkhd"), *sound.find(b"mdia", b"mdhd")] if sound else ()
    if sound is None or len(heads) != 2:
        return None
    number, hertz = (box.behind_dates for box in heads)
    if hertz == 0:
        return None
    each = [box.number(12) for box in movie.find(b"mvex", b"trex") if box.number(4) == number]
    return _Index(
        number,
        hertz,
        _seconds_of_index(movie, sound, hertz),
        each[0] if each else 0,
        sum(map(_size_of_samples, tracks)),
    )


def _kinds(track: _Box) -> list[int]:
    """Return what a track says that it is."""
    return [box.number(8) for box in track.find(b"mdia", b"hdlr")]


def _size_of_samples(track: _Box) -> int:
    """Return the bytes of all samples in a track."""
    return sum(
        box.number(4) * box.number(8) or sum(box.numbers(12))
        for box in track.find(b"mdia", b"minf", b"stbl", b"stsz")
    )


def _seconds_of_index(movie: _Box, track: _Box, hertz: int) -> float:
    """Return how long a track plays, without what its list of cuts leaves out."""
    ticks = cut = 0
    for box in track.find(b"mdia", b"minf", b"stbl", b"stts"):
        pairs = box.numbers(8)
        ticks += sum(map(mul, pairs[::2], pairs[1::2]))
    # A list of cuts leaves out what the encoder has put before and behind the sound.
    for box in track.find(b"edts", b"elst"):
        cut += sum(box.numbers(8)[1::5] if box.is_long else box.numbers(8)[::3])
    [movie_hertz, *_] = [*(box.behind_dates for box in movie.find(b"mvhd")), 0]
    return min(ticks / hertz, cut / movie_hertz) if cut and movie_hertz else ticks / hertz


def _ticks_of_fragment(fragment: _Box, index: _Index) -> int:
    """Return how long a fragment plays, in ticks of the track's clock."""
    ticks = 0
    for part in fragment.find(b"traf"):
        each = None
        for box in part.find(b"tfhd"):
            if box.number(4) == index.track:
                flags = box.number(0)
                place = 8 + (flags & 1) * 8 + (flags & 2) * 2
                each = box.number(place) if flags & 8 else index.each
        if each is not None:
            ticks += sum(_ticks_of_run(box, each) for box in part.find(b"trun"))
    return ticks


def _ticks_of_run(run: _Box, each: int) -> int:
    """Return how long a run of samples plays, in ticks."""
    flags, count = run.number(0), run.number(4)
    if not flags & _LASTS:
        return count * each
    step = sum(flags & flag > 0 for flag in _OF_EACH)
    return sum(run.numbers(8 + (flags & 1) * 4 + (flags & 4))[::step][:count])
