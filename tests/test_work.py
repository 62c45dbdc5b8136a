"""What is said of a job whose submit ends badly, while an attempt before it may have been paid."""

from typing import Any

import attrs
import pytest

from udio_async import (
    AuthenticationFailed,
    ClientClosed,
    JournalError,
    SongRequest,
    Stage,
    SubmitInDoubt,
    UdioError,
)
from udio_async._submit.work import CLOSED, Work
from udio_async.journal import Entry, State


def work(**what: Any) -> Work:  # noqa: ANN401  # they are passed on
    usual = {"request": SongRequest(description="a song"), "key": "mine", "is_new": True}
    return Work(**{**usual, "stopped_by": None, "only": None, "asked_at": 0, **what})


DOUBT = Entry(key="mine", provider="p", request={}, state=State.IN_DOUBT, evidence="cut off")


def test_callbacks_in_any_order_leave_the_furthest_stage() -> None:
    """The first counts in any case."""
    early = work()
    seen = []
    for stage in (Stage.TEXT_READY, Stage.QUEUED, Stage.COMPLETE, Stage.FIRST_AUDIO):
        early.note_early(stage)
        seen.append(early.early)
    assert seen == [Stage.TEXT_READY, Stage.TEXT_READY, Stage.COMPLETE, Stage.COMPLETE]


@pytest.mark.parametrize(
    ("is_new", "charged", "said"),
    [
        (True, "no", "no"),
        (False, "no", "unknown"),
        (True, "yes", "yes"),
        (False, "yes", "yes"),
        (False, "unknown", "unknown"),
    ],
)
def test_what_is_said_of_the_money_is_of_the_job(is_new: bool, charged: Any, said: str) -> None:  # noqa: ANN401
    """Nobody knows whether a job of an earlier run was paid before it was looked up."""
    error = UdioError("no", charged=charged)
    assert work(is_new=is_new).as_it_stands(error) is error
    assert error.charged == said


@pytest.mark.parametrize(
    ("state", "only", "repeated", "left"),
    [
        (None, None, False, False),
        (State.READY, None, False, False),
        (None, {State.PLANNED}, False, True),
        (State.PLANNED, {State.PLANNED}, False, False),
        (State.ACCEPTED, {State.PLANNED}, False, True),
        (State.NOT_SENT, {State.PLANNED}, True, False),
    ],
)
def test_who_asks_for_some_states_leaves_other_jobs_alone(
    state: State | None, only: set[State] | None, *, repeated: bool, left: bool
) -> None:
    """Once it has sent the job itself, it goes on with it, whatever its state is by then."""
    known = None if state is None else attrs.evolve(DOUBT, state=state)
    asked = work(only=None if only is None else frozenset(only))
    assert asked.leaves_alone(known, repeated=repeated) is left


def test_a_doubt_stays_one_if_nothing_follows_it() -> None:
    """The error that kept it from being sent again is its cause."""
    refused = AuthenticationFailed("wrong key")
    error = work(doubt=DOUBT).as_it_stands(refused)
    assert isinstance(error, SubmitInDoubt)
    assert (error.evidence, error.charged, error.job_key) == ("cut off", "unknown", "mine")
    assert error.__cause__ is refused
    newer = SubmitInDoubt("again")
    assert work(doubt=DOUBT).as_it_stands(newer) is newer


def test_a_caller_of_a_closed_client_is_told_how_far_it_came() -> None:
    """Not sent; perhaps taken; taken, with an id to write down."""
    closed = work()
    error = closed.unfinished("p")
    assert isinstance(error, ClientClosed)
    assert (error.charged, error.job_key) == ("no", "mine")

    closed.departure.leave()
    error = closed.unfinished("p")
    assert isinstance(error, SubmitInDoubt)
    assert (error.charged, error.provider, error.job_key) == ("unknown", "p", "mine")
    assert error.evidence == CLOSED

    closed.task_id = "t-1"
    error = closed.unfinished("p")
    assert isinstance(error, JournalError)
    assert (error.charged, error.provider, error.job_key) == ("yes", "p", "mine")
    assert error.task_id == "t-1"
