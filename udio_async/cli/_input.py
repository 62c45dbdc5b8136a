"""Requests from a file: all of them checked, and every problem told, before anything is sent."""

import codecs
import json
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO, NoReturn

import attrs

from .._errors import UdioError
from .._records import ProviderOptions, SongRequest
from ..providers import Provider
from ._failures import BadInput
from ._text import counted, one_line

LINE_BYTES = 1 << 20
"""No provider takes a request that is nearly as long as this."""
_DIGITS = 20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@attrs.frozen
class Entry:
    """One request, and the line of the file that it stands on."""

    request: SongRequest
    line: int | None = None


def read_entries(file: BinaryIO, name: str, provider: Provider) -> list[Entry]:
    """Read one request per line: a JSON object with the names of `SongRequest`.

    Empty lines are skipped.

    Raises:
        BadInput: with every bad line of the file.
    """
    entries: list[Entry] = []
    problems: list[str] = []
    lines_of_keys: dict[str, int] = {}
    for number, line in _iter_lines(file):
        try:
            if number == 1:
                _refuse_mark(line)
            if line.strip():
                request = read_request(_parse(line), provider)
                _refuse_key(request.key, number, lines_of_keys)
                entries.append(Entry(request, number))
        except (UdioError, TypeError, ValueError) as error:
            problems.append(f"{name}:{number}: {one_line(error)}")
            if line.startswith(_UTF16):  # so is the rest
                break
    if problems:
        headline = f"{name} has {counted(len(problems), 'problem')}, nothing was sent"
        raise BadInput(headline, tuple(problems))
    if not entries:
        raise BadInput(f"{name} holds no requests; give one JSON object per line")
    return entries


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
        BadInput: too long for lyrics, or not UTF-8.
    """
    content = file.read(LINE_BYTES + 1)
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
        raise ValueError(f"{what}unknown {', '.join(unknown)}; known: {', '.join(known)}")


def _iter_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Number the lines. One that is too long comes cut off, to be refused without being held."""
    for number in count(1):
        line = rest = file.readline(LINE_BYTES + 1)
        if not line:
            return
        while len(rest) > LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(LINE_BYTES + 1)
        yield number, line


def _refuse_mark(line: bytes) -> None:
    if line.startswith(codecs.BOM_UTF8):
        raise ValueError("begins with a byte order mark; save the file as UTF-8 without one")
    if line.startswith(_UTF16):
        raise ValueError("is UTF-16; save the file as UTF-8")


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
        raise ValueError(f"is no JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError(f"is {_JSON_NAMES[type(value)]}; give an object")  # noqa: TRY004 - see Raises
    return value


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
