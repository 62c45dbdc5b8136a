"""Callbacks say when to look, settle what is in doubt, and are believed from nobody else."""

import gzip
import json
import random
import shutil
import zlib
from collections.abc import Callable, Mapping
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import anyio
import attrs
import pytest

from tests.kit.asgi import call, said
from tests.kit.called_back import (
    LINKS,
    PUBLIC,
    in_doubt,
    journal_at,
    line_to,
    lose,
    provider_with,
)
from tests.kit.clocks import virtual_backend
from tests.kit.timed import NO_HTTP, SONG, TimedProvider
from udio_async import (
    CallbackAddress,
    CallbackNews,
    Callbacks,
    Client,
    Failure,
    GenerationFailed,
    InvalidRequest,
    Job,
    JournalEntry,
    JournalError,
    JournalState,
    MemoryJournal,
    RequestRefused,
    SqliteJournal,
    Stage,
    SubmitInDoubt,
    Task,
    UdioApiV2,
    Unreachable,
    UpstreamFailed,
    WaitExpired,
)
from udio_async.providers.udioapi_feed import read_callback

STAGES = ("text", "first", "complete")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, Mapping[str, Any]]:
    return virtual_backend(request.param)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(3)  # of the jitter


# When to look --------------------------------------------------------------------------------


async def test_a_song_that_calls_is_looked_at_once_and_at_once() -> None:
    """Its text and its first audio interest nobody here."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        for stage, wait in zip(STAGES, (10, 30, 20.5), strict=True):
            await anyio.sleep(wait)
            assert await line.post(said(stage, task_id=job.task_id)) == 200
        await job.songs()
    assert len(line.provider.looks) == 1
    assert line.provider.lags == pytest.approx([0.5], abs=0.01)


async def test_whoever_follows_a_song_gets_a_look_for_each_stage_it_calls() -> None:
    """The provider in memory knows no stage before the end, so nothing came of the first look."""
    async with line_to(provider_with(min_interval=100.0)) as line:
        job = await line.client.submit(SONG)
        updates = job.updates()
        await anyio.sleep(10)
        await line.post(said("text", task_id=job.task_id))
        await anyio.sleep(51)
        await line.post(said("complete", task_id=job.task_id))
        assert [task.stage async for task in updates] == [Stage.PROCESSING, Stage.COMPLETE]
    assert [look.at for look in line.provider.looks] == pytest.approx([10, 61], abs=0.01)


async def test_without_callbacks_the_schedule_goes_on() -> None:
    """At an address that nobody calls, all that is missing is the early look."""
    looks = []
    for callbacks in (True, False):
        provider = provider_with()
        async with Client(provider) as client:
            if callbacks:
                client.callbacks(PUBLIC)
            random.seed(3)
            await client.generate(SONG)
        looks.append([look.at - provider.sent[0] for look in provider.looks])
        assert provider.lags[0] < 15
    assert looks[1][0] < 15 < looks[0][0]
    assert len(looks[0]) > 1


async def test_callbacks_that_stop_coming_are_not_waited_for_for_ever() -> None:
    """After a first word the poller waits until the song would be late, and then looks."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        await anyio.sleep(10)
        await line.post(said("text", task_id=job.task_id))
        await job.songs()
    assert 60 < line.provider.seen_at["0"] < 250
    assert len(line.provider.looks) <= 2


