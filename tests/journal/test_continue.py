"""The same batch run again goes on where it was, and pays for nothing twice."""

# ruff: noqa: ANN401 - options are passed on

import itertools
import sqlite3
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.crash.world import child_command, environment, serving
from tests.kit.cutting import CuttingRelay, cutting_relay
from tests.kit.timed import TimedProvider
from udio_async import (
    AnotherAccount,
    ApiframeOptions,
    AuthenticationFailed,
    CallbackNews,
    Client,
    InvalidRequest,
    JournalEntry,
    JournalError,
    JournalState,
    MemoryJournal,
    ModerationFailed,
    Outcome,
    RequestRefused,
    Sandbox,
    Song,
    SongRequest,
    SpendLimitReached,
    SqliteJournal,
    Stage,
    SubmitInDoubt,
    TooManyDoubts,
    UdioApiOptions,
    UdioApiV2,
    UdioError,
    UnsupportedOption,
    WaitExpired,
)
from udio_async._http import ApiKey
from udio_async._submit.gate import SubmitGate
from udio_async.journal.entry import Times
from udio_async.journal.jobs import remembered_error
from udio_async.journal.keys import normalised
from udio_async.journal.store import JobStore
from udio_async.sandbox import Fault

STATES = list(JournalState)


@pytest.fixture
def anyio_backend() -> str:
    """One backend will do: the contract of journals is kept on both."""
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "songs.db"


@asynccontextmanager
async def sandbox_with(*faults: Fault, **options: Any) -> AsyncGenerator[Sandbox]:
    async with Sandbox(speed=600, credits=1e9, faults=faults, **options) as sandbox:
        yield sandbox


async def run(client: Client, requests: Sequence[SongRequest | str]) -> list[Outcome]:
    """Run a batch, and return its outcomes in the order of the input."""
    async with client.generate_many(requests) as batch:
        return sorted([outcome async for outcome in batch], key=lambda outcome: outcome.index)


async def run_at(
    provider: UdioApiV2, path: Path, requests: Sequence[SongRequest | str], **options: Any
) -> list[Outcome]:
    async with Client(provider, journal=path, **options) as client:
        return await run(client, requests)


def prompts(sandbox: Sandbox) -> Counter[str]:
    return Counter(charge.prompt for charge in sandbox.ledger)


async def entries(path: Path, provider: UdioApiV2) -> dict[str, JournalEntry]:
    """Return what a journal holds, by what was asked for."""
    journal = SqliteJournal(path, threaded=False)
    async with journal.open(f"{provider.name} {provider.account().key.fingerprint()}"):
        found = [entry async for entry in journal.entries(STATES)]
    return {str(entry.request["description"]): entry for entry in found}


# The same batch again ------------------------------------------------------------------------


async def test_what_is_done_is_not_submitted_again(path: Path) -> None:
    """The songs are the same, links and all; only what the provider said word for word is gone."""
    wanted = ["one", "two", "three"]
    async with sandbox_with() as sandbox:
        first = await run_at(sandbox.udioapi_v2(), path, wanted)
        again = await run_at(sandbox.udioapi_v2(), path, wanted)
    assert all(outcome.ok for outcome in first + again)
    assert [outcome.songs for outcome in first] == [outcome.songs for outcome in again]
    assert prompts(sandbox) == {"one": 1, "two": 1, "three": 1}


async def test_what_was_accepted_is_looked_at_and_not_submitted_again(path: Path) -> None:
    """The first run leaves as soon as all are accepted."""
    wanted = [f"song {number}" for number in range(6)]
    async with sandbox_with() as sandbox:
        provider = sandbox.udioapi_v2()
        async with Client(provider, journal=path) as client:
            jobs = [await client.submit(SongRequest(description=text, key=text)) for text in wanted]
        keyed = [SongRequest(description=text, key=text) for text in wanted]
        outcomes = await run_at(provider, path, keyed)
        assert [outcome.task_id for outcome in outcomes] == [job.task_id for job in jobs]
        assert all(len(outcome.songs) == 2 for outcome in outcomes)
        assert len(sandbox.ledger) == 6


