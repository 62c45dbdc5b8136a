"""Jobs of a journal, in words for people."""

from datetime import datetime
from typing import Any

import attrs

from .. import Provider
from ..journal import Entry
from ._text import one_line

_SHORT = 60
_NAMES = ("title", "description", "lyrics", "style")


def hidden_options(provider: Provider) -> frozenset[str]:
    """Return the options that are never shown, such as a webhook's secret."""
    fields = attrs.fields(provider.traits.options)
    return frozenset(field.name for field in fields if not field.repr)


def shown_request(entry: Entry, hidden: frozenset[str]) -> dict[str, Any]:
    """Return the request of a job, without what may be secret."""
    request = dict(entry.request)
    if "options" in request:
        options = request["options"].items()
        request["options"] = {name: value for name, value in options if name not in hidden}
    return request


def asked_for(entry: Entry) -> str:
    """Return what was asked for, in one short line."""
    words = one_line(
        ", ".join(str(entry.request[name]) for name in _NAMES if name in entry.request)
    )
    return words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"


def when(entry: Entry) -> datetime:
    """Return when it was submitted, in local time."""
    return datetime.fromtimestamp(entry.submitted_at).astimezone()