async def test_a_callback_ahead_of_the_feed_is_followed_by_the_schedule() -> None:
    """It says complete at 40 s; the feed shows it at 60 s."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        await anyio.sleep(40)
        await line.post(said("complete", task_id=job.task_id))
        await job.songs()
    assert 40 in [round(look.at, 2) for look in line.provider.looks]
    assert line.provider.lags[0] < 15
    assert len(line.provider.looks) < 8


async def test_a_callback_before_the_answer_of_the_submit_is_remembered() -> None:
    """The song is complete before we know its id; it is looked at as soon as we do."""
    provider = provider_with(durations=lambda _: 0.0, submit_time=20.0)
    async with line_to(provider) as line, anyio.create_task_group() as tasks:
        jobs: list[Job] = []

        async def submit() -> None:
            jobs.append(await line.client.submit(SONG))

        tasks.start_soon(submit)
        await anyio.sleep(5)
        assert await line.post(said("complete", task_id="0")) == 200
        await anyio.sleep(16)
        await jobs[0].songs()
        assert [look.at for look in provider.looks] == pytest.approx([20], abs=0.01)


async def test_what_comes_before_the_answer_is_remembered_in_any_order() -> None:
    """The last callback comes first; those after it do not take it back."""
    provider = provider_with(durations=lambda _: 0.0, submit_time=20.0)
    async with line_to(provider) as line, anyio.create_task_group() as tasks:
        tasks.start_soon(line.client.generate, SONG)
        await anyio.sleep(5)
        for stage in reversed(STAGES):
            assert await line.post(said(stage, task_id="0")) == 200
    assert [look.at for look in provider.looks] == pytest.approx([20], abs=0.01)


async def test_a_hundred_callbacks_for_one_song_are_at_most_a_look_a_second() -> None:
    """Every one of them says that it is complete, which the feed does not confirm."""
    async with line_to(provider_with(durations=lambda _: 1e4), poll=None) as line:
        job = await line.client.submit(SONG)
        for _ in range(100):
            await anyio.sleep(0.05)
            assert await line.post(said("complete", task_id=job.task_id)) == 200
        assert len(line.provider.looks) <= 6


@pytest.mark.parametrize("order", [*permutations(STAGES), STAGES * 2, STAGES[::-1] * 2])
async def test_any_order_and_repetition_ends_as_polling_does(order: tuple[str, ...]) -> None:
    """Late ones, too: after the end they change nothing."""
    async with line_to(provider_with(), journal=MemoryJournal()) as line:
        job = await line.client.submit(SONG)
        for stage in order:
            await anyio.sleep(20)
            assert await line.post(said(stage, task_id=job.task_id)) == 200
        songs = await job.songs()
        for stage in order:
            assert await line.post(said(stage, task_id=job.task_id)) == 200
    provider = provider_with()
    async with Client(provider) as client:
        assert await client.generate(SONG) == songs


# Who is calling ------------------------------------------------------------------------------


async def test_each_attempt_has_an_address_of_its_own() -> None:
    """Long and unguessable, below the public URL, with a secret."""
    async with line_to(provider_with()) as line:
        for _ in range(20):
            await line.client.submit(SONG)
    addresses = [address for address in line.provider.given if address is not None]
    tokens = [address.url.removeprefix(f"{PUBLIC}/") for address in addresses]
    assert len(set(tokens)) == len({address.secret for address in addresses}) == 20
    assert all(len(token) == 64 for token in tokens)
    assert all(address.secret and address.secret not in repr(address) for address in addresses)


async def test_forged_callbacks_change_nothing() -> None:
    """Each part wrong in turn; the true one still counts."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        other = await line.client.submit(SONG)
        true, body = line.address(), said("complete", task_id=job.task_id)
        token = true.url.rpartition("/")[2]
        wrong = [token[:-1] + ("0" if token[-1] != "0" else "1"), token[1:], token.upper() + "0"]
        wrong += [line.address(1).url.rpartition("/")[2][:32] + token[32:], "", "..", "x" * 64]
        for forged in wrong:
            assert await line.post(body, url=f"{PUBLIC}/{forged}") == 404
        for secret in ("", "x", line.address(1).secret, f"{true.secret} "):
            assert await line.post(body, secret=secret) == 401
        for nonsense in (b"", b"[", b"null", b'{"stage": "nonsense"}', b"\xff" * 100):
            assert await line.post(nonsense) == 400
        await anyio.sleep(1)
        assert line.provider.looks == []
        assert await line.post(body) == 200
        await anyio.sleep(1)
        assert [look.task_ids for look in line.provider.looks] == [(job.task_id,)]
        assert not other.task.stage.is_final


async def test_only_a_small_post_that_comes_in_time_is_read() -> None:
    """Anything else is refused before its body is."""
    async with line_to(provider_with()) as line:
        await line.client.submit(SONG)
        url, secret = line.address().url, line.address().secret or ""
        good = {"x-secret": secret}
        assert await call(line.app, url, method="GET", headers=good) == 405
        assert await call(line.app, url, b" " * (1024 * 1024 + 1), headers=good) == 413
        many = {**good, **{f"x-{number}": "x" * 1000 for number in range(20)}}
        assert await call(line.app, url, headers=many) == 431
        slow = [(4.0, b" ")] * 10
        began = anyio.current_time()
        assert await call(line.app, url, headers=good, chunks=slow) == 408
        assert anyio.current_time() - began == pytest.approx(10)


