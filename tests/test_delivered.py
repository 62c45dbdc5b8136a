"""Ready is not the end: whoever paid for a song gets it, and nobody else buys it again."""

import asyncio
import shutil
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.kit import fault_server as faults
from tests.kit.asgi import call, said
from tests.kit.clocks import virtual_backend
from tests.kit.fault_server import Connection, FaultServer
from tests.kit.timed import SONG, TimedProvider
from tests.kit.waiting import PUBLIC, in_a_task
from tests.test_download import AUDIO, MP3
from udio_async import (
    AnotherAccount,
    AuthenticationFailed,
    Client,
    DownloadFailed,
    Failure,
    GenerationFailed,
    InsufficientCredits,
    InvalidRequest,
    JournalState,
    MemoryJournal,
    Outcome,
    PermissionDenied,
    PollPolicy,
    RateLimited,
    Sandbox,
    Song,
    SongRequest,
    SqliteJournal,
    Stage,
    SubmitInDoubt,
    Task,
    UdioApiV2,
    UdioError,
    WaitExpired,
    hand_over,
)
from udio_async._account import is_untouched
from udio_async._http import ApiKey
from udio_async.journal import Entry, jobs, memory
from udio_async.providers import Provider

S = JournalState
OLD = Path(__file__).parent / "journal" / "old" / "version-1.db"


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(params=["memory", "file"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryJournal | SqliteJournal:
    """One for one client; the file is written in the event loop, as virtual clocks need it."""
    if request.param == "memory":
        return MemoryJournal()
    return SqliteJournal(tmp_path / "songs.db", threaded=False)


def sixty(_place: int) -> float:
    return 60.0


def named(words: str, key: str | None = None) -> SongRequest:
    return SongRequest(description=words, key=key)


async def states(client: Client) -> dict[str, JournalState]:
    return {job.key: job.state async for job in client.jobs()}


async def resumed(client: Client, *which: JournalState) -> list[Outcome]:
    async with client.resume(which) if which else client.resume() as batch:
        return [outcome async for outcome in batch]


# Whoever stops waiting -----------------------------------------------------------------------


async def test_an_error_that_is_heard_late_does_not_hand_out_songs_that_came_since(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """The wait expired, somebody asked again, and the songs came, before anybody took the error."""
    provider = TimedProvider(durations=lambda _: 70.0)
    request = SongRequest(description="a song", key="mine")
    async with Client(provider, journal=journal, poll=PollPolicy(deadline=60.0)) as client:
        first = await client.submit(request)
        await anyio.sleep(61.0)
        await client.submit(request)
        await anyio.sleep(59.0)
        with pytest.raises(WaitExpired):
            await first.songs()
        await anyio.sleep(1.0)
        [outcome] = await resumed(client)
    assert outcome.job_key == "mine"
    assert outcome.ok


@pytest.mark.parametrize("after", [0.5, 30.0, 59.9], ids=["on the wire", "in the making", "late"])
async def test_a_song_whose_caller_was_cancelled_is_handed_out_by_resume(
    after: float, journal: MemoryJournal | SqliteJournal
) -> None:
    """A web handler's time-out: the song is paid for, and the same client still hands it out."""
    provider = TimedProvider(sixty, submit_time=1.0)
    async with Client(provider, journal=journal) as client:
        with anyio.move_on_after(after):
            await client.generate(SONG)
        await anyio.sleep(500)
        [outcome] = await resumed(client)
        assert outcome.ok
        assert [song.id for song in outcome.songs] == ["song-0"]
    assert len(provider.sent) == 1


async def test_resume_beside_generate_pays_for_nothing_twice(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Fifty songs asked for, some of whose callers leave, while somebody resumes over and over."""
    provider = TimedProvider(lambda place: 20.0 + place, submit_time=1.0)
    had: Counter[str] = Counter()

    async def ask(client: Client, place: int) -> None:
        with anyio.move_on_after(1 + place * 2 if place % 3 else 1e4):
            for song in await client.generate(named(f"idea {place}")):
                had[song.id] += 1

    async with Client(provider, journal=journal) as client:
        async with anyio.create_task_group() as callers:
            for place in range(50):
                callers.start_soon(ask, client, place)
            for _ in range(20):
                await anyio.sleep(7)
                for outcome in await resumed(client):
                    had.update(song.id for song in outcome.songs)
        await anyio.sleep(300)
        for outcome in await resumed(client):
            had.update(song.id for song in outcome.songs)
    assert len(provider.completes_at) == len(provider.sent) <= 50
    assert set(had) == {f"song-{number}" for number in provider.completes_at}


async def test_jobs_that_somebody_waits_for_are_left_to_him(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """`resume` does not hand a song to two."""
    provider = TimedProvider(sixty)
    async with Client(provider, journal=journal) as client, anyio.create_task_group() as callers:
        callers.start_soon(client.generate, SONG)
        await anyio.sleep(5)
        assert await resumed(client) == []
    assert len(provider.sent) == 1


async def test_outcomes_of_a_batch_that_was_left_are_handed_out_again(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Also those that it had ready, and that nobody took."""
    provider = TimedProvider(sixty)
    async with Client(provider, journal=journal) as client:
        async with client.generate_many([SONG] * 5) as batch:
            first = await anext(batch)
            await anyio.sleep(100)
        again = await resumed(client)
    had = {song.id for outcome in (first, *again) for song in outcome.songs}
    assert had == {f"song-{number}" for number in range(5)}
    assert len(provider.sent) == 5


# The next run --------------------------------------------------------------------------------


async def test_what_a_callback_brought_outlives_a_client_closed_on_the_wire(tmp_path: Path) -> None:
    """The answer never came; the songs had. Closing keeps them, and leaves no doubt."""
    provider = TimedProvider(sixty, submit_time=1e4, callbacks="task")
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
    async with Client(provider, journal=journal) as client:
        app = client.callbacks(PUBLIC)
        with anyio.move_on_after(5):
            await client.generate(named("a song", "mine"))
        [address] = provider.given
        assert address is not None
        news = said("complete", songs=["https://cdn.example.org/a.mp3"])
        secret = {"x-secret": address.secret or ""}
        assert await call(app, address.url, news, headers=secret) == 200
    async with Client(TimedProvider(sixty), journal=journal) as client:
        assert await client.doubts() == []
        [outcome] = await resumed(client)
        assert [song.audio_url for song in outcome.songs] == ["https://cdn.example.org/a.mp3"]


async def test_what_was_not_delivered_is_handed_out_in_each_run(tmp_path: Path) -> None:
    """Returned by `generate` is not delivered: the process may die before the files are there."""
    provider, path = TimedProvider(sixty), tmp_path / "songs.db"
    made: tuple[Song, ...] = ()
    for _run in range(3):
        async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
            made = made or await client.generate(named("a song", "mine"))
            [outcome] = await resumed(client)
            assert outcome.songs == made
            assert outcome.job_key == "mine"
            assert await states(client) == {"mine": S.READY}


@pytest.mark.parametrize("how", ["songs", "outcome", "key", "one by one"])
async def test_what_its_owner_has_is_not_handed_out_again(how: str, tmp_path: Path) -> None:
    """But asked for by its key, it gives the same songs."""
    provider = TimedProvider(sixty)
    async with Client(
        provider, journal=SqliteJournal(tmp_path / "songs.db", threaded=False)
    ) as client:
        made = await client.generate(named("a song", "mine"))
        [outcome] = await resumed(client)
        if how == "one by one":
            for song in outcome.songs:
                await client.acknowledge(song)
        else:
            said: Any = {"songs": made, "outcome": outcome, "key": "mine"}[how]
            await client.acknowledge(said)
        assert await states(client) == {"mine": S.DELIVERED}
        assert await resumed(client) == []
        assert await client.generate(named("a song", "mine")) == made
    assert len(provider.sent) == 1


async def test_a_song_that_no_job_has_cannot_be_acknowledged() -> None:
    loose = Song(id="x", task_id="t", provider="p", index=0, stage=Stage.COMPLETE)
    async with Client(TimedProvider(sixty)) as client:
        with pytest.raises(InvalidRequest, match="song x names no job"):
            await client.acknowledge(loose)


@pytest.mark.parametrize("wrong", [7, "rain", ["rain"], SONG], ids=["7", "text", "list", "request"])
async def test_what_are_no_songs_is_told_in_a_few_words(wrong: Any, tmp_path: Path) -> None:  # noqa: ANN401
    async with Client(TimedProvider(sixty)) as client:
        with pytest.raises(InvalidRequest, match=r"^give songs, not .{1,60}: those of") as caught:
            await client.download(wrong, tmp_path)
    assert len(str(caught.value)) < 140


@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
async def test_a_key_that_names_no_job_cannot_be_acknowledged(
    *, on_disk: bool, tmp_path: Path
) -> None:
    """With a typing error in it, the songs would be handed out for ever."""
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False) if on_disk else None
    async with Client(TimedProvider(sixty), journal=journal) as client:
        job = await client.submit(named("a song", "mine"))
        await job.songs()
        for wrong in ("mime", "no-such-key", f"{'0' * 24}-{'0' * 32}-1"):
            with pytest.raises(InvalidRequest, match=r"client\.jobs\(\) lists them") as caught:
                await client.acknowledge(wrong)
            assert repr(wrong) in str(caught.value)
            assert caught.value.job_key == wrong
        await client.acknowledge("mine")
        assert await resumed(client) == []


@pytest.mark.parametrize("key", ["mine", None])
@pytest.mark.parametrize("on_disk", [False, True], ids=["memory", "disk"])
async def test_to_acknowledge_twice_is_harmless(
    key: str | None, *, on_disk: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the journal has forgotten the job since, as one in memory does."""
    monkeypatch.setattr(memory, "MAX_ENDED", 1)
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False) if on_disk else None
    async with Client(TimedProvider(sixty), journal=journal) as client:
        job = await client.submit(named("a song", key))
        await job.songs()
        for _ in range(2):
            await client.acknowledge(job.key)
        await client.generate(named("another song", "another"))
        await client.acknowledge("another")
        await anyio.sleep(1)
        await client.acknowledge(job.key)
        assert await resumed(client) == []


async def test_songs_that_arrived_of_a_task_that_failed_are_handed_out(tmp_path: Path) -> None:
    """The task failed as a whole, and one of its songs is there: it was paid for, too."""

    def half(tasks: list[Task], now: float) -> list[Task]:
        return [attrs.evolve(t, stage=Stage.FAILED) if t.stage.is_final else t for t in tasks]

    path = tmp_path / "songs.db"
    provider = TimedProvider(sixty, retouch=half)
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        with pytest.raises(GenerationFailed) as caught:
            await client.generate(named("a song", "mine"))
        assert [song.id for song in caught.value.songs] == ["song-0"]
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        [outcome] = await resumed(client)
        assert isinstance(outcome.error, GenerationFailed)
        assert [song.id for song in outcome.songs] == ["song-0"]
        await client.acknowledge("mine")
        assert await resumed(client) == []


async def test_a_journal_of_the_first_version_opens(tmp_path: Path) -> None:
    """What was ready there may never have been delivered, so it is handed out."""
    path = tmp_path / "songs.db"
    shutil.copy(OLD, path)
    provider = UdioApiV2(api_key="key-of-an-old-journal", base_url="http://127.0.0.1:9")
    kept = SqliteJournal(path, threaded=False)
    async with kept.open(f"{provider.name} {provider.account().key.fingerprint()}"):
        found = {entry.key: entry async for entry in kept.entries(list(S))}
        assert {key: entry.state for key, entry in found.items()} == {
            "job-sending": S.IN_DOUBT,
            "job-accepted": S.ACCEPTED,
            "job-refused": S.REFUSED,
            "job-not_sent": S.NOT_SENT,
            "job-in_doubt": S.IN_DOUBT,
            "job-ready": S.READY,
            "job-failed": S.FAILED,
            "job-abandoned": S.ABANDONED,
        }
        assert [song.id for song in found["job-ready"].songs] == ["task-ready-0", "task-ready-1"]
        by_task = await kept.of_task("task-accepted")
        assert by_task is not None
        assert by_task.key == "job-accepted"
        assert await kept.noted("credits at first") == "5"


# What its owner takes back -------------------------------------------------------------------


async def test_what_was_refused_is_not_bought_by_resume(tmp_path: Path) -> None:
    """Its caller was told no; only whoever names the state tries again."""
    path = tmp_path / "songs.db"
    empty = InsufficientCredits("empty")
    provider = TimedProvider(sixty, refuse=lambda place: empty if place < 2 else None)
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        for key in ("a", "b"):
            with pytest.raises(InsufficientCredits):
                await client.generate(named("a song", key))
        await client.forget("b")
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        assert await resumed(client) == []
        assert len(provider.sent) == 2
        [outcome] = await resumed(client, S.REFUSED, S.NOT_SENT)
        assert outcome.job_key == "a"
        assert await states(client) == {"a": S.READY, "b": S.FORGOTTEN}
        assert await client.generate(named("a song", "b")), "asked for again, it is made"


async def test_only_what_nothing_was_taken_for_can_be_forgotten(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Unknown keys, songs that are paid for and doubts are refused in words."""
    lost = SubmitInDoubt("the answer was lost")
    provider = TimedProvider(sixty, refuse=lambda place: lost if place == 1 else None)
    async with Client(provider, journal=journal) as client:
        await client.submit(named("a song", "paid"))
        with pytest.raises(SubmitInDoubt):
            await client.submit(named("a song", "doubt"))
        for key, words in (("paid", "accepted"), ("doubt", "in_doubt"), ("no", "there is no job")):
            with pytest.raises(InvalidRequest, match=words):
                await client.forget(key)
        assert await states(client) == {"paid": S.ACCEPTED, "doubt": S.IN_DOUBT}


async def test_what_is_taken_back_while_resume_lists_it_is_not_bought(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """A listed key is not a new request, and not one that is still wanted."""
    provider = TimedProvider(sixty)
    async with Client(provider, journal=journal) as client:
        await client.keep([named("one", "1"), named("two", "2"), named("three", "3")])
        async with client.resume(max_active=1) as batch:
            await anyio.sleep(5)  # the first is being made
            await client.forget("2")
            assert [outcome.job_key async for outcome in batch] == ["1", "3"]
    assert len(provider.sent) == 2


async def test_what_is_kept_is_submitted_by_resume_and_by_the_same_batch_once(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Kept requests have the names that a batch would give them."""
    provider = TimedProvider(sixty)
    wanted = [named("one", "1"), named("two", "2")]
    async with Client(provider, journal=journal) as client:
        await client.keep(wanted)
        assert set((await states(client)).values()) == {S.PLANNED}
        assert provider.sent == []
        assert len(await resumed(client)) == 2
        async with client.generate_many(wanted) as batch:
            assert [outcome.ok async for outcome in batch] == [True] * 2
    assert len(provider.sent) == 2


async def test_what_is_kept_is_kept_again_if_its_submit_is_taken_back(
    journal: MemoryJournal | SqliteJournal,
) -> None:
    """Also where the provider has refused it for a moment, which by itself ends nothing."""
    limited = RateLimited("slow down", retry_after=100.0)
    provider = TimedProvider(sixty, refuse=lambda place: None if place else limited)
    async with Client(provider, journal=journal) as client:
        await client.keep([named("one", "1")])
        with anyio.move_on_after(20):
            await resumed(client)
        await anyio.sleep(1)
        assert await states(client) == {"1": S.PLANNED}
        assert len(await resumed(client)) == 1
    assert len(provider.sent) == 2


@pytest.mark.parametrize("verb", [Client.resume, Client.jobs])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["ready", "redy"], "'redy' is not a state; give one of planned, sending, accepted"),
        ([7], "7 is not a state"),
        ([[]], r"\[\] is not a state"),
        ("ready", "give a list"),
        (S.READY, "give a list"),  # it is text, and so a collection of letters
    ],
)
async def test_states_that_are_none_are_refused(
    verb: Callable[[Client, Any], object], wrong: object, told: str
) -> None:
    async with Client(TimedProvider(sixty)) as client:
        with pytest.raises(InvalidRequest, match=told):
            verb(client, wrong)


async def test_states_may_be_given_as_texts() -> None:
    """They are text, too."""
    async with Client(TimedProvider(sixty)) as client:
        await client.keep(["rain"])
        assert [entry.state async for entry in client.jobs(["ready"])] == []
        assert [entry.state async for entry in client.jobs(["planned"])] == [S.PLANNED]
        async with client.resume(["planned", S.READY]) as batch:
            assert [outcome.ok async for outcome in batch] == [True]


async def test_states_may_come_from_a_generator_or_a_list_that_changes() -> None:
    """They are those of the moment of the call."""
    async with Client(TimedProvider(sixty)) as client:
        await client.keep(["rain"])
        wanted = [S.PLANNED]
        listed = client.jobs(wanted)
        wanted.clear()
        assert [entry.state async for entry in listed] == [S.PLANNED]
        generated: Any = (state for state in (S.PLANNED, S.READY))
        async with client.resume(generated) as batch:
            assert [outcome.ok async for outcome in batch] == [True]


async def texts() -> AsyncGenerator[str]:
    yield "rain"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        *((one, "keep takes a list of requests.*write") for one in ("rain", SONG)),
        *((one, "keep takes a list of req.*give a list") for one in (7, {"rain": 1}, texts())),
        (["rain", 7], "requests\\[1\\] is 7; give a SongRequest or a text"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_is_not_many_requests_is_not_kept(wrong: Any, told: str) -> None:  # noqa: ANN401
    """A text is many letters, and each would be bought as a song; of a list nothing is kept."""
    async with Client(TimedProvider(sixty)) as client:
        with pytest.raises(InvalidRequest, match=told):
            await client.keep(wrong)
        assert await states(client) == {}


# Keys in another spelling --------------------------------------------------------------------

NFC, NFD = (unicodedata.normalize(form, "\u00e9t\u00e9-1") for form in ("NFC", "NFD"))
MIXED = NFC[:2] + NFD[3:]
"""As some keyboards write it."""


async def keep_as_before(path: Path, *keys: str) -> None:
    """Make a journal that has planned jobs under these keys, as an earlier version did."""
    provider, journal = TimedProvider(sixty), SqliteJournal(path, threaded=False)
    async with Client(provider, journal=journal):
        for key in keys:
            await journal.add(jobs.planned(key, provider.name, {"description": "rain"}))
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("delete from meta where name = 'spelled keys'")


@pytest.mark.parametrize(("first", "then"), [(NFC, NFD), (NFD, NFC)], ids=["NFD", "NFC"])
async def test_a_key_in_another_unicode_form_is_the_same_job(
    first: str, then: str, tmp_path: Path
) -> None:
    """Another program has saved the file of ideas again: nothing is bought twice."""
    provider = TimedProvider(sixty)
    for key in (first, then):
        journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
        async with Client(provider, journal=journal) as client:
            await client.generate(named("rain", key))
            async with client.generate_many([named("rain", key)]) as batch:
                assert [outcome.ok async for outcome in batch] == [True]
            assert list(await states(client)) == [NFC]
    assert len(provider.sent) == 1


@pytest.mark.parametrize("asked", [NFC, NFD], ids=["NFC", "NFD"])
@pytest.mark.parametrize("kept", [NFC, NFD, MIXED], ids=["kept NFC", "kept NFD", "kept mixed"])
async def test_a_job_is_found_under_the_key_that_an_earlier_version_kept(
    kept: str, asked: str, tmp_path: Path
) -> None:
    """It kept each key as it was given; verbs that take a key find it in both forms."""
    provider = TimedProvider(sixty)
    await keep_as_before(tmp_path / "songs.db", kept)
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
    async with Client(provider, journal=journal) as client:
        await client.keep([named("rain", asked)])
        assert await states(client) == {kept: S.PLANNED}
        await client.forget(asked)
        assert await states(client) == {kept: S.FORGOTTEN}
        await client.generate(named("rain", asked))
        await client.acknowledge(asked)
        assert await states(client) == {kept: S.DELIVERED}


@pytest.mark.parametrize("asked", [NFC, NFD], ids=["NFC", "NFD"])
async def test_a_doubt_is_resolved_under_its_key_in_both_forms(asked: str) -> None:
    provider = TimedProvider(sixty, refuse=lambda _: SubmitInDoubt("lost"))
    async with Client(provider) as client:
        with pytest.raises(SubmitInDoubt):
            await client.submit(named("rain", NFD))
        await client.resolve(asked, abandon=True)
        assert await client.doubts() == []


async def test_two_jobs_that_differ_in_form_only_stay_two(tmp_path: Path) -> None:
    """An earlier version has kept both: both are resumed."""
    await keep_as_before(tmp_path / "songs.db", NFC, NFD)
    journal = SqliteJournal(tmp_path / "songs.db", threaded=False)
    async with Client(TimedProvider(sixty), journal=journal) as client:
        assert {outcome.job_key for outcome in await resumed(client)} == {NFC, NFD}


# Without a disk ------------------------------------------------------------------------------


async def test_a_key_in_another_unicode_form_is_the_same_job_without_a_disk_too() -> None:
    """Whichever verb asks."""
    provider = TimedProvider(sixty)
    async with Client(provider) as client:
        job = await client.submit(named("rain", NFD))
        async with client.generate_many([named("rain", NFC), named("rain", NFD)]) as batch:
            outcomes = [outcome async for outcome in batch]
    assert {outcome.task_id for outcome in outcomes} == {job.task_id}
    assert len(provider.sent) == 1


async def test_one_key_is_one_song_whatever_lies_between() -> None:
    """Side by side, apart, and after the first is over."""
    mine, other = named("rain", "mine"), named("sun")
    for requests in ([mine, mine, other], [mine, other, mine], [mine, other, other, other, mine]):
        provider = TimedProvider(sixty)
        async with (
            Client(provider) as client,
            client.generate_many(requests, max_active=1) as batch,
        ):
            outcomes = [outcome async for outcome in batch]
        assert all(outcome.ok for outcome in outcomes)
        assert len({o.task_id for o in outcomes if o.request is mine}) == 1
        assert len(provider.sent) == len(requests) - requests.count(mine) + 1


async def test_a_memory_journal_forgets_songs_but_not_that_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A named job beyond the last thousands is not bought again, it is refused in words."""
    monkeypatch.setattr(memory, "MAX_ENDED", 2)
    provider, kept = TimedProvider(sixty), MemoryJournal()
    async with Client(provider, journal=kept) as client:
        for key in ("1", "2", "3"):
            await client.generate(named("a song", key))
        for _ in range(5):
            await client.generate(SONG)
        with pytest.raises(InvalidRequest, match="keeps only the last 2"):
            await client.generate(named("a song", "1"))
        assert len(await client.generate(named("a song", "3"))) == 1
    assert len(provider.sent) == 8
    assert len(kept._entries) == 2


async def test_a_job_without_a_name_is_never_a_new_request() -> None:
    """Not even by the key that it was given, once it is over and forgotten."""
    provider = TimedProvider(sixty)
    async with Client(provider) as client:
        job = await client.submit(SONG)
        await job.songs()
        await anyio.sleep(1)
        with pytest.raises(InvalidRequest, match="was handed out"):
            await client.generate(attrs.evolve(SONG, key=job.key))
    assert len(provider.sent) == 1


async def test_an_orphan_is_kept_and_a_song_in_hand_is_not() -> None:
    """So memory holds what is in flight, and what nobody has got yet."""
    provider, kept = TimedProvider(sixty), MemoryJournal()
    async with Client(provider, journal=kept) as client:
        with anyio.move_on_after(1):
            await client.generate(SONG)
        for _ in range(20):
            await client.generate(SONG)
        await anyio.sleep(1)  # what is in hand is forgotten in the background
        assert [job.state async for job in client.jobs()] == [S.READY]
        assert len(await resumed(client)) == 1
        await anyio.sleep(1)
        assert kept._entries == {}


# One task and the others ---------------------------------------------------------------------


async def test_a_refusal_about_one_task_ends_no_other() -> None:
    """It is asked again before it is believed, and then of that task alone."""

    def one_is_not_ours(tasks: list[Task], now: float) -> list[Task]:
        if any(task.id == "1" for task in tasks):
            raise PermissionDenied("this task belongs to another account")
        return tasks

    provider = TimedProvider(sixty, retouch=one_is_not_ours)
    async with Client(provider) as client, client.generate_many([SONG] * 5) as batch:
        outcomes = [outcome async for outcome in batch]
    refused = [outcome for outcome in outcomes if not outcome.ok]
    assert [outcome.task_id for outcome in refused] == ["1"]
    assert isinstance(refused[0].error, PermissionDenied)
    assert refused[0].error.charged == "yes"
    assert sum(look.task_ids == ("1",) for look in provider.looks) >= 3


async def test_a_refusal_that_passes_is_no_end() -> None:
    """A gateway may be astray for half a minute."""

    def astray(now: float) -> Exception | None:
        return PermissionDenied("who are you?") if 50 < now < 90 else None

    async with Client(TimedProvider(sixty, broken=astray)) as client:
        assert await client.generate(SONG)


async def test_a_refusal_that_stays_ends_all_waits_and_keeps_the_ids(tmp_path: Path) -> None:
    """Within two minutes, with an error each; later the songs are still there."""
    path, revoked = tmp_path / "songs.db", True

    def refuse(_: float) -> Exception | None:
        return PermissionDenied("revoked") if revoked else None

    provider = TimedProvider(sixty, broken=refuse)
    async with (
        Client(provider, journal=SqliteJournal(path, threaded=False)) as client,
        client.generate_many([SONG] * 20) as batch,
    ):
        outcomes = [outcome async for outcome in batch]
        assert anyio.current_time() < 60 + 180
    assert all(isinstance(outcome.error, PermissionDenied) for outcome in outcomes)
    assert len(provider.looks) < 60
    revoked = False
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        assert [outcome.ok for outcome in await resumed(client)] == [True] * 20
    assert len(provider.sent) == 20


@pytest.mark.parametrize("deadline", [1.0, 20.0, 200.0])
async def test_the_deadline_bounds_a_look_that_hangs(deadline: float) -> None:
    """However long the provider takes to say nothing."""
    provider = TimedProvider(lambda _: 1e9, answer_time=1e9, min_interval=0.1)
    async with Client(provider, poll=PollPolicy(deadline=deadline)) as client:
        with pytest.raises(WaitExpired):
            await client.generate(SONG)
    assert anyio.current_time() <= deadline * 1.3 + 1


async def test_final_files_of_a_task_that_never_ends_are_delivered_at_the_deadline() -> None:
    """Its songs have their files, and the provider goes on saying that they are in the making."""

    def for_ever(tasks: list[Task], now: float) -> list[Task]:
        return [
            attrs.evolve(task, stage=Stage.FIRST_AUDIO, settling=bool(task.songs)) for task in tasks
        ]

    provider = TimedProvider(sixty, retouch=for_ever, settle=1e6)
    async with Client(provider, poll=PollPolicy(deadline=300)) as client:
        [song] = await client.generate(SONG)
    assert song.audio_is_final


# Correcting ----------------------------------------------------------------------------------


async def test_a_wrong_id_given_to_resolve_can_be_corrected(tmp_path: Path) -> None:
    """While the client looks for it in vain, and afterwards."""
    lost = SubmitInDoubt("the answer was lost")
    provider = TimedProvider(sixty, refuse=lambda place: lost if place == 0 else None)
    provider.completes_at["right"] = 0.0
    path = tmp_path / "songs.db"
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        with pytest.raises(SubmitInDoubt):
            await client.generate(named("a song", "mine"))
        provider.completes_at["tpyo"] = 1e9
        await client.resolve("mine", task_id="tpyo")
        errors: list[UdioError] = []
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                try:
                    await client.generate(named("a song", "mine"))
                except UdioError as error:
                    errors.append(error)

            tasks.start_soon(wait)
            await anyio.sleep(50)
            await client.resolve("mine", task_id="right")
        assert isinstance(errors[0], WaitExpired)
        assert "not tpyo" in str(errors[0])
        [song] = await client.generate(named("a song", "mine"))
    assert song.id == "song-right"
    assert len(provider.sent) == 1


async def test_an_id_that_no_look_has_shown_is_not_called_paid(tmp_path: Path) -> None:
    """Its owner gave it, and may have mistyped it; the task of another job is paid for."""
    lost = SubmitInDoubt("the answer was lost")
    provider = TimedProvider(sixty, refuse=lambda place: lost if place == 0 else None)
    provider.completes_at["tpyo"] = 1e9
    path = tmp_path / "songs.db"
    async with Client(provider, journal=SqliteJournal(path, threaded=False)) as client:
        with pytest.raises(SubmitInDoubt):
            await client.generate(named("a song", "mine"))
        await client.resolve("mine", task_id="tpyo")
        jobs = [await client.submit(named("a song", key)) for key in ("mine", "other")]
    said = []
    for job in jobs:
        with pytest.raises(WaitExpired) as caught:
            await job.songs()
        said.append(caught.value.charged)
    assert said == ["unknown", "yes"]


# Another key ---------------------------------------------------------------------------------


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_new_key_of_the_same_account_goes_on(tmp_path: Path) -> None:
    """The provider shows it a task of the journal; where it does not, the owner says it once."""
    path = tmp_path / "songs.db"
    async with Sandbox(speed=600) as sandbox:
        old: UdioApiV2 = sandbox.udioapi_v2()
        new: Provider = attrs.evolve(old, api_key=ApiKey("wrong"))
        async with Client(old, journal=path) as client:
            await client.generate(named("a song", "mine"))
        with pytest.raises(AuthenticationFailed):  # it is none yet
            async with Client(new, journal=path):
                pass
        with pytest.raises(InvalidRequest, match="same_account=True"):
            await hand_over(path, new, same_account=False)
        await hand_over(path, new, same_account=True)
        async with Client(new, journal=path) as client:
            assert await client.generate(named("a song", "mine"))
        # A key to which the provider shows the task needs nobody's word.
        async with Client(old, journal=path) as client:
            assert await client.generate(named("a song", "mine"))
        with pytest.raises(AnotherAccount, match="with udioapi-v2, and this is apiframe; take ud"):
            await hand_over(path, sandbox.apiframe(), same_account=True)
        assert len(sandbox.ledger) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_journal_that_took_nothing_is_nobodys(tmp_path: Path) -> None:
    """A first run with a wrong key leaves nothing that the right one has to take over."""
    path = tmp_path / "songs.db"
    async with Sandbox(speed=600) as sandbox:
        right: UdioApiV2 = sandbox.udioapi_v2()
        wrong: Provider = attrs.evolve(right, api_key=ApiKey("wrong"))
        async with Client(wrong, journal=path) as client:
            with pytest.raises(AuthenticationFailed):
                await client.generate(named("a song", "mine"))
        with pytest.raises(AnotherAccount, match="with udioapi-v2, and this is apiframe"):
            async with Client(sandbox.apiframe(), journal=path):
                pass
        async with Client(right, journal=path) as client:
            assert await client.generate(named("a song", "mine"))
            audit = await client.audit()
        assert audit is not None, "its counter is noted as if it began now"
        assert audit.difference == 0
        with pytest.raises(AuthenticationFailed):
            async with Client(wrong, journal=path):
                pass


def entry_of(state: JournalState, **known: Any) -> Entry:  # noqa: ANN401 - any field
    return Entry(key="mine", provider="udioapi-v2", request={}, state=state, **known)


@pytest.mark.parametrize(
    ("entry", "is_nobodys"),
    [
        (entry_of(S.PLANNED), True),
        (entry_of(S.REFUSED), True),
        (entry_of(S.NOT_SENT), True),
        (entry_of(S.FORGOTTEN), True),
        (entry_of(S.NOT_SENT, told=True), False),
        (entry_of(S.FORGOTTEN, told=True), False),
        (entry_of(S.SENDING), False),
        (entry_of(S.IN_DOUBT), False),
        (entry_of(S.ABANDONED), False),
        (entry_of(S.ACCEPTED, task_id="1"), False),
        (entry_of(S.DELIVERED, task_id="1"), False),
        (entry_of(S.FAILED, task_id="1"), False),
    ],
)
async def test_what_may_have_been_taken_is_somebodys(entry: Entry, is_nobodys: bool) -> None:
    """Also where its owner has said since that it may be submitted again."""
    journal = MemoryJournal()
    async with journal.open("an account"):
        await journal.add(entry)
        assert await is_untouched(journal) is is_nobodys


# Files ---------------------------------------------------------------------------------------


@asynccontextmanager
async def cdn() -> AsyncGenerator[FaultServer]:
    """Serves any file but those whose name says that they are gone."""

    async def behave(connection: Connection) -> None:
        while True:
            request = await connection.request()
            gone = "gone" in request.line
            await connection.send(faults.http(404) if gone else faults.http(200, MP3, AUDIO))

    async with FaultServer(behave) as server:
        yield server


def links(server: FaultServer) -> Any:  # noqa: ANN401  # a retouch
    def retouch(tasks: list[Task], now: float) -> list[Task]:
        return [
            attrs.evolve(
                task,
                songs=tuple(
                    attrs.evolve(
                        song, audio_url=f"{server.url}/{'gone' if task.id == '0' else task.id}.mp3"
                    )
                    for song in task.songs
                ),
            )
            for task in tasks
        ]

    return retouch


def local(provider: TimedProvider) -> TimedProvider:
    return LocalProvider(
        **{
            field.name: getattr(provider, field.name)
            for field in attrs.fields(TimedProvider)
            if field.init and not field.name.startswith("_")
        }
    )


def quick(server: FaultServer) -> TimedProvider:
    """Make a provider whose songs take no time, and are served by `server`."""
    return local(
        TimedProvider(
            lambda _: 0.05, min_interval=0.01, typical_duration=0.05, retouch=links(server)
        )
    )


class LocalProvider(TimedProvider):
    """On this machine, so that its links may be."""

    def account(self) -> Any:  # noqa: ANN401  # as the original
        return attrs.evolve(super().account(), base_url="http://127.0.0.1:9")


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_arrived_of_a_failed_task_is_saved_before_its_error_comes(
    tmp_path: Path,
) -> None:
    """By the README's loop. The job is delivered once the file is there, which is fetched once."""
    lost = Failure(message="server overload")
    async with cdn() as server:

        def half(tasks: list[Task], _: float) -> list[Task]:
            link = f"{server.url}/there.mp3"
            return [with_one_lost(task, link, lost) for task in tasks]

        provider = local(TimedProvider(lambda _: 0.0, min_interval=0.01, retouch=half))
        ends, states = [], []
        for _ in range(3):
            async with (
                Client(provider, journal=tmp_path / "songs.db") as client,
                client.generate_many(["a song"]) as batch,
            ):
                async for outcome in batch:
                    with pytest.raises(UdioError) as caught:
                        await client.download(outcome, tmp_path / "songs", patience=0)
                    ends.append(type(caught.value))
                states += [job.state async for job in client.jobs()]
        assert len(server.requests) == 1
    assert ends == [GenerationFailed] * 3
    assert states == [S.DELIVERED] * 3
    assert len(list((tmp_path / "songs").iterdir())) == 1
    assert len(provider.sent) == 1


def with_one_lost(task: Task, link: str, lost: Failure) -> Task:
    """The task as failed: its song is there, another one is not."""
    (song,) = task.songs
    made = attrs.evolve(song, audio_url=link)
    other = attrs.evolve(
        song,
        id="lost",
        index=1,
        stage=Stage.FAILED,
        error=lost,
        audio_url=None,
        audio_is_final=False,
    )
    return attrs.evolve(task, stage=Stage.FAILED, error=lost, songs=(made, other))


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_arrived_of_a_failed_task_and_is_not_served_is_handed_out_again(
    tmp_path: Path,
) -> None:
    """Its download fails, so the job stays: the next run tries again."""
    async with cdn() as server:
        lost, link = Failure(message="server overload"), f"{server.url}/gone.mp3"
        provider = local(
            TimedProvider(
                lambda _: 0.0,
                min_interval=0.01,
                retouch=lambda tasks, _: [with_one_lost(task, link, lost) for task in tasks],
            )
        )
        async with Client(provider, journal=tmp_path / "songs.db") as client:
            async with client.generate_many(["a song"]) as batch:
                async for outcome in batch:
                    with pytest.raises(DownloadFailed):
                        await client.download(outcome, tmp_path / "songs", patience=0)
            assert [job.state async for job in client.jobs()] == [S.READY]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_dead_link_comes_last_and_costs_no_other_song(tmp_path: Path) -> None:
    """A program that stops at the first error: run again, it gets all but that one."""
    async with cdn() as server:
        provider = quick(server)
        ends = []
        for _ in range(2):
            try:
                async with (
                    Client(provider, journal=tmp_path / "songs.db") as client,
                    client.generate_many([f"song {n}" for n in range(8)], max_active=2) as batch,
                ):
                    async for outcome in batch:
                        await client.download(outcome, tmp_path / "songs", patience=0)
            except DownloadFailed as error:
                ends.append(type(error).__name__)
        async with Client(provider, journal=tmp_path / "songs.db") as client:
            [left] = [job async for job in client.jobs([S.READY])]
            assert "NotServedYet" in left.undelivered
            [outcome] = await resumed(client)
    assert outcome.task_id == "0"
    assert ends == ["NotServedYet"] * 2
    assert len(list((tmp_path / "songs").iterdir())) == 7
    assert len(provider.sent) == 8


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_input_that_waits_for_a_song_that_comes_late_gets_it(tmp_path: Path) -> None:
    """It could not be saved before, so others go first; but here there are none."""
    async with cdn() as server:
        provider = quick(server)
        async with Client(provider, journal=tmp_path / "songs.db") as client:
            songs = await client.generate(named("first", "1"))
            with pytest.raises(DownloadFailed):
                await client.download(songs, tmp_path / "songs", patience=0)
        had = anyio.Event()

        async def one_by_one() -> AsyncGenerator[SongRequest]:
            yield named("first", "1")
            await had.wait()
            yield named("second", "2")

        keys = []
        async with (
            Client(provider, journal=tmp_path / "songs.db") as client,
            client.generate_many(one_by_one()) as batch,
        ):
            with anyio.fail_after(30):
                async for outcome in batch:
                    keys.append(outcome.job_key)
                    had.set()
    assert keys == ["1", "2"]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_one_song_of_two_saved_is_half_a_delivery(tmp_path: Path) -> None:
    """The other one is still handed out; both together are the end."""
    async with Sandbox(speed=600) as sandbox:
        async with Client(sandbox.udioapi_v2(), journal=tmp_path / "songs.db") as client:
            songs = await client.generate(named("a song", "mine"))
            await client.download(songs[0], tmp_path)
            [job] = [job async for job in client.jobs()]
            assert (job.state, job.saved) == (S.READY, (songs[0].id,))
        async with Client(sandbox.udioapi_v2(), journal=tmp_path / "songs.db") as client:
            [outcome] = await resumed(client)
            await client.download(outcome, tmp_path)
            assert await states(client) == {"mine": S.DELIVERED}


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_songs_that_two_tasks_number_alike_are_two_files(tmp_path: Path) -> None:
    """A name on disk is made of provider, task and song."""
    async with cdn() as server, Client(local(TimedProvider(sixty))) as client:
        one = Song(
            id="1",
            task_id="A",
            provider="timed",
            index=0,
            stage=Stage.COMPLETE,
            audio_url=f"{server.url}/a.mp3",
            audio_is_final=True,
        )
        saved = await client.download([one, attrs.evolve(one, task_id="B")], tmp_path)
        assert len({each.path for each in saved}) == 2
        assert len(server.requests) == 2


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_download_ends_with_its_client(tmp_path: Path) -> None:
    """It says so, and leaves no part."""
    folder, errors = anyio.Path(tmp_path), list[Exception]()
    async with FaultServer(faults.stall(faults.http(200, MP3, AUDIO)[:500])) as server:
        client = Client(local(TimedProvider(sixty)))
        song = Song(
            id="1",
            task_id="A",
            provider="timed",
            index=0,
            stage=Stage.COMPLETE,
            audio_url=f"{server.url}/a.mp3",
            audio_is_final=True,
        )

        async def fetch() -> None:
            try:
                await client.download(song, tmp_path)
            except UdioError as error:
                errors.append(error)

        async with in_a_task(client) as close, anyio.create_task_group() as tasks:
            tasks.start_soon(fetch)
            await server.wait_for(lambda: len(server.requests) == 1)
            with anyio.fail_after(5):
                await close()
    assert isinstance(errors[0], DownloadFailed)
    assert "client" in str(errors[0])
    assert [path async for path in folder.iterdir()] == []


def test_a_native_cancellation_of_generate_loses_no_song() -> None:
    """`asyncio.timeout` around it, in the same client."""

    async def main() -> int:
        provider = TimedProvider(sixty)
        async with Client(provider) as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await client.generate(SONG)
            await asyncio.sleep(100)
            return len(await resumed(client))

    _, options = virtual_backend("asyncio")
    with asyncio.Runner(loop_factory=options["loop_factory"]) as runner:
        assert runner.run(main()) == 1
