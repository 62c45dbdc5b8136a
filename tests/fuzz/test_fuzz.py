"""Whatever comes in: only documented errors, no song lost, nothing refused that was taken.

`python -m tests.fuzz.run` reads as many bodies as you like; a flaw says how to read it again.
"""

import json
import logging
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import pytest

from udio_async import UdioError
from udio_async._http import MAX_BODY
from udio_async.callbacks import application
from udio_async.cli import _input
from udio_async.journal import sqlite
from udio_async.journal.snapshot import held
from udio_async.journal.sqlite_file import SqliteFile
from udio_async.providers import apiframe, apiframe_tasks, udioapi_feed, verdicts, wire
from udio_async.providers.kit import Reply, find_id

from .applications import of_applications
from .cases import Case
from .files import of_files
from .journals import of_journals
from .parsers import at_parsers
from .reports import MOST_KIB, tried
from .sockets import TRIED, over_sockets
from .ways import WAYS, Way

SUBJECTS = {
    one.name: one for one in (*at_parsers(), *of_files(), *of_applications(), *of_journals())
}
CASES = {"file of requests": 2000, "workbook": 100, "journal": 150}
"""How many are read of each subject; of one at the parsers, its part of 20,000."""
AT_PARSERS = 20_000 // len(at_parsers())
WIDEST = "\N{MUSICAL SYMBOL G CLEF}"
"""It takes four bytes, on the wire and in memory."""
BY_ASGI = 150
BY_SOCKET = 1000 // (2 * len(TRIED))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Log nothing: odd fields by the thousand are what is meant to come."""
    logger = logging.getLogger("udio_async")
    logger.disabled = True
    yield
    logger.disabled = False


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def cases_of(name: str) -> int:
    return CASES.get(name, BY_ASGI if name.endswith("by ASGI") else AT_PARSERS)


@pytest.mark.parametrize("name", SUBJECTS)
async def test_no_body_breaks_a_promise(name: str) -> None:
    """Of recorded bodies, changed by type, by stage and by byte; the promises are in `promises`."""
    report = await tried(SUBJECTS[name], cases_of(name))
    assert not report.broken, str(report)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_no_answer_over_a_socket_breaks_a_promise(anyio_backend: str) -> None:
    """The same over loopback, framed well or badly, on both back ends."""
    async with over_sockets() as subjects:
        for subject in subjects:
            report = await tried(subject, BY_SOCKET, seed=len(anyio_backend))
            assert not report.broken, str(report)


async def test_most_outcomes_are_met() -> None:
    """A search that meets only unreadable answers would prove little."""
    look = (await tried(SUBJECTS["look at v2"], 500)).outcomes
    submit = (await tried(SUBJECTS["submit to v2"], 500)).outcomes
    assert look["read"] > 100
    assert submit["read"] > 50
    assert {"SubmitInDoubt", "RequestRefused", "RateLimited", "AuthenticationFailed"} <= {*submit}


WIDE = json.dumps(
    {"data": {"response_data": [{"id": "a", "title": WIDEST * 250_000}]}}, ensure_ascii=False
)
MANY = json.dumps({"data": {"response_data": [{}] * 260_000}})
"""The largest bodies: of one text, and of many values."""


async def peak_kib(way: Way, text: str) -> float:
    reply = Reply(status=200, headers={}, body=text.encode()[:MAX_BODY])
    tracemalloc.start()
    try:
        with suppress(UdioError):
            await way.read_reply(reply)
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", WAYS)
async def test_the_largest_body_takes_little_memory(name: str) -> None:
    """Its text takes four bytes for each character, which may be all of one MiB, and no more."""
    for text in (WIDE, MANY):
        assert await peak_kib(WAYS[name], text) < MOST_KIB


