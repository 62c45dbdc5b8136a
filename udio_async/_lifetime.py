"""From the opening of a client to its closing: what runs meanwhile is put together here.

Everything is given to each part as it is made, and ends in the opposite order.
"""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
from anyio.abc import TaskGroup

from ._account import AccountNotes, is_same_account
from ._concurrency import Home, LastingTasks, Unfinished, wait_shielded
from ._download import Downloads, FolderCheck, Source
from ._events import Teller
from ._http import MAX_IDLE, MAX_IN_FLIGHT, HttpSender
from ._options import Options
from ._polling import Poller
from ._session import Session, TaskEnd
from ._submit import SubmitGate, Submitter
from ._urls import is_local_url
from .callbacks import Addresses, CallbackHandler
from .journal.store import JobStore
from .providers import account_of

logger = logging.getLogger("udio_async")
_UNWINDING = 0.1
"""Seconds for other tasks that the end of the loop has cancelled, too: one of them may close it."""


class Lifetime:
    """One opening of a client, on one event loop: it begins with `open`, and ends in good order."""

    def __init__(self, options: Options, *, public_url: str | None) -> None:
        self._options = options
        self._public_url = public_url
        self._home = Home()
        self._life = self._live()
        self._begun = anyio.Event()
        self._ended = anyio.Event()
        self._session: Session | None = None

    async def open(self) -> None:
        """Begin, once."""
        try:
            self._session = await self._life.__aenter__()
        except BaseException:
            self._ended.set()
            raise
        finally:
            self._begun.set()

    async def aclose(self) -> None:
        """End, once; whoever comes later waits for that.

        What is being opened is closed then.

        Raises:
            RuntimeError: it was opened on another event loop.
        """
        self._home.check("the client")
        if not self._begun.is_set():
            await self._begun.wait()
        if self._session is None:
            await wait_shielded(self._ended)
            return
        self._session = None
        try:
            await self._life.__aexit__(None, None, None)
        finally:
            self._ended.set()

    async def _end_with_loop(self) -> None:
        """End because the event loop does, unless somebody is about to.

        What is left open then is a generator, which Python would close in pieces, with tracebacks.
        """
        await anyio.sleep(_UNWINDING)
        if self._session is None:
            return
        logger.warning(
            "the event loop has ended while a client was open; use `async with Client(...)`, or "
            "`await client.aclose()` before: then requests on the wire are waited for"
        )
        with suppress(Unfinished):  # nothing can be waited for any more
            await self.aclose()

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @property
    def session(self) -> Session | None:
        """What can be asked of it; None unless it is open.

        Raises:
            RuntimeError: it was opened on another event loop.
        """
        if self._session is not None:
            self._home.check("the client")
        return self._session

    @asynccontextmanager
    async def _live(self) -> AsyncGenerator[Session]:
        options = self._options
        lasting = LastingTasks(self._end_with_loop)
        async with (
            lasting as tasks,
            HttpSender(
                tasks,
                client=options.http_client,
                requests_per_second=options.requests_per_second,
                trust_env=options.trust_env,
                max_in_flight=MAX_IN_FLIGHT + options.submit_concurrency,
                max_idle=MAX_IDLE + 2 * options.submit_concurrency,
            ) as http,
            options.journal.open(
                account_of(options.provider),
                confirm=partial(is_same_account, options.provider, http, options.journal),
            ),
        ):
            session = self._put_together(tasks, http)
            await session.begin()
            try:
                yield session
            finally:
                try:
                    await session.drain()
                finally:
                    await lasting.end()  # before the journal is closed: it gets their last words

    def _put_together(self, tasks: TaskGroup, http: HttpSender) -> Session:
        options, provider, journal = self._options, self._options.provider, self._options.journal
        is_local = is_local_url(provider.account().base_url)
        tell = Teller(provider.name, options.on_event)
        store = JobStore(journal, tasks, provider=provider.name)
        gate = SubmitGate(options.submits)
        account = AccountNotes(provider, http, journal)
        disk = FolderCheck()
        source = Source(provider, http, journal)
        addresses = Addresses(journal, self._public_url)
        poller = Poller(
            provider,
            http.for_tasks(),
            tasks,
            policy=options.poll,
            local=is_local,
            started=gate.count_running,
            ended=TaskEnd(gate, store, source),
            tell=tell,
        )
        submitter = Submitter(
            provider=provider,
            http=http,
            tasks=tasks,
            poller=poller,
            store=store,
            kept=store.kept,
            gate=gate,
            disk=disk,
            evidence=account.since_start,
            address=addresses.give,
            resubmit_doubts=options.on_doubt == "resubmit",
            tell=tell,
        )
        callbacks = CallbackHandler(
            addresses=addresses,
            provider=provider,
            is_local=is_local,
            tasks=tasks,
            store=store,
            gate=gate,
            poller=poller,
            submitter=submitter,
            tell=tell,
        )
        return Session(
            provider=provider,
            max_active=options.max_active,
            submitters=options.submit_concurrency,
            tasks=tasks,
            store=store,
            kept=store.kept,
            gate=gate,
            account=account,
            poller=poller,
            submitter=submitter,
            callbacks=callbacks,
            downloads=Downloads(
                http,
                refresh=source.refresh,
                age=source.age,
                late=tell.late,
                local=is_local,
                disk=disk,
            ),
        )
