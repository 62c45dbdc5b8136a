"""What is looked at before `generate` buys a song: the folder may have it, or take none."""

from pathlib import Path

from .. import Client
from ..files import try_folder
from ..journal import Journal
from ._gone import take_found
from ._input import Entry
from ._manifest import Manifest
from ._memories import Found, find_in_directory, refuse_disagreement
from ._plan import read_journal
from ._run import Run
from ._service import Service
from ._terms import Terms


def look_in(out: Path, entry: Entry, service: Service, terms: Terms, *, backend: str) -> Found:
    """Return what the folder knows of a request that the journal does not know.

    Raises:
        BadInput: it may have been paid for, and the command does not say what to do then.
    """
    if terms.lost == "again" or service.is_sandbox:
        return Found()
    known = read_journal(service, terms.journal, backend=backend)
    found = find_in_directory(
        [entry], known, Manifest(out), provider=service.provider().name, resubmits=terms.resubmits
    )
    refuse_disagreement(found, known, waiting=len(found.left_of([entry])), out=out, lost=terms.lost)
    return found


async def left_to_make(
    run: Run, client: Client, journal: Journal, entry: Entry, found: Found
) -> list[Entry]:
    """Return the request, unless the folder has its songs: then they are told or fetched.

    No earlier run tells this one of a full disk, so it is tried before a song is bought.

    Raises:
        DiskUnavailable: the folder takes no song.
    """
    await take_found(run, client, journal, found)
    left = found.left_of([entry])
    earlier = await journal.get(entry.job)
    if left and run.out is not None and (earlier is None or earlier.state.may_be_sent):
        await try_folder(run.out)
    return left