async def test_a_callback_may_be_zipped_and_end_with_a_slash() -> None:
    """As some gateways post it; a bomb is not unpacked."""
    async with line_to(provider_with()) as line:
        for place in range(2):
            job = await line.client.submit(SONG)
            body = gzip.compress(said("complete", task_id=job.task_id))
            url = f"{line.address(place).url}/"
            assert await line.post(body, place, url=url) == 200
        assert await line.post(gzip.compress(bytes(1024 * 1024 + 1))) == 413
        assert await line.post(b"\x1f\x8b" + bytes(20)) == 400
        await anyio.sleep(1)
        assert len(line.provider.looks) == 2


PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip in two parts": lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]),
    "gzip and zeros": lambda body: gzip.compress(body) + bytes(8),
    "zlib": zlib.compress,
    "zlib, fast": lambda body: zlib.compress(body, 1),
    "a form": lambda body: b"data=" + quote(body).encode(),
    "a form with more": lambda body: b"payload=" + quote_plus(body).encode() + b"&a=b",
    "zeros and line ends": lambda body: body + b"\n\n\0",
    "wide letters": lambda body: body.decode().encode("utf-16-le"),
    "wide letters with a mark": lambda body: body.decode().encode("utf-16"),
}


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
async def test_a_callback_may_come_in_what_gateways_put_around_it(
    packed: Callable[[bytes], bytes],
) -> None:
    """In a form, compressed in one part or several, or with zero bytes behind it."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        assert await line.post(packed(said("complete", task_id=job.task_id))) == 200
        await anyio.sleep(1)
        assert len(line.provider.looks) == 1


async def test_many_small_parts_are_not_unpacked_without_end() -> None:
    """Neither their number nor what they hold together is without a limit."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        body = said("complete", task_id=job.task_id)
        assert await line.post(gzip.compress(bytes(400_000)) * 3) == 413
        assert await line.post(gzip.compress(b"") * 99 + gzip.compress(body)) == 200
        assert await line.post(gzip.compress(b"") * 100 + gzip.compress(body)) == 400


async def test_slow_callers_do_not_take_all_places_for_ever() -> None:
    """At most 64 are read at once, the others hear "try again"."""
    async with line_to(provider_with()) as line, anyio.create_task_group() as tasks:
        await line.client.submit(SONG)
        url, good = line.address().url, {"x-secret": line.address().secret or ""}
        statuses: list[int] = []

        async def drip() -> None:
            statuses.append(await call(line.app, url, headers=good, chunks=[(100.0, b"x")]))

        for _ in range(70):
            tasks.start_soon(drip)
        await anyio.sleep(1)
        assert statuses == [503] * 6
        await anyio.sleep(10)
        assert statuses == [503] * 6 + [408] * 64
        assert await line.post(said("text", task_id="0")) == 200


async def test_secrets_can_be_rotated() -> None:
    """What was given out before stays good for one rotation."""
    async with line_to(provider_with()) as line:
        job = await line.client.submit(SONG)
        body = said("text", task_id=job.task_id)
        await line.app.rotate()
        assert await line.post(body) == 200
        await line.client.submit(SONG)
        assert await line.post(body, 1) == 200
        await line.app.rotate()
        assert await line.post(body) == 404
        assert await line.post(body, 1) == 200


async def test_the_journal_knows_no_address_and_no_song_secret(tmp_path: Path) -> None:
    """Whoever reads the file cannot pretend to be the provider of a song that he knows of."""
    path = tmp_path / "songs.db"
    journal = SqliteJournal(path, threaded=False)
    async with line_to(provider_with(), journal=journal) as line:
        await line.client.submit(SONG)
        address = line.address()
        content = everything_in(tmp_path)
    assert b"callback " in content  # the marks are there
    assert address.url.rpartition("/")[2].encode() not in content
    assert address.secret is not None
    assert address.secret.encode() not in content


