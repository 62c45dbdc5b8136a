"""The front door: it puts the rooms together, and hands out jobs and batches."""

import math
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import anyio
import attrs
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup

from ._addresses import Addresses
from ._batch import Batch, check_count
from ._book import Book, Keys, fresh_key
from ._counter import Audit, CreditCounter
from ._download import Downloader, Saved
from ._errors import InvalidRequest, UdioError
from ._events import Observer, guarded
from ._http import MAX_DOWNLOADS, AsyncClient, Http, is_loopback
from ._job import Job
from ._lane import Lane, SubmitPolicy
from ._poller import Poller
from ._records import Credits, Song, SongRequest
from ._schedule import PollPolicy
from ._submit import Submitter
from ._tags import check_can_tag
from ._tasks import lasting_tasks, open_tasks, outlast
from .callbacks import Callbacks, Reception
from .journal import Entry, Journal, MemoryJournal, SqliteJournal, State
from .providers.addresses import check_callback_url
from .providers.base import Provider

_LEARN_FROM = 200
"""Songs of earlier runs from which the schedule learns, at most."""
_UNFINISHED = frozenset({State.ACCEPTED, State.IN_DOUBT, State.REFUSED, State.NOT_SENT})
_GRACE = 30.0
"""Seconds that leaving the client waits for submits on the wire: each may be a paid song."""


@attrs.frozen
class _House:
    """What a client has only while it is open."""

    http: Http
    poller: Poller
    submitter: Submitter
    counter: CreditCounter


