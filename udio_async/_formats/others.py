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
    ".ts": re.compile(rb"G(.{187}G){3}", re.DOTALL),  # packets of 188 bytes
    ".wma": re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    # The mark of Dolby has two bytes: behind it, one says the rate and one the version.
    ".ac3": re.compile(rb"\x0b\x77..[\0-\x25\x40-\x65\x80-\xa5][\x30-\x57]", re.DOTALL),
    ".eac3": re.compile(rb"\x0b\x77...[\x58-\x87]", re.DOTALL),
    ".dts": re.compile(rb"\x7f\xfe\x80\x01"),
    # A mark and a length, one program of one layer, and the usual kinds of AAC.
    ".latm": re.compile(rb"V[\xe0-\xff].\x20\0[\x08-\x2f]", re.DOTALL),
    ".wv": re.compile(rb"wvpk"),
    ".tta": re.compile(rb"TTA[12]"),
    ".w64": re.compile(rb"riff\x2e\x91\xcf\x11"),
    ".flv": re.compile(rb"FLV\x01"),
}
"""How a file of each kind begins; the first that fits decides."""
_LONGEST = 3 * 188 + 1
"""Bytes that are looked at."""


def measure(view: memoryview, start: int) -> Measured | None:
    """Return the kind of a file, or None if it is none of these."""
    head = bytes(view[start : start + _LONGEST])
    for suffix, mark in UNMEASURED.items():
        if mark.match(head):
            return Measured(suffix, None)
    return None
