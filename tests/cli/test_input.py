"""Reading request files: every problem is told, and then nothing is sent."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from udio_async import Apiframe, SongRequest, UdioApiOptions, UdioApiV2
from udio_async.cli._failures import BadInput
from udio_async.cli._input import LINE_BYTES, read_entries

from .conftest import Bench, run_cli

V2 = UdioApiV2(api_key="key")


def problems(content: bytes) -> tuple[str, ...]:
    with pytest.raises(BadInput) as caught:
        read_entries(io.BytesIO(content), "in.jsonl", V2)
    return caught.value.problems


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'"A song"', "is a string; give an object"),
        (b"[1]", "is an array; give an object"),
        (b"null", "is null; give an object"),
        (b"3.5", "is a number; give an object"),
        (b"true", "is true or false; give an object"),
        (b'{"description": x}', "is no JSON: Expecting value at column 17"),
        (b'{"description": "a"} {}', "is no JSON: Extra data at column 22"),
        (b'{"a": NaN}', "contains NaN, which is no JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "contains a number of 5000 digits"),
        (b'{"title": "a", "title": "b"}', "gives 'title' twice"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"description": "\xff"}', "is not UTF-8: byte 0xff at byte 18"),
        (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
        (b'{"prompt": "a", "n": 2}', "unknown 'prompt', 'n'; known: description, lyrics, style"),
        (b'{"description": "a", "options": 1}', "options is 1; give an object"),
        (b'{"description": "a", "extra": []}', "extra is []; give an object"),
        (b'{"description": "a", "options": {"x": 1}}', "options of udioapi-v2: unknown 'x'; known"),
        (b'{"description": "a", "options": {"style_weight": 7}}', "style_weight is 7"),
        (b'{"description": " "}', "description is empty"),
        (b'{"description": 5}', "description is int 5"),
        (b'{"description": "\\ud800"}', "description contains"),
        (b'{"description": "a", "instrumental": "no"}', "instrumental is 'no'"),
        (b'{"description": "a", "lyrics": "b"}', "takes a description or lyrics, not both"),
        (b"{}", "neither description nor lyrics"),
        (b'{"description": "' + b"x" * 10_000_000 + b'"}', f"is longer than {LINE_BYTES:,} bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_line(line: bytes, reason: str) -> None:
    """The reason is told with file and line, and the lines after it are read all the same."""
    first, last = problems(line + b"\n\n7\n")
    assert first.startswith("in.jsonl:1: ")
    assert reason in first
    assert last == "in.jsonl:3: is a number; give an object"


def test_utf16_is_one_problem() -> None:
    """A file of the wrong encoding is not a problem per line."""
    assert problems('{"a": 1}\n{"b": 2}\n'.encode("utf-16")) == (
        "in.jsonl:1: is UTF-16; save the file as UTF-8",
    )


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n"])
def test_a_file_without_requests(content: bytes) -> None:
    """It is an error, not a success that did nothing."""
    with pytest.raises(BadInput, match=r"in\.jsonl holds no requests"):
        read_entries(io.BytesIO(content), "in.jsonl", V2)


def test_good_lines() -> None:
    """Requests keep their line numbers; `null` leaves a name out; the last newline may miss."""
    options = {"style_weight": 0.5}
    text = json.dumps({"description": "a", "title": None, "options": options})
    first, second = read_entries(
        io.BytesIO(f'{text}\r\n\n{{"description": "b"}}'.encode()), "in.jsonl", V2
    )
    assert first.request == SongRequest(description="a", options=UdioApiOptions(style_weight=0.5))
    assert (first.line, second.line) == (1, 3)


def test_options_are_those_of_the_provider() -> None:
    """What one provider knows, another one refuses by its own names."""
    line = b'{"description": "a", "options": {"style_weight": 0.5}}\n'
    with pytest.raises(BadInput) as caught:
        read_entries(io.BytesIO(line), "in.jsonl", Apiframe(api_key="key"))
    assert "options of apiframe: unknown 'style_weight'" in caught.value.problems[0]


def test_nothing_is_sent_unless_all_is_good(
    bench: Bench, write_requests: Callable[..., Path], tmp_path: Path
) -> None:
    """Good lines beside bad ones cost nothing: every problem on stderr, exit 2, no directory."""
    requests = write_requests({"description": "good"}, "bad", {"description": "good"}, {"x": 1})
    ended = run_cli("batch", requests, "--out", tmp_path / "songs", *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    assert f"{requests} has 2 problems, nothing was sent" in ended.err
    assert f"{requests}:2: " in ended.err
    assert f"{requests}:4: " in ended.err
    assert not (tmp_path / "songs").exists()
