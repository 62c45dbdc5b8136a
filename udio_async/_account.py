"""What the provider says of the account: its credits, and whether a journal is this account's."""

import json
import logging
from contextlib import suppress

import anyio

from ._errors import AuthenticationFailed, InvalidRequest, JournalError, UdioError
from ._http import Http
from ._options import AnyJournal, as_journal
from ._records import Audit, Credits, Stage, Task
from .journal import Journal, State, read_note
from .providers import Provider, account_of

_TIMEOUT = 10.0
"""Seconds that evidence is waited for."""
_FIRST = "credits at first"
_AT_ONCE = "songs at once"
_CONFIRMED_BY = 3
"""Tasks of a journal that a new key is shown before its account is taken for another."""

_SETTLED = (State.REFUSED, State.NOT_SENT, State.FORGOTTEN)
"""States in which nothing was taken, unless an earlier attempt may have been."""


logger = logging.getLogger("udio_async")


class AccountNotes:
    """What is noted of an account: its credits, and how many songs at once it may have.

    It belongs to the session. All that it asks is free, and no failure of it stops a request.
    """

    def __init__(self, provider: Provider, http: Http, journal: Journal) -> None:
        self._provider = provider
        self._http = http
        self._journal = journal
        self._at_start: Credits | None = None

    async def credits(self) -> Credits:
        """Return what the account has left now."""
        return await self._provider.credits(self._http)

    async def note_start(self) -> None:
        """Keep the credits before anything is spent.

        They go into a new journal. Each start does so anew until something of it is taken, as the
        journal may be another account's by then. Nothing is raised: without an answer there is no
        evidence.
        """
        self._at_start = await self._now()
        if self._at_start is None:
            return
        try:
            if await is_untouched(self._journal):
                await self._journal.note(_FIRST, json.dumps(_spent_so_far(self._at_start)))
        except JournalError as error:  # the next intent will raise it to whoever submits
            logger.debug("the credits could not be kept: %s", error)

    async def since_start(self) -> str | None:
        """Return, for a doubt, the credits before this run and now.

        None if the provider does not answer.
        """
        now = await self._now() if self._at_start is not None else None
        if self._at_start is None or now is None:
            return None
        return f"credits: {self._at_start.remaining:,.15g} at the start, {now.remaining:,.15g} now"

    async def audit(self) -> Audit | None:
        """Compare the journal with the counter.

        None if the credits were not known when the journal was begun. Its errors are those of
        `Client.audit`.
        """
        first = await read_note(self._journal, _FIRST, float)
        if first is None:
            return None
        now = await self.credits()
        counts = await self._journal.count()
        return Audit(
            accepted=sum(number for state, number in counts.items() if state.is_paid),
            in_doubt=counts.get(State.IN_DOUBT, 0),
            price=self._provider.traits.credits_per_request,
            counted=_spent_so_far(now) - first,
        )

    async def max_active_found(self) -> int | None:
        """Return how many requests are made at once, as an earlier run has found out.

        Nothing is raised: a journal that cannot be used tells whoever submits.
        """
        with suppress(JournalError):
            return await read_note(self._journal, _AT_ONCE, int)
        return None

    async def keep_max_active(self, number: int) -> None:
        """Keep how many requests the provider works on at once, for the next run.

        Raises:
            JournalError: it cannot be kept.
        """
        await self._journal.note(_AT_ONCE, str(number))

    async def _now(self) -> Credits | None:
        """Return the credits, or None if they do not come within 10 seconds."""
        try:
            with anyio.move_on_after(_TIMEOUT):
                return await self.credits()
        except Exception as error:  # noqa: BLE001  # evidence is welcome, and never worth a song
            logger.debug("no credits to compare with: %s", error)
        return None


def _spent_so_far(credits: Credits) -> float:  # noqa: A002  # what it is
    """Return a number that goes up with spending.

    It is `used` where the provider has it, which a top-up does not change; else what is left, as a
    negative number.
    """
    return credits.used if credits.used is not None else -credits.remaining


async def is_untouched(journal: Journal) -> bool:
    """Whether nothing of a journal was or may have been taken, so that it is nobody's yet."""
    counts = await journal.count()
    if any(number and not state.may_be_sent for state, number in counts.items()):
        return False
    earlier = [entry.may_have_been_taken async for entry in journal.entries(_SETTLED)]
    return not any(earlier)


async def is_same_account(provider: Provider, http: Http, journal: Journal) -> bool:
    """Whether a journal that was made with another key may be this account's.

    It may if it is nobody's yet, or if the provider shows one of its tasks to the new key.

    Raises:
        AuthenticationFailed: the provider does not know the new key at all.
    """
    names = {entry.provider async for entry in journal.entries(list(State), newest=1)}
    if names - {provider.name}:
        return False
    return await is_untouched(journal) or await _shows_a_task(provider, http, journal)


async def _shows_a_task(provider: Provider, http: Http, journal: Journal) -> bool:
    paid = [state for state in State if state.is_paid]
    for entry in [entry async for entry in journal.entries(paid, newest=_CONFIRMED_BY)]:
        if entry.task_id is None:
            return False
        try:
            looked = await provider.fetch(http, [entry.task_id])
        except AuthenticationFailed:
            raise
        except UdioError as error:
            logger.debug("task %s is not shown to the new key: %s", entry.task_id, error)
            continue
        if any(task.id == entry.task_id and _shows_something(task) for task in looked):
            logger.warning(
                "the journal was made with another key; %s shows its task %s to this one, so it "
                "is taken for one of the same account",
                provider.name,
                entry.task_id,
            )
            return True
    return False


def _shows_something(task: Task) -> bool:
    """Whether a look showed more of a task than the id that was asked for.

    A provider may answer about an unknown task as well, without saying that it knows none.
    """
    if task.songs:
        return True
    return task.status_known and (bool(task.status) or task.stage is not Stage.QUEUED)


async def hand_over(journal: AnyJournal, provider: Provider, *, same_account: bool) -> None:
    """Give a journal to a new API key of the same account.

    A client does so by itself if the provider shows a task of the journal to the new key. If not,
    you say with this that the account is the same. A journal that is used with another account's
    key finds none of its songs.

    Raises:
        InvalidRequest: `same_account` is not True.
        JournalError: it is another provider's, in use, or damaged.
    """
    if same_account is not True:
        raise InvalidRequest("say same_account=True if the new key is one of the same account")
    kept = as_journal(journal)

    async def is_ours() -> bool:
        return all([entry.provider == provider.name async for entry in kept.entries(list(State))])

    async with kept.open(account_of(provider), confirm=is_ours):
        pass
