"""The sandbox starts, serves and stops on asyncio and trio, and leaves nothing behind."""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

import anyio
import httpx
import pytest

from udio_async.sandbox import Fault, Sandbox, Submit

KEY = {"Authorization": "Bearer sandbox"}
BODY = {"gpt_description_prompt": "rain", "model": "chirp-v4-5"}


def sandbox_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "sandbox" in thread.name]


def accepts(base_url: str) -> bool:
    url = httpx.URL(base_url)
    try:
        socket.create_connection((url.host, url.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


async def test_nothing_is_left_after_leaving() -> None:
    """No thread and no listening socket, also with a connection kept open."""
    before = sandbox_threads()
    async with (
        Sandbox() as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, verify=False) as http,
    ):
        assert (await http.get("/")).status_code == 200
        assert len(sandbox_threads()) == len(before) + 1
        await http.get("/_sandbox/ledger")
    assert sandbox_threads() == before
    assert not accepts(sandbox.base_url)


async def test_nothing_is_left_after_a_cancellation() -> None:
    """Leaving is shielded, and bounded although a request hangs in the server."""
    before = sandbox_threads()
    async with httpx.AsyncClient(headers=KEY, verify=False) as http:
        with anyio.move_on_after(0.3) as scope:
            async with Sandbox(faults=[Fault("slow_submit")]) as sandbox:
                await http.post(f"{sandbox.base_url}/api/v2/generate", json=BODY)
    assert scope.cancelled_caught
    assert sandbox_threads() == before


async def test_two_sandboxes_do_not_meet() -> None:
    """Each has its own port and its own ledger."""
    async with (
        Sandbox() as one,
        Sandbox() as other,
        httpx.AsyncClient(headers=KEY, verify=False) as http,
    ):
        await http.post(f"{one.base_url}/api/v2/generate", json=BODY)
        assert (len(one.ledger), len(other.ledger)) == (1, 0)


async def test_the_ledger_tells_who_paid_for_what() -> None:
    """As values, as JSON, and still after leaving; the token is not in it."""
    async with (
        Sandbox() as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, verify=False) as http,
    ):
        body = {"prompt": "rain", "token": "sandbox"}
        v1 = (await http.post("/api/generate", json=body)).json()["workId"]
        wrong = {"Authorization": "Bearer wrong"}
        await http.post("/api/generate", json=body, headers=wrong)
        v2 = (await http.post("/api/v2/generate", json=BODY, headers=KEY)).json()["workId"]
        framed = await http.post("/udio-imagine", json={"prompt": "sun"}, headers=KEY)
        page = (await http.get("/_sandbox/ledger")).json()
    first, second, third, fourth = sandbox.ledger
    assert first == Submit(
        provider="udioapi-v1",
        answered=200,
        task_id=v1,
        credits=10,
        prompt="rain",
        request={"prompt": "rain"},
        at=first.at,
        key_ok=True,
    )
    assert not second.key_ok
    assert (third.task_id, third.request) == (v2, BODY)
    assert (fourth.task_id, fourth.credits) == (framed.json()["task_id"], 9)
    assert [charge["task_id"] for charge in page["charges"]] == [c.task_id for c in sandbox.ledger]
    assert (page["credits"], page["used_credits"]) == (99_961, 39)


async def test_the_same_seed_makes_the_same_songs() -> None:
    """And another seed other ones, so that runs can be repeated and varied."""
    ids = []
    for seed in (1, 1, 2):
        async with (
            Sandbox(seed=seed) as sandbox,
            httpx.AsyncClient(headers=KEY, verify=False) as http,
        ):
            answer = await http.post(f"{sandbox.base_url}/api/v2/generate", json=BODY)
            ids.append(answer.json()["workId"])
    assert ids[0] == ids[1] != ids[2]


async def test_the_front_page_says_what_is_here() -> None:
    """For whoever opens the address in a browser."""
    async with Sandbox(api_key="mine") as sandbox, httpx.AsyncClient(verify=False) as http:
        page = (await http.get(sandbox.base_url)).text
    for word in ("mine", "/api/generate", "/api/v2/feed", "/udio-imagine", "/_sandbox/ledger"):
        assert word in page


def test_there_is_no_address_before_entering() -> None:
    """The error says what to do."""
    with pytest.raises(RuntimeError, match="async with"):
        _ = Sandbox().base_url


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("speed", 0, "above 0"),
        ("speed", math.nan, "above 0"),
        ("speed", "60", "above 0"),
        ("credits", -1, "at least 0"),
        ("at_once", 0, "at least 1"),
        ("at_once", 1.5, "at least 1"),
        ("host", "", "127.0.0.1"),
        ("host", None, "127.0.0.1"),
        ("port", "x", "from 0 to 65535"),
        ("port", 70_000, "from 0 to 65535"),
        ("faults", ["stuck"], "a list of Fault objects"),
        ("faults", "stuck", "a list of Fault objects"),
        ("faults", Fault("stuck"), "a list of Fault objects"),
        ("api_key", "", "text"),
        ("api_key", None, "text"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(setting: str, value: object, remedy: str) -> None:
    """When the sandbox is made: later it would look like a fault of the service."""
    wrong: dict[str, Any] = {setting: value}
    with pytest.raises(ValueError, match=remedy) as caught:
        Sandbox(**wrong)
    assert str(caught.value).startswith(f"{setting} is {value!r}; give ")


async def test_a_port_that_is_taken_is_an_error() -> None:
    """Of the caller, at once, and with nothing started."""
    before = sandbox_threads()
    async with Sandbox() as sandbox:
        port = httpx.URL(sandbox.base_url).port or 0
        with pytest.raises(OSError, match="in use"):
            async with Sandbox(port=port):
                pass
    assert sandbox_threads() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    """It tells its address, answers, and on the signal returns to its caller."""
    code = (
        "from udio_async.sandbox import serve\n"
        "serve(port=0, on_ready=lambda url: print(url, flush=True))\n"
        "print('bye')\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            assert httpx.get(url).status_code == 200
            os.kill(process.pid, number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, out.strip(), err) == (0, b"bye", b"")


async def test_providers_come_ready_and_as_fast_as_the_sandbox() -> None:
    """They look as much oftener as songs are faster; an own option wins."""
    async with Sandbox(speed=50) as sandbox:
        makers: list[Any] = [sandbox.udioapi_v1, sandbox.udioapi_v2, sandbox.apiframe]
        for make in makers:
            provider = make()
            real = type(provider)(api_key="x").traits
            assert provider.base_url == sandbox.base_url
            assert provider.traits.min_interval == pytest.approx(real.min_interval / 50)
            assert provider.traits.typical_duration == pytest.approx(real.typical_duration / 50)
            assert make(traits=real).traits is real
        assert sandbox.udioapi_v1().generation == "legacy"
        assert sandbox.udioapi_v1(generation="callback").generation == "callback"
