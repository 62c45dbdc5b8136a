"""Errors that are copied, pickled or said in other words stay what they are."""

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator

import pytest

from udio_async import (
    BadAnswer,
    NetworkUnusable,
    PermissionDenied,
    RateLimited,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    _errors,
)
from udio_async._errors import restated


class Suspended(PermissionDenied):
    """An adapter's own error, made in its own way."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


def every_error() -> Iterator[UdioError]:
    for _, kind in inspect.getmembers(_errors, inspect.isclass):
        if issubclass(kind, UdioError):
            yield kind("broken", provider="p", job_key="k", task_id="t")
    yield from (
        Unreachable("no answer", sent=False),
        Unreachable("no answer", sent=True, charged="yes"),
        RateLimited("too many", retry_after=3.0),
        SubmitInDoubt("maybe", evidence="cut", charged="yes"),
        BadAnswer("odd", charged="no"),
    )


def pickled(error: UdioError) -> UdioError:
    read: UdioError = pickle.loads(pickle.dumps(error))
    return read


@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("error", list(every_error()), ids=lambda error: type(error).__name__)
def test_a_copy_says_the_same(error: UdioError, again: Callable[[UdioError], UdioError]) -> None:
    """Also about money: a process pool hands errors on like this."""
    copied = again(error)
    assert type(copied) is type(error)
    assert str(copied) == str(error)
    assert (copied.charged, copied.may_repeat) == (error.charged, error.may_repeat)
    assert vars(copied) == vars(error)


@pytest.mark.parametrize(
    "error", [Suspended(403, "not now"), NetworkUnusable("no route"), Unreachable("x", sent=False)]
)
def test_an_error_is_said_in_other_words(error: UdioError) -> None:
    """Whatever its class wants to be made of; what it was told stays."""
    other = restated(error, "other words", task_id="t", charged="yes")
    assert type(other) is type(error)
    assert (str(other), other.args) == ("other words", ("other words",))
    assert (other.task_id, other.charged) == ("t", "yes")
    assert {**vars(other), "task_id": error.task_id, "charged": error.charged} == {
        **vars(error),
        "charged": error.charged,
    }


@pytest.mark.parametrize("sent", [True, False])
def test_charged_left_open_is_what_was_sent(*, sent: bool) -> None:
    """None means that nothing was said of it."""
    error = Unreachable("no answer", sent=sent, charged=None)
    assert error.charged == ("unknown" if sent else "no")
