"""What is tried: every way of reading an answer, straight at the parsers."""

from functools import partial

import udio_async as ua

from .cases import Sample, Subject
from .changes import OF_ANSWERS, OF_CALLBACKS
from .corpus import samples_of
from .promises import keep, outcome_of
from .ways import WAYS, Way, answering


async def _read(way: Way, sample: Sample) -> str:
    http = answering(sample.reply)
    try:
        result = await way.read(http, sample.body)
    except ua.UdioError as error:
        result = error
    keep(way, sample.reply, result, len(http.calls))
    return outcome_of(result)


def at_parsers() -> list[Subject]:
    return [
        Subject(
            name=name,
            samples=samples_of(way),
            changes=OF_CALLBACKS if way.verb == "callback" else OF_ANSWERS,
            read=partial(_read, way),
        )
        for name, way in WAYS.items()
    ]
