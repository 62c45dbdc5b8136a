"""udioapi.pro v2: its page, its feed, its limits and its messages."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from udio_async._errors import (
    AuthenticationFailed,
    BadAnswer,
    Blocked,
    InsufficientCredits,
    InvalidRequest,
    ModerationFailed,
    PermissionDenied,
    RateLimited,
    RequestRefused,
    SubmitInDoubt,
    UnsupportedOption,
)
from udio_async._polling.judgement import as_it_is
from udio_async._records import CallbackAddress, FailureKind, SongRequest, Stage, failure_error
from udio_async._urls import is_stream
from udio_async.providers import (
    ApiframeOptions,
    UdioApiOptions,
    UdioApiV2,
)
from udio_async.providers.udioapi import LIMITS
from udio_async.providers.udioapi_calls import read_credits
from udio_async.providers.udioapi_failures import FAILURES
from udio_async.providers.udioapi_feed import STREAM_HOSTS, read_callback, read_task
from udio_async.providers.udioapi_v2 import build_body
from udio_async.providers.wire import loads, log_odd, make_converter
from udio_async.providers.words import explain
from udio_async.testing import KEY, ProviderCase, ProviderContract, RecordedHttp

RECORDINGS = Path(__file__).parent.parent / "recordings" / "udioapi-v2"
ID = "gen2abc123def456bksv"

CASE = ProviderCase(
    provider=UdioApiV2(api_key=KEY),
    recordings=RECORDINGS,
    request=SongRequest(
        lyrics="Verse 1: Walking down the street",
        style="pop, upbeat",
        title="Summer Dreams",
        negative_tags="sad, slow",
        instrumental=True,
        model="chirp-v5",
        vocal_gender="male",
        options=UdioApiOptions(style_weight=0.65, weirdness_constraint=0, audio_weight=1),
    ),
    path="/api/v2/generate",
    body={
        "model": "chirp-v5",
        "prompt": "Verse 1: Walking down the street",
        "style": "pop, upbeat",
        "title": "Summer Dreams",
        "tags": "sad, slow",
        "make_instrumental": True,
        "gender": "male",
        "style_weight": 0.65,
        "weirdness_constraint": 0,
        "audio_weight": 1,
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
        "submit-no-body": RequestRefused,
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
        "feed-no-data": Stage.QUEUED,
        "feed-in-progress": Stage.PROCESSING,
        "feed-pending": Stage.PROCESSING,
        "feed-text": Stage.TEXT_READY,
        "feed-first": Stage.FIRST_AUDIO,
        "feed-success": Stage.COMPLETE,
        "feed-success-as-first": Stage.COMPLETE,
        "feed-all-done-in-progress": Stage.COMPLETE,
        "feed-success-as-text": Stage.FIRST_AUDIO,
        "feed-success-one-stream": Stage.FIRST_AUDIO,
        "feed-success-without-audio": Stage.TEXT_READY,
        "feed-one-failed": Stage.COMPLETE,
        "feed-all-failed": Stage.FAILED,
        "feed-failed": Stage.FAILED,
        "feed-fail": Stage.FAILED,
        "feed-error": Stage.FAILED,
        "feed-failed-under-code": Stage.FAILED,
        "feed-flat": Stage.COMPLETE,
        "feed-bare-list": Stage.COMPLETE,
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
    run=(
        "feed-no-data",
        "feed-in-progress",
        "feed-text",
        "feed-first",
        "feed-success-one-stream",
        "feed-success",
    ),
    unknown_word="feed-unknown-word",
    credits={"credits": 195.0, "credits-as-text": 195.0},
    unsupported=(
        SongRequest(description="a song", style="pop"),
        SongRequest(description="a song", title="Dreams"),
        SongRequest(description="a song", negative_tags="sad"),
        SongRequest(
            description="a song", options=UdioApiOptions(callback_url="https://a.example.org/cb")
        ),
        SongRequest(description="a song", options=UdioApiOptions(cluster="default")),
        SongRequest(description="a song", options=UdioApiOptions(custom_mode=False)),
        SongRequest(description="a song", options=UdioApiOptions(disable_callback=False)),
        SongRequest(description="a song", options=ApiframeOptions(prompt_strength=0.5)),
    ),
)


class TestUdioApiV2(ProviderContract):
    @pytest.fixture
    def case(self) -> ProviderCase:
        return CASE


# Requests ------------------------------------------------------------------------------------


def test_a_description_selects_inspiration_mode() -> None:
    """The mode is no field: it follows from gpt_description_prompt."""
    request = SongRequest(description="A upbeat pop song", vocal_gender="female")
    CASE.provider.check(request)
    assert build_body(request) == {
        "model": "chirp-v3-5",
        "gpt_description_prompt": "A upbeat pop song",
        "make_instrumental": False,
        "gender": "female",
    }


def test_description_and_lyrics_exclude_one_another() -> None:
    """Both together would leave the mode to chance."""
    with pytest.raises(InvalidRequest, match="not both"):
        CASE.provider.check(SongRequest(description="a song", lyrics="la"))


async def test_a_callback_goes_through_extra_only() -> None:
    """No page documents a callback for v2, so only raw fields can carry one."""
    callback = CallbackAddress(url="https://your-domain.com/cb")
    with pytest.raises(UnsupportedOption):
        await CASE.provider.submit(RecordedHttp(), CASE.request, callback)
    request = SongRequest(description="a song", extra={"callback_url": callback.url})
    assert build_body(request)["callback_url"] == callback.url


@pytest.mark.parametrize("extra", [{1: "x"}, {"x": object()}, {"x": float("nan")}, {"x": "\ud800"}])
def test_extra_has_to_be_json(extra: dict[Any, Any]) -> None:
    """Raw fields that cannot be sent are refused before anything is."""
    with pytest.raises(InvalidRequest, match="extra"):
        CASE.provider.check(SongRequest(description="a song", extra=extra))


_FIELDS = {"description": "a", "lyrics": "é", "style": "s", "title": "t"}


@pytest.mark.parametrize(
    ("model", "field", "limit"),
    [(model, field, n) for model, limits in LIMITS.items() for field, n in limits.items()],
)
def test_lengths_are_checked_in_characters(model: str, field: str, limit: int) -> None:
    """The limit itself passes, one character more names limit, length, field and model."""
    base = {} if field in ("description", "lyrics") else {"lyrics": "la"}
    fits: dict[str, Any] = {**base, field: _FIELDS[field] * limit, "model": model}
    CASE.provider.check(SongRequest(**fits))
    with pytest.raises(InvalidRequest) as caught:
        CASE.provider.check(SongRequest(**{**fits, field: _FIELDS[field] * (limit + 1)}))
    assert all(word in str(caught.value) for word in (model, field, str(limit), str(limit + 1)))


def test_unknown_models_are_not_checked() -> None:
    """What a model of tomorrow takes is the server's to say."""
    CASE.provider.check(SongRequest(lyrics="x" * 9000, model="chirp-v9"))


