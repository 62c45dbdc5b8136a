"""Reading request files: every problem is told, and then nothing is sent."""

import io
import json
import os
import select
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from openpyxl import Workbook
from rich.cells import cell_len

from udio_async import Apiframe, SongRequest, UdioApiOptions
from udio_async.cli._failures import BadInput
from udio_async.cli._input import read_entries, read_text
from udio_async.cli._lines import LINE_BYTES
from udio_async.cli._preview import Preview
from udio_async.journal.keys import normalised

from .conftest import Bench, Ended, run_cli
from .reading import V2, asked, problems, read, refused


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "is an array; give an object"),
        (b"null", "is null; give an object"),
        (b"3.5", "is a number; give an object"),
        (b"true", "is true or false; give an object"),
        (b'{"description": x}', "is not JSON: Expecting value at column 17"),
        (b'{"description": "a"} {}', "is not JSON: Extra data at column 22"),
        (b'{"description": "a"},', "is not JSON: a comma follows the object at column 21"),
        (b'{"a": NaN}', "contains NaN, which is not JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "contains a number of 5000 digits"),
        (b'{"title": "a", "title": "b"}', "gives 'title' twice"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"prompt": "a", "n": 2}', "unknown 'prompt', 'n'; known: description, lyrics, style"),
        (b'{"songs": [{"title": "a"}]}', "holds an array in 'songs'; give that array alone, as a"),
        (b'{"description": "a", "options": 1}', "options is 1; give an object"),
        (b'{"description": "a", "extra": []}', "extra is []; give an object"),
        (
            b'{"description": "a", "extra": {"b": ' + b"[" * 100 + b"]" * 100 + b"}}",
            "nested in more than 100 levels (in `extra`?); give a flatter one",
        ),
        (b'{"description": "a", "options": {"x": 1}}', "options of udioapi-v2: unknown 'x'; known"),
        (b'{"description": "a", "options": {"style_weight": 7}}', "style_weight is 7"),
        (b'{"description": " "}', "neither description nor lyrics"),
        (b'{"description": 5}', "description is int 5"),
        (b'{"description": "\\ud800"}', "description contains"),
        (b'{"description": "\\u0000"}', "description contains"),
        (b'{"description": "a\x07"}', "is not JSON: Invalid control character at column 19"),
        ('{"description": "it\x92s"}'.encode(), "U+0092; remove it, or give --encoding cp1252"),
        (
            b'{"description": "a", "instrumental": "perhaps"}',
            "instrumental is 'perhaps'; give true or false",
        ),
        (b'{"description": "a", "extra": "{"}', "extra is not JSON: the object is not closed"),
        (b'{"description": "a", "lyrics": "b"}', "takes a description or lyrics, not both"),
        (b"{}", "neither description nor lyrics"),
        (b'{"description": "' + b"x" * 10_000_000 + b'"}', f"is longer than {LINE_BYTES:,} bytes"),
        (b'{"description": "' + "ü".encode() * 600_000 + b'"}', "is longer than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_line(line: bytes, reason: str) -> None:
    """The reason is told with file and line, and the lines after it are read all the same."""
    first, last = problems(line + b"\n\n7\n", "in.jsonl")
    assert first.startswith("in.jsonl:1: ")
    assert reason in first
    assert last == "in.jsonl:3: is a number; give an object"


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n", b"# later\n"])
def test_a_file_without_requests(content: bytes) -> None:
    """It is an error, not a success that did nothing."""
    assert "in.jsonl holds no requests" in refused(content, "in.jsonl").message


def test_good_lines() -> None:
    """Requests keep their line numbers; `null` leaves a name out; the last newline may miss."""
    options = {"style_weight": 0.5}
    text = json.dumps({"description": "a", "title": None, "options": options})
    first, second = read(f'{text}\r\n\n{{"description": "b"}}', "in.jsonl").entries
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
    requests = write_requests({"description": "good"}, [7], {"description": "good"}, {"x": 1})
    ended = run_cli("batch", requests, "--out", tmp_path / "songs", *bench.at)
    assert (ended.code, ended.out, bench.charged) == (2, "", [])
    assert f"{requests} has 2 problems, nothing was sent" in ended.err
    assert f"{requests}:2: " in ended.err
    assert f"{requests}:4: " in ended.err
    assert not (tmp_path / "songs").exists()


# One text, however it was saved ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Ko\u0308ln\nla la",
        "K\u00f6ln  \r\nla la\t\r\n",
        "  K\u00f6ln\rla la\n\n",
        "K\u00f6ln\u00a0\nla la",
        "K\u00f6ln\r\r\nla la\r\r\r\n",
        "\ufeff\ufeff K\u00f6ln\u200b\nla la\u2060 ",
    ],
)
def test_the_same_words_are_the_same_text(text: str) -> None:
    """Composed or not, whatever ends its lines, and without the blanks that nobody sees."""
    assert normalised(text) == "K\u00f6ln\nla la"
    assert asked(json.dumps({"lyrics": text}), "in.jsonl") == [SongRequest(lyrics="Köln\nla la")]


