"""A key that does not fit, and an account that is closed: told under 400 and 422 as well."""

import pytest

from tests.providers.test_want_of_money import error_of, reply
from udio_async._errors import AuthenticationFailed, PermissionDenied, RequestRefused

BAD_KEY = """
API key not valid. Please pass a valid API key.
API_KEY_INVALID
API key expired
Your API key has been revoked
invalid api key
Missing API key
No API key provided
Unauthorized: invalid token
Access token is missing
Incorrect credentials
无效的API密钥
令牌已过期
""".strip().splitlines()
CLOSED = """
Account suspended
Your account has been temporarily blocked
This key is disabled
您的账号已被封禁
""".strip().splitlines()
NEITHER = """
Too many tokens
Unexpected token in JSON
Invalid token in the prompt
Invalid key signature
The lyrics hold an expired token
The account has no such song
Content blocked
""".strip().splitlines()


@pytest.mark.parametrize("said", BAD_KEY)
def test_a_key_that_does_not_fit_is_known_by_its_words(said: str) -> None:
    """Every other song would meet it, so a batch stops."""
    for answer in (
        reply(400, {"error": {"code": 400, "message": "Bad Request", "details": [said]}}),
        reply(422, {"message": said}),
        reply(200, {"code": 400, "message": said}),
    ):
        error = error_of("apiframe", answer)
        assert isinstance(error, AuthenticationFailed)
        assert error.stops_batch


@pytest.mark.parametrize("said", CLOSED)
def test_a_closed_account_is_known_by_its_words(said: str) -> None:
    """Also under 429: no wait opens it."""
    for status in (400, 403, 422, 429):
        error = error_of("apiframe", reply(status, {"message": said}))
        assert isinstance(error, PermissionDenied)


@pytest.mark.parametrize("said", NEITHER)
def test_other_words_are_about_the_request(said: str) -> None:
    """It is this request that has to be changed."""
    assert type(error_of("apiframe", reply(400, {"message": said}))) is RequestRefused
