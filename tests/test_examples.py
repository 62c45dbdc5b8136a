"""The example applications run as real servers, against the sandbox, and survive a `kill -9`."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest

from udio_async import Sandbox
from udio_async.sandbox import Fault

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
SERVE = """
import socket, sys, uvicorn
listener = socket.socket(fileno=int(sys.argv[2]))
uvicorn.Server(uvicorn.Config(f"{sys.argv[1]}:app")).run([listener])
"""
PATIENCE = 40.0

every_example = pytest.mark.parametrize(
    "name",
    [
        "starlette_app",
        pytest.param(
            "fastapi_app",
            marks=pytest.mark.skipif(
                importlib.util.find_spec("fastapi") is None, reason="FastAPI is not installed"
            ),
        ),
    ],
)


@pytest.fixture
def anyio_backend() -> str:
    """The servers are uvicorn's, which knows asyncio only."""
    return "asyncio"


@attrs.frozen
class Program:
    """An example, which may be started again and again: its socket outlives it."""

    name: str
    listener: socket.socket
    sandbox: Sandbox
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def saved(self) -> list[Path]:
        return sorted((self.folder / "songs").glob("*.mp3"))

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        keys = dict.fromkeys(("UDIOAPI_API_KEY", "APIFRAME_API_KEY"), "sandbox")
        settings = {
            "PUBLIC_URL": self.url,
            "SERVICE_URL": self.sandbox.base_url,
            "JOURNAL": str(self.folder / "songs.db"),
            "SONGS": str(self.folder / "songs"),
            "PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parents[1])]),
        }
        number = self.listener.fileno()
        with (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-c", SERVE, self.name, str(number)],
                env={**os.environ, **keys, **settings},
                stdout=log,
                stderr=log,
                pass_fds=[number],
            )
        try:
            yield child
        finally:
            child.send_signal(signal.SIGINT)  # nothing, where it was killed
            child.wait(timeout=20)


@asynccontextmanager
async def program(
    name: str,
    folder: Path,
    **settings: Any,  # noqa: ANN401  # those of `Sandbox`
) -> AsyncGenerator[tuple[Program, httpx.AsyncClient]]:
    """An example that is not started yet, and a browser."""
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        async with Sandbox(**settings) as sandbox:
            made = Program(name, listener, sandbox, folder)
            async with httpx.AsyncClient(
                base_url=made.url, trust_env=False, verify=False, timeout=PATIENCE
            ) as browser:
                yield made, browser


async def ask(browser: httpx.AsyncClient, key: str) -> int:
    answer = await browser.put(f"/songs/{key}", json={"description": f"about {key}"})
    return answer.status_code


async def state(browser: httpx.AsyncClient, key: str) -> str:
    return str((await browser.get(f"/songs/{key}")).json()["state"])


async def until(seen: Callable[[], Awaitable[bool]]) -> None:
    """Wait for another process."""
    with anyio.fail_after(PATIENCE):
        while not await seen():  # noqa: ASYNC110  # it cannot tell us
            await anyio.sleep(0.05)


async def until_delivered(browser: httpx.AsyncClient, *keys: str) -> None:
    async def delivered() -> bool:
        return {await state(browser, key) for key in keys} == {"delivered"}

    await until(delivered)


@every_example
async def test_an_example_makes_a_song_that_calls_back(name: str, tmp_path: Path) -> None:
    """It is saved once however often it is asked for; a forged callback changes nothing."""
    async with program(name, tmp_path, speed=60) as (app, browser):
        with app.running():
            assert await ask(browser, "rain") == 202
            await until_delivered(browser, "rain")
            assert await ask(browser, "rain") == 202
            shown = (await browser.get("/songs/rain")).json()
            assert all(song["audio_url"].endswith(".mp3") for song in shown["songs"])
            assert (await browser.post(f"/udio/{'0' * 64}", json=[])).status_code == 404
            assert (await browser.get("/songs/unknown")).status_code == 404
            empty = await browser.put("/songs/empty", json={"description": " "})
            assert empty.status_code == 400
        assert len(app.sandbox.ledger) == 1
        assert len(app.saved) == 2
        assert {each.status for each in app.sandbox.deliveries} == {200}


@every_example
async def test_the_access_log_tells_no_address(name: str, tmp_path: Path) -> None:
    """Callbacks are logged, without what only their caller shall know."""
    async with program(name, tmp_path, speed=60) as (app, browser):
        with app.running():
            assert await ask(browser, "rain") == 202
            await until_delivered(browser, "rain")
        assert '"POST /udio/... HTTP/1.1" 200' in app.log
        assert '"PUT /songs/rain HTTP/1.1" 202' in app.log
        assert re.findall(r"[0-9a-f]{64}", app.log) == []


@every_example
async def test_an_example_that_is_killed_forgets_nothing(name: str, tmp_path: Path) -> None:
    """Songs that are saved, in the making, and on the wire: all arrive, and are paid for once.

    Nobody asks again for what was in the making. Whoever had no answer asks with the same key,
    and the callback tells the program that it was taken.
    """
    slow = Fault("slow_submit", match="lost")
    async with program(name, tmp_path, speed=15, faults=[slow]) as (app, browser):
        with app.running() as child:
            assert await ask(browser, "early") == 202
            await until_delivered(browser, "early")
            assert [await ask(browser, key) for key in ("one", "two", "three")] == [202] * 3
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask_in_vain, browser, "lost")
                await until(lambda: was_charged(app, "lost"))
                child.kill()
        with app.running():
            await until_delivered(browser, "early", "one", "two", "three")

            async def taken() -> bool:
                return await ask(browser, "lost") == 202

            await until(taken)
            await until_delivered(browser, "lost")
        assert len(app.saved) == 10
        paid = Counter(submit.prompt for submit in app.sandbox.ledger)
        assert paid == {f"about {key}": 1 for key in ("early", "one", "two", "three", "lost")}
        assert len(app.sandbox.submits) == 5


async def ask_in_vain(browser: httpx.AsyncClient, key: str) -> None:
    with pytest.raises(httpx.TransportError):
        await ask(browser, key)


async def was_charged(app: Program, key: str) -> bool:
    return any(key in submit.prompt for submit in app.sandbox.ledger)
