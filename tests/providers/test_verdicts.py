"""What an answer means for the money: every row, the id, and answers from nowhere.

Run as a program, this file prints the tables into docs/verdicts.md again.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async._errors import (
    AccountError,
    BadAnswer,
    ProviderUnavailable,
    RateLimited,
    RequestError,
    RequestRefused,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from udio_async._http import Account, ApiKey, Call, Reply
from udio_async._records import FailureKind, SongRequest, Task
from udio_async.providers import PROVIDERS, apiframe_tasks, udioapi, udioapi_failures, udioapi_feed
from udio_async.providers.ids import find_id, song_ids
from udio_async.providers.replies import message_in
from udio_async.providers.rules import BEFORE_RULES, LOOK_RULES, SHARED_RULES, Rule
from udio_async.providers.verdicts import (
    SUBMIT_TIMEOUT,
    accepted_id,
    judge,
    read_look,
    send_submit,
)
from udio_async.providers.words import explain
from udio_async.testing import RecordedHttp

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"
HTML = b"<html><body>502 Bad Gateway</body></html>"
JSON = b'{"message": "no"}'


def reply(status: int, body: object = JSON, **headers: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=data)


# The page ------------------------------------------------------------------------------------

INTRODUCTION = """# What an answer to a submit means

Printed from `udio_async/providers/rules.py`; change it there. A provider's own rows come before
the shared ones, and the first row that matches decides. What an error means for the money is said
by its class: `charged`, `may_repeat` and `stops_batch`."""
LOOKS = """## Looks (feed, fetch, account)

