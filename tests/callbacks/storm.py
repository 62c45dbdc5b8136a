"""Callbacks in every wrong order, true ones and forged ones, over real sockets.

python -m tests.callbacks.storm --deliveries 20000 --seed 1

However they come, the journal must end as it does by polling alone, each answer must have its
documented status, and none that is forged may be taken.
"""

# ruff: noqa: T201 - it is a command too

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import anyio.to_thread
import attrs

from tests.callbacks.paper import REAL, PaperProvider
from tests.kit.caller import Caller
from tests.kit.serving import uvicorn_serving
from udio_async import Client, Song, SongRequest, SqliteJournal
from udio_async.journal import State

PER_SONG = 10
"""Deliveries for each song, on average."""
SENDERS = 8
LOST, FAILED, DROPPED = 0.1, 0.1, 0.1
"""Shares of songs: whose answer is lost, which fail, whose last callback never comes."""
LATE = 0.2
"""Share of the deliveries that come when everything has ended."""
FINAL = ("complete", "failed")
UNHEARD = "unheard-of"
"""A task that fails, and that forgeries are about."""


@attrs.frozen(kw_only=True)
class Delivery:
    """One request to the application, and what it should be answered with."""

    kind: str
    path: str
    body: bytes
    expected: int
    headers: Mapping[str, str] = attrs.field(factory=dict)
    method: str = "POST"
    task_id: str = ""
    reached: str = ""
    """The word that the feed has for the task from now on, if this is its true callback."""


@attrs.define
class Report:
    """What a storm has done."""

    answers: Counter[tuple[str, int]] = attrs.field(factory=Counter)
    violations: list[str] = attrs.field(factory=list)
    forged_accepted: int = 0
    looks: int = 0
    songs: int = 0
    seconds: float = 0.0

    @property
    def deliveries(self) -> int:
        return sum(self.answers.values())

    def note(self, delivery: Delivery, status: int) -> None:
        self.answers[delivery.kind, status] += 1
        if status != delivery.expected:
            self.violations.append(f"{delivery.kind}: {status}, not {delivery.expected}")
            self.forged_accepted += status == 200


# What is sent --------------------------------------------------------------------------------


