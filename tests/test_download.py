"""Audio to disk: whole under its final name, or not at all."""

import errno
import hashlib
import os
import random
import re
import socket
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import attrs
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.id3 import ID3

from tests.download.kit import bench
from tests.kit import fault_server as faults
from tests.kit.fault_server import Behaviour, Connection, FaultServer
from tests.kit.media_server import (
    FRAME_BYTES,
    FRAME_SECONDS,
    HOPELESS,
    LIES,
    RESUMABLE,
    MediaServer,
    make_mp3,
    serving_media,
)
from udio_async import (
    Client,
    DownloadFailed,
    Failure,
    InvalidRequest,
    LinkExpired,
    NotAudio,
    Sandbox,
    Saved,
    Song,
    SqliteJournal,
    Stage,
    Truncated,
    UdioApiV2,
    UdioError,
    files,
)
from udio_async._download import delivery, pool, sound, tags, waiting
from udio_async._download.names import file_name
from udio_async._download.waiting import Limits
from udio_async._http import messages, trail

FRAME = bytes((0xFF, 0xFB, 0x10, 0xC4)) + bytes(100)
"""A silent frame of MPEG 1 layer III: 32 kbit/s, 44.1 kHz, 104 bytes."""
MP3 = FRAME * 160
AUDIO = "Content-Type: audio/mpeg"
WHOLE = faults.http(200, MP3, AUDIO)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits before trying again."""

    async def pause(_seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(waiting, "pause", pause)


def make_song(url: str | None = None, *, title: str | None = "A Song", ident: str = "id-1") -> Song:
    return Song(
        id=ident,
        task_id="task-1",
        provider="udioapi-v2",
        index=0,
        stage=Stage.COMPLETE,
        title=title,
        audio_url=url,
        audio_is_final=True,
    )


@asynccontextmanager
async def serving(*script: Behaviour) -> AsyncGenerator[tuple[Client, FaultServer]]:
    """A server that answers downloads like this, and a client that may follow its links."""
    async with (
        FaultServer(list(script)) as server,
        Client(UdioApiV2(api_key="key", base_url=server.url)) as client,
    ):
        yield client, server


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


# Whole files


async def test_the_songs_of_a_task_are_saved_whole(tmp_path: Path) -> None:
    """Byte for byte as the link serves them, one file for each, in the order of the songs."""
    async with Sandbox(speed=2000) as sandbox, Client(sandbox.udioapi_v2()) as client:
        songs = await client.generate("a song to keep")
        saved = await client.download(songs, tmp_path / "new" / "songs")
        again = await client.download(songs[1], str(tmp_path / "new" / "songs"))
    assert again == saved[1:]
    paths = [each.path for each in saved]
    assert [(each.sha256, each.size) for each in saved] == [
        (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size) for path in paths
    ]
    assert [each.duration for each in saved] == pytest.approx([s.duration for s in songs], abs=0.1)
    assert Path(os.fspath(saved[0])) == paths[0]
    assert files_in(tmp_path / "new" / "songs") == sorted(path.name for path in paths)
    sizes = {path.stat().st_size for path in paths}
    assert len(paths) == 2
    assert min(sizes) > 10_000
    assert all(path.read_bytes()[:1] in (b"I", b"\xff") for path in paths)


async def test_a_file_is_what_the_server_sent(tmp_path: Path) -> None:
    """With a length, in chunks, behind a redirect."""
    async with serving(faults.answer(WHOLE)) as (_, server):
        script = [
            faults.answer_once(WHOLE),
            faults.answer_once(faults.chunked(MP3[:1000], MP3[1000:])),
            faults.answer_once(faults.redirect(302, f"{server.url}/elsewhere.mp3")),
        ]
        for behaviour in script:
            async with serving(behaviour) as (client, first):
                [saved] = await client.download(make_song(f"{first.url}/a.mp3"), tmp_path)
                assert saved.path.read_bytes() == MP3
                saved.path.unlink()


# Nothing less

BROKEN: dict[str, tuple[Behaviour, type[DownloadFailed]]] = {
    "gone": (faults.answer(faults.http(404, b"Not Found")), LinkExpired),
    "gone for good": (faults.answer(faults.http(410)), LinkExpired),
    "signature too old": (faults.answer(faults.http(403, b"<Error/>")), LinkExpired),
    "server error": (faults.answer(faults.http(500, MP3)), DownloadFailed),
    "a page": (faults.answer(faults.http(200, b"<html>Sign in</html>", AUDIO)), NotAudio),
    "json": (faults.answer(faults.ok(b'{"code":404}')), NotAudio),
    "nothing": (faults.answer(faults.http(200, b"", AUDIO)), NotAudio),
    "short": (faults.cut(WHOLE, after=len(WHOLE) - 1), Truncated),
    "short by half": (faults.cut(WHOLE, after=len(WHOLE) // 2), Truncated),
    "chunks missing": (faults.answer_once(faults.chunked(MP3)[:-55]), Truncated),
}


@pytest.mark.parametrize(("behaviour", "error"), BROKEN.values(), ids=BROKEN)
async def test_what_is_no_whole_song_leaves_nothing(
    behaviour: Behaviour, error: type[DownloadFailed], tmp_path: Path
) -> None:
    """The error says why and names the task; neither a file nor a part of one is left."""
    async with serving(behaviour) as (client, server):
        with pytest.raises(DownloadFailed) as caught:
            await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)
    assert type(caught.value) is error
    assert caught.value.task_id == "task-1"
    assert files_in(tmp_path) == []


async def test_a_file_that_breaks_off_is_no_song_though_its_server_calls_it_whole(
    tmp_path: Path,
) -> None:
    """As often as it comes: it plays less than was stated, too."""
    half = faults.http(200, MP3[: len(MP3) // 2 + 50], AUDIO)
    async with serving(faults.answer(half)) as (client, server):
        song = attrs.evolve(make_song(f"{server.url}/a.mp3"), duration=160 * FRAME_SECONDS)
        with pytest.raises(Truncated, match="breaks off"):
            await client.download(song, tmp_path)
    assert files_in(tmp_path) == []


async def test_a_song_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """It is whole, or it would not have its name."""
    async with serving(faults.answer(WHOLE)) as (client, server):
        song = make_song(f"{server.url}/a.mp3")
        first = await client.download(song, tmp_path)
        assert await client.download(song, tmp_path) == first
        assert len(server.requests) == 1


@pytest.mark.parametrize("stranger", [b"mine", MP3[:-50], b""])
async def test_a_file_of_somebody_else_is_left_alone(stranger: bytes, tmp_path: Path) -> None:
    """The error names it and says what to do.

    Nothing is fetched, except to see whether the provider has a damaged song in just that form.
    """
    path = tmp_path / file_name(make_song())
    path.write_bytes(stranger)
    async with serving(faults.answer(WHOLE)) as (client, server):
        with pytest.raises(DownloadFailed, match="move it away"):
            await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)
        assert len(server.requests) == (stranger == MP3[:-50])
    assert path.read_bytes() == stranger


async def test_a_link_under_the_final_name_is_not_followed(tmp_path: Path) -> None:
    """It may lead anywhere, to a whole song too, or nowhere."""
    (tmp_path / "elsewhere.mp3").write_bytes(MP3)
    for target in ("elsewhere.mp3", "nowhere.mp3"):
        path = tmp_path / file_name(make_song())
        path.symlink_to(tmp_path / target)
        async with serving(faults.answer(WHOLE)) as (client, server):
            with pytest.raises(DownloadFailed, match="move it away"):
                await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)
        path.unlink()
    assert (tmp_path / "elsewhere.mp3").read_bytes() == MP3


async def test_two_downloads_of_one_song_both_end_well(tmp_path: Path) -> None:
    """The second finds the name taken by its twin."""
    async with serving(faults.answer(WHOLE)) as (client, server):
        song = make_song(f"{server.url}/a.mp3")
        one, other = await client.download([song, song], tmp_path)
    assert one == other
    assert files_in(tmp_path) == [one.path.name]


async def test_what_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """A stranger's file under the final name, written while the song came."""
    go = anyio.Event()
    path = tmp_path / file_name(make_song())
    async with (
        serving(faults.answer_when(go, WHOLE)) as (client, server),
        anyio.create_task_group() as users,
    ):

        async def download() -> None:
            with pytest.raises(DownloadFailed, match="move it away"):
                await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)

        users.start_soon(download)
        await server.wait_for(lambda: bool(server.requests))
        path.write_bytes(b"mine")
        go.set()
    assert path.read_bytes() == b"mine"
    assert files_in(tmp_path) == [path.name]


