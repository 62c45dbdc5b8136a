"""What a job is called: the same request has the same key, in every run. Pure."""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from .._errors import InvalidRequest
from .._records import SongRequest

_DELIVERY = frozenset({"callback_url", "disable_callback", "webhook_url", "webhook_secret"})
"""Options and raw fields that say where the answer goes, not which song is asked for."""
_FRESH = re.compile(r"[0-9a-f]{24}-[0-9a-f]{32}-\d+", re.ASCII)
_OF_BATCH = re.compile(r"[0-9a-f]{24}-\d+", re.ASCII)


class BatchKeys:
    """Names the jobs of a batch: equal requests are told apart by which of them it is.

    So the same batch, run again, has the same keys, whatever came in between.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def name(self, request: SongRequest) -> str:
        """Return the key of the next job of the batch."""
        if request.key is not None:
            return request.key
        digest = request_digest(canonical(request))
        self._seen[digest] += 1
        return f"{digest}-{self._seen[digest]}"


class FreshKeys:
    """Names jobs that are new with each call, and knows a name that it has given."""

    def __init__(self) -> None:
        self._run = uuid4().hex
        self._given = 0

    def name(self, request: SongRequest) -> str:
        """Return the request's own key, or one that no other job has."""
        if request.key is not None:
            return request.key
        self._given += 1
        return f"{request_digest(canonical(request))}-{self._run}-{self._given}"

    def gave(self, key: str) -> bool:
        """Whether it has given this name."""
        return is_fresh(key) and key.split("-")[1] == self._run


def is_fresh(key: str) -> bool:
    """Whether this is the name of a job that its owner gave no name."""
    return _FRESH.fullmatch(key) is not None


def is_of_batch(key: str) -> bool:
    """Whether this is the name of a job in a batch, made of what it asks for."""
    return _OF_BATCH.fullmatch(key) is not None


def canonical(request: SongRequest) -> dict[str, Any]:
    """Return what is asked for as it comes back from a journal: no tuples, names are text.

    Raises:
        InvalidRequest: it cannot be written as JSON.
    """
    try:
        asked: dict[str, Any] = json.loads(json.dumps(request.as_json()))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"the request cannot be written as JSON: {error}") from None
    return asked


def request_digest(asked: Mapping[str, Any]) -> str:
    """Return a fingerprint of what is asked for, the same in every run."""
    text = json.dumps(_identity(asked), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two requests ask for the same song."""
    return bool(_identity(one) == _identity(other))


def difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say in which fields two requests differ."""
    before, after = _identity(then), _identity(now)
    return "; ".join(
        f"{name} was {before.get(name)!r}, is {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def _identity(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes it this song: texts in one spelling, without where the answer goes.

    An address or a secret may change, and another program may save the file of ideas again.
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
    if isinstance(value, str):
        return normalised(value)
    if isinstance(value, dict):
        return {name: _spelled(inner) for name, inner in value.items()}
    return list(map(_spelled, value)) if isinstance(value, list) else value


def normalised(text: str) -> str:
    """Return a text as it counts: Unicode NFC, lines end in LF, no blanks at the ends of lines."""
    if text.isascii() and "\r" not in text and "\n" not in text:
        return text.strip()
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
