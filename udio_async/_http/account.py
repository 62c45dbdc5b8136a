"""The account: the address that requests go to, and the key that goes with them.

Nothing else in the library knows the key.
"""

import functools
import hashlib
import os
import re
from typing import NoReturn, Self

import attrs
import httpx

from .._errors import AuthenticationFailed, InvalidRequest
from .._urls import is_loopback, split_url

_BASE_URL = re.compile(r"https?://(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?(/[\w.~-]+)*", re.ASCII)
_SCHEME = re.compile(r"[\w-]*", re.ASCII)
_FLAWS = (
    (r"\A\Z", "is empty"),
    (r"\A(?i:bearer)\s", "begins with 'Bearer', which is put before it anyway"),
    (r"[\r\n]\Z", "ends in a line break"),
    (r"[\r\n]", "contains a line break"),
    (r"\s", "contains a space"),
    (r"[\"'`\u2018\u2019\u201c\u201d]", "contains a quotation mark"),
    (r"[^\x00-\x7f]", "contains a character outside ASCII"),
    (r"[\x00-\x1f\x7f]", "contains a control character"),
)
"""What a key never has, and the words for that; only the first that fits is told."""


class ApiKey:
    """A secret that never shows itself.

    It is not in repr, str, logs, pickles or tracebacks.

        provider = UdioApiV2(api_key=ApiKey("..."))
        print(provider.api_key)  # ApiKey('***')

    Raises:
        AuthenticationFailed: for a value that cannot be a key, say with a space or a quotation mark
            in it. The message never shows it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        flaw = _flaw(value)
        self._value = value
        del value  # a traceback with locals shows what this frame still holds
        if flaw:
            self._value = ""
            raise AuthenticationFailed(f"the API key {flaw}; copy it again from your account page")

    @classmethod
    def from_env(cls, name: str) -> Self:
        """Read the key from the environment variable `name`.

        Raises:
            AuthenticationFailed: it is not set, or cannot be a key. The message has the variable's
                name and the remedy.
        """
        if name not in os.environ:
            raise AuthenticationFailed(
                f"no API key: the environment variable {name} is not set; set it, or pass api_key="
            )
        flaw = _flaw(os.environ[name])
        if flaw:
            raise AuthenticationFailed(
                f"the API key in the environment variable {name} {flaw}; "
                f"set the environment variable {name} to the key alone, or pass api_key="
            )
        return cls(os.environ[name])

    def reveal(self) -> str:
        """Return the key itself. Only for the request that carries it."""
        return self._value

    def fingerprint(self) -> str:
        """Return a hash that tells one key from another.

        It is SHA-256, as hexadecimal digits. The key cannot be found from it.
        """
        return hashlib.sha256(self._value.encode()).hexdigest()

    def __repr__(self) -> str:
        return "ApiKey('***')"

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, ApiKey) else NotImplemented

    def __hash__(self) -> int:
        return hash((ApiKey, self._value))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an API key is never pickled; read it again where it is needed")


def _flaw(value: object) -> str:
    """Return why a value cannot be a key, without showing it; "" if it can."""
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not text"
    return next((flaw for pattern, flaw in _FLAWS if re.search(pattern, value)), "")


def _base_url(value: str) -> str:
    scheme, colon, rest = str(value).rstrip("/").partition(":")
    return f"{scheme.lower()}{colon}{rest}"


def _check_base_url(_: object, __: "attrs.Attribute[str]", value: str) -> None:
    flaw = _flaw_of_base_url(value)
    if flaw is not None:
        raise InvalidRequest(f"base_url {flaw}")


@functools.lru_cache(maxsize=64)
def _flaw_of_base_url(value: str) -> str | None:
    """Say why the key must not go there. Cached: adapters make an account for each request."""
    if "@" in value:
        return "holds a user name, not shown here; leave it out"
    if not _BASE_URL.fullmatch(value) or ".." in value:
        return (
            f"{value!r} is no plain address; give scheme, host and path only, "
            "as in 'https://host/path'"
        )
    parts = split_url(value)
    if parts is None or not _is_url(value):
        return f"{value!r} is no address; give one like 'https://host/path'"
    if parts.port == 0:  # httpx would take it for none, and call another one
        return f"{value!r} has port 0, which no server has; give its own, or leave it out"
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        return f"{value!r} would send the key in the clear; use https (http is for loopback)"
    return None


def _is_url(value: str) -> bool:
    """Return whether httpx can send a request there: it knows that 256.1.1.1 is no host."""
    try:
        httpx.URL(value)
    except httpx.InvalidURL:
        return False
    return True


def _check_scheme(_: object, __: "attrs.Attribute[str]", value: str) -> None:
    if not _SCHEME.fullmatch(value):
        raise InvalidRequest(f"scheme {value!r} is no single word; use 'Bearer' or ''")


def _check_key(_: object, __: "attrs.Attribute[ApiKey]", value: object) -> None:
    if not isinstance(value, ApiKey):
        raise InvalidRequest(f"key is {type(value).__name__}, which would show it; use ApiKey(...)")


@attrs.frozen(kw_only=True)
class Account:
    """The address of a provider, and the key that tells it who is asking.

    The key goes to this address and to no other: not where a redirect leads, not to links of songs.

        account = Account(base_url="https://udioapi.pro", key=ApiKey("..."))

    Raises:
        InvalidRequest: `base_url` is not https (or http on loopback), or holds more than scheme,
            host, port and path.
    """

    base_url: str = attrs.field(converter=_base_url, validator=_check_base_url)
    key: ApiKey = attrs.field(validator=_check_key)
    scheme: str = attrs.field(default="Bearer", validator=_check_scheme)
    """The word before the key in `Authorization`; empty for the bare key."""
    body_field: str | None = None
    """Also put the key into the JSON body under this name (udioapi v1, older generation)."""
