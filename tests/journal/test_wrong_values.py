"""What cannot be kept or looked for is refused by itself: the journal goes on for all others."""

# ruff: noqa: ANN401 - any JSON, and files of tests

import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from udio_async import Client, InvalidRequest, JournalError, JournalState, SongRequest
from udio_async.journal import SqliteJournal, State
from udio_async.testing import ACCOUNT, listed, make_entry

HALF = "t\ud83d"
"""Half a character: no file can hold it as text."""
SENDING, ACCEPTED = JournalState.SENDING, JournalState.ACCEPTED
Use = Callable[[Any], Awaitable[object]]

WRONG: Mapping[str, Use] = {
    "get, half a character": lambda journal: journal.get(HALF),
    "get, a number": lambda journal: journal.get(2**70),
    "get_many": lambda journal: journal.get_many(["first", HALF]),
    "of_task": lambda journal: journal.of_task(HALF),
    "noted": lambda journal: journal.noted(HALF),
    "entries, a state": lambda journal: listed(journal, [("x",)]),  # type: ignore[list-item]
    "entries, a number": lambda journal: listed(journal, list(State), newest="all"),  # type: ignore[arg-type]
    "add, a key": lambda journal: journal.add(make_entry(HALF)),
    "add, no key": lambda journal: journal.add(make_entry(None)),  # type: ignore[arg-type]
    "add, no entry": lambda journal: journal.add({"key": "a"}),
    "put, a task": lambda journal: journal.put(
        make_entry("first", ACCEPTED, task_id=HALF), expected=SENDING
    ),
    "put, no JSON": lambda journal: journal.put(
        attrs.evolve(make_entry("first"), request={"extra": nested(5_000)}), expected=SENDING
    ),
    "note": lambda journal: journal.note("name", HALF),
}
READS = [name for name in WRONG if name.partition(",")[0] not in ("add", "put", "note")]


