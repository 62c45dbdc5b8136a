"""Saving songs to disk: as long as waiting can help, a file that is missing is waited for.

It is a package because it has several topics: what an answer means (`answers`), how long to wait
(`waiting`), one file over the network (`transfer`), what is in a file (`sound`), files that are
being written (`parts`), their names (`names`) and tags (`tags`), what a disk refuses (`disk`) and
whether a folder takes files (`folder_check`), what else is known of a song (`source`), covers
(`cover`), one song from its link to its name (`delivery`), and many of them (`pool`).
"""

from .disk import DiskWatch
from .folder_check import FolderCheck, try_folder
from .parts import remove_stale
from .pool import Downloads
from .sound import MAX_FILE, Saved
from .source import Source
from .waiting import PATIENCE

__all__ = [
    "MAX_FILE",
    "PATIENCE",
    "DiskWatch",
    "Downloads",
    "FolderCheck",
    "Saved",
    "Source",
    "remove_stale",
    "try_folder",
]
