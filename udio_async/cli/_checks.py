"""What is looked at before songs are bought: the folder may have them, or take none."""

from collections.abc import Sequence
from pathlib import Path

from .. import Client, DiskUnavailable
from ..files import try_folder
from ..journal import Journal
from ._disagreement import refuse_disagreement
from ._gone import take_found
from ._input import Entry
from ._known import Known, read_journals
from ._manifest import Manifest
from ._memories import Found, find_in_directory
from ._run import Run
from ._service import Service
from ._terms import Terms

_SMALL = 128 << 10
"""Bytes of a few seconds of sound."""


def look_in(
    manifest: Manifest,
    entries: Sequence[Entry],
    service: Service,
    terms: Terms,
    *,
    backend: str,
    is_file: bool = False,
) -> tuple[Known, Found]:
    """Return what journals and the folder know of these requests.

    Args:
        manifest: that of the folder.
        entries: the requests, with their keys.
        service: who would make the songs; nothing is known to a sandbox of the run itself.
        terms: with the journal, and the answer if the command has one.
        backend: the event loop on which journals are read.
        is_file: whether these are all requests of a file.

    Raises:
        BadInput: some may have been paid for, and the command does not say what to do then.
    """
    if service.is_sandbox:
        return Known(), Found(waiting=tuple(entries))
    known = read_journals(service, terms.journal, manifest.directory, backend=backend)
    found = find_in_directory(
        entries,
        known,
        manifest,
        provider=service.provider().name,
        resubmits=terms.resubmits,
        lost=terms.lost,
        is_file=is_file,
    )
    refuse_disagreement(found, known, manifest.directory)
    return known, found


def look_for_one(out: Path, entry: Entry, service: Service, terms: Terms, *, backend: str) -> Found:
    """Return what journals and the folder know of one request, as `look_in` does."""
    _, found = look_in(Manifest(out), [entry], service, terms, backend=backend)
    return found


async def left_to_make(
    run: Run, client: Client, journal: Journal, entries: list[Entry], found: Found
) -> list[Entry]:
    """Tell or fetch the songs that the folder knows, and return the other requests.

    Raises:
        DiskUnavailable: as `with_room`.
    """
    await take_found(run, client, journal, found)
    return await with_room(run, found.left_of(entries), found)


async def with_room(run: Run, left: list[Entry], found: Found) -> list[Entry]:
    """Leave out what would be bought, if the folder takes no song; what is paid for goes on.

    The library tries only a folder that has refused a song. This one has to take as much as the
    largest song in the manifest. Before there is one, a few seconds of sound are enough: a disk
    that takes half of a batch shall get that half.

    Raises:
        DiskUnavailable: it takes none, and nothing is left.
    """
    if run.out is None or not found.waiting:
        return left
    size = 0
    if run.manifest is not None:
        size = max((record.size or 0 for record in run.manifest.records()), default=0) or _SMALL
    try:
        await try_folder(run.out, size)
    except DiskUnavailable as error:
        paid = found.paid_of(left)
        if not paid:
            raise
        run.display.error(str(error))
        run.progress.total -= len(left) - len(paid)
        run.progress.failed += len(left) - len(paid)
        return paid
    return left
