"""udioapi.pro v1: its two pages, its feed and its callbacks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    UnsupportedOption,
)
from udio_async._records import CallbackAddress, FailureKind, SongRequest, Stage
from udio_async.providers import (
    ApiframeOptions,
    UdioApiOptions,
    UdioApiV1,
)
from udio_async.providers.udioapi_feed import read_callback, read_task
from udio_async.providers.udioapi_v1 import build_body, build_legacy_body
from udio_async.providers.wire import loads, make_converter
from udio_async.testing import KEY, ProviderCase, ProviderContract, RecordedHttp

RECORDINGS = Path(__file__).parent.parent / "recordings" / "udioapi-v1"
ID = "gen2abc123def456bksv"
CALLBACK = CallbackAddress(url="https://your-domain.com/api/callback")

CASE = ProviderCase(
    provider=UdioApiV1(api_key=KEY),
    recordings=RECORDINGS,
    request=SongRequest(
        lyrics="Verse 1: Walking down the street",
        style="pop, upbeat",
        title="Summer Dreams",
        negative_tags="sad, slow",
        instrumental=False,
        model="chirp-v4-5",
        vocal_gender="female",
        options=UdioApiOptions(style_weight=0.65, weirdness_constraint=0.65, audio_weight=0.65),
    ),
    callback=CALLBACK,
    path="/api/generate",
    body={
        "callback_url": "https://your-domain.com/api/callback",
        "model": "chirp-v4-5",
        "prompt": "Verse 1: Walking down the street",
        "style": "pop, upbeat",
        "title": "Summer Dreams",
        "tags": "sad, slow",
        "make_instrumental": False,
        "gender": "female",
        "style_weight": 0.65,
        "weirdness_constraint": 0.65,
        "audio_weight": 0.65,
    },
    task_id=ID,
    accepted=dict.fromkeys(
        (
            "submit-ok",
            "submit-only-work-id",
            "submit-only-task-id",
            "submit-camel-case-id",
            "submit-broken-with-id",
            "submit-cut-with-id",
        ),
        ID,
    ),
    refused={
        "submit-no-callback": RequestRefused,
        "submit-no-key": AuthenticationFailed,
        "submit-bad-key": AuthenticationFailed,
        "submit-no-credit": InsufficientCredits,
        "submit-no-credit-in-words": InsufficientCredits,
        "submit-forbidden": PermissionDenied,
        "submit-cdn": Blocked,
        "submit-throttled": RateLimited,
        "submit-too-long": RequestRefused,
        "submit-topic-too-long": RequestRefused,
        "submit-no-id": SubmitInDoubt,
        "submit-gateway": SubmitInDoubt,
        "submit-broken": SubmitInDoubt,
    },
    stages={
        "feed-empty": Stage.QUEUED,
        "feed-new": Stage.QUEUED,
        "feed-in-progress": Stage.PROCESSING,
        "feed-text": Stage.TEXT_READY,
        "feed-first": Stage.FIRST_AUDIO,
        "feed-complete": Stage.COMPLETE,
        "feed-complete-old": Stage.COMPLETE,
        "feed-enveloped": Stage.COMPLETE,
        "feed-bare-list": Stage.COMPLETE,
        "feed-one-failed": Stage.COMPLETE,
        "feed-all-failed": Stage.FAILED,
        "feed-error": Stage.FAILED,
    },
    failed_looks={
        "feed-gateway": BadAnswer,
        "feed-page": BadAnswer,
        "feed-unknown-task": RequestRefused,
        "feed-unknown-task-in-body": RequestRefused,
        "feed-no-key": AuthenticationFailed,
        "feed-forbidden": PermissionDenied,
        "feed-cdn": BadAnswer,
        "feed-throttled": RateLimited,
        "feed-other-task": BadAnswer,
        "feed-wrong-shape": BadAnswer,
    },
    run=("feed-new", "feed-in-progress", "feed-text", "feed-first", "feed-complete"),
    unknown_word="feed-unknown-word",
    credits={"credits": 195.0, "credits-as-text": 195.0},
    unsupported=(
        SongRequest(description="a song", style="pop"),
        SongRequest(description="a song", title="Dreams"),
        SongRequest(description="a song", negative_tags="sad"),
        SongRequest(description="a song", options=UdioApiOptions(cluster="second")),
        SongRequest(description="a song", options=UdioApiOptions(custom_mode=True)),
        SongRequest(description="a song", options=UdioApiOptions(disable_callback=True)),
        SongRequest(description="a song", options=ApiframeOptions(prompt_strength=0.5)),
    ),
)


class TestUdioApiV1(ProviderContract):
    @pytest.fixture
    def case(self) -> ProviderCase:
        return CASE


# The page "generate with callback" -----------------------------------------------------------


def test_a_description_selects_inspiration_mode() -> None:
    """A description goes into gpt_description_prompt, and the model is always said."""
    assert build_body(SongRequest(description="A upbeat pop song")) == {
        "model": "chirp-v3-5",
        "gpt_description_prompt": "A upbeat pop song",
        "make_instrumental": False,
    }


def test_the_requests_own_callback_comes_first() -> None:
    """A callback_url in the options wins over the client's."""
    options = UdioApiOptions(callback_url="https://mine.example.org/cb")
    body = build_body(SongRequest(description="a song", options=options), CALLBACK)
    assert body["callback_url"] == "https://mine.example.org/cb"


