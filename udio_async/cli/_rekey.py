"""A new API key for a journal, of the same account."""

import sys
from functools import partial
from pathlib import Path

import click

from .. import (
    AnotherAccount,
    AuthenticationFailed,
    JournalError,
    Provider,
    SqliteJournal,
    UdioError,
    hand_over,
)
from ..providers import account_of
from ._credits import ask_credits
from ._failures import BadInput, reason_of
from ._names import KEY_VARIABLES
from ._question import ask
from ._service import Service


def rekey(service: Service, journal: Path, *, yes: bool, backend: str) -> None:
    """Give the journal to today's key, once its owner has confirmed it.

    Raises:
        BadInput: the journal is in use, damaged, or another provider's.
        AuthenticationFailed: the service does not know the key.
        click.Abort: its owner does not confirm it.
    """
    if service.is_sandbox:
        raise click.UsageError("a sandbox of its own has no account; give --provider of a service")
    provider = service.provider()
    try:
        if ask(partial(_is_of, provider, journal), backend=backend):
            click.echo(f"{journal} belongs to this key already; nothing was changed.")
            return
        ask(partial(_try_key, service), backend=backend)
        _confirm(journal, KEY_VARIABLES[service.name], yes=yes)
        ask(partial(hand_over, journal, provider, same_account=True), backend=backend)
    except JournalError as error:
        raise BadInput(reason_of(error)) from error
    click.echo(f"{journal} belongs to today's key from now on.")


async def _is_of(provider: Provider, journal: Path) -> bool:
    try:
        async with SqliteJournal(journal).open(account_of(provider)):
            return True
    except AnotherAccount:
        return False


async def _try_key(service: Service) -> None:
    """Refuse a key that is none; without an answer its owner's word has to do.

    Raises:
        AuthenticationFailed: the service does not know it.
    """
    try:
        await ask_credits(service)
    except AuthenticationFailed:
        raise
    except UdioError as error:
        click.echo(f"the key could not be tried: {reason_of(error)}", err=True)


def _confirm(journal: Path, variable: str, *, yes: bool) -> None:
    """Ask whether both keys are of one account: only the user can know.

    Raises:
        click.Abort: the answer was no.
        click.UsageError: nobody is there to answer.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            f"give --yes if the key in {variable} is one of the account that {journal} was made "
            "with; with another account's key none of its songs would be found"
        )
    question = f"Is the key in {variable} one of the account that {journal} was made with?"
    try:
        if click.confirm(question, err=True):
            return
    except (click.Abort, OSError):  # Ctrl-C, or a terminal that is gone
        click.echo(err=True)
    click.echo("nothing was changed", err=True)
    raise click.Abort
