"""What a client is made with, checked before anything is opened."""

import os
from typing import Any, Literal

import attrs
from attrs import validators

from ._errors import InvalidRequest
from ._events import Observer
from ._http import AsyncClient
from ._polling import PollPolicy
from ._submit import SubmitPolicy
from ._validators import above_zero, check_above_zero, count
from .journal import Journal, MemoryJournal, SqliteJournal, TranslatedJournal
from .providers import Provider

OnDoubt = Literal["hold", "resubmit"]
AnyJournal = Journal | str | os.PathLike[str] | None
Field = attrs.Attribute


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


def _checked_journal(journal: AnyJournal) -> Journal:
    return TranslatedJournal(as_journal(journal))


def _usual_poll(poll: PollPolicy | None) -> PollPolicy:
    return PollPolicy() if poll is None else poll


def _provider(_: object, _field: "Field[Any]", value: object) -> None:
    if isinstance(value, type) or not isinstance(value, Provider):
        raise InvalidRequest(
            f"{value!r} is no provider; give one, such as UdioApiV2(api_key='...')"
        )


def _poll(_: object, field: "Field[Any]", value: object) -> None:
    if not isinstance(value, PollPolicy):
        raise InvalidRequest(f"{field.name} is {value!r}; give PollPolicy(...)")


def _on_doubt(_: object, field: "Field[Any]", value: object) -> None:
    if value not in ("hold", "resubmit"):
        raise InvalidRequest(f"{field.name} is {value!r}; known: 'hold', 'resubmit'")


def _credits(options: "Options", field: "Field[Any]", value: float) -> None:
    check_above_zero(field.name, value)
    if options.provider.traits.credits_per_request is None:
        raise InvalidRequest(
            f"{options.provider.name} states no price, so max_credits={value!r} cannot be kept; "
            "give max_submits"
        )


def _http_client(_: object, field: "Field[Any]", value: object) -> None:
    if not isinstance(value, AsyncClient):
        raise InvalidRequest(f"{field.name} is {value!r}; give an httpx.AsyncClient")


def _observer(_: object, field: "Field[Any]", value: object) -> None:
    if not callable(value):
        raise InvalidRequest(f"{field.name} is {value!r}; give a function that takes an Event")


@attrs.frozen(kw_only=True)
class Options:
    """What a client is made with; `Client` says what each of them means.

    Raises:
        InvalidRequest: one of them cannot be; the message names it, its value and the remedy.
    """

    provider: Provider = attrs.field(validator=_provider)
    journal: Journal = attrs.field(converter=_checked_journal)
    max_active: int | None = attrs.field(validator=validators.optional(count))
    submit_concurrency: int = attrs.field(validator=count)
    poll: PollPolicy = attrs.field(converter=_usual_poll, validator=_poll)
    requests_per_second: float | None = attrs.field(validator=validators.optional(above_zero))
    on_doubt: OnDoubt = attrs.field(validator=_on_doubt)
    max_in_doubt: int = attrs.field(validator=count)
    max_submits: int | None = attrs.field(validator=validators.optional(count))
    max_credits: float | None = attrs.field(validator=validators.optional(_credits))
    http_client: AsyncClient | None = attrs.field(validator=validators.optional(_http_client))
    trust_env: bool
    on_event: Observer | None = attrs.field(validator=validators.optional(_observer))

    @property
    def submits(self) -> SubmitPolicy:
        """What the client may spend."""
        return SubmitPolicy(
            concurrency=self.submit_concurrency,
            max_in_doubt=self.max_in_doubt,
            max_submits=self.max_submits,
            max_credits=self.max_credits,
            price=self.provider.traits.credits_per_request,
        )