@pytest.mark.parametrize("name", ["style_weight", "weirdness_constraint", "audio_weight"])
@pytest.mark.parametrize("value", [-0.01, 1.01, 0.655, True, "0.5", float("nan")])
def test_weights_are_from_0_to_1_with_two_decimals(name: str, value: object) -> None:
    """Anything else raises when the options are made."""
    values: dict[str, Any] = {name: value}
    with pytest.raises(InvalidRequest, match=name):
        UdioApiOptions(**values)


@pytest.mark.parametrize("hundredths", range(101))
def test_every_weight_of_two_decimals_is_taken(hundredths: int) -> None:
    """No documented value is lost to floating point."""
    assert UdioApiOptions(style_weight=hundredths / 100).style_weight == hundredths / 100


@pytest.mark.parametrize(
    "values", [{"cluster": "third"}, {"custom_mode": 1}, {"disable_callback": "yes"}]
)
def test_other_options_are_checked_too(values: dict[str, Any]) -> None:
    """Options of a wrong kind raise when they are made."""
    with pytest.raises(InvalidRequest):
        UdioApiOptions(**values)


# Looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["feed-success-as-text", "feed-success-one-stream", "feed-success-without-audio"]
)
async def test_done_without_files_is_settling(name: str) -> None:
    """SUCCESS over streams or nothing at all is not the end yet, and says so."""
    task = await CASE.look(name)
    assert task.settling
    assert not any(
        song.audio_is_final for song in task.songs if is_stream(song.audio_url or "", STREAM_HOSTS)
    )


