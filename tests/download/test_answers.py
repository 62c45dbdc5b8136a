"""What keeps a file back is waited for while that can help, and then told for what it is.

Run as a program, this file prints the tables into docs/downloads.md again.
"""

import re
import time
from collections.abc import Iterable
from pathlib import Path

import anyio
import attrs
import pytest

from tests.kit import fault_server as faults
from tests.kit.clocks import virtual_backend
from tests.kit.fault_server import Behaviour
from tests.kit.sounds import FTYP, MDAT, MP3_FRAME, mp4_index, wav
from tests.kit.timed import TimedProvider
from udio_async import (
    DownloadFailed,
    JournalEntry,
    JournalState,
    LinkExpired,
    MemoryJournal,
    NotAudio,
    NotServedYet,
    Song,
    Task,
    Truncated,
)
from udio_async._download import Saved, Source
from udio_async._download.answers import BYTES, RULES, Rule, rule_of
from udio_async._download.disk import DISK_RULES, WRITING, DiskRule
from udio_async._formats import measure
from udio_async.testing import RecordedHttp

from .kit import FILE, MP3, SECONDS, Provider, Waits, bench, song_at, then_file, waits

__all__ = ["waits"]  # a fixture

PAGE = Path(__file__).parents[2] / "docs" / "downloads.md"
_TABLE = re.compile(r"(<!-- printed from the rules -->\n).*?(<!-- end -->)", re.DOTALL)


# The page ------------------------------------------------------------------------------------


def help_of(rule: Rule) -> str:
    """What is done, in the order in which it is done."""
    parts = []
    if rule.relink:
        parts.append("a look for a new link")
    if rule.late:
        parts.append("waited for while the song is new")
    if rule.again:
        parts.append("tried 5 times")
    if not rule.relink:
        parts.append("a look for a new link")
    return "; ".join(parts)


def answers_table(rules: Iterable[Rule]) -> str:
    rows = [
        "| seen | what is done | error in the end | of a new song |",
        "| --- | --- | --- | --- |",
    ]
    for rule in rules:
        new = rule.kind_when_new or rule.kind
        rows.append(
            f"| {rule.seen} | {help_of(rule)} | `{rule.kind.__name__}` | `{new.__name__}` |"
        )
    return "\n".join(rows)


def disk_table(rules: Iterable[DiskRule]) -> str:
    rows = ["| step | errors | what is done | remedy in the error |", "|" + " --- |" * 4]
    for rule in rules:
        steps = ", ".join(step.value for step in rule.steps)
        steps = "any other" if rule.steps == WRITING else steps
        names = ", ".join(rule.names) or "any other"
        rows.append(f"| {steps} | {names} | {rule.action.value} | {rule.remedy} |")
    return "\n".join(rows).replace("{folder}", "FOLDER")


def printed(page: str) -> str:
    tables = iter([answers_table(RULES), answers_table(BYTES), disk_table(DISK_RULES)])
    return _TABLE.sub(lambda found: f"{found[1]}\n{next(tables)}\n\n{found[2]}", page)


def test_the_tables_of_the_page_are_printed_from_the_rules() -> None:
    """docs/downloads.md says what the code does; run this file to print its tables again."""
    page = PAGE.read_text(encoding="utf-8")
    assert len(_TABLE.findall(page)) == 3
    assert printed(page) == page


# Each answer ---------------------------------------------------------------------------------

