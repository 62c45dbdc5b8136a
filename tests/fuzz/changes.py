"""Changes of what was recorded: by type, by stage, by byte, and of the head of an answer."""

import codecs
import copy
import gzip
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from udio_async.providers.words import KNOWN

from .cases import Change, Sample

Value = Any
"""A value of JSON."""
MOST_BYTES = 1 << 20
"""Of a body; more of one is never read."""
Place = tuple[Any, Any]
"""A list or an object, and a place in it."""

# By type ---------------------------------------------------------------------------------------

ODD: tuple[Value, ...] = (
    None, True, False, 0, -1, 7, 1.5, -0.0, 1e308, 10**30, 10**60, float("nan"), float("inf"),
    "", " ", "odd", "0", "100%", "156s", "N/A", "null", "-1", "1e999", "nan", "\ud800", "\x00",
    "\u202e\u2028", "²", "x" * 3000, "9" * 39, "9" * 50, "2:36", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", 253402300800000, "http://[", "https://", "//a.example/b.mp3",
    "https://cdn.example.com/None.mp3", "https://cdn.example.com/stream/?item_id=a",
    [], [None], [[]], ["odd"], {}, {"odd": 1}, {"id": None}, {"": ""}, [{"id": "a"}, {"id": "a"}],
)  # fmt: skip
IDS = ("workId", "work_id", "task_id", "taskId", "id", "song_id")
NAMES = (
    *IDS, "data", "code", "message", "msg", "error", "errors", "detail", "status", "type", "songs",
    "response_data", "tasks", "audio_url", "title", "prompt", "duration", "credits",
    "fail_message", "error_message", "extra_message", "percentage", "created_at", "request_body",
)  # fmt: skip


def places(value: Value) -> list[Place]:
    """Return every place in a value, those within its parts included."""
    found: list[Place] = []
    left = [value]
    while left:
        inner = left.pop()
        parts: Iterator[Place] = iter(())
        if isinstance(inner, dict):
            parts = ((inner, name) for name in inner)
        elif isinstance(inner, list):
            parts = ((inner, place) for place in range(len(inner)))
        for part in parts:
            found.append(part)
            left.append(part[0][part[1]])
    return found


def in_json(change: Callable[[Value, list[Place], random.Random], None]) -> Change:
    """Make a change of a body out of one of its value; what is no JSON stays as it is."""

    def changed(sample: Sample, dice: random.Random) -> Sample:
        try:
            value = json.loads(sample.body)
            root = [value]
            found = places(root)
            change(value, found, dice)
            text = json.dumps(root[0], ensure_ascii=dice.random() < 0.7)
        except (ValueError, RecursionError):
            return sample
        body = text.encode(errors="surrogatepass")
        return sample if len(body) > MOST_BYTES else attrs.evolve(sample, body=body)

    changed.__name__ = change.__name__
    return changed


@in_json
def odd_value(_: Value, found: list[Place], dice: random.Random) -> None:
    inner, place = dice.choice(found)
    inner[place] = copy.deepcopy(dice.choice(ODD))


@in_json
def value_of_another_field(_: Value, found: list[Place], dice: random.Random) -> None:
    (inner, place), (other, there) = dice.choice(found), dice.choice(found)
    inner[place] = copy.deepcopy(other[there])


@in_json
def field_gone(_: Value, found: list[Place], dice: random.Random) -> None:
    if len(found) > 1:  # the first is the whole value
        inner, place = dice.choice(found[1:])
        del inner[place]


@in_json
def field_renamed(_: Value, found: list[Place], dice: random.Random) -> None:
    inner, place = dice.choice(found)
    if isinstance(inner, dict):
        inner[dice.choice((*NAMES, place.upper(), f"{place} ", ""))] = inner.pop(place)


@in_json
def field_more(_: Value, found: list[Place], dice: random.Random) -> None:
    objects = [inner[place] for inner, place in found if isinstance(inner[place], dict)]
    if objects:
        dice.choice(objects)[dice.choice(NAMES)] = copy.deepcopy(dice.choice(ODD))


@in_json
def value_wrapped(_: Value, found: list[Place], dice: random.Random) -> None:
    inner, place = dice.choice(found)
    value = inner[place]
    inner[place] = dice.choice(([value], {"data": value}, {"songs": value}, [[value]], str(value)))


@in_json
def value_unwrapped(_: Value, found: list[Place], dice: random.Random) -> None:
    inner, place = dice.choice(found)
    value = inner[place]
    parts = list(value.values()) if isinstance(value, dict) else value
    if parts and isinstance(parts, list):
        inner[place] = dice.choice(parts)


