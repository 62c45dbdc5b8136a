"""What was taken, or waits at the provider, is never sent again: whatever says so, and wherever."""

import attrs
import pytest

from tests.providers.test_want_of_money import error_of, reply
from udio_async._errors import RateLimited, RequestRefused, SubmitInDoubt
from udio_async._http import Reply
from udio_async.providers import PROVIDERS

WAIT = (409, 425, 429, 503)
"""Statuses under which a request would be sent again, if the answer did not say this."""

TAKEN = """
Too many concurrent tasks. Your request was put on the waiting list.
Too many concurrent tasks: your request is queued
Too many requests, yours was added to the queue. Top up for a faster one
Maximum of 4 active jobs; yours waits behind them
Too many tasks, your song is now waiting
Too many requests: it is already being processed
Concurrency limit reached, it will be started later
Concurrency limit reached, we'll run it once one is done
The request was queued
JOB_QUEUED
Enqueued at position 5
Job queued: too many active jobs
You are number 5 in the queue
You are next in line
You have 1 queued request
You will get your song by mail
No slot is free, queued
Too many tasks, task queued
Limit of concurrent jobs reached. We have received your request and will process it later
Your song will be generated when a slot is free
We'll start your song when a slot is free
Your song is on its way
You will be notified when it is done
We are generating your song
Task already submitted
Duplicate request: the same prompt is already being generated
Your request could not be started now and was queued
The queue is full but your request was accepted
The result is not ready: task submitted, retry later
Processing
In queue.
Generating...
Success
已加入队列
任务过多，已排队
任务已提交，排队中
任務已提交，請勿重複提交
已受理，请稍候
您的任务正在排队，请稍候
提交成功
""".strip().splitlines()  # noqa: RUF001  # Chinese has commas of its own

NOT_TAKEN = """
Too many queued requests
The queue is full: your request was not added to the queue
Slow down, requests could not be put into the queue
Too many requests: your request will not be processed
Too many requests received. Your request was not accepted
We have received too many requests
No task was created, please retry
You have too many pending generations
Too many requests in the queue
Too many requests from the same IP
Too many requests are being processed
Your limit will reset in 10 seconds
You will be able to ask again in 10 seconds
You will have to wait
Too many requests are already queued
You are being rate limited
The server is processing too many requests
Your request has been rate limited
队列已满，请稍后
当前排队人数过多，请稍后再试
正在生成的任务过多
""".strip().splitlines()  # noqa: RUF001  # Chinese has commas of its own

SHOWN: tuple[object, ...] = (
    {"status": "queued", "message": "Too many concurrent tasks"},
    {"status": "Pending", "message": "too many tasks"},
    {"state": "IN_QUEUE"},
    {"status": "in progress"},
    {"message": "Too many requests", "data": {"status": "queued"}},
    {"data": [{"state": "processing"}]},
    {"result": {"status": "queued"}},
    {"task": {"state": "running"}},
    {"position": 5},
    {"queue_position": "0"},
    {"queue": {"position": 3}},
    {"queued": True},
    {"ok": True, "message": "busy"},
    {"status": "success", "message": "no"},
    {"code": 202, "message": "no"},
    {"status": 200, "message": "no"},
)
SAID: tuple[object, ...] = (
    {"error": {"status": "queued"}},
    ["Your request was queued"],
    "Your request was queued",
)
NOT_SHOWN: tuple[object, ...] = (
    {"status": "error"},
    {"state": "failed"},
    {"account": {"status": "active"}},
    {"status": "active"},
    {"queued": False, "queue_position": None},
    {"position": -1},
    {"position": None},
    {"ok": False},
    {"status": 429},
)


def waiting(status: int, body: object) -> Reply:
    """An answer under which a request is sent again, if nothing in it says that it was taken."""
    return attrs.evolve(reply(status, body), headers={"retry-after": "5"})


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("said", TAKEN)
def test_what_waits_at_the_provider_is_in_doubt_under_a_number_for_wait(
    name: str, said: str
) -> None:
    """To send it again could pay for it twice."""
    for status in WAIT:
        for body in ({"code": status, "message": said}, {"error": {"code": said}}):
            assert isinstance(error_of(name, waiting(status, body)), SubmitInDoubt)


@pytest.mark.parametrize("said", NOT_TAKEN)
def test_what_was_not_let_wait_is_sent_again(said: str) -> None:
    """It is about a queue, a limit or other requests, or says that nothing was taken."""
    for status in (429, 503):
        assert isinstance(error_of("apiframe", waiting(status, {"message": said})), RateLimited)


@pytest.mark.parametrize("body", SHOWN, ids=str)
def test_a_field_may_show_it(body: object) -> None:
    """A state of a task, a place in a queue, a word that all went well: it outweighs any status."""
    for status in (*WAIT, 400, 403):
        assert isinstance(error_of("apiframe", waiting(status, body)), SubmitInDoubt)


@pytest.mark.parametrize("body", SAID, ids=str)
def test_words_may_stand_anywhere(body: object) -> None:
    """In any shape of JSON that services use for what they say."""
    for status in WAIT:
        assert isinstance(error_of("apiframe", waiting(status, body)), SubmitInDoubt)


@pytest.mark.parametrize("body", NOT_SHOWN, ids=str)
def test_other_fields_show_nothing(body: object) -> None:
    """Servers write all their fields, whatever they answer."""
    assert isinstance(error_of("apiframe", waiting(429, body)), RateLimited)


def test_lines_may_run_together() -> None:
    """A message in two lines may have no other mark between its sentences."""
    for said in (
        "Too many tasks\nQueued",
        "Too many tasks\ntask queued",
        "Too many requests\nyour\nrequest is queued",
    ):
        assert isinstance(error_of("apiframe", waiting(429, {"message": said})), SubmitInDoubt)


def test_plain_text_may_say_it_and_a_web_page_may_not() -> None:
    """A page is a gateway's: it holds any words."""
    for body, error in (
        (b"Your request was queued", SubmitInDoubt),
        (b"<html>Error 1015. Started, queued, accepted</html>", RateLimited),
    ):
        answer = Reply(status=429, headers={}, body=body)
        assert isinstance(error_of("apiframe", answer), error)


def test_bad_requests_are_refused_whatever_they_quote() -> None:
    """Words like "submitted" stand in every other message about a field."""
    for said in ("The submitted title is too long", "received: 5", "Only mp3 is accepted"):
        assert type(error_of("apiframe", reply(400, {"message": said}))) is RequestRefused
