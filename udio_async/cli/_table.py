"""Tables from a CSV or a workbook: columns, and the values of a row."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Self

import attrs

from .. import SongRequest
from ..journal import normalised
from ._cells import as_value
from ._plain import as_seen, refuse_control
from ._rows import Findings, Rows, Values, without_escape
from ._text import shortened

TableRows = Iterable[tuple[int, list[str] | ValueError]]
"""Numbers of rows, each with its cells or why it has none."""
_NEAR = 0.8
"""How alike a misspelt name has to be: "titel" is, "subtitle" and "mood" are not."""
_SHOWN = 40
_WORDS = {"description", "lyrics"}
"""Every request has one of them."""
_ERROR = re.compile(r"#(?:[^\W\d_a-z]+(?:/\d)?[!?]|N/A|NV)")
"""What a spreadsheet writes where it could not compute, in any language."""
_MOVED = re.compile(r"\s*#\s[^\r\n]*")
"""A cell that may be a comment which a program has moved behind others: "#1 hit" is none."""


class Odd(str):
    """A cell that is not text; that matters only in a column of ours."""

    __slots__ = ("why",)
    why: str

    def __new__(cls, value: object, why: str) -> Self:
        """Keep why it cannot be taken for text."""
        cell = super().__new__(cls, value)
        cell.why = why
        return cell


def read_table(rows: TableRows, findings: Findings) -> Rows:
    """Read a table that has names in its first row."""
    columns: Columns | None = None
    for number, cells in rows:
        if isinstance(cells, ValueError):
            yield number, cells
            if columns is None:
                return
        elif not any(map(as_seen, cells if columns is None else columns.without_number(cells))):
            continue
        elif is_comment(cells[0]) and not (columns is None and is_numbered(cells)):
            findings.comments += 1
        elif columns is None:
            columns = Columns.from_cells(cells)
            flaws = [*columns.iter_flaws()]
            yield from ((number, ValueError(flaw)) for flaw in flaws)
            if flaws:
                return
            findings.ignored = columns.ignored
        elif _MOVED.fullmatch(beginning := columns.beginning(cells)):
            remedy = "write \\# for a song, or put the # into the first cell for a comment"
            yield number, ValueError(f"begins with {shortened(beginning)}; {remedy}")
        else:
            try:
                yield number, columns.read(cells)
            except ValueError as error:
                yield number, error


def is_comment(cell: str) -> bool:
    """Return whether a row that begins with this cell is a comment.

    "#NAME?" and its like are errors of a spreadsheet, and no comments.
    """
    text = as_seen(cell)
    return text.startswith("#") and not _ERROR.fullmatch(text)


def is_numbered(cells: Sequence[str]) -> bool:
    """Return whether these are names behind a "#".

    A column of numbers is often called so.
    """
    return cells[0].strip() == "#" and count_names(cells) > 0


def count_names(cells: Iterable[str]) -> int:
    """Return how many cells are names that we know."""
    return sum(_squashed(cell) in _OURS for cell in cells)


@attrs.frozen
class Columns:
    """The first row of a table."""

    heads: tuple[str, ...]
    """The names as they are in the file."""
    names: tuple[str | None, ...]
    """What they mean to us."""
    known: frozenset[str]
    """All of these and all of ours, without what people vary."""

    @classmethod
    def from_cells(cls, cells: Iterable[str]) -> Self:
        heads = tuple(normalised(cell) for cell in cells)
        squashed = [_squashed(head) for head in heads]
        return cls(heads, tuple(map(_OURS.get, squashed)), frozenset((*squashed, *_OURS)))

    @property
    def ignored(self) -> tuple[str, ...]:
        """The user's own columns."""
        pairs = zip(self.heads, self.names, strict=True)
        return tuple(head for head, name in pairs if head and name is None)

    def iter_flaws(self) -> Iterator[str]:
        """Return what is wrong with the names.

        With one that is misspelt, nothing can be read.
        """
        flaw = None
        for head in self.ignored:
            if near := _near(head):
                flaw = f"column {head!r} is unknown (did you mean {near}?); rename it"
                yield flaw
        for name in _OURS.values():
            same = [place for place, other in enumerate(self.names, 1) if other == name]
            if len(same) > 1:
                flaw = f"columns {' and '.join(map(str, same))} both mean {name}; keep one of them"
                yield flaw
        if flaw is None and not {*self.names} & _WORDS:
            heads = shortened(", ".join(map(repr, filter(None, self.heads))))
            yield (
                f"has no column 'description' and none 'lyrics' in its first line, but {heads}; "
                "name one of them so, or for ideas as text give --format text"
            )

    def read(self, row: Sequence[str]) -> Values:
        """Return what the cells say.

        Raises:
            ValueError: they do not fit the columns, or one cannot be read.
        """
        row = self.without_number(row)
        cells = [normalised(cell) for cell in row]
        self._refuse_unnamed(cells)
        given = {
            name: place
            for place, name in enumerate(self.names[: len(cells)])
            if name is not None and cells[place]
        }
        self._refuse_names(cells, [cells[place] for place in given.values()])
        for place in given.values():
            if isinstance(odd := row[place], Odd):
                raise ValueError(odd.why)  # noqa: TRY004 - see Raises
        return {name: _read_cell(name, cells[place]) for name, place in given.items()}

    def beginning(self, cells: Sequence[str]) -> str:
        """Return the first cell with something in it in a column of ours."""
        row = zip(self.names, cells, strict=False)
        return next((cell for name, cell in row if name and as_seen(cell)), "")

    def without_number(self, row: Sequence[str]) -> Sequence[str]:
        """Return a row without its number: pandas puts one into a first column without a name."""
        return ["", *row[1:]] if not self.heads[0] and row[0].strip().isdecimal() else row

    def _refuse_names(self, cells: Sequence[str], ours: Sequence[str]) -> None:
        """Refuse the first line of another table, with the same columns or others.

        A song may be called "Lyrics", but then more is told of it, in other words.
        """
        if not ours or not all(_squashed(cell) in self.known for cell in ours):
            return
        if any(_OURS.get(_squashed(cell)) in _WORDS for cell in cells):
            raise ValueError(
                "holds the names of columns once more; remove it if the rows below it have the "
                "columns of the first line, else give them as a file of their own"
            )

    def _refuse_unnamed(self, cells: Sequence[str]) -> None:
        for place, cell in enumerate(cells):
            if not cell or (place < len(self.heads) and self.heads[place]):
                continue
            held = repr(shortened(cell, _SHOWN))
            if place < len(self.heads):
                raise ValueError(f"column {place + 1} has no name and holds {held}; give it one")
            number = max(place for place, cell in enumerate(cells, 1) if cell)
            remedy = "name its column, or put a cell in quotes that contains a separator"
            if len(self.heads) == 1:
                remedy = "put the cell in quotes, or give --format tsv if commas are only text here"
            raise ValueError(
                f"has {number} cells, the first line has {len(self.heads)}: {held} stands in the "
                f"extra one; {remedy}"
            )


def _read_cell(name: str, cell: str) -> object:
    """Return the value of one cell.

    Raises:
        ValueError: it is none for this column.
    """
    refuse_control(name, cell)
    if _ERROR.fullmatch(cell):
        raise ValueError(f"{name} is {cell!r}, an error of the spreadsheet; mend the cell")
    return as_value(name, without_escape(cell))


def _squashed(head: str) -> str:
    """Return a name without case, blanks and hyphens, which people vary."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", normalised(head)).casefold())


def _near(head: str) -> str | None:
    """Return the name of ours that a misspelt column may mean."""
    squashed = _squashed(head)
    if squashed == "gender":  # as `generate` has it
        return "vocal_gender"
    near = get_close_matches(squashed, _OURS, n=1, cutoff=_NEAR)
    return _OURS[near[0]] if near else None


_OURS = {_squashed(field.name): field.name for field in attrs.fields(SongRequest)}
