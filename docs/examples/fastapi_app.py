"""Songs over HTTP, with callbacks: FastAPI.

    PUBLIC_URL=https://songs.example.org uvicorn docs.examples.fastapi_app:app

`POST /songs?description=...` asks for a song; `GET /songs/KEY` shows how it stands.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, HTTPException

import udio_async as ua

PUBLIC_URL = os.environ["PUBLIC_URL"]
SERVICE = os.environ.get("SERVICE_URL", "https://api.apiframe.pro")  # or a sandbox's address

client = ua.Client(
    ua.Apiframe(base_url=SERVICE),
    journal=os.environ.get("JOURNAL", "songs.db"),
)
jobs: dict[str, ua.Job] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Keep the client open as long as the server runs."""
    async with client:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/songs", status_code=202)
async def submit(description: str) -> dict[str, str]:
    """Ask for a song. The provider has accepted it when this answers."""
    key = uuid4().hex
    try:
        jobs[key] = await client.submit(ua.SongRequest(description=description, key=key))
    except ua.RequestError as error:
        raise HTTPException(400, str(error)) from error
    except ua.UdioError as error:
        raise HTTPException(502, str(error)) from error
    return {"key": key, "task_id": jobs[key].task_id}


@app.get("/songs/{key}")
async def show(key: str) -> dict[str, Any]:
    """Tell how far a song is."""
    if key not in jobs:
        raise HTTPException(404, "no such song")
    task = jobs[key].task
    songs = [{"title": song.title, "audio_url": song.audio_url} for song in task.songs]
    return {"stage": task.stage, "songs": songs}


# Only for a sandbox on this machine may the address be private.
app.mount(
    "/udio",
    client.callbacks(f"{PUBLIC_URL}/udio", allow_private=SERVICE.startswith("http://")),
)
