"""What an observer is told, and that it can do no harm."""

import logging
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import pytest

from tests.kit.clocks import block, virtual_backend
from tests.kit.timed import SONG, TimedProvider
from udio_async import Client, Event, GenerationFailed, RateLimited, Stage, Task, _events
from udio_async._events import Teller


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(4)  # of the jitter and the back-off


def staged(end: Stage = Stage.COMPLETE) -> TimedProvider:
    """Songs that show some stages on their way, each by the time since its submit."""

    def show(tasks: list[Task], now: float) -> list[Task]:
        return [attrs.evolve(task, stage=stage(task, now)) for task in tasks]

    def stage(task: Task, now: float) -> Stage:
        left = provider.completes_at[task.id] - now
        if left <= 0:
            return end
        return Stage.FIRST_AUDIO if left < 20 else Stage.PROCESSING

    provider = TimedProvider(lambda n: 90.0 + n, retouch=show)
    return provider


async def make_songs(
    provider: TimedProvider, songs: int, observer: Callable[[Event], object] | None
) -> None:
    async with Client(provider, on_event=observer) as client:
        jobs = [await client.submit(SONG) for _ in range(songs)]
        for job in jobs:
            await job.songs()


async def test_events_come_in_order() -> None:
    """For each song: submitted, then looked and advanced, then finished, and nothing after it."""
    told: list[Event] = []
    await make_songs(staged(), 5, told.append)
    stories: dict[str, list[str]] = defaultdict(list)
    for event in told:
        for task_id in event.task_ids or (event.task.id if event.task else "",):
            stories[task_id].append(event.kind)
    assert stories.keys() == set("01234")
    for story in stories.values():
        assert story[0] == "submitted"
        assert story[-2:] == ["looked", "finished"]
        assert set(story[1:-1]) == {"looked", "advanced"}
        assert all(
            story[place - 1] == "looked"
            for place, kind in enumerate(story)
            if kind in ("advanced", "finished")
        )
        assert story.count("advanced") == 2


async def test_an_event_holds_what_its_row_of_the_table_says() -> None:
    """The request of a submit, the tasks of a look, the stage reached, the end."""
    told: dict[str, list[Event]] = defaultdict(list)
    await make_songs(staged(), 1, lambda event: told[event.kind].append(event))
    assert told["submitted"][0].request is SONG
    assert {event.task_ids for event in told["looked"]} == {("0",)}
    stages = [event.task.stage for event in told["advanced"] if event.task]
    assert stages == [Stage.PROCESSING, Stage.FIRST_AUDIO]
    (end,) = told["finished"]
    assert end.task is not None
    assert end.task.stage is Stage.COMPLETE
    assert end.error is None
    assert {event.provider for events in told.values() for event in events} == {"timed"}


async def test_a_failed_song_is_told_with_its_error() -> None:
    """The event holds the very error that the caller gets."""
    told: list[Event] = []
    with pytest.raises(GenerationFailed) as caught:
        await make_songs(staged(end=Stage.FAILED), 1, told.append)
    assert told[-1].kind == "finished"
    assert told[-1].error is caught.value


async def test_a_repeated_look_is_told_with_its_wait() -> None:
    """Why nothing moves, and for how long."""
    told: list[Event] = []
    limited = RateLimited("slow down", retry_after=70.0)
    provider = TimedProvider(
        lambda _: 60.0, broken=lambda now: limited if now < 30 else None, min_interval=20.0
    )
    await make_songs(provider, 1, told.append)
    retried = [event for event in told if event.kind == "retried"]
    assert [(event.error, event.wait) for event in retried] == [(limited, 70.0)]


async def test_an_observer_that_fails_is_logged_and_harmless(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each of its errors is in the log with its traceback, and the songs arrive."""

    def fail(event: Event) -> None:
        raise LookupError("my display is gone")

    provider = staged()
    with caplog.at_level(logging.ERROR, logger="udio_async"):
        await make_songs(provider, 3, fail)
    assert len(provider.seen_at) == 3
    kinds = {record.getMessage() for record in caplog.records}
    assert any("'finished'" in message for message in kinds)
    for record in caplog.records:
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], LookupError)


async def test_an_observer_that_takes_its_time_costs_no_song() -> None:
    """It holds the event loop up for a minute and a half, at each event of each song."""
    provider = staged()

    def hang(_: Event) -> None:
        block(90.0)

    await make_songs(provider, 3, hang)
    assert len(provider.seen_at) == len(provider.sent) == 3


async def test_without_a_guard_it_would_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control: the same observer, unguarded, costs the caller the song."""

    def tell(self: Teller, kind: _events.EventKind, **fields: Any) -> None:  # noqa: ANN401
        if self.observer is not None:
            self.observer(Event(kind=kind, provider=self.provider, **fields))

    monkeypatch.setattr(Teller, "__call__", tell)

    def fail(event: Event) -> None:
        raise LookupError("my display is gone")

    with pytest.raises(LookupError):
        await make_songs(staged(), 1, fail)


async def test_without_an_observer_no_event_is_even_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pays for what nobody hears."""

    def explode(**_: object) -> None:
        raise AssertionError("an event was made")

    monkeypatch.setattr(_events, "Event", explode)
    limited = RateLimited("slow down", retry_after=1.0)
    provider = staged()
    provider.refuse = lambda place: limited if place == 0 else None
    provider.broken = lambda now: limited if now < 50 else None
    await make_songs(provider, 3, None)
    provider.refuse = lambda _: None
    async with Client(provider, on_event=lambda _: None) as client:
        with pytest.raises(AssertionError, match="an event was made"):  # a control
            await client.submit(SONG)
