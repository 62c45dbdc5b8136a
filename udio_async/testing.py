"""Tests for providers and journals, for yours as for ours. Needs pytest and anyio's plugin for it.

`RecordedHttp` stands in for the network and answers from files; `ProviderContract` is what every
provider has to keep. A test file for a provider is one `ProviderCase` and one class:

    class TestMine(ProviderContract):
        @pytest.fixture
        def case(self) -> ProviderCase:
            return CASE

`JournalContract` is what every journal has to keep; its fixture `reopen` makes a journal over one
and the same store:

    class TestMine(JournalContract):
        @pytest.fixture
        def reopen(self, tmp_path: Path) -> Callable[[], Journal]:
            return lambda: MyJournal(tmp_path / "store")
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from ._errors import (
    AccountError,
    JournalError,
    ProviderUnavailable,
    RequestError,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    UnsupportedOption,
)
from ._http import Call, Reply
from ._records import CallbackAddress, Failure, FailureKind, Song, SongRequest, Stage, Task
from .journal import Entry, Journal, State
from .providers.base import Provider

KEY = "contract-key-that-nobody-may-ever-see"
"""Give this key to the provider of a case: the contract looks for it everywhere."""

_TYPES = {".json": "application/json", ".html": "text/html", ".txt": "text/plain"}


def read_recording(folder: Path, name: str) -> Reply:
    """Read a recorded answer: `folder/NAME.STATUS.json`, or `.html` or `.txt`.

    Raises:
        FileNotFoundError: there is none, or more than one.
    """
    found = sorted(folder.glob(f"{name}.[0-9][0-9][0-9].*"))
    if len(found) != 1:
        raise FileNotFoundError(f"{len(found)} recordings {name}.STATUS.* in {folder}")
    status = int(found[0].suffixes[-2][1:])
    headers = {"content-type": _TYPES.get(found[0].suffix, "application/octet-stream")}
    return Reply(status=status, headers=headers, body=found[0].read_bytes())


class RecordedHttp:
    """Answers from a script and remembers the calls, in place of the network.

    Each call takes the next answer; an exception among them is raised. A call too many fails.
    """

    def __init__(self, replies: Iterable[Reply | Exception] = ()) -> None:
        self._replies = deque(replies)
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        """Return the next answer of the script."""
        self.calls.append(call)
        if not self._replies:
            raise AssertionError(f"nobody expected {call.method} {call.path}")
        reply = self._replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return reply


@attrs.frozen(kw_only=True)
class ProviderCase:
    """What the contract has to know about one provider. Recordings go by name."""

    provider: Provider
    """Made with `KEY`."""
    recordings: Path
    """The folder they are in."""
    request: SongRequest
    """One that the provider takes, in as many fields as it knows."""
    path: str
    """Where it goes."""
    body: Mapping[str, Any]
    """What it is on the wire, without the key."""
    callback: CallbackAddress | None = None
    """Where `body` says to report to, where the provider wants that."""
    task_id: str
    """The task that every recorded look is about."""
    accepted: Mapping[str, str]
    """Recorded answers to a submit, and the id in each."""
    refused: Mapping[str, type[UdioError]]
    """Recorded answers to a submit without an id, and the error that each stands for."""
    stages: Mapping[str, Stage]
    """Recorded answers to a look, and how far the task is."""
    failed_looks: Mapping[str, type[UdioError]]
    """Recorded answers to a look that say nothing about the task."""
    run: Sequence[str]
    """Looks at one task in their order, from its first to its last."""
    unknown_word: str
    """A look with a status word that nobody documented."""
    credits: Mapping[str, float]
    """Recorded answers about the account, and the credits in each."""
    unsupported: Sequence[SongRequest]
    """Requests that the provider cannot express."""

    def reply(self, name: str) -> Reply:
        """Read a recording of this provider."""
        return read_recording(self.recordings, name)

    async def submit(self, *replies: Reply | Exception) -> tuple[str, RecordedHttp]:
        """Submit the case's request over a script of answers."""
        http = RecordedHttp(replies)
        return await self.provider.submit(http, self.request, self.callback), http

    async def look(self, name: str) -> Task:
        """Look at the case's task over a recorded answer."""
        [task] = await self.provider.fetch(RecordedHttp([self.reply(name)]), [self.task_id])
        return task

    async def error_of(self, name: str, *, submit: bool) -> UdioError:
        """Return the error that a recorded answer leads to."""
        with pytest.raises(UdioError) as caught:
            await (self.submit(self.reply(name)) if submit else self.look(name))
        return caught.value