async def test_what_was_refused_or_never_sent_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sandbox_with(Fault("refused", times=1), Fault("http_500", times=2)) as sandbox:
        wanted = ["one", "two"]
        good = sandbox.udioapi_v2()
        async with Client(
            attrs.evolve(good, base_url="http://127.0.0.1:9"), journal=path
        ) as client:
            monkeypatch.setattr(SubmitGate, "hold_back", lambda *_, **__: True)  # no waits
            outcomes = await run(client, wanted)
        assert {type(outcome.error).__name__ for outcome in outcomes} == {"Unreachable"}
        states = [entry.state for entry in (await entries(path, good)).values()]
        assert states == [JournalState.NOT_SENT] * 2
        seen: list[str] = []
        for _ in range(5):
            outcomes = await run_at(good, path, wanted)
            seen += [type(outcome.error).__name__ for outcome in outcomes if outcome.error]
            if all(outcome.ok for outcome in outcomes):
                break
            if doubts := [o for o in outcomes if isinstance(o.error, SubmitInDoubt)]:
                async with Client(good, journal=path) as client:
                    for doubt in doubts:
                        assert doubt.error
                        await client.resolve(str(doubt.error.job_key), resubmit=True)
        assert all(outcome.ok for outcome in outcomes), seen
        assert "RequestRefused" in seen
        assert prompts(sandbox) == {"one": 1, "two": 1}


async def test_what_failed_at_the_provider_stays_failed(path: Path) -> None:
    """It was paid for, and the same words would fail again."""
    async with sandbox_with(Fault("moderation")) as sandbox:
        [first] = await run_at(sandbox.udioapi_v2(), path, ["a song"])
        [again] = await run_at(sandbox.udioapi_v2(), path, ["a song"])
        assert len(sandbox.ledger) == 1
    for outcome in (first, again):
        assert isinstance(outcome.error, ModerationFailed)
        assert outcome.error.task_id == sandbox.ledger[0].task_id
        assert outcome.error.job_key


async def test_equal_requests_of_a_batch_are_songs_of_their_own(path: Path) -> None:
    """How often a request stands in the batch is how often it is paid for, in any order."""
    async with sandbox_with() as sandbox:
        provider = sandbox.udioapi_v2()
        await run_at(provider, path, ["a", "b", "a", "a"])
        assert prompts(sandbox) == {"a": 3, "b": 1}
        outcomes = await run_at(provider, path, ["b", "a", "a", "a"])
        assert prompts(sandbox) == {"a": 3, "b": 1}
        assert len({outcome.task_id for outcome in outcomes}) == 4
        await run_at(provider, path, ["a", "c", "a", "b", "a", "a"])
    assert prompts(sandbox) == {"a": 4, "b": 1, "c": 1}


async def test_one_key_is_one_song(path: Path) -> None:
    """In one batch and over several, over one journal and without."""
    keyed = SongRequest(description="a song", key="mine")
    async with sandbox_with() as sandbox:
        for journal in (path, None):
            async with Client(sandbox.udioapi_v2(), journal=journal) as client:
                job = await client.submit(keyed)
                again = [await client.submit(keyed) for _ in range(2)]
                assert {other.task_id for other in again} == {job.task_id}
                for other in (job, *again):
                    assert len(await other.songs()) == 2
                await client.generate("goes on")
        [outcome] = await run_at(sandbox.udioapi_v2(), path, [keyed])
        assert outcome.ok
    assert prompts(sandbox) == {"a song": 2, "goes on": 2}


async def test_requests_with_values_that_json_has_not_are_the_same_again(path: Path) -> None:
    """Tuples come back as lists, and names that are numbers as text."""
    request = SongRequest(description="a song", extra={"a": (1, 2), "b": {1: "x"}})
    async with sandbox_with() as sandbox:
        for _ in range(2):
            [outcome] = await run_at(sandbox.udioapi_v2(), path, [request])
            assert outcome.ok, outcome.error
        assert len(sandbox.ledger) == 1


def weighing(weight: float) -> list[SongRequest]:
    """Two equal requests with a number among their options, and one without."""
    options = UdioApiOptions(style_weight=weight)
    request = SongRequest(description="rain", options=options, extra={"seed": [weight]})
    return [request, request, SongRequest(description="sun")]


async def test_a_number_in_another_spelling_is_the_same_request(path: Path) -> None:
    """A file of ideas that another program has saved has 1 for 1.0, or the other way round."""
    async with sandbox_with() as sandbox:
        for weight in (1.0, 1, 1.0):
            outcomes = await run_at(sandbox.udioapi_v2(), path, weighing(weight))
            assert [outcome.ok for outcome in outcomes] == [True] * 3
        assert len(sandbox.ledger) == 3