class Client(AsyncContextManagerMixin):
    """Generates songs with one provider, one or ten thousand at a time.

    Use it as `async with Client(UdioApiV2(api_key="...")) as client:`. The arguments may be used
    again for another client, on another event loop too.

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
        max_in_doubt: submits in doubt after which nothing more is sent.
        max_submits: songs that this client may have accepted or in doubt; None for no limit.
        max_credits: credits that it may spend, where the provider's price is known.
        http_client: an `httpx.AsyncClient` of yours, used as it is and left open.
        trust_env: take proxies from the environment.
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
        trust_env: bool = False,
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
            _check_amount("requests_per_second", requests_per_second)
        self.provider = provider
        self._journal = _as_journal(journal)
        self._max_active = max_active
        self._submit_policy = SubmitPolicy(
            concurrency=submit_concurrency,
            max_in_doubt=max_in_doubt,
            max_submits=_submit_limit(provider, max_submits, max_credits),
            resubmit_doubts=on_doubt == "resubmit",
        )
        self._poll_policy = poll or PollPolicy()
        self._requests_per_second = requests_per_second
        self._http_client = http_client
        self._trust_env = trust_env
        self._observer = guarded(on_event)
        self._public_url: str | None = None
        self._house: _House | None = None

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        account = f"{self.provider.name} {self.provider.account().key.fingerprint()}"
        async with (
            self._journal.open(account),
            lasting_tasks() as tasks,
            Http(
                tasks,
                client=self._http_client,
                requests_per_second=self._requests_per_second,
                trust_env=self._trust_env,
            ) as http,
        ):
            house = self._house = self._furnish(tasks, http)
            if self._journal.durable:
                await self._learn_from_earlier_runs(house.poller)
                await house.submitter.book.hear_all_kept()
                await house.counter.note_start()
            tasks.start_soon(house.poller.run)
            try:
                yield self
            finally:
                self._house = None
                drained = anyio.Event()
                tasks.start_soon(_drain, house.submitter.lane, drained)
                try:
                    await outlast(drained)
                finally:
                    tasks.cancel_scope.cancel()

    def _furnish(self, tasks: TaskGroup, http: Http) -> "_House":
        poller = Poller(
            self.provider, http, tasks, policy=self._poll_policy, observer=self._observer
        )
        book = Book(self._journal, tasks, provider=self.provider.name)
        poller.on_end = book.ended
        counter = CreditCounter(self.provider, http, self._journal)
        submitter = Submitter(
            provider=self.provider,
            http=http,
            tasks=tasks,
            poller=poller,
            book=book,
            lane=Lane(self._submit_policy),
            counter=counter,
            resubmit_doubts=self._submit_policy.resubmit_doubts,
            observer=self._observer,
        )
        if self._public_url is not None:
            submitter.addresses = Addresses(self._journal, self._public_url)
        return _House(http=http, poller=poller, submitter=submitter, counter=counter)

    async def _learn_from_earlier_runs(self, poller: Poller) -> None:
        for entry in await self._journal.entries([State.READY], last=_LEARN_FROM):
            if entry.took is not None:
                model = entry.request.get("model") or self.provider.traits.default_model
                poller.learn(model, entry.took)

    def _inside(self) -> "_House":
        if self._house is None:
            raise RuntimeError("the client is not open; use it inside `async with Client(...)`")
        return self._house

    async def submit(self, request: SongRequest | str) -> Job:
        """Have the provider accept a song, and return while it is being made.

        Each call is a new song, unless the request has a `key` that the journal knows.

        Raises:
            RequestError: the request cannot be made like this; nothing was taken.
            AccountError: the key or the credits; nothing was taken.
            ProviderUnavailable: no usable answer; nothing was taken.
            SubmitInDoubt: the answer was lost; the song may be running and paid for.
            JournalError: the job could not be remembered; if it was accepted all the same, the
                error carries its `task_id`.
        """
        return await self._submit(request, fresh_key)

    async def _submit(
        self,
        request: SongRequest | str,
        name: Callable[[SongRequest], str],
        stopped_by: UdioError | None = None,
    ) -> Job:
        house = self._inside()
        request = _as_request(request)
        key = name(request)
        watch = await house.submitter.submit(request, key, stopped_by=stopped_by)
        return Job(request, watch)

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
        not the looks at accepted songs. An `AccountError` or `Blocked` stops the submits of the
        batch: the requests that are left end with it, unsent.

            async with client.generate_many(ideas) as batch:
                async for outcome in batch:
                    ...

        With a journal that outlives the client, the same batch run again continues: what is done
        is not submitted again, what was accepted is looked at, what was refused is tried, and
        what is in doubt ends with `SubmitInDoubt`.
        """
        name = Keys().name if self._journal.durable else fresh_key
        return Batch(
            requests,
            lambda request, stopped_by: self._submit(request, name, stopped_by),
            max_active=self._max_active if max_active is None else max_active,
            submitters=self._submit_policy.concurrency,
        )

    def resume(self, *, max_active: int | None = None) -> Batch:
        """Return a batch of everything that the journal holds unfinished, oldest first.

        Accepted songs are looked at, what was refused or never sent is submitted, and what is in
        doubt ends with `SubmitInDoubt`.
        """
        return self.generate_many(self._unfinished(), max_active=max_active)

    async def _unfinished(self) -> AsyncGenerator[SongRequest]:
        self._inside()
        options = self.provider.traits.options
        for entry in await self._journal.entries(_UNFINISHED):
            yield attrs.evolve(SongRequest.from_json(entry.request, options), key=entry.key)

    async def doubts(self) -> Sequence[Entry]:
        """Return the jobs that may have been taken, oldest first, each with its evidence."""
        self._inside()
        return await self._journal.entries([State.IN_DOUBT])

    async def resolve(
        self,
        key: str,
        *,
        task_id: str | None = None,
        resubmit: bool = False,
        abandon: bool = False,
    ) -> None:
        """End a doubt: it was accepted as `task_id`, or it may be submitted again, or let it go.

        Raises:
            InvalidRequest: no job of this key is in doubt, or not exactly one answer is given.
        """
        house = self._inside()
        if (task_id is not None) + resubmit + abandon != 1:
            raise InvalidRequest("give one of task_id, resubmit and abandon")
        if not key.isprintable() or (task_id is not None and not task_id.strip()):
            raise InvalidRequest(
                f"key {key!r} with task_id {task_id!r} names no job; give both whole"
            )
        entry = await self._journal.get(key)
        if entry is None or entry.state is not State.IN_DOUBT:
            state = entry.state if entry else "unknown"
            raise InvalidRequest(f"job {key!r} is {state}, not in doubt", job_key=key)
        state = State.NOT_SENT if resubmit else State.ABANDONED
        if task_id is not None:
            owner = await house.submitter.book.owner(task_id)
            if owner is not None:
                raise InvalidRequest(
                    f"task {task_id!r} is that of job {owner.key!r} already; give the other id"
                )
            state = State.ACCEPTED
        settled = attrs.evolve(entry, state=state, task_id=task_id)
        await self._journal.put(settled, expected=State.IN_DOUBT)
        house.submitter.lane.count_settled(key)

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
        if self._house is not None:
            self._house.submitter.addresses = Addresses(self._journal, public_url)
        return Callbacks(self._reception)

    @property
    def _is_local(self) -> bool:
        """Answer whether the provider is on this machine, and so may its links be."""
        return is_loopback(urlsplit(self.provider.account().base_url).hostname or "")

    def _reception(self) -> Reception | None:
        house = self._house
        if house is None or house.submitter.addresses is None:
            return None
        return Reception(
            provider=self.provider,
            addresses=house.submitter.addresses,
            book=house.submitter.book,
            poller=house.poller,
            submitter=house.submitter,
            tasks=house.submitter.tasks,
            local=self._is_local,
            observer=self._observer,
        )

    async def credits(self) -> Credits:
        """Return what the account has left."""
        return await self.provider.credits(self._inside().http)

    async def audit(self) -> Audit | None:
        """Compare what the journal says was charged with the provider's counter.

        None where the counter was not noted when the journal was begun.
        """
        return await self._inside().counter.audit()

    async def download(
        self,
        songs: Song | Iterable[Song],
        directory: str | os.PathLike[str],
        *,
        covers: bool = False,
        tags: bool = False,
    ) -> list[Saved]:
        """Save the audio of finished songs into `directory`, and return the files in order.

        A file appears under its final name only when it is whole; one that is there already is
        returned as it is, and a file of somebody else is left alone. A link that has expired is
        refreshed by one look. Songs that failed have no audio and are skipped.

        Args:
            songs: as `generate`, `Job.songs()` and `Outcome.songs` give them.
            directory: is made if it is not there.
            covers: save each cover beside its song; one that does not come is logged.
            tags: write title, lyrics, style and cover into the file (extra `tags`).

        Raises:
            DownloadFailed: `NotAudio`, `Truncated` or `LinkExpired` say why. The other songs
                are saved all the same.
            OSError: the disk did not take it. The same goes for the others.
            InvalidRequest: these are no songs, or mutagen is missing. Nothing was fetched.
        """
        wanted = [song for song in _as_songs(songs) if song.error is None]
        if tags:
            check_can_tag()
        downloader = Downloader(
            http=self._inside().http,
            directory=Path(directory),
            refresh=self._refreshed,
            local=self._is_local,
            covers=covers,
            tags=tags,
        )
        saved: dict[int, Saved | Exception] = {}
        slots = anyio.Semaphore(MAX_DOWNLOADS)  # each has a file open

        async def save(place: int, song: Song) -> None:
            async with slots:
                try:
                    saved[place] = await downloader.save(song)
                except (UdioError, OSError) as error:
                    saved[place] = error

        async with open_tasks() as tasks:
            for place, song in enumerate(wanted):
                tasks.start_soon(save, place, song)
        results = [saved[place] for place in range(len(wanted))]
        for result in results:
            if isinstance(result, Exception):
                raise result
        return [result for result in results if isinstance(result, Saved)]

    async def _refreshed(self, song: Song) -> Song | None:
        """Look once at a song whose link is not good any more."""
        tasks = await self.provider.fetch(self._inside().http, [song.task_id])
        songs = (other for task in tasks for other in task.songs)
        return next((other for other in songs if other.id == song.id), None)


