"""Files of requests, as the shell reads them: tables, JSON, texts and workbooks."""

import csv
import io
import random
import zipfile
from collections.abc import Iterable

import attrs
from openpyxl import Workbook

from udio_async import SongRequest
from udio_async._http.messages import api_request
from udio_async.cli._failures import BadInput
from udio_async.cli._input import Reading, read_entries
from udio_async.journal.keys import BatchKeys
from udio_async.providers.kit import Call
from udio_async.providers.udioapi_v2 import GENERATE, build_body

from .cases import Broken, Change, Sample, Subject
from .changes import BY_BYTE, BY_TYPE, ODD, bytes_repeated
from .promises import MOST_WORDS
from .records import is_text, iter_flaws
from .ways import V2

ROWS = (
    ("lyrics", "style", "title", "instrumental", "options", "extra", "key"),
    ("[Verse]\nRain, rain", "folk; slow", '"Rain"', "yes", "", '{"a": [1, {"b": null}]}', "rain-1"),
    ("# Sun", "pop", "Été ☀", "false", '{"style_weight": 0.5}', "", ""),
)
TEXTS = {
    "in.jsonl": '# mine\n{"description": "rain", "key": "a"}\n"sun"\n{"lyrics": "la", "style": '
    '"folk", "options": {"style_weight": 0.5}, "extra": {"a": {"b": [1, null]}}}\n',
    "in.json": '[{"description": "rain", "instrumental": true}, "sun", {"lyrics": "la", "title": '
    '"Été ☀", "vocal_gender": "male", "extra": {"a": [1.5, "x"]}}]',
    "in.txt": "a song about rain\n# later\n\\#1 hit\nÉté ☀\n",
    "in.tsv": "description\tmodel\nrain\tchirp-v4-0\nsun\t\n",
}
ENDINGS = (".csv", ".tsv", ".json", ".jsonl", ".txt", ".xlsx", ".md", "")
FORMATS = ("", "jsonl", "json", "csv", "tsv", "text", "xlsx")
ENCODINGS = ("", "utf-8", "utf-16", "cp1252", "latin-1", "shift_jis", "utf-7", "hex", "idna", "\0")
CHECKED = 50
"""Requests of a file that are looked at one by one."""
MOST_LINES = 30
PACKED = b"PK\x03\x04"


def _table(separator: str) -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=separator).writerows(ROWS)
    return file.getvalue().encode()


def _workbook(rows: Iterable[Iterable[object]]) -> bytes:
    book = Workbook()
    assert book.active is not None
    for row in rows:
        book.active.append(list(row))
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


# Changes ---------------------------------------------------------------------------------------


def in_line(change: Change) -> Change:
    """Make a change of one line out of one of a whole text."""

    def changed(sample: Sample, dice: random.Random) -> Sample:
        lines = sample.body.split(b"\n")
        place = dice.randrange(len(lines))
        lines[place] = change(attrs.evolve(sample, body=lines[place]), dice).body
        return attrs.evolve(sample, body=b"\n".join(lines))

    changed.__name__ = f"{change.__name__} in a line"
    return changed


def cell_changed(sample: Sample, dice: random.Random) -> Sample:
    """Put something odd between two separators."""
    separator = dice.choice((b",", b"\t", b";", b'"', b"\n", b":"))
    cells = sample.body.split(separator)
    odd = str(dice.choice(ODD)).encode(errors="surrogatepass")
    cells[dice.randrange(len(cells))] = dice.choice((odd, b'"%s"' % odd, *cells))
    return attrs.evolve(sample, body=separator.join(cells))


def lines_repeated(sample: Sample, dice: random.Random) -> Sample:
    """Repeat some lines, which repeats keys and names, too."""
    lines = sample.body.split(b"\n")
    place = dice.randrange(len(lines))
    lines[place:place] = lines[place : place + dice.randint(1, 3)] * dice.choice((1, 2, 30))
    return attrs.evolve(sample, body=b"\n".join(lines))


