"""The front door, over real sockets to the sandbox, on all three providers."""

import asyncio
import gc
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
import trio
from anyio.from_thread import start_blocking_portal

from tests.kit import fault_server as faults
from tests.kit.clocks import virtual_backend
from tests.kit.fault_server import FaultServer
from tests.kit.timed import SONG, TimedProvider
from udio_async import (
    AuthenticationFailed,
    Client,
    GenerationFailed,
    InsufficientCredits,
    InvalidRequest,
    MemoryJournal,
    ModerationFailed,
    PollPolicy,
    RequestRefused,
    Sandbox,
    SongRequest,
    SpendLimitReached,
    Stage,
    SubmitInDoubt,
    UdioApiV2,
    UnsupportedOption,
    UpstreamFailed,
    WaitExpired,
)
from udio_async._polling import reachability
from udio_async._records import ProviderOptions
from udio_async._submit import affordable
from udio_async.providers import Provider
from udio_async.sandbox import Fault
from udio_async.sandbox._faults import KINDS

Make = Callable[[Sandbox], Provider]
PROVIDERS: dict[str, Make] = {
    "udioapi-v1": lambda sandbox: sandbox.udioapi_v1(),
    "udioapi-v2": lambda sandbox: sandbox.udioapi_v2(),
    "apiframe": lambda sandbox: sandbox.apiframe(),
}
virtual = pytest.mark.parametrize(
    "anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")], ids=["asyncio", "trio"]
)


FAULTS = [Fault(kind, match=f"<{kind}>") for kind in KINDS]
NUMBERS = count()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all: a fault is asked for in the words of a request."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Sandbox(speed=2000, credits=1e9, faults=FAULTS)) as one,
    ):
        yield one


@pytest.fixture(params=list(PROVIDERS))
def provider(request: pytest.FixtureRequest, sandbox: Sandbox) -> Provider:
    return PROVIDERS[request.param](sandbox)


def words(fault: str = "") -> str:
    """A request that no other test makes."""
    return f"song {next(NUMBERS)} <{fault}>"


def charges(sandbox: Sandbox, prompt: str) -> list[str]:
    """The tasks that were charged for it."""
    return [charge.task_id for charge in sandbox.ledger if charge.prompt == prompt]


def count_tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return trio.lowlevel.current_statistics().tasks_living


# One song


async def test_generate_returns_the_songs_of_one_charged_task(
    provider: Provider, sandbox: Sandbox
) -> None:
    """Two of them, complete, with audio to keep; one request, one charge."""
    prompt = words()
    async with Client(provider) as client:
        songs = await client.generate(prompt)
    (task_id,) = charges(sandbox, prompt)
    assert [song.index for song in songs] == [0, 1]
    assert {(song.task_id, song.provider) for song in songs} == {(task_id, provider.name)}
    for song in songs:
        assert song.stage is Stage.COMPLETE
        assert song.audio_is_final
        assert song.audio_url
        assert song.error is None


async def test_a_job_shows_its_steps_and_gives_its_songs_again_and_again(
    provider: Provider, sandbox: Sandbox
) -> None:
    """The id at once, a rising row of stages, and the same songs whenever they are asked for."""
    prompt = words()
    async with Client(provider) as client:
        job = await client.submit(SongRequest(description=prompt))
        assert charges(sandbox, prompt) == [job.task_id]
        stages = [task.stage async for task in job.updates()]
        assert stages == sorted(set(stages), key=list(Stage).index)
        assert stages[-1] is job.task.stage is Stage.COMPLETE
        assert await job.songs() == await job.songs()
    assert len(await job.songs()) == 2  # what is over is known after closing, too
    assert charges(sandbox, prompt) == [job.task_id]


async def test_the_title_asked_for_is_kept_where_the_provider_has_none(sandbox: Sandbox) -> None:
    """apiframe knows no titles: the song has it all the same."""
    async with Client(sandbox.apiframe()) as client:
        songs = await client.generate(SongRequest(description=words(), title="My Song"))
    assert [song.title for song in songs] == ["My Song"] * 2


async def test_credits_are_what_the_account_has_left(provider: Provider) -> None:
    """Before and after a song."""
    async with Client(provider) as client:
        before = await client.credits()
        await client.generate(words())
        after = await client.credits()
    assert before.provider == provider.name
    assert after.remaining < before.remaining


async def test_many_callers_share_one_client(provider: Provider, sandbox: Sandbox) -> None:
    """Each gets the songs of its own request."""
    found: dict[str, list[str]] = {}

    async def call(client: Client, prompt: str) -> None:
        songs = await client.generate(prompt)
        found[prompt] = [songs[0].task_id]

    async with Client(provider) as client, anyio.create_task_group() as users:
        for _ in range(10):
            users.start_soon(call, client, words())
    assert found == {prompt: charges(sandbox, prompt) for prompt in found}
    assert len(found) == 10


