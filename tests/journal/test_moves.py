"""Every move of a job, field by field: what it changes, what it clears, and what it keeps."""

from typing import Any

import attrs
import pytest

from udio_async import (
    AuthenticationFailed,
    ClientClosed,
    GenerationFailed,
    InvalidRequest,
    Song,
    Stage,
    SubmitInDoubt,
    UdioError,
    Unreachable,
)
from udio_async._records import CallbackNews, Failure
from udio_async.journal import Entry, State, jobs

LOST = Failure(message="lost")


def song(
    ident: str, *, index: int = 0, stage: Stage = Stage.COMPLETE, failed: bool = False
) -> Song:
    return Song(
        id=ident,
        task_id="t",
        provider="p",
        index=index,
        stage=Stage.FAILED if failed else stage,
        audio_url="https://cdn.example.org/a.mp3",
        audio_is_final=stage is Stage.COMPLETE and not failed,
        error=LOST if failed else None,
        raw={"whole": "answer"},
    )


ALSO_LOST = attrs.evolve(song("b", failed=True), error=Failure(message="gone as well"))
FULL = Entry(
    key="mine",
    provider="p",
    request={"description": "a song"},
    state=State.SENDING,
    attempt=3,
    attempt_of=None,
    task_id="t",
    told=True,
    songs=(song("a"), song("b", index=1)),
    saved=("a",),
    undelivered="the disk is full",
    evidence="no answer",
    error="SubmitInDoubt",
    submitted_at=100.0,
    took=9.0,
    reached=((1.0, 2.0),),
    failed=(3.0, 4.0),
)
"""With something in each field, so that whatever a move forgets to clear is seen."""
CLEARED = {"saved": (), "undelivered": "", "took": None, "reached": (), "failed": None}


def at(state: State, **changes: Any) -> Entry:  # noqa: ANN401  # any field
    return attrs.evolve(FULL, state=state, **changes)


def unread(entry: Entry) -> None:
    """No whole answer of a provider is kept."""
    assert all(not song.raw for song in entry.songs)


# Submitting


def test_a_first_attempt_has_a_time_and_a_number() -> None:
    """One that is only planned has neither."""
    planned = jobs.planned("k", "p", {"a": 1})
    assert planned == Entry(key="k", provider="p", request={"a": 1}, state=State.PLANNED, attempt=0)
    sending = jobs.first_sending("k", "p", {"a": 1}, now=7.0)
    assert sending == attrs.evolve(planned, state=State.SENDING, attempt=1, submitted_at=7.0)


def test_another_attempt_begins_clean() -> None:
    """Of the one before it keeps what was asked for, and counts on."""
    again = jobs.sending_again(at(State.IN_DOUBT), now=200.0)
    assert again == Entry(
        key="mine",
        provider="p",
        request=FULL.request,
        state=State.SENDING,
        attempt=4,
        submitted_at=200.0,
    )


def test_what_is_planned_again_begins_clean() -> None:
    """It keeps what was asked for, and counts on from the attempts before."""
    assert jobs.planned_again(at(State.FORGOTTEN)) == Entry(
        key="mine",
        provider="p",
        request=FULL.request,
        state=State.PLANNED,
        attempt=FULL.attempt,
        submitted_at=FULL.submitted_at,
    )


def test_the_attempt_before_is_given_up_and_keeps_what_was_seen() -> None:
    """Of one before that only its number is left."""
    before = jobs.earlier_attempt(at(State.IN_DOUBT))
    named = {"key": "mine (attempt 3)", "attempt_of": "mine", "told": False}
    assert before == at(State.ABANDONED, **named, **CLEARED)
    first = jobs.earlier_attempt(at(State.IN_DOUBT), 1)
    named = {"key": "mine (attempt 1)", "attempt_of": "mine", "told": False, "attempt": 1}
    nothing = {"task_id": None, "songs": (), "evidence": "", "error": ""}
    assert first == at(State.ABANDONED, **named, **nothing, **CLEARED)


def test_an_id_makes_it_accepted() -> None:
    """What was wrong before is over."""
    accepted = jobs.accepted(FULL, "t-2")
    assert accepted == at(State.ACCEPTED, task_id="t-2", told=False, error="", evidence="")