STATUSES = [202, 204, 301, 400, 401, 402, 403, 404, 410, 416, 418, 429, 451, 500, 503, 520, 999]


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "old"])
@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_that_stays_is_told_as_its_row_says(
    status: int, is_new: bool, tmp_path: Path, waits: Waits
) -> None:
    """Of a song that was completed just now after three minutes, of another one soon."""
    rule = rule_of(status)
    assert rule is not None
    provider = Provider(age=0.0 if is_new else None)
    async with bench(
        tmp_path, faults.answer(faults.http(status, b"<Error/>")), provider=provider
    ) as test:
        with pytest.raises(DownloadFailed, match=f"HTTP {status}") as caught:
            await test.get()
    kind = (rule.kind_when_new if is_new else None) or rule.kind
    assert type(caught.value) is kind
    assert caught.value.charged == "yes"
    assert (170 < waits.total < 260) is (is_new and rule.late)
    assert (waits.total < 60) is not (is_new and rule.late)
    assert test.files == []


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "old"])
@pytest.mark.parametrize("status", STATUSES)
async def test_a_status_that_goes_away_costs_nothing(
    status: int, is_new: bool, tmp_path: Path, waits: Waits
) -> None:
    """Where its row says that waiting or another attempt may help."""
    rule = rule_of(status)
    assert rule is not None
    once = faults.http(status, b"<Error/>", "Connection: close")
    provider = Provider(age=0.0 if is_new else 1e6)
    async with bench(tmp_path, then_file(once), provider=provider) as test:
        if rule.again or (is_new and rule.late):
            assert (await test.get()).path.read_bytes() == MP3
        else:
            with pytest.raises(rule.kind):
                await test.get()
    assert waits.total < 60


LATE = {
    "403": faults.http(403, b"<Error><Code>AccessDenied</Code></Error>"),
    "404": faults.http(404),
    "202": faults.http(202, b"{}"),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no bytes": faults.http(200, b"", "Content-Type: audio/mpeg"),
    "no bytes, in chunks": faults.chunked(),
    "a page": faults.http(200, b"<html>processing</html>", "Content-Type: audio/mpeg"),
    "503": faults.http(503, b"", "Retry-After: 20"),
}


@pytest.mark.parametrize("answer", LATE.values(), ids=LATE)
async def test_a_new_song_that_its_cdn_does_not_have_yet_is_waited_for(
    answer: bytes, tmp_path: Path, waits: Waits
) -> None:
    """Six times it is not there: for a minute or so."""
    async with bench(tmp_path, then_file(*[answer] * 6), provider=Provider(age=1.0)) as test:
        saved = await test.get()
    assert saved.path.read_bytes() == MP3
    assert 15 < waits.total < 130
    assert test.files == [saved.path.name]


async def test_a_server_that_says_when_is_believed(tmp_path: Path, waits: Waits) -> None:
    """Of a new song and of an old one."""
    busy = faults.http(503, b"", "Retry-After: 20")
    for age in (0.0, None):
        async with bench(tmp_path, then_file(busy, busy), provider=Provider(age=age)) as test:
            (await test.get()).path.unlink()
    assert waits.waited == [20.0] * 4


@pytest.mark.parametrize("age", [0.0, None])
async def test_a_server_that_asks_for_more_time_than_there_is_gets_another_request(
    age: float | None, tmp_path: Path, waits: Waits
) -> None:
    """It says "in a day"; it is asked again after the longest wait of our own."""
    busy = faults.http(503, b"", "Retry-After: 86400")
    async with bench(tmp_path, then_file(busy, busy), provider=Provider(age=age)) as test:
        assert (await test.get()).path.read_bytes() == MP3
    assert waits.waited == [30.0 if age is None else 15.0] * 2


async def test_while_a_song_is_waited_for_there_is_no_file_of_it(
    tmp_path: Path, waits: Waits
) -> None:
    """Not even an empty one."""
    seen: list[Path] = []
    waits.meanwhile = lambda: seen.extend(tmp_path.iterdir())
    missing = faults.http(404, b"", "Connection: close")
    async with bench(tmp_path, then_file(missing), provider=Provider(age=0.0)) as test:
        await test.get()
    assert len(waits.waited) == 1
    assert seen == []


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")])
async def test_the_latest_completions_are_remembered() -> None:
    """Not all: a client may make very many songs."""
    journal = MemoryJournal()
    source = Source(TimedProvider(durations=lambda _: 60.0), RecordedHttp([]), journal)

    async def age(task_id: str) -> float | None:
        return await source.age(attrs.evolve(song_at("https://x/a.mp3"), task_id=task_id))

    async with journal.open("account"):
        source.note_completed("old")
        await anyio.sleep(3000)
        assert await age("old") == pytest.approx(3000)
        assert await age("unknown") is None
        for number in range(256):
            source.note_completed(f"song {number}")
        assert [await age(name) for name in ("old", "song 0", "song 255")] == [None, 0.0, 0.0]


