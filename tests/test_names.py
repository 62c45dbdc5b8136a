"""Any title becomes a file name that is valid everywhere, stays inside, and is nobody else's."""

import random
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async import Song, Stage
from udio_async._download.names import file_name, former_names, is_part

PIECES = [
    *(
        "..",
        "/",
        "\\",
        ":",
        "*",
        "?",
        '"',
        "<",
        ">",
        "|",
        "\0",
        "\n",
        "\x7f",
        "\x85",
        "~1",
        "%2e%2e",
    ),
    *(
        "CON",
        "con.",
        "NUL.txt",
        "COM1",
        "com\u00b9",
        "LPT\u00b3",
        "CONIN$",
        "aux",
        "PRN.mp3",
        "-rf",
    ),
    *("\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad", "e\u0301", "\u00e9", "\ufb01", "\u212b"),
    *("\U0001f600" * 40, "\u0323\u0307" * 30, "a" * 300, "\u4e16" * 90, "\ud800", "\udfff", "."),
    *(" ", "\u00a0", "\u2028", "C:\\", "\\\\server\\share", "$HOME", "`id`", ";", "&&", "\u0130"),
    *("stra\u00dfe", "STRASSE", "Straße", "song", "SONG", "Song", "\uff0f", "\u2044", "\u29f8"),
]
RESERVED = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"
}


PART = ".01234567.part"
ROOM = 143 - len(PART) - (len(".webp") - len(".mp3"))
"""What eCryptfs leaves for a name: its cover's is longer, and while it is written still longer."""


def song_of(title: str, ident: str = "s") -> Song:
    return Song(id=ident, task_id="t", provider="p", index=0, stage=Stage.COMPLETE, title=title)


def name_of(title: str, ident: str, encoding: str = "utf-8") -> str:
    return file_name(song_of(title, ident), encoding)


def flaws(name: str) -> Iterator[str]:
    """What would be wrong with a name, on Linux, macOS or Windows. Written without the library."""
    encoded = name.encode("utf-8", "surrogatepass")
    if not 0 < len(encoded) <= ROOM:
        yield "length"
    if any(ord(char) < 32 or char in '<>:"/\\|?*\x7f' for char in name):
        yield "forbidden character"
    if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"} for char in name):
        yield "invisible character"
    if name[0] in " .-~" or name[-1] in " .":
        yield "edge"
    if name.partition(".")[0].rstrip(" ").lower() in RESERVED:
        yield "reserved"
    if unicodedata.normalize("NFC", name) != name:
        yield "not NFC"
    if not re.search(r"-[0-9a-f]{12}\.mp3$", name):
        yield "ending"


def test_fifty_thousand_hostile_titles_have_names_of_their_own() -> None:
    """No escape, no name that some system refuses, no two that one system takes for the same."""
    dice = random.Random(9)
    seen: set[str] = set()
    for number in range(50_000):
        title = "".join(dice.choices(PIECES, k=dice.randrange(1, 6)))
        name = name_of(title, f"song-{number}")
        assert list(flaws(name)) == [], title
        seen.add(unicodedata.normalize("NFC", name.casefold()))
    assert len(seen) == 50_000


@given(st.text(st.characters(codec=None), max_size=400), st.text(max_size=50))
def test_any_title_and_any_id(title: str, ident: str) -> None:
    """Whatever hypothesis thinks of."""
    assert list(flaws(name_of(title, ident))) == []


@given(st.text(st.characters(codec=None), max_size=400), st.text(max_size=50))
def test_any_title_has_a_name_in_ascii(title: str, ident: str) -> None:
    """For systems whose file names are not UTF-8, and as valid everywhere as the other one."""
    name = name_of(title, ident, "ascii")
    assert name.isascii()
    assert list(flaws(name)) == []


@pytest.mark.parametrize(
    ("title", "start"),
    [
        ("Café ♫", "Cafe-"),
        ("Ångström", "Angstrom-"),
        ("東京の夜", "untitled-"),
        ("♫", "untitled-"),
        ("\uff0f\uff0e\uff0e\uff0fetc", "etc-"),  # wide ones that ASCII has as "/../etc"
        ("A plain title", "A plain title-"),
    ],
)
@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "euc_jp"])
def test_a_name_that_the_system_cannot_write_loses_its_accents(
    title: str, start: str, encoding: str
) -> None:
    """In every locale but UTF-8 it is the same, so that another one finds it again."""
    assert name_of(title, "s", encoding).startswith(start)


def test_the_name_of_a_title_in_utf_8_is_its_own() -> None:
    """As it has always been, up to 110 bytes of it."""
    assert name_of("Café ♫", "s") == "Café ♫-856ba16bbba1.mp3"
    assert len(name_of("é" * 300, "s", "UTF-8").encode()) == 110 + len("-856ba16bbba1.mp3")


def test_former_names_are_those_of_earlier_versions_and_other_locales() -> None:
    """A song that is there under one of them is there."""
    long = "é" * 300
    names = former_names(song_of(long))
    assert name_of(long, "s", "ascii") in names
    assert f"{'é' * 60}-856ba16bbba1.mp3" in names  # 120 bytes of the title, once
    assert file_name(song_of(long)) not in names
    assert former_names(song_of("plain")) == ()


def test_a_part_is_told_by_its_whole_name() -> None:
    """Whatever else somebody keeps in the directory is none of ours."""
    name = name_of("a.mp3", "s")
    assert is_part(f"{name}{PART}")
    assert is_part(f"{name.removesuffix('mp3')}webp{PART}")
    for other in (name, f"{name}.part", f"notes{PART}", f"a.mp3{PART}", f"{name}{PART}~", PART):
        assert not is_part(other)


def test_the_checker_finds_what_is_wrong() -> None:
    """A control: each kind of flaw is seen."""
    bad = {
        "a/b-0123456789ab.mp3": "forbidden character",
        "a\u202eb-0123456789ab.mp3": "invisible character",
        ".a-0123456789ab.mp3": "edge",
        "con.a-0123456789ab.mp3": "reserved",
        "e\u0301-0123456789ab.mp3": "not NFC",
        "a.mp3.exe": "ending",
        f"{'a' * 200}-0123456789ab.mp3": "length",
    }
    assert {name: next(flaws(name)) for name in bad} == bad
