"""Advice of errors, in the words of a shell.

The library's messages end with what to write in a program. `REMEDIES` is the one table of what to
type instead; a test finds each message of the library that names Python and is not in it.
"""

import re

import attrs

from .. import (
    AnotherAccount,
    GenerationFailed,
    InvalidRequest,
    NetworkUnusable,
    RequestRefused,
    SpendLimitReached,
    SubmitInDoubt,
    TooManyDoubts,
    UdioError,
    Unreachable,
    UnsupportedOption,
    WaitExpired,
)
from ._hints import Hints, current_hints, is_open_doubt, placeholders


@attrs.frozen
class Remedy:
    """A replacement: `python` matches the library's words, `shell` is said instead.

    In `shell`, `{0}` is the first group of `python`; `{jobs}` and the like are commands about the
    journal that the error is about.
    """

    error: type[UdioError]
    python: str
    shell: str


REMEDIES = (
    Remedy(
        AnotherAccount,
        r"hand the journal over to it, once: await .*",
        "say so once: {rekey}",
    ),
    Remedy(
        AnotherAccount,
        r"take (\S+), or another journal",
        "give --provider {0}, or another --journal",
    ),
    Remedy(SubmitInDoubt, r"then client\.resolve\(\) it", "then end it; to see it: {doubts}"),
    Remedy(UdioError, r"client\.resolve\(\) takes another", "give another: {resolve}"),
    Remedy(TooManyDoubts, r"client\.doubts\(\) lists them", "to see them: {doubts}"),
    Remedy(InvalidRequest, r"client\.jobs\(\) lists them", "to see them all: {jobs}"),
    Remedy(UdioError, r"\bbase_url\b", "--base-url"),
    Remedy(
        InvalidRequest,
        r"max_credits=(\S+) cannot be kept; give max_submits",
        "--max-credits {0} cannot be kept; give --price or --max-submits",
    ),
    Remedy(
        InvalidRequest,
        r"give UdioApiOptions\(callback_url=.*?\), or take UdioApiV2",
        "give --callback-url URL (in a file, callback_url among the options), or take --legacy "
        "or --provider udioapi-v2",
    ),
    Remedy(
        RequestRefused,
        r"Take callbacks by client\.callbacks.*: they need none",
        "Give --callback-url URL (in a file, callback_url among the options), or take --legacy "
        "or --provider udioapi-v2: they need none",
    ),
    Remedy(
        UnsupportedOption,
        r"use UdioApiV1, or send it through extra",
        "take --provider udioapi-v1",
    ),
    Remedy(UnsupportedOption, r"poll, or use UdioApiV1", "take --provider udioapi-v1"),
    Remedy(UnsupportedOption, r"use generation='callback'", "leave --legacy out"),
    Remedy(UnsupportedOption, r"use generation='legacy'", "give --legacy"),
    Remedy(
        GenerationFailed,
        r"v1 legacy has cluster='second'",
        "--provider udioapi-v1 --legacy has another: cluster=second among the options",
    ),
    Remedy(SpendLimitReached, r"max_submits=(\S+) is used up", "--max-submits {0} is used up"),
    Remedy(SpendLimitReached, r"max_credits=(\S+) pays for", "--max-credits {0} pays for"),
    Remedy(
        SpendLimitReached,
        "higher max_submits and max_credits",
        "higher --max-submits and --max-credits",
    ),
    Remedy(SpendLimitReached, "give a higher max_submits", "give a higher --max-submits"),
    Remedy(SpendLimitReached, "give a higher max_credits", "give a higher --max-credits"),
)


def explain(error: UdioError, hints: Hints | None = None) -> str:
    """Return an error's words, with the command that helps if there is one.

    Without `hints` the commands are about the journal of the running command.
    """
    hints = hints or current_hints()
    if hints is not None and is_open_doubt(error) and error.job_key:
        return (
            f"{error.provider} may have taken this request: {error.evidence}; look at your "
            f"account, then end the doubt with `{hints.resolve(error.job_key)}` and one of "
            "--task-id ID, --resubmit, --abandon"
        )
    words = in_shell(str(error), type(error), hints, error.job_key)
    if isinstance(error, Unreachable) and not (error.sent or isinstance(error, NetworkUnusable)):
        what_to_do = "" if ". Check " in words else ". Check --base-url and the network"
        return f"{error.provider or 'the provider'} cannot be reached: {words}{what_to_do}"
    if hints is not None and isinstance(error, WaitExpired):
        return f"{words}; to wait for it again: {hints.again}"
    return words


def in_shell(
    message: str, kind: type[UdioError], hints: Hints | None = None, key: str | None = None
) -> str:
    """Return the message of such an error, of this job, with shell words in place of Python's."""
    hints = hints or placeholders()
    commands = {
        "jobs": hints.jobs,
        "doubts": hints.doubts,
        "rekey": hints.rekey,
        "resolve": hints.resolve(key or "KEY", "--task-id", "ID"),
    }
    for remedy in REMEDIES:
        if issubclass(kind, remedy.error) and (found := re.search(remedy.python, message)):
            said = remedy.shell.format(*found.groups(), **commands)
            message = message[: found.start()] + said + message[found.end() :]
    return message
