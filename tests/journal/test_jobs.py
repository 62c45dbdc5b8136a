"""A job's states: which may follow which, and what every move keeps.

Run as a program, this file prints the states into docs/jobs.md again.
"""

import inspect
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

from udio_async import (
    CallbackNews,
    Failure,
    GenerationFailed,
    InvalidRequest,
    JournalEntry,
    JournalState,
    RateLimited,
    Song,
    Stage,
    SubmitInDoubt,
    TooManyDoubts,
    Unreachable,
    UpstreamFailed,
)
from udio_async.journal import jobs
from udio_async.journal.entry import CORRECTIONS, MOVES, USUAL_MOVES

S = JournalState


def song(name: str, stage: Stage = Stage.COMPLETE) -> Song:
    return Song(
        id=name,
        task_id="t",
        provider="p",
        index=0,
        stage=stage,
        audio_url="https://cdn.example.org/a.mp3" if stage is Stage.COMPLETE else None,
        audio_is_final=stage is Stage.COMPLETE,
        error=Failure(message="no") if stage is Stage.FAILED else None,
    )


def news(stage: Stage) -> CallbackNews:
    return CallbackNews(stage=stage, songs=(song("a", stage), song("b", stage)))


SONGS = (song("a"), song("b"))
FAILED = UpstreamFailed("it broke")
HALF = UpstreamFailed("it broke", songs=(song("a"),))
Step = Callable[[JournalEntry], JournalEntry]
STEPS: dict[str, tuple[set[JournalState], Step]] = {
    "submit": (
        {S.PLANNED, S.REFUSED, S.NOT_SENT, S.FORGOTTEN, S.IN_DOUBT},
        lambda e: jobs.sending_again(e, now=1.0),
    ),
    "its submit is taken back, or it is kept again": (
        {S.REFUSED, S.NOT_SENT, S.FORGOTTEN},
        jobs.planned_again,
    ),
    "not sent, as its owner is told": ({S.PLANNED}, lambda e: jobs.unsent(e, TooManyDoubts("no"))),
    "the id comes": ({S.SENDING}, lambda e: jobs.accepted(e, "t")),
    "refused": ({S.SENDING}, lambda e: jobs.settled(e, RateLimited("no"))),
    "never left": ({S.SENDING}, lambda e: jobs.settled(e, Unreachable("no", sent=False))),
    "answer lost": ({S.SENDING}, lambda e: jobs.settled(e, SubmitInDoubt("?"))),
    "died": ({S.SENDING}, lambda e: jobs.doubted(e, "died")),
    "called: text": (set(S), lambda e: jobs.heard(e, news(Stage.TEXT_READY))),
    "called: complete": (set(S), lambda e: jobs.heard(e, news(Stage.COMPLETE))),
    "called: others": (
        set(S),
        lambda e: jobs.heard(e, CallbackNews(stage=Stage.COMPLETE, songs=(song("z"),))),
    ),
    "called: failed": (set(S), lambda e: jobs.heard(e, news(Stage.FAILED))),
    "called: id": (
        set(S),
        lambda e: jobs.heard(e, CallbackNews(stage=Stage.QUEUED, task_id="t2")),
    ),
    "its task is another attempt's": (
        {S.ACCEPTED, S.READY, S.DELIVERED, S.FAILED},
        lambda e: jobs.misnamed(e, e) if e.told else e,
    ),
    "complete": ({S.ACCEPTED}, lambda e: jobs.ended(e, SONGS, took=60.0)),
    "failed": ({S.ACCEPTED}, lambda e: jobs.failed(e, FAILED)),
    "half of it failed": ({S.ACCEPTED}, lambda e: jobs.failed(e, HALF)),
    "one is saved": ({S.READY}, lambda e: jobs.delivered(e, ["a"])),
    "all are saved": ({S.READY}, jobs.delivered),
    "not saved": ({S.READY}, lambda e: jobs.undelivered(e, "LinkExpired")),
    "told the id": (set(S), lambda e: jobs.resolved(e, task_id="told")),
    "told to resubmit": (set(S), lambda e: jobs.resolved(e, resubmit=True)),
    "told to abandon": (set(S), lambda e: jobs.resolved(e, abandon=True)),
    "taken back": (set(S), jobs.forgotten),
}
"""What can happen to a job, and in which states it does; what its owner says may be refused."""
FIRST = (
    jobs.planned("k", "p", {"description": "x"}),
    jobs.first_sending("k", "p", {"description": "x"}, now=0.0),
)


