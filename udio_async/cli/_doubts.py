"""Requests in doubt: shown, and ended by their owner."""

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click

from .. import Client, InvalidRequest, RequestError, UdioError
from ..journal import Entry, State
from ._clients import open_client, read_jobs
from ._entries import asked_for, shown_request, when
from ._failures import BadInput, reason_of, warn
from ._hints import Hints
from ._manifest import MANIFEST, Manifest
from ._question import ask
from ._remedies import explain
from ._service import Service
from ._text import counted, one_line, shortened


@attrs.frozen(kw_only=True)
class Answer:
    """The way in which a doubt ends: exactly one of three."""

    task_id: str | None = None
    resubmit: bool = False
    abandon: bool = False

    def __attrs_post_init__(self) -> None:
        """Refuse what is not exactly one answer."""
        if (self.task_id is not None) + self.resubmit + self.abandon != 1:
            raise click.UsageError("give one of --task-id ID, --resubmit and --abandon")
        if self.task_id is not None and not self.task_id.strip():
            raise click.UsageError("--task-id is empty; give the id that the provider shows")


def show_doubts(
    service: Service, journal: Path, hints: Hints, *, as_json: bool, backend: str
) -> None:
    """Print every request in doubt to stdout, oldest first."""
    work = partial(read_jobs, service, journal, [State.IN_DOUBT, State.SENDING])
    jobs = ask(work, backend=backend)
    doubts = [job for job in jobs if job.state is State.IN_DOUBT]
    sending = len(jobs) - len(doubts)
    if sending:  # of a run that goes on, or in a journal that was read as it is
        warn(
            f"{counted(sending, 'request')} on the way to the provider; if the run that sent it is "
            "over, it is in doubt too: run this with its API key, where the journal can be written"
        )
    if as_json:
        for doubt in doubts:
            click.echo(json.dumps(_as_values(doubt, hints)))
        return
    for doubt in doubts:
        click.echo(_as_text(doubt, hints))
    click.echo(f"{counted(len(doubts), 'request')} in doubt.")


def end_doubt(
    service: Service, journal: Path, key: str, answer: Answer, hints: Hints, *, backend: str
) -> None:
    """Write the answer into the journal, and say what comes next.

    Nothing is sent by it: the next run acts on the answer.

    Raises:
        BadInput: there is no such doubt, or the journal cannot be used.
    """
    service.provider()  # a wrong option or a missing key shows before anything is started
    work = partial(_settle, service, journal, key, answer, hints.directory)
    seen = ask(work, backend=backend)
    if answer.abandon:
        click.echo("Given up: it is neither looked for nor submitted again.")
        return
    what = "It will be submitted again" if answer.resubmit else f"It is {seen}"
    resume = hints.resume if answer.resubmit else hints.resume_paid
    click.echo(f"{what}. To continue, run the batch again, or:\n  {resume}")


def _tell_manifest(directory: Path, key: str) -> None:
    """Let the pages of a batch know; the journal does already, so a failure costs nothing."""
    if (directory / MANIFEST).is_file():
        try:
            Manifest(directory).let_go(key)
        except (BadInput, OSError) as error:
            warn(f"{MANIFEST} still tells of a doubt: {reason_of(error)}")


async def _settle(
    service: Service, journal: Path, key: str, answer: Answer, directory: Path
) -> str:
    """Keep the answer, and return what the task is that it names."""
    async with open_client(service, service.journal(journal)) as client:
        seen = "" if answer.task_id is None else await _seen(client, answer.task_id)
        try:
            await client.resolve(key, **attrs.asdict(answer))
        except InvalidRequest as error:
            raise BadInput(explain(error)) from error
        if answer.abandon:  # while the journal is ours: no other run writes to the folder
            _tell_manifest(directory, key)
    return seen


async def _seen(client: Client, task_id: str) -> str:
    """Look at a task before its id is believed. Where nobody can be asked, it is.

    Raises:
        BadInput: the provider does not know it.
    """
    named = f"task {one_line(task_id)}"
    try:
        task = await client.look(task_id)
    except RequestError as error:
        raise BadInput(
            f"{client.provider.name} knows no {named}, so nothing was written down; give the id "
            f"as your account shows it ({explain(error)})"
        ) from error
    except UdioError as error:
        return f"{named}, which could not be looked at now ({explain(error)})"
    titles = ", ".join(dict.fromkeys(one_line(song.title) for song in task.songs if song.title))
    songs = f" with {counted(len(task.songs), 'song')}" if task.songs else ""
    return f"{named}: {task.stage}{songs}" + f" ({shortened(titles)})" * bool(titles)


def _as_values(doubt: Entry, hints: Hints) -> dict[str, Any]:
    return {
        "key": doubt.key,
        "provider": doubt.provider,
        "request": shown_request(doubt),
        "submitted_at": when(doubt).isoformat(timespec="seconds"),
        "evidence": doubt.evidence,
        "songs": [song.id for song in doubt.songs],
        "commands": {name: hints.resolve(doubt.key, *answer) for name, answer in _ANSWERS.items()},
    }


_ANSWERS = {
    "task_id": ("--task-id", "ID"),
    "resubmit": ("--resubmit",),
    "abandon": ("--abandon",),
}


def _as_text(doubt: Entry, hints: Hints) -> str:
    return f"""\
{shlex.quote(doubt.key)}
  asked  {asked_for(doubt)}
  when   {when(doubt):%Y-%m-%d %H:%M:%S}
  seen   {one_line(doubt.evidence)}{_songs(doubt)}
  Look for it in your account at {doubt.provider}. It is there, with an ID:
    {hints.resolve(doubt.key, *_ANSWERS["task_id"])}
  It is not there, so pay for it again:
    {hints.resolve(doubt.key, *_ANSWERS["resubmit"])}
  Or give it up:
    {hints.resolve(doubt.key, *_ANSWERS["abandon"])}
"""


def _songs(doubt: Entry) -> str:
    """Return the songs that a callback has told of, as one more line.

    With their ids the task can be found at the provider.
    """
    names = ", ".join(one_line(song.id) for song in doubt.songs)
    return f"\n  songs  {names}" if names else ""