def nested(levels: int) -> dict[str, Any]:
    """Return objects within each other."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "songs.db"


@pytest.mark.parametrize("threaded", [True, False])
@pytest.mark.parametrize("use", WRONG.values(), ids=WRONG)
async def test_a_wrong_value_is_refused_alone(path: Path, *, use: Use, threaded: bool) -> None:
    """What was kept before stays, and what comes after is kept."""
    journal = SqliteJournal(path, threaded=threaded)
    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        with pytest.raises(JournalError, match=r"cannot take this value: .*nothing was changed"):
            await use(journal)
        await journal.put(make_entry("first", ACCEPTED, task_id="t"), expected=SENDING)
        assert await journal.of_task("t") == make_entry("first", ACCEPTED, task_id="t")
    assert [entry.key for entry in await listed(journal, list(State))] == ["first"]


@pytest.mark.parametrize("use", WRONG.values(), ids=WRONG)
async def test_what_is_committed_with_a_wrong_value_is_kept(path: Path, use: Use) -> None:
    """An id that was paid for may be in the same commit."""
    journal, release = SqliteJournal(path), threading.Event()
    errors: list[JournalError] = []

    async def refused() -> None:
        with pytest.raises(JournalError) as caught:
            await use(journal)
        errors.append(caught.value)

    async def accepted() -> None:
        await journal.put(make_entry("first", ACCEPTED, task_id="paid"), expected=SENDING)

    async def hold() -> None:
        await journal._read(lambda _: release.wait(10))

    async with journal.open(ACCOUNT):
        await journal.add(make_entry("first"))
        async with anyio.create_task_group() as tasks:
            for ordered in (hold, refused, accepted):
                tasks.start_soon(ordered)
                await anyio.wait_all_tasks_blocked()
            release.set()
        assert await journal.of_task("paid") is not None
    assert len(errors) == 1


@pytest.mark.parametrize("use", [WRONG[name] for name in READS], ids=READS)
async def test_a_reader_without_a_client_is_told_the_same(path: Path, use: Use) -> None:
    """The file has nothing wrong with it."""
    journal = SqliteJournal(path)
    async with journal.open(ACCOUNT):
        pass
    with pytest.raises(JournalError, match="cannot take this value"):
        await use(journal)


# Through a client ----------------------------------------------------------------------------

VERBS: Mapping[str, tuple[str, Callable[[Client], Awaitable[object]]]] = {
    "acknowledge": ("key is", lambda client: client.acknowledge(HALF)),
    "forget": ("key is", lambda client: client.forget(HALF)),
    "forget, no text": ("key is 5", lambda client: client.forget(5)),  # type: ignore[arg-type]
    "resolve": ("key is", lambda client: client.resolve(HALF, abandon=True)),
    "resolve, no text": ("key is None", lambda client: client.resolve(None, abandon=True)),  # type: ignore[arg-type]
    "resolve, a task": ("task_id is", lambda client: client.resolve("a", task_id=HALF)),
    "resolve, no task": ("task_id is ' '", lambda client: client.resolve("a", task_id=" ")),
    "look": ("task_id is", lambda client: client.look(HALF)),
    "jobs, no state": (r"\('x',\) is not a state", lambda client: jobs(client, [("x",)])),
    "jobs, no list": ("states is .*give a list", lambda client: jobs(client, State.READY)),
}


async def jobs(client: Client, states: Any) -> list[str]:
    return [entry.key async for entry in client.jobs(states)]


@pytest.fixture(params=["asyncio", "trio"])
def virtual(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


class TestVerbs:
    """On a virtual clock: a song is on the wire for hours."""

    @pytest.fixture
    def anyio_backend(self, virtual: tuple[str, Mapping[str, Any]]) -> object:
        return virtual

    @pytest.mark.parametrize(("words", "use"), VERBS.values(), ids=VERBS)
    async def test_a_wrong_argument_is_refused_and_costs_no_id(
        self, path: Path, words: str, use: Callable[[Client], Awaitable[object]]
    ) -> None:
        """The id of a song that is on the wire meanwhile is kept."""
        provider = TimedProvider(lambda _: 60.0, submit_time=10.0)
        journal = SqliteJournal(path, threaded=False)
        async with Client(provider, journal=journal) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.generate, "a song")
                await anyio.sleep(5)
                assert provider.on_wire == 1
                with pytest.raises(InvalidRequest, match=words):
                    await use(client)
            await client.generate("another song")
        assert dict(await journal.count()) == {State.READY: 2}

    async def test_states_may_come_from_a_generator(self, path: Path) -> None:
        """They are read once."""
        journal = SqliteJournal(path, threaded=False)
        async with Client(TimedProvider(lambda _: 60.0), journal=journal) as client:
            await client.generate("a song")
            assert len(await jobs(client, (state for state in State if state.is_paid))) == 1
            states: Any = (state for state in State if state.is_paid)
            async with client.resume(states) as batch:
                assert len([outcome async for outcome in batch]) == 1

    @pytest.mark.parametrize("key", [None, "mine"])
    @pytest.mark.parametrize("levels", [100, 300, 480, 900, 5_000])
    async def test_a_request_that_is_nested_too_deeply_is_refused(
        self, path: Path, levels: int, key: str | None
    ) -> None:
        """Before anything is sent or written."""
        provider = TimedProvider(lambda _: 60.0)
        told = r"more than 100 levels|written as JSON|cannot be copied"
        async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
            for verb in (client.generate, lambda request: client.keep([request])):
                with pytest.raises(InvalidRequest, match=told):
                    await verb(SongRequest(description="a song", extra=nested(levels), key=key))
            assert await jobs(client, list(State)) == []
            await client.generate("a song")
        assert len(provider.sent) == 1

    async def test_a_request_that_is_nested_less_deeply_is_made(self, path: Path) -> None:
        """It is kept as it was, and known again."""
        provider = TimedProvider(lambda _: 60.0)
        request = SongRequest(description="a song", extra=nested(90), key="mine")
        async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
            for _ in range(2):
                await client.generate(request)
        assert len(provider.sent) == 1
