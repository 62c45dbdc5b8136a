"""Characters that nobody sees: control characters, strange ends of lines, marks without a width."""

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""All but the tab and the end of a line."""
_UNMEANT = re.compile(r"[\x80-\x9f]")
_LINE_END = re.compile(r"[\u2028\u2029]")
"""The line and the paragraph separator, which few programs read as the end of a line."""
_UNSEEN = re.compile(r"[\s\u00ad\u200b-\u200f\u2060\ufeff]*")


def refuse_control(name: str, text: str, *, escaped: bool = False) -> None:
    """Refuse characters that nobody can see or sing.

    With `escaped` the format can write most of them only as an escape, so they are meant.

    Raises:
        ValueError: there is one; the message has its code, and what may be wrong.
    """
    found = (_UNMEANT if escaped else _CONTROL).search(text)
    if found is not None:
        told = f"{name} contains the control character U+{ord(found[0]):04X}; remove it"
        raise ValueError(f"{told}{_hint(ord(found[0]))}")


def _hint(code: int) -> str:
    if code == 0:
        return ", or give --encoding utf-16 if the file is that"
    if code > 0x7F:  # so cp1252 looks that was read as its neighbour, latin-1
        return ", or give --encoding cp1252 if the file is that"
    return ""


def refuse_line_end(text: str) -> None:
    """Refuse a text of one line that some programs show as several.

    Raises:
        ValueError: it holds a line or paragraph separator.
    """
    if found := _LINE_END.search(text):
        raise ValueError(
            f"contains U+{ord(found[0]):04X}, which ends a line in some programs only; end the "
            "line there as the others are, or put a blank in its place"
        )


def as_seen(text: str) -> str:
    """Return a text from its first character that can be seen, without blanks at its end."""
    unseen = _UNSEEN.match(text)
    return text[unseen.end() if unseen else 0 :].rstrip()
