"""Whoever calls a verb of the client may be cancelled, wherever he is suspended.

Each verb is run again and again, on a virtual clock, against a provider with a ledger. The first
time its caller is cancelled before the first turn of the event loop, then before the second one,
and so on until the call is over before that. Each time the same is done, and asked, after that:
the same call again, everything that is unfinished, and another song; nothing may be paid twice,
lost, or left behind.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar
from unittest.mock import patch

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from tests.crash.child import provider_at
from tests.crash.world import serving
from tests.kit.clocks import AtTurn, virtual_backend
from tests.kit.verbs import JOURNALS, VERBS, Account, Scene, Verb, asked, close_and_open
from tests.model.run import FAST
from tests.model.world import Network, Order, Process, in_memory
from udio_async import (
    Apiframe,
    Client,
    Journal,
    PollPolicy,
    UdioError,
    _batch,
)
from udio_async._concurrency import LastingTasks
from udio_async._submit import submitter

T = TypeVar("T")
PUBLIC = "https://songs.example.org/udio"


# The cancellations -----------------------------------------------------------------------------


Call = Callable[[], Awaitable[None]]
Cancel = Callable[[Scene, Call, int], Awaitable[bool]]
"""Ends a call before a turn of the event loop; tells whether that turn has come."""


async def by_a_scope(_: Scene, call: Call, turn: int) -> bool:
    scope = anyio.CancelScope()
    at_turn = AtTurn(turn, scope.cancel)
    with scope, at_turn.counting():
        await call()
    return at_turn.has_come


async def by_cancelling_its_task(_: Scene, call: Call, turn: int) -> bool:
    caller = asyncio.ensure_future(call())
    at_turn = AtTurn(turn, caller.cancel)
    with at_turn.counting():
        await asyncio.wait([caller])
    if not caller.cancelled():
        caller.result()
    return at_turn.has_come


async def by_a_timeout(_: Scene, call: Call, turn: int) -> bool:
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)
    at_turn = AtTurn(turn, lambda: limit.reschedule(loop.time()))
    with suppress(TimeoutError):
        async with limit:
            with at_turn.counting():
                await call()
    return at_turn.has_come


async def by_closing_the_client(scene: Scene, call: Call, turn: int) -> bool:
    """Another task closes it, and opens it again."""
    begin = anyio.Event()

    async def reopen() -> None:
        await begin.wait()
        await close_and_open(scene)

    at_turn = AtTurn(turn, begin.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reopen)
        with at_turn.counting(), suppress(UdioError, RuntimeError):
            await call()
        begin.set()
    return at_turn.has_come


CANCELLATIONS: Mapping[str, tuple[str, Cancel]] = {
    "task.cancel": ("asyncio", by_cancelling_its_task),
    "asyncio.timeout": ("asyncio", by_a_timeout),
    "scope-asyncio": ("asyncio", by_a_scope),
    "scope-trio": ("trio", by_a_scope),
}
CLOSINGS: Mapping[str, tuple[str, Cancel]] = {
    "closing-asyncio": ("asyncio", by_closing_the_client),
    "closing-trio": ("trio", by_closing_the_client),
}


# What is asked each time -----------------------------------------------------------------------


def in_use() -> Mapping[str, object]:
    """Return what a client may not leave behind."""
    descriptors = Path("/proc/self/fd")
    return {
        "tasks": sorted(task.name or "" for task in anyio.get_running_tasks()),
        "threads": [thread.name for thread in threading.enumerate() if is_ours(thread)],
        "descriptors": sum(1 for _ in descriptors.iterdir()) if descriptors.is_dir() else 0,
    }


def is_ours(thread: threading.Thread) -> bool:
    """Return whether it belongs neither to Python nor to a pool that the event loop keeps."""
    return not thread.name.startswith(("MainThread", "AnyIO worker", "Trio thread", "asyncio_"))


async def scene_of(
    verb: Verb, cancel: Cancel, make_journal: Callable[[Path], Journal], folder: Path, turn: int
) -> tuple[bool, list[str]]:
    """Cancel a verb once; return whether its turn has come, and what is wrong after that."""
    account = Account(Apiframe(api_key="key"), Random(0), trouble=0)
    Network.world, Network.process = account, Process()
    journal = make_journal(folder)
    client = Client(account.provider, journal=journal, poll=PollPolicy(interval=15))
    scene = Scene(account, client, journal, client.callbacks(PUBLIC), folder / "songs")
    before, wrong, has_come = in_use(), [], False
    async with anyio.create_task_group() as scene.others:
        async with client:
            await verb.before(scene)
            has_come = await cancel(scene, lambda: verb.call(scene), turn)
            try:
                with anyio.fail_after(1_000):
                    await go_on(scene, verb)
            except (UdioError, RuntimeError, TimeoutError) as error:
                wrong.append(f"the next call raises {error!r}")
        wrong += await left_behind(before)
        scene.others.cancel_scope.cancel()
    return has_come, [*wrong, *wrong_with(scene, verb)]


async def go_on(scene: Scene, verb: Verb) -> None:
    """Do with the same client what its owner does next."""
    await verb.repeat(scene)
    await scene.take_all_unfinished()
    scene.take(await scene.client.generate(asked("another")))


async def left_behind(before: Mapping[str, object]) -> list[str]:
    """Return what is in use that was not before, and has not gone after 2 seconds."""
    with anyio.move_on_after(2):
        while in_use() != before:  # noqa: ASYNC110  # it has no event
            await anyio.sleep(0.05)
    now = in_use()
    return [f"{name}: {now[name]}, not {before[name]}" for name in now if now[name] != before[name]]


def wrong_with(scene: Scene, verb: Verb) -> list[str]:
    """Compare what there is with the ledger."""
    wrong = []
    orders = scene.account.orders.values()
    charges = {order.prompt: len(scene.account.charges(order.prompt)) for order in orders}
    if charges != {**verb.charges, "another": 1}:
        wrong.append(f"charged is {charges}")
    wrong += [
        f"{order.prompt} is lost"
        for order in orders
        if not scene.had >= set(order.names) and not is_known(order, scene)
    ]
    if scene.account.under_way:
        wrong.append(f"{scene.account.under_way} requests are still under way")
    if not endings(scene.folder) <= {".mp3"}:
        wrong.append(f"there are files with {endings(scene.folder)}")
    return wrong


def endings(folder: Path) -> set[str]:
    return {path.suffix for path in folder.iterdir()} if folder.exists() else set()


def is_known(order: Order, scene: Scene) -> bool:
    """Return whether a journal in memory knew its id, as its client was closed in between."""
    entry = scene.closed_with.get(asked(order.prompt).key or "")
    return entry is not None and entry.task_id == order.task_id


def cancel_everywhere(verb: str, cancellation: str, journal: str) -> tuple[int, list[str]]:
    """Cancel a verb at each turn; return how many there were, and what was wrong after which."""
    loop, cancel = {**CANCELLATIONS, **CLOSINGS}[cancellation]
    make_journal = JOURNALS[journal]
    wrong: list[str] = []
    for turn in count(1):
        backend, options = virtual_backend(loop)
        with TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as name, in_memory(turn):
            scene = partial(scene_of, VERBS[verb], cancel, make_journal, Path(name), turn)
            has_come, found = anyio.run(scene, backend=backend, backend_options=dict(options))
        wrong += [f"turn {turn}: {each}" for each in found]
        if not has_come:
            return turn - 1, wrong
    raise AssertionError


@pytest.mark.parametrize(
    ("cancellation", "journal"),
    [
        *((cancellation, "SQLite") for cancellation in CANCELLATIONS),
        ("task.cancel", "memory"),  # which never lets its caller wait
        ("scope-trio", "memory"),
    ],
)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_may_be_cancelled_anywhere(verb: str, cancellation: str, journal: str) -> None:
    """The next calls work, nothing is paid twice or lost, and nothing is left behind."""
    turns, wrong = cancel_everywhere(verb, cancellation, journal)
    assert not wrong
    assert turns or journal == "memory"  # it may have nothing to wait for


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"songs", "updates", "opening", "closing"}))
def test_a_client_may_be_closed_in_the_middle_of_a_verb(verb: str, closing: str) -> None:
    """Opened again, it goes on where it was; its journal is on disk."""
    turns, wrong = cancel_everywhere(verb, closing, "SQLite")
    assert not wrong
    assert turns


# Controls --------------------------------------------------------------------------------------


async def in_its_callers_task(
    _: TaskGroup, function: Callable[..., Awaitable[T]], *args: object
) -> T:
    """Stand in for `owned`: a shield in place of a task of the client."""
    with anyio.CancelScope(shield=True):
        return await function(*args)
    raise AssertionError  # only for type checkers: a shield keeps nothing back


async def unshielded(_: TaskGroup, function: Callable[..., Awaitable[T]], *args: object) -> T:
    return await function(*args)


class NotEnded(LastingTasks):
    """Goes on when nobody has come to own it."""

    async def __aenter__(self) -> TaskGroup:
        with patch.object(self, "end", anyio.lowlevel.checkpoint):
            return await super().__aenter__()


def a_shield() -> AbstractContextManager[object]:
    return patch.object(submitter, "owned", in_its_callers_task)


def no_shield() -> AbstractContextManager[object]:
    return patch.object(submitter, "owned", unshielded)


def no_owner() -> AbstractContextManager[object]:
    return patch.object(_batch, "LastingTasks", NotEnded)


@pytest.mark.parametrize(
    ("bug", "verb", "cancellation", "journal"),
    [
        (a_shield, "generate", "task.cancel", "SQLite"),
        (a_shield, "submit", "asyncio.timeout", "SQLite"),
        (no_shield, "submit", "scope-asyncio", "SQLite"),
        (no_shield, "submit", "scope-trio", "SQLite"),
        (no_owner, "generate_many", "task.cancel", "memory"),
    ],
)
def test_control_a_bug_is_found(
    bug: Callable[[], AbstractContextManager[object]], verb: str, cancellation: str, journal: str
) -> None:
    """A paid step that is torn with its caller, and tasks that nobody ends."""
    with bug():
        _, wrong = cancel_everywhere(verb, cancellation, journal)
    assert wrong


# With real sockets, threads and files ----------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as world:
        yield world.url


async def generate_really(client: Client, _: Path) -> None:
    await client.generate("a song")


async def generate_many_really(client: Client, _: Path) -> None:
    async with client.generate_many(f"song {number}" for number in range(8)) as batch:
        async for _outcome in batch:
            pass


async def download_really(client: Client, folder: Path) -> None:
    await client.download(await client.generate("a song"), folder / "songs")


@pytest.mark.parametrize("after", [0, 0.02, 0.05, 0.15, 0.4])
@pytest.mark.parametrize("call", [generate_really, generate_many_really, download_really])
async def test_no_socket_thread_or_file_is_left(
    call: Callable[[Client, Path], Awaitable[None]], after: float, url: str, tmp_path: Path
) -> None:
    """Whenever its caller is cancelled, and the client closed at once."""
    before = in_use()
    async with Client(provider_at(url), journal=tmp_path / "songs.db") as client:
        with anyio.move_on_after(after):
            await call(client, tmp_path)
    assert not await left_behind(before)
    assert endings(tmp_path / "songs") <= {".mp3"}


async def test_control_what_is_left_is_seen(tmp_path: Path) -> None:
    """A task, a thread and a file that nobody ends."""
    before, end = in_use(), threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever)
        thread = threading.Thread(target=end.wait)
        thread.start()
        with (tmp_path / "a file").open("w"):
            assert len(await left_behind(before)) == 3
        end.set()
        thread.join()
        tasks.cancel_scope.cancel()
