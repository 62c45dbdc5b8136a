"""What kills a mutant that the plain tests let live: some schedules of the model, where it ends.

It is no test of the suite: `tests/model/test_model.py` runs many more of them.
"""

import pytest

from tests.model.run import run


# A process that dies in the model leaves its generators to the garbage collector.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_some_schedules(first: int) -> None:
    """Nothing is paid twice, lost, or called what it is not."""
    assert not [seed for seed in range(first, first + 20) if run(seed).wrong]
