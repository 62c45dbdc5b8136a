"""Is every stage of a song heard of in time? In real time, as a user would see it.

Clients of udioapi v2, as they come and with nothing learned, make songs at two servers: the sandbox
at speed 1, whose songs take a minute or so, and a small server below, whose songs have their text
after 22 s, a first audio after 45 s, and are complete after 90 s. Some songs are followed with
`job.updates()`, some are waited for only, and some are refused by the provider after 3 s. Measured
are how late each is heard of, by the moments that the servers know, the stages that nobody heard
of although they lasted more than 15 s, and the looks per song.

    python -m benchmarks.stages [--quick] [--json]
"""

import argparse
import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from statistics import fmean

import attrs
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import udio_async as ua
from udio_async.sandbox import Fault, Sandbox
from udio_async.sandbox._tasks import Phase

FOLLOWED, AWAITED, REFUSED = "followed", "awaited", "refused"
MOMENTS = {ua.Stage.TEXT_READY: 22.0, ua.Stage.FIRST_AUDIO: 45.0, ua.Stage.COMPLETE: 90.0}
FAILURE = {ua.Stage.FAILED: 3.0}
PHASES = {
    ua.Stage.TEXT_READY: Phase.TEXT,
    ua.Stage.FIRST_AUDIO: Phase.FIRST,
    ua.Stage.COMPLETE: Phase.COMPLETE,
    ua.Stage.FAILED: Phase.FAILED,
}
LONG = 15.0
"""Seconds that a stage lasts which may not be missed."""

Moments = Mapping[ua.Stage, float]
"""The seconds after its submit at which a song comes to each stage."""


@attrs.define
class Heard:
    """What a client heard of one song."""

    way: str
    moments: Moments
    at: dict[ua.Stage, float] = attrs.field(factory=dict)
    """The seconds after its submit at which each stage was heard of."""
    looks: int = 0

    @property
    def lags(self) -> list[float]:
        """How late each stage was heard of that nobody had to expect to miss."""
        wanted = [stage for stage in self.moments if self.way == FOLLOWED or stage.is_final]
        return [self.at[stage] - self.moments[stage] for stage in wanted if stage in self.at]

    @property
    def skipped(self) -> int:
        """How many long stages nobody heard of."""
        lasting = [
            stage
            for (stage, begun), (_, ended) in pairwise(self.moments.items())
            if ended - begun > LONG
        ]
        return sum(stage not in self.at for stage in lasting) if self.way == FOLLOWED else 0


# A small server -------------------------------------------------------------------------------


