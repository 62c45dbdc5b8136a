"""Bugs of the paid step and of what is remembered of it."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import anyio
import attrs

from tests.model import planted
from tests.planted.table import caught_by, replaced
from udio_async import RateLimited, SubmitInDoubt, UdioError
from udio_async._http import Departure, Reply, connection, messages, sender, trail
from udio_async._submit import SubmitGate, Submitter, submitter
from udio_async.journal import Entry, State
from udio_async.journal.attempts import Attempts
from udio_async.journal.sqlite_file import SqliteFile
from udio_async.providers import verdicts, waits
from udio_async.providers.rules import BROKEN, Rule

Bug = AbstractContextManager[object]

caught_by("tests/journal/test_sqlite.py::test_an_intent_that_cannot_be_kept_is_not_sent")(
    planted.the_intent_is_not_kept
)


@caught_by("tests/test_submit.py::test_anything_else_is_never_sent_again")
def a_timed_out_submit_is_retried() -> Bug:
    """As most clients do: any failure of the submit is tried again."""

    def verdict(_: Submitter, error: Exception) -> UdioError:
        return RateLimited(str(error), charged="no")

    return replaced(Submitter, "_verdict", verdict)


@caught_by("tests/test_http.py::test_a_connection_closed_after_accepting_may_have_got_it")
def no_answer_is_not_sent() -> Bug:
    """A request without an answer counts as one that never left."""
    return replaced(trail.Trail, "proves_unsent", lambda *_: True)


@caught_by("tests/test_http.py::test_a_submit_never_meets_a_stale_connection")
def a_submit_takes_a_used_connection() -> Bug:
    """A paid request goes over a connection that may close under it."""
    build = messages.api_request

    def not_paid(call: Any) -> Any:  # noqa: ANN401
        request = build(call)
        request.extensions["paid"] = False
        return request

    return replaced(sender, "api_request", not_paid)


@caught_by(
    "tests/test_connection.py::test_a_paid_request_takes_a_connection_that_was_used_a_moment_ago"
)
def a_submit_takes_a_cold_connection() -> Bug:
    """A paid request goes over a connection whose server may be tired of waiting."""
    return replaced(connection.Connection, "is_warm", lambda _: True)


@caught_by("tests/test_connection.py::test_what_came_behind_an_answer_is_seen_through_tls")
def a_connection_is_asked_only_at_its_socket() -> Bug:
    """What TLS has taken from the socket already is left to the next request."""
    return replaced(connection.Connection, "_has_unread", lambda _: False)


@caught_by("tests/test_charged.py::test_what_an_error_says_of_the_money_is_true")
def a_doubt_is_called_no_charge() -> Bug:
    """Whoever reads the error submits again, and pays twice."""
    return patch.object(SubmitInDoubt, "charged", "no")


@caught_by("tests/journal/test_continue.py::test_a_doubt_is_shown_and_not_submitted_again")
def a_doubt_is_submitted_again() -> Bug:
    """The next run takes a job in doubt for one that was never sent."""
    may_submit = Submitter._may_submit
    return replaced(
        Submitter,
        "_may_submit",
        lambda self, known: known.state is State.IN_DOUBT or may_submit(self, known),
    )


@caught_by("tests/journal/test_continue.py::test_too_many_doubts_stop_the_submits")
def doubts_are_not_counted() -> Bug:
    """A provider that loses every answer is asked for ever."""
    return replaced(SubmitGate, "count_doubt", lambda *_: None)


@contextmanager
def _counted_late() -> Iterator[None]:
    enter, leave = SubmitGate.enter, SubmitGate.leave

    async def uncounted(self: SubmitGate) -> bool:
        probe = await enter(self)
        self._taken -= 1
        return probe

    def counted(self: SubmitGate, *, probe: bool, accepted: bool, charged: bool) -> None:
        self._taken += 1
        leave(self, probe=probe, accepted=accepted, charged=charged)

    with replaced(SubmitGate, "enter", uncounted), replaced(SubmitGate, "leave", counted):
        yield


@caught_by("tests/journal/test_continue.py::test_spend_limits_are_exact")
def the_spend_limit_counts_answers() -> Bug:
    """Those on the wire are not counted yet, so a few more are sent than allowed."""
    return _counted_late()


@caught_by("tests/test_submit.py::test_a_native_cancel_on_the_wire_leaves_a_song_that_is_watched")
def a_shield_instead_of_an_owned_task() -> Bug:
    """A shield of anyio does not stop a native cancellation."""

    async def shielded(_: object, func: Any, *args: Any) -> object:  # noqa: ANN401
        result: object = None
        with anyio.CancelScope(shield=True):
            result = await func(*args)
        return result  # noqa: RET504  # to mypy the scope may swallow an error

    return replaced(submitter, "owned", shielded)


@caught_by("tests/test_submit.py::test_a_caller_cancelled_before_its_turn_sends_nothing")
def a_submit_cannot_be_taken_back() -> Bug:
    """A request whose caller has left is sent when its turn comes."""
    return replaced(Departure, "withdraw", lambda *_: None)


@caught_by("tests/journal/test_continue.py::test_what_is_done_is_not_submitted_again")
def a_finished_key_is_forgotten() -> Bug:
    """A job that is done leaves the journal, and its key is new again."""
    put = SqliteFile.put

    def dropped(self: SqliteFile, entry: Entry, expected: State) -> None:
        put(self, entry, expected)
        if entry.state.has_songs:
            self._db.execute("delete from jobs where key = ?", (entry.key,))

    return replaced(SqliteFile, "put", dropped)


@caught_by("tests/test_callbacks.py::test_the_id_of_another_job_changes_none")
def a_task_of_another_attempt_is_taken() -> Bug:
    """A callback's id is believed, whosever it is."""

    async def never(*_: object) -> bool:
        return False

    return replaced(Attempts, "is_others", never)


@caught_by("tests/providers/test_verdicts.py::test_an_id_is_worth_more_than_the_status")
def an_id_in_an_error_is_overlooked() -> Bug:
    """A 500 that carries an id is an error like any other."""
    judge = verdicts.judge

    def by_status(reply: Reply, rules: Iterable[Rule], **where: Any) -> verdicts.Ruling:  # noqa: ANN401
        ruling = judge(reply, rules, **where)
        return ruling if reply.status < 400 else attrs.evolve(ruling, task_id=None, rule=BROKEN)

    return replaced(verdicts, "judge", by_status)


@caught_by("tests/providers/test_verdicts.py::test_the_wait_that_was_asked_for_is_told")
def retry_after_is_ignored() -> Bug:
    """The provider says when to come back, and nobody listens."""
    return replaced(waits, "asked", lambda *_, **__: None)


@caught_by("tests/test_submit.py::test_a_wait_asked_for_is_kept_by_every_submit")
def waits_follow_the_wall_clock() -> Bug:
    """A clock that is set ahead ends every wait at once."""
    return replaced(SubmitGate, "held_back", lambda self: max(0.0, self._not_before - time.time()))
