"""The jobs of a journal: listed, or taken back if nothing was sent."""

import json
import shlex
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from .. import InvalidRequest
from ..journal import Entry, State
from ._clients import open_client, read_jobs
from ._entries import asked_for, shown_request, when
from ._failures import BadInput
from ._hints import Hints
from ._question import ask
from ._remedies import explain
from ._service import Service
from ._text import counted, one_line

_WIDTH = max(map(len, State))


def show_jobs(
    service: Service, journal: Path, states: Collection[State], *, as_json: bool, backend: str
) -> None:
    """Print the jobs in these states to stdout, oldest first."""
    jobs = ask(partial(read_jobs, service, journal, states), backend=backend)
    for entry in jobs:
        click.echo(json.dumps(_as_values(entry)) if as_json else _as_text(entry))
    if not as_json:
        click.echo(f"{counted(len(jobs), 'job')}.")


def _as_values(entry: Entry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "state": entry.state,
        "provider": entry.provider,
        "task_id": entry.task_id,
        "request": shown_request(entry),
        "attempt": entry.attempt,
        "attempt_of": entry.attempt_of,
        "submitted_at": _since(entry),
        "songs": [song.id for song in entry.songs],
        "error": entry.error or None,
        "evidence": entry.evidence or None,
        "undelivered": entry.undelivered or None,
    }


def _since(entry: Entry) -> str | None:
    """Return when it was submitted; None for a job that is only planned."""
    return when(entry).isoformat(timespec="seconds") if entry.submitted_at else None


def _as_text(entry: Entry) -> str:
    task = f"  task {one_line(entry.task_id)}" if entry.task_id is not None else ""
    return f"{entry.state:{_WIDTH}}  {shlex.quote(entry.key)}  {asked_for(entry)}{task}"


# Taking back ---------------------------------------------------------------------------------


def forget_jobs(
    service: Service, journal: Path, keys: Sequence[str], hints: Hints, *, backend: str
) -> None:
    """Take back those of these jobs for which nothing was taken.

    Raises:
        BadInput: others are among them; it tells why for each.
    """
    service.provider()  # a wrong option or a missing key shows before anything is started
    refused = ask(partial(_forget, service, journal, keys, hints), backend=backend)
    if refused:
        headline = f"{counted(len(refused), 'job')} cannot be taken back"
        raise BadInput(headline, tuple(refused))


async def _forget(service: Service, journal: Path, keys: Sequence[str], hints: Hints) -> list[str]:
    refused = []
    async with open_client(service, service.journal(journal)) as client:
        known = {entry.key: entry async for entry in client.jobs() if entry.key in keys}
        for key in dict.fromkeys(keys):
            try:
                await client.forget(key)
            except InvalidRequest as error:
                entry = known.get(key)
                refused.append(explain(error) if entry is None else _why_not(entry, hints))
            else:
                click.echo(
                    f"{shlex.quote(key)}: taken back; only a batch that asks for it submits it"
                )
    return refused


def _why_not(entry: Entry, hints: Hints) -> str:
    """Return why a job cannot be taken back, and what can be done."""
    reason = _REASONS[entry.state].format(
        task=entry.task_id,
        resume=hints.resume_paid,
        abandon=hints.resolve(entry.key, "--abandon"),
    )
    return f"{shlex.quote(entry.key)}: {reason}"


_REASONS = {
    State.SENDING: "it is being submitted by another run; stop that first",
    State.ACCEPTED: "it was accepted as task {task} and is paid for; to get it: {resume}",
    State.IN_DOUBT: "it may have been taken and paid for; to give it up: {abandon}",
    State.READY: "it is made and paid for; to get its songs: {resume}",
    State.DELIVERED: "it is made and paid for, and you have its songs",
    State.FAILED: "it was accepted, and failed; it is not submitted again",
    State.ABANDONED: "it was given up before; it is not submitted again",
}
"""Why a job in this state cannot be taken back."""