class ProviderContract:
    """What every provider keeps. Subclass it and give it a fixture `case`."""

    pytestmark = pytest.mark.anyio

    async def test_a_submit_is_the_documented_call(self, case: ProviderCase) -> None:
        """The request goes to the documented path, with exactly the documented fields."""
        _, http = await case.submit(case.reply(next(iter(case.accepted))))
        [call] = http.calls
        assert (call.method, call.path, call.json) == ("POST", case.path, case.body)
        assert call.fresh, "a paid request never meets a stale connection"

    async def test_an_id_means_accepted(self, case: ProviderCase) -> None:
        """Every recorded answer with an id gives that id, whatever its status and shape."""
        ids = {name: (await case.submit(case.reply(name)))[0] for name in case.accepted}
        assert ids == case.accepted

    async def test_a_refusal_is_its_declared_error(self, case: ProviderCase) -> None:
        """Every recorded answer without an id raises the error that the case declares."""
        errors = {name: await case.error_of(name, submit=True) for name in case.refused}
        assert {name: type(error) for name, error in errors.items()} == case.refused

    async def test_a_lost_answer_is_in_doubt(self, case: ProviderCase) -> None:
        """Where the request left and no answer came, the song may be paid for."""
        with pytest.raises(SubmitInDoubt) as caught:
            await case.submit(Unreachable("the connection broke", sent=True))
        assert caught.value.charged == "unknown"
        assert caught.value.evidence

    async def test_a_request_that_never_left_is_not_in_doubt(self, case: ProviderCase) -> None:
        """Where it is proved that nothing left, the error says so, and it may be sent again."""
        with pytest.raises(Unreachable) as caught:
            await case.submit(Unreachable("no such host", sent=False))
        assert not caught.value.sent
        assert caught.value.provider == case.provider.name

    async def test_a_submit_is_sent_once(self, case: ProviderCase) -> None:
        """Whatever the answer, an adapter never repeats a paid request by itself."""
        for name in case.refused:
            http = RecordedHttp([case.reply(name)] * 3)
            with pytest.raises(UdioError):
                await case.provider.submit(http, case.request, case.callback)
            assert len(http.calls) == 1, name

    async def test_unsupported_fields_raise_before_anything_is_sent(
        self, case: ProviderCase
    ) -> None:
        """What the provider cannot express is an error, and costs nothing."""
        for request in case.unsupported:
            http = RecordedHttp()
            with pytest.raises(UnsupportedOption):
                await case.provider.submit(http, request, case.callback)
            with pytest.raises(UnsupportedOption):
                case.provider.check(request)
            assert http.calls == []

    async def test_each_look_shows_its_stage(self, case: ProviderCase) -> None:
        """Every recorded look is the stage that the case declares."""
        tasks = {name: await case.look(name) for name in case.stages}
        assert {name: task.stage for name, task in tasks.items()} == case.stages

    async def test_stages_never_go_backwards(self, case: ProviderCase) -> None:
        """Over a recorded run, neither the task nor any of its songs takes a step back."""
        tasks = [await case.look(name) for name in case.run]
        assert tasks[-1].stage.is_final
        for before, after in pairwise(tasks):
            assert not after.stage.is_before(before.stage)
            earlier = {song.id: song.stage for song in before.songs}
            for song in after.songs:
                assert not song.stage.is_before(earlier.get(song.id, Stage.QUEUED))

    async def test_songs_keep_their_ids_and_places(self, case: ProviderCase) -> None:
        """A song is the same song in every look, and belongs to the task that was asked for."""
        places: dict[int, str] = {}
        for name in case.run:
            task = await case.look(name)
            assert (task.id, task.provider) == (case.task_id, case.provider.name)
            for song in task.songs:
                assert places.setdefault(song.index, song.id) == song.id
                assert (song.task_id, song.provider) == (task.id, task.provider)
        assert len(set(places.values())) == len(places) > 0

    async def test_final_audio_is_only_in_a_complete_song(self, case: ProviderCase) -> None:
        """A link counts as final when its song is complete, and never before."""
        for name in case.stages:
            for song in (await case.look(name)).songs:
                assert not song.audio_is_final or (
                    song.audio_url and song.stage is Stage.COMPLETE
                ), name

    async def test_a_failure_says_why(self, case: ProviderCase) -> None:
        """A failed task has an error, and every failed song has its own."""
        for name in case.stages:
            task = await case.look(name)
            assert (task.error is not None) == (task.stage is Stage.FAILED), name
            for song in task.songs:
                assert song.error or song.stage is not Stage.FAILED, name

    async def test_an_unknown_word_means_still_running(self, case: ProviderCase) -> None:
        """A status that nobody documented is kept, and the task goes on."""
        task = await case.look(case.unknown_word)
        assert not task.stage.is_final
        assert task.status

    async def test_a_failed_look_says_nothing_about_the_song(self, case: ProviderCase) -> None:
        """Every recorded failure of a look raises its declared error, and none is a doubt."""
        errors = {n: await case.error_of(n, submit=False) for n in case.failed_looks}
        assert {name: type(error) for name, error in errors.items()} == case.failed_looks
        for error in errors.values():
            assert isinstance(error, ProviderUnavailable | AccountError | RequestError)

    async def test_credits_are_read(self, case: ProviderCase) -> None:
        """Every recorded account page gives the credits that are left."""
        for name, remaining in case.credits.items():
            balance = await case.provider.credits(RecordedHttp([case.reply(name)]))
            assert (balance.provider, balance.remaining) == (case.provider.name, remaining)

    async def test_no_key_is_ever_shown(self, case: ProviderCase) -> None:
        """The key is in no repr and in no error, not even where the answer repeats it."""
        shown = [repr(case.provider), str(case.provider)]
        for name in case.refused:
            reply = case.reply(name)
            echo = attrs.evolve(reply, body=reply.body.replace(b"message", KEY.encode()) + b" ")
            with pytest.raises(UdioError) as caught:
                await case.submit(echo)
            shown += [str(caught.value), repr(vars(caught.value))]
        assert not [text for text in shown if KEY in text]


