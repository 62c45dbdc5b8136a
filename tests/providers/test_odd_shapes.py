"""A finished song is read in whatever shape it comes: other names, JSON within text, wrappings."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.providers.test_odd_fields import CASES, complete, delivered, look
from udio_async import BadAnswer
from udio_async.providers.unfold import (
    as_list,
    as_songs,
    from_text,
    layers,
    open_envelope,
    snake_names,
)

Shape = Callable[[Any], Any]


def camel(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """The same answer with its names in camelCase."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        re.sub("_([a-z])", lambda hump: hump[1].upper(), name): camel(inner)
        for name, inner in value.items()
    }


def capitals(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """The same answer with its names in Capitals."""
    if isinstance(value, list):
        return [capitals(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name.title(): capitals(inner) for name, inner in value.items()}


def flat(answer: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """The task of udioapi without its envelope."""
    return answer["data"] if isinstance(answer.get("data"), dict) else answer


def everywhere(field: Callable[[str, Any, Shape], tuple[str, Any]]) -> Shape:
    """The same answer with other fields, in each of its objects."""

    def change(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
        if isinstance(value, list):
            return [change(one) for one in value]
        if not isinstance(value, dict):
            return value
        return dict(field(name, inner, change) for name, inner in value.items())

    return change


def renamed(before: str, after: str) -> Shape:
    """The same answer with another name for something, wherever that is."""
    return everywhere(lambda at, inner, change: (after if at == before else at, change(inner)))


def inside(name: str, shape: Shape) -> Shape:
    """The same answer with another shape of what stands under a name, wherever that is."""
    return everywhere(
        lambda at, inner, change: (at, shape(inner) if at == name and inner else change(inner))
    )


SONGS: Mapping[str, Shape] = {
    "as text": json.dumps,
    "by number": lambda songs: {str(place): song for place, song in enumerate(songs)},
    "by id": lambda songs: {song.get("id") or song.get("song_id"): song for song in songs},
    "in an object": lambda songs: {"data": songs},
    "in a list": lambda songs: [songs],
    "each as text": lambda songs: [json.dumps(song) for song in songs],
}
LINKS: Mapping[str, Shape] = {
    "link in a list": inside("audio_url", lambda link: [link]),
    "link in an object": inside("audio_url", lambda link: {"url": link}),
}
OF_UDIOAPI: Mapping[str, Shape] = {
    "camelCase": camel,
    "Capitals": capitals,
    "data as text": inside("data", json.dumps),
    "all as text": json.dumps,
    "flat": flat,
    "data in data": lambda answer: {"code": 200, "data": {"data": flat(answer)}},
    "data is a list": lambda answer: {"code": 200, "data": [flat(answer)]},
    "result": lambda answer: {"code": 200, "message": "ok", "result": flat(answer)},
    "response in data": lambda answer: {"data": {"response": flat(answer)}},
    "no songs around": lambda answer: {"data": flat(answer), "response_data": {"total": 2}},
    "songs": renamed("response_data", "songs"),
    "results": renamed("response_data", "results"),
    **LINKS,
    **{f"songs {name}": inside("response_data", shape) for name, shape in SONGS.items()},
}
OF_APIFRAME: Mapping[str, Shape] = {
    "camelCase": camel,
    "Capitals": capitals,
    "result": lambda task: {**task, "songs": None, "result": {"songs": task["songs"]}},
    "output": renamed("songs", "output"),
    "song_path": renamed("audio_url", "song_path"),
    **LINKS,
    "data": lambda task: {"code": 200, "data": task},
    "data as text": lambda task: {"data": json.dumps(task)},
    "task": lambda task: {"success": True, "task": task},
    "tasks": lambda task: {"tasks": [task]},
    "data, tasks": lambda task: {"data": {"tasks": [camel(task)]}},
    "a list": lambda task: [task],
    "a list of two": lambda task: [{**task, "task_id": "another"}, task],
    **{f"songs {name}": inside("songs", shape) for name, shape in SONGS.items()},
}
SHAPES = [
    pytest.param(name, shape, id=f"{name}-{title}")
    for name in CASES
    for title, shape in (OF_APIFRAME if name == "apiframe" else OF_UDIOAPI).items()
]


@pytest.mark.parametrize(("name", "shape"), SHAPES)
async def test_no_shape_costs_a_song(name: str, shape: Shape) -> None:
    """Of each recorded answer of a complete task."""
    case, tried = CASES[name], 0
    for _, payload in complete(case):
        if isinstance(payload, dict) and "tasks" not in payload:
            tried += 1
            usual = await look(case, payload)
            odd = await look(case, shape(payload))
            assert delivered(odd) == delivered(usual) != set()
            assert odd.id == case.task_id
    assert tried


@pytest.mark.parametrize("title", ["data", "task", "tasks", "a list"])
async def test_another_task_is_refused_in_any_wrapping(title: str) -> None:
    """Its songs are not ours."""
    case = CASES["apiframe"]
    task = {"task_id": "another", "status": "finished", "songs": []}
    with pytest.raises(BadAnswer, match="the answer is about another"):
        await look(case, OF_APIFRAME[title](task))


async def test_a_song_keeps_the_words_that_came() -> None:
    """Other names are read, and `raw` has those of the provider."""
    song = {"songId": "a", "audioUrl": "https://cdn.example/a.mp3"}
    case = CASES["apiframe"]
    answer = {"data": {"taskId": case.task_id, "status": "finished", "songs": [song]}}
    task = await look(case, answer)
    assert (task.raw, task.songs[0].raw) == (answer, song)


async def test_a_failure_in_a_wrapping_has_its_words() -> None:
    """The provider's own, wherever they stand."""
    case = CASES["apiframe"]
    task = {"taskId": case.task_id, "status": "failed", "errorMessage": "moderated"}
    error = (await look(case, {"message": "ok", "data": task})).error
    assert error is not None
    assert error.message == "moderated"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"audioUrl": "a", "imageLargeUrl": "b"}, {"audio_url": "a", "image_large_url": "b"}),
        ({"audioURL": "a", "ID": "b"}, {"audio_url": "a", "id": "b"}),
        ({"audio_url": "", "audioUrl": "a"}, {"audio_url": "a"}),
        ({"audioUrl": "a", "audio_url": "b"}, {"audio_url": "b"}),
        ({"audioUrl": "a", "audio_url": None}, {"audio_url": "a"}),
        ({}, {}),
    ],
)
def test_names_are_read_in_snake_case(fields: Mapping[str, Any], named: object) -> None:
    """Of two names for one field the usual one counts, if it has a value."""
    assert snake_names(fields) == named


