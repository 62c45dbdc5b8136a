"""`report.html`: where the time of each song went."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import ceil, floor, log10
from operator import attrgetter
from pathlib import Path

import attrs

from ._manifest import read_manifest
from ._page import write_page
from ._record import Failure, Record, Timeline
from ._text import clock

REPORT = "report.html"
ALL_SHOWN = 500
SLOWEST_SHOWN = 200
_WAITS = {
    "queued": "its turn (limit of requests at once)",
    "text": "title and lyrics",
    "first": "the first audio",
    "complete": "the final audio",
    "saved": "the file on disk",
}
"""What a song waits for until it reaches a stage, in the order of the stages."""
_STAGES = ("text", "first", "complete", "saved")
_TICKS = 5


@attrs.frozen(kw_only=True)
class Segment:
    """A part of a song's bar.

    Lengths are shares of the widest bar, in percent.
    """

    stage: str
    seconds: float
    start: float
    width: float


@attrs.frozen(kw_only=True)
class Row:
    """One song and its bar."""

    title: str
    provider: str
    total: float  # seconds
    timeline: Timeline
    segments: Sequence[Segment]
    late: Segment | None
    """The part of the bar in which it may have been finished already."""
    longest: str
    """What took most of the time."""


@attrs.frozen(kw_only=True)
class Tick:
    """A mark on the scale."""

    label: str
    place: float  # percent


@attrs.frozen(kw_only=True)
class Figure:
    """One number of the summary."""

    name: str
    value: str
    note: str = ""


def write_report(directory: Path) -> Path:
    """Write the report of a folder with a manifest, and return its path.

    Raises:
        BadInput: as `read_manifest` does.
        OSError: it could not be written.
    """
    records = read_manifest(directory)
    timed = [record for record in records if record.id and _parts(record.timeline)]
    timed.sort(key=_total, reverse=True)
    shown = timed if len(timed) <= ALL_SHOWN else timed[:SLOWEST_SHOWN]
    scale = max(map(_total, shown), default=0)
    values: dict[str, object] = {
        "rows": [_make_row(record, scale) for record in shown],
        "ticks": _ticks(scale),
        "timed": len(timed),
        "untimed": sum(record.id is not None for record in records) - len(timed),
        "figures": _sum_up(records),
        "reasons": Counter(map(attrgetter("type"), _failures(records))).most_common(),
        "waits": _WAITS,
        "seconds": _seconds,
    }
    return write_page(directory / REPORT, "report.html", values)


def _parts(timeline: Timeline | None) -> list[tuple[str, float]]:
    """Return the stages with the seconds that each took, oldest first.

    A stage that was not seen belongs to the next one that was.
    """
    if timeline is None:
        return []
    times = [(stage, getattr(timeline, stage)) for stage in _STAGES]
    # A clock that was set back makes a time negative, and no bar can show that.
    seen = [("", 0.0), *((stage, max(time, 0.0)) for stage, time in times if time is not None)]
    parts = [(stage, max(time - before, 0.0)) for (_, before), (stage, time) in pairwise(seen)]
    if timeline.queued:
        parts.insert(0, ("queued", max(timeline.queued, 0.0)))
    return parts


def _total(record: Record) -> float:
    return sum(seconds for _, seconds in _parts(record.timeline))


def _make_row(record: Record, scale: float) -> Row:
    assert record.timeline is not None
    parts = _parts(record.timeline)
    segments, start = [], 0.0
    for stage, seconds in parts:
        segments.append(_segment(stage, seconds, start, scale))
        start += seconds
    longest = max(parts, key=lambda part: part[1])[0]
    return Row(
        title=record.title or record.asked or "Untitled",
        provider=record.provider,
        total=start,
        timeline=record.timeline,
        segments=segments,
        late=_late(record.timeline, scale),
        longest=_WAITS[longest],
    )


def _segment(stage: str, seconds: float, start: float, scale: float) -> Segment:
    return Segment(
        stage=stage,
        seconds=seconds,
        start=round(100 * start / (scale or 1), 3),
        width=round(100 * seconds / (scale or 1), 3),
    )


def _late(timeline: Timeline, scale: float) -> Segment | None:
    """Return the part of a bar in which the song may have been finished already."""
    if timeline.complete is None or not timeline.noticed_within:
        return None
    seconds = min(max(timeline.noticed_within, 0.0), max(timeline.complete, 0.0))
    end = max(timeline.queued or 0.0, 0.0) + max(timeline.complete, 0.0)
    return _segment("late", seconds, end - seconds, scale)


def _ticks(scale: float) -> list[Tick]:
    if scale <= 0:
        return []
    rough = scale / _TICKS
    magnitude = 10.0 ** floor(log10(rough))
    step = next(size * magnitude for size in (1, 2, 5, 10) if size * magnitude >= rough)
    return [
        Tick(label=_seconds(number * step), place=round(100 * number * step / scale, 3))
        for number in range(floor(scale / step) + 1)
    ]


def _sum_up(records: Sequence[Record]) -> list[Figure]:
    songs = [record for record in records if record.id and not record.error]
    return [*_counts(records, songs), *_times(songs), *_looks(records)]


def _counts(records: Sequence[Record], songs: Sequence[Record]) -> Iterator[Figure]:
    yield Figure(name="Songs", value=str(len(songs)))
    yield Figure(name="Failed", value=str(len(_failures(records))))
    if in_doubt := sum(record.error is not None and record.error.is_doubt for record in records):
        yield Figure(name="In doubt", value=str(in_doubt))


def _times(songs: Sequence[Record]) -> Iterator[Figure]:
    timelines = [record.timeline for record in songs if record.timeline]
    complete = [line.complete for line in timelines if line.complete is not None]
    late = [line.noticed_within for line in timelines if line.noticed_within is not None]
    if complete:
        for share, name in ((0.5, "median"), (0.95, "95th percentile")):
            value = _seconds(_quantile(complete, share))
            yield Figure(name=f"Time to complete, {name}", value=value)
    if late:
        yield Figure(
            name="Noticed within",
            value=_seconds(_quantile(late, 0.5)),
            note=f"95th percentile {_seconds(_quantile(late, 0.95))}, most {_seconds(max(late))}",
        )


def _looks(records: Sequence[Record]) -> Iterator[Figure]:
    looks = {
        (record.provider, record.task_id): record.timeline.looks
        for record in records
        if record.timeline and record.timeline.looks is not None
    }
    if looks:
        total = sum(looks.values())
        yield Figure(name="Looks per request", value=f"{total / len(looks):.1f}")
        yield Figure(
            name="Status requests sent",
            value=str(total),
            note="or fewer: one may ask about several songs",
        )


def _failures(records: Iterable[Record]) -> list[Failure]:
    errors = (record.error for record in records)
    return [error for error in errors if error is not None and not error.is_doubt]


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds >= 99.5:
        return clock(seconds)
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