def everything_in(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


async def test_a_closed_client_asks_to_try_again() -> None:
    """A server may be up before its client, and after."""
    async with line_to(provider_with()) as line:
        await line.client.submit(SONG)
    assert await line.post(said("complete", task_id="0")) == 503


# Healing -------------------------------------------------------------------------------------


async def test_an_id_settles_a_doubt(tmp_path: Path) -> None:
    """The song is looked at, and the same job again has it without another submit."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        number = await line.provider.submit(NO_HTTP, SONG)
        assert await line.post(said("text", task_id=number)) == 200
        assert await line.client.doubts() == []
        await anyio.sleep(100)
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
        assert [song.task_id for song in songs] == [number]
        assert not songs[0].unverified
    assert [event.kind for event in line.events].count("healed") == 1
    assert len(line.provider.sent) == 2  # the lost one, and the one by hand


async def test_the_id_of_another_job_changes_none(tmp_path: Path) -> None:
    """It wakes a look at an accepted song of our own, and leaves a doubt a doubt."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        first, second = [await line.client.submit(SONG) for _ in range(2)]
        await anyio.sleep(50)
        body = said("complete", task_id=second.task_id)
        before = len(line.provider.looks)
        assert await line.post(body, 1) == 200
        await anyio.sleep(1)
        looked_at = [look.task_ids for look in line.provider.looks[before:]]
        assert (first.task_id,) in looked_at
        assert await line.post(body, 0) == 200
        [doubt] = await line.client.doubts()
        assert doubt.task_id is None
        assert [song.task_id for song in await first.songs()] == [first.task_id]


async def test_a_task_that_was_named_wrongly_ends_for_whoever_waits_for_it(tmp_path: Path) -> None:
    """A callback names the right one; what becomes of the other one changes nothing any more."""
    async with in_doubt(journal=journal_at(tmp_path)) as line, anyio.create_task_group() as tasks:
        right = await line.provider.submit(NO_HTTP, SONG)
        wrong = await line.provider.submit(NO_HTTP, SONG)
        mine = attrs.evolve(SONG, key="mine")
        await line.client.resolve("mine", task_id=wrong)

        async def wait() -> None:
            with pytest.raises(
                WaitExpired, match=f"is {right}, and not {wrong}; ask for the job again"
            ):
                await line.client.generate(mine)

        tasks.start_soon(wait)
        await anyio.sleep(5)
        assert await line.post(said("text", task_id=right)) == 200
        await anyio.sleep(100)
        songs = await line.client.generate(mine)
        assert [song.task_id for song in songs] == [right]


@pytest.mark.parametrize("said_by", ["callback", "owner"])
async def test_a_look_at_the_wrong_task_comes_too_late(said_by: str, tmp_path: Path) -> None:
    """It is on the wire when the right task is named; its songs are those of nobody's job."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        right, wrong = [await line.provider.submit(NO_HTTP, SONG) for _ in range(2)]
        await line.client.resolve("mine", task_id=wrong)
        await anyio.sleep(70)  # both are complete
        line.provider.answer_time = 8.0
        job = await line.client.submit(attrs.evolve(SONG, key="mine"))
        await anyio.sleep(2)
        assert [look.task_ids for look in line.provider.looks] == [(wrong,)]
        if said_by == "callback":
            assert await line.post(said("text", task_id=right)) == 200
        else:
            await line.client.resolve("mine", task_id=right)
        await anyio.sleep(100)
        with pytest.raises(WaitExpired):
            await job.songs()
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert [song.task_id for song in songs] == [right]
    ends = [event.task.id for event in line.events if event.kind == "finished" and event.task]
    assert ends == [wrong, right]


async def test_an_id_that_a_callback_has_confirmed_is_not_called_doubtful(tmp_path: Path) -> None:
    """Nobody can look for so long that the wait expires: the song is paid for, and its id true."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        number = await line.provider.submit(NO_HTTP, SONG)
        await line.client.resolve("mine", task_id=number)
        line.provider.broken = lambda _now: Unreachable("no route", sent=False)
        job = await line.client.submit(attrs.evolve(SONG, key="mine"))
        assert await line.post(said("text", task_id=number)) == 200
        with pytest.raises(WaitExpired) as caught:
            await job.songs()
        assert caught.value.charged == "yes"
        assert "you gave this id" not in str(caught.value)


@pytest.mark.parametrize("news", [{"task_id": "7"}, {"songs": LINKS}], ids=["id", "songs"])
async def test_a_callback_before_a_lost_answer_leaves_no_doubt(
    news: dict[str, Any], tmp_path: Path
) -> None:
    """The caller gets the song as if the answer had come."""
    provider = lose(provider_with(submit_time=20.0))
    provider.completes_at["7"] = 0.0
    async with (
        line_to(provider, journal=journal_at(tmp_path)) as line,
        anyio.create_task_group() as tasks,
    ):
        jobs: list[Job] = []

        async def submit() -> None:
            jobs.append(await line.client.submit(SONG))

        tasks.start_soon(submit)
        await anyio.sleep(5)
        assert await line.post(said("complete", **news)) == 200
        await anyio.sleep(16)
        unverified = [song.unverified for song in await jobs[0].songs()]
        assert unverified == ([True, True] if "songs" in news else [False])
        assert await line.client.doubts() == []


async def test_a_failure_before_a_lost_answer_is_the_error_of_the_submit(tmp_path: Path) -> None:
    """It was taken, and came to nothing: that is no doubt."""
    provider = lose(provider_with(submit_time=20.0))
    async with (
        line_to(provider, journal=journal_at(tmp_path)) as line,
        anyio.create_task_group() as tasks,
    ):

        async def submit() -> None:
            with pytest.raises(GenerationFailed, match="no luck"):
                await line.client.submit(SONG)

        tasks.start_soon(submit)
        await anyio.sleep(5)
        assert await line.post(said("failed", songs=LINKS)) == 200


async def test_songs_without_an_id_settle_a_doubt_unverified(tmp_path: Path) -> None:
    """No look can confirm them, and they say so."""
    journal = journal_at(tmp_path)
    async with in_doubt(journal=journal) as line:
        for stage in ("first", "text"):
            assert await line.post(said(stage, songs=LINKS)) == 200
            assert len(await line.client.doubts()) == 1
        assert await line.post(said("complete", songs=LINKS)) == 200
        assert await line.post(said("text", songs=LINKS)) == 200
        assert await line.client.doubts() == []
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert [song.audio_url for song in songs] == LINKS
    assert all(song.unverified and song.stage is Stage.COMPLETE for song in songs)
    [healed] = [event.task for event in line.events if event.kind == "healed"]
    assert healed is not None
    assert healed.songs == songs
    assert len(line.provider.sent) == 1


@pytest.mark.parametrize("shown", ["not known", "no songs", "failed", "nothing else"])
async def test_songs_beside_an_id_that_no_look_knows_are_handed_out(
    shown: str, tmp_path: Path
) -> None:
    """It is that of the service behind the provider: the look has nothing, the callback has all."""

    def look(tasks: list[Task], _: float) -> list[Task]:
        if shown == "not known":
            raise RequestRefused("no such task", provider="timed")
        lost = Failure(message="no luck")
        stage = Stage.FAILED if shown == "failed" else Stage.PROCESSING
        error = lost if shown == "failed" else None
        settling = shown == "no songs"
        return [attrs.evolve(task, stage=stage, songs=(), error=error, settling=settling)
                for task in tasks]  # fmt: skip

    journal = journal_at(tmp_path)
    async with in_doubt(journal=journal) as line:
        line.provider.retouch = look
        line.provider.completes_at["upstream-77"] = 0.0
        assert await line.post(said("first", task_id="upstream-77", songs=LINKS)) == 200
        assert await line.post(said("complete", task_id="upstream-77", songs=LINKS)) == 200
        assert await line.client.doubts() == []
        await anyio.sleep(4000)
        entry = await journal.get("mine")
        assert entry is not None
        if shown == "nothing else":  # it may still be made: the next run looks again
            assert (entry.state, len(entry.songs)) == (JournalState.ACCEPTED, 2)
            return
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert [song.audio_url for song in songs] == LINKS
    assert all(song.unverified for song in songs)
    assert len(line.provider.sent) == 1


async def test_songs_that_come_after_their_unknown_id_has_failed_are_handed_out(
    tmp_path: Path,
) -> None:
    """The first callback brings the id, and texts only; the last one brings the songs."""

    def none(tasks: list[Task], _: float) -> list[Task]:
        lost = Failure(message="no luck")
        return [attrs.evolve(task, stage=Stage.FAILED, songs=(), error=lost) for task in tasks]

    async with in_doubt(journal=journal_at(tmp_path)) as line:
        line.provider.retouch = none
        line.provider.completes_at["upstream-77"] = 0.0
        assert await line.post(said("text", task_id="upstream-77", songs=LINKS)) == 200
        await anyio.sleep(100)
        with pytest.raises(GenerationFailed):
            await line.client.generate(attrs.evolve(SONG, key="mine"))
        assert await line.post(said("complete", task_id="upstream-77", songs=LINKS)) == 200
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert [song.audio_url for song in songs] == LINKS


async def test_songs_that_a_look_has_shown_count_more_than_a_callback(tmp_path: Path) -> None:
    """They may have got other ids: the same two songs are not handed out twice."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        number = await line.provider.submit(NO_HTTP, SONG)
        assert await line.post(said("complete", task_id=number, songs=LINKS)) == 200
        await anyio.sleep(100)
        [song] = await line.client.generate(attrs.evolve(SONG, key="mine"))
        assert (song.id, song.unverified) == (f"song-{number}", False)


async def test_a_failure_settles_a_doubt(tmp_path: Path) -> None:
    """It was taken, and came to nothing."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        assert await line.post(said("failed", songs=LINKS)) == 200
        with pytest.raises(Exception, match="no luck") as caught:
            await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert not isinstance(caught.value, (SubmitInDoubt, UpstreamFailed))
    assert len(line.provider.sent) == 1


class PostsOneByOne(TimedProvider):
    """Calls as udioapi does, with the songs and no id of their task."""

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        return read_callback(body, provider=self.name)


@pytest.mark.parametrize("around", ["", "data", "result", "response_data"])
async def test_one_failed_song_by_itself_ends_no_doubt(around: str, tmp_path: Path) -> None:
    """The other one may be well: it comes later, in the same envelope, and is delivered."""
    failed = {"id": "a", "status": "failed", "error_message": "no luck", "audio_url": ""}
    well = {"id": "b", "status": "complete", "audio_url": LINKS[1]}
    provider = lose(PostsOneByOne(lambda _: 60.0, callbacks="task"))
    async with line_to(provider, journal=journal_at(tmp_path)) as line:
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(attrs.evolve(SONG, key="mine"))
        for song, status in ((failed, 400), (well, 200)):
            assert len(await line.client.doubts()) == 1
            body = json.dumps({around: song} if around else song).encode()
            assert await line.post(body) == status
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert [song.audio_url for song in songs] == [LINKS[1]]
    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    "link",
    ["http://127.0.0.1/a", "https://127.0.0.1/a", "https://169.254.169.254/", "file:///a"],
)
async def test_unverified_links_lead_to_the_public_internet_or_nowhere(
    link: str, tmp_path: Path
) -> None:
    """The other song is delivered."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        assert await line.post(said("complete", songs=[LINKS[0], link])) == 200
        good, bad = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert good.audio_url == LINKS[0]
    assert bad.audio_url is None
    assert bad.error is not None


@pytest.mark.parametrize("scheme", ["http", "HTTPS"])
async def test_unverified_links_are_taken_by_https(scheme: str, tmp_path: Path) -> None:
    """However the provider writes them."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        links = [link.replace("https", scheme) for link in LINKS]
        assert await line.post(said("complete", songs=links)) == 200
        songs = await line.client.generate(attrs.evolve(SONG, key="mine"))
    assert [song.audio_url for song in songs] == LINKS