def lives(number: int, seed: int) -> set[tuple[JournalState, JournalState]]:
    """Lead jobs through random lives; return the moves that they made."""
    dice, moves = random.Random(seed), set()
    for _ in range(number):
        entry = dice.choice(FIRST)
        for _ in range(12):
            name = dice.choice([n for n, (states, _) in STEPS.items() if entry.state in states])
            before = entry.state
            with suppress(InvalidRequest):
                entry = STEPS[name][1](entry)
            if entry.state is not before:
                moves.add((before, entry.state))
    return moves


def test_the_table_is_what_happens() -> None:
    """Every move of a random life is in it, and every move in it is made by some life."""
    table = {(before, after) for before, states in MOVES.items() for after in states}
    assert lives(20_000, seed=1) == table


def test_a_wrong_answer_loses_no_song() -> None:
    """Its owner named another task; the callback shows songs that it has not: both are his."""
    doubt = jobs.doubted(FIRST[1], "the answer was lost")
    told = jobs.resolved(doubt, task_id="of another attempt")
    called = CallbackNews(stage=Stage.COMPLETE, songs=(song("y"), song("z")))
    had = jobs.delivered(jobs.ended(told, SONGS, took=None))
    late = jobs.heard(had, called)
    assert (late.state, late.saved) == (S.READY, ("a", "b"))
    assert [song.id for song in late.songs] == ["a", "b", "y", "z"]
    assert jobs.delivered(late, ["y", "z"]).state is S.DELIVERED
    early = jobs.heard(told, called)
    assert early.state is S.ACCEPTED
    ended = jobs.with_other_songs(jobs.ended(told, SONGS, took=None), early.songs)
    assert [song.id for song in ended.songs] == ["a", "b", "y", "z"]
    assert jobs.heard(late, called) == late, "it may come again"


BEGIN, END = "<!-- states: begin -->", "<!-- states: end -->"
PAGE = Path(__file__).parents[2] / "docs" / "jobs.md"


def drawing() -> str:
    """The states and the moves, as a picture and as a table."""
    after = {(before, then) for before, states in USUAL_MOVES.items() for then in states}
    lines = [f"    {before} --> {then}" for before, then in sorted(after)]
    return "\n".join(
        [
            "```mermaid",
            "stateDiagram-v2",
            f"    [*] --> {S.PLANNED}",
            f"    [*] --> {S.SENDING}",
            *lines,
            "```",
            "",
            "| state | means | becomes | becomes, if you correct an answer |",
            "| --- | --- | --- | --- |",
            *(f"| `{s}` | {meaning(s)} | {after_it(s)} | {corrected(s)} |" for s in S),
        ]
    )


def after_it(state: JournalState) -> str:
    return ", ".join(sorted(USUAL_MOVES[state]))


def corrected(state: JournalState) -> str:
    """What only a correction leads to."""
    return ", ".join(sorted(CORRECTIONS.get(state, frozenset()) - USUAL_MOVES[state]))


def meaning(state: JournalState) -> str:
    """The words of the enumeration, which Python itself does not keep."""
    source = inspect.getsource(JournalState)
    return source.partition(f'{state.name} = "{state}"')[2].split('"""')[1]


def page() -> str:
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{drawing()}\n\n{END}{rest.partition(END)[2]}"


