"""Running a batch: songs come in, lines and files go out, until all is done or interrupted."""

import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread
import attrs

from .._client import Client
from .._errors import DownloadFailed, UdioError
from .._mp3 import measure
from .._records import Outcome, Song
from .._tasks import open_tasks
from ._display import Display, choose_display
from ._input import Entry
from ._output import FailedLine, Line, SongLine, Trouble, Writer, choose_writer
from ._progress import Progress
from ._stop import Stop
from ._text import clock, counted

_SAVES_AT_ONCE = 4
_INTERRUPTED = 130


@attrs.frozen(kw_only=True)
class View:
    """What the options say about output."""

    json: bool = False
    quiet: bool = False
    no_progress: bool = False
    backend: str = "asyncio"


@attrs.frozen(eq=False, kw_only=True)
class Run:
    """What the parts of one run share."""

    progress: Progress
    display: Display
    writer: Writer
    out: Path | None
    stop: Stop
    stdout: anyio.CapacityLimiter = attrs.field(factory=lambda: anyio.CapacityLimiter(1))
    """One line at a time, in order."""

    async def write(self, line: Line) -> None:
        """Write to stdout, whose loss ends the run."""
        if self.stop.code is not None:
            return
        try:
            await self._write(line)
        except OSError as error:
            self.stop.stdout_lost(error)

    async def _write(self, line: Line) -> None:
        if sys.stdout.isatty():
            with self.display.aside():
                self.writer(line)
        else:
            # In a thread, because `| less` may not read on for minutes, and a loop that stands
            # still for so long would miss the answers to paid submits.
            await anyio.to_thread.run_sync(self.writer, line, limiter=self.stdout)

    async def make_songs(
        self, client: Client, entries: Sequence[Entry], *, max_active: int
    ) -> None:
        """Have every song made, saved and written as it finishes."""
        slots = anyio.Semaphore(_SAVES_AT_ONCE)
        requests = [entry.request for entry in entries]
        async with (
            open_tasks() as saving,
            client.generate_many(requests, max_active=max_active) as batch,
        ):
            async for outcome in batch:
                await slots.acquire()
                delivery = _Delivery(self, client, outcome, entries[outcome.index].line)
                saving.start_soon(delivery.run, slots)


@attrs.frozen(eq=False)
class _Delivery:
    """One outcome on its way to disk and to stdout."""

    _run: Run
    _client: Client
    _outcome: Outcome
    _line: int | None

    async def run(self, slots: anyio.Semaphore) -> None:
        try:
            songs = [song for song in self._outcome.songs if self._outcome.ok or _arrived(song)]
            delivered = [await self._song(song) for song in songs]
            if self._outcome.error is not None:
                await self._request_failed(self._outcome.error)
            self._run.progress.deliver(
                self._client.provider.name,
                self._outcome.task_id,
                songs=sum(delivered),
                ok=self._outcome.ok and all(delivered),
            )
        finally:
            slots.release()

    async def _song(self, song: Song) -> bool:
        """Save and write one song, and answer whether all is well with it."""
        path, trouble = None, Trouble.from_song(song)
        if trouble is None and self._run.out is not None:
            path, trouble = await self._save(song, self._run.out)
        if path is not None and song.duration is None:  # apiframe states none
            song = attrs.evolve(song, duration=round(await _play_time(path), 2))
        if trouble is not None:
            self._run.display.error(trouble.message)
        await self._run.write(SongLine.from_song(song, path=path, error=trouble, line=self._line))
        return trouble is None

    async def _save(self, song: Song, out: Path) -> tuple[Path | None, Trouble | None]:
        try:
            if not _arrived(song):
                raise DownloadFailed(f"song {song.id} of task {song.task_id} has no final audio")
            return (await self._client.download(song, out))[0], None
        except (UdioError, OSError) as error:
            return None, Trouble.from_error(error, task_id=song.task_id)

    async def _request_failed(self, error: UdioError) -> None:
        task_id = self._outcome.task_id or error.task_id
        self._run.display.error(error)
        await self._run.write(
            FailedLine(
                provider=self._client.provider.name,
                task_id=task_id,
                error=Trouble.from_error(error, task_id=task_id),
                line=self._line,
            )
        )


def _arrived(song: Song) -> bool:
    return song.error is None and song.audio_is_final


def execute(
    work: Callable[[Run], Awaitable[None]],
    *,
    requests: int,
    view: View,
    out: Path | None,
    writer: Writer | None = None,
) -> int:
    """Run `work` on an event loop with a display beside it, and return the exit code."""
    progress = Progress(requests)
    display = choose_display(progress, quiet=view.quiet, no_progress=view.no_progress)
    writer = writer or choose_writer(as_json=view.json)
    code = _INTERRUPTED
    try:
        code = anyio.run(_execute, work, progress, display, writer, out, backend=view.backend)
    except* KeyboardInterrupt:  # a second Ctrl-C, or Windows
        # The loop was left in the middle of its work, and would say so with tracebacks.
        logging.getLogger("asyncio").disabled = True
    finally:
        _report(progress, display, out)
    return code


async def _execute(
    work: Callable[[Run], Awaitable[None]],
    progress: Progress,
    display: Display,
    writer: Writer,
    out: Path | None,
) -> int:
    async with open_tasks() as tasks:
        stop = Stop(tasks.cancel_scope, display.say)
        await tasks.start(stop.watch)
        tasks.start_soon(display.run)
        with display:
            await work(Run(progress=progress, display=display, writer=writer, out=out, stop=stop))
        tasks.cancel_scope.cancel()
    if stop.code is not None:
        return stop.code
    return 1 if progress.failed else 0


def _report(progress: Progress, display: Display, out: Path | None) -> None:
    """Sum up, and name whatever was paid for and is not here."""
    counts = [counted(progress.songs, "song")]
    if out is not None and progress.songs:
        counts[0] += f" in {out}"
    if progress.failed:
        counts.append(f"{progress.failed} of {counted(progress.total, 'request')} failed")
    display.note(f"{', '.join(counts)} ({clock(progress.elapsed)})")
    unfinished = progress.unfinished()
    not_accepted = progress.total - progress.done - len(unfinished)
    if not_accepted:
        display.error(f"stopped early, {counted(not_accepted, 'request')} not accepted")
    if unfinished:
        display.error(
            f"{counted(len(unfinished), 'accepted request')} not delivered; "
            "look for them at the provider:"
        )
    for flight in unfinished:
        display.say(f"  {flight.task.provider}  {flight.task.id}  {flight.title}")


async def _play_time(path: Path) -> float:
    return measure(await anyio.Path(path).read_bytes()).seconds
