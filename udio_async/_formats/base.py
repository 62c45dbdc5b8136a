"""The answer that every format gives, and how bytes are read."""

from struct import Struct
from typing import Any, Literal

import attrs

Suffix = Literal[
    ".mp3",
    ".wav",
    ".flac",
    ".ogg",
    ".opus",
    ".m4a",
    ".aac",
    ".mp2",
    ".aiff",
    ".webm",
    ".mka",
    ".au",
    ".caf",
    ".amr",
    ".ts",
    ".wma",
    ".ac3",
    ".eac3",
    ".dts",
    ".latm",
    ".wv",
    ".tta",
    ".w64",
    ".flv",
]


class NoAudio(ValueError):
    """It is no sound file of a kind that we know."""


@attrs.frozen
class Measured:
    """What the bytes of a file say about its sound.

    `seconds` is what a player would play.
    """

    suffix: Suffix
    seconds: float | None
    """None where nothing in the file tells; of a broken one, how much of it plays."""
    flaw: str | None = None
    """What is wrong with a file that is not whole, to be read after its name."""

    @property
    def whole(self) -> bool:
        """Whether all of it is there, as far as its kind allows to know."""
        return self.flaw is None


def no_audio(view: memoryview) -> NoAudio:
    """Return the error for what is no sound, with its first bytes."""
    return NoAudio(f"no audio that we know; it begins with {bytes(view[:12])!r}")


def breaks_off(seconds: float | None) -> str:
    """Return the usual flaw in words: "breaks off after 12.34 s"."""
    return "breaks off" if seconds is None else f"breaks off after {seconds:.2f} s"


def read(layout: Struct, view: memoryview, place: int) -> tuple[Any, ...]:
    """Read some fields; behind the end of the file stand zeros.

    `place` counts bytes from the start of the view.
    """
    return layout.unpack(bytes(view[place : place + layout.size]).ljust(layout.size, b"\0"))