async def test_a_number_in_another_spelling_is_found_in_a_journal_from_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There 1 and 1.0 were two requests; both were paid for, and neither is again."""

    def as_written(value: Any) -> Any:
        return normalised(value) if isinstance(value, str) else value

    async with sandbox_with() as sandbox:
        with monkeypatch.context() as before:
            before.setattr("udio_async.journal.keys._spelled", as_written)
            for weight in (1.0, 1):
                await run_at(sandbox.udioapi_v2(), path, weighing(weight))
        assert len(sandbox.ledger) == 5
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("delete from meta where name = 'numbers'")
            # One that an even earlier version had made has an alias of that day already.
            database.execute("update jobs set alias = 'old ' || number where key glob '*-2'")
        both = [*weighing(1), *weighing(1.0)[:2]]
        outcomes = await run_at(sandbox.udioapi_v2(), path, both)
        assert [outcome.ok for outcome in outcomes] == [True] * 5
        assert len(sandbox.ledger) == 5


async def test_a_mark_at_the_end_of_a_text_is_found_in_a_journal_from_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There it made another request: both were paid for, and neither is again."""
    marked = ["\ufeffrain", "sun\u200b", "moon\u2060", "one\r\r\ntwo"]
    async with sandbox_with() as sandbox:
        with monkeypatch.context() as before:
            before.setattr("udio_async.journal.keys.normalised", str.strip)
            await run_at(sandbox.udioapi_v2(), path, [*marked, "rain"])
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("delete from meta where name = 'blanks'")
        for requests in (["rain", "sun", "moon", "one\ntwo", "rain"], [*marked, "rain"]):
            outcomes = await run_at(sandbox.udioapi_v2(), path, requests)
            assert [outcome.ok for outcome in outcomes] == [True] * 5
        assert len(sandbox.ledger) == 5


async def test_blanks_around_a_key_make_no_other_job(path: Path) -> None:
    """A program that saves a list may put one behind each key."""
    async with sandbox_with() as sandbox:
        for key in ("a", "a ", " a"):
            request = SongRequest(description="rain", key=key)
            [outcome] = await run_at(sandbox.udioapi_v2(), path, [request])
            assert outcome.ok, outcome.error
            async with Client(sandbox.udioapi_v2(), journal=path) as client:
                await client.generate(request)
        assert len(sandbox.ledger) == 1


async def test_a_key_with_a_blank_is_found_in_a_journal_from_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sandbox_with() as sandbox:
        with monkeypatch.context() as before:
            before.setattr("udio_async.journal.keys.spelled", str)
            await run_at(sandbox.udioapi_v2(), path, [SongRequest(description="rain", key="a ")])
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("delete from meta where name = 'spelled keys'")
            database.execute("insert into meta values ('spelled', '')")  # for Unicode forms only
        for key in ("a", "a "):
            request = SongRequest(description="rain", key=key)
            [outcome] = await run_at(sandbox.udioapi_v2(), path, [request])
            assert outcome.ok, outcome.error
        assert len(sandbox.ledger) == 1


async def test_another_request_under_a_key_is_refused_with_the_difference(path: Path) -> None:
    async with sandbox_with() as sandbox:
        provider = sandbox.udioapi_v2()
        await run_at(provider, path, [SongRequest(description="rain", key="mine")])
        changed = SongRequest(description="sun", instrumental=True, key="mine")
        [outcome] = await run_at(provider, path, [changed])
        assert isinstance(outcome.error, InvalidRequest)
        assert outcome.error.job_key == "mine"
        for words in ("'rain'", "'sun'", "instrumental", "another key"):
            assert words in str(outcome.error)
        assert len(sandbox.ledger) == 1


async def test_another_key_or_provider_is_refused(path: Path) -> None:
    async with sandbox_with() as sandbox:
        await run_at(sandbox.udioapi_v2(), path, ["a song"])
        no_key = attrs.evolve(sandbox.udioapi_v2(), api_key=ApiKey("other"))
        with pytest.raises(AuthenticationFailed):
            async with Client(no_key, journal=path):
                pass
        for provider in (sandbox.udioapi_v1(), sandbox.apiframe()):
            with pytest.raises(AnotherAccount, match="made with udioapi-v2, and this is "):
                async with Client(provider, journal=path):
                    pass
        [outcome] = await run_at(sandbox.udioapi_v2(), path, ["a song"])
        assert outcome.ok
        assert len(sandbox.ledger) == 1


# Doubts --------------------------------------------------------------------------------------


