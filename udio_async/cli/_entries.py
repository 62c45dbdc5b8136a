"""Jobs of a journal, in words for people."""

from datetime import datetime
from functools import cache
from typing import Any

import attrs

from .. import InvalidRequest, provider_named
from ..journal import Entry
from ._text import one_line

_SHORT = 60
_NAMES = ("title", "description", "lyrics", "style")


def shown_request(entry: Entry) -> dict[str, Any]:
    """Return the request of a job, without what may be secret."""
    request = dict(entry.request)
    if "options" in request:
        shown = _shown_options(entry.provider)
        request["options"] = {
            name: value for name, value in request["options"].items() if name in shown
        }
    return request


@cache
def _shown_options(provider: str) -> frozenset[str]:
    """Return the options that may be shown: a webhook's secret is not.

    None of them may where the provider is one of a program's own, and nobody here knows them.
    """
    try:
        traits = provider_named(provider)(api_key="asked-for-its-traits-only").traits
    except InvalidRequest:
        return frozenset()
    return frozenset(field.name for field in attrs.fields(traits.options) if field.repr)


def asked_for(entry: Entry) -> str:
    """Return what was asked for, in one short line."""
    words = one_line(
        ", ".join(str(entry.request[name]) for name in _NAMES if name in entry.request)
    )
    return words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"


def when(entry: Entry) -> datetime:
    """Return when it was submitted, in local time."""
    return datetime.fromtimestamp(entry.submitted_at).astimezone()