def test_usual_values_come_through_as_they_are() -> None:
    """They are not even copied: nearly every answer is a usual one."""
    fields, songs = {"audio_url": "a"}, [{"id": "a"}]
    assert snake_names(fields) is fields
    assert as_list(songs) is songs


@pytest.mark.parametrize("value", ["", "{", "[1", "text", None, 5, "[" * 5000])
def test_what_is_no_json_stays_text(value: object) -> None:
    """Nothing fails because of it."""
    assert from_text(value) == value


@pytest.mark.parametrize("value", [{"id": ["x"]}, {"a": {}, "b": 5}, {"audio_url": ""}])
def test_an_object_of_anything_else_is_no_list(value: object) -> None:
    """It is not guessed which of its values are songs."""
    assert as_list(value) == value


@pytest.mark.parametrize("song", [{"id": "a"}, {"songId": 7}, {"audioUrl": ["https://c.io/a.mp3"]}])
def test_an_object_with_an_id_or_a_link_is_a_list_of_one(song: object) -> None:
    """A single song is shown without the list by some."""
    assert as_list(song) == [song]


@pytest.mark.parametrize("name", CASES)
async def test_a_single_song_needs_no_list(name: str) -> None:
    """As some services show it where there is one only."""
    case = CASES[name]
    songs = "songs" if name == "apiframe" else "response_data"
    song = {"id": "a", "audio_url": "https://cdn.example.org/a.mp3", "status": "complete"}
    task = await look(case, {"type": "SUCCESS", "status": "finished", songs: song})
    assert delivered(task) == {song["audio_url"]}
    if name != "apiframe":
        assert delivered(await look(case, {"code": 200, "data": song})) == {song["audio_url"]}


