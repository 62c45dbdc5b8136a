"""From requests to songs on disk and lines on stdout, each as it finishes."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import attrs

from .. import (
    Client,
    DownloadFailed,
    Outcome,
    RequestError,
    Saved,
    Song,
    SongRequest,
    SpendLimitReached,
    SubmitInDoubt,
    UdioError,
)
from .._concurrency import open_tasks
from ._advice import LET_GO
from ._found import find_saved
from ._hints import is_open_doubt
from ._input import Entry
from ._output import FailedLine, SongLine, Trouble
from ._remedies import explain
from ._run import Run

_SAVES_AT_ONCE = 32
"""Most of them may wait for files that are late; how many are fetched at once, the client knows."""


async def make_songs(
    run: Run, client: Client, entries: Sequence[Entry], *, max_active: int | None
) -> None:
    """Have all songs made, saved and written as they finish.

    It ends early if the run is stopped: only this is cancelled then. The client goes on until
    each paid request on the wire has its answer, and the journal has it too.
    """
    slots = anyio.Semaphore(_SAVES_AT_ONCE)
    run.progress.begun = True
    run.progress.jobs.update(entry.job for entry in entries)
    with run.stop.stoppable():
        async with (
            open_tasks() as saving,
            client.generate_many(_pulled(run, entries), max_active=max_active) as batch,
        ):
            async for outcome in batch:
                await slots.acquire()
                delivery = _Delivery(run, client, outcome, entries[outcome.index])
                saving.start_soon(delivery.run, slots)


async def deliver(
    run: Run, client: Client, outcome: Outcome, entry: Entry, slots: anyio.Semaphore
) -> None:
    """Save and write what became of a request, and give its slot back."""
    await _Delivery(run, client, outcome, entry).run(slots)


async def _pulled(run: Run, entries: Sequence[Entry]) -> AsyncGenerator[SongRequest]:
    for entry in entries:
        await run.space.take()
        if run.progress.no_room:
            return
        run.timelines.pull(entry.request)
        yield entry.request


@attrs.frozen(eq=False)
class _Delivery:
    """One outcome on its way to disk and to stdout."""

    _run: Run
    _client: Client
    _outcome: Outcome
    _entry: Entry

    async def run(self, slots: anyio.Semaphore) -> None:
        """Save the songs of the outcome, and write their lines."""
        provider, task_id = self._client.provider.name, self._outcome.task_id
        size = 0
        try:
            songs = [song for song in self._outcome.songs if self._outcome.ok or _arrived(song)]
            saved = [(song, *await self._save(song)) for song in songs]
            size = sum(file.size for _, file, _ in saved if file is not None)
            timeline = self._run.timelines.take(provider, task_id)
            told = [await self._song(*each, timeline) for each in saved]
            if self._outcome.error is not None:
                await self._request_failed(self._outcome.error, timeline)
            elif troubles := [trouble for _, _, trouble in saved if trouble is not None]:
                self._run.progress.reasons[troubles[0].type] += 1
            if not all(told):
                self._run.progress.leave(provider, self._outcome)
                return
            error = self._outcome.error
            if isinstance(error, SpendLimitReached):
                self._run.progress.over_limit += 1
                return
            fine = [trouble is None for _, _, trouble in saved]
            self._run.progress.deliver(
                provider,
                task_id,
                songs=sum(fine),
                ok=self._outcome.ok and all(fine),
                in_doubt=error is not None and is_open_doubt(error),
                job=self._entry.job,
            )
        finally:
            self._run.space.leave(size)
            slots.release()

    async def _song(
        self,
        song: Song,
        saved: Saved | None,
        trouble: Trouble | None,
        timeline: Mapping[str, Any] | None,
    ) -> bool:
        """Write one song, and return whether its owner knows where it is.

        A line that stdout did not take tells nobody; but a file is here without it.
        """
        if trouble is not None:
            self._run.display.error(trouble.message)
        written = await self._run.write(
            SongLine.from_song(song, saved=saved, error=trouble, timeline=timeline, **self._origin)
        )
        return written or saved is not None or song.error is not None

    @property
    def _origin(self) -> dict[str, Any]:
        entry = self._entry
        return {
            "line": entry.line,
            "key": entry.key,
            "asked": entry.asked,
            "job": entry.job or None,
        }

    async def _save(self, song: Song) -> tuple[Saved | None, Trouble | None]:
        """Save a song, and return its file, or why there is none."""
        trouble, out = Trouble.from_song(song), self._run.out
        if trouble is not None or out is None:
            return None, trouble
        try:
            found = await self._look(song, out)
        except (UdioError, OSError) as error:  # which another run would not mend
            return None, Trouble.from_error(error, task_id=song.task_id, charged="yes")
        if found is not None:
            if song.job_key is not None:
                await self._client.acknowledge(song)
            return found, None
        try:
            if not _arrived(song):
                raise DownloadFailed(f"song {song.id} of task {song.task_id} has no final audio")
            [saved] = await self._client.download(
                song,
                out,
                covers=self._run.manifest is not None,
                tags=self._run.tags,
                patience=self._run.file_wait,
            )
        except (UdioError, OSError) as error:
            self._run.note_room(error)
            self._run.progress.again += 1
            return None, Trouble.from_error(error, task_id=song.task_id, charged="yes")
        return saved, None

    async def _look(self, song: Song, out: Path) -> Saved | None:
        """Return the song if it is here where a download does not look."""
        manifest = self._run.manifest
        if manifest is None:
            return None
        return await anyio.to_thread.run_sync(find_saved, song, out, manifest.record_of(song))

    async def _request_failed(self, error: UdioError, timeline: Mapping[str, Any] | None) -> None:
        """Count and write a request that failed."""
        task_id = self._outcome.task_id or error.task_id
        message = explain(error, self._run.hints)
        advice = self._run.progress.advice(self._client.provider.name, task_id)
        if isinstance(error, SubmitInDoubt) and not is_open_doubt(error):
            advice = LET_GO
        trouble = Trouble.from_error(error, task_id=task_id, message=message, advice=advice)
        if not is_open_doubt(error) and not isinstance(error, SpendLimitReached):
            self._run.progress.reasons[trouble.type] += 1
            refused = isinstance(error, RequestError)  # and would be again
            self._run.progress.again += trouble.charged == "no" and not refused
        self._run.display.error(message)
        origin = self._origin
        if self._run.hints is not None:
            origin["key"] = error.job_key or origin["key"]
        await self._run.write(
            FailedLine(
                provider=self._client.provider.name,
                task_id=task_id,
                error=trouble,
                timeline=timeline,
                **origin,
            )
        )


def _arrived(song: Song) -> bool:
    return song.error is None and song.audio_is_final