async def test_a_song_whose_task_nobody_knows_is_as_new_as_its_job() -> None:
    """A callback brought it, and the answer to its submit was lost."""
    journal = MemoryJournal()
    source = Source(TimedProvider(durations=lambda _: 60.0), RecordedHttp([]), journal)
    song = attrs.evolve(song_at("https://x/a.mp3"), task_id="")
    entry = JournalEntry(
        key="job",
        provider="timed",
        request={},
        state=JournalState.READY,
        submitted_at=time.time() - 70,
    )
    async with journal.open("account"):
        await journal.add(entry)
        age = await source.age(attrs.evolve(song, job_key="job"))
        assert age == pytest.approx(10, abs=5)
        assert await source.age(song) is None
        assert await source.age(attrs.evolve(song, unverified=True)) == 0.0


@pytest.mark.parametrize(("age", "most"), [(170.0, 30), (190.0, 20), (None, 20)])
async def test_patience_counts_from_the_completion_of_the_song(
    age: float | None, most: float, tmp_path: Path, waits: Waits
) -> None:
    async with bench(tmp_path, faults.answer(faults.http(404)), provider=Provider(age=age)) as test:
        with pytest.raises(NotServedYet if age == 170.0 else LinkExpired):
            await test.get()
    assert waits.total <= most


async def test_patience_is_an_option(tmp_path: Path, waits: Waits) -> None:
    async with bench(tmp_path, faults.answer(faults.http(404)), provider=Provider(age=0.0)) as test:
        [error] = await test.downloads.save(
            [song_at(f"{test.server.url}/a.mp3")], directory=tmp_path, patience=1000.0
        )
    assert isinstance(error, NotServedYet)
    assert waits.total == pytest.approx(1000.0)


# Links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
async def test_a_new_link_is_looked_for_at_once(status: int, tmp_path: Path, waits: Waits) -> None:
    async with bench(tmp_path, faults.answer(FILE)) as good:
        provider = Provider(link=f"{good.server.url}/new.mp3")
        async with bench(tmp_path, faults.answer(faults.http(status)), provider=provider) as test:
            assert (await test.get()).path.read_bytes() == MP3
            assert len(test.server.requests) == 1
    assert provider.looks == 1
    assert waits.waited == []


