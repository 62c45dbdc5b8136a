"""JSON with caps, strict types and readable errors."""

import json
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async._errors import BadAnswer
from udio_async.providers.wire import (
    MAX_DEPTH,
    MAX_ENTRIES,
    Instant,
    Link,
    Number,
    OptionalId,
    OptionalText,
    Seconds,
    ShownText,
    describe,
    excerpt,
    loads,
    make_converter,
    objects_in,
    structure,
)


@attrs.frozen(kw_only=True)
class Part:
    id: str
    count: int = 0
    ready: bool = False
    size: float = 0.0
    seconds: Seconds = None


@attrs.frozen(kw_only=True)
class Whole:
    ident: OptionalId = None
    text: OptionalText = None
    seconds: Seconds = None
    instant: Instant = None
    number: Number = None
    shown: ShownText = None
    link: Link = None
    parts: list[Part] | None = None


def read(payload: object, *, strict: bool = False) -> Whole:
    return structure(make_converter(strict=strict), payload, Whole, about="answer")


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
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"\x00\x01\x02",
        b"\xff\xfe\x00",
        b"<html>",
    ],
    ids=range(9),
)
def test_what_is_no_usable_json_is_a_bad_answer(body: bytes) -> None:
    """Nothing else comes out, and the message stays short."""
    with pytest.raises(BadAnswer) as caught:
        loads(body)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_what_is_no_number_is_none(number: str) -> None:
    """It must not cost the answer that it stands in."""
    assert loads(f'{{"id": "x", "odd": {number}}}'.encode()) == {"id": "x", "odd": None}


def test_an_answer_of_too_many_values_is_not_read() -> None:
    """Reading it would keep the event loop."""
    with pytest.raises(BadAnswer, match="too many values"):
        loads(b"[" + b"1," * 60_000 + b"1]")
    with pytest.raises(BadAnswer, match="too many values"):
        loads(b"[" + b"{}," * 6_000 + b"1]")


def test_the_allowed_depth_is_read() -> None:
    """Sixty-four levels are fine."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_lone_surrogates_are_replaced() -> None:
    """Half a character would later break SQLite and file names; a whole pair is kept."""
    assert loads(b'{"\\ud800": "a\\udfff", "b": "\\ud83d\\ude00"}') == {
        "?": "a?",
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


def test_an_odd_field_is_left_out_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the record is read; the log names the place, and what was found there."""
    payload = {"text": ["odd"], "number": 5, "parts": [{"id": "x", "seconds": "soon"}]}
    for _ in range(2):
        whole = read(payload)
        assert (whole.text, whole.number) == (None, 5.0)
        assert whole.parts == [Part(id="x")]
    assert [record.getMessage() for record in caplog.records] == [
        "answer, text is left out: expected text, found a list of 1",
        'answer, parts 0, seconds is left out: expected a number, found "soon"',
    ]


@pytest.mark.parametrize("parts", ["abc", {}, {"id": "x"}, 5, True])
def test_a_list_is_made_of_a_list_only(parts: object) -> None:
    """Text and the keys of an object are sequences to Python, and no list here."""
    assert read({"parts": parts}).parts is None


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
def test_nothing_that_has_to_be_there_is_coerced(part: dict[str, object]) -> None:
    """A field that may not be None is of exactly the declared type, or an error with its path."""
    with pytest.raises(BadAnswer, match=r"answer\.parts\[0\]"):
        read({"parts": [part]})


ODD_IDS: list[object] = [True, 1.5, [], {}, "", " ", None, 0, -1, "0", "null", "None "]


def test_an_id_may_be_a_number() -> None:
    """It is opaque, and kept as text; anything else is no id."""
    assert read({"ident": 17}).ident == "17"
    assert [read({"ident": odd}).ident for odd in ODD_IDS] == [None] * 12


def test_a_list_is_read_to_its_hundredth_entry() -> None:
    """No task has nearly as many songs."""
    parts = read({"parts": [{"id": str(number)} for number in range(5_000)]}).parts
    assert parts is not None
    assert [part.id for part in parts] == [str(number) for number in range(MAX_ENTRIES)]


