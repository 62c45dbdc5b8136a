"""udioapi.pro v1: two generations of one path.

"callback" is the newer page ("generate with callback"): Bearer key, a callback is required, the
body's fields select the mode. "legacy" is the older one ("generate" and "feed"): the key is
also in the body, a callback is optional, and `custom_mode` selects the mode.

A server cannot be asked which one it follows, so the user says it. What is shared with v2 is in
`udioapi.py` and `udioapi_calls.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import attrs

from .._errors import InvalidRequest, UnsupportedOption
from .._http import Account, ApiKey, Call, Http
from .._records import CallbackAddress, CallbackNews, Credits, SongRequest, Task
from .._urls import check_callback_url, is_private_url
from .base import Traits, check_fields, check_options
from .rules import Rule
from .udioapi import (
    CHIRP_FIELDS,
    CHIRP_MODELS,
    UDIOAPI_RULES,
    UDIOAPI_URL,
    UdioApiOptions,
    build_chirp_body,
    check_callback,
    check_lengths,
    check_mode,
    check_not_both,
    options_of,
    udioapi_key,
)
from .udioapi_calls import ask_credits, look
from .udioapi_feed import read_callback
from .verdicts import send_submit

Generation = Literal["callback", "legacy"]

# Endpoints

GENERATE = "/api/generate"
FEED = "/api/feed"

# Tables

UDIOAPI_V1_TRAITS = Traits(
    fields=CHIRP_FIELDS,
    options=UdioApiOptions,
    default_model="chirp-v3-5",
    models=CHIRP_MODELS,
    callbacks="songs",
    min_interval=5.0,
    typical_duration=100.0,
    songs_per_request=2,
)
"""What v1 can do, by the page "generate with callback". Results are kept for 30 days."""

UDIOAPI_V1_LEGACY_TRAITS = attrs.evolve(
    UDIOAPI_V1_TRAITS,
    fields=UDIOAPI_V1_TRAITS.fields - {"negative_tags", "vocal_gender"},
    default_model="chirp-v3.0",
    models=("chirp-v3.0", "chirp-v3.5", "udio-130", "udio-32"),
)
"""What v1 can do, by the legacy page. Results are kept for 30 days."""

LEGACY_ONLY = frozenset({"cluster", "custom_mode", "disable_callback"})
CALLBACK_ONLY = frozenset({"style_weight", "weirdness_constraint", "audio_weight"})

REQUIRED: dict[tuple[bool, bool], tuple[str, ...]] = {
    (True, False): ("style", "prompt", "title"),
    (True, True): ("style", "title"),
    (False, True): ("prompt",),
    (False, False): ("prompt",),
}
"""The legacy page's table: (customMode, instrumental) and what must be there."""

# Pure functions


def build_body(request: SongRequest, callback: CallbackAddress | None = None) -> dict[str, Any]:
    """Return the JSON body of a submit, by "generate with callback".

    Fields in `extra` replace the page's, and may be new ones.
    """
    body = build_chirp_body(request, default_model=UDIOAPI_V1_TRAITS.default_model)
    return {**body, **_callback_field(request, callback), **request.extra}


def build_legacy_body(
    request: SongRequest, callback: CallbackAddress | None = None
) -> dict[str, Any]:
    """Return the JSON body of a submit, by the legacy page.

    Fields in `extra` replace the page's. The body has no key yet, which this page wants as `token`:
    the HTTP layer adds it as the request leaves, so that no log or journal sees it.
    """
    options = options_of(request)
    custom = is_custom(request)
    body = {
        "model": _legacy_model(request),
        "prompt": request.lyrics or request.description,
        "title": request.title,
        # Outside custom mode `gpt_description_prompt` "can input music style".
        "style" if custom else "gpt_description_prompt": request.style,
        "custom_mode": None if _is_udio(request) else custom,
        "make_instrumental": request.instrumental,
        "cluster": options.cluster,
        **_callback_field(request, callback),
    }
    disable = options.disable_callback
    # Without it an older server keeps no results for the feed.
    body["disable_callback"] = True if disable is None and "callback_url" not in body else disable
    return {
        **{name: value for name, value in body.items() if value is not None},
        **request.extra,
    }


def is_custom(request: SongRequest) -> bool:
    """Return whether a legacy request is in custom mode.

    The option `custom_mode` decides; left out, there is custom mode when there are lyrics.
    """
    chosen = options_of(request).custom_mode
    return request.lyrics is not None if chosen is None else chosen


def check_legacy(request: SongRequest) -> None:
    """Refuse what breaks the rules of the legacy page.

    Raises:
        UnsupportedOption: custom mode with a udio model.
        InvalidRequest: description and lyrics together, or a field missing that the mode needs
            (`REQUIRED`).
    """
    check_not_both(request, provider="udioapi-v1")
    custom = is_custom(request)
    if custom and _is_udio(request):
        raise UnsupportedOption(
            f"{request.model} has no custom mode, which lyrics need; "
            "give a description, or take a chirp model",
            provider="udioapi-v1",
        )
    body = build_legacy_body(request)
    missing = [name for name in REQUIRED[custom, request.instrumental] if name not in body]
    if missing:
        raise InvalidRequest(
            f"{', '.join(missing)} missing: customMode {custom}, instrumental "
            f"{request.instrumental} requires {', '.join(REQUIRED[custom, request.instrumental])} "
            "(table of the udioapi v1 legacy page; prompt is our lyrics or description)"
        )


def _legacy_model(request: SongRequest) -> str:
    """Return the model that is sent: the request's, or the page's default."""
    return request.model or UDIOAPI_V1_LEGACY_TRAITS.default_model