# Journals ------------------------------------------------------------------------------------

ACCOUNT = "contract-provider 0123456789abcdef"
"""The account that the contract opens its journals for."""

_SONGS = (
    Song(
        id="song-1",
        task_id="task-1",
        provider="contract",
        index=0,
        stage=Stage.COMPLETE,
        title="Grüße, 世界 \U0001f3b5",
        lyrics='one\ntwo\t"three" \x01',
        duration=156.36,
        audio_url="https://cdn.example/song-1.mp3?a=b&c=d",
        audio_is_final=True,
        created_at=datetime(2025, 5, 1, 12, 0, 0, 123000, timezone(timedelta(hours=2))),
    ),
    Song(
        id="song-2",
        task_id="task-1",
        provider="contract",
        index=1,
        stage=Stage.FAILED,
        error=Failure(message="no", kind=FailureKind.MODERATION, advice="change the words"),
    ),
)


def make_entry(key: str, state: State = State.SENDING, **fields: Any) -> Entry:  # noqa: ANN401  # any field
    """Return an entry of the contract's provider."""
    request = {"description": f"a song for {key}", "extra": {"a": [1, None, {"b": 0.5}]}}
    return Entry(key=key, provider="contract", request=request, state=state, **fields)


async def listed(journal: Journal, states: Collection[State], **options: int) -> list[Entry]:
    """Return the entries in these states, all at once."""
    return [entry async for entry in journal.entries(states, **options)]