@in_json
def nested_deeply(_: Value, found: list[Place], dice: random.Random) -> None:
    inner, place = dice.choice(found)
    for _ in range(dice.choice((5, 30, 62, 70, 500))):
        inner[place] = [inner[place]] if dice.random() < 0.5 else {"a": inner[place]}


# By stage --------------------------------------------------------------------------------------

WORDS = sorted({*KNOWN, "SUCCESS", "Timed-Out ", "finished", "FIRST", "baking", "200", "null"})
FAILED = ("fail_message", "error_message", "message", "error", "errors")
SAID = (
    "moderation", "insufficient credits", "", "internal error", "prompt too long", "\ud83d",
    "all generated successfully", "You have 0 credits", "x" * 70_000,
)  # fmt: skip
LINKS = (
    None, "", "https://cdn.example.com/stream/a.mp3", "http://10.0.0.1/a.mp3", "/a.mp3", "a.mp3",
    "https://10.0.0.1/a.mp3", "https://audiopipe.suno.ai/?item_id=a", "https://cdn.example.com/ a",
    "https://user:pass@cdn.example.com/a.mp3", "https://[::1]/a.mp3", "javascript:alert(1)",
)  # fmt: skip


def _named(found: list[Place], *names: str) -> list[Place]:
    return [(inner, place) for inner, place in found if place in names]


def _lists(found: list[Place]) -> list[list[Value]]:
    """Return the lists of songs or tasks, and all others where there are none."""
    lists = [inner[place] for inner, place in found if isinstance(inner[place], list)]
    return [one for one in lists if one]


@in_json
def other_word(_: Value, found: list[Place], dice: random.Random) -> None:
    for inner, place in _named(found, "status", "type"):
        if dice.random() < 0.5:
            inner[place] = dice.choice(WORDS)


@in_json
def entry_doubled(_: Value, found: list[Place], dice: random.Random) -> None:
    if lists := _lists(found):
        entries = dice.choice(lists)
        entry = copy.deepcopy(dice.choice(entries))
        entries[dice.randrange(len(entries)) : 0] = [entry] * dice.choice((1, 1, 2, 120))


@in_json
def entries_mixed(_: Value, found: list[Place], dice: random.Random) -> None:
    if lists := _lists(found):
        entries = dice.choice(lists)
        dice.shuffle(entries)
        del entries[dice.randrange(len(entries)) :]


@in_json
def half_failed(_: Value, found: list[Place], dice: random.Random) -> None:
    songs = [inner for inner, place in found if place == "audio_url"]
    for song in songs:
        if dice.random() < 0.5:
            song[dice.choice(FAILED)] = dice.choice(SAID)
        if dice.random() < 0.3:
            song["audio_url"] = dice.choice((None, "", "https://cdn.example.com/stream/a.mp3"))


@in_json
def other_id(_: Value, found: list[Place], dice: random.Random) -> None:
    named = _named(found, *IDS)
    values = [inner[place] for inner, place in named]
    for inner, place in named:
        if dice.random() < 0.5:
            inner[place] = dice.choice([*values, "another-task", 7, "", " ", None, True, 1.0])


@in_json
def other_link(_: Value, found: list[Place], dice: random.Random) -> None:
    for inner, place in _named(found, "audio_url", "image_url"):
        if dice.random() < 0.5:
            inner[place] = dice.choice(LINKS)


@in_json
def id_elsewhere(_: Value, found: list[Place], dice: random.Random) -> None:
    objects = [inner[place] for inner, place in found if isinstance(inner[place], dict)]
    if objects:
        named = {dice.choice(IDS[:4]): dice.choice(("t0", "another-task", 7))}
        dice.choice(objects)[dice.choice(("job", "data", "songs"))] = dice.choice((named, [named]))


@in_json
def other_code(value: Value, _: list[Place], dice: random.Random) -> None:
    if isinstance(value, dict):
        codes = (0, 1, 200, 201, 400, 401, 402, 404, 409, 429, 500, 503, 999, -1, 10**9, True)
        code: Value = dice.choice(codes)
        value["code"] = dice.choice((code, code, str(code)))


@in_json
def other_words(value: Value, found: list[Place], dice: random.Random) -> None:
    inner = dice.choice([one for one, place in found if isinstance(one, dict)] or [value])
    if isinstance(inner, dict):
        inner[dice.choice(FAILED)] = dice.choice(SAID)


# By byte ---------------------------------------------------------------------------------------

TOKENS = (
    b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b'"', b"\\", b",", b"[",
    b"]", b"{", b"}", b":", b"1e999", b"NaN", b"-", b"9" * 5000, b"\xef\xbb\xbf", b"\r\n",
    b'"task_id":', b'"workId" : 12', b"insufficient credits", b"<html>", b"null", b"[" * 2000,
    b'{"a":' * 200, b"\x1f\x8b",
)  # fmt: skip


