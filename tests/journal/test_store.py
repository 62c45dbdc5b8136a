"""A client's jobs in a journal, where two of its hands reach for the same job."""

from collections.abc import AsyncIterator, Callable

import anyio
import attrs
import pytest

from udio_async import (
    ClientClosed,
    Failure,
    InvalidRequest,
    JournalError,
    MemoryJournal,
    Song,
    SongRequest,
    Stage,
    SubmitInDoubt,
    Unreachable,
)
from udio_async._records import CallbackNews
from udio_async.journal import BatchKeys, Entry, State, jobs
from udio_async.journal.entry import Times
from udio_async.journal.store import ChangedMeanwhile, JobStore

REQUEST = SongRequest(description="a song", key="mine")
SONG = Song(id="a", task_id="t", provider="p", index=0, stage=Stage.COMPLETE, audio_is_final=True)


@pytest.fixture
async def journal() -> AsyncIterator[MemoryJournal]:
    journal = Racing()
    async with journal.open("account"):
        yield journal


@pytest.fixture
async def store(journal: MemoryJournal) -> AsyncIterator[JobStore]:
    async with anyio.create_task_group() as tasks:
        yield JobStore(journal, tasks, provider="p")


class Racing(MemoryJournal):
    """Another hand changes an entry just before it is put, or begins once it has been read."""

    meanwhile: Entry | None = None
    between: Callable[[], object] | None = None

    async def get(self, key: str) -> Entry | None:
        found = await super().get(key)
        if self.between is not None:
            begin, self.between = self.between, None
            begin()
            await anyio.wait_all_tasks_blocked()
        return found

    async def put(self, entry: Entry, *, expected: State) -> None:
        if self.meanwhile is not None:
            other, self.meanwhile = self.meanwhile, None
            await super().put(other, expected=expected)
        await super().put(entry, expected=expected)


async def test_evidence_is_added_to_a_doubt_and_to_nothing_else(
    journal: MemoryJournal, store: JobStore
) -> None:
    """The doubt may have ended, or the job may be gone; what it is now is returned."""
    sending = await store.intend(REQUEST, "mine", None)
    gone = attrs.evolve(sending, key="of nobody")
    assert await store.add_evidence(sending, "more") == sending
    assert await store.add_evidence(gone, "more") == gone
    assert await journal.get("mine") == sending
    await store.doubt(sending, "cut")
    await store.add_evidence(sending, "cut; 90 credits")
    assert (await store.known("mine")).evidence == "cut; 90 credits"


async def test_evidence_that_cannot_be_kept_is_no_failure(journal: Racing, store: JobStore) -> None:
    """The doubt stays one."""
    sending = await store.intend(REQUEST, "mine", None)
    await store.doubt(sending, "cut")
    journal.put = _full  # type: ignore[method-assign]  # the disk is full
    doubt = await store.add_evidence(sending, "more")
    assert (doubt.state, doubt.evidence) == (State.IN_DOUBT, "cut")


async def test_a_callback_beside_the_answer_finds_it_accepted(
    journal: Racing, store: JobStore
) -> None:
    """What the answer has changed counts, and the callback is taken."""
    sending = await store.intend(REQUEST, "mine", None)
    journal.meanwhile = accepted = jobs.accepted(sending, "t")
    heard = await store.hear("mine", 1, CallbackNews(stage=Stage.QUEUED, task_id="t"))
    assert heard is not None
    assert (heard.entry, heard.healed) == (accepted, False)
    assert await journal.get("mine") == accepted


async def test_a_callback_that_cannot_be_kept_is_an_error(journal: Racing, store: JobStore) -> None:
    """It should come again: the job has not changed, so nothing else has kept what it says."""
    sending = await store.intend(REQUEST, "mine", None)
    journal.put = _full  # type: ignore[method-assign]  # the disk is full
    with pytest.raises(JournalError, match="full"):
        await store.hear("mine", 1, CallbackNews(stage=Stage.QUEUED, task_id="t"))
    assert await journal.get("mine") == sending


