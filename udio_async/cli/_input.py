"""Requests from a file: all are checked before anything is sent.

Every problem is reported with its line, up to `_SHOWN` of them.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, BinaryIO

import attrs

from .. import Provider, SongRequest, UdioError
from ..journal import canonical, is_of_batch, normalised
from ..providers.kit import ProviderOptions
from ._csv import read_csv
from ._encoding import UTF8, choose_encoding
from ._failures import BadInput, reason_of
from ._formats import choose_format, is_workbook
from ._lines import MARK, Source, Unreadable, iter_lines, iter_text, refuse_long
from ._preview import PREVIEWED, Preview
from ._rows import Findings, Format, Rows, read_ideas, read_json, read_json_lines
from ._text import counted, shortened
from ._workbook import read_workbook

_SHOWN = 20
"""Problems of a file that are listed; the others are counted."""
_LONGEST = 600
"""Characters that one of them is told in."""
_IN_A_TABLE = "names in the first line, and one request per line"
_WANTED: Mapping[Format, str] = {
    "jsonl": "one JSON object per line",
    "json": "an array of objects",
    "csv": _IN_A_TABLE,
    "tsv": _IN_A_TABLE,
    "text": "one idea per line",
    "xlsx": "names in the first row, and one request per row",
}


@attrs.frozen
class Entry:
    """One request, and its line in the file or number in the array."""

    request: SongRequest
    line: int | None = None
    job: str = ""
    """Its name in the journal: the same request has the same one in each run."""

    @property
    def asked(self) -> str | None:
        """What it asks for, in a few words."""
        asked = self.request.title or self.request.description or self.request.lyrics
        return shortened(asked) if asked else None

    @property
    def key(self) -> str | None:
        """Its own key; without a place in a file, its name in the journal."""
        key = self.request.key
        named_by_us = self.line is not None and key is not None and is_of_batch(key)
        return None if named_by_us and key == self.job else key


@attrs.frozen
class Reading:
    """The requests of a file, and how it was understood."""

    entries: list[Entry]
    preview: Preview


def read_entries(
    file: BinaryIO,
    name: str,
    provider: Provider,
    kind: Format | None = None,
    encoding: str | None = None,
) -> Reading:
    """Read requests from a file, and check all of them.

    Args:
        file: the open file.
        name: its name, for messages.
        provider: checks the requests.
        kind: the format; None finds it out.
        encoding: None finds it out.

    Raises:
        BadInput: with the bad lines of the file, or because it cannot be read.
    """
    source = Source(file, name)
    try:
        opened = _open(source, kind, encoding)
    except ValueError as error:
        raise BadInput(f"{name} {error}") from error
    entries, problems = _collect(opened, name, provider)
    problems.end(name)
    if not entries:
        sheet = opened.findings.sheet
        looked = f" in its sheet {sheet}; only the first one that is shown is read" * bool(sheet)
        raise BadInput(f"{name} holds no requests{looked}; give {_WANTED[opened.kind]}")
    preview = Preview(
        name=name,
        format=opened.kind,
        encoding=opened.encoding,
        requests=len(entries),
        first=tuple((entry.line or 0, entry.request) for entry in entries[:PREVIEWED]),
        **attrs.asdict(opened.findings),
    )
    return Reading(entries, preview)


@attrs.frozen
class _Opened:
    """A file whose rows are about to be read."""

    kind: Format
    encoding: str
    findings: Findings
    rows: Rows


def _open(source: Source, wanted: Format | None, encoding: str | None) -> _Opened:
    """Find out how a file is to be read.

    Raises:
        ValueError: as a whole it cannot be read.
    """
    findings = Findings()
    if is_workbook(source.name, source.head, wanted):
        if encoding is not None:
            raise ValueError("is a workbook, which has its own encoding; leave --encoding out")
        return _Opened("xlsx", UTF8.name, findings, read_workbook(source, findings))
    coding = choose_encoding(source.head, encoding)
    head = source.head.decode(coding.codec, "replace")
    kind = choose_format(source.name, head, wanted)
    texts = iter_text(source.iter_pieces(), coding)
    if kind == "json":
        rows = read_json(texts)
    elif kind == "jsonl":
        rows = read_json_lines(iter_lines(texts), findings)
    elif kind == "text":
        rows = read_ideas(iter_lines(texts), findings)
    else:  # "Unicode text" of spreadsheets is UTF-16 with tabs
        tabs = kind == "tsv" or coding.name == "UTF-16"
        rows = read_csv(iter_lines(texts), findings, likely="\t" if tabs else ",")
    return _Opened(kind, coding.name, findings, rows)


@attrs.define
class _Problems:
    """The problems of a file, the first of them in words."""

    number: int = 0
    shown: list[str] = attrs.field(factory=list)

    def add(self, place: str, error: Exception) -> None:
        """Count a problem, and keep its words if there are few yet."""
        self.number += 1
        if self.number <= _SHOWN:
            self.shown.append(f"{place} {shortened(reason_of(error), _LONGEST)}")

    def end(self, name: str) -> None:
        """Report the problems.

        Raises:
            BadInput: there are some.
        """
        if not self.number:
            return
        headline = f"{name} has {counted(self.number, 'problem')}, nothing was sent"
        more = self.number - _SHOWN
        raise BadInput(headline, (*self.shown, *([f"and {more} more"] * (more > 0))))


def _collect(opened: _Opened, name: str, provider: Provider) -> tuple[list[Entry], _Problems]:
    """Read all rows, and check each request."""
    entries: list[Entry] = []
    problems = _Problems()
    places: dict[str, int] = {}
    what = "element" if opened.kind == "json" else "line"
    try:
        for number, values in opened.rows:
            try:
                if isinstance(values, ValueError):
                    raise values
                request = read_request(values, provider)
                _refuse_key(request.key, number, places, what)
                entries.append(Entry(request, number))
            except (UdioError, TypeError, ValueError) as error:
                problems.add(_place(name, number, what), error)
    except Unreadable as error:  # so is the rest
        if error.number is None:
            raise BadInput(f"{name} {error}") from error
        problems.add(_place(name, error.number, error.what), error)
    return entries, problems


def _place(name: str, number: int, what: str) -> str:
    return f"{name}:{number}:" if what == "line" else f"{name}: {what} {number}"


def _refuse_key(key: str | None, number: int, places: dict[str, int], what: str) -> None:
    """Refuse a key that two requests have, or that cannot be typed.

    Raises:
        ValueError: it is one of these.
    """
    if key is None:
        return
    if key.startswith("-"):
        raise ValueError(f"key {key!r} begins like an option; begin it with another character")
    first = places.setdefault(key, number)
    if first != number:
        raise ValueError(f"key {key!r} is that of {what} {first} already")


def read_request(values: Mapping[str, Any], provider: Provider) -> SongRequest:
    """Make a request of JSON values, and have the provider check it.

    `null` leaves a name out.

    Raises:
        ValueError, UdioError: it cannot be sent like this.
    """
    given = {name: value for name, value in values.items() if value is not None}
    _refuse_wrapped(given)
    _refuse_unknown(given, SongRequest, "")
    given |= {name: normalised(text) for name, text in given.items() if isinstance(text, str)}
    if "options" in given:
        given["options"] = _read_options(given["options"], provider)
    if not isinstance(given.get("extra", {}), dict):
        raise ValueError(f"extra is {given['extra']!r}; give an object")  # noqa: TRY004 - see Raises
    request = SongRequest(**given)
    provider.check(request)
    canonical(request)  # what a journal cannot keep is refused here, where its line is known
    return request


def read_text(file: BinaryIO, name: str, encoding: str | None = None) -> str:
    """Read lyrics from a file.

    Raises:
        BadInput: it is too long for lyrics, in another encoding, or cannot be read at all.
    """
    source = Source(file, name)
    content = ""
    try:
        for text in iter_text(source.iter_pieces(), choose_encoding(source.head, encoding)):
            content += text
            refuse_long(content)
    except Unreadable as error:
        raise BadInput(f"{name}:{error.number}: {error}") from error
    except ValueError as error:
        raise BadInput(f"{name} {error}") from error
    return content.lstrip(MARK)


def _read_options(values: object, provider: Provider) -> ProviderOptions:
    kind = provider.traits.options
    if not isinstance(values, dict):
        raise ValueError(f"options is {values!r}; give an object")  # noqa: TRY004 - see Raises
    _refuse_unknown(values, kind, f"options of {provider.name}: ")
    return kind(**values)


def _refuse_wrapped(values: Mapping[str, Any]) -> None:
    """Refuse an object around all requests.

    Raises:
        ValueError: it is one.
    """
    known = attrs.fields_dict(SongRequest)
    for name, value in values.items():
        if name not in known and isinstance(value, list):
            held = repr(shortened(name, 40))
            raise ValueError(
                f"holds an array in {held}; give that array alone, as a file of its own"
            )


def _refuse_unknown(values: Mapping[str, Any], kind: type[attrs.AttrsInstance], what: str) -> None:
    known = [field.name for field in attrs.fields(kind)]
    unknown = [repr(shortened(name, 40)) for name in values if name not in known]
    if unknown:
        near = get_close_matches(unknown[0].strip("'"), known, n=1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"{what}unknown {', '.join(unknown)}{meant}; known: {', '.join(known)}")
