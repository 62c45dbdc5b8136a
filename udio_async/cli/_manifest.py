"""`songs.jsonl`: what a directory's songs are, where they came from, and which requests failed."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Literal

import attrs
import click
from cattrs import BaseValidationError, transform_error

from .._errors import BadAnswer
from .._wire import loads, make_converter
from ._failures import BadInput
from ._output import Line
from ._text import counted, one_line

MANIFEST = "songs.jsonl"
_FILES = ("path", "cover")
_ONLY_ONCE = ("asked", "timeline")
"""What only the run that made a song knows: a later one that tells it again has null there."""

Identity = tuple[str | int | None, ...]
Origin = tuple[str, str, str | int]
Condition = Literal["ok", "missing", "changed"]


@attrs.frozen(kw_only=True)
class Timeline:
    """When a song came how far: seconds since it was accepted. What was not seen is None."""

    accepted_at: float | None = None
    """Seconds since 1970."""
    queued: float | None = None
    """Seconds before it was accepted."""
    text: float | None = None
    first: float | None = None
    complete: float | None = None
    saved: float | None = None
    looks: int | None = None
    """How often its task was looked at."""
    noticed_within: float | None = None
    """Seconds from the last look that found it unfinished: so late was it noticed at most."""


@attrs.frozen(kw_only=True)
class Failure:
    """Why there is no song, or no file."""

    type: str
    message: str
    charged: str = "unknown"
    advice: str | None = None


@attrs.frozen(kw_only=True)
class Record:
    """One song, or one request that failed (then `id` is None)."""

    provider: str
    task_id: str | None
    id: str | None = None
    index: int = 0
    title: str | None = None
    duration: float | None = None  # seconds
    lyrics: str | None = None
    tags: str | None = None
    model: str | None = None
    path: str | None = None
    """Where the audio is, from the directory, with forward slashes. So is `cover`."""
    cover: str | None = None
    sha256: str | None = None
    size: int | None = None  # bytes
    asked: str | None = None
    timeline: Timeline | None = None
    error: Failure | None = None
    line: int | None = None
    key: str | None = None

    @property
    def identity(self) -> Identity:
        """What the last line of counts."""
        if self.id is not None:
            return (self.provider, "song", self.task_id, self.id)
        named = (self.key, self.line, self.task_id)
        return (self.provider, "failed", next((name for name in named if name is not None), None))

    @property
    def origins(self) -> list[Origin]:
        """What its request was called."""
        names = (("key", self.key), ("line", self.line))
        return [(self.provider, kind, name) for kind, name in names if name is not None]


@attrs.frozen(kw_only=True)
class Checked:
    """A song, and what has become of its file."""

    id: str
    title: str | None
    path: str
    state: Condition


class Manifest:
    """The manifest of a directory, to append to.

    Raises:
        BadInput: the one that is there is damaged.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / MANIFEST
        _repair(self._path)
        self._known = _Known()
        for record in _iter_records(self._path):
            self._known.add(record)

    def append(self, line: Line) -> None:
        """Append a line at once, unless it says what is known already.

        Raises:
            ValueError: its files are not in this directory.
        """
        values = attrs.asdict(line)
        for name in _FILES:
            if values.get(name) is not None:
                values[name] = self._relative(values[name])
        record = _structure(values)
        known = self._known.get(record.identity)
        if known is not None:
            earlier = attrs.asdict(known)
            values |= {name: earlier[name] for name in _ONLY_ONCE if values.get(name) is None}
            record = _structure(values)
        if record == known:
            return
        # One write each, so that lines of two programs do not mix.
        with self._path.open("ab") as file:
            file.write(f"{json.dumps(_without_empty_origin(values))}\n".encode())
        self._known.add(record)

    def _relative(self, path: str) -> str:
        return Path(path).absolute().relative_to(self._directory.absolute()).as_posix()


class _Known:
    """The records that count: the last of each identity, without failures that songs overtook."""

    def __init__(self) -> None:
        self._records: dict[Identity, Record] = {}
        self._failed: dict[Origin, Identity] = {}

    def get(self, identity: Identity) -> Record | None:
        return self._records.get(identity)

    def add(self, record: Record) -> None:
        self._records.pop(record.identity, None)  # it moves to the end
        self._records[record.identity] = record
        for origin in record.origins:
            if record.id is None:
                self._failed[origin] = record.identity
            else:
                self._overtake(origin, record)

    def _overtake(self, origin: Origin, song: Record) -> None:
        failed = self._records.get(self._failed.get(origin, ()))
        # The same line, but another key: a line of another file.
        if failed and (not failed.key or not song.key or failed.key == song.key):
            del self._records[failed.identity]

    def list(self) -> list[Record]:
        return list(self._records.values())


