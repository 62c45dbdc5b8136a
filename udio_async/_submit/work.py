"""One job that is being submitted, and what is to be said of it while it is."""

import anyio
import attrs

from .._errors import ClientClosed, JournalError, SubmitInDoubt, UdioError
from .._http import Departure
from .._records import SongRequest, Stage
from ..journal import Entry, State
from ..journal.jobs import remembered_error

CLOSED = "the client was closed while the request was on the wire"


@attrs.define(kw_only=True, eq=False)
class Work:
    """One job that is being submitted, and what callbacks say of it before its answer is here."""

    request: SongRequest
    key: str
    is_new: bool
    stopped_by: UdioError | None
    only: frozenset[State] | None
    asked_at: int
    """When it was asked for, by `Kept.now`."""
    done: anyio.Event = attrs.field(factory=anyio.Event)
    departure: Departure = attrs.field(factory=Departure)
    begun: bool = False
    """Whether its own task has begun: that one says when it is done."""
    early: Stage | None = None
    was_kept: bool = False
    """Whether it was kept for later before."""
    task_id: str | None = None
    """The provider's id, once it is known."""
    may_be_paid: bool = attrs.field(init=False)
    """Whether an attempt before may have been paid, as far as is known."""
    doubt: Entry | None = None
    """The attempt before, where it may have been paid and no other has followed it yet."""

    def __attrs_post_init__(self) -> None:
        self.may_be_paid = not self.is_new

    def leaves_alone(self, known: Entry | None, *, repeated: bool) -> bool:
        """Return whether it is for jobs in some states only, and this one was in none of them."""
        if self.only is None:
            return False
        return known is None or (known.state not in self.only and not repeated)

    def note_early(self, stage: Stage) -> None:
        """Keep what a callback says before the answer is here, in whatever order."""
        if self.early is None or self.early.is_before(stage):
            self.early = stage

    def as_it_stands(self, error: UdioError) -> UdioError:
        """Return the job's error; one that was in doubt still is, if nothing was sent for it."""
        if self.may_be_paid and error.charged == "no":
            error.charged = "unknown"
        if self.doubt is None or error.charged != "no":
            return error
        doubt = remembered_error(self.doubt) or error
        doubt.__cause__ = error
        return doubt

    def unfinished(self, provider: str) -> UdioError:
        """Return what is to be said to a caller whose client was closed meanwhile."""
        if self.task_id is not None:
            return JournalError(
                f"{provider} accepted the song as task {self.task_id}, and the client was closed "
                "before that could be kept. Write the id down: it is paid for.",
                provider=provider,
                job_key=self.key,
                task_id=self.task_id,
                charged="yes",
            )
        if not self.departure.may_have_left:
            return ClientClosed("the client was closed; the request was not sent", job_key=self.key)
        return SubmitInDoubt(
            f"{provider} may have taken the song: {CLOSED}",
            provider=provider,
            job_key=self.key,
            evidence=CLOSED,
        )
