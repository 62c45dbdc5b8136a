"""What each fault serves, over real sockets to a plain HTTP client."""

import gzip
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import miniaudio
import mutagen
import pytest

from tests.kit.receiver import receiving
from tests.sandbox.conftest import KEY
from tests.sandbox.services import (
    accepted,
    every_provider,
    link,
    look,
    song_id,
    songs_in,
    submit,
    with_files,
    with_word,
    word_in,
)
from udio_async.sandbox import Fault, Sandbox
from udio_async.sandbox._audio import RATE
from udio_async.sandbox._kinds import ALL, NO_CREDIT_STATUSES

udioapi = pytest.mark.parametrize("provider", ["udioapi-v1", "udioapi-v2"])
ENDINGS = {".wav": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".m4a": "audio/mp4"}


@asynccontextmanager
async def serving(
    *kinds: str,
    speed: float = 2000,
    **settings: Any,  # noqa: ANN401  # those of `Sandbox`
) -> AsyncGenerator[tuple[httpx.AsyncClient, Sandbox]]:
    """A sandbox in which every submit has these faults, and a client of it."""
    faults = [Fault(kind) for kind in kinds]
    async with (
        Sandbox(speed=speed, faults=faults, **settings) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as http,
    ):
        yield http, sandbox


async def complete(http: httpx.AsyncClient, provider: str) -> tuple[str, list[dict[str, Any]]]:
    """Have a request made; its id, and its songs once they have their files."""
    task_id = await accepted(http, provider)
    songs = songs_in(await with_files(http, provider, task_id))
    assert songs, "a test that goes over them would check nothing"
    return task_id, songs


async def raw(http: httpx.AsyncClient, url: str) -> tuple[httpx.Response, bytes]:
    """Get a file, and its bytes as they came over the wire."""
    async with http.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer:
        return answer, b"".join([chunk async for chunk in answer.aiter_raw()])


# Files ----------------------------------------------------------------------------------------


@every_provider
async def test_a_late_file_is_refused_for_a_while(provider: str) -> None:
    """One song 403, the other 404, as storage says it; then both are served."""
    async with serving("cdn_late", speed=100) as (http, sandbox):
        _, songs = await complete(http, provider)
        first = [await http.get(link(song)) for song in songs]
        assert [answer.status_code for answer in first] == [403, 404]
        assert ["AccessDenied" in first[0].text, "NoSuchKey" in first[1].text] == [True, True]
        with anyio.fail_after(20):
            for song in songs:
                while (await http.get(link(song))).status_code != 200:  # noqa: ASYNC110
                    await anyio.sleep(0.05)
        data = sandbox.sound_of(song_id(songs[0])).data
        assert (await http.get(link(songs[0]))).content == data


async def test_how_late_a_file_is_follows_the_seed_and_the_speed(
    make_service: Callable[..., tuple[httpx.AsyncClient, Any]],
) -> None:
    """Between half a minute and two and a half at speed 1."""
    http, clock = make_service(faults=[Fault("cdn_late")])
    task_id = await accepted(http, "apiframe")
    while not songs_in(answer := await look(http, "apiframe", task_id)) or not all(
        song["audio_url"] for song in songs_in(answer)
    ):
        clock.now += 0.5
    ended = clock.now
    waits = []
    for song in songs_in(answer):
        clock.now = ended
        while (await http.get(link(song))).status_code != 200:
            clock.now += 0.5
        waits.append(clock.now - ended)
    assert all(29 <= wait <= 151 for wait in waits)
    assert waits[0] != waits[1]


@every_provider
async def test_a_file_may_be_gone(provider: str) -> None:
    """It stays a 404, under the same link after a fresh look."""
    async with serving("cdn_gone") as (http, _):
        task_id, songs = await complete(http, provider)
        for _ in range(3):
            assert {(await http.get(link(song))).status_code for song in songs} == {404}
        again = songs_in(await look(http, provider, task_id))
        assert [link(song) for song in again] == [link(song) for song in songs]


