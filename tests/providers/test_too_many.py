"""Too many songs at once: told by what the provider says, under whatever 4xx it says it."""

from collections.abc import Mapping

import attrs
import pytest

from tests.providers.test_want_of_money import error_of, reply
from udio_async._errors import (
    AccountError,
    InsufficientCredits,
    PermissionDenied,
    RateLimited,
    RequestRefused,
    SubmitInDoubt,
    UdioError,
)
from udio_async.providers import PROVIDERS
from udio_async.providers.verdicts import read_look

TOO_MANY = """
Too many concurrent generations, wait for one to finish
Too many concurrent tasks (4/4). Wait for one, or top up to raise your limit.
You have reached the maximum of 4 concurrent jobs
You have exceeded your concurrent task quota
Concurrency limit reached: your plan allows 4 concurrent tasks. Upgrade your plan to get more.
Insufficient concurrency: only 4 simultaneous generations. Buy more credits to raise it.
4 of 4 songs running; purchase more credits or wait
Maximum number of active tasks reached
You already have 4 running jobs
You have too many songs at once
Only 2 generations at a time
Too many running tasks
Too many concurrent generations. Wait for one, or top up to raise your limit
Too many concurrent generations: purchase more credits or wait
Request not accepted: too many jobs in progress
Wait for one to finish before starting another
4 songs are already running, which is the maximum of concurrent jobs
Concurrency limit reached: further requests will not be taken
Please wait for your previous songs to finish.
Please wait for your current generations to finish
Please wait until one of your tasks is done
Max_concurrency reached
Please wait for your current song to finish generating
You can only run 4 generations at a time
Only 4 songs can be generated at once. Please wait.
Account has 4 jobs running; limit is 4
You have too many pending generations
Queue is full
Maximum number of queued tasks reached
并发任务数已达上限
任务过多
任務過多
您有任务正在进行中，请等待完成后再提交
同時実行数の上限に達しました
동시 작업 수 제한을 초과했습니다
Demasiadas tareas simultáneas
Trop de tâches simultanées
Zu viele gleichzeitige Aufträge
Слишком много одновременных задач
""".strip().splitlines()  # noqa: RUF001  # Chinese has commas of its own
TOO_FAST = """
Too many tasks
Too many requests
Too many generations, slow down
Rate limit exceeded
API rate-limit reached
You have exceeded a secondary rate limit
ThrottlingException
You are sending requests too fast
请求过于频繁，请稍后再试
""".strip().splitlines()  # noqa: RUF001  # Chinese has commas of its own

NOT_ABOUT_IT: Mapping[str, str] = {
    "400": """
The prompt contains words for too many concurrent jobs
Lyrics blocked by moderation: "too many running songs, wait for one to finish"
Inappropriate: wait for one to complete the other
Title and style cannot be given at once
Only one of a and b is allowed at once
Too many tags at once
Too many tasks in one request, the limit is 20
Too many songs asked for: n is 1 or 2
Too many characters
Concurrent modification
Only active songs can be extended
Another request is being processed
Running out of words
style weight exceeds the maximum of 1
n: at most 2 songs at once
You can create up to 2 songs at a time
Your plan is not allowed concurrent generations
""",
    "402": """
Insufficient credits. Upgrade for higher concurrency and a larger limit.
You have 0 credits left. Get the Pro plan for more concurrent jobs.
Payment required
Payment required. Too many requests on the free tier
Insufficient credits. Free plan: up to 2 concurrent jobs
Insufficient credits: running generations have reached your limit
Too many generations this month: your credits are used up
Your trial has ended. Only 1 concurrent generation
""",
    "403": """
Your plan does not allow this model
Forbidden
Access limit: wait for approval
Account suspended: too many requests
Account suspended: too many concurrent requests
Monthly limit of 500 songs reached: too many generations
Too many generations this month. Upgrade your plan to continue
Monthly limit of concurrent generations reached
Concurrent generation is not allowed for free accounts
Parallel generations are not allowed on your plan; upgrade to Pro
API concurrency quota is 0 for this key: limit reached
""",
}

