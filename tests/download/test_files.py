"""Whatever audio a link serves, and however it is packed: whole, with its own ending, once."""

import gzip
import time
import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import brotli
import pytest
from backports import zstd

from tests.kit import fault_server as faults
from tests.kit.fault_server import GONE, Behaviour, Connection, FaultServer
from tests.kit.sounds import MP3_FRAME
from tests.test_formats import FILES, PLAYS
from udio_async import (
    Client,
    DownloadFailed,
    InvalidRequest,
    LinkExpired,
    NotAudio,
    NotServedYet,
    Saved,
    Truncated,
    UdioApiV2,
)
from udio_async._download import transfer
from udio_async._download.names import file_name
from udio_async.providers.base import Traits

from .kit import FILE, MP3, SECONDS, Waits, bench, song_at, waits

__all__ = ["waits"]  # a fixture

# Containers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
async def test_a_file_has_the_ending_of_what_it_is(name: str, tmp_path: Path) -> None:
    """Whatever its link and its media type say; found again, it is not fetched again."""
    answer = faults.http(200, FILES[name], "Content-Type: text/html")
    async with bench(tmp_path, faults.answer(answer)) as test:
        saved = await test.get()
        assert await test.get() == saved
        assert len(test.server.requests) == 1
    assert saved.path.suffix == Path(name).suffix
    assert saved.path.stem == Path(file_name(song_at(None))).stem
    assert saved.path.read_bytes() == FILES[name]
    assert saved.duration == pytest.approx(PLAYS[name], abs=0.01)


