"""Audio and covers over HTTP, and the partial stream of a song that is not finished."""

import hashlib
import re
from collections.abc import AsyncIterator

import anyio
import attrs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ._audio import make_mp3
from ._cover import make_cover
from ._world import MadeSong, MadeTask, Phase, World

_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_STREAM_CHUNK = 4096


@attrs.frozen
class Media:
    """The files of songs. They need no key, as at the real services."""

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
        song_id = request.path_params["song_id"]
        if not self._is_audible(song_id, Phase.COMPLETE):
            return _not_found()
        return serve_bytes(request, await run_in_threadpool(make_mp3, song_id), "audio/mpeg")

    async def cover(self, request: Request) -> Response:
        """Serve a cover, as soon as the feeds show its address."""
        song_id = request.path_params["song_id"]
        task = self.world.find_by_song(song_id)
        if task is None or task.phase(self.world.clock()) < Phase.TEXT:
            return _not_found()
        return serve_bytes(request, await run_in_threadpool(make_cover, song_id), "image/png")

    async def stream(self, request: Request) -> Response:
        """Serve what there is of a song: no length, no ranges, half the tune until it is whole."""
        song_id = request.query_params.get("item_id", "")
        if not self._is_audible(song_id, Phase.FIRST):
            return _not_found()
        data = await run_in_threadpool(make_mp3, song_id)
        whole = self._is_audible(song_id, Phase.COMPLETE)
        return StreamingResponse(
            _stream(data if whole else data[: len(data) // 2]), 200, None, "audio/mpeg"
        )

    def _is_audible(self, song_id: str, phase: Phase) -> bool:
        task = self.world.find_by_song(song_id)
        if task is None or task.phase(self.world.clock()) not in {phase, Phase.COMPLETE}:
            return False
        return not task.is_lost(_find_song(task, song_id))


def _find_song(task: MadeTask, song_id: str) -> MadeSong:
    return next(song for song in task.songs if song.id == song_id)


def _not_found() -> Response:
    return PlainTextResponse("Not Found", 404)


async def _stream(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _STREAM_CHUNK):
        await anyio.lowlevel.checkpoint()
        yield data[start : start + _STREAM_CHUNK]


def serve_bytes(request: Request, data: bytes, media_type: str) -> Response:
    """Answer with a file, or with the part of it that `Range` asks for."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    wanted = _ONE_RANGE.fullmatch(request.headers.get("range", ""))
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return Response(data, 200, headers, media_type)
    part = _resolve_range(wanted[1], wanted[2], len(data))
    if not part:
        return Response(b"", 416, {**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
    return Response(data[part.start : part.stop], 206, headers, media_type)


def _resolve_range(first: str, last: str, size: int) -> range:
    """Return the bytes that "first-last" means (RFC 9110, section 14.1.2); empty if none are."""
    if first:
        return range(int(first), min(int(last) + 1, size) if last else size)
    return range(max(size - int(last), 0), size) if last else range(0)