MAY_BE_TAKEN = """
Too many concurrent tasks: your request is queued
Concurrency limit reached, it will be started later
Too many tasks, yours was accepted and has to wait for another one to finish
A concurrent request with the same content exceeded the limit
This task is already one of your running tasks
There is already a request in progress
Please wait for your pending song to complete
Please wait until the current generation is done
Too many jobs: yours was put into the queue
Too many requests: it is already being processed
Concurrency limit reached, we'll run it once one is done
Too many tasks, your song is now waiting
并发已达上限 已排队
Concurrent update
Conflict
Too many concurrent tasks, added to the waiting list
Too many concurrent tasks. Your request was put on the waitlist
Limit of concurrent jobs reached, your job is on hold until one finishes
Max 4 concurrent tasks reached. Task saved, runs later
Maximum of 4 active jobs; yours waits behind them
Maximum of 4 active jobs: yours has to wait
""".strip().splitlines()


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("said", TOO_MANY)
def test_too_many_at_once_is_known_by_its_words(name: str, said: str) -> None:
    """Also beside words of money; the number may be that of HTTP, or the body's own."""
    for status in (400, 402, 403, 422, 423, 429, 430):
        for answer in (
            reply(status, {"errors": [{"msg": said}]}),
            reply(200, {"code": status, "message": said}),
        ):
            error = error_of(name, answer)
            assert isinstance(error, RateLimited), (status, error)
            assert error.charged == "no"
            assert not error.stops_batch


@pytest.mark.parametrize("said", TOO_FAST)
def test_too_fast_is_a_wait_where_the_status_may_mean_one(said: str) -> None:
    """Under 402 it is about a limit that no wait will lift."""
    usual = {400: RateLimited, 403: RateLimited, 429: RateLimited, 402: InsufficientCredits}
    for status, error in usual.items():
        assert type(error_of("apiframe", reply(status, {"message": said}))) is error


OF_A_PERIOD = """
You have reached your daily generation limit
Your monthly quota has been used up
Too many tasks today
Too many concurrent generations today
Rate limit reached: 200 requests per day
Maximum of 500 songs this month
今日次数已达上限
本月额度已用完
""".strip().splitlines()


@pytest.mark.parametrize("said", OF_A_PERIOD)
def test_a_limit_of_a_day_or_a_month_stops_a_batch(said: str) -> None:
    """No wait of minutes lifts it: every other song would meet it."""
    for status in (400, 429):
        error = error_of("apiframe", reply(status, {"message": said}))
        assert isinstance(error, AccountError)
        assert error.charged == "no"


def test_a_wait_that_is_longer_than_any_of_ours_stops_a_batch() -> None:
    """To ask again eight times, ten minutes apart, would bring nothing."""
    for wait, error in (("600", RateLimited), ("601", PermissionDenied)):
        answer = attrs.evolve(reply(429, {"message": "no"}), headers={"retry-after": wait})
        assert type(error_of("apiframe", answer)) is error
    told = {"message": "Please try again in 24 hours"}
    assert type(error_of("apiframe", reply(429, told))) is PermissionDenied


@pytest.mark.parametrize(
    "said",
    [
        "Rate limit exceeded. Limits: 10 per minute, 500 per day",
        "Rate limit: 20 requests per 10 seconds, 5000 per day.",
        "Rate limit reached for requests per day. Please try again in 7m12s",
    ],
)
def test_a_limit_of_a_day_that_is_only_mentioned_is_a_wait(said: str) -> None:
    """What is reached is the limit of a shorter time."""
    assert type(error_of("apiframe", reply(429, {"message": said}))) is RateLimited


BUSY = """
您有任务正在处理中
同时生成中的任务不能超过3个
当前排队任务较多
请勿重复点击
Your previous task is still processing. Please wait until it completes.
Another request is being processed. Please wait.
Max concurrent jobs reached. New jobs can be submitted once existing jobs complete.
You have exceeded the rate limit. A new window will start in 60 seconds
Rate limit exceeded while processing your request
Error creating the task: rate limit exceeded
20 requests received in 10 seconds; limit is 20 requests per 10 seconds
Requests will be accepted again in 60 seconds. Rate limit exceeded.
Please slow down or your key will be suspended
""".strip().splitlines()


@pytest.mark.parametrize("said", BUSY)
def test_words_about_another_request_or_a_limit_are_no_sign_that_this_one_was_taken(
    said: str,
) -> None:
    """A doubt for each of them would end a batch after four."""
    assert type(error_of("apiframe", reply(429, {"code": 429, "message": said}))) is RateLimited


