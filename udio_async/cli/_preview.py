"""The preview of a file: what was understood, before it is paid for.

A shifted column shows here.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePath

import attrs
from rich.cells import cell_len, set_cell_size

from .. import SongRequest
from ._rows import Format
from ._text import counted, one_line

PREVIEWED = 3
_WIDTH = 78
_LEAST = 12
"""Columns that a value gets at least, where there are many."""
_BETWEEN = " | "
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@attrs.frozen(kw_only=True)
class Preview:
    """How a file was read, and its first requests."""

    name: str
    format: Format
    encoding: str
    separator: str | None = None
    sheet: str = ""
    comments: int = 0
    ignored: tuple[str, ...] = ()
    requests: int
    first: tuple[tuple[int, SongRequest], ...] = ()
    """The first ones, each with its line."""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        how = self._how
        name = fitted(PurePath(self.name).name, max(_LEAST, _WIDTH - cell_len(f": {how}")))
        yield fitted(f"{name}: {how}", _WIDTH)
        if self.ignored:
            names = (f'"{name}"' if "," in name else name for name in self.ignored)
            yield "  " + fitted(f"ignored columns: {', '.join(names)}", _WIDTH - 2)
        margin = max((len(str(number)) for number, _ in self.first), default=0)
        for number, request in self.first:
            yield from _request_lines(f"  {number:>{margin}}  ", request)
        more = self.requests - len(self.first)
        if more:
            yield f"  and {more:,} more"

    @property
    def _how(self) -> str:
        parts = [_FORMATS[self.format]]
        if self.separator is not None:
            parts[0] += f" with {_SEPARATORS.get(self.separator, self.separator)}"
        if self.sheet:
            parts.append(f"sheet {self.sheet}")
        if self.encoding != "UTF-8":
            parts.append(self.encoding)
        if self.comments:
            parts.append(f"{counted(self.comments, 'comment line')} skipped")
        return ", ".join(parts)


_FORMATS: dict[Format, str] = {
    "jsonl": "JSON lines",
    "json": "JSON",
    "csv": "CSV",
    "tsv": "CSV",
    "text": "ideas as text",
    "xlsx": "workbook",
}


def _request_lines(lead: str, request: SongRequest) -> Iterator[str]:
    """Return the fields of a request, on one line or on more."""
    fields = _fields(request)
    names = sum(len(name) + len(": ") for name, _ in fields)
    room = _WIDTH - len(lead) - names - len(_BETWEEN) * (len(fields) - 1)
    widths = _shares([cell_len(text) for _, text in fields], room)
    line = ""
    for (name, text), width in zip(fields, widths, strict=True):
        field = f"{name}: {fitted(text, width)}"
        if not line:
            line = lead + field
        elif cell_len(line + _BETWEEN + field) <= _WIDTH:
            line += _BETWEEN + field
        else:
            yield line
            line = " " * len(lead) + field
    yield line


def _fields(request: SongRequest) -> list[tuple[str, str]]:
    """Return the fields as they were understood.

    Of what may be secret it is only the name.
    """
    fields: list[tuple[str, str]] = []
    for name, value in {"key": request.key, **request.as_json()}.items():
        if isinstance(value, dict):
            fields.append((name, ", ".join(value)))
        elif value is True:
            fields.append((name, "true"))
        elif value is not None:
            fields.append((name, one_line(str(value).replace("\n", " / "))))
    return fields


def _shares(lengths: Sequence[int], room: int) -> list[int]:
    """Return a width for each text, within the room that there is.

    What is short leaves more to what is long.
    """
    shares = list(lengths)
    order = sorted(range(len(shares)), key=shares.__getitem__)
    for done, place in enumerate(order):
        shares[place] = min(shares[place], max(_LEAST, room // (len(order) - done)))
        room -= shares[place]
    return shares


def fitted(text: str, width: int) -> str:
    """Return the beginning of a line that is no wider than this.

    Some letters are two columns wide.
    """
    line = one_line(text)
    if cell_len(line) <= width:
        return line
    return set_cell_size(line, width - 1).rstrip() + "\N{HORIZONTAL ELLIPSIS}"