They cost nothing and are repeated. What is in no row here is a `BadAnswer`: that look failed, which
says nothing about the song. The last row is only for looks at tasks: no answer about the account
says that a task is unknown."""
NOT_SENT, REFUSED, IN_DOUBT, ACCEPTED = "not sent", "refused", "in doubt", "accepted"


def verdict_of(error: type[UdioError] | None) -> str:
    """What a row comes to, as its error says it."""
    if error is None:
        return ACCEPTED
    if issubclass(error, Unreachable):  # which a row names only where nothing reached the provider
        return NOT_SENT
    return REFUSED if error.charged == "no" else IN_DOUBT


def row(rule: Rule) -> str:
    raised = f"`{rule.error.__name__}`" if rule.error else ""
    repeats = rule.error is not None and (
        rule.error.may_repeat or issubclass(rule.error, Unreachable)
    )
    then = "wait, then the same attempt again" if repeats else ""
    if rule.error is not None and rule.error.stops_batch:
        then = "every other song would meet it"
    return f"| {' | '.join([rule.seen, verdict_of(rule.error), raised, then, rule.advice])} |"


def markdown(rules: Iterable[Rule]) -> str:
    head = "| seen | verdict | raises | then | advice |\n| --- | --- | --- | --- | --- |"
    return "\n".join([head, *map(row, rules)])


def page() -> str:
    sections = [
        INTRODUCTION,
        "## Before the answer is read",
        markdown(BEFORE_RULES),
        "## An answer without an id, any provider",
        markdown(SHARED_RULES),
    ]
    for name, kind in PROVIDERS.items():
        own = [rule for rule in kind.rules if rule not in SHARED_RULES]
        sections += [f"## {name}", markdown(own) if own else "No rows of its own."]
    looks = "\n".join(
        ["| seen | raises | advice |\n| --- | --- | --- |"]
        + [
            f"| {rule.seen} | `{rule.error.__name__}` | {rule.advice} |"
            for rule in LOOK_RULES
            if rule.error is not None
        ]
    )
    return "\n\n".join([*sections, LOOKS, looks]) + "\n"


def test_the_documentation_is_printed_from_the_tables() -> None:
    """docs/verdicts.md is what the code does; run this file to print it again."""
    assert PAGE.read_text(encoding="utf-8") == page()


# Rows ----------------------------------------------------------------------------------------

EMPTY: tuple[object, ...] = (b"", HTML, {}, [], None, "ok", {"data": None})
ROWS: list[tuple[Reply, str]] = [
    *((reply(status), REFUSED) for status in (400, 404, 405, 413, 415, 422)),
    *((reply(status, HTML), IN_DOUBT) for status in (400, 404, 405, 413, 415, 422)),
    *((reply(status), REFUSED) for status in (401, 402, 403)),
    *((reply(status, {}), REFUSED) for status in (401, 402, 403)),
    (reply(401, HTML), REFUSED),
    (reply(403, b"error code: 1010"), REFUSED),
    (reply(403, HTML), REFUSED),
    (reply(503, b"<html><title>Just a moment...</title></html>"), REFUSED),
    *((reply(status), REFUSED) for status in (425, 429)),
    *((reply(status, HTML), REFUSED) for status in (425, 429)),
    *((reply(status, b""), REFUSED) for status in (304, 307, 308)),
    *((reply(status, b""), IN_DOUBT) for status in (301, 302, 303)),
    *((reply(status, HTML), NOT_SENT) for status in (521, 523, 525, 526)),
    *((reply(status), IN_DOUBT) for status in (408, 409)),
    *((reply(status), IN_DOUBT) for status in (500, 502, 503, 504, 520, 522, 524, 599)),
    *((reply(status, HTML), IN_DOUBT) for status in (500, 502, 503, 504, 520, 522, 524)),
    (reply(503, retry_after="5"), REFUSED),
    (reply(503, HTML, retry_after="5"), IN_DOUBT),
    *((reply(status, {"error": "Insufficient credits"}), REFUSED) for status in (200, 400, 500)),
    (reply(500, b"<html>insufficient credits</html>"), IN_DOUBT),
    *((reply(status, {"msg": "Too many concurrent jobs"}), REFUSED) for status in (402, 423)),
    (reply(409, {"msg": "Too many concurrent jobs"}), IN_DOUBT),
    (reply(200, {"msg": "Too many concurrent jobs", "success": False}), REFUSED),
    (reply(400, {"msg": "Too many concurrent jobs: yours is queued"}), IN_DOUBT),
    (reply(429, {"msg": "Daily limit reached"}), REFUSED),
    (reply(429, retry_after="601"), REFUSED),
    (reply(201, {"success": False, "error": "Insufficient credits"}), REFUSED),
    (reply(400, {"msg": "API key expired"}), REFUSED),
    (reply(400, {"msg": "Account suspended"}), REFUSED),
    (reply(400, {"msg": "Too many requests"}), REFUSED),
    (reply(400, {"msg": "Please top up"}), REFUSED),
    (reply(429, {"msg": "Your request is queued"}), IN_DOUBT),
    (reply(409, b"<html>Too many concurrent jobs</html>"), IN_DOUBT),
    *((reply(200, body), IN_DOUBT) for body in EMPTY),
    (reply(200, {"code": 401}), REFUSED),
    (reply(200, {"code": "429"}), REFUSED),
    (reply(200, {"code": 500}), IN_DOUBT),
    (reply(200, {"code": 7}), IN_DOUBT),
    (reply(200, {"code": 521}), IN_DOUBT),
    (reply(200, {"code": 302}), IN_DOUBT),
    (reply(500, {"lyrics": "insufficient credits", "message": "oops"}), IN_DOUBT),
    (reply(500, {"message": "x" * 200 + " insufficient credits"}), REFUSED),
    (reply(200, {"code": 10**39}), IN_DOUBT),
    (reply(418), IN_DOUBT),
    (attrs.evolve(reply(400), cut="the connection broke"), IN_DOUBT),
]


@pytest.mark.parametrize(
    ("answer", "verdict"), ROWS, ids=lambda value: str(getattr(value, "status", value))
)
def test_every_answer_has_its_verdict(answer: Reply, verdict: str) -> None:
    """One line per kind of answer, as the page says it."""
    ruling = judge(answer, SHARED_RULES)
    assert verdict_of(ruling.rule.error) == verdict
    with pytest.raises(UdioError) as caught:
        accepted_id(answer, SHARED_RULES, provider="p")
    doubtful = isinstance(caught.value, SubmitInDoubt)
    assert doubtful == (verdict == IN_DOUBT)
    assert caught.value.charged == ("unknown" if doubtful else "no")
    assert caught.value.provider == "p"


def test_every_row_is_reached() -> None:
    """No shared row is dead: each is the first match of some answer above."""
    reached = {judge(answer, SHARED_RULES).rule.seen for answer, _ in ROWS}
    assert reached == {rule.seen for rule in SHARED_RULES}


def test_every_row_explains_itself() -> None:
    """Each row has words for the page and advice; its error can be made, and says what it costs."""
    for rule in (*BEFORE_RULES, *SHARED_RULES, *LOOK_RULES, *udioapi.UDIOAPI_RULES):
        assert rule.seen
        assert rule.advice
        if rule.error is not None:
            assert issubclass(
                rule.error, RequestError | AccountError | ProviderUnavailable | SubmitInDoubt
            )
            assert rule.error("words").charged in ("no", "unknown")


IDS: list[object] = [
    {"workId": "x1"},
    {"work_id": "x1"},
    {"data": {"task_id": "x1"}},
    {"data": {"taskId": "x1"}},
    {"task_id": "x1"},
    {"code": 500, "workId": "", "data": {"task_id": "x1"}},
    {"workId": None, "data": [], "task_id": "x1"},
    {"taskId": "x1"},
    {"data": {"workId": "x1"}},
    {"data": {"work_id": "x1"}},
]


@pytest.mark.parametrize("status", [200, 201, 202, 303, 400, 401, 409, 429, 500, 502, 503])
@pytest.mark.parametrize("body", IDS, ids=json.dumps)
def test_an_id_is_worth_more_than_the_status(status: int, body: object) -> None:
    """Wherever the id is and whatever the status says: the task exists."""
    assert accepted_id(reply(status, body), SHARED_RULES, provider="p") == "x1"


ELSEWHERE: list[object] = [
    {"job": {"task_id": "x1"}},
    {"message": "slow down", "result": [{"Work-ID": 7}]},
    [{"taskId": "x1"}],
    b'{"task_id": "x 1',
    b'{"workId": 12',
    '{"task_id": "x 1'.encode("utf-16"),
    {"message": "busy", "task": {"id": "x1"}},
    {"task_ids": ["x1"]},
    {"message": "busy", "detail": '{"task_id":"x1"}'},
    {"TASK_ID": "x1"},
    b"task_id: x1",
    b"<html>queued, work-id=x1</html>",
]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 422, 429, 503, 521])
@pytest.mark.parametrize("body", ELSEWHERE, ids=str)
def test_an_id_at_another_place_is_no_refusal(status: int, body: object) -> None:
    """Something was made: to send it again could pay for it twice."""
    with pytest.raises(SubmitInDoubt) as caught:
        accepted_id(reply(status, body, retry_after="5"), SHARED_RULES, provider="p")
    assert caught.value.charged == "unknown"


def test_an_id_in_a_header_is_no_refusal() -> None:
    """As gateways add it."""
    answer = attrs.evolve(reply(429), headers={"x-task-id": "x1"})
    with pytest.raises(SubmitInDoubt):
        accepted_id(answer, SHARED_RULES, provider="p")


WELL: list[object] = [
    {"code": 200, "message": "You have 0 credits left.", "data": {"id": "x1"}},
    {"code": "201", "message": "Please top up soon", "data": [{"song": "a"}]},
    {"success": True, "message": "0 credits remaining"},
]


@pytest.mark.parametrize("status", [200, 201, 400, 429])
@pytest.mark.parametrize("body", WELL, ids=str)
def test_a_body_that_says_that_all_went_well_is_no_refusal(status: int, body: object) -> None:
    """Whatever else it says: somebody with no credits left has just spent the last ones."""
    with pytest.raises(SubmitInDoubt):
        accepted_id(reply(status, body), SHARED_RULES, provider="p")


@pytest.mark.parametrize("code", [199, 300])
def test_a_code_beside_those_of_success_is_a_refusal(code: int) -> None:
    """Its data may be about what is wrong."""
    body = {"code": code, "message": "no such model", "data": {"model": "x"}}
    with pytest.raises(RequestRefused):
        accepted_id(reply(400, body), SHARED_RULES, provider="p")


def test_songs_under_a_good_status_are_no_refusal() -> None:
    """They have been made, or will be."""
    body = {"message": "0 credits left", "songs": [{"song_id": "s1"}, {"song_id": "s2"}]}
    with pytest.raises(SubmitInDoubt):
        accepted_id(reply(200, body), SHARED_RULES, provider="p")


@pytest.mark.parametrize("value", [None, "", " ", False, {}, [], 0, -1, "0", "null", "None"])
@pytest.mark.parametrize("name", ["task_id", "workId"])
def test_what_stands_for_no_id_is_none(name: str, value: object) -> None:
    """Servers write all their fields: nobody is to look for task 0."""
    with pytest.raises(RateLimited):
        accepted_id(reply(429, {name: value}), SHARED_RULES, provider="p")


@pytest.mark.parametrize("value", [None, "", " ", False, {}, []])
def test_a_place_for_an_id_with_nothing_in_it_is_a_refusal(value: object) -> None:
    """Servers write all their fields, whatever they answer."""
    with pytest.raises(RateLimited):
        accepted_id(reply(429, {"job": {"task_id": value}}), SHARED_RULES, provider="p")


@pytest.mark.parametrize("status", [400, 404, 410, 422])
@pytest.mark.parametrize("name", PROVIDERS)
async def test_no_answer_about_the_account_says_that_a_task_is_unknown(
    name: str, status: int
) -> None:
    """No task was asked about: that answer is one to ask again for."""
    provider = PROVIDERS[name](api_key="key-of-an-account")
    with pytest.raises(BadAnswer):
        await provider.credits(RecordedHttp([reply(status)]))


def test_the_words_of_a_failure_end() -> None:
    """A whole page in place of a message is cut, and its kind is known all the same."""
    failure = explain("x" * 5000 + " moderation", udioapi_failures.FAILURES)
    assert failure.kind is FailureKind.MODERATION
    assert len(failure.message) <= 600


@given(st.sampled_from(IDS), st.integers(0, 200))
def test_a_cut_anywhere_gives_the_id_or_a_doubt(body: object, length: int) -> None:
    """A body that breaks off is accepted with the whole id, or in doubt: never half an id."""
    data = json.dumps(body).encode()[:length]
    ruling = judge(attrs.evolve(reply(200, data), cut="it broke"), SHARED_RULES)
    verdict = verdict_of(ruling.rule.error)
    assert (verdict, ruling.task_id) in ((ACCEPTED, "x1"), (IN_DOUBT, None))


@pytest.mark.parametrize(
    "payload", [{"workId": True}, {"workId": " "}, {"data": "x"}, {"id": "x"}, [{"task_id": "x"}]]
)
def test_what_is_no_id_is_not_taken_for_one(payload: object) -> None:
    """Only text or a number at a known place is an id."""
    assert find_id(payload) is None


def test_a_number_is_an_id_as_well() -> None:
    """Ids are opaque; one that is a number is kept as its text."""
    assert find_id({"workId": 12}) == "12"


@pytest.mark.parametrize(
    "answer",
    [
        {"data": {"taskId": "upstream-77", "workId": "w1"}},
        {"data": {"task_id": "upstream-77"}, "workId": "w1"},
        {"taskId": "upstream-77", "work_id": "w1"},
        {"workId": " w1\n"},
    ],
)
def test_the_id_that_the_feed_is_asked_by_counts(answer: object) -> None:
    """It is `workId`, wherever it stands; blanks around it are not part of it."""
    assert find_id(answer) == "w1"


def test_doubt_names_its_evidence() -> None:
    """Status, how much came, and the beginning of it."""
    with pytest.raises(SubmitInDoubt) as caught:
        accepted_id(attrs.evolve(reply(502, HTML * 9), cut="too long"), SHARED_RULES, provider="p")
    assert caught.value.evidence.startswith("HTTP 502, answer cut (too long): <html>")
    assert len(caught.value.evidence) < 140


@pytest.mark.parametrize(
    "body",
    [
        b'{"code": 200, "data": [{"id": "song-1"}, {"id": "song-2"}]}',
        b'{"data": {"response_data": [{"id": "song-1"}, {"id": "song-2", "title": "x"}]}}',
    ],
)
def test_a_doubt_names_the_songs_of_its_answer(body: bytes) -> None:
    """There is no task's id, but with those of its songs the owner can find it."""
    with pytest.raises(SubmitInDoubt) as caught:
        accepted_id(reply(200, body), SHARED_RULES, provider="p")
    assert caught.value.evidence.endswith("; it names the songs song-1, song-2")


