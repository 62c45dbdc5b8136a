"""What a text means under a name of ours: in a cell, or in JSON that was a table before."""

from ..journal import normalised
from ._json import parse_object
from ._text import shortened

_SHOWN = 40
# Spreadsheets write them in the language that they speak, pandas as numbers beside empty cells.
_YES = "true yes y 1 1.0 wahr ja vrai oui verdadero sí si vero sì verdadeiro sim waar"
_NO = "false no n 0 0.0 falsch nein faux non falso não onwaar nee"
_TRUTH = {word: words is _YES for words in (_YES, _NO) for word in words.split()}


def as_value(name: str, text: str) -> object:
    """Return the value that a text means; an empty one means none.

    Raises:
        ValueError: it is none for this name.
    """
    text = normalised(text)
    if not text:
        return None
    if name == "instrumental":
        if text.lower() not in _TRUTH:
            raise ValueError(f"instrumental is {shortened(text, _SHOWN)!r}; give true or false")
        return _TRUTH[text.lower()]
    if name == "vocal_gender":
        return text.lower()
    if name in ("options", "extra"):
        try:
            return parse_object(text)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from error
    return text