@attrs.define
class SmallServer:
    """udioapi v2, as far as it is needed: submits and looks."""

    begun: dict[str, tuple[float, Moments]] = attrs.field(factory=dict)

    async def generate(self, request: Request) -> JSONResponse:
        words = (await request.json())["gpt_description_prompt"]
        task_id = f"task-{len(self.begun)}"
        self.begun[task_id] = time.monotonic(), FAILURE if REFUSED in words else MOMENTS
        return JSONResponse({"code": 200, "message": "success", "workId": task_id})

    async def feed(self, request: Request) -> JSONResponse:
        begun, moments = self.begun[request.query_params["workId"]]
        passed = [stage for stage, at in moments.items() if time.monotonic() - begun >= at]
        data = _described(passed[-1] if passed else ua.Stage.QUEUED)
        return JSONResponse({"code": 200, "message": "success", "data": data})

    def moments(self, task_id: str) -> Moments:
        return self.begun[task_id][1]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str]:
        app = Starlette(
            routes=[
                Route("/api/v2/generate", self.generate, methods=["POST"]),
                Route("/api/v2/feed", self.feed),
            ]
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
            running = asyncio.create_task(server.serve([listener]))
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await running


def _described(stage: ua.Stage) -> dict[str, object]:
    """Return what a look shows of a song, as the provider's pages have it."""
    types = {ua.Stage.COMPLETE: "SUCCESS", ua.Stage.FAILED: "FAILED"}
    audio = {
        ua.Stage.FIRST_AUDIO: "https://audiopipe.suno.ai/?item_id=song",
        ua.Stage.COMPLETE: "https://cdn.example/song.mp3",
    }
    song = {
        "id": "song",
        "status": str(stage),
        "title": "Rain",
        "prompt": "la la",
        "audio_url": audio.get(stage, ""),
        "fail_message": "Does Not Meet Guidelines" if stage is ua.Stage.FAILED else "",
    }
    songs = [] if stage is ua.Stage.QUEUED else [song]
    return {"type": types.get(stage, "IN_PROGRESS"), "response_data": songs}


# The client -----------------------------------------------------------------------------------


async def hear(way: str, base_url: str, moments: Callable[[str], Moments]) -> Heard:
    """Make one song with a client of its own, which has learned nothing."""
    looks: Counter[str] = Counter()

    def note(event: ua.Event) -> None:
        looks.update(event.task_ids if event.kind == "looked" else ())

    provider = ua.UdioApiV2(api_key="sandbox", base_url=base_url)
    async with ua.Client(provider, on_event=note) as client:
        job = await client.submit(f"a {way} song")
        begun = time.monotonic()
        heard = Heard(way, moments(job.task_id))
        if way == FOLLOWED:
            async for task in job.updates():
                heard.at.setdefault(task.stage, time.monotonic() - begun)
        with suppress(ua.GenerationFailed):
            await job.songs()
        heard.at.setdefault(job.task.stage, time.monotonic() - begun)
        heard.looks = looks[job.task_id]
    return heard


async def hear_all(
    songs: int, base_url: str, moments: Callable[[str], Moments]
) -> dict[str, list[Heard]]:
    ways = [way for way in (FOLLOWED, AWAITED, REFUSED) for _ in range(songs)]
    found = await asyncio.gather(*(hear(way, base_url, moments) for way in ways))
    return {way: [heard for heard in found if heard.way == way] for way in dict.fromkeys(ways)}


async def at_the_sandbox(songs: int) -> dict[str, list[Heard]]:
    fault = Fault("moderation_early", match=REFUSED)
    async with Sandbox(speed=1, seed=3, faults=[fault]) as sandbox:

        def moments(task_id: str) -> Moments:
            world = sandbox._world  # noqa: SLF001  # no service tells when its stages are
            task = world.find(task_id, "udioapi-v2")
            assert task is not None
            entered = {stage: task.enters_after(phase) for stage, phase in PHASES.items()}
            return {stage: at for stage, at in entered.items() if at is not None}

        return await hear_all(songs, sandbox.base_url, moments)


async def at_the_small_server(songs: int) -> dict[str, list[Heard]]:
    server = SmallServer()
    async with server.serving() as base_url:
        return await hear_all(songs, base_url, server.moments)


SERVERS: Mapping[str, Callable[[int], Awaitable[dict[str, list[Heard]]]]] = {
    "sandbox": at_the_sandbox,
    "small server": at_the_small_server,
}


# What it shows --------------------------------------------------------------------------------


@attrs.frozen
class Goal:
    """A figure, and what it should be at most."""

    name: str
    figure: float
    at_most: float

    @property
    def met(self) -> bool:
        return self.figure <= self.at_most


def goals(server: str, found: Mapping[str, list[Heard]]) -> list[Goal]:
    followed, awaited, refused = (found[way] for way in (FOLLOWED, AWAITED, REFUSED))
    return [
        Goal(f"{server}: worst lag of a failure, s", max(max(each.lags) for each in refused), 12),
        Goal(
            f"{server}: mean lag of a stage, s",
            fmean(lag for each in followed for lag in each.lags),
            5,
        ),
        Goal(f"{server}: long stages skipped", sum(each.skipped for each in followed), 0),
        Goal(f"{server}: looks per followed song", fmean(each.looks for each in followed), 14),
        Goal(f"{server}: looks per other song", fmean(each.looks for each in awaited), 10),
    ]


async def measure(songs: int) -> list[Goal]:
    found = await asyncio.gather(*(serve(songs) for serve in SERVERS.values()))
    return [
        goal for server, heard in zip(SERVERS, found, strict=True) for goal in goals(server, heard)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="2 songs of each kind, not 10")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(2 if options.quick else 10))
    if options.json:
        rows = [{**attrs.asdict(goal), "met": goal.met} for goal in found]
        print(json.dumps({"benchmark": "stages", "goals": rows}))
        return
    for goal in found:
        verdict = "met" if goal.met else "MISSED"
        print(f"{goal.figure:9.2f}  {verdict:<7} {goal.name} (at most {goal.at_most:g})")


if __name__ == "__main__":
    main()