def test_a_search_for_songs_ends() -> None:
    """A deep and wide answer is not looked through, and holds nothing up."""
    wide: object = [1] * 1000
    for _ in range(900):
        wide = [wide] * 2
    assert song_ids(wide) == []
    assert song_ids([{"id": str(number)} for number in range(1, 99)]) == ["1", "2", "3", "4"]


def test_a_redirect_names_its_target() -> None:
    """It is not followed, and the address may be the one that was meant."""
    moved = reply(307, b"", location="https://api.example.org/v2?token=secret")
    with pytest.raises(RequestRefused) as caught:
        accepted_id(moved, SHARED_RULES, provider="p")
    assert "answered 307: it leads to https://api.example.org/v2. " in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(BadAnswer, match=r"it leads to https://api\.example\.org/v2$"):
        read_look(moved, provider="p")


@pytest.mark.parametrize(
    ("location", "verdict"),
    [
        ("https://api.example/v1/song", REFUSED),
        ("https://api.example/v1/song/", REFUSED),
        ("http://www.other.example/v1/song", REFUSED),
        ("/v1/song", REFUSED),
        ("/v1/tasks/77", IN_DOUBT),
        ("/v1/song?task=77", IN_DOUBT),
        ("https://api.example/", IN_DOUBT),
        ("http://[", IN_DOUBT),
        ("", IN_DOUBT),
    ],
)
@pytest.mark.parametrize("status", [301, 302])
async def test_a_way_to_another_path_is_no_refusal(
    status: int, location: str, verdict: str
) -> None:
    """Frameworks answer a POST that they took with 302: only the same path elsewhere says no."""
    account = Account(base_url="https://api.example/v1", key=ApiKey("key"))
    call = Call(account=account, method="POST", path="/song")
    http = RecordedHttp([reply(status, b"", location=location)])
    with pytest.raises(UdioError) as caught:
        await send_submit(http, call, SHARED_RULES, provider="p")
    assert verdict_of(type(caught.value)) == verdict


