"""What an error says about the money is true: for each thing that can happen to the request, to the
journal, and to the caller."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from typing import Any

import anyio
import attrs
import pytest

from tests.kit.asgi import call, said
from tests.kit.clocks import virtual_backend
from tests.kit.timed import TimedProvider
from tests.kit.waiting import PUBLIC, in_a_task
from udio_async import (
    BadAnswer,
    Blocked,
    Client,
    GenerationFailed,
    InsufficientCredits,
    InvalidRequest,
    JournalEntry,
    JournalError,
    JournalState,
    MemoryJournal,
    PermissionDenied,
    RateLimited,
    RequestRefused,
    Song,
    SongRequest,
    Stage,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from udio_async._errors import Charged
from udio_async.journal import memory

WANTED = SongRequest(description="a song", key="mine")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@attrs.frozen
class Happens:
    """What becomes of the request: what the adapter raises, and whether the provider took it."""

    error: Exception | None
    taken: bool
    charged: Charged
    """What an error of its submit has to say, if there is one."""


REQUESTS: dict[str, Happens] = {
    "is accepted": Happens(None, taken=True, charged="yes"),
    "is refused": Happens(RequestRefused("too long"), taken=False, charged="no"),
    "finds no credits": Happens(InsufficientCredits("empty"), taken=False, charged="no"),
    "is blocked": Happens(Blocked("1010"), taken=False, charged="no"),
    "is one too many": Happens(RateLimited("slow down"), taken=False, charged="no"),
    "finds nobody": Happens(Unreachable("no route", sent=False), taken=False, charged="no"),
    "is taken, its answer lost": Happens(SubmitInDoubt("reset"), taken=True, charged="unknown"),
    "is lost with its answer": Happens(
        Unreachable("reset", sent=True), taken=False, charged="unknown"
    ),
    "gets an answer nobody can read": Happens(BadAnswer("<html>"), taken=True, charged="unknown"),
    "meets a fault in its adapter": Happens(LookupError("id"), taken=True, charged="unknown"),
}
JOURNALS = ("keeps all", "cannot keep the intent", "cannot keep what came of it")
CALLERS = ("waits", "is told by a callback of the id", "is told by a callback of the songs")


class FailingJournal(MemoryJournal):
    """Fails as a full disk does: from some moment on, for good."""

    def __init__(self, fails_at: str) -> None:
        super().__init__()
        self._fails_at = fails_at
        self._broken = False

    async def add(self, entry: JournalEntry) -> JournalEntry | None:
        if self._fails_at == "cannot keep the intent":
            self._broken = True
        self._check()
        return await super().add(entry)

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        came = expected is JournalState.SENDING and entry.state is not expected
        if came and self._fails_at == "cannot keep what came of it":
            self._broken = True
        self._check()
        await super().put(entry, expected=expected)

    async def get(self, key: str) -> JournalEntry | None:
        self._check()
        return await super().get(key)

    def _check(self) -> None:
        if self._broken:
            raise JournalError("the disk is full")


@asynccontextmanager
async def submitting(what: Happens, journal: str, caller: str) -> AsyncGenerator[list[Any]]:
    """Submit one song under these circumstances; what is yielded is a job or an error."""
    provider = TimedProvider(
        lambda _: 60.0,
        callbacks="task" if caller != "waits" else "none",
        submit_time=10.0,
        refuse=lambda _: what.error,
    )
    client = Client(provider, journal=FailingJournal(journal))
    app = client.callbacks(PUBLIC) if caller != "waits" else None
    found: list[Any] = []

    async def submit() -> None:
        try:
            found.append(await client.submit(WANTED))
        except UdioError as error:
            found.append(error)

    async with in_a_task(client), anyio.create_task_group() as tasks:
        tasks.start_soon(submit)
        await anyio.sleep(5)  # it is on the wire
        if app is not None and provider.given and provider.given[0] is not None:
            news = (
                said("complete", task_id="late")
                if caller.endswith("id")
                else said("complete", songs=["https://cdn.example.org/a.mp3"])
            )
            address = provider.given[0]
            await call(app, address.url, news, headers={"x-secret": address.secret or ""})
        await anyio.sleep(500)
        yield found


def expected(what: Happens, journal: str, caller: str) -> Charged | None:
    """What has to be said: None where there is a song and no error."""
    if journal == "cannot keep the intent":
        return "no"  # nothing may be sent
    told = caller != "waits"
    if what.error is None:
        return None if journal == "keeps all" else "yes"
    # A callback proves that it was taken, whatever the answer says.
    return None if told else what.charged


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("journal", JOURNALS)
@pytest.mark.parametrize("request_", REQUESTS)
async def test_what_an_error_says_of_the_money_is_true(
    request_: str, journal: str, caller: str
) -> None:
    """Each cell: "no" only if nothing was taken, "yes" only with the id, and a song instead of an
    error where a callback has brought it."""
    what = REQUESTS[request_]
    async with submitting(what, journal, caller) as found:
        [end] = found
    charged = expected(what, journal, caller)
    if charged is None:
        assert not isinstance(end, UdioError), repr(end)
        return
    assert isinstance(end, UdioError)
    assert end.charged == charged, repr(end)
    assert end.job_key == "mine"
    assert isinstance(end, SubmitInDoubt) == (charged == "unknown")
    assert (end.task_id is not None) == (charged == "yes")


def test_every_cell_is_tried() -> None:
    """Ten ends of a request, three journals, three callers; cancelled and closed ones are held at
    each place where they wait, in a file of their own."""
    assert len(list(product(REQUESTS, JOURNALS, CALLERS))) == 90


@pytest.mark.parametrize(
    ("error", "charged"),
    [
        (InvalidRequest("no"), "no"),
        (RateLimited("no"), "no"),
        (Unreachable("no", sent=False), "no"),
        (Unreachable("lost"), "unknown"),
        (BadAnswer("lost"), "unknown"),
        (SubmitInDoubt("lost"), "unknown"),
        (GenerationFailed("failed"), "unknown"),
    ],
    ids=repr,
)
def test_the_class_says_it(error: UdioError, charged: Charged) -> None:
    """Nothing else decides; what may be sent again is certain to have cost nothing."""
    assert error.charged == charged
    assert not error.may_repeat or charged == "no"


SONGS = (Song(id="a", task_id="t", provider="timed", index=0, stage=Stage.COMPLETE),)


def in_state(state: JournalState, **known: Any) -> JournalEntry:  # noqa: ANN401
    request = {"description": "x"}
    return JournalEntry(key="mine", provider="timed", request=request, state=state, **known)


KNOWN: dict[str, tuple[JournalEntry, Charged]] = {
    "planned": (in_state(JournalState.PLANNED), "no"),
    "refused": (in_state(JournalState.REFUSED), "no"),
    "not sent": (in_state(JournalState.NOT_SENT), "no"),
    "not sent, says its owner": (in_state(JournalState.NOT_SENT, told=True), "unknown"),
    "forgotten": (in_state(JournalState.FORGOTTEN), "no"),
    "sending": (in_state(JournalState.SENDING), "unknown"),
    "in doubt": (in_state(JournalState.IN_DOUBT), "unknown"),
    "in doubt, with songs of a callback": (in_state(JournalState.IN_DOUBT, songs=SONGS), "yes"),
    "abandoned": (in_state(JournalState.ABANDONED), "unknown"),
    "accepted": (in_state(JournalState.ACCEPTED, task_id="t"), "yes"),
    "accepted, says its owner": (
        in_state(JournalState.ACCEPTED, task_id="t", told=True),
        "unknown",
    ),
    "failed": (in_state(JournalState.FAILED, task_id="t"), "unknown"),
    "ready": (in_state(JournalState.READY, task_id="t", songs=SONGS), "yes"),
    "delivered": (in_state(JournalState.DELIVERED, task_id="t", songs=SONGS), "yes"),
}


class Lost(MemoryJournal):
    """Has one job, and fails where it is told to."""

    known: JournalEntry | None = None
    fails_at = ""

    def _may_fail(self, call: str) -> None:
        if call == self.fails_at:
            raise JournalError("the disk is gone")

    async def get(self, key: str) -> JournalEntry | None:
        self._may_fail("get")
        return self.known if key == "mine" else await super().get(key)

    async def of_task(self, task_id: str) -> JournalEntry | None:
        self._may_fail("of_task")
        return await super().of_task(task_id)

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        self._may_fail("put")


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("fails_at", ["get", "put"])
async def test_an_error_about_a_job_says_what_that_job_may_have_cost(
    known: str, fails_at: str
) -> None:
    """Whether the journal fails, or the job is in no state for it."""
    journal = Lost()
    entry, charged = KNOWN[known]
    errors: list[UdioError] = []
    songs = (attrs.evolve(SONGS[0], job_key="mine"),)
    async with Client(TimedProvider(lambda _: 1.0), journal=journal) as client:
        journal.known, journal.fails_at = entry, fails_at
        for call in (
            partial(client.forget, "mine"),
            partial(client.resolve, "mine", task_id="t2"),
            partial(client.resolve, "mine", abandon=True, resubmit=True),
            partial(client.acknowledge, "mine"),
            partial(client.acknowledge, songs),
        ):
            try:
                await call()
            except UdioError as error:
                errors.append(error)
        journal.fails_at = ""
    assert errors
    for told in errors:
        assert told.job_key == "mine"
        assert "mine" in str(told) or "give one of" in str(told)
        assert told.charged == ("unknown" if fails_at == "get" else charged)


async def test_an_error_about_songs_says_that_they_are_paid_for() -> None:
    """Those of another client name no job."""
    journal = Lost()
    async with Client(TimedProvider(lambda _: 1.0), journal=journal) as client:
        with pytest.raises(InvalidRequest, match="names no job") as caught:
            await client.acknowledge(SONGS)
        assert (caught.value.charged, caught.value.task_id) == ("yes", "t")
        journal.fails_at = "of_task"
        with pytest.raises(JournalError, match="gone") as lost:
            await client._session().store.key_of(SONGS[0])
        assert (lost.value.charged, lost.value.task_id) == ("yes", "t")
        journal.fails_at = ""


class Unread(MemoryJournal):
    """Keeps all, and cannot say of what job a task is."""

    async def of_task(self, task_id: str) -> JournalEntry | None:
        raise JournalError("the disk is gone")


@pytest.mark.parametrize("kind", [MemoryJournal, Unread])
@pytest.mark.parametrize("refusal", [RequestRefused, PermissionDenied, Unreachable])
async def test_an_error_of_a_look_says_what_the_job_of_that_task_has_cost(
    refusal: type[UdioError], kind: type[MemoryJournal]
) -> None:
    """A look is free, and no look proves that a task cost nothing: only the journal may know."""
    gone: list[UdioError] = []
    provider = TimedProvider(lambda _: 1.0, broken=lambda _: gone[0] if gone else None)

    async def look(task_id: str) -> UdioError:
        gone[:] = [refusal("not now")]
        with pytest.raises(refusal) as caught:
            await client.look(task_id)
        gone.clear()
        return caught.value

    async with Client(provider, journal=kind()) as client:
        job = await client.submit("a song")
        known, unknown = await look(job.task_id), await look("of another program")
    assert (known.job_key, known.charged) == (
        (job.key, "yes") if kind is MemoryJournal else (None, "unknown")
    )
    assert (unknown.job_key, unknown.charged) == (None, "unknown")


async def test_an_error_about_a_job_that_is_forgotten_does_not_say_that_it_was_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A journal in memory keeps nothing of what was handed out; a key that is nobody's is free."""
    monkeypatch.setattr(memory, "MAX_ENDED", 0)
    async with Client(TimedProvider(lambda _: 1.0)) as client:
        jobs = [await client.submit(request) for request in ("a song", WANTED)]
        for job in jobs:
            await job.songs()
        await anyio.sleep(1)
        made_up = [jobs[0].key.rpartition("-")[0] + f"-{number}" for number in ("99", "9" * 5000)]
        free = ((key, "no") for key in ("nobody's", *made_up))
        for key, charged in (*((job.key, "unknown") for job in jobs), *free):
            for call in (
                partial(client.forget, key),
                partial(client.resolve, key, abandon=True),
                partial(client.resolve, key, task_id="t"),
            ):
                with pytest.raises(InvalidRequest) as caught:
                    await call()
                assert (caught.value.job_key, caught.value.charged) == (key, charged)
            if charged == "unknown":
                with pytest.raises(InvalidRequest, match="is over") as again:
                    await client.generate(SongRequest(description="a song", key=key))
                assert (again.value.job_key, again.value.charged) == (key, charged)
