"""apiframe udio-imagine: its page, fetching one and many, and its account."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from udio_async._errors import (
    AuthenticationFailed,
    BadAnswer,
    Blocked,
    CallbackRejected,
    InsufficientCredits,
    InvalidRequest,
    PermissionDenied,
    RateLimited,
    RequestRefused,
    SubmitInDoubt,
    UpstreamFailed,
)
from udio_async._records import (
    CallbackAddress,
    FailureKind,
    SongRequest,
    Stage,
    Task,
    failure_error,
)
from udio_async.providers import (
    Apiframe,
    ApiframeOptions,
    UdioApiOptions,
)
from udio_async.providers.apiframe import build_body, read_credits
from udio_async.providers.apiframe_tasks import read_task
from udio_async.providers.wire import loads, make_converter
from udio_async.testing import KEY, ProviderCase, ProviderContract, RecordedHttp

RECORDINGS = Path(__file__).parent.parent / "recordings" / "apiframe"
ID = "29e983ca-7e86-4017-a9e3-ef6fe9cd5f2a"
SECOND = "29e983ca-0000-0000-0000-000000000002"
THIRD = "29e983ca-0000-0000-0000-000000000003"

CASE = ProviderCase(
    provider=Apiframe(api_key=KEY),
    recordings=RECORDINGS,
    request=SongRequest(
        description="a true friend",
        lyrics="[Verse] ...",
        style="rap pop",
        title="Kept on the Song",
        negative_tags="sad",
        model="udio130-v1.5",
        options=ApiframeOptions(
            bypass_prompt_optimization=True,
            prompt_strength=0.5,
            clarity_strength=0.25,
            lyrics_strength=1,
            generation_quality=0.333,
            lyrics_placement_start=4,
            lyrics_placement_end=20,
        ),
    ),
    callback=CallbackAddress(url="https://your-domain.com/hook", secret="abc123"),
    path="/udio-imagine",
    body={
        "prompt": "a true friend",
        "lyrics": "[Verse] ...",
        "tags": "rap pop",
        "negative_prompt": "sad",
        "model": "udio130-v1.5",
        "bypass_prompt_optimization": True,
        "prompt_strength": 0.5,
        "clarity_strength": 0.25,
        "lyrics_strength": 1,
        "generation_quality": 0.333,
        "lyrics_placement_start": 4,
        "lyrics_placement_end": 20,
        "webhook_url": "https://your-domain.com/hook",
        "webhook_secret": "abc123",
    },
    task_id=ID,
    accepted={"submit-ok": ID, "submit-broken-with-id": ID, "submit-cut-with-id": ID},
    refused={
        "submit-invalid": RequestRefused,
        "submit-bad-key": AuthenticationFailed,
        "submit-no-credit": InsufficientCredits,
        "submit-no-credit-in-words": InsufficientCredits,
        "submit-forbidden": PermissionDenied,
        "submit-cdn": Blocked,
        "submit-throttled": RateLimited,
        "submit-broken": SubmitInDoubt,
        "submit-timeout": SubmitInDoubt,
        "submit-gateway": SubmitInDoubt,
        "submit-no-id": SubmitInDoubt,
    },
    stages={
        "fetch-empty": Stage.QUEUED,
        "fetch-staged": Stage.QUEUED,
        "fetch-pending": Stage.QUEUED,
        "fetch-starting": Stage.QUEUED,
        "fetch-queued": Stage.QUEUED,
        "fetch-processing": Stage.PROCESSING,
        "fetch-retry": Stage.PROCESSING,
        "fetch-retrying": Stage.PROCESSING,
        "fetch-processing-text": Stage.TEXT_READY,
        "fetch-processing-first": Stage.FIRST_AUDIO,
        "fetch-finished": Stage.COMPLETE,
        "fetch-completed": Stage.COMPLETE,
        "fetch-complete": Stage.COMPLETE,
        "fetch-success": Stage.COMPLETE,
        "fetch-finished-one-missing": Stage.FIRST_AUDIO,
        "fetch-finished-without-audio": Stage.TEXT_READY,
        "fetch-failed": Stage.FAILED,
        "fetch-error": Stage.FAILED,
    },
    failed_looks={
        "fetch-unknown-task": RequestRefused,
        "fetch-not-found": RequestRefused,
        "fetch-bad-key": AuthenticationFailed,
        "fetch-broken": BadAnswer,
        "fetch-gateway": BadAnswer,
        "fetch-cdn": BadAnswer,
        "fetch-other-task": BadAnswer,
    },
    run=(
        "fetch-staged",
        "fetch-processing",
        "fetch-processing-text",
        "fetch-processing-first",
        "fetch-finished",
    ),
    unknown_word="fetch-unknown-word",
    credits={"account": 812.5, "account-as-text": 812.5},
    unsupported=(
        SongRequest(description="a song", instrumental=True),
        SongRequest(description="a song", vocal_gender="female"),
        SongRequest(description="a song", options=UdioApiOptions(style_weight=0.5)),
    ),
)


class TestApiframe(ProviderContract):
    @pytest.fixture
    def case(self) -> ProviderCase:
        return CASE


# Requests ------------------------------------------------------------------------------------


def test_a_description_alone_is_the_prompt() -> None:
    """Nothing that is unset is sent, only the prompt and the default model."""
    assert build_body(SongRequest(description="a true friend")) == {
        "prompt": "a true friend",
        "model": "udio32-v1.5",
    }


def test_with_lyrics_alone_the_style_is_the_prompt() -> None:
    """The page says that with lyrics `prompt` can be used as tags."""
    assert build_body(SongRequest(lyrics="la la", style="rap, pop")) == {
        "prompt": "rap, pop",
        "lyrics": "la la",
        "model": "udio32-v1.5",
    }


def test_lyrics_alone_say_too_little() -> None:
    """Without description and style there is no prompt; raw fields may bring one."""
    with pytest.raises(InvalidRequest, match="description or a style"):
        CASE.provider.check(SongRequest(lyrics="la la"))
    CASE.provider.check(SongRequest(lyrics="la la", extra={"prompt": "rap"}))


def test_webhook_options_win_over_the_clients_callback() -> None:
    """The request's own webhook address and secret come first."""
    options = ApiframeOptions(webhook_url="https://mine.example.org/h", webhook_secret="mine")
    body = build_body(SongRequest(description="a song", options=options), CASE.callback)
    assert (body["webhook_url"], body["webhook_secret"]) == ("https://mine.example.org/h", "mine")
    assert "mine'" not in repr(options)