@pytest.mark.parametrize("name", [n for n in CASE.stages if "success" not in n or "as-f" in n])
async def test_anything_else_is_not_settling(name: str) -> None:
    """Only "done" without its audio asks for a grace time."""
    assert not (await CASE.look(name)).settling


async def test_a_stream_is_never_final() -> None:
    """A live stream can be listened to, and is not to be kept."""
    task = await CASE.look("feed-success-as-text")
    assert [song.audio_is_final for song in task.songs] == [False, False]
    assert all(song.audio_url for song in task.songs)


async def test_moderation_is_told_apart() -> None:
    """The texts of the feed page become ModerationFailed, with the songs that arrived."""
    task = await CASE.look("feed-all-failed")
    error = failure_error(task)
    assert isinstance(error, ModerationFailed)
    assert (error.task_id, error.provider, error.songs) == (ID, "udioapi-v2", ())
    assert "moderation policy" in str(error)


async def test_a_partial_failure_keeps_the_song_that_arrived() -> None:
    """One song with "Does Not Meet Guidelines" does not cost the other."""
    good, bad = (await CASE.look("feed-one-failed")).songs
    assert good.audio_is_final
    assert bad.error is not None
    assert bad.error.kind is FailureKind.MODERATION


NO_MESSAGES = (
    "null", "None", " NULL ", "success", "Success.", "no error", "No_Errors!", "0", "N/A", "n.a.",
    "undefined", "-", "ok", "false", "completed", "Complete", "finished", "done", "200", "200 OK",
    "All generated successfully.", "成功",
)  # fmt: skip


@pytest.mark.parametrize("name", ["fail_message", "error_message"])
@pytest.mark.parametrize("word", NO_MESSAGES)
def test_a_word_for_no_error_fails_no_song(word: str, name: str) -> None:
    """The song is finished, and paid for. In a callback as in a feed."""
    songs = [
        {"id": "a", "status": "complete", "audio_url": "https://cdn.example/a.mp3", name: word}
    ]
    feed = {"type": "SUCCESS", "response_data": songs, name: word}
    news = read_callback(json.dumps(songs).encode(), provider="p")
    for told in (read_task(feed, task_id=ID, provider="p"), news):
        assert (told.stage, told.error) == (Stage.COMPLETE, None)
        assert [song.audio_is_final for song in told.songs] == [True]


@pytest.mark.parametrize("word", NO_MESSAGES)
def test_a_word_for_no_error_explains_no_failure(word: str) -> None:
    """The message that says why comes behind it."""
    song = {"id": "a", "fail_message": word, "error_message": "Server overload"}
    feed = {"type": "FAILED", "response_data": [song], "fail_message": word}
    error = read_task(feed, task_id=ID, provider="p").error
    assert error is not None
    assert error.message == "Server overload"


@pytest.mark.parametrize(
    "message", ["Does Not Meet Guidelines", "1", "None of the words is allowed"]
)
def test_any_other_message_fails_its_song(message: str) -> None:
    """Also beside a file: nobody documents which of the two counts."""
    song = {"id": "a", "audio_url": "https://cdn.example/a.mp3", "error_message": message}
    task = read_task({"type": "SUCCESS", "response_data": [song]}, task_id=ID, provider="p")
    assert task.error is not None
    assert task.error.message == message


