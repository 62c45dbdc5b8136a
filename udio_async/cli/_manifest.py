"""`songs.jsonl`: the songs of a folder, and requests that failed.

It has a line for each, and the last line about a song counts. Lines are appended, whole, so that a
crash harms at most the last one. It belongs to the user as well: damaged lines stay, and other
programs may read it at any time.
"""

import io
import json
import os
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import attrs

from .. import Song
from ._directory import prepare_directory, sweep
from ._failures import BadInput, reason_of, say, warn
from ._output import Line
from ._record import (
    FILES,
    Known,
    Record,
    begins_like_ours,
    identity_of,
    parse,
    structure,
    without_empty_origin,
)
from ._text import as_utf8, counted

MANIFEST = "songs.jsonl"
_ONLY_ONCE = ("asked", "timeline")
"""What only the run that made a song knows: a later one that tells it again has null there."""
_LINE_BYTES = 1 << 22
"""No line of ours is nearly as long."""
_SHOWN = 3
"""Damaged lines that are named; the others are counted."""

Tell = Callable[[str], object]


class Manifest:
    """The manifest of a folder, to append to.

    A damaged line is left where it is, and reported. Half a line at the end is cut off with the
    first line that is appended, and not before: another program may just be writing it.

    Raises:
        BadInput: what has its name is not ours, or cannot be written.
    """

    def __init__(self, directory: Path, tell: Tell = warn, *, sandbox: bool = False) -> None:
        self.directory = directory
        self._sandbox = sandbox
        self._path = directory / MANIFEST
        _refuse_what_is_no_file(self._path)
        found = _read(self._path)
        if not found.is_ours:
            raise BadInput(
                f"{self._path} is not a manifest of udio-async; move it away, or give another DIR"
            )
        self._known = found.known
        paths = Counter(record.path for record in found.known.list() if record.path is not None)
        self._shared = {path for path, songs in paths.items() if songs > 1}
        for line in found.damage(self._path):
            tell(line)
        _check_writable(self._path)
        self._half = (found.size, found.end) if found.torn is not None else None
        """From where to where half a line stood at the end."""

    def record_of(self, song: Song) -> Record | None:
        """Return what is known of a song, or None.

        A file that two songs share is left out: it belongs to one of them only.
        """
        record = self._known.get(identity_of(song.provider, song.task_id, song.id))
        if record is not None and record.path in self._shared:
            return attrs.evolve(record, path=None, sha256=None)
        return record

    def records(self) -> list[Record]:
        """Return the records that count, oldest first."""
        return self._known.list()

    def append(self, line: Line) -> None:
        """Append a line at once, unless it says what is known already.

        Raises:
            OSError: the line is not there now, nor half of it.
            ValueError: its files are not in this folder.
        """
        values = {**attrs.asdict(line), "sandbox": self._sandbox}
        for name in FILES:
            if values.get(name) is not None:
                values[name] = self._relative(values[name])
        record = structure(values)
        known = self._known.get(record.identity)
        if known is not None:
            if record.path is None and known.path is not None and self._has(known.path):
                return  # it could not be read; that says nothing new of what it was
            earlier = attrs.asdict(known)
            values |= {name: earlier[name] for name in _ONLY_ONCE if values.get(name) is None}
            record = structure(values)
        if record != known:
            self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        line = f"{json.dumps(without_empty_origin(values))}\n".encode()
        half, self._half = self._half, None
        _append(self._path, line, half=half)
        self._known.add(structure(values))

    def let_go(self, job: str) -> None:
        """Tell of a doubt that its owner has let it go.

        Raises:
            OSError: it cannot be written.
        """
        for record in self.records():
            error = record.error
            if error is not None and error.is_doubt and job in (record.key, record.job):
                self._write(attrs.asdict(attrs.evolve(record, error=error.let_go())))

    def _relative(self, path: str) -> str:
        """Return a path as the manifest has it: from the folder, with "/"."""
        return as_utf8(Path(path).absolute().relative_to(self.directory.absolute()).as_posix())

    def _has(self, path: str) -> bool:
        return os.path.lexists(place_of(self.directory, path))


def read_manifest(directory: Path, tell: Tell = warn) -> list[Record]:
    """Return the records that count, oldest first.

    Damaged lines are left out, and reported to `tell`.

    Raises:
        BadInput: there is no manifest of ours, or it cannot be read.
    """
    path = directory / MANIFEST
    try:
        if not path.is_file():
            raise BadInput(
                f"there is no manifest at {path}; give the DIR that a batch had as --out"
            )
    except OSError as error:
        raise BadInput(f"cannot read {reason_of(error)}") from error
    found = _read(path)
    if not found.is_ours:
        raise BadInput(
            f"{path} is not a manifest of udio-async; give the DIR that a batch had as --out"
        )
    for line in found.damage(path):
        tell(line)
    return found.known.list()


def place_of(directory: Path, path: str) -> Path:
    """Return where a file of the manifest is, in whatever locale it was written."""
    with suppress(UnicodeEncodeError):
        os.fsencode(path)
        if os.path.lexists(directory / path):
            return directory / path
    return directory / os.fsdecode(path.encode())


def leads_outside(directory: Path, path: Path) -> bool:
    """Return whether a link leads out of the folder."""
    inside = os.path.join(os.path.realpath(directory), "")  # noqa: PTH118 - ends in the separator
    return not os.path.realpath(path).startswith(inside)


# Reading -------------------------------------------------------------------------------------