UNTOLD = {"task_id": None, "songs": ()}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Unreachable("no route", sent=False), State.NOT_SENT),
        (ClientClosed("closed"), State.NOT_SENT),
        (AuthenticationFailed("wrong key"), State.REFUSED),
        (Unreachable("no answer", sent=True), State.IN_DOUBT),
        (SubmitInDoubt("no answer", evidence="cut off"), State.IN_DOUBT),
    ],
)
def test_an_error_says_whether_it_may_be_submitted(error: UdioError, state: State) -> None:
    """And is remembered with what was seen."""
    seen = error.evidence if isinstance(error, SubmitInDoubt) else str(error)
    settled = jobs.settled(at(State.SENDING, **UNTOLD), error)
    assert settled == at(state, **UNTOLD, evidence=seen, error=type(error).__name__)


def test_what_a_callback_has_said_counts_more_than_an_error() -> None:
    """An id was heard of while the answer was waited for."""
    settled = jobs.settled(FULL, AuthenticationFailed("wrong key"))
    assert settled == at(State.ACCEPTED, evidence="", error="")


def test_more_evidence_changes_nothing_else() -> None:
    assert jobs.doubted(FULL, "it died") == at(State.IN_DOUBT, evidence="it died")
    assert jobs.with_evidence(FULL, "more") == attrs.evolve(FULL, evidence="more")


# Callbacks


def test_a_callback_with_an_id_ends_a_doubt() -> None:
    news = CallbackNews(stage=Stage.QUEUED, task_id="t-2")
    heard = jobs.heard(at(State.IN_DOUBT, told=False), news)
    assert heard == at(State.ACCEPTED, told=False, task_id="t-2", error="", evidence="")


def test_songs_without_an_id_are_kept_by_their_furthest_stage() -> None:
    """In the order of their places, and not as if a look had shown them."""
    known = (song("b", index=1), song("a", stage=Stage.TEXT_READY))
    entry = at(State.SENDING, **{**UNTOLD, "songs": known}, told=False)
    news = (song("a", stage=Stage.FIRST_AUDIO), song("b", index=1, stage=Stage.QUEUED))
    heard = jobs.heard(entry, CallbackNews(stage=Stage.FIRST_AUDIO, songs=news))
    [first, second] = heard.songs
    assert first == attrs.evolve(news[0], unverified=True)
    assert not first.raw
    assert second == known[0]
    assert heard == attrs.evolve(entry, songs=heard.songs)


@pytest.mark.parametrize(
    ("songs", "state"),
    [
        ((song("a"), song("b", failed=True)), State.READY),
        ((song("a"), song("b", stage=Stage.FIRST_AUDIO)), State.IN_DOUBT),
        ((song("a", failed=True), ALSO_LOST), State.FAILED),
    ],
)
def test_songs_of_a_callback_show_what_became_of_it(songs: tuple[Song, ...], state: State) -> None:
    """Even where the answer said that nothing was taken."""
    entry = at(State.REFUSED, task_id=None, songs=songs, told=False)
    healed = jobs.healed(entry)
    said: dict[str, Any] = {"error": "", "evidence": ""} if state is State.READY else {}
    if state is State.FAILED:
        said = {"error": "GenerationFailed", "evidence": healed.evidence}
        assert "lost" in healed.evidence
    assert healed == attrs.evolve(entry, state=state, **said)


@pytest.mark.parametrize("state", [State.SENDING, State.ACCEPTED, State.READY, State.FAILED])
def test_what_is_on_the_wire_or_paid_is_not_healed(state: State) -> None:
    assert jobs.healed(at(state)) == at(state)


def test_what_was_given_up_waits_for_the_end_of_its_songs() -> None:
    """Then its owner has them; before, it stays given up. Nothing heard changes nothing."""
    unfinished = at(State.ABANDONED, task_id=None, songs=(song("a", stage=Stage.FIRST_AUDIO),))
    assert jobs.healed(unfinished) == unfinished
    nothing = at(State.IN_DOUBT, task_id=None, songs=())
    assert jobs.healed(nothing) == nothing


def test_the_provider_names_another_task_than_its_owner() -> None:
    """Its word counts, and the songs of the wrong task go."""
    heard = jobs.heard(at(State.READY), CallbackNews(stage=Stage.QUEUED, task_id="right"))
    assert heard == at(State.ACCEPTED, task_id="right", told=False, songs=())