@pytest.mark.parametrize("name", ["pcm16.wav", "plain.flac", "vorbis.ogg", "aac.m4a"])
async def test_a_file_of_any_kind_that_breaks_off_is_no_song(
    name: str, tmp_path: Path, waits: Waits
) -> None:
    """Though the server calls it whole: it plays less than was stated, too."""
    known = name if name in FILES else next(n for n in FILES if n.endswith(Path(name).suffix))
    data = FILES[known][: len(FILES[known]) * 2 // 3]
    async with bench(tmp_path, faults.answer(faults.http(200, data))) as test:
        with pytest.raises(Truncated, match="break"):
            await test.get(duration=10 * PLAYS[known])
    assert test.files == []
    assert waits.total < 60


async def test_a_kind_that_is_not_measured_is_whole_if_its_length_says_so(
    tmp_path: Path, waits: Waits
) -> None:
    """Nothing else tells: what is shorter is never taken, however often it comes."""
    data = b"caff\0\x01\0\0desc" + bytes(1000)
    async with bench(tmp_path, faults.answer_once(faults.http(200, data, length=2000))) as test:
        with pytest.raises(Truncated, match="ended after"):
            await test.get(duration=SECONDS)
    assert test.files == []
    async with bench(tmp_path, faults.answer(faults.http(200, data))) as test:
        saved = await test.get(duration=SECONDS)
        assert await test.get(duration=SECONDS) == saved
    assert saved.path.suffix == ".caf"
    assert saved.duration is None
    assert saved.path.read_bytes() == data


async def test_a_file_of_another_kind_under_the_name_is_not_replaced(tmp_path: Path) -> None:
    """Whether it is a stranger's; a whole song of another kind is the song, converted."""
    wav = next(name for name in FILES if name.endswith(".wav"))
    other = (tmp_path / file_name(song_at(None))).with_suffix(".wav")
    async with bench(tmp_path, faults.answer(FILE)) as test:
        other.write_bytes(b"mine")
        with pytest.raises(DownloadFailed, match="move it away"):
            await test.get()
        other.rename(other.with_suffix(".mp3")).write_bytes(FILES[wav])
        with pytest.raises(DownloadFailed, match="move it away"):
            await test.get()
        other.with_suffix(".mp3").rename(other)
        assert (await test.get()).path == other
        assert not test.server.requests


async def test_tags_are_written_into_any_kind(tmp_path: Path) -> None:
    flac = next(name for name in FILES if name.endswith(".flac"))
    answer = faults.answer(faults.http(200, FILES[flac]))
    async with bench(tmp_path, answer) as test:
        [saved] = await test.downloads.save(
            [song_at(f"{test.server.url}/a.mp3")], directory=tmp_path, tags=True
        )
    assert isinstance(saved, Saved)
    assert saved.path.suffix == ".flac"
    assert b"A Song" in saved.path.read_bytes()
    assert saved.duration == pytest.approx(PLAYS[flac], abs=0.01)
    assert test.files == [saved.path.name]


# How it is packed ----------------------------------------------------------------------------

RAW = zlib.compress(MP3)[2:-4]
PACKED = {
    "gzip": ("gzip", gzip.compress(MP3)),
    "gzip in upper case": ("GZIP", gzip.compress(MP3)),
    "x-gzip": ("x-gzip", gzip.compress(MP3)),
    "gzip twice": ("gzip, gzip", gzip.compress(gzip.compress(MP3))),
    "deflate": ("deflate", zlib.compress(MP3)),
    "deflate without its frame": ("deflate", RAW),
    "br": ("br", brotli.compress(MP3)),
    "gzip that is not": ("gzip", MP3),
    "br that is not": ("br", MP3),
    "none": ("none", MP3),
    "utf-8": ("utf-8", MP3),
    "identity": ("identity", MP3),
    "utf-8 and gzip that are not": ("UTF-8,gzip", MP3),
    "aws-chunked": ("aws-chunked", MP3),
    "gzip without a claim": ("identity", gzip.compress(MP3)),
    "Zstandard without a claim": ("identity", zstd.compress(MP3)),
    "gzip that is called deflate": ("deflate", gzip.compress(MP3)),
    "gzip that is called br": ("br", gzip.compress(MP3)),
    "deflate that is called gzip": ("gzip", zlib.compress(MP3)),
}


@pytest.mark.parametrize(("claim", "body"), PACKED.values(), ids=PACKED)
async def test_a_body_is_taken_however_it_is_packed(
    claim: str, body: bytes, tmp_path: Path, waits: Waits
) -> None:
    answer = faults.http(200, body, f"Content-Encoding: {claim}", 'ETag: "1"')
    async with bench(tmp_path, faults.answer(answer)) as test:
        saved = await test.get()
        assert len(test.server.requests) == 1
    assert saved.path.read_bytes() == MP3
    assert waits.waited == []


async def test_the_rest_of_a_file_is_not_unpacked(tmp_path: Path, waits: Waits) -> None:
    """It may begin with any bytes, also with those that packed bodies begin with."""
    sound = MP3[:1000] + b"\x1f\x8b\x08" + MP3[1003:]
    half = faults.http(200, sound[:1000], 'ETag: "1"', length=len(sound))
    span = f"Content-Range: bytes 1000-{len(sound) - 1}/{len(sound)}"
    rest = faults.http(206, sound[1000:], span, 'ETag: "1"')
    async with bench(tmp_path, [faults.answer_once(half), faults.answer(rest)]) as test:
        assert (await test.get()).path.read_bytes() == sound
        assert len(test.server.requests) == 2


async def test_what_unpacks_into_too_much_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: Waits
) -> None:
    """Before it fills the disk, and once."""
    monkeypatch.setattr(transfer, "MAX_FILE", 100_000)
    bomb = gzip.compress(MP3_FRAME * 10_000)
    answer = faults.http(200, bomb, "Content-Encoding: gzip")
    async with bench(tmp_path, faults.answer(answer)) as test:
        with pytest.raises(NotAudio, match="no song is"):
            await test.get()
        assert len(test.server.requests) == 1
    assert test.files == []
    assert waits.waited == []


def part(start: int, stop: int, total: object = len(MP3)) -> bytes:
    return faults.http(
        206, MP3[start:stop], f"Content-Range: bytes {start}-{stop - 1}/{total}", 'ETag: "1"'
    )