def read_manifest(directory: Path) -> list[Record]:
    """Return what counts, oldest first. A line that a crash has cut off at the end is left out.

    Raises:
        BadInput: there is no manifest, it is damaged, or a path in it leads outside the directory.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise BadInput(f"there is no manifest at {path}; give the DIR that a batch had as --out")
    known = _Known()
    for record in _iter_records(path):
        known.add(record)
    return known.list()


def verify(directory: Path) -> list[Checked]:
    """Compare every saved song with what the manifest says of it.

    Raises:
        BadInput: as `read_manifest` does.
    """
    return [
        Checked(
            id=record.id,
            title=record.title,
            path=record.path,
            state=_check(directory / record.path, record),
        )
        for record in read_manifest(directory)
        if record.id is not None and record.path is not None
    ]


def show_verified(directory: Path, *, as_json: bool) -> int:
    """Print what `verify` finds, all of it as JSON or what is wrong, and return the exit code."""
    checked = verify(directory)
    bad = [song for song in checked if song.state != "ok"]
    if as_json:
        for song in checked:
            click.echo(json.dumps(attrs.asdict(song)))
        return 1 if bad else 0
    for song in bad:
        click.echo(f"{song.state:7}  {one_line(song.path)}  {one_line(song.title or '')}".rstrip())
    click.echo(f"{counted(len(checked) - len(bad), 'song')} ok, {len(bad)} not.")
    return 1 if bad else 0


def _check(path: Path, record: Record) -> Condition:
    if not path.is_file():
        return "missing"
    if record.size is not None and path.stat().st_size != record.size:
        return "changed"
    return "changed" if record.sha256 not in (None, _digest(path)) else "ok"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_CONVERTER = make_converter()


def _structure(values: object) -> Record:
    """Make a record of a line's values.

    Raises:
        ValueError: they are no line of ours.
    """
    if not isinstance(values, dict):
        raise ValueError("is no JSON object")  # noqa: TRY004 - see Raises
    try:
        return _CONVERTER.structure(values, Record)
    except BaseValidationError as error:
        faults = transform_error(error, path="line", format_exception=_fault)
        raise ValueError("; ".join(faults[:3])) from error


def _fault(error: BaseException, _kind: type | None) -> str:
    return "a field is missing" if isinstance(error, KeyError) else str(error)


def _iter_records(path: Path) -> Iterator[Record]:
    if not path.is_file():
        return
    directory = path.parent.resolve()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = _structure(loads(line))
                for name in _FILES:
                    _refuse_outside(directory, name, getattr(record, name))
            except (BadAnswer, ValueError) as error:
                if not line.endswith(b"\n") and isinstance(error, BadAnswer):
                    return
                raise BadInput(
                    f"{path}:{number} is damaged: {_reason(error)}; mend or delete this line"
                ) from error
            yield record


def _reason(error: Exception) -> str:
    return "it is no JSON" if isinstance(error, BadAnswer) else str(error)


def _refuse_outside(directory: Path, name: str, path: str | None) -> None:
    """Refuse what could make us read, or link to, a file that is none of ours."""
    if path is None:
        return
    plain = PurePosixPath(path)
    if (
        not path
        or "\0" in path
        or "\\" in path
        or ".." in plain.parts
        or plain.is_absolute()
        or PureWindowsPath(path).anchor
        or not _is_inside(directory, path)
    ):
        raise ValueError(f"{name} {path!r} leads outside the directory")


def _is_inside(directory: Path, path: str) -> bool:
    # A link may lead anywhere, however harmless its name is.
    real = os.path.realpath(directory / path)
    return real.startswith(os.path.join(directory, ""))  # noqa: PTH118 - ends in the separator


def _repair(path: Path) -> None:
    """End the last line, or cut it off where a crash has left half of it."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        content = file.read()
        start = content.rfind(b"\n") + 1
        if start == len(content):
            return
        try:
            loads(content[start:])
        except BadAnswer:
            file.truncate(start)
        else:
            file.write(b"\n")


def _without_empty_origin(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what `--json` leaves out."""
    return {
        name: value
        for name, value in values.items()
        if value is not None or name not in ("line", "key")
    }
