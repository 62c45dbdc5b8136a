"""The sound in a file on disk, and whether it is whole."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import attrs

from .._errors import DownloadFailed
from .._formats import UNMEASURED, Measured, NoAudio, measure
from .._formats.files import bytes_of
from .._records import Song
from .answers import failed
from .names import file_names

MAX_FILE = 256 * 1024 * 1024
"""Bytes of a song, at most: two hours at the highest bit rate."""
_WITHOUT_END = (".mp3", ".mp2", ".aac", *UNMEASURED)
"""Kinds of files that do not say how long they are: a file that is cut between two frames looks
whole."""


@attrs.frozen(kw_only=True)
class Saved:
    """A song on disk. `open()` and `os` take it for its path.

    It comes from `Client.download`, once the whole file is there. It stays true until somebody
    changes the file: compare `sha256`.

        for saved in await client.download(songs, "songs"):
            print(saved.path, saved.size, saved.duration)
    """

    path: Path
    cover: Path | None
    sha256: str
    size: int
    """Bytes."""
    duration: float | None
    """Seconds, measured from the first to the last frame; None where nothing in the file tells."""
    mismatch: str | None = None
    """What the provider stated wrongly of the file: "plays 2.00 s, stated were 180.00 s".

    Or the flaw of a file, if the provider does not have a better one: "breaks off after 180.00 s".
    """

    def __fspath__(self) -> str:
        return str(self.path)


@attrs.frozen(kw_only=True)
class MeasuredFile:
    """A file that was measured: its sound, its hash and its length."""

    measured: Measured
    sha256: str
    size: int
    mismatch: str | None = None
    """What the provider stated wrongly of it, or its flaw."""

    @property
    def states_its_end(self) -> bool:
        """Whether a file of this kind shows that it was cut."""
        return self.measured.suffix not in _WITHOUT_END

    @property
    def is_measured(self) -> bool:
        """Whether the file itself tells anything of its length."""
        return self.measured.suffix not in UNMEASURED

    def saved_as(self, path: Path) -> Saved:
        """Return the record that users get, once the file has this name."""
        return Saved(
            path=path,
            cover=None,
            sha256=self.sha256,
            size=self.size,
            duration=self.measured.seconds,
            mismatch=self.mismatch,
        )


def measure_file(path: Path, song: Song) -> MeasuredFile:
    """Measure a file, and compare it with what the provider said.

    Raises:
        NoAudio: it is not sound.
        OSError: it cannot be read.
    """
    with bytes_of(path) as data:
        measured = measure(data)
        return MeasuredFile(
            measured=measured,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            mismatch=_mismatch(measured, song),
        )


def is_short(sound: MeasuredFile, song: Song) -> bool:
    """Return whether it plays clearly less than the provider stated.

    "Clearly" is more than a second and more than 1 %.
    """
    seconds = sound.measured.seconds
    return bool(song.duration and seconds is not None and seconds - song.duration < -_slack(song))


def agrees(sound: MeasuredFile, song: Song) -> bool:
    """Return whether it plays as long as the provider stated, or longer."""
    return bool(song.duration) and not is_short(sound, song) and sound.measured.seconds is not None


def _slack(song: Song) -> float:
    """Return the seconds by which a stated duration may be off."""
    return max(1.0, (song.duration or 0.0) / 100)


def _mismatch(measured: Measured, song: Song) -> str | None:
    """Return the flaw of the file, or what the provider stated wrongly of it, or None."""
    if measured.flaw is not None:
        return measured.flaw
    seconds, stated = measured.seconds, song.duration
    if seconds is None or not stated or not abs(seconds - stated) > _slack(song):
        return None
    return f"plays {seconds:.2f} s, stated were {stated:.2f} s"


def present(directory: Path, song: Song) -> list[Path]:
    """Return the files in this folder that have a name of the song. None of them is opened."""
    names = file_names(song)
    return [directory / name for name in names if os.path.lexists(f"{directory}/{name}")]


def find(directory: Path, song: Song, *, sha256: str | None = None) -> Saved | None:
    """Return the song if it is in this folder, whole, whatever its kind.

    A file with a flaw is the song only if it has this hash: then the provider's file has the flaw,
    too. Without a hash that is not known yet.

    None if nothing there has its name, or if it is not known whether the file is the song.

    Raises:
        DownloadFailed: something else has its name; move it away.
    """
    there = present(directory, song)
    in_doubt = False
    for path in there:
        with suppress(OSError, NoAudio):
            _check_plain(path)
            sound = measure_file(path, song)
            if sound.measured.suffix != path.suffix:
                continue
            if sound.measured.whole or sound.sha256 == sha256:
                return sound.saved_as(path)
            in_doubt = sha256 is None and bool(sound.measured.seconds)
    if there and not in_doubt:
        raise taken(there[0], song)
    return None


def taken(path: Path, song: Song) -> DownloadFailed:
    """Return the error for a name that another file has."""
    return failed(
        DownloadFailed,
        song,
        f"was not saved: {path} is there and is not this song",
        remedy="move it away",
    )


def _check_plain(path: Path) -> None:
    """Refuse anything but a plain file of at most `MAX_FILE` bytes.

    Raises:
        OSError: it is a link, not a file, not there, or too long.
    """
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE:
        raise OSError(f"{path} is no plain file of at most {MAX_FILE} bytes")
