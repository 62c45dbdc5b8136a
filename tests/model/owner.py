"""The owner of a program: what he wants, what he has, and what he finds wrong by the ledger."""

from collections.abc import Iterable
from pathlib import Path
from random import Random

import attrs

from tests.model.world import World
from udio_async import Song, SongRequest, Stage, UdioError
from udio_async._download.names import file_name


@attrs.define(eq=False)
class Wish:
    """A song that somebody wants."""

    prompt: str
    key: str | None
    batch: bool = False
    """Whether it is only asked for in batches, which name it by its words."""
    allowed: int = 1
    """How often it may be charged."""
    ends: list[str] = attrs.field(factory=list)
    """How each call for it ended: what its error says of money, "songs", or "unknown"."""
    kept: bool = False
    """Whether it was kept for later: then any batch of the client asks for the same job."""
    taken_back: list[float] = attrs.field(factory=list)
    """When its owner took it back."""
    kept_at: list[float] = attrs.field(factory=list)
    """When it was kept for later: after that a `resume` that runs already may ask for it."""
    calls: int = 0
    denied: bool = False
    """Its owner has said, without looking, that it was not taken: he is believed."""
    spans: list[tuple[float, float]] = attrs.field(factory=list)
    """When it may have left: while somebody asked for it."""
    had: set[str] = attrs.field(factory=set)
    """The ids of the songs that somebody was given."""

    @property
    def request(self) -> SongRequest:
        return SongRequest(description=self.prompt, key=self.key)

    def is_back(self, at: float, until: float) -> bool:
        """Whether it was taken back at that moment, and not kept again until then."""
        return at < until and not any(at <= kept <= until for kept in self.kept_at)


@attrs.define(eq=False)
class Owner:
    """What the owner of a program wants, has, and finds wrong."""

    world: World
    folder: Path
    durable: bool
    wishes: dict[str, Wish] = attrs.field(factory=dict)
    anywhere: list[tuple[float, float]] = attrs.field(factory=list)
    """When anything that is kept may have left: while somebody resumed."""
    kept: set[str] = attrs.field(factory=set)
    """The ids of songs whose links he has kept, and has said so."""
    wrong: list[str] = attrs.field(factory=list)

    def new(self, random: Random) -> Wish:
        prompt = f"wish {len(self.wishes)}"
        kind = random.choice(["keyed", "keyed", "fresh", "batch"])
        wish = Wish(prompt, f"key {len(self.wishes)}" if kind == "keyed" else None, kind == "batch")
        self.wishes[prompt] = wish
        return wish

    def batch_of(self, count: int) -> list[Wish]:
        """The wishes of one large batch: the same each time."""
        for place in range(count):
            prompt = f"song {place}"
            if prompt not in self.wishes:
                self.wishes[prompt] = Wish(prompt, None, batch=True)
        return [self.wishes[f"song {place}"] for place in range(count)]

    def wrongly(self, text: str) -> None:
        self.wrong.append(text)
        self.world.note(f"WRONG: {text}")

    def check(self, wish: Wish, error: UdioError) -> None:
        """Compare what an error says of money with the ledger."""
        wish.ends.append(error.charged)
        self.world.note(f"{wish.prompt}: {type(error).__name__}, charged {error.charged}: {error}")
        charges = len(self.world.charges(wish.prompt))
        if error.charged == "no" and wish.calls == 1 and charges and not wish.denied:
            self.wrongly(f"{wish.prompt} is charged, and {error!r} says no")
        if error.charged == "yes" and not charges:
            self.wrongly(f"{wish.prompt} is not charged, and {error!r} says yes")

    def have(self, wish: Wish, songs: Iterable[Song]) -> None:
        ids = {song.id for song in songs}
        wish.ends.append("songs")
        self.world.note(f"{wish.prompt}: has {sorted(ids)}")
        if wish.had and wish.allowed == 1 and not ids & wish.had:
            self.wrongly(f"{wish.prompt} has other songs than before: {ids}, {wish.had}")
        wish.had |= ids

    def has(self, task_id: str, name: str) -> bool:
        """Whether a song is in its owner's hands: on disk, or given to him for good."""
        song = Song(
            id=name,
            task_id=task_id,
            provider=self.world.provider.name,
            index=0,
            stage=Stage.COMPLETE,
            title="Rain",
        )
        for known in (song, attrs.evolve(song, task_id="")):  # of a callback that named no task
            if (self.folder / file_name(known)).exists():
                return True
        had = any(name in wish.had for wish in self.wishes.values())
        return name in self.kept or (not self.durable and had)

    def allow_resubmits(self) -> None:
        """Allow one more charge for what was asked for, and is not proved to be taken."""
        for wish in self.wishes.values():
            if not any(order.acknowledged for order in self.world.charges(wish.prompt)):
                wish.allowed += 1

    def judge(self) -> None:
        """Say at the end what does not hold."""
        for wish in self.wishes.values():
            orders = self.world.charges(wish.prompt)
            if len(orders) > wish.allowed:
                self.wrongly(f"{wish.prompt} is paid {len(orders)} times, {wish.allowed} wanted")
            if orders and wish.ends and set(wish.ends) == {"no"} and not wish.denied:
                self.wrongly(f"{wish.prompt} is charged, and every call said no")
            for left in self.world.left.get(wish.prompt, []):
                since = max((at for at in wish.taken_back if wish.is_back(at, left)), default=0.0)
                asked = [span for span in [*wish.spans, *self.anywhere] if span[0] >= since]
                if not any(a <= left <= b for a, b in asked):
                    self.wrongly(f"{wish.prompt} left at {left:.2f}, when nobody asked for it")
        for order in self.world.orders.values():
            lost = [name for name in order.made if not self.has(order.task_id, name)]
            if lost:
                self.wrongly(f"{order.prompt} is paid for as {order.task_id}, and lost: {lost}")
