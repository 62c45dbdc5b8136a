"""Files of requests, as the shell reads them: tables, JSON, texts and workbooks."""

import io
import random
import zipfile
from collections.abc import Iterable

import attrs
from openpyxl import Workbook

from udio_async._http.messages import api_request
from udio_async.cli._failures import BadInput
from udio_async.cli._input import Reading, read_entries
from udio_async.journal.keys import BatchKeys
from udio_async.providers.kit import Reply

from .cases import Broken, Change, Sample, Subject
from .changes import BY_BYTE, BY_TYPE, ODD
from .records import is_text, iter_flaws
from .ways import V2, answering

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
PACKED = b"PK\x03\x04"


def _table(separator: str) -> bytes:
    quoted = (
        separator.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in ROWS
    )
    return "\n".join(quoted).encode()


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


OF_FILES: tuple[Change, ...] = (
    *BY_TYPE, *map(in_line, BY_TYPE), *BY_BYTE, *map(in_line, BY_BYTE), *[cell_changed] * 6,
    *[part_changed] * 4, *[called_otherwise] * 2,
)  # fmt: skip

# Reading ---------------------------------------------------------------------------------------


async def read_file(sample: Sample) -> str:
    kind, encoding = sample.headers.get("format"), sample.headers.get("encoding")
    try:
        reading = read_entries(io.BytesIO(sample.body), sample.name, V2, kind, encoding)  # type: ignore[arg-type]
    except BadInput as error:
        _check_refusal(error)
        return "BadInput"
    await _check_requests(reading)
    return "read"


def _check_refusal(error: BadInput) -> None:
    said = [error.format_message(), *error.problems]
    if len(said) > 30 or not all(said) or max(map(len, said)) > 3000:
        lengths = [len(line) for line in said]
        raise Broken(f"a message of {lengths} characters, beginning with {said[0][:200]!r}")


async def _check_requests(reading: Reading) -> None:
    """Check that whatever has passed can be named, sent and shown."""
    keys = BatchKeys()
    for entry in reading.entries:
        flaws = list(iter_flaws(entry.request))
        if flaws or not is_text(str(entry.request)):
            raise Broken(f"request {entry.line}: {flaws or entry.request}")
        keys.name(entry.request)
        http = answering(Reply(status=200, headers={}, body=b'{"workId": "t0"}'))
        await V2.submit(http, entry.request)
        api_request(http.calls[0])
    str(reading.preview)


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
            share=60,
            in_loop=False,  # nothing else runs yet
        ),
        Subject(
            name="workbook",
            samples=[book],
            changes=(part_changed, part_changed, part_changed, *BY_BYTE, called_otherwise),
            read=read_file,
            share=4,
            in_loop=False,
        ),
    ]
