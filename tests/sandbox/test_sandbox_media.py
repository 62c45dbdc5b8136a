"""The files behind the links are real, whole, and can be had in parts."""

import struct
from collections.abc import Callable
from typing import Any

import httpx
import miniaudio
import pytest

from udio_async.sandbox._audio import RATE, compose, make_mp3

MakeService = Callable[..., tuple[httpx.AsyncClient, Any]]
Json = Any  # what `response.json()` returns
BODY = {"gpt_description_prompt": "rain"}


async def make_songs(
    make_service: MakeService,
) -> tuple[httpx.AsyncClient, Any, list[dict[str, Any]]]:
    """Have two songs made, and return their items in stage "first" with the clock there."""
    http, clock = make_service()
    work_id = (await http.post("/api/v2/generate", json=BODY)).json()["workId"]
    while True:
        clock.now += 1
        answer = await http.get("/api/v2/feed", params={"workId": work_id})
        items = answer.json()["data"]["response_data"]
        if items and items[0]["status"] == "first":
            return http, clock, items


async def test_each_song_is_another_mp3_of_the_stated_duration(http: httpx.AsyncClient) -> None:
    """Over a real socket; decoded by something that has nothing to do with our encoder."""
    work_id = (await http.post("/api/v2/generate", json=BODY)).json()["workId"]
    data: Json = {"type": ""}
    for _ in range(2000):
        data = (await http.get("/api/v2/feed", params={"workId": work_id})).json()["data"]
        if data["type"] == "SUCCESS":
            break
    sounds = []
    for item in data["response_data"]:
        file = await http.get(item["audio_url"])
        assert file.headers["content-type"] == "audio/mpeg"
        assert file.headers["content-length"] == str(len(file.content))
        sound = miniaudio.decode(file.content, nchannels=1, sample_rate=RATE)
        assert sound.duration == pytest.approx(item["duration"], abs=0.1)
        assert max(sound.samples) > 5000
        sounds.append(sound.samples)
    assert sounds[0] != sounds[1]


def test_the_stated_duration_is_that_of_the_file() -> None:
    """For tunes of all tempos, and always 4 to 8 seconds."""
    for number in range(12):
        song_id = f"song {number}"
        sound = miniaudio.decode(make_mp3(song_id), nchannels=1, sample_rate=RATE)
        assert sound.duration == pytest.approx(compose(song_id).duration, abs=0.001)
        assert 4 <= sound.duration <= 8


def test_the_same_song_is_the_same_file() -> None:
    """Or a download that is continued would be patched together from two."""
    first = make_mp3("song")
    make_mp3.cache_clear()
    assert make_mp3("song") == first


async def test_a_cover_is_a_png_that_differs_per_song(make_service: MakeService) -> None:
    """From the text stage on."""
    http, _, items = await make_songs(make_service)
    covers = [(await http.get(item["image_url"])).content for item in items]
    for cover in covers:
        assert cover.startswith(b"\x89PNG\r\n\x1a\n")
        assert struct.unpack(">II", cover[16:24]) == (256, 256)
    assert covers[0] != covers[1]


async def test_audio_is_not_there_before_it_is_made(make_service: MakeService) -> None:
    """The final file is a 404 in stage "first"; the stream has a part of it."""
    http, clock, items = await make_songs(make_service)
    final = f"/media/{items[0]['id']}.mp3"
    assert (await http.get(final)).status_code == 404
    part = await http.get(items[0]["audio_url"])
    assert part.status_code == 200
    assert "content-length" not in part.headers
    clock.now += 300
    whole = await http.get(final)
    assert whole.status_code == 200
    assert whole.content.startswith(part.content)
    assert len(part.content) < len(whole.content)
    assert (await http.get(items[0]["audio_url"])).content == whole.content


@pytest.mark.parametrize("path", ["/media/x.mp3", "/media/x.png", "/stream/?item_id=x", "/stream/"])
async def test_unknown_songs_have_no_files(http: httpx.AsyncClient, path: str) -> None:
    """They are a plain 404."""
    assert (await http.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "part", "status"),
    [
        ("bytes=0-99", slice(0, 100), 206),
        ("bytes=1000-", slice(1000, None), 206),
        ("bytes=-10", slice(-10, None), 206),
        ("bytes=5-999999999", slice(5, None), 206),
        ("bytes=0-1,4-5", slice(None), 200),  # several ranges: the whole is a valid answer
        ("lines=0-1", slice(None), 200),
        ("bytes=999999999-", slice(0, 0), 416),
        ("bytes=-", slice(0, 0), 416),
    ],
)
async def test_parts_of_a_file_can_be_had(
    make_service: MakeService, wanted: str, part: slice, status: int
) -> None:
    """So that a broken download can go on."""
    http, clock, items = await make_songs(make_service)
    clock.now += 300
    url = f"/media/{items[0]['id']}.mp3"
    whole = (await http.get(url)).content
    answer = await http.get(url, headers={"Range": wanted})
    assert answer.status_code == status
    assert answer.content == whole[part]
    if status == 206:
        start, stop, _ = part.indices(len(whole))
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(whole)}"


async def test_if_range_guards_against_another_file(make_service: MakeService) -> None:
    """A strong ETag that fits gives the part; any other gives the whole."""
    http, clock, items = await make_songs(make_service)
    clock.now += 300
    url = f"/media/{items[0]['id']}.mp3"
    etag = (await http.head(url)).headers["etag"]
    assert etag.startswith('"')
    fits = await http.get(url, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = await http.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (fits.status_code, other.status_code) == (206, 200)
