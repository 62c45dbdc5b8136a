"""Running a batch: songs come in, lines and files go out, until all is done or interrupted."""

import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from .._client import Client
from .._names import file_name
from .._errors import DownloadFailed, UdioError
from .._mp3 import measure
from .._records import Outcome, Song
from .._tasks import open_tasks
from ._display import Display, choose_display
from ._hints import Hints, explain, is_open_doubt
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
    hints: Hints | None = None
    """What to type about the journal, if there is one."""
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
        """Have every song made, saved and written as it finishes, until the run is stopped.

        Only this is cancelled then. The client goes on until each paid request on the wire has its
        answer, and the journal has it too.
        """
        slots = anyio.Semaphore(_SAVES_AT_ONCE)
        requests = [entry.request for entry in entries]
        self.progress.begun = True
        with self.stop.stoppable():
            async with (
                open_tasks() as saving,
                client.generate_many(requests, max_active=max_active) as batch,
            ):
                async for outcome in batch:
                    await slots.acquire()
                    delivery = _Delivery(self, client, outcome, entries[outcome.index])
                    saving.start_soon(delivery.run, slots)


@attrs.frozen(eq=False)
class _Delivery:
    """One outcome on its way to disk and to stdout."""

    _run: Run
    _client: Client
    _outcome: Outcome
    _entry: Entry

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
        await self._run.write(SongLine.from_song(song, path=path, error=trouble, **self._origin))
        return trouble is None

    @property
    def _origin(self) -> dict[str, Any]:
        return {"line": self._entry.line, "key": self._entry.request.key}

    async def _save(self, song: Song, out: Path) -> tuple[Path | None, Trouble | None]:
        try:
            if not _arrived(song):
                raise DownloadFailed(f"song {song.id} of task {song.task_id} has no final audio")
            if await anyio.Path(out / file_name(song)).is_file():  # by an earlier run, and whole
                return out / file_name(song), None
            return (await self._client.download(song, out))[0].path, None
        except (UdioError, OSError) as error:
            return None, Trouble.from_error(error, task_id=song.task_id)

    async def _request_failed(self, error: UdioError) -> None:
        task_id = self._outcome.task_id or error.task_id
        message = explain(error, self._run.hints)
        trouble = Trouble.from_error(error, task_id=task_id, message=message)
        self._run.progress.doubts += is_open_doubt(error)
        self._run.display.error(message)
        origin = self._origin
        if self._run.hints is not None:
            origin["key"] = error.job_key or origin["key"]
        await self._run.write(
            FailedLine(
                provider=self._client.provider.name, task_id=task_id, error=trouble, **origin
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
    hints: Hints | None = None,
) -> int:
    """Run `work` on an event loop with a display beside it, and return the exit code."""
    progress = Progress(requests)
    display = choose_display(progress, quiet=view.quiet, no_progress=view.no_progress)
    writer = writer or choose_writer(as_json=view.json)
    code = _INTERRUPTED
    try:
        make_run = partial(
            Run, progress=progress, display=display, writer=writer, out=out, hints=hints
        )
        code = anyio.run(_execute, work, make_run, display, backend=view.backend)
    except* KeyboardInterrupt:  # a second Ctrl-C, or Windows
        # The loop was left in the middle of its work, and would say so with tracebacks.
        logging.getLogger("asyncio").disabled = True
    finally:
        if progress.begun:
            _report(progress, display, out, hints)
    return code


async def _execute(
    work: Callable[[Run], Awaitable[None]], make_run: Callable[..., Run], display: Display
) -> int:
    stop = Stop(display.say)
    run = make_run(stop=stop)
    async with open_tasks() as tasks:
        await tasks.start(stop.watch)
        tasks.start_soon(display.run)
        with display:
            await work(run)
        tasks.cancel_scope.cancel()
    if stop.code is not None:
        return stop.code
    return 1 if run.progress.failed else 0


def _report(progress: Progress, display: Display, out: Path | None, hints: Hints | None) -> None:
    """Sum up, and say what is not here: where to look for it, or what to type."""
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
        where = "kept in the journal" if hints else "look for them at the provider:"
        display.error(f"{counted(len(unfinished), 'accepted request')} not delivered; {where}")
    if hints is None:
        for flight in unfinished:
            display.say(f"  {flight.task.provider}  {flight.task.id}  {flight.title}")
        return
    if progress.doubts:
        display.say(f"{counted(progress.doubts, 'request')} in doubt; to see them:")
        display.say(f"  {hints.doubts}")
    if unfinished or not_accepted:
        display.say(f"to continue:\n  {hints.again}")


async def _play_time(path: Path) -> float:
    return measure(await anyio.Path(path).read_bytes()).seconds
