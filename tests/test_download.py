"""Audio to disk: whole under its final name, or not at all."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kit import fault_server as faults
from tests.kit.fault_server import Behaviour, FaultServer
from udio_async import (
    Client,
    DownloadFailed,
    Failure,
    LinkExpired,
    NotAudio,
    Sandbox,
    Song,
    Stage,
    Truncated,
    UdioApiV2,
    UdioError,
)
from udio_async._download import file_name

FRAME = bytes((0xFF, 0xFB, 0x10, 0xC4)) + bytes(100)
"""A silent frame of MPEG 1 layer III: 32 kbit/s, 44.1 kHz, 104 bytes."""
MP3 = FRAME * 160
AUDIO = "Content-Type: audio/mpeg"
WHOLE = faults.http(200, MP3, AUDIO)


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


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


# Whole files


async def test_the_songs_of_a_task_are_saved_whole(tmp_path: Path) -> None:
    """Byte for byte as the link serves them, one file for each, in the order of the songs."""
    async with Sandbox(speed=2000) as sandbox, Client(sandbox.udioapi_v2()) as client:
        songs = await client.generate("a song to keep")
        paths = await client.download(songs, tmp_path / "new" / "songs")
        again = await client.download(songs[1], str(tmp_path / "new" / "songs"))
    assert again == paths[1:]
    assert files(tmp_path / "new" / "songs") == sorted(path.name for path in paths)
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
                paths = await client.download(make_song(f"{first.url}/a.mp3"), tmp_path)
                assert paths[0].read_bytes() == MP3
    assert len(files(tmp_path)) == 1


# Nothing less

BROKEN: dict[str, tuple[Behaviour, type[DownloadFailed]]] = {
    "gone": (faults.answer(faults.http(404, b"Not Found")), LinkExpired),
    "gone for good": (faults.answer(faults.http(410)), LinkExpired),
    "signature too old": (faults.answer(faults.http(403, b"<Error/>")), LinkExpired),
    "server error": (faults.answer(faults.http(500, MP3)), DownloadFailed),
    "part": (faults.answer(faults.http(206, MP3, AUDIO)), DownloadFailed),
    "a page": (faults.answer(faults.http(200, b"<html>Sign in</html>", AUDIO)), NotAudio),
    "json": (faults.answer(faults.ok(b'{"code":404}')), NotAudio),
    "nothing": (faults.answer(faults.http(200, b"", AUDIO)), NotAudio),
    "short": (faults.cut(WHOLE, after=len(WHOLE) - 1), Truncated),
    "short by half": (faults.cut(WHOLE, after=len(WHOLE) // 2), Truncated),
    "chunks missing": (faults.answer_once(faults.chunked(MP3)[:-5]), Truncated),
    "encoded": (faults.answer(faults.http(200, MP3, "Content-Encoding: gzip")), DownloadFailed),
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
    assert files(tmp_path) == []


@pytest.mark.parametrize("data", [MP3[:-50], FRAME * 100], ids=["mid frame", "whole frames"])
async def test_a_length_that_lies_does_not_pass_for_a_song(data: bytes, tmp_path: Path) -> None:
    """The server calls it whole; its frames break off, or play less than the provider stated."""
    async with serving(faults.answer(faults.http(200, data, AUDIO))) as (client, server):
        song = attrs.evolve(make_song(f"{server.url}/a.mp3"), duration=160 * 1152 / 44100)
        with pytest.raises(Truncated):
            await client.download(song, tmp_path)
    assert files(tmp_path) == []


async def test_a_failed_download_leaves_an_older_file_alone(tmp_path: Path) -> None:
    """What was whole stays whole."""
    script = [faults.answer_once(WHOLE), faults.cut(WHOLE, after=len(WHOLE) - 1)]
    async with serving(*script) as (client, server):
        song = make_song(f"{server.url}/a.mp3")
        (path,) = await client.download(song, tmp_path)
        with pytest.raises(Truncated):
            await client.download(song, tmp_path)
    assert path.read_bytes() == MP3
    assert files(tmp_path) == [path.name]


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    """While it runs there is a part, which nobody takes for a song; then not even that."""
    half = WHOLE[: len(WHOLE) // 2]
    async with serving(faults.stall(half)) as (client, server), anyio.create_task_group() as users:
        users.start_soon(client.download, make_song(f"{server.url}/a.mp3"), tmp_path)
        await server.wait_for(lambda: bool(server.requests))
        assert [name.rpartition(".")[2] for name in files(tmp_path)] == ["part"]
        users.cancel_scope.cancel()
    assert files(tmp_path) == []


async def test_what_is_not_final_is_not_kept(tmp_path: Path) -> None:
    """A live stream and a song without a link are no files yet: nothing is even asked for."""
    async with serving(faults.answer(WHOLE)) as (client, server):
        stream = attrs.evolve(make_song(f"{server.url}/stream"), audio_is_final=False)
        for song in (stream, make_song(None)):
            with pytest.raises(DownloadFailed, match="no final file yet"):
                await client.download(song, tmp_path)
        assert not server.accepted
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "url", ["ftp://x.example/a.mp3", "file:///etc/passwd", "//x", "a", "", "x:"]
)
async def test_a_link_that_is_none_is_not_followed(url: str, tmp_path: Path) -> None:
    """Whatever a provider writes there."""
    async with serving(faults.answer(WHOLE)) as (client, _):
        with pytest.raises(UdioError, match="link"):
            await client.download(make_song(url), tmp_path)
    assert files(tmp_path) == []


# Many at once


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
    assert files(tmp_path) == sorted(file_name(song) for song in songs if song.id != "1")


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
        assert len(files(tmp_path)) == 4
        go.set()
    assert len(files(tmp_path)) == 60


async def test_a_disk_that_takes_nothing_is_an_os_error(tmp_path: Path) -> None:
    """A directory that is a file, as an example."""
    taken = tmp_path / "songs"
    taken.write_text("mine")
    async with serving(faults.answer(WHOLE)) as (client, server):
        with pytest.raises(OSError, match="songs"):
            await client.download(make_song(f"{server.url}/a"), taken)
    assert taken.read_text() == "mine"


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
        ("🎵" * 100, "🎵" * 30),
        ("ä" * 300, "ä" * 60),
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
