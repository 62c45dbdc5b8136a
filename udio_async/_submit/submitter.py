"""The paid step: keep the intent, send once, judge the answer once.

It is repeated only where the error says so (`may_repeat`), which means that nothing was taken.
Every other error is raised as it is, or as a doubt if it proves nothing.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import attrs
from anyio.abc import TaskGroup

from .._concurrency import Unfinished, foreign_cancellation_as, owned
from .._download import FolderCheck
from .._errors import (
    InvalidRequest,
    JournalError,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    restated,
)
from .._events import Teller
from .._http import HttpSender, PaidHttp
from .._polling import Poller, TrackedTask
from .._records import CallbackAddress, PartialRequest, SongRequest, Stage
from ..journal import Entry, Kept, State
from ..journal.jobs import charged, remembered_error
from ..journal.store import ChangedMeanwhile, JobStore
from ..providers.base import Provider, names_own_callback
from .gate import SubmitGate
from .work import CLOSED, Work

_TRIES = 8
_LONG = 3
"""So many times as long as usual a song may take that nobody looks at."""
_LAST_WORD = 2.0
"""Seconds for the journal to keep what is in doubt as the client is closed."""


@attrs.define(kw_only=True, eq=False)
class Submitter:
    """Sends paid requests, a few at a time, each in a task of the client.

    A caller that is cancelled takes its request back, whatever it was waiting for; once the
    request's first byte has left, it goes on without the caller.
    """

    provider: Provider
    http: HttpSender
    tasks: TaskGroup
    poller: Poller
    store: JobStore
    kept: Kept
    gate: SubmitGate
    disk: FolderCheck
    evidence: Callable[[], Awaitable[str | None]]
    """Returns what the account shows about a doubt that has just come up."""
    address: Callable[[str, int], Awaitable[CallbackAddress | None]]
    """Returns where the provider is to report an attempt of a job; None without callbacks."""
    tell: Teller
    resubmit_doubts: bool
    _running: dict[str, Work] = attrs.field(factory=dict, init=False)
    """What is being submitted at this moment, by key."""

    async def submit(
        self,
        request: SongRequest,
        key: str,
        *,
        is_new: bool = False,
        stopped_by: UdioError | None = None,
        only: frozenset[State] | None = None,
        asked_at: int | None = None,
    ) -> TrackedTask | None:
        """Have the request accepted, unless the journal says that it was.

        Args:
            request: what is asked for.
            key: the job's name.
            is_new: whether nobody can have asked for this job before.
            stopped_by: nothing is sent; a job that would have to be sent ends with such an error.
            only: a job that is in none of these states any more is left alone.
            asked_at: when it was asked for, by `Kept.now`; None for now.

        Returns:
            Its task, which is looked at from now on; None for a job that is left alone.

        Raises:
            RequestError, AccountError, ProviderUnavailable, ClientClosed: nothing was taken.
            SubmitInDoubt: it may have been taken; it is not asked for again.
            GenerationFailed: it was accepted in an earlier run, and failed.
            JournalError: the intent, or the id in the error, could not be kept.
        """
        if asked_at is None:
            asked_at = self.kept.now
        while (first := self._running.get(key)) is not None:
            await first.done.wait()  # the same job is being submitted: see what becomes of it
        if is_new:
            self.gate.check_open()
        work = self._running[key] = Work(
            request=request,
            key=key,
            is_new=is_new,
            stopped_by=stopped_by,
            only=only,
            asked_at=asked_at,
        )
        try:
            return await owned(self.tasks, self._run, work)
        except Unfinished:
            raise work.as_it_stands(work.unfinished(self.provider.name)) from None
        finally:
            work.departure.withdraw("its caller was cancelled")
            if not work.begun:  # nor will it send anything if it still begins
                self._end(work, key)

    def is_awaited(self, key: str) -> bool:
        """Return whether a caller waits for the submit of this job."""
        work = self._running.get(key)
        return work is not None and not work.departure.withdrawn

    def is_running(self, key: str) -> bool:
        """Return whether a job is being submitted, with or without a caller."""
        return key in self._running

    def note_early(self, key: str, stage: Stage) -> bool:
        """Remember what a callback says before the answer is here.

        Returns whether the job is being submitted.
        """
        work = self._running.get(key)
        if work is not None:
            work.note_early(stage)
        return work is not None

    def close(self) -> None:
        """Take back what has not left, and let nothing more leave."""
        self.gate.close()
        for work in self._running.values():
            work.departure.withdraw("the client was closed")

    async def _run(self, work: Work) -> TrackedTask | None:
        """Submit a job, in a task of the client."""
        work.begun = True
        name = work.key  # it may turn out to have an older one
        try:
            return await self._submit(work)
        except UdioError as error:
            error.job_key = error.job_key or work.key
            if work.was_kept:
                with suppress(UdioError):  # nothing was taken, and the caller gets the first error
                    await self.kept.submit_ended(await self.store.known(work.key), error)
            raise work.as_it_stands(error) from error.__cause__
        finally:
            self._end(work, name, work.key)

    def _end(self, work: Work, *keys: str) -> None:
        """Let those go on who wait for it under its names."""
        for key in keys:
            if self._running.get(key) is work:
                del self._running[key]
        work.done.set()

    async def _submit(self, work: Work) -> TrackedTask | None:
        """Submit a job, again as often as it may be.

        One that is known to be taken already is not submitted.
        """
        tries = 0
        repeated = False
        while True:
            known = await self._recall(work) if repeated or not work.is_new else None
            work.may_be_paid = work.may_be_paid and repeated
            if work.leaves_alone(known, repeated=repeated):
                return None
            if known is not None and not self._may_submit(known):
                return self._remembered(known, work.request)
            if known is not None and self.kept.is_taken_back(known, since=work.asked_at):
                raise _taken_back(known)
            in_doubt = known is not None and known.state is State.IN_DOUBT
            work.doubt = known if in_doubt else None
            if isinstance(work.request, PartialRequest):  # it stays kept for whoever can read it
                raise restated(work.request.why, str(work.request.why))
            work.was_kept |= known is not None and known.state is State.PLANNED
            if work.stopped_by is not None:
                raise _stopped(work.stopped_by, self.provider.name)
            self.provider.check(work.request)
            try:
                counts, result = await self._attempt(work, known, tries)
            except ChangedMeanwhile:  # a callback came while it waited for its turn
                continue
            if not isinstance(result, UdioError):
                return result
            tries, repeated = tries + counts, True
            if tries == _TRIES:
                raise result
            self.tell("retried", error=result, wait=self.gate.held_back)

    async def _recall(self, work: Work) -> Entry | None:
        """Return what is known of a job.

        Raises:
            InvalidRequest: it was made and handed out, and nothing of it is kept.
        """
        with work.departure.waits():
            known = await self.store.recall(work.request, work.key)
        if known is not None and known.key != work.key:  # named by an older rule
            work.key = known.key
            self._running.setdefault(work.key, work)
        if known is None and not work.is_new and work.only is None:
            self.store.check_new(work.key)
        return known

    def _may_submit(self, known: Entry) -> bool:
        """Return whether a job that is known may be submitted."""
        if known.state is State.IN_DOUBT:
            earlier = not self.gate.was_in_doubt(known.key)  # one of this run may still arrive
            return self.resubmit_doubts and earlier and not known.was_taken
        return known.state.may_be_sent

    def _remembered(self, known: Entry, request: SongRequest) -> TrackedTask:
        """Continue a job of an earlier run where it stands."""
        if known.state is State.ACCEPTED and known.task_id is not None:
            return self.poller.track(known.task_id, request, known, resumed=True)
        if known.state.has_songs:
            return self.poller.finished(known)
        error = remembered_error(known)
        if error is None:
            raise InvalidRequest(
                f"key {known.key!r} is being submitted at this moment; wait for it"
            )
        raise error

    async def _attempt(
        self, work: Work, known: Entry | None, tries: int
    ) -> tuple[bool, TrackedTask | UdioError]:
        """Wait for a place and a turn, and take the paid step once.

        Returns:
            Whether the try counts, and the task or the error after which the request may be sent
            again.
        """
        http = self.http.paying(work.departure)
        probe: bool | None = None
        tracked: TrackedTask | None = None
        error: UdioError | None = None
        try:
            with work.departure.waits():
                probe = await self.gate.enter()
                await http.take_turn()
                while self.gate.held_back:  # meanwhile
                    http.give_back()
                    await self.gate.pause()
                    await http.take_turn()
                await self.disk.check()
            tracked = await self._paid_step(work, known, http)
        except UdioError as caught:
            error = caught
            if not (error.may_repeat and error.charged == "no"):
                raise
            # Before the place is free: the next one shall see it.
            unseen = await self._may_be_making()
            counts = self.gate.hold_back(error, attempt=tries, probe=bool(probe), unseen=unseen)
            return counts, error
        else:
            return True, tracked
        finally:
            http.give_back()
            if probe is not None:  # it has a place
                self.gate.leave(
                    probe=probe,
                    accepted=tracked is not None,
                    charged=tracked is not None or (error is not None and error.charged != "no"),
                )

    async def _may_be_making(self) -> bool:
        """Whether requests that nobody looks at may be in the making.

        Those of an earlier run are, and those that were given up for taking too long.
        """
        if not self.gate.is_idle:
            return False
        longest, now = _LONG * self.provider.traits.typical_duration, time.time()
        with suppress(JournalError):  # then it is not known
            accepted = [entry async for entry in self.store.entries([State.ACCEPTED], newest=1)]
            return any(0 <= now - entry.submitted_at < longest for entry in accepted)
        return False

    async def _paid_step(self, work: Work, known: Entry | None, http: PaidHttp) -> TrackedTask:
        """Keep the intent, send, and keep what came of it, in this order."""
        entry = await self.store.intend(work.request, work.key, known)
        self.gate.count_settled(entry.key)
        work.may_be_paid, work.doubt = work.may_be_paid or work.doubt is not None, None
        try:
            address = await self._address(work.request, entry)
            work.departure.hand_over()
            with foreign_cancellation_as(Unreachable):
                work.task_id = await self.provider.submit(
                    self.poller.listening(http), work.request, address
                )
        except Exception as error:  # noqa: BLE001  # an adapter may let out anything
            return await self._settle(work, entry, error)
        except BaseException:  # the client is being closed for good
            if work.departure.may_have_left:
                with anyio.move_on_after(_LAST_WORD, shield=True):
                    await self.store.doubt(entry, CLOSED)
            raise
        if self.poller.is_of_another(entry.key, work.task_id):
            doubt, work.task_id = _of_another(self.provider.name, work.task_id), None
            return await self._settle(work, entry, doubt)
        entry = await self.store.accept(entry, work.task_id)
        return self._track(work, entry, work.task_id, has_callback=address is not None)

    def _track(self, work: Work, entry: Entry, task_id: str, *, has_callback: bool) -> TrackedTask:
        """Look at a task from now on, at once if a callback has told of it already."""
        tracked = self.poller.track(task_id, work.request, entry, has_callback=has_callback)
        if work.early is not None:
            self.poller.call(entry.key, work.early)
        return tracked

    async def _address(self, request: SongRequest, entry: Entry) -> CallbackAddress | None:
        """Return where the provider reports this attempt; None if the request names its own."""
        if names_own_callback(request):
            return None
        return await self.address(entry.key, entry.attempt)

    async def _settle(self, work: Work, entry: Entry, error: Exception) -> TrackedTask:
        """Keep the verdict; for a doubt also the account's credits.

        Raises:
            UdioError: the verdict, unless a callback has brought the songs or the id meanwhile.
        """
        verdict = self._verdict(error)
        if verdict.charged == "no":
            work.departure.came_back()
        settled = await self.store.settle(entry, verdict)
        if isinstance(verdict, SubmitInDoubt) and settled.state is State.IN_DOUBT:
            self.gate.count_doubt(entry.key)
            credits_seen = await self.evidence()  # meanwhile a callback may come
            verdict.evidence = "; ".join(filter(None, (verdict.evidence, credits_seen)))
            settled = await self.store.add_evidence(settled, verdict.evidence)
        if settled.state is State.ACCEPTED and settled.task_id is not None:
            return self._track(work, settled, settled.task_id, has_callback=True)
        if settled.state.has_songs:
            return self.poller.finished(settled)
        if settled.state is State.IN_DOUBT and verdict.charged == "no":
            self.gate.count_doubt(entry.key)  # a callback has shown that it was taken
        elif settled.state is not State.FAILED:
            raise verdict from (None if verdict is error else error)
        raise remembered_error(settled) or verdict from error

    def _verdict(self, error: Exception) -> UdioError:
        """Return the verdict on whatever an adapter raised.

        What does not prove that nothing left is a doubt.
        """
        if isinstance(error, SubmitInDoubt):
            return error
        if isinstance(error, UdioError) and error.charged == "no":
            return error
        return SubmitInDoubt(
            f"{self.provider.name} may have taken the song: {error!r}",
            provider=self.provider.name,
            evidence=f"the adapter raised {error!r}",
        )


def _of_another(provider: str, task_id: str) -> SubmitInDoubt:
    """Return the doubt about an answer that names a task of another job."""
    return SubmitInDoubt(
        f"{provider} answered with task {task_id}, which is that of another job: nobody knows "
        "whether this request was taken as well",
        provider=provider,
        evidence=f"the answer named task {task_id}, which is another job's",
    )


def _taken_back(entry: Entry) -> InvalidRequest:
    """Return the error of a job that its owner has taken back while it waited for its turn."""
    return InvalidRequest(
        f"job {entry.key!r} was taken back before its turn came, and was not sent; ask for it "
        "again to have it made",
        job_key=entry.key,
        charged=charged(entry),
    )


def _stopped(error: UdioError, provider: str) -> UdioError:
    """Return the error of a job that is not sent because of another's error."""
    return restated(error, str(error), provider=provider, job_key=None, task_id=None, charged="no")