def test_a_task_that_is_anothers_is_taken_back() -> None:
    """All that came of it goes with it."""
    attempt = attrs.evolve(FULL, key="mine (attempt 2)")
    gone = {"task_id": None, "told": False, "songs": (), **CLEARED}
    why = "task t, which was named for it, is that of 'mine (attempt 2)'"
    assert jobs.misnamed(at(State.READY), attempt) == at(State.IN_DOUBT, evidence=why, **gone)
    assert jobs.without_task(FULL) == attrs.evolve(FULL, task_id=None, songs=())


@pytest.mark.parametrize(
    ("state", "after", "saved"),
    [
        (State.ACCEPTED, State.ACCEPTED, ("a",)),
        (State.READY, State.READY, ("a",)),
        (State.DELIVERED, State.READY, ("a", "b")),
    ],
)
def test_songs_that_the_task_has_not_are_added(
    state: State, after: State, saved: tuple[str, ...]
) -> None:
    """Finished ones only; a job that was delivered comes back for them, and for no other."""
    news = (song("a"), song("c"), song("d", failed=True), song("e", stage=Stage.FIRST_AUDIO))
    added = jobs.with_other_songs(at(state), news)
    more = attrs.evolve(news[1], unverified=True)
    assert added == at(after, songs=(*FULL.songs, more), saved=saved, error="", evidence="")
    assert not added.songs[-1].raw
    assert jobs.with_other_songs(at(state), news[:1]) == at(state)


# The end


def test_an_end_keeps_songs_and_times() -> None:
    accepted = at(State.ACCEPTED, songs=())
    ended = jobs.ended(accepted, FULL.songs, took=60.0)
    assert ended == at(State.READY, took=60.0, error="", evidence="")
    unread(ended)
    timed = jobs.timed(accepted, [(5.0, 6.0)], (7.0, 8.0))
    assert timed == attrs.evolve(accepted, reached=((5.0, 6.0),), failed=(7.0, 8.0))


@pytest.mark.parametrize(
    ("songs", "state"),
    [
        ((), State.FAILED),
        ((song("a", failed=True),), State.FAILED),
        ((song("a"), song("b", failed=True)), State.READY),
    ],
)
def test_a_failure_keeps_the_songs_that_arrived(songs: tuple[Song, ...], state: State) -> None:
    failed = jobs.failed(at(State.ACCEPTED), GenerationFailed("no", songs=songs))
    assert failed == at(state, songs=songs, error="GenerationFailed", evidence="no")
    unread(failed)


def test_it_is_delivered_when_its_owner_has_all_songs() -> None:
    """Those that failed are nobody's."""
    ready = at(State.READY, songs=(*FULL.songs, song("c", failed=True)), saved=())
    assert jobs.delivered(ready, ["a"]) == attrs.evolve(ready, saved=("a",))
    half = jobs.delivered(ready, ["a", "a"])
    assert half.saved == ("a",)
    whole = attrs.evolve(ready, state=State.DELIVERED, saved=(), undelivered="")
    assert jobs.delivered(half, ["b"]) == whole
    assert jobs.delivered(ready) == whole
    assert jobs.undelivered(ready, "why") == attrs.evolve(ready, undelivered="why")


# What its owner says


@pytest.mark.parametrize(
    ("answer", "state", "task_id"),
    [
        ({"task_id": "t-2"}, State.ACCEPTED, "t-2"),
        ({"resubmit": True}, State.NOT_SENT, None),
        ({"abandon": True}, State.ABANDONED, None),
    ],
)
def test_an_answer_ends_a_doubt(
    answer: dict[str, object], state: State, task_id: str | None
) -> None:
    """What only a callback has shown stays; all else is of the attempt that he corrects."""
    shown = attrs.evolve(song("c"), unverified=True)
    entry = at(State.IN_DOUBT, told=False, songs=(*FULL.songs, shown))
    resolved = jobs.resolved(entry, **answer)  # type: ignore[arg-type]  # by name
    assert resolved == at(state, task_id=task_id, told=True, songs=(shown,), **CLEARED)


@pytest.mark.parametrize("answer", [{}, {"task_id": "t", "abandon": True}, {"resubmit": False}])
def test_exactly_one_answer(answer: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match="give one of") as caught:
        jobs.resolved(at(State.IN_DOUBT), **answer)  # type: ignore[arg-type]  # by name
    assert caught.value.job_key == "mine"


