"""Songs over HTTP, with callbacks: Starlette.

    PUBLIC_URL=https://songs.example.org uvicorn docs.examples.starlette_app:app

`POST /songs` with `{"description": "..."}` asks for a song; `GET /songs/KEY` shows how it stands.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

import udio_async as ua

PUBLIC_URL = os.environ["PUBLIC_URL"]
SERVICE = os.environ.get("SERVICE_URL", "https://udioapi.pro")  # a sandbox's address, to try it

client = ua.Client(
    ua.UdioApiV1(base_url=SERVICE),
    journal=os.environ.get("JOURNAL", "songs.db"),
)
jobs: dict[str, ua.Job] = {}


async def submit(request: Request) -> Response:
    """Ask for a song. The provider has accepted it when this answers."""
    key = uuid4().hex
    try:
        jobs[key] = await client.submit(ua.SongRequest(**await request.json(), key=key))
    except (ua.RequestError, TypeError, ValueError) as error:
        return JSONResponse({"error": str(error)}, 400)
    except ua.UdioError as error:  # with `key` it can be asked for again: nothing is paid twice
        return JSONResponse({"error": str(error), "key": key}, 502)
    return JSONResponse({"key": key, "task_id": jobs[key].task_id}, 202)


async def show(request: Request) -> Response:
    """Tell how far a song is."""
    job = jobs.get(request.path_params["key"])
    if job is None:
        return JSONResponse({"error": "no such song"}, 404)
    songs = [{"title": song.title, "audio_url": song.audio_url} for song in job.task.songs]
    return JSONResponse({"stage": job.task.stage, "songs": songs})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    """Keep the client open as long as the server runs."""
    async with client:
        yield


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/songs", submit, methods=["POST"]),
        Route("/songs/{key}", show),
        # Only for a sandbox on this machine may the address be private.
        Mount(
            "/udio",
            client.callbacks(f"{PUBLIC_URL}/udio", allow_private=SERVICE.startswith("http://")),
        ),
    ],
)