async def test_a_file_system_without_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network shares and memory cards."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    async with serving(faults.answer(WHOLE)) as (client, server):
        song = make_song(f"{server.url}/a.mp3")
        one, other = await client.download([song, song], tmp_path)
    assert one == other
    assert one.path.read_bytes() == MP3
    assert files_in(tmp_path) == [one.path.name]


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    """While it runs there is a part, which nobody takes for a song; then not even that."""
    half = WHOLE[: len(WHOLE) // 2]
    async with serving(faults.stall(half)) as (client, server), anyio.create_task_group() as users:
        users.start_soon(client.download, make_song(f"{server.url}/a.mp3"), tmp_path)
        await server.wait_for(lambda: bool(server.requests))
        assert [name.rpartition(".")[2] for name in files_in(tmp_path)] == ["part"]
        users.cancel_scope.cancel()
    assert files_in(tmp_path) == []


async def test_what_is_not_final_is_not_kept(tmp_path: Path) -> None:
    """A live stream and a song without a link are no files yet: only their task is looked at."""
    async with serving(faults.answer(faults.ok(b'{"code":404}'))) as (client, server):
        stream = attrs.evolve(make_song(f"{server.url}/stream"), audio_is_final=False)
        for song in (stream, make_song(None)):
            with pytest.raises(DownloadFailed, match="no final file yet"):
                await client.download(song, tmp_path)
        assert server.requests
        assert all("/feed?" in request.line for request in server.requests)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["ftp://x.example/a.mp3", "file:///etc/passwd", "//x", "a", "", "x:"]
)
async def test_a_link_that_is_none_is_not_followed(url: str, tmp_path: Path) -> None:
    """Whatever a provider writes there."""
    async with serving(faults.answer(WHOLE)) as (client, _):
        with pytest.raises(UdioError, match="link"):
            await client.download(make_song(url), tmp_path)
    assert files_in(tmp_path) == []


