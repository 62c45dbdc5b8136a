"""The services that make songs, behind one protocol.

One module per service: `udioapi_v1`, `udioapi_v2`, `apiframe`. What they share: `base` is the
protocol and its checks, `calls` sends, `wire`, `replies` and `ids` read an answer, `rules` and
`verdicts` decide what it means for the money, and `words` and `songs` say what it tells of a task.
An adapter keeps no connection and no state: it may be used by several clients, on several event
loops.
"""

from collections.abc import Mapping
from typing import Literal, overload

import attrs

from .._errors import InvalidRequest
from .._records import PartialRequest, SongRequest
from ..journal import Entry
from .apiframe import APIFRAME_TRAITS, Apiframe, ApiframeOptions
from .base import CallbackKind, Provider, Traits, account_of, names_own_callback
from .rules import Rule
from .udioapi import UdioApiOptions
from .udioapi_v1 import UDIOAPI_V1_LEGACY_TRAITS, UDIOAPI_V1_TRAITS, UdioApiV1
from .udioapi_v2 import UDIOAPI_V2_TRAITS, UdioApiV2

__all__ = [
    "APIFRAME_TRAITS",
    "PROVIDERS",
    "UDIOAPI_V1_LEGACY_TRAITS",
    "UDIOAPI_V1_TRAITS",
    "UDIOAPI_V2_TRAITS",
    "Apiframe",
    "ApiframeOptions",
    "CallbackKind",
    "Provider",
    "Rule",
    "Traits",
    "UdioApiOptions",
    "UdioApiV1",
    "UdioApiV2",
    "account_of",
    "names_own_callback",
    "provider_named",
    "readable_request_of",
    "request_of",
]

AnyProvider = type[UdioApiV1] | type[UdioApiV2] | type[Apiframe]
"""The class of a provider of this library."""
PROVIDERS: Mapping[str, AnyProvider] = {
    UdioApiV1.name: UdioApiV1,
    UdioApiV2.name: UdioApiV2,
    Apiframe.name: Apiframe,
}
"""Every provider by the name that journals, errors and the CLI use."""


@overload
def provider_named(name: Literal["udioapi-v1"]) -> type[UdioApiV1]: ...
@overload
def provider_named(name: Literal["udioapi-v2"]) -> type[UdioApiV2]: ...
@overload
def provider_named(name: Literal["apiframe"]) -> type[Apiframe]: ...
@overload
def provider_named(name: str) -> AnyProvider: ...
def provider_named(name: str) -> AnyProvider:
    """Return the class of a provider, found by name.

    `name` is "udioapi-v1", "udioapi-v2" or "apiframe". What comes back is the class: call it to get
    a provider, with `api_key=...` or with the key in the environment.

    Raises:
        InvalidRequest: there is no provider of that name; the message lists all that there are.
    """
    try:
        return PROVIDERS[name]
    except KeyError:
        known = ", ".join(PROVIDERS)
        raise InvalidRequest(f"No such provider {name!r}; known: {known}") from None


def request_of(entry: Entry, *, provider: Provider | None = None) -> SongRequest:
    """Return the request of a job in a journal, with its key.

    Submitted once more, it continues that job and pays for nothing. No client and no API key is
    needed.

    Args:
        entry: what a journal gave, by `get` or in a list.
        provider: the job's provider, if it is not one of this library.

    Raises:
        InvalidRequest: there is no such provider, or the job was written by a version that knows
            more.
    """
    if provider is None:
        provider = provider_named(entry.provider)(api_key="asked-for-its-traits-only")
    request = SongRequest.from_json(entry.request, provider.traits.options)
    return attrs.evolve(request, key=entry.key)


def readable_request_of(entry: Entry, *, provider: Provider) -> SongRequest:
    """Return the request of a job, or what can be read of it: nobody may lose its songs for that.

    What was not read whole is not submitted either; it says why.
    """
    try:
        return request_of(entry, provider=provider)
    except InvalidRequest as error:
        why = InvalidRequest(
            f"the request of job {entry.key!r} is not understood, and was not submitted: {error}; "
            "the program or the version that has kept it can submit it",
            provider=entry.provider,
            job_key=entry.key,
        )
        return PartialRequest.of(entry.request, why, key=entry.key)