def songs_with_files(status: str | None, said: str) -> list[dict[str, Any]]:
    return [
        {
            "id": name,
            "status": status,
            "audio_url": f"https://cdn.example/{name}.mp3",
            "error_message": said,
        }
        for name in ("a", "b")
    ]


@pytest.mark.parametrize("said", ["Warning: lyrics were shortened", "no violations found", "slow"])
@pytest.mark.parametrize("name", ["fail_message", "error_message"])
def test_a_complete_song_with_its_file_has_not_failed(
    said: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its final file is there, and it says that it is complete: a remark goes into the log."""
    songs = [{"fail_message": None, **song, "error_message": None, name: said}
             for song in songs_with_files("complete", said)]  # fmt: skip
    log_odd.cache_clear()
    for payload in ({"type": "SUCCESS", "response_data": songs}, songs):
        task = read_task(payload, task_id=ID, provider="p")
        assert (task.stage, task.error) == (Stage.COMPLETE, None)
        assert [(song.audio_is_final, song.error) for song in task.songs] == [(True, None)] * 2
    assert caplog.text.count(said) == 2


@pytest.mark.parametrize(
    ("word", "status"), [("FAILED", "complete"), ("SUCCESS", "error"), ("SUCCESS", "text")]
)
def test_a_song_or_task_that_says_failed_is_believed(word: str, status: str) -> None:
    """An error counts where the status does not contradict it. The links are not lost."""
    payload = {"type": word, "response_data": songs_with_files(status, "Server overload")}
    task = read_task(payload, task_id=ID, provider="p")
    assert task.stage is Stage.FAILED
    assert all(song.error is not None for song in task.songs)
    error = failure_error(task)
    assert [song.audio_url for song in error.songs] == [
        "https://cdn.example/a.mp3",
        "https://cdn.example/b.mp3",
    ]
    assert "arrived" not in str(error)


async def test_a_failure_without_words_repeats_the_status() -> None:
    """FAILED with nothing else still gives a message, of unknown kind."""
    task = await CASE.look("feed-failed")
    assert task.error is not None
    assert "FAILED" in task.error.message
    assert task.error.kind is FailureKind.UNKNOWN


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Unable to generate lyrics from song description", FailureKind.MODERATION),
        ("Prompt likely malformed", FailureKind.INPUT),
        ("Rate limit exceeded", FailureKind.UPSTREAM),
        ("Invalid prompt format", FailureKind.INPUT),
        ("Generation timeout", FailureKind.UPSTREAM),
        ("Server overload", FailureKind.UPSTREAM),
        ("Invalid parameters", FailureKind.INPUT),
        ("Network error", FailureKind.UPSTREAM),
        ("Topic too long.", FailureKind.INPUT),
        ("Does Not Meet Guidelines", FailureKind.MODERATION),
        ("Prompt contained inappropriate material", FailureKind.MODERATION),
        ("This song violates Suno's content moderation policy", FailureKind.MODERATION),
        ("INTERNAL ERROR, sorry", FailureKind.UPSTREAM),
        ("the dog ate it", FailureKind.UNKNOWN),
    ],
)
def test_documented_messages_have_a_kind_and_advice(message: str, kind: FailureKind) -> None:
    """Every message of the documents is known, in any case and inside other words."""
    failure = explain(f"Error: {message.upper()}!", FAILURES)
    assert failure.kind is kind
    assert bool(failure.advice) == (kind is not FailureKind.UNKNOWN)


@pytest.mark.parametrize("name", [*CASE.stages, CASE.unknown_word])
def test_every_recorded_field_is_known(name: str) -> None:
    """A field that our models do not know would be red here, and ignored in production."""
    payload = loads(CASE.reply(name).body)
    read_task(payload, task_id=ID, provider="udioapi-v2", converter=make_converter(strict=True))


def test_a_list_of_complete_songs_is_complete() -> None:
    """A callback has no word for its task: the one that all its songs share counts."""
    songs = [{"id": n, "status": "complete", "audio_url": f"https://a.example/{n}"} for n in "ab"]
    assert read_task(songs, task_id=ID, provider="p").stage is Stage.COMPLETE
    songs[0]["status"] = "first"
    assert read_task(songs, task_id=ID, provider="p").stage is Stage.FIRST_AUDIO


def test_a_failed_word_on_a_song_fails_it() -> None:
    """A song whose own status is "error" failed, with or without a message."""
    songs = [{"id": "a", "status": "error"}, {"id": "b", "status": "text"}]
    task = read_task({"type": "IN_PROGRESS", "response_data": songs}, task_id=ID, provider="p")
    assert [song.stage for song in task.songs] == [Stage.FAILED, Stage.TEXT_READY]
    assert not task.stage.is_final


@pytest.mark.parametrize("word", ["IN_PROGRESS", "new", "remixing"])
@pytest.mark.parametrize("number", [1, 2])
def test_songs_that_have_failed_do_not_end_a_task_that_runs(word: str, number: int) -> None:
    """It says itself that it is not over: another song may be listed, or be made again."""
    songs = [
        {"id": f"{n}", "status": "error", "error_message": "Internal error"} for n in range(number)
    ]
    feed = {"type": word, "response_data": songs}
    task = read_task(feed, task_id=ID, provider="p")
    assert (task.stage, task.settling, task.error) == (Stage.PROCESSING, True, None)
    assert [song.stage for song in task.songs] == [Stage.FAILED] * number
    over = as_it_is(task).error
    assert over is not None
    assert over.message == "Internal error"
    for said in ({"type": "FAILED"}, {"type": "SUCCESS"}, {"fail_message": "Server overload"}):
        ended = read_task({**feed, **said}, task_id=ID, provider="p")
        assert ended.stage is Stage.FAILED


@pytest.mark.parametrize(
    ("body", "stage"),
    [
        ({"type": "new", "response_data": [{}]}, Stage.QUEUED),
        ({"type": None, "response_data": None}, Stage.QUEUED),
        ({"type": "Processing"}, Stage.PROCESSING),
        ({"type": " FIRST "}, Stage.FIRST_AUDIO),
        ({"type": "text", "response_data": []}, Stage.TEXT_READY),
        ({"type": "REMIXING", "response_data": [{}]}, Stage.PROCESSING),
        ({"type": "SUCCEEDED", "response_data": []}, Stage.PROCESSING),
    ],
)
def test_words_count_where_songs_show_nothing(body: object, stage: Stage) -> None:
    """Without any audio or text, the task's own word is the evidence."""
    assert read_task(body, task_id=ID, provider="p").stage is stage


@pytest.mark.parametrize("name", CASE.failed_looks)
async def test_errors_name_the_task(name: str) -> None:
    """Whatever goes wrong with a look, the error says about which task and where."""
    error = await CASE.error_of(name, submit=False)
    assert (error.provider, error.task_id) == ("udioapi-v2", ID)


async def test_songs_carry_what_the_feed_says() -> None:
    """Every documented field of an item that means something arrives on the Song."""
    song = (await CASE.look("feed-success")).songs[0]
    assert song.lyrics is not None
    assert song.lyrics.startswith("[Verse 1]")
    assert (song.title, song.tags) == ("Summer Dreams", "pop, upbeat, electronic")
    assert (song.duration, song.model, song.index) == (156.36, "chirp-v3-5", 0)
    assert song.created_at is not None
    assert song.created_at.isoformat() == "2025-08-19T23:07:28.936000+00:00"
    assert song.raw["extra_message"] == "All generated successfully."


@pytest.mark.parametrize(
    "payload",
    [
        {"code": 200, "data": {"credits": "1,234", "usedCredits": 5}},
        {"code": 200, "message": "success", "credits": 1234, "used_credits": 5},
        {"credits": 1234, "used_credits": "5"},
        {"code": 200, "data": '{"credits": 1234, "used_credits": 5}'},
    ],
)
def test_credits_are_read_with_and_without_an_envelope(payload: Mapping[str, Any]) -> None:
    """And as people write numbers."""
    balance = read_credits(payload, provider="p")
    assert (balance.remaining, balance.used, balance.raw) == (1234.0, 5.0, payload)


@pytest.mark.parametrize("payload", [{}, [], None, {"code": 200, "data": None}, {"data": [5]}])
def test_an_answer_without_credits_is_none(payload: object) -> None:
    """It is not read as 0."""
    with pytest.raises(BadAnswer):
        read_credits(payload, provider="p")


async def test_several_tasks_are_asked_one_by_one() -> None:
    """The feed knows one id at a time, and each answer keeps its own."""
    http = RecordedHttp([CASE.reply("feed-text"), CASE.reply("feed-success")])
    tasks = await CASE.provider.fetch(http, ["a", "b"])
    assert [(task.id, task.stage) for task in tasks] == [
        ("a", Stage.TEXT_READY),
        ("b", Stage.COMPLETE),
    ]


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """UDIOAPI_API_KEY is used when no key is given, and missed with an error that names it."""
    monkeypatch.setenv("UDIOAPI_API_KEY", "from-the-environment")
    assert UdioApiV2().api_key.reveal() == "from-the-environment"
    monkeypatch.delenv("UDIOAPI_API_KEY")
    with pytest.raises(AuthenticationFailed, match="UDIOAPI_API_KEY"):
        UdioApiV2()


def test_a_base_url_in_the_clear_is_refused_at_once() -> None:
    """A provider that would send its key over http is never made."""
    with pytest.raises(InvalidRequest, match="https"):
        UdioApiV2(api_key=KEY, base_url="http://udioapi.pro")


@pytest.mark.parametrize("outer", [{"workId": ID}, {"task_id": ID}])
def test_an_answer_that_names_two_tasks_is_of_none(outer: Mapping[str, str]) -> None:
    """A gateway may add the id that was asked for to an answer that it has kept of another."""
    inner = {"task_id": "another", "type": "SUCCESS", "response_data": []}
    for data in (inner, json.dumps(inner)):
        with pytest.raises(BadAnswer, match="the answer is about another"):
            read_task({**outer, "data": data}, task_id=ID, provider="p")


@pytest.mark.parametrize("ours", ["workId", "task_id"])
def test_a_task_that_is_named_twice_is_ours(ours: str) -> None:
    """Beside our id stands that of the service behind udioapi, in the same object."""
    other = {"workId": "taskId", "task_id": "work_id"}[ours]
    songs = [{"id": "a", "status": "complete", "audio_url": "https://cdn.example/a.mp3"}]
    data = {other: "upstream-77", ours: f" {ID} ", "type": "SUCCESS", "response_data": songs}
    for answer in (data, {"code": 200, "data": data}, {"workId": ID, "data": data}):
        assert [song.id for song in read_task(answer, task_id=ID, provider="p").songs] == ["a"]


@pytest.mark.parametrize("word", ["complete", "SUCCESS"])
@pytest.mark.parametrize("link", ["", "https://audiopipe.suno.ai/?item_id=b"])
def test_a_song_without_its_file_is_waited_for_under_any_good_word(word: str, link: str) -> None:
    """It is paid for, and its file may come a moment later."""
    songs = [
        {"id": "a", "status": "complete", "audio_url": "https://cdn.example/a.mp3"},
        {"id": "b", "status": "complete", "audio_url": link},
    ]
    task = read_task({"type": word, "response_data": songs}, task_id=ID, provider="p")
    assert task.settling or not task.stage.is_final