async def test_a_webhook_nobody_can_reach_is_refused_before_paying() -> None:
    """Neither the options nor the client's address may be private."""
    options = ApiframeOptions(webhook_url="https://10.0.0.1/h")
    with pytest.raises(InvalidRequest, match="private"):
        CASE.provider.check(SongRequest(description="a song", options=options))
    with pytest.raises(InvalidRequest, match="private"):
        await CASE.provider.submit(
            RecordedHttp(), CASE.request, CallbackAddress(url="https://10.0.0.1/h")
        )


@pytest.mark.parametrize("shown", [None, "", "abc12", "abc1234", "ABC123", " abc123", "\u00e4"])
def test_a_webhook_with_another_secret_is_a_forgery(shown: str | None) -> None:
    """Nor is its body read: what it says is worth nothing."""
    headers = {} if shown is None else {"x-webhook-secret": shown}
    assert CASE.callback is not None
    with pytest.raises(CallbackRejected) as caught:
        CASE.provider.read_callback(headers, b"{", CASE.callback)
    assert caught.value.forged


@pytest.mark.parametrize(
    "values",
    [
        {"prompt_strength": 1.5},
        {"clarity_strength": -1},
        {"lyrics_strength": True},
        {"generation_quality": "high"},
        {"bypass_prompt_optimization": 1},
        {"lyrics_placement_start": -1},
        {"lyrics_placement_end": float("inf")},
        {"lyrics_placement_start": 20, "lyrics_placement_end": 4},
        {"lyrics_placement_start": 4, "lyrics_placement_end": 4},
    ],
)
def test_options_outside_their_range_raise(values: dict[str, Any]) -> None:
    """Strengths are 0..1, moments are seconds, and the start is before the end."""
    with pytest.raises(InvalidRequest):
        ApiframeOptions(**values)


@pytest.mark.parametrize("scheme", ["", "Bearer"])
async def test_the_key_is_bare_unless_told_otherwise(scheme: str) -> None:
    """The page shows no word before the key; some hosts want one."""
    http = RecordedHttp([CASE.reply("submit-ok")])
    await attrs.evolve(Apiframe(api_key=KEY), scheme=scheme).submit(http, CASE.request)
    assert http.calls[0].account.scheme == scheme


# Looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fetch-many", "fetch-many-bare-list"])
async def test_many_tasks_are_matched_by_id(name: str) -> None:
    """The order of the answer does not matter, foreign tasks are dropped, missing ones missing."""
    http = RecordedHttp([CASE.reply(name)])
    tasks = await CASE.provider.fetch(http, [ID, SECOND, THIRD])
    assert [(task.id, task.stage) for task in tasks] == [
        (ID, Stage.COMPLETE),
        (SECOND, Stage.TEXT_READY),
    ]
    [call] = http.calls
    assert (call.method, call.path) == ("POST", "/fetch-many")
    assert call.json == {"task_ids": [ID, SECOND, THIRD]}


async def test_one_task_goes_to_fetch() -> None:
    """fetch-many takes no single id, so one alone goes to /fetch."""
    http = RecordedHttp([CASE.reply("fetch-finished")])
    await CASE.provider.fetch(http, [ID])
    assert (http.calls[0].path, http.calls[0].json) == ("/fetch", {"task_id": ID})


