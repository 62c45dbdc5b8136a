"""A new API key, or a new address, of the account that a journal was made with."""

import sys
from functools import partial
from pathlib import Path

import click

from .. import (
    AnotherAccount,
    AuthenticationFailed,
    JournalError,
    UdioError,
    hand_over,
)
from ..providers import account_of
from ._address import AddressedJournal, AnotherAddress
from ._credits import ask_credits
from ._failures import BadInput, reason_of
from ._names import KEY_VARIABLES
from ._question import ask
from ._service import Service


def rekey(service: Service, journal: Path, *, yes: bool, backend: str) -> None:
    """Give the journal to today's key and address, once its owner has confirmed it.

    Raises:
        BadInput: the journal is in use, damaged, or another provider's.
        AuthenticationFailed: the service does not know the key.
        click.Abort: its owner does not confirm it.
    """
    provider = service.provider()
    base_url = provider.account().base_url
    variable = KEY_VARIABLES[service.name]
    try:
        refused = ask(partial(_refusal, service, journal), backend=backend)
        if refused is None:
            click.echo(f"{journal} belongs to this key already; nothing was changed.")
            return
        _confirm(
            f"{base_url} is the service that {journal} was made with, and the key in {variable} "
            "is one of the same account"
            if isinstance(refused, AnotherAddress)
            else f"the key in {variable} is one of the account that {journal} was made with",
            yes=yes,
        )
        ask(partial(_try_key, service), backend=backend)  # after the answer: it shows the key
        moved = AddressedJournal(journal, base_url, moved=True)
        ask(partial(hand_over, moved, provider, same_account=True), backend=backend)
    except JournalError as error:
        raise BadInput(reason_of(error)) from error
    click.echo(f"{journal} belongs to today's key from now on, at {base_url}.")


async def _refusal(service: Service, journal: Path) -> JournalError | None:
    """Return why the journal does not belong to this key at this address; None if it does."""
    try:
        async with service.journal(journal).open(account_of(service.provider())):
            return None
    except (AnotherAccount, AnotherAddress) as error:
        return error


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


def _confirm(claim: str, *, yes: bool) -> None:
    """Ask whether this is so: only the user can know.

    Raises:
        click.Abort: the answer was no.
        click.UsageError: nobody is there to answer.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            f"give --yes if {claim}; with another account none of its songs would be found"
        )
    try:
        if click.confirm(f"Is it true that {claim}?", err=True):
            return
    except (click.Abort, OSError):  # Ctrl-C, or a terminal that is gone
        click.echo(err=True)
    click.echo("nothing was changed", err=True)
    raise click.Abort