async def test_songs_without_ids_are_each_their_jobs_own(tmp_path: Path) -> None:
    """Numbers alone would be the same in every job: one song would stand for another on disk."""
    provider = provider_with()
    provider.refuse = lambda _: SubmitInDoubt("the answer was lost")
    ids: list[str] = []
    async with line_to(provider, journal=journal_at(tmp_path)) as line:
        for place, key in enumerate(("a", "b")):
            request = attrs.evolve(SONG, key=key)
            with pytest.raises(SubmitInDoubt):
                await line.client.submit(request)
            told = said("complete", songs=LINKS, ids=["-0", "-1"])
            assert await line.post(told, place) == 200
            ids += [song.id for song in await line.client.generate(request)]
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"stage": "complete", "songs": LINKS[:1]}, {"stage": "complete", "songs": LINKS}),
        (
            {"stage": "first", "songs": LINKS, "ids": ["u0", "u1"]},
            {"stage": "complete", "songs": LINKS},
        ),
    ],
    ids=["one song, then both", "other ids in the end"],
)
async def test_callbacks_of_a_job_without_a_task_tell_more_and_more(
    before: dict[str, Any], after: dict[str, Any], tmp_path: Path
) -> None:
    """No look will ever tell the rest."""
    async with in_doubt(journal=journal_at(tmp_path)) as line:
        for told in (before, after):
            assert await line.post(said(**told)) == 200
        async with line.client.resume() as batch:
            [outcome] = [outcome async for outcome in batch]
    assert [song.id for song in outcome.songs] == ["song 0", "song 1"]


