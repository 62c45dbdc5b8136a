"""Requests that v1 and v2 of udioapi.pro share: options, limits, bodies.

The documents are three pages of udioapi.pro: "generate with callback" and "generate, legacy" for
v1, "v2 generate" for v2. The free calls of both are in `udioapi_calls.py`, and each version has its
endpoints and its class in a file of its own.
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from .._errors import InvalidRequest, UnsupportedOption
from .._http import ApiKey
from .._records import ProviderOptions, SongRequest
from .._urls import check_callback_url
from .._validators import hundredths, switch, text
from .base import key_from
from .rules import DECLINED, SHARED_RULES

UDIOAPI_URL = "https://udioapi.pro"
UDIOAPI_KEY = "UDIOAPI_API_KEY"

CHIRP_FIELDS = frozenset(
    {
        "description",
        "lyrics",
        "style",
        "title",
        "negative_tags",
        "instrumental",
        "model",
        "vocal_gender",
    }
)
"""Fields of a `SongRequest` that both newer pages have."""
CHIRP_MODELS = ("chirp-v3-5", "chirp-v4-0", "chirp-v4-5", "chirp-v4-5-plus", "chirp-v5")
"""Both newer pages list these; later pages add "chirp-v5-5" and drop "chirp-v3-5"."""


# Options -------------------------------------------------------------------------------------


def _cluster(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    """Refuse any cluster but the two that the legacy page names."""
    if value not in (None, "default", "second"):
        raise InvalidRequest(f"{field.name} is {value!r}; known: 'default', 'second'")


@attrs.frozen(kw_only=True)
class UdioApiOptions(ProviderOptions):
    """Options that only udioapi.pro knows.

    None leaves a field out, so that the server decides. Which of them exist depends on the
    endpoint: the others raise `UnsupportedOption` when the request is checked.

        options = UdioApiOptions(style_weight=0.75, weirdness_constraint=0.2)
        request = SongRequest(lyrics="La la", style="folk", options=options)

    Raises:
        InvalidRequest: a value outside the documented range.
    """

    style_weight: float | None = attrs.field(default=None, validator=hundredths)
    """How strictly to keep to the style: 0..1, two decimals. Not on v1 legacy."""
    weirdness_constraint: float | None = attrs.field(default=None, validator=hundredths)
    """How unusual the song may be: 0..1, two decimals. Not on v1 legacy."""
    audio_weight: float | None = attrs.field(default=None, validator=hundredths)
    """Balance of the audio features: 0..1, two decimals. Not on v1 legacy."""
    callback_url: str | None = attrs.field(default=None, validator=text)
    """Where results are posted: https on a public host. v1 only."""
    cluster: Literal["default", "second"] | None = attrs.field(default=None, validator=_cluster)
    """Which server; "second" is the backup for busy times. v1 legacy only."""
    custom_mode: bool | None = attrs.field(default=None, validator=switch)
    """v1 legacy only, and not for its udio models. Left out, it is on when there are lyrics."""
    disable_callback: bool | None = attrs.field(default=None, validator=switch)
    """v1 legacy only. Left out, it is true when there is no callback, so that the feed has it."""


# Limits --------------------------------------------------------------------------------------

Limits = Mapping[str, int]
_OLD = {"description": 400, "lyrics": 3000, "style": 200, "title": 80}
_NEW = {"lyrics": 5000, "style": 1000, "title": 80}  # no page limits their description
LIMITS: Mapping[str, Limits] = {
    "chirp-v3-5": _OLD,
    "chirp-v4-0": _OLD,
    "chirp-v4-5": _NEW,
    "chirp-v4-5-plus": _NEW,
    "chirp-v5": _NEW,  # the v2 page gives its style, the callback page does not mention it
    "chirp-v5-5": _NEW,
}
"""Characters per field and model. What is not in here is the server's to decide."""