@asynccontextmanager
async def doubtful(
    path: Path, *wanted: str, **options: Any
) -> AsyncGenerator[tuple[Sandbox, CuttingRelay, Callable[[], Client]]]:
    """A sandbox that has charged for some songs whose answers were lost."""
    async with sandbox_with() as sandbox, cutting_relay(sandbox.base_url) as relay:
        provider = attrs.evolve(sandbox.udioapi_v2(), base_url=relay.url)
        relay.cut_after = 0
        outcomes = await run_at(provider, path, wanted)
        assert all(isinstance(outcome.error, SubmitInDoubt) for outcome in outcomes)
        assert len(sandbox.ledger) == len(wanted)
        relay.cut_after = None
        yield sandbox, relay, lambda: Client(provider, journal=path, **options)


async def test_a_doubt_is_shown_and_not_submitted_again(path: Path) -> None:
    async with doubtful(path, "one", "two") as (sandbox, _, make):
        async with make() as client:
            outcomes = await run(client, ["one", "two", "three"])
            doubts = await client.doubts()
        assert [type(outcome.error) for outcome in outcomes[:2]] == [SubmitInDoubt] * 2
        assert outcomes[2].ok
        for outcome, doubt in zip(outcomes, doubts, strict=False):
            assert isinstance(outcome.error, SubmitInDoubt)
            assert outcome.error.job_key == doubt.key
            assert outcome.error.evidence == doubt.evidence != ""
            assert outcome.error.charged == "unknown"
        assert {entry.request["description"] for entry in doubts} == {"one", "two"}
        assert len(sandbox.ledger) == 3


async def test_a_doubt_ends_with_its_task_id(path: Path) -> None:
    async with doubtful(path, "a song") as (sandbox, _, make):
        async with make() as client:
            [doubt] = await client.doubts()
            await client.resolve(doubt.key, task_id=sandbox.ledger[0].task_id)
            assert list(await client.doubts()) == []
            [outcome] = await run(client, ["a song"])
        assert outcome.ok
        assert outcome.task_id == sandbox.ledger[0].task_id
        assert len(sandbox.ledger) == 1


async def test_a_doubt_ends_with_another_submit_or_is_let_go(path: Path) -> None:
    async with doubtful(path, "again", "never") as (sandbox, _, make):
        async with make() as client:
            doubts = {str(d.request["description"]): d for d in await client.doubts()}
            await client.resolve(doubts["again"].key, resubmit=True)
            await client.resolve(doubts["never"].key, abandon=True)
            again, never = await run(client, ["again", "never"])
            assert again.ok
            assert isinstance(never.error, SubmitInDoubt)
            assert "given it up" in str(never.error)
            assert list(await client.doubts()) == []
        assert prompts(sandbox) == {"again": 2, "never": 1}


async def test_only_a_doubt_can_be_resolved_and_with_one_answer(path: Path) -> None:
    async with doubtful(path, "a song") as (_, _, make), make() as client:
        [doubt] = await client.doubts()
        with pytest.raises(InvalidRequest):
            await client.resolve(doubt.key)
        with pytest.raises(InvalidRequest):
            await client.resolve(doubt.key, task_id="x", abandon=True)
        with pytest.raises(InvalidRequest, match="there is no job"):
            await client.resolve("no such key", abandon=True)
        await client.generate(SongRequest(description="another", key="done"))
        with pytest.raises(InvalidRequest, match="ready, not in doubt"):
            await client.resolve("done", resubmit=True)


async def test_resubmitting_doubts_pays_twice_and_says_so(path: Path) -> None:
    async with doubtful(path, "a song", on_doubt="resubmit") as (sandbox, _, make):
        async with make() as client:
            [outcome] = await run(client, ["a song"])
            assert outcome.ok
            [entry] = [entry async for entry in client.jobs([JournalState.READY])]
        assert entry.attempt == 2
        assert len(sandbox.ledger) == 2
    assert "may pay twice" in str(Client.__doc__)


async def test_too_many_doubts_stop_the_submits(path: Path) -> None:
    """An outage that takes submits and never answers costs a handful of songs, not 200."""
    wanted = [f"song {number}" for number in range(200)]
    async with sandbox_with() as sandbox, cutting_relay(sandbox.base_url) as relay:
        relay.cut_after = 0
        provider = attrs.evolve(sandbox.udioapi_v2(), base_url=relay.url)
        outcomes = await run_at(provider, path, wanted)
        assert 4 <= len(sandbox.ledger) <= 4 + 4
        kinds = Counter(type(outcome.error) for outcome in outcomes)
        assert kinds == {
            SubmitInDoubt: len(sandbox.ledger),
            TooManyDoubts: 200 - len(sandbox.ledger),
        }
        relay.cut_after = None
        outcomes = await run_at(provider, path, wanted[:20])
    assert sum(outcome.ok for outcome in outcomes) == 20 - kinds[SubmitInDoubt]
    assert max(prompts(sandbox).values()) == 1


