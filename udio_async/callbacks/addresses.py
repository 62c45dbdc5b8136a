"""Callback addresses: one for each submit, which nobody can guess.

The last part of an address is made of the job and the attempt with a secret that the journal keeps,
and proves by itself that we made it: a stranger's costs one hash to refuse, and no look into the
journal. The journal has only a hash of each, so whoever reads it cannot call.
"""

import hashlib
import hmac
import json
import re
import secrets

import anyio

from .._errors import InvalidRequest
from .._records import CallbackAddress
from .._urls import check_callback_url
from ..journal import Journal, read_note, texts_in
from ..providers import Provider

_SECRETS = "callback secrets"
_KEPT = 2
"""Secrets whose addresses are answered: the one in use, and the one before."""
_PART = 32
"""Hexadecimal digits of each half of the token: 128 bits."""
_TOKEN = re.compile(rf"[0-9a-f]{{{2 * _PART}}}")


class Addresses:
    """Gives out callback addresses below a public URL, and recognises them."""

    def __init__(self, journal: Journal, public_url: str | None) -> None:
        self.public_url = public_url
        """Where callbacks come in; None while they are not taken."""
        self._journal = journal
        self._secrets: list[str] = []
        self._lock = anyio.Lock()

    async def give(self, key: str, attempt: int) -> CallbackAddress | None:
        """Return the address for this attempt of a job, once the journal knows it.

        None while callbacks are not taken.

        Raises:
            JournalError: it cannot be kept.
        """
        if self.public_url is None:
            return None
        secret = (await self._known_secrets())[0]
        address = self._address(secret, _mac(secret, "address", f"{attempt} {key}")[:_PART])
        mark = _mark(address.url.rpartition("/")[2])
        await self._journal.note(f"attempt {mark}", f"{attempt} {key}")
        return address

    async def find(self, token: str) -> CallbackAddress | None:
        """Return the address that ends with this token, or None.

        Nothing but the token is looked at, in the same time for every stranger.
        """
        if not _TOKEN.fullmatch(token):
            return None
        number, proof = token[:_PART], token[_PART:]
        found = None
        for secret in await self._known_secrets():  # all of them: it shall take equally long
            if hmac.compare_digest(_proof(secret, number), proof):
                found = self._address(secret, number)
        return found

    async def job(self, token: str) -> tuple[str, int | None] | None:
        """Return the key and the attempt that this address was given to.

        None if the journal does not know it. The attempt is None for addresses of an earlier
        version.
        """
        mark = _mark(token)
        job = await read_note(self._journal, f"attempt {mark}", _key_and_attempt)
        if job is not None:
            return job
        key_alone = await self._journal.noted(mark)  # of an earlier version
        return None if key_alone is None else (key_alone, None)

    async def rotate(self) -> None:
        """Use a new secret from now on.

        Addresses of the secret before are still answered, until the next call.

        Raises:
            JournalError: it cannot be kept.
        """
        async with self._lock:
            await self._rotate()

    async def _rotate(self) -> None:
        known = [secrets.token_hex(), *self._secrets][:_KEPT]
        await self._journal.note(_SECRETS, json.dumps(known))
        self._secrets = known

    async def _known_secrets(self) -> list[str]:
        """Return the secrets whose addresses count, the newest first."""
        async with self._lock:  # several may ask for the first one
            if not self._secrets:
                self._secrets = await read_note(self._journal, _SECRETS, _secrets_in) or []
            if not self._secrets:
                await self._rotate()
            return self._secrets

    def _address(self, secret: str, number: str) -> CallbackAddress:
        """Return the address of this number."""
        return CallbackAddress(
            url=f"{(self.public_url or '').rstrip('/')}/{number}{_proof(secret, number)}",
            secret=_mac(secret, "secret", number),
        )


def check_public_url(url: str, *, provider: Provider, allow_private: bool) -> None:
    """Refuse an address below which no callback could come in.

    Raises:
        InvalidRequest: the provider cannot call it, or it has a query or a fragment.
    """
    if provider.traits.callbacks == "none":
        raise InvalidRequest(
            f"{provider.name} has no callbacks: leave client.callbacks() out (the client asks by "
            "itself), or use UdioApiV1 or Apiframe"
        )
    check_callback_url(url, allow_private=allow_private)
    if set(url) & set("?#"):
        raise InvalidRequest(f"callback address {url!r} has a query or a fragment; leave it out")


def _key_and_attempt(text: str) -> tuple[str, int]:
    """Read whose address it is: "2 rain-1" is the second attempt of the job "rain-1"."""
    attempt, _, key = text.partition(" ")
    return key, int(attempt)


def _secrets_in(text: str) -> list[str]:
    """Read secrets, which are hexadecimal digits.

    Raises:
        ValueError: there are others, with which no address could be made.
    """
    return [bytes.fromhex(secret).hex() for secret in texts_in(text)]


def _mac(secret: str, purpose: str, text: str) -> str:
    """Return the HMAC-SHA256 of a text for one purpose, as hexadecimal digits."""
    return hmac.new(bytes.fromhex(secret), f"{purpose} {text}".encode(), hashlib.sha256).hexdigest()


def _proof(secret: str, number: str) -> str:
    """Return the half of a token that proves the other half."""
    return _mac(secret, "proof", number)[:_PART]


def _mark(token: str) -> str:
    """Return the name under which the journal keeps an address.

    It is a hash: whoever reads the journal cannot call the address.
    """
    return f"callback {hashlib.sha256(token.encode()).hexdigest()}"