def test_extra_goes_over_our_fields() -> None:
    """Raw wire fields are sent as they are, and win."""
    body = build_body(SongRequest(description="a song", extra={"model": "x", "new": [1]}))
    assert (body["model"], body["new"]) == ("x", [1])


async def test_a_missing_callback_names_the_ways_out() -> None:
    """The 400 "callback_url is required" leads to an error that says what to do."""
    error = await CASE.error_of("submit-no-callback", submit=True)
    assert all(word in str(error) for word in ("callback_url", "legacy", "UdioApiV2"))
    assert error.charged == "no"


@pytest.mark.parametrize("url", ["http://your-domain.com/cb", "https://localhost/cb"])
async def test_a_callback_nobody_can_reach_is_refused_before_paying(url: str) -> None:
    """Neither the options nor the client's address may be private or plain http."""
    request = SongRequest(description="a song", options=UdioApiOptions(callback_url=url))
    with pytest.raises(InvalidRequest):
        CASE.provider.check(request)
    with pytest.raises(InvalidRequest):
        await CASE.provider.submit(RecordedHttp(), CASE.request, CallbackAddress(url=url))


async def test_a_provider_on_this_machine_may_call_back_to_it() -> None:
    """With a base URL on loopback, as the sandbox has, private callbacks are fine."""
    provider = UdioApiV1(api_key=KEY, base_url="http://127.0.0.1:8787")
    http = RecordedHttp([CASE.reply("submit-ok")])
    callback = CallbackAddress(url="http://127.0.0.1:9000/cb")
    assert await provider.submit(http, CASE.request, callback) == ID


# The legacy page -----------------------------------------------------------------------------

LEGACY = UdioApiV1(api_key=KEY, generation="legacy")


def legacy_body(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  # any field of a request
    request = SongRequest(**fields)
    LEGACY.check(request)
    return build_legacy_body(request)


def test_legacy_description_is_the_prompt() -> None:
    """Without custom mode, the prompt is the description and the style is the extra prompt."""
    assert legacy_body(description="A pop song", style="upbeat", title="Dreams") == {
        "model": "chirp-v3.0",
        "prompt": "A pop song",
        "gpt_description_prompt": "upbeat",
        "title": "Dreams",
        "custom_mode": False,
        "make_instrumental": False,
        "disable_callback": True,
    }


def test_legacy_lyrics_are_custom_mode() -> None:
    """Lyrics turn custom mode on: prompt, style and title, as the table demands."""
    body = legacy_body(lyrics="la la", style="pop", title="Dreams", model="chirp-v3.5")
    assert body == {
        "model": "chirp-v3.5",
        "prompt": "la la",
        "style": "pop",
        "title": "Dreams",
        "custom_mode": True,
        "make_instrumental": False,
        "disable_callback": True,
    }


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"lyrics": "la"}, ("style", "title")),
        ({"lyrics": "la", "style": "pop"}, ("title",)),
        ({"lyrics": "la", "title": "Dreams", "instrumental": True}, ("style",)),
        (
            {"options": UdioApiOptions(custom_mode=True), "extra": {"style": "pop"}},
            ("prompt", "title"),
        ),
        ({"options": UdioApiOptions(custom_mode=False), "extra": {"x": 1}}, ("prompt",)),
    ],
)
def test_legacy_modes_need_their_fields(fields: dict[str, Any], missing: tuple[str, ...]) -> None:
    """What the customMode table requires is named when it is missing, with the table."""
    with pytest.raises(InvalidRequest, match="customMode") as caught:
        LEGACY.check(SongRequest(**fields))
    assert all(name in str(caught.value) for name in (*missing, "legacy page"))


def test_legacy_custom_instrumental_needs_no_prompt() -> None:
    """Custom mode without vocals needs style and title only."""
    body = legacy_body(
        options=UdioApiOptions(custom_mode=True),
        instrumental=True,
        extra={"style": "pop", "title": "Dreams"},
    )
    assert "prompt" not in body


