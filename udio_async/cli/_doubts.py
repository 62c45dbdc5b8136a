"""What may have been taken and paid for: shown, and ended by its owner."""

import json
import shlex
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click

from .._errors import InvalidRequest
from ..journal import Entry
from ..providers import Provider
from ._failures import BadInput
from ._hints import Hints
from ._opened import open_client
from ._question import ask
from ._service import Service
from ._text import counted, one_line

_SHORT = 60
_NAMES = ("title", "description", "lyrics", "style")


@attrs.frozen(kw_only=True)
class Answer:
    """How a doubt ends."""

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
    """Print every doubt to stdout, oldest first."""
    hidden = _hidden_options(service.provider())
    doubts = ask(partial(_read, service, journal), backend=backend)
    if as_json:
        for doubt in doubts:
            click.echo(json.dumps(_as_values(doubt, hints, hidden)))
        return
    for doubt in doubts:
        click.echo(_as_text(doubt, hints))
    click.echo(f"{counted(len(doubts), 'request')} in doubt.")


def end_doubt(
    service: Service, journal: Path, key: str, answer: Answer, hints: Hints, *, backend: str
) -> None:
    """Write the answer down, and say what is to be done next."""
    service.provider()  # a wrong option or a missing key shows before anything is started
    ask(partial(_settle, service, journal, key, answer), backend=backend)
    if answer.abandon:
        click.echo("Let go: it is neither looked at nor submitted.")
        return
    what = "It will be submitted again" if answer.resubmit else f"It is task {answer.task_id}"
    click.echo(f"{what}. To continue, run the batch again, or:\n  {hints.resume}")


async def _read(service: Service, journal: Path) -> Sequence[Entry]:
    async with open_client(service, journal=journal) as client:
        return await client.doubts()


async def _settle(service: Service, journal: Path, key: str, answer: Answer) -> None:
    async with open_client(service, journal=journal) as client:
        try:
            await client.resolve(key, **attrs.asdict(answer))
        except InvalidRequest as error:
            raise BadInput(str(error)) from error


def _hidden_options(provider: Provider) -> frozenset[str]:
    """Return the options that are nobody else's business, such as the secret of a webhook."""
    fields = attrs.fields(provider.traits.options)
    return frozenset(field.name for field in fields if not field.repr)


def _as_values(doubt: Entry, hints: Hints, hidden: frozenset[str]) -> dict[str, Any]:
    request = dict(doubt.request)
    if "options" in request:
        options = request["options"].items()
        request["options"] = {name: value for name, value in options if name not in hidden}
    return {
        "key": doubt.key,
        "provider": doubt.provider,
        "request": request,
        "submitted_at": _when(doubt).isoformat(timespec="seconds"),
        "evidence": doubt.evidence,
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
  asked  {_asked(doubt)}
  when   {_when(doubt):%Y-%m-%d %H:%M:%S}
  seen   {one_line(doubt.evidence)}
  Look for it in your account at {doubt.provider}. It is there, with an ID:
    {hints.resolve(doubt.key, *_ANSWERS["task_id"])}
  It is not there, so pay for it again:
    {hints.resolve(doubt.key, *_ANSWERS["resubmit"])}
  Or let it go:
    {hints.resolve(doubt.key, *_ANSWERS["abandon"])}
"""


def _asked(doubt: Entry) -> str:
    """Say what was asked for, in one line of a terminal."""
    words = one_line(
        ", ".join(str(doubt.request[name]) for name in _NAMES if name in doubt.request)
    )
    return words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"


def _when(doubt: Entry) -> datetime:
    """Return when it was submitted, in local time."""
    return datetime.fromtimestamp(doubt.submitted_at).astimezone()
