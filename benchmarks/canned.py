"""A server in a process of its own that takes songs and finishes them after a while.

It speaks what the benchmarks need and no more: the submit and status routes of udioapi v1 and v2
and of apiframe, with answers of their real shape, and those of the clients that `peers` compares
with. A submit that names a callback address is called back there at each stage. Answers are written
out beforehand, so that it is never what a benchmark waits for. It keeps books: when each song was
complete, when an answer first said so, requests and connections.

`serving` starts one. It says its port on its standard output and reads its standard input: each
line is answered with the statistics so far, as one line of JSON, and the end of it is its end.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from statistics import fmean
from urllib.parse import parse_qs, urlsplit

import attrs

from .calling import Caller
from .certificates import HOST, server_context

TEXT_AT, AUDIO_AT = 0.25, 0.7
"""Shares of its time after which a song shows its text, and a first audio."""


@attrs.frozen(kw_only=True)
class Statistics:
    """What the server saw. Times are seconds by its own clock."""

    jobs: int
    in_flight: int
    """The most that were accepted and not yet complete at one moment."""
    complete_shown: int
    """How many an answer has shown complete."""
    submits: int
    looks: int
    connections: int
    connections_at_once: int
    submitting: float
    """From the first accepted to the last."""
    late_mean: float
    late_p50: float
    late_p95: float
    late_p99: float
    """From complete to the first answer that shows it."""
    callbacks: int
    """How many were posted and answered."""
    callbacks_refused: int
    """Those whose answer was not 200, or missing."""
    cpu: float


@attrs.define
class Job:
    """One accepted song."""

    id: str
    accepted_at: float
    completes_at: float
    shown_at: float | None = None

    def progress(self, now: float) -> float:
        """Return its share done, and take note of the first time that this is all of it."""
        done = (now - self.accepted_at) / (self.completes_at - self.accepted_at)
        if done >= 1 and self.shown_at is None:
            self.shown_at = now
        return min(done, 1.0)


def quantile(values: list[float], share: float) -> float:
    """Return the value that this share of the sorted values does not exceed; 0 for none."""
    return values[min(int(share * len(values)), len(values) - 1)] if values else 0.0


@attrs.define
class Books:
    """Everything that the server remembers."""

    median: float
    sigma: float
    lose: int
    """How many accepted submits are still to be left without an answer."""
    jobs: dict[str, Job] = attrs.field(factory=dict)
    submits: int = 0
    looks: int = 0
    connections: int = 0
    connections_now: int = 0
    connections_at_once: int = 0
    source: random.Random = attrs.field(factory=lambda: random.Random(7))
    caller: Caller = attrs.field(factory=Caller)

    def accept(self, pattern: str) -> Job:
        """Take a song."""
        now = time.monotonic()
        spread = max(-3.0, min(self.source.gauss(0, 1), 3.0))
        length = self.median * math.exp(self.sigma * spread)
        job = Job(pattern % len(self.jobs), now, now + length)
        self.jobs[job.id] = job
        return job

    def statistics(self) -> Statistics:
        jobs = list(self.jobs.values())
        late = sorted(job.shown_at - job.completes_at for job in jobs if job.shown_at is not None)
        accepted = [job.accepted_at for job in jobs]
        return Statistics(
            jobs=len(jobs),
            in_flight=_most_at_once(jobs),
            complete_shown=len(late),
            submits=self.submits,
            looks=self.looks,
            connections=self.connections,
            connections_at_once=self.connections_at_once,
            submitting=max(accepted, default=0.0) - min(accepted, default=0.0),
            late_mean=fmean(late) if late else 0.0,
            late_p50=quantile(late, 0.5),
            late_p95=quantile(late, 0.95),
            late_p99=quantile(late, 0.99),
            callbacks=sum(self.caller.answers.values()),
            callbacks_refused=sum(self.caller.answers.values()) - self.caller.answers.get(200, 0),
            cpu=time.process_time(),
        )


def _most_at_once(jobs: list[Job]) -> int:
    steps = sorted(
        [(job.accepted_at, 1) for job in jobs] + [(job.completes_at, -1) for job in jobs]
    )
    now = most = 0
    for _, step in steps:
        now += step
        most = max(most, now)
    return most


# Answers -------------------------------------------------------------------------------------

LYRICS = "\n".join(
    f"[Verse {verse}]\nWalking down the street, feeling so free\nSummer dreams are calling me\n"
    "Every window open to the sea\nNothing in the world I would rather be\n"
    for verse in (1, 2, 3)
)


def _template(answer: object) -> str:
    """Write an answer as JSON in which {ID} and so on are to be filled in."""
    return json.dumps(answer).replace("%", "%%").replace("{ID}", "%(id)s")


def _udioapi_songs(status: str, audio: str, message: str) -> list[dict[str, object]]:
    return [
        {
            "id": f"{{ID}}-{place}",
            "audio_url": audio.replace("{SONG}", f"{{ID}}-{place}"),
            "image_url": f"https://cdn.example/image_{{ID}}-{place}.jpeg",
            "image_large_url": f"https://cdn.example/image_large_{{ID}}-{place}.jpeg",
            "created_at": "2025-05-01T12:00:00.000Z",
            "createTime": "2025-05-01T12:00:00.000Z",
            "timestamp": 1746100800000,
            "status": status,
            "title": "Summer Dreams",
            "prompt": LYRICS,
            "tags": "pop, upbeat, electronic",
            "duration": 156.36 if status == "complete" else "",
            "model_name": "chirp-v3-5",
            "extra_message": message,
            "fail_message": "",
            "error_message": "",
        }
        for place in (0, 1)
    ]


def _udioapi_task(kind: str, songs: list[dict[str, object]]) -> dict[str, object]:
    return {
        "type": kind,
        "request_body": {"model": "chirp-v3-5", "gpt_description_prompt": "a song"},
        "response_data": songs,
        "created_at": "2025-05-01T12:00:00.000Z",
    }


def _envelope(task: dict[str, object]) -> str:
    return _template({"code": 200, "message": "success", "data": task})


_TEXT = _udioapi_songs("text", "", "Text generated successfully.")
_AUDIO = _udioapi_songs(
    "first", "https://audiopipe.suno.ai/?item_id={SONG}", "First audio generated successfully."
)
_DONE = _udioapi_songs("complete", "https://cdn.example/{SONG}.mp3", "All generated successfully.")

UDIOAPI_ACCEPTED = _template(
    {"code": 200, "message": "success", "workId": "{ID}", "data": {"task_id": "{ID}"}}
)
UDIOAPI_CREDITS = _template({"code": 200, "message": "success", "data": {"credits": 1000}})
UDIOAPI_SHOWN = (
    _envelope(_udioapi_task("IN_PROGRESS", [])),
    _envelope(_udioapi_task("IN_PROGRESS", _TEXT)),
    _envelope(_udioapi_task("IN_PROGRESS", _AUDIO)),
    _envelope(_udioapi_task("SUCCESS", _DONE)),
)
"""What v2 shows before its text, with it, with a first audio, and at the end."""
UDIOAPI_V1_SHOWN = (
    _template(_udioapi_task("IN_PROGRESS", [])),
    _template(_udioapi_task("text", _TEXT)),
    _template(_udioapi_task("first", _AUDIO)),
    _template(_udioapi_task("complete", _DONE)),
)
UDIOAPI_CALLED = tuple(map(_template, (_TEXT, _AUDIO, _DONE)))


def _apiframe(status: str, audio: str | None) -> str:
    songs = [
        {
            "lyrics": LYRICS,
            "song_id": f"{{ID}}-{place}",
            "audio_url": audio and audio.replace("{SONG}", f"{{ID}}-{place}"),
            "image_url": f"https://cdn.example/{{ID}}-{place}.jpeg",
        }
        for place in (0, 1)
    ]
    task: dict[str, object] = {"task_id": "{ID}", "task_type": "udio", "status": status}
    if status == "processing":
        task["percentage"] = 56
    return _template({**task, "songs": songs})


APIFRAME_ACCEPTED = _template({"task_id": "{ID}"})
APIFRAME_ACCOUNT = _template({"email": "you@example", "credits": 1000, "plan": "pro"})
APIFRAME_STAGED = _template({"task_id": "{ID}", "status": "staged"})
APIFRAME_RUNNING = _apiframe("processing", None)
APIFRAME_DONE = _apiframe("finished", "https://cdn.example/{SONG}.mp3")

_PREDICTION = {
    "id": "{ID}",
    "model": "bench/song",
    "version": "1",
    "input": {"prompt": "a song"},
    "logs": "",
    "error": None,
    "metrics": {},
    "created_at": "2025-05-01T12:00:00.000Z",
    "urls": {"get": "https://api.example/v1/predictions/{ID}"},
}
REPLICATE_RUNNING = _template({**_PREDICTION, "status": "processing", "output": None})
REPLICATE_DONE = _template(
    {**_PREDICTION, "status": "succeeded", "output": "https://cdn.example/{ID}.mp3"}
)
FAL_RUNNING = _template({"status": "IN_PROGRESS", "logs": None})
FAL_DONE = _template({"status": "COMPLETED", "logs": None, "metrics": {}})
FAL_RESULT = _template({"audio": {"url": "https://cdn.example/{ID}.mp3"}})
ACEDATA_ACCEPTED = _template({"success": True, "task_id": "{ID}"})
ACEDATA_RUNNING = _template(
    {"id": "{ID}", "response": {"success": True, "data": [{"id": "{ID}", "state": "processing"}]}}
)
ACEDATA_DONE = _template(
    {
        "id": "{ID}",
        "response": {
            "success": True,
            "data": [
                {
                    "id": "{ID}",
                    "state": "succeeded",
                    "audio_url": "https://cdn.example/{ID}.mp3",
                    "lyric": LYRICS,
                }
            ],
        },
    }
)
SONILO_RUNNING = _template({"task_id": "{ID}", "status": "processing", "type": "text_to_music"})
SONILO_DONE = _template(
    {
        "task_id": "{ID}",
        "status": "succeeded",
        "type": "text_to_music",
        "audio": [{"stream_index": 0, "url": "https://cdn.example/{ID}.mp3"}],
    }
)


# Routes --------------------------------------------------------------------------------------


@attrs.frozen
class Asked:
    """One request, as far as a route wants to know."""

    url: str
    """With the query."""
    body: bytes
    site: str
    """Scheme, host and port."""

    @property
    def last_part(self) -> str:
        return self.url.rpartition("/")[2].partition("?")[0]

    def query(self, name: str) -> str:
        return parse_qs(urlsplit(self.url).query)[name][0]

    def field(self, name: str) -> str:
        return str(json.loads(self.body)[name])


Route = Callable[[Books, Asked], str]


def _taking(pattern: str, answer: str) -> Route:
    """A submit whose answer names the id."""
    return lambda books, _: answer % {"id": books.accept(pattern).id}


def _taking_with_callbacks(
    pattern: str, answer: str, callbacks: tuple[str, ...], *, url: str, secret: str = ""
) -> Route:
    """A submit that may say where to call back, and which secret to show there."""

    def take(books: Books, asked: Asked) -> str:
        job, body = books.accept(pattern), json.loads(asked.body)
        headers = {"x-webhook-secret": body[secret]} if secret in body else {}
        if url in body:
            for share, callback in zip((TEXT_AT, AUDIO_AT, 1.0), callbacks, strict=True):
                moment = job.accepted_at + share * (job.completes_at - job.accepted_at)
                text = callback % {"id": job.id}
                books.caller.post_at(moment, body[url], text.encode(), headers)
        return answer % {"id": job.id}

    return take


def _showing(find: Callable[[Asked], str], running: str, done: str) -> Route:
    """A look whose answer has two shapes."""

    def show(books: Books, asked: Asked) -> str:
        job = books.jobs[find(asked)]
        return (running if job.progress(time.monotonic()) < 1 else done) % {"id": job.id}

    return show


def _feed(shown: tuple[str, ...]) -> Route:
    """A look that shows how far the task is."""

    def show(books: Books, asked: Asked) -> str:
        job = books.jobs[asked.query("workId")]
        done = job.progress(time.monotonic())
        stage = sum(done >= share for share in (TEXT_AT, AUDIO_AT, 1))
        return shown[stage] % {"id": job.id}

    return show


def fetch(books: Books, asked: Asked) -> str:
    return _apiframe_task(books.jobs[asked.field("task_id")])


def fetch_many(books: Books, asked: Asked) -> str:
    task_ids = json.loads(asked.body)["task_ids"]
    return f'{{"tasks": [{", ".join(_apiframe_task(books.jobs[id_]) for id_ in task_ids)}]}}'


def _apiframe_task(job: Job) -> str:
    done = job.progress(time.monotonic())
    answer = APIFRAME_RUNNING if done >= TEXT_AT else APIFRAME_STAGED
    return (APIFRAME_DONE if done == 1 else answer) % {"id": job.id}


def fal_submit(books: Books, asked: Asked) -> str:
    id_ = books.accept("%08d").id
    url = f"{asked.site}/fal/requests/{id_}"
    return json.dumps(
        {
            "request_id": id_,
            "response_url": url,
            "status_url": f"{url}/status",
            "cancel_url": f"{url}/cancel",
        }
    )


def _fal_id(asked: Asked) -> str:
    return asked.url.split("/")[3].partition("?")[0]


fal_status = _showing(_fal_id, FAL_RUNNING, FAL_DONE)


def fal_look(books: Books, asked: Asked) -> str:
    if "/status" in asked.url:
        return fal_status(books, asked)
    return FAL_RESULT % {"id": _fal_id(asked)}


SUBMITS: tuple[tuple[str, Route], ...] = (
    ("POST /api/v2/generate", _taking("gen2%012dbksv", UDIOAPI_ACCEPTED)),
    (
        "POST /api/generate",
        _taking_with_callbacks(
            "gen1%012dbksv", UDIOAPI_ACCEPTED, UDIOAPI_CALLED, url="callback_url"
        ),
    ),
    (
        "POST /udio-imagine",
        _taking_with_callbacks(
            "29e983ca-7e86-4017-a9e3-%012d",
            APIFRAME_ACCEPTED,
            (APIFRAME_RUNNING, APIFRAME_RUNNING, APIFRAME_DONE),
            url="webhook_url",
            secret="webhook_secret",
        ),
    ),
    ("POST /fal/", fal_submit),
    ("POST /v1/models/", _taking("%08d", REPLICATE_RUNNING)),
    ("POST /suno/audios", _taking("%08d", ACEDATA_ACCEPTED)),
    ("POST /v1/text-to-music", _taking("%08d", SONILO_RUNNING)),
)
LOOKS: tuple[tuple[str, Route], ...] = (
    ("GET /api/v2/feed", _feed(UDIOAPI_SHOWN)),
    ("GET /api/feed", _feed(UDIOAPI_V1_SHOWN)),
    ("POST /fetch-many", fetch_many),
    ("POST /fetch", fetch),
    ("GET /api/v2/credits", lambda _books, _asked: UDIOAPI_CREDITS),
    ("POST /account", lambda _books, _asked: APIFRAME_ACCOUNT),
    ("GET /account", lambda _books, _asked: APIFRAME_ACCOUNT),
    ("GET /fal/requests/", fal_look),
    ("GET /v1/predictions/", _showing(lambda a: a.last_part, REPLICATE_RUNNING, REPLICATE_DONE)),
    ("POST /suno/tasks", _showing(lambda a: a.field("id"), ACEDATA_RUNNING, ACEDATA_DONE)),
    ("GET /v1/tasks/", _showing(lambda a: a.last_part, SONILO_RUNNING, SONILO_DONE)),
)


# The server ----------------------------------------------------------------------------------


class Line(asyncio.Protocol):
    """One connection: as much of HTTP as well-behaved clients speak."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        scheme = "http" if transport.get_extra_info("ssl_object") is None else "https"
        self.site = "{}://{}:{}".format(scheme, *transport.get_extra_info("sockname"))
        books = self.books
        books.connections += 1
        books.connections_now += 1
        books.connections_at_once = max(books.connections_at_once, books.connections_now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # its given name
        self.books.connections_now -= 1

    def data_received(self, data: bytes) -> None:
        self.seen += data
        while True:
            head, end, rest = self.seen.partition(b"\r\n\r\n")
            length = _content_length(head)
            if not end or len(rest) < length:
                return
            self.seen = rest[length:]
            self.answer(head.partition(b"\r\n")[0].decode(), rest[:length])

    def answer(self, request_line: str, body: bytes) -> None:
        asked = Asked(request_line.split(" ")[1], body, self.site)
        for start, route in LOOKS:
            if request_line.startswith(start):
                self.books.looks += 1
                return self.write("200 OK", route(self.books, asked))
        for start, route in SUBMITS:
            if request_line.startswith(start):
                return self.answer_submit(route(self.books, asked))
        return self.write("404 Not Found", '{"message": "Not Found"}')

    def answer_submit(self, answer: str) -> None:
        self.books.submits += 1
        if self.books.lose > 0:
            self.books.lose -= 1
            self.transport.close()
        else:
            self.write("200 OK", answer)

    def write(self, status: str, answer: str) -> None:
        body = answer.encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: keep-alive"
        head += f"\r\nContent-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)


def _content_length(head: bytes) -> int:
    _, found, after = head.lower().partition(b"\r\ncontent-length:")
    return int(after.partition(b"\r\n")[0]) if found else 0


async def serve(books: Books, context: ssl.SSLContext | None) -> None:
    """Serve until the end of the standard input."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(books), HOST, 0, backlog=4096, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps(attrs.asdict(books.statistics())), flush=True)


@attrs.frozen
class Canned:
    """A running server, seen from the benchmark."""

    url: str
    _process: "subprocess.Popen[str]"

    def statistics(self) -> Statistics:
        """Ask what it has seen so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return Statistics(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def serving(
    *, median: float, sigma: float = 0.0, lose: int = 0, tls: Path | None = None
) -> Generator[Canned]:
    """Run a server whose songs take log-normal times, and which loses the first few answers.

    The times are cut off at three sigma, so that no benchmark waits for one straggler. With a
    folder of `certificates` it speaks TLS.
    """
    options = {"--median": median, "--sigma": sigma, "--lose": lose}
    words = [str(word) for option in options.items() for word in option]
    words += [] if tls is None else ["--tls", str(tls)]
    scheme = "http" if tls is None else "https"
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.canned", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:  # leaving it closes the standard input, which ends the server
        assert process.stdout is not None
        yield Canned(f"{scheme}://{HOST}:{int(process.stdout.readline())}", process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--median", type=float, default=20.0, help="seconds that a song takes")
    parser.add_argument("--sigma", type=float, default=0.3, help="of the logarithm of that time")
    parser.add_argument("--lose", type=int, default=0, help="submits accepted without an answer")
    parser.add_argument("--tls", type=Path, help="a folder with cert.pem and key.pem")
    options = parser.parse_args()
    context = None if options.tls is None else server_context(options.tls)
    asyncio.run(serve(Books(options.median, options.sigma, options.lose), context))


if __name__ == "__main__":
    main()
