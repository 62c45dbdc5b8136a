"""The contract itself: what it covers, and that it catches providers that break it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from udio_async._errors import AuthenticationFailed, BadAnswer, InvalidRequest, SubmitInDoubt
from udio_async._http import Account, Http, Reply
from udio_async._records import CallbackAddress, CallbackNews, Credits, SongRequest, Stage, Task
from udio_async.providers import (
    PROVIDERS,
    Provider,
    Traits,
    UdioApiV2,
    provider_named,
)
from udio_async.testing import (
    KEY,
    ProviderCase,
    ProviderContract,
    RecordedHttp,
    read_recording,
)

RECORDINGS = Path(__file__).parent.parent / "recordings"


def test_every_provider_has_a_test_file_and_recordings() -> None:
    """A line in the registry comes with a class that keeps the contract, and its recordings."""
    for name in PROVIDERS:
        test_file = Path(__file__).with_name(f"test_{name.replace('-', '_')}.py")
        assert "(ProviderContract)" in test_file.read_text(encoding="utf-8")
        assert any((RECORDINGS / name).iterdir())


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_is_one(name: str) -> None:
    """Made with a key alone, it has the protocol's members and the registry's name."""
    provider = provider_named(name)(api_key=KEY)
    assert isinstance(provider, Provider)
    assert provider.name == name
    assert provider.traits.fields <= {field.name for field in attrs.fields(SongRequest)}
    assert provider.traits.default_model in provider.traits.models


def test_an_unknown_provider_is_named_with_the_known_ones() -> None:
    """The message has the wrong name and all good ones."""
    with pytest.raises(InvalidRequest, match="No such provider 'sunno'; known: udioapi-v1"):
        provider_named("sunno")


def test_every_recording_is_used() -> None:
    """No recording lies about unread."""
    unread = []
    for name in PROVIDERS:
        source = Path(__file__).with_name(f"test_{name.replace('-', '_')}.py")
        text = source.read_text(encoding="utf-8")
        names = {path.name.split(".")[0] for path in (RECORDINGS / name).iterdir()}
        unread += [f"{name}/{each}" for each in names if f'"{each}"' not in text]
    assert [each for each in unread if "callback-" not in each] == []


def test_recordings_are_found_by_name(tmp_path: Path) -> None:
    """The status is part of the file's name; none or two of one name is an error."""
    (tmp_path / "ok.201.json").write_bytes(b"{}")
    assert read_recording(tmp_path, "ok").status == 201
    (tmp_path / "ok.500.html").write_bytes(b"<html>")
    for name in ("ok", "nothing"):
        with pytest.raises(FileNotFoundError):
            read_recording(tmp_path, name)


# Providers that break the contract -----------------------------------------------------------


CASE = ProviderCase(
    provider=UdioApiV2(api_key=KEY),
    recordings=RECORDINGS / "udioapi-v2",
    request=SongRequest(lyrics="la"),
    path="/api/v2/generate",
    body={"model": "chirp-v3-5", "prompt": "la", "make_instrumental": False},
    task_id="gen2abc123def456bksv",
    accepted={"submit-ok": "gen2abc123def456bksv"},
    refused={"submit-no-key": AuthenticationFailed, "submit-gateway": SubmitInDoubt},
    stages={
        "feed-first": Stage.FIRST_AUDIO,
        "feed-success-as-text": Stage.FIRST_AUDIO,
        "feed-success": Stage.COMPLETE,
        "feed-all-failed": Stage.FAILED,
    },
    failed_looks={"feed-gateway": BadAnswer},
    run=("feed-in-progress", "feed-text", "feed-first", "feed-success"),
    unknown_word="feed-unknown-word",
    credits={"credits": 195.0},
    unsupported=(SongRequest(description="a song", style="pop"),),
)


@attrs.frozen
class Broken:
    """A good provider with one method spoiled."""

    good: UdioApiV2
    spoiled: Callable[..., Any]
    method: str

    @property
    def name(self) -> str:
        return self.good.name

    def account(self) -> Account:
        return self.good.account()

    @property
    def traits(self) -> Traits:
        return self.good.traits

    def check(self, request: SongRequest) -> None:
        if self.method != "check":
            self.good.check(request)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        if self.method == "submit":
            return str(await self.spoiled(self.good, http, request))
        return await self.good.submit(http, request, callback)

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        tasks = await self.good.fetch(http, task_ids)
        return [self.spoiled(task) for task in tasks] if self.method == "fetch" else tasks

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        return self.good.read_callback(headers, body, address)

    async def credits(self, http: Http) -> Credits:
        balance = await self.good.credits(http)
        return attrs.evolve(balance, remaining=0) if self.method == "credits" else balance


