"""Bugs of the way out: where the key goes, and what is believed of an answer."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import attrs

from tests.planted.table import caught_by, replaced
from udio_async._http import ApiKey, HttpSender, account, incoming, messages, sender
from udio_async.providers import calls, wire

Bug = AbstractContextManager[object]


@caught_by("tests/test_http.py::test_a_redirect_is_an_answer_and_the_key_stays")
def redirects_are_followed() -> Bug:
    """An API call goes where the answer points to, with its key and its body."""
    deliver = HttpSender._deliver

    async def followed(self: HttpSender, call: Any, departure: Any = None) -> Any:  # noqa: ANN401
        reply = await deliver(self, call, departure)
        target = urlsplit(reply.headers.get("location", ""))
        if target.hostname is None:
            return reply
        there = attrs.evolve(call.account, base_url=f"http://{target.hostname}:{target.port}")
        await self._take_turn()
        return await deliver(self, attrs.evolve(call, account=there))

    return replaced(HttpSender, "_deliver", followed)


@caught_by("tests/test_http.py::test_a_download_arrives_in_pieces_without_a_key")
def the_key_goes_to_links() -> Bug:
    """The host of the audio gets the key of the API."""
    build = messages.link_request

    def with_key(url: str, headers: Mapping[str, str], *, local: bool) -> Any:  # noqa: ANN401
        return build(url, {**headers, "Authorization": "Bearer key"}, local=local)

    return replaced(sender, "link_request", with_key)


@caught_by("tests/test_http.py::test_a_base_url_that_could_leak_the_key_is_refused")
def any_base_url_gets_the_key() -> Bug:
    """The key goes out in the clear, or to whoever is named before an @."""
    return replaced(account, "_flaw_of_base_url", lambda _: None)


@caught_by("tests/test_http.py::test_a_path_cannot_lead_to_another_origin")
def a_path_may_lead_elsewhere() -> Bug:
    """An id with an @ in it makes a host of the path."""
    return patch.object(messages, "_PATH", re.compile(".*"))


@caught_by("tests/test_http.py::test_a_key_shows_itself_to_nobody")
def the_key_is_in_its_repr() -> Bug:
    """Every log line and traceback shows it."""
    return replaced(ApiKey, "__repr__", lambda self: f"ApiKey({self._value!r})")


@caught_by("tests/providers/test_udioapi_v1.py::test_the_key_in_an_echo_is_crossed_out")
def an_echoed_key_is_kept() -> Bug:
    """An answer that repeats the key is stored and shown as it came."""
    return patch.object(calls, "SHORTEST_KEY", 10**9)


@contextmanager
def _no_cap() -> Iterator[None]:
    with patch.object(incoming.Incoming, "most", 10**9):
        yield


@caught_by("tests/test_http.py::test_a_body_is_read_up_to_one_mebibyte")
def an_answer_may_have_any_length() -> Bug:
    """A server that never stops talking fills the memory."""
    return _no_cap()


@caught_by(
    "tests/test_wire.py::test_nothing_that_has_to_be_there_is_coerced",
    "tests/test_wire.py::test_an_odd_field_is_left_out_and_told_once",
)
def wrong_types_become_text() -> Bug:
    """As plain cattrs does: null becomes "None"."""
    return replaced(wire, "_exact_text", lambda value, _: str(value))


@caught_by("tests/test_wire.py::test_what_is_no_number_is_none")
def infinity_is_a_number() -> Bug:
    """NaN from a server gets into durations, and is neither long nor short."""
    return patch.object(wire, "_JSON", json.JSONDecoder())


@caught_by("tests/test_download.py::test_a_private_address_is_not_fetched_from")
def links_lead_anywhere() -> Bug:
    """A link of the provider is fetched from inside of our own network."""
    return replaced(messages, "is_private_host", lambda _: False)