# Trouble

FAILED = [("moderation", ModerationFailed), ("upstream", UpstreamFailed)]


@pytest.mark.parametrize(("kind", "error"), FAILED)
async def test_a_failed_generation_names_its_task(
    provider: Provider, sandbox: Sandbox, kind: str, error: type[GenerationFailed]
) -> None:
    """Who can do something about it is the class, and the id is in it."""
    prompt = words(kind)
    async with Client(provider) as client:
        with pytest.raises(GenerationFailed) as caught:
            await client.generate(prompt)
    assert isinstance(caught.value, error)
    assert [caught.value.task_id] == charges(sandbox, prompt)
    assert caught.value.charged == "unknown"


async def test_one_lost_song_does_not_cost_the_other(provider: Provider) -> None:
    """Both are returned, and the lost one says why."""
    async with Client(provider) as client:
        songs = await client.generate(words("one_song"))
    assert [song.error is None for song in songs] == [True, False]
    assert songs[0].audio_is_final


@pytest.mark.parametrize("kind", ["malformed", "look_500"])
async def test_broken_looks_cost_nothing(
    provider: Provider, sandbox: Sandbox, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are repeated: the song is fine."""
    monkeypatch.setattr(reachability, "backoff", lambda *_, **__: 0.01)
    prompt = words(kind)
    async with Client(provider) as client:
        assert len(await client.generate(prompt)) == 2
    assert len(charges(sandbox, prompt)) == 1


async def test_a_charged_song_whose_answer_was_lost_is_in_doubt(
    provider: Provider, sandbox: Sandbox
) -> None:
    """One charge, no second request, and the evidence in the error."""
    prompt = words("charged_502")
    async with Client(provider) as client:
        with pytest.raises(SubmitInDoubt) as caught:
            await client.generate(prompt)
    assert "502" in caught.value.evidence
    assert caught.value.charged == "unknown"
    assert len(charges(sandbox, prompt)) == 1


async def test_an_id_counts_whatever_the_status(sandbox: Sandbox) -> None:
    """A 500 that names a task is an accepted song."""
    prompt = words("http_500_with_id")
    async with Client(sandbox.udioapi_v2()) as client:
        songs = await client.generate(prompt)
    assert [songs[0].task_id] == charges(sandbox, prompt)


async def test_a_refusal_costs_nothing(provider: Provider, sandbox: Sandbox) -> None:
    """The words or the key: each by its own error, and nothing is charged."""
    prompt = words("refused")
    async with Client(provider) as client:
        with pytest.raises(RequestRefused):
            await client.generate(prompt)
    async with Client(attrs.evolve(provider, api_key="wrong")) as client:  # type: ignore[misc]  # a value
        with pytest.raises(AuthenticationFailed):
            await client.generate(prompt)
    assert charges(sandbox, prompt) == []


async def test_an_account_that_cannot_pay_is_told_so() -> None:
    """On each provider, and nothing is charged."""
    async with Sandbox(credits=1.0) as poor:
        for make in PROVIDERS.values():
            async with Client(make(poor)) as client:
                with pytest.raises(InsufficientCredits):
                    await client.generate("a song")
    assert poor.ledger == ()


async def test_what_is_impossible_is_refused_before_anything_is_sent() -> None:
    """By the provider's own rules, on this side of the network."""
    async with FaultServer(faults.answer(faults.ok(b"{}"))) as server:
        provider = UdioApiV2(api_key="key", base_url=server.url)
        wrong: list[Any] = [7, None, b"a song", ["a song"], "", "   ", "x" * 100_000]
        async with Client(provider) as client:
            for request in wrong:
                with pytest.raises(InvalidRequest):
                    await client.generate(request)
            with pytest.raises(UnsupportedOption):
                await client.generate(
                    SongRequest(description="a song", options=OtherOptions())  # of no provider
                )
        assert not server.accepted


@attrs.frozen
class OtherOptions(ProviderOptions):
    """Options that no provider knows."""


# The life of a client


@pytest.mark.parametrize("name", ["max_active", "submit_concurrency"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "4", True])
def test_an_impossible_count_is_refused(name: str, value: object) -> None:
    """With its name, its value and the remedy."""
    counts: dict[str, Any] = {name: value}
    with pytest.raises(InvalidRequest, match="at least 1") as caught:
        Client(TimedProvider(lambda _: 1.0), **counts)
    assert name in str(caught.value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("wrong", [None, "udioapi-v2", UdioApiV2])
def test_what_is_no_provider_is_refused(wrong: object) -> None:
    """A name or a class, for example."""
    with pytest.raises(InvalidRequest, match="is no provider"):
        Client(wrong)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("poll", 5, r"give PollPolicy\("),
        ("journal", 5, "give a path"),
        ("journal", MemoryJournal, "give a path"),
        ("on_event", 5, "give a function"),
        ("http_client", 5, "give an httpx.AsyncClient"),
        ("requests_per_second", 0, "give a number above 0"),
        ("requests_per_second", -1.5, "give a number above 0"),
        ("requests_per_second", math.nan, "give a number above 0"),
        ("requests_per_second", math.inf, "give a number above 0"),
        ("requests_per_second", "2", "give a number above 0"),
        ("requests_per_second", 10**400, "give a number above 0"),
        ("max_credits", 10**400, "give a number above 0"),
        ("max_credits", True, "give a number above 0"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_refused(name: str, value: object, remedy: str) -> None:
    """When the client is made, with its name, its value and the remedy."""
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(InvalidRequest, match=remedy) as caught:
        Client(TimedProvider(lambda _: 1.0), **wrong)
    assert f"{name} is {value!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("max_credits", "price", "requests"),
    [
        (0.3, 0.1, 3),
        (0.6, 0.2, 3),
        (0.7, 0.1, 7),
        (1, 0.1, 10),
        (25.0, 10.0, 2),
        (1e9, 1e-9, 10**18),
    ],
)
def test_max_credits_allows_as_many_requests_as_they_pay_for(
    max_credits: float, price: float, requests: int
) -> None:
    """In decimals, as people count."""
    assert affordable(max_credits, price) == requests


async def test_max_credits_below_the_price_buy_nothing_and_end_nothing() -> None:
    """What is paid for already is waited for by such a client, too."""
    provider = UdioApiV2(api_key="key")
    provider = attrs.evolve(provider, traits=attrs.evolve(provider.traits, credits_per_request=2.0))
    async with Client(provider, max_credits=1.0) as client:
        with pytest.raises(SpendLimitReached, match="max_credits=1 pays for 0 requests"):
            await client.submit("rain")
        async with client.resume() as batch:
            assert [outcome async for outcome in batch] == []


async def test_an_error_in_the_block_comes_out_bare(provider: Provider) -> None:
    """`except LookupError` around `async with Client` works, with songs in the making."""

    async def run() -> None:
        async with Client(provider) as client:
            await client.submit(words())
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await run()


@virtual
@pytest.mark.parametrize("how", ["end", "error", "cancel"])
async def test_leaving_leaves_nothing_behind(how: str) -> None:
    """No task, with songs in the making, a submit on the wire and a batch half done."""
    before = count_tasks()

    async def run() -> None:
        provider = TimedProvider(lambda _: 60.0, submit_time=1.0, answer_time=1.0)
        async with Client(provider) as client, client.generate_many([SONG] * 50):
            await client.submit(SONG)
            await anyio.sleep(30.5)
            if how == "error":
                raise LookupError("mine")
            if how == "cancel":
                scope.cancel()
                await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        try:
            await run()
        except LookupError:
            assert how == "error"
    assert count_tasks() == before


async def test_leaving_closes_every_connection() -> None:
    """The server sees them go."""
    tasks = count()

    async def accept_each(connection: faults.Connection) -> None:
        while True:
            await connection.request()
            await connection.send(faults.ok(b'{"code":200,"workId":"task-%d"}' % next(tasks)))

    async with FaultServer(accept_each) as server:
        async with Client(UdioApiV2(api_key="key", base_url=server.url)) as client:
            for _ in range(3):
                await client.submit("a song")
            assert server.open
        await server.wait_for(lambda: not server.open)
    gc.collect()  # a socket that was left open would warn


async def test_as_many_submits_are_on_the_wire_as_the_user_allows() -> None:
    """The client's own bound for requests is above that, whatever the number is."""
    go, number = anyio.Event(), 90
    async with (
        FaultServer(faults.answer_when(go, faults.ok(b'{"code":200,"workId":"task"}'))) as server,
        Client(
            UdioApiV2(api_key="key", base_url=server.url),
            submit_concurrency=number,
            max_active=number,
        ) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(number):
            tasks.start_soon(client.submit, "a song")
        await server.wait_for(lambda: len(server.requests) == number)
        tasks.cancel_scope.cancel()
        go.set()


def test_provider_and_arguments_serve_several_event_loops(provider: Provider) -> None:
    """The same values for four clients, on asyncio and on trio, one run after the other."""
    seen: list[object] = []

    async def run() -> int:
        async with Client(
            provider, poll=policy, requests_per_second=10_000, on_event=seen.append
        ) as client:
            return len(await client.generate(words()))

    policy = PollPolicy()
    for backend in ("asyncio", "asyncio", "trio", "trio"):
        assert anyio.run(run, backend=backend) == 2
    assert seen


@pytest.mark.parametrize("state", ["not open", "closed"])
async def test_use_outside_of_the_block_is_a_clear_error(state: str) -> None:
    """Every call says what to do, and nothing hangs."""
    client = Client(TimedProvider(lambda _: 1.0))
    if state == "closed":
        async with client:
            pass
    calls: list[Callable[[], Any]] = [
        lambda: client.submit("a song"),
        lambda: client.generate("a song"),
        client.credits,
        lambda: client.download([], "."),
        lambda: anext(client.generate_many(["a song"])),
    ]
    told = f"the client is {state}; use it inside `async with Client"
    for call in calls[:-1]:
        with pytest.raises(RuntimeError, match=told):
            await call()

    async def run_batch() -> None:
        async with client.generate_many(["a song"]) as batch:
            await anext(batch)

    with pytest.raises(RuntimeError, match=told):
        await run_batch()


@virtual
async def test_a_forgotten_await_is_named() -> None:
    """Wherever what it would have returned is given."""
    provider = TimedProvider(lambda _: 1.0)
    async with Client(provider) as client:
        calls: list[Callable[[], Any]] = [
            lambda: client.download(client.generate("rain"), "."),  # type: ignore[arg-type]
            lambda: client.download([client.generate("rain")], "."),  # type: ignore[list-item]
            lambda: client.generate(client.submit("rain")),  # type: ignore[arg-type]
            lambda: anext(client.generate_many(client.submit("rain"))),  # type: ignore[arg-type]
            lambda: client.acknowledge(client.generate("rain")),  # type: ignore[arg-type]
        ]
        for call in calls:
            with pytest.raises(InvalidRequest, match=r"\(\) was called without `await`; write `aw"):
                await call()
    assert provider.sent == []


@virtual
async def test_a_job_of_a_closed_client_says_that_it_runs_on() -> None:
    """With the id that finds it again, instead of waiting for ever."""
    async with Client(TimedProvider(lambda _: 60.0)) as client:
        job = await client.submit(SONG)
    with pytest.raises(WaitExpired, match="the client is closed") as caught:
        await job.songs()
    assert caught.value.task_id == job.task_id
    assert [task async for task in job.updates()] == []


async def test_a_client_of_ones_own_is_used_and_left_open(
    provider: Provider, sandbox: Sandbox
) -> None:
    """It belongs to the caller."""
    async with httpx.AsyncClient(verify=False) as own:
        for _ in range(2):
            async with Client(provider, http_client=own) as client:
                assert len(await client.generate(words())) == 2
        assert not own.is_closed
        assert (await own.get(sandbox.base_url)).status_code == 200


FORGETFUL = """
import socket, sys, anyio
from udio_async import Client, JournalState, SqliteJournal, UdioApiV2

async def main(client):
    await client.open()
    with anyio.move_on_after(0.5 if {on_the_wire} else 0):
        await client.generate("rain")

async def look():
    async for entry in SqliteJournal("j.db").entries(JournalState):
        print(entry.state)

with socket.create_server(("127.0.0.1", 0)) as deaf:
    url = f"http://127.0.0.1:{{deaf.getsockname()[1]}}"
    client = Client(UdioApiV2(api_key="x", base_url=url), journal={journal!r})
    anyio.run(main, client, backend={backend!r})
if {journal!r}:
    anyio.run(look)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("journal", [None, "j.db"])
@pytest.mark.parametrize("on_the_wire", [False, True])
def test_a_client_that_is_never_closed_is_one_warning(
    backend: str, journal: str | None, on_the_wire: bool, tmp_path: Path
) -> None:
    """It names the remedy, and no traceback hides it; what was on the wire stays a doubt."""
    program = FORGETFUL.format(backend=backend, journal=journal, on_the_wire=on_the_wire)
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=60,
        check=False,
    )
    warning, *more = child.stderr.splitlines()
    assert (child.returncode, more) == (0, []), child.stderr
    assert "the event loop has ended while a client was open" in warning
    assert "`await client.aclose()`" in warning
    if journal:
        assert child.stdout == ("in_doubt\n" if on_the_wire else "")


OWNED = """
import asyncio
from udio_async import Client, UdioApiV2

async def own(client):
    async with client:
        await asyncio.sleep(3600)

async def main():
    task = asyncio.create_task(own(Client(UdioApiV2(api_key="x", base_url="http://127.0.0.1:9"))))
    await asyncio.sleep(0.5)

asyncio.run(main())
"""


def test_a_client_that_the_end_of_the_loop_closes_is_no_warning() -> None:
    """The task that has it in `async with` is cancelled at the same time, and closes it."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", OWNED],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=60,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
