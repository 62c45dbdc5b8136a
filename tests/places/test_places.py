"""One client, sandbox and batch wherever people run them: any task, one loop."""

import asyncio
import contextlib
import contextvars
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import anyio
import httpx
import pytest
import trio
import uvloop
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.kit.timed import SONG, TimedProvider
from udio_async import Batch, Client, Job, Sandbox, WaitExpired
from udio_async.journal import MemoryJournal

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all, on a loop of its own, left from there."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Sandbox(speed=2000, credits=1e9)) as one,
    ):
        yield one


async def in_a_task(call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever it gives
    """Await it in a task of its own, as a fixture, a cell or a start-up hook is."""
    results = []

    async def run() -> None:
        results.append(await call())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
    return results[0]


async def use(client: Client) -> None:
    """Every step in a task of its own: one song, then a batch, then the end."""
    await in_a_task(client.open)
    job: Job = await in_a_task(lambda: client.submit("rain"))
    assert len(await in_a_task(job.songs)) == 2
    batch: Batch = client.generate_many(["sun", "snow"])
    await in_a_task(batch.__aenter__)
    assert (await in_a_task(lambda: anext(batch))).ok
    await in_a_task(lambda: batch.__aexit__(None, None, None))
    await in_a_task(client.aclose)


async def everything() -> None:
    sandbox = Sandbox(speed=2000)
    await in_a_task(sandbox.open)
    await use(Client(sandbox.udioapi_v2()))
    await in_a_task(sandbox.aclose)


# Any task of the loop


async def test_each_step_may_have_a_task_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    """The journal on disk too; opened again, it goes on."""
    client = Client(sandbox.apiframe(), journal=tmp_path / "songs.db")
    await use(client)
    await use(client)


def run_with_debug(main: Callable[[], Any]) -> None:
    with asyncio.Runner(debug=True) as runner:
        runner.run(main())


def run_eagerly(main: Callable[[], Any]) -> None:
    with asyncio.Runner() as runner:
        runner.get_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))
        runner.run(main())


def run_on_uvloop(main: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    "run",
    [
        lambda main: asyncio.run(main()),
        run_with_debug,
        run_eagerly,
        run_on_uvloop,
        trio.run,
        lambda main: anyio.run(main, backend="trio"),
    ],
    ids=["asyncio.run", "debug", "eager", "uvloop", "trio.run", "anyio.run"],
)
def test_under_any_way_to_run_a_program(run: Callable[[Callable[[], Any]], None]) -> None:
    """Sandbox, client and batch are entered and left, and nothing is left behind."""
    run(everything)


def test_one_runner_goes_from_one_call_to_the_next(sandbox: Sandbox) -> None:
    """`asyncio.Runner.run` makes a task for each call, on one loop."""
    with asyncio.Runner() as runner:
        client = runner.run(Client(sandbox.udioapi_v2()).open())
        assert len(runner.run(client.generate("rain"))) == 2
        runner.run(client.aclose())


def test_the_fixtures_of_pytest_asyncio(tmp_path: Path) -> None:
    """On loops of a function, a module and a session; a client of another loop says so."""
    settings = tmp_path / "pytest.ini"
    settings.write_text(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    suite = [str(HERE / "fixtures_of_pytest_asyncio.py"), "-p", "pytest_asyncio", "-q"]
    quiet = ["-p", "no:cacheprovider", "-p", "no:anyio", "-c", str(settings)]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *suite, *quiet],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert "5 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_cells_of_a_notebook() -> None:
    """In a real kernel: opened in one cell, used in others, closed in the last."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.places.notebook"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    said = ["2 songs", "2 of a batch", "2 over two cells", "closed"]
    assert ran.stdout.splitlines() == said, ran.stdout + ran.stderr


@contextlib.asynccontextmanager
async def alive(app: Any) -> AsyncGenerator[None]:  # noqa: ANN401 - any ASGI application
    """Run an application's lifespan as a server does: in a task that is not that of a request."""
    to_app, from_server = anyio.create_memory_object_stream[dict[str, str]](2)
    to_server, from_app = anyio.create_memory_object_stream[dict[str, str]](2)
    async with to_app, from_server, to_server, from_app, anyio.create_task_group() as tasks:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        tasks.start_soon(app, scope, from_server.receive, to_server.send)
        await to_app.send({"type": "lifespan.startup"})
        assert (await from_app.receive())["type"] == "lifespan.startup.complete"
        yield
        await to_app.send({"type": "lifespan.shutdown"})
        assert (await from_app.receive())["type"] == "lifespan.shutdown.complete"


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
async def test_a_lifespan(framework: type[Starlette], sandbox: Sandbox) -> None:
    """Opened by the start of an application, used by its requests, closed by its end."""
    client = Client(sandbox.udioapi_v2())

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with client:
            yield

    async def songs(_: Request) -> JSONResponse:
        return JSONResponse(len(await client.generate("rain")))

    app = framework(lifespan=lifespan, routes=[Route("/songs", songs)])
    transport = httpx.ASGITransport(app)
    async with alive(app), httpx.AsyncClient(transport=transport, base_url="http://app") as caller:
        assert (await caller.get("/songs")).json() == 2


