"""Kill a client that lives from callbacks; what it had answered with 200 must be in its journal.

python -m tests.callbacks.kill --rounds 60 --seed 1
"""

# ruff: noqa: T201 - it is a command too

import argparse
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import attrs

from tests.callbacks.child import provider_at
from tests.callbacks.paper import udioapi_items
from tests.crash.world import environment
from tests.kit.caller import Caller
from udio_async import Client, JournalEntry, SqliteJournal, Stage
from udio_async.journal import State

SONGS = 40
MOST = 80
"""Callbacks that are answered before a child is killed, at most."""
A_CALLBACK = 0.01
"""Seconds that one takes, about: so the kill comes anywhere in it."""
PATIENCE = 20.0
"""Seconds after which a child is killed in any case."""
SENDERS = 4
STAGES = {"text": Stage.TEXT_READY, "first": Stage.FIRST_AUDIO, "complete": Stage.COMPLETE}


@attrs.define(eq=False)
class Taker:
    """Takes every song, and answers nobody."""

    paths: dict[str, str] = attrs.field(factory=dict)
    """Where to call for the song of these words."""
    submits: int = 0
    url: str = ""


@contextmanager
def taking() -> Generator[Taker]:
    taker = Taker()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.close_connection = True
            text = self.rfile.read(int(self.headers["Content-Length"]))
            if not text:  # killed while it was sending
                return
            body = json.loads(text)
            taker.paths[body["gpt_description_prompt"]] = urlsplit(body["callback_url"]).path
            taker.submits += 1

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its given name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        taker.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield taker
        finally:
            server.shutdown()
            thread.join()


@attrs.define
class Report:
    """What so many kills have done."""

    kills: int = 0
    acknowledged: dict[str, Stage] = attrs.field(factory=dict)
    """The furthest callback of each song that was answered with 200."""
    posted: int = 0
    completed: int = 0
    """Songs whose last callback was acknowledged."""
    violations: list[str] = attrs.field(factory=list)


def post_until(
    dead: threading.Event, port: int, taker: Taker, report: Report, dice: random.Random
) -> None:
    """Call back for songs at random, in any order, until nobody answers."""
    with Caller(port) as caller:
        while not dead.is_set():
            waiting = [
                words
                for words in list(taker.paths)
                if report.acknowledged.get(words) is not Stage.COMPLETE
            ]
            if not waiting:
                dead.wait(0.002)  # the next song is still to be submitted
                continue
            words, word = dice.choice(waiting), dice.choice(list(STAGES))
            try:
                status = caller.post(
                    taker.paths[words], json.dumps(udioapi_items(words, word)).encode()
                )
            except (OSError, http.client.HTTPException):
                return
            report.posted += 1
            before = report.acknowledged.get(words)
            if status == 200 and (before is None or before.is_before(STAGES[word])):
                report.acknowledged[words] = STAGES[word]


def one_life(taker: Taker, journal: Path, report: Report, dice: random.Random, *flags: str) -> None:
    """Run a child, post to it, and kill it at a random moment."""
    words = [taker.url, str(journal), f"life {report.kills}", str(SONGS), *flags]
    command = [sys.executable, "-m", "tests.callbacks.child", *words]
    dead = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            senders = [
                threading.Thread(
                    target=post_until,
                    args=(dead, port, taker, report, random.Random(dice.random())),
                )
                for _ in range(SENDERS)
            ]
            for sender in senders:
                sender.start()
            enough, end = report.posted + dice.randrange(MOST), time.monotonic() + PATIENCE
            while report.posted < enough and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(dice.uniform(0.0, A_CALLBACK))
        finally:
            process.kill()
            dead.set()
    for sender in senders:
        sender.join()
    report.kills += 1


async def judge(taker: Taker, journal: Path, report: Report) -> None:
    """Compare what was acknowledged with what the journal knows."""
    async with Client(provider_at(taker.url), journal=SqliteJournal(journal, threaded=False)) as c:
        entries = [entry async for entry in c.jobs()]
    known = {entry.request["description"]: entry for entry in entries}
    report.completed = 0
    for words, stage in report.acknowledged.items():
        report.completed += stage is Stage.COMPLETE
        if not shows(known.get(words), stage):
            report.violations.append(f"kill {report.kills}: {words} was {stage} and is not")


def shows(entry: JournalEntry | None, stage: Stage) -> bool:
    """Answer whether an entry is as far as was acknowledged."""
    if entry is None or entry.state not in (State.IN_DOUBT, State.READY):
        return False
    reached = any(not song.stage.is_before(stage) for song in entry.songs)
    return reached and (stage is not Stage.COMPLETE or entry.state is State.READY)


def kill(folder: Path, *flags: str, rounds: int, seed: int) -> Report:
    """Kill so often, over one journal; a control ends with its first violation."""
    dice, report, journal = random.Random(seed), Report(), folder / "songs.db"
    with taking() as taker:
        while report.kills < rounds and not (flags and report.violations):
            one_life(taker, journal, report, dice, *flags)
            anyio.run(judge, taker, journal, report)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--acknowledge-early", action="store_true", help="the control: it fails")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    flags = ["--acknowledge-early"] if options.acknowledge_early else []
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = kill(Path(folder), *flags, rounds=options.rounds, seed=options.seed)
    if options.json:
        print(json.dumps(attrs.asdict(report)))
        sys.exit(bool(report.violations))
    print(
        f"seed {options.seed}: {report.kills} kills in {time.monotonic() - start:.0f} s, "
        f"{report.posted} callbacks answered, {len(report.acknowledged)} songs acknowledged, "
        f"{report.completed} of them complete\n"
        f"acknowledged and lost: {len(report.violations)}"
    )
    print(*report.violations[:10], sep="\n")
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
