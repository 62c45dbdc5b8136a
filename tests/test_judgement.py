"""What is made of a task that stands still, or ends with less than it promised."""

from collections.abc import Callable

import attrs
import pytest

from udio_async import AuthenticationFailed, Failure, RequestRefused, Song, Stage, Task
from udio_async._polling.judgement import (
    as_it_is,
    judged,
    not_known,
    refusal,
    settled,
    unfinished,
    without_raw,
)
from udio_async._polling.schedule import Schedule
from udio_async._polling.tracked import NOTHING, TrackedTask
from udio_async.journal import Entry, State

RAW = {"status": "shining"}
REFUSED = Failure(message="no such words")
TASK = Task(id="t", provider="p", stage=Stage.FIRST_AUDIO, status="shining", raw=RAW)


def song(**told: object) -> Song:
    about = {"id": "s", "task_id": "t", "provider": "p", "index": 0, "stage": Stage.FIRST_AUDIO}
    return Song(**{**about, "raw": RAW, **told})  # type: ignore[arg-type]  # by name


def tracked() -> TrackedTask:
    schedule = Schedule(typical=60, look_cost=1, min_interval=1)
    return TrackedTask(
        task=TASK, schedule=schedule, accepted_at=0.0, looked_at=0.0, outages_before=0.0
    )


@pytest.mark.parametrize(
    ("before", "stage", "error"),
    [
        (song(audio_url="https://cdn.example/a.mp3"), Stage.COMPLETE, None),
        (song(stage=Stage.COMPLETE), Stage.COMPLETE, None),
        (song(stage=Stage.FAILED, error=REFUSED), Stage.FAILED, REFUSED),
        (song(error=REFUSED, audio_url="https://cdn.example/a.mp3"), Stage.FIRST_AUDIO, REFUSED),
    ],
)
def test_a_song_of_a_task_that_is_over_is_what_it_shows(
    before: Song, stage: Stage, error: Failure | None
) -> None:
    """With audio it is complete; what has an error of its own stays as it is."""
    over = as_it_is(attrs.evolve(TASK, songs=(before,), settling=True))
    (after,) = over.songs
    assert (after.stage, after.error) == (stage, error)
    assert not over.settling  # nothing more is waited for


@pytest.mark.parametrize("songs", [(), (song(),)])
def test_links_at_a_place_that_nobody_reads_are_named(songs: tuple[Song, ...]) -> None:
    """The songs may be paid for and made. What the request itself had is not among them."""
    raw = {
        "made": [{"file": "https://cdn.songs.org/a.mp3?sig=1", "cover": "https://c.io/a.png"}],
        "bonus": {"deep": ["https://cdn.songs.org/b.WAV", "https://cdn.songs.org/None.mp3"]},
        "request_body": {"upload_url": "https://cdn.songs.org/mine.mp3"},
    }
    error = as_it_is(attrs.evolve(TASK, raw=raw, songs=songs)).error
    assert error is not None
    assert error.message.endswith(
        "has these links: https://cdn.songs.org/a.mp3?sig=1 https://cdn.songs.org/b.WAV"
    )


def test_a_song_without_audio_has_failed_when_its_task_is_over() -> None:
    """It says why, and so does the task if it has no other."""
    over = as_it_is(attrs.evolve(TASK, songs=(song(),)))
    assert over.songs[0].stage is over.stage is Stage.FAILED
    assert over.songs[0].error == over.error
    assert "this song has no audio" in str(over.error)


def test_a_word_that_nobody_knows_fails_the_task_after_a_while() -> None:
    """Not before, and not if something moves; then it says what to do."""
    waits = tracked()
    assert judged(waits, TASK, 0.0, patience=60) is TASK
    moved = attrs.evolve(TASK, percentage=50)
    assert judged(waits, moved, 59.0, patience=60) is moved
    assert judged(waits, moved, 118.0, patience=60) is moved
    failed = judged(waits, moved, 119.0, patience=60)
    assert failed.stage is Stage.FAILED
    assert failed.error is not None
    assert "'shining', which is no documented status" in failed.error.message
    assert failed.error.advice == "look at your account before asking again: it may be running"


@pytest.mark.parametrize("since", [0.0, 0.1, 1000.3, 86400.7])
def test_a_look_at_the_time_when_it_is_decided_decides(since: float) -> None:
    """The clock may begin at 0, and sums of seconds are rounded."""
    for seconds in (0.7, 30.1, 180.3):
        word, end = tracked(), tracked()
        done = attrs.evolve(TASK, songs=(song(audio_url="/a"),))
        assert judged(word, TASK, since, patience=seconds) is TASK
        assert settled(end, done, since, settle=seconds) is done
        assert judged(word, TASK, word.decided_at, patience=seconds).stage is Stage.FAILED
        assert settled(end, done, end.decided_at, settle=seconds).stage is Stage.COMPLETE


