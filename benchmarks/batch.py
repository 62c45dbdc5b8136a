"""Does a batch of a million inputs need more memory than one of a few thousand?

One `Client`, as it comes, makes songs of log-normal times on a virtual clock, for an input that is
a generator and a consumer that keeps nothing. The provider is in memory and forgets each song once
it was seen complete, so what grows is the client. Measured is the most memory that the process has
had after 1 % of the inputs and after all of them. Some growth is Python's: it lets cyclic garbage
lie until that is a quarter of what lives.

Not measured: real providers, and a journal that outlives the client. With one, a batch counts its
equal requests, which takes about 110 bytes for each input.

    python -m benchmarks.batch [--inputs N] [--quick] [--json]
"""

import argparse
import json
import math
import random
import resource
import sys
import time
from collections.abc import Iterator

import anyio
import attrs

from tests.kit.clocks import virtual_backend
from tests.kit.timed import ForgetfulProvider
from udio_async import Client

MEDIAN = 60.0
SIGMA = 0.4
MAX_ACTIVE = 100
GOAL = 1.1
"""Most memory with all inputs, over that with 1 % of them."""


@attrs.frozen(kw_only=True)
class Result:
    """What one batch has cost."""

    inputs: int
    seconds: float
    early_kib: int
    """The most memory of the process when 1 % of the outcomes were there."""
    peak_kib: int
    """The same, at the end."""

    @property
    def growth(self) -> float:
        return self.peak_kib / self.early_kib


def peak_kib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def ideas(inputs: int) -> Iterator[str]:
    for number in range(inputs):
        yield f"a song about the number {number}"


async def run(inputs: int) -> Result:
    source = random.Random(7)
    provider = ForgetfulProvider(
        lambda _: MEDIAN * math.exp(SIGMA * source.gauss(0, 1)), max_ids_per_look=20
    )
    seen, early, start = 0, 0, time.perf_counter()
    async with (
        Client(provider, max_active=MAX_ACTIVE) as client,
        client.generate_many(ideas(inputs)) as batch,
    ):
        async for outcome in batch:
            seen += outcome.ok
            if seen == inputs // 100:
                early = peak_kib()
    if seen != inputs:
        raise AssertionError(f"{seen} of {inputs} songs came back")
    return Result(
        inputs=inputs,
        seconds=time.perf_counter() - start,
        early_kib=early,
        peak_kib=peak_kib(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="20,000 inputs, under 20 s")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    backend, backend_options = virtual_backend("asyncio")
    inputs = 20_000 if options.quick else options.inputs
    result = anyio.run(run, inputs, backend=backend, backend_options=dict(backend_options))
    met = result.growth <= GOAL
    if options.json:
        figures = {**attrs.asdict(result), "growth": result.growth, "met": met}
        print(json.dumps({"benchmark": "batch", **figures}))
        return
    print(
        f"{result.inputs:,} inputs in {result.seconds:.0f} s: at most "
        f"{result.early_kib / 1024:.1f} MiB after 1 %, {result.peak_kib / 1024:.1f} MiB at the end"
    )
    verdict = "met" if met else "MISSED"
    print(f"{result.growth:.2f} times as much  {verdict} (goal: at most {GOAL})")


if __name__ == "__main__":
    main()
