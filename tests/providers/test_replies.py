"""What is read in any provider's replies."""

from collections.abc import Coroutine
from typing import Any

import attrs
import pytest

from udio_async import ApiKey, BadAnswer, InvalidRequest, SubmitInDoubt
from udio_async._http import Account, Call, Reply
from udio_async._http.messages import LinkRefused, api_request, installed_version, link_request
from udio_async.providers.replies import SHORTEST_KEY, ReadReply, ask, distinct_songs
from udio_async.providers.rules import SHARED_RULES
from udio_async.providers.verdicts import SUBMIT_TIMEOUT, payload_of, send_submit
from udio_async.testing import RecordedHttp


@pytest.mark.parametrize(
    ("entries", "places"),
    [
        ([("a", "x"), ("a", "x")], {"a": 0}),
        ([("a", None), ("a", "x"), ("a", None)], {"a": 1}),
        ([("a", None), ("a", None), ("b", None)], {"a": 0, "b": 2}),
        ([("a", None), ("b", None), ("a", "x")], {"a": 2, "b": 1}),
        ([(None, None), (None, "x")], {"t-0": 0, "t-1": 1}),
    ],
)
def test_a_song_that_is_listed_twice_is_one(
    entries: list[tuple[str | None, str | None]], places: dict[str, int]
) -> None:
    """Its entry with a file counts, and of two such the first; without an id it is its own."""
    assert list(distinct_songs(entries, "t").items()) == list(places.items())


@pytest.mark.parametrize(
    ("entries", "places"),
    [
        ([("t", "x"), ("t", "y")], {"t-0": 0, "t-1": 1}),
        ([("a", "x"), ("a", "y")], {"a": 0, "t-1": 1}),
        ([("a", None), ("a", "x"), ("a", "y"), ("a", "y")], {"a": 1, "t-1": 2}),
        ([("t-1", "x"), (None, "y"), ("t-2", "z")], {"t-1": 0, "t-2": 1, "t-3": 2}),
    ],
)
def test_songs_that_share_an_id_are_told_apart_by_their_files(
    entries: list[tuple[str | None, str | None]], places: dict[str, int]
) -> None:
    """Each is paid for. Those that cannot have the id get one by their number."""
    assert distinct_songs(entries, "t") == places


@pytest.mark.parametrize(
    ("status", "leads"), [(299, False), (300, True), (308, True), (399, True), (400, False)]
)
def test_a_redirect_says_where_it_leads(status: int, *, leads: bool) -> None:
    """All of 3xx, and nothing else; without the query, which may be a secret."""
    headers = {"location": "https://elsewhere.example/a?token=secret"}
    said = ReadReply.from_reply(Reply(status=status, headers=headers, body=b"")).message
    assert ("elsewhere.example/a" in said) is leads
    assert "secret" not in said


@pytest.mark.parametrize(
    ("code", "status", "odd"),
    [(99, 500, True), (100, 500, False), (404, 404, False), (599, 500, False), (600, 500, True)],
)
def test_a_code_in_the_body_counts(code: int, status: int, *, odd: bool) -> None:
    """4xx are taken at their word; others are a 500, and some are no status at all."""
    reply = Reply(status=200, headers={}, body=b'{"code": %d}' % code)
    read = ReadReply.from_reply(reply)
    assert (read.status, read.has_odd_code) == (status, odd)


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


@pytest.mark.parametrize(("length", "kept"), [(SHORTEST_KEY - 1, True), (SHORTEST_KEY, False)])
async def test_a_key_that_is_repeated_is_blanked_out(length: int, *, kept: bool) -> None:
    """From twelve characters on: a shorter one is a stand-in, and may be a word."""
    key = "k" * length

    class Echo:
        async def send(self, call: Call) -> Reply:
            return Reply(status=200, headers={}, body=call.account.key.reveal().encode())

    account = Account(key=ApiKey(key), base_url="https://api.example")
    reply = await ask(Echo(), Call(account=account, method="GET", path="/a"))
    assert (key.encode() in reply.body) is kept