def test_all_that_unicode_calls_a_space_is_a_blank() -> None:
    """At the ends of a text, and of each of its lines."""
    spaces = {char for char in map(chr, range(sys.maxunicode + 1)) if char.isspace()} - {*"\r\n"}
    assert {normalised(f"{space}ä{space}\nb{space}") for space in spaces} == {"ä\nb"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
def test_any_end_of_line_ends_a_line(end: str) -> None:
    """In every format that has lines, and where a line is skipped too."""
    for name, lines in {
        "in.txt": ["rain", "# sun", "", "snow"],
        "in.csv": ["description", "rain", "# sun", "snow"],
        "in.jsonl": ['{"description": "rain"}', "# sun", '"snow"'],
        "in.json": ["[", '"rain",', '"snow"]'],
    }.items():
        requests = asked(end.join(lines), name)
        assert [request.description for request in requests] == ["rain", "snow"]


def test_ends_of_lines_may_be_mixed() -> None:
    """Each counts once, so that the lines that are told are those of an editor."""
    entries = read("a\rb\r\nc\n\rd", "in.txt").entries
    assert [(entry.request.description, entry.line) for entry in entries] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("d", 5),
    ]


@pytest.mark.parametrize("end", ["\r\n", "\r\r\r\n"])
def test_an_end_of_line_may_fall_between_two_pieces(end: str) -> None:
    """A file is read in pieces; half a line end is no line."""
    for length in range(60, 80):
        lines = ["x" * length] * 2_000
        assert read(end.join(lines), "in.txt").entries[-1].line == 2_000


def test_lines_of_lyrics_may_end_twice() -> None:
    """Python on Windows writes CR CR LF where a file is opened without `newline=""`."""
    table = 'lyrics,style\r\n"one\r\ntwo\r\n\r\nthree",pop\r\n'
    assert asked(table.replace("\r\n", "\r\r\n")) == asked(table)
    assert asked(table)[0].lyrics == "one\ntwo\n\nthree"


def test_comments_are_skipped_and_counted() -> None:
    r"""A line that begins with # is no song; "\#" begins one with #."""
    reading = read("# Ideas for May\n\n  # more\nrain # not a comment\n\\#1 hit\n", "in.txt")
    descriptions = [entry.request.description for entry in reading.entries]
    assert descriptions == ["rain # not a comment", "#1 hit"]
    assert "2 comment lines skipped" in str(reading.preview)


def test_a_comment_that_excel_has_put_in_quotes_is_one() -> None:
    """It does so with a line that has a comma or a quote; a number or a tag makes no comment."""
    ideas = '"# sun, not yet"\n"# ""sun"""\n"#1" and "#2"\n"#1\n"#1 hit"\n'
    reading = read(ideas, "in.txt")
    assert [entry.line for entry in reading.entries] == [3, 4, 5]
    assert reading.preview.comments == 2
    assert [request.description for request in asked('"# sun"', "in.jsonl")] == ["# sun"]


