"""Only the id, the stage and the link decide: whatever else is odd costs no song."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest

from tests.providers.test_apiframe import CASE as APIFRAME
from tests.providers.test_udioapi_v1 import CASE as UDIOAPI_V1
from tests.providers.test_udioapi_v2 import CASE as UDIOAPI_V2
from udio_async import Song, Stage, Task
from udio_async._http import Reply
from udio_async._polling.judgement import as_it_is
from udio_async._urls import as_link, is_stream
from udio_async.testing import ProviderCase, RecordedHttp

CASES = {
    "udioapi-v1": UDIOAPI_V1,
    "udioapi-v2": UDIOAPI_V2,
    "apiframe": APIFRAME,
}
ODD: list[Any] = [
    None, True, False, 0, -1, 7, 1.5, 1e308, 10**30, float("nan"), float("inf"),
    "", " ", "odd", "100%", "156s", "N/A", "null", "None", "-1", "1e999", "\ud800", "x" * 3000,
    [], [None], [[]], ["odd"], {}, {"odd": 1}, {"id": None},
]  # fmt: skip
SAYS_FAILED = ("fail_message", "error_message", "message", "error", "errors")
"""A message in these means that a song or its task has failed, or is what is said about that."""
SAYS_NOTHING = ("", " ", "N/A", "null", "None")
SONGS = ("response_data", "songs", "tasks")
IDS = ("workId", "work_id", "task_id", "taskId")


def places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every field of an answer, those of its songs included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from places(inner, (*path, place))


def changed(payload: object, path: tuple[Any, ...], value: object) -> object:
    payload = copy.deepcopy(payload)
    inner: Any = payload
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return payload


def songs_in(payload: object) -> list[dict[str, Any]]:
    """Find the songs of an answer, by their links and not by any reader of ours."""
    if isinstance(payload, dict):
        found = [payload] if "audio_url" in payload else []
        return found + [song for inner in payload.values() for song in songs_in(inner)]
    return [s for inner in payload for s in songs_in(inner)] if isinstance(payload, list) else []


def readable(song: Mapping[str, Any]) -> bool:
    """Whether both its id and its final link can be read."""
    ident, link = song.get("song_id", song.get("id")), song.get("audio_url")
    known = (isinstance(ident, str) and ident.strip()) or type(ident) is int
    return (
        bool(known) and isinstance(link, str) and as_link(link) is not None and not is_stream(link)
    )


def decides(path: tuple[Any, ...], value: object) -> bool:
    """Whether this value at this place is no oddity, but says something else."""
    name = path[-1]
    if name in SONGS or path[0] == "request_body":
        return True
    if name == "data" or (name in IDS and isinstance(value, str | int)):
        return True
    return name in SAYS_FAILED and isinstance(value, str) and value not in SAYS_NOTHING


async def look(case: ProviderCase, payload: object) -> Task:
    body = json.dumps(payload).encode()
    http = RecordedHttp([Reply(status=200, headers={}, body=body)])
    [task] = await case.provider.fetch(http, [case.task_id])
    return as_it_is(task) if task.settling else task


def complete(case: ProviderCase) -> Iterator[tuple[str, Any]]:
    for name, stage in case.stages.items():
        if stage is Stage.COMPLETE:
            yield name, json.loads(case.reply(name).body)


SHARED_IDS: list[Any] = [None, "", "null", "None", 0, -1, "undefined", "shared", 7]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shared", [*SHARED_IDS, "the task's"])
async def test_an_id_that_songs_share_costs_no_song(name: str, shared: object) -> None:
    """The provider has made both files, and both have names of their own."""
    case = CASES[name]
    shared = case.task_id if shared == "the task's" else shared
    for _, payload in complete(case):
        wanted = delivered(await look(case, payload))
        for song in songs_in(payload):
            song["song_id" if "song_id" in song else "id"] = shared
        task = await look(case, payload)
        assert delivered(task) == wanted != set()
        assert len({song.id for song in task.songs}) == len(task.songs)


def delivered(task: Task) -> set[str]:
    """The songs that somebody gets, once the task is over."""
    final = task.stage is Stage.COMPLETE
    return {link_of(song) for song in task.songs if final and song.audio_is_final}


def link_of(song: Song) -> str:
    return song.audio_url or ""


@pytest.mark.parametrize("name", CASES)
async def test_no_odd_field_costs_a_song(name: str) -> None:
    """Each field of each recorded answer of a complete task, set to each of thirty values."""
    case, tried, lost = CASES[name], 0, []
    for recording, payload in complete(case):
        for path in places(payload):
            for value in ODD:
                if decides(path, value):
                    continue
                odd = changed(payload, path, value)
                wanted = {song["audio_url"] for song in songs_in(odd) if readable(song)}
                tried += 1
                if not wanted <= delivered(await look(case, odd)):
                    lost.append((recording, path, value))
    assert lost == []
    assert tried > 500


@pytest.mark.parametrize("name", CASES)
async def test_the_odd_fields_keep_their_raw_words(name: str) -> None:
    """What is left out of a record is in its `raw`, as it came."""
    case = CASES[name]
    for _, payload in complete(case):
        odd = copy.deepcopy(payload)
        for song in songs_in(odd):
            song["title"] = {"odd": 1}
        task = await look(case, odd)
        assert task.songs
        assert [(song.title, song.raw["title"]) for song in task.songs] == [
            (None, {"odd": 1})
        ] * len(task.songs)


async def test_control_a_strict_reader_would_lose_songs() -> None:
    """The test above can fail: with fields that must be right, one title costs the song."""
    case = CASES["udioapi-v2"]
    _, payload = next(complete(case))
    [first, *_] = songs_in(payload)
    assert readable(first)
    gone = changed(payload, ("data", "response_data", 0, "audio_url"), None)
    assert first["audio_url"] not in delivered(await look(case, gone))
    assert attrs.fields(Song).title.default is None