async def test_an_attempt_that_may_have_been_paid_is_kept_whatever_its_name(
    journal: Racing, store: JobStore
) -> None:
    """Its owner may have named another job so; a late callback finds the right one."""
    own = attrs.evolve(
        await store.intend(attrs.evolve(REQUEST, key="mine (attempt 1)"), "mine (attempt 1)", None),
        request={"description": "another song"},
    )
    await journal.put(own, expected=State.SENDING)
    doubted = jobs.doubted(await store.intend(REQUEST, "mine", None), "cut")
    await journal.put(doubted, expected=State.SENDING)
    await store.intend(REQUEST, "mine", doubted)
    heard = await store.hear("mine", 1, CallbackNews(stage=Stage.COMPLETE, songs=(SONG,)))
    assert heard is not None
    assert (heard.entry.attempt_of, heard.entry.evidence) == ("mine", "")
    assert heard.entry.request == doubted.request
    assert heard.entry.submitted_at == doubted.submitted_at
    assert [song.id for song in heard.entry.songs] == [SONG.id]
    assert await journal.get("mine (attempt 1)") == own


async def _full(entry: Entry, *, expected: State) -> None:
    raise JournalError("the disk is full")


async def test_a_delivery_waits_for_the_end_of_its_job(
    journal: MemoryJournal, store: JobStore
) -> None:
    """Its owner may have the songs before the journal knows that they are made."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    store.end(entry, (SONG,), times=Times(took=60.0))
    with anyio.fail_after(5):
        await store.deliver("mine")
    known = await store.known("mine")
    assert (known.state, known.took, known.songs) == (State.DELIVERED, 60.0, (SONG,))


async def test_what_is_not_there_is_named(store: JobStore) -> None:
    """By the key that was given."""
    with pytest.raises(InvalidRequest, match="no job 'other'") as caught:
        await store.known("other")
    assert caught.value.job_key == "other"


async def test_another_request_under_a_key_is_named(store: JobStore) -> None:
    """Also where the job is looked up for a batch it is not taken for this one's."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    store.end(entry, (SONG,), times=Times(took=60.0))
    await store.deliver("mine")
    other = attrs.evolve(REQUEST, description="another song")
    with pytest.raises(InvalidRequest, match="stands for another request") as caught:
        await store.recall(other, "mine")
    assert caught.value.job_key == "mine"
    known = await store.known("mine")
    wanted = [REQUEST, other, attrs.evolve(other, key=None)]
    assert await store.recall_made(wanted, ["mine"] * 3) == [known, None, known]
    assert await store.recall_made([REQUEST], ["of nobody"]) == [None]


@pytest.mark.parametrize(
    ("then", "now", "differ"),
    [
        (1, 1.0, False),
        (1, True, True),
        (0, False, True),
        ([{"n": 1}], [{"n": True}], True),
        ("é", "e\u0301", False),
        ("1", 1, True),
    ],
)
async def test_a_key_and_a_name_tell_the_same_requests_apart(
    store: JobStore, then: object, now: object, *, differ: bool
) -> None:
    """For Python True is 1; for a provider, and in the name that a batch gives, it is not."""
    one, other = (SongRequest(description="rain", extra={"n": value}) for value in (then, now))
    assert (BatchKeys().name(one) != BatchKeys().name(other)) is differ
    await store.intend(one, "mine", None)
    if not differ:
        assert await store.recall(other, "mine") is not None
        return
    with pytest.raises(InvalidRequest, match=r"extra was .*, is ") as caught:
        await store.recall(other, "mine")
    assert f"extra was {{'n': {then!r}}}, is {{'n': {now!r}}}" in str(caught.value)


@pytest.mark.parametrize(
    ("task_id", "job_key", "found"),
    [("t", None, "mine"), ("t", "yours", "yours"), ("", None, None), ("other", None, None)],
)
async def test_a_song_leads_to_its_job(
    store: JobStore, task_id: str, job_key: str | None, found: str | None
) -> None:
    """By the key that it carries, else by its task; a song without either is of no job."""
    await store.accept(await store.intend(REQUEST, "mine", None), "t")
    assert await store.key_of(attrs.evolve(SONG, task_id=task_id, job_key=job_key)) == found


