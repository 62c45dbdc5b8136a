"""The workflow of the public forge says what the package promises."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
Jobs = Mapping[str, Mapping[str, Any]]


@pytest.fixture
def jobs() -> Jobs:
    yaml = pytest.importorskip("yaml")  # in the group `tests`
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    found: Jobs = yaml.safe_load(text)["jobs"]
    return found


def commands(job: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_every_python_that_we_name_is_tested(jobs: Jobs) -> None:
    """The versions are those of the classifiers, and are texts: 3.10 would be 3.1."""
    start = "Programming Language :: Python :: "
    named = [
        line.removeprefix(start)
        for line in PROJECT["project"]["classifiers"]
        if line.startswith(start)
    ]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == named


def test_it_runs_the_sessions_of_nox(jobs: Jobs) -> None:
    """So that whoever runs `nox` sees what it will say."""
    assert "nox -s lint typing" in commands(jobs["checks"])
    assert "nox -s tests" in commands(jobs["tests"])


def test_the_wheel_is_tested_with_the_sources_away(jobs: Jobs) -> None:
    """First it is built, then the sources go, then it is installed and used."""
    steps = commands(jobs["wheel"])
    order = ["python -m build", "rm -r udio_async", "dist/*.whl", "demo", "-m pytest"]
    places = [next(i for i, step in enumerate(steps) if part in step) for part in order]
    assert places == sorted(places)


def test_only_linux_may_turn_it_red(jobs: Jobs) -> None:
    """What nobody has tried is marked so."""
    for name, job in jobs.items():
        assert job.get("continue-on-error", False) is (name == "elsewhere")
        assert job["timeout-minutes"] <= 60


def test_every_job_that_runs_tests_has_what_they_import(jobs: Jobs) -> None:
    """All extras are installed where no nox session does it."""
    extras = set(PROJECT["project"]["optional-dependencies"]) - {"httpx2"}  # in the group `tests`
    for name in ("wheel", "elsewhere"):
        install = next(step for step in commands(jobs[name]) if "[cli" in step)
        assert set(install.partition("[cli")[2].partition("]")[0].split(",")[1:]) == extras - {
            "cli"
        }
