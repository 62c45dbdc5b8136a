"""The address of the service that a journal was made with.

A journal belongs to one API key, but the same key may be used at several addresses: at the real
service, at a gateway, at a sandbox server. To send to another one by mistake would show it the key,
and pay a second time.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from .. import JournalError, SqliteJournal
from ..journal import read_note
from ..providers.kit import is_local_url
from ._hints import current_hints, placeholders

ADDRESS = "base URL"
"""The journal's note of the address. A journal of a program, or of an earlier version, has none."""
_PORTS = {"https": 443, "http": 80}


class AnotherAddress(JournalError):
    """The journal was made with a service at another address, and nothing was sent."""


class AddressedJournal(SqliteJournal):
    """A journal that is opened for the service at one address only.

    Args:
        path: the file.
        base_url: where everything would be sent.
        notes: note the address if the journal has none. Only runs that submit do: a wrong address
            that another command was given would refuse the right one later.
        moved: the service of this journal is at this address from now on.
    """

    def __init__(
        self, path: Path, base_url: str, *, notes: bool = False, moved: bool = False
    ) -> None:
        super().__init__(path)
        self._base_url = base_url
        self._notes = notes
        self._moved = moved

    @asynccontextmanager
    async def open(
        self, account: str, *, confirm: Callable[[], Awaitable[bool]] | None = None
    ) -> AsyncGenerator[None]:
        """Open it, if it is of this address.

        Raises:
            AnotherAddress: it was made with another one.
            JournalError: as a `SqliteJournal` does.
        """

        async def confirm_here() -> bool:
            await self._check()  # before the key is shown to anybody
            return confirm is not None and await confirm()

        async with super().open(account, confirm=confirm_here):
            known = await self._check()
            if self._moved or (self._notes and known is None):
                await self.note(ADDRESS, self._base_url)
            yield

    async def _check(self) -> str | None:
        """Return the address that is noted.

        Raises:
            AnotherAddress: requests would go to another one.
        """
        known = await read_note(self, ADDRESS, _address)
        if known is None or self._moved or is_same_service(known, self._base_url):
            return known
        hints = current_hints() or placeholders()
        raise AnotherAddress(
            f"{self.path} was made with --base-url {known}, and this would go to "
            f"{self._base_url}; give --base-url {known}, or another --journal; if the service has "
            f"moved, say so once: {hints.rekey}"
        )


def is_same_service(one: str, other: str) -> bool:
    """Return whether two base URLs lead to the same service.

    All addresses of this machine do: a sandbox has another port each time it is started.
    """
    return _parts(one) == _parts(other) or (is_local_url(one) and is_local_url(other))


def _parts(url: str) -> tuple[object, ...]:
    """Return what makes two spellings of one URL the same."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def _address(text: str) -> str:
    """Read the note.

    Raises:
        ValueError: it is not an address.
    """
    _, host, _, _ = _parts(text)
    if not host:
        raise ValueError("no address")
    return text