def test_the_wait_that_was_asked_for_is_told() -> None:
    """RateLimited carries Retry-After in seconds, or None; milliseconds come before it."""
    ms = {"retry_after_ms": "1500", "retry_after": "2"}
    for headers, wait in (({"retry_after": "7"}, 7.0), (ms, 1.5), ({}, None)):
        with pytest.raises(RateLimited) as caught:
            accepted_id(reply(429, **headers), SHARED_RULES, provider="p")
        assert caught.value.retry_after == wait


def test_what_the_cdn_never_passed_on_is_not_sent() -> None:
    """521 and its kin prove that the provider saw nothing, so it may be sent again."""
    with pytest.raises(Unreachable) as caught:
        accepted_id(reply(521, HTML), SHARED_RULES, provider="p")
    assert not caught.value.sent


@pytest.mark.parametrize("error", [Unreachable("reset"), BadAnswer("gzip")])
async def test_no_readable_answer_is_a_doubt(error: ProviderUnavailable) -> None:
    """Whatever the HTTP layer says after the request left, the song may be paid for."""
    account = Account(base_url="https://example.com", key=ApiKey("key"))
    call = Call(account=account, method="POST", path="/x")
    with pytest.raises(SubmitInDoubt) as caught:
        await send_submit(RecordedHttp([error]), call, SHARED_RULES, provider="p")
    assert caught.value.__cause__ is error
    assert str(error) in caught.value.evidence


