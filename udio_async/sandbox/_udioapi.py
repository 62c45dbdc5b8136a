"""udioapi.pro, v1 and v2, as its pages describe them."""

from collections.abc import Callable
from datetime import UTC, datetime

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._answers import InvalidBodyError, answer_broken_look, answer_submit, read_json
from ._callbacks import Caller
from ._faults import MESSAGE
from ._udioapi_orders import TOO_LONG, read_callback_order, read_token_order, read_v2_order
from ._world import JsonObject, MadeSong, MadeTask, Order, Phase, World

_NO_KEY = "No API key provided in Authorization header"
_WRONG_KEY = "Unauthorized: Invalid or missing API key"
_STATUS = {Phase.TEXT: "text", Phase.FIRST: "first", Phase.COMPLETE: "complete"}
_EXTRA_MESSAGE = {
    Phase.TEXT: "Text generated successfully.",
    Phase.FIRST: "First audio generated successfully.",
    Phase.COMPLETE: "All generated successfully.",
}
_V1_TYPE = {Phase.QUEUED: "new", Phase.STARTED: "IN_PROGRESS", Phase.FAILED: "complete", **_STATUS}
_V2_TYPE = {Phase.COMPLETE: "SUCCESS", Phase.FAILED: "FAILED"}


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


_dialect = UdioApiDialect()


@attrs.frozen
class UdioApi:
    """The endpoints of both versions."""

    world: World
    caller: Caller

    def routes(self) -> list[Route]:
        """List the endpoints."""
        looks = ["GET", "POST"]  # the pages say GET, their samples POST
        return [
            Route("/api/generate", self.generate_v1, methods=["POST"]),
            Route("/api/feed", self.feed_v1, methods=looks),
            Route("/api/v2/generate", self.generate_v2, methods=["POST"]),
            Route("/api/v2/feed", self.feed_v2, methods=looks),
            Route("/api/v2/credits", self.credits, methods=["GET"]),
        ]

    async def generate_v1(self, request: Request) -> Response:
        """Take a song request; a body with a `token` is one of the older page."""
        try:
            body = await read_json(request)
        except InvalidBodyError as error:
            return self._refuse_key(request) or _dialect.error(400, error.message)
        if "token" not in body:
            refusal = self._refuse_key(request)
            return refusal or await self._submit(request, read_callback_order, body)
        if body["token"] != self.world.api_key:
            return _dialect.error(401, _WRONG_KEY)
        header_ok = _read_key(request) in {None, self.world.api_key}
        return await self._submit(request, read_token_order, body, key_ok=header_ok)

    async def generate_v2(self, request: Request) -> Response:
        """Take a song request."""
        refusal = self._refuse_key(request)
        if refusal is not None:
            return refusal
        try:
            body = await read_json(request)
        except InvalidBodyError as error:
            return _dialect.error(400, error.message)
        return await self._submit(request, read_v2_order, body)

    async def feed_v1(self, request: Request) -> Response:
        """Tell how a task is: flat, without an envelope."""
        task = self._find(request, "udioapi-v1")
        if isinstance(task, Response):
            return task
        phase = task.phase(self.world.clock())
        created = datetime.fromtimestamp(task.created_at, UTC)
        return JSONResponse(
            {
                "type": _V1_TYPE[phase],
                "request_body": task.order.request,
                "response_data": _describe_songs(task, phase, str(request.base_url)),
                "created_at": created.strftime("%Y-%m-%d %H:%M:%S"),
            }
        )

    async def feed_v2(self, request: Request) -> Response:
        """Tell how a task is, in an envelope."""
        task = self._find(request, "udioapi-v2")
        if isinstance(task, Response):
            return task
        phase = task.phase(self.world.clock())
        data = {
            "type": _V2_TYPE.get(phase, "IN_PROGRESS"),
            "request_body": task.order.request,
            "response_data": _describe_songs(task, phase, str(request.base_url)),
            "created_at": _iso(task.created_at),
        }
        return JSONResponse({"code": 200, "message": "success", "data": data})

    async def credits(self, request: Request) -> Response:
        """Tell what the account has left."""
        refusal = self._refuse_key(request)
        if refusal is not None:
            return refusal
        data = {"credits": self.world.credits, "used_credits": self.world.used_credits}
        return JSONResponse({"code": 200, "message": "success", "data": data})

    async def _submit(
        self,
        request: Request,
        read_order: Callable[[JsonObject], Order],
        body: JsonObject,
        *,
        key_ok: bool = True,
    ) -> Response:
        try:
            order = read_order(body)
        except InvalidBodyError as error:
            return _dialect.error(400, error.message)
        origin = str(request.base_url)

        def follow(task: MadeTask) -> None:
            self.caller.follow(
                task, self.world.clock(), lambda phase: _describe_songs(task, phase, origin)
            )

        order = attrs.evolve(order, key_ok=key_ok)
        return await answer_submit(self.world, _dialect, order, follow)

    def _find(self, request: Request, provider: str) -> MadeTask | Response:
        # The feed pages show no key, so none is needed; a wrong one is still wrong.
        if _read_key(request) not in {None, self.world.api_key}:
            return _dialect.error(401, _WRONG_KEY)
        work_id = request.query_params.get("workId")
        if not work_id:
            return _dialect.error(400, "workId is required")
        task = self.world.find(work_id, provider)
        if task is None:
            return _dialect.error(404, "Task not found")
        return answer_broken_look(_dialect, task) or task

    def _refuse_key(self, request: Request) -> Response | None:
        key = _read_key(request)
        if key is None:
            return _dialect.error(401, _NO_KEY)
        return None if key == self.world.api_key else _dialect.error(401, _WRONG_KEY)