@attrs.define
class _Found:
    """What was found in a file that has the manifest's name."""

    known: Known = attrs.field(factory=Known)
    damaged: dict[int, str] = attrs.field(factory=dict)
    """What is wrong with which line."""
    torn: int | None = None
    """The number of a last line of which only half is there."""
    size: int = 0
    """Bytes of the lines that have theirs."""
    end: int = 0
    """Bytes of all lines."""
    _has_lines: bool = False
    _has_ours: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether any line is one of ours; to an empty file anything may be added."""
        return self._has_ours or not self._has_lines

    def take(self, number: int, line: bytes, *, is_ended: bool) -> None:
        """Read a line, or remember what is wrong with it."""
        self._has_lines = True
        try:
            self.known.add(parse(line))
        except ValueError as error:
            self._has_ours |= begins_like_ours(line)
            if is_ended:
                self.damaged[number] = str(error)
            else:
                self.torn = number
        else:
            self._has_ours = True

    def damage(self, path: Path) -> Iterator[str]:
        """Return one line about all damaged lines, and one about half a line at the end."""
        if self.damaged:
            shown = [f"{number} ({why})" for number, why in self.damaged.items()][:_SHOWN]
            more = [f"{len(self.damaged) - _SHOWN} more"] * (len(self.damaged) > _SHOWN)
            were = "is" if len(self.damaged) == 1 else "are"
            yield (
                f"{path}: {counted(len(self.damaged), 'line')} {were} damaged and left out: "
                f"{', '.join([*shown, *more])}"
            )
        if self.torn is not None:
            yield f"{path}:{self.torn} is half a line and was left out"


def _read(path: Path) -> _Found:
    """Read a manifest; one that is not there is empty.

    Raises:
        BadInput: it cannot be read.
    """
    found = _Found()
    try:
        with path.open("rb") as file:
            for number, line, is_ended in _iter_lines(file, found):
                if line.strip():
                    found.take(number, line.strip(), is_ended=is_ended)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadInput(f"cannot read {reason_of(error)}") from error
    return found


def _iter_lines(file: BinaryIO, found: _Found) -> Iterator[tuple[int, bytes, bool]]:
    """Return the lines with their numbers, and whether each has its end.

    One that is too long comes cut off: it is not ours, and would fill the memory.
    """
    number = 0
    while line := file.readline(_LINE_BYTES):
        number, rest = number + 1, line
        while not rest.endswith(b"\n") and (more := file.readline(_LINE_BYTES)):
            rest = more
        is_ended = rest.endswith(b"\n")
        found.end = file.tell()
        if is_ended:
            found.size = found.end
        yield number, line, is_ended


# Writing -------------------------------------------------------------------------------------


def _refuse_what_is_no_file(path: Path) -> None:
    """Refuse a link, a folder, and the file that stdout leads to.

    Raises:
        BadInput: it is one of these.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    remedy = "move it away, or give another DIR"
    if stat.S_ISLNK(found.st_mode):
        raise BadInput(f"{path} is a symbolic link; put the file itself there, {remedy}")
    if not stat.S_ISREG(found.st_mode):
        raise BadInput(f"{path} is not a plain file; {remedy}")
    with suppress(OSError, ValueError):
        if os.path.samestat(found, os.fstat(sys.stdout.fileno())):
            raise BadInput(
                f"stdout leads to {path}, which is written anyway; lead it elsewhere, or nowhere"
            )


def _check_writable(path: Path) -> None:
    """Refuse a manifest that cannot be appended to, before anything is spent.

    Raises:
        BadInput: it cannot be written.
    """
    if not path.exists():
        return
    try:
        _open(path).close()
    except OSError as error:
        raise BadInput(
            f"cannot write to {path}: {error.strerror}; mend that, or give another DIR"
        ) from error


def _append(path: Path, line: bytes, *, half: tuple[int, int] | None = None) -> None:
    """Append a line whole, or not at all.

    It is one write, so that lines of two programs do not mix; what a full disk takes of it is taken
    back. Where even that fails, the next line begins on a line of its own.

    `half` is where half a line stood at the end. It is cut off if nothing was written since: else
    it was the beginning of a line that another program has ended.
    """
    with _open(path) as file:
        end = file.seek(0, os.SEEK_END)
        if half is not None and half[1] == end and not _ends_a_line(file, end):
            end = file.truncate(half[0])
        if end and not _ends_a_line(file, end):
            line = b"\n" + line
        try:
            while line:
                line = line[file.write(line) :]
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise


def _ends_a_line(file: io.FileIO, end: int) -> bool:
    file.seek(end - 1)
    return file.read(1) == b"\n"


def _open(path: Path) -> io.FileIO:
    """Open the file itself to append to, and not what a link leads to."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return io.FileIO(os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666), "r+b")


def open_directory(out: Path, *, quiet: bool, sandbox: bool) -> Manifest:
    """Prepare a folder for songs, and return its manifest.

    Args:
        out: the folder.
        quiet: whether it is told what was removed.
        sandbox: whether the songs are those of `--provider sandbox`.

    Raises:
        click.ClickException: songs cannot be saved there, or the manifest is not ours.
    """
    removed = sweep(out, prepare_directory(out))
    if removed and not quiet:
        say(f"removed {counted(removed, 'half-written file')} of an earlier run")
    manifest = Manifest(out, sandbox=sandbox)
    _refuse_mixture(manifest, sandbox=sandbox)
    return manifest


def _refuse_mixture(manifest: Manifest, *, sandbox: bool) -> None:
    """Refuse real songs beside a sandbox's: a rehearsal would count as the songs themselves.

    Raises:
        BadInput: the folder has songs of the other kind.
    """
    if any(record.sandbox != sandbox for record in manifest.records()):
        has, others = "real songs", "those of --provider sandbox"
        if not sandbox:
            has, others = "songs of --provider sandbox", "real ones"
        raise BadInput(
            f"by {MANIFEST} {manifest.directory} has {has}, and {others} do not go into the same "
            "directory; give another one as --out"
        )
