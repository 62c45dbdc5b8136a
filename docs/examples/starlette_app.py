"""Songs over HTTP, with callbacks: Starlette.

    PUBLIC_URL=https://songs.example.org uvicorn docs.examples.starlette_app:app

`PUT /songs/KEY` with `{"description": "..."}` asks for a song, `GET /songs/KEY` shows how it
stands. The key is the caller's own: whoever got no answer asks again, and nothing is paid twice.
Songs are saved in `SONGS`. Killed at any moment and started again, the server goes on.

Run one process: a journal is open in one at a time.
"""

import logging
import os
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

import udio_async as ua

PUBLIC_URL = os.environ["PUBLIC_URL"]
SERVICE = os.environ.get("SERVICE_URL", "https://udioapi.pro")  # a sandbox's address, to try it
SONGS = os.environ.get("SONGS", "songs")
PAID = (ua.JournalState.ACCEPTED, ua.JournalState.READY)

logger = logging.getLogger("songs")
journal = ua.SqliteJournal(os.environ.get("JOURNAL", "songs.db"))
client = ua.Client(ua.UdioApiV1(base_url=SERVICE), journal=journal)


# Asking and showing


async def submit(request: Request) -> Response:
    """Ask for a song. The provider has accepted it when this answers."""
    key = request.path_params["key"]
    try:
        job = await client.submit(ua.SongRequest(**await request.json(), key=key))
    except (ua.RequestError, TypeError, ValueError) as error:
        return JSONResponse({"error": str(error)}, 400)
    except ua.UdioError as error:
        return JSONResponse({"error": str(error), "charged": error.charged}, 502)
    request.state.tasks.start_soon(save, job)
    return JSONResponse({"key": key, "task_id": job.task_id}, 202)


async def show(request: Request) -> Response:
    """Tell how a song stands, by the journal: it knows what earlier runs have asked for."""
    entry = await journal.get(request.path_params["key"])
    if entry is None:
        return JSONResponse({"error": "no such song"}, 404)
    songs = [{"title": song.title, "audio_url": song.audio_url} for song in entry.songs]
    return JSONResponse({"state": entry.state, "songs": songs, "why": entry.evidence})


# Saving


async def save(job: ua.Job) -> None:
    """Save the songs of a job once they are made."""
    try:
        await client.download(await job.songs(), SONGS)
    except (ua.UdioError, OSError) as error:  # `take_up` tries again what is paid for
        logger.warning("%s: %s", job.key, error)


async def take_up() -> None:
    """Save what is paid for and has nobody who waits for it.

    That is what was in the making when the server died, what could not be saved, and what a
    callback has told of a request whose answer was lost.
    """
    while True:
        async with client.resume(PAID) as batch:
            async for outcome in batch:
                try:
                    await client.download(outcome, SONGS)
                except (ua.UdioError, OSError) as error:
                    logger.warning("%s: %s", outcome.job_key, error)
        await anyio.sleep(60)


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[Mapping[str, Any]]:
    """Keep the client open, and what saves songs running, as long as the server runs."""
    async with client, anyio.create_task_group() as tasks:
        tasks.start_soon(take_up)
        yield {"tasks": tasks}
        tasks.cancel_scope.cancel()  # the rest is for the next run


# The access log: who knows the address of a callback may call


class WithoutSecrets(logging.Filter):
    """Cuts the secret part off the addresses in uvicorn's access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line through."""
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_secret, record.args))
        return True


def _without_secret(value: object) -> object:
    return re.sub(r"^/udio/.*", "/udio/...", value) if isinstance(value, str) else value


logging.getLogger("uvicorn.access").addFilter(WithoutSecrets())


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/songs/{key}", submit, methods=["PUT"]),
        Route("/songs/{key}", show),
        # Only for a sandbox on this machine may the address be private.
        Mount(
            "/udio",
            client.callbacks(f"{PUBLIC_URL}/udio", allow_private=SERVICE.startswith("http://")),
        ),
    ],
)
