"""How well does a batch fit itself to what a provider allows, where its owner has set nothing?

Songs of a minute on a virtual clock, on providers that make so many at once, refuse any more, and
say nothing else. `makespan` is over the least time that anybody could take who knows the number:
a submit takes 0.2 s, and four may be on the wire at once. The last row changes its mind half-way.

    python -m benchmarks.plans [--songs 2000] [--quick] [--json]
"""

import argparse
import heapq
import json
import sys
from collections.abc import Iterator

import anyio
import attrs

from tests.kit.clocks import virtual_backend
from tests.test_plans import Plan
from udio_async import Client

SECONDS = 60.0
SUBMIT = 0.2
ON_WIRE = 4
PLANS = ((20, 20), (200, 200), (1000, 1000), (200, 20))
MOST_MAKESPAN, MOST_REFUSED = 1.15, 0.03


@attrs.frozen
class Row:
    """What became of a batch on one plan."""

    at_once: int
    later: int
    makespan: float
    refused: float
    failed: int
    charged: int

    @property
    def is_good(self) -> bool:
        return self.makespan <= MOST_MAKESPAN and self.refused <= MOST_REFUSED and not self.failed


def least_time(songs: int, at_once: int, later: int) -> float:
    """Return the seconds that somebody needs who knows what is allowed, and when it changes."""
    slots, ends = [0.0] * ON_WIRE, list[float]()
    done, now = 0, 0.0
    for _ in range(songs):
        now = heapq.heappop(slots)
        while len(ends) >= (at_once if done < songs // 2 else later):
            now, done = max(now, heapq.heappop(ends)), done + 1
        while ends and ends[0] <= now:
            heapq.heappop(ends)
            done += 1
        heapq.heappush(slots, now + SUBMIT)
        heapq.heappush(ends, now + SUBMIT + SECONDS)
    return max(ends)


async def run(songs: int, at_once: int, later: int) -> Row:
    plan = Plan(lambda _: SECONDS, at_once=at_once, submit_time=SUBMIT)
    began, failed, done = anyio.current_time(), 0, 0
    wanted = [f"song {number}" for number in range(songs)]
    async with Client(plan) as client, client.generate_many(wanted) as batch:
        async for outcome in batch:
            failed += not outcome.ok
            done += 1
            plan.at_once = at_once if done < songs // 2 else later
    return Row(
        at_once=at_once,
        later=later,
        makespan=(anyio.current_time() - began) / least_time(songs, at_once, later),
        refused=1 - len(plan.completes_at) / len(plan.sent),
        failed=failed,
        charged=len(plan.completes_at),
    )


def rows(songs: int) -> Iterator[Row]:
    backend, options = virtual_backend("asyncio")
    for at_once, later in PLANS:
        yield anyio.run(run, songs, at_once, later, backend=backend, backend_options=dict(options))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--songs", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="500 songs")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = list(rows(500 if options.quick else options.songs))
    if options.json:
        print(json.dumps([attrs.asdict(row) for row in found]))
    else:
        for row in found:
            plan = f"{row.at_once}, then {row.later}" if row.later != row.at_once else row.at_once
            print(
                f"{plan!s:>14} at once: makespan {row.makespan:.3f} of the least, "
                f"{row.refused:.1%} refused, {row.charged} charged, {row.failed} failed"
            )
    sys.exit(not all(row.is_good for row in found))


if __name__ == "__main__":
    main()
