"""What is done about a callback: the journal first, then whoever waits for the song."""

import attrs
from anyio.abc import TaskGroup

from .._concurrency import owned
from .._errors import WaitExpired
from .._events import Teller
from .._polling import Poller
from .._records import CallbackNews, Stage, Task
from .._submit import SubmitGate, Submitter
from ..journal import Entry, State
from ..journal.store import JobStore
from ..providers import Provider, readable_request_of
from .addresses import Addresses


@attrs.frozen(kw_only=True, eq=False)
class CallbackHandler:
    """Acts on what callbacks say of a client's jobs."""

    addresses: Addresses
    provider: Provider
    is_local: bool
    """Whether the provider is on this machine, and so may its links be."""
    tasks: TaskGroup
    store: JobStore
    gate: SubmitGate
    poller: Poller
    submitter: Submitter
    tell: Teller

    def take_at(self, public_url: str) -> None:
        """Tell the provider an address below this URL with each submit from now on."""
        self.addresses.public_url = public_url

    async def hear(self, key: str, attempt: int | None, news: CallbackNews) -> None:
        """Act on a callback about an attempt of a job.

        It is done even if the caller hangs up.

        Raises:
            JournalError: it cannot be kept, and should come again.
        """
        await owned(self.tasks, self._hear, key, attempt, news)

    async def _hear(self, key: str, attempt: int | None, news: CallbackNews) -> None:
        heard = await self.store.hear(key, attempt, news)
        if heard is None:
            return
        entry = heard.entry
        if heard.healed:
            self.gate.count_settled(entry.key)
            self.tell("healed", task=_task_of(entry))
        tracked = self.poller.find(entry.key)
        if tracked is not None and entry.task_id == tracked.task_id:
            tracked.id_is_confirmed = not entry.told
        elif tracked is not None and entry.task_id is not None:
            self.poller.drop(entry.key, _not_its_task(entry, tracked.task_id))
        if self.poller.call(entry.key, news.stage):
            return
        if self.submitter.note_early(entry.key, news.stage) or self.store.is_ending(entry.key):
            return
        if entry.state is State.ACCEPTED and entry.task_id is not None:
            # A song of an earlier run, or one that was in doubt until now.
            request = readable_request_of(entry, provider=self.provider)
            self.poller.track(entry.task_id, request, entry, resumed=True)


def _task_of(entry: Entry) -> Task:
    """Return what is known of the task of a job, for the observer."""
    stages = {State.READY: Stage.COMPLETE, State.FAILED: Stage.FAILED}
    return Task(
        id=entry.task_id or "",
        provider=entry.provider,
        stage=stages.get(entry.state, Stage.QUEUED),
        songs=entry.songs,
    )


def _not_its_task(entry: Entry, task_id: str) -> WaitExpired:
    """Return the error for who waits for a task that its owner has named wrongly."""
    return WaitExpired(
        f"a callback says that the task of job {entry.key} is {entry.task_id}, and not {task_id}; "
        "ask for the job again",
        provider=entry.provider,
        task_id=entry.task_id,
        charged="yes",
    )
