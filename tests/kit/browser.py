"""A real browser without a window, spoken to through a pipe."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_PATIENCE = 20.0
_FLAGS = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # in a container there is often no other way
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
)


@attrs.define
class Page:
    """One tab. What the page says and asks is kept in `heard`."""

    _commands: int
    _answers: int
    _session: str | None = None
    heard: list[dict[str, Any]] = attrs.field(factory=list)
    _numbers: Iterator[int] = attrs.field(factory=lambda: count(1))
    _rest: bytes = b""

    def call(self, method: str, **params: object) -> Any:  # noqa: ANN401 - JSON is anything
        """Give a command of the DevTools protocol and return its answer."""
        number = self._send(method, params)
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _send(self, method: str, params: dict[str, Any]) -> int:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        return number

    def wait_for(self, event: str) -> None:
        """Wait until the browser tells this event."""
        while not any(heard.get("method") == event for heard in self.heard):
            self._receive()

    def open(self, address: str) -> None:
        """Open a page and wait until it has loaded; what was heard before is forgotten."""
        self.heard.clear()
        self.call("Page.navigate", url=address)
        self.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Return what an expression gives; a promise is waited for."""
        result = self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press and let go a key that writes a character."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def take_picture(self, path: Path) -> None:
        """Save what is on the screen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    @property
    def trouble(self) -> list[dict[str, Any]]:
        """Dialogs, exceptions, and what the policy or the console complain about."""
        bad = {"Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [heard for heard in self.heard if heard.get("method") in bad]

    def attach(self) -> None:
        """Make a tab and listen to it."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            readable, _, _ = select.select([self._answers], [], [], end - time.monotonic())
            chunk = os.read(self._answers, 1 << 20) if readable else b""
            assert chunk, "the browser has stopped answering"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        self.heard.append(answer)
        if answer.get("method") == "Page.javascriptDialogOpening":  # the page stands still
            self._send("Page.handleJavaScriptDialog", {"accept": False})
        return answer


def _above(descriptor: int) -> int:
    """Move a file descriptor out of the way of 3 and 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


@contextmanager
def open_browser() -> Iterator[Page]:
    """Start Chromium, which has to be there, and end it afterwards."""
    assert CHROMIUM is not None
    its_commands, commands = map(_above, os.pipe())
    answers, its_answers = map(_above, os.pipe())
    # It reads from 3 and writes to 4, and only a shell puts them there without a race.
    script = f'exec "$0" "$@" 3<&{its_commands} 4>&{its_answers}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            ["bash", "-c", script, *command],
            pass_fds=(its_commands, its_answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(its_commands)
        os.close(its_answers)
        try:
            page = Page(commands, answers)
            page.attach()
            yield page
        finally:
            os.close(commands)
            os.close(answers)
            process.terminate()
            process.wait()