# Again, and what for


UNNOTICED = 7
"""Of the 1,000 cuts below: on the edge of a frame, at most 38 frames before the end."""
LOOK = "api/v2/feed?workId=task-1"
"""What a client asks for before it gives a song up."""
SONGS = {str(place): make_mp3(place) for place in range(40)}


def media_song(server: MediaServer, path: str) -> Song:
    return attrs.evolve(
        make_song(f"{server.url}/{path}", ident=path, title=f"Song {path}"),
        duration=400 * FRAME_SECONDS,
    )


def client_of(server: MediaServer) -> Client:
    return Client(UdioApiV2(api_key="key", base_url=server.url))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes half a minute otherwise takes a fraction of a second."""
    limits = Limits(window=0.2, min_speed=10_000.0)
    monkeypatch.setattr(pool, "Limits", lambda: limits)
    monkeypatch.setattr(messages, "IDLE_TIMEOUT", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [*RESUMABLE, *LIES])
async def test_a_transfer_that_breaks_off_goes_on_or_starts_over(
    fault: str, tmp_path: Path
) -> None:
    """It goes on where the server can prove that the file is the same."""
    starts = {"no such part": "cut", "another part": "cut", "changed": "cut", "no range": "cut"}
    script = [starts[fault], fault] if fault in starts else [fault]
    script = ["weak", fault] if fault == "weak" else script

    def plan(_path: str, place: int) -> str:
        return script[place] if place < len(script) else ""

    async with serving_media(SONGS, plan) as server, client_of(server) as client:
        [saved] = await client.download(media_song(server, "1"), tmp_path)
        assert saved.path.read_bytes() == SONGS["1"]
        if fault in RESUMABLE:
            assert server.sent["1"] <= 1.2 * len(SONGS["1"])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_a_server_that_is_too_slow_is_left(pause: float, tmp_path: Path) -> None:
    """It sends all the time, so that no idle time-out would end it: 100 bytes each 20 ms.

    As fast as it can it is waited for: the control.
    """
    pieces = [MP3[at : at + 100] for at in range(0, len(MP3), 100)]
    head = faults.http(200, b"", AUDIO, length=len(MP3))
    async with serving(faults.drip(head, pieces, every=pause)) as (client, server):
        song = make_song(f"{server.url}/a.mp3")
        if pause:
            with pytest.raises(DownloadFailed, match="too slowly"):
                await client.download(song, tmp_path)
            assert sum("/feed" not in request.line for request in server.requests) == 5
            assert files_in(tmp_path) == []
        else:
            [saved] = await client.download(song, tmp_path)
            assert saved.path.read_bytes() == MP3


async def download_through_faults(songs: int, directory: Path, seed: int) -> tuple[int, int, int]:
    """Download songs through random faults; return how many came, and the bytes of those that

    only ever broke off: those that were sent, and those that they have.
    """
    dice = random.Random(seed)
    files = {str(place): make_mp3(place, dice.randrange(200, 800)) for place in range(songs)}
    scripts = {
        path: [dice.choice(RESUMABLE if dice.random() < 0.6 else LIES) for _ in range(3)]
        if place % 10
        else [dice.choice(HOPELESS)] * 9
        for place, path in enumerate(files)
    }

    def plan(path: str, place: int) -> str:
        if path == LOOK:
            return "page"  # which shows no other link
        return scripts[path][place] if place < len(scripts[path]) else ""

    came = 0
    async with serving_media({**files, LOOK: b""}, plan) as server, client_of(server) as client:
        for path, data in files.items():
            song = attrs.evolve(
                media_song(server, path), duration=len(data) / FRAME_BYTES * FRAME_SECONDS
            )
            try:
                [saved] = await client.download(song, directory)
            except DownloadFailed:
                assert scripts[path][0] in HOPELESS
                assert not (directory / file_name(song)).exists()
            else:
                came += 1
                assert saved.path.read_bytes() == data
                assert saved.sha256 == hashlib.sha256(data).hexdigest()
    resumed = [path for path, script in scripts.items() if set(script) <= set(RESUMABLE)]
    assert not [name for name in files_in(directory) if name.endswith(".part")]
    return (
        came,
        sum(server.sent[path] for path in resumed),
        sum(len(files[path]) for path in resumed),
    )


@pytest.mark.usefixtures("impatient")
async def test_downloads_through_a_server_that_cuts_stalls_drips_resets_and_lies(
    tmp_path: Path,
) -> None:
    """Nothing but whole songs gets a final name, and what can come does."""
    came, sent, needed = await download_through_faults(30, tmp_path, seed=1)
    assert came == 27
    assert sent <= 1.2 * needed


async def test_a_link_that_has_expired_is_refreshed_by_one_look(tmp_path: Path) -> None:
    """The provider is asked for the song, and its new link is tried once."""
    async with Sandbox(speed=2000) as sandbox, Client(sandbox.udioapi_v2()) as client:
        [song, _] = await client.generate("a song to keep")
        old = attrs.evolve(song, audio_url=f"{sandbox.base_url}/media/gone.mp3")
        [saved] = await client.download(old, tmp_path)
        assert saved.path.name == file_name(song)
        with pytest.raises(LinkExpired):
            await client.download(attrs.evolve(old, id="x", task_id="unknown"), tmp_path)


async def test_a_look_that_fails_does_not_hide_that_the_link_has_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that fails as no provider should."""

    async def fail(*_: object) -> None:
        raise KeyError("songs")

    monkeypatch.setattr(UdioApiV2, "fetch", fail)
    async with serving(faults.answer(faults.http(403))) as (client, server):
        with pytest.raises(LinkExpired):
            await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)