def _read_key(request: Request) -> str | None:
    header = request.headers.get("authorization", "")
    return header.removeprefix("Bearer ").strip() or None


def _describe_songs(task: MadeTask, phase: Phase, origin: str) -> list[dict[str, object]]:
    """Return the items of a callback or a feed."""
    if phase < Phase.TEXT:
        return []
    return [_describe_song(task, song, phase, origin) for song in task.songs]


def _describe_song(task: MadeTask, song: MadeSong, phase: Phase, origin: str) -> dict[str, object]:
    reached = _iso(task.reached_at(phase))
    audio_url = _audio_url(task, song, phase, origin)
    fail_message, error_message = _failure(task, song, phase)
    failed = bool(fail_message or error_message)
    image_url = f"{origin}media/{song.id}.png"
    return {
        "id": song.id,
        "audio_url": audio_url,
        "image_url": image_url,
        "image_large_url": image_url,
        "created_at": reached,
        "createTime": reached,
        "timestamp": round(task.created_at * 1000),
        "status": "text" if failed else _STATUS[phase],  # there is no documented word for failure
        "title": song.title,
        "prompt": song.lyrics,
        "tags": song.style,
        "duration": round(song.duration, 2) if audio_url else "",
        "model_name": task.order.model,
        "extra_message": "" if failed else _EXTRA_MESSAGE[phase],
        "fail_message": fail_message,
        "error_message": error_message,
    }


def _audio_url(task: MadeTask, song: MadeSong, phase: Phase, origin: str) -> str:
    """In stage "first" one song has a link, to a stream that is not whole yet."""
    if phase is Phase.FIRST and song is task.songs[0]:
        return f"{origin}stream/?item_id={song.id}"
    if phase is Phase.COMPLETE and not task.is_lost(song):
        return f"{origin}media/{song.id}.mp3"
    return ""


def _failure(task: MadeTask, song: MadeSong, phase: Phase) -> tuple[str, str]:
    """Return `fail_message` and `error_message`; v2's moderation fills the first."""
    lost = phase is Phase.COMPLETE and task.is_lost(song)
    if phase is not Phase.FAILED and not lost:
        return "", ""
    if task.fault.startswith(MESSAGE):
        return "", task.fault.removeprefix(MESSAGE)
    if task.fault == "upstream":
        return "", "Server overload"
    if task.order.provider == "udioapi-v2":
        return "Does Not Meet Guidelines", ""
    return "", "Unable to generate lyrics from song description"


def _iso(unix_time: float) -> str:
    moment = datetime.fromtimestamp(unix_time, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
