"""What else is known of a song that is being saved: how new it is, and its link of today."""

import time

import anyio
import attrs

from .._http import Http
from .._records import Song
from ..journal import Entry, Journal
from ..providers import Provider

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

        Some providers show a song under a new id later: then it is found by its place in the task.
        """
        if not song.task_id:
            return None
        tasks = await self._provider.fetch(self._http, [song.task_id])
        songs = [other for task in tasks for other in task.songs]
        same = next((other for other in songs if other.id == song.id), None)
        return same or await self._at_place_of(song, songs)

    async def _at_place_of(self, song: Song, songs: list[Song]) -> Song | None:
        """Return the song with the same place, unless it is known to be another one."""
        entry = await self._entry(song)
        others = {other.id for other in entry.songs} if entry else set()
        return next(
            (other for other in songs if other.index == song.index and other.id not in others), None
        )
