"""A client that lives from callbacks, to be killed: `python -m tests.callbacks.child URL JOURNAL`.

It submits songs, each of whose answers is lost, and says on which port it can be called.
"""

# ruff: noqa: T201 - it is listened to

import argparse
from contextlib import ExitStack
from pathlib import Path

import anyio

from tests.callbacks.breaks import acknowledged_early
from tests.kit.serving import uvicorn_serving
from udio_async import Client, SongRequest, UdioApiV1


def provider_at(url: str) -> UdioApiV1:
    return UdioApiV1(api_key="key", base_url=url)


async def run(url: str, journal: Path, prefix: str, songs: int) -> None:
    requests = [SongRequest(description=f"{prefix} number {number}") for number in range(songs)]
    async with (
        Client(provider_at(url), journal=journal, max_in_doubt=10**6) as client,
        uvicorn_serving(
            lambda port: client.callbacks(f"http://127.0.0.1:{port}/songs", allow_private=True)
        ) as port,
    ):
        print(port, flush=True)
        async with client.generate_many(requests) as batch:
            async for _ in batch:
                pass
        await anyio.sleep_forever()  # callbacks go on coming, until it is killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("journal", type=Path)
    parser.add_argument("prefix")
    parser.add_argument("songs", type=int)
    parser.add_argument("--acknowledge-early", action="store_true")
    options = parser.parse_args()
    with ExitStack() as breaks:
        if options.acknowledge_early:
            breaks.enter_context(acknowledged_early())
        anyio.run(run, options.url, options.journal, options.prefix, options.songs)


if __name__ == "__main__":
    main()
