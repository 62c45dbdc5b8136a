"""What a provider is: three calls, and what may be said to it."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol, Self, runtime_checkable

import attrs

from .._errors import (
    InvalidRequest,
    UnsupportedOption,
)
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
    """What sets one provider apart from another, as data."""

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
    """Seconds that a song usually takes: where to look first, until we have learned better."""
    settle: float = 30.0
    """Seconds that a task may say "done" without its audio before it is taken as it is."""
    credits_per_song: float | None = None
    """What one request costs, where it is known."""
    notes: Mapping[str, str] = attrs.field(factory=dict)
    """Further rows of the capability table."""
    speed: float = 1.0
    """How much faster than the real service this one makes songs: more than 1 is a sandbox. The
    durations above are its own, so they are divided already."""

    def hastened(self, speed: float) -> Self:
        """Return the traits of the same service as a sandbox of this speed."""
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

    An implementation is a frozen value that holds no connection, so one may serve several
    clients and event loops; the HTTP seam is handed in at each call.
    """

    @property
    def name(self) -> str:
        """The name that journals, the CLI and errors use: "udioapi-v2"."""
        ...

    @property
    def traits(self) -> Traits:
        """What it can do."""
        ...

    def account(self) -> Account:
        """Where it lives, and who is asking."""
        ...

    def check(self, request: SongRequest) -> None:
        """Refuse what this provider would refuse or could not express. Sends nothing.

        Raises:
            InvalidRequest: a documented rule is broken.
            UnsupportedOption: the provider has no such feature.
        """
        ...

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        """Ask for the song, once, and return the task's id.

        Raises:
            RequestError, AccountError, ProviderUnavailable: nothing was taken.
            SubmitInDoubt: it may have been taken.
        """
        ...

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        """Look at up to `traits.max_ids_per_look` tasks. Safe to repeat; ids may be missing.

        Raises:
            ProviderUnavailable: this look failed, which says nothing about the songs.
            AccountError: no look will succeed until the key is mended.
            RequestRefused: the provider does not know the task, or one of them.
        """
        ...

    async def credits(self, http: Http) -> Credits:
        """Return what the account has left."""
        ...

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        """Read what was posted to this address. Header names are in lower case. Sends nothing.

        Raises:
            CallbackRejected: it does not show the address's secret, or cannot be read.
        """
        ...


def account_of(provider: Provider) -> str:
    """Return what a journal knows an account by; it tells nothing of the key."""
    return f"{provider.name} {provider.account().key.fingerprint()}"


# What adapters share -------------------------------------------------------------------------


def names_own_callback(request: SongRequest) -> bool:
    """Return whether the request itself says where the provider has to report."""
    names = ("callback_url", "webhook_url")
    return any(getattr(request.options, name, None) or name in request.extra for name in names)


def key_from(value: str | ApiKey | None, variable: str) -> ApiKey:
    """Return the key that was given, or the one in the environment variable.

    Raises:
        AuthenticationFailed: there is neither, or it cannot be a key.
    """
    if isinstance(value, ApiKey):
        return value
    return ApiKey.from_env(variable) if value is None else ApiKey(value)


def check_fields(request: SongRequest, traits: Traits, *, provider: str) -> None:
    """Refuse what this provider cannot express, so that nothing is dropped in silence.

    Raises:
        UnsupportedOption: a field, or options of another provider.
        InvalidRequest: `extra` that cannot be sent as JSON.
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


_EVERYWHERE = frozenset({"options", "extra", "model", "key"})


def _check_extra(extra: Mapping[str, Any]) -> None:
    try:
        json.dumps(dict(extra), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"extra cannot be sent as JSON: {error}") from error


def check_options(
    options: ProviderOptions | None, unknown: Collection[str], *, provider: str, remedy: str
) -> None:
    """Refuse options that are set although this provider does not know them."""
    given = [name for name in sorted(unknown) if getattr(options, name, None) is not None]
    if given:
        raise UnsupportedOption(
            f"{provider} has no {', '.join(given)}; {remedy}", provider=provider
        )
