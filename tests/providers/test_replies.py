"""What is read in any provider's replies, and what a request to it shows."""

import attrs
import pytest

from udio_async import ApiKey, BadAnswer
from udio_async._http import Account, Call, Reply
from udio_async._http.messages import LinkRefused, api_request, installed_version, link_request
from udio_async.providers.replies import ReadReply
from udio_async.providers.verdicts import payload_of


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
