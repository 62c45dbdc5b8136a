"""Numbers as options: within bounds, with errors that help."""

import re
from typing import TYPE_CHECKING

import click

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}([,_' ]\d{3})+(\.\d+)?", re.ASCII)
_DIGITS = 30
"""A number that has more is a mistake, whatever it says."""
_MOST = 1_000_000_000


if TYPE_CHECKING:
    _Type = click.ParamType[float]
else:  # which older versions of click cannot be asked for
    _Type = click.ParamType


class Number(_Type):
    """A number from `least` to `most`, both included.

    With `whole` it has no fraction. nan and inf are refused: no comparison with them would ever
    stop anything.
    """

    def __init__(self, *, least: float, most: float = _MOST, whole: bool = False) -> None:
        self.name = "whole number" if whole else "number"
        self._least = least
        self._most = most
        self._whole = whole
        self._pattern = _WHOLE if whole else _PLAIN
        self._example = _spelled(20 if whole else 2.5)

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number.

        Raises:
            click.BadParameter: it is not a number, or out of bounds; the message says what may be
                meant.
        """
        text = str(value).strip()
        if len(text) > _DIGITS or not self._pattern.fullmatch(text):
            self.fail(self._no_number(text), param, ctx)
        number = int(text) if self._whole else float(text)
        if number <= 0 < self._least:
            self.fail(f"{text} is not above 0; give one such as {self._example}", param, ctx)
        if number < self._least:
            self.fail(f"{text} is too little; give at least {_spelled(self._least)}", param, ctx)
        if number > self._most:
            self.fail(f"{text} is too much; give at most {_spelled(self._most)}", param, ctx)
        return number

    def _no_number(self, text: str) -> str:
        """Return the error's words, with what may be meant."""
        shown = text if len(text) <= _DIGITS else f"{text[:_DIGITS]}..."
        meant = []
        if "," in text and not self._whole and _PLAIN.fullmatch(pointed := text.replace(",", ".")):
            meant.append(f"{pointed} with a point")
        if _GROUPED.fullmatch(text) and self._pattern.fullmatch(bare := re.sub("[,_' ]", "", text)):
            meant.append(f"{bare} without marks")
        remedy = f"write {' or '.join(meant)}" if meant else f"give one such as {self._example}"
        return f"{shown!r} is not a {self.name}; {remedy}"


def _spelled(number: float) -> str:
    """Return a bound as it can be typed."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


COUNT = Number(least=1, whole=True)
WHOLE = Number(least=0, whole=True)
CREDITS = Number(least=0.000001)
SECONDS = Number(least=0, most=86_400)
SPEED = Number(least=0.001, most=10_000)
PORT = Number(least=0, most=65535, whole=True)
