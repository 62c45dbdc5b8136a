"""How requests ended, and what providers say beside: callbacks, credits, the audit."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from .._errors import InvalidRequest, UdioError
from .._validators import check_awaited
from .request import SongRequest, shown
from .song import Failure, Song, Stage, as_stage


@attrs.frozen(kw_only=True)
class CallbackAddress:
    """The address for a provider's callbacks, and the secret to show there.

    The client makes one for each submit. `secret` is None where the provider has no place for it.
    """

    url: str
    secret: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class CallbackNews:
    """What a callback says of its task.

    That is how far it is, and either its id (apiframe) or its songs (udioapi v1). Nothing of it is
    proved: a look at the task is.
    """

    stage: Stage = attrs.field(converter=as_stage)
    task_id: str | None = None
    songs: tuple[Song, ...] = ()
    """Their `task_id` is empty where the callback names none."""
    error: Failure | None = None


@attrs.frozen(kw_only=True)
class Credits:
    """What the account has left, in the provider's credits.

    What a credit is worth is the provider's own affair.

        left = await client.credits()
        print(left.provider, left.remaining)
    """

    provider: str
    remaining: float
    """Credits that may still be spent."""
    used: float | None = None
    """Credits spent so far, as the provider counts them: it does not say since when. None where it
    does not count them."""
    plan: str | None = None
    """The name of the subscription, where the provider has one."""
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Audit:
    """What the journal expects to be charged, and what the counter shows.

    All amounts are the provider's credits. The counter is conclusive only if nobody else uses the
    account and, at apiframe, nothing was topped up meanwhile. `difference` is what the counter went
    down by beyond the accepted requests: 0 if both agree, None if the price of a request is not
    known.

        audit = await client.audit()
        if audit is not None and audit.difference:
            print(audit.in_doubt, "in doubt,", audit.difference, "credits more than expected")
    """

    accepted: int
    """Requests that the provider has accepted, also those that failed later."""
    in_doubt: int
    """Requests that may have been accepted: they are not among `accepted`."""
    price: float | None
    """Credits for one request."""
    counted: float
    """Credits that the counter went down by since this journal was begun."""

    @property
    def difference(self) -> float | None:
        """Credits that the counter shows beyond the accepted requests, or None."""
        return None if self.price is None else self.counted - self.accepted * self.price


@attrs.frozen(kw_only=True)
class Outcome:
    """How one request of a batch ended.

    It has songs, or the error that kept them away.

        if outcome.error is None:
            print([song.audio_url for song in outcome.songs])
        else:
            print(outcome.request.description, outcome.error)
    """

    index: int
    """The request's place in the input, from 0."""
    request: SongRequest
    """What was asked for, also where only its words were given."""
    job_key: str | None = None
    """The job's name in the journal."""
    task_id: str | None = None
    songs: tuple[Song, ...] = ()
    """What arrived; with an error, whatever arrived all the same."""
    error: UdioError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is no error. One song may have failed: see `Song.error`."""
        return self.error is None


def songs_in(songs: object) -> list[Song]:
    """Return the songs that are meant by one, several, or an outcome.

    Raises:
        InvalidRequest: these are no songs.
    """
    check_awaited(songs)
    if isinstance(songs, Outcome):
        return list(songs.songs)
    is_one = isinstance(songs, (str, bytes)) or not isinstance(songs, Iterable)
    found: list[Song] = []
    for song in [songs] if is_one else cast("Iterable[object]", songs):
        check_awaited(song)
        if not isinstance(song, Song):
            raise InvalidRequest(
                f"give songs, not {shown(song)}: those of `await job.songs()` or `outcome.songs`"
            )
        found.append(song)
    return found


def arrived_in(songs: object) -> list[Song]:
    """Return the songs to save: without failed ones, and of a failed outcome only what is final.

    Raises:
        InvalidRequest: these are not songs.
    """
    failed = isinstance(songs, Outcome) and songs.error is not None
    there = [song for song in songs_in(songs) if song.error is None]
    return [song for song in there if song.audio_is_final or not failed]
