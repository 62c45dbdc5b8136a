"""The contract of a provider: tests over its recorded answers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest

from .._client import Client
from .._errors import (
    AccountError,
    ProviderUnavailable,
    RequestError,
    SubmitInDoubt,
    UdioError,
    Unreachable,
    UnsupportedOption,
)
from .._http import Account, Http, Reply
from .._records import (
    CallbackAddress,
    CallbackNews,
    Credits,
    SongRequest,
    Stage,
    Task,
)
from ..journal import MemoryJournal, State
from ..providers.base import Provider, Traits
from ._recordings import KEY, RecordedHttp, read_recording


@attrs.frozen
class _Replayed:
    """A provider whose submits are answered by a script.

    So that a real client can be tested with an adapter and without a network.
    """

    _provider: Provider
    http: RecordedHttp
    _callback: CallbackAddress | None

    @property
    def name(self) -> str:
        return self._provider.name

    @property
    def traits(self) -> Traits:
        return self._provider.traits

    def account(self) -> Account:
        return self._provider.account()

    def check(self, request: SongRequest) -> None:
        self._provider.check(request)

    async def submit(
        self,
        http: Http,  # noqa: ARG002  # the script is asked instead
        request: SongRequest,
        callback: CallbackAddress | None = None,
    ) -> str:
        return await self._provider.submit(self.http, request, callback or self._callback)

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:  # noqa: ARG002
        return []

    async def credits(self, http: Http) -> Credits:  # noqa: ARG002
        return Credits(provider=self.name, remaining=0.0)

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        return self._provider.read_callback(headers, body, address)


@attrs.frozen(kw_only=True)
class ProviderCase:
    """What the contract has to know about one provider.

    Recordings go by name, without folder, status and ending: "submit-ok". Names in `accepted`,
    `refused`, `stages`, `failed_looks` and `credits` declare what their answers mean; the contract
    compares.
    """

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
        """Read a recording of this provider, by its name."""
        return read_recording(self.recordings, name)

    async def submit(self, *replies: Reply | Exception) -> tuple[str, RecordedHttp]:
        """Submit the case's request over a script of answers.

        Returns:
            The id that the adapter read, and the network with the calls it made.
        """
        http = RecordedHttp(replies)
        return await self.provider.submit(http, self.request, self.callback), http

    async def look(self, name: str) -> Task:
        """Look at the case's task over a recorded answer."""
        [task] = await self.provider.fetch(RecordedHttp([self.reply(name)]), [self.task_id])
        return task

    async def error_of(self, name: str, *, submit: bool) -> UdioError:
        """Return the error that a recorded answer leads to, from a submit or a look."""
        with pytest.raises(UdioError) as caught:
            await (self.submit(self.reply(name)) if submit else self.look(name))
        return caught.value


class ProviderContract:
    """The promises of a provider, as tests. Subclass it with a fixture `case`.

    Nothing is sent: answers come from recordings. Each test says in its docstring what it claims.
    """

    pytestmark = pytest.mark.anyio

    async def test_a_submit_is_the_documented_call(self, case: ProviderCase) -> None:
        """The request goes to the documented path, with exactly the documented fields."""
        _, http = await case.submit(case.reply(next(iter(case.accepted))))
        [call] = http.calls
        assert (call.method, call.path, call.json) == ("POST", case.path, case.body)
        assert call.paid, "a paid request is sent once, and never on a stale connection"

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

    async def test_the_paid_step_does_what_the_errors_say(self, case: ProviderCase) -> None:
        """A refusal is repeated only if its error allows it; the journal holds what it says."""
        [accepted, *_] = case.accepted
        for name in case.refused:
            replies = [attrs.evolve(case.reply(name), headers={}), case.reply(accepted)]
            provider = _Replayed(case.provider, RecordedHttp(replies), case.callback)
            journal = MemoryJournal()
            error: UdioError | None = None
            async with Client(provider, journal=journal) as client:
                try:
                    await client.submit(attrs.evolve(case.request, key="mine"))
                except UdioError as caught:
                    error = caught
                entry = await journal.get("mine")
            declared = await case.error_of(name, submit=True)
            assert (error is None) == declared.may_repeat, name
            assert len(provider.http.calls) == 1 + declared.may_repeat, name
            assert not declared.may_repeat or declared.charged == "no", name
            assert entry is not None
            if error is not None:
                assert error.charged == declared.charged, name
                assert (entry.state is State.IN_DOUBT) == (error.charged == "unknown"), name

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
