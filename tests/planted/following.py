"""Bugs of what comes after the submit: looks, callbacks, and the songs of others."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from tests.callbacks import breaks
from tests.planted.table import caught_by, replaced
from udio_async import AccountError, Task
from udio_async._concurrency import _Promise
from udio_async._polling import Poller, TrackedTask
from udio_async._polling.agenda import Agenda
from udio_async._polling.judgement import refusal
from udio_async._polling.look_results import LookResults
from udio_async._polling.reachability import Reachability
from udio_async.callbacks.addresses import Addresses

Bug = AbstractContextManager[object]

caught_by("tests/test_callbacks.py::test_what_cannot_be_kept_is_not_acknowledged")(
    breaks.acknowledged_early
)
caught_by("tests/test_callbacks.py::test_forged_callbacks_change_nothing")(breaks.proof_unchecked)
caught_by("tests/providers/test_apiframe.py::test_a_webhook_with_another_secret_is_a_forgery")(
    breaks.secret_unchecked
)


@caught_by("tests/test_callbacks.py::test_secrets_can_be_rotated")
def a_rotated_secret_counts_for_ever() -> Bug:
    """An address that has leaked cannot be taken back."""
    rotate = Addresses.rotate

    async def kept(self: Addresses) -> None:
        before = list(self._secrets)
        await rotate(self)
        self._secrets += [secret for secret in before if secret not in self._secrets]

    return replaced(Addresses, "rotate", kept)


@caught_by("tests/test_delivered.py::test_a_refusal_that_passes_is_no_end")
def one_refusal_is_believed() -> Bug:
    """The first 401 of a look ends the wait."""

    def refused(
        self: LookResults, batch: list[TrackedTask], error: AccountError, _: float
    ) -> float:
        for tracked in batch:
            self.registry.finish(tracked, refusal(tracked, error))
        return 0.0

    return replaced(LookResults, "refused", refused)


@caught_by("tests/test_poller.py::test_an_outage_costs_few_looks_no_song_and_ends_without_a_burst")
def each_song_retries_by_itself() -> Bug:
    """A provider that is down gets a retry for every song: a storm."""
    return replaced(Reachability, "failed", lambda *_: 0.0)


@caught_by("tests/test_poller.py::test_a_blocked_loop_is_not_followed_by_a_burst")
def what_is_late_leaves_at_once() -> Bug:
    """All looks that piled up are made together."""
    return replaced(Agenda, "spread", lambda *_, **__: None)


@caught_by("tests/test_poller.py::test_a_slow_provider_is_shared_fairly")
def late_songs_starve() -> Bug:
    """The songs that came first are always looked at before the others."""
    put, numbers = Agenda.put, count()
    seen: dict[int, int] = {}

    def by_number(self: Agenda, task: TrackedTask, due: float) -> bool:
        number = seen.setdefault(id(task), next(numbers))
        return put(self, task, due + 10.0 * number)

    return replaced(Agenda, "put", by_number)


@caught_by("tests/test_poller.py::test_answers_are_matched_by_id_in_any_order")
def answers_are_matched_by_place() -> Bug:
    """The first answer is taken for that of the first song that was asked about."""
    ask = Poller._ask

    async def by_place(self: Poller, batch: list[TrackedTask]) -> dict[str, Task]:
        tasks = await ask(self, batch)
        return dict(zip((tracked.task_id for tracked in batch), tasks.values(), strict=False))

    return replaced(Poller, "_ask", by_place)


@caught_by("tests/test_poller.py::test_an_outage_does_not_count_as_waiting")
def an_outage_counts_as_waiting() -> Bug:
    """Songs are given up while nobody could ask about them."""
    return replaced(Reachability, "away", lambda *_: 0.0)


@caught_by("tests/test_concurrency.py::test_its_error_reaches_the_waiter_and_nobody_else")
def one_failure_cancels_the_others() -> Bug:
    """The error of one song ends the task group of all."""

    async def keep(self: "_Promise[Any]", func: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401
        try:
            self.value.append(await func(*args))
        finally:
            self.done.set()

    return replaced(_Promise, "keep", keep)