async def test_control_a_reader_without_caps_takes_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above can fail."""
    monkeypatch.setattr(wire, "MAX_CONTAINERS", 10**9)
    monkeypatch.setattr(wire, "MAX_VALUES", 10**9)
    assert await peak_kib(WAYS["credits of v2"], MANY) > MOST_KIB


# The test can fail -----------------------------------------------------------------------------


def naive_id(payload: Any, _paths: object = ()) -> str:  # noqa: ANN401  # JSON is anything
    found: str = payload["workId"]
    return found


def spelled_out(value: object) -> object:
    """What a reader makes of JSON that takes everything for text."""
    if isinstance(value, Mapping):
        return {name: spelled_out(inner) for name, inner in value.items()}
    return [spelled_out(inner) for inner in value] if isinstance(value, list) else str(value)


def coerced(converter: Any, payload: Any, kind: Any, *, about: str) -> Any:  # noqa: ANN401
    songs = spelled_out(payload["response_data"])
    return wire.structure(converter, {**payload, "response_data": songs}, kind, about=about)


def all_or_nothing(payload: Any, task_ids: Sequence[str], *, base: str = "") -> Any:  # noqa: ANN401
    entries = payload.get("tasks") if isinstance(payload, Mapping) else payload
    entries = entries if isinstance(entries, list) else []
    shown = {find_id(entry, ("task_id",)): entry for entry in entries}
    return [
        apiframe_tasks.read_task(shown[name], task_id=name, base=base)
        for name in task_ids
        if name in shown
    ]


def trusting_look(path: Path, work: Callable[[SqliteFile], object]) -> object:
    with held.copied(path) as copy:
        store = SqliteFile(copy, shown=path)
        try:
            return work(store)
        finally:
            store.close()


@attrs.frozen
class Control:
    """A reader with a flaw, in the place of ours, and the words by which it is found out."""

    subject: str
    module: object
    name: str
    reader: object
    words: str


NOTHING_TAKEN = "says that nothing was taken, and the answer names"
CONTROLS = {
    "lets a KeyError out": Control("submit to v2", verdicts, "find_id", naive_id, "KeyError"),
    "refuses what names a task": Control(
        "submit to v2", verdicts, "names_task", lambda _: False, NOTHING_TAKEN
    ),
    "takes everything for text": Control(
        "look at v2", udioapi_feed, "structure", coerced, "which nobody has said"
    ),
    "loses tasks for another": Control(
        "look at many", apiframe, "read_many", all_or_nothing, "of it was read None"
    ),
    "follows any link": Control(
        "callback of v1 by ASGI", application, "_public", lambda link: link, "leads to http"
    ),
    "tells without end": Control(
        "file of requests", _input, "shortened", lambda text, _=0: text, "lines of"
    ),
    "trusts a journal": Control("journal", sqlite, "look", trusting_look, "DatabaseError"),
}


@pytest.mark.parametrize("flaw", CONTROLS)
async def test_a_reader_with_a_flaw_is_found_out(
    flaw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the tests above can fail: each of these breaks its promise within as many bodies."""
    control = CONTROLS[flaw]
    monkeypatch.setattr(control.module, control.name, control.reader)
    subject = SUBJECTS[control.subject]
    cases = (Case.make(subject, 1, number) for number in range(cases_of(subject.name)))
    for case in cases:
        if control.words in str((await case.tried()).flaw):
            return
    pytest.fail("nothing was found")


async def test_a_case_is_made_again_from_its_number_and_made_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A report has the one command that reads it again, and no step that does not matter."""
    monkeypatch.setattr(verdicts, "find_id", naive_id)
    subject = SUBJECTS["submit to v2"]
    cases = (Case.make(subject, 1, number) for number in count())
    case = next(one for one in cases if len(one.steps) == 10)
    while (await case.tried()).flaw is None:
        case = next(one for one in cases if len(one.steps) == 10)
    small = await case.shrunk()
    assert case == Case.make(subject, 1, case.number)
    assert (await small.tried()).flaw is not None
    assert len(small.steps) < len(case.steps)
    assert f"--way 'submit to v2' --seed 1 --case {case.number}" in await case.report()
