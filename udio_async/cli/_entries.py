"""A job of a journal, as people read it."""

from datetime import datetime
from typing import Any

import attrs

from ..journal import Entry
from ..providers import Provider
from ._text import one_line

_SHORT = 60
_NAMES = ("title", "description", "lyrics", "style")


def hidden_options(provider: Provider) -> frozenset[str]:
    """Return the options that are nobody else's business, such as the secret of a webhook."""
    fields = attrs.fields(provider.traits.options)
    return frozenset(field.name for field in fields if not field.repr)


def shown_request(entry: Entry, hidden: frozenset[str]) -> dict[str, Any]:
    """Return what was asked for, without what may be secret."""
    request = dict(entry.request)
    if "options" in request:
        options = request["options"].items()
        request["options"] = {name: value for name, value in options if name not in hidden}
    return request


def asked_for(entry: Entry) -> str:
    """Say what was asked for, in one line of a terminal."""
    words = one_line(
        ", ".join(str(entry.request[name]) for name in _NAMES if name in entry.request)
    )
    return words if len(words) <= _SHORT else f"{words[: _SHORT - 1]}…"


def when(entry: Entry) -> datetime:
    """Return when it was submitted, in local time."""
    return datetime.fromtimestamp(entry.submitted_at).astimezone()
