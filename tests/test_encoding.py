"""What a server has done to a body is undone, in small pieces; what it only claims is left."""

import functools
import gzip
import json
import random
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from itertools import chain, permutations
from typing import Any

import anyio
import brotli
import pytest
import zstandard
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from tests.kit import fault_server as faults
from tests.kit.fault_server import FaultServer
from tests.test_formats import FILES
from udio_async._http import Account, ApiKey, Call, HttpSender, Reply, decompressors, encoding
from udio_async._http.encoding import PIECE, Coding, Decoder, codings_of
from udio_async.providers.replies import ReadReply

MIB = 1 << 20
JSON = json.dumps({"code": 200, "workId": "t1", "data": {"lyrics": "la " * 500}}).encode()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


PACK: dict[Coding, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
CODINGS = list(PACK)


@pytest.fixture(params=["backports.zstd", "zstandard"])
def each_zstd(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With either of the libraries that people have."""
    old = functools.partial(decompressors._BoundlessZstd, zstandard)
    if request.param == "zstandard":
        monkeypatch.setattr(decompressors, "zstd", lambda: old)
    return str(request.param)


def unpack(
    codings: Sequence[Coding], data: bytes, *, chunk: int = PIECE, most: int = MIB
) -> tuple[bytes, str | None]:
    """What comes out of a body that comes in so many bytes at once, and what is wrong with it."""
    decoder, out = Decoder(codings, most=most), bytearray()
    for start in range(0, len(data), chunk):
        for piece in decoder.feed(data[start : start + chunk]):
            out += piece
    for piece in decoder.end():
        out += piece
    return bytes(out), decoder.flaw


def packed(codings: Sequence[Coding], data: bytes) -> bytes:
    """Pack for a body whose codings are undone in this order."""
    for coding in reversed(codings):
        data = PACK[coding](data)
    return data


# What is claimed


@pytest.mark.parametrize(
    ("claim", "codings"),
    [
        ("gzip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("GZip", ["gzip"]),
        (" gzip ", ["gzip"]),
        ('"gzip"', ["gzip"]),
        ("gzip;q=1.0", ["gzip"]),
        ("gzip, br", ["br", "gzip"]),
        ("gzip,,identity , deflate,", ["deflate", "gzip"]),
        ("UTF-8,gzip", ["gzip"]),
        ("aws-chunked, gzip", ["gzip"]),
        ("gzip, gzip, gzip, gzip, br", ["br", "gzip", "gzip"]),
        *((claim, []) for claim in ("", ",", "none", "utf-8", "binary", "identity, identity")),
        *((claim, []) for claim in ("compress", "gz ip", "*", "null", "deflate64", "\u00fc")),
    ],
)
def test_a_claim_is_read_as_far_as_it_names_codings(claim: str, codings: list[Coding]) -> None:
    """In any spelling, and the last one applied is the first to be undone."""
    assert codings_of(claim) == codings


@given(st.text(max_size=80))
def test_any_claim_can_be_read(claim: str) -> None:
    assert len(codings_of(claim)) <= encoding.MAX_LAYERS


# What is true


bodies = st.one_of(
    st.binary(min_size=1, max_size=2000),
    st.text(min_size=1, max_size=500).map(str.encode),
    st.binary(min_size=1, max_size=8).map(lambda part: part * 20_000),
).filter(lambda body: not body.startswith((b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd")))
"""Not the empty one, which Brotli makes ";" of: that could as well be text. And none that begins
as gzip or Zstandard does, which would be unpacked once more."""


@given(bodies, st.lists(st.sampled_from(CODINGS), min_size=1, max_size=3), st.integers(1, 5000))
def test_what_was_packed_is_unpacked(body: bytes, codings: list[Coding], chunk: int) -> None:
    """Whatever it is, in any chain of codings and cut into any chunks."""
    data = packed(codings, body)
    assert unpack(codings, data, chunk=max(chunk, len(data) // 1000)) == (body, None)


@pytest.mark.usefixtures("each_zstd")
@pytest.mark.parametrize("codings", [*permutations(CODINGS, 3)])
def test_chains_are_undone_in_their_order(codings: tuple[Coding, ...]) -> None:
    """With several times a piece in it, by either library."""
    body = random.Random(1).randbytes(3 * PIECE)
    assert unpack(codings, packed(codings, body), chunk=999) == (body, None)


@given(bodies.filter(lambda body: len(body) > 3))
def test_deflate_without_its_frame_is_understood(body: bytes) -> None:
    """As some servers send it: the standard means zlib, and they take its name for it."""
    assert unpack(["deflate"], raw_deflate(body)) == (body, None)


@pytest.mark.usefixtures("each_zstd")
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("chunk", [1, 7, PIECE])
def test_streams_in_a_row_are_one_body(coding: Coding, chunk: int) -> None:
    """Joined as files can be joined; padding behind them is nothing."""
    data = PACK[coding](b"one ") + PACK[coding](b"") + PACK[coding](b"two")
    for padding in (b"", bytes(1), bytes(2000), b"\r\n"):
        assert unpack([coding], data + padding, chunk=chunk) == (b"one two", None)


def test_gzip_twice_under_one_claim_is_undone_twice() -> None:
    """A file that was packed before it was put on a server that packs."""
    assert unpack(["gzip"], gzip.compress(gzip.compress(JSON))) == (JSON, None)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("claimed", [[], *([each] for each in CODINGS)])
@pytest.mark.parametrize("chunk", [1, PIECE])
def test_a_mark_is_believed_whatever_is_claimed(
    coding: Coding, claimed: list[Coding], chunk: int
) -> None:
    """A file that was packed before it was put on a server, or a wrong header."""
    assert unpack(claimed, PACK[coding](JSON), chunk=chunk) == (JSON, None)


@pytest.mark.parametrize("chunk", [1, PIECE])
def test_a_mark_counts_more_than_what_may_be_brotli_by_chance(chunk: int) -> None:
    """The date in the head of gzip can be anything; for some of them Brotli would go on."""
    for date in range(1795967000, 1795967100):
        assert unpack(["br"], gzip.compress(JSON, mtime=date), chunk=chunk) == (JSON, None)


@pytest.mark.parametrize("chunk", [1, PIECE])
def test_deflate_that_is_called_gzip_is_understood(chunk: int) -> None:
    assert unpack(["gzip"], zlib.compress(JSON), chunk=chunk) == (JSON, None)


# What is not


TEXTS = (JSON, b"{}", b"[1,2]", b"<html>Sign in</html>", b"hC", b"x", "\u00fcber".encode(), b"")


@pytest.mark.parametrize("codings", [[], *([coding] for coding in CODINGS)])
@pytest.mark.parametrize("chunk", [1, 5, PIECE])
def test_what_is_in_no_coding_is_left_as_it_is(codings: list[Coding], chunk: int) -> None:
    """Answers, pages, sound of every kind: whatever the header says."""
    for body in (*TEXTS, *FILES.values()):
        size = max(chunk, len(body) // 1000)
        assert unpack(codings, body, chunk=size, most=256 * MIB) == (body, None)


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cc", "Cs"])))
def test_text_is_left_as_it_is(text: str) -> None:
    """Nothing that is packed can be read as text; so what can be read was not packed."""
    for coding in CODINGS:
        assert unpack([coding], text.encode()) == (text.encode(), None)


@given(st.binary(max_size=600), st.lists(st.sampled_from(CODINGS), max_size=3), st.integers(1, 99))
def test_any_bytes_are_taken_somehow(data: bytes, codings: list[Coding], chunk: int) -> None:
    """Nothing is raised, and nothing hangs."""
    unpack(codings, data, chunk=chunk)


# What is broken


@given(st.sampled_from(CODINGS), st.integers(1, 60))
def test_what_ends_early_is_told_and_kept(coding: Coding, missing: int) -> None:
    """It is the beginning of what was sent."""
    body = random.Random(missing).randbytes(900) + JSON
    out, flaw = unpack([coding], PACK[coding](body)[:-missing])
    assert body.startswith(out)
    assert flaw == f"its {coding} ends early"


@pytest.mark.parametrize("place", [-8, -4, -1])
def test_a_wrong_checksum_costs_nothing_that_came(place: int) -> None:
    """All of it is kept, with the flaw: in a short answer everything stands before it."""
    data = bytearray(gzip.compress(JSON))
    data[place] ^= 1
    assert unpack(["gzip"], bytes(data)) == (JSON, "its gzip is damaged")


@pytest.mark.usefixtures("each_zstd")
@pytest.mark.parametrize("coding", CODINGS)
def test_what_stands_before_the_damage_is_kept(coding: Coding) -> None:
    """Noise in the last part of a body of many pieces."""
    dice = random.Random(5)
    body = (
        dice.randbytes(PIECE) + JSON * 200 + dice.randbytes(4 * PIECE)
    )  # of which blocks are made
    data = bytearray(PACK[coding](body))
    data[-3 * PIECE :] = dice.randbytes(3 * PIECE)
    out, flaw = unpack([coding], bytes(data))
    assert out[: 2 * PIECE] == body[: 2 * PIECE]
    assert flaw in (f"its {coding} is damaged", f"its {coding} ends early")


# What is meant badly


NOTHING = bytes(32 * MIB)
BOMBS: dict[str, tuple[list[Coding], bytes]] = {
    "gzip": (["gzip"], gzip.compress(NOTHING, 1)),
    "deflate": (["deflate"], raw_deflate(NOTHING)),
    "br": (["br"], brotli.compress(NOTHING, quality=3)),
    "zstd": (["zstd"], zstd.compress(NOTHING)),
    "gzip in gzip": (["gzip", "gzip"], gzip.compress(gzip.compress(NOTHING, 1))),
    "br in zstd": (["zstd", "br"], zstd.compress(brotli.compress(NOTHING, quality=3))),
}
EMPTY_BLOCKS = b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\0\0\0\xff\xff" * 4 * MIB
SILENT: dict[str, bytes] = {
    "empty streams": gzip.compress(b"") * 60_000,
    "a name without an end": b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"a" * 2 * MIB,
    "empty blocks": EMPTY_BLOCKS[: 2 * MIB],
    "empty blocks, packed": gzip.compress(EMPTY_BLOCKS),
    "empty streams, packed": gzip.compress(gzip.compress(b"") * 200_000),
}
"""What is long, and comes to nothing."""


@pytest.mark.usefixtures("each_zstd")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_goes_off_in_small_pieces(name: str) -> None:
    """Whoever wants no more can stop after each; meanwhile little is held."""
    codings, data = BOMBS[name]
    tracemalloc.start()
    try:
        out, largest = 0, 0
        decoder = Decoder(codings, most=MIB)
        for piece in chain(decoder.feed(data), decoder.end()):
            out += len(piece)
            largest = max(largest, len(piece))
            if out > 4 * MIB:
                break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out > 4 * MIB
    assert largest <= 2 * MIB + PIECE  # one step of `zstandard`; the others keep to a piece
    assert peak < 8 * MIB


@pytest.mark.parametrize("name", SILENT)
def test_what_comes_to_nothing_ends(name: str) -> None:
    """No coding is read for longer than what is read at all, and none begins for ever."""
    out, flaw = unpack(["gzip"], SILENT[name])
    assert len(out) < PIECE
    assert flaw in ("its gzip is too long", "its gzip has too many parts")


def test_others_have_a_turn_while_nothing_comes() -> None:
    """Twenty million bytes inside of a few thousand: many pieces, though all are empty."""
    data = gzip.compress(EMPTY_BLOCKS)
    pieces = list(Decoder(["gzip"], most=256 * MIB).feed(data))
    assert len(pieces) > len(EMPTY_BLOCKS) // PIECE
    assert not b"".join(pieces)


# Libraries


def test_without_a_library_what_is_said_to_need_it_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Zstandard shows by its mark what is missing; Brotli has none."""
    for name in ("brotli", "zstd"):
        monkeypatch.setattr(decompressors, name, lambda: None)
    assert unpack(["br"], JSON) == unpack(["zstd"], JSON) == (JSON, None)
    assert unpack(["br"], brotli.compress(JSON)) == (brotli.compress(JSON), None)
    out, flaw = unpack(["zstd"], zstd.compress(JSON))
    assert out == zstd.compress(JSON)
    assert "backports.zstd" in str(flaw)


def test_a_brotli_that_cannot_be_bounded_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those before 1.2 unpack all there is at once."""

    class Old:
        class Decompressor:
            pass

    monkeypatch.setattr(decompressors, "import_module", lambda _: Old)
    assert decompressors.brotli.__wrapped__() is None
    monkeypatch.undo()
    assert decompressors.brotli.__wrapped__() is not None


def test_libraries_are_looked_for_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of Python itself, then the one that brings it to older ones, then another."""
    asked: list[str] = []

    def missing(name: str) -> Any:  # noqa: ANN401  # a module
        asked.append(name)
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(decompressors, "import_module", missing)
    assert decompressors.zstd.__wrapped__() is None
    assert decompressors.brotli.__wrapped__() is None
    assert asked == ["compression.zstd", "backports.zstd", "zstandard", "brotli", "brotlicffi"]


# Over the wire


async def ask(*answers: bytes, **fields: Any) -> list[Reply]:  # noqa: ANN401  # of the call
    """What an API call gets for each of these answers."""
    replies = []
    async with anyio.create_task_group() as tasks, HttpSender(tasks) as http:
        for data in answers:
            async with FaultServer(faults.answer_once(data)) as server:
                account = Account(base_url=server.url, key=ApiKey("key"))
                call = Call(**{"account": account, "method": "GET", "path": "/feed", **fields})
                replies.append(await http.send(call))
    return replies


@pytest.mark.parametrize("coding", CODINGS)
async def test_an_answer_of_an_api_is_read_in_any_coding(coding: Coding) -> None:
    """Packed, claimed only, or in chunks; the key goes out with no word about codings."""
    claim, data = f"Content-Encoding: {coding}", PACK[coding](JSON)
    chunks = faults.chunked(data[:9], data[9:]).replace(
        b"\r\n\r\n", f"\r\n{claim}\r\n\r\n".encode(), 1
    )
    replies = await ask(faults.ok(data, claim), faults.ok(JSON, claim), chunks)
    assert [(reply.body, reply.cut) for reply in replies] == [(JSON, None)] * 3


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
async def test_an_answer_of_an_api_is_read_though_its_coding_is_not_claimed(coding: Coding) -> None:
    """Or though another one is."""
    data = PACK[coding](JSON)
    replies = await ask(faults.ok(data), faults.ok(data, "Content-Encoding: deflate"))
    assert [(reply.body, reply.cut) for reply in replies] == [(JSON, None)] * 2


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_half_of_a_packed_answer_is_a_cut_one(coding: Coding) -> None:
    """What came of it is there, as it is of any other that breaks off."""
    data = PACK[coding](b'{"workId": "t1", "code": 200}' + random.Random(2).randbytes(2000))
    [early, broken] = await ask(
        faults.ok(data[:-900], f"Content-Encoding: {coding}"),
        faults.http(200, data[:-900], f"Content-Encoding: {coding}", length=len(data)),
    )
    assert early.cut == f"its {coding} ends early"
    assert "cut off" in str(broken.cut)
    assert early.body.startswith(b'{"workId": "t1"')
    assert broken.body == early.body


async def test_a_whole_answer_with_a_wrong_checksum_still_says_its_id() -> None:
    """All of it is there, and it is told that it is not to be trusted."""
    [reply] = await ask(faults.ok(gzip.compress(JSON)[:-8] + bytes(8), "Content-Encoding: gzip"))
    read = ReadReply.from_reply(reply)
    assert reply.cut == "its gzip is damaged"
    assert read.payload["workId"] == "t1"
    assert not read.is_json


LACKING = {
    coding: faults.ok(PACK[coding](JSON)[:-4], f"Content-Encoding: {coding}")
    for coding in ("gzip", "deflate")
}


@pytest.mark.parametrize("answer", LACKING.values(), ids=LACKING)
async def test_a_look_is_believed_where_its_object_is_closed(answer: bytes) -> None:
    """Only the end of its coding is missing, and would be each time."""
    [reply] = await ask(answer)
    assert (reply.body, reply.cut) == (JSON, None)


@pytest.mark.parametrize("answer", LACKING.values(), ids=LACKING)
async def test_of_a_paid_request_such_an_answer_is_a_cut_one(answer: bytes) -> None:
    """It says that nothing was charged, say: that takes a whole answer to believe."""
    [reply] = await ask(answer, method="POST", json={}, paid=True)
    assert reply.body == JSON
    assert reply.cut is not None


async def test_a_look_that_is_damaged_or_breaks_off_is_a_cut_one() -> None:
    """Though its object is closed: some may be wrong, or the server says that it is not all."""
    data, claim = gzip.compress(JSON), "Content-Encoding: gzip"
    [damaged, broken] = await ask(
        faults.ok(data[:-8] + bytes(8), claim),
        faults.http(200, data[:-4], claim, length=len(data)),
    )
    assert damaged.cut == "its gzip is damaged"
    assert "cut off" in str(broken.cut)


@pytest.mark.parametrize("body", [b'{"code": 200, "data": {}', b"[1, 2]", b"123", b"", b"null"])
async def test_a_look_without_a_closed_object_is_a_cut_one(body: bytes) -> None:
    """Of a number or a list of lines there may be more."""
    data = gzip.compress(body)[:-4]
    [reply] = await ask(faults.ok(data, "Content-Encoding: gzip"))
    assert reply.cut == "its gzip ends early"


async def test_a_bomb_ends_at_the_cap() -> None:
    """Whichever it is, only what may be read of a plain answer is read of it."""
    answers = [
        faults.ok(data, f"Content-Encoding: {', '.join(reversed(codings))}")
        for codings, data in BOMBS.values()
    ]
    for reply in await ask(*answers):
        assert reply.body == bytes(MIB)
        assert "longer than" in str(reply.cut)


async def test_what_comes_to_nothing_is_an_empty_answer() -> None:
    answers = [faults.ok(data, "Content-Encoding: gzip") for data in SILENT.values()]
    for reply in await ask(*answers):
        assert len(reply.body) < PIECE
        assert "its gzip" in str(reply.cut)
