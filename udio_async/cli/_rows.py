"""Rows from a file of any format: the values of each request."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import attrs

from ..journal import normalised
from ._cells import as_value
from ._json import as_object, iter_values, parse
from ._lines import refuse_long
from ._plain import as_seen, refuse_control, refuse_line_end

Format = Literal["jsonl", "json", "csv", "tsv", "text", "xlsx"]
Values = Mapping[str, Any]
Rows = Iterator[tuple[int, Values | ValueError]]
"""Numbers of lines, or of elements, each with the values of a request or why there are none."""
_COMMENT = re.compile("#")
_COMMENT_IN_TEXT = re.compile(r'#|"#\s(?:[^"]|"")*"\Z')
"""Excel puts a line with a comma into quotes, and writes each quote within it twice. In quotes "#1"
begins an idea."""


@attrs.define
class Findings:
    """What becomes known of a file while it is read."""

    separator: str | None = None
    """Between the cells of a CSV."""
    sheet: str = ""
    """Which one, of a workbook."""
    comments: int = 0
    """Lines that were skipped because they are marked so."""
    ignored: tuple[str, ...] = ()
    """Columns of the user's own."""


def read_ideas(lines: Iterator[tuple[int, str]], findings: Findings) -> Rows:
    """Read one idea per line; a line that begins with "#" is a comment."""
    for number, line in _without_comments(lines, findings, _COMMENT_IN_TEXT):
        try:
            refuse_long(line)
            refuse_control("description", line)
            refuse_line_end(line)
            yield number, {"description": without_escape(normalised(line))}
        except ValueError as error:
            yield number, error


def without_escape(text: str) -> str:
    """Return the text that is meant: one that begins with "#" has a backslash before it."""
    return text[1:] if text.startswith("\\#") else text


def read_json_lines(lines: Iterator[tuple[int, str]], findings: Findings) -> Rows:
    """Read an object per line, or an idea in quotes."""
    for number, line in _without_comments(lines, findings, _COMMENT):
        try:
            refuse_long(line)
            yield number, _as_values(parse(line))
        except ValueError as error:
            plain = str(error).startswith("is not JSON") and not line.startswith(("{", '"'))
            hint = "; for ideas as text give --format text" if plain else ""
            yield number, ValueError(f"{error}{hint}")


def read_json(texts: Iterator[str]) -> Rows:
    """Read an array of objects and ideas in quotes, or objects in a row."""
    for number, value in iter_values(texts):
        try:
            yield number, _as_values(value)
        except ValueError as error:
            yield number, error


def _without_comments(
    lines: Iterator[tuple[int, str]], findings: Findings, comment: re.Pattern[str]
) -> Iterator[tuple[int, str]]:
    """Return the lines that hold something, and count comments."""
    for number, line in lines:
        seen = as_seen(line)
        if comment.match(seen):
            findings.comments += 1
        elif seen:
            yield number, line.strip()


def _as_values(value: object) -> Values:
    """Return the values of a request that JSON gave.

    Raises:
        ValueError: it is neither an object nor text.
    """
    if isinstance(value, ValueError):
        raise value
    values = {"description": value} if isinstance(value, str) else as_object(value)
    return {name: _as_value(name, inner) for name, inner in values.items()}


def _as_value(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    refuse_control(name, value, escaped=True)
    return as_value(name, value)
