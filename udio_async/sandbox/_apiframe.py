"""apiframe's udio-imagine and fetch, as its pages describe them."""

from collections.abc import Mapping

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._answers import (
    InvalidBodyError,
    answer_broken_look,
    answer_submit,
    flag,
    number,
    one_of,
    read_json,
    share,
    text,
)
from ._callbacks import Caller
from ._faults import MESSAGE
from ._world import JsonObject, MadeSong, MadeTask, Order, Phase, World

PROVIDER = "apiframe"
MODELS = ("udio32-v1.5", "udio130-v1.5")
MIN_IDS, MAX_IDS = 2, 20  # of one fetch-many
_SHARES = ("prompt_strength", "clarity_strength", "lyrics_strength", "generation_quality")
_TEXTS = ("negative_prompt", "webhook_url", "webhook_secret")
_JUST_AFTER = 1e-6  # seconds
_STAGED_UNTIL, _PENDING_UNTIL, _STARTING_UNTIL = 0.02, 0.05, 0.08
_FAILURES = {
    "moderation": "Your prompt was refused by content moderation",
    "upstream": "Internal Error, Please try again later",
}


class ApiframeDialect:
    """How apiframe words its answers."""

    refusal = "invalid param: prompt"

    def accepted(self, task_id: str, status: int = 200) -> Response:
        """Hand out the id of a task."""
        return JSONResponse({"task_id": task_id}, status)

    def error(self, status: int, message: str = "") -> Response:
        """List the errors, or say nothing: a 401 and a 500 are documented as `{}`."""
        silent = status in {401, 500}
        return JSONResponse({} if silent else {"errors": [{"msg": message}]}, status)


_dialect = ApiframeDialect()


@attrs.frozen
class Apiframe:
    """The endpoints."""

    world: World
    caller: Caller

    def routes(self) -> list[Route]:
        """List the endpoints."""
        return [
            Route("/udio-imagine", self.imagine, methods=["POST"]),
            Route("/fetch", self.fetch, methods=["POST"]),
            Route("/fetch-many", self.fetch_many, methods=["POST"]),
            Route("/account", self.account, methods=["GET"]),
        ]

    async def imagine(self, request: Request) -> Response:
        """Take a song request."""
        try:
            body = await self._read(request)
            order = read_order(body)
        except InvalidBodyError as error:
            return _dialect.error(400, error.message)
        except _WrongKeyError:
            return _dialect.error(401)
        origin = str(request.base_url)

        def follow(task: MadeTask) -> None:
            def describe(phase: Phase) -> object:
                moment = task.born + (task.enters_after(phase) or 0.0)
                return describe_task(task, moment + _JUST_AFTER, origin)

            self.caller.follow(task, self.world.clock(), describe)

        return await answer_submit(self.world, _dialect, order, follow)

    async def fetch(self, request: Request) -> Response:
        """Tell how one task is."""
        try:
            task_id = text(await self._read(request), "task_id")
        except InvalidBodyError as error:
            return _dialect.error(400, error.message)
        except _WrongKeyError:
            return _dialect.error(401)
        task = self.world.find(task_id, PROVIDER)
        if task is None:
            return _dialect.error(404, "Task not found")
        broken = answer_broken_look(_dialect, task)
        return broken or JSONResponse(self._describe(task, request))

    async def fetch_many(self, request: Request) -> Response:
        """Tell how 2 to 20 tasks are; unknown ids are left out."""
        try:
            task_ids = _read_ids(await self._read(request))
        except InvalidBodyError as error:
            return _dialect.error(400, error.message)
        except _WrongKeyError:
            return _dialect.error(401)
        found = (self.world.find(task_id, PROVIDER) for task_id in task_ids)
        tasks = [task for task in found if task is not None]
        broken = [answer_broken_look(_dialect, task) for task in tasks]  # each counts its look
        for response in filter(None, broken):
            return response
        return JSONResponse({"tasks": [self._describe(task, request) for task in tasks]})

    async def account(self, request: Request) -> Response:
        """Tell what the account has left."""
        if not self._knows_key(request):
            return _dialect.error(401)
        return JSONResponse(
            {
                "email": "you@sandbox.invalid",
                "credits": self.world.credits,
                "total_images": 0,
                "plan": "demo",
            }
        )

    async def _read(self, request: Request) -> dict[str, object]:
        if not self._knows_key(request):
            raise _WrongKeyError
        return await read_json(request)

    def _knows_key(self, request: Request) -> bool:
        # The page sends the bare key, the vendor's Node client "Bearer <key>".
        header = request.headers.get("authorization", "")
        return header.removeprefix("Bearer ").strip() == self.world.api_key

    def _describe(self, task: MadeTask, request: Request) -> Mapping[str, object]:
        return describe_task(task, self.world.clock(), str(request.base_url))


class _WrongKeyError(Exception):
    pass


def read_order(body: JsonObject) -> Order:
    """Read a body of udio-imagine.

    Raises:
        InvalidBodyError: the page rules it out.
    """
    prompt, lyrics, model = text(body, "prompt"), text(body, "lyrics"), text(body, "model")
    if not prompt:
        raise InvalidBodyError("prompt is required")
    one_of(model, "model", MODELS)
    flag(body, "bypass_prompt_optimization")
    for name in _TEXTS:
        text(body, name)
    for name in _SHARES:
        share(body, name)
    for name in ("lyrics_placement_start", "lyrics_placement_end"):
        number(body, name)
    return Order(
        provider=PROVIDER,
        prompt=prompt,
        request=dict(body),
        model=model or MODELS[0],
        lyrics=lyrics,
        style=text(body, "tags"),
    )


def _read_ids(body: JsonObject) -> list[str]:
    task_ids = body.get("task_ids")
    if not isinstance(task_ids, list) or not all(isinstance(item, str) for item in task_ids):
        raise InvalidBodyError("task_ids must be a list of strings")
    if not MIN_IDS <= len(task_ids) <= MAX_IDS:
        raise InvalidBodyError(f"task_ids must have {MIN_IDS} to {MAX_IDS} items")
    return task_ids


def describe_task(task: MadeTask, now: float, origin: str) -> Mapping[str, object]:
    """Return a task as `fetch` and a webhook show it."""
    done, phase = task.progress(now), task.phase(now)
    if done < _STAGED_UNTIL:
        return {"task_id": task.id, "status": "staged"}  # no more than that
    shown = {"task_id": task.id, "task_type": "udio"}
    if phase is Phase.FAILED:
        return {**shown, "status": "failed", "message": _explain(task.fault), "actions": []}
    songs = [_describe_song(task, song, phase, origin) for song in task.songs]
    if phase is Phase.COMPLETE:
        return {**shown, "status": "finished", "songs": songs}
    if done < _STARTING_UNTIL:
        return {**shown, "status": "pending" if done < _PENDING_UNTIL else "starting"}
    return {
        **shown,
        "status": "processing",
        "percentage": int(100 * done),
        "songs": songs if phase >= Phase.TEXT else [],
    }


def _describe_song(task: MadeTask, song: MadeSong, phase: Phase, origin: str) -> JsonObject:
    """Lyrics and image come before the audio, which stays null until all is finished."""
    ready = phase is Phase.COMPLETE and not task.is_lost(song)
    return {
        "lyrics": song.lyrics,
        "song_id": song.id,
        "audio_url": f"{origin}media/{song.id}.mp3" if ready else None,
        "image_url": f"{origin}media/{song.id}.png",
    }


def _explain(fault: str) -> str:
    return _FAILURES.get(fault) or fault.removeprefix(MESSAGE)
