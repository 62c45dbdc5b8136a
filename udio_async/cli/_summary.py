"""The summary of a run, on stderr, and what to type next."""

from collections.abc import Iterator
from pathlib import Path

from ._display import Display
from ._hints import Hints
from ._manifest import MANIFEST, Manifest, place_of
from ._progress import Progress
from ._text import amount, clock, counted, one_line


def report(
    progress: Progress,
    display: Display,
    out: Path | None,
    hints: Hints | None,
    gallery: Path | None,
) -> None:
    """Write the summary, and where to find what is not here.

    `hints` are the commands about the journal, if there is one.
    """
    if progress.total > 1:
        for name, value in _rows(progress):
            display.note(f"  {name:<12} {value}")
    if gallery is not None:
        display.note(f"  {'gallery':<12} {gallery}")
    counts = [counted(progress.songs, "song")]
    if out is not None and progress.songs:
        counts[0] += f" in {out}"
    if progress.failed:
        counts.append(f"{progress.failed} of {counted(progress.total, 'request')} failed")
    if progress.doubts:
        counts.append(f"{progress.doubts} in doubt")
    if progress.over_limit:
        counts.append(f"{counted(progress.over_limit, 'request')} left for a later run")
    display.note(f"{', '.join(counts)} ({clock(progress.elapsed)})")
    _report_unfinished(progress, display, hints)


def _rows(progress: Progress) -> Iterator[tuple[str, str]]:
    yield "requests", f"{progress.done} of {progress.total} finished"
    if progress.reasons:
        reasons = [f"{number} {reason}" for reason, number in progress.reasons.most_common()]
        yield "failed", ", ".join(reasons)
    if progress.doubts:
        yield "in doubt", str(progress.doubts)
    if progress.over_limit:
        yield "left", f"{progress.over_limit} not submitted: the limit of this run"
    if progress.spent is not None:
        certain = progress.is_certain or not progress.left_out
        about = "about" if certain and not progress.doubts else "at least"
        yield "credits", f"{about} {amount(progress.spent)}"
    if progress.mean is not None:
        yield "per request", f"{clock(progress.mean)} from accepted to saved"


def _report_unfinished(progress: Progress, display: Display, hints: Hints | None) -> None:
    if progress.left_out > 0:
        left_out = counted(progress.left_out, "request")
        if progress.no_room:
            display.error(f"{progress.no_room}; so {left_out} not submitted: make room first")
        elif progress.is_certain:
            display.error(f"stopped early, nothing was taken for {left_out}")
        else:  # an answer may have been lost on the way out
            display.error(f"stopped early, {left_out} not known to be accepted")
    if progress.earlier:
        earlier = counted(progress.earlier, "request")
        why = progress.no_room or "stopped early"
        display.error(f"{why}, not looked at: {earlier} known from an earlier run")
    if progress.unrecorded:
        display.error(f"{counted(progress.unrecorded, 'line')} missing in {MANIFEST}")
    _report_accepted(progress, display, hints)
    if hints is None:
        return
    if progress.doubts:
        display.say(f"{counted(progress.doubts, 'request')} in doubt; to see them:")
        display.say(f"  {hints.doubts}")
    if told := _what_next(progress, hints):
        display.say(told)


def _what_next(progress: Progress, hints: Hints) -> str | None:
    """Return what goes on with the run, or None if nothing is left of it."""
    left = progress.unfinished() or progress.left_out or progress.earlier
    if left or progress.unrecorded:
        return f"to continue:\n  {_again(progress, hints)}"
    if progress.over_limit and not progress.has_bought:  # the same limit may allow nothing again
        return "to continue: the same command with a higher --max-credits or --max-submits"
    if progress.over_limit:
        return f"to continue, with the same limit for the next run:\n  {hints.again}"
    if not progress.again:
        return None
    first = next((what for kind, what in _FIRST.items() if kind in progress.reasons), None)
    if first is not None:
        return f"{first}, then run the same command:\n  {_again(progress, hints)}"
    return f"to try again what failed, and nothing else:\n  {_again(progress, hints)}"


def _again(progress: Progress, hints: Hints) -> str:
    """Return the command that goes on: the same one if it is certain that nothing was taken."""
    taken = progress.has_bought or progress.unfinished() or progress.earlier or progress.doubts
    unknown = progress.left_out and not progress.is_certain
    return hints.again if taken or unknown or progress.unrecorded else hints.same


_FIRST = {
    "AuthenticationFailed": "fix the key",
    "InsufficientCredits": "buy credits",
}
"""What the same command needs, so that it does not fail in the same way again."""


def report_left(progress: Progress, display: Display, hints: Hints | None) -> None:
    """Write what is under way when nothing is waited for any more.

    It is that much, and perhaps more.
    """
    _report_accepted(progress, display, hints, least="at least ")
    if hints is not None:
        display.say(f"to continue:\n  {hints.again}")


def _report_accepted(
    progress: Progress, display: Display, hints: Hints | None, *, least: str = ""
) -> None:
    unfinished = progress.unfinished()
    if unfinished:
        where = "kept in the journal" if hints else "look for them at the provider:"
        accepted = counted(len(unfinished), "accepted request")
        display.error(f"{least}{accepted} not delivered; {where}")
    if hints is None:
        for flight in unfinished:
            display.say(f"  {flight.task.provider}  {flight.task.id}  {flight.title}")
            for song in flight.task.songs:
                if song.audio_is_final:
                    display.say(f"    {one_line(song.audio_url or '')}")


def note_untagged(manifest: Manifest, display: Display) -> None:
    """Say that files that are here stay as they are: tags are written into a file as it comes."""
    paths = [record.path for record in manifest.records() if record.path is not None]
    here = sum(place_of(manifest.directory, path).is_file() for path in paths)
    if here:
        display.note(
            f"--tags changes no file that is here already ({counted(here, 'song')}); files that "
            "you move away are fetched again, with tags, which costs nothing"
        )
