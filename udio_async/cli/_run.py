"""A run: requests go out, songs and lines come in, until all is done.

Or until it is interrupted: then requests on the wire still get their answers.
"""

import errno
import logging
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from .. import (
    Client,
    DownloadFailed,
    Event,
    Outcome,
    RequestError,
    Saved,
    Song,
    SongRequest,
    SubmitInDoubt,
    UdioError,
)
from .._concurrency import open_tasks
from ._advice import LET_GO
from ._display import Display, choose_display
from ._failures import BadInput, reason_of
from ._found import find_saved
from ._gallery import GALLERY, write_gallery
from ._hints import Hints, gallery_of, is_open_doubt
from ._input import Entry
from ._manifest import MANIFEST, Manifest
from ._names import FILE_WAIT
from ._output import FailedLine, Line, SongLine, Trouble, Writer, choose_writer
from ._page import not_ours
from ._progress import Progress
from ._remedies import explain
from ._space import Space
from ._stop import Stop, calm
from ._streams import as_lost
from ._summary import report, report_left
from ._timeline import Timelines

_SAVES_AT_ONCE = 32
"""Most of them may wait for files that are late; how many are fetched at once, the client knows."""
_INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
"""Failures of a file that the next file would meet too."""


@attrs.frozen(kw_only=True)
class View:
    """The options about output."""

    json: bool = False
    quiet: bool = False
    no_progress: bool = False
    backend: str = "asyncio"


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

    async def write(self, line: Line) -> None:
        """Write a line to the manifest, and to stdout."""
        if self.manifest is not None:
            try:
                await anyio.to_thread.run_sync(self.manifest.append, line, limiter=self.recording)
            except (OSError, ValueError) as error:
                self.note_room(error)
                if not self.progress.unrecorded:  # the others are counted
                    self.display.error(f"{MANIFEST} could not be written: {reason_of(error)}")
                self.progress.unrecorded += 1
        await self.show(line)

    async def show(self, line: Line) -> None:
        """Write a line to stdout; if that is lost, the run ends."""
        if self.stop.code is not None:
            return
        try:
            await self._write(line)
        except OSError as error:
            self.stop.stdout_lost(as_lost(error))

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
        """Have all songs made, saved and written as they finish.

        It ends early if the run is stopped: only this is cancelled then. The client goes on until
        each paid request on the wire has its answer, and the journal has it too.
        """
        slots = anyio.Semaphore(_SAVES_AT_ONCE)
        self.progress.begun = True
        self.progress.jobs.update(entry.job for entry in entries)
        with self.stop.stoppable():
            async with (
                open_tasks() as saving,
                client.generate_many(self._pulled(entries), max_active=max_active) as batch,
            ):
                async for outcome in batch:
                    await slots.acquire()
                    delivery = _Delivery(self, client, outcome, entries[outcome.index])
                    saving.start_soon(delivery.run, slots)

    async def _pulled(self, entries: Sequence[Entry]) -> AsyncGenerator[SongRequest]:
        for entry in entries:
            await self.space.take()
            if self.progress.no_room:
                return
            self.timelines.pull(entry.request)
            yield entry.request


