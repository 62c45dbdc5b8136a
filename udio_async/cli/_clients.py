"""Clients for commands, with one line for what cannot be opened."""

import os
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from .. import Client, InvalidRequest, JournalError, PollPolicy, SqliteJournal
from ..journal import Entry, Journal, State
from ._failures import BadInput, reason_of
from ._service import Service

FOLLOW_FEW = PollPolicy(follow=20)
"""While there are so few songs, a terminal shows each stage of them."""


@asynccontextmanager
async def open_client(
    service: Service,
    journal: Journal,
    **options: Any,  # noqa: ANN401 - checked by the client
) -> AsyncGenerator[Client]:
    """Open a client of this service, for as long as the context lasts.

    `options` are those of `Client`.

    Raises:
        BadInput: the limits cannot be kept, or the journal is in use, damaged or not ours, or was
            made with a service at another address.
    """
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(service.open())
        try:
            client = await stack.enter_async_context(
                Client(
                    provider,
                    trust_env=service.trust_env,
                    poll=FOLLOW_FEW,
                    journal=journal,
                    **options,
                )
            )
        except (InvalidRequest, JournalError) as error:
            raise BadInput(_reason(error, journal)) from error
        yield client


async def read_jobs(service: Service, path: Path, states: Collection[State]) -> list[Entry]:
    """Return the jobs of a journal in these states, oldest first. Nothing is sent.

    It is opened if that is possible: only this makes a doubt of a request that was on its way when
    its run was killed. A journal that another run has open, that may not be written, or whose key
    is not here, is read as it is.

    Raises:
        BadInput: it is damaged, or not ours.
    """
    journal = SqliteJournal(path)
    account = service.account()
    if account is not None:
        with suppress(JournalError):  # what is wrong with the file shows again below
            async with journal.open(account):
                return [entry async for entry in journal.entries(states)]
    try:
        return [entry async for entry in journal.entries(states)]
    except JournalError as error:
        raise BadInput(_reason(error, journal)) from error


async def maker_of(path: Path) -> str | None:
    """Return the provider that a journal was made with, or None where that cannot be told."""
    with suppress(JournalError):
        async for entry in SqliteJournal(path).entries(list(State), newest=1):
            return entry.provider
    return None


def _reason(error: Exception, journal: Journal) -> str:
    """Return why it cannot be opened.

    A journal in a read-only place has nothing wrong with it.
    """
    if not isinstance(error, JournalError) or not isinstance(journal, SqliteJournal):
        return reason_of(error)
    path = journal.path
    place = next((each for each in (path, path.parent) if not os.access(each, os.W_OK)), None)
    if place is None or not path.exists():
        return reason_of(error)
    return (
        f"cannot open the journal {path}, because {place} is read-only, and a journal is written "
        "to when it is opened; allow that, or copy the folder to where you may write"
    )
