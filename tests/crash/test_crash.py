"""No song is lost and none is paid for twice: after kills, failed system calls and power cuts."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash.inject import strike_all
from tests.crash.kill import kill_in_lanes
from tests.crash.power import cut_power
from tests.crash.trace import missing
from tests.crash.world import CONCURRENCY, tail

SEED = 1
needs_strace = pytest.mark.skipif(bool(missing()), reason=missing() or "strace is there")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds a journal and nothing else."""
    made = tmp_path / "journal"
    made.mkdir()
    return made


def assert_caught(folder: Path, *flags: str, words: Sequence[str]) -> None:
    """Kill a program with a known fault until the checks have seen it, or many times in vain.

    A kill has to strike at the right moment, and which that is depends on the machine.
    """
    seen = ""
    for seed in range(SEED, SEED + 5):
        report = kill_in_lanes(folder / str(seed), *flags, rounds=16, seed=seed)
        seen += "\n".join(report.violations)
        if all(text in seen for text in words):
            return
    raise AssertionError(f"{words} is not in what was found:\n{seen}")


@pytest.mark.timeout(180)
def test_killed_at_random_moments_nothing_is_lost_or_paid_for_twice(tmp_path: Path) -> None:
    for seed in range(SEED, SEED + 5):
        report = kill_in_lanes(tmp_path / str(seed), rounds=30, seed=seed)
        assert report.kills >= 30
        assert report.violations == [], f"seed {seed}\n{tail(report.violations)}"
        assert report.most_doubts <= CONCURRENCY
        if report.most_doubts:
            return
    raise AssertionError("no kill struck while a submit was on the wire")


@pytest.mark.timeout(400)
def test_control_an_intent_kept_after_the_answer_is_caught(tmp_path: Path) -> None:
    """The same check sees songs that nobody knows of, and then pays for them again."""
    assert_caught(tmp_path, "--intent-late", words=["nobody knows", "charged 2 times"])


@pytest.mark.timeout(180)
def test_a_program_that_is_killed_has_every_paid_song_in_the_end(tmp_path: Path) -> None:
    """It generates and downloads, knows no keys, and takes up what `resume` hands out."""
    report = kill_in_lanes(tmp_path, "--library", rounds=20, seed=SEED)
    assert report.kills >= 20
    assert report.violations == [], f"seed {SEED}\n{tail(report.violations)}"


@pytest.mark.timeout(400)
def test_control_to_take_ready_for_the_end_is_caught(tmp_path: Path) -> None:
    assert_caught(tmp_path, "--library", "--ready-is-the-end", words=["songs are saved"])


@needs_strace
@pytest.mark.timeout(180)
def test_killed_or_failing_at_a_system_call_nothing_is_lost_or_paid_for_twice(
    tmp_path: Path,
) -> None:
    points, violations = strike_all(tmp_path, sample=20, seed=SEED)
    assert len(points) == 20
    assert violations == [], f"seed {SEED}\n{tail(violations)}"


@needs_strace
@pytest.mark.timeout(180)
def test_no_power_cut_forgets_what_had_left(folder: Path) -> None:
    """Whatever of the unsynced writes survives: each request's intent does, and each told id."""
    report = cut_power(folder, songs=10, states=500, seed=SEED)
    assert report.states == 500
    assert report.bad == 0, tail(report.first)


@needs_strace
@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", ["normal", "off"])
def test_control_syncing_less_is_caught(folder: Path, mode: str) -> None:
    report = cut_power(folder, songs=4, states=60, seed=SEED, synchronous=mode)
    assert report.forgotten > 10, f"seed {SEED}: {report}"