async def test_an_id_that_cannot_be_kept_is_in_the_error(journal: Racing, store: JobStore) -> None:
    """It is paid for, and nothing more is sent by this client."""
    sending = await store.intend(REQUEST, "mine", None)
    journal.put = _full  # type: ignore[method-assign]  # the disk is full
    with pytest.raises(JournalError, match="Write the id down") as caught:
        await store.accept(sending, "t-1")
    error = caught.value
    assert (error.task_id, error.job_key, error.charged) == ("t-1", "mine", "yes")
    with pytest.raises(JournalError, match="nothing more is submitted"):
        await store.intend(attrs.evolve(REQUEST, key="other"), "other", None)


async def test_a_doubt_that_cannot_be_kept_stops_what_would_be_sent(
    journal: Racing, store: JobStore
) -> None:
    """The journal would not know of it later: so nothing is added to what it has lost."""
    sending = await store.intend(REQUEST, "mine", None)
    journal.put = _full  # type: ignore[method-assign]  # the disk is full
    await store.doubt(sending, "cut")
    with pytest.raises(JournalError, match="nothing more is submitted: the disk is full"):
        await store.intend(attrs.evolve(REQUEST, key="other"), "other", None)


async def test_an_end_that_cannot_be_kept_stops_what_would_be_sent(
    journal: Racing, store: JobStore
) -> None:
    """In the next run it would be waited for again; nothing is added to that."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    journal.put = _full  # type: ignore[method-assign]  # the disk is full
    store.end(entry, (SONG,), times=Times(took=30.0))
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(JournalError, match="nothing more is submitted: the disk is full"):
        await store.intend(attrs.evolve(REQUEST, key="other"), "other", None)


async def test_the_end_of_a_job_that_is_gone_breaks_nothing(store: JobStore) -> None:
    """A journal in memory forgets what was handed out; the next request is sent all the same."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    gone = attrs.evolve(entry, key="gone")
    store.end(gone, (SONG,), times=Times(took=60.0))
    await store.deliver("gone")  # which waits for the end
    await store.intend(attrs.evolve(REQUEST, key="other"), "other", None)


