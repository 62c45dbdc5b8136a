"""An empty account is told by what the provider says, under whatever number it says it."""

import json
from collections.abc import Callable, Mapping

import pytest

from udio_async._errors import InsufficientCredits, SubmitInDoubt, UdioError
from udio_async._http import Reply
from udio_async.providers import PROVIDERS
from udio_async.providers.verdicts import accepted_id, read_look

EMPTY = """
Insufficient credits
You have insufficient API credits.
insufficient account balance
Insufficient funds
You don't have enough credits to run this request
Not enough credits
You do not have sufficient balance
The current credits are insufficient. Please top up.
Your account balance is too low
Credits not enough
Credits are used up
All your credits have been used up
Your balance has been exhausted
You are out of credits!
You ran out of credits
You have 0 credits left
You have no credits left
No credits remaining
No more credits
credit balance is negative
Your credit balance is too low to access the API
The cost exceeds your balance
Your balance is not enough, API usage has been used up. Please consider purchasing more credits
Payment required
You exceeded your current quota (insufficient_quota)
Your subscription has expired
No active subscription
Trial expired
You exceeded your current quota, please check your plan and billing details.
This request requires 10 credits, but you only have 2
Monthly credit limit reached
INSUFFICIENT_CREDITS
InsufficientBalance
余额不足
账户积分不足
餘額不足
积分不够
您的余额已用完
账户已欠费
剩余次数不足
""".strip().splitlines()

OFFERS = (
    "Please top up your account",
    "Please recharge",
    "Please buy credits",
    "Add more funds to continue",
)

TAKEN = """
Song submitted; your credits are used up
Accepted. You have 0 credits left
Generation started, then the worker was lost; no credits left
Timed out. 10 credits were charged; you have 0 credits left
Success. You have no credits left
提交成功，余额不足，请充值
""".strip().splitlines()  # noqa: RUF001  # Chinese has commas of its own

NOT_ABOUT_MONEY = """
Rate limit exceeded
Too many requests, please slow down
Quota exceeded: 10 requests per minute
Generation failed, no credits were charged
0 credits were deducted
The song failed. Zero credits have been used
Insufficient permissions
Insufficient permissions to read credits
You have too many songs at once
The prompt is too long
The balance parameter is out of range
Style weight exceeds 1
No such task
invalid token
Plan for the song is missing
Server overload, out of capacity
Topic too long.
balance of instruments is invalid
credits must be a number
Internal error. Credits will be returned
""".strip().splitlines()

SHAPES: Mapping[str, Callable[[str], object]] = {
    "message": lambda said: {"code": 400, "message": said},
    "msg": lambda said: {"msg": said},
    "errors": lambda said: {"errors": [{"msg": said}]},
    "error": lambda said: {"error": said},
    "error object": lambda said: {"error": {"code": "used_up", "message": said}},
    "detail": lambda said: {"detail": [{"loc": ["body"], "msg": said}]},
    "data": lambda said: {"code": 500, "data": {"message": said}},
    "code": lambda said: {"code": said.upper().replace(" ", "_"), "message": "Request failed"},
    "type": lambda said: {"error": {"type": said.replace(" ", "-"), "code": 7}},
    "status": lambda said: {"error": {"status": said.upper().replace(" ", "_")}},
    "beside another message": lambda said: {"message": "Bad Request", "error": said},
    "detail object": lambda said: {"message": "Bad Request", "detail": {"error": said}},
    "inner error": lambda said: {"error": {"error": {"message": said}}},
    "result": lambda said: {"result": {"error": said}},
    "list": lambda said: [said],
    "errors by field": lambda said: {"errors": {"account": [said]}},
    "problem": lambda said: {"type": "about:blank", "title": said, "status": 400},
    "camelCase": lambda said: {"errorMessage": said},
    "description": lambda said: {"error": "failed", "error_description": said},
    "details": lambda said: {"error": {"code": 400, "details": [{"reason": said}]}},
}

ECHOED: tuple[object, ...] = (
    {"message": "no", "title": "Out of credits"},
    {"message": "no", "request": {"message": "Out of credits"}},
    {"message": "no", "data": {"prompt": "Out of credits", "title": "Out of credits"}},
    {"message": "no", "data": "Out of credits"},
    {"detail": [{"msg": "no", "input": "Out of credits"}]},
    {"a": {"b": {"message": "Out of credits"}}},
)


def reply(status: int, payload: object) -> Reply:
    return Reply(status=status, headers={}, body=json.dumps(payload).encode())


def error_of(name: str, answer: Reply) -> UdioError:
    with pytest.raises(UdioError) as caught:
        accepted_id(answer, PROVIDERS[name].rules, provider=name)
    return caught.value


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("said", EMPTY)
def test_an_empty_account_is_known_by_its_words(name: str, said: str) -> None:
    for status in (200, 400, 402, 403, 422, 429, 500):
        error = error_of(name, reply(status, {"message": said}))
        assert isinstance(error, InsufficientCredits), (status, error)
        assert error.charged == "no"
        assert error.stops_batch


@pytest.mark.parametrize("shape", SHAPES)
def test_wherever_the_words_stand(shape: str) -> None:
    answer = reply(500, SHAPES[shape]("You are out of credits"))
    assert isinstance(error_of("apiframe", answer), InsufficientCredits)
    with pytest.raises(InsufficientCredits):
        read_look(answer, provider="apiframe")


def test_a_line_may_end_within_the_words() -> None:
    answer = reply(500, {"message": "You are out of\n credits"})
    assert isinstance(error_of("apiframe", answer), InsufficientCredits)


@pytest.mark.parametrize("answer", ECHOED, ids=str)
def test_what_a_request_said_is_not_taken_for_it(answer: object) -> None:
    """A title, a prompt or an input that is sent back are the words of whoever asked."""
    for status in (400, 500):
        assert not isinstance(error_of("apiframe", reply(status, answer)), InsufficientCredits)


@pytest.mark.parametrize("said", OFFERS)
def test_an_offer_is_one_unless_the_status_says_that_all_went_well(said: str) -> None:
    """Whoever has just spent the last credits is asked to buy some."""
    for status in (400, 403, 429, 500):
        assert isinstance(error_of("apiframe", reply(status, {"msg": said})), InsufficientCredits)
    for status in (200, 202):
        assert isinstance(error_of("apiframe", reply(status, {"msg": said})), SubmitInDoubt)


@pytest.mark.parametrize("said", TAKEN)
def test_words_of_money_beside_words_that_it_was_taken_are_a_doubt(said: str) -> None:
    """The last song that the credits paid for."""
    for status in (200, 202, 429, 500, 504):
        assert isinstance(error_of("apiframe", reply(status, {"msg": said})), SubmitInDoubt)


@pytest.mark.parametrize("status", [201, 202])
def test_a_status_that_says_taken_is_no_refusal(status: int) -> None:
    """Whatever the words: it means that something was created or accepted."""
    for said in EMPTY:
        assert isinstance(error_of("apiframe", reply(status, {"message": said})), SubmitInDoubt)


@pytest.mark.parametrize("said", NOT_ABOUT_MONEY)
def test_other_words_are_not_taken_for_it(said: str) -> None:
    for status in (400, 429, 500):
        error = error_of("apiframe", reply(status, {"message": said}))
        assert not isinstance(error, InsufficientCredits), said


def test_a_page_that_sells_credits_is_no_answer() -> None:
    """A gateway's page may advertise: only what the provider says in JSON counts."""
    page = Reply(status=502, headers={}, body=b"<p>Top up, buy credits</p>")
    assert not isinstance(error_of("apiframe", page), InsufficientCredits)
