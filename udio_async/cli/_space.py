"""Space on the disk for songs in the making.

A request whose songs would not fit is not submitted yet.
"""

import shutil
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

_GUESS = 2 << 20
"""Bytes of a request's songs, before any were saved."""


@attrs.define(eq=False)
class Space:
    """Compares songs in the making with what the disk has left."""

    directory: Path | None
    """Where songs are saved, if they are."""
    _making: int = 0
    _saved: int = 0
    _bytes: int = 0
    _moved: anyio.Event = attrs.field(factory=anyio.Event)

    async def take(self) -> None:
        """Wait until the songs of one more request would fit.

        With none in the making there is nothing to wait for: the disk says itself what it takes.
        """
        while self._making:
            moved = self._moved  # before the look: what ends meanwhile is not missed
            if await self._fits():
                break
            await moved.wait()
        self._making += 1

    def leave(self, size: int) -> None:
        """Count a request as over, and the bytes that its songs took."""
        self._making -= 1
        if size:
            self._saved += 1
            self._bytes += size
        self._moved.set()
        self._moved = anyio.Event()

    async def _fits(self) -> bool:
        if self.directory is None:
            return True
        each = self._bytes / self._saved if self._saved else _GUESS
        try:
            usage = await anyio.to_thread.run_sync(shutil.disk_usage, self.directory)
        except OSError:
            return True  # a download will say why
        return usage.free >= (self._making + 1) * each