@pytest.mark.parametrize("name", ["udioapi-v1", "udioapi-v2"])
async def test_another_task_is_refused_inside_two_envelopes(name: str) -> None:
    """Its songs are not ours, however deep its id stands."""
    task = {"type": "SUCCESS", "task_id": "another", "response_data": []}
    with pytest.raises(BadAnswer, match="the answer is about another"):
        await look(CASES[name], {"code": 200, "data": {"data": task}})


SONG = {"id": "a1", "audio_url": "https://cdn.example.org/a1.mp3", "status": "complete"}
TASK = {"type": "SUCCESS", "response_data": [SONG]}
ENVELOPES: Mapping[str, Shape] = {
    "an object": lambda inner: {"data": inner},
    "a list of one": lambda inner: [{"result": inner}],
    "a text": lambda inner: json.dumps({"data": inner}),
    "a text in a list": lambda inner: [json.dumps({"response": inner})],
}


@pytest.mark.parametrize("wrap", ENVELOPES.values(), ids=ENVELOPES)
def test_envelopes_in_envelopes_are_opened_up_to_a_limit(wrap: Shape) -> None:
    """Four of them are more than any service has been seen to use."""
    shown: Any = TASK
    for depth in range(1, 5):
        shown = wrap(shown)
        assert open_envelope(shown) == TASK
        assert [*layers(shown)][-1] == TASK
        assert len([*layers(shown)]) == depth + 1


def test_an_answer_that_is_nested_too_deep_does_no_harm() -> None:
    """Its outermost envelopes are opened, and what is within them is left as it is."""
    shown: Any = TASK
    for _ in range(5_000):
        shown = [{"data": shown}]
    assert len(layers(shown)) == 5
    assert "response_data" not in open_envelope(shown)


OTHER = {**SONG, "id": "z1", "audio_url": "https://cdn.example.org/z1.mp3"}
INPUT = {"audio_url": "https://cdn.example.org/input.mp3"}
NO_SONG_OF_OURS: Mapping[str, Mapping[str, Any]] = {
    "the input's link": {"type": "RUNNING", "response_data": None, **INPUT},
    "the input's link beside no songs": {"type": "RUNNING", "response_data": [], **INPUT},
    "the input's link beside a status": {"status": "processing", **INPUT},
    "the input's link in a result": {"type": "RUNNING", "result": {"response": INPUT}},
}


@pytest.mark.parametrize("name", ["udioapi-v1", "udioapi-v2"])
@pytest.mark.parametrize("shown", NO_SONG_OF_OURS.values(), ids=NO_SONG_OF_OURS)
async def test_a_link_that_is_not_of_the_task_is_no_song(
    name: str, shown: Mapping[str, Any]
) -> None:
    """It is the track that the task was made from, and the task runs on."""
    case = CASES[name]
    for answer in (
        {"code": 200, "data": {"task_id": case.task_id, "response_data": [], **shown}},
        {"task_id": case.task_id, **shown},
    ):
        task = await look(case, answer)
        assert (task.songs, task.stage.is_final) == ((), False)


def _named(name: str, song: Mapping[str, Any], task_id: str) -> Mapping[str, Any]:
    """Return a song of this provider that names a task."""
    own = "song_id" if name == "apiframe" else "id"
    return {own: song["id"], "audio_url": song["audio_url"], "task_id": task_id}


