"""What an audio file is, by its bytes: kind, length, whole or not.

All are pure functions. A name, a media type and a stated length can be wrong; what a player plays
are the frames, pages and chunks. No library was found that tells a cut file from a whole one: for
each of 60 cuts of an MP3, a WAV and a FLAC tinytag states the full length, and mutagen, miniaudio
and soundfile have no word for it either. Decoding it all would tell: at 8 to 100 ms per MB, where
this takes about 1.
"""

from mmap import mmap
from typing import get_args

import attrs

from . import flac, frames, mp4, ogg, others, wav
from .base import Measured, NoAudio, Suffix, breaks_off
from .others import UNMEASURED
from .tags import behind_tags

__all__ = ["SUFFIXES", "UNMEASURED", "Measured", "NoAudio", "Suffix", "measure"]

SUFFIXES: tuple[Suffix, ...] = get_args(Suffix)
"""Every ending that a song may have."""


def measure(data: bytes | bytearray | memoryview | mmap) -> Measured:
    """Measure a file of sound, by its bytes.

    Raises:
        NoAudio: it is of no kind that we know.
    """
    with memoryview(data) as view:
        measured = _measure(view)
    if measured.whole and measured.seconds == 0:
        return attrs.evolve(measured, flaw="has no sound in it")
    return measured


def _measure(view: memoryview) -> Measured:
    """Choose the format by the first bytes behind any tags."""
    start = behind_tags(view, 0)
    if start > len(view):
        return _behind_wrong_tag(view)
    head = bytes(view[start : start + 12])
    if head[:4] in wav.MARKS and head[8:] == b"WAVE":
        return wav.measure(view, start)
    if head[:4] == b"fLaC":
        return flac.measure(view, start)
    if head[:4] == b"OggS":
        return ogg.measure(view, start)
    if mp4.begins(head):
        return mp4.measure(view, start)
    return others.measure(view, start) or frames.measure(view, start)


def _behind_wrong_tag(view: memoryview) -> Measured:
    """Measure a file whose tag should be longer than all there is.

    It breaks off, if there is no sound in it: then the tag does not lie.
    """
    try:
        found = frames.measure(view, 0)
    except NoAudio:
        return Measured(".mp3", 0.0, breaks_off(0.0))
    return attrs.evolve(found, flaw=found.flaw or "has a tag that says it is longer than the file")
