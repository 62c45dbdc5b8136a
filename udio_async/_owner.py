"""Whose a journal is: this account's, another's, or nobody's yet."""

import logging

from ._errors import UdioError
from ._http import Http
from .journal import Journal, State
from .providers.base import Provider

_CONFIRMED_BY = 3
"""Tasks of a journal that a new key is shown before its account is taken for another."""
_SETTLED = (State.REFUSED, State.NOT_SENT, State.FORGOTTEN)
"""States in which nothing was taken, unless an earlier attempt may have been."""

logger = logging.getLogger("udio_async")


async def is_untouched(journal: Journal) -> bool:
    """Whether nothing of a journal was or may have been taken, so that it is nobody's yet."""
    counts = await journal.count()
    if any(number and not state.may_be_sent for state, number in counts.items()):
        return False
    return not any([entry.may_have_been_taken async for entry in journal.entries(_SETTLED)])


async def is_same_account(provider: Provider, http: Http, journal: Journal) -> bool:
    """Whether a journal that was made with another key may be this account's.

    It may if it is nobody's yet, or if the provider shows one of its tasks to the new key.
    """
    newest = [entry async for entry in journal.entries(list(State), newest=1)]
    if any(entry.provider != provider.name for entry in newest):
        return False
    return await is_untouched(journal) or await _shows_a_task(provider, http, journal)


async def _shows_a_task(provider: Provider, http: Http, journal: Journal) -> bool:
    paid = [state for state in State if state.is_paid]
    for entry in [entry async for entry in journal.entries(paid, newest=_CONFIRMED_BY)]:
        if entry.task_id is None:
            return False
        try:
            looked = await provider.fetch(http, [entry.task_id])
        except UdioError as error:
            logger.debug("task %s is not shown to the new key: %s", entry.task_id, error)
            continue
        if any(task.id == entry.task_id for task in looked):
            logger.warning(
                "the journal was made with another key; %s shows its task %s to this one, so it "
                "is taken for one of the same account",
                provider.name,
                entry.task_id,
            )
            return True
    return False
