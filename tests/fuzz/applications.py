"""Callbacks through the ASGI application, for a job whose answer was lost: they settle it."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import attrs
import httpx

import udio_async as ua
from tests.kit.asgi import call

from .cases import Broken, Sample, Subject
from .changes import OF_CALLBACKS
from .corpus import samples_of
from .records import iter_flaws
from .ways import SONG, WAYS

PUBLIC = "https://songs.example.org/udio"
_PUBLIC = re.compile(r"https://(?!10\.|\[|localhost)")
"""How links begin that may be followed; of those that are not, the samples have these three."""
KEPT = (200, 400, 413)
"""What a callback at its own address, with its own secret, may be answered with."""
HEARD = (
    ua.JournalState.IN_DOUBT,
    ua.JournalState.ACCEPTED,
    ua.JournalState.READY,
    ua.JournalState.FAILED,
)


@attrs.define
class Lost:
    """A service that takes requests and is never heard of, but for what it posts."""

    submits: list[dict[str, str]] = attrs.field(factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(("/generate", "/udio-imagine")):
            self.submits.append(json.loads(request.content))
            raise httpx.ReadError("the answer is lost")
        return httpx.Response(503)

    @property
    def address(self) -> ua.CallbackAddress:
        """Where it was asked to post to."""
        [asked] = self.submits
        url = asked.get("callback_url") or asked["webhook_url"]
        return ua.CallbackAddress(url=url, secret=asked.get("webhook_secret"))


async def _read(way: str, sample: Sample) -> str:
    service, journal = Lost(), ua.MemoryJournal()
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(service)) as http,
        ua.Client(WAYS[way].provider, http_client=http, journal=journal) as client,
    ):
        app = client.callbacks(PUBLIC)
        with suppress(ua.SubmitInDoubt):
            await client.submit(attrs.evolve(SONG, key="lost"))
        before = await journal.get("lost")
        headers = {"x-webhook-secret": service.address.secret or ""}
        status = await call(app, service.address.url, sample.body, headers=headers)
        after = await journal.get("lost")
    if flaws := list(_iter_flaws(status, before, after)):
        raise Broken("; ".join(flaws))
    return f"{status} {after.state if after else None}"


def _iter_flaws(
    status: int, before: ua.JournalEntry | None, after: ua.JournalEntry | None
) -> Iterator[str]:
    if status not in KEPT:
        yield f"answered with {status}"
    if status != 200 and after != before:
        yield f"answered with {status}, and {before} has become {after}"
    if after is None or after.state not in HEARD:
        yield f"a job that was in doubt is {after}"
    if after is not None:
        yield from iter_flaws(after)
        links = [song.audio_url for song in after.songs] + [song.image_url for song in after.songs]
        yield from (f"leads to {link}" for link in links if link and not _PUBLIC.match(link))


def of_applications() -> list[Subject]:
    return [
        Subject(
            name=f"{way} by ASGI",
            samples=samples_of(WAYS[way]),
            changes=OF_CALLBACKS,
            read=partial(_read, way),
            share=6,
        )
        for way in ("callback of v1", "webhook of apiframe")
    ]