def test_the_drawing_is_printed_from_the_table() -> None:
    """docs/jobs.md shows what the code does; run this file to print it again."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_control_a_move_that_is_not_in_the_table_is_refused() -> None:
    entry = jobs.ended(jobs.accepted(FIRST[1], "t"), SONGS, took=None)
    with pytest.raises(AssertionError):
        jobs.settled(entry, RateLimited("no"))


def test_nothing_paid_is_submitted_again_but_by_its_owner() -> None:
    """From no state in which it is paid does a move lead straight to sending."""
    for state, after in MOVES.items():
        assert not (state.is_paid and S.SENDING in after)
        assert state.may_be_sent <= (S.SENDING in after)


def test_what_a_callback_proved_is_kept_by_the_attempt_that_it_was_about() -> None:
    """Submitted again, a job forgets it; the attempt before has an entry of its own."""
    doubt = jobs.heard(jobs.settled(FIRST[1], SubmitInDoubt("?")), news(Stage.TEXT_READY))
    assert doubt.was_taken
    before, again = jobs.earlier_attempt(doubt), jobs.sending_again(doubt, now=2.0)
    assert (again.attempt, again.songs) == (2, ())
    assert (before.key, before.attempt, before.attempt_of) == ("k (attempt 1)", 1, "k")
    assert [one.stage for one in before.songs] == [Stage.TEXT_READY] * 2
    ready = jobs.heard(before, news(Stage.COMPLETE))
    assert ready.state is S.READY
    assert all(one.unverified for one in ready.songs)


def test_a_job_is_delivered_when_all_of_its_songs_are() -> None:
    """In one call or in several; a song that failed has nothing to deliver."""
    ready = jobs.ended(jobs.accepted(FIRST[1], "t"), SONGS, took=None)
    half = jobs.delivered(ready, ["a"])
    assert (half.state, half.saved) == (S.READY, ("a",))
    assert jobs.delivered(half, ["b"]).state is S.DELIVERED
    with_failed = attrs.evolve(ready, songs=(song("a"), song("c", Stage.FAILED)))
    assert jobs.delivered(with_failed, ["a"]).state is S.DELIVERED


def test_what_its_owner_said_can_be_said_again_until_it_is_submitted() -> None:
    """A typing error in an id is no end."""
    doubt = jobs.settled(FIRST[1], SubmitInDoubt("?"))
    wrong = jobs.resolved(doubt, task_id="tpyo")
    assert jobs.resolved(wrong, task_id="typo").task_id == "typo"
    assert jobs.resolved(wrong, resubmit=True).state is S.NOT_SENT
    assert jobs.resolved(jobs.resolved(doubt, abandon=True), task_id="t").state is S.ACCEPTED
    again = jobs.accepted(jobs.sending_again(jobs.resolved(doubt, resubmit=True), now=1.0), "t3")
    with pytest.raises(InvalidRequest, match="accepted, not in doubt"):
        jobs.resolved(again, task_id="t4")


def test_the_provider_knows_better_than_its_owner() -> None:
    """A callback that names the task corrects the id that was told."""
    wrong = jobs.resolved(jobs.settled(FIRST[1], SubmitInDoubt("?")), task_id="tpyo")
    heard = jobs.heard(wrong, CallbackNews(stage=Stage.QUEUED, task_id="t1"))
    assert (heard.state, heard.task_id, heard.told) == (S.ACCEPTED, "t1", False)


def test_an_id_that_a_callback_confirms_is_taken_back_by_nobody() -> None:
    """Its songs would be nobody's. It is certain also where its end comes by way of a look."""
    named = jobs.resolved(jobs.settled(FIRST[1], SubmitInDoubt("?")), task_id="t1")
    called = CallbackNews(stage=Stage.COMPLETE, task_id="t1", songs=SONGS)
    certain = jobs.heard(named, called)
    assert (certain.state, certain.task_id, certain.songs) == (
        S.ACCEPTED,
        "t1",
        tuple(attrs.evolve(one, unverified=True) for one in SONGS),
    )
    looked_at = jobs.with_callbacks(jobs.ended(named, SONGS, took=1.0), certain)
    assert looked_at.songs == SONGS
    after_its_end = jobs.heard(jobs.ended(named, SONGS, took=1.0), called)
    for entry in (certain, looked_at, after_its_end):
        with pytest.raises(InvalidRequest, match="not in doubt"):
            jobs.resolved(entry, resubmit=True)


