"""The state behind the three services: tasks, songs, credits. It knows no HTTP."""

import enum
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence

import attrs

from ._audio import compose
from ._faults import BROKEN_LOOKS, BROKEN_LOOKS_PER_TASK, MESSAGE, Fault, FaultPlan
from ._words import INSTRUMENTAL, make_lyrics, make_style, make_title

COSTS = {"udioapi-v1": 10.0, "udioapi-v2": 10.0, "apiframe": 9.0}
"""Credits for one request, that is for two songs."""
SONGS_PER_TASK = 2
TYPICAL_SECONDS, SPREAD = 60.0, 0.3  # of the log-normal time that a task takes

JsonObject = Mapping[str, object]


class Phase(enum.IntEnum):
    """How far a task has come."""

    QUEUED = 0
    STARTED = 1
    TEXT = 2
    FIRST = 3
    COMPLETE = 4
    FAILED = 5


_STARTS = {Phase.STARTED: 0.05, Phase.TEXT: 0.25, Phase.FIRST: 0.7, Phase.COMPLETE: 1.0}
"""The share of its time after which a task enters a phase."""


@attrs.frozen(kw_only=True)
class Charge:
    """One submit that was accepted, and what it cost."""

    provider: str
    task_id: str
    credits: float
    prompt: str
    request: JsonObject
    """The body as it was sent, without `token`."""
    at: float
    """Unix time."""
    key_ok: bool
    """Whether each key that was sent, in the header and in the body, was the right one."""


@attrs.frozen(kw_only=True)
class Order:
    """A submit in words that all three services share."""

    provider: str
    prompt: str
    request: JsonObject
    model: str
    title: str = ""
    lyrics: str = ""
    style: str = ""
    instrumental: bool = False
    key_ok: bool = True


@attrs.frozen(kw_only=True)
class MadeSong:
    """One of the songs that a task makes."""

    id: str
    title: str
    lyrics: str
    style: str

    @property
    def duration(self) -> float:
        """Seconds that its file lasts."""
        return compose(self.id).duration


@attrs.define(kw_only=True)
class MadeTask:
    """A song request that was accepted, and where it stands by the clock."""

    id: str
    order: Order
    songs: Sequence[MadeSong]
    born: float
    """When it was accepted, on the world's clock."""
    created_at: float
    """The same as Unix time."""
    length: float
    """Seconds on the world's clock until it is complete."""
    fault: str = ""
    _looks: int = attrs.field(default=0, init=False)

    def progress(self, now: float) -> float:
        """Return the share that is done, 0 to 1."""
        done = min((now - self.born) / self.length, 1.0)
        return min(done, 0.99) if self.fault == "stuck" else done

    def phase(self, now: float) -> Phase:
        """Return the phase that it is in."""
        done = self.progress(now)
        if done >= self._fails_after():
            return Phase.FAILED
        return max(
            (phase for phase, start in _STARTS.items() if done >= start), default=Phase.QUEUED
        )

    def enters_after(self, phase: Phase) -> float | None:
        """Return the seconds after which it enters a phase; None if it never does."""
        fails = self._fails_after()
        share = fails if phase is Phase.FAILED else _STARTS[phase]
        if share > self.progress(float("inf")) or (share >= fails and phase is not Phase.FAILED):
            return None
        return share * self.length

    def reached_at(self, phase: Phase) -> float:
        """Return the Unix time at which it entered a phase."""
        share = self._fails_after() if phase is Phase.FAILED else _STARTS.get(phase, 0.0)
        return self.created_at + share * self.length

    def is_lost(self, song: MadeSong) -> bool:
        """Whether this song fails although its task does not."""
        return self.fault == "one_song" and song is self.songs[-1]

    def breaks_this_look(self) -> bool:
        """Count a look at the task; whether that look fails."""
        self._looks += 1
        return self.fault in BROKEN_LOOKS and self._looks <= BROKEN_LOOKS_PER_TASK

    def _fails_after(self) -> float:
        if self.fault == "moderation":  # the lyrics are reviewed before any audio is made
            return _STARTS[Phase.TEXT]
        if self.fault == "upstream" or self.fault.startswith(MESSAGE):
            return _STARTS[Phase.FIRST]
        return float("inf")


class OutOfCreditsError(Exception):
    """The account cannot pay for the request."""


@attrs.define(kw_only=True)
class World:
    """Everything that the sandbox remembers.

    One thread changes it, the server's. `ledger` may be read from any.
    """

    speed: float = 60.0
    seed: int = 0
    credits: float = 1000.0
    api_key: str = "sandbox"
    faults: Sequence[Fault] = ()
    clock: Callable[[], float] = time.monotonic
    used_credits: float = attrs.field(default=0.0, init=False)
    plan: FaultPlan = attrs.field(init=False)
    _tasks: dict[str, MadeTask] = attrs.field(factory=dict, init=False)
    _by_song: dict[str, MadeTask] = attrs.field(factory=dict, init=False)
    _charges: list[Charge] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.plan = FaultPlan(tuple(self.faults))

    @property
    def ledger(self) -> tuple[Charge, ...]:
        """What was charged so far, oldest first."""
        return tuple(self._charges)

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
        self._charges.append(
            Charge(
                provider=order.provider,
                task_id=task.id,
                credits=cost,
                prompt=order.prompt,
                request=order.request,
                at=task.created_at,
                key_ok=order.key_ok,
            )
        )
        return task

    def find(self, task_id: str, provider: str) -> MadeTask | None:
        """Look up a task by its id; each service knows only its own."""
        task = self._tasks.get(task_id)
        return task if task is not None and task.order.provider == provider else None

    def find_by_song(self, song_id: str) -> MadeTask | None:
        """Look up a task by the id of one of its songs."""
        return self._by_song.get(song_id)

    def _make_task(self, order: Order, fault: str) -> MadeTask:
        # Seeded by its number, so that the same submits in the same order take the same time.
        dice = random.Random(f"{self.seed}/{len(self._charges)}")  # noqa: S311 - to repeat runs
        return MadeTask(
            id=_make_task_id(dice, order.provider),
            order=order,
            songs=tuple(_make_song(dice, order) for _ in range(SONGS_PER_TASK)),
            born=self.clock(),
            created_at=time.time(),
            length=TYPICAL_SECONDS * dice.lognormvariate(0.0, SPREAD) / self.speed,
            fault=fault,
        )


def _make_task_id(dice: random.Random, provider: str) -> str:
    if provider == "apiframe":
        return _make_uuid(dice)
    return f"gen2{dice.getrandbits(96):024x}bksv"  # the shape of udioapi's own samples


def _make_song(dice: random.Random, order: Order) -> MadeSong:
    lyrics = order.lyrics or make_lyrics(dice)
    return MadeSong(
        id=_make_uuid(dice),
        title=order.title or make_title(dice),
        lyrics=INSTRUMENTAL if order.instrumental else lyrics,
        style=order.style or make_style(dice),
    )


def _make_uuid(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))
