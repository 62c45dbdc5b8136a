"""The paid step: the intent is kept, one request leaves, its answer gets exactly one verdict.

It is repeated only where it is proved that nothing was taken (`Unreachable` with `sent=False`)
or where the provider said so (`RateLimited`). Everything else is the adapter's verdict, raised as
an error that says whether money may be gone.
"""

import anyio
import attrs
from anyio.abc import TaskGroup

from ._addresses import Addresses
from ._book import Book, remembered_error
from ._counter import CreditCounter
from ._errors import BadAnswer, InvalidRequest, RateLimited, SubmitInDoubt, UdioError, Unreachable
from ._events import Event, Observer
from ._http import Http
from ._lane import Lane
from ._poller import Poller
from ._records import SongRequest, Stage
from ._tasks import owned
from ._watch import Watch
from .journal import Entry, State
from .providers.base import CallbackAddress, Provider, names_own_callback

_ATTEMPTS = 8
_ANSWERED = frozenset({State.ACCEPTED, State.READY})
_REPEATABLE = frozenset({State.REFUSED, State.NOT_SENT})
"""States of a job from which it may be submitted again: nothing was taken."""


@attrs.define(kw_only=True, eq=False)
class Submitter:
    """Sends paid requests, a few at a time, each in a task of the client.

    A caller that is cancelled while it waits for its turn sends nothing; once its request is on
    the wire, it goes on without the caller.
    """

    provider: Provider
    http: Http
    tasks: TaskGroup
    poller: Poller
    book: Book
    lane: Lane
    counter: CreditCounter
    resubmit_doubts: bool = False
    observer: Observer | None = None
    addresses: Addresses | None = None
    """Where the provider shall report to, if it shall."""
    running: dict[str, anyio.Event] = attrs.field(factory=dict, init=False)
    """The jobs that are being submitted at this moment, by key."""
    early: dict[str, Stage] = attrs.field(factory=dict, init=False)
    """What callbacks have said of those, before the answer was here."""

    async def submit(
        self, request: SongRequest, key: str, *, stopped_by: UdioError | None = None
    ) -> Watch:
        """Have the song accepted, unless the journal says that it was, and watch it.

        With `stopped_by` nothing is sent: a job that would have to be ends with such an error.

        Raises:
            RequestError, AccountError, ProviderUnavailable: nothing was taken.
            SubmitInDoubt: it may have been taken; it is not asked for again.
            GenerationFailed: it was accepted in an earlier run, and failed.
            JournalError: the intent, or the id in the error, could not be kept.
        """
        while (first := self.running.get(key)) is not None:
            await first.wait()  # the same job is being submitted: see what becomes of it
        self.running[key] = anyio.Event()
        try:
            for attempt in range(_ATTEMPTS):
                known = await self.book.recall(request, key)
                if known is not None and not self._may_submit(known):
                    return self._remembered(known, request)
                if stopped_by is not None:
                    raise type(stopped_by)(str(stopped_by), provider=self.provider.name)
                self.provider.check(request)
                try:
                    return await self._attempt(attempt, request, key, known)
                except (RateLimited, Unreachable) as error:
                    if attempt + 1 == _ATTEMPTS or not _took_nothing(error):
                        raise
                    self._tell_retried(error)
        except UdioError as error:
            error.job_key = key
            raise
        finally:
            self.running.pop(key).set()
            self.early.pop(key, None)
        raise AssertionError("the last attempt returned or raised")

    def _may_submit(self, known: Entry) -> bool:
        doubted = known.state is State.IN_DOUBT and self.resubmit_doubts
        return known.state in _REPEATABLE or doubted

    def _remembered(self, known: Entry, request: SongRequest) -> Watch:
        """Go on with a job of an earlier run where it stands."""
        if known.state is State.ACCEPTED and known.task_id is not None:
            return self.poller.watch(known.task_id, request, known, resumed=True)
        if known.state is State.READY:
            return self.poller.finished(known)
        if known.state is State.SENDING:
            raise InvalidRequest(
                f"key {known.key!r} is being submitted at this moment; wait for it"
            )
        raise remembered_error(known)

    def note_early(self, key: str, stage: Stage) -> None:
        """Remember what a callback says of a job before its answer is here, in whatever order."""
        before = self.early.get(key)
        if before is None or before.is_before(stage):
            self.early[key] = stage

    async def _attempt(
        self, attempt: int, request: SongRequest, key: str, known: Entry | None
    ) -> Watch:
        await self.lane.enter()
        return await owned(self.tasks, self._paid_step, attempt, request, key, known)

    async def _paid_step(
        self, attempt: int, request: SongRequest, key: str, known: Entry | None
    ) -> Watch:
        """Runs in a task of the client, in this order, whoever has stopped waiting for it."""
        try:
            entry = await self.book.intend(request, key, known)
            self.lane.count_settled(key)
            address = await self._address(request, entry)
            entry = await self._ask(attempt, request, entry, address)
            return self._watch(request, entry)
        except UdioError as error:
            if error.charged == "no":
                self.lane.count_nothing_taken()
            raise
        finally:
            self.lane.leave()

    async def _address(self, request: SongRequest, entry: Entry) -> CallbackAddress | None:
        if self.addresses is None or names_own_callback(request):
            return None
        return await self.addresses.give(entry.key, entry.attempt)

    def _watch(self, request: SongRequest, entry: Entry) -> Watch:
        if entry.task_id is None:
            return self.poller.finished(entry)
        watch = self.poller.watch(entry.task_id, request, entry)
        if entry.key in self.early:
            self.poller.call(entry.key, self.early[entry.key])
        return watch

    async def _ask(
        self, attempt: int, request: SongRequest, entry: Entry, address: CallbackAddress | None
    ) -> Entry:
        """Send the request, and keep its id, or the verdict where it brings none."""
        try:
            task_id = await self.provider.submit(self.http, request, address)
        except Exception as error:
            if isinstance(error, (RateLimited, Unreachable)) and _took_nothing(error):
                # Before the lane is free: the next one shall see it.
                self.lane.hold_back(attempt, error)
            verdict = self._verdict(error)
            settled = await self._settle(entry, verdict)
            if settled.state in _ANSWERED:  # by its callback
                return settled
            if settled.state is State.FAILED:
                raise remembered_error(settled) from error
            if verdict is error:
                raise
            raise verdict from error
        return await self.book.accept(entry, task_id)

    def _verdict(self, error: Exception) -> UdioError:
        """Take for a doubt whatever an adapter let out that proves nothing."""
        proves_nothing = isinstance(error, BadAnswer) or (
            isinstance(error, Unreachable) and error.sent
        )
        if isinstance(error, UdioError) and not proves_nothing:
            return error
        return SubmitInDoubt(
            f"{self.provider.name} may have taken the song: {error!r}",
            provider=self.provider.name,
            evidence=f"the adapter raised {error!r}",
        )

    async def _settle(self, entry: Entry, error: UdioError) -> Entry:
        """Keep the verdict; for a doubt also what the account's counter says of it."""
        settled = await self.book.settle(entry, error)
        if settled.state is State.IN_DOUBT and isinstance(error, SubmitInDoubt):
            self.lane.count_doubt(entry.key)
            error.evidence += await self.counter.since_start()
            await self.book.add_evidence(entry.key, error.evidence)
        return settled

    def _tell_retried(self, error: RateLimited | Unreachable) -> None:
        if self.observer:
            wait = self.lane.held_back
            self.observer(
                Event(kind="retried", provider=self.provider.name, error=error, wait=wait)
            )


def _took_nothing(error: RateLimited | Unreachable) -> bool:
    return isinstance(error, RateLimited) or not error.sent