DEAD = {
    "400": faults.answer(faults.http(400)),
    "500": faults.answer(faults.http(500)),
    "503, for a day": faults.answer(faults.http(503, b"", "Retry-After: 86400")),
    "a page": faults.answer(faults.http(200, b"<html>Gone</html>")),
    "nothing": faults.answer(faults.http(200, b"")),
    "no answer": faults.answer_once(b""),
    "cut": faults.answer_once(faults.http(200, MP3[:500], length=len(MP3))),
    "breaks off": faults.answer(faults.http(200, MP3[: len(MP3) // 2 + 50])),
    "a circle": faults.answer(faults.redirect(302, "/a.mp3")),
    "a link that is refused": faults.answer(faults.redirect(302, "ftp://a.example/b")),
}


@pytest.mark.parametrize("dead", DEAD.values(), ids=DEAD)
async def test_no_song_is_given_up_before_its_task_was_looked_at(
    dead: Behaviour, tmp_path: Path, waits: Waits
) -> None:
    """Whatever a dead link says, and without a signature in it: the task shows a good one."""
    async with bench(tmp_path, faults.answer(FILE)) as good:
        provider = Provider(link=f"{good.server.url}/new.mp3")
        async with bench(tmp_path, dead, provider=provider) as test:
            assert (await test.get(duration=SECONDS)).path.read_bytes() == MP3
    assert provider.looks == 1


@pytest.mark.parametrize("dead", DEAD.values(), ids=DEAD)
async def test_one_look_is_made_before_an_error(
    dead: Behaviour, tmp_path: Path, waits: Waits
) -> None:
    """If it shows the same link, that is the end."""
    async with bench(tmp_path, dead) as test:
        with pytest.raises(DownloadFailed):
            await test.get(duration=SECONDS)
    assert test.provider.looks == 1


async def test_a_new_song_is_looked_at_again_after_a_while(tmp_path: Path, waits: Waits) -> None:
    """Its link may have changed while it was waited for."""
    provider = Provider(age=0.0)
    async with bench(tmp_path, faults.answer(faults.http(404)), provider=provider) as test:
        with pytest.raises(NotServedYet, match="again in a few minutes"):
            await test.get()
    assert provider.looks == 2
    assert waits.total == pytest.approx(180.0)


@pytest.mark.parametrize(
    ("shown", "known", "taken"),
    [
        ([("id-1", 1), ("id-2", 0)], [], "id-1"),
        ([("new-1", 0)], [], "new-1"),
        ([("new-1", 0), ("new-2", 1)], ["id-1", "id-2"], "new-1"),
        ([("id-2", 0)], ["id-1", "id-2"], None),
        ([("new-2", 1)], [], None),
        ([], [], None),
    ],
    ids=["its id", "a new id", "new ids", "only the other", "another place", "nothing"],
)
async def test_a_song_is_found_again_by_its_id_or_its_place(
    shown: list[tuple[str, int]], known: list[str], taken: str | None
) -> None:
    """Some providers give songs new ids; the other song of the task is never taken for it."""

    def show(tasks: list[Task], _: float) -> list[Task]:
        songs = tuple(attrs.evolve(song, id=ident, index=place) for ident, place in shown)
        return [attrs.evolve(task, songs=songs) for task in tasks]

    song = song_at("https://x/a.mp3")
    journal = MemoryJournal()
    provider = TimedProvider(durations=lambda _: 0.0, retouch=show)
    provider.completes_at[song.task_id] = 0.0
    entry = JournalEntry(
        key="job",
        provider="timed",
        request={},
        state=JournalState.READY,
        task_id=song.task_id,
        songs=tuple(attrs.evolve(song, id=ident) for ident in known),
    )
    async with journal.open("account"):
        await journal.add(entry)
        found = await Source(provider, RecordedHttp([]), journal).refresh(song)
    assert (found.id if found else None) == taken


def told(ident: str, title: str | None, duration: float | None, place: int) -> Song:
    """A song of the task, with what tells it apart from the others."""
    song = song_at("https://x/a.mp3", ident=ident, duration=duration)
    return attrs.evolve(song, title=title, index=place)


ALPHA, BETA = told("a", "Alpha", None, 0), told("b", "Beta", None, 1)
LONG, SHORT = told("a", "Same", 90.0, 0), told("b", "Same", 60.0, 1)
TWIN = told("b", "Same", None, 1)


@pytest.mark.parametrize(
    ("before", "shown", "taken"),
    [
        ([ALPHA, BETA], [told("n", "Beta", None, 0), told("m", "Alpha", None, 1)], "m"),
        ([ALPHA, BETA], [told("n", "Beta", None, 0)], None),
        ([ALPHA, BETA], [told("n", "Alpha", None, 0)], "n"),
        ([ALPHA, BETA], [told("n", None, None, 0)], None),
        ([ALPHA, BETA], [told("n", None, None, 0), told("m", None, None, 1)], "n"),
        ([ALPHA, BETA], [told("n", None, None, 0), told("m", "Alpha", None, 1)], None),
        ([ALPHA, BETA], [told("n", "Gamma", None, 0), told("m", "Delta", None, 1)], None),
        ([ALPHA, BETA], [told("n", "Beta", None, 0), BETA, told("m", "Alpha", None, 2)], "m"),
        ([LONG, SHORT], [told("n", "Same", 60.2, 0), told("m", "Same", 90.4, 1)], "m"),
        ([LONG, SHORT], [told("n", "Same", 60.2, 0)], None),
        ([ALPHA, BETA], [told("n", "Alpha, final", None, 0), BETA], "n"),
        ([LONG, TWIN], [told("n", "Same", None, 0), told("m", "Same", None, 1)], "n"),
        ([LONG, TWIN], [told("n", "Same", None, 0)], None),
        ([ALPHA], [told("n", "Beta", None, 0)], None),
        ([], [told("n", "Beta", None, 0), told("m", "Alpha", None, 1)], "m"),
    ],
)
async def test_a_song_under_a_new_id_is_never_taken_for_another(
    before: list[Song], shown: list[Song], taken: str | None
) -> None:
    """Title and duration tell which it is; its place only if all are there and nothing differs."""
    journal = MemoryJournal()
    provider = TimedProvider(
        durations=lambda _: 0.0,
        retouch=lambda tasks, _: [attrs.evolve(task, songs=tuple(shown)) for task in tasks],
    )
    provider.completes_at["task-1"] = 0.0
    entry = JournalEntry(
        key="job",
        provider="timed",
        request={},
        state=JournalState.READY,
        task_id="task-1",
        songs=tuple(before),
    )
    song = before[0] if before else ALPHA
    async with journal.open("account"):
        await journal.add(entry)
        found = await Source(provider, RecordedHttp([]), journal).refresh(song)
    assert (found.id if found else None) == taken


async def test_a_song_without_a_task_is_not_looked_for() -> None:
    source = Source(TimedProvider(durations=lambda _: 0.0), RecordedHttp([]), MemoryJournal())
    assert await source.refresh(attrs.evolve(song_at("https://x/a.mp3"), task_id="")) is None


@pytest.mark.parametrize("link", ["https://stream.example.org/?item_id=1", None])
async def test_a_song_that_ended_without_its_file_is_looked_at_once(
    link: str | None, tmp_path: Path, waits: Waits
) -> None:
    """Its task ended on a live stream, or without a link; now there is a file."""
    song = attrs.evolve(song_at(link), audio_is_final=False)
    async with bench(tmp_path, faults.answer(FILE)) as test:
        [error] = await test.downloads.save([song], directory=tmp_path)
        assert isinstance(error, DownloadFailed)
        assert "no final file yet" in str(error)
        assert test.provider.looks == 1
        test.provider.link = f"{test.server.url}/a.mp3"
        [saved] = await test.downloads.save([song], directory=tmp_path)
        assert isinstance(saved, Saved)
        assert test.provider.looks == 2
        assert await test.downloads.save([song], directory=tmp_path) == [saved]
        assert test.provider.looks == 2
    assert saved.path.read_bytes() == MP3
    assert waits.waited == []


# Bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (faults.http(200, b""), NotAudio),
        (faults.http(200, b"<html>Sign in</html>"), NotAudio),
        (faults.http(200, MP3[:50]), Truncated),
        (faults.chunked(MP3[:-50]), Truncated),
        (faults.http(200, MP3[:500], length=len(MP3)), Truncated),
        (faults.http(200, b"", length=len(MP3)), DownloadFailed),
    ],
    ids=["nothing", "a page", "breaks off", "breaks off, in chunks", "cut", "cut at once"],
)
async def test_what_is_no_file_is_tried_some_times_and_told(
    answer: bytes, kind: type[DownloadFailed], tmp_path: Path, waits: Waits
) -> None:
    async with bench(tmp_path, faults.answer_once(answer)) as test:
        with pytest.raises(DownloadFailed) as caught:
            await test.get()
        assert len(test.server.requests) == 5
    assert type(caught.value) is kind
    assert waits.total < 60
    assert test.files == []


async def test_a_file_that_is_shorter_than_stated_is_taken_once_it_came_twice(
    tmp_path: Path, waits: Waits
) -> None:
    """The statement was wrong, and is told to be; found again, it is told again."""
    async with bench(tmp_path, faults.answer(FILE)) as test:
        saved = await test.get(duration=180.0)
        assert len(test.server.requests) == 2
        assert await test.get(duration=180.0) == saved
    assert saved.path.read_bytes() == MP3
    assert saved.duration == pytest.approx(SECONDS)
    assert saved.mismatch == f"plays {SECONDS:.2f} s, stated were 180.00 s"


FLAWED = {
    "half a frame at its end": MP3 + MP3[:50],
    "something else behind it": MP3 + b"\x55" * 10_000,
    "something else in it": MP3[:8320] + b"\x77" * 3000 + MP3[8320:],
    "a wrong length in its header": wav(bytes(16_000), stated=16_100),
    "lines behind its last box": FTYP + MDAT + mp4_index() + b"\r\n" * 20,
    "half of the sound in its index": FTYP + mp4_index() + MDAT[:508],
    "a tag that claims too much": b"ID3\x04\0\0\0\x7f\x7f\x7f" + MP3,
}


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "old"])
@pytest.mark.parametrize("is_stated", [True, False], ids=["stated", "not stated"])
@pytest.mark.parametrize("data", FLAWED.values(), ids=FLAWED)
async def test_a_file_with_a_flaw_is_taken_if_the_provider_has_no_better_one(
    data: bytes, is_stated: bool, is_new: bool, tmp_path: Path, waits: Waits
) -> None:
    """The same bytes came twice, after the time in which a new file may get better."""
    seconds = measure(data).seconds
    stated = seconds if is_stated else None
    provider = Provider(age=0.0 if is_new else None)
    answer = faults.answer(faults.http(200, data))
    async with bench(tmp_path, answer, provider=provider) as test:
        saved = await test.get(duration=stated)
        assert (waits.total > 170) is is_new
        assert is_new or len(test.server.requests) == 2
        # Nothing but the provider's own file tells that this one is not damaged.
        assert await test.get(duration=stated) == saved
    assert saved.path.read_bytes() == data
    assert saved.duration == pytest.approx(seconds)
    assert saved.mismatch == measure(data).flaw
    assert test.files == [saved.path.name]


