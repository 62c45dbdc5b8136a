"""Does everything that was paid for arrive, when services behave as they do in the field?

Batches of 160 requests (320 songs) in sandboxes, on each provider and way: by polling, by
callbacks, and from the shell. Each fault hits one request in twenty, in an order by the seed; there
are too many for one batch, so one has what services say, and another what their CDNs serve. Then
each request is held against what its fault leaves possible:

- every song that can be had is on disk, with the ending that its bytes have and their SHA-256;
- a song that cannot be had has an error that says the true reason;
- each request was charged once, and `udio-async verify` agrees with what the shell has saved.

Exit code 1, with a line for each request of which this is not true.

    python -m benchmarks.field [--quick] [--json] [--seed 1] [--only WAY] [--faults NAME,NAME]
"""

import argparse
import asyncio
import hashlib
import json
import logging
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import uvicorn

import udio_async as ua
from udio_async.sandbox import Fault

SPEED = 100.0
PATIENCE = 240.0
"""Seconds for a batch: what has not come by then is missing."""
DEADLINE = 60.0
"""Seconds for a song, instead of half an hour."""
LATE = 20.0
"""Seconds to wait for a late file, instead of three minutes."""
SHARE = 20
"""A fault hits one request in so many."""
AT_ONCE = 8
"""Batches that are measured at the same time."""
SONGS = 2
"""What a request makes."""


# What faults leave possible --------------------------------------------------------------------


@attrs.frozen
class Trouble:
    """A fault, how many songs can be had all the same, and what the error for the rest says."""

    fault: str
    arrive: int = SONGS
    error: type[ua.UdioError] = ua.UdioError
    says: str = ""
    """A pattern, in any case."""
    called: bool = False
    """It is one of calling back."""


ANSWERS = (
    Trouble("encoded_answers"),
    Trouble("odd_encoding_answers"),
    Trouble("malformed"),
    Trouble("look_401"),
    Trouble("look_402"),
    Trouble("look_403"),
    Trouble("look_404"),
    Trouble("look_429"),
    Trouble("look_500"),
    Trouble("stuck_first"),
    Trouble("moderation", 0, ua.ModerationFailed),
    Trouble("upstream", 0, ua.UpstreamFailed),
    Trouble("cancelled", 0, ua.GenerationFailed, "cancel"),
    Trouble("expired", 0, ua.GenerationFailed, "expired"),
    Trouble("unknown_word", 0, ua.GenerationFailed, "in_review"),
    Trouble("placeholder", 0, ua.GenerationFailed, "no audio|without audio"),
    Trouble("stuck", 0, ua.WaitExpired),
    Trouble("gzipped_callback", called=True),
    Trouble("slash_callback", called=True),
)
FILES = (
    Trouble("cdn_late"),
    Trouble("cdn_gone", 0, ua.DownloadFailed, "404|served"),
    Trouble("link_expired"),
    Trouble("empty_body"),
    Trouble("error_page"),
    Trouble("cut"),
    Trouble("container"),
    Trouble("encoded"),
    Trouble("odd_encoding"),
    Trouble("partial_206"),
    Trouble("duration_lies"),
    Trouble("same_song_twice"),
    Trouble("odd_fields"),
    Trouble("one_song", 1, ua.GenerationFailed),
)
NONE = Trouble("none")


