"""All that an adapter imports, for a package of its own.

An adapter is handed an `Http`, sends it a `Call` and gets a `Reply`:

    call = Call(account=self.account(), method="POST", path="/songs", json=body)
    return await send_submit(http, call, SHARED_RULES, provider=self.name)

`send_submit` sends what is paid for, once; `ask` and `read_look` what is free to repeat. The
annotated types (`OptionalText`, `Link`, `Seconds` and others) describe the fields of answers for
`structure`, which reads them. Requests, songs and errors are in `udio_async` itself, and the tests
that every provider passes in `udio_async.testing`. How to write an adapter:
docs/adding-a-provider.md.
"""

from .._http import Account, ApiKey, Call, Http, Reply
from .._records import ProviderOptions
from .._urls import as_link, check_callback_url, is_local_url, is_private_url, is_stream
from .._validators import fraction, hundredths, moment, switch, text
from .base import CallbackKind, Provider, Traits, check_fields, check_options, key_from
from .calls import about, ask
from .ids import ID_PATHS, find_id
from .replies import ReadReply, message_in
from .rules import ACCOUNT_RULES, SHARED_RULES, Rule
from .songs import distinct_songs
from .verdicts import read_look, send_submit
from .wire import (
    Instant,
    Link,
    Number,
    OptionalId,
    OptionalText,
    Seconds,
    ShownText,
    loads,
    make_converter,
    objects_in,
    structure,
)
from .words import (
    ENDED_BADLY,
    ENDED_WELL,
    KNOWN,
    RUNNING,
    WAITING,
    FailureTable,
    explain,
    plain,
)

__all__ = [
    "ACCOUNT_RULES",
    "ENDED_BADLY",
    "ENDED_WELL",
    "ID_PATHS",
    "KNOWN",
    "RUNNING",
    "SHARED_RULES",
    "WAITING",
    "Account",
    "ApiKey",
    "Call",
    "CallbackKind",
    "FailureTable",
    "Http",
    "Instant",
    "Link",
    "Number",
    "OptionalId",
    "OptionalText",
    "Provider",
    "ProviderOptions",
    "ReadReply",
    "Reply",
    "Rule",
    "Seconds",
    "ShownText",
    "Traits",
    "about",
    "as_link",
    "ask",
    "check_callback_url",
    "check_fields",
    "check_options",
    "distinct_songs",
    "explain",
    "find_id",
    "fraction",
    "hundredths",
    "is_local_url",
    "is_private_url",
    "is_stream",
    "key_from",
    "loads",
    "make_converter",
    "message_in",
    "moment",
    "objects_in",
    "plain",
    "read_look",
    "send_submit",
    "structure",
    "switch",
    "text",
]
