"""A request is a frozen value: what its caller changes afterwards does not change it."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import Client, InvalidRequest, SongRequest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


def fill_again(extra: dict[str, Any]) -> None:
    extra["seed"] = 2


def add_a_name(extra: dict[str, Any]) -> None:
    extra["new"] = True


def append(extra: dict[str, Any]) -> None:
    extra["ids"].append(3)


def change_within(extra: dict[str, Any]) -> None:
    extra["range"]["to"] = 9


def empty(extra: dict[str, Any]) -> None:
    extra.clear()


@pytest.mark.parametrize("change", [fill_again, add_a_name, append, change_within, empty])
def test_a_dict_that_is_changed_afterwards_does_not_change_the_request(
    change: Callable[[dict[str, Any]], None],
) -> None:
    """Nor what is within it."""
    extra = {"seed": 1, "ids": [1, 2], "range": {"from": 0, "to": 5}}
    before = json.loads(json.dumps(extra))
    request = SongRequest(description="rain", extra=extra)
    change(extra)
    assert request == SongRequest(description="rain", extra=before)
    assert attrs.evolve(request, key="mine").extra == before


def test_an_empty_dict_that_is_filled_afterwards_does_not_change_the_request() -> None:
    extra: dict[str, Any] = {}
    request = SongRequest(description="rain", extra=extra)
    extra["seed"] = 1
    assert request.extra == {}


def test_any_mapping_will_do() -> None:
    """A view of a dict cannot be copied, its fields can."""
    assert SongRequest(description="rain", extra=MappingProxyType({"seed": 1})).extra == {"seed": 1}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [threading.Lock(), nested(100_000)], ids=["lock", "nested"])
def test_what_cannot_be_copied_is_refused_by_name(value: object) -> None:
    """Also what is nested too deeply, which is no RecursionError."""
    with pytest.raises(InvalidRequest, match=r"^extra cannot be copied"):
        SongRequest(description="rain", extra={"field": value})


async def test_a_generator_that_uses_one_dict_again_gets_what_it_asked_for() -> None:
    """Each request of the batch has the value of its own turn."""

    def ideas() -> Iterator[SongRequest]:
        extra: dict[str, Any] = {}
        for seed in range(6):
            extra["seed"] = seed
            yield SongRequest(description="rain", extra=extra)

    async with (
        Client(TimedProvider(lambda _: 60.0)) as client,
        client.generate_many(ideas()) as batch,
    ):
        made = [outcome.request.extra["seed"] async for outcome in batch]
    assert sorted(made) == list(range(6))


def test_a_request_shows_what_was_given() -> None:
    """And none of the fields that were left out."""
    request = SongRequest(description="rain", instrumental=True, extra={"seed": 1}, key="a")
    shown = "SongRequest(description='rain', instrumental=True, extra={'seed': 1}, key='a')"
    assert repr(request) == shown


async def test_a_job_shows_its_key_its_task_and_its_stage() -> None:
    """What finds it again, and neither its words nor a link."""
    async with Client(TimedProvider(lambda _: 60.0)) as client:
        job = await client.submit(SongRequest(description="rain", key="mine"))
        assert repr(job) == f"<Job 'mine': task {job.task_id}, queued>"
        await job.songs()
        assert repr(job) == f"<Job 'mine': task {job.task_id}, complete>"