async def test_a_submit_is_sent_as_a_paid_request() -> None:
    """Whatever its adapter has set."""
    sent: list[Call] = []

    class Taking:
        async def send(self, call: Call) -> Reply:
            sent.append(call)
            return Reply(status=200, headers={}, body=b'{"task_id": "t-1"}')

    account = Account(key=ApiKey("key"), base_url="https://api.example")
    call = Call(account=account, method="POST", path="/a", json={}, timeout=1.0)
    assert await send_submit(Taking(), call, SHARED_RULES, provider="p") == "t-1"
    assert (sent[0].paid, sent[0].timeout) == (True, SUBMIT_TIMEOUT)


def test_a_cut_look_is_a_bad_answer() -> None:
    """Half an answer says nothing about the song, even where it can be read."""
    answer = attrs.evolve(reply(200, {"type": "complete"}), cut="the connection broke")
    with pytest.raises(BadAnswer, match="cut: the connection broke") as caught:
        read_look(answer, provider="p", task_id="x1")
    assert (caught.value.provider, caught.value.task_id) == ("p", "x1")


async def test_a_stand_in_for_a_key_changes_no_answer() -> None:
    """A real key is crossed out wherever it is repeated; a word of a test is not one."""
    account = Account(base_url="https://example.com", key=ApiKey("task_id"))
    call = Call(account=account, method="POST", path="/x")
    http = RecordedHttp([reply(200, {"task_id": "x1"})])
    assert await send_submit(http, call, SHARED_RULES, provider="p") == "x1"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"message": "a"}, "a"),
        ({"msg": "a"}, "a"),
        ({"error": "a"}, "a"),
        ({"error": {"message": "a"}}, "a"),
        ({"errors": [{"msg": "a"}, {"msg": "b"}, 5]}, "a; b"),
        ({"errors": [], "message": "a"}, "a"),
        ({"message": None, "detail": "a"}, "a"),
        ({"message": "x" * 500}, "x" * 79 + "…"),
        ({}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_messages_are_found_in_every_shape(payload: object, message: str) -> None:
    """The shapes of all documents, cut to a line."""
    assert message_in(payload) == message


# Answers from nowhere ------------------------------------------------------------------------

_WORDS = st.sampled_from(
    ["SUCCESS", "text", "first", "complete", "FAILED", "IN_PROGRESS", "finished", "x1", "", "2:10"]
)
_LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _WORDS | st.text()
_NAMES = st.sampled_from(
    [
        "code",
        "message",
        "data",
        "type",
        "response_data",
        "workId",
        "task_id",
        "status",
        "songs",
        "id",
        "audio_url",
        "duration",
        "created_at",
        "fail_message",
        "percentage",
        "tasks",
        "errors",
        "credits",
    ]
)
_PAYLOADS = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner), max_leaves=25
)
_STATUSES = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 429, 500, 503, 521])