def request_keys(troubles: Sequence[Trouble], requests: int, seed: int) -> list[str]:
    """Name the requests by their faults, in an order by the seed."""
    names = [each.fault for each in troubles for _ in range(requests // SHARE)]
    names += [NONE.fault] * (requests - len(names))
    random.Random(seed).shuffle(names)
    return [f"{name}-{number:03}" for number, name in enumerate(names)]


def words_of(key: str) -> str:
    return f"a song about {key}"


def faults_of(troubles: Sequence[Trouble]) -> list[Fault]:
    return [Fault(each.fault, match=words_of(f"{each.fault}-")) for each in troubles]


# What came -------------------------------------------------------------------------------------


@attrs.define
class Came:
    """What became of one request."""

    files: dict[str, Path] = attrs.field(factory=dict)
    """By the ids of the songs."""
    errors: list[tuple[str, str]] = attrs.field(factory=list)
    """The class and the message."""
    twice: list[str] = attrs.field(factory=list)
    """Ids of songs that came more than once."""

    def take_file(self, song_id: str, path: Path) -> None:
        if song_id in self.files:
            self.twice.append(song_id)
        self.files[song_id] = path

    def take_error(self, error: Exception) -> None:
        self.errors.append((type(error).__name__, str(error)))


Arrived = Mapping[str, Came]
"""By the keys of the requests."""


async def from_python(client: ua.Client, arrived: Arrived, directory: Path) -> None:
    """Generate and download, as the README shows it."""

    async def save(came: Came, song: ua.Song) -> None:
        if song.error is not None:
            came.errors.append((ua.GenerationFailed.__name__, str(song.error)))
            return
        try:
            for saved in await client.download(song, directory, patience=LATE):
                came.take_file(song.id, saved.path)
        except (ua.UdioError, OSError) as error:
            came.take_error(error)

    requests = [ua.SongRequest(description=words_of(key), key=key) for key in arrived]
    async with anyio.create_task_group() as tasks, client.generate_many(requests) as batch:
        async for outcome in batch:
            came = arrived[outcome.job_key or ""]
            if outcome.error is not None:
                came.take_error(outcome.error)
            for song in outcome.songs if outcome.ok else ():
                tasks.start_soon(save, came, song)


async def from_shell(options: Sequence[str], arrived: Arrived, directory: Path) -> None:
    """Run a batch in a process of its own, and read what it says of each song."""
    lines = [json.dumps({"description": words_of(key), "key": key}) for key in arrived]
    requests = directory / "requests.jsonl"
    requests.write_text("\n".join(lines), encoding="utf-8")
    arguments = ["batch", str(requests), "--out", str(directory / "songs"), "--yes", "--json"]
    for line in await shell(*arguments, "--max-active", "100", "--quiet", *options):
        came = arrived[line["key"]]
        if line.get("path"):
            came.take_file(line["id"], Path(line["path"]))
        if line.get("error"):
            came.errors.append((line["error"]["type"], line["error"]["message"]))


async def shell(*arguments: str) -> list[dict[str, Any]]:
    """Run the command line, and return the lines of JSON that it wrote while there was time."""
    environment = {**os.environ, "UDIOAPI_API_KEY": "sandbox", "APIFRAME_API_KEY": "sandbox"}
    command = [sys.executable, "-m", "udio_async.cli", *arguments]
    with tempfile.TemporaryFile() as output:
        with anyio.move_on_after(PATIENCE):
            await anyio.run_process(
                command, check=False, stdout=output, stderr=subprocess.DEVNULL, env=environment
            )
        output.seek(0)
        return [json.loads(line) for line in output if line.endswith(b"\n")]


# Holding it against what is possible -----------------------------------------------------------


@attrs.define(kw_only=True)
class Report:
    """What is told of one provider and way."""

    way: str
    can_be_had: int = 0
    on_disk: int = 0
    """With the right ending and bytes."""
    requests: int = 0
    charges: int = 0
    paid_twice: int = 0
    errors: Counter[str] = attrs.field(factory=Counter)
    verified: str = ""
    wrong: list[str] = attrs.field(factory=list)

    def add(self, other: "Report") -> None:
        """Take in another batch of the same way."""
        for name in ("can_be_had", "on_disk", "requests", "charges", "paid_twice"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.errors += other.errors
        self.verified = "; ".join(filter(None, [self.verified, other.verified]))
        self.wrong += other.wrong

    @property
    def line(self) -> str:
        errors = ", ".join(f"{number} {name}" for name, number in sorted(self.errors.items()))
        verified = f"; verify: {self.verified}" if self.verified else ""
        return (
            f"{self.way:22}  {self.on_disk:,} of {self.can_be_had:,} songs on disk; "
            f"{self.charges} charges for {self.requests} requests, {self.paid_twice} paid twice; "
            f"errors: {errors or 'none'}{verified}"
        )


def judge(way: str, sandbox: ua.Sandbox, troubles: Sequence[Trouble], arrived: Arrived) -> Report:
    """Hold what came of each request against what its fault leaves possible."""
    by_fault = {each.fault: each for each in (*troubles, NONE)}
    paid = Counter(submit.prompt for submit in sandbox.ledger)
    report = Report(way=way, requests=len(arrived), charges=paid.total())
    for key, came in arrived.items():
        trouble = by_fault[key.rpartition("-")[0]]
        charges = paid[words_of(key)]
        good = [song for song, path in came.files.items() if is_right(sandbox, song, path)]
        report.can_be_had += trouble.arrive
        report.on_disk += len(good)
        report.paid_twice += charges > 1
        report.errors.update(name for name, _ in came.errors)
        said = [*amiss(trouble, came, len(good)), *[f"{charges} charges"] * (charges != 1)]
        report.wrong += [f"{way}: {key}: {', '.join(said)}"] * bool(said)
    return report


def is_right(sandbox: ua.Sandbox, song_id: str, path: Path) -> bool:
    """Whether a file is what the sandbox has of the song, under the ending of what it is."""
    sound = sandbox.sound_of(song_id)
    if path.suffix != sound.ending or not path.is_file():
        return False
    return hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(sound.data).digest()


def amiss(trouble: Trouble, came: Came, good: int) -> Iterator[str]:
    """Say what is not as it should be with a request."""
    if good != trouble.arrive or len(came.files) != good:
        yield f"{good} good files of {len(came.files)}, {trouble.arrive} can be had"
    if came.twice:
        yield f"{len(came.twice)} songs twice"
    told = [f"{name}: {message}" for name, message in came.errors]
    if trouble.arrive == SONGS and told:
        yield told[0]
    if trouble.arrive < SONGS and not any(is_true(trouble, *each) for each in came.errors):
        yield f"no true reason ({trouble.error.__name__}) but {told[:1] or 'none'}"


def is_true(trouble: Trouble, name: str, message: str) -> bool:
    """Whether an error says why a song cannot be had."""
    kind = getattr(ua, name, None)
    is_kind = isinstance(kind, type) and issubclass(kind, trouble.error)
    return is_kind and re.search(trouble.says, message, re.IGNORECASE) is not None


# Ways ------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Way:
    """A provider, and how its songs are had."""

    name: str
    provider: str
    options: Mapping[str, Any] = attrs.field(factory=dict)
    shell: Sequence[str] | None = None
    calls: bool = False

    def troubles(self, all_of_them: Sequence[Trouble], wanted: Sequence[str]) -> list[Trouble]:
        """Return those that happen here."""
        return [
            each
            for each in all_of_them
            if (self.calls or not each.called)
            and (not wanted or each.fault in wanted)
            and not (each.fault == "duration_lies" and self.provider == "apiframe")
            and not (each.fault == "stuck" and self.shell)  # where there is no shorter deadline
        ]


WAYS = (
    Way(name="v1-legacy", provider="udioapi_v1"),
    Way(name="v1-callbacks", provider="udioapi_v1", options={"generation": "callback"}, calls=True),
    Way(name="v2", provider="udioapi_v2"),
    Way(name="apiframe", provider="apiframe"),
    Way(name="apiframe-callbacks", provider="apiframe", calls=True),
    Way(name="v1-shell", provider="udioapi_v1", shell=["--provider", "udioapi-v1", "--legacy"]),
    Way(name="v2-shell", provider="udioapi_v2", shell=["--provider", "udioapi-v2"]),
    Way(name="apiframe-shell", provider="apiframe", shell=["--provider", "apiframe"]),
)


async def run_batch(
    way: Way, troubles: Sequence[Trouble], keys: Sequence[str], directory: Path, seed: int
) -> Report:
    """Make one batch in a sandbox of its own."""
    arrived = {key: Came() for key in keys}
    async with ua.Sandbox(speed=SPEED, seed=seed, faults=faults_of(troubles)) as sandbox:
        if way.shell is not None:
            await from_shell([*way.shell, "--base-url", sandbox.base_url], arrived, directory)
            report = judge(way.name, sandbox, troubles, arrived)
            return await with_verified(report, directory / "songs")
        client = ua.Client(
            getattr(sandbox, way.provider)(**way.options),
            journal=directory / "songs.db",
            max_active=100,
            poll=ua.PollPolicy(deadline=DEADLINE),
        )
        async with called(client, wanted=way.calls), client:
            with anyio.move_on_after(PATIENCE):
                await from_python(client, arrived, directory / "songs")
        return judge(way.name, sandbox, troubles, arrived)


async def with_verified(report: Report, directory: Path) -> Report:
    """Ask the shell what it thinks of what it has saved."""
    states = Counter(line["state"] for line in await shell("verify", str(directory), "--json"))
    report.verified = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    if states != Counter(ok=report.on_disk):
        report.wrong.append(f"{report.way}: verify says {report.verified or 'nothing'}")
    return report


@asynccontextmanager
async def called(client: ua.Client, *, wanted: bool) -> AsyncGenerator[None]:
    """Serve the client's application on its own loop."""
    if not wanted:
        yield
        return
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/songs"
        app = client.callbacks(url, allow_private=True)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


async def measure(
    way: Way, part: Sequence[Trouble], requests: int, seed: int, faults: Sequence[str]
) -> Report:
    """Make one batch of a way."""
    troubles = way.troubles(part, faults)
    if not troubles:
        return Report(way=way.name)
    keys = request_keys(troubles, requests, seed)
    with tempfile.TemporaryDirectory() as directory:
        return await run_batch(way, troubles, keys, Path(directory), seed)


async def measure_all(
    ways: Sequence[Way], requests: int, seed: int, faults: Sequence[str]
) -> list[Report]:
    """Measure some at a time: what waits leaves the machine to others."""
    reports = {way.name: Report(way=way.name) for way in ways}
    at_once = anyio.CapacityLimiter(AT_ONCE)

    async def one(way: Way, part: Sequence[Trouble]) -> None:
        async with at_once:
            reports[way.name].add(await measure(way, part, requests, seed, faults))
            print(f"{way.name}: a batch is done", file=sys.stderr)

    async with anyio.create_task_group() as tasks:
        # The shell first: it waits for three minutes for a file that is gone.
        for way in sorted(ways, key=lambda way: not way.shell):
            for part in (FILES, ANSWERS):
                tasks.start_soon(one, way, part)
    return list(reports.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="40 requests a batch, each fault twice"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help=", ".join(way.name for way in WAYS))
    parser.add_argument("--faults", default="", help="only these")
    options = parser.parse_args()
    logging.getLogger("udio_async").disabled = True
    wanted = options.only.split(",") if options.only else [way.name for way in WAYS]
    faults = options.faults.split(",") if options.faults else []
    ways = [way for way in WAYS if way.name in wanted]
    requests = 2 * SHARE if options.quick else 8 * SHARE
    reports = anyio.run(measure_all, ways, requests, options.seed, faults)
    wrong = [line for report in reports for line in report.wrong]
    if options.json:
        print(json.dumps([attrs.asdict(report) for report in reports]))
    else:
        print(*wrong, *[report.line for report in reports], sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
