"""Comparing the journal with the provider's own count of credits.

It costs nothing. A counter proves something only while nobody else uses the account.
"""

import json
import logging

import anyio
import attrs

from ._errors import JournalError
from ._http import Http
from ._records import Credits
from .journal import Journal, State
from .providers.base import Provider

_TIMEOUT = 10.0
"""Seconds that evidence is waited for."""
_FIRST = "credits at first"

logger = logging.getLogger("udio_async")


@attrs.frozen(kw_only=True)
class Audit:
    """What the journal expects to be charged, and what the counter shows.

    All amounts are the provider's credits. The counter is conclusive only if nobody else uses the
    account and, at apiframe, nothing was topped up meanwhile. `difference` is what the counter went
    down by beyond the accepted requests: 0 if both agree, None if the price of a request is not
    known.

        audit = await client.audit()
        if audit is not None and audit.difference:
            print(audit.in_doubt, "in doubt,", audit.difference, "credits more than expected")
    """

    accepted: int
    in_doubt: int
    price: float | None
    """Credits for one request."""
    counted: float
    """Credits that the counter went down by since this journal was begun."""

    @property
    def difference(self) -> float | None:
        """Credits that the counter shows beyond the accepted requests, or None."""
        return None if self.price is None else self.counted - self.accepted * self.price


class CreditCounter:
    """Asks for the account's credits, at the start and on demand.

    It belongs to the session. All that it asks is free, and no failure of it stops a request.
    """

    def __init__(self, provider: Provider, http: Http, journal: Journal) -> None:
        self._provider = provider
        self._http = http
        self._journal = journal
        self._at_start: Credits | None = None

    async def note_start(self) -> None:
        """Keep the credits before anything is spent.

        They go into a new journal, once. Nothing is raised: without an answer there is no evidence.
        """
        self._at_start = await self._now()
        if self._at_start is None:
            return
        try:
            new = not sum((await self._journal.count()).values())
            if new and await self._journal.noted(_FIRST) is None:
                await self._journal.note(_FIRST, json.dumps(_spent_so_far(self._at_start)))
        except JournalError as error:  # the next intent will raise it to whoever submits
            logger.debug("the credits could not be kept: %s", error)

    async def since_start(self) -> str:
        """Return, for a doubt, the credits before this run and now.

        It is text to be put behind the evidence; "" if the provider does not answer.
        """
        if self._at_start is None:
            return ""
        now = await self._now()
        if now is None:
            return ""
        return (
            f"; credits: {self._at_start.remaining:,.15g} at the start, {now.remaining:,.15g} now"
        )

    async def audit(self) -> Audit | None:
        """Compare the journal with the counter.

        None if the credits were not known when the journal was begun.

        Raises:
            ProviderUnavailable: the provider does not answer now; ask again.
            AccountError: the key is wrong.
        """
        first = await self._journal.noted(_FIRST)
        if first is None:
            return None
        now = await self._provider.credits(self._http)
        counts = await self._journal.count()
        return Audit(
            accepted=sum(number for state, number in counts.items() if state.is_paid),
            in_doubt=counts.get(State.IN_DOUBT, 0),
            price=self._provider.traits.credits_per_song,
            counted=_spent_so_far(now) - json.loads(first),
        )

    async def _now(self) -> Credits | None:
        """Return the credits, or None if they do not come within 10 seconds."""
        try:
            with anyio.move_on_after(_TIMEOUT):
                return await self._provider.credits(self._http)
        except Exception as error:  # noqa: BLE001  # evidence is welcome, and never worth a song
            logger.debug("no credits to compare with: %s", error)
        return None


def _spent_so_far(credits: Credits) -> float:  # noqa: A002  # what it is
    """Return a number that goes up with spending.

    It is `used` where the provider has it, which a top-up does not change; else what is left, as a
    negative number.
    """
    return credits.used if credits.used is not None else -credits.remaining