def test_legacy_udio_models_have_no_custom_mode() -> None:
    """udio-130 and udio-32 take a description; custom_mode is not even sent to them."""
    assert "custom_mode" not in legacy_body(description="a song", model="udio-130")
    with pytest.raises(UnsupportedOption, match="custom mode"):
        legacy_body(lyrics="la", style="pop", title="Dreams", model="udio-32")


def test_legacy_callback_is_optional() -> None:
    """With a callback nothing is disabled; without one the feed keeps the results."""
    request = SongRequest(description="a song")
    assert build_legacy_body(request)["disable_callback"] is True
    with_callback = build_legacy_body(request, CALLBACK)
    assert with_callback["callback_url"] == CALLBACK.url
    assert "disable_callback" not in with_callback
    options = UdioApiOptions(disable_callback=False, cluster="second")
    chosen = build_legacy_body(SongRequest(description="a song", options=options))
    assert (chosen["disable_callback"], chosen["cluster"]) == (False, "second")


@pytest.mark.parametrize(
    "fields",
    [
        {"negative_tags": "sad"},
        {"vocal_gender": "male"},
        {"options": UdioApiOptions(style_weight=0.5)},
        {"options": UdioApiOptions(weirdness_constraint=0.5)},
        {"options": UdioApiOptions(audio_weight=0.5)},
    ],
)
def test_legacy_has_fewer_fields(fields: dict[str, Any]) -> None:
    """What only the newer page lists raises on the legacy one."""
    with pytest.raises(UnsupportedOption):
        LEGACY.check(SongRequest(description="a song", **fields))


def test_legacy_takes_a_description_or_lyrics() -> None:
    """Both have only one place in the body, so together they are refused."""
    with pytest.raises(InvalidRequest, match="not both"):
        LEGACY.check(SongRequest(description="a song", lyrics="la"))


async def test_legacy_has_the_key_in_the_body_of_submits_only() -> None:
    """The legacy page wants `token` with a submit; looks and credits never carry it."""
    replies = [CASE.reply(name) for name in ("submit-ok", "feed-new", "credits")]
    http = RecordedHttp(replies)
    await LEGACY.submit(http, SongRequest(description="a song"))
    await LEGACY.fetch(http, [ID])
    await LEGACY.credits(http)
    assert [call.account.body_field for call in http.calls] == ["token", None, None]
    assert {call.account.scheme for call in http.calls} == {"Bearer"}


# Feed and callbacks --------------------------------------------------------------------------


async def test_the_feed_is_asked_by_get_and_by_post_where_that_is_refused() -> None:
    """The page documents GET, its sample posts: 405 turns one into the other."""
    refused = CASE.reply("feed-gateway")
    refused = type(refused)(status=405, headers={}, body=b"")
    http = RecordedHttp([refused, CASE.reply("feed-text")])
    [task] = await CASE.provider.fetch(http, [ID])
    assert task.stage is Stage.TEXT_READY
    assert [(call.method, call.path, call.query) for call in http.calls] == [
        ("GET", "/api/feed", {"workId": ID}),
        ("POST", "/api/feed", {"workId": ID}),
    ]


async def test_one_song_may_fail_and_the_other_arrive() -> None:
    """A failed item is a failed song with advice; the task still completes."""
    task = await CASE.look("feed-one-failed")
    good, bad = task.songs
    assert (good.stage, good.audio_is_final) == (Stage.COMPLETE, True)
    assert bad.error is not None
    assert (bad.stage, bad.error.kind) == (Stage.FAILED, FailureKind.UPSTREAM)


async def test_the_newer_page_is_not_asked_without_a_callback() -> None:
    """It would answer 400; the error says what to give and who needs none."""
    http = RecordedHttp()
    with pytest.raises(InvalidRequest, match=r"requires callback_url.*UdioApiV2"):
        await CASE.provider.submit(http, CASE.request)
    assert not http.calls


@pytest.mark.parametrize("where", ["options", "extra", "client"])
async def test_a_callback_may_come_from_anywhere(where: str) -> None:
    """From the request's options, its raw fields, or the client."""
    http = RecordedHttp([CASE.reply("submit-ok")])
    request = SongRequest(
        description="a song",
        options=UdioApiOptions(callback_url=CALLBACK.url) if where == "options" else None,
        extra={"callback_url": CALLBACK.url} if where == "extra" else {},
    )
    assert await CASE.provider.submit(http, request, CALLBACK if where == "client" else None) == ID
    assert http.calls[0].json is not None
    assert http.calls[0].json["callback_url"] == CALLBACK.url


