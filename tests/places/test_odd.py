"""A few requests of the shell in each odd place; `python -m tests.places.odd` makes them many."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .odd import PLACES, UNSHARE, Case, behind_a_proxy, case_of


def _can_mount() -> bool:
    if UNSHARE is None:
        return False
    tried = (UNSHARE, "--user", "--map-root-user", "--mount", "true")
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such disks")
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_a_batch_in_an_odd_place(place: Callable[[Case], None], tmp_path: Path) -> None:
    """All songs are here, paid for once, with the right exit codes and without a traceback."""
    if place is not behind_a_proxy and not _can_mount():
        pytest.skip("this machine lets nobody mount anything")
    with case_of(tmp_path, 8) as case:
        place(case)
