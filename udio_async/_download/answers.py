"""Reasons for a missing file, and what is done about each.

The tables of docs/downloads.md are printed from these rules.
"""

from collections.abc import Container, Mapping
from types import MappingProxyType

import attrs

from .._errors import DownloadFailed, LinkExpired, NotAudio, NotServedYet, Truncated
from .._records import Song
from .._urls import without_query


@attrs.frozen(kw_only=True)
class Rule:
    """One reason why there is no file, and what may help."""

    seen: str
    kind: type[DownloadFailed]
    """The error that is raised if nothing helps."""
    kind_when_new: type[DownloadFailed] | None = None
    """The error in the end if the song was completed only moments ago; None: the same."""
    late: bool = False
    """Waiting may help, as long as the song is new."""
    again: bool = False
    """Another attempt may do better, whatever the song's age."""
    relink: bool = False
    """The link is the likely reason: so the task is looked at now, and not only after all tries."""


@attrs.frozen(kw_only=True)
class StatusRule(Rule):
    """The meaning of some HTTP statuses."""

    statuses: Container[int]


# A file store that hides its list answers 403 for a file that is not there yet, or 401.
RULES = (
    StatusRule(
        seen="202, 204, 205",
        statuses={202, 204, 205},
        kind=NotServedYet,
        late=True,
        again=True,
    ),
    StatusRule(
        seen="401, 403, 404",
        statuses={401, 403, 404},
        kind=LinkExpired,
        kind_when_new=NotServedYet,
        late=True,
        relink=True,
    ),
    StatusRule(seen="410, 451", statuses={410, 451}, kind=LinkExpired, relink=True),
    StatusRule(
        seen="408, 416, 421, 423, 425, 429",
        statuses={408, 416, 421, 423, 425, 429},
        kind=DownloadFailed,
        late=True,
        again=True,
    ),
    StatusRule(
        seen="any other 4xx",
        statuses=range(400, 500),
        kind=DownloadFailed,
        late=True,
        relink=True,
    ),
    StatusRule(
        seen="5xx, a 3xx that leads nowhere, and what is no status",
        statuses=range(1000),
        kind=DownloadFailed,
        late=True,
        again=True,
    ),
)
"""Statuses that come without the file. The first row that fits decides."""

EMPTY = Rule(
    seen="no bytes",
    kind=NotAudio,
    kind_when_new=NotServedYet,
    late=True,
    again=True,
    relink=True,
)
NO_AUDIO = Rule(
    seen="a page, or anything else that is no audio",
    kind=NotAudio,
    late=True,
    again=True,
    relink=True,
)
CUT = Rule(seen="a transfer that ends before the file does", kind=Truncated, again=True)
BREAKS_OFF = Rule(
    seen="a file that breaks off or is damaged, though the server calls it whole: "
    "taken once the same bytes came twice",
    kind=Truncated,
    late=True,
    again=True,
)
SHORT = Rule(
    seen="a whole file that plays less than was stated: taken once the same bytes came twice",
    kind=Truncated,
    again=True,
)
TOO_LONG = Rule(seen="more than 256 MiB, decoded", kind=NotAudio)
UNREACHABLE = Rule(
    seen="no answer: refused, time-out, no such host, too slow",
    kind=DownloadFailed,
    late=True,
    again=True,
)
REFUSED = Rule(
    seen="a link, or a redirect, to something that is not https on the public internet",
    kind=DownloadFailed,
)
FAULTY = Rule(
    seen="another part than was asked for, or more bytes than the server says",
    kind=DownloadFailed,
    again=True,
)
BYTES = (EMPTY, NO_AUDIO, CUT, BREAKS_OFF, SHORT, TOO_LONG, FAULTY, UNREACHABLE, REFUSED)
"""Reasons for a missing file that are not a status."""


def rule_of(status: int) -> StatusRule | None:
    """Return what an answer of this status means; None if it brings a file."""
    if 200 <= status < 300 and status not in RULES[0].statuses:
        return None
    return next((rule for rule in RULES if status in rule.statuses), RULES[-1])


class AttemptFailed(Exception):
    """One attempt came to nothing; its rule says what may help."""

    def __init__(
        self, what: str, rule: Rule, *, status: int | None = None, wait: float | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.rule = rule
        self.status = status
        self.wait = wait
        """Seconds to wait at least, if the server asked for it."""
        self.progress = False
        """Whether some of the file came, and is kept."""

    @property
    def is_of_disk(self) -> bool:
        """Whether it is the disk that failed, and not the link."""
        return isinstance(self.__cause__, OSError)

    def ends_as(self, *, new: bool) -> tuple[type[DownloadFailed], str]:
        """Return the class and the words of the error, if nothing helps.

        `new` tells whether the song was completed only moments ago.
        """
        kind = (self.rule.kind_when_new if new else None) or self.rule.kind
        if self.status is None or self.status // 100 == 3:
            return kind, self.what
        return kind, f"{_NOT_SERVED.get(kind, 'was not served')} (HTTP {self.status})"


_NOT_SERVED: Mapping[type[DownloadFailed], str] = MappingProxyType(
    {LinkExpired: "is no longer served", NotServedYet: "is not served yet"}
)
REMEDIES: Mapping[type[DownloadFailed], str] = MappingProxyType(
    {
        DownloadFailed: "download it again later",
        NotServedYet: "download it again in a few minutes",
        LinkExpired: "look for the song in your account at the provider",
        NotAudio: "open the link in a browser to see what is there, or download it again later",
        Truncated: "download it again later",
    }
)


def failed(
    kind: type[DownloadFailed], song: Song, what: str, *, remedy: str | None = None
) -> DownloadFailed:
    """Return an error that names the song, its link and what to do.

    The link is shown without its query, which may be a signature.
    """
    shown = without_query(song.audio_url or "no link")
    return kind(
        f"the audio of song {song.id} ({shown}) {what}; {remedy or REMEDIES[kind]}",
        provider=song.provider,
        job_key=song.job_key,
        task_id=song.task_id,
    )
