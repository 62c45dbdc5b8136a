"""`udio-async verify`: saved songs, compared with the manifest."""

import hashlib
import json
from pathlib import Path
from typing import Literal

import attrs
import click

from ._manifest import leads_outside, place_of, read_manifest
from ._record import Record
from ._text import counted, one_line

Condition = Literal["ok", "missing", "changed", "moved", "unreadable"]


@attrs.frozen(kw_only=True)
class Checked:
    """A song, and the condition of its file."""

    id: str
    title: str | None
    path: str
    state: Condition


def verify(directory: Path) -> list[Checked]:
    """Compare every saved song with its line in the manifest.

    Raises:
        BadInput: as `read_manifest` does.
    """
    return [
        Checked(
            id=record.id,
            title=record.title,
            path=record.path,
            state=_check(directory, record),
        )
        for record in read_manifest(directory)
        if record.id is not None and record.path is not None
    ]


def show_verified(directory: Path, *, as_json: bool) -> int:
    """Print what `verify` finds, and return the exit code.

    As JSON it is all of it, otherwise what is wrong.
    """
    checked = verify(directory)
    bad = [song for song in checked if song.state != "ok"]
    if as_json:
        for song in checked:
            click.echo(json.dumps(attrs.asdict(song)))
        return 1 if bad else 0
    for song in bad:
        click.echo(f"{song.state:10}  {one_line(song.path)}  {one_line(song.title or '')}".rstrip())
    click.echo(f"{counted(len(checked) - len(bad), 'song')} ok, {len(bad)} not.")
    return 1 if bad else 0


def is_same(path: Path, record: Record) -> bool:
    """Return whether this file is the song that was saved.

    A link to such a file counts, too. What is behind a link is read only if it is a file, and as
    long as the song.
    """
    if not path.is_file() or record.sha256 is None:
        return False
    return record.size in (None, path.stat().st_size) and record.sha256 == _digest(path)


def _check(directory: Path, record: Record) -> Condition:
    assert record.path is not None
    path = place_of(directory, record.path)
    try:
        if path.is_symlink() or leads_outside(directory, path):
            return "ok" if is_same(path, record) else "moved"
        if not path.is_file():
            return "missing"
        if record.size is not None and path.stat().st_size != record.size:
            return "changed"
        return "changed" if record.sha256 not in (None, _digest(path)) else "ok"
    except OSError:
        return "unreadable"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
