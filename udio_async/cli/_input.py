"""Requests from a file: all of them checked, and every problem told, before anything is sent."""

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from itertools import count
from pathlib import PurePath
from typing import Any, BinaryIO, Literal, NoReturn

import attrs

from .._errors import UdioError
from .._records import ProviderOptions, SongRequest
from ..providers import Provider
from ._failures import BadInput
from ._text import counted, one_line

LINE_BYTES = 1 << 20
"""No provider takes a request that is nearly as long as this."""
_DIGITS = 20
_SHOWN = 20
"""Problems of a file that are listed; the others are counted."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


Format = Literal["jsonl", "csv", "text"]


@attrs.frozen
class Entry:
    """One request, and the line of the file that it stands on."""

    request: SongRequest
    line: int | None = None


def format_of(name: str) -> Format:
    """Return the format that a file of this name has: JSON lines, unless it says otherwise."""
    suffixes: dict[str, Format] = {".csv": "csv", ".txt": "text"}
    return suffixes.get(PurePath(name).suffix.lower(), "jsonl")


def read_entries(
    file: BinaryIO, name: str, provider: Provider, kind: Format = "jsonl"
) -> list[Entry]:
    """Read requests: a JSON object per line, a CSV with the same names on top, or ideas as text.

    Empty lines are skipped.

    Raises:
        BadInput: with the bad lines of the file, or because it cannot be read.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    lines_of_keys: dict[str, int] = {}
    for number, values in _READERS[kind](file):
        try:
            request = read_request(values(), provider)
            _refuse_key(request.key, number, lines_of_keys)
            entries.append(Entry(request, number))
        except _Unreadable as error:  # so is the rest
            problems.append(f"{name}:{number}: {one_line(error)}")
            break
        except (UdioError, TypeError, ValueError) as error:
            problems.append(f"{name}:{number}: {one_line(error)}")
    if problems:
        headline = f"{name} has {counted(len(problems), 'problem')}, nothing was sent"
        more = len(problems) - _SHOWN
        raise BadInput(headline, (*problems[:_SHOWN], *([f"and {more} more"] * (more > 0))))
    if not entries:
        raise BadInput(f"{name} holds no requests; give {_WANTED[kind]}")
    return entries


class _Unreadable(ValueError):
    """This line cannot be read, and nothing after it either."""


Values = Mapping[str, Any]
Rows = Iterator[tuple[int, Callable[[], Values]]]
"""Line numbers, each with what reads its values or says why it cannot."""


def _read_json_lines(file: BinaryIO) -> Rows:
    for number, line in _iter_lines(file):
        if line.strip():
            yield number, partial(_json_values, number, line)


def _json_values(number: int, line: bytes) -> Values:
    if number == 1:
        _refuse_mark(line)
    return _parse(line)


def _read_text_lines(file: BinaryIO) -> Rows:
    for number, line in _iter_lines(file):
        if line.strip():
            yield number, partial(_text_values, number, line)


def _text_values(number: int, line: bytes) -> Values:
    text = _without_mark(number, line)
    return {"description": text.strip()}


def _read_csv(file: BinaryIO) -> Rows:
    """Read a CSV as spreadsheets write it: quoted cells may go over several lines."""
    lines = (_without_mark(number, line) for number, line in _iter_lines(file))
    rows = csv.reader(lines, strict=True)
    names: list[str] = []
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except (csv.Error, ValueError) as error:
            flaw = _Unreadable(f"is no CSV: {error}" if isinstance(error, csv.Error) else error)
            yield max(rows.line_num, number), partial(_raise, flaw)
            return
        if not names:
            names = [name.strip() for name in row]
            try:
                _check_columns(names)
            except ValueError as error:
                yield number, partial(_raise, _Unreadable(error))
                return
        elif any(cell.strip() for cell in row):
            yield number, partial(_csv_values, names, row)


def _raise(error: Exception) -> NoReturn:
    raise error


def _check_columns(names: list[str]) -> None:
    mark = next((mark for mark in ";\t" if mark in names[0]), None)
    if mark is not None and len(names) == 1:
        raise ValueError(f"separates its columns by {mark!r}; save the file with commas")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"has the column {twice!r} twice")
    _refuse_unknown(dict.fromkeys(names), SongRequest, "columns: ")
    if not {"description", "lyrics"} & set(names):
        raise ValueError(
            "has no column 'description' and none 'lyrics'; name one of them in its first line"
        )


def _csv_values(names: list[str], row: list[str]) -> Values:
    if len(row) > len(names):
        raise ValueError(f"has {len(row)} cells, the first line has {len(names)}; quote commas")
    cells = {name: cell for name, cell in zip(names, row, strict=False) if cell.strip()}
    values: dict[str, Any] = dict(cells)
    if "instrumental" in cells:
        word = cells["instrumental"].strip().lower()
        if word not in _TRUTH:
            raise ValueError(f"instrumental is {word!r}; give true or false")
        values["instrumental"] = _TRUTH[word]
    for name in ("options", "extra"):
        if name in cells:
            values[name] = _parse(cells[name].encode())
    return values


