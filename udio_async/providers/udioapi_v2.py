"""udioapi.pro v2: Bearer key, no callback, results by feed.

The documents are the pages "v2 generate" and "v2 feed". What it shares with v1 is in `udioapi.py`
and `udioapi_calls.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from .._errors import CallbackRejected, UnsupportedOption
from .._http import Account, ApiKey, Call, Http
from .._records import CallbackAddress, CallbackNews, Credits, SongRequest, Task
from .base import Traits, check_fields, check_options
from .rules import Rule
from .udioapi import (
    CHIRP_FIELDS,
    CHIRP_MODELS,
    UDIOAPI_RULES,
    UDIOAPI_URL,
    UdioApiOptions,
    build_chirp_body,
    check_lengths,
    check_mode,
    udioapi_key,
)
from .udioapi_calls import ask_credits, look
from .verdicts import send_submit

# Endpoints

GENERATE = "/api/v2/generate"
FEED = "/api/v2/feed"

# Tables

UDIOAPI_V2_TRAITS = Traits(
    fields=CHIRP_FIELDS,
    options=UdioApiOptions,
    default_model="chirp-v3-5",
    models=CHIRP_MODELS,
    min_interval=5.0,
    typical_duration=100.0,
    songs_per_request=2,
)
"""What v2 can do. How long results are kept is not stated; we read the page as 14 days."""

V1_ONLY = frozenset({"callback_url", "cluster", "custom_mode", "disable_callback"})
"""Options that the v2 page does not list."""

# Pure functions


def build_body(request: SongRequest) -> dict[str, Any]:
    """Return the JSON body of a submit, by the page "v2 generate".

    Fields in `extra` replace the page's, and may be new ones.
    """
    body = build_chirp_body(request, default_model=UDIOAPI_V2_TRAITS.default_model)
    return {**body, **request.extra}


@attrs.frozen(kw_only=True)
class UdioApiV2:
    """udioapi.pro v2, at https://udioapi.pro or a white-label host.

    A request costs credits when it is taken, and usually gives two songs. There are no callbacks:
    the client looks. The documents are the pages "v2 generate" and "v2 feed".

        Client(UdioApiV2(api_key="..."))

    Args:
        api_key: left out, it comes from the environment variable `UDIOAPI_API_KEY`.
        base_url: the server, https unless it is on this machine.
        traits: what it can do; the sandbox puts in its own.

    Raises:
        AuthenticationFailed: there is no key, or it cannot be one.
        InvalidRequest: a key must not be sent to this address.
    """

    name = "udioapi-v2"
    rules: ClassVar[tuple[Rule, ...]] = UDIOAPI_RULES

    api_key: ApiKey = attrs.field(default=None, converter=udioapi_key)
    base_url: str = UDIOAPI_URL
    traits: Traits = attrs.field(default=UDIOAPI_V2_TRAITS, repr=False)

    def __attrs_post_init__(self) -> None:
        self.account()  # refuses a base URL that the key must not go to

    def check(self, request: SongRequest) -> None:
        """Refuse what v2 would refuse or cannot express. Sends nothing.

        Raises:
            InvalidRequest: a text is too long, or description and lyrics come together.
            UnsupportedOption: a field or an option that v2 does not have.
        """
        check_fields(request, self.traits, provider=self.name)
        check_options(
            request.options,
            V1_ONLY,
            provider=self.name,
            remedy="use UdioApiV1, or send it through extra",
        )
        check_mode(request, provider=self.name)
        check_lengths(request, model=request.model or self.traits.default_model)

    async def submit(
        self, http: Http, request: SongRequest, callback: CallbackAddress | None = None
    ) -> str:
        """Ask for the request's songs, once, and return the task's id.

        What may be raised is in `Provider.submit`; `SubmitInDoubt` must not be answered by sending
        it again.
        """
        self.check(request)
        if callback is not None:
            raise UnsupportedOption(
                f"{self.name} documents no callback; poll, or use UdioApiV1", provider=self.name
            )
        call = Call(
            account=self.account(),
            method="POST",
            path=GENERATE,
            json=build_body(request),
        )
        return await send_submit(http, call, self.rules, provider=self.name)

    async def fetch(self, http: Http, task_ids: Sequence[str]) -> Sequence[Task]:
        """Look at the tasks, one after the other.

        The feed knows one id at a time. Free, and safe to repeat.
        """
        return [
            await look(http, self.account(), FEED, task_id, provider=self.name)
            for task_id in task_ids
        ]

    async def credits(self, http: Http) -> Credits:
        """Return what the account has left, in credits."""
        return await ask_credits(http, self.account(), provider=self.name)

    def read_callback(
        self, headers: Mapping[str, str], body: bytes, address: CallbackAddress
    ) -> CallbackNews:
        """Refuse it: v2 documents no callback.

        Raises:
            CallbackRejected: always.
        """
        del headers, body, address
        raise CallbackRejected(f"{self.name} documents no callback", provider=self.name)

    def account(self) -> Account:
        """Return the address of the service and the key, sent as Bearer."""
        return Account(base_url=self.base_url, key=self.api_key)
