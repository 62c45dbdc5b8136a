"""What a client is made with, checked before anything is opened."""

import os
from fractions import Fraction
from typing import Any, Literal, Self

import attrs

from ._errors import InvalidRequest
from ._events import Observer
from ._http import AsyncClient
from ._polling import PollPolicy
from ._submit import SubmitPolicy
from ._validators import check_above_zero, check_count
from .journal import Journal, MemoryJournal, SqliteJournal, TranslatedJournal
from .providers import Provider

OnDoubt = Literal["hold", "resubmit"]
AnyJournal = Journal | str | os.PathLike[str] | None


@attrs.frozen(kw_only=True)
class Options:
    """What a client is made with; `Client` says what each of them means."""

    provider: Provider
    journal: Journal
    max_active: int | None
    submits: SubmitPolicy
    resubmit_doubts: bool
    poll: PollPolicy
    requests_per_second: float | None
    http_client: AsyncClient | None
    trust_env: bool
    on_event: Observer | None

    @classmethod
    def checked(
        cls,
        *,
        provider: Provider,
        journal: AnyJournal,
        max_active: int | None,
        submit_concurrency: int,
        poll: PollPolicy | None,
        requests_per_second: float | None,
        on_doubt: OnDoubt,
        max_in_doubt: int,
        max_submits: int | None,
        max_credits: float | None,
        http_client: AsyncClient | None,
        trust_env: bool,
        on_event: Observer | None,
    ) -> Self:
        """Return the options that these arguments of a client mean.

        Raises:
            InvalidRequest: one of them cannot be; the message names it, its value and the remedy.
        """
        if isinstance(provider, type) or not isinstance(provider, Provider):
            raise InvalidRequest(
                f"{provider!r} is no provider; give one, such as UdioApiV2(api_key='...')"
            )
        if max_active is not None:
            check_count("max_active", max_active)
        check_count("submit_concurrency", submit_concurrency)
        check_count("max_in_doubt", max_in_doubt)
        if on_doubt not in ("hold", "resubmit"):
            raise InvalidRequest(f"on_doubt is {on_doubt!r}; known: 'hold', 'resubmit'")
        _check_kind("poll", poll, PollPolicy, "give PollPolicy(...)")
        _check_kind("http_client", http_client, AsyncClient, "give an httpx.AsyncClient")
        if on_event is not None and not callable(on_event):
            raise InvalidRequest(f"on_event is {on_event!r}; give a function that takes an Event")
        if requests_per_second is not None:
            check_above_zero("requests_per_second", requests_per_second)
        return cls(
            provider=provider,
            journal=TranslatedJournal(as_journal(journal)),
            max_active=max_active,
            submits=SubmitPolicy(
                concurrency=submit_concurrency,
                max_in_doubt=max_in_doubt,
                max_submits=_submit_limit(provider, max_submits, max_credits),
            ),
            resubmit_doubts=on_doubt == "resubmit",
            poll=poll or PollPolicy(),
            requests_per_second=requests_per_second,
            http_client=http_client,
            trust_env=trust_env,
            on_event=on_event,
        )


def as_journal(journal: AnyJournal) -> Journal:
    """Return the journal that is meant: that of a path, or one in memory where none is given.

    Raises:
        InvalidRequest: it is neither a path nor a journal.
    """
    if journal is None:
        return MemoryJournal()
    if isinstance(journal, (str, os.PathLike)):
        return SqliteJournal(journal)
    if isinstance(journal, type) or not isinstance(journal, Journal):
        raise InvalidRequest(
            f"journal is {journal!r}; give a path, or a Journal such as SqliteJournal('songs.db')"
        )
    return journal


def _submit_limit(
    provider: Provider, max_submits: int | None, max_credits: float | None
) -> int | None:
    """Bring both spend limits down to a number of submits."""
    if max_submits is not None:
        check_count("max_submits", max_submits)
    if max_credits is None:
        return max_submits
    check_above_zero("max_credits", max_credits)
    price = provider.traits.credits_per_request
    if price is None:
        raise InvalidRequest(
            f"{provider.name} states no price, so max_credits={max_credits!r} cannot be kept; "
            "give max_submits"
        )
    # It may be none: such a client still waits for what is paid for.
    limit = affordable(max_credits, price)
    return limit if max_submits is None else min(limit, max_submits)


def affordable(credits: float, price: float) -> int:  # noqa: A002 - the word of every service here
    """Return how many requests credits are enough for.

    Both are taken as they are written: as floats, 0.1 goes into 0.3 only twice.
    """
    return Fraction(str(credits)) // Fraction(str(price))


def _check_kind(name: str, value: object, kind: type[Any], remedy: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(f"{name} is {value!r}; {remedy}")
