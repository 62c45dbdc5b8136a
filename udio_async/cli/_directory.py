"""Folders for songs: can they be written, and what did a crash leave."""

import os
import re
from pathlib import Path
from uuid import uuid4

from ..files import is_part, remove_stale
from ._failures import BadInput

_OTHER_PARTS = re.compile(r"\.udio-async|(index|report)(-songs(-\d)?)?\.html")
"""What else is written under such names: the probe below, and pages."""
_PART_END = re.compile(r"\.[0-9a-f]{8}\.part")


def prepare_directory(out: Path) -> float:
    """Check that songs can be saved here, before any is paid for.

    The folder is made if it is missing, and a small file is written and removed.

    Returns:
        The time by the clock of its disk, as Unix time.

    Raises:
        BadInput: songs cannot be saved here.
    """
    if out.is_symlink() and not out.exists():
        raise BadInput(
            f"{out} is a symbolic link that leads nowhere; mount or make what it leads to, or "
            "give another directory"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        return _probe(out / part_of(".udio-async"))
    except OSError as error:
        raise BadInput(
            f"cannot write to {out}: {error.strerror}; mend that, or give another directory"
        ) from error


def _probe(path: Path) -> float:
    """Write a file and remove it; return the time by the disk's clock."""
    try:
        with path.open("xb") as file:
            file.write(b"a full disk takes an empty file")
            file.flush()
            return os.fstat(file.fileno()).st_mtime
    finally:
        path.unlink(missing_ok=True)


def part_of(name: str) -> str:
    """Return a new name for a file while it is written."""
    return f"{name}.{uuid4().hex[:8]}.part"


def sweep(out: Path, now: float) -> int:
    """Remove what a killed run has left half-written; return how many files.

    `now` is what `prepare_directory` returned.
    """
    return remove_stale(out, now, _is_part)


def _is_part(name: str) -> bool:
    end = _PART_END.search(name, max(len(name) - len(".01234567.part"), 0))
    ours = end is not None and _OTHER_PARTS.fullmatch(name[: end.start()]) is not None
    return ours or is_part(name)
