"""The progress of a run, for the display and for the summary."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import attrs

from .. import Event, GenerationFailed, Outcome, SongRequest, Stage, Task, UdioError
from ._remedies import in_shell
from ._text import one_line, shortened

_STAGES = {
    Stage.QUEUED: "accepted",
    Stage.PROCESSING: "being made",
    Stage.TEXT_READY: "lyrics ready",
    Stage.FIRST_AUDIO: "first audio",
    Stage.COMPLETE: "saving",
    Stage.FAILED: "failed",
}


@attrs.define(eq=False)
class Flight:
    """A request that was accepted and whose songs are not here yet."""

    request: SongRequest | None
    task: Task
    resumed: bool = False
    """Whether it was accepted in an earlier run."""
    since: float = attrs.field(factory=time.monotonic)
    late_until: float = 0.0
    """Until when its file is waited for, as it is not served yet."""

    @property
    def title(self) -> str:
        """The song's title, or what was asked for as long as it has none."""
        made = [song.title for song in self.task.songs if song.title]
        asked = self.request
        words = [asked.title, asked.description, asked.lyrics] if asked else []
        return one_line(next(filter(None, [*made, *words]), self.task.id))

    @property
    def stage(self) -> str:
        """How far it has come, in words."""
        if time.monotonic() < self.late_until:
            return "file is late"
        name = _STAGES[self.task.stage]
        percentage = self.task.percentage
        return name if not percentage or self.task.stage.is_final else f"{name} {percentage:.0f}%"

    @property
    def link(self) -> str:
        """Where it can be listened to while the rest is made; "" if that is nowhere."""
        if self.task.stage is not Stage.FIRST_AUDIO:
            return ""
        links = (song.audio_url for song in self.task.songs)
        return one_line(next(filter(None, links), ""))

    @property
    def age(self) -> float:
        """Seconds since it was accepted."""
        return time.monotonic() - self.since


