"""`generate` and `batch`: from what was given to songs on disk."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click

from .._client import Client
from .._errors import UdioError
from ._failures import BadInput
from ._input import Entry, read_entries, read_request
from ._run import Run, View, execute
from ._service import Service


def make_one(values: Mapping[str, Any], service: Service, out: Path | None, view: View) -> int:
    """Make the songs of one request."""
    try:
        entry = Entry(read_request(values, service.provider()))
    except (UdioError, ValueError) as error:
        raise BadInput(str(error)) from error
    return _make([entry], service, out, view, max_active=1)


def make_many(
    file: BinaryIO, name: str, service: Service, out: Path, view: View, *, max_active: int
) -> int:
    """Make the songs of every request in a file."""
    entries = read_entries(file, name, service.provider())
    return _make(entries, service, out, view, max_active=max_active)


def _make(
    entries: list[Entry], service: Service, out: Path | None, view: View, *, max_active: int
) -> int:
    if out is not None:
        prepare_directory(out)
    work = partial(_work, entries=entries, service=service, max_active=max_active)
    return execute(work, requests=len(entries), view=view, out=out)


async def _work(run: Run, *, entries: list[Entry], service: Service, max_active: int) -> None:
    async with (
        service.open() as provider,
        Client(provider, on_event=run.progress.observe) as client,
    ):
        await run.make_songs(client, entries, max_active=max_active)


def prepare_directory(out: Path) -> None:
    """See that songs can be saved before any is paid for.

    Raises:
        click.UsageError: they cannot.
    """
    probe = out / ".udio-async.part"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise click.UsageError(f"cannot write to {out}: {error.strerror}") from error
