"""What cannot be saved is not bought; what was paid for is not lost meanwhile."""

import errno
from pathlib import Path

import pytest

from udio_async import Client, DiskUnavailable, Sandbox, SongRequest, UdioError
from udio_async._download import folder_check

FULL = OSError(errno.ENOSPC, "No space left on device")
REFUSALS = (
    FULL,
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EROFS, "Read-only file system"),
    OSError(errno.EACCES, "Permission denied"),
)


def asked(number: int) -> SongRequest:
    return SongRequest(description=f"song {number}", key=f"key {number}")


def block(songs: Path) -> None:
    """Put a file where the directory of the songs should be."""
    songs.write_text("in the way")


async def one_that_cannot_be_saved(client: Client, songs: Path) -> None:
    made = await client.generate(asked(0))
    with pytest.raises(OSError, match=r"songs"):
        await client.download(made, songs)


async def test_no_more_is_bought_until_the_disk_takes_files_again(tmp_path: Path) -> None:
    """The error names the directory and the reason; nothing was sent, and nothing is lost."""
    songs = tmp_path / "songs"
    async with (
        Sandbox(speed=600) as sandbox,
        Client(sandbox.udioapi_v2(), journal=tmp_path / "j.db") as client,
    ):
        block(songs)
        await one_that_cannot_be_saved(client, songs)
        with pytest.raises(DiskUnavailable, match=r"songs takes no files: .*make room") as refused:
            await client.generate(asked(1))
        assert (refused.value.charged, len(sandbox.ledger)) == ("no", 1)
        songs.unlink()
        async with client.resume() as batch:  # the one that was paid for
            [outcome] = [outcome async for outcome in batch]
        assert len(await client.download(outcome, songs)) == 2
        assert len(await client.download(await client.generate(asked(1)), songs)) == 2
        assert len(sandbox.ledger) == 2


async def test_a_batch_ends_with_the_disk(tmp_path: Path) -> None:
    """Those that were not sent yet say why; the same batch goes on when there is room."""
    songs, wanted = tmp_path / "songs", [asked(number) for number in range(30)]
    async with (
        Sandbox(speed=600) as sandbox,
        Client(sandbox.udioapi_v2(), journal=tmp_path / "j.db") as client,
    ):
        block(songs)
        errors: list[UdioError | None] = []
        async with client.generate_many(wanted, max_active=2) as batch:
            async for outcome in batch:
                errors.append(outcome.error)
                if outcome.error is None:
                    with pytest.raises(OSError, match=r"songs"):
                        await client.download(outcome, songs)
        assert 1 <= len(sandbox.ledger) <= 4
        refused = [error for error in errors if isinstance(error, DiskUnavailable)]
        assert len(refused) == 30 - errors.count(None)
        songs.unlink()
        async with client.generate_many(wanted, max_active=2) as batch:
            async for outcome in batch:
                await client.download(outcome, songs)
        assert len(list(songs.glob("*.mp3"))) == 60
        assert len(sandbox.ledger) == 30


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
async def test_whatever_the_disk_says(
    refusal: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words stand in the error."""

    def write(_directory: Path, _size: int) -> None:
        raise refusal

    checked = folder_check.FolderCheck()
    await checked.check()  # nothing was refused
    monkeypatch.setattr(folder_check, "_write", write)
    checked.refused(tmp_path, refusal)
    with pytest.raises(DiskUnavailable, match=str(refusal.strerror)):
        await checked.check()
    checked.written(tmp_path, 100)
    await checked.check()


async def test_a_file_like_the_largest_has_to_fit(tmp_path: Path) -> None:
    """A disk that takes only small files would take no song; nothing is left of the try."""
    sizes: list[int] = []
    checked = folder_check.FolderCheck()
    checked.written(tmp_path, 3_000_000)
    checked.refused(tmp_path / "new", FULL)
    with pytest.MonkeyPatch.context() as patch:
        write = folder_check._write

        def noted(path: Path, size: int) -> None:
            sizes.append(size)
            write(path, size)

        patch.setattr(folder_check, "_write", noted)
        await checked.check()
    assert sizes == [3_000_000]
    assert list((tmp_path / "new").iterdir()) == []