@attrs.frozen(eq=False)
class _Delivery:
    """One outcome on its way to disk and to stdout."""

    _run: Run
    _client: Client
    _outcome: Outcome
    _entry: Entry

    async def run(self, slots: anyio.Semaphore) -> None:
        """Save the songs of the outcome, and write their lines."""
        provider, task_id = self._client.provider.name, self._outcome.task_id
        size = 0
        try:
            songs = [song for song in self._outcome.songs if self._outcome.ok or _arrived(song)]
            saved = [(song, *await self._save(song)) for song in songs]
            size = sum(file.size for _, file, _ in saved if file is not None)
            timeline = self._run.timelines.take(provider, task_id)
            delivered = [await self._song(*each, timeline) for each in saved]
            if self._outcome.error is not None:
                await self._request_failed(self._outcome.error, timeline)
            elif troubles := [trouble for _, _, trouble in saved if trouble is not None]:
                self._run.progress.reasons[troubles[0].type] += 1
            error = self._outcome.error
            self._run.progress.deliver(
                provider,
                task_id,
                songs=sum(delivered),
                ok=self._outcome.ok and all(delivered),
                in_doubt=error is not None and is_open_doubt(error),
            )
        finally:
            self._run.space.leave(size)
            slots.release()

    async def _song(
        self,
        song: Song,
        saved: Saved | None,
        trouble: Trouble | None,
        timeline: Mapping[str, Any] | None,
    ) -> bool:
        """Write one song, and return whether all is well with it."""
        if trouble is not None:
            self._run.display.error(trouble.message)
        await self._run.write(
            SongLine.from_song(song, saved=saved, error=trouble, timeline=timeline, **self._origin)
        )
        return trouble is None

    @property
    def _origin(self) -> dict[str, Any]:
        entry = self._entry
        return {
            "line": entry.line,
            "key": entry.key,
            "asked": entry.asked,
            "job": entry.job or None,
        }

    async def _save(self, song: Song) -> tuple[Saved | None, Trouble | None]:
        """Save a song, and return its file, or why there is none."""
        trouble, out = Trouble.from_song(song), self._run.out
        if trouble is not None or out is None:
            return None, trouble
        try:
            found = await self._look(song, out)
        except (UdioError, OSError) as error:  # which another run would not mend
            return None, Trouble.from_error(error, task_id=song.task_id, charged="yes")
        if found is not None:
            if song.job_key is not None:
                await self._client.acknowledge(song)
            return found, None
        try:
            if not _arrived(song):
                raise DownloadFailed(f"song {song.id} of task {song.task_id} has no final audio")
            [saved] = await self._client.download(
                song,
                out,
                covers=self._run.manifest is not None,
                tags=self._run.tags,
                patience=self._run.file_wait,
            )
        except (UdioError, OSError) as error:
            self._run.note_room(error)
            self._run.progress.again += 1
            return None, Trouble.from_error(error, task_id=song.task_id, charged="yes")
        return saved, None

    async def _look(self, song: Song, out: Path) -> Saved | None:
        """Return the song if it is here where a download does not look."""
        manifest = self._run.manifest
        if manifest is None:
            return None
        return await anyio.to_thread.run_sync(find_saved, song, out, manifest.record_of(song))

    async def _request_failed(self, error: UdioError, timeline: Mapping[str, Any] | None) -> None:
        """Count and write a request that failed."""
        task_id = self._outcome.task_id or error.task_id
        message = explain(error, self._run.hints)
        advice = self._run.progress.advice(self._client.provider.name, task_id)
        trouble = Trouble.from_error(error, task_id=task_id, message=message, advice=advice)
        if isinstance(error, SubmitInDoubt) and not is_open_doubt(error):
            advice = LET_GO
        if not is_open_doubt(error):
            self._run.progress.reasons[trouble.type] += 1
            refused = isinstance(error, RequestError)  # and would be again
            self._run.progress.again += trouble.charged == "no" and not refused
        self._run.display.error(message)
        origin = self._origin
        if self._run.hints is not None:
            origin["key"] = error.job_key or origin["key"]
        await self._run.write(
            FailedLine(
                provider=self._client.provider.name,
                task_id=task_id,
                error=trouble,
                timeline=timeline,
                **origin,
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
    manifest: Manifest | None = None,
    tags: bool = False,
    file_wait: float = FILE_WAIT,
) -> int:
    """Run `work` on an event loop, and return the exit code.

    A display runs beside it. With a manifest, what becomes of it is kept there, and in a gallery at
    the end.
    """
    progress = Progress(requests)
    display = choose_display(progress, quiet=view.quiet, no_progress=view.no_progress)
    writer = writer or choose_writer(as_json=view.json)
    code = _INTERRUPTED
    try:
        make_run = partial(
            Run,
            progress=progress,
            display=display,
            writer=writer,
            out=out,
            hints=hints,
            manifest=manifest,
            tags=tags,
            file_wait=file_wait,
        )
        code = anyio.run(_execute, work, make_run, display, backend=view.backend)
    except* KeyboardInterrupt:  # before the first signal is waited for, or Windows
        # The loop was left in the middle of its work, and would say so with tracebacks.
        logging.getLogger("asyncio").disabled = True
        if not progress.begun:
            display.say("interrupted; nothing was submitted")
    finally:
        if progress.begun:
            with calm():
                gallery = None if manifest is None else _make_gallery(manifest, display)
                report(progress, display, out, hints, gallery)
    return code


def _make_gallery(manifest: Manifest, display: Display) -> Path | None:
    """Write the gallery, and return its path; None if that failed."""
    directory = manifest.directory
    if not (directory / MANIFEST).is_file():
        return None
    try:
        path = write_gallery(directory, tell=lambda _: None)  # it was told at the beginning
    except (OSError, ValueError, BadInput) as error:
        display.error(f"no gallery: {reason_of(error)}")
        return None
    except KeyboardInterrupt:
        display.error(f"no gallery: interrupted; to make it: {gallery_of(directory)}")
        return None
    if path.name != GALLERY:
        display.note(not_ours(path.with_name(GALLERY), path))
    return path


async def _execute(
    work: Callable[[Run], Awaitable[None]], make_run: Callable[..., Run], display: Display
) -> int:
    stop = Stop(display.say)
    run = make_run(stop=stop)
    stop.last_words = partial(report_left, run.progress, display, run.hints)
    async with open_tasks() as tasks:
        await tasks.start(stop.watch)
        tasks.start_soon(display.run)
        with display:
            await work(run)
        tasks.cancel_scope.cancel()
    if stop.code is not None:
        return stop.code
    return 1 if run.progress.failed or run.progress.doubts else 0
