"""Titles, styles and lyrics for songs whose request names none."""

import random
from collections.abc import Iterator

_FIRST = (
    "Silver",
    "Paper",
    "Summer",
    "Broken",
    "Electric",
    "Gentle",
    "Midnight",
    "Northern",
    "Second",
    "Velvet",
    "Wild",
)
_SECOND = (
    "Rivers",
    "Windows",
    "Letters",
    "Engines",
    "Gardens",
    "Harbours",
    "Mornings",
    "Lanterns",
    "Signals",
    "Sparrows",
)
_STYLES = (
    "indie pop, warm, 96 bpm",
    "synthwave, driving, 112 bpm",
    "acoustic folk, soft",
    "lo-fi, mellow, vinyl",
    "funk, bright, brass",
    "ambient, slow, dreamy",
)
_STARTS = (
    "I saw you at the edge of town",
    "We counted every passing train",
    "The radio forgot our names",
    "I kept the letter that you wrote",
    "The streetlights hum a song we know",
    "You said the sea would learn to wait",
    "There is a window facing east",
    "I left my watch beside the door",
)
_ENDINGS = (
    "and the evening would not fall",
    "and nobody was there to call",
    "while the paint came off the wall",
    "with the summer standing tall",
    "and I did not mind at all",
    "as the night began to sprawl",
)
INSTRUMENTAL = "[Instrumental]"


def make_title(words: random.Random) -> str:
    """Make up a title of two words."""
    return f"{words.choice(_FIRST)} {words.choice(_SECOND)}"


def make_style(words: random.Random) -> str:
    """Make up a list of style tags."""
    return words.choice(_STYLES)


def make_lyrics(words: random.Random) -> str:
    """Make up two verses of four lines."""
    starts = iter(words.sample(_STARTS, 4))
    endings = iter(words.sample(_ENDINGS, 4))
    verses = [f"[Verse {number}]\n{_couplet(starts, endings)}" for number in (1, 2)]
    return "\n\n".join(verses)


def _couplet(starts: Iterator[str], endings: Iterator[str]) -> str:
    return "\n".join(f"{next(starts)},\n{next(endings)}" for _ in range(2))
