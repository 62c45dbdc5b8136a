"""Every way of reading an answer, straight at the parsers."""

from functools import partial

import udio_async as ua

from .cases import Sample, Subject
from .changes import OF_ANSWERS, OF_CALLBACKS
from .corpus import samples_of
from .promises import keep, outcome_of
from .ways import WAYS, Way, answering

Told = tuple[object, int]
"""A result or an error, and how many requests it took."""


async def _read(way: Way, sample: Sample) -> Told:
    http = answering(sample.reply)
    try:
        return await way.read(http, sample.body), len(http.calls)
    except ua.UdioError as error:
        return error, len(http.calls)


def _check(way: Way, sample: Sample, told: Told) -> str:
    result, calls = told
    keep(way, sample.reply, result, calls)
    return outcome_of(result)


def at_parsers() -> list[Subject]:
    return [
        Subject(
            name=name,
            samples=samples_of(way),
            changes=OF_CALLBACKS if way.verb == "callback" else OF_ANSWERS,
            read=partial(_read, way),
            check=partial(_check, way),
        )
        for name, way in WAYS.items()
    ]
