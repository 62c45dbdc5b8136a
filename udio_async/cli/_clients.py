"""Clients for commands, with one line for what cannot be opened."""

import os
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from .. import AnotherAccount, Client, InvalidRequest, JournalError, PollPolicy, SqliteJournal
from ..journal import Entry, State
from ._failures import BadInput, reason_of
from ._service import Service

FOLLOW_FEW = PollPolicy(follow=20)
"""While there are so few songs, a terminal shows each stage of them."""


@asynccontextmanager
async def open_client(
    service: Service,
    **options: Any,  # noqa: ANN401 - checked by the client
) -> AsyncGenerator[Client]:
    """Open a client of this service, for as long as the context lasts.

    `options` are those of `Client`.

    Raises:
        BadInput: the limits cannot be kept, or the journal is in use, damaged or not ours.
    """
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(service.open())
        try:
            client = await stack.enter_async_context(
                Client(
                    provider,
                    trust_env=service.trust_env,
                    poll=FOLLOW_FEW,
                    **options,
                )
            )
        except (InvalidRequest, JournalError) as error:
            raise BadInput(_reason(error, options.get("journal"))) from error
        yield client


async def read_jobs(service: Service, path: Path, states: Collection[State]) -> list[Entry]:
    """Return the jobs of a journal in these states, oldest first.

    It is opened if that is possible: only this makes a doubt of a request that was on its way when
    its run was killed. A journal that another run has open, or that may not be written, is read as
    it is.

    Raises:
        BadInput: it is damaged, or not ours.
    """
    try:
        async with open_client(service, journal=path) as client:
            return [entry async for entry in client.jobs(states)]
    except BadInput as refused:
        cause = refused.__cause__
        if not isinstance(cause, JournalError) or isinstance(cause, AnotherAccount):
            raise
        try:
            jobs = [entry async for entry in SqliteJournal(path).entries(states)]
        except JournalError:
            raise refused from cause
        if any(job.provider != service.provider().name for job in jobs):
            raise refused from cause
        return jobs


def _reason(error: Exception, journal: object) -> str:
    """Return why it cannot be opened.

    A journal in a read-only place has nothing wrong with it.
    """
    path = journal.path if isinstance(journal, SqliteJournal) else journal
    if not isinstance(error, JournalError) or not isinstance(path, Path):
        return reason_of(error)
    place = next((each for each in (path, path.parent) if not os.access(each, os.W_OK)), None)
    if place is None or not path.exists():
        return reason_of(error)
    return (
        f"cannot open the journal {path}, because {place} is read-only, and a journal is written "
        "to when it is opened; allow that, or copy the folder to where you may write"
    )