async def test_an_answer_that_breaks_off_in_its_head_is_asked_for_again(tmp_path: Path) -> None:
    async with serving(faults.cut(WHOLE, after=20), faults.answer(WHOLE)) as (client, server):
        [saved] = await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)
    assert saved.path.read_bytes() == MP3


async def test_a_new_link_that_is_gone_too_is_the_end(tmp_path: Path) -> None:
    async with serving(faults.answer(faults.http(404))) as (client, server):
        with pytest.raises(LinkExpired):
            await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)
        assert len(server.requests) == 2  # the file, and a look in vain


def test_a_cut_anywhere_is_noticed_but_on_the_edge_of_a_frame_inside_the_tolerance(
    tmp_path: Path,
) -> None:
    """1,000 places. On an edge within a second of the end nothing can tell it from a whole one."""
    data, dice = make_mp3("cut", 2_000), random.Random(4)
    song = attrs.evolve(make_song("x"), duration=2_000 * FRAME_SECONDS)
    unnoticed, places, path = [], [], tmp_path / "cut.mp3"
    for _ in range(1_000):
        edge = dice.random() < 0.2
        place = dice.randrange(FRAME_BYTES, len(data))
        place = place // FRAME_BYTES * FRAME_BYTES if edge else place
        places.append(place)
        path.write_bytes(data[:place])
        heard = sound.measure_file(path, song)
        if heard.measured.whole and not sound.is_short(heard, song):
            unnoticed.append(place)
    # The tolerance is the larger of 1 s and 1 %: here 1 s, which is 38 frames.
    tolerated = {len(data) - missing * FRAME_BYTES for missing in range(39)}
    assert unnoticed == [place for place in places if place in tolerated]
    assert len(unnoticed) == UNNOTICED
    path.write_bytes(data)
    assert sound.measure_file(path, song).measured.whole


# Where a link may lead


