"""Files that songs are saved in: their names, what is in them, and what a crash left behind.

`Client.download` saves songs under `file_names`. What is in a file its bytes tell:

    measured = measure_file(Path("songs/Birdsong.mp3"))
    print(measured.seconds, measured.whole)
"""

from pathlib import Path

from ._download import MAX_FILE, remove_stale
from ._download.names import file_names, former_names, is_part
from ._formats import Measured, NoAudio, measure
from ._formats.files import bytes_of

__all__ = [
    "MAX_FILE",
    "Measured",
    "NoAudio",
    "file_names",
    "former_names",
    "is_part",
    "measure_file",
    "remove_stale",
]


def measure_file(path: Path) -> Measured:
    """Return what an audio file is, how many seconds it plays, and whether it is whole.

    Raises:
        NoAudio: it is none, or of a format that is not known here.
        OSError: it cannot be read.
    """
    with bytes_of(path) as data:
        return measure(data)
