"""Files of songs, of whatever kind: the same song is the same bytes."""

import io
import wave
import zlib
from collections.abc import Callable
from functools import lru_cache
from importlib import resources

import attrs

from ._audio import RATE, compose, make_mp3, play
from ._checksums import crc
from ._flac import make_flac

TONE_SECONDS = 1.3
"""How long the tone files in this package are. Other programs have made them."""
_CONTAINERS_KEPT = 16


@attrs.frozen(kw_only=True)
class Sound:
    """A file of sound."""

    data: bytes = attrs.field(repr=False)
    ending: str
    """What it is: ".mp3", ".wav", ".flac", ".ogg" (Vorbis) or ".m4a" (AAC)."""
    media_type: str


@attrs.frozen
class _Recipe:
    """How a kind of file is made, and how long it plays."""

    media_type: str
    make: Callable[[str], bytes]
    lasts: Callable[[str], float]
    """Seconds that the file plays."""


def make_sound(song_id: str, ending: str) -> Sound:
    """Return a song as a file of this kind."""
    recipe = _RECIPES[ending]
    return Sound(data=recipe.make(song_id), ending=ending, media_type=recipe.media_type)


def duration_of(song_id: str, ending: str) -> float:
    """Return the seconds of a song's file, without making it."""
    return _RECIPES[ending].lasts(song_id)


@lru_cache(maxsize=_CONTAINERS_KEPT)
def _make_wav(song_id: str) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(play(song_id).tobytes())
    return file.getvalue()


@lru_cache(maxsize=_CONTAINERS_KEPT)
def _make_flac(song_id: str) -> bytes:
    return make_flac(play(song_id), RATE)


def _make_ogg(song_id: str) -> bytes:
    """Return the tone with a stream number of the song's own.

    So no two songs are the same file.
    """
    tone, number = _tone("tone.ogg"), zlib.crc32(song_id.encode()).to_bytes(4, "little")
    pages, place = [], 0
    while place < len(tone):
        lacing = tone[place + 27 : place + 27 + tone[place + 26]]
        end = place + 27 + len(lacing) + sum(lacing)
        page = tone[place : place + 14] + number + tone[place + 18 : place + 22]
        rest = tone[place + 26 : end]
        checksum = crc(page + bytes(4) + rest, 0x04C11DB7, 32)
        pages.append(page + checksum.to_bytes(4, "little") + rest)
        place = end
    return b"".join(pages)


def _make_m4a(song_id: str) -> bytes:
    """Return the tone with the song's id behind it, where players skip it."""
    note = song_id.encode()
    return _tone("tone.m4a") + (8 + len(note)).to_bytes(4) + b"free" + note


def _tone(name: str) -> bytes:
    return (resources.files(__name__.rpartition(".")[0]) / "tones" / name).read_bytes()


def _lasts_as_played(song_id: str) -> float:
    return compose(song_id).samples / RATE


_RECIPES = {
    ".mp3": _Recipe("audio/mpeg", make_mp3, lambda song_id: compose(song_id).duration),
    ".wav": _Recipe("audio/wav", _make_wav, _lasts_as_played),
    ".flac": _Recipe("audio/flac", _make_flac, _lasts_as_played),
    ".ogg": _Recipe("audio/ogg", _make_ogg, lambda _: TONE_SECONDS),
    ".m4a": _Recipe("audio/mp4", _make_m4a, lambda _: TONE_SECONDS),
}
OTHER_ENDINGS = (".wav", ".flac", ".ogg", ".m4a")
"""The kinds of files beside MP3."""