@every_provider
async def test_a_link_may_end_and_a_fresh_look_has_a_new_one(provider: str) -> None:
    """410 and 403; the other song's link is not touched by that."""
    async with serving("link_expired") as (http, _):
        task_id, songs = await complete(http, provider)
        one, other = map(link, songs)
        assert (await http.get(one)).status_code == 410
        fresh = [link(song) for song in songs_in(await look(http, provider, task_id))]
        assert fresh[0] != one
        assert fresh[1] == other
        assert (await http.get(fresh[0])).status_code == 200
        assert (await http.get(one)).status_code == 410
        assert (await http.get(other)).status_code == 403


@every_provider
async def test_the_first_two_downloads_may_be_empty(provider: str) -> None:
    """Of each file, counted for itself; asking for its head is no download."""
    async with serving("empty_body") as (http, sandbox):
        _, songs = await complete(http, provider)
        for song in songs:
            assert (await http.head(link(song))).status_code == 200
            sizes = []
            for _ in range(3):
                answer = await http.get(link(song))
                assert answer.status_code == 200
                sizes.append(len(answer.content))
            assert sizes == [0, 0, len(sandbox.sound_of(song_id(song)).data)]


@every_provider
async def test_the_first_download_may_be_a_page(provider: str) -> None:
    """With status 200, as a portal answers."""
    async with serving("error_page") as (http, _):
        _, songs = await complete(http, provider)
        first, second = [await http.get(link(songs[0])) for _ in range(2)]
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.headers["content-type"].startswith("text/html")
        assert second.headers["content-type"] == "audio/mpeg"


async def cut_download(http: httpx.AsyncClient, url: str) -> tuple[httpx.Headers, bytes]:
    """Return the headers and what came of a download that breaks off."""
    came = bytearray()
    async with http.stream("GET", url) as answer:
        with pytest.raises(httpx.RemoteProtocolError):
            await read_into(came, answer)
        return answer.headers, bytes(came)


async def read_into(came: bytearray, answer: httpx.Response) -> None:
    async for chunk in answer.aiter_raw():
        came += chunk


