"""Songs to disk: each file whole, or not there at all.

Whatever keeps a file back is waited for while waiting can help. A module for each topic: what an
answer means (`answers`), how long to wait (`waiting`), one file over the network (`transfer`), what
a file is (`sound`), files that are being written (`parts`), what a disk refuses (`disk`), covers
(`cover`), one song from its link to its name (`delivery`), and many of them (`pool`).
"""

from .disk import DiskWatch
from .parts import remove_stale
from .pool import Downloads
from .sound import MAX_FILE, Saved
from .waiting import PATIENCE, Readiness

__all__ = ["MAX_FILE", "PATIENCE", "DiskWatch", "Downloads", "Readiness", "Saved", "remove_stale"]
