"""Kinds that are known by their first bytes only: nothing in them is measured."""

import re

from .base import Measured, Suffix

UNMEASURED: dict[Suffix, re.Pattern[bytes]] = {
    ".aiff": re.compile(rb"FORM.{4}AIF[FC]", re.DOTALL),
    ".webm": re.compile(rb"\x1a\x45\xdf\xa3.{,40}\x42\x82.webm", re.DOTALL),
    ".mka": re.compile(rb"\x1a\x45\xdf\xa3"),  # Matroska: all that begins so and is no WebM
    ".au": re.compile(rb"\.snd"),
    ".caf": re.compile(rb"caff\0\x01"),
    ".amr": re.compile(rb"#!AMR"),
}
"""How a file of each kind begins; the first that fits decides."""
_LONGEST = 64
"""Bytes that are looked at."""


def measure(view: memoryview, start: int) -> Measured | None:
    """Return the kind of a file, or None if it is none of these."""
    head = bytes(view[start : start + _LONGEST])
    for suffix, mark in UNMEASURED.items():
        if mark.match(head):
            return Measured(suffix, None)
    return None
