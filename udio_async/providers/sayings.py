"""What a provider says in its JSON, collected from wherever it stands.

Services put an error into a text, an object, a list or a code, under many names. Only names of
errors and states are read: a request that is echoed holds its owner's words.
"""

import re
from collections.abc import Iterator
from itertools import islice

_NAME = re.compile(
    "(?:err|errors?)(?:message|msg|code|type|description)?|messages?|msg|details?|reason|code|type|"
    "status|state|loc|field|param"
)
"""Names of texts, and of the field that they are about; without "_" and "-", in lower case."""
_OVER = frozenset(["data", "result", "response"])
"""Names of objects that hold such names, and whose texts are anything."""
_FIELDS = frozenset(["error", "errors", "detail", "details"])
"""Names of objects that may have a text for each field of the request."""
_DEPTH = 5
_WIDTH = 50
LONGEST = 4 * 1024
"""Characters that are collected, at most; how deep and how wide they are looked for."""
_INTO_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|[_-]+")
# What stands in messages of Chinese services, and in the words of our rules.
_SIMPLIFIED = str.maketrans(
    "餘額點數積隊佇併發達過處請續費儲無號帳戶賬時間務佇滿",
    "余额点数积队队并发达过处请续费储无号账户账时间务队满",
)


def said_in(payload: object) -> str:
    """Return all that a provider says in its JSON, as sentences.

    A code is there as it is and in words: "TOO_MANY_TASKS. TOO MANY TASKS".
    """
    said: list[str] = []
    length = 0
    for text in _texts(payload, _DEPTH):
        words = spelled(text)
        said += [text] if words == text else [text, words]
        length += len(text)
        if length > LONGEST:
            break
    return ". ".join(said)[:LONGEST].translate(_SIMPLIFIED)


def spelled(text: str) -> str:
    """Return a code as words; in a sentence only "_" becomes a blank."""
    return text.replace("_", " ") if " " in text else _INTO_WORDS.sub(" ", text)


def _texts(value: object, depth: int) -> Iterator[str]:
    """Iterate over the provider's texts in a value that stands at one of its names."""
    if isinstance(value, str):
        yield value[:LONGEST]
    elif isinstance(value, list) and depth:
        for one in value[:_WIDTH]:
            yield from _texts(one, depth - 1)
    elif isinstance(value, dict) and depth:
        problem = isinstance(value.get("status"), int) or "type" in value  # RFC 9457
        for name, inner in islice(value.items(), _WIDTH):
            plain = name.lower().replace("_", "").replace("-", "")
            if plain in _FIELDS and isinstance(inner, dict):
                yield from _by_field(inner, depth - 1)
            elif _NAME.fullmatch(plain) or (plain in _OVER and isinstance(inner, dict)):
                yield from _texts(inner, depth - 1)
            elif plain == "title" and problem and depth == _DEPTH:
                yield from _texts(inner, 0)


def _by_field(value: dict[str, object], depth: int) -> Iterator[str]:
    """Iterate over the texts of an error that may have one for each field of the request.

    The field's name stands before its text: "lyrics: at most 3000 characters".
    """
    texts = list(islice(_texts(value, depth + 1), _WIDTH))
    yield from texts
    if not texts and depth:
        for name, inner in islice(value.items(), _WIDTH):
            yield from (f"{name}: {text}" for text in _texts(inner, depth - 1))