async def test_settling_doubts_opens_the_lane_again(path: Path) -> None:
    async with sandbox_with() as sandbox, cutting_relay(sandbox.base_url) as relay:
        relay.cut_after = 0
        provider = attrs.evolve(sandbox.udioapi_v2(), base_url=relay.url)
        async with Client(provider, journal=path, max_in_doubt=1) as client:
            with pytest.raises(SubmitInDoubt):
                await client.submit("one")
            relay.cut_after = None
            with pytest.raises(TooManyDoubts, match=r"client\.doubts"):
                await client.submit("two")
            [doubt] = await client.doubts()
            await client.resolve(doubt.key, task_id=sandbox.ledger[0].task_id)
            await client.submit("two")
        assert prompts(sandbox) == {"one": 1, "two": 1}


# Resume --------------------------------------------------------------------------------------


async def test_resume_goes_on_with_everything_unfinished(path: Path) -> None:
    """Accepted, ready, never sent and in doubt, oldest first, as far as it is named."""
    async with doubtful(path, "in doubt") as (sandbox, _, make):
        wanted = SongRequest(
            description="accepted", instrumental=True, model="chirp-v4-0", key="accepted"
        )
        async with make() as client:
            await client.generate("done")
            job = await client.submit(wanted)
            for doubt in await client.doubts():
                await client._options.journal.add(
                    attrs.evolve(
                        doubt,
                        key="never sent",
                        request={"description": "never sent"},
                        state=JournalState.NOT_SENT,
                    )
                )
        unfinished = [JournalState.IN_DOUBT, JournalState.ACCEPTED, JournalState.NOT_SENT]
        async with make() as client, client.resume(unfinished) as batch:
            outcomes = sorted([o async for o in batch], key=lambda outcome: outcome.index)
        found = {str(o.request.description): o for o in outcomes}
        assert list(found) == ["in doubt", "accepted", "never sent"]
        assert isinstance(found["in doubt"].error, SubmitInDoubt)
        assert found["accepted"].ok
        assert found["accepted"].task_id == job.task_id
        assert found["accepted"].request == wanted
        assert found["never sent"].ok
        assert prompts(sandbox) == {"in doubt": 1, "done": 1, "accepted": 1, "never sent": 1}


@attrs.frozen(kw_only=True)
class WithNote(UdioApiOptions):
    """Options of a program's own, which nobody else can read back."""

    note: str | None = None


async def test_a_request_that_cannot_be_read_back_holds_up_no_other(path: Path) -> None:
    """What is paid for is handed out without it; the rest is one outcome with the reason."""
    odd = SongRequest(description="odd", key="odd", options=WithNote(note="for Ann"))
    states = [JournalState.PLANNED, JournalState.IN_DOUBT, JournalState.ACCEPTED]
    found: dict[str | None, Outcome] = {}
    async with sandbox_with() as sandbox:
        journal = SqliteJournal(path)
        provider = sandbox.udioapi_v2()
        async with Client(provider, journal=journal) as client:
            await client.keep([attrs.evolve(odd, key="planned")])
            await client.submit(odd)
            job = await client.submit(attrs.evolve(odd, key="ready"))
            await job.songs()
            [planned] = [entry async for entry in client.jobs([JournalState.PLANNED])]
            for key, request in (("in doubt", planned.request), ("nameless", {"newer": 1})):
                doubt = attrs.evolve(planned, key=key, request=request, state=JournalState.IN_DOUBT)
                await journal.add(doubt)
            await client.submit(SongRequest(description="the last one", key="last"))
        for _ in range(2):  # in each run again, until somebody has them
            async with Client(provider, journal=path) as client, client.resume() as batch:
                found = {outcome.job_key: outcome async for outcome in batch}
            assert {key for key, outcome in found.items() if outcome.ok} == {"odd", "ready", "last"}
            assert found["odd"].request.description == "odd"
            error = found["planned"].error
            assert isinstance(error, InvalidRequest)
            assert "job 'planned' is not understood, and was not submitted" in str(error)
            assert "for Ann" not in str(error), "it may be a secret"
            assert (error.job_key, error.charged) == ("planned", "no")
            for key in ("in doubt", "nameless"):
                assert isinstance(found[key].error, SubmitInDoubt)
        async with Client(provider, journal=path, on_doubt="resubmit") as client:
            async with client.resume(states) as batch:
                again = {outcome.job_key: outcome async for outcome in batch}
            with pytest.raises(InvalidRequest, match="is not understood"):
                await client.generate(found["planned"].request)
            assert isinstance(again["in doubt"].error, SubmitInDoubt)
            songs = await client.generate(attrs.evolve(odd, key="planned"))
            assert songs, "the program that kept it can submit it"
        assert len(sandbox.ledger) == 4


