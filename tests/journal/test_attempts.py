"""Attempts of one job: which one is meant, and whose a task is."""

from collections.abc import AsyncIterator

import attrs
import pytest

from udio_async import MemoryJournal
from udio_async.journal import Entry, State, jobs
from udio_async.journal.attempts import Attempts

SENT = Entry(key="mine", provider="p", request={}, state=State.IN_DOUBT, attempt=2)


@pytest.fixture
async def journal() -> AsyncIterator[MemoryJournal]:
    journal = MemoryJournal()
    async with journal.open("account"):
        yield journal


async def test_the_attempt_that_is_meant(journal: MemoryJournal) -> None:
    """The last one, where none is named; an earlier one has an entry of its own, made once."""
    attempts = Attempts(journal)
    await journal.add(SENT)
    assert await attempts.of("mine", None) == SENT
    assert await attempts.of("mine", 2) == SENT
    earlier = await attempts.of("mine", 1)
    assert earlier == jobs.earlier_attempt(SENT, 1)
    assert earlier is not None
    await journal.put(attrs.evolve(earlier, evidence="seen"), expected=earlier.state)
    again = await attempts.of("mine", 1)
    assert again is not None
    assert again.evidence == "seen"


async def test_attempts_of_what_is_gone(journal: MemoryJournal) -> None:
    """The job may be forgotten while an attempt of it is kept."""
    attempts, earlier = Attempts(journal), jobs.earlier_attempt(SENT, 1)
    await journal.add(earlier)
    assert await attempts.of("mine", 1) == earlier
    assert await attempts.of("mine", 2) is None
    assert await attempts.of("mine", None) is None


async def test_a_task_of_another_job_is_taken_back(journal: MemoryJournal) -> None:
    """All else that is known of the job stays."""
    attempts = Attempts(journal)
    theirs = attrs.evolve(SENT, key="theirs", state=State.ACCEPTED, task_id="t")
    await journal.add(theirs)
    mine = attrs.evolve(SENT, task_id="t", evidence="a callback")
    assert await attempts.without_others_task(mine) == attrs.evolve(mine, task_id=None)
    assert await attempts.without_others_task(theirs) == theirs
    assert await attempts.without_others_task(SENT) == SENT
    unknown = attrs.evolve(SENT, task_id="of nobody")
    assert await attempts.without_others_task(unknown) == unknown


@pytest.mark.parametrize(
    ("told", "attempt_of", "is_others"),
    [(True, "mine", False), (True, None, True), (False, "mine", True)],
)
async def test_the_word_of_an_owner_counts_less_than_a_callback(
    told: bool, attempt_of: str | None, is_others: bool, journal: MemoryJournal
) -> None:
    """A task that he named for one attempt may be another's; then that one is in doubt again."""
    named = attrs.evolve(
        SENT, key="other", attempt_of=attempt_of, state=State.ACCEPTED, task_id="t", told=told
    )
    await journal.add(named)
    await journal.add(SENT)
    assert await Attempts(journal).is_others(SENT, "t") is is_others
    left = await journal.get("other")
    assert left == (named if is_others else jobs.misnamed(named, SENT))


async def test_a_task_that_its_owner_named_is_his(journal: MemoryJournal) -> None:
    """A callback that names it as well takes nothing back."""
    mine = attrs.evolve(SENT, state=State.ACCEPTED, task_id="t", told=True)
    await journal.add(mine)
    assert await Attempts(journal).is_others(mine, "t") is False
    assert await journal.get("mine") == mine


OWN = attrs.evolve(SENT, key="mine (attempt 1)", request={"description": "another song"})
"""A job whose owner has named it as an earlier attempt of `mine` would be named."""


async def test_an_attempt_takes_the_name_of_no_other_job(journal: MemoryJournal) -> None:
    """It gets one of its own, and is found by it; so does an attempt of the other job."""
    attempts = Attempts(journal)
    await journal.add(OWN)
    await journal.add(SENT)
    mine = await attempts.of("mine", 1)
    others = await attempts.of(OWN.key, 1)
    assert mine is not None
    assert others is not None
    assert (mine.attempt_of, others.attempt_of) == ("mine", OWN.key)
    assert len({OWN.key, SENT.key, mine.key, others.key}) == 4
    assert await journal.get(OWN.key) == OWN
    for entry in (mine, others):
        await journal.put(attrs.evolve(entry, evidence="seen"), expected=entry.state)
    assert await attempts.of("mine", 1) == attrs.evolve(mine, evidence="seen")
    assert await attempts.of(OWN.key, 1) == attrs.evolve(others, evidence="seen")


async def test_an_attempt_of_what_is_gone_is_not_another_job(journal: MemoryJournal) -> None:
    attempts = Attempts(journal)
    await journal.add(OWN)
    assert await attempts.of("mine", 1) is None
    kept = await attempts.keep(jobs.earlier_attempt(SENT, 1))
    assert await attempts.of("mine", 1) == kept
    assert kept.attempt_of == "mine"