@pytest.mark.parametrize("wrong", ["foo", None, 1, []])
def test_an_unknown_generation_is_refused(wrong: Any) -> None:  # noqa: ANN401  # a user's value
    """With its value and those there are."""
    with pytest.raises(InvalidRequest, match=r"generation is .*; known: 'callback', 'legacy'"):
        UdioApiV1(api_key=KEY, generation=wrong)


@pytest.mark.parametrize("stage", [Stage.TEXT_READY, Stage.FIRST_AUDIO, Stage.COMPLETE])
def test_a_callback_reads_like_a_feed(stage: Stage) -> None:
    """The bare list of a callback gives the same songs and stages as the feed."""
    payload = loads(CASE.reply(f"callback-{stage}").body)
    task = read_task(payload, task_id=ID, provider="udioapi-v1")
    assert (task.stage, len(task.songs)) == (stage, 2)


def test_readiness_is_by_song_and_not_by_status() -> None:
    """In the documented "first" callback both say so, and only one has audio."""
    payload = loads(CASE.reply("callback-first").body)
    first, second = read_task(payload, task_id=ID, provider="udioapi-v1").songs
    assert (first.stage, first.duration) == (Stage.FIRST_AUDIO, 156.36)
    assert (second.stage, second.audio_url, second.duration) == (Stage.TEXT_READY, None, None)


@pytest.mark.parametrize("name", [*CASE.stages, CASE.unknown_word])
def test_every_recorded_field_is_known(name: str) -> None:
    """A field that our models do not know would be red here, and ignored in production."""
    payload = loads(CASE.reply(name).body)
    read_task(payload, task_id=ID, provider="udioapi-v1", converter=make_converter(strict=True))


async def test_the_key_in_an_echo_is_crossed_out() -> None:
    """A feed that repeats the request with its token does not bring it into the records."""
    body = b'{"type": "new", "request_body": {"token": "' + KEY.encode() + b'"}}'
    reply = type(CASE.reply("feed-new"))(status=200, headers={}, body=body)
    [task] = await LEGACY.fetch(RecordedHttp([reply]), [ID])
    request: Mapping[str, Any] = task.raw["request_body"]
    assert request == {"token": "***"}


SONG = {"id": "a", "status": "complete", "audio_url": "https://cdn.example.org/a.mp3"}
POSTED: Mapping[str, tuple[Any, str | None]] = {
    "a list": ([SONG], None),
    "one song": (SONG, None),
    "one song in camelCase": ({"id": "a", "audioUrl": SONG["audio_url"], "status": "done"}, None),
    "one song of a task": ({**SONG, "task_id": "t-9"}, "t-9"),
    "results": ({"results": [SONG]}, None),
    "an envelope": ({"code": 200, "data": {"type": "complete", "response_data": [SONG]}}, None),
    "an envelope around data": ({"data": {"data": [SONG], "task_id": "t-9"}}, "t-9"),
    "two envelopes": ({"data": {"data": {"response_data": [SONG], "task_id": "t-9"}}}, "t-9"),
    "text": (json.dumps([SONG]), None),
    "text in data": ({"data": json.dumps([SONG])}, None),
}


@pytest.mark.parametrize(("payload", "task_id"), POSTED.values(), ids=POSTED)
def test_a_callback_is_read_in_any_of_its_shapes(payload: object, task_id: str | None) -> None:
    """It may be the only word about a song that is paid for."""
    news = read_callback(json.dumps(payload).encode(), provider="p")
    assert [song.audio_url for song in news.songs] == [SONG["audio_url"]]
    assert (news.stage, news.task_id) == (Stage.COMPLETE, task_id)


def test_one_song_that_is_being_made_is_no_end() -> None:
    """Its words come before its audio."""
    posted = {"id": "a", "status": "text", "title": "Rain"}
    news = read_callback(json.dumps(posted).encode(), provider="p")
    assert (news.stage, len(news.songs)) == (Stage.TEXT_READY, 1)


@pytest.mark.parametrize(
    "payload",
    [
        {"id": "a", "status": "error", "error_message": "no", "audio_url": ""},
        {"data": {"id": "a", "status": "error", "error_message": "no", "audio_url": ""}},
        {"data": {"result": {"id": "a", "status": "failed", "audio_url": ""}}},
        {"data": json.dumps({"id": "a", "status": "failed", "audio_url": ""})},
        {"response_data": {"id": "a", "status": "failed", "audio_url": ""}},
        {"data": {"id": "a", "type": "gen", "status": "failed", "audio_url": ""}},
        {"id": "a"},
        {"status": "complete"},
        {"data": {"data": []}},
        "text",
        {},
    ],
)
def test_what_names_no_song_is_no_callback(payload: object) -> None:
    """One song that has failed says nothing about the others of its task either."""
    with pytest.raises(CallbackRejected):
        read_callback(json.dumps(payload).encode(), provider="p")