ECHOES = {
    "a header": Reply(status=302, headers={"location": "https://x.example/k-0123456789"}, body=b""),
    "escaped": Reply(status=500, headers={}, body=b'{"message": "bad \\u006b-0123456789"}'),
    "two bytes": Reply(status=500, headers={}, body='{"message": "k-0123456789"}'.encode("utf-16")),
    "cut": Reply(status=500, headers={}, body=b"token k-012345678", cut="it broke off"),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
async def test_a_key_is_blanked_out_however_it_is_written(echo: Reply) -> None:
    """In headers, behind escapes, in wide letters, and where the end is missing."""

    class Echo:
        async def send(self, call: Call) -> Reply:
            return echo

    account = Account(key=ApiKey("k-0123456789"), base_url="https://api.example")
    reply = await ask(Echo(), Call(account=account, method="GET", path="/a"))
    read = ReadReply.from_reply(reply)
    shown = f"{read.message} {read.payload} {reply.body!r} {reply.headers}"
    assert "012345678" not in shown
    assert "***" in shown


@pytest.mark.parametrize(("task_id", "about"), [("t-1", " about task t-1"), (None, "")])
def test_an_answer_that_cannot_be_used_is_named(task_id: str | None, about: str) -> None:
    """With the task that was asked about, where there is one."""
    read = ReadReply.from_reply(Reply(status=200, headers={}, body=b"<html>", cut=None))
    with pytest.raises(BadAnswer) as caught:
        payload_of(attrs.evolve(read, is_json=False), provider="p", task_id=task_id)
    assert str(caught.value).startswith(f"p answered 200{about}: ")


def test_a_request_names_the_library_and_its_version() -> None:
    """So a provider can tell who asks."""
    account = Account(key=ApiKey("key"), base_url="https://api.example")
    request = api_request(Call(account=account, method="GET", path="/a"))
    assert request.headers["User-Agent"] == f"udio-async/{installed_version()}"
    assert installed_version()[:1].isdigit() or installed_version() == "dev"


@pytest.mark.parametrize("link", ["https://10.0.0.1/a.mp3", "https://cdn.internal/a.mp3"])
def test_no_request_is_made_for_a_link_to_a_private_host(link: str) -> None:
    """A provider's answer shall not make this machine ask its own network."""
    with pytest.raises(LinkRefused, match="does not lead to the public internet"):
        link_request(link, {}, local=False)
    public = link_request("https://cdn.example.org/a.mp3", {}, local=False)
    assert public.extensions["paid"] is False


def submit(
    body: bytes, id_at: object, status: int = 200
) -> tuple[RecordedHttp, Coroutine[Any, Any, str]]:
    account = Account(base_url="https://api.example.org", key=ApiKey("a" * SHORTEST_KEY))
    http = RecordedHttp([Reply(status=status, headers={}, body=body)])
    call = Call(account=account, method="POST", path="/songs", json={})
    place: Any = id_at  # also what is no text
    return http, send_submit(http, call, SHARED_RULES, provider="p", id_at=place)


@pytest.mark.parametrize(
    ("body", "id_at"),
    [
        (b'{"id": "a"}', "id"),
        (b'{"ID": "a"}', "id"),
        (b'{"job": {"id": "a"}}', "job.id"),
        (b'[{"id": "a"}]', "id"),
        (b'[{"id": "a"}]', "0.id"),
        (b'{"ids": ["a"]}', "ids"),
        (b'{"ids": ["a"]}', "ids.0"),
        (b'{"clips": [{"id": "a"}, {"id": "b"}]}', "clips.0.id"),
        (b'{"clips": [{"id": "b"}, {"id": "a"}]}', "clips.1.id"),
        (b'{"0": {"id": "a"}}', "0.id"),
        (b'{"ids": ["a", "b', "ids.0"),
        (b'{"clips": [{"id": "a"}, {"id', "clips.0.id"),
    ],
)
@pytest.mark.parametrize("status", [200, 429])
async def test_an_adapter_can_name_a_place_in_a_list(body: bytes, id_at: str, status: int) -> None:
    """A number is a place; a list of one needs none. The answer may be cut, and refuse in words."""
    _, submitted = submit(body, id_at, status)
    assert await submitted == "a"


@pytest.mark.parametrize(
    ("body", "id_at"),
    [
        (b'[{"id": "a"}, {"id": "b"}]', "id"),
        (b'{"ids": ["a", "b"]}', "ids"),
        (b'{"ids": ["a"]}', "ids.1"),
        (b'{"ids": "a"}', "ids.0"),
        (b'{"ids": []}', "ids"),
        (b'{"id": {"x": 1}}', "id"),
        (b'["a"]', "id"),
        (b'{"task_id": ["a", "b', "id"),
        (b'{"ids": ["a", "b', "ids"),
    ],
)
async def test_which_of_several_is_never_guessed(body: bytes, id_at: str) -> None:
    """Something may be paid for, and nobody knows which id it has."""
    _, submitted = submit(body, id_at)
    with pytest.raises(SubmitInDoubt):
        await submitted


@pytest.mark.parametrize("id_at", [("id", "uuid"), ["id"], 0, "", b"id"])
async def test_a_place_that_is_no_text_is_refused_before_anything_is_sent(id_at: object) -> None:
    """Otherwise the request would be paid for, and its id not read."""
    http, submitted = submit(b'{"id": "a"}', id_at)
    with pytest.raises(InvalidRequest, match="name one place"):
        await submitted
    assert http.calls == []