async def test_a_callback_for_a_refused_submit_keeps_it_from_being_paid_again(
    tmp_path: Path,
) -> None:
    """The answer said no, the callback proves yes."""
    provider = provider_with(refuse=lambda _: UpstreamRefusal)
    key = attrs.evolve(SONG, key="mine")
    async with line_to(provider, journal=journal_at(tmp_path)) as line:
        with pytest.raises(InvalidRequest):
            await line.client.submit(key)
        assert await line.post(said("text", songs=LINKS)) == 200
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(key)
    assert len(provider.sent) == 1


UpstreamRefusal = InvalidRequest("refused")


async def test_what_was_said_while_it_was_on_the_wire_outlives_the_process(
    tmp_path: Path,
) -> None:
    """It died before the answer, and after a callback was acknowledged."""
    for news, state in (
        (said("complete", songs=LINKS), JournalState.READY),
        (said("text", task_id="7"), JournalState.ACCEPTED),
        (said("text", songs=LINKS), JournalState.IN_DOUBT),
    ):
        path, again = tmp_path / state, tmp_path / f"{state}-again"
        path.mkdir()
        provider = provider_with(submit_time=1e6)
        journal = journal_at(path)
        async with anyio.create_task_group() as tasks, line_to(provider, journal=journal) as line:
            tasks.start_soon(line.client.submit, attrs.evolve(SONG, key="mine"))
            await anyio.sleep(1)
            assert await line.post(news) == 200
            kept = await journal.get("mine")
            assert kept is not None
            assert kept.state is JournalState.SENDING
            shutil.copytree(path, again)
            tasks.cancel_scope.cancel()
        journal = journal_at(again)
        async with Client(provider_with(durations=lambda _: 1e6), journal=journal):
            settled = await journal.get("mine")
        assert settled is not None
        assert settled.state is state


