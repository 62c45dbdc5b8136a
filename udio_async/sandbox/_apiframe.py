"""apiframe's udio-imagine and fetch, as its pages describe them.

The pages are docs.apiframe.ai, v1: "Imagine" of the Udio API, and the endpoints that all their
tasks share.
"""

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._answers import answer_broken_look, answering, encoded_answer
from ._bodies import RefusedError, flag, number, one_of, read_json, share, text
from ._kinds import detail_of
from ._links import audio_link, cover_link
from ._oddities import as_told
from ._submits import SubmitHandler
from ._tasks import JsonObject, MadeSong, MadeTask, Order, Phase
from ._world import World

PROVIDER = "apiframe"
MODELS = ("udio32-v1.5", "udio130-v1.5")
MIN_IDS, MAX_IDS = 2, 20  # of one fetch-many
_SHARES = ("prompt_strength", "clarity_strength", "lyrics_strength", "generation_quality")
_TEXTS = ("negative_prompt", "webhook_url", "webhook_secret")
_STAGED_UNTIL, _PENDING_UNTIL, _STARTING_UNTIL = 0.02, 0.05, 0.08
_FINAL = {Phase.COMPLETE: "finished", Phase.FAILED: "failed"}
_FAILURES = {
    "moderation": "Your prompt was refused by content moderation",
    "moderation_early": "Your prompt was refused by content moderation",
    "upstream": "Internal Error, Please try again later",
}


class ApiframeDialect:
    """The way in which apiframe words its answers."""

    refusal = "invalid param: prompt"

    def accepted(self, task_id: str, status: int = 200) -> Response:
        """Hand out the id of a task."""
        return JSONResponse({"task_id": task_id}, status)

    def error(self, status: int, message: str = "") -> Response:
        """List the errors, or say nothing: a 401 and a 500 are documented as `{}`."""
        silent = status in {401, 500}
        return JSONResponse({} if silent else {"errors": [{"msg": message}]}, status)

    def no_credit(self, status: int) -> Response:
        """Refuse because the account is empty; no page shows how."""
        return JSONResponse({"code": 402, "errors": [{"msg": "Insufficient credits"}]}, status)


_dialect = ApiframeDialect()


@attrs.frozen
class Apiframe:
    """The endpoints of apiframe."""

    handler: SubmitHandler

    @property
    def world(self) -> World:
        """The tasks and the account."""
        return self.handler.world

    def routes(self) -> list[Route]:
        """List the endpoints."""
        imagine = self.handler.taking(PROVIDER, _dialect, self.imagine)
        return [
            Route("/udio-imagine", imagine, methods=["POST"]),
            Route("/fetch", answering(_dialect, self.fetch), methods=["POST"]),
            Route("/fetch-many", answering(_dialect, self.fetch_many), methods=["POST"]),
            Route("/account", answering(_dialect, self.account), methods=["GET"]),
        ]

    async def imagine(self, request: Request) -> Response:
        """Take a request, by the page "Imagine"."""
        order, origin = read_order(await self._read(request)), str(request.base_url)
        return await self.handler.take(
            _dialect, order, lambda task, now: describe_task(task, now, origin)
        )

    async def fetch(self, request: Request) -> Response:
        """Answer how one task is."""
        task = self.world.find(text(await self._read(request), "task_id"), PROVIDER)
        if task is None:
            raise RefusedError(404, "Task not found")
        broken = answer_broken_look(_dialect, task)
        return encoded_answer(broken or JSONResponse(self._describe(task, request)), task)

    async def fetch_many(self, request: Request) -> Response:
        """Answer how 2 to 20 tasks are; unknown ids are left out."""
        task_ids = _read_ids(await self._read(request))
        found = (self.world.find(task_id, PROVIDER) for task_id in task_ids)
        tasks = [task for task in found if task is not None]
        broken = {task.id: answer_broken_look(_dialect, task) for task in tasks}  # each counts
        for answer in broken.values():
            if answer is not None and answer.status_code != 404:
                return answer
        tasks = [task for task in tasks if broken[task.id] is None]
        answer = JSONResponse({"tasks": [self._describe(task, request) for task in tasks]})
        return encoded_answer(answer, *tasks)

    async def account(self, request: Request) -> Response:
        """Answer what the account has left."""
        self._check_key(request)
        return JSONResponse(
            {
                "email": "you@sandbox.invalid",
                "credits": self.world.credits,
                "total_images": 0,
                "plan": "demo",
            }
        )

    async def _read(self, request: Request) -> dict[str, object]:
        self._check_key(request)
        return await read_json(request)

    def _check_key(self, request: Request) -> None:
        """Refuse a request without the key, bare or as Bearer."""
        # The page sends the bare key, the vendor's Node client "Bearer <key>".
        header = request.headers.get("authorization", "")
        if header.removeprefix("Bearer ").strip() != self.world.api_key:
            raise RefusedError(401)

    def _describe(self, task: MadeTask, request: Request) -> JsonObject:
        return describe_task(task, self.world.clock(), str(request.base_url))


def read_order(body: JsonObject) -> Order:
    """Read a body of udio-imagine.

    Raises:
        RefusedError: the page rules it out.
    """
    prompt, lyrics, model = text(body, "prompt"), text(body, "lyrics"), text(body, "model")
    if not prompt:
        raise RefusedError(400, "prompt is required")
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
    """Return the ids that are asked about."""
    task_ids = body.get("task_ids")
    if not isinstance(task_ids, list) or not all(isinstance(item, str) for item in task_ids):
        raise RefusedError(400, "task_ids must be a list of strings")
    if not MIN_IDS <= len(task_ids) <= MAX_IDS:
        raise RefusedError(400, f"task_ids must have {MIN_IDS} to {MAX_IDS} items")
    return task_ids


def describe_task(task: MadeTask, now: float, origin: str) -> JsonObject:
    """Return a task as `fetch` and a webhook show it."""
    done, phase = task.progress(now), task.phase(now)
    if done < _STAGED_UNTIL:
        return {"task_id": task.id, "status": "staged"}  # no more than that
    shown: JsonObject = {"task_id": task.id, "task_type": "udio", "status": _word(task, now)}
    if phase is Phase.FAILED:
        return {**shown, "message": _explain(task), "actions": []}
    if done < _STARTING_UNTIL:
        return shown
    songs = [_describe_song(task, song, now, origin) for song in task.songs]
    shown = {**shown, "songs": as_told(songs, task) if phase >= Phase.TEXT else []}
    return shown if phase is Phase.COMPLETE else {**shown, "percentage": min(99, int(100 * done))}


def _word(task: MadeTask, now: float) -> str:
    """Return the word for the state of a task."""
    done, phase = task.progress(now), task.phase(now)
    if phase in task.course.words:
        return task.course.words[phase]
    if phase in _FINAL:
        return _FINAL[phase]
    if done < _STARTING_UNTIL:
        return "pending" if done < _PENDING_UNTIL else "starting"
    return "processing"


def _describe_song(task: MadeTask, song: MadeSong, now: float, origin: str) -> dict[str, object]:
    """Return a song as apiframe shows it.

    Lyrics and image come before the audio, which stays null until all is finished.
    """
    ready = task.is_made(now) and not task.is_lost(song)
    return {
        "lyrics": song.lyrics,
        "song_id": song.id,
        "audio_url": audio_link(task, song, origin) if ready else None,
        "image_url": cover_link(song, origin),
    }


def _explain(task: MadeTask) -> str:
    return _FAILURES.get(task.kind) or detail_of(task.fault)