@every_provider
async def test_the_first_download_may_break_off(
    provider: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Half of what its length says comes; the rest can be had. It is no error of the server."""
    caplog.set_level(logging.WARNING)
    async with serving("cut") as (http, sandbox):
        _, songs = await complete(http, provider)
        for song in songs:
            whole = sandbox.sound_of(song_id(song)).data
            head, came = await cut_download(http, link(song))
            assert int(head["content-length"]) == len(whole)
            assert came == whole[: len(whole) // 2]
            headers = {"Range": f"bytes={len(came)}-", "If-Range": head["etag"]}
            rest = await http.get(link(song), headers=headers)
            assert came + rest.content == whole
    assert caplog.records == []


@every_provider
async def test_a_file_may_be_of_another_kind(provider: str) -> None:
    """Four in turn, known by their bytes and told by their type; the link says `.mp3`."""
    async with serving("container") as (http, sandbox):
        files = []
        for _ in range(2):
            _, songs = await complete(http, provider)
            for song in songs:
                assert link(song).endswith(".mp3")
                sound = sandbox.sound_of(song_id(song))
                answer = await http.get(link(song))
                assert answer.content == sound.data
                assert answer.headers["content-type"] == ENDINGS[sound.ending]
                files.append(sound)
                if provider != "apiframe":
                    assert song["duration"] == pytest.approx(seconds_of(sound.data), abs=0.05)
        assert [sound.ending for sound in files] == list(ENDINGS)
        assert len({sound.data for sound in files}) == 4


def seconds_of(data: bytes) -> float:
    """How long a file plays, by programs that have nothing to do with how it was made."""
    if data[4:8] == b"ftyp":
        file = mutagen.File(fileobj(data))
        assert file is not None
        return float(file.info.length)
    return float(miniaudio.decode(data, nchannels=1, sample_rate=RATE).duration)


def fileobj(data: bytes) -> Any:  # noqa: ANN401  # mutagen has no types for it
    import io  # noqa: PLC0415

    return io.BytesIO(data)


async def test_no_two_songs_of_a_kind_are_the_same_file() -> None:
    """Although the tones of two kinds are."""
    async with serving("container", speed=10_000) as (http, sandbox):
        ids = [song_id(song) for _ in range(4) for song in (await complete(http, "apiframe"))[1]]
        sounds = [sandbox.sound_of(each) for each in ids]
    assert len({hashlib.sha256(sound.data).digest() for sound in sounds}) == 8
    assert all(seconds_of(sound.data) > 1 for sound in sounds)


@every_provider
async def test_a_file_may_be_gzipped(provider: str) -> None:
    """Although identity was asked for; the length is that of what is sent."""
    async with serving("encoded") as (http, sandbox):
        _, songs = await complete(http, provider)
        for song in songs:
            answer, data = await raw(http, link(song))
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.headers["content-length"] == str(len(data))
            assert gzip.decompress(data) == sandbox.sound_of(song_id(song)).data


@every_provider
async def test_a_file_may_name_an_encoding_that_is_none(provider: str) -> None:
    """The bytes are plain."""
    async with serving("odd_encoding") as (http, sandbox):
        _, songs = await complete(http, provider)
        answer, data = await raw(http, link(songs[0]))
        assert answer.headers["content-encoding"] == "utf-8"
        assert data == sandbox.sound_of(song_id(songs[0])).data


@every_provider
async def test_a_whole_file_may_be_called_a_part(provider: str) -> None:
    """Three ways in turn."""
    async with serving("partial_206") as (http, sandbox):
        songs = [song for _ in range(2) for song in (await complete(http, provider))[1]]
        answers = [await http.get(link(song)) for song in songs[:3]]
        wholes = [sandbox.sound_of(song_id(song)).data for song in songs[:3]]
    assert [answer.content for answer in answers] == wholes
    assert [answer.status_code for answer in answers] == [206, 206, 203]
    size = len(wholes[0])
    parts = [answer.headers.get("content-range") for answer in answers]
    assert parts == [f"bytes 0-{size - 1}/{size}", None, None]


# Answers --------------------------------------------------------------------------------------


@every_provider
@pytest.mark.parametrize(
    ("kind", "name"), [("encoded_answers", "gzip"), ("odd_encoding_answers", "utf-8")]
)
async def test_answers_may_be_encoded(provider: str, kind: str, name: str) -> None:
    """That to the submit, and all looks; the ids in them are as ever."""
    async with serving(kind) as (http, _):
        answer = await submit(http, provider)
        assert answer.headers["content-encoding"] == name
        task_id, songs = await complete(http, provider)
        assert (await look(http, provider, task_id)).headers["content-encoding"] == name
        assert (await http.get(link(songs[0]))).headers.get("content-encoding") is None
        if provider == "apiframe":
            many = await http.post("/fetch-many", json={"task_ids": [task_id, task_id]})
            assert many.headers["content-encoding"] == name


@every_provider
@pytest.mark.parametrize("status", [401, 402, 403, 404, 429])
async def test_the_first_two_looks_may_be_refused(provider: str, status: int) -> None:
    """And the third is fine; nothing hints when to come again."""
    async with serving(f"look_{status}") as (http, _):
        task_id = await accepted(http, provider)
        seen = [await look(http, provider, task_id) for _ in range(3)]
    assert [answer.status_code for answer in seen] == [status, status, 200]
    assert "retry-after" not in seen[0].headers
    assert isinstance(seen[0].json(), dict)


async def test_of_many_tasks_one_that_is_not_found_is_left_out() -> None:
    """As `/fetch-many` does with any id that it does not know; other refusals are for all."""
    async with serving("look_404") as (http, _):
        ids = {"task_ids": [await accepted(http, "apiframe") for _ in range(2)]}
        seen = [(await http.post("/fetch-many", json=ids)).json()["tasks"] for _ in range(3)]
    assert [len(tasks) for tasks in seen] == [0, 0, 2]
    async with serving("look_429") as (http, _):
        ids = {"task_ids": [await accepted(http, "apiframe") for _ in range(2)]}
        statuses = [(await http.post("/fetch-many", json=ids)).status_code for _ in range(3)]
    assert statuses == [429, 429, 200]


# What is said of songs ------------------------------------------------------------------------


@udioapi
async def test_the_duration_may_be_a_lie(provider: str) -> None:
    """By three minutes."""
    async with serving("duration_lies") as (http, sandbox):
        _, songs = await complete(http, provider)
        for song in songs:
            plays = seconds_of(sandbox.sound_of(song_id(song)).data)
            assert song["duration"] == pytest.approx(plays + 180, abs=0.1)


async def test_what_states_no_duration_tells_no_lie() -> None:
    """The fault passes over apiframe's submits."""
    async with serving("duration_lies") as (http, sandbox):
        await complete(http, "apiframe")
    assert [submit.fault for submit in sandbox.submits] == [""]


@every_provider
async def test_links_may_be_placeholders(provider: str) -> None:
    """The same for both songs, another one for each task."""
    async with serving("placeholder") as (http, _):
        names = []
        for _ in range(4):
            _, songs = await complete(http, provider)
            one, other = map(link, songs)
            assert one == other
            names.append(one.rpartition("/")[2])
            assert (await http.get(one)).status_code == 404
        assert names == ["None.mp3", "null", "undefined.mp3", ""]


@every_provider
async def test_a_task_may_never_say_that_it_is_complete(provider: str) -> None:
    """Both songs have their whole files all the same."""
    words = {"udioapi-v1": "first", "udioapi-v2": "IN_PROGRESS", "apiframe": "processing"}
    async with serving("stuck_first") as (http, sandbox):
        task_id, songs = await complete(http, provider)
        answers = [await look(http, provider, task_id) for _ in range(3)]
        assert {word_in(answer) for answer in answers} == {words[provider]}
        if provider != "apiframe":
            assert [song["status"] for song in songs] == ["streaming", "first"]
        else:
            assert answers[0].json()["percentage"] == 99
        for song in songs:
            whole = sandbox.sound_of(song_id(song)).data
            assert (await http.get(link(song))).content == whole


@every_provider
async def test_a_word_may_be_one_that_nobody_knows(
    provider: str, make_service: Callable[..., tuple[httpx.AsyncClient, Any]]
) -> None:
    """It stays, and no song is ever shown."""
    async with serving("unknown_word") as (http, _):
        task_id = await accepted(http, provider)
        answer = await with_word(http, provider, task_id, "in_review")
        assert songs_in(answer) == []
    over_time, clock = make_service(faults=[Fault("unknown_word")])
    task_id = await accepted(over_time, provider)
    clock.now = 1e9
    answer = await look(over_time, provider, task_id)
    assert (word_in(answer), songs_in(answer)) == ("in_review", [])


@every_provider
@pytest.mark.parametrize("word", ["cancelled", "expired"])
async def test_a_task_may_end_with_a_word_and_nothing_else(provider: str, word: str) -> None:
    """No message says why, and no song has audio."""
    async with serving(word) as (http, _):
        task_id = await accepted(http, provider)
        answer = await with_word(http, provider, task_id, word)
        assert not any(song["audio_url"] for song in songs_in(answer))
        said = [song.get("fail_message") or song.get("error_message") for song in songs_in(answer)]
        assert not any(said)
        assert not answer.json().get("message") or provider == "udioapi-v2"  # of the envelope


@every_provider
async def test_a_song_may_be_listed_twice(provider: str) -> None:
    """The first one, behind the second."""
    async with serving("same_song_twice") as (http, _):
        _, songs = await complete(http, provider)
    assert len(songs) == 3
    assert songs[0] == songs[2] != songs[1]


@every_provider
async def test_fields_may_be_odd(provider: str) -> None:
    """All but the id, the status and the link, which decide."""
    async with serving("odd_fields") as (http, _):
        _, songs = await complete(http, provider)
        for song in songs:
            assert isinstance(song["title"], int)
            assert isinstance(song["tags"], list)
            assert song["duration"].startswith("0:0")
            assert song["image_url"] is None
            assert song["created_at"] == "yesterday"
            assert (await http.get(link(song))).status_code == 200


# The account ----------------------------------------------------------------------------------


@every_provider
@pytest.mark.parametrize("status", NO_CREDIT_STATUSES)
async def test_an_empty_account_is_told_under_many_statuses(provider: str, status: int) -> None:
    """By a fault, and by an account that is empty; always in words, and nothing is charged."""
    async with serving(f"no_credit:{status}") as (http, sandbox):
        by_fault = await submit(http, provider)
    async with serving(credits=5, no_credit=status) as (http, other):
        by_account = await submit(http, provider)
    for answer in (by_fault, by_account):
        assert answer.status_code == status
        assert "nsufficient credits" in answer.text
        if status == 200:
            assert answer.json()["code"] == 402
    assert sandbox.ledger == other.ledger == ()
    assert sandbox.submits[0].fault == f"no_credit:{status}"


@every_provider
async def test_an_account_may_allow_so_many_at_once(
    provider: str, make_service: Callable[..., tuple[httpx.AsyncClient, Any]]
) -> None:
    """One more is a 429 without a hint, costs nothing, and is taken once one is done."""
    http, clock = make_service(at_once=2, faults=[Fault("one_song", times=1)])
    statuses = [(await submit(http, provider)).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    refused = await submit(http, provider)
    assert "retry-after" not in refused.headers
    assert "at once" in refused.text
    clock.now = 600
    assert [(await submit(http, provider)).status_code for _ in range(3)] == [200, 200, 429]
    ledger = (await http.get("/_sandbox/ledger")).json()
    assert len(ledger["charges"]) == 4
    assert [each["fault"] for each in ledger["submits"]].count("one_song") == 1


async def test_a_refusal_for_too_many_uses_no_fault_up() -> None:
    """When it comes depends on the clock, and faults shall not."""
    faults = [Fault("one_song", every=2)]
    async with (
        Sandbox(speed=1, at_once=1, faults=faults) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as http,
    ):
        for _ in range(4):
            await submit(http, "apiframe")
    assert [each.answered for each in sandbox.submits] == [200, 429, 429, 429]
    assert {each.fault for each in sandbox.submits} == {""}


async def test_what_is_stuck_takes_a_place_for_ever_and_what_says_so_alone_does_not() -> None:
    """`stuck_first` has its files: nothing is being made any more."""
    for kind, status in (("stuck", 429), ("stuck_first", 200), ("moderation", 200)):
        async with serving(kind, at_once=1) as (http, _):
            await accepted(http, "apiframe")
            await anyio.sleep(0.2)  # more than any song takes at this speed
            assert (await submit(http, "apiframe")).status_code == status


@pytest.mark.parametrize("settings", [{"at_once": 0}, {"no_credit": 418}])
def test_an_account_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        Sandbox(**settings)


# Callbacks ------------------------------------------------------------------------------------


def asking_for_calls(provider: str, url: str) -> tuple[str, dict[str, str]]:
    if provider == "apiframe":
        return "/udio-imagine", {"prompt": "rain", "webhook_url": url}
    return "/api/generate", {"prompt": "rain", "token": "sandbox", "callback_url": url}


calling = pytest.mark.parametrize("provider", ["udioapi-v1", "apiframe"])


@calling
async def test_callbacks_may_be_gzipped(provider: str) -> None:
    """And say so."""
    async with serving("gzipped_callback") as (http, sandbox), receiving() as receiver:
        path, body = asking_for_calls(provider, f"{receiver.url}/hook")
        assert (await http.post(path, json=body)).status_code == 200
        received = await receiver.wait_for(3)
    assert {each.headers["content-encoding"] for each in received} == {"gzip"}
    shown = [json.loads(gzip.decompress(each.body)) for each in received]
    assert sandbox.ledger[0].task_id in str(shown) or provider == "udioapi-v1"


@calling
async def test_callbacks_may_come_with_a_slash_behind_the_address(provider: str) -> None:
    """Before its query, where it has one."""
    async with serving("slash_callback") as (http, _), receiving() as receiver:
        path, body = asking_for_calls(provider, f"{receiver.url}/hook?of=me")
        assert (await http.post(path, json=body)).status_code == 200
        received = await receiver.wait_for(3)
    assert {each.path for each in received} == {"/hook/?of=me"}


@calling
async def test_each_fault_leaves_the_sandbox_running(provider: str) -> None:
    """Also where it is called back: there are tasks that never have anything to tell."""
    kinds = [k.name + f":{next(iter(k.known), 'text')}" * bool(k.detail) for k in ALL.values()]
    faults = [Fault(kind, match=f"<{kind}>") for kind in kinds]
    async with (
        Sandbox(speed=2000, faults=faults) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as http,
        receiving() as receiver,
    ):
        path, body = asking_for_calls(provider, f"{receiver.url}/hook")
        for kind in kinds:
            await http.post(path, json={**body, "prompt": f"<{kind}>"})
        await anyio.sleep(0.2)  # more than any song takes at this speed
        assert (await http.get("/")).status_code == 200
    possible = [kind for kind in kinds if provider in ALL[kind.partition(":")[0]].providers]
    assert [submit.fault for submit in sandbox.submits if submit.fault] == possible


# The ledger and the dealing -------------------------------------------------------------------


async def test_the_ledger_tells_of_every_submit() -> None:
    """Its answer, its charge and its fault; also of one that was refused, and for what key."""
    async with serving("charged_502") as (http, sandbox):
        await submit(http, "apiframe", "a song")
        await http.post("/udio-imagine", json={"prompt": 7})
        await http.post("/api/v2/generate", json={}, headers={"Authorization": "Bearer wrong"})
        await http.post("/api/generate", json={"prompt": "x", "token": "wrong"})
        await http.post("/api/generate", content=b"no JSON")
        page = (await http.get("/_sandbox/ledger")).json()
    first, *refused = sandbox.submits
    assert (first.answered, first.credits, first.fault) == (502, 9, "charged_502")
    assert (first.prompt, bool(first.task_id)) == ("a song", True)
    assert [(each.provider, each.answered, each.key_ok) for each in refused] == [
        ("apiframe", 400, True),
        ("udioapi-v2", 401, False),
        ("udioapi-v1", 401, False),
        ("udioapi-v1", 400, True),
    ]
    assert [each.request for each in refused] == [{"prompt": 7}, {}, {"prompt": "x"}, {}]
    assert sandbox.ledger == (first,)
    assert [each["answered"] for each in page["submits"]] == [502, 400, 401, 401, 400]
    assert len(page["charges"]) == 1


async def test_several_faults_take_turns() -> None:
    """One submit in three each, although both would want the same one."""
    faults = [Fault("http_500", every=3), Fault("refused", every=3)]
    async with (
        Sandbox(faults=faults) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as http,
    ):
        answers = [(await submit(http, "apiframe")).status_code for _ in range(9)]
    assert answers == [200, 200, 500, 400, 200, 500, 400, 200, 500]


async def test_a_turn_is_not_saved_up() -> None:
    """A fault that always goes first leaves one turn to the next, and not a row of them."""
    faults = [Fault("http_500", times=9), Fault("refused", every=2)]
    async with (
        Sandbox(faults=faults) as sandbox,
        httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as http,
    ):
        answers = [(await submit(http, "apiframe")).status_code for _ in range(14)]
    assert answers[9:] == [400, 200, 400, 200, 400]


async def test_the_same_seed_deals_and_spoils_the_same() -> None:
    """Faults, ids, kinds of file and how late they are."""
    runs = []
    for _ in range(2):
        faults = [Fault("container", every=2), Fault("cdn_late", every=3)]
        async with (
            Sandbox(seed=4, faults=faults) as sandbox,
            httpx.AsyncClient(base_url=sandbox.base_url, headers=KEY, verify=False) as http,
        ):
            for _ in range(6):
                await submit(http, "udioapi-v2")
            ids = [submit.task_id for submit in sandbox.submits]
            tasks = [sandbox._world.find(each, "udioapi-v2") for each in ids]
            runs.append([(task.fault, task.songs, task.length) for task in tasks if task])
    assert len(runs[0]) == 6
    assert runs[0] == runs[1]