# Which format ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        ('{"description": "rain"}', "stdin", "jsonl"),
        ('{"description": "rain"}', "in.txt", "jsonl"),
        ('{"description": "rain"}', "in.json", "jsonl"),
        ('"rain"\n"sun"', "in.jsonl", "jsonl"),
        ('"rain"\n"sun"', "in.txt", "text"),
        ('{\n  "description": "rain"\n}\n{\n  "description": "sun"\n}', "in.json", "json"),
        ('\ufeff\n [\n{"description": "rain"}]', "stdin", "json"),
        ('["rain"]', "in.jsonl", "json"),
        ('[{"description": "rain"}]', "in.txt", "json"),
        ("description\nrain", "stdin", "csv"),
        ("Description;Notes\nrain;x", "in.txt", "csv"),
        ("Description\tMy notes\nrain\tx", "in.txt", "csv"),
        ("description,my notes\nrain,x", "stdin", "csv"),
        ("title, description\n,rain", "in.txt", "csv"),
        ("#,description,\n1,rain,", "stdin", "csv"),
        ("# mine\nmood\tdescription\n\train", "/dev/fd/63", "csv"),
        ("sep=;\nmood;description\n;rain", "in.txt", "csv"),
        ("description\tmood\nrain\t", "in.TSV", "tsv"),
        ("rain", "stdin", "text"),
        ("[Verse] rain", "in.txt", "text"),
        ("[ ] rain", "in.txt", "text"),
        ("{sad} rain", "in.txt", "text"),
        ('"Rain" in Berlin', "in.txt", "text"),
    ],
)
def test_what_a_file_holds_tells_its_format(content: str, name: str, kind: str) -> None:
    """By its ending where that says something, else by how it begins."""
    reading = read(content, name)
    assert reading.preview.format == kind
    assert "rain" in (reading.entries[0].request.description or "").lower()


@pytest.mark.parametrize("name", ["in.txt", "stdin", "in.data"])
@pytest.mark.parametrize(
    "line",
    ["Lyrics, written by a sailor", "Style; title; and a lot of wind"],
)
def test_ideas_that_begin_like_a_table_are_no_guess(line: str, name: str) -> None:
    """The first one would be lost, and the others would be sung as lyrics."""
    content = f"{line}\nrain\n"
    error = refused(content, name)
    assert f"{name} may be a table or ideas: its first line is {line!r}" in error.message
    assert "give --format csv or --format text" in error.message
    assert [each.description for each in asked(content, name, kind="text")] == [line, "rain"]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "in.xlsx",
            "is an old Office file, or has a password",
        ),
        (b"a\tb", "in.xls", "is an old Excel workbook; save it as .xlsx or CSV"),
        (b"rain", "in.xlsx", "is not a workbook (.xlsx)"),
        (b"PK", "in.ods", "is an OpenDocument spreadsheet; save it as .xlsx or CSV"),
        (b"PK", "in.numbers", "export it as .xlsx or CSV"),
        (b"", "in.docx", "is a Word document; save it as text"),
        (b"%PDF-1.7", "ideas", "is a PDF; save it as text"),
        (b"\x1f\x8b\x08", "in.csv", "is packed by gzip; unpack it"),
        (b"SQLite format 3\x00", "journal", "is a database, such as a journal"),
        (b"<!DOCTYPE html>", "stdin", "is a web page"),
        (b"{\\rtf1", "in.txt", "is rich text"),
        (bytes(range(256)), "ideas", "is not text"),
        (b"rain", "ideas.yaml", "give --format jsonl, csv or text"),
    ],
)
def test_what_is_not_read_is_refused_by_name(content: bytes, name: str, words: str) -> None:
    """With what to do instead, in one line."""
    error = refused(content, name)
    assert error.message.startswith(f"{name} ")
    assert words in error.message


def test_a_format_that_is_given_decides() -> None:
    """Whatever the ending says."""
    assert asked("a\tdescription\n\train", "in.xls", kind="csv") == asked("rain", "in.txt")
    assert asked('["rain"]', "in.json", kind="text")[0].description == '["rain"]'
    assert asked('["rain"]', "in.txt", kind="jsonl")[0].description == "rain"


# JSON ------------------------------------------------------------------------------------------


def test_an_array_holds_objects_and_ideas() -> None:
    """Each with its number; it may stand on one line or on many."""
    requests = [{"description": "rain"}, "sun", {"lyrics": "la", "title": "La"}]
    for indent in (None, 2):
        entries = read(json.dumps(requests, indent=indent), "in.json").entries
        assert [entry.line for entry in entries] == [1, 2, 3]
        assert entries[1].request == SongRequest(description="sun")
        assert entries[2].request.title == "La"


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (
            '[1, "a", {"a": 1, "a": 2}, NaN]',
            ["1 is a number", "3 gives 'a' twice", "4 contains NaN"],
        ),
        ('["a", {"description": x}, 1]', ["2 is not JSON: Expecting value near x}, 1]"]),
        ('["a" "b"]', ["1 is not JSON: a comma or ] is missing after it"]),
        ('["a", ]', ["1 is not JSON: nothing follows the comma after it"]),
        ('["a"', ["1 is not JSON: it is cut off"]),
        ('["a", {"lyrics": "b', ["2 is not JSON: a quote is not closed"]),
        ('["a"] ["b"]', ["1 is not JSON: '[' follows the end"]),
        ('["a", ' + "[" * 100_000, ["2 is nested too deeply"]),
        ('["a", {"lyrics": "' + "b" * 3_000_000 + '"}]', ["2 is longer than"]),
    ],
)
def test_a_bad_element_is_told_by_its_number(content: str, reasons: list[str]) -> None:
    """An array may be one line, so a line says nothing."""
    told = problems(content, "in.json")
    assert len(told) == len(reasons)
    for problem, reason in zip(told, reasons, strict=True):
        assert problem.startswith(f"in.json: element {reason}")


