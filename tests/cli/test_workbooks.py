"""Workbooks of spreadsheets: the cells of the first sheet, as people see them."""

import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterable
from datetime import date, time, timedelta
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from udio_async import SongRequest
from udio_async.cli._failures import BadInput

from .conftest import Bench, Ended, run_cli
from .reading import asked, problems, read, refused


def workbook(*rows: Iterable[object], sheets: int = 1, **formats: str) -> bytes:
    """A workbook whose first sheet has these rows, with number formats by cell."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Songs"
    for row in rows:
        sheet.append(list(row))
    for cell, shown in formats.items():
        sheet[cell].number_format = shown
    for number in range(1, sheets):
        book.create_sheet(f"Sheet {number}")
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def sheet_of(*rows: str, prefix: str = "") -> bytes:
    """A workbook whose sheet has these rows as XML; a prefix is put before each tag."""
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    data = "".join(rows).replace("<", f"<{prefix}").replace(f"<{prefix}/", f"</{prefix}")
    declared = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    root = f"{prefix}worksheet"
    data = f"<{prefix}sheetData>{data}</{prefix}sheetData>"
    return changed(workbook([]), lambda _: f'<{root} {declared}="{space}">{data}</{root}>'.encode())


def changed(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook with a change in the XML of its sheet."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as packed, zipfile.ZipFile(file, "w") as other:
        for name in packed.namelist():
            part = packed.read(name)
            other.writestr(name, change(part) if name == "xl/worksheets/sheet1.xml" else part)
    return file.getvalue()


def text_cell(text: str) -> str:
    return f'<c t="inlineStr"><is><t>{text}</t></is></c>'


def edited(content: bytes, edit: Callable[[Worksheet], object]) -> bytes:
    """A workbook whose sheet was edited by openpyxl."""
    book, file = load_workbook(io.BytesIO(content)), io.BytesIO()
    edit(book.worksheets[0])
    book.save(file)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, "x")
    return file.getvalue()


def test_a_workbook_is_read_as_the_same_table_in_csv() -> None:
    """Names, own columns, comments and empty rows are those of every table."""
    content = workbook(
        ["# mine"],
        ["Lyrics ", "STYLE", None, "Negative Tags", "mood"],
        [],
        ["la\r\nKo\u0308ln \nla", "pop", None, "sad", "x"],
        ["# later", "rock"],
        ["\\#1", None, None, " "],
    )
    reading = read(content, "in.xlsx")
    assert [(entry.line, entry.request) for entry in reading.entries] == [
        (4, SongRequest(lyrics="la\nKöln\nla", style="pop", negative_tags="sad")),
        (6, SongRequest(lyrics="#1")),
    ]
    assert str(reading.preview).splitlines()[:2] == [
        "in.xlsx: workbook, sheet 'Songs', 2 comment lines skipped",
        "  ignored columns: mood",
    ]


def test_numbers_are_read_as_they_are_seen() -> None:
    """A year is no fraction, a half is half, and a seven may be 007."""
    content = workbook(
        ["lyrics", "title", "style", "key", "instrumental"],
        ["la", 1999, 2.0, 7, True],
        ["la", 0.1 + 0.2, 0.5, 12, False],
        ["la", True, -1, 1e15, 1],
        D2="000",
        C3="0%",
    )
    one, two, three = asked(content, "in.xlsx")
    assert (one.title, one.style, one.key, one.instrumental) == ("1999", "2", "007", True)
    assert (two.title, two.style, two.key, two.instrumental) == ("0.3", "50%", "12", False)
    assert (three.title, three.style, three.instrumental) == ("TRUE", "-1", True)


def test_what_is_no_text_is_refused_by_its_cell() -> None:
    """Only where it is asked for: a date in a column of one's own is nobody's business."""
    content = workbook(
        ["lyrics", "title", "due"],
        ["a", date(2026, 11, 28), date(2026, 11, 28)],
        ["b", time(12, 30), time(12, 30)],
        ["c", timedelta(days=2), None],
        ["d", "=A1", "=A1"],
        ["e", "#REF!", "#REF!"],
        ["f", "fine", date(2026, 11, 28)],
    )
    told = problems(content, "in.xlsx")
    assert len(told) == 5
    assert told[0].startswith("in.xlsx:2: cell B2 is a date or a time (2026-11-28")
    assert "cell B3 is a date or a time (12:30:00); make it a text" in told[1]
    assert "cell B4" in told[2]
    assert "cell B5 holds a formula that was never computed; save the file again" in told[3]
    assert "title is '#REF!', an error of the spreadsheet" in told[4]


def test_a_formula_counts_by_its_value() -> None:
    """As the spreadsheet computed it last."""
    content = workbook(["lyrics", "title"], ["la", "=1+1"])
    computed = changed(
        content,
        lambda sheet: re.sub(
            rb"<f>1\+1</f><v ?/>|<f>1\+1</f><v></v>", b"<f>1+1</f><v>2</v>", sheet
        ),
    )
    assert asked(computed, "in.xlsx")[0].title == "2"


def test_an_empty_sheet_is_named() -> None:
    """The requests may be in another one."""
    told = refused(workbook(sheets=2), "in.xlsx").message
    assert "holds no requests in its sheet 'Songs' (the first of 2); only the first one" in told


@pytest.mark.parametrize("prefix", ["", "x:"])
@pytest.mark.parametrize(
    "cell",
    ["<c><f>A1</f></c>", "<c><f>A1</f><v></v></c>", '<c t="str"><f>A1</f></c>', "<c><f/><v/></c>"],
)
def test_a_formula_that_was_never_computed_is_refused(cell: str, prefix: str) -> None:
    """However the program that wrote it names the tags; a style would be missing."""
    names = f"<row>{text_cell('lyrics')}{text_cell('style')}</row>"
    content = sheet_of(names, f"<row>{text_cell('la')}{cell}</row>", prefix=prefix)
    assert problems(content, "in.xlsx") == (
        "in.xlsx:2: cell B2 holds a formula that was never computed; save the file again",
    )


@pytest.mark.parametrize("prefix", ["", "x:"])
def test_a_formula_whose_result_is_no_text_is_an_empty_cell(prefix: str) -> None:
    """=IF(C2="","",C2) was computed; saving the file again would change nothing."""
    empty = '<c t="str"><f>IF(C2="","",C2)</f><v></v></c>'
    names = f"<row>{text_cell('lyrics')}{text_cell('title')}</row>"
    rows = (names, f"<row>{text_cell('la')}{empty}</row>", f"<row>{empty}{empty}</row>")
    assert asked(sheet_of(*rows, prefix=prefix), "in.xlsx") == [SongRequest(lyrics="la")]


def test_cells_merged_over_several_rows_are_refused() -> None:
    """People see the style of all songs; the file has it for the first one only."""
    content = workbook(["lyrics", "style", "mood"], *(["la", None, "x"] for _ in range(3)))

    def edit(sheet: Worksheet) -> None:
        sheet["B2"] = "pop, slow"
        sheet.merge_cells("B2:B4")

    assert problems(edited(content, edit), "in.xlsx") == (
        "in.xlsx:3: cell B3 is merged with B2 above it; unmerge them, and fill in each",
        "in.xlsx:4: cell B4 is merged with B2 above it; unmerge them, and fill in each",
    )


@pytest.mark.parametrize("area", ["A2:A3 B2:B3 C2:C3", "C2:C4", "A2:B2", "A5:C7"])
def test_merged_cells_that_change_no_song_are_read(area: str) -> None:
    """One tall row, a column of one's own, cells of one row, and a comment."""
    content = workbook(
        ["lyrics", "style", "mood"],
        ["one", None, "x"],
        [] if area.startswith("A2:A3") else ["two", None, None],
        ["three"],
        ["# that is all"],
    )

    def edit(sheet: Worksheet) -> None:
        for each in area.split():
            sheet.merge_cells(each)

    assert asked(edited(content, edit), "in.xlsx") == asked(content, "in.xlsx")


