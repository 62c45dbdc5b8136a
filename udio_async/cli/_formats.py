"""The format of a file: by its name, else by what it holds."""

import json
import re
from pathlib import PurePath

from ._csv import is_comment_line, is_header
from ._json import is_cut
from ._rows import Format

_BY_ENDING: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_SAYS_NOTHING = frozenset({"", ".txt", ".text"})
_SAVE = "save it as .xlsx or CSV"
_COPY = "save it as text, one idea per line"
_UNPACK = "unpack it, and give what is in it"
_STRANGE = {
    ".xls": ("an old Excel workbook", _SAVE),
    ".xlsb": ("a binary Excel workbook", _SAVE),
    ".ods": ("an OpenDocument spreadsheet", _SAVE),
    ".numbers": ("a Numbers spreadsheet", "export it as .xlsx or CSV"),
    ".doc": ("an old Word document", _COPY),
    ".docx": ("a Word document", _COPY),
    ".odt": ("an OpenDocument text", _COPY),
    ".pages": ("a Pages document", _COPY),
    ".rtf": ("rich text", _COPY),
    ".pdf": ("a PDF", _COPY),
    ".html": ("a web page", _COPY),
    ".htm": ("a web page", _COPY),
    ".xml": ("XML", _SAVE),
    ".zip": ("a ZIP archive", _UNPACK),
    ".gz": ("packed by gzip", _UNPACK),
    ".bz2": ("packed by bzip2", _UNPACK),
    ".xz": ("packed by xz", _UNPACK),
    ".zst": ("packed by zstd", _UNPACK),
    ".7z": ("a 7z archive", _UNPACK),
    ".rar": ("a RAR archive", _UNPACK),
    ".db": ("a database, such as a journal", "give the file that the requests are in"),
}
"""Endings of what is not read, and what to do with it."""
_OLD_OFFICE = ("an old Office file, or has a password", "save it as .xlsx without one, or as CSV")
_BEGINNINGS = (
    (b"%PDF-", _STRANGE[".pdf"]),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OLD_OFFICE),
    (b"\x1f\x8b", _STRANGE[".gz"]),
    (b"BZh91AY&SY", _STRANGE[".bz2"]),
    (b"\xfd7zXZ\x00", _STRANGE[".xz"]),
    (b"(\xb5/\xfd", _STRANGE[".zst"]),
    (b"7z\xbc\xaf\x27\x1c", _STRANGE[".7z"]),
    (b"Rar!\x1a\x07", _STRANGE[".rar"]),
    (b"{\\rtf", _STRANGE[".rtf"]),
    (b"SQLite format 3\x00", _STRANGE[".db"]),
    (b"<!DOCTYPE", _STRANGE[".html"]),
    (b"<html", _STRANGE[".html"]),
    (b"<?xml", _STRANGE[".xml"]),
)
_PACKED = (b"PK\x03\x04", b"PK\x05\x06")
_ARRAY = re.compile(r'[\s\ufeff]*\[\s*(?:[{"]|\]\s*\Z)')
"""How an array begins. "[Verse] Rain" is none: it is an idea."""


def is_workbook(name: str, head: bytes, wanted: Format | None) -> bool:
    """Return whether a file has to be read as a workbook.

    Args:
        name: the file's name, for its ending.
        head: its first bytes.
        wanted: the format that the user gave, if any.

    Raises:
        ValueError: it is of a kind that is not read, or not what was asked for.
    """
    kind = next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), None)
    if kind is None and wanted is None and not head.startswith(_PACKED):
        kind = _STRANGE.get(_ending(name))
    if kind is not None:
        raise ValueError(f"is {kind[0]}; {kind[1]}")
    if head.startswith(_PACKED):
        if wanted in (None, "xlsx"):
            return True
        raise ValueError(
            f"is a workbook (.xlsx) or an archive, and no {wanted}; leave --format out"
        )
    if (wanted or _BY_ENDING.get(_ending(name))) == "xlsx":
        raise ValueError(
            "is not a workbook (.xlsx); give --format csv if it is one, or save it again"
        )
    return False


def strange_archive(names: list[str]) -> str:
    """Return what an archive with these files in it is, and what to do."""
    ending = ".zip"
    if "word/document.xml" in names:
        ending = ".docx"
    elif "xl/workbook.bin" in names:
        ending = ".xlsb"
    elif any(name.endswith(".iwa") for name in names):
        ending = ".numbers"
    elif "content.xml" in names and "mimetype" in names:
        ending = ".ods"
    kind, remedy = _STRANGE[ending]
    return f"is {kind}; {remedy}"


def choose_format(name: str, head: str, wanted: Format | None) -> Format:
    """Return the format of a text.

    Args:
        name: the file's name, for its ending.
        head: its beginning.
        wanted: the format that the user gave, if any.

    Raises:
        ValueError: nothing tells; the user has to.
    """
    kind = wanted or _BY_ENDING.get(_ending(name))
    if wanted not in (None, "jsonl"):
        return wanted
    if _ARRAY.match(head):
        return "json"
    if kind is not None and kind != "json":
        return kind
    return _of_content(_first_line(head), kind, _ending(name))


def _of_content(line: str, kind: Format | None, ending: str) -> Format:
    """Return the format that the first line shows."""
    if line.startswith("{") and is_cut(line):
        return "json"
    if kind == "json":
        return "json" if line.startswith("[") else "jsonl"
    if line.startswith("{") and (ending != ".txt" or _holds(line, dict)):
        return "jsonl"
    if is_header(line):
        return "csv"
    if ending not in _SAYS_NOTHING:
        raise ValueError(
            "has a name that does not say what it holds; give --format jsonl, csv or text"
        )
    return "jsonl" if ending == "" and _holds(line, str) else "text"


def _first_line(text: str) -> str:
    """Return the first line that is not a comment."""
    lines = (line.lstrip("\ufeff \t") for line in re.split(r"[\r\n]+", text))
    return next((line for line in lines if line and not is_comment_line(line)), "")


def _holds(line: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(line), kind)
    except (ValueError, RecursionError):
        return False


def _ending(name: str) -> str:
    return PurePath(name).suffix.lower()
