"""What the answer for a file means, by its status; and why a file is not here."""

from collections.abc import Container, Mapping
from enum import Enum
from types import MappingProxyType

import attrs

from .._errors import DownloadFailed, LinkExpired, NotAudio, NotServedYet, Truncated
from .._records import Song


class Meaning(Enum):
    """What is made of an answer."""

    FILE = "taken, and judged by its bytes"
    PART = "taken if it is the beginning or goes on where ours ends, and the rest is asked for"
    NOT_YET = "waited for as long as the song is new; then one look at the task for a new link"
    GONE = "one look at the task for a new link"
    REFUSED = "one look at the task for a new link, as the signature may be too old"
    BUSY = "tried again, after the wait that it asks for"


@attrs.frozen
class Rule:
    """Answers that mean the same."""

    seen: str
    statuses: Container[int]
    meaning: Meaning


RULES = (
    Rule("206", {206}, Meaning.PART),
    Rule("202, 204, 205", {202, 204, 205}, Meaning.NOT_YET),
    Rule("200, 203 and any other 2xx", range(200, 300), Meaning.FILE),
    Rule("3xx that leads nowhere", range(300, 400), Meaning.BUSY),
    # A store that does not show its list says 403 of what is not there yet; 401 is its like.
    Rule("401, 403, 404", {401, 403, 404}, Meaning.NOT_YET),
    Rule("410, 451", {410, 451}, Meaning.GONE),
    Rule("408, 416, 421, 423, 425, 429", {408, 416, 421, 423, 425, 429}, Meaning.BUSY),
    Rule("any other 4xx", range(400, 500), Meaning.REFUSED),
    Rule("5xx, and what is no status", range(1000), Meaning.BUSY),
)
"""The first that fits decides."""


def meaning_of(status: int) -> Meaning:
    """Return what an answer of this status means."""
    return next((rule.meaning for rule in RULES if status in rule.statuses), Meaning.BUSY)


class Absent(Exception):
    """The file is not there, and only time or another link can help."""

    def __init__(self, status: int, meaning: Meaning) -> None:
        super().__init__(f"HTTP {status}")
        self.meaning = meaning


class Broken(Exception):
    """This came to nothing; another attempt may do better, unless it is `hopeless`."""

    def __init__(
        self,
        what: str,
        kind: type[DownloadFailed] = DownloadFailed,
        *,
        wait: float | None = None,
        hopeless: bool = False,
    ) -> None:
        super().__init__(what)
        self.kind = kind
        self.wait = wait
        """Seconds that the server asked for."""
        self.hopeless = hopeless
        self.progress = False
        """Whether some of the file came, and is kept."""


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
    """Return an error that names the song, its link and what to do."""
    shown = (song.audio_url or "no link").partition("?")[0]  # the rest may be a signature
    return kind(
        f"the audio of song {song.id} ({shown}) {what}; {remedy or REMEDIES[kind]}",
        provider=song.provider,
        job_key=song.job_key,
        task_id=song.task_id,
    )
