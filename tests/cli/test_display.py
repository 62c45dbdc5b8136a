"""What a terminal shows while songs are made.

`python -m tests.cli.test_display` draws the README's picture of it again.
"""

import io
import re
import time
from pathlib import Path

import attrs
import pytest
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from udio_async import Event, Failure, Song, SongRequest, Stage, Task
from udio_async.cli._display import LiveDisplay
from udio_async.cli._progress import Progress

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "stages.svg"
STREAM = "https://audiopipe.suno.ai/?item_id=7752c889-3601-4e55-b805-54a28a53de85"

SONGS = (  # what was asked for, the stage, the song's own title, and its age in seconds
    ("A waltz for two robots who have just met", Stage.COMPLETE, "Copper Hearts", 97),
    ("A sea shanty about a submarine with a leak", Stage.FIRST_AUDIO, "Down Where It Drips", 61),
    ("Lo-fi beats for a night train", Stage.TEXT_READY, "Platform Nine, 3 a.m.", 34),
    ("Funk for a kitchen at midnight", Stage.PROCESSING, None, 15),
    ("Country song about a lost umbrella", Stage.QUEUED, None, 4),
)


def progress_of(songs: tuple[tuple[str, Stage, str | None, float], ...], link: str) -> Progress:
    """A run in which these songs have been accepted so long ago, and come so far."""
    progress = Progress(8, at_once=5)
    progress._began -= 104
    progress.done, progress.songs = 3, 6
    for place, (asked, stage, title, age) in enumerate(songs):
        task = Task(id=f"task-{place}", provider="udioapi-v2", stage=Stage.QUEUED)
        request = SongRequest(description=asked)
        progress.observe(Event(kind="submitted", provider="udioapi-v2", task=task, request=request))
        song = Song(
            id="1",
            task_id=task.id,
            provider="udioapi-v2",
            index=0,
            stage=stage,
            title=title,
            audio_url=link if stage in {Stage.FIRST_AUDIO, Stage.COMPLETE} else None,
        )
        task = attrs.evolve(task, stage=stage, songs=(song,) if title else ())
        progress.observe(Event(kind="advanced", provider="udioapi-v2", task=task))
        progress.unfinished()[-1].since = time.monotonic() - age
    return progress


def drawn(link: str = STREAM, *, width: int = 80, height: int = 24) -> Console:
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True
    )
    display = LiveDisplay(progress_of(SONGS, link))
    display._console = console
    console.print(display._render())
    return console


def lines_of(console: Console) -> list[str]:
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_each_song_is_shown_with_its_stage_its_title_and_its_age() -> None:
    """What was asked for stands for a title that is not there yet."""
    lines = lines_of(drawn())
    shown = [" ".join(line.split()) for line in lines if line.startswith("udioapi-v2")]
    assert shown == [
        "udioapi-v2 Copper Hearts saving 1:37",
        "udioapi-v2 Down Where It Drips first audio 1:01",
        "udioapi-v2 Platform Nine, 3 a.m. lyrics ready 0:34",
        "udioapi-v2 Funk for a kitchen at midnight being made 0:15",
        "udioapi-v2 Country song about a lost umbrella accepted 0:04",
    ]


def test_a_first_audio_has_its_whole_link_below_it() -> None:
    """To be opened by a click, or copied; what is complete is about to be a file."""
    console = drawn()
    lines = lines_of(drawn())
    below = next(place for place, line in enumerate(lines) if "Down Where" in line) + 1
    assert lines[below].strip() == STREAM
    assert sum("https" in line for line in lines) == 1
    assert STREAM in console.export_html()


@pytest.mark.parametrize("link", ["x" * 500, "https://x.example/\x1b[2J\r\n" + "y" * 40])
def test_no_link_takes_the_terminal_over(link: str) -> None:
    """One that is too long is left out, and no control character comes through."""
    console = drawn(link, height=14)
    text = console.export_text()
    assert "\x1b[2J" not in text
    assert "\r" not in text
    assert len(text.splitlines()) <= 13


def test_a_small_terminal_has_the_songs_first() -> None:
    """Where there are not enough lines, the links go before the songs do."""
    lines = lines_of(drawn(height=11))
    assert sum(line.startswith("udioapi-v2") for line in lines) == 5
    assert not any("https" in line for line in lines)


def test_a_failed_song_has_no_link() -> None:
    progress = progress_of(SONGS[:1], STREAM)
    flight = progress.unfinished()[0]
    flight.task = attrs.evolve(
        flight.task, stage=Stage.FAILED, error=Failure(message="Does Not Meet Guidelines")
    )
    assert flight.link == ""


def picture() -> str:
    """Draw it with the fonts of whoever looks at it: nothing is fetched from elsewhere."""
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code", "ui-monospace, Menlo, Consolas")
    return drawn().export_svg(title="udio-async batch ideas.txt --out songs", code_format=form)


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