@attrs.define(eq=False)
class Progress:
    """Counts requests, and keeps accepted ones until they are delivered."""

    total: int
    done: int = 0
    failed: int = 0
    songs: int = 0
    doubts: int = 0
    over_limit: int = 0
    """How many requests the limit of this run leaves to a later one."""
    reasons: Counter[str] = attrs.field(factory=Counter)
    """How often requests failed with which error."""
    again: int = 0
    """How many failures another run may make good."""
    price: float | None = None
    """Credits for one request, where it is known."""
    at_once: int | None = None
    """How many requests may be in the making."""
    left_alone: int = 0
    """How many requests are neither fetched nor submitted: they may have been paid for."""
    unrecorded: int = 0
    """How many lines are missing in the manifest."""
    no_room: str = ""
    """Why the directory takes no more, if it does not."""
    begun: bool = False
    """Whether anything could be submitted."""
    jobs: set[str] = attrs.field(factory=set)
    """What the requests are called in the journal."""
    gone: set[str] = attrs.field(factory=set)
    """Others, that an earlier journal has paid for, and whose songs are to be fetched."""
    told: set[str] = attrs.field(factory=set)
    """Those of both that have an outcome."""
    earlier: int = 0
    """How many requests have none, and were accepted or given up in an earlier run."""
    unheard: int = 0
    """How many requests are in doubt of which no outcome said so: the run was stopped before."""
    is_certain: bool = False
    """Whether for all others that have no outcome, and were not accepted, nothing was taken."""
    _flights: dict[tuple[str, str], Flight] = attrs.field(factory=dict)
    _began: float = attrs.field(factory=time.monotonic)
    _accepted: int = 0
    _took: float = 0.0
    _timed: int = 0
    _note: str = ""
    _note_until: float = 0.0

    @property
    def active(self) -> int:
        """How many requests are in the making."""
        return len(self._flights) - self.saving

    @property
    def saving(self) -> int:
        """How many requests are made and not delivered yet."""
        return sum(flight.task.stage.is_final for flight in self._flights.values())

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def spent(self) -> float | None:
        """Credits that this run has cost, if the price is known."""
        return None if self.price is None else self._accepted * self.price

    @property
    def has_bought(self) -> bool:
        """Whether the provider has accepted a request of this run."""
        return self._accepted > 0

    @property
    def mean(self) -> float | None:
        """Seconds from accepted to delivered, on average."""
        return self._took / self._timed if self._timed else None

    @property
    def left(self) -> float | None:
        """Seconds until all is done, as far as can be told.

        None as long as no request is finished, and once the last ones take longer than those did.
        """
        if self.mean is None:
            return None
        rests = [max(0.0, self.mean - flight.age) for flight in self._flights.values()]
        waiting = self.total - self.done - self.over_limit - len(rests)
        longest = self.mean if waiting > 0 else max(rests, default=0.0)
        at_once = self.at_once or max(1, len(rests))
        return max(longest, (sum(rests) + waiting * self.mean) / at_once) or None

    @property
    def note(self) -> str:
        """Why nothing moves, while a provider has to be left alone."""
        return self._note if time.monotonic() < self._note_until else ""

    def observe(self, event: Event) -> None:
        """Count what a client tells."""
        if event.kind == "retried" and event.wait is not None:
            why = ""
            if isinstance(event.error, UdioError):
                why = shortened(in_shell(str(event.error), type(event.error)))
            self._note = f"{event.provider} is busy or away, trying again" + f": {why}" * bool(why)
            self._note_until = time.monotonic() + event.wait
        elif event.kind == "late" and event.wait is not None:
            self._take_late(event, event.wait)
        elif event.task is not None:
            self._accepted += event.kind == "submitted" and not event.resumed
            flight = self._flights.setdefault(
                (event.provider, event.task.id),
                Flight(event.request, event.task, resumed=event.resumed),
            )
            flight.task = event.task

    def _take_late(self, event: Event, wait: float) -> None:
        """Take in that a song is made and paid for, and its file cannot be had yet."""
        self._note = f"{event.provider} does not serve a finished file yet, waiting for it"
        self._note_until = time.monotonic() + wait
        for task_id in event.task_ids:
            flight = self._flights.get((event.provider, task_id))
            if flight is not None:
                flight.late_until = self._note_until

    def deliver(
        self,
        provider: str,
        task_id: str | None,
        *,
        songs: int,
        ok: bool,
        in_doubt: bool = False,
        job: str = "",
    ) -> None:
        """Count a request whose songs, or whose error, were written; a doubt is not a failure."""
        flight = self._flights.pop((provider, task_id or ""), None)
        if flight is not None and ok and not flight.resumed:
            self._took += flight.age
            self._timed += 1
        self.told.add(job)
        self.done += 1
        self.songs += songs
        self.doubts += in_doubt
        self.failed += not (ok or in_doubt)

    def leave(self, provider: str, outcome: Outcome) -> None:
        """Keep a request as unfinished: its songs are made, and nobody was told where they are."""
        task = Task(
            id=outcome.task_id or "", provider=provider, stage=Stage.COMPLETE, songs=outcome.songs
        )
        flight = Flight(outcome.request, task)
        self._flights.setdefault((provider, task.id), flight).task = task

    @property
    def left_out(self) -> int:
        """How many requests have no outcome, and were neither accepted nor came into doubt."""
        known = self.done + self.over_limit + len(self._flights) + self.unheard + self.earlier
        return self.total - known

    def count_earlier(self, tasks: Mapping[str, str | None]) -> None:
        """Take in jobs that were accepted or given up, with their tasks: perhaps not in this run.

        A stopped run has not come to all that earlier runs have paid for.
        """
        flying = {task_id for _, task_id in self._flights}
        self.earlier = len(self.gone - self.told) + sum(
            job in self.jobs and job not in self.told and task_id not in flying
            for job, task_id in tasks.items()
        )

    def count_unheard(self, in_doubt: int) -> None:
        """Take in how many of the requests are in doubt, now that nothing is on the wire."""
        self.unheard = max(0, in_doubt - self.doubts)
        self.doubts += self.unheard
        self.is_certain = True

    def advice(self, provider: str, task_id: str | None) -> str | None:
        """Return what to do about a task that failed, or None."""
        flight = self._flights.get((provider, task_id or ""))
        failure = flight.task.error if flight is not None else None
        return in_shell(failure.advice, GenerationFailed) or None if failure is not None else None

    def oldest(self, number: int) -> Iterator[Flight]:
        """Return the requests that have been under way for longest."""
        return islice(self._flights.values(), number)

    def unfinished(self) -> Sequence[Flight]:
        """Return the requests that were accepted and not delivered."""
        return tuple(self._flights.values())
