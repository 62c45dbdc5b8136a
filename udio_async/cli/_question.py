"""Questions to a service or a journal, which Ctrl-C may end at once."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from .. import _interrupt

T = TypeVar("T")


def ask(question: Callable[[], Awaitable[T]], *, backend: str) -> T:
    """Run the question on an event loop of its own, and return the answer.

    A question costs nothing, and a journal survives any end, so Ctrl-C waits for nothing.
    """
    _interrupt.begin()
    try:
        return anyio.run(question, backend=backend)
    finally:
        _interrupt.end()