def test_a_count_of_what_waits_is_no_place_in_a_queue() -> None:
    """The request itself is not among them."""
    for told in ({"running": 4, "limit": 4, "queued": 0}, {"running": 4, "queued": 2}):
        answer = reply(429, {"message": "Too many concurrent tasks", "data": told})
        assert type(error_of("apiframe", answer)) is RateLimited


ABOUT_ONE = """
Unauthorized use of copyrighted content
Unauthorized artist name
User blocked words found
This day exceeds the limit of 80 characters
Musical key disabled for this model
""".strip().splitlines()


@pytest.mark.parametrize("said", ABOUT_ONE)
def test_a_flaw_of_one_request_ends_no_batch(said: str) -> None:
    """Its words sound like those about a key or an account."""
    for status in (400, 422):
        assert type(error_of("apiframe", reply(status, {"message": said}))) is RequestRefused


def test_a_wait_in_a_text_of_the_request_is_none() -> None:
    """Lyrics that are quoted wait for days."""
    quoted = {"message": 'Lyrics refused: "I wait 3 days for you"'}
    assert type(error_of("apiframe", reply(400, quoted))) is RequestRefused


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"code": 1001, "msg": TOO_MANY[0]}, RateLimited),
        ({"code": 500, "msg": TOO_MANY[0], "data": None}, RateLimited),
        ({"success": False, "message": TOO_MANY[0], "data": {}}, RateLimited),
        ({"code": 500, "msg": TOO_MANY[0], "data": {"a": 1}}, SubmitInDoubt),
        ({"code": 200, "msg": TOO_MANY[0]}, SubmitInDoubt),
        ({"code": 500, "msg": f"{TOO_MANY[0]}. Your request is queued"}, SubmitInDoubt),
        ({"success": False, "message": "busy"}, SubmitInDoubt),
    ],
    ids=str,
)
def test_http_200_counts_if_its_body_says_no(answer: object, error: type[UdioError]) -> None:
    """Its words are believed like those of a want of money, as there is nothing else in it."""
    assert type(error_of("apiframe", reply(200, answer))) is error


@pytest.mark.parametrize(
    ("status", "said"),
    [(int(status), line) for status, lines in NOT_ABOUT_IT.items() for line in lines.split("\n")],
)
def test_other_words_mean_what_their_status_means(status: int, said: str) -> None:
    """Texts of the request that are quoted, faults in its fields and offers are something else."""
    usual = {400: RequestRefused, 402: InsufficientCredits, 403: PermissionDenied}
    assert type(error_of("apiframe", reply(status, {"message": said}))) is usual[status]


@pytest.mark.parametrize("said", MAY_BE_TAKEN)
def test_what_may_have_been_taken_is_not_sent_again(said: str) -> None:
    """A request that was queued, or is a copy of one that runs, may be paid for already."""
    assert isinstance(error_of("apiframe", reply(409, {"message": said})), SubmitInDoubt)


@pytest.mark.parametrize("said", MAY_BE_TAKEN)
def test_what_may_have_been_taken_is_no_wait_under_any_4xx(said: str) -> None:
    """Their statuses may mean a refusal, and never that it is to be sent again."""
    for status in (400, 402, 403, 422):
        error = error_of("apiframe", reply(status, {"message": said}))
        assert not isinstance(error, RateLimited)


@pytest.mark.parametrize("status", [200, 401, 408, 409, 500, 503])
def test_under_another_status_the_words_prove_nothing(status: int) -> None:
    """A time-out or a broken server may have taken the request before it complained."""
    error = error_of("apiframe", reply(status, {"message": TOO_MANY[0]}))
    assert not isinstance(error, RateLimited)


def test_lyrics_that_are_echoed_prove_nothing() -> None:
    """Only the provider's own message is searched."""
    echoed = {"message": "no", "request": {"lyrics": TOO_MANY[0]}}
    assert type(error_of("apiframe", reply(400, echoed))) is RequestRefused


def test_a_look_that_is_one_too_many_is_asked_again() -> None:
    """It says nothing about the account, and nothing about the task."""
    for status in (400, 402, 403):
        with pytest.raises(RateLimited):
            read_look(reply(status, {"message": TOO_MANY[1]}), provider="apiframe")
