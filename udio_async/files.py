"""Files of songs: their names, their content, what crashes left, and whether there is room.

`Client.download` saves songs under `file_names`. What is in a file its bytes tell:

    measured = measure_file(Path("songs/Birdsong.mp3"))
    print(measured.seconds, measured.whole)

No client is needed, and nothing is sent.
"""

import os

from ._download import MAX_FILE, remove_stale, try_folder
from ._download.names import file_names, former_names, is_part
from ._formats import SUFFIXES, Measured, NoAudio, measure
from ._formats.files import bytes_of
from ._validators import as_path

__all__ = [
    "MAX_FILE",
    "SUFFIXES",
    "Measured",
    "NoAudio",
    "file_names",
    "former_names",
    "is_part",
    "measure_file",
    "remove_stale",
    "try_folder",
]


def measure_file(path: str | os.PathLike[str]) -> Measured:
    """Return what an audio file is, how long it plays, whether it is whole.

    Files above 32 MiB are mapped and not held in memory. About 1 ms per MB.

    Raises:
        NoAudio: it is none, or of a format that is not known here.
        OSError: it cannot be read.
        InvalidRequest: the path is none.
    """
    with bytes_of(as_path("path", path)) as data:
        return measure(data)
