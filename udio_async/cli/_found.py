"""Songs that are in the folder already, under another name or a link.

A song whose bytes are those in the manifest is that song, whatever it is called. So a new rule for
names, another locale, or a collection that keeps links fetches nothing again.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from .. import DownloadFailed, Saved, Song
from ..files import MAX_FILE, NoAudio, file_names, former_names, measure_file
from ._manifest import leads_outside, place_of
from ._record import Record
from ._verify import is_same


def find_saved(song: Song, directory: Path, record: Record | None) -> Saved | None:
    """Return a song that is here under another name or a link.

    None where there is none, or where it is a plain file of today's name: a download finds that
    itself.

    Raises:
        DownloadFailed: it was moved away, and a link to something else is in its place.
    """
    today = [directory / name for name in file_names(song)]
    if any(path.is_file() and not path.is_symlink() for path in today):
        return None
    links = []
    for place in _places(song, directory, record):
        if not os.path.lexists(place):
            continue
        if place.is_symlink() or leads_outside(directory, place):
            if record is not None and is_same(place, record):
                return _saved(place, directory, record)
            links.append(place)
        elif place not in today and _is_whole(place):
            return _saved(place, directory, record)
    if links:
        raise DownloadFailed(
            f"song {song.id} was moved: {links[0]} is a link that does not lead to it; bring the "
            "song back, or delete the link to have it fetched again",
            provider=song.provider,
            task_id=song.task_id,
        )
    return None


def is_here(song: Song, directory: Path, record: Record | None) -> bool:
    """Return whether there is a file for the song, without reading it."""
    return any(place.is_file() for place in _places(song, directory, record))


def _places(song: Song, directory: Path, record: Record | None) -> Iterator[Path]:
    """Return the places where the song may be, today's names first."""
    for name in file_names(song):
        yield directory / name
    told = [record.path] if record is not None and record.path is not None else []
    for name in (*told, *former_names(song)):
        yield place_of(directory, name)


def _is_whole(path: Path) -> bool:
    """Return whether a file is a whole song, of whatever kind."""
    try:
        return path.is_file() and path.stat().st_size <= MAX_FILE and measure_file(path).whole
    except (OSError, NoAudio):
        return False


def _seconds(path: Path) -> float | None:
    """Return how long it plays, or None where that is not known."""
    try:
        return measure_file(path).seconds
    except NoAudio:
        return None


def _saved(path: Path, directory: Path, record: Record | None) -> Saved:
    """Return the record of a file that is here."""
    data = path.read_bytes()
    cover = record.cover if record is not None else None
    beside = place_of(directory, cover) if cover is not None else None
    known = record.duration if record is not None else None
    return Saved(
        path=path,
        cover=beside if beside is not None and beside.is_file() else None,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        duration=known if known is not None else _seconds(path),
    )