def in_bytes(change: Callable[[bytes, int, int, random.Random], bytes]) -> Change:
    """Make a change out of one of bytes, at a place and for a length."""

    def changed(sample: Sample, dice: random.Random) -> Sample:
        place = dice.randint(0, len(sample.body))
        body = change(sample.body, place, dice.choice((1, 2, 8, 40, 400)), dice)
        return attrs.evolve(sample, body=body[:MOST_BYTES])

    changed.__name__ = change.__name__
    return changed


@in_bytes
def bytes_cut(body: bytes, place: int, _: int, __: random.Random) -> bytes:
    return body[:place]


@in_bytes
def bytes_gone(body: bytes, place: int, length: int, _: random.Random) -> bytes:
    return body[:place] + body[place + length :]


@in_bytes
def bits_flipped(body: bytes, place: int, length: int, dice: random.Random) -> bytes:
    flipped = bytearray(body)
    for at in range(place, min(place + length, len(body)), 7):
        flipped[at] ^= 1 << dice.randrange(8)
    return bytes(flipped)


@in_bytes
def bytes_more(body: bytes, place: int, _: int, dice: random.Random) -> bytes:
    return body[:place] + dice.choice(TOKENS) + body[place:]


@in_bytes
def bytes_repeated(body: bytes, place: int, length: int, dice: random.Random) -> bytes:
    part = body[place : place + length]
    times = dice.choice((2, 2, 3, 50)) if dice.random() < 0.98 else MOST_BYTES // (len(part) or 1)
    return body[:place] + part * times + body[place:]


@in_bytes
def other_encoding(body: bytes, _: int, __: int, dice: random.Random) -> bytes:
    text = body.decode(errors="replace")
    name = dice.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-7", "latin-1"))
    mark = dice.choice((b"", b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE))
    return mark + text.encode(name, errors="replace")


@in_bytes
def packed(body: bytes, _: int, __: int, dice: random.Random) -> bytes:
    return gzip.compress(body * dice.choice((1, 1, 100)), 1, mtime=0)


# The head --------------------------------------------------------------------------------------

STATUSES = (
    200, 200, 200, 201, 202, 204, 206, 299, 300, 301, 302, 303, 304, 307, 400, 401, 402, 403, 404,
    405, 408, 409, 410, 413, 415, 418, 422, 425, 429, 499, 500, 501, 502, 503, 504, 520, 521, 522,
    523, 524, 525, 526, 529, 599,
)  # fmt: skip
HEADERS = {
    "retry-after": ("", "5", "-1", "1e999", "nan", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT",
                    "Thu, 01 Jan 0001 00:00:00 +2359", "soon", "2099-01-01", "\xb2"),
    "retry-after-ms": ("1500", "", "x", "1e400"),
    "location": ("https://[", "/", "https://a.example/?key=secret", "\xff"),
    "content-type": ("text/html", "application/json; charset=utf-7", "", "\xff"),
}  # fmt: skip


def other_status(sample: Sample, dice: random.Random) -> Sample:
    return attrs.evolve(sample, status=dice.choice(STATUSES))


def other_header(sample: Sample, dice: random.Random) -> Sample:
    name = dice.choice(tuple(HEADERS))
    return attrs.evolve(sample, headers={**sample.headers, name: dice.choice(HEADERS[name])})


def answer_cut(sample: Sample, dice: random.Random) -> Sample:
    """The network says itself that the answer is not whole."""
    body = sample.body[: dice.randint(0, len(sample.body))]
    return attrs.evolve(sample, body=body, cut="the connection ended early")


BY_TYPE: tuple[Change, ...] = (
    odd_value, odd_value, odd_value, value_of_another_field, field_gone, field_renamed, field_more,
    value_wrapped, value_unwrapped, nested_deeply,
)  # fmt: skip
BY_STAGE: tuple[Change, ...] = (
    other_word, other_word, entry_doubled, entries_mixed, half_failed, other_link, other_id,
    id_elsewhere, other_code, other_words,
)  # fmt: skip
BY_BYTE: tuple[Change, ...] = (
    bytes_cut, bytes_gone, bits_flipped, bytes_more, bytes_repeated, other_encoding,
)  # fmt: skip
OF_HEAD = (other_status, other_status, other_header, answer_cut)
# Most bytes that are changed make a body unreadable: that is soon tried enough.
OF_CALLBACKS: tuple[Change, ...] = (*BY_TYPE * 2, *BY_STAGE * 2, *BY_BYTE, packed)
OF_ANSWERS: tuple[Change, ...] = (*OF_CALLBACKS, *OF_HEAD)