def _is_udio(request: SongRequest) -> bool:
    return _legacy_model(request).startswith("udio")


def _callback_field(request: SongRequest, callback: CallbackAddress | None) -> dict[str, str]:
    """Return the body's `callback_url`, or nothing where there is none.

    The request's own address comes before the client's.
    """
    url = options_of(request).callback_url or (callback.url if callback else None)
    return {} if url is None else {"callback_url": url}


def check_has_callback(body: Mapping[str, Any]) -> None:
    """Refuse a body of the newer page without the address it requires.

    Raises:
        InvalidRequest: there is none; the server would answer 400.
    """
    if not body.get("callback_url"):
        raise InvalidRequest(
            "udioapi-v1 (callback) requires callback_url, and there is none; give "
            "UdioApiOptions(callback_url='https://...'), or take UdioApiV2, which needs none"
        )


def _generation(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if value not in ("callback", "legacy"):
        raise InvalidRequest(f"{field.name} is {value!r}; known: 'callback', 'legacy'")


def _traits_of(provider: "UdioApiV1") -> Traits:
    return UDIOAPI_V1_LEGACY_TRAITS if provider.generation == "legacy" else UDIOAPI_V1_TRAITS


@attrs.frozen(kw_only=True)
class UdioApiV1:
    """udioapi.pro v1, at https://udioapi.pro or a white-label host.

    A request costs credits when it is taken, and usually gives two songs. The documents are the
    pages "generate with callback", and "generate" and "feed" for the legacy generation.

        Client(UdioApiV1(api_key="..."))
        Client(UdioApiV1(api_key="...", generation="legacy"))

    Args:
        api_key: left out, it comes from the environment variable `UDIOAPI_API_KEY`.
        base_url: the server, https unless it is on this machine.
        generation: which of its two pages the server follows, "callback" or "legacy".
        traits: what it can do; left out, they follow from the generation.

    Raises:
        AuthenticationFailed: there is no key, or it cannot be one.
        InvalidRequest: there is no such generation, or a key must not be sent to this address.
    """

    name = "udioapi-v1"
    rules: ClassVar[tuple[Rule, ...]] = UDIOAPI_RULES

    api_key: ApiKey = attrs.field(default=None, converter=udioapi_key)
    base_url: str = UDIOAPI_URL
    generation: Generation = attrs.field(default="callback", validator=_generation)
    traits: Traits = attrs.field(default=attrs.Factory(_traits_of, takes_self=True), repr=False)

    def __attrs_post_init__(self) -> None:
        self.account()  # refuses a base URL that the key must not go to

    def check(self, request: SongRequest) -> None:
        """Refuse what this generation would refuse or cannot express.

        It sends nothing. A missing callback address is found by `submit`: the client may still add
        its own.

        Raises:
            InvalidRequest: a documented rule is broken.
            UnsupportedOption: a field or an option that this generation does not have.
        """
        check_fields(request, self.traits, provider=self.name)
        legacy = self.generation == "legacy"
        check_options(
            request.options,
            CALLBACK_ONLY if legacy else LEGACY_ONLY,
            provider=f"{self.name} ({self.generation})",
            remedy=f"use generation={'callback' if legacy else 'legacy'!r}",
        )
        check_callback(request, allow_private=self._allow_private)
        if legacy:
            check_legacy(request)
        else:
            check_mode(request, provider=self.name)
        check_lengths(request, model=request.model or self.traits.default_model)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        """Ask for the request's songs, once, and return the task's id.

        What may be raised besides is in `Provider.submit`; `SubmitInDoubt` must not be answered by
        sending it again.

        Raises:
            InvalidRequest: the newer page needs a callback address, and there is none. Nothing was
                sent.
        """
        self.check(request)
        if callback is not None:
            check_callback_url(callback.url, allow_private=self._allow_private)
        if self.generation == "legacy":
            body = build_legacy_body(request, callback)
        else:
            body = build_body(request, callback)
            check_has_callback(body)
        call = Call(account=self.account(), method="POST", path=GENERATE, json=body)
        return await send_submit(http, call, self.rules, provider=self.name)

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        """Look at the tasks, one after the other.

        The feed knows one id at a time. Free, and safe to repeat. The key goes into the header
        only.
        """
        account = attrs.evolve(self.account(), body_field=None)
        return [
            await look(http, account, FEED, task_id, provider=self.name) for task_id in task_ids
        ]

    async def credits(self, http: Http) -> Credits:
        """Return what the account has left, in credits."""
        account = attrs.evolve(self.account(), body_field=None)
        return await ask_credits(http, account, provider=self.name)

    def read_callback(
        self,
        headers: Mapping[str, str],  # noqa: ARG002  # udioapi signs nothing: the address is the proof
        body: bytes,
        address: CallbackAddress,  # noqa: ARG002
    ) -> CallbackNews:
        """Read a callback: the songs, without the id of their task.

        udioapi signs nothing. The proof is the address: only the provider was told of it.

        Raises:
            CallbackRejected: it is not a list of songs.
        """
        return read_callback(body, provider=self.name, base=self.base_url)

    def account(self) -> Account:
        """Return the address of the service and the key.

        Both generations take it as Bearer; the legacy page also wants it in the body, as `token`.
        """
        return Account(
            base_url=self.base_url,
            key=self.api_key,
            body_field="token" if self.generation == "legacy" else None,
        )

    @property
    def _allow_private(self) -> bool:
        """Whether the server is on a private address, so that it may call one.

        The sandbox is, on this machine.
        """
        return is_private_url(self.base_url)