async def fetch_from(url: str, tmp_path: Path, *, trust_env: bool = False) -> None:
    """Follow a link of a provider that is not on this machine, and without a proxy."""
    async with Client(UdioApiV2(api_key="key"), trust_env=trust_env) as client:
        await client.download(make_song(url), tmp_path)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "169.254.169.254", "10.0.0.1"],
)
async def test_a_private_address_is_not_fetched_from(host: str, tmp_path: Path) -> None:
    """In whatever notation; nobody is even called."""
    async with FaultServer(faults.answer(WHOLE)) as server:
        with pytest.raises(DownloadFailed, match="public internet"):
            await fetch_from(f"https://{host}:{server.port}/a.mp3", tmp_path)
        assert not server.accepted


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_redirect_to_a_private_address_is_not_followed(
    guarded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a client of the user's own, where only the link itself can be judged.

    Without the guard, the control, it is fetched from.
    """
    if not guarded:
        monkeypatch.setattr(messages, "is_private_host", lambda _: False)
    asked = []

    def reply(request: httpx.Request) -> httpx.Response:
        if "/feed" in request.url.path:  # the look for another link
            return httpx.Response(404)
        asked.append(request.url.host)
        if request.url.host == "169.254.169.254":
            return httpx.Response(400)
        return httpx.Response(302, headers={"Location": "https://169.254.169.254/latest"})

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(reply)) as own,
        Client(UdioApiV2(api_key="key"), http_client=own) as client,
    ):
        with pytest.raises(DownloadFailed) as caught:
            await client.download(make_song("https://songs.example.org/a.mp3"), tmp_path)
    assert ("public internet" in str(caught.value)) is guarded
    assert asked == ["songs.example.org", "169.254.169.254"][: 1 if guarded else 2]


@pytest.mark.parametrize("trust_env", [True, False])
@pytest.mark.parametrize("guarded", [True, False])
async def test_a_public_name_that_leads_to_a_private_address_is_not_fetched_from(
    guarded: bool, trust_env: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is looked at, so a second answer of the resolver changes nothing.

    Without the guard, the control, it gets as far as TLS, which this server does not speak.
    """
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(socket, "getaddrinfo", resolver_to_loopback(socket.getaddrinfo))
    if not guarded:
        monkeypatch.setattr(trail, "is_private_host", lambda _: False)
    async with FaultServer(hang_up) as server:
        with pytest.raises(DownloadFailed) as caught:
            await fetch_from(
                f"https://songs.example.org:{server.port}/a", tmp_path, trust_env=trust_env
            )
        sent = [request.head for request in server.requests]
    assert ("not on the public internet" in str(caught.value)) is guarded
    assert sent == []


async def hang_up(_: Connection) -> None:
    """Say nothing."""


def resolver_to_loopback(resolve: Any) -> Any:  # noqa: ANN401  # a function of the standard library
    def lie(host: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        public = host in ("songs.example.org", b"songs.example.org")
        return resolve("127.0.0.1" if public else host, *args, **options)

    return lie


# Covers and tags


async def test_covers_are_saved_beside_their_songs(tmp_path: Path) -> None:
    """By what they are, whatever their link is called."""
    async with Sandbox(speed=2000) as sandbox, Client(sandbox.udioapi_v2()) as client:
        songs = await client.generate("a song to keep")
        saved = await client.download(songs, tmp_path, covers=True)
        again = await client.download(songs, tmp_path, covers=True)
    assert again == saved
    for each in saved:
        assert each.cover == each.path.with_suffix(".png")
        assert each.cover is not None
        assert each.cover.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "picture", [faults.http(404), faults.ok(b"<html>"), faults.cut(faults.ok(b"\x89PNG"), after=9)]
)
async def test_a_cover_that_does_not_come_costs_no_song(
    picture: Any,  # noqa: ANN401  # bytes of an answer, or a behaviour
    tmp_path: Path,
) -> None:
    behaviour = faults.answer(picture) if isinstance(picture, bytes) else picture
    async with (
        FaultServer(behaviour) as bad,
        serving(faults.answer(WHOLE)) as (client, server),
    ):
        song = attrs.evolve(make_song(f"{server.url}/a.mp3"), image_url=f"{bad.url}/a.jpg")
        [saved] = await client.download(song, tmp_path, covers=True)
    assert saved.cover is None
    assert files_in(tmp_path) == [saved.path.name]


@pytest.mark.parametrize("stranger", [b"mine", b"\x89PNG\r\n\x1a\nhis"])
async def test_a_picture_of_somebody_else_is_left_alone(stranger: bytes, tmp_path: Path) -> None:
    """One that is a picture is taken for the cover; anything else costs only the cover."""
    path = (tmp_path / file_name(make_song())).with_suffix(".png")
    path.write_bytes(stranger)
    async with (
        FaultServer(faults.answer(faults.ok(PNG))) as pictures,
        serving(faults.answer(WHOLE)) as (client, server),
    ):
        song = attrs.evolve(make_song(f"{server.url}/a.mp3"), image_url=f"{pictures.url}/a.png")
        [saved] = await client.download(song, tmp_path, covers=True, tags=True)
    assert saved.cover == (path if stranger.startswith(PNG[:8]) else None)
    assert path.read_bytes() == stranger
    assert files_in(tmp_path) == sorted([path.name, saved.path.name])


async def test_a_song_that_fails_leaves_no_cover(tmp_path: Path) -> None:
    async with (
        FaultServer(faults.answer(faults.ok(PNG))) as pictures,
        serving(faults.answer(faults.http(200, b"<html>"))) as (client, server),
    ):
        song = attrs.evolve(make_song(f"{server.url}/a.mp3"), image_url=f"{pictures.url}/a.png")
        with pytest.raises(NotAudio):
            await client.download(song, tmp_path, covers=True)
    assert files_in(tmp_path) == []


async def test_any_text_can_be_a_tag(tmp_path: Path) -> None:
    """Half a character too, and a zero, which would end the title."""
    async with serving(faults.answer(WHOLE)) as (client, server):
        song = make_song(f"{server.url}/a.mp3", title="one\ud800 \0 two 音楽")
        [saved] = await client.download(song, tmp_path, tags=True)
    assert str(ID3(saved.path)["TIT2"]) == "one  two 音楽"


async def test_tags_say_what_the_song_is(tmp_path: Path) -> None:
    """Title, lyrics, style and cover, in a file that still plays as long."""
    async with Sandbox(speed=2000) as sandbox, Client(sandbox.udioapi_v2()) as client:
        [song, _] = await client.generate("a song to keep")
        [saved] = await client.download(song, tmp_path, tags=True)
    written = ID3(saved.path)
    assert str(written["TIT2"]) == song.title
    assert str(written["USLT::XXX"]) == song.lyrics
    assert str(written["TCON"]) == song.tags
    assert written["APIC:"].data.startswith(b"\x89PNG")
    assert saved.duration == pytest.approx(song.duration, abs=0.1)
    assert saved.cover is None


async def test_tags_without_mutagen_are_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "find_spec", lambda _: None)
    async with serving(faults.answer(WHOLE)) as (client, server):
        with pytest.raises(InvalidRequest, match="pip install"):
            await client.download(make_song(f"{server.url}/a"), tmp_path, tags=True)
        assert not server.accepted