async def test_a_file_with_a_flaw_that_gets_better_is_not_taken(
    tmp_path: Path, waits: Waits
) -> None:
    """It came five times the same while the song was new, and then whole."""
    flawed = faults.http(200, MP3[:-50])
    async with bench(tmp_path, then_file(*[flawed] * 5), provider=Provider(age=0.0)) as test:
        saved = await test.get()
    assert saved.path.read_bytes() == MP3
    assert saved.mismatch is None


async def test_a_file_with_a_flaw_that_differs_each_time_is_not_taken(
    tmp_path: Path, waits: Waits
) -> None:
    answers = [faults.http(200, MP3 + MP3[: 50 + place]) for place in range(5)]
    script = [faults.answer_once(answer) for answer in answers]
    async with bench(tmp_path, script) as test:
        with pytest.raises(Truncated):
            await test.get(duration=SECONDS)
    assert test.files == []


async def test_a_file_with_a_flaw_and_no_length_is_taken_if_it_plays_as_stated(
    tmp_path: Path, waits: Waits
) -> None:
    data = MP3 + MP3[:50]
    async with bench(tmp_path, faults.answer_once(faults.chunked(data))) as test:
        saved = await test.get(duration=SECONDS)
    assert saved.path.read_bytes() == data
    assert saved.mismatch == measure(data).flaw


