"""The encoding of a file: by its mark or its pattern, never guessed.

A guess is only for the error: it names what to type.
"""

import codecs
import re
from difflib import get_close_matches
from encodings.aliases import aliases

import attrs

from ._failures import BadInput


@attrs.frozen
class Encoding:
    """How bytes become text."""

    codec: str
    """The name of Python's codec, without a mark of its own."""
    name: str
    """The name that people use."""


UTF8 = Encoding("utf-8", "UTF-8")
_UTF16_LE = Encoding("utf-16-le", "UTF-16")
_UTF16_BE = Encoding("utf-16-be", "UTF-16")
_UTF32_LE = Encoding("utf-32-le", "UTF-32")
_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, _UTF32_LE),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, Encoding("utf-32-be", "UTF-32")),
    (codecs.BOM_UTF16_LE, _UTF16_LE),
    (codecs.BOM_UTF16_BE, _UTF16_BE),
)

_NOT_OF_FILES = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape"})
"""Python takes them for encodings of text."""
_NAMES = sorted(
    {
        name
        for pair in aliases.items()
        if not pair[1].endswith(("_codec", "rot_13", "mbcs"))
        for name in pair
    }
)


def choose_encoding(head: bytes, wanted: str | None) -> Encoding:
    """Return the encoding of a file that begins with these bytes.

    Args:
        head: the first bytes.
        wanted: the encoding that the user gave, if any.

    Raises:
        BadInput: there is no such encoding.
        ValueError: the file is plainly in another one, or is not text.
    """
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    patterned = marked or _by_zeros(head)
    if wanted is not None:
        return _as_wanted(head, wanted, marked, patterned)
    if patterned is None and b"\0" in head and not _is_utf8(head):
        raise ValueError("is not text; if it is UTF-16, give --encoding utf-16")
    return patterned or UTF8


def _as_wanted(
    head: bytes, wanted: str, marked: Encoding | None, patterned: Encoding | None
) -> Encoding:
    codec = _codec(wanted).removesuffix("-sig")
    if marked is not None:
        if not marked.codec.startswith(codec):  # "utf-16" is either of two
            raise ValueError(f"begins with the mark of {marked.name}; leave --encoding out")
        return marked
    if codec == UTF8.codec:
        return UTF8
    wide = codec.startswith(("utf-16", "utf-32"))
    told = b"\0" not in head if wide else not head.isascii()
    if head and told and _is_utf8(head):
        raise ValueError(f"is UTF-8 and not {wanted}; leave --encoding out")
    if codec == "utf-16":
        return patterned or _UTF16_LE
    return _UTF32_LE if codec == "utf-32" else Encoding(codec, wanted)


def _codec(name: str) -> str:
    """Return Python's own name of a text encoding.

    Raises:
        BadInput: it has none.
    """
    try:
        "a".encode(name)  # what is not an encoding of text is refused here
        codec = codecs.lookup(name).name
        if codec not in _NOT_OF_FILES:
            return codec
    except (LookupError, ValueError):
        pass
    like = re.sub(r"[\W_]+", "_", name.lower())[:40]
    near = get_close_matches(like, _NAMES, n=1)
    meant = f"did you mean {near[0]}? others are" if near else "known are"
    raise BadInput(
        f"--encoding {name[:40]!r} is unknown; {meant} utf-8, utf-16, cp1252, mac_roman, shift_jis"
    )


def _by_zeros(head: bytes) -> Encoding | None:
    """Return UTF-16 if the zeros are where plain English has them there."""
    start = head[:64]
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = (len(start) + 1) // 2
    if odd * 2 >= half and odd > 4 * even:
        return _UTF16_LE
    if even * 2 >= half and even > 4 * odd:
        return _UTF16_BE
    return None


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the end may be cut
    except UnicodeDecodeError:
        return False
    return True


# What to say of bytes that do not fit -------------------------------------------------------


def explain_bytes(error: UnicodeDecodeError, encoding: Encoding, *, at: int, mixed: bool) -> str:
    """Return which byte does not fit, what the file looks like, what to do.

    Args:
        error: what the decoder says of the line.
        encoding: in which it was read.
        at: the number of the byte in its line.
        mixed: whether the text before it was more than ASCII.
    """
    bad = error.object[error.start]
    told = f"is not {encoding.name}: byte 0x{bad:02x} at byte {at} of the line"
    if (mixed and encoding is UTF8) or encoding.codec.startswith(("utf-16", "utf-32")):
        return f"{told}, although the text before it is; mend this line, or save the file as UTF-8"
    guess = _guess(error.object)
    if guess is None or guess == encoding.codec:
        return (
            f"{told}; save the file as UTF-8, or name its encoding, such as --encoding cp1251 "
            "(Cyrillic) or --encoding gb18030 (Chinese)"
        )
    word = _word_around(error.object, error.start).decode(guess, "replace")
    like = f'it looks like {_ALSO.get(guess, guess)} ("{word}")'
    return f"{told}; {like}: give --encoding {guess}, or save the file as UTF-8"


# ruff: noqa: RUF001 - quotes and dashes of print are what texts are made of
_WESTERN = "äöüÄÖÜßéèêëáàâãåæçíìîïñóòôõøúùûœÉÈÀÂÇÑÅØÆŒ“”„‘’‚«»–—…€¿¡°"
_CENTRAL = "äöüÄÖÜßéáíóúôâîąćęłńśźżĄĆĘŁŃŚŹŻčďěňřšťůýžČŘŠŽőűŐŰ“”„’–—…"
_LATIN = {"cp1252": _WESTERN, "mac_roman": _WESTERN, "cp1250": _CENTRAL}
"""Encodings of Latin letters, the likeliest first, and what each is used for beside ASCII."""
_ALSO = {"cp932": "cp932 or shift_jis"}
_KANA = re.compile(rb"\x82[\x9f-\xf1]|\x83[\x40-\x96]")


def _guess(data: bytes) -> str | None:
    """Return the encoding that these bytes look like, or None."""
    high = re.findall(rb"[\x80-\xff]+", data)
    number = sum(map(len, high))
    if len(_KANA.findall(data)) * 4 > number:
        return "cp932"
    if sum(len(run) for run in high if len(run) > 2) * 2 > number:
        return None  # words without a plain letter are of no Latin alphabet
    text = b"".join(high)
    fits = {
        name: sum(char in letters for char in text.decode(name, "replace"))
        for name, letters in _LATIN.items()
    }
    best = max(fits, key=fits.__getitem__)
    return best if fits[best] * 5 >= number * 4 else None


def _word_around(data: bytes, place: int) -> bytes:
    """Return the word at a place, by which a reader finds it."""
    before = re.split(rb"[\s,;\"\0]", data[max(0, place - 12) : place])[-1]
    after = re.split(rb"[\s,;\"\0]", data[place : place + 12])[0]
    return before + after
