"""HTTP/1.1 as bytes: what is written, and what is read of what servers write, right or wrong."""

from collections.abc import Iterable
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async._http.http1 import MAX_HEAD, Answers, written

OK = b"HTTP/1.1 200 OK\r\n"
GOOD = OK + b"Content-Length: 2\r\n\r\n{}"
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"


def read(answers: Answers, parts: Iterable[bytes]) -> bytes:
    """Read one answer from these parts, and return its body."""
    body = b""
    for part in parts:
        answers.feed(part)
        body += answers.take()
    return body


# What is written


def test_a_request_is_head_and_body() -> None:
    request = httpx.Request("POST", "https://a.example/b?c=d", headers={"X-E": "f"}, content=b"{}")
    assert written(request, b"{}") == (
        b"POST /b?c=d HTTP/1.1\r\nHost: a.example\r\nX-E: f\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "b\r\nX-C: d"), ("X-A", "b\n"), ("X-A", "b\0"), ("X A", "b")]
)
def test_a_header_that_would_be_another_one_is_not_written(name: str, value: str) -> None:
    request = httpx.Request("GET", "https://a.example/", headers={name: value})
    with pytest.raises(httpx.LocalProtocolError):
        written(request, b"")


@pytest.mark.parametrize("length", ["0", "3", "1"])
def test_a_body_of_another_length_is_not_written(length: str) -> None:
    """The rest of it would be another request."""
    request = httpx.Request("POST", "https://a.example/", headers={"Content-Length": length})
    with pytest.raises(httpx.LocalProtocolError):
        written(request, b"{}")


def test_a_method_that_would_be_another_request_is_not_written() -> None:
    with pytest.raises(httpx.LocalProtocolError):
        written(httpx.Request("GET / HTTP/1.1\r\nX:", "https://a.example/"), b"")


# What is read

READ = {
    "length": (GOOD, True),
    "a length beside chunks": (
        OK + b"Content-Length: 9\r\n" + CHUNKS + b"2\r\n{}\r\n0\r\n\r\n",
        True,
    ),
    "chunks with more in them": (
        OK + CHUNKS + b"1;a=b\r\n{\r\n01 \r\n}\r\n0\r\nT: 1\r\n\r\n",
        True,
    ),
    "the same length twice": (GOOD.replace(b"OK\r\n", b"OK\r\ncontent-length: 2\r\n"), True),
    "the same length in one line": (GOOD.replace(b": 2", b": 2, 2"), True),
    "a blank behind chunked": (
        OK + CHUNKS.replace(b"d\r", b"d \r", 1) + b"2\r\n{}\r\n0\r\n\r\n",
        True,
    ),
    "another version": (GOOD.replace(b"1.1", b"1.2"), True),
    "line feeds alone": (GOOD.replace(b"\r\n", b"\n"), True),
    "a folded line": (GOOD.replace(b"\r\n\r\n", b"\r\nX-A: b\r\n c\r\n\r\n"), True),
    "a control character": (GOOD.replace(b"\r\n\r\n", b"\r\nX-A: \x01\r\n\r\n"), True),
    "a letter outside ASCII": (GOOD.replace(b"OK", b"\xfc\r\nX-A: \xfc"), True),
    "a header without a value": (GOOD.replace(b"\r\n\r\n", b"\r\nX-A:\r\n\r\n"), True),
    "no reason": (GOOD.replace(b" OK", b""), True),
    "interim answers": (b"HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n" * 2 + GOOD, True),
    "an interim answer of HTTP/1.0": (b"HTTP/1.0 100 Go on\r\n\r\n" + GOOD, True),
    "an interim answer that closes": (b"HTTP/1.1 103 X\r\nConnection: close\r\n\r\n" + GOOD, True),
    "an offer of HTTP/2": (
        GOOD.replace(b"OK\r\n", b"OK\r\nConnection: Upgrade\r\nUpgrade: h2\r\n"),
        True,
    ),
    "close": (GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), False),
    "HTTP/1.0": (GOOD.replace(b"1.1", b"1.0"), False),
    "to the end": (OK + b"\r\n{}", False),
    "another coding, to the end": (OK + b"Transfer-Encoding: identity\r\n\r\n{}", False),
}


@pytest.mark.parametrize(("data", "again"), READ.values(), ids=READ)
def test_an_answer_is_read_however_it_is_cut(data: bytes, *, again: bool) -> None:
    """In one piece, and byte by byte. Only the end of the connection ends some."""
    for parts in ([data], [data[place : place + 1] for place in range(len(data))]):
        answers = Answers()
        assert read(answers, parts) == b"{}"
        if not answers.is_whole:
            answers.feed(b"")
        assert (answers.status, answers.is_whole, answers.may_go_on) == (200, True, again)


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    answers = Answers()
    assert read(answers, [b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status]) == b""
    assert (answers.status, answers.is_whole, answers.may_go_on) == (status, True, True)


