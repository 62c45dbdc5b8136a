"""How long an MP3 really plays. Pure."""

import attrs

from ._formats import NoAudio as NoMp3
from ._formats import measure as measure_any

__all__ = ["Measured", "NoMp3", "measure"]


@attrs.frozen
class Measured:
    """What a walk over the frames found."""

    seconds: float
    whole: bool
    """False where the last frame is cut off, or something that is no frame follows it."""


def measure(data: bytes) -> Measured:
    """Walk the frames of an MP3.

    Raises:
        NoMp3: it is something else.
    """
    found = measure_any(data)
    if found.suffix != ".mp3":
        raise NoMp3(f"no MP3; it begins with {data[:12]!r}")
    return Measured(found.seconds or 0.0, found.whole)
