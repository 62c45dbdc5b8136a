"""Whatever order callbacks come in, and whoever sends them, songs end as they do by polling."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.callbacks.breaks import proof_unchecked, secret_unchecked
from tests.callbacks.paper import REAL
from tests.callbacks.storm import storm

SEED = 1


@pytest.fixture
def anyio_backend() -> str:
    """uvicorn runs on asyncio."""
    return "asyncio"


@pytest.mark.parametrize("name", REAL)
async def test_a_storm_ends_as_polling_does_and_no_forgery_is_taken(
    name: str, tmp_path: Path
) -> None:
    """A thousand each: doubled, late, skipped, in any order, and half of them forged."""
    report = await storm(name, tmp_path, deliveries=1000, seed=SEED)
    assert report.violations == [], f"seed {SEED}"
    assert report.forged_accepted == 0
    assert report.deliveries >= 1000
    assert len(report.answers) > 8, "every kind of forgery came"


@pytest.mark.parametrize(
    ("name", "unchecked"),
    [("udioapi-v1", proof_unchecked), ("apiframe", secret_unchecked)],
)
async def test_control_an_unchecked_part_is_caught(
    name: str, unchecked: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
    """Forgeries are answered with 200, and songs end as they should not."""
    with unchecked():
        report = await storm(name, tmp_path, deliveries=1000, seed=SEED)
    assert report.forged_accepted > 0
    assert any(text.startswith(name) for text in report.violations)
