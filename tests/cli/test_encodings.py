"""Which encoding a file is in: read where it is certain, else refused with what to type."""
# ruff: noqa: RUF001 - the letters and quotes of other languages

import io
from collections.abc import Callable

import pytest

from udio_async import SongRequest
from udio_async.cli._encoding import choose_encoding
from udio_async.cli._failures import BadInput
from udio_async.cli._lines import LINE_BYTES, Source, iter_lines, iter_text

from .reading import asked, problems, read, refused

TABLE = "description;lyrics\nBäume im Regen;\n"
GERMAN = "description\nÄpfel und Bäume für dich\n"
JAPANESE = "description\n雨の歌をうたう東京の夜\n"
LATER = "description\nrain\n\nB\xe4ume, für dich\n"


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16", "UTF-16"),  # with a mark
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_unicode_is_known_by_its_mark_or_its_zeros(encoding: str, told: str) -> None:
    """Whichever of its forms it is in; the mark is no part of the first name."""
    reading = read(TABLE.encode(encoding))
    assert reading.preview.encoding == told
    assert [entry.request.description for entry in reading.entries] == ["Bäume im Regen"]


def test_a_mark_for_big_endian_is_known() -> None:
    """Python writes the other one."""
    assert read(b"\xfe\xff" + TABLE.encode("utf-16-be")).preview.encoding == "UTF-16"


def test_text_without_plain_letters_is_told_by_its_mark_only() -> None:
    """Zeros are too few there to be sure."""
    ideas = "東京の夜の雨の歌をうたう\n" * 3
    assert len(asked(ideas.encode("utf-16"), "in.txt")) == 3
    error = refused(ideas.encode("utf-16-le"), "in.txt")
    assert "if it is UTF-16, give --encoding utf-16" in error.message
    assert len(asked(ideas.encode("utf-16-le"), "in.txt", encoding="utf-16")) == 3


def test_a_mark_where_two_files_were_joined_is_no_text() -> None:
    """As `cat` leaves it."""
    first, second = asked(b"\xef\xbb\xbfrain\n\xef\xbb\xbfsun\n", "in.txt")
    assert (first.description, second.description) == ("rain", "sun")


@pytest.mark.parametrize("name", ["in.csv", "in.txt"])
@pytest.mark.parametrize(
    "table",
    [
        "\ufeffdescription,mood\nrain,\n",
        "\ufeff\ufeffdescription,mood\nrain,\n",
        '"\ufeffdescription",mood\nrain,\n',
        'description,mood\n"\ufeff\ufeffrain",\n',
        "description,mood\nrain\u200b,\n",
    ],
)
def test_no_mark_at_the_end_of_a_text_is_part_of_it(table: str, name: str) -> None:
    """Each program that saves a file may put one more, before a quote or behind it."""
    assert [request.description for request in asked(table, name)] == ["rain"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            GERMAN.encode("cp1252"),
            'byte 0xc4 at byte 1 of the line; it looks like cp1252 ("Äpfel")',
        ),
        (
            GERMAN.encode("mac_roman"),
            'it looks like mac_roman ("Äpfel"): give --encoding mac_roman',
        ),
        (JAPANESE.encode("cp932"), "it looks like cp932 or shift_jis"),
        ("description\nłąka i róża\n".encode("cp1250"), "it looks like cp1250"),
        ("description\nit’s “rain” – again\n".encode("cp1252"), "--encoding cp1252"),
        ("description\nit’s “rain” – again\n".encode("mac_roman"), "--encoding mac_roman"),
        ("description\nà la vie, où\n".encode("cp1252"), "--encoding cp1252"),
        ("description\nПривет, мир\n".encode("cp1251"), "such as --encoding cp1251 (Cyrillic)"),
        ("description\n中文歌曲\n".encode("gb18030"), "or --encoding gb18030 (Chinese)"),
    ],
    ids=[
        "western",
        "mac",
        "japanese",
        "polish",
        "quotes",
        "quotes-mac",
        "french",
        "russian",
        "chinese",
    ],
)
def test_another_encoding_is_refused_and_guessed(content: bytes, told: str) -> None:
    """Nothing is read by a guess: the guess is what to type."""
    (problem,) = problems(content)
    assert problem.startswith("in.csv:2: is not UTF-8: byte 0x")
    assert told in problem
    assert "save the file as UTF-8" in problem


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", [0, 70_000, 65_536 - len("description\nrain\n\nB")])
def test_the_byte_that_does_not_fit_is_named(end: str, before: int) -> None:
    """By its line and its place there, wherever the pieces end in which it is read."""
    ideas = (f"{'x' * 99}\n" * (before // 100)) + "y" * (before % 100)
    content = f"{ideas}{LATER}".replace("\n", end).encode("cp1252")
    (problem,) = problems(content, "in.txt")
    assert problem.startswith(f"in.txt:{before // 100 + 4}: is not UTF-8: byte 0xe4 at byte 2 ")


def test_lines_before_the_bad_byte_are_checked_too() -> None:
    """All that can be told is told at once."""
    told = problems(b'{}\n{"lyrics": "B\xe4ume"}\n{}\n', "in.jsonl")
    assert [problem.split(" ")[0] for problem in told] == ["in.jsonl:1:", "in.jsonl:2:"]


@pytest.mark.parametrize("content", ["Über\nB".encode() + b"\xe4ume", "Über\n".encode() + b"\xc3"])
def test_a_file_of_two_encodings_is_not_guessed_at(content: bytes) -> None:
    """A guess would spoil the other lines; the same for a file that is cut off."""
    (problem,) = problems(content, "in.txt")
    assert "although the text before it is; mend this line" in problem
    assert "--encoding" not in problem


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "cp1252"),
        (GERMAN, "windows-1252"),
        (GERMAN, "latin-1"),
        (GERMAN, "mac_roman"),
        (GERMAN, "UTF8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (JAPANESE, "gb18030"),
        (JAPANESE, "utf-32"),
        ("description\nПривет мир\n", "koi8-r"),
    ],
)
def test_an_encoding_that_is_given_is_used(text: str, encoding: str) -> None:
    """And told, so that a wrong one shows."""
    reading = read(text.encode(encoding), encoding=encoding)
    assert reading.entries[0].request.description == text.splitlines()[1]
    if encoding.lower().startswith("utf"):
        assert reading.preview.encoding in ("UTF-8", "UTF-16", "UTF-32")
    else:
        assert reading.preview.encoding == encoding


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (GERMAN.encode(), "cp1252", "is UTF-8 and not cp1252; leave --encoding out"),
        (b"description\nrain", "utf-16", "is UTF-8 and not utf-16; leave --encoding out"),
        (GERMAN.encode("utf-8-sig"), "cp1252", "begins with the mark of UTF-8"),
        (GERMAN.encode("utf-16"), "cp1252", "begins with the mark of UTF-16"),
        (GERMAN.encode("utf-16"), "utf-16-be", "begins with the mark of UTF-16"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(content: bytes, encoding: str, words: str) -> None:
    """Read as something else it would be nonsense, and paid for."""
    assert words in refused(content, encoding=encoding).message


def test_a_wrong_encoding_that_was_given_is_told_with_the_likely_one() -> None:
    """Bytes that it does not have, or characters that are none."""
    error = refused(GERMAN.encode("cp1252"), encoding="ascii")
    assert "is not ascii: byte 0xc4" in error.problems[0]
    assert "give --encoding cp1252" in error.problems[0]
    error = refused("description\nit’s\n".encode("cp1252"), encoding="latin-1")
    assert "U+0092; remove it, or give --encoding cp1252" in error.problems[0]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CP-1252", "did you mean cp1252?"),
        ("shiftjis2", "did you mean shiftjis?"),
        ("nope", "known are utf-8, utf-16, cp1252"),
        ("", "known are"),
        ("rot13", "is unknown"),
        ("base64", "is unknown"),
        ("idna", "is unknown"),
        ("undefined", "is unknown"),
        ("a\0b", "is unknown"),
        ("é" * 1000, "is unknown"),
    ],
)
def test_an_encoding_that_does_not_exist_is_refused(name: str, meant: str) -> None:
    """What Python has for other purposes is none; no list of hundreds either."""
    with pytest.raises(BadInput, match="--encoding") as caught:
        choose_encoding(b"rain", name)
    assert meant in caught.value.message
    assert len(caught.value.message) < 200


