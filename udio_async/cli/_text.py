"""Text for a terminal: on one line, and without commands to it."""


def as_utf8(text: str) -> str:
    """Return the text that was meant, where the locale is not UTF-8.

    Python keeps the bytes of such a text as surrogates.
    """
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # it has other surrogates, which stand for no bytes
        return text


def one_line(text: object) -> str:
    """Return the text on one line, without control characters.

    A terminal would obey them.
    """
    meant = as_utf8(str(text))
    return " ".join("".join(char if char.isprintable() else " " for char in meant).split())


def clock(seconds: float) -> str:
    """Return seconds as "3:05"."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"


def amount(number: float) -> str:
    """Return credits as "1,234,567" or "12.5", without what is only rounding."""
    return f"{number or 0:,.6f}".rstrip("0").rstrip(".")


def as_typed(number: float) -> str:
    """Return a number as an option takes it."""
    return repr(number).removesuffix(".0")


def counted(number: int, noun: str) -> str:
    """Return "1 song" or "2 songs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shortened(text: str, length: int = 120) -> str:
    """Return the beginning of a text on one line, cut at a word."""
    line = one_line(text)
    if len(line) <= length:
        return line
    return line[: length - 1].rsplit(" ", 1)[0] + "\N{HORIZONTAL ELLIPSIS}"