# Closing


async def test_closing_twice_is_closing_once() -> None:
    """Also at the same time: whoever comes second waits until it is closed."""
    client = Client(TimedProvider(lambda _: 60.0))
    await client.aclose()
    await client.open()
    job = await client.submit(SONG)
    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(client.aclose)
    await client.aclose()
    with pytest.raises(WaitExpired, match="the client is closed"):
        await job.songs()


async def test_a_block_may_be_left_after_closing() -> None:
    """`aclose` inside `async with` is no error at its end."""
    async with Client(TimedProvider(lambda _: 1.0)) as client:
        await client.aclose()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await client.credits()


async def test_an_open_client_is_not_opened_again() -> None:
    """It is one; and closed, it can be opened again."""
    client = Client(TimedProvider(lambda _: 1.0), journal=MemoryJournal())
    for _ in range(2):
        async with client:
            with pytest.raises(RuntimeError, match="open already"):
                await client.open()


async def test_closing_in_a_cancelled_task_closes() -> None:
    """The cancellation comes afterwards."""
    client = await Client(TimedProvider(lambda _: 1.0)).open()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.aclose()
    async with client:
        pass


# Another loop


class Elsewhere:
    """A client, a job and a batch of it on an event loop that runs in another thread."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._opened = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._own()))
        self._thread.start()
        assert self._opened.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._done.set)
        self._thread.join(20)

    async def _own(self) -> None:
        self.loop = asyncio.get_running_loop()
        async with Client(self.sandbox.apiframe()) as self.client:
            self.job = await self.client.submit("before")
            self.batch = self.client.generate_many(["never"])
            self.app = self.client.callbacks("https://songs.example.org")
            self._done = asyncio.Event()
            self._opened.set()
            await self._done.wait()


@pytest.fixture
def elsewhere(sandbox: Sandbox) -> Iterator[Elsewhere]:
    with Elsewhere(sandbox) as one:
        yield one


async def listed(entries: Any) -> list[Any]:  # noqa: ANN401 - any async iterable
    return [entry async for entry in entries]


VERBS: dict[str, Callable[[Elsewhere], Any]] = {
    "generate": lambda here: here.client.generate("rain"),
    "submit": lambda here: here.client.submit("rain"),
    "generate_many": lambda here: here.client.generate_many(["rain"]).__aenter__(),
    "resume": lambda here: here.client.resume().__aenter__(),
    "jobs": lambda here: listed(here.client.jobs()),
    "doubts": lambda here: here.client.doubts(),
    "resolve": lambda here: here.client.resolve("a", abandon=True),
    "forget": lambda here: here.client.forget("a"),
    "keep": lambda here: here.client.keep(["rain"]),
    "acknowledge": lambda here: here.client.acknowledge("a"),
    "credits": lambda here: here.client.credits(),
    "audit": lambda here: here.client.audit(),
    "download": lambda here: here.client.download([], "."),
    "aclose": lambda here: here.client.aclose(),
    "job.songs": lambda here: here.job.songs(),
    "job.updates": lambda here: listed(here.job.updates()),
    "batch": lambda here: here.batch.__aenter__(),
    "next of batch": lambda here: anext(here.batch),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_another_loop_is_told_so_at_once(verb: str, elsewhere: Elsewhere) -> None:
    """Each verb names the way, before anything is sent; the client goes on."""
    before = len(elsewhere.sandbox.ledger)
    with pytest.raises(RuntimeError, match=r"another event loop.*from_thread"), anyio.fail_after(5):
        await VERBS[verb](elsewhere)
    assert len(elsewhere.sandbox.ledger) == before
    bare = contextvars.Context()  # anyio would take its loop for a trio of ours
    asked = bare.run(asyncio.run_coroutine_threadsafe, elsewhere.client.credits(), elsewhere.loop)
    assert (await anyio.to_thread.run_sync(asked.result, 10)).remaining > 0


def test_a_thread_without_a_loop_is_told_so(elsewhere: Elsewhere) -> None:
    """What needs no `await` to begin with is refused there as well."""
    with pytest.raises(RuntimeError, match=r"another event loop"):
        elsewhere.client.generate_many(["rain"])


async def test_callbacks_come_in_on_the_loop_of_their_client(elsewhere: Elsewhere) -> None:
    """An application that runs on another one says so in the server's log, and not 503 for ever."""
    transport = httpx.ASGITransport(elsewhere.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as caller:
        with pytest.raises(RuntimeError, match="another event loop"):
            await caller.post("/token")


async def test_a_worker_thread_calls_from_its_loop(sandbox: Sandbox) -> None:
    """The way that the error names."""

    def work() -> int:
        return len(anyio.from_thread.run(client.generate, "rain"))

    async with Client(sandbox.udioapi_v2()) as client:
        assert await anyio.to_thread.run_sync(work) == 2