@attrs.frozen
class Writer:
    """Writes deliveries, true and forged, for the songs of one provider."""

    provider: PaperProvider
    dice: random.Random

    def all(self) -> list[Delivery]:
        """Return some deliveries for each song, in an order of their own."""
        deliveries = [each for words in self.provider.ids for each in self._of_song(words)]
        self.dice.shuffle(deliveries)
        return deliveries

    def _of_song(self, words: str) -> Iterator[Delivery]:
        final = "failed" if share(words, "failed") < FAILED else "complete"
        stages = [stage for stage in ("text", "first") if self.dice.random() < 0.7]
        if is_lost(words) or share(words, "dropped") >= DROPPED:
            stages.append(final)
        else:  # only the feed will say so
            self.provider.reached[self.provider.ids[words]] = final
        stages += self.dice.choices(stages or ["text"], k=2)
        for stage in stages:
            yield self.true(words, stage)
        for kind in self.dice.choices(self.kinds(), k=PER_SONG - len(stages)):
            yield self.forged(words, kind)

    def true(self, words: str, stage: str) -> Delivery:
        task_id, url, secret = self._address(words)
        return Delivery(
            kind="true",
            path=url,
            body=self._body(task_id, stage),
            headers=secret,
            expected=200,
            task_id=task_id,
            reached=stage,
        )

    def kinds(self) -> list[str]:
        kinds = ["a wrong character", "halves of two addresses", "a GET"]
        kinds += ["no JSON", "cut", "null", "body of another"]
        if self.provider.name == "apiframe":
            kinds += ["no secret", "wrong secret", "secret of another", "address of another"]
        return kinds

    def forged(self, words: str, kind: str) -> Delivery:
        """Return a delivery with one part wrong; its body would end the song otherwise."""
        if kind == "body of another" and self.provider.name == "udioapi-v1" and is_lost(words):
            return self.true(words, "text")  # its body names no task, so it would be believed
        task_id, path, secret = self._address(words)
        other, other_path, other_secret = self._address(self._another(words))
        cut = self._body(task_id, "complete")[:-9]
        mistyped = {name: value[:-1] + "x" for name, value in secret.items()}
        wrong: dict[str, dict[str, Any]] = {
            "a wrong character": {"path": self._mistyped(path), "expected": 404},
            "halves of two addresses": {"path": path[:-32] + other_path[-32:], "expected": 404},
            "a GET": {"method": "GET", "expected": 405},
            "no secret": {"headers": {}, "expected": 401},
            "wrong secret": {"headers": mistyped, "expected": 401},
            "secret of another": {"headers": other_secret, "expected": 401},
            "address of another": {"path": other_path, "expected": 401},
            "body of another": {"body": self._body(other, "complete"), "expected": 200},
            "no JSON": {"body": b"good day", "expected": 400},
            "null": {"body": b"null", "expected": 400},
            "cut": {"body": cut, "expected": 400},
            "too long": {"body": b" " * (1024 * 1024 + 1), "expected": 413},
        }
        body = self._body(UNHEARD, "failed")
        good = Delivery(kind=kind, path=path, body=body, headers=secret, expected=200)
        return attrs.evolve(good, **wrong[kind])

    def _address(self, words: str) -> tuple[str, str, dict[str, str]]:
        address = self.provider.addresses[words]
        assert address is not None
        apiframe = self.provider.name == "apiframe"
        secret = {"x-webhook-secret": address.secret or ""} if apiframe else {}
        return self.provider.ids[words], urlsplit(address.url).path, secret

    def _another(self, words: str) -> str:
        """Return a song that was accepted long before the storm."""
        known = [other for other in list(self.provider.ids)[:-8] if not is_lost(other)]
        return self.dice.choice([other for other in known if other != words])

    def _mistyped(self, path: str) -> str:
        place = self.dice.randrange(len(path) - 64, len(path))
        wrong = "0" if path[place] != "0" else "1"
        return path[:place] + wrong + path[place + 1 :]

    def _body(self, task_id: str, word: str) -> bytes:
        return json.dumps(self.provider.called(task_id, word)).encode()


def share(words: str, purpose: str) -> float:
    """Return a number from 0 to 1 that is the same for the same song in every run."""
    return random.Random(f"{words} {purpose}").random()


def is_lost(words: str) -> bool:
    """Answer whether the answer to this song's submit is lost."""
    return share(words, "lost") < LOST


def send(port: int, provider: PaperProvider, part: list[Delivery], report: Report) -> None:
    """Send one after the other. What a true one says, the feed shows from then on."""
    with Caller(port) as caller:
        for delivery in part:
            known = provider.reached.get(delivery.task_id, "")
            if delivery.reached and known not in FINAL:
                provider.reached[delivery.task_id] = delivery.reached
            status = caller.post(
                delivery.path, delivery.body, delivery.headers, method=delivery.method
            )
            report.note(delivery, status)


async def send_all(
    port: int, provider: PaperProvider, deliveries: list[Delivery], report: Report
) -> None:
    parts = [deliveries[place::SENDERS] for place in range(SENDERS)]

    def send_parts() -> None:
        with ThreadPoolExecutor(SENDERS) as pool:
            for done in [pool.submit(send, port, provider, part, report) for part in parts]:
                done.result()

    await anyio.to_thread.run_sync(send_parts)


# What comes of it ----------------------------------------------------------------------------


def prompts(songs: int) -> list[SongRequest]:
    return [SongRequest(description=f"{n}", key=f"{n}") for n in range(songs)]


Books = dict[str, tuple[Any, ...]]