@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: websocket\r\n"])
def test_after_a_switch_nothing_is_read(upgrade: bytes) -> None:
    """The server no longer speaks HTTP."""
    answers = Answers()
    assert read(answers, [b"HTTP/1.1 101 Switching\r\n" + upgrade + b"\r\n" + GOOD]) == b""
    assert (answers.status, answers.is_whole, answers.may_go_on) == (101, True, False)


@pytest.mark.parametrize("more", [GOOD, b"HTTP/1.1 5", b"junk", b"\0"])
def test_what_comes_behind_an_answer_is_no_answer(more: bytes) -> None:
    """It is not read, and nothing is asked on that connection again."""
    for parts in ([GOOD + more], [GOOD, more]):
        answers = Answers()
        assert read(answers, parts) == b"{}"
        assert answers.status == 200
        assert answers.has_more or not answers.may_go_on


def test_each_answer_has_its_own_headers() -> None:
    """What came behind the body of the one before is not among them."""
    answers = Answers()
    read(answers, [OK + CHUNKS + b"0\r\nSet-Cookie: a=b\r\n\r\n"])
    assert answers.may_go_on
    answers.begin()
    assert read(answers, [GOOD]) == b"{}"
    assert answers.headers == [(b"Content-Length", b"2")]


BROKEN = {
    "nothing": (b"", b"", "without sending a response"),
    "half a head": (OK, b"", "without sending a response"),
    "only an interim answer": (b"HTTP/1.1 100 Go on\r\n\r\n", b"", "without sending a response"),
    "too short": (GOOD[:-1], b"{", "after 1 of 2 bytes"),
    "too short, blanks": (GOOD[:-1].replace(b": 2", b" :\t2 "), b"{", "after 1 of 2 bytes"),
    "no last chunk, a blank": (
        OK + CHUNKS.replace(b"d\r", b"d \r", 1) + b"1\r\n{\r\n",
        b"{",
        "before the last chunk",
    ),
    "no last chunk": (OK + CHUNKS + b"1\r\n{\r\n", b"{", "before the last chunk"),
    "a damaged chunk": (OK + CHUNKS + b"1\r\n{\r\nzz\r\n", b"{", "chunk size"),
    "a page": (b"<html>", b"", "Expected HTTP"),
    "TLS": (b"\x15\x03\x01\x00\x02", b"", "Expected HTTP"),
    "two lengths": (
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"",
        "Content-Length",
    ),
    "a head without end": (OK + b"X-A: " + bytes(MAX_HEAD), b"", f"more than {MAX_HEAD} bytes"),
    "interim answers without end": (b"HTTP/1.1 103 X\r\n\r\n" * 7_000, b"", "more than"),
    "a chunk's extension without end": (
        OK + CHUNKS + b"1;" + b"a" * MAX_HEAD * 2,
        b"",
        "more than",
    ),
    "trailers without end": (OK + CHUNKS + b"0\r\n" + b"T: 1\r\n" * 30_000, b"", "more than"),
}


@pytest.mark.parametrize(("data", "body", "why"), BROKEN.values(), ids=BROKEN)
def test_what_came_before_it_broke_is_read(data: bytes, body: bytes, why: str) -> None:
    answers, got = Answers(), b""
    with pytest.raises(httpx.RemoteProtocolError, match=why):  # noqa: PT012  # what came counts
        for place in range(0, len(data) + 1, 50_000):
            answers.feed(data[place : place + 50_000])
            got += answers.take()
            answers.take()
        answers.feed(b"")
        answers.take()
    assert got == body
    assert not answers.may_go_on


def test_a_zero_byte_in_a_header_is_a_blank() -> None:
    """It may come back in a request, which could not be sent then."""
    answers = Answers()
    read(answers, [GOOD.replace(b"OK\r\n", b'OK\r\nETag: "a\0"\r\n')])
    assert answers.headers[0] == (b"ETag", b'"a "')


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=8), st.booleans())
def test_any_body_is_read(body: bytes, cuts: list[int], chunked: bool) -> None:
    if chunked:
        data = OK + CHUNKS + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        data = OK + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[one:other] for one, other in pairwise(places)]
    answers = Answers()
    for _ in range(2):  # on the same connection
        assert read(answers, filter(None, parts)) == body
        assert answers.may_go_on
        answers.begin()
