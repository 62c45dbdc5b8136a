"""The README's figures are those that were measured."""

import json
import re
from pathlib import Path

import pytest

from benchmarks import figures


def test_the_readme_shows_what_the_files_hold() -> None:
    """Printed again, it is as it was: `python -m benchmarks.figures`."""
    page = figures.README.read_text(encoding="utf-8")
    assert figures.BEGIN in page
    assert figures.printed(page) == page


def test_every_file_has_its_row() -> None:
    """None is kept and not shown."""
    kept = {path.stem for path in figures.RESULTS.glob("*.json")}
    assert kept == set(figures.NAMES)


@pytest.mark.parametrize("name", figures.NAMES)
def test_a_result_says_how_it_came_about(name: str) -> None:
    """A day, cores, and a command that is there."""
    result = figures.Result.load(name)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result.date)
    assert result.cores > 0
    module = result.command.split()[2]
    assert (figures.ROOT / Path(*module.split("."))).with_suffix(".py").is_file()


@pytest.fixture
def _another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in figures.RESULTS.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(figures, "RESULTS", tmp_path)


@pytest.mark.usefixtures("_another_place")
def test_a_new_run_changes_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its figures, its day, and no mark any more."""

    class Ended:
        stdout = json.dumps({"inputs": 10, "peak_kib": 2048.0, "growth": 1.5})

    def run(command: list[str], **_: object) -> Ended:
        assert command[1:] == ["-m", "benchmarks.batch", "--json"]
        return Ended()

    monkeypatch.setattr("subprocess.run", run)
    figures.keep("batch")
    row = next(line for line in figures.table().splitlines() if "benchmarks.batch" in line)
    assert "2 MiB, 1.50 times" in row
    assert "2026-11-21" not in row
    assert "\\*" not in row


SHOWN: dict[str, dict[str, object]] = {
    "crash-kill": {"violations": [], "most_doubts": 4},
    "crash-power": {"forgotten": 0},
    "callbacks-kill": {"violations": [], "acknowledged": {"one": "complete"}},
    "batch": {"inputs": 10, "peak_kib": 2048.0, "growth": 1.5},
    "polling": {
        "rows": [
            {
                "kind": kind,
                "sigma": 0.4,
                "look_cost": 0.2,
                "way": way,
                "looks": 8,
                "lag": 2,
                "cost_over_optimum": 1,
            }
            for kind in ("end", "failing", "followed")
            for way in ("ours", "fixed 5 s")
        ]
    },
    "stages": {
        "goals": [
            {"name": f"{server}: {name}", "figure": 4.04}
            for server in ("sandbox", "small server")
            for name in (
                "mean lag of a stage, s",
                "worst lag of a failure, s",
                "looks per followed song",
                "looks per other song",
            )
        ]
    },
}
"""What the commands print with `--json`, as far as it is read."""


@pytest.mark.parametrize("name", figures.READERS)
def test_a_reader_gives_the_figures_of_the_row(name: str) -> None:
    """Those that the kept file has, so that the sentence can be printed."""
    read = figures.READERS[name](SHOWN[name])
    kept = figures.Result.load(name)
    assert read.keys() == kept.figures.keys()
    assert kept.figure.format(**read)
