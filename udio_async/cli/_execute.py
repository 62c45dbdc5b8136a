"""A run on an event loop: with its display beside it, its summary and its gallery at the end.

It goes on until all is done, or until it is interrupted: then requests on the wire still get their
answers.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import attrs

from .._concurrency import open_tasks
from ._display import Display, choose_display
from ._failures import BadInput, reason_of
from ._gallery import GALLERY, write_gallery
from ._hints import Hints, gallery_of
from ._manifest import MANIFEST, Manifest
from ._names import FILE_WAIT
from ._output import Writer, choose_writer
from ._page import not_ours
from ._progress import Progress
from ._run import Run
from ._stop import Stop, calm
from ._summary import note_untagged, report, report_left

_INTERRUPTED = 130


@attrs.frozen(kw_only=True)
class View:
    """The options about output."""

    json: bool = False
    quiet: bool = False
    no_progress: bool = False
    backend: str = "asyncio"


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
    if tags and manifest is not None:
        note_untagged(manifest, display)
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
    progress = run.progress
    unfinished = (progress.failed, progress.doubts, progress.over_limit, progress.left_alone)
    return 1 if any(unfinished) else 0
