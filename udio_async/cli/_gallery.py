"""`index.html`: the songs of a folder, to see, to search and to play."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Literal

import attrs

from ._advice import NOT_HERE, advise
from ._failures import warn
from ._manifest import Tell, leads_outside, place_of, read_manifest
from ._page import as_link, write_page
from ._record import Record
from ._text import clock

GALLERY = "index.html"
_MOVED_ADVICE = "To play it here, bring it back. A page leads to no file outside its directory."
_CHARGED = {
    "no": "Nothing was charged.",
    "yes": "It was charged.",
    "unknown": "It may have been charged.",
}
_GROUP = 60
"""Cards that the browser lays out together: whole rows of 2, 3, 4, 5 and 6."""
_BARS = 13
_BAR_STEP = 12


@attrs.frozen(kw_only=True)
class Picture:
    """A cover for a song that has none: a waveform in colours of its own."""

    ground: str
    light: str
    bars: str


@attrs.frozen(kw_only=True)
class Card:
    """One song, or one failed request, as the page shows it."""

    title: str
    state: Literal["ready", "failed"]
    provider: str
    model: str | None
    style: str | None
    asked: str | None
    lyrics: str | None
    duration: str | None
    seconds: float
    date: datetime | None
    audio: str | None
    cover: str | None
    picture: Picture
    reason: str | None = None
    advice: str | None = None
    in_doubt: bool = False


def write_gallery(directory: Path, tell: Tell = warn) -> Path:
    """Write the gallery of a folder with a manifest, and return its path.

    Raises:
        BadInput: as `read_manifest` does.
        OSError: it could not be written.
    """
    records = read_manifest(directory, tell)
    takes = Counter((record.provider, record.task_id) for record in records if record.id)
    cards = [
        _make_card(record, directory, takes[record.provider, record.task_id])
        for record in reversed(records)
    ]
    values = {"cards": cards, "totals": _sum_up(cards), "group_size": _GROUP}
    return write_page(directory / GALLERY, "gallery.html", values)


def _make_card(record: Record, directory: Path, takes: int) -> Card:
    audio, cover = (_link(directory, path) for path in (record.path, record.cover))
    reason, advice = _explain(record, audio, directory)
    title = (record.title or "").strip() or (record.asked or "").strip() or "Untitled"
    at = record.timeline.accepted_at if record.timeline else None
    return Card(
        title=_numbered(title, record.index, takes),
        state="failed" if reason else "ready",
        provider=record.provider,
        model=record.model,
        style=record.tags,
        asked=record.asked if record.asked not in (None, title) else None,
        lyrics=(record.lyrics or "").strip() or None,
        duration=clock(record.duration) if record.duration else None,
        seconds=record.duration or 0,
        date=_as_date(at),
        audio=audio,
        cover=cover,
        picture=_draw(str(record.id or record.identity)),
        reason=reason,
        advice=advice,
        in_doubt=record.error is not None and record.error.is_doubt,
    )


def _numbered(title: str, index: int, takes: int) -> str:
    """Return a title that tells the songs of one request apart.

    They mostly have the same title.
    """
    if takes < 2:
        return title
    return f"{title} ({index + 1}\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}{takes})"


def _link(directory: Path, path: str | None) -> str | None:
    """Return the address of a file that is there, or None.

    A page leads to no file outside its folder.
    """
    if path is None:
        return None
    place = place_of(directory, path)
    return as_link(path) if place.is_file() and not leads_outside(directory, place) else None


def _explain(record: Record, audio: str | None, directory: Path) -> tuple[str | None, str | None]:
    """Return why there is nothing to play, and what to do about it."""
    error = record.error
    if error is not None:
        reason = error.message.removesuffix(f" ({error.advice})")  # which is said below
        advice = error.advice or advise(error.type, error.charged)
        advice = f"{advice[0].upper()}{advice[1:].rstrip('.')}."
        return reason, f"{advice} {_CHARGED.get(error.charged, '')}".strip()
    if record.path is not None and audio is None:
        if place_of(directory, record.path).is_symlink():
            return f"The file {record.path} was moved; a link is in its place.", _MOVED_ADVICE
        return f"The file {record.path} is missing.", "Run `udio-async resume` to fetch it again."
    if audio is None:
        return "It was not saved.", NOT_HERE
    return None, None


def _as_date(seconds: float | None) -> datetime | None:
    """Return local time, or None for a moment that no calendar has."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _draw(seed: str) -> Picture:
    digest = hashlib.sha256(seed.encode()).digest()
    hue = digest[0] * 360 // 256
    # Higher in the middle, so that it looks like sound.
    heights = (
        6 + digest[number + 1] * (number + 2) * (_BARS - number + 1) // 500
        for number in range(_BARS)
    )
    bars = "".join(
        f"M{28 + number * _BAR_STEP} {100 - height}v{2 * height}"
        for number, height in enumerate(heights)
    )
    return Picture(
        ground=f"hsl({hue} 42% 30%)", light=f"hsl({(hue + 40) % 360} 80% 76%)", bars=bars
    )


def _sum_up(cards: Iterable[Card]) -> dict[str, object]:
    cards = list(cards)
    ready = [card for card in cards if card.state == "ready"]
    in_doubt = sum(card.in_doubt for card in cards)
    return {
        "ready": len(ready),
        "in_doubt": in_doubt,
        "failed": len(cards) - len(ready) - in_doubt,
        "length": _spoken(sum(card.seconds for card in ready)),
        "providers": sorted({card.provider for card in cards}),
    }


def _spoken(seconds: float) -> str:
    hours, minutes = divmod(max(1, round(seconds / 60)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