WITH_SONGS: Mapping[str, Callable[[list[Any]], Mapping[str, Any]]] = {
    "in their usual list": lambda songs: {"response_data": songs, "songs": songs},
    "in results": lambda songs: {"results": songs},
    "in an object with an id": lambda songs: {"results": {"task_id": "Y", "clips": songs}},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("where", WITH_SONGS)
async def test_songs_of_a_named_task_are_its_own_whatever_id_they_carry(
    name: str, where: str
) -> None:
    """It is that of the service behind: what they are is said by the answer around them."""
    case = CASES[name]
    songs = [_named(name, song, "Y") for song in (SONG, OTHER)]
    shown = {"type": "SUCCESS", "status": "finished", **WITH_SONGS[where](songs)}
    task = await look(case, {"task_id": case.task_id, **shown})
    assert delivered(task) == {SONG["audio_url"], OTHER["audio_url"]}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("around", [True, False])
async def test_songs_of_another_task_beside_ours_are_left_out(name: str, around: bool) -> None:
    """A list of many tasks, with ours in it."""
    case = CASES[name]
    songs = [_named(name, SONG, case.task_id), _named(name, OTHER, "Y")]
    shown = {"type": "SUCCESS", "status": "finished", "response_data": songs, "songs": songs}
    task = await look(case, {"task_id": case.task_id, **shown} if around else shown)
    assert delivered(task) == {SONG["audio_url"]}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("where", WITH_SONGS)
@pytest.mark.parametrize("word", ["RUNNING", "SUCCESS", "FAILED"])
async def test_only_songs_of_another_task_are_no_answer(name: str, where: str, word: str) -> None:
    """They may be ours or not: they are not handed out, and no task ends without songs by them."""
    songs = [_named(name, song, "Y") for song in (SONG, OTHER)]
    with pytest.raises(BadAnswer, match="all songs name another one"):
        await look(CASES[name], {"type": word, "status": word, **WITH_SONGS[where](songs)})


@pytest.mark.parametrize("name", ["udioapi-v1", "udioapi-v2"])
async def test_another_task_is_refused_in_a_middle_envelope(name: str) -> None:
    """Its songs are not ours, though the innermost object names none."""
    middle = {"task_id": "another", "result": {"response_data": [OTHER]}}
    with pytest.raises(BadAnswer, match="the answer is about another"):
        await look(CASES[name], {"data": {"response": middle}})


@pytest.mark.parametrize("name", ["udioapi-v1", "udioapi-v2"])
async def test_an_id_inside_a_task_is_not_the_task_s(name: str) -> None:
    """It is how another service names it, and the task runs on."""
    case = CASES[name]
    shown = {"type": "RUNNING", "response_data": [], "result": {"task_id": "of another service"}}
    task = await look(case, {"data": {"task_id": case.task_id, **shown}})
    assert (task.songs, task.stage.is_final) == ((), False)


AROUND_SONGS: Mapping[str, Callable[[str], object]] = {
    "clips beside the task": lambda task: {"task_id": task, "clips": [SONG, OTHER]},
    "songs beside an id": lambda _: {"id": "q", "songs": [SONG, OTHER]},
    "data beside an id": lambda task: {"id": task, "data": [SONG, OTHER]},
    "a result in a result": lambda task: {"id": task, "result": {"songs": [SONG, OTHER]}},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("around", AROUND_SONGS.values(), ids=AROUND_SONGS)
async def test_an_object_with_an_id_around_songs_is_no_song(
    name: str, around: Callable[[str], object]
) -> None:
    """Both songs in it are delivered, and there is no third one."""
    case = CASES[name]
    songs = "songs" if name == "apiframe" else "response_data"
    answer = {"type": "SUCCESS", "status": "finished", songs: around(case.task_id)}
    task = await look(case, {"task_id": case.task_id, **answer})
    assert delivered(task) == {SONG["audio_url"], OTHER["audio_url"]}
    assert len(task.songs) == 2


@pytest.mark.parametrize("name", ["udioapi-v1", "udioapi-v2"])
@pytest.mark.parametrize("around", ["", "data", "result", "songs"])
async def test_an_error_with_an_id_of_its_own_is_no_song(name: str, around: str) -> None:
    """It is the number of a request, and fails no song that is being made."""
    error = {"id": "req-1", "status": "error", "message": "busy"}
    task = await look(CASES[name], {around: error} if around else error)
    assert task.songs == ()
    assert not task.stage.is_final


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "a", "workId": "You have 0 credits"},
        {"id": "a", "task_id": "https://cdn.example.com/a.jpeg"},
        {"id": "a", "task_id": "t1"},
        {"task_id": "a", "audio_url": "https://cdn.example.com/a.mp3"},
    ],
)
def test_what_is_no_other_tasks_id_costs_no_song(entry: dict[str, str]) -> None:
    """Any text may stand in a wrong field, and a song's own id in that of its task."""
    assert as_songs([entry], "t1") == [entry]
    assert as_songs([{"id": "a", "task_id": "t2"}], "t1") == []