LONGER = faults.chunked(MP3).replace(b"\r\n", b"\r\nContent-Length: 10\r\n", 1)
WHOLE = {
    "203": faults.http(203, MP3),
    "206 without a range": faults.http(206, MP3),
    "206 with all of it": part(0, len(MP3)),
    "206 that counts from 0": part(0, len(MP3), len(MP3) - 1),
    "206 of no known form": faults.http(206, MP3, f"Content-Range: 0-{len(MP3)}"),
    "299": faults.http(299, MP3),
    "in chunks, and a length that is too small": LONGER,
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
async def test_what_came_whole_is_taken(answer: bytes, tmp_path: Path, waits: Waits) -> None:
    """Under any status that is no refusal."""
    async with bench(tmp_path, faults.answer(answer)) as test:
        saved = await test.get()
        assert len(test.server.requests) == 1
    assert saved.path.read_bytes() == MP3
    assert saved.mismatch is None
    assert waits.waited == []


async def test_a_part_that_somebody_has_removed_is_not_gone_on_with(
    tmp_path: Path, waits: Waits
) -> None:
    """While the next attempt was waited for."""

    def tidy_up() -> None:
        for path in tmp_path.glob("*.part"):
            path.unlink()

    waits.meanwhile = tidy_up
    half = faults.http(200, MP3[:1000], 'ETag: "1"', length=len(MP3))
    async with bench(tmp_path, [faults.answer_once(half), faults.answer(FILE)]) as test:
        saved = await test.get()
        assert "range" not in test.server.requests[1].headers
    assert saved.path.read_bytes() == MP3


@pytest.mark.parametrize(("etag", "proves"), [('"1"', True), ('W/"1"', False), ("1", False)])
async def test_the_rest_is_asked_for_only_where_the_file_is_proved_the_same(
    etag: str, proves: bool, tmp_path: Path, waits: Waits
) -> None:
    """A weak ETag says that two files are much alike, which half a song is not made of."""
    half = faults.http(200, MP3[:1000], f"ETag: {etag}", length=len(MP3))
    async with bench(tmp_path, [faults.answer_once(half), faults.answer(FILE)]) as test:
        assert (await test.get()).path.read_bytes() == MP3
        asked = test.server.requests[1].headers
    assert asked.get("if-range") == (etag if proves else None)
    assert asked.get("range") == ("bytes=1000-" if proves else None)


@pytest.mark.parametrize(
    "span",
    [
        f"bytes 1000-{len(MP3) - 1}/{len(MP3) + 1}",
        f"bytes 1001-{len(MP3) - 1}/{len(MP3)}",
        f"1000-{len(MP3) - 1}",
    ],
    ids=["another length", "another place", "no known form"],
)
async def test_another_part_than_the_rest_is_not_joined(
    span: str, tmp_path: Path, waits: Waits
) -> None:
    """It is fetched anew, from the first byte on."""
    half = faults.http(200, MP3[:1000], 'ETag: "1"', length=len(MP3))
    rest = faults.http(206, MP3[1000:], f"Content-Range: {span}", 'ETag: "1"')
    script = [faults.answer_once(half), faults.answer_once(rest), faults.answer(FILE)]
    async with bench(tmp_path, script) as test:
        assert (await test.get()).path.read_bytes() == MP3
        asked = [request.headers.get("range") for request in test.server.requests]
    assert asked == [None, "bytes=1000-", None]


@pytest.mark.parametrize("total", [len(MP3), "*"])
async def test_the_rest_is_joined_whether_or_not_it_says_the_length(
    total: object, tmp_path: Path, waits: Waits
) -> None:
    half = faults.http(200, MP3[:1000], 'ETag: "1"', length=len(MP3))
    script = [faults.answer_once(half), faults.answer(part(1000, len(MP3), total))]
    async with bench(tmp_path, script) as test:
        assert (await test.get()).path.read_bytes() == MP3
        assert len(test.server.requests) == 2


async def test_a_rest_that_proves_nothing_is_not_joined(tmp_path: Path, waits: Waits) -> None:
    """The server takes no notice of If-Range, and the file has become another one."""
    other = bytes(reversed(MP3))
    half = faults.http(200, MP3[:1000], 'ETag: "1"', length=len(MP3))
    span = f"Content-Range: bytes 1000-{len(MP3) - 1}/{len(MP3)}"
    rest = faults.http(206, other[1000:], span)
    script = [faults.answer_once(half), faults.answer_once(rest), faults.answer(FILE)]
    async with bench(tmp_path, script) as test:
        assert (await test.get()).path.read_bytes() == MP3
        assert "range" not in test.server.requests[2].headers


def slices(*headers: str, total: object, behind: bytes = b"") -> Behaviour:
    """Parts that end on the edge of a frame: nothing but the range tells that there is more.

    What is `behind` answers a request for more than there is.
    """
    size = 40 * len(MP3_FRAME)

    async def behave(connection: Connection) -> None:
        while True:
            asked = (await connection.request()).headers.get("range", "bytes=0-")
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            end = min(start + size, len(MP3))
            span = f"Content-Range: bytes {start}-{end - 1}/{total}"
            answer = faults.http(206, MP3[start:end], span, *headers)
            await connection.send(answer if start < end else behind)

    return behave


@pytest.mark.parametrize(
    "behind",
    [
        faults.http(416),
        faults.http(416, b"<Error/>", f"Content-Range: bytes */{len(MP3)}"),
        faults.http(206, b"", f"Content-Range: bytes {len(MP3)}-{len(MP3)}/*", 'ETag: "1"'),
        part(0, len(MP3), "*"),
    ],
    ids=["416", "416 with a total", "an empty part", "the first part"],
)
@pytest.mark.parametrize("etag", [(), ('ETag: "1"',)])
async def test_slices_of_a_total_that_is_not_known_are_asked_for_to_the_end(
    etag: tuple[str, ...], behind: bytes, tmp_path: Path, waits: Waits
) -> None:
    """That is where the server has nothing more, or only what it has sent already."""
    async with bench(tmp_path, slices(*etag, total="*", behind=behind)) as test:
        saved = await test.get()
        assert len(test.server.requests) == 5
    assert saved.path.read_bytes() == MP3
    assert saved.mismatch is None
    assert waits.waited == []


@pytest.mark.parametrize("name", ["", "\u00e9"])
@pytest.mark.parametrize("span", ["1040-2079", "0-1039"], ids=["the next", "the first"])
async def test_a_slice_of_another_file_is_not_joined(
    span: str, name: str, tmp_path: Path, waits: Waits
) -> None:
    """The file changes while it is fetched: it is begun anew.

    That is seen also where the ETag cannot be sent.
    """
    first, other = (
        faults.http(206, data, f"Content-Range: bytes {place}/*", f'ETag: "{name}{version}"')
        for version, place, data in ((1, "0-1039", MP3[:1040]), (2, span, MP3[-1040:]))
    )
    script = [faults.answer_once(first), faults.answer_once(other)]
    async with bench(tmp_path, [*script, faults.answer(FILE)]) as test:
        assert (await test.get()).path.read_bytes() == MP3


@pytest.mark.parametrize("etag", [(), ('ETag: W/"1"',), ('ETag: "1"',)])
async def test_a_server_that_answers_in_slices_is_asked_for_the_next(
    etag: tuple[str, ...], tmp_path: Path, waits: Waits
) -> None:
    async with bench(tmp_path, slices(*etag, total=len(MP3))) as test:
        saved = await test.get()
        assert len(test.server.requests) == 4
    assert saved.path.read_bytes() == MP3
    assert saved.mismatch is None
    assert waits.total < 10


# Together ------------------------------------------------------------------------------------


async def test_a_song_that_two_callers_want_is_fetched_once(tmp_path: Path) -> None:
    """Both get it, also by another way to the same folder."""
    go = anyio.Event()
    (tmp_path / "link").symlink_to(tmp_path)
    results: list[object] = []
    async with (
        bench(tmp_path, faults.answer_when(go, FILE)) as test,
        anyio.create_task_group() as users,
    ):

        async def save(directory: Path) -> None:
            song = song_at(f"{test.server.url}/a.mp3")
            results.extend(await test.downloads.save([song, song], directory=directory))

        users.start_soon(save, tmp_path)
        users.start_soon(save, tmp_path / "link")
        await test.server.wait_for(lambda: bool(test.server.requests))
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert len(test.server.requests) == 1
    assert {saved.sha256 for saved in results if isinstance(saved, Saved)} != set()
    assert len(results) == 4
    assert all(isinstance(saved, Saved) for saved in results)


async def test_who_waits_for_another_one_who_gives_up_fetches_it_himself(tmp_path: Path) -> None:
    script: list[Behaviour] = [faults.stall(), faults.answer(FILE)]
    saved: list[Saved] = []
    async with bench(tmp_path, script) as test, anyio.create_task_group() as users:
        first = anyio.CancelScope()

        async def give_up() -> None:
            with first:
                await test.get()

        async def wait() -> None:
            saved.append(await test.get())

        users.start_soon(give_up)
        await test.server.wait_for(lambda: bool(test.server.requests))
        users.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
    assert saved[0].path.read_bytes() == MP3


async def test_a_song_that_is_waited_for_keeps_no_other_one_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten that are late, and one that is there."""
    forever = anyio.Event()

    async def pause(_: float) -> None:
        await forever.wait()

    monkeypatch.setattr("udio_async._download.waiting.pause", pause)

    async def cdn(connection: Connection) -> None:
        late = (await connection.request()).line.startswith("GET /late")
        await connection.send(faults.http(404 if late else 200, MP3, "Connection: close"))

    async with bench(tmp_path, cdn) as test, anyio.create_task_group() as users:
        test.provider.age = 0.0
        late = [song_at(f"{test.server.url}/late", ident=str(place)) for place in range(10)]
        users.start_soon(lambda: test.downloads.save(late, directory=tmp_path))
        await test.server.wait_for(lambda: len(test.server.requests) == 10)
        assert (await test.get()).path.read_bytes() == MP3
        users.cancel_scope.cancel()


# With a client -------------------------------------------------------------------------------


@asynccontextmanager
async def service(
    *files: bytes, journal: Path | None = None, typical: float = 0.05
) -> AsyncGenerator[tuple[Client, FaultServer]]:
    """A provider whose song is complete at the first look, and answers for its file."""
    answers = iter(files)
    server: FaultServer

    async def serve(connection: Connection) -> None:
        try:
            while True:
                line = (await connection.request()).line
                await connection.send(answer(line))
        except GONE:
            pass

    def answer(line: str) -> bytes:
        if line.startswith("POST"):
            return faults.ok(b'{"code":200,"workId":"task-1"}')
        if "/feed" in line:
            song = b'{"id":"s","status":"complete","title":"A","audio_url":"%s/a.mp3"}'
            songs = song % server.url.encode()
            return faults.ok(b'{"code":200,"data":{"type":"SUCCESS","response_data":[%s]}}' % songs)
        return next(answers, FILE)

    async with FaultServer(serve) as server:
        provider = UdioApiV2(api_key="key", base_url=server.url)
        provider = attrs.evolve(provider, traits=hastened(provider.traits, typical))
        async with Client(provider, journal=journal) as client:
            yield client, server


def hastened(traits: Traits, typical: float) -> Traits:
    return attrs.evolve(traits, min_interval=0.01, typical_duration=typical, settle=0.01)


async def test_a_client_waits_for_the_file_of_the_song_that_it_made(
    tmp_path: Path, waits: Waits
) -> None:
    """403, four times; then the file."""
    refusal = faults.http(403, b"<Error><Code>AccessDenied</Code></Error>")
    async with service(*[refusal] * 4) as (client, _):
        [saved] = await client.download(await client.generate("a song"), tmp_path)
    assert saved.path.read_bytes() == MP3
    assert len(waits.waited) == 4


@pytest.mark.parametrize("patience", [0, 0.0, 180.0])
async def test_a_client_says_whether_the_file_may_still_come(
    patience: float, tmp_path: Path, waits: Waits
) -> None:
    """Nobody who does not want to wait has to; that it is gone, nobody knows of a new one."""
    async with service(*[faults.http(404)] * 100) as (client, _):
        songs = await client.generate("a song")
        with pytest.raises(NotServedYet) as caught:
            await client.download(songs, tmp_path, patience=patience)
    assert caught.value.task_id == "task-1"
    assert (waits.total > 100) is bool(patience)


@pytest.mark.parametrize(("later", "kind"), [(10.0, NotServedYet), (4000.0, LinkExpired)])
async def test_the_journal_knows_how_new_a_song_of_an_earlier_run_is(
    later: float,
    kind: type[DownloadFailed],
    tmp_path: Path,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one that was completed an hour ago nobody waits for the file."""
    journal = tmp_path / "songs.db"
    async with service(journal=journal) as (client, _):
        await client.generate("a song")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + later)
    async with service(*[faults.http(404)] * 100, journal=journal) as (client, server):
        async with client.resume() as batch:
            [outcome] = [outcome async for outcome in batch]
        song = attrs.evolve(outcome.songs[0], audio_url=f"{server.url}/a.mp3")
        with pytest.raises(kind):
            await client.download(song, tmp_path)
    assert (waits.total > 100) is (kind is NotServedYet)


@pytest.mark.parametrize(("later", "kind"), [(10.0, NotServedYet), (4000.0, LinkExpired)])
async def test_a_song_of_an_earlier_run_may_be_old_when_it_is_first_seen(
    later: float,
    kind: type[DownloadFailed],
    tmp_path: Path,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was submitted, and an hour later it is found complete."""
    journal = tmp_path / "songs.db"
    async with service(journal=journal, typical=60.0) as (client, _):
        await client.submit("a song")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + later)
    async with service(*[faults.http(404)] * 100, journal=journal) as (client, _):
        async with client.resume() as batch:
            [outcome] = [outcome async for outcome in batch]
        with pytest.raises(kind):
            await client.download(outcome, tmp_path)
    assert (waits.total > 100) is (kind is NotServedYet)


@pytest.mark.parametrize("patience", [-1, float("nan"), float("inf"), True, "180", None])
async def test_patience_that_is_no_time_is_refused(patience: object, tmp_path: Path) -> None:
    async with service() as (client, server):
        with pytest.raises(InvalidRequest, match="patience is"):
            await client.download(
                song_at(f"{server.url}/a"),
                tmp_path,
                patience=patience,  # type: ignore[arg-type]  # that is the point
            )
        assert not server.requests