async def test_no_task_asks_nothing() -> None:
    """An empty look needs no request."""
    assert list(await CASE.provider.fetch(RecordedHttp(), [])) == []


async def test_many_with_a_bad_id_are_refused() -> None:
    """Where fetch-many refuses the lot, the caller hears it, and can ask for each alone."""
    http = RecordedHttp([CASE.reply("fetch-unknown-task")])
    with pytest.raises(RequestRefused):
        await CASE.provider.fetch(http, ["gone", ID])


@pytest.mark.parametrize("body", [b"{}", b'{"tasks": null}', b"5", b'{"tasks": {}}'])
async def test_a_list_that_is_none_is_a_bad_answer(body: bytes) -> None:
    """Without a list of tasks, the look failed."""
    reply = attrs.evolve(CASE.reply("fetch-many"), body=body)
    with pytest.raises(BadAnswer):
        await CASE.provider.fetch(RecordedHttp([reply]), [ID, SECOND])


async def test_a_task_that_cannot_be_read_costs_no_other() -> None:
    """It is missing, so that it is asked about alone; only where all are so has the look failed."""
    sound = {"task_id": ID, "status": "processing", "songs": []}
    odd = {"task_id": SECOND, "status": "processing", "songs": "soon"}
    [task] = await look_at_many(sound, odd)
    assert task.id == ID
    with pytest.raises(BadAnswer, match="should be a list"):
        await look_at_many(odd)


async def look_at_many(*tasks: Mapping[str, object]) -> Sequence[Task]:
    body = json.dumps({"tasks": tasks}).encode()
    reply = attrs.evolve(CASE.reply("fetch-many"), body=body)
    return await CASE.provider.fetch(RecordedHttp([reply]), [ID, SECOND])


@pytest.mark.parametrize("percentage", [-1, 101, 1e300, "-5"])
async def test_other_percentages_are_none(percentage: object) -> None:
    """A progress bar has 100 of them."""
    [task] = await look_at_many({"task_id": ID, "percentage": percentage})
    assert task.percentage is None


async def test_percentage_may_be_a_number_or_text() -> None:
    """Both spellings have been seen."""
    percentages = [
        (await CASE.look(name)).percentage
        for name in ("fetch-processing-text", "fetch-processing-first", "fetch-finished")
    ]
    assert percentages == [56.0, 87.0, None]


async def test_finished_without_audio_is_settling() -> None:
    """The word alone is not believed for a grace time."""
    assert (await CASE.look("fetch-finished-without-audio")).settling
    assert not (await CASE.look("fetch-finished")).settling


async def test_a_finished_task_is_given_time_for_a_song_without_audio() -> None:
    """The other song is complete already, and this one may still come."""
    task = await CASE.look("fetch-finished-one-missing")
    assert task.settling
    good, late = task.songs
    assert (good.stage, good.audio_is_final) == (Stage.COMPLETE, True)
    assert not late.stage.is_final


async def test_failures_have_a_kind() -> None:
    """The vendor's words are kept, with who can do something about them."""
    upstream = failure_error(await CASE.look("fetch-failed"))
    assert isinstance(upstream, UpstreamFailed)
    assert "Internal Error" in str(upstream)
    task = await CASE.look("fetch-error")
    assert task.error is not None
    assert task.error.kind is FailureKind.INPUT


@pytest.mark.parametrize("word", ["null", "None", "No error.", "-", "N/A"])
def test_a_word_for_no_error_explains_no_failure(word: str) -> None:
    """The task's own word says more."""
    error = read_task({"task_id": ID, "status": "failed", "error": word}, task_id=ID).error
    assert error is not None
    assert "failed" in error.message


async def test_several_messages_are_joined() -> None:
    """`errors[].msg` is the documented place of messages."""
    error = await CASE.error_of("submit-invalid", submit=True)
    assert "Invalid value for model; prompt is required" in str(error)


async def test_the_plan_is_told() -> None:
    """The account page names a plan, which the credits carry."""
    http = RecordedHttp([CASE.reply("account")])
    balance = await CASE.provider.credits(http)
    assert (balance.plan, balance.used) == ("PRO", None)
    assert (http.calls[0].method, http.calls[0].path) == ("GET", "/account")


@pytest.mark.parametrize("name", [*CASE.stages, CASE.unknown_word])
def test_every_recorded_field_is_known(name: str) -> None:
    """A field that our models do not know would be red here, and ignored in production."""
    payload = loads(CASE.reply(name).body)
    read_task(payload, task_id=ID, converter=make_converter(strict=True))


def test_every_recorded_account_field_is_known() -> None:
    """The same for the account page."""
    payload = loads(CASE.reply("account").body)
    read_credits(payload, converter=make_converter(strict=True))
