"""What is said at the end of a run: what is known of each request, and no more."""

import attrs
import pytest

from udio_async import Event, MemoryJournal, SongRequest, Stage, Task
from udio_async.cli._display import Display
from udio_async.cli._progress import Progress
from udio_async.cli._summary import report
from udio_async.cli._terms import _count_unheard
from udio_async.journal import Entry, State


def progress_of(*, total: int) -> Progress:
    """A run in which one song was saved, one failed, one came into doubt and one is being made."""
    progress = Progress(total, price=10.0)
    for task_id in ("saved", "failed", "made"):
        task = Task(id=task_id, provider="p", stage=Stage.QUEUED)
        request = SongRequest(description=task_id)
        progress.observe(Event(kind="submitted", provider="p", task=task, request=request))
    progress.deliver("p", "saved", songs=2, ok=True)
    progress.deliver("p", "failed", songs=0, ok=False)
    progress.deliver("p", None, songs=0, ok=False, in_doubt=True)
    return progress


def reported(progress: Progress, capsys: pytest.CaptureFixture[str]) -> str:
    report(progress, Display(progress), None, None, None)
    return capsys.readouterr().err


def doubt(key: str) -> Entry:
    return Entry(key=key, provider="p", request={}, state=State.IN_DOUBT)


async def test_what_was_on_the_wire_is_known_once_the_client_is_closed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of ten requests one more is in doubt, and nothing was taken for the five that are left."""
    progress = progress_of(total=10)
    journal = MemoryJournal()
    async with journal.open("an account"):
        await journal.add(doubt("told"))
        await journal.add(doubt("came too late to be told"))
    await _count_unheard(progress, journal)
    told = reported(progress, capsys)
    assert "stopped early, nothing was taken for 5 requests" in told
    assert "1 of 10 requests failed, 2 in doubt" in told
    assert "at least 30" in told, "a doubt may be one more"


def test_without_an_answer_nothing_is_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no journal tells what was on the wire, it may have been accepted."""
    told = reported(progress_of(total=10), capsys)
    assert "stopped early, 6 requests not known to be accepted" in told
    assert "1 of 10 requests failed, 1 in doubt" in told


@pytest.mark.parametrize("state", [state for state in State if not state.may_be_sent])
async def test_what_earlier_runs_have_sent_is_not_called_untaken(
    state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever became of it; only of the request that no run has sent nothing was taken."""
    progress = Progress(3)
    progress.jobs.update(("sent", "new", "told"))
    progress.deliver("p", "told", songs=2, ok=True, job="told")
    journal = MemoryJournal()
    async with journal.open("an account"):
        for key in ("sent", "told", "of another batch"):
            sent = Entry(key=key, provider="p", request={}, state=State.ACCEPTED, task_id=key)
            await journal.add(attrs.evolve(sent, state=state if key == "sent" else sent.state))
    await _count_unheard(progress, journal)
    told = reported(progress, capsys)
    assert "nothing was taken for 1 request" in told
    is_open = state in (State.IN_DOUBT, State.SENDING)
    known = "1 in doubt" if is_open else "1 request known from an earlier run"
    assert known in told


async def test_a_doubt_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """One that the journal has and an outcome has told is the same."""
    progress = progress_of(total=5)
    journal = MemoryJournal()
    async with journal.open("an account"):
        await journal.add(doubt("told"))
    await _count_unheard(progress, journal)
    assert progress.doubts == 1
    assert "nothing was taken for 1 request" in reported(progress, capsys)
