"""Workbooks (.xlsx), by openpyxl: cells as people see them."""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import ZipFile

from ._failures import BadInput
from ._formats import strange_archive
from ._lines import Source, Unreadable
from ._rows import Findings, Rows
from ._table import Odd, read_table

if TYPE_CHECKING:
    from ._sheet import Sheet

_PIPED_BYTES = 100 << 20
_UNPACKED_BYTES = 1 << 30


def read_workbook(source: Source, findings: Findings) -> Rows:
    """Read the first sheet that is not hidden."""
    return read_table(_iter_rows(source, findings), findings)


def _iter_rows(source: Source, findings: Findings) -> Iterator[tuple[int, list[str] | ValueError]]:
    with _damage_told():
        file = source.reopened(_PIPED_BYTES)
        with ZipFile(file) as archive:
            _check(archive)
        rows, sheet = _open_sheet(file, findings)
        number = 0
        while (row := _quietly(next, rows, None)) is not None:
            number += 1
            yield number, sheet.as_seen(number, [_text(cell) for cell in row])


@contextmanager
def _damage_told() -> Iterator[None]:
    """Turn whatever a damaged file raises into one readable error."""
    try:
        yield
    except (Unreadable, BadInput):
        raise
    except Exception as error:  # whatever a damaged file makes of what reads it
        raise Unreadable(
            "cannot be read as a workbook, it may be damaged; open it in a spreadsheet program "
            "and save it again, as .xlsx or as CSV"
        ) from error


def _check(archive: ZipFile) -> None:
    """Refuse other archives, and those that would fill the memory."""
    names = archive.namelist()
    sheets = any(name.lower().startswith("xl/") and name.endswith(".xml") for name in names)
    if not sheets or "xl/workbook.bin" in names:
        raise Unreadable(strange_archive(names))
    size = sum(part.file_size for part in archive.infolist())
    if size > _UNPACKED_BYTES:
        raise Unreadable(f"unpacks to {size:,} bytes; save it as CSV")


def _open_sheet(file: BinaryIO, findings: Findings) -> tuple[Iterator[Sequence[Any]], "Sheet"]:
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Unreadable(
            "is a workbook, which needs openpyxl: pip install 'udio-async[xlsx]', or save it as CSV"
        ) from error
    from ._sheet import inspect_sheet  # noqa: PLC0415 - it needs the extra

    book = _quietly(load_workbook, file, read_only=True, data_only=True, keep_links=False)
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    if not sheets:
        raise Unreadable("has no sheet that is shown; save it as CSV")
    first, *others = sheets
    findings.sheet = f"{first.title!r}" + (f" (the first of {len(sheets)})" if others else "")
    first.reset_dimensions()  # what is written of them may be wrong
    with first._get_source() as part:  # noqa: SLF001 - nothing public tells where the sheet is
        sheet = inspect_sheet(part)
    return first.iter_rows(), sheet


def _quietly(function: Callable[..., Any], *args: object, **options: object) -> Any:  # noqa: ANN401
    """Call openpyxl without its warnings, of colours and the like."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


def _text(cell: Any) -> str:  # noqa: ANN401 - a cell of openpyxl, of two kinds
    """Return a cell's text as people see it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("_x000D_", "\r")  # so Excel writes what another program gave it
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _number(value, cell.number_format)
    return Odd(value, f"cell {cell.coordinate} is a date or a time ({value}); make it a text")


def _number(value: float, shown: str) -> str:
    if re.fullmatch("0+", shown):  # "007" is a seven
        return f"{value:.0f}".zfill(len(shown))
    return f"{value * 100:.15g}%" if shown.endswith("%") else f"{value:.15g}"
