"""The demo: a dozen requests to all three services, in a sandbox."""

from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import Client, Provider, SongRequest
from .._concurrency import open_tasks
from ._clients import FOLLOW_FEW
from ._delivery import make_songs
from ._execute import View, execute
from ._hints import program
from ._input import Entry
from ._manifest import open_directory
from ._output import Line, SongLine, choose_writer
from ._run import Run
from ._service import load_sandbox
from ._text import clock

_CHORUS = """\
[Verse]
The ferry leaves at half past four
[Chorus]
And every window is a door"""

_REQUESTS = {
    "udioapi-v1": (
        SongRequest(description="An upbeat pop song about the first warm day of the year"),
        SongRequest(description="A slow waltz for two robots who have just met"),
        SongRequest(description="Lo-fi beats for a night train", instrumental=True),
        SongRequest(lyrics=_CHORUS, style="indie folk, warm, 96 bpm", title="Half Past Four"),
    ),
    "udioapi-v2": (
        SongRequest(description="A sea shanty about a submarine with a leak"),
        SongRequest(description="Funk for somebody who cleans the kitchen at midnight"),
        SongRequest(description="Ambient music for a library in the rain", instrumental=True),
        SongRequest(lyrics=_CHORUS, style="synthwave, driving", title="Half Past Four"),
    ),
    "apiframe": (  # it gives songs no titles of its own
        SongRequest(description="A lullaby for a cat who is awake anyway", title="Awake Anyway"),
        SongRequest(description="Country song about a lost umbrella", title="My Umbrella"),
        SongRequest(description="A march for garden snails", title="March of the Snails"),
        SongRequest(description="A tango about two left shoes", title="Two Left Shoes"),
    ),
}


def run_demo(*, out: Path, speed: float, view: View) -> int:
    """Make the demo's songs and return the exit code."""
    shown: list[Line] = []
    as_table = not view.json
    manifest = open_directory(out, quiet=view.quiet, sandbox=True)
    code = execute(
        partial(_make_all, speed=speed),
        requests=sum(map(len, _REQUESTS.values())),
        view=view,
        out=out,
        manifest=manifest,
        writer=shown.append if as_table else choose_writer(as_json=True),
    )
    if as_table:
        _show_table([line for line in shown if isinstance(line, SongLine)])
    if code == 0 and not view.quiet:
        click.echo(_NEXT.format(program=program()), err=True)
    return code


async def _make_all(run: Run, *, speed: float) -> None:
    """Make the songs of all services at once."""
    async with load_sandbox()(speed=speed) as sandbox, open_tasks() as tasks:
        for provider in (sandbox.udioapi_v1(), sandbox.udioapi_v2(), sandbox.apiframe()):
            tasks.start_soon(_make_some, run, provider)


async def _make_some(run: Run, provider: Provider) -> None:
    entries = [Entry(request) for request in _REQUESTS[provider.name]]
    async with Client(provider, on_event=run.observe, poll=FOLLOW_FEW) as client:
        await make_songs(run, client, entries, max_active=len(entries))


def _show_table(lines: list[SongLine]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("Provider", style="cyan", no_wrap=True)
    table.add_column("Length", justify="right", no_wrap=True)
    table.add_column("File", overflow="fold")
    for line in sorted(lines, key=lambda line: (line.provider, line.task_id, line.index)):
        length = clock(line.duration) if line.duration else "-"
        table.add_row(line.provider, length, Text(line.path or "not saved"))
    Console().print(table)


_NEXT = """
Next, still without a key:
  {program} generate "A song about rain" --provider sandbox --out rehearsal
With a key, for real songs:
  export UDIOAPI_API_KEY=...
  {program} generate "A song about rain" --out songs"""
