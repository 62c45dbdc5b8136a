"""The question before money is spent on what may be paid for already."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ._failures import BadInput
from ._input import Entry
from ._known import Known
from ._manifest import MANIFEST
from ._memories import Found, Had
from ._names import JOURNAL
from ._text import counted, shortened

_SHOWN = 3
_WORDS = 40


def refuse_disagreement(found: Found, known: Known, out: Path) -> None:
    """Stop before money is spent on what may be paid for already.

    Args:
        found: what the folder knows.
        known: what the journals know.
        out: the folder, for the message.

    Raises:
        BadInput: with what was found, and how to go on.
    """
    had = [one for one in found.had if one.entry.job not in known.settled]
    gone = [one for one in found.gone if one.entry.job not in known.settled]
    renamed = [one for one in (*had, *gone) if one.earlier is not None]
    asked = gone or renamed or (found.waiting and (had or found.strange))
    if found.is_answered or not asked:
        return
    again = len(found.waiting) + len(found.had) + len(found.gone)
    if renamed:
        others = " and ".join(sorted({one.earlier.other for one in renamed if one.earlier}))
        raise BadInput(
            f"by the journal and {MANIFEST} in {out}, requests have other {others} than before; "
            "nothing was sent",
            tuple(_renamed(renamed, others, again)),
        )
    what = "has songs that the journal does not know, so it may have been lost"
    if any(one.beside for one in (*had, *gone)):
        what = f"has a journal of its own, {JOURNAL}, which this run would not go on with"
    raise BadInput(f"{out} {what}; nothing was sent", tuple(_findings(had, gone, found, again)))


def _renamed(renamed: Sequence[Had], others: str, again: int) -> Iterator[str]:
    """Return which keys or words are others now, and what can be done, line by line."""
    names = (f"{name_of(one.entry)} {one.earlier}" for one in renamed)
    yield (
        f"{counted(len(renamed), 'request')} may have been paid for: {_listed(names, len(renamed))}"
    )
    yield f"put the old {others} back if they are meant: then nothing is paid for twice"
    yield "add --rest to leave them out of what is submitted; their songs are told or fetched"
    yield f"add --again to submit {counted(again, 'request')}, and pay again for what was made"


def _findings(had: Sequence[Had], gone: Sequence[Had], found: Found, again: int) -> Iterator[str]:
    """Return what was found and what can be done, line by line."""
    if had:
        yield f"by {MANIFEST} the songs of {_requests(had, 'are here')}"
    for source, some in (
        (JOURNAL, [one for one in gone if one.beside]),
        (MANIFEST, [one for one in gone if not one.beside]),
    ):
        if some:
            what = "may have been paid for"
            if source == MANIFEST:
                what += ", whose songs are not all here"
            yield f"by {source} {_requests(some, what)}"
    if found.strange:
        yield f"neither the journal nor {MANIFEST} tells of {songs_in(found)}"
    if any(one.beside for one in (*had, *gone)):
        yield (
            f"leave out --journal and --no-journal to go on with {JOURNAL}: then nothing is paid "
            "for twice"
        )
    else:
        yield (
            "if you have the journal of that run, bring it back, with the -wal file beside it if "
            "there is one: then nothing is paid for twice"
        )
    fetched = sum(bool(one.task_ids) for one in gone)
    if fetched:
        yield f"add --rest to fetch the songs of {counted(fetched, 'request')}, which costs nothing"
    if found.waiting:
        # A song of which nothing tells may be one of any of them.
        unless = "if these songs are not theirs" if found.strange else "of which nothing here tells"
        yield f"add --rest to submit only {counted(len(found.waiting), 'request')}, {unless}"
    yield f"add --again to submit {counted(again, 'request')}, and pay again for what was made"


def _requests(some: Sequence[Had], what: str) -> str:
    """Return how many they are, what is said of them, and the first few."""
    names = (name_of(one.entry) for one in some)
    return f"{counted(len(some), 'request')} {what}: {_listed(names, len(some))}"


def _listed(names: Iterable[str], number: int) -> str:
    """Return the first few names, and how many more there are."""
    shown = [name for name, _ in zip(names, range(_SHOWN), strict=False)]
    more = [f"and {number - _SHOWN:,} more"] if number > _SHOWN else []
    return ", ".join([*shown, *more])


def name_of(entry: Entry) -> str:
    """Return a request's line and words, for a message."""
    place = f"line {entry.line} " if entry.line is not None else ""
    return f"{place}({shortened(entry.asked or '', _WORDS)})"


def songs_in(found: Found) -> str:
    """Return how many songs nothing tells of, and the first few, for a message."""
    names = (shortened(name, _WORDS * 2) for name in found.strange)
    return f"{counted(len(found.strange), 'song')} here: {_listed(names, len(found.strange))}"
