"""CSV as spreadsheets and people write it: separators and rows."""

import csv
import re
from collections.abc import Iterator
from itertools import chain

from ._lines import LINE_BYTES, Unreadable
from ._plain import as_seen
from ._rows import Findings, Rows
from ._table import count_names, is_comment, is_numbered, read_table
from ._text import shortened

_SEPARATORS = (",", ";", "\t", "|")
_OPENS = re.compile(r'(?:(?:[^"]|"")*[,;\t|])?[ #]*"')
"""A line whose first quote begins a cell, and so closes none."""
_FIRST_LINES = 20
_ANY_SEPARATOR = re.compile(r"[,;\t|]")
_TOLD = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;\t|]*', re.IGNORECASE)
"""The first line by which Excel is told the separator."""


def read_csv(lines: Iterator[tuple[int, str]], findings: Findings, *, likely: str) -> Rows:
    """Read a CSV; cells in quotes may go over several lines.

    `likely` is the separator where the first line does not tell, because it has one name only.
    """
    feed = _Feed(lines, findings)
    separator = feed.find_separator() or likely
    rows = csv.reader(feed, delimiter=separator, strict=True, skipinitialspace=True)
    return read_table(_iter_rows(rows, feed), findings)


def is_header(line: str) -> bool:
    """Return whether a line is the first line of a CSV of requests.

    An idea may begin with a name of ours, "Lyrics, written at sea". So every cell has to be such a
    name, or no comma or semicolon has a blank behind it, as programs write tables.

    Raises:
        ValueError: it may be either; the user has to tell.
    """
    if _TOLD.fullmatch(line):
        return True
    separator = separator_of([line]) or ","
    cells = [cell for cell in _split([line], separator) if cell.strip()]
    known = count_names(cells)
    if known in (0, len(cells)) or is_numbered(cells):
        return known > 0
    written = next(csv.reader([line], delimiter=separator), [])
    if separator == "\t" or not any(cell.startswith(" ") for cell in written):
        return True
    raise ValueError(
        f"may be a table or ideas: its first line is {shortened(line)!r}; "
        "give --format csv or --format text"
    )


def separator_of(header: list[str]) -> str | None:
    """Return what separates the cells of the first row, or None.

    It is the separator that gives the most names that we know. Names in quotes may hold the other
    separators. One name alone has none.
    """
    rows = {separator: _split(header, separator) for separator in _SEPARATORS}
    found = max(rows, key=lambda each: (count_names(rows[each]), len(rows[each])))
    return found if len(rows[found]) > 1 else None


def _split(lines: list[str], separator: str) -> list[str]:
    try:
        return next(csv.reader(lines, delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []


def is_comment_line(line: str) -> bool:
    """Return whether a line between rows is a comment."""
    if not is_comment(_ANY_SEPARATOR.split(line, maxsplit=1)[0]):
        return False
    rows = (_split([line], separator) for separator in _SEPARATORS)
    return not any(row and is_numbered(row) for row in rows)


def _iter_rows(
    rows: Iterator[list[str]], feed: "_Feed"
) -> Iterator[tuple[int, list[str] | ValueError]]:
    while True:
        feed.between = True
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            if "expected after" not in str(error):
                reason = "a cell begins with a quote that is not closed, or is far too long"
                raise Unreadable(f"is not a CSV: {reason}", feed.number) from error
            reason = "a cell goes on after its quotes; write a quote within a cell twice"
            yield feed.number, ValueError(f"is not a CSV: {reason}")
        else:
            yield feed.number, row


class _Feed:
    """The lines for `csv.reader`, without comments."""

    def __init__(self, lines: Iterator[tuple[int, str]], findings: Findings) -> None:
        self._lines = lines
        self._findings = findings
        self._length = 0
        self.number = 1
        """Where the row begins."""
        self.between = True
        """Whether the next line begins a row: only there it may be a comment."""

    def find_separator(self) -> str | None:
        """Look at the first line.

        It is read again later, unless it is only there to tell Excel the separator.
        """
        for number, line in iter(self._take, None):
            if told := _TOLD.fullmatch(line):
                self._findings.separator = told[1]
                break
            if is_comment_line(line):
                self._skip_comment(number, line)
            elif line.strip():
                first = self._first_row(number, line)
                self._lines = chain(first, self._lines)
                self._findings.separator = separator_of([line for _, line in first])
                break
        return self._findings.separator

    def _first_row(self, number: int, line: str) -> list[tuple[int, str]]:
        """Return the lines of the first row, whose names in quotes may have several."""
        lines, quotes = [(number, line)], line.count('"')
        while quotes % 2 and len(lines) < _FIRST_LINES:
            more = self._take()
            if more is None:
                break
            lines.append(more)
            quotes += more[1].count('"')
        return lines

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for number, line in iter(self._take, None):
            if self.between and is_comment_line(line):
                self._skip_comment(number, line)
                continue
            if self.between:
                self.between, self.number, self._length = False, number, 0
            self._length += len(line)
            if self._length > LINE_BYTES:
                raise Unreadable(f"is longer than {LINE_BYTES:,} bytes", self.number)
            return f"{line.rstrip(' ')}\n"
        raise StopIteration

    def _take(self) -> tuple[int, str] | None:
        return next(self._lines, None)

    def _skip_comment(self, number: int, line: str) -> None:
        """Skip a comment.

        A quote that no later line closes is only a character.

        Raises:
            Unreadable: a later line closes it, so it may be a row that goes on over several lines.
        """
        self._findings.comments += 1
        later: list[tuple[int, str]] = []
        try:
            next(csv.reader(self._row_of(line, later), strict=True, skipinitialspace=True))
            may_go_on = not all(is_comment_line(each) for _, each in later)
        except csv.Error as error:
            closes = not _OPENS.match(later[-1][1]) if later else line.count('"') % 2 > 0
            may_go_on = closes and "expected after" in str(error)
        if may_go_on:
            raise Unreadable(
                "is a comment with a quote that a later line closes: it may be a row of several "
                "lines; put a # before each of them, or remove the quote",
                number,
            )
        self._lines = chain(later, self._lines)

    def _row_of(self, comment: str, later: list[tuple[int, str]]) -> Iterator[str]:
        """Return a comment as a row, with commas only: the separator may not be known yet.

        Lines behind it are taken as they are needed, and kept in `later`.
        """
        yield _ANY_SEPARATOR.sub(",", f"{as_seen(comment).lstrip('# ')}\n")
        for more in iter(self._take, None):
            later.append(more)
            yield _ANY_SEPARATOR.sub(",", f"{more[1].rstrip(' ')}\n")
