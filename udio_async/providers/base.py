"""The protocol of a provider, and checks that all share.

A provider turns a `SongRequest` into one HTTP call, and answers into `Task` and `Song`. It does not
decide when to wait, what to repeat or what may be spent: the client does, by the error's class and
by `Traits`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

import attrs

from .._concurrency import foreign_cancellation_as
from .._errors import InvalidRequest, Unreachable, UnsupportedOption
from .._http import Account, ApiKey, Http
from .._records import (
    CallbackAddress,
    CallbackNews,
    Credits,
    ProviderOptions,
    SongRequest,
    Task,
)

CallbackKind = Literal["none", "songs", "task"]


@attrs.frozen(kw_only=True)
class Traits:
    """Facts that set one provider apart from another.

    The client reads them to decide what it may send and how often it looks. All durations are
    seconds. A copy with other numbers serves a white-label host that differs:

        traits = attrs.evolve(UdioApiV2(api_key="...").traits, min_interval=10.0)
        provider = UdioApiV2(api_key="...", traits=traits)
    """

    fields: frozenset[str]
    """The fields of `SongRequest` that it can express."""
    options: type[ProviderOptions]
    """The class that `SongRequest.options` may be."""
    default_model: str
    models: tuple[str, ...] = ()
    """The documented models. Others are sent as they are: the provider decides."""
    callbacks: CallbackKind = "none"
    """What its callback says: nothing, the songs only, or the task with its id."""
    max_ids_per_look: int = 1
    """How many tasks one `fetch` may ask about."""
    min_interval: float = 5.0
    """Seconds between two looks at one task: the provider's documented advice."""
    typical_duration: float = 60.0
    """Seconds that a song usually takes: a first guess, until finished songs have shown more."""
    settle: float = 30.0
    """Seconds to wait for the audio of a task that says "done", before it is taken without."""
    songs_per_request: int = 1
    """How many songs one request usually makes. A task that ends with fewer is looked at for two
    `min_interval` more, because the others may be listed later."""
    credits_per_request: float | None = None
    """What one request costs, where it is known."""
    speed: float = 1.0
    """How much faster than the real service this one makes songs: more than 1 is a sandbox. The
    durations above are those of the sandbox: they are divided already."""

    def hastened(self, speed: float) -> Self:
        """Return the traits of this service run `speed` times as fast.

        The sandbox uses it: its songs take seconds where the real ones take a minute, so looks and
        waits shrink alike. Applied twice, the last speed counts.
        """
        factor = speed / self.speed
        return attrs.evolve(
            self,
            min_interval=self.min_interval / factor,
            typical_duration=self.typical_duration / factor,
            settle=self.settle / factor,
            speed=speed,
        )


@runtime_checkable
class Provider(Protocol):
    """A song generation service.

    An implementation is a frozen value that holds no connection, so that one may serve several
    clients and event loops: the HTTP client is handed in at each call. Every method may be called
    at the same time as any other. Only `submit` costs anything.

    The tests that every provider has to pass are in `udio_async.testing`; how to write one is in
    docs/adding-a-provider.md.
    """

    @property
    def name(self) -> str:
        """The name that journals, errors and the CLI use: "udioapi-v2".

        It must never change: journals find their jobs by it.
        """
        ...

    @property
    def traits(self) -> Traits:
        """What this provider can do, and how often to look."""
        ...

    def account(self) -> Account:
        """Return the address of the service and the key."""
        ...

    def check(self, request: SongRequest) -> None:
        """Refuse a request that this provider would refuse or cannot express.

        It sends nothing and costs nothing. The client calls it before it keeps a request or pays
        for it; what passes here may still be refused by the provider.

        Raises:
            InvalidRequest: a documented rule is broken; change the request.
            UnsupportedOption: the provider has no such feature; leave it out, or use another
                provider.
        """
        ...

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        """Ask for the request's songs, once, and return the task's id.

        This is the one call that costs credits. It must send at most one HTTP request and must
        never repeat it. The client calls it in a task of its own, after the intent is in the
        journal.

        Args:
            http: what sends the call.
            request: what is asked for; it has passed `check`.
            callback: where the provider is to report, if the client takes callbacks.

        Returns:
            The id as the provider wrote it. It is opaque: a number becomes its digits.

        Raises:
            RequestError, AccountError, ProviderUnavailable: nothing was taken, nothing was paid.
            SubmitInDoubt: it may have been taken and paid for. It must not be sent again before
                somebody has looked at the account.
        """
        ...

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        """Look at up to `traits.max_ids_per_look` tasks.

        Free, and safe to repeat.

        Returns:
            One `Task` for each id that the provider showed, in any order. Ids that it does not show
            are missing, and so are those of tasks that cannot be read, where others can.

        Raises:
            ProviderUnavailable: this look failed, which says nothing about the songs; look again.
            AccountError: no look will succeed until the key or the account is put right.
            RequestRefused: the provider does not know the task, or one of them.
        """
        ...

    async def credits(self, http: Http) -> Credits:
        """Return what the account has left, in the provider's credits.

        Free, and safe to repeat.

        Raises:
            ProviderUnavailable: no usable answer came; ask again.
            AccountError: the key is wrong or may not ask.
        """
        ...

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        """Read what was posted to an address that the client gave out.

        It sends nothing and trusts nothing: the address is known to be the client's, the body may
        come from anybody.

        Args:
            headers: names in lower case, with the last value of each.
            body: the bytes as they came, without gzip.
            address: the address that was called, with its secret.

        Raises:
            CallbackRejected: it does not show the address's secret (`forged` is true), or cannot be
                read.
        """
        ...


