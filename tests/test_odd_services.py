"""What a service says that nobody documented: no song is lost to it, and no wait is endless."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import SONG, TimedProvider, over, polling, submitted
from tests.providers.test_odd_fields import CASES
from tests.test_errors import Suspended
from udio_async import (
    AccountError,
    AuthenticationFailed,
    Client,
    GenerationFailed,
    InsufficientCredits,
    PermissionDenied,
    Task,
)
from udio_async._http import Reply
from udio_async.providers import Provider
from udio_async.providers.words import ENDED_BADLY, plain
from udio_async.testing import RecordedHttp


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


def saying(word: str, *, percentage: Any = None) -> Any:  # noqa: ANN401 - a function
    """Every look shows this word, which nobody has documented."""

    def retouch(tasks: list[Task], now: float) -> Sequence[Task]:
        moved = None if percentage is None else percentage(now)
        return [
            task
            if task.stage.is_final
            else attrs.evolve(task, status=word, status_known=False, percentage=moved)
            for task in tasks
        ]

    return retouch


# Words


async def test_an_unknown_word_that_stays_ends_as_failed_within_minutes() -> None:
    """With the word in the error, and what to do."""
    provider = TimedProvider(lambda _: 1e6, retouch=saying("wibbling"))
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
        assert 180 <= anyio.current_time() <= 300
    assert isinstance(watch.error, GenerationFailed)
    assert "'wibbling'" in str(watch.error)
    assert watch.error.charged == "unknown"


async def test_an_unknown_word_is_waited_with_while_anything_moves() -> None:
    """A percentage is enough; the song comes."""
    moving = saying("wibbling", percentage=lambda now: now // 60)
    provider = TimedProvider(lambda _: 900.0, retouch=moving)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert watch.error is None
    assert anyio.current_time() >= 900


async def test_a_known_word_is_waited_with_until_the_deadline() -> None:
    """A control: only words that nobody knows are given up early."""
    provider = TimedProvider(lambda _: 900.0)
    async with polling(provider) as poller:
        watch = await submitted(provider, poller)
        await over(watch)
    assert watch.error is None


def spelled(word: str) -> list[str]:
    joined = [word.replace("_", joint) for joint in " -"]
    return [word, word.upper(), word.title(), f" {word} ", *joined]


def shown(provider: Provider, word: str) -> bytes:
    if provider.name == "apiframe":
        return b'{"task_id": "t", "status": "%s"}' % word.encode()
    return b'{"code": 200, "data": {"task_id": "t", "type": "%s", "response_data": []}}' % (
        word.encode()
    )


@pytest.mark.parametrize("name", CASES)
async def test_an_end_is_an_end_in_any_spelling(name: str) -> None:
    """Cancelled, timeout, expired: nobody waits any longer."""
    provider = CASES[name].provider
    for word in sorted(ENDED_BADLY):
        for spelling in spelled(word):
            body = shown(provider, spelling)
            http = RecordedHttp([Reply(status=200, headers={}, body=body)])
            [task] = await provider.fetch(http, ["t"])
            assert task.stage == "failed", spelling
            assert plain(task.status) == word
            assert task.error is not None
            assert spelling.strip() in str(task.error)


@pytest.mark.parametrize("name", CASES)
async def test_not_a_number_is_no_value(name: str) -> None:
    """NaN and Infinity are not JSON, and cost nothing but their field."""
    provider = CASES[name].provider
    body = shown(provider, "processing").replace(b'"t"', b'"t", "percentage": NaN, "x": -Infinity')
    http = RecordedHttp([Reply(status=200, headers={}, body=body)])
    [task] = await provider.fetch(http, ["t"])
    assert (task.stage, task.percentage) == ("processing", None)


# Refusals


REFUSALS = [
    AuthenticationFailed("401"),
    InsufficientCredits("402"),
    PermissionDenied("403"),
    Suspended(403, "not now"),
]


class Choosy(TimedProvider):
    """Refuses to tell of one task."""

    refusal: AccountError = REFUSALS[0]
    until = float("inf")

    async def fetch(self, http: Any, task_ids: Sequence[str]) -> Sequence[Task]:  # noqa: ANN401
        if "0" in task_ids and anyio.current_time() < self.until:
            await anyio.lowlevel.checkpoint()
            raise self.refusal
        return await super().fetch(http, task_ids)


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
@pytest.mark.parametrize("others", [1, 30])
async def test_a_refusal_that_stays_ends_its_own_wait_only(
    refusal: AccountError, others: int
) -> None:
    """Also where the others are not looked at meanwhile; and submits go on."""
    provider = Choosy(lambda number: 1e6 if number == 0 else 400.0, max_ids_per_look=20)
    provider.refusal = refusal
    async with Client(provider, max_in_doubt=1) as client:
        first = await client.submit(SONG)
        jobs = [await client.submit(SONG) for _ in range(others)]
        with pytest.raises(type(refusal)) as caught:
            await first.songs()
        assert 60 <= anyio.current_time() <= 300
        assert caught.value.charged == "yes"
        jobs.append(await client.submit(SONG))
        for job in jobs:
            assert len(await job.songs()) > 0


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_a_refusal_that_passes_ends_nothing(refusal: AccountError) -> None:
    """Asked again, the song is there."""
    provider = Choosy(lambda _: 60.0)
    provider.refusal, provider.until = refusal, 60.0
    async with Client(provider) as client:
        assert len(await (await client.submit(SONG)).songs()) > 0