async def final_books(client: Client, songs: int) -> Books:
    """Run the batch again, and return how the journal and the songs end."""
    delivered = await run_batch(client, songs)
    with anyio.move_on_after(5):
        # Ends are kept in the background.
        while [job async for job in client.jobs([State.ACCEPTED])]:
            await anyio.lowlevel.checkpoint()
    return {
        entry.key: (
            entry.state,
            entry.error,
            *(told(song) for song in entry.songs if song.audio_url),
            *(told(song) for song in delivered[entry.key]),
        )
        async for entry in client.jobs()
    }


def told(song: Song) -> tuple[Any, ...]:
    return (song.id, song.index, song.stage, song.title, song.lyrics, song.audio_url)


async def run_batch(client: Client, songs: int) -> dict[str, tuple[Song, ...]]:
    """Return the songs of each job; none for those that failed or are in doubt."""
    delivered = {}
    async with client.generate_many(prompts(songs), max_active=songs) as batch:
        async for outcome in batch:
            delivered[outcome.request.key or ""] = outcome.songs or ()
    return delivered


def open_client(provider: PaperProvider, journal: Path) -> Client:
    return Client(
        provider,
        journal=SqliteJournal(journal, threaded=False),
        max_in_doubt=provider.songs,
        submit_concurrency=8,
    )


async def by_polling(name: str, folder: Path, songs: int) -> Books:
    """Return how it ends where no answer is lost and nobody calls."""
    provider = PaperProvider(REAL[name], songs)
    for request in prompts(songs):
        words = request.description or ""
        final = "failed" if share(words, "failed") < FAILED else "complete"
        provider.reached[f"task-{words}"] = final
    async with open_client(provider, folder / f"{name}-reference.db") as client:
        await run_batch(client, songs)
        return await final_books(client, songs)


def halve(written: list[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
    """Return what comes when all has ended, and what comes before; ends come both times."""
    late, soon = [], []
    for place, each in enumerate(written):
        if place < LATE * len(written):
            late.append(each)
        if place >= LATE * len(written) or each.reached in FINAL:
            soon.append(each)
    return late, soon


async def storm(name: str, folder: Path, *, deliveries: int, seed: int) -> Report:
    """Send so many deliveries to a client of this provider, and compare how it ends."""
    songs = deliveries // PER_SONG
    report, late = Report(songs=songs), list[Delivery]()
    provider = PaperProvider(REAL[name], songs, loses=lambda place: is_lost(str(place)))
    provider.reached[UNHEARD] = "failed"
    began = time.monotonic()
    async with (
        open_client(provider, folder / f"{name}.db") as client,
        uvicorn_serving(
            lambda port: client.callbacks(f"http://127.0.0.1:{port}/songs", allow_private=True)
        ) as port,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_batch, client, songs)
            await provider.all_sent.wait()
            writer = Writer(provider, random.Random(f"{seed} {name}"))
            written = [*writer.all(), writer.forged("0", "too long")]
            late, soon = halve(written)
            await send_all(port, provider, soon, report)
            tasks.cancel_scope.cancel()  # run again, the batch looks at once at what is left
        await final_books(client, songs)
        await send_all(port, provider, late, report)
        books = await final_books(client, songs)
    reference = await by_polling(name, folder, songs)
    report.violations += [
        f"{name} {key}: {books.get(key)}, not {reference[key]}"
        for key in reference
        if books.get(key) != reference[key]
    ]
    report.looks, report.seconds = provider.looks, time.monotonic() - began
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    violations = 0
    for name in REAL:
        with tempfile.TemporaryDirectory() as folder:
            run = partial(storm, deliveries=options.deliveries // 2, seed=options.seed)
            report = anyio.run(run, name, Path(folder))
        print(
            f"{name}, seed {options.seed}: {report.deliveries} deliveries for {report.songs} songs "
            f"in {report.seconds:.0f} s, {report.looks} looks\n"
            f"forged and accepted: {report.forged_accepted}; violations: {len(report.violations)}"
        )
        for (kind, status), times in sorted(report.answers.items()):
            print(f"  {times:6} {status} {kind}")
        print(*report.violations[:10], sep="\n")
        violations += len(report.violations)
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