async def submits_twice(good: UdioApiV2, http: Http, request: SongRequest) -> str:
    try:
        return await good.submit(http, request)
    except SubmitInDoubt:
        return await good.submit(http, request)


async def drops_fields(good: UdioApiV2, http: Http, request: SongRequest) -> str:
    return await good.submit(http, SongRequest(description=request.lyrics or "a song"))


async def tells_the_key(good: UdioApiV2, http: Http, request: SongRequest) -> str:
    try:
        return await good.submit(http, request)
    except Exception as error:
        error.args = (f"{error} with key {KEY}",)
        raise


async def invents_ids(good: UdioApiV2, http: Http, request: SongRequest) -> str:
    return "made-up"


def gives_up_on_new_words(task: Task) -> Task:
    known = task.status.upper() in ("SUCCESS", "IN_PROGRESS", "")
    return task if known else attrs.evolve(task, stage=Stage.FAILED)


def shuffles_songs(task: Task) -> Task:
    songs = tuple(attrs.evolve(song, id=f"{song.id}-{task.stage}") for song in task.songs)
    return attrs.evolve(task, songs=songs)


def keeps_streams(task: Task) -> Task:
    songs = tuple(attrs.evolve(song, audio_is_final=True) for song in task.songs)
    return attrs.evolve(task, songs=songs)


def hides_reasons(task: Task) -> Task:
    return attrs.evolve(task, error=None)


def forgets_progress(task: Task) -> Task:
    first = task.stage is Stage.FIRST_AUDIO
    return attrs.evolve(task, stage=Stage.QUEUED) if first else task


@pytest.mark.parametrize(
    ("method", "spoiled", "claim"),
    [
        ("submit", submits_twice, "test_a_submit_is_sent_once"),
        ("submit", drops_fields, "test_a_submit_is_the_documented_call"),
        ("submit", drops_fields, "test_unsupported_fields_raise_before_anything_is_sent"),
        ("submit", tells_the_key, "test_no_key_is_ever_shown"),
        ("submit", invents_ids, "test_an_id_means_accepted"),
        ("submit", invents_ids, "test_a_refusal_is_its_declared_error"),
        ("submit", invents_ids, "test_a_lost_answer_is_in_doubt"),
        ("submit", invents_ids, "test_a_request_that_never_left_is_not_in_doubt"),
        ("check", None, "test_unsupported_fields_raise_before_anything_is_sent"),
        ("fetch", gives_up_on_new_words, "test_an_unknown_word_means_still_running"),
        ("fetch", shuffles_songs, "test_songs_keep_their_ids_and_places"),
        ("fetch", keeps_streams, "test_final_audio_is_only_in_a_complete_song"),
        ("fetch", hides_reasons, "test_a_failure_says_why"),
        ("fetch", forgets_progress, "test_stages_never_go_backwards"),
        ("fetch", forgets_progress, "test_each_look_shows_its_stage"),
        ("credits", None, "test_credits_are_read"),
    ],
)
async def test_a_broken_provider_is_caught(
    method: str, spoiled: Callable[..., Any], claim: str
) -> None:
    """Each claim fails for a provider that breaks it, and holds for the good one."""
    await getattr(ProviderContract(), claim)(CASE)
    broken = Broken(UdioApiV2(api_key=KEY), spoiled, method)
    case: ProviderCase = attrs.evolve(CASE, provider=broken)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await getattr(ProviderContract(), claim)(case)


async def test_a_script_answers_in_order_and_not_too_often() -> None:
    """RecordedHttp gives each answer once; a call that nobody expected fails the test."""
    reply = Reply(status=200, headers={}, body=b'{"workId": "x"}')
    http = RecordedHttp([reply])
    provider = UdioApiV2(api_key=KEY)
    assert await provider.submit(http, SongRequest(description="a song")) == "x"
    with pytest.raises(AssertionError, match="nobody expected POST /api/v2/generate"):
        await provider.submit(http, SongRequest(description="a song"))