class Deaf(MemoryJournal):
    """Cannot keep what callbacks say."""

    async def put(self, entry: JournalEntry, *, expected: JournalState) -> None:
        if expected is JournalState.IN_DOUBT:
            raise JournalError("the disk is full")
        await super().put(entry, expected=expected)


async def test_what_cannot_be_kept_is_not_acknowledged() -> None:
    """503, so that it may come again."""
    async with in_doubt(journal=Deaf()) as line:
        assert await line.post(said("text", task_id="7")) == 503
        assert len(await line.client.doubts()) == 1


# The address ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://songs.example.org/udio",
        "https://localhost/udio",
        "https://127.0.0.1/udio",
        "https://2130706433/udio",
        "https://0177.0.0.1/udio",
        "https://[::ffff:10.0.0.1]/udio",
        "https://192.168.0.1./udio",
        "https://user:password@songs.example.org/udio",
        "https://songs.example.org/udio?token=1",
        "https://songs.example.org/udio#part",
        "songs.example.org/udio",
    ],
)
async def test_an_address_that_cannot_be_called_is_refused_before_anything_is_sent(
    url: str,
) -> None:
    with pytest.raises(InvalidRequest):
        Client(provider_with()).callbacks(url)


async def test_a_provider_without_callbacks_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"no callbacks: leave client\.callbacks"):
        Client(UdioApiV2(api_key="k")).callbacks(PUBLIC)


async def test_a_private_address_needs_the_switch() -> None:
    client = Client(provider_with())
    assert isinstance(client.callbacks("http://127.0.0.1:8000/", allow_private=True), Callbacks)


async def test_a_doubt_that_comes_back_is_not_sent_again_by_itself(tmp_path: Path) -> None:
    """Its owner had named the task of the attempt before; `on_doubt` is about earlier runs."""
    provider = provider_with()
    provider.refuse = lambda _: SubmitInDoubt("lost", evidence="nothing came back")
    wanted = attrs.evolve(SONG, key="mine")
    async with line_to(provider, journal=journal_at(tmp_path), on_doubt="resubmit") as line:
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(wanted)
        await line.client.resolve("mine", resubmit=True)
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(wanted)
        await line.client.resolve("mine", task_id="0")
        assert await line.post(said("text", task_id="0")) == 200
        with pytest.raises(SubmitInDoubt):
            await line.client.submit(wanted)
    assert len(provider.sent) == 2
