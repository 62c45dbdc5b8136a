"""An empty account is told by what the provider says, under whatever number it says it."""

import json
from collections.abc import Callable, Mapping

import pytest

from udio_async._errors import InsufficientCredits, UdioError
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
Please top up your account
Please recharge
Please buy credits
Add more funds to continue
You exceeded your current quota (insufficient_quota)
Your subscription has expired
No active subscription
Trial expired
余额不足
账户积分不足
""".strip().splitlines()

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
}


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
    answer = reply(500, SHAPES[shape]("You are out of\n credits"))
    assert isinstance(error_of("apiframe", answer), InsufficientCredits)
    with pytest.raises(InsufficientCredits):
        read_look(answer, provider="apiframe")


@pytest.mark.parametrize("said", NOT_ABOUT_MONEY)
def test_other_words_are_not_taken_for_it(said: str) -> None:
    for status in (400, 429, 500):
        error = error_of("apiframe", reply(status, {"message": said}))
        assert not isinstance(error, InsufficientCredits), said


def test_a_page_that_sells_credits_is_no_answer() -> None:
    """A gateway's page may advertise: only what the provider says in JSON counts."""
    page = Reply(status=502, headers={}, body=b"<p>Top up, buy credits</p>")
    assert not isinstance(error_of("apiframe", page), InsufficientCredits)