def _without_mark(number: int, line: bytes) -> str:
    """Decode a line; a mark at the beginning of the file, as spreadsheets write it, is no text."""
    if line.startswith(_UTF16):
        raise _Unreadable("is UTF-16; save the file as UTF-8")
    try:
        return _decode(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
    except ValueError as error:
        raise _Unreadable(error) from None


_READERS: Mapping[str, Callable[[BinaryIO], Rows]] = {
    "jsonl": _read_json_lines,
    "csv": _read_csv,
    "text": _read_text_lines,
}
_WANTED = {
    "jsonl": "one JSON object per line",
    "csv": "names in the first line, and one request per line",
    "text": "one idea per line",
}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _refuse_key(key: str | None, number: int, lines_of_keys: dict[str, int]) -> None:
    """Refuse a key of two requests, and one that could not be typed."""
    if key is None:
        return
    if key.startswith("-"):
        raise ValueError(f"key {key!r} begins like an option; begin it with another character")
    first = lines_of_keys.setdefault(key, number)
    if first != number:
        raise ValueError(f"key {key!r} is that of line {first} already")


def read_request(values: Mapping[str, Any], provider: Provider) -> SongRequest:
    """Make a request of JSON values and have the provider check it. `null` leaves a name out.

    Raises:
        ValueError, UdioError: it cannot be sent like this.
    """
    given = {name: value for name, value in values.items() if value is not None}
    _refuse_unknown(given, SongRequest, "")
    if "options" in given:
        given["options"] = _read_options(given["options"], provider)
    if not isinstance(given.get("extra", {}), dict):
        raise ValueError(f"extra is {given['extra']!r}; give an object")  # noqa: TRY004 - see Raises
    request = SongRequest(**given)
    provider.check(request)
    return request


def read_text(file: BinaryIO, name: str) -> str:
    """Read lyrics.

    Raises:
        BadInput: too long for lyrics, not UTF-8, or not to be read at all.
    """
    content = _take(file.read, file)
    try:
        _refuse_mark(content)
        return _decode(content)
    except ValueError as error:
        raise BadInput(f"{name}: {error}") from error


def _read_options(values: object, provider: Provider) -> ProviderOptions:
    kind = provider.traits.options
    if not isinstance(values, dict):
        raise ValueError(f"options is {values!r}; give an object")  # noqa: TRY004 - see Raises
    _refuse_unknown(values, kind, f"options of {provider.name}: ")
    return kind(**values)


def _refuse_unknown(values: Mapping[str, Any], kind: type[attrs.AttrsInstance], what: str) -> None:
    known = [field.name for field in attrs.fields(kind)]
    unknown = [repr(name) for name in values if name not in known]
    if unknown:
        near = get_close_matches(unknown[0].strip("'"), known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"{what}unknown {', '.join(unknown)}{meant}; known: {', '.join(known)}")


def _iter_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number the lines. One that is too long comes cut off, to be refused without being held."""
    for number in count(1):
        line = rest = _take(file.readline, file)
        if not line:
            return
        while len(rest) > LINE_BYTES and not rest.endswith(b"\n"):
            rest = _take(file.readline, file)
        yield number, line


def _take(read: Callable[[int], bytes], file: BinaryIO) -> bytes:
    """Read no more than what a line may have, and the byte that is too much."""
    try:
        return read(LINE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {file.name}: {error.strerror}") from error


def _refuse_mark(line: bytes) -> None:
    """Refuse what the rest of the file would be refused for, too."""
    if line.startswith(codecs.BOM_UTF8):
        raise ValueError("begins with a byte order mark; save the file as UTF-8 without one")
    if line.startswith(_UTF16):
        raise _Unreadable("is UTF-16; save the file as UTF-8")


def _decode(content: bytes) -> str:
    if len(content) > LINE_BYTES:
        raise ValueError(f"is longer than {LINE_BYTES:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        bad = content[error.start]
        raise ValueError(f"is not UTF-8: byte 0x{bad:02x} at byte {error.start + 1}") from error


def _parse(line: bytes) -> dict[str, Any]:
    text = _decode(line)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_refuse_twice,
            parse_constant=_refuse_constant,
            parse_int=_parse_int,
        )
    except json.JSONDecodeError as error:
        hint = "" if text.lstrip().startswith("{") else "; for ideas as text give --format text"
        raise ValueError(f"is no JSON: {_reason(error)} at column {error.colno}{hint}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"is {_JSON_NAMES[type(value)]}; give an object")  # noqa: TRY004 - see Raises
    return value


def _reason(error: json.JSONDecodeError) -> str:
    """Say it so that it helps: of what is not closed, Python only says what it expects."""
    unclosed = error.pos >= len(error.doc.rstrip()) and error.doc.lstrip().startswith("{")
    return "the object is not closed" if unclosed else error.msg


_JSON_NAMES = {
    str: "a string",
    list: "an array",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"gives {twice!r} twice")
    return values


def _parse_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"contains a number of {len(digits)} digits")
    return int(digits)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"contains {word}, which is no JSON")
