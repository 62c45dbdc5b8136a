"""What openpyxl does not tell of a sheet that it reads row by row.

That is which rows are hidden, which cells are merged, and which formulas have no value yet.
"""

from typing import IO
from xml.parsers import expat

import attrs
from openpyxl.utils import get_column_letter, range_boundaries
from openpyxl.utils.cell import coordinate_to_tuple

from ._table import Odd, is_comment

_CHUNK_BYTES = 1 << 20
_YES = frozenset({"1", "true"})


@attrs.define
class Merged:
    """Cells of a column that show the value of the first of them."""

    column: int
    """Counted from 0."""
    top: int
    bottom: int
    has_text: bool = False
    """Whether there is a value to show, once the first row was seen."""


@attrs.define
class Sheet:
    """What is special in a sheet; the cells themselves are not kept."""

    hidden: set[int] = attrs.field(factory=set)
    """Rows that are not shown."""
    merged: list[Merged] = attrs.field(factory=list)
    """The last ones first: there may be many, and each row takes its own."""
    uncomputed: set[tuple[int, int]] = attrs.field(factory=set)
    """Rows and columns of formulas without a value, which look like empty cells."""
    _reached: list[Merged] = attrs.field(factory=list, init=False)

    def as_seen(self, row: int, texts: list[str]) -> list[str] | ValueError:
        """Mark what people see otherwise than the file has it; rows come in their order.

        A row without any text stays empty.
        """
        texts = [text or self._uncomputed(row, column) for column, text in enumerate(texts)]
        if not any(text.strip() for text in texts):
            return texts
        if row in self.hidden and not is_comment(texts[0]):
            return ValueError(
                "is a hidden row; show it, delete it, or copy the rows that you see to a new file"
            )
        for merged in self._merged_in(row, texts):
            texts += [""] * (merged.column + 1 - len(texts))
            first = _name(merged.top, merged.column)
            why = f"is merged with {first} above it; unmerge them, and fill in each"
            texts[merged.column] = Odd("=", f"cell {_name(row, merged.column)} {why}")
        return texts

    def _uncomputed(self, row: int, column: int) -> str:
        if (row, column) not in self.uncomputed:
            return ""
        why = "holds a formula that was never computed; save the file again"
        return Odd("=", f"cell {_name(row, column)} {why}")

    def _merged_in(self, row: int, texts: list[str]) -> list[Merged]:
        """Return the blocks that go on in this row, and show something."""
        while self.merged and self.merged[-1].top <= row:
            self._reached.append(self.merged.pop())
        self._reached = [each for each in self._reached if each.bottom >= row]
        for each in self._reached:
            if each.top == row:
                each.has_text = bool("".join(texts[each.column : each.column + 1]).strip())
        return [each for each in self._reached if each.has_text and each.top < row]


def inspect_sheet(part: IO[bytes]) -> Sheet:
    """Read the XML of a sheet, piece by piece.

    Raises:
        ExpatError, ValueError: it is damaged.
    """
    inspector = _Inspector()
    parser = expat.ParserCreate(namespace_separator=" ")  # some programs write `<x:row>`
    parser.StartElementHandler = inspector.start
    parser.CharacterDataHandler = inspector.add_text
    parser.EndElementHandler = inspector.end
    while chunk := part.read(_CHUNK_BYTES):
        parser.Parse(chunk)
    parser.Parse(b"", True)
    inspector.sheet.merged.sort(key=lambda each: each.top, reverse=True)
    return inspector.sheet


@attrs.define
class _Inspector:
    """Takes what a parser tells; it stands in a row, in a cell, and maybe in the cell's value."""

    sheet: Sheet = attrs.field(factory=Sheet)
    _row: int = 0
    _cell: str = ""
    _is_text: bool = False
    _has_formula: bool = False
    _in_value: bool = False
    _has_value: bool = False

    def start(self, name: str, values: dict[str, str]) -> None:
        match _tag(name):
            case "row":
                self._row = int(float(values.get("r", self._row + 1)))
                self._cell = ""
                if values.get("hidden") in _YES:
                    self.sheet.hidden.add(self._row)
            case "c":
                self._cell = values.get("r") or self._next_cell()
                self._is_text = values.get("t") == "str"
                self._has_formula = self._has_value = False
            case "f":
                self._has_formula = True
            case "v":
                self._in_value = True
                self._has_value = self._is_text  # an empty one too: =IF(A2="","",A2)
            case "mergeCell":
                self._add_merged(values["ref"])

    def add_text(self, text: str) -> None:
        if self._in_value and not text.isspace():
            self._has_value = True

    def end(self, name: str) -> None:
        match _tag(name):
            case "v":
                self._in_value = False
            case "c" if self._has_formula and not self._has_value:
                row, column = coordinate_to_tuple(self._cell)
                self.sheet.uncomputed.add((row, column - 1))

    def _next_cell(self) -> str:
        before = coordinate_to_tuple(self._cell)[1] if self._cell else 0
        return _name(self._row, before)

    def _add_merged(self, ref: str) -> None:
        left, top, _, bottom = (number or 0 for number in range_boundaries(ref))
        if bottom > top:
            self.sheet.merged.append(Merged(left - 1, top, bottom))


def _name(row: int, column: int) -> str:
    return f"{get_column_letter(column + 1)}{row}"


def _tag(name: str) -> str:
    """Return the name of an element without its namespace."""
    return name.rpartition(" ")[2]