def part_changed(sample: Sample, dice: random.Random) -> Sample:
    """Change one file in a workbook."""
    if not sample.body.startswith(PACKED):
        return sample
    try:
        with zipfile.ZipFile(io.BytesIO(sample.body)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # noqa: BLE001  # it was damaged by an earlier step
        return sample
    name = dice.choice(sorted(parts))
    change = dice.choice((*BY_BYTE, cell_changed))
    parts[name] = change(attrs.evolve(sample, body=parts[name]), dice).body
    if dice.random() < 0.1:
        del parts[name]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for part, content in parts.items():
            archive.writestr(zipfile.ZipInfo(part), content)
    return attrs.evolve(sample, body=file.getvalue())


def called_otherwise(sample: Sample, dice: random.Random) -> Sample:
    """Give the file another ending, or say what format or encoding it has."""
    said = {"format": dice.choice(FORMATS), "encoding": dice.choice(ENCODINGS)}
    kept = {name: value for name, value in said.items() if value and dice.random() < 0.5}
    return attrs.evolve(sample, name=f"in{dice.choice(ENDINGS)}", headers=kept)


# A MiB of repeated bytes has 100,000 requests or columns, each of them fine, which takes seconds.
OF_BYTES = tuple(change for change in BY_BYTE if change is not bytes_repeated)
OF_FILES: tuple[Change, ...] = (
    *BY_TYPE, *map(in_line, BY_TYPE), *OF_BYTES, *map(in_line, OF_BYTES), lines_repeated,
    *[cell_changed] * 6, *[part_changed] * 4, *[called_otherwise] * 2,
)  # fmt: skip

# Reading ---------------------------------------------------------------------------------------


async def read_file(sample: Sample) -> Reading | BadInput:
    """Read a file of requests, or return why it is refused."""
    kind, encoding = sample.headers.get("format"), sample.headers.get("encoding")
    try:
        return read_entries(io.BytesIO(sample.body), sample.name, V2, kind, encoding)  # type: ignore[arg-type]  # one of FORMATS
    except BadInput as error:
        return error


def check_file(_: Sample, read: Reading | BadInput) -> str:
    """Check that a refusal can be shown, and that whatever has passed can be sent."""
    if isinstance(read, BadInput):
        said = [read.format_message(), *read.problems]
        if len(said) > MOST_LINES or not all(said) or max(map(len, said)) > MOST_WORDS:
            lengths = [len(line) for line in said]
            raise Broken(f"lines of {lengths} characters, beginning with {said[0][:200]!r}")
        return "BadInput"
    keys = BatchKeys()
    for entry in read.entries[:CHECKED]:
        keys.name(entry.request)
        _check_request(entry.request)
    str(read.preview)
    return "read"


def _check_request(request: SongRequest) -> None:
    flaws = list(iter_flaws(request))
    if flaws or not is_text(str(request)):
        raise Broken(f"{flaws}: {request}")
    call = Call(account=V2.account(), method="POST", path=GENERATE, json=build_body(request))
    api_request(call)


def of_files() -> list[Subject]:
    texts = {name: text.encode() for name, text in TEXTS.items()}
    tables = {"in.csv": _table(","), "semicolons.csv": _table(";")}
    samples = [Sample(name=name, body=body) for name, body in {**texts, **tables}.items()]
    book = Sample(name="in.xlsx", body=_workbook(ROWS))
    return [
        Subject(
            name="file of requests",
            samples=samples,
            changes=OF_FILES,
            read=read_file,
            check=check_file,
            share=60,
            in_loop=False,  # nothing else runs yet
        ),
        Subject(
            name="workbook",
            samples=[book],
            changes=(part_changed, part_changed, part_changed, *BY_BYTE, called_otherwise),
            read=read_file,
            check=check_file,
            share=4,
            in_loop=False,
        ),
    ]