def test_without_a_doubt_there_is_nothing_to_answer() -> None:
    """But what he has said or given up he may correct."""
    with pytest.raises(InvalidRequest, match="is accepted, not in doubt") as caught:
        jobs.resolved(at(State.ACCEPTED, told=False), abandon=True)
    assert caught.value.job_key == "mine"
    for entry in (at(State.ACCEPTED), at(State.ABANDONED, told=False)):
        assert jobs.resolved(entry, task_id="t-2").task_id == "t-2"


@pytest.mark.parametrize("state", State)
def test_only_what_was_not_taken_is_forgotten(state: State) -> None:
    if state.may_be_sent:
        assert jobs.forgotten(at(state)) == at(State.FORGOTTEN)
    else:
        with pytest.raises(InvalidRequest, match="cannot be taken back") as caught:
            jobs.forgotten(at(state))
        assert caught.value.job_key == "mine"


# Errors


@pytest.mark.parametrize("state", State)
def test_an_error_is_remembered_where_one_ended_it(state: State) -> None:
    """With the ids that lead to the job; a doubt with what was seen, a failure with its songs."""
    error = jobs.remembered_error(at(state, error="ModerationFailed"))
    if state in {State.FAILED, State.READY, State.DELIVERED}:
        assert isinstance(error, GenerationFailed)
        assert (str(error), error.songs) == ("no answer", FULL.songs)
    elif state in {State.IN_DOUBT, State.ABANDONED}:
        assert isinstance(error, SubmitInDoubt)
        assert error.evidence == ("no answer" if state is State.IN_DOUBT else "")
    else:
        assert error is None
        return
    assert (error.provider, error.task_id, error.job_key) == ("p", "t", "mine")


@pytest.mark.parametrize("state", [State.FAILED, State.READY])
def test_no_error_is_remembered_where_there_was_none(state: State) -> None:
    assert jobs.remembered_error(at(state, error="")) is None


def test_attempts_know_each_other() -> None:
    """By the key of their job, in either order."""
    attempt, stranger = jobs.earlier_attempt(FULL, 1), attrs.evolve(FULL, key="other")
    another = jobs.earlier_attempt(FULL, 2)
    for one, two in ((FULL, attempt), (attempt, FULL), (attempt, another)):
        assert jobs.are_attempts_of_one(one, two)
    assert not jobs.are_attempts_of_one(FULL, stranger)
    assert not jobs.are_attempts_of_one(attempt, stranger)


@pytest.mark.parametrize(
    ("entry", "charged"),
    [
        (at(State.PLANNED, task_id=None, told=False, songs=()), "no"),
        (at(State.REFUSED, task_id=None, told=False, songs=()), "no"),
        (at(State.SENDING, task_id=None, told=False, songs=()), "unknown"),
        (at(State.IN_DOUBT, task_id=None, told=False, songs=()), "unknown"),
        (at(State.ABANDONED, task_id=None, told=True, songs=()), "unknown"),
        (at(State.ACCEPTED, told=False, songs=()), "yes"),
        (at(State.ACCEPTED, told=True, songs=()), "unknown"),
        (at(State.READY), "yes"),
        (at(State.DELIVERED), "yes"),
        (at(State.FAILED, told=False), "unknown"),
    ],
)
def test_what_a_job_has_cost_is_said_only_where_it_is_certain(entry: Entry, charged: str) -> None:
    """A task that its owner has named may be another's; what has failed may be paid back."""
    assert jobs.charged(entry) == charged


def test_a_callback_takes_a_song_further_that_a_callback_brought() -> None:
    """Also beside an id of the provider's, which may be one that no look knows."""
    first = attrs.evolve(song("a", stage=Stage.FIRST_AUDIO), unverified=True)
    entry = at(State.ACCEPTED, told=False, songs=(first,), saved=())
    heard = jobs.heard(entry, CallbackNews(stage=Stage.COMPLETE, songs=(song("a"),)))
    assert [each.stage for each in heard.songs] == [Stage.COMPLETE]


def test_an_end_under_a_task_that_a_callback_has_corrected_is_not_this_jobs() -> None:
    """The look was at the task that its owner had named."""
    known = at(State.ACCEPTED, task_id="right", told=False, songs=())
    assert jobs.with_callbacks(at(State.READY, task_id="wrong"), known) == known