def test_a_long_array_is_read_in_pieces() -> None:
    """Its elements fall across them, numbers at the very end too."""
    words = [f"rain {number} {'y' * (number % 37)}x" for number in range(20_000)]
    requests = asked(json.dumps(words), "in.json")
    assert [request.description for request in requests] == words
    assert (
        "element 40001 is a number" in problems(json.dumps([*words, *words, 12345]), "in.json")[0]
    )


# In the shell ----------------------------------------------------------------------------------


def test_the_first_requests_are_shown_before_the_plan(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """As they were understood: a column that is shifted shows before it is paid for."""
    path = tmp_path / "Songs for May.csv"
    rows = "".join(f'"La la\nla {number}";pop;{number};x;y\n' for number in range(5))
    path.write_bytes(f"# mine\nLyrics;Style;Title;mood;notes\n{rows}".encode("utf-16"))
    ended = call_cli("batch", path, "--out", tmp_path / "songs", *bench.at, "--no-progress")
    assert ended.code == 0, ended.err
    assert ended.err.splitlines()[:7] == [
        "Songs for May.csv: CSV with semicolons, UTF-16, 1 comment line skipped",
        "  ignored columns: mood, notes",
        "  3  lyrics: La la / la 0 | style: pop | title: 0",
        "  5  lyrics: La la / la 1 | style: pop | title: 1",
        "  7  lyrics: La la / la 2 | style: pop | title: 2",
        "  and 2 more",
        "5 requests: 5 to submit",
    ]
    assert call_cli("batch", path, "--out", tmp_path / "songs", *bench.at, "--quiet").err == ""


def test_the_preview_fits_a_terminal() -> None:
    """What is long or wide is cut, no field is lost, and nothing is shown that may be secret."""
    request = SongRequest(
        key="mine",
        lyrics="東京の夜\n" * 40,
        style="pop, " * 40,
        title="A title \x1b[31m" * 9,
        negative_tags="sad",
        instrumental=True,
        model="chirp-v4",
        vocal_gender="female",
        options=UdioApiOptions(callback_url="https://me:secret@example.org"),
        extra={"x": "secret"},
    )
    shown = Preview(
        name=f"songs/{'long' * 30}.csv",
        format="csv",
        encoding="cp932",
        separator=";",
        comments=1,
        ignored=("a column " * 20, "a, b"),
        requests=9,
        first=((1_000_000, request),),
    )
    lines = str(shown).splitlines()
    assert len(lines) <= 8
    assert lines[0].endswith(": CSV with semicolons, cp932, 1 comment line skipped")
    assert max(map(cell_len, lines)) <= 78
    names = [field.name for field in attrs.fields(SongRequest) if field.name != "description"]
    assert [name for name in names if f"{name}: " not in str(shown)] == []
    assert "secret" not in str(shown)
    assert "\x1b" not in str(shown)


def test_an_encoding_that_is_given_reaches_the_reader(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """What is refused with a hint is read with the option that the hint names."""
    path = tmp_path / "ideas.txt"
    path.write_bytes("Bäume im Regen\n".encode("cp1252"))
    command = ("batch", path, "--out", tmp_path / "songs", *bench.at)
    ended = call_cli(*command)
    assert (ended.code, bench.charged) == (2, [])
    assert "(ideas.txt:1: " not in ended.err
    assert 'it looks like cp1252 ("Bäume"): give --encoding cp1252' in ended.err
    ended = call_cli(*command, "--encoding", "cp1252")
    assert ended.code == 0, ended.err
    assert "ideas.txt: ideas as text, cp1252\n" in ended.err
    assert {line["asked"] for line in ended.lines} == {"Bäume im Regen"}


def test_lyrics_are_read_as_carefully(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """With marks and any end of line; what they are not written in is told with a remedy."""
    lyrics = tmp_path / "lyrics.txt"
    command = ("generate", "--lyrics", lyrics, *bench.at)
    lyrics.write_bytes("Bäume\r\nla la \r\n".encode("utf-16"))
    assert call_cli(*command).code == 0
    assert bench.sandbox.ledger[-1].request["prompt"] == "Bäume\nla la"
    lyrics.write_bytes(b"La\nB\xe4ume")
    assert "lyrics.txt:2: is not UTF-8: byte 0xe4 at byte 2" in call_cli(*command).err
    assert call_cli(*command, "--encoding", "cp1252").code == 0
    alone = call_cli("generate", "Rain", "--encoding", "cp1252", *bench.at)
    assert (alone.code, len(bench.charged)) == (2, 2)
    assert "--encoding goes with --lyrics only" in alone.err


IDEAS = "Köln im Regen\nsun\n\nà la vie, où\n"
HABITS = {
    "LF": IDEAS.encode(),
    "CRLF": IDEAS.replace("\n", "\r\n").encode(),
    "CR": IDEAS.replace("\n", "\r").encode(),
    "a mark": IDEAS.replace("\n", "\r\n").encode("utf-8-sig"),
    "three marks": f"\ufeff\ufeff{IDEAS}".encode("utf-8-sig"),
    "CRCRLF": IDEAS.replace("\n", "\r\r\n").encode(),
    "blanks": IDEAS.replace("\n", " \t\n").rstrip("\n").encode() + b"\n\n\n",
    "letters in parts": unicodedata.normalize("NFD", IDEAS).encode(),
}


def test_ideas_saved_by_many_programs_are_paid_for_once(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """Each run finds what the one before has made: one key, one charge for each idea."""
    file = tmp_path / "ideas.txt"
    keys = set()
    for content in HABITS.values():
        file.write_bytes(content)
        ended = call_cli("batch", file, "--out", tmp_path / "songs", *bench.at)
        assert ended.code == 0, ended.err
        keys.add(tuple(sorted({line["job"] for line in ended.lines})))
    assert len(keys) == 1
    assert len(bench.charged) == 3
    jobs = call_cli("jobs", tmp_path / "songs", "--json", *bench.at).lines
    assert tuple(sorted(job["key"] for job in jobs)) == keys.pop()


# A pipe that somebody has made non-blocking ------------------------------------------------------


def pipe_of(parts: list[bytes], monkeypatch: pytest.MonkeyPatch) -> io.BufferedReader:
    """A non-blocking pipe: each part is written when the reader waits for it, then the end."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    wait = select.select

    def feed(*files: Any) -> object:  # noqa: ANN401 - those of `select`
        if parts:
            os.write(writer, parts.pop(0))
        else:
            os.close(writer)
        return wait(*files)

    monkeypatch.setattr(select, "select", feed)
    return os.fdopen(reader, "rb")


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[place : place + size] for place in range(0, len(content), size)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows waits for sockets only")
@pytest.mark.parametrize("size", [1, 7, 40_000])
def test_ideas_from_a_non_blocking_pipe_are_read_to_the_end(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not there yet is waited for: half an idea would be paid for."""
    ideas = [f"a song about number {number}" for number in range(5_000 if size > 7 else 3)]
    with pipe_of(pieces("\n".join(ideas).encode(), size), monkeypatch) as file:
        entries = read_entries(file, "stdin", V2).entries
    assert [entry.request.description for entry in entries] == ideas


@pytest.mark.skipif(sys.platform == "win32", reason="Windows waits for sockets only")
def test_lyrics_from_a_non_blocking_pipe_are_read_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Half of them would be sung."""
    with pipe_of([b"la la\nK\xc3", b"\xb6ln ", b"la\n"], monkeypatch) as file:
        assert read_text(file, "stdin") == "la la\nKöln la\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows waits for sockets only")
def test_a_workbook_from_a_non_blocking_pipe_is_read_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not called damaged."""
    book, content = Workbook(), io.BytesIO()
    assert book.active is not None
    book.active.append(["description"])
    book.active.append(["rain"])
    book.save(content)
    with pipe_of(pieces(content.getvalue(), 1000), monkeypatch) as file:
        (entry,) = read_entries(file, "stdin", V2).entries
    assert entry.request.description == "rain"