def test_a_task_that_looks_like_its_end_is_over_once_nothing_changes() -> None:
    """Its songs count; what a provider adds for a while starts the wait again."""
    waits = tracked()
    first, second = (attrs.evolve(TASK, songs=(song(audio_url=f"/{n}"),)) for n in "ab")
    assert settled(waits, first, 0.0, settle=10) is first
    assert settled(waits, second, 9.0, settle=10) is second
    assert settled(waits, second, 18.0, settle=10) is second
    assert settled(waits, second, 19.0, settle=10).stage is Stage.COMPLETE


SIGNED = "https://cdn.example/a.mp3"
NO_NEWS: dict[str, Callable[[int], tuple[Song, ...]]] = {
    "a new signature": lambda look: (song(audio_url=f"{SIGNED}?Expires={look}&sig=x"),),
    "another order": lambda look: (song(id="a"), song(id="b"))[:: (-1) ** look],
    "another cover": lambda look: (song(audio_url=SIGNED, image_url=f"/{look}.png"),),
    "other texts": lambda look: (song(audio_url=SIGNED, title=f"Song {look}", tags=f"{look}"),),
}
NEWS: dict[str, Callable[[int], tuple[Song, ...]]] = {
    "another song": lambda look: tuple(song(id=f"{place}") for place in range(look)),
    "a later stage": lambda look: (song(stage=[*Stage][look]),),
    "another file": lambda look: (song(audio_url=f"/{look}.mp3"),),
    "the whole file": lambda look: (song(audio_url=SIGNED, audio_is_final=look > 1),),
    "an error": lambda look: (song(error=REFUSED if look > 1 else None),),
}


@pytest.mark.parametrize("songs", NO_NEWS.values(), ids=NO_NEWS)
def test_what_says_nothing_about_the_audio_does_not_begin_a_wait_anew(
    songs: Callable[[int], tuple[Song, ...]],
) -> None:
    """It may differ in each answer, and the wait would never end."""
    waits = tracked()
    first, second, third = (attrs.evolve(TASK, songs=songs(look)) for look in (1, 2, 3))
    settled(waits, first, 1.0, settle=10)
    judged(waits, first, 1.0, patience=10)
    assert settled(waits, second, 10.0, settle=10) is second
    assert judged(waits, second, 10.0, patience=10) is second
    assert settled(waits, third, 11.0, settle=10).stage.is_final
    assert judged(waits, third, 11.0, patience=10).stage.is_final


@pytest.mark.parametrize("songs", NEWS.values(), ids=NEWS)
def test_what_is_new_about_the_audio_begins_a_wait_anew(
    songs: Callable[[int], tuple[Song, ...]],
) -> None:
    """Something moves there, so more may come."""
    waits = tracked()
    first, second = (attrs.evolve(TASK, songs=songs(look)) for look in (1, 2))
    settled(waits, first, 1.0, settle=10)
    judged(waits, first, 1.0, patience=10)
    assert settled(waits, second, 20.0, settle=10) is second
    assert judged(waits, second, 20.0, patience=10) is second


def test_an_error_of_a_wait_names_provider_and_task() -> None:
    """It was accepted, so it is paid for, whatever the provider says now."""
    waits = tracked()
    refused = refusal(waits, AuthenticationFailed("wrong key."))
    unknown = not_known(waits, RequestRefused("no such task"))
    for error in (refused, unknown):
        assert (error.provider, error.task_id, error.charged) == ("p", "t", "yes")
    assert str(refused) == "wrong key; task t keeps running there"


@pytest.mark.parametrize(("shown", "charged"), [(False, "unknown"), (True, "yes")])
def test_an_unknown_task_of_its_owner_may_be_mistyped_until_a_look_has_shown_it(
    shown: bool, charged: str
) -> None:
    """Only then is it certain that there is such a task, and that it was paid for."""
    waits = tracked()
    waits.entry = Entry(key="mine", provider="p", state=State.ACCEPTED, request={}, told=True)
    waits.looked_at = 5.0 if shown else 0.0
    assert not_known(waits, RequestRefused("no such task")).charged == charged


def test_what_is_kept_for_comparing_holds_no_words_of_answers() -> None:
    """They are most of what an answer takes in memory."""
    kept = without_raw(attrs.evolve(TASK, songs=(song(),)))
    assert kept.raw is NOTHING
    assert kept.songs[0].raw is NOTHING


def test_what_a_task_says_of_its_failure_is_told_after_the_wait_for_another_song() -> None:
    """The reason and its advice are the task's; a failed song often says no more than "error"."""
    lost = song(stage=Stage.FAILED, error=Failure(message="error"))
    task = attrs.evolve(TASK, stage=Stage.FAILED, songs=(lost,), error=REFUSED)
    waiting = unfinished(task, usual=2)
    assert (waiting.stage, waiting.settling) == (Stage.PROCESSING, True)
    assert as_it_is(waiting).error == REFUSED
