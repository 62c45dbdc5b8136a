"""The bytes of a file, read or mapped by its length."""

import mmap
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_READ = 32 * 1024 * 1024
"""Bytes of a file that is read as a whole. A longer one is mapped: then a disk that fails in the
middle ends the process, and nothing is held in memory."""


@contextmanager
def bytes_of(path: Path) -> Generator[bytes | mmap.mmap]:
    """Give the bytes of a file, for as long as the context is open.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= _READ:
            yield file.read()
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                yield view
