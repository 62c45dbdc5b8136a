"""apiframe udio-imagine, v1 of their API (page "Imagine" of the Udio API).

The key goes bare into `Authorization`. Results come by `/fetch`, for several tasks at once by
`/fetch-many`, or by webhook; all three show the same object. v1 and v2 of apiframe are separate
products: a key for one is not accepted by the other.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import cattrs

from .._errors import BadAnswer, CallbackRejected, InvalidRequest
from .._http import Account, ApiKey, Call, Http
from .._records import (
    CallbackAddress,
    CallbackNews,
    Credits,
    ProviderOptions,
    SongRequest,
    Task,
)
from .._urls import check_callback_url, is_private_url
from .._validators import fraction, moment, switch, text
from .apiframe_tasks import read_many, read_task, read_webhook
from .base import Traits, check_fields, key_from
from .calls import about, ask
from .rules import ACCOUNT_RULES, SHARED_RULES, Rule
from .verdicts import read_look, send_submit
from .wire import (
    Number,
    OptionalText,
    make_converter,
    structure,
)

# Endpoints -----------------------------------------------------------------------------------

APIFRAME_URL = "https://api.apiframe.pro"
APIFRAME_KEY = "APIFRAME_API_KEY"
IMAGINE = "/udio-imagine"
FETCH = "/fetch"
FETCH_MANY = "/fetch-many"  # 2 to 20 ids; one alone is an error there
ACCOUNT = "/account"
SECRET_HEADER = "x-webhook-secret"  # noqa: S105  # the name of a header, not a secret


# Options -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ApiframeOptions(ProviderOptions):
    """Options that only apiframe knows.

    None leaves a field out, so that the server decides. From the page "Imagine" of the Udio API.

        options = ApiframeOptions(prompt_strength=0.8, lyrics_placement_start=5.0)
        request = SongRequest(description="a waltz", lyrics="La la", options=options)

    Raises:
        InvalidRequest: a value outside the documented range, or lyrics that end before they start.
    """

    bypass_prompt_optimization: bool | None = attrs.field(default=None, validator=switch)
    """True sends the prompt as it is, without their rewriting."""
    prompt_strength: float | None = attrs.field(default=None, validator=fraction)
    """0..1."""
    clarity_strength: float | None = attrs.field(default=None, validator=fraction)
    """0..1."""
    lyrics_strength: float | None = attrs.field(default=None, validator=fraction)
    """0..1."""
    generation_quality: float | None = attrs.field(default=None, validator=fraction)
    """0..1."""
    lyrics_placement_start: float | None = attrs.field(default=None, validator=moment)
    """Seconds into the song where the given lyrics begin."""
    lyrics_placement_end: float | None = attrs.field(default=None, validator=moment)
    """Seconds into the song where they end; after the start."""
    webhook_url: str | None = attrs.field(default=None, validator=text)
    """Where updates and the result are posted: https on a public host."""
    webhook_secret: str | None = attrs.field(default=None, validator=text, repr=False)
    """Comes back in each of those calls as `x-webhook-secret`."""

    def __attrs_post_init__(self) -> None:
        start, end = self.lyrics_placement_start, self.lyrics_placement_end
        if start is not None and end is not None and start >= end:
            raise InvalidRequest(
                f"lyrics_placement_start is {start}, not before lyrics_placement_end, {end}"
            )


# Tables --------------------------------------------------------------------------------------

APIFRAME_TRAITS = Traits(
    # apiframe has no title: a request's own is kept on its songs, and not sent.
    fields=frozenset({"description", "lyrics", "style", "title", "negative_tags", "model"}),
    options=ApiframeOptions,
    default_model="udio32-v1.5",
    models=("udio32-v1.5", "udio130-v1.5"),
    callbacks="task",
    max_ids_per_look=20,
    min_interval=3.0,
    typical_duration=60.0,
    songs_per_request=2,
)
"""What apiframe can do."""

# Wire models ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class WireAccount:
    """The answer of `/account`; only credits and plan are used."""

    credits: Number = None
    plan: OptionalText = None
    email: Any = None
    total_images: Any = None
    next_billing_date: Any = None


converter = make_converter()


# Pure functions ------------------------------------------------------------------------------


def build_body(request: SongRequest, callback: CallbackAddress | None = None) -> dict[str, Any]:
    """Return the JSON body of a submit, by the page "Imagine".

    Fields in `extra` replace the page's. With lyrics and no description the style is the prompt:
    the page says of `prompt` that with lyrics "this field can be used as tags".
    """
    described = request.description is not None
    options = request.options
    given = attrs.asdict(options) if isinstance(options, ApiframeOptions) else {}
    body = {
        "prompt": request.description if described else request.style,
        "lyrics": request.lyrics,
        "model": request.model or APIFRAME_TRAITS.default_model,
        "negative_prompt": request.negative_tags,
        "tags": request.style if described else None,
        **_webhook(callback),
        **{name: value for name, value in given.items() if value is not None},
    }
    sent = {name: value for name, value in body.items() if value is not None}
    return {**sent, **request.extra}


def _webhook(callback: CallbackAddress | None) -> dict[str, str | None]:
    """Return the two fields of a webhook: its address and its secret."""
    if callback is None:
        return {}
    return {"webhook_url": callback.url, "webhook_secret": callback.secret}


def read_credits(payload: object, *, converter: cattrs.Converter = converter) -> Credits:
    """Read the answer of `/account`: `{"email": …, "credits": 12.5, "plan": …}`.

    Raises:
        BadAnswer: it names no credits, or is not an object.
    """
    account = structure(converter, payload, WireAccount, about="apiframe account")
    if account.credits is None or not isinstance(payload, Mapping):
        raise BadAnswer("the answer names no credits")
    return Credits(provider="apiframe", remaining=account.credits, plan=account.plan, raw=payload)


def check_prompt(request: SongRequest) -> None:
    """Refuse lyrics without any word about the music.

    Without such a word there is nothing for `prompt`, which apiframe requires.

    Raises:
        InvalidRequest: neither a description nor a style is there.
    """
    if "prompt" not in build_body(request):
        raise InvalidRequest(
            "apiframe needs to know what the music is like; give a description or a style"
        )


# The adapter ---------------------------------------------------------------------------------


def apiframe_key(value: str | ApiKey | None) -> ApiKey:
    """Return the key of the adapter; None takes `APIFRAME_API_KEY`.

    Raises:
        AuthenticationFailed: there is none, or it cannot be a key.
    """
    return key_from(value, APIFRAME_KEY)


@attrs.frozen(kw_only=True)
class Apiframe:
    """apiframe's udio-imagine, at https://api.apiframe.pro or another of their hosts.

    A request costs credits when it is taken, and usually gives two songs. Up to 20 tasks are looked
    at with one call. The document is the page "Imagine" of the Udio API.

        Client(Apiframe(api_key="..."))

    Args:
        api_key: left out, it comes from the environment variable `APIFRAME_API_KEY`.
        base_url: the server, https unless it is on this machine.
        scheme: the word before the key; the documents name none.
        traits: what it can do; the sandbox puts in its own.

    Raises:
        AuthenticationFailed: there is no key, or it cannot be one.
        InvalidRequest: a key must not be sent to this address.
    """

    name = "apiframe"
    rules: ClassVar[tuple[Rule, ...]] = SHARED_RULES

    api_key: ApiKey = attrs.field(default=None, converter=apiframe_key)
    base_url: str = APIFRAME_URL
    scheme: str = ""
    """The word before the key: the documents name none, some of their hosts want "Bearer"."""
    traits: Traits = attrs.field(default=APIFRAME_TRAITS, repr=False)

    def __attrs_post_init__(self) -> None:
        self.account()  # refuses a base URL that the key must not go to

    def check(self, request: SongRequest) -> None:
        """Refuse what apiframe would refuse or cannot express. Sends nothing.

        Raises:
            InvalidRequest: no word about the music, or a webhook address that cannot be reached.
            UnsupportedOption: a field or options that apiframe does not have.
        """
        check_fields(request, self.traits, provider=self.name)
        if isinstance(request.options, ApiframeOptions) and request.options.webhook_url:
            self._check_address(request.options.webhook_url)
        check_prompt(request)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        """Ask for the request's songs, once, and return the task's id.

        What may be raised is in `Provider.submit`; `SubmitInDoubt` must not be answered by sending
        it again.
        """
        self.check(request)
        if callback is not None:
            self._check_address(callback.url)
        call = self._call(IMAGINE, build_body(request, callback))
        return await send_submit(http, call, self.rules, provider=self.name)

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        """Look at up to 20 tasks with one call.

        One id goes to `/fetch`, because `/fetch-many` takes 2 to 20. Free, and safe to repeat.
        """
        if len(task_ids) == 1:
            return [await self._fetch_one(http, task_ids[0])]
        return await self._fetch_many(http, task_ids) if task_ids else []

    async def credits(self, http: Http) -> Credits:
        """Return what the account has left, in credits, and its plan."""
        call = attrs.evolve(self._call(ACCOUNT), method="GET")
        with about(self.name):
            reply = await ask(http, call)
            return read_credits(read_look(reply, provider=self.name, rules=ACCOUNT_RULES))

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        """Read a webhook: the task as `/fetch` shows it.

        Our secret has to be in the header `x-webhook-secret`; it is compared before the body is
        read.

        Raises:
            CallbackRejected: the secret is wrong (`forged` is true), or the body is not a task.
        """
        shown = headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(shown.encode(), (address.secret or "").encode()):
            raise CallbackRejected(
                f"{SECRET_HEADER} is not the secret of this address", forged=True
            )
        return read_webhook(body, base=self.base_url)

    def account(self) -> Account:
        """Return the address of the service and the key, sent bare."""
        return Account(base_url=self.base_url, key=self.api_key, scheme=self.scheme)

    async def _fetch_one(self, http: Http, task_id: str) -> Task:
        with about(self.name, task_id):
            reply = await ask(http, self._call(FETCH, {"task_id": task_id}))
            payload = read_look(reply, provider=self.name)
            return read_task(payload, task_id=task_id, base=self.base_url)

    async def _fetch_many(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        with about(self.name):
            reply = await ask(http, self._call(FETCH_MANY, {"task_ids": list(task_ids)}))
            return read_many(read_look(reply, provider=self.name), task_ids, base=self.base_url)

    def _call(self, path: str, body: Mapping[str, Any] | None = None) -> Call:
        return Call(account=self.account(), method="POST", path=path, json=body)

    def _check_address(self, url: str) -> None:
        """Refuse an address that apiframe could not call.

        A provider on this machine, such as the sandbox, can call a private one.
        """
        check_callback_url(url, allow_private=is_private_url(self.base_url))
