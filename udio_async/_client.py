"""The front door: `Client`, its options and its verbs."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Sequence
from typing import Self

from ._batch import Batch, check_requests
from ._download import PATIENCE, Saved
from ._events import Observer
from ._http import AsyncClient
from ._job import Job
from ._lifetime import Lifetime
from ._options import AnyJournal, OnDoubt, Options
from ._polling import PollPolicy
from ._records import Audit, Credits, Outcome, Song, SongRequest, Task, arrived_in, as_request
from ._session import RESUMED, Session
from .callbacks import CallbackHandler, Callbacks, check_public_url
from .journal import Entry, State
from .providers import Provider


class Client:
    """Sends requests to one provider, and hands out their songs.

    Use it with `async with`, or `open` and `aclose` it where there is no such block. It may be
    opened, used and closed in any tasks of one event loop; other loops and threads get an error.
    The arguments may be used again for another client, on another event loop too.

        async with Client(UdioApiV2(api_key="...")) as client:
            songs = await client.generate("a song about rain")
            await client.download(songs, "songs")

    Args:
        provider: `UdioApiV1`, `UdioApiV2`, `Apiframe`, or your own `Provider`.
        journal: where jobs are remembered: a path makes a `SqliteJournal`, None forgets with the
            client. With one, running the same batch again continues it.
        max_active: requests of one batch that may be in the making at once. None begins with 20,
            makes more while the provider accepts them, fewer where it says "too many", and is
            remembered in the journal.
        submit_concurrency: submits that may be on the wire at once; as many requests may be in
            doubt if the process is killed.
        poll: when to look at a task, and when to give it up.
        requests_per_second: an upper bound on API requests; None for no bound of our own.
        on_doubt: what becomes of doubts of an earlier run when their batch is continued: "hold"
            raises `SubmitInDoubt` and never pays twice; "resubmit" sends again, and may pay twice.
            A request that was taken, as a callback has shown, is never sent again.
        max_in_doubt: submits in doubt after which nothing more is sent.
        max_submits: requests that this client may have accepted or in doubt; None for no limit.
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
        journal: AnyJournal = None,
        max_active: int | None = None,
        submit_concurrency: int = 4,
        poll: PollPolicy | None = None,
        requests_per_second: float | None = None,
        on_doubt: OnDoubt = "hold",
        max_in_doubt: int = 4,
        max_submits: int | None = None,
        max_credits: float | None = None,
        http_client: AsyncClient | None = None,
        trust_env: bool = True,
        on_event: Observer | None = None,
    ) -> None:
        self.provider = provider
        self._options = Options(
            provider=provider,
            journal=journal,
            max_active=max_active,
            submit_concurrency=submit_concurrency,
            poll=poll,
            requests_per_second=requests_per_second,
            on_doubt=on_doubt,
            max_in_doubt=max_in_doubt,
            max_submits=max_submits,
            max_credits=max_credits,
            http_client=http_client,
            trust_env=trust_env,
            on_event=on_event,
        )
        self._public_url: str | None = None
        self._lifetime: Lifetime | None = None
        self._was_open = False

    # Opening and closing

    async def open(self) -> Self:
        """Open the client where `async with` does not fit: in a notebook, or in a start-up hook.

            client = await Client(provider).open()

        Raises:
            RuntimeError: it is open.
            JournalError: its journal is in use, another account's (`AnotherAccount`), or damaged.
        """
        if self._lifetime is not None and not self._lifetime.is_closed:
            raise RuntimeError("the client is open already; `aclose` it first, or make another")
        self._lifetime = lifetime = Lifetime(self._options, public_url=self._public_url)
        try:
            await lifetime.open()
        except BaseException:
            self._lifetime = None
            raise
        self._was_open = True
        return self

    async def aclose(self) -> None:
        """Close the client in good order; a second call does nothing.

        Requests that have not left are taken back, those on the wire are waited for, up to 30 s.
        Whoever waits for songs gets `WaitExpired`; the songs go on being made.

        Raises:
            RuntimeError: it was opened on another event loop.
        """
        if (lifetime := self._lifetime) is not None:
            try:
                await lifetime.aclose()
            finally:
                if lifetime.is_closed and self._lifetime is lifetime:
                    self._lifetime = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _session(self) -> Session:
        session = None if self._lifetime is None else self._lifetime.session
        if session is None:
            state = "closed" if self._was_open else "not open"
            raise RuntimeError(
                f"the client is {state}; use it inside `async with Client(...)`, or `open` it"
            )
        return session

    def _callback_handler(self) -> CallbackHandler | None:
        session = None if self._lifetime is None else self._lifetime.session
        return None if session is None else session.callbacks

    # Songs

    async def submit(self, request: SongRequest | str) -> Job:
        """Have the provider accept a request; return while its songs are made.

        Each call is a new request, and paid for, unless it has a `key` that the journal knows.
        Cancelled before its first byte has left, it sends nothing; after that its songs go on being
        made, and `resume` hands them out.

        Raises:
            RequestError: the request cannot be made like this; nothing was taken.
            AccountError: the key or the credits; nothing was taken.
            ProviderUnavailable: no usable answer, or `TooManyDoubts`; nothing was taken.
            SubmitInDoubt: the answer was lost; it may be running and paid for.
            ClientClosed: the client was closed before it left; nothing was taken.
            JournalError: it could not be kept; accepted all the same, the error has its `task_id`.
        """
        job = await self._session().submit(as_request(request))
        assert job is not None  # only a resumed one may have been taken over by somebody else
        return job

    async def generate(self, request: SongRequest | str) -> tuple[Song, ...]:
        """Send a request, and wait for its songs, usually two.

        If only one of them failed, both are returned, the failed one with its `error`.

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
        """Send many requests, and get an `Outcome` for each as it finishes.

        Requests are pulled as there is room for them. A slow consumer holds back new submits, not
        the looks at accepted requests. An error that every other request would meet too (an
        `AccountError`, `Blocked`) stops the submits of the batch: the requests that are left end
        with it, unsent.

            async with client.generate_many(ideas) as batch:
                async for outcome in batch:
                    ...

        With a journal that outlives the client, the same batch run again continues: what is done is
        not submitted again, what was accepted is looked at, what was refused is tried, and what is
        in doubt ends with `SubmitInDoubt`. Songs that could not be saved the last time come when
        no others are in the making. Without one, only what has a `key` or was kept is continued.

        Raises:
            InvalidRequest: these are not many requests, one in a list is not a request, or
                `max_active` is not a whole number above 0; nothing was sent. A wrong request that
                comes later ends the input, and its error is raised after the songs.
        """
        return self._session().make_many(requests, max_active=max_active)

    def resume(
        self, states: Collection[State | str] = RESUMED, *, max_active: int | None = None
    ) -> Batch:
        """Return a batch of the jobs that the journal holds unfinished.

        They come oldest first. Without `states` these are: jobs that are being made, that are ready
        and not delivered yet, or in doubt (they end with `SubmitInDoubt`), and those of `keep`.
        Requests that were refused or could not be sent, kept ones too, are submitted only if you
        name their states (`udio-async resume` submits these, too). To take up only what is paid:

            client.resume([JournalState.ACCEPTED, JournalState.READY])

        Jobs that somebody in this client waits for already are left out.

        Raises:
            InvalidRequest: one of `states` is not a state, or `max_active` not a number.
        """
        return self._session().resume(states, max_active=max_active)

    # Jobs

    def jobs(self, states: Collection[State | str] | None = None) -> AsyncIterator[Entry]:
        """Iterate over the jobs of the journal, oldest first.

        With `states`, only over those in one of them. An attempt that may have been paid, and was
        followed by another, is a job of its own (`attempt_of`).

            async for entry in client.jobs([JournalState.READY]):
                print(entry.key, entry.songs)

        Raises:
            InvalidRequest: one of `states` is not a state.
        """
        return self._session().jobs(list(State) if states is None else states)

    async def doubts(self) -> Sequence[Entry]:
        """Return the jobs in doubt, oldest first.

        Each has its evidence: what was seen and, with a journal on disk, the account's credits at
        the start and after it. `resolve` ends a doubt.
        """
        return [entry async for entry in self.jobs([State.IN_DOUBT])]

    def request_of(self, entry: Entry) -> SongRequest:
        """Return the request of a job, with its key: to submit it continues that job."""
        return self._session().request_of(entry)

    async def resolve(
        self,
        key: str,
        *,
        task_id: str | None = None,
        resubmit: bool = False,
        abandon: bool = False,
    ) -> None:
        """End a doubt about a job, with exactly one of three answers.

        A `task_id` is taken on your word; `look` shows what it is. If the answer was wrong, give
        another one; that works until the request was submitted again.

        Args:
            key: the job's name, as in `doubts`.
            task_id: it was taken, as this task at the provider.
            resubmit: it was not taken, and may be submitted again.
            abandon: it is given up; nobody looks for it.

        Raises:
            InvalidRequest: no job of this key is or was in doubt, not exactly one answer is given,
                or the task belongs to another job.
            JournalError: the answer could not be kept.
        """
        await self._session().resolve(key, task_id=task_id, resubmit=resubmit, abandon=abandon)

    async def look(self, task_id: str) -> Task:
        """Look once at a task by its id, also at one that this client did not submit.

            print(await client.look("3f6c..."))

        Raises:
            RequestRefused: the provider does not know it.
            AccountError, ProviderUnavailable: it could not be looked at. What any of these errors
                says of money (`charged`) is about the job of the task, as the journal knows it.
        """
        return await self._session().look(task_id)

    async def forget(self, key: str) -> None:
        """Take back a request for which nothing was taken.

        Nobody submits it by itself any more; a batch that had yet to send it ends it with an error.
        Asked for or kept again, it is made all the same.

        Raises:
            InvalidRequest: there is no such job, or it was or may have been taken.
            JournalError: that could not be kept.
        """
        await self._session().forget(key)

    async def keep(self, requests: Iterable[SongRequest | str]) -> None:
        """Keep requests in the journal without submitting them.

        `resume` submits them. They have the keys that `generate_many` of the same requests gives
        them, so each is made once, and to keep one twice changes nothing.

        Raises:
            InvalidRequest: these are not many requests, or one of them is not a request.
            JournalError: one cannot be kept; those before it are.
        """
        check_requests(requests, verb="keep", kinds=Iterable)
        await self._session().kept.keep(map(as_request, requests))

    async def acknowledge(self, songs: Song | Iterable[Song] | Outcome | str) -> None:
        """Tell the journal that you have these songs: their job is done.

        With a key, it is all songs of that job. `download` does this by itself. Until then `resume`
        hands out a paid song again, in the next run of the program too. It is safe to repeat.

        Raises:
            InvalidRequest: these are no songs, one of them names no job, or no job has this key.
            JournalError: that could not be kept.
        """
        await self._session().acknowledge(songs)

    # The account

    async def credits(self) -> Credits:
        """Return what the account has left, in the provider's credits; free to ask.

        Raises:
            AccountError, ProviderUnavailable: the account could not be asked.
        """
        return await self._session().account.credits()

    async def audit(self) -> Audit | None:
        """Compare what the journal expects with the provider's counter.

        None without a journal on disk, or if the provider gave no credits when it was begun.

        Raises:
            ProviderUnavailable: the provider does not answer now; ask again.
            AccountError: the key is wrong.
            JournalError: the journal cannot be read.
        """
        return await self._session().account.audit()

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
        check_public_url(public_url, provider=self.provider, allow_private=allow_private)
        self._public_url = public_url
        if (handler := self._callback_handler()) is not None:
            handler.take_at(public_url)
        return Callbacks(self._callback_handler)

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
        """Save the audio of finished songs, and return the files in order.

        A file gets its final name only when it is whole, with the ending of what it is. One that is
        there already is returned as it is, and another file under that name is left alone. A link
        that has expired is refreshed by one look. Songs that failed have no audio and are skipped.
        A job whose songs are all saved is delivered: `resume` does not hand it out again. It is
        safe to repeat. docs/downloads.md says what is done about each answer.

        Args:
            songs: as `generate`, `Job.songs()` and `Outcome.songs` give them, or the outcome
                itself: of one that failed, what arrived is saved, then its error is raised.
            directory: is made if it is not there.
            covers: save each cover beside its song; one that does not come is logged.
            tags: write title, lyrics, style and cover into the file (extra `tags`).
            patience: seconds after a song was completed for which its file is waited for.

        Raises:
            DownloadFailed: `NotServedYet`, `LinkExpired`, `NotAudio` or `Truncated` say why. The
                other songs are saved all the same, and `resume` hands this one out again.
            OSError: the disk did not take it. The same goes for the others.
            InvalidRequest: these are no songs, the directory is no path, or mutagen is missing.
                Nothing was fetched.
        """
        wanted = arrived_in(songs)
        saved = await self._session().download(
            wanted, directory=directory, covers=covers, tags=tags, patience=patience
        )
        if isinstance(songs, Outcome) and songs.error is not None:
            raise songs.error
        return saved
