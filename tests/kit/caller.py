"""Whoever calls a callback address: one connection that stays open, and blocks its thread."""

import http.client
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Caller:
    """Posts to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.close()

    def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "POST",
    ) -> int:
        """Return the status of the answer.

        Raises:
            OSError, http.client.HTTPException: there was none.
        """
        try:
            self._line.request(method, path, body, dict(headers or {}))
            answer = self._line.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self._line.close()  # it connects again by itself
            raise
        return answer.status


def flood(port: int, address: str, seconds: float) -> Counter[int]:
    """Post forged callbacks as fast as one connection can: strangers', and to a true address."""
    answers: Counter[int] = Counter()
    end = time.monotonic() + seconds
    body = json.dumps({"stage": "complete", "task_id": "0", "songs": ["x" * 2000]}).encode()
    with Caller(port) as caller:
        while time.monotonic() < end:
            answers[caller.post(f"/songs/{secrets.token_hex(32)}", body)] += 1
            answers[caller.post(address, body, {"x-secret": secrets.token_hex(32)})] += 1
    return answers


if __name__ == "__main__":
    to_port, to_address, for_seconds = sys.argv[1:]
    with ThreadPoolExecutor(4) as pool:
        floods = [
            pool.submit(flood, int(to_port), to_address, float(for_seconds)) for _ in range(4)
        ]
    total: Counter[int] = Counter()
    for done in floods:
        total += done.result()
    print(json.dumps(total))  # noqa: T201 - it is listened to
