"""A callback that was answered with 200 is kept, whatever becomes of the process."""

from pathlib import Path

from tests.callbacks.kill import kill

SEED = 1


def test_killed_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    report = kill(tmp_path, rounds=3, seed=SEED)
    assert report.kills == 3
    assert report.violations == [], f"seed {SEED}"
    assert report.completed > 0


def test_control_to_acknowledge_before_keeping_is_caught(tmp_path: Path) -> None:
    report = kill(tmp_path, "--acknowledge-early", rounds=20, seed=SEED)
    assert report.violations, f"seed {SEED}"