def test_hidden_rows_are_refused() -> None:
    """People see what a filter leaves, and would pay for all of it."""
    content = workbook(["description"], ["rain"], ["snow"], ["# old"], [None], ["sun"])

    def edit(sheet: Worksheet) -> None:
        for row in (3, 4, 5, 6, 900):
            sheet.row_dimensions[row].hidden = True

    remedy = "show it, delete it, or copy the rows that you see to a new file"
    assert problems(edited(content, edit), "in.xlsx") == (
        f"in.xlsx:3: is a hidden row; {remedy}",
        f"in.xlsx:6: is a hidden row; {remedy}",
    )


def test_a_hidden_first_row_is_refused() -> None:
    """People would take another one for the names."""
    content = edited(
        workbook(["lyrics"], ["Words"], ["la"]),
        lambda sheet: setattr(sheet.row_dimensions[1], "hidden", True),
    )
    assert [problem[:27] for problem in problems(content, "in.xlsx")] == [
        "in.xlsx:1: is a hidden row;"
    ]


def test_other_sheets_are_mentioned() -> None:
    """The first one that is not hidden is read."""
    reading = read(workbook(["description"], ["rain"], sheets=3), "in.xlsx")
    assert "sheet 'Songs' (the first of 3)" in str(reading.preview)