async def test_a_wait_that_expired_is_resumed(path: Path) -> None:
    """The song is still being made: the id is kept, and a later run delivers it."""
    async with sandbox_with() as sandbox:
        provider = sandbox.udioapi_v2()
        async with Client(provider, journal=path) as client:
            job = await client.submit("a song")
        with pytest.raises(WaitExpired) as caught:
            await job.songs()
        assert caught.value.job_key
        async with Client(provider, journal=path) as client, client.resume() as batch:
            [outcome] = [outcome async for outcome in batch]
        assert outcome.ok
        assert outcome.task_id == job.task_id
        assert len(sandbox.ledger) == 1


async def test_a_new_address_for_the_answer_is_still_the_same_song(path: Path) -> None:
    """Where the answer goes may change with each run, and a secret is in no message."""
    base: dict[str, Any] = {"description": "a song", "key": "mine"}
    async with sandbox_with() as sandbox:
        provider = sandbox.apiframe()
        for secret in ("first-secret", "second-secret"):
            options = ApiframeOptions(
                webhook_url=f"http://127.0.0.1:9/{secret}", webhook_secret=secret
            )
            async with Client(provider, journal=path) as client:
                named = await client.submit(SongRequest(**base, options=options))
                counted = await run(client, [SongRequest(description="other", options=options)])
                assert counted[0].ok
        other = SongRequest(description="b", key="mine", options=options)
        async with Client(provider, journal=path) as client:
            with pytest.raises(InvalidRequest, match="description was 'a song'") as caught:
                await client.submit(other)
    assert named.task_id
    assert "secret" not in str(caught.value)
    assert len(sandbox.ledger) == 2


async def test_a_doubt_does_not_end_with_the_id_of_another_job(path: Path) -> None:
    """One of the two would be lost."""
    async with (
        sandbox_with(Fault("charged_502", times=1)) as sandbox,
        Client(sandbox.udioapi_v2(), journal=path) as client,
    ):
        with pytest.raises(SubmitInDoubt) as caught:
            await client.submit("a song")
        other = await client.submit("another song")
        with pytest.raises(InvalidRequest, match=other.task_id):
            await client.resolve(caught.value.job_key or "", task_id=other.task_id)
        assert len(await client.doubts()) == 1


async def test_songs_that_arrived_before_a_failure_are_remembered(path: Path) -> None:
    """The error of a later run carries them as the first one did."""
    songs = (Song(id="1", task_id="t", provider="timed", index=0, stage=Stage.COMPLETE),)
    entry = JournalEntry(
        key="k",
        provider="timed",
        request={"description": "a song"},
        state=JournalState.FAILED,
        songs=songs,
        error="ModerationFailed",
    )
    error = remembered_error(entry)
    assert isinstance(error, ModerationFailed)
    assert error.songs == songs


# Limits and what is learned ------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "songs"), [({"max_submits": 7}, 7), ({"max_credits": 75.0}, 7)])
async def test_spend_limits_are_exact(path: Path, limit: dict[str, Any], songs: int) -> None:
    """Not one song more with many submits at once, and not one less."""
    wanted = [f"song {number}" for number in range(40)]
    async with sandbox_with() as sandbox:
        provider = sandbox.udioapi_v2()
        traits = attrs.evolve(provider.traits, credits_per_request=10.0)
        provider = attrs.evolve(provider, traits=traits)
        outcomes = await run_at(provider, path, wanted, submit_concurrency=16, **limit)
        assert len(sandbox.ledger) == songs
        assert sum(outcome.ok for outcome in outcomes) == songs
        failed = [outcome.error for outcome in outcomes if outcome.error]
        assert {type(error) for error in failed} == {SpendLimitReached}


