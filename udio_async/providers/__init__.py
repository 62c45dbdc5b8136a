"""The services that make songs, behind one protocol."""

from collections.abc import Mapping
from typing import Any

from .._errors import InvalidRequest
from .apiframe import APIFRAME_TRAITS, Apiframe, ApiframeOptions
from .base import CallbackKind, Provider, Traits, names_own_callback
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
    "names_own_callback",
    "provider_named",
]

PROVIDERS: Mapping[str, type[Any]] = {
    UdioApiV1.name: UdioApiV1,
    UdioApiV2.name: UdioApiV2,
    Apiframe.name: Apiframe,
}
"""Every provider by the name that journals, errors and the CLI use."""


def provider_named(name: str) -> type[Any]:
    """Return the class of a provider.

    Raises:
        InvalidRequest: there is none of that name; the message lists those there are.
    """
    try:
        return PROVIDERS[name]
    except KeyError:
        known = ", ".join(PROVIDERS)
        raise InvalidRequest(f"No such provider {name!r}; known: {known}") from None