class JournalContract:
    """What every journal keeps. Subclass it and give it a fixture `reopen`.

    It returns a function that makes a journal, each time a new one over the same store. What
    differs for journals that forget with their client goes by their own `durable`.
    """

    pytestmark = pytest.mark.anyio

    async def test_a_new_entry_is_kept(self, reopen: Callable[[], Journal]) -> None:
        """`add` returns nothing for a new key, and `get` returns the entry as it was."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            assert await journal.add(make_entry("a")) is None
            assert await journal.get("a") == make_entry("a")
            assert await journal.get("b") is None

    async def test_a_known_key_is_not_added_again(self, reopen: Callable[[], Journal]) -> None:
        """`add` returns what is known, and changes nothing."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            assert await journal.add(make_entry("a", attempt=7)) == make_entry("a")
            assert await journal.get("a") == make_entry("a")

    async def test_of_many_adds_of_one_key_one_wins(self, reopen: Callable[[], Journal]) -> None:
        """Whoever gets nothing back may submit, and that is one."""
        journal, winners = reopen(), list[int]()

        async def add(number: int) -> None:
            if await journal.add(make_entry("a", attempt=number)) is None:
                winners.append(number)

        async with journal.open(ACCOUNT):
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(add, number)
            [winner] = winners
            assert await journal.get("a") == make_entry("a", attempt=winner)

    async def test_a_change_needs_the_expected_state(self, reopen: Callable[[], Journal]) -> None:
        """From another state nothing is changed; the error names the job, and work goes on."""
        journal = reopen()
        accepted = make_entry("a", State.ACCEPTED, task_id="task-1")
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            with pytest.raises(JournalError) as caught:
                await journal.put(accepted, expected=State.IN_DOUBT)
            assert (caught.value.job_key, caught.value.task_id) == ("a", "task-1")
            assert await journal.get("a") == make_entry("a")
            with pytest.raises(JournalError):
                await journal.put(make_entry("unknown"), expected=State.SENDING)
            assert await journal.get("unknown") is None
            await journal.put(accepted, expected=State.SENDING)
            assert await journal.get("a") == accepted

    async def test_of_many_changes_from_one_state_one_wins(
        self, reopen: Callable[[], Journal]
    ) -> None:
        """Whoever gets no error has made the change, and that is one."""
        journal, winners, losers = reopen(), list[str](), list[JournalError]()

        async def accept(task_id: str) -> None:
            try:
                changed = make_entry("a", State.ACCEPTED, task_id=task_id)
                await journal.put(changed, expected=State.SENDING)
                winners.append(task_id)
            except JournalError as error:
                losers.append(error)

        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(accept, f"task-{number}")
            assert len(losers) == 19
            [winner] = winners
            assert await journal.get("a") == make_entry("a", State.ACCEPTED, task_id=winner)

    async def test_entries_come_by_state_oldest_first(self, reopen: Callable[[], Journal]) -> None:
        """The oldest is the one that was added first, whatever was changed since."""
        journal = reopen()
        keys = [f"{number:02}" for number in range(12)]
        async with journal.open(ACCOUNT):
            for key in keys:
                await journal.add(make_entry(key))
            for key in keys[::-2]:
                await journal.put(make_entry(key, State.ACCEPTED), expected=State.SENDING)
            both = await listed(journal, [State.ACCEPTED, State.SENDING])
            assert [entry.key for entry in both] == keys
            sending = await listed(journal, [State.SENDING])
            assert [entry.key for entry in sending] == keys[::2]
            newest = await listed(journal, {State.ACCEPTED}, newest=2)
            assert [entry.key for entry in newest] == keys[1::2][-2:]
            assert list(await listed(journal, [State.IN_DOUBT])) == []
            assert list(await listed(journal, [])) == []

    async def test_every_field_comes_back(self, reopen: Callable[[], Journal]) -> None:
        """Whatever is asked for, known and delivered, is the same afterwards; raw answers go."""
        journal = reopen()
        full = make_entry(
            "schlüssel/世界 '\"%_",
            State.IN_DOUBT,
            attempt=3,
            task_id="task-1",
            songs=_SONGS,
            evidence="it broke 'there' \U0001f3b5",
            error="SubmitInDoubt",
            submitted_at=1746100800.123,
            took=61.5,
        )
        async with journal.open(ACCOUNT):
            await journal.add(full)
            assert await journal.get(full.key) == full
            assert list(await listed(journal, [State.IN_DOUBT])) == [full]

    @pytest.mark.parametrize("state", list(State))
    async def test_it_outlives_its_client_if_it_says_so(
        self, reopen: Callable[[], Journal], state: State
    ) -> None:
        """Opened again, a durable journal has every entry, and another one has none."""
        journal = reopen()
        last = make_entry("a", state, task_id="task-1", songs=_SONGS, evidence="seen")
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            await journal.put(last, expected=State.SENDING)
            await journal.note("name", "value")
        journal = reopen()
        async with journal.open(ACCOUNT):
            again = await journal.get("a")
            if not journal.durable:
                assert again is None
                assert await journal.noted("name") is None
                return
            assert await journal.noted("name") == "value"
            assert again is not None
            if state is State.SENDING:  # whose owner has gone without a word
                assert again.state is State.IN_DOUBT
                assert again.evidence
                last = attrs.evolve(last, state=again.state, evidence=again.evidence)
            assert again == last
            assert await journal.add(make_entry("a")) == last

    async def test_what_is_unfinished_is_never_forgotten(
        self, reopen: Callable[[], Journal]
    ) -> None:
        """A durable journal forgets nothing; another one may forget what has ended."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            for state in State:
                await journal.add(make_entry(state))
                await journal.put(make_entry(state, state), expected=State.SENDING)
            kept = {entry.state for entry in await listed(journal, list(State))}
            assert kept >= {State.SENDING, State.ACCEPTED, State.IN_DOUBT}
            assert kept == set(State) or not journal.durable

    async def test_facts_are_kept_over_earlier_ones(self, reopen: Callable[[], Journal]) -> None:
        """The last one of a name counts."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            assert await journal.noted("credits") is None
            await journal.note("credits", "10")
            await journal.note("credits", "20 €")
            assert await journal.noted("credits") == "20 €"

    async def test_another_account_is_refused(self, reopen: Callable[[], Journal]) -> None:
        """Its ids would be unknown there; the right account still gets in afterwards."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a", State.ACCEPTED))
        other = reopen()
        if not other.durable:
            return
        with pytest.raises(JournalError):
            async with other.open("contract-provider fedcba9876543210"):
                pass
        journal = reopen()
        async with journal.open(ACCOUNT):
            assert await journal.get("a") == make_entry("a", State.ACCEPTED)

    async def test_it_has_one_owner(self, reopen: Callable[[], Journal]) -> None:
        """Who comes second is told so and changes nothing; afterwards it is free."""
        journal, second = reopen(), reopen()
        if not journal.durable:
            return
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            with pytest.raises(JournalError):
                async with second.open(ACCOUNT):
                    pass
            await journal.put(make_entry("a", State.ACCEPTED), expected=State.SENDING)
        async with second.open(ACCOUNT):
            assert await second.get("a") == make_entry("a", State.ACCEPTED)

    async def test_the_change_of_a_cancelled_waiter_is_kept(
        self, reopen: Callable[[], Journal]
    ) -> None:
        """What was begun is written, whether or not anybody waits for it."""
        journal = reopen()
        accepted = make_entry("a", State.ACCEPTED, task_id="task-1")
        async with journal.open(ACCOUNT):
            await journal.add(make_entry("a"))
            async with anyio.create_task_group() as tasks:

                async def put() -> None:
                    await journal.put(accepted, expected=State.SENDING)

                tasks.start_soon(put)
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
            assert await journal.get("a") == accepted
