"""The names of jobs: the same in every run.

All here are pure functions and counters: no clock, no file. A key is `digest-number` in a batch,
where the number tells equal requests apart, and `digest-run-number` for a single request without a
name of its own.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

from .._errors import InvalidRequest
from .._records import SongRequest

_DELIVERY = frozenset({"callback_url", "disable_callback", "webhook_url", "webhook_secret"})
"""Options and raw fields that say where the answer goes, not what is asked for."""
_FRESH = re.compile(r"[0-9a-f]{24}-[0-9a-f]{32}-\d+", re.ASCII)
_DEEPEST = 100
"""Levels of lists and objects within each other that a request may have: Python itself reads and
writes a few hundred, fewer where the program is deep in calls."""
_OF_BATCH = re.compile(r"[0-9a-f]{24}-\d+", re.ASCII)
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u2060\ufeff"
"""All that Unicode calls a space, and three marks that look like nothing."""
MOST_RETURNS = 9
"""A program on Windows that ends lines twice makes CR CR LF of CR LF, and one CR more each time. A
longer run is of lines that end in CR alone."""
_LINE_END = re.compile(rf"\r{{1,{MOST_RETURNS}}}\n|\r")


class BatchKeys:
    """Names the jobs of a batch.

    Equal requests are numbered in their order. So the same batch, run again, has the same keys,
    whatever happened in between.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def name(self, request: SongRequest) -> str:
        """Return the key of the batch's next job, its own if it has one."""
        if request.key is not None:
            return spelled(request.key)
        digest = request_digest(canonical(request))
        self._seen[digest] += 1
        return f"{digest}-{self._seen[digest]}"


class FreshKeys:
    """Names jobs that are new with each call."""

    def __init__(self) -> None:
        self._run = uuid4().hex
        self._given = 0

    def name(self, request: SongRequest) -> str:
        """Return the request's own key, or one that no other job has."""
        if request.key is not None:
            return spelled(request.key)
        self._given += 1
        return f"{request_digest(canonical(request))}-{self._run}-{self._given}"

    def gave(self, key: str) -> bool:
        """Return whether this object made this name."""
        return is_fresh(key) and key.split("-")[1] == self._run


def is_fresh(key: str) -> bool:
    """Return whether this names a job that its owner gave no name."""
    return _FRESH.fullmatch(key) is not None


def is_of_batch(key: str) -> bool:
    """Return whether this names a job in a batch, by what it asks for."""
    return _OF_BATCH.fullmatch(key) is not None


def canonical(request: SongRequest) -> dict[str, Any]:
    """Return the request as it comes back from a journal.

    That is plain JSON: no tuples, and all names are text.

    Raises:
        InvalidRequest: it cannot be written as JSON, or is nested too deeply.
    """
    asked: dict[str, Any] = request.as_json()
    if not asked.keys() & {"options", "extra"}:
        return asked  # nothing but texts and a yes or no: plain JSON already
    try:
        plain: dict[str, Any] = json.loads(json.dumps(asked))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None
    _check_depth(plain)
    return plain


def _check_depth(asked: dict[str, Any]) -> None:
    level: list[Any] = [asked]
    for _ in range(_DEEPEST):
        level = [inner for each in level for inner in _within(each)]
        if not level:
            return
    raise InvalidRequest(
        f"the request has lists or objects nested in more than {_DEEPEST} levels (in `extra`?); "
        "give a flatter one"
    )


def _within(value: Any) -> Collection[Any]:  # noqa: ANN401  # JSON is anything
    """Return what a list or an object holds; nothing else holds anything."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def request_digest(asked: Mapping[str, Any]) -> str:
    """Return a fingerprint of what is asked for, the same in every run.

    It is 24 hexadecimal digits. `asked` is what `canonical` returned.
    """
    return hashlib.sha256(_written(_identity(asked)).encode()).hexdigest()[:24]


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two requests ask for the same songs.

    Where the answer is to be sent, and how line ends and spaces are written, makes no difference.
    """
    return _written(_identity(one)) == _written(_identity(other))


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return in which fields two requests differ, for a message."""
    before, after = _identity(then), _identity(now)
    return "; ".join(
        f"{name} was {before.get(name)!r}, is {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if _written(before.get(name)) != _written(after.get(name))
    )


def _written(value: Any) -> str:  # noqa: ANN401  # JSON is anything
    """Return a JSON value as text, to compare: for Python True is 1, for a provider it is not."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True)


def _identity(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a request from which a job's key is made.

    Texts and numbers are in one spelling, because another program may have saved the file of ideas.
    Fields that say where the answer is sent are left out: an address or a secret may change.
    """
    wanted = {name: _spelled(value) for name, value in asked.items()}
    for part in ("options", "extra"):
        left = {
            name: value for name, value in wanted.get(part, {}).items() if name not in _DELIVERY
        }
        if left:
            wanted[part] = left
        else:
            wanted.pop(part, None)
    return wanted


def _spelled(value: Any) -> Any:  # noqa: ANN401  # JSON is anything
    """Return a JSON value with all its texts in one spelling, and whole numbers without a point."""
    if isinstance(value, str):
        return normalised(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    return list(map(_spelled, value)) if isinstance(value, list) else value


def spelled(key: str) -> str:
    """Return a key as texts are written: another program may save the same key in another form."""
    return normalised(key) or key


def normalised(text: str) -> str:
    """Return a text in one spelling.

    That is Unicode NFC, lines that end in LF, and no blanks at the ends of lines or of the text.
    """
    if text.isascii() and "\r" not in text and "\n" not in text:
        return text.strip()
    text = with_line_feeds(unicodedata.normalize("NFC", text))
    return "\n".join(line.rstrip(_BLANKS) for line in text.split("\n")).strip(_BLANKS)


def with_line_feeds(text: str) -> str:
    """Return a text with LF at the end of each line, whatever was there."""
    return _LINE_END.sub("\n", text)
