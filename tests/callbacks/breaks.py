"""Ways to break what keeps forgeries out and callbacks kept, for the controls."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import anyio
from anyio.abc import TaskGroup

from udio_async._records import CallbackAddress
from udio_async.callbacks import addresses as addresses_room
from udio_async.callbacks import handler
from udio_async.callbacks.addresses import Addresses
from udio_async.providers import apiframe


@contextmanager
def proof_unchecked() -> Generator[None]:
    """Look at the first half of a token only."""
    mark = addresses_room._mark

    async def find(addresses: Addresses, token: str) -> CallbackAddress:
        return addresses._address((await addresses._known_secrets())[0], token[:32])

    with (
        patch.object(Addresses, "find", find),
        patch.object(addresses_room, "_mark", lambda token: mark(token[:32])),
    ):
        yield


@contextmanager
def secret_unchecked() -> Generator[None]:
    """Take any secret for the right one."""
    with patch.object(apiframe, "hmac", SimpleNamespace(compare_digest=lambda *_: True)):
        yield


@contextmanager
def acknowledged_early() -> Generator[None]:
    """Answer 200 while what was said is still to be kept."""

    async def owned(tasks: TaskGroup, func: Callable[..., Awaitable[None]], *args: Any) -> None:  # noqa: ANN401  # they are passed on
        async def keep_later() -> None:
            await anyio.sleep(0.05)
            await func(*args)

        tasks.start_soon(keep_later)

    with patch.object(handler, "owned", owned):
        yield
