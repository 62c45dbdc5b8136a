"""What users write. It is never run: mypy and pyright check it with everything else."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, assert_type

import anyio

import udio_async as ua


async def one_song() -> None:
    async with ua.Client(ua.UdioApiV2(api_key="...")) as client:
        assert_type(client, ua.Client)
        songs = await client.generate("a song about rain")
        assert_type(songs, tuple[ua.Song, ...])
        assert_type(songs[0].audio_url, str | None)
        assert_type(songs[0].duration, float | None)
        assert_type(songs[0].stage, ua.Stage)


async def a_job(client: ua.Client) -> None:
    job = await client.submit(ua.SongRequest(lyrics="[Verse] rain", style="folk", key="rain"))
    assert_type(job, ua.Job)
    async for task in job.updates():
        assert_type(task, ua.Task)
        assert_type(task.songs, tuple[ua.Song, ...])
    assert_type(await job.songs(), tuple[ua.Song, ...])
    assert_type((job.key, job.task_id), tuple[str, str])


async def a_batch(client: ua.Client, ideas: list[str]) -> None:
    async with client.generate_many(ideas, max_active=10) as batch:
        assert_type(batch, ua.Batch)
        async for outcome in batch:
            assert_type(outcome, ua.Outcome)
            assert_type(outcome.error, ua.UdioError | None)
            assert_type(outcome.request, ua.SongRequest)
            if outcome.error is not None:
                assert_type(outcome.error, ua.UdioError)
                continue
            assert_type(await client.download(outcome, Path("songs")), list[ua.Saved])


async def kinds_of_requests(client: ua.Client, requests: Sequence[ua.SongRequest]) -> None:
    async def endless() -> AsyncIterator[ua.SongRequest | str]:
        yield "a song"
        yield ua.SongRequest(description="another one")

    client.generate_many(endless())
    client.generate_many(requests)
    client.generate_many(f"song {number}" for number in range(10))
    client.generate_many({"rain": 1})  # any iterable
    await client.generate(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the claim
    ua.SongRequest("rain")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keywords only


async def errors(client: ua.Client) -> str:
    try:
        await client.generate("a song")
    except ua.SubmitInDoubt as error:
        assert_type(error.evidence, str)
        return error.evidence
    except ua.RateLimited as error:
        assert_type(error.retry_after, float | None)
        return "later"
    except ua.UdioError as error:
        assert_type(error.task_id, str | None)
        return error.charged
    return ""


async def files(client: ua.Client, song: ua.Song, songs: list[ua.Song]) -> None:
    saved = await client.download(song, "songs", covers=True)
    await client.download(songs, Path("songs"), patience=0)
    assert_type(saved[0].path, Path)
    assert_type(saved[0].cover, Path | None)
    assert_type(await anyio.Path(saved[0]).read_bytes(), bytes)
    with open(saved[0], "rb") as file:  # noqa: ASYNC230, PTH123  # it is taken for its path
        file.read(1)


async def what_is_remembered(client: ua.Client) -> None:
    async with client.resume([ua.JournalState.READY]) as batch:
        assert_type([outcome.ok async for outcome in batch], list[bool])
    async for entry in client.jobs():
        assert_type(entry, ua.JournalEntry)
        assert_type(client.request_of(entry), ua.SongRequest)
    for doubt in await client.doubts():
        await client.resolve(doubt.key, task_id="123")
    await client.acknowledge("rain")
    await client.forget("rain")
    await client.keep(["a song", ua.SongRequest(description="another")])


async def journals(provider: ua.Provider) -> None:
    ua.Client(provider, journal="songs.db")
    ua.Client(provider, journal=Path("songs.db"))
    ua.Client(provider, journal=ua.MemoryJournal())
    journal: ua.Journal = ua.SqliteJournal("songs.db")
    assert_type(await journal.get("rain"), ua.JournalEntry | None)
    await ua.hand_over(journal, provider, same_account=True)


async def the_account(client: ua.Client) -> None:
    assert_type((await client.credits()).remaining, float)
    audit = await client.audit()
    if audit is not None:
        assert_type(audit.difference, float | None)


def providers() -> None:
    every: list[ua.Provider] = [ua.UdioApiV1(), ua.UdioApiV2(), ua.Apiframe()]
    ua.Client(every[0], poll=ua.PollPolicy(deadline=600), on_doubt="hold")
    ua.Client(every[0], poll=ua.PollPolicy(interval=5, follow=20))
    ua.Client(ua.UdioApiV2, journal=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a class is no provider
    ua.Client(ua.UdioApiV2(), on_doubt="retry")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a typing error
    assert_type(ua.provider_named("apiframe"), type[ua.Apiframe])
    ua.SongRequest(description="rain", options=ua.UdioApiOptions(style_weight=0.5))


def observers(provider: ua.Provider) -> None:
    def observe(event: ua.Event) -> None:
        if event.task is not None:
            assert_type(event.task.stage, ua.Stage)

    ua.Client(provider, on_event=observe)
    ua.Client(provider, on_event=print)


async def callbacks(client: ua.Client) -> None:
    app = client.callbacks("https://songs.example.org/udio")
    assert_type(app, ua.Callbacks)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Mapping[str, Any]) -> None:
        assert message

    await app({"type": "http"}, receive, send)


async def a_sandbox() -> None:
    async with ua.Sandbox(speed=120) as sandbox:
        assert_type(sandbox, ua.Sandbox)
        ua.Client(sandbox.udioapi_v2())
