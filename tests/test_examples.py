"""The examples in the documentation run, against the sandbox, as real servers."""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from udio_async import Sandbox

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
SERVE = """
import socket, sys, uvicorn
listener = socket.create_server(("127.0.0.1", 0))
import os
os.environ["PUBLIC_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
print(os.environ["PUBLIC_URL"], flush=True)
config = uvicorn.Config(f"{sys.argv[1]}:app", log_level="warning")
uvicorn.Server(config).run([listener])
"""


@pytest.fixture
def anyio_backend() -> str:
    """The servers are uvicorn's, which knows asyncio only."""
    return "asyncio"


@contextmanager
def running(name: str, sandbox: Sandbox, journal: Path) -> Generator[str]:
    keys = dict.fromkeys(("UDIOAPI_API_KEY", "APIFRAME_API_KEY"), "sandbox")
    child = subprocess.Popen(
        [sys.executable, "-c", SERVE, name],
        env={
            **os.environ,
            **keys,
            "SERVICE_URL": sandbox.base_url,
            "JOURNAL": str(journal),
            "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parents[1])]),
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield child.stdout.readline().strip()
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)


@pytest.mark.parametrize("name", ["starlette_app", "fastapi_app"])
async def test_an_example_makes_a_song_that_calls_back(name: str, tmp_path: Path) -> None:
    """It is shown when it is complete; a forged callback changes nothing and is told nothing."""
    if name == "fastapi_app" and importlib.util.find_spec("fastapi") is None:
        pytest.skip("FastAPI is not installed")
    async with Sandbox(speed=60) as sandbox:
        with running(name, sandbox, tmp_path / "songs.db") as url:
            async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as browser:
                key = (await ask(browser, name))["key"]
                shown: dict[str, Any] = {"stage": ""}
                with anyio.fail_after(20):
                    while shown["stage"] != "complete":  # of another process
                        shown = (await browser.get(f"/songs/{key}")).json()
                        await anyio.sleep(0.05)
                assert all(song["audio_url"].endswith(".mp3") for song in shown["songs"])
                forged = await browser.post(f"/udio/{'0' * 64}", json=[])
                assert forged.status_code == 404
                assert (await browser.get("/songs/unknown")).status_code == 404
        assert len(sandbox.ledger) == 1
        assert {each.status for each in sandbox.deliveries} == {200}


async def ask(browser: httpx.AsyncClient, name: str) -> dict[str, Any]:
    """Each example has its own way to ask."""
    if name == "fastapi_app":
        answer = await browser.post("/songs", params={"description": "A song about rain"})
    else:
        answer = await browser.post("/songs", json={"description": "A song about rain"})
    assert answer.status_code == 202, answer.text
    answered: dict[str, Any] = answer.json()
    return answered
