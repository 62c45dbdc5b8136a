"""Audio and covers over HTTP, and streams of unfinished songs."""

from collections.abc import AsyncIterator

import anyio
import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ._cover import make_cover
from ._downloads import Download, answer_download, serve_bytes
from ._sounds import make_sound
from ._tasks import Phase
from ._world import World

_STREAM_CHUNK = 4096


@attrs.frozen
class Media:
    """The files of songs. No key is needed, as at the real services."""

    world: World

    def routes(self) -> list[Route]:
        """List the endpoints."""
        return [
            Route("/media/{song_id}.mp3", self.audio),
            Route("/media/{song_id}.png", self.cover),
            Route("/stream/", self.stream),
        ]

    async def audio(self, request: Request) -> Response:
        """Serve a finished song."""
        now = self.world.clock()
        task, song = self.world.find_song(request.path_params["song_id"]) or (None, None)
        if task is None or song is None or not task.is_made(now) or task.is_lost(song):
            return _not_found()
        number = task.downloads[song.id]
        task.downloads[song.id] += request.method == "GET"
        sound = await run_in_threadpool(make_sound, song.id, song.ending)
        return answer_download(
            Download(request=request, task=task, song=song, sound=sound, number=number, now=now)
        )

    async def cover(self, request: Request) -> Response:
        """Serve a cover, as soon as the feeds show its address."""
        task, song = self.world.find_song(request.path_params["song_id"]) or (None, None)
        if task is None or song is None or task.phase(self.world.clock()) < Phase.TEXT:
            return _not_found()
        return serve_bytes(request, await run_in_threadpool(make_cover, song.id), "image/png")

    async def stream(self, request: Request) -> Response:
        """Serve the part of a song that exists, without a length and without ranges.

        It is half the tune until the song is made.
        """
        now = self.world.clock()
        task, song = self.world.find_song(request.query_params.get("item_id", "")) or (None, None)
        if task is None or song is None or task.is_lost(song):
            return _not_found()
        whole = task.is_made(now)
        if not whole and task.phase(now) is not Phase.FIRST:
            return _not_found()
        sound = await run_in_threadpool(make_sound, song.id, song.ending)
        data = sound.data if whole else sound.data[: len(sound.data) // 2]
        return StreamingResponse(_stream(data), 200, None, sound.media_type)


def _not_found() -> Response:
    return PlainTextResponse("Not Found", 404)


async def _stream(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _STREAM_CHUNK):
        await anyio.lowlevel.checkpoint()
        yield data[start : start + _STREAM_CHUNK]
