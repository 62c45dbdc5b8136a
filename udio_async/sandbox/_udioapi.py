"""udioapi.pro, v1 and v2, as its pages describe them.

The orders' rules are in `_udioapi_orders`. Where a page contradicts its own sample, the comments
say which one is followed.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._answers import answer_broken_look, answering, encoded_answer
from ._bodies import RefusedError, read_json
from ._kinds import detail_of
from ._links import audio_link, cover_link, stream_link
from ._oddities import as_told
from ._submits import SubmitHandler
from ._tasks import JsonObject, MadeSong, MadeTask, Order, Phase
from ._udioapi_orders import TOO_LONG, read_callback_order, read_token_order, read_v2_order
from ._world import World

_NO_KEY = "No API key provided in Authorization header"
_WRONG_KEY = "Unauthorized: Invalid or missing API key"
_STATUS = {Phase.TEXT: "text", Phase.FIRST: "first", Phase.COMPLETE: "complete"}
_EXTRA_MESSAGE = {
    Phase.TEXT: "Text generated successfully.",
    Phase.FIRST: "First audio generated successfully.",
    Phase.COMPLETE: "All generated successfully.",
}
_ERROR_MESSAGE = {"upstream": "Server overload", "message": ""}
_V1_TYPE = {Phase.QUEUED: "new", Phase.STARTED: "IN_PROGRESS", Phase.FAILED: "complete", **_STATUS}
_V2_TYPE = {Phase.COMPLETE: "SUCCESS", Phase.FAILED: "FAILED"}
_DescribeTask = Callable[[MadeTask, float, str], JsonObject]


class UdioApiDialect:
    """How udioapi words its answers: `{"code": ..., "message": ...}`."""

    refusal = TOO_LONG

    def accepted(self, task_id: str, status: int = 200) -> Response:
        """Name the task twice, as the samples do; a 500 may name one, too."""
        message = "success" if status == 200 else "Internal Server Error"
        body = {"code": status, "message": message, "workId": task_id, "data": {"task_id": task_id}}
        return JSONResponse(body, status)

    def error(self, status: int, message: str = "") -> Response:
        """Refuse a request."""
        return JSONResponse({"code": status, "message": message}, status)

    def no_credit(self, status: int) -> Response:
        """Refuse because the account is empty; under a 200 only the body says so."""
        code = 402 if status == 200 else status
        return JSONResponse({"code": code, "message": "Insufficient credits"}, status)


_dialect = UdioApiDialect()


@attrs.frozen
class UdioApi:
    """The endpoints of both versions."""

    handler: SubmitHandler

    @property
    def world(self) -> World:
        """The tasks and the account."""
        return self.handler.world

    def routes(self) -> list[Route]:
        """List the endpoints."""
        generate_v1 = self.handler.taking("udioapi-v1", _dialect, self.generate_v1)
        generate_v2 = self.handler.taking("udioapi-v2", _dialect, self.generate_v2)
        looks = ["GET", "POST"]  # the pages say GET, their samples POST
        return [
            Route("/api/generate", generate_v1, methods=["POST"]),
            Route("/api/feed", answering(_dialect, self.feed_v1), methods=looks),
            Route("/api/v2/generate", generate_v2, methods=["POST"]),
            Route("/api/v2/feed", answering(_dialect, self.feed_v2), methods=looks),
            Route("/api/v2/credits", answering(_dialect, self.credits), methods=["GET"]),
        ]

    async def generate_v1(self, request: Request) -> Response:
        """Take a request; a body with a `token` is one of the older page."""
        try:
            body = await read_json(request)
        except RefusedError:
            self._check_key(request)  # if key and body are both bad, the answer is about the key
            raise
        if "token" not in body:
            self._check_key(request)
            return await self._submit(request, read_callback_order(body))
        if body["token"] != self.world.api_key:
            raise RefusedError(401, _WRONG_KEY)
        header_ok = _read_key(request) in {None, self.world.api_key}
        order = attrs.evolve(read_token_order(body), key_ok=header_ok)
        return await self._submit(request, order)

    async def generate_v2(self, request: Request) -> Response:
        """Take a request, by the v2 page."""
        self._check_key(request)
        return await self._submit(request, read_v2_order(await read_json(request)))

    async def feed_v1(self, request: Request) -> Response:
        """Answer how a task is: flat, without an envelope."""
        return self._look(request, "udioapi-v1", _describe_v1)

    async def feed_v2(self, request: Request) -> Response:
        """Answer how a task is, in an envelope."""
        return self._look(request, "udioapi-v2", _describe_v2)

    async def credits(self, request: Request) -> Response:
        """Answer what the account has left."""
        self._check_key(request)
        data = {"credits": self.world.credits, "used_credits": self.world.used_credits}
        return JSONResponse({"code": 200, "message": "success", "data": data})

    async def _submit(self, request: Request, order: Order) -> Response:
        origin = str(request.base_url)
        return await self.handler.take(
            _dialect, order, lambda task, now: _describe_songs(task, now, origin)
        )

    def _look(self, request: Request, provider: str, describe: _DescribeTask) -> Response:
        """Answer a look in the shape that `describe` gives it."""
        # The feed pages show no key, so none is needed; a wrong one is still wrong.
        if _read_key(request) not in {None, self.world.api_key}:
            raise RefusedError(401, _WRONG_KEY)
        work_id = request.query_params.get("workId")
        if not work_id:
            raise RefusedError(400, "workId is required")
        task = self.world.find(work_id, provider)
        if task is None:
            raise RefusedError(404, "Task not found")
        broken = answer_broken_look(_dialect, task)
        shown = describe(task, self.world.clock(), str(request.base_url))
        return encoded_answer(broken or JSONResponse(shown), task)

    def _check_key(self, request: Request) -> None:
        """Refuse a request without the key, or with a wrong one."""
        key = _read_key(request)
        if key != self.world.api_key:
            raise RefusedError(401, _NO_KEY if key is None else _WRONG_KEY)


def _read_key(request: Request) -> str | None:
    header = request.headers.get("authorization", "")
    return header.removeprefix("Bearer ").strip() or None


def _describe_v1(task: MadeTask, now: float, origin: str) -> JsonObject:
    created = datetime.fromtimestamp(task.created_at, UTC)
    return {
        "type": _word(task, task.phase(now), _V1_TYPE),
        "request_body": task.order.request,
        "response_data": _describe_songs(task, now, origin),
        "created_at": created.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _describe_v2(task: MadeTask, now: float, origin: str) -> JsonObject:
    data = {
        "type": _word(task, task.phase(now), _V2_TYPE),
        "request_body": task.order.request,
        "response_data": _describe_songs(task, now, origin),
        "created_at": _iso(task.created_at),
    }
    return {"code": 200, "message": "success", "data": data}


def _word(task: MadeTask, phase: Phase, usual: Mapping[Phase, str]) -> str:
    """Return the word for a phase: that of its fault, or that of its version of the service."""
    return task.course.words.get(phase) or usual.get(phase, "IN_PROGRESS")


def _describe_songs(task: MadeTask, now: float, origin: str) -> list[dict[str, object]]:
    """Return the items of a callback or a feed."""
    if task.phase(now) < Phase.TEXT:
        return []
    return as_told([_describe_song(task, song, now, origin) for song in task.songs], task)


def _describe_song(task: MadeTask, song: MadeSong, now: float, origin: str) -> dict[str, object]:
    phase = task.phase(now)
    reached = _iso(task.reached_at(phase))
    audio_url = _audio_url(task, song, now, origin)
    fail_message, error_message = _failure(task, song, phase)
    failed = bool(fail_message or error_message)
    image_url = cover_link(song, origin)
    return {
        "id": song.id,
        "audio_url": audio_url,
        "image_url": image_url,
        "image_large_url": image_url,
        "created_at": reached,
        "createTime": reached,
        "timestamp": round(task.created_at * 1000),
        "status": _status(task, song, phase, failed=failed),
        "title": song.title,
        "prompt": song.lyrics,
        "tags": song.style,
        "duration": round(song.duration, 2) if audio_url else "",
        "model_name": task.order.model,
        "extra_message": "" if failed else _EXTRA_MESSAGE.get(phase, ""),
        "fail_message": fail_message,
        "error_message": error_message,
    }


def _status(task: MadeTask, song: MadeSong, phase: Phase, *, failed: bool) -> str:
    if failed or phase is Phase.FAILED:
        return "text"  # there is no documented word for failure
    if task.kind == "stuck_first" and song is task.songs[0]:
        return "streaming"  # as it has been seen
    return _STATUS[phase]


def _audio_url(task: MadeTask, song: MadeSong, now: float, origin: str) -> str:
    """Return the link of a song; "" while it has none.

    In stage "first" one song has a link, to a stream that is not whole yet.
    """
    if task.is_made(now):
        return "" if task.is_lost(song) else audio_link(task, song, origin)
    if task.phase(now) is Phase.FIRST and song is task.songs[0]:
        return stream_link(song, origin)
    return ""


def _failure(task: MadeTask, song: MadeSong, phase: Phase) -> tuple[str, str]:
    """Return `fail_message` and `error_message`; v2's moderation fills the first."""
    lost = phase is Phase.COMPLETE and task.is_lost(song)
    if phase is not Phase.FAILED and not lost:
        return "", ""
    if task.kind in _ERROR_MESSAGE:
        return "", _ERROR_MESSAGE[task.kind] or detail_of(task.fault)
    if phase in task.course.words:  # such a task says nothing but that word
        return "", ""
    if task.order.provider == "udioapi-v2":
        return "Does Not Meet Guidelines", ""
    return "", "Unable to generate lyrics from song description"


def _iso(unix_time: float) -> str:
    moment = datetime.fromtimestamp(unix_time, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