def account_of(provider: Provider) -> str:
    """Return the name under which a journal keeps an account.

    It is the provider's name and a fingerprint of the key, which tells nothing of the key itself.
    The same key gives the same name in every run.
    """
    return f"{provider.name} {provider.account().key.fingerprint()}"


# What adapters share -------------------------------------------------------------------------


def names_own_callback(request: SongRequest) -> bool:
    """Return whether the request says itself where results are to be posted.

    The client then gives it no address of its own. Looked for are `callback_url` and `webhook_url`,
    in the options and in `extra`.
    """
    names = ("callback_url", "webhook_url")
    return any(getattr(request.options, name, None) or name in request.extra for name in names)


def key_from(value: str | ApiKey | None, variable: str) -> ApiKey:
    """Return the key that was given, or the one in the environment.

    `variable` is the environment variable's name, say "UDIOAPI_API_KEY". It is read only when
    `value` is None.

    Raises:
        AuthenticationFailed: there is neither, or it cannot be a key, say because it holds a space.
    """
    if isinstance(value, ApiKey):
        return value
    return ApiKey.from_env(variable) if value is None else ApiKey(value)


def check_fields(request: SongRequest, traits: Traits, *, provider: str) -> None:
    """Refuse fields that this provider has no place for.

    Otherwise they would be dropped without a word, and the songs would not be what was asked for.
    Fields left at None or false count as not given.

    Raises:
        UnsupportedOption: a field is not in `traits.fields`, or the options are another provider's.
        InvalidRequest: `extra` cannot be sent as JSON.
    """
    names = (field.name for field in attrs.fields(SongRequest))
    given = [name for name in names if name not in _EVERYWHERE and getattr(request, name)]
    for name in given:
        if name not in traits.fields:
            raise UnsupportedOption(
                f"{provider} has no {name}; leave it out, or send the provider's own field "
                "through extra",
                provider=provider,
            )
    if request.options is not None and not isinstance(request.options, traits.options):
        raise UnsupportedOption(
            f"{provider} takes {traits.options.__name__}, not {type(request.options).__name__}",
            provider=provider,
        )
    _check_extra(request.extra)


async def look_at(provider: Provider, http: Http, task_ids: Sequence[str]) -> dict[str, Task]:
    """Look at tasks with an adapter that may not be of this library; return them by their ids.

    Raises:
        Unreachable: the adapter awaited something that was cancelled.
        Exception: whatever the adapter raised.
    """
    with foreign_cancellation_as(Unreachable):
        return {task.id: task for task in await provider.fetch(http, task_ids)}


_EVERYWHERE = frozenset({"options", "extra", "model", "key"})


def _check_extra(extra: Mapping[str, Any]) -> None:
    """Refuse what JSON cannot hold: NaN, sets, a list within itself, halves of characters."""
    try:
        json.dumps(dict(extra), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"extra cannot be sent as JSON: {error}") from error


def check_options(
    options: ProviderOptions | None, unknown: Collection[str], *, provider: str, remedy: str
) -> None:
    """Refuse options that are set although the endpoint has no such field.

    `unknown` names those options; `remedy` ends the message, and says what to use instead.

    Raises:
        UnsupportedOption: at least one of them is set; the message names all of them.
    """
    given = [name for name in sorted(unknown) if getattr(options, name, None) is not None]
    if given:
        raise UnsupportedOption(
            f"{provider} has no {', '.join(given)}; {remedy}", provider=provider
        )