@given(_STATUSES, _PAYLOADS)
def test_any_answer_to_a_submit_has_a_documented_end(status: int, payload: object) -> None:
    """An id, or one of the errors that the protocol names."""
    try:
        task_id = accepted_id(reply(status, payload), udioapi.UDIOAPI_RULES, provider="p")
    except (RequestError, AccountError, ProviderUnavailable, SubmitInDoubt) as error:
        assert len(str(error)) < 500  # noqa: PT017  # most examples raise, some do not
    else:
        assert task_id


Reader = Callable[[object], Task | list[Task]]


def _readers() -> dict[str, Reader]:
    return {
        "udioapi": lambda payload: udioapi_feed.read_task(payload, task_id="x1", provider="p"),
        "apiframe": lambda payload: apiframe_tasks.read_task(payload, task_id="x1"),
        "many": lambda payload: apiframe_tasks.read_many(payload, ["x1", "x2"]),
    }


@pytest.mark.parametrize("reader", _readers().values(), ids=_readers())
@given(status=_STATUSES, payload=_PAYLOADS)
def test_any_answer_to_a_look_has_a_documented_end(
    reader: Reader, status: int, payload: object
) -> None:
    """Tasks, or one of the errors that the protocol names."""
    try:
        found = reader(read_look(reply(status, payload), provider="p", task_id="x1"))
    except (RequestError, AccountError, ProviderUnavailable):
        return
    for task in [found] if isinstance(found, Task) else found:
        assert task.id in ("x1", "x2")
        assert all(song.task_id == task.id for song in task.songs)


@given(
    st.dictionaries(
        st.sampled_from(["description", "lyrics", "style", "title", "model", "negative_tags"]),
        st.text("ab é", min_size=1).filter(str.strip),
        min_size=1,
    ),
    st.booleans(),
)
def test_any_request_is_taken_or_refused_in_words(
    fields: dict[str, Any], instrumental: bool
) -> None:
    """`check` says yes, or raises a RequestError; a body that passes is never empty."""
    for kind in PROVIDERS.values():
        provider = kind(api_key="key")
        try:
            provider.check(SongRequest(instrumental=instrumental, **fields))
        except RequestError as error:
            assert str(error)  # noqa: PT017  # some examples raise, some do not


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
