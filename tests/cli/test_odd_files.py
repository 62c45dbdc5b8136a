"""Files as the field serves them, from the shell: other kinds, late, and not as stated."""

import json
import threading
from collections import Counter
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.kit.sounds import MP3_SECONDS, mp3
from tests.test_formats import FILES, PLAYS

from .conftest import run_cli

WAV = next(name for name in FILES if name.endswith(".wav"))


class Handler(BaseHTTPRequestHandler):
    """A provider of two songs: one is stated too long, the other is a WAV and late."""

    asked: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(json.dumps({"code": 200, "workId": "task-1"}).encode())

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        if "/credits" in self.path:
            self._answer(b'{"code":200,"data":{"credits":900,"used_credits":0}}')
        elif "/feed" in self.path:
            songs = [self._song("long", 180.0), self._song("late", PLAYS[WAV])]
            feed = {"type": "SUCCESS", "response_data": songs}
            self._answer(json.dumps({"code": 200, "data": feed}).encode())
        elif "late" in self.path:
            self._answer(FILES[WAV], 404 if self.asked[self.path] == 1 else 200)
        else:
            self._answer(mp3(80))

    def _song(self, name: str, duration: float) -> dict[str, object]:
        link = f"http://{self.headers['Host']}/{name}.mp3"
        return {"id": name, "status": "complete", "audio_url": link, "duration": duration}

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # as the class names it
        """Say nothing."""


@pytest.fixture
def url() -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_batch_saves_what_is_served_and_tells_what_is_not_as_stated(
    url: str, tmp_path: Path
) -> None:
    """`verify` agrees, the gallery shows both, and nothing is fetched again."""
    ideas, songs = tmp_path / "ideas.txt", tmp_path / "songs"
    ideas.write_text("rain\n")
    at = ("--out", songs, "--base-url", url, "--speed", "60", "--yes")
    run = run_cli("batch", ideas, *at)
    assert run.code == 0, run.err
    lines = {line["id"]: line for line in map(json.loads, run.out.splitlines())}
    assert Path(lines["late"]["path"]).read_bytes() == FILES[WAV]
    assert Path(lines["late"]["path"]).suffix == ".wav"
    assert lines["late"]["mismatch"] is None
    assert lines["long"]["duration"] == pytest.approx(80 * MP3_SECONDS, abs=0.01)
    assert "stated were 180.00 s" in lines["long"]["mismatch"]
    assert "stated were 180.00 s" in run.err
    assert run_cli("verify", songs).code == 0
    assert ".wav" in (songs / "index.html").read_text()
    before = Handler.asked.copy()
    assert run_cli("batch", ideas, *at).code == 0
    assert {path for path in Handler.asked - before if path.endswith(".mp3")} == set()
