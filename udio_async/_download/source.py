"""What else is known of a song that is being saved: how new it is, and its link of today."""

import time
from collections.abc import Sequence

import anyio
import attrs

from .._http import Http
from .._records import Song
from ..journal import Entry, Journal
from ..providers import Provider

_SAME_LENGTH = 1.0
"""Seconds by which two statements of how long one song is may differ."""
_REMEMBERED = 256
"""Songs, at most: a program that downloads each song as it comes asks for the latest."""


@attrs.define(eq=False)
class Source:
    """Asks the provider and the journal about songs, and remembers which were completed lately."""

    _provider: Provider
    _http: Http
    _journal: Journal
    _since: dict[str, float] = attrs.field(factory=dict, init=False)

    def note_completed(self, task_id: str) -> None:
        """Take in that a task was completed now."""
        self._since[task_id] = anyio.current_time()
        if len(self._since) > _REMEMBERED:
            del self._since[next(iter(self._since))]

    async def age(self, song: Song) -> float | None:
        """Return the seconds since a song was completed; None where nobody knows."""
        since = self._since.get(song.task_id)
        if since is not None:
            return anyio.current_time() - since
        entry = await self._entry(song)
        if entry is None and song.unverified and not self._journal.durable:
            return 0.0  # a callback brought it in this run, and its job is over and forgotten
        if entry is None or not entry.submitted_at:
            return None
        took = self._provider.traits.typical_duration if entry.took is None else entry.took
        return max(0.0, time.time() - entry.submitted_at - took)

    async def _entry(self, song: Song) -> Entry | None:
        """Return the job of a song; a song that a callback has brought may have no task."""
        if song.task_id:
            return await self._journal.of_task(song.task_id)
        return await self._journal.get(song.job_key) if song.job_key else None

    async def refresh(self, song: Song) -> Song | None:
        """Look once at a song whose link is not good any more; None where it is not shown.

        Some providers show a song under a new id later: then it is found by its title and duration,
        or by its place in the task.
        """
        if not song.task_id:
            return None
        tasks = await self._provider.fetch(self._http, [song.task_id])
        shown = [other for task in tasks for other in task.songs]
        same = next((other for other in shown if other.id == song.id), None)
        if same is not None:
            return same
        entry = await self._entry(song)
        before = entry.songs if entry is not None and entry.songs else ()
        places = [one.index + 1 for one in (song, *shown)]
        usual = len(before) or max(self._provider.traits.songs_per_request, *places)
        return _renamed(song, before or (song,), shown, usual=usual)


def _renamed(
    song: Song, before: Sequence[Song], shown: Sequence[Song], *, usual: int
) -> Song | None:
    """Return the song of a look that is this one under a new id, or None where it is not certain.

    Another one would be saved under this song's name.

    Args:
        song: the one that is looked for.
        before: the songs of its task, as far as they are known.
        shown: the songs that the look has shown.
        usual: how many songs the task has, at least.
    """
    known, there = ({one.id for one in songs} for songs in (before, shown))
    new = [one for one in shown if one.id not in known]
    others = [one for one in before if one.id not in there and one.id != song.id]
    if len(new) == 1 and not others and len(shown) == len(before) > 1:
        return new[0]  # all other songs are there, whatever is said of this one now
    fitting = [one for one in new if _may_be(song, one)]
    if len(fitting) == 1 and not any(_may_be(other, fitting[0]) for other in others):
        stated = _stated(song, fitting[0])
        told = stated > 0 or fitting[0].index == song.index
        if told if max(len(before), len(shown)) >= usual else stated == 2:
            return fitting[0]
    found = _at_its_place(song, before, shown) if len(shown) >= usual else None
    return found if found in fitting else None


def _at_its_place(song: Song, before: Sequence[Song], shown: Sequence[Song]) -> Song | None:
    """Return the song that is shown at the place of this one, if no place has another song now."""
    places = {one.index: one for one in shown}
    same = all(_may_be(one, places.get(one.index, one)) for one in before)
    return places.get(song.index) if same else None


def _stated(song: Song, shown: Song) -> int:
    """Return how many of title and duration both songs state."""
    return bool(song.title and shown.title) + bool(song.duration and shown.duration)


def _may_be(song: Song, shown: Song) -> bool:
    """Return whether nothing says that these are two songs: a title or a duration that differs."""
    titles = song.title, shown.title
    if all(titles) and titles[0] != titles[1]:
        return False
    if song.duration is None or shown.duration is None or not song.audio_is_final:
        return True
    return abs(song.duration - shown.duration) <= _SAME_LENGTH