@pytest.mark.parametrize("name", ["in.xlsx", "stdin", "in.csv"])
def test_a_workbook_is_known_by_what_it_holds(name: str) -> None:
    """Whatever its name."""
    assert asked(workbook(["description"], ["rain"]), name) == [SongRequest(description="rain")]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["word/document.xml"], "is a Word document; save it as text"),
        (["mimetype", "content.xml"], "is an OpenDocument spreadsheet; save it as .xlsx or CSV"),
        (["Index/Document.iwa"], "is a Numbers spreadsheet; export it"),
        (["xl/workbook.bin"], "is a binary Excel workbook"),
        (["ideas.txt"], "is a ZIP archive; unpack it"),
        (["xl/workbook.xml"], "cannot be read as a workbook, it may be damaged"),
    ],
)
def test_another_archive_is_refused_by_name(names: list[str], words: str) -> None:
    """A workbook is an archive as well."""
    assert words in refused(archive(*names), "in.xlsx").message


def test_a_workbook_that_was_cut_is_refused() -> None:
    """Wherever it was cut, and without a warning of another library."""
    content = workbook(["description"], ["rain"])
    for place in range(1, len(content), 97):
        assert refused(content[:place], "in.xlsx").message


def test_a_damaged_workbook_is_read_or_refused() -> None:
    """Wherever it is damaged: not all of its bytes matter to us."""
    content = workbook(["description"], ["rain"])
    flaws = 0
    for place in range(0, len(content), 97):
        try:
            asked(content[:place] + b"x" * 40 + content[place + 40 :], "in.xlsx")
        except BadInput:
            flaws += 1
    assert flaws > 0


def test_what_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive may be small and unpack to anything."""
    monkeypatch.setattr("udio_async.cli._workbook._UNPACKED_BYTES", 1000)
    assert "save it as CSV" in refused(workbook(["description"], ["rain"]), "in.xlsx").message


def test_options_that_no_workbook_has_are_refused() -> None:
    """A wrong call never passes silently."""
    content = workbook(["description"], ["rain"])
    assert "leave --encoding out" in refused(content, "in.xlsx", encoding="cp1252").message
    assert "leave --format out" in refused(content, "in.xlsx", kind="csv").message


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or how to do without."""
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    error = refused(workbook(["description"], ["rain"]), "in.xlsx")
    assert error.message == (
        "in.xlsx is a workbook, which needs openpyxl: pip install 'udio-async[xlsx]', "
        "or save it as CSV"
    )


def test_a_workbook_makes_songs(
    bench: Bench, call_cli: Callable[..., Ended], tmp_path: Path
) -> None:
    """From a file and through a pipe; the line that is told is the row."""
    path = tmp_path / "songs.xlsx"
    path.write_bytes(workbook(["description", "notes"], ["rain", "x"]))
    ended = call_cli("batch", path, "--out", tmp_path / "a", *bench.at)
    assert ended.code == 0, ended.err
    assert {(line["line"], line["asked"]) for line in ended.lines} == {(2, "rain")}
    piped = run_cli("batch", "-", "--out", tmp_path / "b", *bench.at, stdin=path.read_bytes())
    assert piped.code == 0, piped.err
    assert {line["asked"] for line in piped.lines} == {"rain"}
