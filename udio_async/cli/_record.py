"""Records of the manifest: what a line says, and which lines count."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Self

import attrs
from cattrs import BaseValidationError, transform_error

from .. import BadAnswer
from ..providers.kit import loads, make_converter
from ._advice import LET_GO

FILES = ("path", "cover")
"""The names of what lies beside the manifest."""
_BEGINNING = b'{"provider": "'
"""How every line of ours begins."""

Identity = tuple[str | int | None, ...]


@attrs.frozen(kw_only=True)
class Timeline:
    """When a song reached each stage, in seconds since it was accepted.

    What was not seen is None.
    """

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

    @property
    def is_doubt(self) -> bool:
        """Whether it waits for its owner's answer."""
        return self.type == "SubmitInDoubt" and self.advice != LET_GO

    def let_go(self) -> Self:
        """Return what is said of it once its owner wants no answer any more."""
        return attrs.evolve(self, advice=LET_GO)


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
    job: str | None = None
    """What its request is called in the journal; lines of earlier versions do not say it."""
    sandbox: bool = False
    """Whether `--provider sandbox` has made it."""

    @property
    def identity(self) -> Identity:
        """The name by which lines are about the same thing: the last one counts."""
        if self.id is not None:
            return identity_of(self.provider, self.task_id, self.id)
        name = next(iter(self.requests), ("task", self.task_id))
        return _failure_of(self.provider, name)

    @property
    def requests(self) -> list[Identity]:
        """The names of its request, the usual one first.

        The number of a line is not a name: two files may both have a first line. So it
        counts only together with what was asked for, for lines that do not say their job.
        """
        name = self.job or self.key
        names: list[Identity] = [] if name is None else [("job", name)]
        return names if self.line is None else [*names, ("line", self.line, self.asked)]


def identity_of(provider: str, task_id: str | None, song_id: str) -> Identity:
    """Return the name by which lines are about the same song."""
    return (provider, "song", task_id, song_id)


def _failure_of(provider: str, request: Identity) -> Identity:
    return (provider, "failed", *request)


class Known:
    """The records that count.

    These are the last of each identity, without failures that have songs by now.
    """

    def __init__(self) -> None:
        self._records: dict[Identity, Record] = {}

    def get(self, identity: Identity) -> Record | None:
        return self._records.get(identity)

    def add(self, record: Record) -> None:
        self._records.pop(record.identity, None)  # it moves to the end
        self._records[record.identity] = record
        if record.id is not None:  # the request has songs by now
            for name in record.requests:
                self._records.pop(_failure_of(record.provider, name), None)

    def list(self) -> list[Record]:
        return list(self._records.values())


def parse(line: bytes) -> Record:
    """Make a record of a line.

    Raises:
        ValueError: it is not a line of ours, is damaged, or names a file outside the directory.
    """
    try:
        record = structure(loads(line))
    except BadAnswer as error:
        raise ValueError("it is not JSON") from error
    for name in FILES:
        _refuse_outside(name, getattr(record, name))
    return record


def structure(values: object) -> Record:
    """Make a record of a line's values.

    Raises:
        ValueError: they are not those of a line of ours.
    """
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - see Raises
    try:
        return _CONVERTER.structure(values, Record)
    except BaseValidationError as error:
        faults = transform_error(error, path="line", format_exception=_fault)
        raise ValueError("; ".join(faults[:3])) from error


_CONVERTER = make_converter()


def _fault(error: BaseException, _kind: type | None) -> str:
    return "a field is missing" if isinstance(error, KeyError) else str(error)


def begins_like_ours(line: bytes) -> bool:
    """Return whether a damaged line may be one that we wrote."""
    return line.startswith(_BEGINNING) or _BEGINNING.startswith(line)


def _refuse_outside(name: str, path: str | None) -> None:
    """Refuse a path that could lead to a file that is not ours."""
    if path is None:
        return
    plain = PurePosixPath(path)
    if (
        not plain.parts
        or "\0" in path
        or "\\" in path
        or ".." in plain.parts
        or plain.is_absolute()
        or PureWindowsPath(path).anchor
    ):
        raise ValueError(f"{name} {path!r} leads outside the directory")


def without_empty_origin(values: dict[str, Any]) -> dict[str, Any]:
    """Return values without the names that say nothing here, as `--json` leaves them out."""
    return {
        name: value
        for name, value in values.items()
        if (value is not None or name not in ("line", "key", "job"))
        and (value or name != "sandbox")
    }
