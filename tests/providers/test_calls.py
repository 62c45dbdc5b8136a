"""A key that an answer repeats is seen by nobody."""

import pytest

from udio_async import ApiKey
from udio_async._http import Account, Call, Reply
from udio_async.providers.calls import SHORTEST_KEY, ask
from udio_async.providers.replies import ReadReply


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


@pytest.mark.parametrize(("length", "shown"), [(7, "k-01234"), (8, "***")])
async def test_the_beginning_of_a_key_at_a_cut_is_blanked_out(length: int, shown: str) -> None:
    """From eight characters on: less of it may be the beginning of any word."""
    key = "k-0123456789"

    class Echo:
        async def send(self, call: Call) -> Reply:
            body = f"token {key[:length]}".encode()
            return Reply(status=500, headers={}, body=body, cut="it broke off")

    account = Account(key=ApiKey(key), base_url="https://api.example")
    reply = await ask(Echo(), Call(account=account, method="GET", path="/a"))
    assert reply.body == f"token {shown}".encode()
