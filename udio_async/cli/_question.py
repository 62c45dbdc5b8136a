"""Something asked of a service or of a journal, from which Ctrl-C leaves at once."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from .. import _interrupt

T = TypeVar("T")


def ask(question: Callable[[], Awaitable[T]], *, backend: str) -> T:
    """Run the question on an event loop of its own, and return the answer.

    It costs nothing, and a journal outlives any end, so nothing is waited for at Ctrl-C.
    """
    _interrupt.begin()
    try:
        return anyio.run(question, backend=backend)
    finally:
        _interrupt.end()