@pytest.mark.parametrize("what", [None, 5, "song", [None], [make_song(), "x"]])
async def test_what_is_no_song_is_refused_with_what_to_give(what: Any, tmp_path: Path) -> None:  # noqa: ANN401
    async with serving(faults.answer(WHOLE)) as (client, _):
        with pytest.raises(InvalidRequest, match=r"outcome\.songs"):
            await client.download(what, tmp_path)


# Many at once


@pytest.mark.parametrize("name", ["a\0b", "\ud800", b"bytes", 5, None])
async def test_what_is_no_path_is_refused_with_what_to_give(name: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """Wherever a path is given; the system's own errors for it are no errors of a disk."""
    path: Any = f"{tmp_path}/{name}" if isinstance(name, str) else name
    refused = "is .*, which is no path; give text"
    async with Sandbox() as sandbox, Client(sandbox.udioapi_v2()) as client:
        with pytest.raises(InvalidRequest, match=f"^directory {refused}"):
            await client.download([], path)
    with pytest.raises(InvalidRequest, match=f"^journal {refused}"):
        SqliteJournal(path)
    with pytest.raises(InvalidRequest, match=f"^path {refused}"):
        files.measure_file(path)
    with pytest.raises(InvalidRequest, match=f"^directory {refused}"):
        files.remove_stale(path, now=0.0)
    with pytest.raises(InvalidRequest, match=f"^directory {refused}"):
        await files.try_folder(path)


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
async def test_bytes_of_a_command_line_are_a_path(tmp_path: Path) -> None:
    """That are no UTF-8: the system takes any but NUL."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    await files.try_folder(Path(folder))
    async with SqliteJournal(f"{folder}/songs.db").open("an account"):
        pass
    assert os.listdir(os.fsencode(folder)) == [b"songs.db"]  # noqa: PTH208  # as bytes


async def test_one_that_fails_costs_no_other(tmp_path: Path) -> None:
    """All the others are on disk when the error of the one is raised."""
    async with (
        FaultServer(faults.answer(WHOLE)) as good,
        FaultServer(faults.answer(faults.http(404))) as bad,
        Client(UdioApiV2(api_key="key", base_url=good.url)) as client,
    ):
        urls = [good.url, bad.url, *[good.url] * 10]
        songs = [make_song(f"{url}/a", ident=str(place)) for place, url in enumerate(urls)]
        with pytest.raises(LinkExpired):
            await client.download(songs, tmp_path)
    assert files_in(tmp_path) == sorted(file_name(song) for song in songs if song.id != "1")


async def test_a_song_that_failed_is_skipped(tmp_path: Path) -> None:
    """It has no audio, and its error was told before."""
    async with serving(faults.answer(WHOLE)) as (client, server):
        song = make_song(f"{server.url}/a.mp3")
        failed = attrs.evolve(song, id="2", audio_url=None, error=Failure(message="moderated"))
        assert len(await client.download([failed, song], tmp_path)) == 1
        assert await client.download(failed, tmp_path) == []


async def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    """However many songs: each opens its file when its turn has come."""
    go = anyio.Event()
    async with (
        serving(faults.answer_when(go, WHOLE)) as (client, server),
        anyio.create_task_group() as users,
    ):
        songs = [make_song(f"{server.url}/a", ident=str(place)) for place in range(60)]
        users.start_soon(client.download, songs, tmp_path)
        await server.wait_for(lambda: len(server.requests) == 4)
        assert len(files_in(tmp_path)) == 4
        go.set()
    assert len(files_in(tmp_path)) == 60


async def test_few_songs_wait_for_their_turn(tmp_path: Path) -> None:
    """Each has a task, and thousands of tasks make a garbage collection take long."""
    async with (
        serving(faults.stall()) as (client, server),
        anyio.create_task_group() as users,
    ):
        before = len(anyio.get_running_tasks())
        songs = [make_song(f"{server.url}/a", ident=str(place)) for place in range(500)]
        users.start_soon(client.download, songs, tmp_path)
        await server.wait_for(lambda: len(server.requests) == 4)
        assert len(anyio.get_running_tasks()) - before < 150
        users.cancel_scope.cancel()


async def test_songs_that_are_there_wait_for_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a client that is closed meanwhile say that they did not come."""
    found: list[Saved] = []
    results: list[Saved | Exception] = []

    async def deliver(*args: Any) -> Saved:  # noqa: ANN401
        found.append(await delivery.deliver(*args))
        return found[-1]

    async with serving(faults.answer(WHOLE)) as (client, server):
        there = [make_song(f"{server.url}/a", ident=str(place)) for place in range(60)]
        await client.download(there, tmp_path)
    monkeypatch.setattr(pool, "deliver", deliver)
    async with bench(tmp_path, faults.stall()) as test, anyio.create_task_group() as tasks:
        stalled = [make_song(f"{test.server.url}/a", ident=f"new-{place}") for place in range(40)]

        async def save() -> None:
            results[:] = await test.downloads.save([*stalled, *there], directory=tmp_path)

        tasks.start_soon(save)
        await test.server.wait_for(lambda: len(found) == 60)
        test.downloads.close()
    assert [isinstance(result, Saved) for result in results] == [False] * 40 + [True] * 60


async def test_songs_whose_files_are_late_do_not_keep_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait together, however many there are, and meanwhile the others are saved."""
    go = anyio.Event()

    async def pause(_: float) -> None:
        await go.wait()

    async def behave(connection: Connection) -> None:
        while True:
            asked = await connection.request()
            late = "/late" in asked.line and not go.is_set()
            await connection.send(faults.http(503) if late else WHOLE)

    monkeypatch.setattr(waiting, "pause", pause)
    async with serving(behave) as (client, server), anyio.create_task_group() as users:
        late = [make_song(f"{server.url}/late", ident=str(place)) for place in range(100)]
        songs = [*late, make_song(f"{server.url}/a", ident="100")]
        users.start_soon(client.download, songs, tmp_path)
        await server.wait_for(lambda: any("/a " in each.line for each in server.requests))
        await server.wait_for(lambda: len(files_in(tmp_path)) == 1)
        go.set()
    assert len(files_in(tmp_path)) == 101


async def test_a_disk_that_takes_nothing_is_an_os_error(tmp_path: Path) -> None:
    """A directory that is a file, as an example."""
    taken = tmp_path / "songs"
    taken.write_text("mine")
    async with serving(faults.answer(WHOLE)) as (client, server):
        with pytest.raises(OSError, match="songs"):
            await client.download(make_song(f"{server.url}/a"), taken)
    assert taken.read_text() == "mine"


LONG = make_mp3("long", 2_000)
"""208 KB: more than the disk below has room for; the other songs need 17 KB."""


@pytest.fixture
def small_disk() -> Generator[None]:
    """No file may become longer than 100 KB: the system itself refuses it."""
    resource = pytest.importorskip("resource", reason="Windows knows no such limit")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_disk")
async def test_a_full_disk_is_an_os_error_that_names_the_file(tmp_path: Path) -> None:
    """The other songs are saved, and nothing of this one is left."""
    async with (
        FaultServer(faults.answer(faults.http(200, LONG, AUDIO))) as big,
        serving(faults.answer(WHOLE)) as (client, server),
    ):
        urls = [server.url, big.url, server.url]
        songs = [make_song(f"{url}/a", ident=str(place)) for place, url in enumerate(urls)]
        with pytest.raises(OSError, match=re.escape(file_name(songs[1]))):
            await client.download(songs, tmp_path)
        assert len(server.requests) == 2
    assert files_in(tmp_path) == sorted([file_name(songs[0]), file_name(songs[2])])


@pytest.mark.usefixtures("small_disk")
async def test_a_disk_that_is_full_when_the_tags_are_written_costs_only_the_tags(
    tmp_path: Path,
) -> None:
    """The song is saved as it came."""
    async with serving(faults.answer(WHOLE)) as (client, server):
        song = attrs.evolve(make_song(f"{server.url}/a"), lyrics="la " * 40_000)
        [saved] = await client.download(song, tmp_path, tags=True)
    assert saved.path.read_bytes() == MP3
    assert files_in(tmp_path) == [file_name(song)]


@pytest.mark.usefixtures("small_disk")
async def test_a_disk_without_room_for_the_cover_costs_only_the_cover(tmp_path: Path) -> None:
    async with (
        FaultServer(faults.answer(faults.ok(PNG + bytes(200_000)))) as pictures,
        serving(faults.answer(WHOLE)) as (client, server),
    ):
        song = attrs.evolve(make_song(f"{server.url}/a.mp3"), image_url=f"{pictures.url}/a.png")
        [saved] = await client.download(song, tmp_path, covers=True)
    assert saved.cover is None
    assert files_in(tmp_path) == [saved.path.name]


async def test_a_huge_stranger_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / file_name(make_song())
    with path.open("wb") as file:
        file.truncate(sound.MAX_FILE + 1)  # sparse: it takes no room
    async with serving(faults.answer(WHOLE)) as (client, server):
        with pytest.raises(DownloadFailed, match="move it away"):
            await client.download(make_song(f"{server.url}/a.mp3"), tmp_path)


# Names


def stem(title: str | None) -> str:
    name, dash, rest = file_name(make_song(title=title)).rpartition("-")
    assert dash
    assert rest.endswith(".mp3")
    return name


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A Song", "A Song"),
        ("../../etc/passwd", "etc passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/absolute", "absolute"),
        ("C:\\Windows", "C Windows"),
        ("~root", "root"),
        (".hidden", "hidden"),
        ("-rf *", "rf"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("com¹", "_com¹"),
        ("Console", "Console"),
        ("trailing. . ", "trailing"),
        ('<>:"/\\|?*', "untitled"),
        ("", "untitled"),
        ("   ", "untitled"),
        (None, "untitled"),
        ("a\x00b\nc\x1b[31m", "a b c [31m"),
        ("\u202egnp.mp3", "gnp.mp3"),
        ("\ud800lone", "lone"),
        ("🎵 Música 音楽", "🎵 Música 音楽"),
        ("e\u0301", "é"),
        ("🎵" * 100, "🎵" * 27),
        ("ä" * 300, "ä" * 55),
    ],
)
def test_a_title_becomes_a_name_that_is_valid_everywhere(title: str | None, expected: str) -> None:
    """No way out of the directory, no device, no hidden file, nothing that a terminal obeys."""
    assert stem(title) == expected


@given(title=st.text(st.characters(), max_size=400), ident=st.text(st.characters(), max_size=60))
def test_any_title_and_any_id_make_one_plain_name(title: str, ident: str) -> None:
    """One component of at most 255 bytes, its part included, that reads back as it is."""
    name = file_name(make_song(title=title, ident=ident))
    assert len(f"{name}.part".encode()) <= 255
    assert Path(name).name == name
    assert not set(name) & set('<>:"/\\|?*\0\r\n\t')
    assert name[0] not in ".-~ "
    assert name.isprintable()


def test_the_songs_of_one_task_have_names_of_their_own() -> None:
    """Same title, and ids that differ in the last character or in upper and lower case only."""
    idents = ["gen2b0ad-0", "gen2b0ad-1", "GEN2B0AD-1", "", "-", "ä"]
    names = {file_name(make_song(ident=ident)).lower() for ident in idents}
    assert len(names) == len(idents)