async def _drain(lane: Lane, drained: anyio.Event) -> None:
    with anyio.move_on_after(_GRACE):
        await lane.drain()
    drained.set()


def _as_request(request: object) -> SongRequest:
    if isinstance(request, SongRequest):
        return request
    if isinstance(request, str):
        return SongRequest(description=request)
    raise InvalidRequest(f"{request!r} is no request; give a SongRequest or a text")


def _as_songs(songs: object) -> list[Song]:
    listed = [songs] if isinstance(songs, Song) else songs
    if isinstance(listed, Iterable):
        listed = list(listed)
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
    _check_amount("max_credits", max_credits)
    price = provider.traits.credits_per_song
    if price is None:
        raise InvalidRequest(
            f"{provider.name} states no price, so max_credits={max_credits!r} cannot be kept; "
            "give max_submits"
        )
    affordable = int(max_credits // price)
    return affordable if max_submits is None else min(affordable, max_submits)


def _check_amount(name: str, value: object) -> None:
    if (
        isinstance(value, bool)  # an int to Python
        or not isinstance(value, (int, float))
        or not 0 < value < math.inf
    ):
        raise InvalidRequest(f"{name} is {value!r}; give a number above 0")


def _check_kind(name: str, value: object, kind: type[Any], remedy: str) -> None:
    if value is not None and not isinstance(value, kind):
        raise InvalidRequest(f"{name} is {value!r}; {remedy}")