def test_only_objects_of_a_list_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    """Songs are objects; what else is among them is told."""
    assert objects_in([{"a": 1}, None, "x", {}], "songs") == [{"a": 1}, {}]
    assert objects_in(None, "songs") == []
    assert "songs 1 is left out" in caplog.text
    with pytest.raises(BadAnswer, match="songs should be a list"):
        objects_in({}, "songs")


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
    """The message names the path, and not more than three faults."""
    payload = {"parts": [{"id": n} for n in range(9)], "text": ["x" * 500]}
    with pytest.raises(BadAnswer) as caught:
        read(payload)
    assert "expected text, found null @ answer.parts[0].id" in str(caught.value)
    assert "and 6 more" in str(caught.value)
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
def test_other_durations_are_none(value: object) -> None:
    """A duration that nobody documented is not guessed."""
    assert read({"seconds": value}).seconds is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (None, None),
        ("", None),
        (56, 56.0),
        ("56", 56.0),
        (812.5, 812.5),
        ("1,234", 1234.0),
        ("12,345,678.5", 12345678.5),
    ],
)
def test_numbers_may_be_text(value: object, number: float | None) -> None:
    """A percentage has been seen as both."""
    assert read({"number": value}).number == number


@pytest.mark.parametrize("value", ["many", True, {}, "inf", "1,23", "12,3456", ",123"])
def test_other_numbers_are_none(value: object) -> None:
    """Text that is no number is not zero."""
    assert read({"number": value}).number is None


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
        1725541741,
        " 1725541741 ",
        "1725541741.0",
    ],
)
def test_times_come_in_many_shapes(value: object) -> None:
    """ISO with a zone, without one (UTC), epoch seconds and milliseconds; all are aware."""
    assert read({"instant": value}).instant == _MOMENT


@pytest.mark.parametrize(
    "value",
    [None, "", "yesterday", True, [], {}, 10**40, "9" * 30, -1e300, "0001-01-01T00:00:00+14:00"],
)
def test_a_bad_time_is_none(value: object) -> None:
    """A date that nobody can read must not cost a song."""
    assert read({"instant": value}).instant is None


@pytest.mark.parametrize(("value", "text"), [(None, None), ("", None), ("x", "x"), (" ", " ")])
def test_empty_text_is_none(value: object, text: str | None) -> None:
    """udioapi says "" and apiframe null where there is nothing yet."""
    assert read({"text": value}).text == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Rock &amp; Roll &#39;n&#x27; &quot;so&#34; &lt;on&gt;", "Rock & Roll 'n' \"so\" <on>"),
        ("&amp;amp;", "&amp;"),
        ("R&B, AT&T, a&not b, &nothing;, & ;", "R&B, AT&T, a&not b, &nothing;, & ;"),
        ("&#xD800;", "\ufffd"),
        ("", None),
        (None, None),
    ],
)
def test_what_people_read_is_no_web_page(value: object, shown: str | None) -> None:
    """Only what is certainly written for one is changed, and once; other text is kept."""
    read_of = read({"shown": value, "text": value})
    assert (read_of.shown, read_of.text) == (shown, value or None)


@pytest.mark.parametrize(
    ("value", "link"),
    [
        ("https://a.example/b.mp3?x=1&amp;y=2&amp;z", "https://a.example/b.mp3?x=1&y=2&z"),
        ("https://a.example/b&amp;c.mp3?x=1", "https://a.example/b&amp;c.mp3?x=1"),
        ("https://a.example/b.mp3?x=1&copy;=2", "https://a.example/b.mp3?x=1&copy;=2"),
        ("", None),
    ],
)
def test_a_link_has_no_entities_between_its_fields(value: object, link: str | None) -> None:
    """The signature of a file would be wrong with them. Anything else is the server's own."""
    assert read({"link": value}).link == link
