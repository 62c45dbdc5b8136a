"""Requests that v1 and v2 of udioapi.pro share: options, limits, calls.

The documents are four pages of udioapi.pro: "generate with callback" and "generate, legacy" for v1,
"v2 generate" and "v2 feed" for v2; the credits have a page of their own, "query credits". Answers
are read by `udioapi_feed.py`, and each version has its endpoints and its class in a file of its
own.
"""

from collections.abc import Mapping
from typing import Any, Literal

import attrs
import cattrs

from .._errors import BadAnswer, InvalidRequest, UdioError, UnsupportedOption
from .._http import Account, ApiKey, Call, Http, Reply
from .._records import Credits, ProviderOptions, SongRequest, Task
from .._urls import check_callback_url
from .._validators import hundredths, switch, text
from .base import key_from
from .replies import ReadReply, about, ask, find_ids
from .rules import ACCOUNT_RULES, DECLINED, SHARED_RULES
from .udioapi_feed import is_failed, read_task, shows_audio
from .unfold import open_envelope, with_data
from .verdicts import payload_of, read_look
from .wire import Number, make_converter, structure

UDIOAPI_URL = "https://udioapi.pro"
UDIOAPI_KEY = "UDIOAPI_API_KEY"
CREDITS_PATH = "/api/v2/credits"  # page "query credits"; v1 has no page of its own

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
    """How far to stray: 0..1, two decimals. Not on v1 legacy."""
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
    None are left out. `extra` is not in it: the caller puts that over it.
    """
    options = options_of(request)
    body = {
        "model": request.model or default_model,
        "gpt_description_prompt": request.description,
        "prompt": request.lyrics,
        "style": request.style,
        "title": request.title,
        "tags": request.negative_tags,  # negative on the way in, style on the way out
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


# Calls ---------------------------------------------------------------------------------------


def udioapi_key(value: str | ApiKey | None) -> ApiKey:
    """Return the key of an adapter; None takes `UDIOAPI_API_KEY`.

    Raises:
        AuthenticationFailed: there is none, or it cannot be a key.
    """
    return key_from(value, UDIOAPI_KEY)


async def look(http: Http, account: Account, path: str, task_id: str, *, provider: str) -> Task:
    """Ask a feed about one task.

    Free, and safe to repeat. The legacy page documents GET, and its own sample posts: a server that
    refuses GET with 405 is asked again by POST, with the id in the query as in that sample.

    Args:
        http: what sends it.
        account: address and key.
        path: the feed of this version.
        task_id: the id that the submit returned.
        provider: its name, for messages and records.

    Raises:
        ProviderUnavailable: this look failed, or its answer made no sense; look again.
        AccountError: the key is wrong, or the credits are used up.
        RequestRefused: the feed does not know the task.
    """
    call = Call(account=account, method="GET", path=path, query={"workId": task_id})
    with about(provider, task_id):
        reply = await ask(http, call)
        if reply.status == 405:
            reply = await ask(http, attrs.evolve(call, method="POST"))
        payload = _read_feed(reply, task_id, provider=provider)
        return read_task(payload, task_id=task_id, provider=provider, base=account.base_url)


def _read_feed(reply: Reply, task_id: str, *, provider: str) -> object:
    """Return the feed's JSON, also where an error code comes with news.

    Servers send audio, or a failed task, under an error code: then the news counts. Any other error
    code is about the look, and says nothing about the task.
    """
    read = ReadReply.from_reply(reply)
    told = with_data(read.payload)
    try:
        return payload_of(read, provider=provider, task_id=task_id)
    except UdioError:
        failed = task_id in find_ids(told) and is_failed(told)
        if read.is_json and (failed or shows_audio(told)):
            return read.payload
        raise


@attrs.frozen(kw_only=True)
class Balance:
    """The `data` of the page "query credits", in credits."""

    credits: Number = None
    used_credits: Number = None


converter = make_converter()


def read_credits(
    payload: Any,  # noqa: ANN401  # JSON is anything
    *,
    provider: str,
    converter: cattrs.Converter = converter,
) -> Credits:
    """Read the answer of the page "query credits".

    Its shape is `{"code": 200, "data": {"credits": 195, "used_credits": 5}}`, with or without the
    envelope.

    Raises:
        BadAnswer: it has another shape, or names no credits.
    """
    opened = open_envelope(with_data(payload))
    balance = structure(converter, opened, Balance, about=f"{provider} credits")
    if balance.credits is None:
        raise BadAnswer("the answer names no credits")
    return Credits(
        provider=provider,
        remaining=balance.credits,
        used=balance.used_credits,
        raw=payload if isinstance(payload, Mapping) else opened,
    )


async def ask_credits(http: Http, account: Account, *, provider: str) -> Credits:
    """Ask what the account has left, in credits.

    Free, and safe to repeat. v1 and v2 use the same endpoint: v1 has no page of its own for it.

    Raises:
        ProviderUnavailable: no usable answer came.
        AccountError: the key is wrong.
    """
    with about(provider):
        reply = await ask(http, Call(account=account, method="GET", path=CREDITS_PATH))
        payload = read_look(reply, provider=provider, rules=ACCOUNT_RULES)
        return read_credits(payload, provider=provider)