def test_zeros_and_control_characters_are_told() -> None:
    """They are never sung; what the file may be instead is named."""
    assert "U+0000; remove it, or give --encoding utf-16" in problems(b"ra\0in\n", "in.txt")[0]
    assert problems(b"description,mine\nrain\x0b,\x0b\nsun\x07s,\n") == (
        "in.csv:3: description contains the control character U+0007; remove it",
    )
    assert len(asked("a\tb\n👩‍🚀 é\u2028\n", "in.txt")) == 2


@pytest.mark.parametrize("end", ["\u2028", "\u2029"])
def test_an_end_of_a_line_that_few_programs_know_is_told(end: str) -> None:
    """In ideas, as it may have been meant for two; within a cell or JSON it stays as it is."""
    (problem,) = problems(f"fog\nrain{end}sun\n", "in.txt")
    assert problem.startswith(f"in.txt:2: contains U+{ord(end):04X}, which ends a line in some")
    want = [SongRequest(lyrics=f"one{end}two", style="pop")]
    assert asked(f"lyrics,style\none{end}two,pop\n") == want
    assert asked(f'{{"lyrics": "one{end}two", "style": "pop"}}', "in.jsonl") == want


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\u00a0", "\u2060 "])
def test_marks_that_nobody_sees_hide_no_comment(mark: str) -> None:
    """Texts that are copied out of a browser may begin so; a line of nothing else is empty."""
    reading = read(f"rain\n{mark}# sun\n{mark}\n", "in.txt")
    assert ([entry.line for entry in reading.entries], reading.preview.comments) == ([1], 1)
    reading = read(f"description\nrain\n{mark}#sun\n")
    assert ([entry.line for entry in reading.entries], reading.preview.comments) == ([2], 1)


# Sizes -----------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    """A file that repeats itself, and counts what was taken."""

    def __init__(self, piece: bytes, length: int) -> None:
        self._make: Callable[[int], bytes] = lambda size: (piece * (size // len(piece) + 1))[:size]
        self._left = length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = min(len(buffer), self._left)
        buffer[:size] = self._make(size)
        self._left -= size
        return size


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_no_more_is_held_than_a_line(end: bytes) -> None:
    """Whatever ends the lines of a file of 100 MB."""
    file = io.BufferedReader(Endless(b"x" * (64 - len(end)) + end, 100 << 20))
    source = Source(file, "in.txt")
    lines = iter_lines(iter_text(source.iter_pieces(), choose_encoding(source.head, None)))
    assert max(len(line) for _, line in lines) < 64


def test_a_line_without_an_end_is_cut_and_refused() -> None:
    """It is not held, and does not hide what comes after it."""
    source = Source(io.BufferedReader(Endless(b"x", 20 << 20)), "in.txt")
    [(number, line)] = iter_lines(
        iter_text(source.iter_pieces(), choose_encoding(source.head, None))
    )
    assert (number, len(line)) == (1, LINE_BYTES + 1)