async def test_an_end_that_another_wait_has_kept_breaks_nothing(
    journal: Racing, store: JobStore
) -> None:
    """The first one counts, and the next request is sent."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    journal.meanwhile = jobs.ended(entry, (SONG,), took=30.0)
    store.end(entry, (SONG,), times=Times(took=60.0))
    await store.note_undelivered("mine", "")  # which waits for the end
    assert (await store.known("mine")).took == 30.0
    await store.intend(attrs.evolve(REQUEST, key="other"), "other", None)


@pytest.mark.parametrize("then", ["end", "resolve"])
async def test_a_callback_beside_an_end_or_an_answer_is_not_forgotten(
    then: str, journal: Racing, store: JobStore
) -> None:
    """It names another task than the owner did, while that is being written."""
    await store.doubt(await store.intend(REQUEST, "mine", None), "cut")
    entry = await store.resolve("mine", task_id="wrong", resubmit=False, abandon=False)
    news = CallbackNews(stage=Stage.QUEUED, task_id="right")
    async with anyio.create_task_group() as tasks:
        journal.between = lambda: tasks.start_soon(store.hear, "mine", 1, news)
        if then == "end":
            store.end(entry, (SONG,), times=Times(took=60.0))
            await store.note_undelivered("mine", "")  # which waits for the end
        else:
            await store.resolve("mine", task_id="wrong too", resubmit=False, abandon=False)
    known = await store.known("mine")
    assert (known.state, known.task_id, known.told) == (State.ACCEPTED, "right", False)


@pytest.mark.parametrize(
    ("then", "stage", "state"),
    [
        ("deliver", Stage.COMPLETE, State.READY),
        ("add evidence", Stage.FIRST_AUDIO, State.IN_DOUBT),
    ],
)
async def test_a_song_that_is_called_back_beside_a_change_is_not_forgotten(
    then: str, stage: Stage, state: State, journal: Racing, store: JobStore
) -> None:
    """Its owner acknowledges others, or evidence is added, while a callback brings it."""
    sending = await store.intend(REQUEST, "mine", None)
    await store.doubt(sending, "cut")
    if then == "deliver":
        entry = await store.resolve("mine", task_id="t", resubmit=False, abandon=False)
        await journal.put(jobs.ended(entry, (SONG,), took=1.0), expected=State.ACCEPTED)
    other = attrs.evolve(SONG, id="other", stage=stage)
    news = CallbackNews(stage=stage, songs=(other,))
    async with anyio.create_task_group() as tasks:
        journal.between = lambda: tasks.start_soon(store.hear, "mine", 1, news)
        if then == "deliver":
            await store.deliver("mine", ["a"])
        else:
            await store.add_evidence(sending, "cut; 90 credits")
    known = await store.known("mine")
    assert "other" in [song.id for song in known.songs]
    assert known.state is state


async def test_a_late_callback_changes_nothing_of_songs_that_a_look_has_shown(
    store: JobStore,
) -> None:
    """The provider named the task itself, so its look tells all; a callback may be of anything."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    store.end(entry, (SONG,), times=Times(took=30.0))
    await store.note_undelivered("mine", "")  # which waits for the end
    before = await store.known("mine")
    stranger = attrs.evolve(SONG, id="stranger")
    await store.hear("mine", 1, CallbackNews(stage=Stage.COMPLETE, songs=(stranger,)))
    assert await store.known("mine") == before


async def test_two_waits_that_end_one_job_break_nothing(
    journal: MemoryJournal, store: JobStore
) -> None:
    """A callback had it looked at once more, while its end was being written."""
    entry = await store.accept(await store.intend(REQUEST, "mine", None), "t")
    for took in (60.0, 61.0):
        store.end(entry, (SONG,), times=Times(took=took))
    assert store.is_ending("mine")
    await store.deliver("mine")  # which waits for both
    assert not store.is_ending("mine")
    assert (await store.known("mine")).state is State.DELIVERED


async def test_a_job_that_has_changed_is_not_sent(journal: MemoryJournal, store: JobStore) -> None:
    """Whoever decided that it may be sent decides again."""
    sending = await store.intend(REQUEST, "mine", None)
    doubt = await store.settle(sending, SubmitInDoubt("no answer"))
    await store.hear("mine", 1, CallbackNews(stage=Stage.QUEUED, task_id="t"))
    with pytest.raises(ChangedMeanwhile):
        await store.intend(REQUEST, "mine", doubt)
    assert (await store.known("mine")).state is State.ACCEPTED


def test_a_song_that_has_failed_need_not_be_delivered() -> None:
    """Nor one whose audio is not all there: the others are all that its owner can have."""
    entry = Entry(key="mine", provider="p", request={}, state=State.READY)
    lost = attrs.evolve(SONG, id="b", error=Failure(message="no luck"))
    cut = attrs.evolve(SONG, id="c", audio_is_final=False)
    entry = attrs.evolve(entry, songs=(SONG, lost, cut))
    assert jobs.delivered(entry, ["a"]).state is State.DELIVERED
    assert jobs.delivered(entry, []).state is State.READY


async def test_what_is_kept_again_has_forgotten_its_refusal(store: JobStore) -> None:
    """It is as it was before its submit was taken back."""
    sending = await store.intend(REQUEST, "mine", None)
    await store.settle(sending, Unreachable("no route", sent=False))
    assert (await store.known("mine")).error == "Unreachable"
    await store.kept.submit_ended(await store.known("mine"), ClientClosed("closed"))
    entry = await store.known("mine")
    assert (entry.state, entry.error, entry.evidence) == (State.PLANNED, "", "")
