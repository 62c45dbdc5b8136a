"""Prints the README's table of figures from `benchmarks/results/`.

Each file there holds what one command has shown, when, and on how many cores. `--keep polling` runs
a command again and writes its file; the table is then printed with the new figures. Commands that
have no reader here yet have their figures written into their files by hand.

    python -m benchmarks.figures [--keep polling] [--keep batch]
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
README = ROOT / "README.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->"


@attrs.frozen(kw_only=True)
class Result:
    """What one command has shown."""

    question: str
    figure: str
    """A sentence with the names of figures in braces."""
    command: str
    date: str
    cores: int
    older: bool
    """Whether the code has changed since in what it measures; run it again when there is time."""
    figures: Mapping[str, float]

    @classmethod
    def load(cls, name: str) -> "Result":
        return cls(**json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))

    def save(self, name: str) -> None:
        text = json.dumps(attrs.asdict(self), indent=2, ensure_ascii=False)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    @property
    def row(self) -> str:
        figure = self.figure.format(**self.figures)
        mark = "\\*" if self.older else ""
        return f"| {self.question} | {figure} | {self.date}{mark} | `{self.command}` |"


def read_polling(output: Mapping[str, Any]) -> dict[str, float]:
    rows = {
        (row["kind"], row["sigma"], row["look_cost"], row["way"]): row for row in output["rows"]
    }
    ours, fixed = (rows["end", 0.4, 0.2, way] for way in ("ours", "fixed 5 s"))

    def worst_percent(kind: str) -> float:
        costs: list[float] = [
            row["cost_over_optimum"]
            for key, row in rows.items()
            if (key[0], key[3]) == (kind, "ours")
        ]
        return round((max(costs) - 1) * 100, 1)

    return {
        "worst_percent": worst_percent("end"),
        "worst_failing_percent": worst_percent("failing"),
        "worst_followed_percent": worst_percent("followed"),
        "looks": ours["looks"],
        "lag": ours["lag"],
        "looks_every_5s": fixed["looks"],
        "lag_every_5s": fixed["lag"],
    }


def read_stages(output: Mapping[str, Any]) -> dict[str, float]:
    """Read the worse of the two servers."""
    worst: dict[str, float] = {}
    for goal in output["goals"]:
        _, _, name = goal["name"].partition(": ")
        worst[name] = max(worst.get(name, 0.0), round(goal["figure"], 1))
    return {
        "lag": worst["mean lag of a stage, s"],
        "looks": worst["looks per followed song"],
        "failure_lag": worst["worst lag of a failure, s"],
        "other_looks": worst["looks per other song"],
    }


def read_batch(output: Mapping[str, Any]) -> dict[str, float]:
    return {
        "inputs": output["inputs"],
        "mib": round(output["peak_kib"] / 1024),
        "growth": round(output["growth"], 2),
    }


def read_crash_kill(output: Mapping[str, Any]) -> dict[str, float]:
    return {"bad": len(output["violations"]), "in_doubt": output["most_doubts"]}


def read_crash_power(output: Mapping[str, Any]) -> dict[str, float]:
    return {"forgotten": output["forgotten"]}


def read_callbacks_kill(output: Mapping[str, Any]) -> dict[str, float]:
    return {"lost": len(output["violations"]), "acknowledged": len(output["acknowledged"])}


READERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, float]]] = {
    "crash-kill": read_crash_kill,
    "crash-power": read_crash_power,
    "callbacks-kill": read_callbacks_kill,
    "polling": read_polling,
    "stages": read_stages,
    "batch": read_batch,
}
NAMES = (
    "crash-kill",
    "crash-power",
    "polling",
    "stages",
    "callbacks",
    "callbacks-kill",
    "batch",
    "scale",
    "transport",
)
"""In the order of the table."""


def keep(name: str) -> None:
    """Run a command again, and write down what it has shown."""
    before = Result.load(name)
    command = [sys.executable, *shlex.split(before.command)[1:], "--json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    now = datetime.now(UTC).date().isoformat()
    figures = READERS[name](json.loads(output))
    cores = os.cpu_count() or 1
    attrs.evolve(before, date=now, cores=cores, older=False, figures=figures).save(name)


def table() -> str:
    results = [Result.load(name) for name in NAMES]
    head = ["| what | result | measured on | command |", "| --- | --- | --- | --- |"]
    lines = [*head, *(result.row for result in results)]
    if any(result.older for result in results):
        lines += ["", "\\* The code that it measures has changed since."]
    return "\n".join(lines) + "\n"


def printed(page: str) -> str:
    """Return the page with the table as it is now."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{table()}\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--keep", action="append", default=[], choices=sorted(READERS))
    for name in parser.parse_args().keep:
        keep(name)
    README.write_text(printed(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
