"""JSON with caps, strict types and readable errors."""

import json
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async._errors import BadAnswer
from udio_async._wire import (
    MAX_DEPTH,
    Instant,
    Number,
    OptionalText,
    Seconds,
    describe,
    excerpt,
    loads,
    make_converter,
    structure,
)


@attrs.frozen(kw_only=True)
class Part:
    id: str
    count: int = 0
    ready: bool = False
    size: float = 0.0


@attrs.frozen(kw_only=True)
class Whole:
    text: OptionalText = None
    seconds: Seconds = None
    instant: Instant = None
    number: Number = None
    parts: list[Part] | None = None


def read(payload: object, *, strict: bool = False) -> Whole:
    return structure(make_converter(strict=strict), payload, Whole)


# Bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_every_unicode_encoding_is_read(encoding: str) -> None:
    """JSON may come in any of them, with or without a mark."""
    assert loads('{"title": "Été ☀"}'.encode(encoding)) == {"title": "Été ☀"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"\x00\x01\x02",
        b"\xff\xfe\x00",
        b"<html>",
    ],
    ids=range(14),
)
def test_what_is_no_usable_json_is_a_bad_answer(body: bytes) -> None:
    """Nothing else comes out, and the message stays short."""
    with pytest.raises(BadAnswer) as caught:
        loads(body)
    assert len(str(caught.value)) < 250


def test_the_allowed_depth_is_read() -> None:
    """Sixty-four levels are fine."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_lone_surrogates_are_replaced() -> None:
    """Half a character would later break SQLite and file names; a whole pair is kept."""
    assert loads(b'{"\\ud800": "a\\udfff", "b": "\\ud83d\\ude00"}') == {
        "\ufffd": "a\ufffd",
        "b": "\U0001f600",
    }


def test_bytes_that_are_no_text_are_replaced() -> None:
    """One bad byte in a title does not cost the answer."""
    assert loads(b'{"title": "a\xffb"}') == {"title": "a\ufffdb"}


def test_pages_of_gateways_are_named() -> None:
    """HTML in place of JSON is called what it is, in one short line."""
    assert "web page" in describe(b"\n<!DOCTYPE html>\n<html>" + b"x" * 500)
    assert describe(b" \n") == "it is empty"
    assert excerpt("a\n\tb\x00" + "c" * 100) == "a b\ufffd" + "c" * 75 + "…"
    assert len(excerpt(b"\xff" * 1000)) == 80


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_bad_answer(body: bytes) -> None:
    """No other error exists."""
    try:
        loads(body)
    except BadAnswer as error:
        assert len(str(error)) < 250  # noqa: PT017  # most examples raise, some do not


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=12,
    )
)
def test_json_comes_through_unchanged(value: object) -> None:
    """What a decent server sends is what we read."""
    assert loads(json.dumps(value).encode()) == value


# Records -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        {"id": 5},
        {"id": None},
        {"id": ["x"]},
        {"id": "x", "count": "5"},
        {"id": "x", "count": True},
        {"id": "x", "count": 5.0},
        {"id": "x", "ready": "false"},
        {"id": "x", "ready": 1},
        {"id": "x", "size": True},
        {"id": "x", "size": "1"},
        {},
    ],
)
def test_nothing_is_coerced_in_silence(part: dict[str, object]) -> None:
    """A type that is not exactly the declared one is an error with its path."""
    with pytest.raises(BadAnswer, match=r"answer\.parts\[0\]"):
        read({"parts": [part]})


@pytest.mark.parametrize("parts", ["abc", {}, {"id": "x"}, 5, True])
def test_a_list_is_made_of_a_list_only(parts: object) -> None:
    """Text and the keys of an object are sequences to Python, and no list here."""
    with pytest.raises(BadAnswer, match="expected a list, found"):
        read({"parts": parts})


def test_integers_are_numbers() -> None:
    """JSON does not tell 120 from 120.0."""
    whole = read({"parts": [{"id": "x", "size": 120}]})
    assert whole.parts == [Part(id="x", size=120.0)]


@pytest.mark.parametrize("payload", [None, 5, "text", [], [{}], True])
def test_what_is_no_object_is_named(payload: object) -> None:
    """A payload of another kind never reaches the converter."""
    with pytest.raises(BadAnswer, match="should be an object"):
        read(payload)


def test_errors_say_where_and_what() -> None:
    """The message names path and value, and not more than three faults."""
    payload = {"parts": [{"id": n} for n in range(9)], "text": ["x" * 500]}
    with pytest.raises(BadAnswer) as caught:
        read(payload)
    assert "expected text, found a list of 1 @ answer.text" in str(caught.value)
    assert "and 7 more" in str(caught.value)
    assert len(str(caught.value)) < 400


def test_new_fields_are_ignored_unless_strict() -> None:
    """In production a new field is no news; over recordings it is an error."""
    assert read({"new": 1}) == Whole()
    with pytest.raises(BadAnswer, match="new"):
        read({"new": 1}, strict=True)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        (" ", None),
        (122, 122.0),
        (156.36, 156.36),
        ("156.36", 156.36),
        ("2:36", 156.0),
        ("02:36.5", 156.5),
        ("1:00:01", 3601.0),
    ],
)
def test_durations_come_in_many_shapes(value: object, seconds: float | None) -> None:
    """A number, a number as text, a clock, or nothing yet."""
    assert read({"seconds": value}).seconds == seconds


@pytest.mark.parametrize("value", ["soon", True, [], "1e999", "nan", -1, "-1"])
def test_other_durations_are_errors(value: object) -> None:
    """A duration that nobody documented is not guessed."""
    with pytest.raises(BadAnswer):
        read({"seconds": value})


@pytest.mark.parametrize(
    ("value", "number"), [(None, None), ("", None), (56, 56.0), ("56", 56.0), (812.5, 812.5)]
)
def test_numbers_may_be_text(value: object, number: float | None) -> None:
    """A percentage has been seen as both."""
    assert read({"number": value}).number == number


@pytest.mark.parametrize("value", ["many", True, {}, "inf"])
def test_other_numbers_are_errors(value: object) -> None:
    """Text that is no number is not zero."""
    with pytest.raises(BadAnswer):
        read({"number": value})


_MOMENT = datetime(2024, 9, 5, 13, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2024-09-05T13:09:01Z",
        "2024-09-05T13:09:01.000Z",
        "2024-09-05 13:09:01",
        "2024-09-05T15:09:01+02:00",
        1725541741000,
        "1725541741000",
    ],
)
def test_times_come_in_many_shapes(value: object) -> None:
    """ISO with a zone, without one (UTC), and epoch milliseconds; all are aware."""
    assert read({"instant": value}).instant == _MOMENT


@pytest.mark.parametrize("value", [None, "", "yesterday", True, [], {}, 10**40, "9" * 30, -1e300])
def test_a_bad_time_is_none(value: object) -> None:
    """A date that nobody can read must not cost a song."""
    assert read({"instant": value}).instant is None


@pytest.mark.parametrize(("value", "text"), [(None, None), ("", None), ("x", "x"), (" ", " ")])
def test_empty_text_is_none(value: object, text: str | None) -> None:
    """udioapi says "" and apiframe null where there is nothing yet."""
    assert read({"text": value}).text == text