async def test_a_file_with_a_flaw_is_not_replaced_by_a_better_one(
    tmp_path: Path, waits: Waits
) -> None:
    """Nobody knows whose it is."""
    flawed = faults.http(200, MP3 + MP3[:50])
    async with bench(tmp_path, then_file(flawed, flawed)) as test:
        saved = await test.get()
        with pytest.raises(DownloadFailed, match="move it away"):
            await test.get()
    assert saved.path.read_bytes() == MP3 + MP3[:50]


async def test_a_file_that_is_still_growing_is_waited_for(tmp_path: Path, waits: Waits) -> None:
    """Half of it came whole, and then the other half: no two answers are the same."""
    parts = [faults.http(200, MP3[: len(MP3) // 4 * place]) for place in (1, 2, 3)]
    async with bench(tmp_path, then_file(*parts)) as test:
        saved = await test.get(duration=SECONDS)
    assert saved.path.read_bytes() == MP3
    assert saved.mismatch is None
    assert min(waits.waited) >= 5


async def test_a_file_that_plays_longer_than_stated_is_taken_at_once(
    tmp_path: Path, waits: Waits
) -> None:
    """That is told all the same."""
    async with bench(tmp_path, faults.answer(FILE)) as test:
        saved = await test.get(duration=1.0)
        assert len(test.server.requests) == 1
    assert "stated were 1.00 s" in (saved.mismatch or "")
    assert waits.waited == []


@pytest.mark.parametrize("stated", [SECONDS, None])
async def test_a_length_that_lies_costs_no_song(
    stated: float | None, tmp_path: Path, waits: Waits
) -> None:
    """The server says that there are 99 bytes more, each time, and there never are."""
    lie = faults.http(200, MP3, 'ETag: "1"', length=len(MP3) + 99)
    async with bench(tmp_path, faults.answer_once(lie)) as test:
        saved = await test.get(duration=stated)
        # Twice all of it: what is asked for from its end on would prove nothing.
        assert ["range" in request.headers for request in test.server.requests] == [False] * 2
    assert saved.path.read_bytes() == MP3
    assert saved.mismatch == f"ended after {len(MP3)} of {len(MP3) + 99} bytes"
    assert waits.total < 60


@pytest.mark.parametrize("etag", ['"h\u00e9"', '"\u97f3"', "W/1", '"', ""])
async def test_an_etag_that_proves_nothing_costs_no_song(
    etag: str, tmp_path: Path, waits: Waits
) -> None:
    """Or one that no request can carry: the rest is asked for without it."""
    part = faults.http(200, MP3[:1000], f"ETag: {etag}", length=len(MP3))
    async with bench(tmp_path, then_file(part)) as test:
        assert (await test.get()).path.read_bytes() == MP3
    assert waits.total < 60


@pytest.mark.parametrize(("stated", "times"), [(SECONDS, 2), (None, 3)])
async def test_a_last_chunk_that_is_missing_costs_no_song(
    stated: float | None, times: int, tmp_path: Path, waits: Waits
) -> None:
    """The file came whole, and each time the server hung up without the end of its body.

    Where nobody says how long it is, two cuts at the same place may still be an accident.
    """
    async with bench(tmp_path, faults.answer_once(faults.chunked(MP3)[:-5])) as test:
        saved = await test.get(duration=stated)
        assert len(test.server.requests) == times
    assert saved.path.read_bytes() == MP3
    assert "ended early" in str(saved.mismatch)


async def test_chunks_that_break_off_each_time_elsewhere_are_no_song(
    tmp_path: Path, waits: Waits
) -> None:
    """Each time on the edge of a frame, where the file itself tells nothing."""
    parts = [MP3[: len(MP3_FRAME) * frames] for frames in range(100, 105)]
    script = [faults.answer_once(faults.chunked(part)[:-5]) for part in parts]
    async with bench(tmp_path, script) as test:
        with pytest.raises(Truncated, match="ended early"):
            await test.get()
        assert len(test.server.requests) == 5
    assert test.files == []


async def test_two_witnesses_are_believed(tmp_path: Path, waits: Waits) -> None:
    """It ends on the edge of a frame, but length and duration both say that there is more."""
    cut = faults.http(200, MP3[: len(MP3) // 2], length=len(MP3))
    async with bench(tmp_path, faults.answer_once(cut)) as test:
        with pytest.raises(Truncated, match="ended after"):
            await test.get(duration=SECONDS)
    assert test.files == []
    assert waits.total < 60


if __name__ == "__main__":
    PAGE.write_text(printed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
