"""The wait that a provider asks for is found wherever it is told."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from udio_async._errors import RateLimited
from udio_async._http import Reply
from udio_async.providers.rules import SHARED_RULES
from udio_async.providers.verdicts import accepted_id
from udio_async.providers.waits import asked

NOW = 1_790_000_000.0
USED_UP = {"x-ratelimit-remaining": "0"}
BUSY = {"message": "Too many requests"}

TOLD: Mapping[str, tuple[Mapping[str, str], Any, float | None]] = {
    "nowhere": ({}, BUSY, None),
    "the usual header": ({"retry-after": "7"}, BUSY, 7.0),
    "milliseconds": ({"retry-after-ms": "1500", "retry-after": "2"}, BUSY, 1.5),
    "the header before the body": ({"retry-after": "7"}, {"retry_after": 8}, 7.0),
    "a date that is past": ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, BUSY, None),
    "a field": ({}, {"retry_after": 120}, 120.0),
    "camelCase": ({}, {"error": {"retryAfter": "120"}}, 120.0),
    "a field in milliseconds": ({}, {"data": {"retry_after_ms": 1500}}, 1.5),
    "a field that is a moment": ({}, {"retry_after": NOW + 30}, 30.0),
    "a field that is none": ({}, {"retry_after": None, "retryAfter": "soon"}, None),
    "too deep": ({}, {"error": {"error": {"error": {"retry_after": 5}}}}, None),
    "the end of a limit": ({"x-ratelimit-reset": "30", "x-ratelimit-remaining": "0"}, BUSY, 30.0),
    "its moment": (USED_UP | {"x-ratelimit-reset": str(NOW + 30)}, BUSY, 30.0),
    "its moment in milliseconds": (
        USED_UP | {"x-ratelimit-reset": str((NOW + 30) * 1000)},
        BUSY,
        30.0,
    ),
    "another name": ({"ratelimit-reset": "30", "ratelimit-remaining": "0"}, BUSY, 30.0),
    "a limit that is not used up": (
        {"x-ratelimit-reset": "30", "x-ratelimit-remaining": "3"},
        BUSY,
        None,
    ),
    "a moment that is past": ({"x-ratelimit-reset": str(NOW - 30)}, BUSY, None),
    "an end that is far away": (USED_UP | {"x-ratelimit-reset": "40000"}, BUSY, 600.0),
    "an end of nobody knows what": ({"x-ratelimit-reset": "30"}, BUSY, None),
    "thousands": ({}, {"retryAfter": 30000}, 30.0),
    "seconds in words": ({}, {"message": "Try again in 120 seconds."}, 120.0),
    "letters": ({}, {"message": "Please retry after 1.5s"}, 1.5),
    "minutes": ({}, {"message": "wait at least 2 minutes"}, 120.0),
    "hours": ({}, {"message": "come back in 24 hours"}, 86400.0),
    "milliseconds in words": ({}, {"message": "try again in 300ms"}, 0.3),
    "another number": ({}, {"message": "Wait for 4 songs"}, None),
}


@pytest.mark.parametrize("case", TOLD)
def test_a_wait_is_found(case: str) -> None:
    """Headers count before fields, those before words, and the end of a limit comes last."""
    headers, payload, wait = TOLD[case]
    said = str(payload.get("message", "")).lower()
    assert asked(headers, payload, said, now=NOW) == (None if wait is None else pytest.approx(wait))


def test_it_is_what_the_error_says() -> None:
    """A batch waits so long before it asks again."""
    body = json.dumps({"message": "Too many requests", "retry_after": 120}).encode()
    with pytest.raises(RateLimited) as caught:
        accepted_id(Reply(status=429, headers={}, body=body), SHARED_RULES, provider="p")
    assert caught.value.retry_after == 120.0
