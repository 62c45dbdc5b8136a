"""Answers over a real socket, framed well or badly, through the library's own HTTP."""

import gzip
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import attrs

import udio_async as ua
from tests.kit.fault_server import Connection, FaultServer, http
from udio_async._http import HttpSender

from .cases import Change, Sample, Subject
from .changes import OF_ANSWERS
from .corpus import samples_of
from .promises import keep, keep_alone, outcome_of
from .ways import WAYS, Way

FRAME = "x-frame"
"""The header by which a sample says how it is framed; it is not sent."""
SOUND = ("", "chunked", "packed")
"""What brings all of a body to whoever reads it."""
PACKED = b"\x1f\x8b"
NOISE = (
    "Content-Encoding: gzip", "Content-Encoding: br, gzip", "Content-Encoding: \xff",
    "Transfer-Encoding: gzip, chunked", "Content-Length: 5, 5", "Content-Length: -1",
    "Content-Length: 99999999999999999999", "Connection: upgrade", "no colon at all", ": no name",
    "X-Long: " + "y" * 70_000, "X: a\r\n folded", "\x00: \x00", "Set-Cookie: a=b; Domain=x",
)  # fmt: skip
FRAMES = (*SOUND * 2, "until closed", "longer", "shorter", "cut", "twice", *NOISE)
TRIED = ("submit to v1", "submit to apiframe", "look at v2", "look at many", "credits of v2")


def framed_otherwise(sample: Sample, dice: random.Random) -> Sample:
    return attrs.evolve(sample, headers={**sample.headers, FRAME: dice.choice(FRAMES)})


OF_SOCKETS: tuple[Change, ...] = (*OF_ANSWERS, *[framed_otherwise] * 10)


def is_whole(sample: Sample) -> bool:
    """Return whether the body comes as it is to whoever reads it.

    It does not after a 204 or a 304, which have none, and where it is packed twice: then it is also
    unpacked twice.
    """
    sound = sample.headers.get(FRAME, "") in SOUND and sample.status not in (204, 304)
    return sound and not sample.body.startswith(PACKED)


def written(sample: Sample) -> bytes:
    """Return an answer as its bytes."""
    frame, body = sample.headers.get(FRAME, ""), sample.body
    headers = [f"{name}: {value}" for name, value in sample.headers.items() if name != FRAME]
    lengths: dict[str, int | str] = {
        "until closed": "none",
        "chunked": "none",
        "longer": len(body) + 10,
        "shorter": len(body) // 2,
    }
    if frame in NOISE:
        headers.append(frame)
    elif frame == "chunked":
        headers.append("Transfer-Encoding: chunked")
        body = _in_chunks(body)
    elif frame == "packed":
        headers.append("Content-Encoding: gzip")
        body = gzip.compress(body, 1, mtime=0)
    whole = http(sample.status, body, *headers, length=lengths.get(frame))
    return {"cut": whole[: len(whole) // 2], "twice": whole * 2}.get(frame, whole)


def _in_chunks(body: bytes) -> bytes:
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@attrs.define
class Loopback:
    """A server that answers with one sample after the other."""

    sender: HttpSender
    server: FaultServer
    sample: Sample

    async def read(self, way: Way, sample: Sample) -> str:
        """Put a question to it, and check what comes of this answer."""
        self.sample = attrs.evolve(sample, cut=None)
        asked = len(self.server.requests)
        provider = attrs.evolve(way.provider, base_url=self.server.url)
        here = attrs.evolve(way, provider=provider)
        try:
            result = await here.read(self.sender)
        except ua.UdioError as error:
            result = error
        calls = len(self.server.requests) - asked
        if is_whole(sample):
            keep(here, self.sample.reply, result, calls)
        else:
            keep_alone(here, result, calls)
        return outcome_of(result)

    async def answer(self, connection: Connection) -> None:
        """Answer each request; close the connection where its state is anybody's guess."""
        while True:
            await connection.request()
            await connection.send(written(self.sample))
            if FRAME in self.sample.headers:
                return


@asynccontextmanager
async def over_sockets() -> AsyncGenerator[list[Subject]]:
    """Serve on loopback, on whichever back end this is."""
    none = Sample(name="none", body=b"")
    async with anyio.create_task_group() as tasks, HttpSender(tasks, trust_env=False) as sender:
        loopback = Loopback(sender, FaultServer([]), none)
        loopback.server = FaultServer(loopback.answer)
        async with loopback.server:
            yield [
                Subject(
                    name=f"{name} by socket",
                    samples=samples_of(WAYS[name]),
                    changes=OF_SOCKETS,
                    read=partial(loopback.read, WAYS[name]),
                    share=4,
                )
                for name in TRIED
            ]
