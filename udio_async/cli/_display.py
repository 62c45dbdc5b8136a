"""The display of a run, on stderr.

Live rows on a terminal, a line now and then elsewhere.
"""

import math
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ._failures import say
from ._progress import Flight, Progress
from ._text import amount, clock, counted, one_line

_ROWS, _LINES = 6, 10
"""Songs at most, and lines that they and their links take."""
_LIVE_INTERVAL = 0.2
_PLAIN_INTERVAL = 10.0


class Display:
    """A display of messages only; the others add how the run stands.

    Use it as `with display:`, with `run` in a task beside the work.
    """

    interval: float | None = None
    """Seconds between two ticks; None for no ticks."""

    def __init__(self, progress: Progress, *, quiet: bool = False) -> None:
        self._progress = progress
        self._quiet = quiet
        self._last_error = ""
        self._last_wait = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        pass

    async def run(self) -> None:
        """Refresh for ever, every `interval` seconds."""
        while self.interval is not None:
            await anyio.sleep(self.interval)
            self.tick()

    def tick(self) -> None:
        """Refresh what is shown."""

    @contextmanager
    def aside(self) -> Generator[None]:
        """Leave the terminal to somebody else for a moment."""
        yield

    def error(self, message: object) -> None:
        """Write what went wrong; the same thing in a row only once."""
        line = f"error: {one_line(message)}"
        if line != self._last_error:
            self._last_error = line
            self.say(line)

    def note(self, message: str) -> None:
        """Write something that nobody has to know, unless `--quiet`."""
        if not self._quiet:
            self.say(message)

    def trying_again(self, why: str) -> None:
        """Write why nothing moves; the same reason only once."""
        if why and why != self._last_wait:
            self._last_wait = why
            self.note(why)

    def say(self, line: str) -> None:
        """Write a line to stderr, whatever the options."""
        with self.aside():
            say(line)


class PlainDisplay(Display):
    """For a log: a line every ten seconds."""

    interval = _PLAIN_INTERVAL

    def tick(self) -> None:
        self.say(", ".join([*_counts(self._progress), clock(self._progress.elapsed)]))


class LiveDisplay(Display):
    """A display for a terminal: a bar, counts, and the oldest requests."""

    interval = _LIVE_INTERVAL

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress)
        self._console = Console(stderr=True)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop()

    def tick(self) -> None:
        if self._live is not None:
            self._live.refresh()

    def trying_again(self, why: str) -> None:
        """Leave it to the rows, which show the reason as long as it lasts."""

    @contextmanager
    def aside(self) -> Generator[None]:
        shown = self._stop()
        try:
            yield
        finally:
            if shown:
                self._start()

    def _start(self) -> None:
        # Refreshed by ticks of the event loop and not by a thread, so that nothing is drawn while
        # somebody else writes. A new one each time: a stopped one no longer minds the height.
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _stop(self) -> bool:
        live, self._live = self._live, None
        if live is not None:
            live.stop()
        return live is not None

    def _render(self) -> Group:
        room = max(0, min(_LINES, self._console.height - 6))
        # The cursor rests on an empty last line, where the echo of ^C does no harm.
        rows = self._rows(room)
        return Group(_head(self._progress), _counts_line(self._progress), *rows, Text())

    def _rows(self, room: int) -> Iterator[RenderableType]:
        """Yield a line for each song, and its first audio's link below it while there is room."""
        flights = list(self._progress.oldest(min(room, _ROWS)))
        room -= len(flights)
        for flight in flights:
            yield _row(flight)
            link = Text(f"  {flight.link}", Style(dim=True, link=flight.link), overflow="fold")
            lines = math.ceil(link.cell_len / self._console.width)
            if flight.link and lines <= room:
                room -= lines
                yield link


def _row(flight: Flight) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=10, no_wrap=True, style="cyan")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(width=16, no_wrap=True)
    table.add_column(width=5, justify="right", no_wrap=True, style="dim")
    table.add_row(flight.task.provider, Text(flight.title), flight.stage, clock(flight.age))
    return table


def _head(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(width=5, no_wrap=True, justify="right", style="dim")
    table.add_row(
        ProgressBar(total=progress.total, completed=progress.done),
        f"{progress.done} of {progress.total}",
        clock(progress.elapsed),
    )
    return table


def _counts_line(progress: Progress) -> Text:
    line = Text(", ".join(_counts(progress)[1:]))  # two lines, where 80 columns are too few
    line.highlight_regex(r"\d+ failed", "bold red")
    return line


def _counts(progress: Progress) -> list[str]:
    counts = [
        f"{progress.done} of {progress.total} finished",
        f"{progress.active} active",
        counted(progress.songs, "song"),
    ]
    if progress.saving:
        counts.insert(2, f"{progress.saving} saving")
    if progress.failed:
        counts.append(f"{progress.failed} failed")
    if progress.doubts:
        counts.append(f"{progress.doubts} in doubt")
    if progress.spent:
        counts.append(f"{amount(progress.spent)} credits")
    if progress.left is not None:
        counts.append(f"about {clock(progress.left)} left")
    if progress.note:
        counts.append(progress.note)
    return counts


def choose_display(progress: Progress, *, quiet: bool, no_progress: bool) -> Display:
    """Return the display that fits stderr and the options."""
    if quiet or no_progress:
        return Display(progress, quiet=quiet)
    if sys.stderr.isatty() and not Console(stderr=True).is_dumb_terminal:
        return LiveDisplay(progress)
    return PlainDisplay(progress)
