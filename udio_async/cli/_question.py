"""Something asked of a service or of a journal, which Ctrl-C ends in good order."""

import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import click
from anyio.abc import TaskStatus

from .. import _interrupt
from .._tasks import open_tasks

T = TypeVar("T")


def ask(question: Callable[[], Awaitable[T]], *, backend: str) -> T:
    """Run the question on an event loop of its own, and return the answer.

    Raises:
        click.Abort: there was a Ctrl-C, which has been told.
    """
    answers: list[T] = []
    anyio.run(_ask, question, answers, backend=backend)
    if not answers:
        _interrupt.tell()
        raise click.Abort
    return answers[0]


async def _ask(question: Callable[[], Awaitable[T]], answers: list[T]) -> None:
    # An exception out of nowhere, as Ctrl-C is one, would tear a client apart that is closing.
    async with open_tasks() as tasks:
        with anyio.CancelScope() as scope:
            await tasks.start(_watch, scope)
            answers.append(await question())
        tasks.cancel_scope.cancel()


async def _watch(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    """Cancel the scope at the first Ctrl-C, and leave at once at the second."""
    try:
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            task_status.started()
            async for _ in signals:
                if scope.cancel_called:
                    os._exit(_interrupt.tell())
                scope.cancel()
    except NotImplementedError:  # Windows: there Ctrl-C raises KeyboardInterrupt
        task_status.started()