async def test_doubts_count_towards_the_limit(path: Path) -> None:
    """They may be paid for."""
    async with sandbox_with() as sandbox, cutting_relay(sandbox.base_url) as relay:
        relay.cut_after = 0
        provider = attrs.evolve(sandbox.udioapi_v2(), base_url=relay.url)
        wanted = [f"song {number}" for number in range(30)]
        await run_at(provider, path, wanted, max_submits=5, max_in_doubt=100)
        assert len(sandbox.ledger) == 5


async def test_what_was_refused_does_not_count_towards_the_limit(path: Path) -> None:
    async with sandbox_with(Fault("refused", times=3)) as sandbox:
        wanted = [f"song {number}" for number in range(8)]
        await run_at(sandbox.udioapi_v2(), path, wanted, max_submits=5)
        assert len(sandbox.ledger) == 5


async def test_a_client_starts_with_what_earlier_runs_have_taken(path: Path) -> None:
    """Songs took a twentieth of a second, while they are said to take a quarter of an hour."""
    first = TimedProvider(durations=lambda _: 0.05, min_interval=0.01, typical_duration=0.05)
    async with Client(first, journal=path) as client:
        for number in range(8):
            await client.generate(f"song {number}")
    second = TimedProvider(durations=lambda _: 0.05, min_interval=0.01, typical_duration=1000)
    async with Client(second, journal=path) as client:
        learned = client._session().poller._times.schedule_for("timed")
    async with Client(second) as client:
        unlearned = client._session().poller._times.schedule_for("timed")
    assert learned.wait(0.0) < unlearned.wait(0.0) / 10


# Errors --------------------------------------------------------------------------------------


async def test_every_error_of_a_batch_names_its_job(path: Path) -> None:
    """Whatever went wrong, and wherever."""
    faults = [
        Fault(kind, match=f"<{kind}>")
        for kind in ("refused", "http_500", "html_502", "charged_502", "moderation", "upstream")
    ]
    wanted: list[SongRequest | str] = [f"<{fault.kind}>" for fault in faults]
    wanted.append(SongRequest(description="x", style="goes with lyrics only"))
    async with sandbox_with(*faults) as sandbox:
        for journal in (path, path, MemoryJournal()):
            async with Client(sandbox.udioapi_v2(), journal=journal, max_in_doubt=99) as client:
                outcomes = await run(client, wanted)
            errors = [outcome.error for outcome in outcomes]
            assert all(isinstance(error, UdioError) and error.job_key for error in errors), errors
            assert len({error.job_key for error in errors if error}) == len(errors)
            ids = {charge.task_id for charge in sandbox.ledger}
            assert all(error.task_id in ids for error in errors[4:6] if error)
    assert isinstance(errors[-1], UnsupportedOption)


async def test_the_error_that_stops_a_batch_names_the_job_that_met_it(path: Path) -> None:
    async with sandbox_with() as sandbox:
        wrong = attrs.evolve(sandbox.udioapi_v2(), api_key=ApiKey("wrong"))
        async with Client(wrong, journal=path) as client:
            with pytest.raises(AuthenticationFailed) as caught:
                await client.submit(SongRequest(description="a song", key="mine"))
        assert caught.value.job_key == "mine"
        assert sandbox.ledger == ()


# Several processes ---------------------------------------------------------------------------


def start_all(commands: Sequence[Sequence[str]]) -> list[str]:
    """Start processes at the same time, and return what each has said at its end."""
    with ExitStack() as running:
        children = [
            running.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
            )
            for command in commands
        ]
        return [child.communicate()[0] for child in children]


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_started_on_one_journal_pay_once_for_each_song(
    path: Path, processes: int
) -> None:
    """One has the journal; the others say so, and may be started again."""
    with serving() as world:
        command = child_command(world.url, path, "shared", 12)
        refused: list[str] = []
        for turn in itertools.count():
            words = start_all([command] * processes)
            refused = [text for text in words if "in use by another process" in text]
            worked = [text for text in words if text.count('"ok": true') == 12]
            assert len(worked) >= 1
            assert len(refused) + len(worked) == processes, words
            if refused or turn == 15:  # on a busy machine, one may be done before the next begins
                break
        assert refused, "they were started at the same time"
        charges = world.charges()
    assert [len(ids) for ids in charges.values()] == [1] * 12


def test_control_without_a_journal_each_process_pays(path: Path) -> None:
    """The ledger of the test above can show more than one charge."""
    with serving() as world:
        journals = [path.with_name(name) for name in ("one.db", "two.db")]
        start_all([child_command(world.url, journal, "shared", 2) for journal in journals])
        assert [len(ids) for ids in world.charges().values()] == [2, 2]


