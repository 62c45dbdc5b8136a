"""A client for a command: what cannot be opened is told in one line, before anything is sent."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from .._client import Client
from .._errors import InvalidRequest, JournalError
from ._failures import BadInput
from ._service import Service


@asynccontextmanager
async def open_client(
    service: Service,
    **options: Any,  # noqa: ANN401 - checked by the client
) -> AsyncGenerator[Client]:
    """Open a client of this service.

    Raises:
        BadInput: the limits cannot be kept, or the journal is in use, damaged or not ours.
    """
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(service.open())
        try:
            client = await stack.enter_async_context(Client(provider, **options))
        except (InvalidRequest, JournalError) as error:
            raise BadInput(str(error)) from error
        yield client
