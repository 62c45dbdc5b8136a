"""Recorded answers, and a network that gives them back."""

from collections import deque
from collections.abc import Iterable
from pathlib import Path

from .._http import Call, Reply

KEY = "contract-key-that-nobody-may-ever-see"
"""Give this key to the provider of a case: the contract looks for it everywhere."""

_TYPES = {".json": "application/json", ".html": "text/html", ".txt": "text/plain"}


def read_recording(folder: Path, name: str) -> Reply:
    """Read a recorded answer: `folder/NAME.STATUS.json`, `.html` or `.txt`.

    The status is that of the file's name, and the media type follows from its ending.

    Raises:
        FileNotFoundError: there is none, or more than one.
    """
    found = sorted(folder.glob(f"{name}.[0-9][0-9][0-9].*"))
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} recordings {name}.STATUS.* in {folder}")
    status = int(found[0].suffixes[-2][1:])
    headers = {"content-type": _TYPES.get(found[0].suffix, "application/octet-stream")}
    return Reply(status=status, headers=headers, body=found[0].read_bytes())


class RecordedHttp:
    """Answers calls from a script, in place of the network.

    Each call takes the next answer; an exception among them is raised. The calls are in `calls`, in
    their order.

        http = RecordedHttp([read_recording(folder, "submit-ok")])
        assert await provider.submit(http, request) == "task-1"
    """

    def __init__(self, replies: Iterable[Reply | Exception] = ()) -> None:
        self._replies = deque(replies)
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        """Return the next answer of the script.

        Raises:
            AssertionError: there was one call too many.
        """
        self.calls.append(call)
        if not self._replies:
            raise AssertionError(f"nobody expected {call.method} {call.path}")
        reply = self._replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply
