"""`report.html`: its figures, its bars, and how it looks to a browser."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.browser import CHROMIUM, Page, open_browser
from udio_async.cli._advice import LET_GO
from udio_async.cli._manifest import MANIFEST
from udio_async.cli._report import ALL_SHOWN, SLOWEST_SHOWN, write_report

from .conftest import Ended

SONG: dict[str, Any] = {"provider": "udioapi-v2", "task_id": "t1", "id": "s1", "index": 0}
TIMELINE = {
    "accepted_at": 1_795_235_000.0,
    "queued": 10.0,
    "text": 20.0,
    "first": 50.0,
    "complete": 90.0,
    "saved": 92.0,
    "looks": 6,
    "noticed_within": 4.0,
}
FAILED: dict[str, Any] = {
    "provider": "apiframe",
    "task_id": "t9",
    "error": {"type": "ModerationFailed", "message": "a forbidden word", "charged": "no"},
}
HOSTILE = "</title></style><script>alert(1)</script>\"><img src=x onerror='alert(2)'>"


def song(number: int, **times: object) -> dict[str, Any]:
    """A song of a task of its own."""
    name = f"s{number}"
    timeline = {**TIMELINE, **times}
    return {**SONG, "task_id": name, "id": name, "title": name, "timeline": timeline}


def write(directory: Path, *lines: dict[str, Any]) -> str:
    """Write a manifest and return the report of it."""
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (directory / MANIFEST).write_text(text, encoding="utf-8")
    return write_report(directory).read_text(encoding="utf-8")


def figures(text: str) -> dict[str, str]:
    return dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", text))


def bars(text: str) -> list[list[tuple[str, float, float]]]:
    """Each bar as (stage, start, width) in percent."""
    part = r'<rect class="(\w+)" x="([\d.]+)%"(?: y="16")? width="([\d.]+)%"'
    return [
        [(stage, float(start), float(width)) for stage, start, width in re.findall(part, bar)]
        for bar in re.findall(r'<svg class="bar".*?</svg>', text, re.DOTALL)
    ]


def test_the_summary_is_of_all_songs(call_cli: Callable[..., Ended], tmp_path: Path) -> None:
    """Percentiles are by rank; the looks at a task count once, however many its songs."""
    songs = [song(number, complete=number, noticed_within=number / 10) for number in range(1, 21)]
    twin = {**songs[0], "id": "twin"}
    write(tmp_path, *songs, twin, FAILED)
    assert call_cli("report", tmp_path).code == 0
    text = (tmp_path / "report.html").read_text()
    assert figures(text) == {
        "Songs": "21",
        "Failed": "1",
        "Time to complete, median": "10 s",
        "Time to complete, 95th percentile": "19 s",
        "Noticed within": "1 s",
        "Looks per request": "6.0",
        "Status requests sent": "120",
    }
    assert "1 ModerationFailed" in text


def test_a_doubt_is_no_failure(tmp_path: Path) -> None:
    """It may be a song yet; one that was let go is none."""
    error = {"type": "SubmitInDoubt", "message": "no answer"}
    doubt = {**FAILED, "task_id": None, "key": "a", "error": error}
    gone = {**doubt, "key": "b", "error": {**error, "advice": LET_GO}}
    text = write(tmp_path, song(1), doubt, gone)
    assert figures(text)["In doubt"] == "1"
    assert figures(text)["Failed"] == "1"
    assert "<span>1 SubmitInDoubt</span>" in text


def test_a_bar_is_what_was_waited_for(tmp_path: Path) -> None:
    """The parts stand side by side and fill the widest bar; the doubt about the end lies in it."""
    (bar,) = bars(write(tmp_path, song(1)))
    total = 102
    shares = [("queued", 0, 10), ("text", 10, 20), ("first", 30, 30), ("complete", 60, 40)]
    shares += [("saved", 100, 2), ("late", 96, 4)]
    for (stage, start, width), (name, at, seconds) in zip(bar, shares, strict=True):
        assert stage == name
        assert start == pytest.approx(100 * at / total, abs=0.01)
        assert width == pytest.approx(100 * seconds / total, abs=0.01)


def test_a_stage_that_was_not_seen_belongs_to_the_next(tmp_path: Path) -> None:
    (bar,) = bars(write(tmp_path, song(1, queued=None, text=None, saved=None, noticed_within=None)))
    assert [stage for stage, _, _ in bar] == ["first", "complete"]
    assert sum(width for _, _, width in bar) == pytest.approx(100, abs=0.01)


def test_the_table_says_the_same(tmp_path: Path) -> None:
    """For those who cannot see the picture."""
    text = write(tmp_path, song(1, first=None))
    assert re.findall("<td>(.*?)</td>", text) == ["10.0", "20.0", "-", "90.0", "92.0", "6", "4.0"]


def test_many_songs_are_cut_down_to_the_slowest(tmp_path: Path) -> None:
    """And the page says so; up to the limit all are shown."""
    songs = [song(number, complete=100 + number, saved=None) for number in range(ALL_SHOWN + 1)]
    text = write(tmp_path, *songs)
    assert len(bars(text)) == SLOWEST_SHOWN
    assert f"The slowest {SLOWEST_SHOWN} of {ALL_SHOWN + 1} songs" in text
    assert f">s{ALL_SHOWN}<" in text
    assert ">s0<" not in text
    assert figures(text)["Songs"] == str(ALL_SHOWN + 1)
    assert len(bars(write(tmp_path, *songs[1:]))) == ALL_SHOWN


@pytest.mark.parametrize(
    "times",
    [
        dict.fromkeys(TIMELINE, 0),
        dict.fromkeys(TIMELINE, -5),
        {"text": 60, "first": 30},
        {"noticed_within": 1e9},
        {"complete": 1e300, "saved": 1e300},
        {"complete": 1e-300, "text": 0, "first": 0, "saved": 0, "queued": 0},
    ],
)
def test_strange_times_do_no_harm(times: dict[str, Any], tmp_path: Path) -> None:
    """A clock that was set back, a stage seen late: no bar leaves the picture."""
    shown = bars(write(tmp_path, song(1, **times), song(2)))
    assert shown
    for bar in shown:
        assert all(start >= 0 and start + width <= 100.01 for _, start, width in bar)


def test_songs_without_a_timeline_are_counted_and_left_out(tmp_path: Path) -> None:
    """They come from an earlier run, which nobody watched."""
    text = write(tmp_path, SONG, song(2))
    assert len(bars(text)) == 1
    assert "1 without a timeline" in text
    assert "No song has a timeline" in write(tmp_path, SONG)


@pytest.fixture
def page() -> Iterator[Page]:
    with open_browser() as opened:
        yield opened


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")
def test_hostile_titles_do_nothing(page: Page, tmp_path: Path) -> None:
    """The policy allows the page's own style and stops nothing, as there is nothing to stop."""
    hostile = {**song(1), "title": HOSTILE, "provider": HOSTILE}
    failed = {**FAILED, "error": dict.fromkeys(("type", "message"), HOSTILE)}
    write(tmp_path, hostile, song(2), failed)
    page.open((tmp_path / "report.html").as_uri())
    assert page.trouble == []
    assert page.run("document.querySelectorAll('script, img').length") == 0
    assert page.run("document.querySelector('.name span').textContent") == HOSTILE
    width = "getComputedStyle(document.querySelector('.bar')).borderRadius"
    assert page.run(width) == "5px"  # so the style sheet was let in