async def test_a_memory_journal_has_one_client_at_a_time() -> None:
    """A second one would make it forget what the first has in flight."""
    journal, provider = MemoryJournal(), TimedProvider(lambda _: 1.0)
    async with Client(provider, journal=journal):
        with pytest.raises(JournalError, match="give each client its own"):
            async with Client(provider, journal=journal):
                pass
    async with Client(provider, journal=journal):
        pass


# A wrong answer, and the provider's word ------------------------------------------------------


@pytest.mark.parametrize("first", [1, 2])
async def test_a_task_that_was_named_for_another_attempt_is_not_lost(first: int) -> None:
    """Two attempts are paid for, one's id is given for the other's; callbacks put that right."""
    journal = MemoryJournal()
    request = SongRequest(description="a song", key="mine")
    async with journal.open("account"), anyio.create_task_group() as tasks:
        store = JobStore(journal, tasks, provider="p")
        entry = await store.intend(request, "mine", None)
        doubt = await store.settle(entry, SubmitInDoubt("no answer"))
        entry = await store.intend(request, "mine", doubt)
        await store.settle(entry, SubmitInDoubt("no answer"))
        await store.resolve("mine", task_id="t1", resubmit=False, abandon=False)
        for attempt in (first, 3 - first):
            news = CallbackNews(stage=Stage.QUEUED, task_id=f"t{attempt}")
            assert await store.hear("mine", attempt, news) is not None
        tasks_of = {
            entry.attempt: entry.task_id async for entry in store.entries(list(JournalState))
        }
        assert tasks_of == {1: "t1", 2: "t2"}


@pytest.mark.parametrize(
    ("told", "error", "state"),
    [
        (True, RequestRefused("no such task"), JournalState.READY),
        (True, WaitExpired("still queued"), JournalState.ACCEPTED),
        (False, RequestRefused("no such task"), JournalState.ACCEPTED),
    ],
)
async def test_songs_of_a_callback_are_not_lost_by_a_wrong_id(
    error: UdioError, state: JournalState, *, told: bool
) -> None:
    """There is no task of the id that its owner gave: what was called back is what was paid for."""
    journal = MemoryJournal()
    song = Song(
        id="s", task_id="", provider="p", index=0, stage=Stage.COMPLETE, audio_is_final=True
    )
    async with journal.open("account"), anyio.create_task_group() as tasks:
        store = JobStore(journal, tasks, provider="p")
        entry = await store.intend(SongRequest(description="a song", key="mine"), "mine", None)
        if told:
            await store.settle(entry, SubmitInDoubt("no answer"))
            entry = await store.resolve("mine", task_id="tpyo", resubmit=False, abandon=False)
        else:
            entry = await store.accept(entry, "t")
        await store.hear("mine", 1, CallbackNews(stage=Stage.COMPLETE, songs=(song,)))
        store.end(entry, (), error=error, times=Times(took=None))
        await store.note_undelivered("mine", "")  # which waits for the end
        ended = await store.known("mine")
        assert ended.state is state
        assert [kept.id for kept in ended.songs] == (["s"] if told else [])


async def test_what_is_called_back_in_pieces_is_kept_beside_a_task_that_was_named() -> None:
    """A text first, then the audio: that song is paid for, too, whatever else its owner named."""
    journal = MemoryJournal()
    whole = Song(
        id="s", task_id="", provider="p", index=0, stage=Stage.COMPLETE, audio_is_final=True
    )
    text = attrs.evolve(whole, stage=Stage.TEXT_READY, audio_is_final=False)
    async with journal.open("account"), anyio.create_task_group() as tasks:
        store = JobStore(journal, tasks, provider="p")
        entry = await store.intend(SongRequest(description="a song", key="mine"), "mine", None)
        await store.hear("mine", 1, CallbackNews(stage=Stage.TEXT_READY, songs=(text,)))
        await store.settle(entry, SubmitInDoubt("no answer"))
        named = await store.resolve("mine", task_id="t", resubmit=False, abandon=False)
        await store.hear("mine", 1, CallbackNews(stage=Stage.COMPLETE, songs=(whole,)))
        looked_at = attrs.evolve(whole, id="of t", task_id="t")
        store.end(named, (looked_at,), times=Times(took=60.0))
        await store.note_undelivered("mine", "")  # which waits for the end
        ended = await store.known("mine")
        assert ended.state is JournalState.READY
        assert [song.id for song in ended.songs if song.audio_is_final] == ["of t", "s"]
