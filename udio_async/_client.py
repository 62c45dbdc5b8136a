"""The front door: what a client is made with, and its verbs."""

import os
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Collection,
    Iterable,
    Sequence,
)
from pathlib import Path
from typing import Any, Literal, Self

from ._audit import Audit
from ._batch import Batch
from ._download import PATIENCE, Saved
from ._errors import InvalidRequest
from ._events import Observer, guarded
from ._gate import SubmitPolicy
from ._http import AsyncClient
from ._job import Job
from ._polling import PollPolicy
from ._records import Credits, Outcome, Song, SongRequest, Task, as_request
from ._session import RESUMED, Options, Session
from ._tags import check_can_tag
from ._urls import check_callback_url
from ._validators import (
    check_above_zero,
    check_awaited,
    check_count,
    check_not_negative,
)
from .callbacks import Callbacks
from .journal import Entry, Journal, MemoryJournal, SqliteJournal, State
from .providers.base import Provider, account_of


class Client:
    """Generates songs with one provider, one or ten thousand at a time.

    Use it as `async with Client(UdioApiV2(api_key="...")) as client:`, or `open` it and `aclose` it
    where there is no such block. It may be opened and closed in any tasks of one event loop, and
    used in all of them; other loops and threads get an error. The arguments may be used again for
    another client, on another event loop too.

        async with Client(UdioApiV2(api_key="...")) as client:
            songs = await client.generate("a song about rain")
            await client.download(songs, "songs")

    Args:
        provider: `UdioApiV1`, `UdioApiV2`, `Apiframe`, or your own `Provider`.
        journal: where jobs are remembered: a path makes a `SqliteJournal`, None forgets with the
            client. With one, running the same batch again continues it.
        max_active: songs of one batch that may be in the making at once.
        submit_concurrency: submits that may be on the wire at once; as many songs may come into
            doubt if the process is killed.
        poll: when to look at a song, and when to give it up.
        requests_per_second: an upper bound on API requests; None for no bound of our own.
        on_doubt: what becomes of doubts of an earlier run when their batch is continued: "hold"
            raises `SubmitInDoubt` and never pays twice; "resubmit" asks again, and may pay twice.
            One of which a callback has shown that it was taken is never asked for again.
        max_in_doubt: submits in doubt after which nothing more is sent.
        max_submits: songs that this client may have accepted or in doubt; None for no limit.
        max_credits: credits that it may spend, where the provider's price is known.
        http_client: an `httpx.AsyncClient` of yours, used with its headers, cookies, auth, hooks
            and time-outs as far as a paid request allows (docs/networks.md), and left open.
        trust_env: take proxies and certificates from the environment, as httpx does:
            `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, `SSL_CERT_FILE`, `SSL_CERT_DIR`.
        on_event: called with an `Event` for whatever happens to a song; it must not block.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        journal: Journal | str | os.PathLike[str] | None = None,
        max_active: int = 20,
        submit_concurrency: int = 4,
        poll: PollPolicy | None = None,
        requests_per_second: float | None = None,
        on_doubt: Literal["hold", "resubmit"] = "hold",
        max_in_doubt: int = 4,
        max_submits: int | None = None,
        max_credits: float | None = None,
        http_client: AsyncClient | None = None,
        trust_env: bool = True,
        on_event: Observer | None = None,
    ) -> None:
        if isinstance(provider, type) or not isinstance(provider, Provider):
            raise InvalidRequest(
                f"{provider!r} is no provider; give one, such as UdioApiV2(api_key='...')"
            )
        check_count("max_active", max_active)
        check_count("submit_concurrency", submit_concurrency)
        check_count("max_in_doubt", max_in_doubt)
        if on_doubt not in ("hold", "resubmit"):
            raise InvalidRequest(f"on_doubt is {on_doubt!r}; known: 'hold', 'resubmit'")
        _check_kind("poll", poll, PollPolicy, "give PollPolicy(...)")
        _check_kind("http_client", http_client, AsyncClient, "give an httpx.AsyncClient")
        if on_event is not None and not callable(on_event):
            raise InvalidRequest(f"on_event is {on_event!r}; give a function that takes an Event")
        if requests_per_second is not None:
            check_above_zero("requests_per_second", requests_per_second)
        self.provider = provider
        self._options = Options(
            provider=provider,
            journal=_as_journal(journal),
            max_active=max_active,
            submits=SubmitPolicy(
                concurrency=submit_concurrency,
                max_in_doubt=max_in_doubt,
                max_submits=_submit_limit(provider, max_submits, max_credits),
                resubmit_doubts=on_doubt == "resubmit",
            ),
            poll=poll or PollPolicy(),
            requests_per_second=requests_per_second,
            http_client=http_client,
            trust_env=trust_env,
            observer=guarded(on_event),
        )
        self._public_url: str | None = None
        self._session: Session | None = None
        self._was_open = False

    # Opening and closing

    async def open(self) -> Self:
        """Open the client where `async with` does not fit: a notebook, a start-up hook.

            client = await Client(provider).open()

        Raises:
            RuntimeError: it is open.
            JournalError: its journal is in use, another account's (`AnotherAccount`), or damaged.
        """
        if self._session is not None:
            raise RuntimeError("the client is open already; `aclose` it first, or make another")
        self._session = session = Session(self._options, public_url=self._public_url)
        try:
            await session.open()
        except BaseException:
            self._session = None
            raise
        self._was_open = True
        return self

    async def aclose(self) -> None:
        """Close the client in good order; one that is closed stays so.

        What has not left is taken back, what is on the wire is waited for, up to 30 s. Whoever
        waits for a song gets `WaitExpired`; the song goes on being made.

        Raises:
            RuntimeError: it was opened on another event loop.
        """
        session = self._session
        if session is not None:
            try:
                await session.aclose()
            finally:
                if session.is_closed and self._session is session:
                    self._session = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def _is_open(self) -> bool:
        return self._session is not None and self._session.is_open

    def _open(self) -> Session:
        if self._session is None or not self._session.is_open:
            state = "closed" if self._was_open else "not open"
            raise RuntimeError(
                f"the client is {state}; use it inside `async with Client(...)`, or `open` it"
            )
        self._session.home.check("the client")
        return self._session

    # Songs

    async def submit(self, request: SongRequest | str) -> Job:
        """Have the provider accept a song, and return while it is being made.

        Each call is a new song, unless the request has a `key` that the journal knows. Cancelled
        before its first byte has left, it sends nothing; after that the song goes on being made,
        and `resume` hands it out.

        Raises:
            RequestError: the request cannot be made like this; nothing was taken.
            AccountError: the key or the credits; nothing was taken.
            ProviderUnavailable: no usable answer; nothing was taken.
            SubmitInDoubt: the answer was lost; the song may be running and paid for.
            ClientClosed: the client was closed before it left; nothing was taken.
            JournalError: the job could not be remembered; if it was accepted all the same, the
                error carries its `task_id`.
        """
        job = await self._open().submit(as_request(request))
        assert job is not None  # only a resumed one may have been taken over by somebody else
        return job

    async def generate(self, request: SongRequest | str) -> tuple[Song, ...]:
        """Make a song and wait for it: the songs of its task, usually two.

        Where one of them failed and another did not, both are returned, the failed one with its
        `error`.

        Raises:
            GenerationFailed: accepted, then failed as a whole.
            WaitExpired: still running after the deadline; `task_id` finds it again.
            UdioError: everything that `submit` raises.
        """
        job = await self.submit(request)
        return await job.songs()

    def generate_many(
        self,
        requests: Iterable[SongRequest | str] | AsyncIterable[SongRequest | str],
        *,
        max_active: int | None = None,
    ) -> Batch:
        """Make many songs, and get an `Outcome` for each as it finishes.

        Requests are pulled as there is room for them. A slow consumer holds back new submits,
        not the looks at accepted songs. An error that every other request would meet too (an
        `AccountError`, `Blocked`) stops the submits of the batch: the requests that are left end
        with it, unsent.

            async with client.generate_many(ideas) as batch:
                async for outcome in batch:
                    ...

        With a journal that outlives the client, the same batch run again continues: what is done
        is not submitted again, what was accepted is looked at, what was refused is tried, and
        what is in doubt ends with `SubmitInDoubt`. Songs that could not be saved the last time
        come after all others.

        Raises:
            InvalidRequest: these are not many requests, or one in a list is none; nothing was
                sent. One that comes later ends the input, and is raised after the songs.
        """
        return self._open().make_many(requests, max_active=max_active)

    def resume(
        self, states: Collection[State] = RESUMED, *, max_active: int | None = None
    ) -> Batch:
        """Return a batch of the jobs that the journal holds unfinished, oldest first.

        Without `states` these are: what is being made, what is ready and was not delivered yet,
        what is in doubt (it ends with `SubmitInDoubt`), and what `keep` has kept. What was refused
        or could not be sent was told to whoever asked; it is submitted only where you name
        these states. To take up only what is paid for:

            client.resume([JournalState.ACCEPTED, JournalState.READY])

        Jobs that somebody waits for in this client are left to him.
        """
        for state in states:
            if not isinstance(state, State):
                raise InvalidRequest(f"{state!r} is no state; give some of JournalState")
        return self._open().resume(states, max_active=max_active)

    # Jobs

    def jobs(self, states: Collection[State] | None = None) -> AsyncIterator[Entry]:
        """Iterate over the jobs of the journal, oldest first; only over those in some states.

        An attempt that may have been paid, and was followed by another, is a job of its own
        (`attempt_of`).

            async for entry in client.jobs([JournalState.READY]):
                print(entry.key, entry.songs)
        """
        return self._open().jobs(list(State) if states is None else states)

    async def doubts(self) -> Sequence[Entry]:
        """Return the jobs that may have been taken, oldest first, each with its evidence."""
        return [entry async for entry in self.jobs([State.IN_DOUBT])]

    def request_of(self, entry: Entry) -> SongRequest:
        """Return the request of a job, with its key: submitted, it continues that job."""
        return self._open().request_of(entry)

    async def resolve(
        self,
        key: str,
        *,
        task_id: str | None = None,
        resubmit: bool = False,
        abandon: bool = False,
    ) -> None:
        """End a doubt: it was accepted as `task_id`, or it may be submitted again, or let it go.

        The id is believed: `look` shows what it is. What was told wrongly can be told again, until
        it was submitted again.

        Raises:
            InvalidRequest: no job of this key is or was in doubt, or not exactly one answer is
                given.
        """
        session = self._open()
        if not key.isprintable() or (task_id is not None and not task_id.strip()):
            raise InvalidRequest(
                f"key {key!r} with task_id {task_id!r} names no job; give both whole"
            )
        task_id = None if task_id is None else task_id.strip()
        await session.resolve(key, task_id=task_id, resubmit=resubmit, abandon=abandon)

    async def look(self, task_id: str) -> Task:
        """Look once at a task of the account, whoever asked for it: is this the song in doubt?

            print(await client.look("3f6c..."))

        Raises:
            RequestRefused: the provider does not know it.
            AccountError, ProviderUnavailable: it could not be looked at.
        """
        return await self._open().look(task_id.strip())

    async def forget(self, key: str) -> None:
        """Take back a request for which nothing was taken: nobody submits it by itself.

        Asked for again, it is made all the same.

        Raises:
            InvalidRequest: there is no such job, or it was or may have been taken.
        """
        await self._open().forget(key)

    async def keep(self, requests: Iterable[SongRequest | str]) -> None:
        """Keep requests in the journal without submitting them: `resume` does.

        They have the keys that `generate_many` of the same requests would give them.
        """
        await self._open().plan(map(as_request, requests))

    async def acknowledge(self, songs: Song | Iterable[Song] | Outcome | str) -> None:
        """Say that you have these songs, or all of the job of this key: it is done.

        `download` says so by itself. Until then `resume` hands out a paid song again, in the
        next run of the program too.
        """
        session = self._open()
        if isinstance(songs, str):
            await session.acknowledge(songs)
            return
        for song in _as_songs(songs):
            if song.job_key is None:
                raise InvalidRequest(f"song {song.id} names no job; give its job's key")
            await session.acknowledge(song.job_key, [song.id])

    # The account

    async def credits(self) -> Credits:
        """Return what the account has left."""
        return await self._open().credits()

    async def audit(self) -> Audit | None:
        """Compare what the journal says was charged with the provider's counter.

        None where the counter was not noted when the journal was begun.
        """
        return await self._open().audit()

    # Callbacks

    def callbacks(self, public_url: str, *, allow_private: bool = False) -> Callbacks:
        """Return an ASGI application that takes the provider's callbacks at `public_url`.

        From then on each submit tells the provider an address of its own below that URL, and its
        song is looked at when it calls. Mount the application at the URL's path.

        Args:
            public_url: where the provider reaches the application: https, and public.
            allow_private: for a provider on this machine, such as the sandbox: plain http and
                hosts that are not public.

        Raises:
            InvalidRequest: the provider has no callbacks, or cannot call this address.
        """
        if self.provider.traits.callbacks == "none":
            raise InvalidRequest(
                f"{self.provider.name} documents no callback; poll, or use another provider"
            )
        check_callback_url(public_url, allow_private=allow_private)
        if set(public_url) & set("?#"):
            raise InvalidRequest(
                f"callback address {public_url!r} has a query or a fragment; leave it out"
            )
        self._public_url = public_url
        if self._is_open:
            self._open().take_callbacks(public_url)
        return Callbacks(lambda: self._open() if self._is_open else None)

    # Files

    async def download(
        self,
        songs: Song | Iterable[Song] | Outcome,
        directory: str | os.PathLike[str],
        *,
        covers: bool = False,
        tags: bool = False,
        patience: float = PATIENCE,
    ) -> list[Saved]:
        """Save the audio of finished songs into `directory`, and return the files in order.

        A file appears under its final name only when it is whole, with the ending of what it is;
        one that is there already is returned as it is, and a file of somebody else is left alone.
        A link that has expired is refreshed by one look. Songs that failed have no audio and are
        skipped. A job whose songs are all saved is delivered: `resume` does not hand it out again.
        docs/downloads.md says what is done about each answer and each refusal of the disk.

        Args:
            songs: as `generate`, `Job.songs()` and `Outcome.songs` give them, or the outcome
                itself: one that failed raises its error.
            directory: is made if it is not there.
            covers: save each cover beside its song; one that does not come is logged.
            tags: write title, lyrics, style and cover into the file (extra `tags`).
            patience: seconds after a song was completed for which its file is waited for, where
                it is not served at once.

        Raises:
            DownloadFailed: `NotServedYet`, `LinkExpired`, `NotAudio` or `Truncated` say why. The
                other songs are saved all the same, and `resume` hands this one out again.
            OSError: the disk did not take it. The same goes for the others.
            InvalidRequest: these are no songs, or mutagen is missing. Nothing was fetched.
        """
        if isinstance(songs, Outcome) and songs.error is not None:
            raise songs.error
        wanted = [song for song in _as_songs(songs) if song.error is None]
        if tags:
            check_can_tag()
        check_not_negative("patience", patience, remedy="give seconds, 0 or more")
        results = await self._open().download(
            wanted, directory=Path(directory), covers=covers, tags=tags, patience=patience
        )
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, Saved)]


async def hand_over(
    journal: Journal | str | os.PathLike[str], provider: Provider, *, same_account: bool
) -> None:
    """Give a journal to a new API key of the account that it was made with.

    A client does so by itself where the provider shows a task of the journal to the new key.
    With this you say that it is so. A journal that is used with another account's key finds none
    of its songs.

    Raises:
        InvalidRequest: `same_account` is not True.
        JournalError: it is another provider's, in use, or damaged.
    """
    if same_account is not True:
        raise InvalidRequest("say same_account=True if the new key is one of the same account")
    kept = _as_journal(journal)

    async def is_ours() -> bool:
        return all([entry.provider == provider.name async for entry in kept.entries(list(State))])

    async with kept.open(account_of(provider), confirm=is_ours):
        pass


def _as_songs(songs: object) -> list[Song]:
    check_awaited(songs)
    if isinstance(songs, Outcome):
        return list(songs.songs)
    listed = [songs] if isinstance(songs, Song) else songs
    if isinstance(listed, Iterable):
        listed = list(listed)
        for song in listed:
            check_awaited(song)
        if all(isinstance(song, Song) for song in listed):
            return listed
    raise InvalidRequest(
        f"{songs!r} are no songs; give those of `await job.songs()` or of `outcome.songs`"
    )


def _as_journal(journal: Journal | str | os.PathLike[str] | None) -> Journal:
    if journal is None:
        return MemoryJournal()
    if isinstance(journal, (str, os.PathLike)):
        return SqliteJournal(journal)
    if isinstance(journal, type) or not isinstance(journal, Journal):
        raise InvalidRequest(
            f"journal is {journal!r}; give a path, or a Journal such as SqliteJournal('songs.db')"
        )
    return journal


def _submit_limit(
    provider: Provider, max_submits: int | None, max_credits: float | None
) -> int | None:
    """Bring both spend limits down to a number of submits."""
    if max_submits is not None:
        check_count("max_submits", max_submits)
    if max_credits is None:
        return max_submits
    check_above_zero("max_credits", max_credits)
    price = provider.traits.credits_per_song
    if price is None:
        raise InvalidRequest(
            f"{provider.name} states no price, so max_credits={max_credits!r} cannot be kept; "
            "give max_submits"
        )
    affordable = int(max_credits // price)
    return affordable if max_submits is None else min(affordable, max_submits)


def _check_kind(name: str, value: object, kind: type[Any], remedy: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(f"{name} is {value!r}; {remedy}")
