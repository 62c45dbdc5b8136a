"""JSON from a file, read strictly.

A name that is given twice, or NaN, is a mistake and no value.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from ._lines import LINE_BYTES, Unreadable
from ._text import shortened

_DIGITS = 20


def parse(text: str) -> object:
    """Return the one value that a line holds.

    Raises:
        ValueError: it holds none, or one that means two things.
    """
    try:
        return _STRICT.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {_reason(error)} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error


def parse_object(text: str) -> dict[str, Any]:
    """Return the object that a line or a cell holds.

    Raises:
        ValueError: it holds none.
    """
    return as_object(parse(text))


def as_object(value: object) -> dict[str, Any]:
    """Return the value if it is an object.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, dict):
        raise ValueError(f"is {_NAMES[type(value)]}; give an object")  # noqa: TRY004 - see Raises
    return value


def is_cut(line: str) -> bool:
    """Return whether a line begins an object that goes on in the next one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return _is_unclosed(error)
    except (ValueError, RecursionError):
        pass
    return False


def iter_values(texts: Iterator[str]) -> Iterator[tuple[int, object]]:
    """Return the elements of an array, or values in a row, with numbers.

    Only one of them is in memory at a time. What is wrong with one comes in its place.

    Raises:
        Unreadable: from here on it is not JSON.
    """
    stream = _Stream(texts)
    array = stream.peek() == "["
    if array:
        stream.skip()
    while (char := stream.peek()) not in ("", "]"):
        stream.number += 1
        yield stream.number, stream.take()
        if array:
            char = stream.peek()
            if char not in (",", "]"):
                stream.refuse("a comma or ] is missing after it" if char else "it is cut off")
            if char == ",":
                stream.skip()
                if stream.peek() in ("", "]"):
                    stream.refuse("nothing follows the comma after it")
    if array:
        if not char:
            stream.refuse("the array is not closed")
        stream.skip()
    if rest := stream.peek():
        stream.refuse(f"{rest!r} follows the end")


class _Stream:
    """Text that values are taken from; what was taken is dropped."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self._text = ""
        self._at = 0
        self.number = 0
        """How many values were begun."""

    def peek(self) -> str:
        """Return the next character that is not blank, or nothing at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def skip(self) -> None:
        self._at += 1

    def take(self) -> object:
        """Take a value, or a ValueError in place of a wrong one."""
        while True:
            try:
                value, end = self._decode()
            except json.JSONDecodeError as error:
                self._refuse_long()
                if not (_may_be_cut(error) and self._more()):
                    self.refuse(_reason_within(error))
            else:
                # A number may go on in the next piece.
                if end < len(self._text) or not self._more():
                    self._at = end
                    return value

    def refuse(self, reason: str) -> NoReturn:
        """Stop reading."""
        raise Unreadable(f"is not JSON: {reason}", self.number, "element")

    def _decode(self) -> tuple[object, int]:
        try:
            try:
                return _STRICT.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                raise
            except ValueError as error:
                return error, _LOOSE.raw_decode(self._text, self._at)[1]
        except RecursionError as error:
            raise Unreadable("is nested too deeply", self.number, "element") from error

    def _refuse_long(self) -> None:
        if len(self._text) - self._at > LINE_BYTES:
            reason = f"is longer than {LINE_BYTES:,} bytes, or not closed"
            raise Unreadable(reason, self.number, "element")

    def _more(self) -> bool:
        """Add the next piece of text; return whether there was one."""
        more = next(self._texts, None)
        if more is None:
            return False
        self._text = self._text[self._at :] + more
        self._at = 0
        return True


def _reason(error: json.JSONDecodeError) -> str:
    """Return what is wrong, in words that help.

    Of what is not closed, Python says only what it expects.
    """
    if _is_unclosed(error):
        return "the object is not closed"
    if error.doc[error.pos :].strip() == ",":
        return "a comma follows the object"
    return error.msg.removesuffix(" at")


def _reason_within(error: json.JSONDecodeError) -> str:
    near = shortened(error.doc[error.pos :][:60], 30) or "the end"
    reason = (
        "a quote is not closed"
        if error.msg.startswith("Unterminated")
        else error.msg.removesuffix(" at")
    )
    return f"{reason} near {near}"


def _is_unclosed(error: json.JSONDecodeError) -> bool:
    return error.pos >= len(error.doc.rstrip()) and error.doc.lstrip().startswith("{")


def _may_be_cut(error: json.JSONDecodeError) -> bool:
    """Return whether a text may only end too early.

    That is in a string, a word or an escape.
    """
    return error.msg.startswith("Unterminated") or error.pos >= len(error.doc) - len("-Infinity")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"gives {twice!r} twice")
    return values


def _parse_int(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"contains a number of {len(digits)} digits")
    return int(digits)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"contains {word}, which is not JSON")


_BLANK = re.compile("[ \t\n\ufeff]+")
_STRICT = json.JSONDecoder(
    object_pairs_hook=_refuse_twice, parse_constant=_refuse_constant, parse_int=_parse_int
)
_LOOSE = json.JSONDecoder(parse_int=str)
"""Finds where a value ends that the strict one refuses."""
_NAMES = {
    str: "a string",
    list: "an array",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
