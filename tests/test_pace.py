"""A sandbox on this machine says how fast it is, and whoever looks at it does so as often."""

from collections.abc import Mapping

import anyio
import attrs
import httpx
import pytest

from tests.kit.clocks import virtual_backend
from udio_async import Client, PollPolicy, Sandbox, UdioApiV2
from udio_async._polling.pace import SPEED_HEADER, stated_speed
from udio_async._polling.schedule import Schedule

HERE, ELSEWHERE = "http://127.0.0.1:8787", "https://songs.example.org"


@attrs.define
class Service:
    """udioapi v2 behind an `httpx.AsyncClient`: each song takes a tenth of a second."""

    speed: str | None = "1000"
    born: dict[str, float] = attrs.field(factory=dict)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        headers = {} if self.speed is None else {SPEED_HEADER: self.speed}
        if request.method == "POST":
            task_id = f"task-{len(self.born)}"
            self.born[task_id] = anyio.current_time()
            return httpx.Response(200, headers=headers, json={"workId": task_id})
        task_id = request.url.params["workId"]
        done = anyio.current_time() - self.born[task_id] >= 0.1
        songs = [_song(f"{task_id}-{place}") for place in "ab"] if done else []
        data = {"type": "SUCCESS" if done else "IN_PROGRESS", "response_data": songs}
        return httpx.Response(200, headers=headers, json={"code": 200, "data": data})


def _song(name: str) -> dict[str, str]:
    return {"id": name, "status": "complete", "audio_url": f"https://cdn.songs.com/{name}.mp3"}


async def seconds_for_a_song(
    service: Service, base_url: str, poll: PollPolicy | None = None
) -> float:
    """How long a client waits that was told nothing of the speed."""
    provider = UdioApiV2(api_key="key-of-the-test", base_url=base_url)
    transport = httpx.MockTransport(service)
    async with (
        httpx.AsyncClient(transport=transport, verify=False) as http,
        Client(provider, http_client=http, poll=poll) as client,
    ):
        begun = anyio.current_time()
        assert len(await client.generate("a song")) == 2
        return anyio.current_time() - begun


virtual = pytest.mark.parametrize(
    "anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")], ids=["asyncio", "trio"]
)


@virtual
async def test_what_a_sandbox_here_says_is_heard_from_its_first_answer_on() -> None:
    """The answer to the submit tells it, before the first look is planned."""
    assert await seconds_for_a_song(Service(), HERE) < 0.5


@virtual
@pytest.mark.parametrize(
    ("speed", "base_url"),
    [("1000", ELSEWHERE), (None, HERE), ("0", HERE), ("nan", HERE), ("1e300", HERE), ("x", HERE)],
)
async def test_nobody_else_is_believed(speed: str | None, base_url: str) -> None:
    """Neither a service elsewhere, nor what is no speed."""
    assert await seconds_for_a_song(Service(speed), base_url) > 5


@virtual
async def test_a_policy_of_ones_own_stands() -> None:
    """Its seconds are real ones."""
    policy = PollPolicy(min_interval=50.0)
    assert await seconds_for_a_song(Service(), HERE, policy) >= 45


@virtual
async def test_a_song_of_an_earlier_run_is_looked_at_as_fast() -> None:
    """Its first look is at once, and tells the speed for the next."""
    service = Service()
    provider = UdioApiV2(api_key="key-of-the-test", base_url=HERE)
    transport = httpx.MockTransport(service)
    async with httpx.AsyncClient(transport=transport, verify=False) as http:
        async with Client(provider, http_client=http) as client:
            job = await client.submit("a song")
        service.born[job.task_id] = anyio.current_time()
        async with Client(provider, http_client=http) as client:
            poller = client._session().poller
            begun = anyio.current_time()
            tracked = poller.track(job.task_id, job.request, resumed=True)
            while not tracked.over:
                await tracked.changed()
            assert anyio.current_time() - begun < 0.5


async def test_the_sandbox_says_its_speed_in_every_answer() -> None:
    """Errors too, and the files."""
    async with (
        Sandbox(speed=600) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, verify=False) as http,
    ):
        for path in ("/", "/nowhere", "/api/v2/credits", "/media/x.mp3"):
            assert stated_speed((await http.get(path)).headers) == 600


async def test_a_provider_that_knows_the_speed_is_not_hastened_twice() -> None:
    """`sandbox.udioapi_v2()` and `--speed` have told it before."""
    async with Sandbox(speed=600) as sandbox, Client(sandbox.udioapi_v2()) as client:
        traits = client._session().poller._times.traits
        await client.generate("a song")
        assert client._session().poller._times.traits == traits == sandbox.udioapi_v2().traits


async def test_a_client_that_was_told_nothing_waits_no_half_a_minute() -> None:
    """It would time out: the first look at a real service comes after 11 s at the earliest."""
    async with Sandbox(speed=600) as sandbox:
        provider = UdioApiV2(api_key="sandbox", base_url=sandbox.base_url)
        async with Client(provider) as client:
            with anyio.fail_after(8):
                assert len(await client.generate("a song")) == 2


def test_a_schedule_begins_anew() -> None:
    """With nothing of what it had learned, and songs that were seen before are not missed."""
    slow: Mapping[str, float] = {"typical": 60.0, "look_cost": 0.8, "min_interval": 5.0}
    quick = {name: value / 600 for name, value in slow.items()}
    schedule = Schedule(**slow)
    begun = 0.0
    for age in range(1, 100):
        schedule.remember([(age - 1.0, float(age))] * 3)
        begun = schedule.begin()
        schedule.saw(begun, (), 0.0, float(age), 0)
    schedule.restart(**quick)
    schedule.forget(begun, (), 99.0)
    assert schedule.wait(0.0) == Schedule(**quick).wait(0.0)
    assert schedule.late() == Schedule(**quick).late()
