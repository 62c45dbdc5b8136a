"""How late is a finished song noticed, and for how many looks?

Song times are log-normal with a median of 60 s. The cost of a way of looking is its mean lag plus
c for each look. Beside ours stands the optimum for the known distribution, by dynamic programming
over the same minimum interval, and what others do: fixed intervals, and an exponential one.

Ours is the real poller, on a virtual clock, looking at a provider in memory; the learning curve is
read from its schedule alone.

    python -m benchmarks.polling [--quick] [--json]
"""

import argparse
import bisect
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist, fmean
from typing import cast

import anyio
import attrs

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import PollPolicy, SongRequest
from udio_async._http import Http
from udio_async._polling import Poller
from udio_async._polling.schedule import Schedule

MEDIAN = 60.0
MIN_INTERVAL = 5.0
SIGMAS = (0.2, 0.4, 0.7)
LOOK_COSTS = (0.2, 0.8, 1.6)
LEARNED = (0, 20, 200)
NORMAL = NormalDist()
SONG = SongRequest(description="a song")


@attrs.frozen
class Result:
    """Mean lag in seconds and mean looks per song."""

    lag: float
    looks: float

    def cost(self, look_cost: float) -> float:
        return self.lag + look_cost * self.looks


def song_time(sigma: float, source: random.Random) -> float:
    return MEDIAN * math.exp(sigma * source.gauss(0, 1))


def fixed(interval: float) -> Iterator[float]:
    age = 0.0
    while True:
        age += interval
        yield age


def exponential(first: float, factor: float, cap: float) -> Iterator[float]:
    age, interval = 0.0, first
    while True:
        age += interval
        yield age
        interval = min(interval * factor, cap)


def scheduled(schedule: Schedule) -> Iterator[float]:
    age = 0.0
    while True:
        age += schedule.wait(age)
        yield age


def evaluate(ages: Iterator[float], songs: Sequence[float]) -> Result:
    """Look at these ages until each song is found complete."""
    table: list[float] = []
    longest = max(songs)
    while not table or table[-1] < longest:
        table.append(next(ages))
    found = [bisect.bisect_left(table, song) for song in songs]
    lag = fmean(table[i] - song for i, song in zip(found, songs, strict=True))
    return Result(lag, fmean(i + 1 for i in found))


def best_ages(sigma: float, look_cost: float, *, step: float = 0.5) -> Iterator[float]:
    """The optimal ages to look at, for the known distribution, on a grid of `step` seconds.

    `value[i]` is the least cost still to come, weighted with the chance that a song is not yet
    complete at the i-th grid point: the next look at j costs one look for all of these, and the
    lag of those that complete in between.
    """
    ages = [i * step for i in range(int(MEDIAN * math.exp(4.8 * sigma) / step) + 2)]
    share, mean = zip(*(_moments(age, sigma) for age in ages), strict=True)
    value, after = [0.0] * len(ages), [len(ages)] * len(ages)
    nearest, farthest = math.ceil(MIN_INTERVAL / step), int(160 / step)
    for i in reversed(range(len(ages))):
        choices = (
            (
                look_cost * (1 - share[i])
                + ages[j] * (share[j] - share[i])
                - (mean[j] - mean[i])
                + value[j],
                j,
            )
            for j in range(i + nearest, min(i + farthest, len(ages)))
        )
        value[i], after[i] = min(choices, default=(0.0, len(ages)))
    i = 0
    while (i := after[i]) < len(ages):
        yield ages[i]
    yield from (ages[-1] + age for age in fixed(10.0))


def _moments(age: float, sigma: float) -> tuple[float, float]:
    """The share of songs complete by this age, and their part of the mean time."""
    if age <= 0:
        return 0.0, 0.0
    z = math.log(age / MEDIAN) / sigma
    return NORMAL.cdf(z), MEDIAN * math.exp(sigma**2 / 2) * NORMAL.cdf(z - sigma)


