"""Small changes that no test noticed once, when the code was mutated; each has its test now."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.mutation.mutants import live_function, mutants_of
from tests.planted.table import PLANTS, Plant

ONCE_LIVED = Path(__file__).with_suffix(".toml")


@contextmanager
def changed(name: str) -> Iterator[None]:
    """Put a change into its function, as long as the context lasts.

    `name` is the change's, as the mutation run tells it.
    """
    module, function, _ = name.split(":", 2)
    named = {mutant.name: mutant for mutant in mutants_of(module, (function,))}
    live = live_function(module, function)
    code = live.__code__
    named[name].put_in()
    try:
        yield
    finally:
        live.__code__ = code


for row in tomllib.loads(ONCE_LIVED.read_text())["test"]:
    for change in row["notices"]:
        put = partial(changed, f"udio_async.{change}")
        PLANTS[change] = Plant(put, tests=(row["id"],))
