"""A fourth provider, as a package of its own would have it: public names only.

It has `id` where ours have `task_id`, and numbers where ours have words and ids.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from udio_async import (
    CallbackAddress,
    CallbackNews,
    CallbackRejected,
    Credits,
    Failure,
    Song,
    SongRequest,
    Stage,
    Task,
)
from udio_async.providers.kit import (
    ACCOUNT_RULES,
    SHARED_RULES,
    Account,
    ApiKey,
    Call,
    Http,
    OptionalId,
    OptionalText,
    ProviderOptions,
    Traits,
    ask,
    check_fields,
    key_from,
    make_converter,
    read_look,
    send_submit,
    structure,
)


@attrs.frozen(kw_only=True)
class WireTrack:
    number: OptionalId = None
    url: OptionalText = None


@attrs.frozen(kw_only=True)
class WireJob:
    state: OptionalId = None
    tracks: Sequence[WireTrack] = ()


TOY_TRAITS = Traits(
    fields=frozenset({"description"}), options=ProviderOptions, default_model="toy-1"
)
STAGES: Mapping[str, Stage] = {"1": Stage.PROCESSING, "2": Stage.COMPLETE, "3": Stage.FAILED}
converter = make_converter()


def read_task(payload: object, *, task_id: str) -> Task:
    job = structure(converter, payload, WireJob, about=f"task {task_id}")
    word = job.state or ""
    stage = STAGES.get(word, Stage.PROCESSING)
    songs = tuple(
        Song(
            id=track.number,
            task_id=task_id,
            provider="toy",
            index=index,
            stage=stage,
            audio_url=track.url,
            audio_is_final=stage is Stage.COMPLETE,
        )
        for index, track in enumerate(job.tracks)
        if track.number
    )
    failure = Failure(message=f"state {word}") if stage is Stage.FAILED else None
    return Task(id=task_id, provider="toy", stage=stage, status=word, songs=songs, error=failure)


def toy_key(value: str | ApiKey | None) -> ApiKey:
    return key_from(value, "TOY_API_KEY")


@attrs.frozen(kw_only=True)
class Toy:
    name = "toy"

    api_key: ApiKey = attrs.field(default=None, converter=toy_key)
    base_url: str = "https://toy.example.com"
    traits: Traits = attrs.field(default=TOY_TRAITS, repr=False)

    def check(self, request: SongRequest) -> None:
        check_fields(request, self.traits, provider=self.name)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        self.check(request)
        call = self._call("/songs", {"about": request.description, **request.extra})
        return await send_submit(http, call, SHARED_RULES, provider=self.name, id_at="id")

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        replies = [await ask(http, self._call(f"/songs/{task_id}")) for task_id in task_ids]
        return [
            read_task(read_look(reply, provider=self.name, task_id=task_id), task_id=task_id)
            for task_id, reply in zip(task_ids, replies, strict=True)
        ]

    async def credits(self, http: Http) -> Credits:
        reply = await ask(http, self._call("/me"))
        payload = read_look(reply, provider=self.name, rules=ACCOUNT_RULES)
        return Credits(provider=self.name, remaining=payload["coins"])

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        raise CallbackRejected(f"{self.name} has no callbacks")

    def account(self) -> Account:
        return Account(base_url=self.base_url, key=self.api_key)

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Call:
        method = "GET" if body is None else "POST"
        return Call(account=self.account(), method=method, path=path, json=body)
