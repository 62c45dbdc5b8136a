"""Words that providers use for the state of a task, and for its failure.

Services change such words without notice, so the lists hold more than any page documents. Compare
with `plain(word)`: providers write the same word in any case, with blanks, hyphens or underscores.
A word that is on no list is not an error: the task is taken to be still running, and the word is
kept.
"""

import re

from .._records import Failure, FailureKind

ENDED_BADLY = frozenset(
    [
        "fail",
        "failed",
        "failure",
        "error",
        "errored",
        "cancel",
        "cancelled",
        "canceled",
        "timeout",
        "timed_out",
        "time_out",
        "expired",
        "rejected",
        "refused",
        "denied",
        "aborted",
        "blocked",
        "moderated",
        "terminated",
        "stopped",
        "killed",
        "dead",
        "deleted",
        "revoked",
        "invalid",
        "exception",
        "crashed",
    ]
)
"""It is over, and there will be no more songs."""
ENDED_WELL = frozenset(
    ["success", "succeeded", "successful", "complete", "completed", "finished", "done", "ready"]
)
"""It is over, and the songs should be there."""
WAITING = frozenset(
    [
        "new",
        "pending",
        "queued",
        "queueing",
        "queuing",
        "in_queue",
        "staged",
        "starting",
        "submitted",
        "created",
        "accepted",
        "waiting",
        "scheduled",
        "initialized",
        "initializing",
        "not_started",
    ]
)
"""Nothing has begun yet."""
RUNNING = frozenset(
    [
        "in_progress",
        "processing",
        "running",
        "retry",
        "retrying",
        "started",
        "active",
        "working",
        "generating",
        "generated",
        "rendering",
        "streaming",
        "uploading",
        "text",
        "first",
        "text_success",
        "first_success",
    ]
)
"""It is being made."""
KNOWN = ENDED_BADLY | ENDED_WELL | WAITING | RUNNING | {""}
"""All of them, and no word at all."""
_NO_MESSAGE = ENDED_WELL | frozenset(
    [
        "",
        "0",
        "all generated successfully",
        "completed successfully",
        "false",
        "n a",
        "nil",
        "no error",
        "no errors",
        "none",
        "null",
        "ok",
        "undefined",
        "成功",
    ]
)
"""What stands in the field of an error where there was none; without punctuation."""


_BETWEEN = re.compile(r"[\s-]+")


def plain(word: str | None) -> str:
    """Return a word as the lists above spell it.

    "Timed-Out " becomes "timed_out", and None becomes "".
    """
    return _BETWEEN.sub("_", (word or "").strip().lower())


def is_message(text: str) -> bool:
    """Return whether the text of an error says anything.

    "null", "No error.", "N/A", "-" and "200 OK" stand where there was no error.
    """
    words = re.findall(r"[^\W_]+", text.lower())
    said = words[1:] if words and re.fullmatch(r"2\d\d", words[0]) else words
    return " ".join(said) not in _NO_MESSAGE


LONGEST_MESSAGE = 600
"""Characters of a failure's message, at most."""

FailureTable = tuple[tuple[str, FailureKind, str], ...]
"""Words in a failure, in lower case, with its kind and what to do about it."""


def explain(message: str, table: FailureTable) -> Failure:
    """Return a failure with its kind and advice.

    `table` is searched in order for words in the message, without regard to case. A message with
    none of them is of kind UNKNOWN, without advice. A very long one is cut: `raw` has all of it.
    """
    lowered = message.lower()
    if len(message) > LONGEST_MESSAGE:
        message = f"{message[: LONGEST_MESSAGE - 1]}…"
    for words, kind, advice in table:
        if words in lowered:
            return Failure(message=message, kind=kind, advice=advice)
    return Failure(message=message)
