"""Free calls that v1 and v2 of udioapi.pro share: a look at a task, and the credits.

The documents are its pages "feed" and "v2 feed", which each version names by its own path, and
"query credits". What a feed says is read by `udioapi_feed.py`.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import cattrs

from .._errors import BadAnswer, UdioError
from .._http import Account, Call, Http, Reply
from .._records import Credits, Task
from .calls import about, ask
from .ids import find_ids
from .replies import ReadReply
from .rules import ACCOUNT_RULES
from .udioapi_feed import is_failed, read_task, shows_audio
from .unfold import open_envelope, with_data
from .verdicts import payload_of, read_look
from .wire import Number, make_converter, structure

CREDITS_PATH = "/api/v2/credits"  # page "query credits"; v1 has no page of its own


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
    """Return the feed's JSON, also under an error code if it tells of the task.

    Some servers send songs with audio, or the failure of the task, under an error code: then the
    body counts. Any other answer with an error code says nothing about the task.
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