def check_lengths(request: SongRequest, *, model: str) -> None:
    """Refuse text that is longer than the model takes.

    Counted in characters, by `LIMITS`; a model that is not in there is not checked.

    Raises:
        InvalidRequest: the message names the field, its length and the limit.
    """
    for name, limit in LIMITS.get(model, {}).items():
        length = len(getattr(request, name) or "")
        if length > limit:
            raise InvalidRequest(
                f"{name} has {length} characters; {model} takes {limit}: shorten it"
            )


# Request bodies ------------------------------------------------------------------------------

_CUSTOM_ONLY = ("style", "title", "negative_tags")


def check_not_both(request: SongRequest, *, provider: str) -> None:
    """Refuse a description beside lyrics.

    Raises:
        InvalidRequest: both are given.
    """
    if request.description is not None and request.lyrics is not None:
        raise InvalidRequest(
            f"{provider} takes a description or lyrics, not both; leave one of them out"
        )


def check_mode(request: SongRequest, *, provider: str) -> None:
    """Refuse a request that mixes the two modes of udioapi.

    The body has no field for the mode: `gpt_description_prompt` selects inspiration mode, `prompt`
    (the lyrics) custom mode. So a description and lyrics together say nothing clear.

    Raises:
        InvalidRequest: description and lyrics together.
        UnsupportedOption: style, title or negative tags, which need lyrics, with a description.
    """
    if request.description is None:
        return
    check_not_both(request, provider=provider)
    given = [name for name in _CUSTOM_ONLY if getattr(request, name) is not None]
    if given:
        raise UnsupportedOption(
            f"{provider} knows {', '.join(given)} only together with lyrics; "
            "say it in the description, or give lyrics",
            provider=provider,
        )


def build_chirp_body(request: SongRequest, *, default_model: str) -> dict[str, Any]:
    """Return the JSON body that v1 (callback) and v2 share.

    `model` is always sent, because the server's default has moved between pages. Fields that are
    None are left out. `extra` is not in the body yet: the caller adds it.
    """
    options = options_of(request)
    body = {
        "model": request.model or default_model,
        "gpt_description_prompt": request.description,
        "prompt": request.lyrics,
        "style": request.style,
        "title": request.title,
        "tags": request.negative_tags,  # in an answer `tags` are the style
        "make_instrumental": request.instrumental,
        "gender": request.vocal_gender,
        "style_weight": options.style_weight,
        "weirdness_constraint": options.weirdness_constraint,
        "audio_weight": options.audio_weight,
    }
    return {name: value for name, value in body.items() if value is not None}


def options_of(request: SongRequest) -> UdioApiOptions:
    """Return the request's options, or options with nothing set."""
    return request.options if isinstance(request.options, UdioApiOptions) else UdioApiOptions()


def check_callback(request: SongRequest, *, allow_private: bool) -> None:
    """Refuse a callback address in the options that udioapi could not reach.

    Args:
        request: its `UdioApiOptions.callback_url` is looked at, if it has one.
        allow_private: true for a server on this machine, which can reach private addresses.

    Raises:
        InvalidRequest: it is not https, or not on a public host.
    """
    url = options_of(request).callback_url
    if url is not None:
        check_callback_url(url, allow_private=allow_private)


# Rules for submits ---------------------------------------------------------------------------

UDIOAPI_RULES = (
    attrs.evolve(
        DECLINED,
        seen='"callback_url is required"',
        statuses=frozenset({400}),
        words="callback_url is required",
        advice="Take callbacks by client.callbacks(...), give UdioApiOptions(callback_url=...), "
        "or use UdioApiV1(generation='legacy') (--legacy in a shell) or UdioApiV2: they need none.",
    ),
    attrs.evolve(
        DECLINED,
        seen='"Topic too long." or "prompt too long", under any status',
        statuses=frozenset(),
        words="topic too long|prompt too long",
        advice="Shorten the description, the lyrics or the style.",
    ),
    *SHARED_RULES,
)


def udioapi_key(value: str | ApiKey | None) -> ApiKey:
    """Return the key of an adapter; None takes `UDIOAPI_API_KEY`.

    Raises:
        AuthenticationFailed: there is none, or it cannot be a key.
    """
    return key_from(value, UDIOAPI_KEY)
