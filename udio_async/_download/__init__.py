"""Songs to disk: whatever keeps one back is waited for while waiting can help.

It is a package because it has several topics: what an answer means (`answers`), how long to wait
(`waiting`), one file over the network (`transfer`), what a file is (`sound`), files that are being
written (`parts`), what a disk refuses (`disk`), covers (`cover`), one song from its link to its
name (`delivery`), and many of them (`pool`).
"""

from .disk import DiskWatch
from .parts import remove_stale
from .pool import Downloads
from .sound import MAX_FILE, Saved
from .waiting import PATIENCE, Readiness

__all__ = ["MAX_FILE", "PATIENCE", "DiskWatch", "Downloads", "Readiness", "Saved", "remove_stale"]
