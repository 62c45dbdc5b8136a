"""Tags: title, lyrics, style and cover, written into a song's own file.

Only `tag_writers` imports mutagen (GPL-2.0-or-later), which is an extra: it is imported when the
first file gets tags, and not before. What goes wrong with tags never costs a song.
"""

import logging
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from .._errors import InvalidRequest
from .._formats import Suffix, measure
from .._records import Song

logger = logging.getLogger("udio_async")


def check_can_tag() -> None:
    """Refuse to promise tags without the library that writes them.

    Raises:
        InvalidRequest: mutagen is not installed; the message has the command that installs it.
    """
    if find_spec("mutagen") is None:
        raise InvalidRequest("tags need mutagen; run: pip install 'udio-async[tags]'")


def write_tags(
    path: Path, song: Song, cover: bytes | None, cover_type: str, suffix: Suffix = ".mp3"
) -> None:
    """Write title, lyrics, style and cover into a song's file.

    Tags that it has are replaced. A file that takes no tags, or would not play as before, is left
    as it is, with a warning in the log.

    Args:
        path: the file; its name does not matter.
        song: has the title, the lyrics and the style.
        cover: a picture, or None.
        cover_type: the media type of the picture: "image/jpeg".
        suffix: what kind of file it is.

    Raises:
        OSError: the disk did not take them; the file may be damaged, so work on a copy.
    """
    from .tag_writers import write  # noqa: PLC0415  # mutagen is an extra

    data = path.read_bytes()
    # In memory, so that an error here is about the file, and not about the disk.
    file = BytesIO(data)
    try:
        write(file, suffix, song, cover, cover_type)
        flaw = None if measure(file.getbuffer()) == measure(data) else "it would not play as before"
    except Exception as error:  # noqa: BLE001  # mutagen has no error for what it did not expect
        flaw = repr(error)
    if flaw is None:
        path.write_bytes(file.getbuffer())
    else:
        logger.warning("no tags for song %s: %s", song.id, flaw)
