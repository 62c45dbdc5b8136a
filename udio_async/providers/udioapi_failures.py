"""What udioapi.pro says of a song that failed, and what can be done about it."""

from .._records import FailureKind
from .words import FailureTable

_REWORD = "the content rules stopped it: change the words"
_LATER = "the provider was busy or broken: try again later, which costs again"
_SHORTEN = "shorten the description, the lyrics or the style"
FAILURES: FailureTable = (
    ("unable to generate lyrics from song description", FailureKind.MODERATION, _REWORD),
    ("does not meet guidelines", FailureKind.MODERATION, _REWORD),
    ("inappropriate material", FailureKind.MODERATION, _REWORD),
    ("moderation", FailureKind.MODERATION, _REWORD),
    ("moderated", FailureKind.MODERATION, _REWORD),
    ("prompt likely malformed", FailureKind.INPUT, "correct the form and content of the text"),
    ("invalid prompt format", FailureKind.INPUT, "check the form of the text"),
    ("invalid parameters", FailureKind.INPUT, "check the request's fields"),
    ("topic too long", FailureKind.INPUT, _SHORTEN),
    ("prompt too long", FailureKind.INPUT, _SHORTEN),
    ("rate limit exceeded", FailureKind.UPSTREAM, "too many at a time: wait, then try again"),
    ("generation timeout", FailureKind.UPSTREAM, "try again, or ask for something simpler"),
    ("server overload", FailureKind.UPSTREAM, f"{_LATER}; v1 legacy has cluster='second'"),
    ("network error", FailureKind.UPSTREAM, _LATER),
    ("internal error", FailureKind.UPSTREAM, _LATER),
)
"""Words in a failure, its kind, and what to do (legacy and v2 feed page; not exhaustive)."""
