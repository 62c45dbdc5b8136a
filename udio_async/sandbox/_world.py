"""The state behind the three services: the account and its tasks.

There is no HTTP here. Time comes from a clock that can be replaced, and chance from a seed: the
same submits in the same order take the same time.
"""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import attrs

from ._faults import Fault, FaultPlan
from ._kinds import kind_of
from ._sounds import OTHER_ENDINGS
from ._tasks import STARTS, MadeSong, MadeTask, Order, Phase
from ._words import INSTRUMENTAL, make_lyrics, make_style, make_title

COSTS = {"udioapi-v1": 10.0, "udioapi-v2": 10.0, "apiframe": 9.0}
"""Credits for one request, that is for two songs."""
CREDITS = 100_000.0
"""What an account holds at the start, unless told otherwise."""
SONGS_PER_TASK = 2
TYPICAL_SECONDS, SPREAD = 60.0, 0.3  # of the log-normal time that a task takes
_LATE = (30.0, 150.0)
"""Seconds, at least and at most, for which real services were late with the file of a song."""


class OutOfCreditsError(Exception):
    """The account cannot pay for the request."""


@attrs.define(kw_only=True)
class World:
    """Everything that the services remember.

    Only the server's thread changes it; others may read.
    """

    speed: float = 60.0
    seed: int = 0
    credits: float = CREDITS
    api_key: str = "sandbox"
    at_once: int | None = None
    """Requests that the account may have in the making at once; None is without end."""
    faults: Sequence[Fault] = ()
    clock: Callable[[], float] = time.monotonic
    used_credits: float = attrs.field(default=0.0, init=False)
    plan: FaultPlan = attrs.field(init=False)
    _tasks: dict[str, MadeTask] = attrs.field(factory=dict, init=False)
    _by_song: dict[str, MadeTask] = attrs.field(factory=dict, init=False)
    _running: list[MadeTask] = attrs.field(factory=list, init=False)
    _troubled: Counter[str] = attrs.field(factory=Counter, init=False)
    """How many tasks have had a fault, by its kind."""

    def __attrs_post_init__(self) -> None:
        self.plan = FaultPlan(tuple(self.faults))

    def is_busy(self) -> bool:
        """Return whether as much is being made as the account allows."""
        if self.at_once is None:
            return False
        now = self.clock()
        self._running = [task for task in self._running if not task.is_over(now)]
        return len(self._running) >= self.at_once

    def accept(self, order: Order, fault: str = "") -> MadeTask:
        """Charge for an order and start on it.

        Raises:
            OutOfCreditsError: nothing was charged.
        """
        cost = COSTS[order.provider]
        if cost > self.credits:
            raise OutOfCreditsError
        task = self._make_task(order, fault)
        self.credits -= cost
        self.used_credits += cost
        self._tasks[task.id] = task
        self._by_song.update((song.id, task) for song in task.songs)
        if self.at_once is not None:
            self._running.append(task)
        return task

    def find(self, task_id: str, provider: str) -> MadeTask | None:
        """Return a task by its id, or None; each service knows only its own."""
        task = self._tasks.get(task_id)
        return task if task is not None and task.order.provider == provider else None

    def find_song(self, song_id: str) -> tuple[MadeTask, MadeSong] | None:
        """Return a song by its id, with its task, or None."""
        task = self._by_song.get(song_id)
        if task is None:
            return None
        return task, next(song for song in task.songs if song.id == song_id)

    def _make_task(self, order: Order, fault: str) -> MadeTask:
        """Make a task whose time and songs follow from the seed and its number."""
        # Seeded by its number, so that the same submits in the same order take the same time.
        dice = random.Random(f"{self.seed}/{len(self._tasks)}")  # noqa: S311 - to repeat runs
        task_id = _make_task_id(dice, order.provider)
        songs = [_make_song(dice, order) for _ in range(SONGS_PER_TASK)]
        length = TYPICAL_SECONDS * dice.lognormvariate(0.0, SPREAD) / self.speed
        kind = kind_of(fault)
        first = SONGS_PER_TASK * self._troubled[kind]
        self._troubled[kind] += 1
        return MadeTask(
            id=task_id,
            order=order,
            songs=tuple(self._with_fault(song, i, kind) for i, song in enumerate(songs, first)),
            born=self.clock(),
            created_at=time.time(),
            length=length,
            starts=_draw_starts(dice),
            fault=fault,
        )

    def _with_fault(self, song: MadeSong, number: int, kind: str) -> MadeSong:
        """Return a song with its number among those of its fault, and its file."""
        song = attrs.evolve(song, number=number)
        if kind == "container":
            return attrs.evolve(song, ending=OTHER_ENDINGS[number % len(OTHER_ENDINGS)])
        if kind == "cdn_late":
            dice = random.Random(f"late {song.id}")  # noqa: S311 - to repeat runs
            return attrs.evolve(song, late=dice.uniform(*_LATE) / self.speed)
        return song


def _draw_starts(dice: random.Random) -> Mapping[Phase, float]:
    """Let the text come early or late in the time of a task, and the first audio as well."""
    text, first = dice.uniform(0.18, 0.32), dice.uniform(0.42, 0.62)
    return {**STARTS, Phase.TEXT: text, Phase.FIRST: first}


def _make_task_id(dice: random.Random, provider: str) -> str:
    if provider == "apiframe":
        return _make_uuid(dice)
    return f"gen2{dice.getrandbits(96):024x}bksv"  # the shape of udioapi's own samples


def _make_song(dice: random.Random, order: Order) -> MadeSong:
    """Make up what the order leaves open."""
    lyrics = order.lyrics or make_lyrics(dice)
    return MadeSong(
        id=_make_uuid(dice),
        title=order.title or make_title(dice),
        lyrics=INSTRUMENTAL if order.instrumental else lyrics,
        style=order.style or make_style(dice),
    )


def _make_uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))
