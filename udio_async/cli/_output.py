"""Lines on stdout: one per song, for programs or for people.

The fields of `SongLine` and `FailedLine` are the format of `--json` and of `songs.jsonl`.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, Self

import attrs

from .. import FailureKind, GenerationFailed, Saved, Song, Stage, UdioError
from ._advice import advise
from ._failures import reason_of
from ._remedies import in_shell
from ._text import as_utf8, clock, one_line

_FAILED_SONGS = {
    FailureKind.MODERATION: "ModerationFailed",
    FailureKind.UPSTREAM: "UpstreamFailed",
}


@attrs.frozen(kw_only=True)
class Trouble:
    """What went wrong with a song or a request.

    `type` is the name of the library's error class; "NotSaved" stands for what the disk refused.
    """

    type: str
    message: str
    charged: str
    task_id: str | None
    advice: str
    """What to do about it."""

    @classmethod
    def from_error(
        cls,
        error: Exception,
        *,
        task_id: str | None,
        message: str | None = None,
        advice: str | None = None,
        charged: str | None = None,
    ) -> Self:
        """Return what to write about an error that was raised.

        Args:
            error: the error.
            task_id: the provider's id of the task, if there is one.
            message: better words than the error's own.
            advice: what to do, if somebody knows.
            charged: what is known of the money, if that is more than the error says.
        """
        kind = "NotSaved" if isinstance(error, OSError) else type(error).__name__
        charged = charged or (error.charged if isinstance(error, UdioError) else "yes")
        return cls(
            type=kind,
            message=message or reason_of(error),
            charged=charged,
            task_id=task_id,
            advice=advice or advise(kind, charged),
        )

    @classmethod
    def from_song(cls, song: Song) -> Self | None:
        """Return why one song of a task failed, or None if it did not."""
        if song.error is None:
            return None
        kind = _FAILED_SONGS.get(song.error.kind, "GenerationFailed")
        return cls(
            type=kind,
            message=in_shell(str(song.error), GenerationFailed),
            charged="unknown",
            task_id=song.task_id,
            advice=in_shell(song.error.advice, GenerationFailed) or advise(kind, "unknown"),
        )


@attrs.frozen(kw_only=True)
class SongLine:
    """One song, finished or failed."""

    provider: str
    task_id: str
    id: str
    index: int
    title: str | None
    duration: float | None
    audio_url: str | None
    image_url: str | None
    lyrics: str | None
    tags: str | None
    model: str | None
    stage: Stage
    path: str | None
    cover: str | None
    sha256: str | None
    """The hash of the file at `path`."""
    size: int | None
    """Bytes of that file."""
    asked: str | None
    """What its request asked for, in a few words."""
    timeline: Mapping[str, Any] | None
    """When it came how far; null for a job of an earlier run."""
    error: Trouble | None
    line: int | None = None
    """Where its request stands in the input file."""
    key: str | None = None
    """What its request was called there."""
    mismatch: str | None = None
    """What the provider said of the file that is not so."""
    job: str | None = None
    """What its request is called in the journal, in each run."""

    @classmethod
    def from_song(
        cls,
        song: Song,
        *,
        saved: Saved | None,
        error: Trouble | None,
        **about: Any,  # noqa: ANN401 - the fields that are left
    ) -> Self:
        """Return the line about a song and its file.

        Args:
            song: the song.
            saved: its file, if there is one.
            error: why there is none, or why the song failed.
            about: the other fields of the line.
        """
        names = [field.name for field in attrs.fields(cls) if hasattr(song, field.name)]
        known = {name: getattr(song, name) for name in names if name != "error"}
        if saved is not None and saved.duration is not None and not _is_stated(song, saved):
            known["duration"] = round(saved.duration, 2)
        return cls(
            **known,
            path=str(saved.path) if saved else None,
            cover=str(saved.cover) if saved and saved.cover else None,
            sha256=saved.sha256 if saved else None,
            size=saved.size if saved else None,
            error=error,
            mismatch=saved.mismatch if saved else None,
            **about,
        )


def _is_stated(song: Song, saved: Saved) -> bool:
    """Return whether the provider states the song's length, and rightly.

    apiframe does not state it.
    """
    return song.duration is not None and saved.mismatch is None


@attrs.frozen(kw_only=True)
class FailedLine:
    """One request that gave no songs, or not all of them."""

    provider: str
    task_id: str | None
    asked: str | None
    timeline: Mapping[str, Any] | None
    error: Trouble
    line: int | None = None
    key: str | None = None
    """Its name in the journal, if there is one; else what its request was called."""
    job: str | None = None
    """The request's name in the journal, as in the line of a song."""


Line = SongLine | FailedLine
Writer = Callable[[Line], None]


def write_json(line: Line) -> None:
    """Write a line for programs, at once.

    It is ASCII with escapes: no locale can spoil it, and no title can command a terminal.
    """
    values = attrs.asdict(line)
    for name in ("line", "key", "job"):  # only where there are such things
        if values.get(name, "") is None:
            del values[name]
    for name in ("path", "cover"):
        if values.get(name) is not None:
            values[name] = as_utf8(values[name])
    _write(json.dumps(values))


def write_readable(line: Line) -> None:
    """Write a line for people.

    Errors go to stderr, which is the same screen.
    """
    if isinstance(line, SongLine) and line.error is None:
        title, place = one_line(line.title or "untitled"), line.path or line.audio_url or ""
        _write(f"{_length(line.duration):>9}  {title}  {one_line(place)}")


def _length(seconds: float | None) -> str:
    """Return how long a song is, in words: rows of the display begin or end with other times."""
    if not seconds:
        return "-"
    return f"{seconds:.0f} s long" if seconds < 59.5 else f"{clock(seconds)} long"


def choose_writer(*, as_json: bool) -> Writer:
    """Return the writer that was asked for."""
    return write_json if as_json else write_readable


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
