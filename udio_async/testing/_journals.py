"""The contract of a journal: tests that each implementation passes."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import anyio.lowlevel
import attrs
import pytest

from .._errors import (
    JournalError,
)
from .._records import (
    Failure,
    FailureKind,
    Song,
    Stage,
)
from ..journal import Entry, Journal, State

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
    """Return an entry of the contract's provider, with these fields."""
    request = {"description": f"a song for {key}", "extra": {"a": [1, None, {"b": 0.5}]}}
    return Entry(key=key, provider="contract", request=request, state=state, **fields)


async def listed(journal: Journal, states: Collection[State], **options: int) -> list[Entry]:
    """Return the entries in these states as one list.

    `options` are those of `Journal.entries`.
    """
    return [entry async for entry in journal.entries(states, **options)]


class JournalContract:
    """The promises of a journal, as tests. Subclass it with a fixture `reopen`.

    The fixture returns a function that makes a journal, each time a new one over the same store.
    What differs for journals that forget with their client goes by their own `durable`.
    """

    pytestmark = pytest.mark.anyio

    async def test_a_new_entry_is_kept(self, reopen: Callable[[], Journal]) -> None:
        """`add` returns nothing for a new key, and `get` returns the entry as it was."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            assert await journal.add(make_entry("a")) is None
            assert await journal.get("a") == make_entry("a")
            assert await journal.get("b") is None

    async def test_many_keys_are_looked_up_at_once(self, reopen: Callable[[], Journal]) -> None:
        """Of those asked for the known ones are returned, by key, and no others."""
        journal = reopen()
        async with journal.open(ACCOUNT):
            for number in range(700):
                await journal.add(make_entry(f"key {number}"))
            asked = [*(f"key {number}" for number in range(0, 700, 7)), "unknown"]
            assert await journal.get_many(asked) == {key: make_entry(key) for key in asked[:-1]}
            everything = [f"key {number}" for number in range(700)]
            assert len(await journal.get_many(everything)) == 700
            assert await journal.get_many([]) == {}

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
            assert list(await listed(journal, [State.ACCEPTED], newest=0)) == []

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
            reached=((11.0, 14.5), (29.5, 34.0), (61.0, 62.0)),
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
