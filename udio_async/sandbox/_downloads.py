"""Downloads, and what may be wrong with the answer to one."""

import hashlib
import re
from collections.abc import Callable, Mapping

import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from ._answers import encode
from ._sounds import Sound
from ._tasks import MadeSong, MadeTask

EMPTY_DOWNLOADS = 2
_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_SIGN_IN = "<html><body><h1>Please sign in</h1></body></html>"
_CODES = {403: "AccessDenied", 404: "NoSuchKey", 410: "Gone"}


@attrs.frozen(kw_only=True)
class Download:
    """One request for the file of a song."""

    request: Request
    task: MadeTask
    song: MadeSong
    sound: Sound
    number: int
    """Which of the song's downloads it is, from 0."""
    now: float
    """By the world's clock."""


def answer_download(download: Download) -> Response:
    """Answer with the file, or as the fault of its task wants it."""
    spoil = _TROUBLES.get(download.task.kind)
    spoiled = spoil(download) if spoil else None
    return spoiled or serve_bytes(download.request, download.sound.data, download.sound.media_type)


def serve_bytes(request: Request, data: bytes, media_type: str) -> Response:
    """Answer with a file, or with the part of it that `Range` asks for."""
    etag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    wanted = _ONE_RANGE.fullmatch(request.headers.get("range", ""))
    if wanted is None or request.headers.get("if-range", etag) != etag:
        return Response(data, 200, headers, media_type)
    part = _resolve_range(wanted[1], wanted[2], len(data))
    if not part:
        return Response(b"", 416, {**headers, "Content-Range": f"bytes */{len(data)}"})
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(data)}"
    return Response(data[part.start : part.stop], 206, headers, media_type)


def _resolve_range(first: str, last: str, size: int) -> range:
    """Return the bytes that "first-last" means (RFC 9110, section 14.1.2).

    The range is empty if there are none.
    """
    if first:
        return range(int(first), min(int(last) + 1, size) if last else size)
    return range(max(size - int(last), 0), size) if last else range(0)


def refuse_file(status: int) -> Response:
    """Refuse a file as storage behind a CDN does."""
    page = f"<Error><Code>{_CODES[status]}</Code></Error>"
    return Response(page, status, media_type="application/xml")


# Troubles; None means that the file is served ------------------------------------------------


def _cdn_late(download: Download) -> Response | None:
    song = download.song
    if download.now >= download.task.completes_at + song.late:
        return None
    return refuse_file((403, 404)[song.number % 2])


def _link_expired(download: Download) -> Response | None:
    if download.request.query_params.get("link") != "1":
        return None
    download.task.ended_links.add(download.song.id)
    return refuse_file((410, 403)[download.song.number % 2])


def _empty_body(download: Download) -> Response | None:
    if download.number >= EMPTY_DOWNLOADS:
        return None
    return Response(b"", 200, media_type=download.sound.media_type)


def _error_page(download: Download) -> Response | None:
    return None if download.number else HTMLResponse(_SIGN_IN)


def _cut(download: Download) -> Response | None:
    if download.number:
        return None
    whole = serve_bytes(download.request, download.sound.data, download.sound.media_type)
    return _CutResponse(whole)


def _encoded(download: Download) -> Response:
    sound = download.sound
    return encode(Response(sound.data, 200, media_type=sound.media_type), download.task.kind)


def _whole_as_part(download: Download) -> Response:
    """Answer with the whole file, in one of three ways in turn.

    They are 206 with `Content-Range`, 206 without it, and 203, as through a proxy.
    """
    sound, way = download.sound, download.song.number % 3
    last = len(sound.data) - 1
    headers = {"Content-Range": f"bytes 0-{last}/{last + 1}"} if way == 0 else {}
    return Response(sound.data, 203 if way == 2 else 206, headers, sound.media_type)


_TROUBLES: Mapping[str, Callable[[Download], Response | None]] = {
    "cdn_late": _cdn_late,
    "cdn_gone": lambda _: refuse_file(404),
    "link_expired": _link_expired,
    "empty_body": _empty_body,
    "error_page": _error_page,
    "cut": _cut,
    "encoded": _encoded,
    "odd_encoding": _encoded,
    "partial_206": _whole_as_part,
}


class _CutResponse(Response):
    """Half of an answer, after which the server hangs up."""

    def __init__(self, whole: Response) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of the body, and hang up.

        A server without a way to hang up just ends the answer there.
        """
        start = {"status": self.status_code, "headers": self.raw_headers}
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        hang_up = scope.get("state", {}).get("hang_up")
        if hang_up is not None:
            hang_up()
            while (await receive())["type"] != "http.disconnect":
                pass
