"""Ogg with Vorbis, Opus or FLAC: pages with times."""

from struct import Struct

import attrs

from .base import Measured, Suffix, breaks_off, no_audio, read
from .tags import only_tags

_PAGE = Struct("<4sxBqI8xB")
"""The mark, what page it is, up to which sample it plays, of which stream, in how many parts."""
_FIRST, _LAST = 2, 4


@attrs.define
class _Stream:
    """A stream of sound, as far as its pages have been read."""

    suffix: Suffix
    hertz: int
    skip: int = 0
    """Samples at the beginning that are not played."""
    samples: int = 0
    ended: bool = False

    @property
    def seconds(self) -> float:
        return max(0, self.samples - self.skip) / self.hertz


def measure(view: memoryview, start: int) -> Measured:
    """Go from page to page.

    Streams in a row are played one after the other, so their seconds are added.

    Raises:
        NoAudio: there is no sound in it that we know.
    """
    streams: list[_Stream] = []
    current: dict[int, _Stream] = {}
    place = start
    while place < len(view):
        mark, flags, samples, serial, parts = read(_PAGE, view, place)
        body = place + 27 + parts
        end = body + sum(view[place + 27 : body])
        if mark != b"OggS" or end > len(view):
            break
        if flags & _FIRST and (stream := _stream_of(bytes(view[body:end]))):
            streams.append(stream)
            current[serial] = stream
        elif (stream := current.get(serial)) is not None:
            stream.samples = max(stream.samples, samples)  # -1 where none ends on this page
            stream.ended = bool(flags & _LAST)
        place = end
    if not streams:
        raise no_audio(view)
    seconds = sum(stream.seconds for stream in streams)
    whole = all(stream.ended for stream in streams) and only_tags(view, place)
    return Measured(streams[0].suffix, seconds, None if whole else breaks_off(seconds))


def _stream_of(packet: bytes) -> _Stream | None:
    """Read the first packet of a stream; None if it is no sound."""
    stream = None
    if packet[:7] == b"\1vorbis":
        stream = _Stream(".ogg", int.from_bytes(packet[12:16], "little"))
    elif packet[:8] == b"OpusHead":  # its clock is the same, whatever was recorded
        stream = _Stream(".opus", 48_000, skip=int.from_bytes(packet[10:12], "little"))
    elif packet[:5] == b"\x7fFLAC":
        stream = _Stream(".ogg", int.from_bytes(packet[27:30]) >> 4)
    return stream if stream and stream.hertz else None