@pytest.mark.parametrize("other", [Stage.COMPLETE, Stage.FAILED, Stage.TEXT_READY])
def test_what_callbacks_brought_is_an_end_once_nothing_more_is_to_come(other: Stage) -> None:
    """There is no such task as its owner named; so long as a song is being made, it may come."""
    named = jobs.resolved(jobs.settled(FIRST[1], SubmitInDoubt("?")), task_id="tpyo")
    known = jobs.with_other_songs(named, SONGS)
    known = attrs.evolve(known, songs=(known.songs[0], song("b", other)))
    ended = jobs.with_callbacks(named, known)
    assert ended.state is (S.ACCEPTED if other is Stage.TEXT_READY else S.READY)


@pytest.mark.parametrize(("number", "told"), [(1, None), (1, "tpyo"), (2, None)])
def test_a_song_that_a_callback_called_failed_may_still_come(number: int, told: str | None) -> None:
    """One or all of them: a later callback shows it whole, and that counts."""
    entry = jobs.settled(FIRST[1], SubmitInDoubt("?"))
    failed = (song("a", Stage.FAILED), song("b", Stage.FAILED if number == 2 else Stage.TEXT_READY))
    entry = jobs.heard(entry, CallbackNews(stage=Stage.FAILED, songs=failed))
    if told is not None:
        entry = jobs.resolved(entry, task_id=told)
    entry = jobs.heard(entry, CallbackNews(stage=Stage.COMPLETE, songs=SONGS))
    entry = jobs.with_callbacks(entry, entry)
    assert entry.state is S.READY
    assert all(each.audio_is_final for each in entry.songs)


@pytest.mark.parametrize("last", [(song("a"), song("b", Stage.FAILED)), (song("c"), song("d"))])
def test_songs_that_callbacks_brought_under_a_wrong_id_end_as_callbacks_say(
    last: tuple[Song, ...],
) -> None:
    """One may fail, or have another id in the end: the first callback is not the last word."""
    doubt = jobs.settled(FIRST[1], SubmitInDoubt("?"))
    texts = (song("a", Stage.TEXT_READY), song("b", Stage.TEXT_READY))
    shown = jobs.heard(doubt, CallbackNews(stage=Stage.TEXT_READY, songs=texts))
    named = jobs.resolved(shown, task_id="tpyo")
    known = jobs.heard(named, CallbackNews(stage=Stage.COMPLETE, songs=last))
    ended = jobs.with_callbacks(named, known)
    assert ended.state is S.READY
    assert [(each.id, each.stage) for each in ended.songs] == [
        (each.id, each.stage) for each in last
    ]


def test_a_text_under_another_id_takes_no_song_away_and_is_not_waited_for() -> None:
    """It may be that of a song which is known: only a whole one is sure to be more."""
    doubt = jobs.settled(FIRST[1], SubmitInDoubt("?"))
    text = CallbackNews(stage=Stage.TEXT_READY, songs=(song("a", Stage.TEXT_READY),))
    named = jobs.resolved(jobs.heard(doubt, text), task_id="tpyo")
    other = CallbackNews(stage=Stage.TEXT_READY, songs=(song("c", Stage.TEXT_READY),))
    assert jobs.heard(named, other) == named
    closed = jobs.heard(doubt, CallbackNews(stage=Stage.COMPLETE, songs=SONGS))
    assert jobs.heard(closed, other) == closed


def test_a_failed_task_of_another_job_is_no_error_of_songs_that_callbacks_brought() -> None:
    """Its owner has named the wrong task: whoever takes only what went well gets the songs."""
    named = jobs.resolved(jobs.settled(FIRST[1], SubmitInDoubt("?")), task_id="tpyo")
    failed = jobs.failed(named, GenerationFailed("no luck"))
    before = jobs.with_callbacks(failed, jobs.with_other_songs(named, SONGS))
    after = jobs.with_other_songs(failed, SONGS)
    for entry in (before, after):
        assert entry.state is S.READY
        assert [each.id for each in entry.songs] == [each.id for each in SONGS]
        assert jobs.remembered_error(entry) is None


@pytest.mark.parametrize("state", [S.SENDING, S.ACCEPTED, S.IN_DOUBT, S.READY, S.FAILED])
def test_only_what_nothing_was_taken_for_is_taken_back(state: JournalState) -> None:
    with pytest.raises(InvalidRequest, match="cannot be taken back"):
        jobs.forgotten(attrs.evolve(FIRST[1], state=state))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