def polled(sigma: float, look_cost: float, *, learned: int, measured: int, seed: int) -> Result:
    """Let the real poller learn from some songs, and measure it on others."""
    source = random.Random(seed)
    provider = TimedProvider(lambda _: song_time(sigma, source), min_interval=MIN_INTERVAL)

    async def run() -> Result:
        looks_before = seen_before = 0
        async with anyio.create_task_group() as tasks:
            http = cast(Http, None)  # the provider in memory sends nothing
            policy = PollPolicy(look_cost=look_cost, deadline=1e6)
            poller = Poller(provider, http, tasks, policy=policy)
            tasks.start_soon(poller.run)
            await _finish(poller, provider, http, learned)
            looks_before, seen_before = len(provider.looks), len(provider.seen_at)
            await _finish(poller, provider, http, measured)
            tasks.cancel_scope.cancel()
        looks = len(provider.looks) - looks_before
        return Result(fmean(provider.lags[seen_before:]), looks / measured)

    backend, options = virtual_backend("asyncio")
    return anyio.run(run, backend=backend, backend_options=dict(options))


async def _finish(poller: Poller, provider: TimedProvider, http: Http, songs: int) -> None:
    """Submit songs over a minute, and wait for all of them."""
    watches = []
    for _ in range(songs):
        watches.append(poller.track(await provider.submit(http, SONG), SONG))
        await anyio.sleep(MEDIAN / songs)
    for watch in watches:
        while not watch.over:
            await watch.changed()


def learning_curve(sigma: float, look_cost: float, songs: Sequence[float]) -> dict[int, Result]:
    """How good the schedule is after so many songs, the mean of 20 histories."""
    curve = {}
    for learned in LEARNED:
        results = []
        for seed in range(20):
            source = random.Random(seed)
            # the prior is wrong by a fifth on purpose: nobody knows the median beforehand
            schedule = Schedule(
                typical=MEDIAN * 0.8, look_cost=look_cost, min_interval=MIN_INTERVAL
            )
            for _ in range(learned):
                took = song_time(sigma, source)
                schedule.learn(took, took)
            results.append(evaluate(scheduled(schedule), songs))
        curve[learned] = Result(fmean(r.lag for r in results), fmean(r.looks for r in results))
    return curve


def cell(sigma: float, look_cost: float, *, quick: bool) -> dict[str, Result]:
    source = random.Random(7)
    songs = [song_time(sigma, source) for _ in range(5_000 if quick else 40_000)]
    others: dict[str, Callable[[], Iterator[float]]] = {
        "optimum": lambda: best_ages(sigma, look_cost),
        "fixed 2 s": lambda: fixed(2.0),
        "fixed 5 s": lambda: fixed(5.0),
        "fixed 10 s": lambda: fixed(10.0),
        "exponential 1-10 s": lambda: exponential(1.0, 1.5, 10.0),
    }
    results = {name: evaluate(ages(), songs) for name, ages in others.items()}
    measured = 500 if quick else 4_000
    results["ours"] = polled(sigma, look_cost, learned=200, measured=measured, seed=1)
    for learned, result in learning_curve(sigma, look_cost, songs).items():
        results[f"ours, {learned} learned"] = result
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer songs, under 20 s")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for sigma in SIGMAS:
        for look_cost in LOOK_COSTS:
            results = cell(sigma, look_cost, quick=arguments.quick)
            optimum = results["optimum"].cost(look_cost)
            rows += [
                {
                    "sigma": sigma,
                    "look_cost": look_cost,
                    "way": way,
                    "lag": round(result.lag, 2),
                    "looks": round(result.looks, 2),
                    "cost_over_optimum": round(result.cost(look_cost) / optimum, 3),
                }
                for way, result in results.items()
            ]
    if arguments.json:
        print(json.dumps({"benchmark": "polling", "median": MEDIAN, "rows": rows}))
        return
    print(
        f"{'sigma':>5} {'c':>4}  {'way of looking':<20} {'lag s':>6} {'looks':>6} {'cost/best':>9}"
    )
    for row in rows:
        print(
            f"{row['sigma']:>5} {row['look_cost']:>4}  {row['way']:<20} "
            f"{row['lag']:>6} {row['looks']:>6} {row['cost_over_optimum']:>9}"
        )


if __name__ == "__main__":
    main()
