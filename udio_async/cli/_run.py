"""What the parts of one run share: its progress, its display, its manifest, and its lines."""

import errno
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from .. import Event
from ._display import Display
from ._failures import reason_of
from ._hints import Hints
from ._manifest import MANIFEST, Manifest
from ._names import FILE_WAIT
from ._output import Line, Writer
from ._progress import Progress
from ._space import Space
from ._stop import Stop
from ._streams import as_lost
from ._timeline import Timelines

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""Failures of a file that the next file would meet too."""


@attrs.frozen(eq=False, kw_only=True)
class Run:
    """All that the parts of one run share."""

    progress: Progress
    display: Display
    writer: Writer
    out: Path | None
    stop: Stop
    timelines: Timelines = attrs.field(factory=Timelines)
    manifest: Manifest | None = None
    """What is kept of it in `out`, if anything is."""
    tags: bool = False
    file_wait: float = FILE_WAIT
    """Seconds that the file of a new song is waited for."""
    hints: Hints | None = None
    """What to type about the journal, if there is one."""
    space: Space = attrs.field(
        default=attrs.Factory(lambda run: Space(run.out), takes_self=True), init=False
    )
    stdout: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(1))
    """One line at a time, in order. The manifest has its own: it waits for no reader."""
    recording: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(1))

    def observe(self, event: Event) -> None:
        """Pass on what a client tells."""
        self.progress.observe(event)
        if event.kind in ("retried", "late"):
            self.display.trying_again(self.progress.note)
        self.timelines.observe(event)

    def note_room(self, error: Exception) -> None:
        """Stop submitting if songs cannot be saved; what is paid for goes on."""
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            self.progress.no_room = self.progress.no_room or reason_of(error)

    async def write(self, line: Line) -> bool:
        """Write a line to the manifest, and to stdout; return whether stdout took it."""
        if self.manifest is not None:
            try:
                await anyio.to_thread.run_sync(self.manifest.append, line, limiter=self.recording)
            except (OSError, ValueError) as error:
                self.note_room(error)
                if not self.progress.unrecorded:  # the others are counted
                    self.display.error(f"{MANIFEST} could not be written: {reason_of(error)}")
                self.progress.unrecorded += 1
        return await self.show(line)

    async def show(self, line: Line) -> bool:
        """Write a line to stdout, and return whether it took it; if that is lost, the run ends."""
        if self.stop.code is not None:
            return False
        try:
            await self._write(line)
        except OSError as error:
            self.stop.stdout_lost(as_lost(error))
            return False
        return True

    async def _write(self, line: Line) -> None:
        if sys.stdout.isatty():
            with self.display.aside():
                self.writer(line)
        else:
            # In a thread, because `| less` may not read on for minutes, and a loop that stands
            # still for so long would miss the answers to paid submits.
            await anyio.to_thread.run_sync(self.writer, line, limiter=self.stdout)
