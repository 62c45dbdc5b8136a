"""Tables as spreadsheets and people save them: the same rows are the same requests."""
# ruff: noqa: RUF001 - the letters of other languages

import codecs
import csv
import io
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udio_async import SongRequest
from udio_async.cli._failures import BadInput
from udio_async.journal.keys import normalised

from .reading import asked, problems, read

# What real programs write ----------------------------------------------------------------------

WANTED = [
    SongRequest(lyrics="Bäume im Regen\nla, la; la", style="pop", title='Der "Regen"'),
    SongRequest(lyrics="Zeile", style="rock, laut", title="Zwei"),
]
COMMAS = (
    "lyrics,style,title\n"
    '"Bäume im Regen\nla, la; la",pop,"Der ""Regen"""\n'
    'Zeile,"rock, laut",Zwei\n'
)  # fmt: skip
SEMICOLONS = (
    "lyrics;style;title\n"
    '"Bäume im Regen\nla, la; la";pop;"Der ""Regen"""\n'
    "Zeile;rock, laut;Zwei\n"
)  # fmt: skip
TABS = (
    "lyrics\tstyle\ttitle\n"
    '"Bäume im Regen\nla, la; la"\tpop\t"Der ""Regen"""\n'
    'Zeile\t"rock, laut"\tZwei\n'
)  # fmt: skip
QUOTED = (
    '"lyrics","style","title"\n'
    '"Bäume im Regen\nla, la; la","pop","Der ""Regen"""\n'
    '"Zeile","rock, laut","Zwei"\n'
)  # fmt: skip


def crlf(text: str) -> str:
    """Rows end in CR LF, lines within a cell in LF alone, as Excel for Windows has it."""
    return text.replace("\n", "\r\n").replace("Regen\r\nla", "Regen\nla")


SAVED = {
    "LibreOffice": COMMAS.encode(),
    "LibreOffice in German": SEMICOLONS.encode(),
    "Excel in English": crlf(COMMAS).encode("utf-8-sig"),
    "Excel in German": crlf(SEMICOLONS).encode("utf-8-sig"),
    "Excel in German, all of CR LF": SEMICOLONS.replace("\n", "\r\n").encode("utf-8-sig"),
    "for Excel": crlf(f"sep=;\n{SEMICOLONS}").encode("utf-8-sig"),
    "for Excel, and saved again": crlf(f'"sep=;";;\n{SEMICOLONS}').encode(),
    "Unicode text": crlf(TABS).encode("utf-16"),
    "Excel for the Mac": COMMAS.replace("\n", "\r").encode("utf-8-sig"),
    "Excel for the Mac, in German": SEMICOLONS.replace("\n", "\r").encode(),
    "Google Sheets": crlf(COMMAS).rstrip().encode(),
    "Google Sheets, tabs": crlf(TABS).rstrip().encode(),
    "Numbers": QUOTED.replace("\n", "\r\n").encode(),
    "Numbers, and git": QUOTED.encode(),
    "PowerShell": QUOTED.replace("\n", "\r\n").encode("utf-16"),
    "a database": COMMAS.replace("ä", "a\u0308").encode(),
    "wide": COMMAS.replace("title\n", "title,,\n").replace("Zwei\n", "Zwei,,\n").encode(),
    "by hand": COMMAS.replace("pop,", "pop , ").replace("Zwei\n", "Zwei  \n\n \n").encode(),
}
SAVED_IN = {
    "Excel in German, ANSI": (crlf(SEMICOLONS).encode("cp1252"), "cp1252"),
    "Excel in German, for DOS": (crlf(SEMICOLONS).encode("cp850"), "cp850"),
    "Excel for the Mac, Macintosh": (
        SEMICOLONS.replace("\n", "\r").encode("mac_roman"),
        "macintosh",
    ),
}


@pytest.mark.parametrize("content", SAVED.values(), ids=SAVED)
@pytest.mark.parametrize("name", ["in.csv", "in.txt"])
def test_the_same_table_saved_by_another_program_is_the_same(content: bytes, name: str) -> None:
    """Separator, quotes, ends of lines and encoding are no part of a song."""
    assert asked(content, name) == WANTED


@pytest.mark.parametrize(("content", "encoding"), SAVED_IN.values(), ids=SAVED_IN)
def test_an_old_encoding_is_read_when_it_is_named(content: bytes, encoding: str) -> None:
    """And refused before, since nothing tells what the bytes mean."""
    assert asked(content, encoding=encoding) == WANTED
    assert "is not UTF-8" in problems(content)[0]


def test_excel_in_japanese() -> None:
    """cp932 with commas, or "Unicode text"; letters whose second byte is a separator elsewhere."""
    text = "description,notes\r\n雨の歌、ソング,メモ\r\n"
    assert asked(text.encode("cp932"), encoding="cp932") == [
        SongRequest(description="雨の歌、ソング")
    ]
    assert "cp932 or shift_jis" in problems(text.encode("cp932"))[0]
    assert asked(text.replace(",", "\t").encode("utf-16"), "in.txt") == asked(text)


# The first line --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("description,mood\nrain,x\n", ","),
        ("description;mood\nrain;x\n", ";"),
        ("description\tmood\nrain\tx\n", "\t"),
        ('"description";"mood, or so"\nrain;x\n', ";"),
        ('"mood; tempo, key";"a, b";description\nx;y;rain\n', ";"),
        ('"my\nnotes, all";description\nx;rain\n', ";"),
        ("a,b,c,d;description\nx;rain\n", ";"),
        ("mood\tlong, or so\tdescription\nx\ty\train\n", "\t"),
        ("# a, b, c\ndescription;x\nrain;\n", ";"),
        ("sep=|\ndescription|mood, or;so\nrain|x\n", "|"),
        ("description|mood, or;so\nrain|x\n", "|"),
        ("SEP=\t\r\ndescription\tmood\r\nrain\tx\r\n", "\t"),
        ("description\nrain\n", None),
        ("description;;\nrain;;\n", ";"),
    ],
)
def test_the_first_line_tells_the_separator(content: str, separator: str | None) -> None:
    """It is the one between names of ours; what stands in quotes separates nothing."""
    reading = read(content)
    assert reading.preview.separator == separator
    assert [entry.request for entry in reading.entries] == [SongRequest(description="rain")]


def test_one_column_needs_no_separator() -> None:
    """Semicolons are text there; a comma has to be in quotes, or in a file of tabs."""
    assert asked("description\nrain; and sun\n")[0].description == "rain; and sun"
    assert asked('description\n"rain, and sun"\n')[0].description == "rain, and sun"
    assert asked("description\nrain, and sun\n", "in.tsv")[0].description == "rain, and sun"
    assert "has 2 cells, the first line has 1" in problems("description\nrain, and sun\n")[0]


@pytest.mark.parametrize(
    "names",
    [
        "Lyrics,Negative Tags,Vocal Gender",
        "LYRICS,NEGATIVE-TAGS,vocal-gender",
        " lyrics ,negativeTags,vocalGender ",
        '"Lyrics",negative__tags,"VOCAL\nGENDER"',
        "Ｌｙｒｉｃｓ,negative tags,Vocal\u00a0Gender",  # as a Japanese keyboard has it
    ],
)
def test_names_may_be_written_as_people_write_them(names: str) -> None:
    """In any case, with blanks, hyphens or underscores."""
    wanted = SongRequest(lyrics="La", negative_tags="sad", vocal_gender="female")
    assert asked(f"{names}\nLa,sad,Female\n") == [wanted]


def test_own_columns_are_left_out_and_named() -> None:
    """Whatever is in them; what is empty is not even named."""
    reading = read('notes,description,mood,"x, y",,\n#1? no,rain,,2026-11-28,,\n".",sun,\x07,y\n')
    assert reading.preview.ignored == ("notes", "mood", "x, y")
    assert '  ignored columns: notes, mood, "x, y"' in str(reading.preview)
    assert [entry.request.description for entry in reading.entries] == ["sun"]


@pytest.mark.parametrize(
    ("names", "reasons"),
    [
        ("descripton,mood", ["'descripton' is unknown (did you mean description?)"]),
        ("Lyric,titel", ["did you mean lyrics?", "did you mean title?"]),
        ("lyrics,Gender", ["did you mean vocal_gender?"]),
        ("lyrics,negative tag", ["did you mean negative_tags?"]),
        ("Lyrics,mood,lyrics ", ["columns 1 and 3 both mean lyrics; keep one of them"]),
        ("style,title", ["has no column 'description' and none 'lyrics'"]),
        ("Prompt,mood", ["but 'Prompt', 'mood'; name one of them so"]),
        ("rain in the city", ["for ideas as text give --format text"]),
    ],
)
def test_a_first_line_that_is_wrong_is_told(names: str, reasons: list[str]) -> None:
    """All that is wrong with it, and nothing about the rows that it would have explained."""
    told = problems(f"{names}\na,b,c,d,e\n")
    assert len(told) == len(reasons)
    for problem, reason in zip(told, reasons, strict=True):
        assert problem.startswith("in.csv:1: ")
        assert reason in problem


@pytest.mark.parametrize(
    "name", ["notes", "mood", "tags", "genre", "artist", "album", "subtitle", "text", "date", "id"]
)
def test_a_column_of_ones_own_may_have_any_other_name(name: str) -> None:
    """Only what can be a slip is refused."""
    assert asked(f"description,{name}\nrain,x\n") == [SongRequest(description="rain")]


# Rows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,x,b", "has 3 cells, the first line has 2: 'b' stands in the extra one"),
        ("a,x,,,b,", "has 5 cells, the first line has 2: 'b' stands"),
        ("description,mood", "holds the names of columns once more; remove it if the rows below"),
        ("#NAME?,x", "description is '#NAME?', an error of the spreadsheet; mend the cell"),
        ("#DIV/0!,x", "an error of the spreadsheet"),
        ("#WERT!,x", "an error of the spreadsheet"),
        (
            '"a" b,x',
            "is not a CSV: a cell goes on after its quotes; write a quote within a cell twice",
        ),
        (",x", "neither description nor lyrics"),
    ],
)
def test_a_bad_row_is_told_and_the_others_are_read(row: str, reason: str) -> None:
    """By the line on which it begins."""
    first, last = problems(f'description,mood\n"a\nb",\n{row}\n\n,y\n')
    assert first.startswith("in.csv:4: ")
    assert reason in first
    assert last.startswith("in.csv:6: ")


def test_a_column_without_a_name_has_to_be_empty() -> None:
    """What stands there would be lost."""
    assert asked("description,,lyrics,\nrain,,,\n") == [SongRequest(description="rain")]
    assert "column 2 has no name and holds 'x'" in problems("description,,lyrics\nrain,x,\n")[0]


def test_numbers_of_rows_need_no_name() -> None:
    """pandas writes them into a first column without one, with gaps where it left rows out."""
    assert asked(",description,style\n0,rain,\n17,sun,\n") == [
        SongRequest(description="rain"),
        SongRequest(description="sun"),
    ]
    for row in ("x,rain", "-1,rain"):
        assert "column 1 has no name and holds" in problems(f",description\n{row}\n")[0]
    assert "column 2 has no name and holds '0'" in problems("description,\nrain,0\n")[0]


def test_a_quote_that_is_not_closed_is_told_where_it_opens() -> None:
    """Not at the end of the file, and without holding all that follows it."""
    (problem,) = problems('description\na\n"b\nc\n')
    assert problem.startswith(
        "in.csv:3: is not a CSV: a cell begins with a quote that is not closed"
    )
    (problem,) = problems('description\n"' + "x\n" * 5_000_000)
    assert problem.startswith("in.csv:2: is not a CSV: ")
    (problem,) = problems("description,b\n" + '"x\n",' * 500_000)
    assert problem.startswith("in.csv:2: is longer than 1,048,576 bytes")


def test_comments_are_rows_that_begin_so() -> None:
    r"""Before the names, between rows, in quotes too; within a cell it is text, and "\#" is "#"."""
    reading = read(
        '# Ideas, for "May\n\nlyrics,style\n# one, "two\n"#three, four",\n"la\n# la",pop\n\\#1,\n'
    )
    assert reading.preview.comments == 3
    assert [entry.request.lyrics for entry in reading.entries] == ["la\n# la", "#1"]
    assert [entry.line for entry in reading.entries] == [6, 8]


def test_a_row_of_several_lines_may_be_a_comment_line_by_line() -> None:
    """As an editor marks them."""
    reading = read('lyrics,style\n#"one\n#two\n#three",pop\nla,pop\n')
    assert [entry.request.lyrics for entry in reading.entries] == ["la"]


@pytest.mark.parametrize("comment", ["# don't \"q", '# one, "two', '# "one" and two', '# "two'])
def test_a_quote_in_a_comment_hides_no_row(comment: str) -> None:
    """It is only a character, where the rows behind it have quotes of their own, or none."""
    for row in ("la,pop", '"la\nla",pop', 'la,"pop, rock"', 'la,""'):
        assert len(asked(f"lyrics,style\n{comment}\n{row}\n{comment}\nlo,pop\n")) == 2


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "comment",
    [
        '#"one\ntwo\nthree\nfour",pop\n',
        '# "one\ntwo, ""2""\n",pop\n',
        '#one,"pop\nand rock"\n',
        '# "Old one\nb song,pop\nTV 5",jazz\n',
        '#"one "two" three\nfour",pop\n',
        '#"one\nsay "two" twice\nfour",pop\n',
    ],
)
def test_a_comment_that_may_go_on_over_several_lines_is_refused(comment: str, ends: str) -> None:
    """Else what is left of a row would be paid for, or rows behind a comment would be lost."""
    (problem,) = problems(f"lyrics,style\n{comment}la,pop\n".replace("\n", ends))
    assert problem.startswith("in.csv:2: is a comment with a quote that a later line closes")


@pytest.mark.parametrize("name", ["in.csv", "in.txt"])
def test_a_column_of_numbers_may_be_called_so(name: str) -> None:
    """Names after a "#" are no comment, though a row is one."""
    reading = read("# mine, style\n#;Lyrics;Title\n1;la;La\n#;2;\n", name)
    assert [entry.request for entry in reading.entries] == [SongRequest(lyrics="la", title="La")]
    assert (reading.preview.ignored, reading.preview.comments) == (("#",), 2)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("TRUE", True),
        ("Yes", True),
        ("1", True),
        ("1.0", True),  # pandas, where another cell of the column is empty
        ("0.0", False),
        ("WAHR", True),
        ("FAUX", False),
        ("", False),
    ],
)
def test_yes_and_no_are_those_of_spreadsheets(word: str, value: bool) -> None:
    """They write them in their own language."""
    assert asked(f"description,instrumental\nrain,{word}\n")[0].instrumental is value


def test_a_table_that_was_turned_into_json_is_the_same() -> None:
    """`csv.DictReader` makes a text of each cell, also of yes and no, of objects and of nothing."""
    names = "description,model,instrumental,vocal_gender,extra,key"
    table = f'{names}\nrain,,TRUE,,,1\nsun,chirp-v4,, Female,"{{""n"": 2}}",2\n'
    rows = [*csv.DictReader(io.StringIO(table))]
    assert asked(json.dumps(rows), "in.json") == asked(table)
    assert asked("\n".join(map(json.dumps, rows)), "in.jsonl") == asked(table)


def test_cells_of_objects_are_json() -> None:
    """And their problems name the column."""
    assert asked('description,extra\na,"{""n"": 2}"\n')[0].extra == {"n": 2}
    assert "extra is not JSON: the object is not closed" in problems("description,extra\na,{\n")[0]
    assert "options is a number; give an object" in problems("description,options\na,1\n")[0]


def test_a_key_names_one_row() -> None:
    """With blanks around it or not."""
    told = problems("description,key\na,k\nb, k \nc,-x\n")
    assert told[0] == "in.csv:3: key 'k' is that of line 2 already"
    assert "begins like an option" in told[1]


# Tables whose columns were moved, or that were put together ------------------------------------


@pytest.mark.parametrize(
    ("names", "again"),
    [
        ("description,model", "Description,MODEL"),
        ("description,model", "model,description"),
        ("description,model", "title,Lyrics"),
        ("description,mood", "mood,description"),
        ("description,mood", "Description,notes"),
        ("lyrics,Negative Tags", "lyrics,negative_tags"),
        ("description", "Description"),
    ],
)
def test_the_first_line_of_a_second_table_is_no_song(names: str, again: str) -> None:
    """`cat` puts it between the rows, and its columns may have another order."""
    (problem,) = problems(f"{names}\nrain,\n{again}\nsun,\n")
    assert problem.startswith("in.csv:3: holds the names of columns once more")


def test_a_song_may_have_the_name_of_a_column() -> None:
    """Where the rest of its row is no name."""
    (request,) = asked("lyrics,style,title,mood\nla la,pop,Lyrics,description\n")
    assert request.title == "Lyrics"
    (problem,) = problems("kind,description\nlyrics,\n")
    assert "neither description nor lyrics" in problem


def test_a_backslash_before_a_hash_is_no_text_in_any_column() -> None:
    """Else it would be, once a spreadsheet has moved the column."""
    first, second = asked("title,lyrics,style\n\\#1,\\# la,\\#pop\nA,la \\#,pop\n")
    assert (first.title, first.lyrics, first.style) == ("#1", "# la", "#pop")
    assert second.lyrics == "la \\#"


@pytest.mark.parametrize(
    "table",
    [
        ",description\n0,rain\n1,# sun\n",
        "title,description\n,rain\n,# sun\n",
        "mood,title,description\nsad,,rain\n\u200b,# sun,\n",
        "id,description\n1,rain\n2,# sun\n",
    ],
)
def test_what_may_be_a_comment_behind_other_cells_is_refused(table: str) -> None:
    """A program has put a number or a column before it; a song of a comment would be paid for."""
    (problem,) = problems(table)
    assert "begins with # sun; write \\# for a song, or put the # into the first cell" in problem


@pytest.mark.parametrize(
    ("table", "field", "text"),
    [
        ("key,description\n,#1 hit song\n", "description", "#1 hit song"),
        ("key,description\nk1,# one\n", "description", "# one"),
        ("key,style,lyrics\n,#pop,words\n", "style", "#pop"),
        (",description\n1,#1 hit\n", "description", "#1 hit"),
        ('title,lyrics\nRain,"# Verse 1\nla"\n', "lyrics", "# Verse 1\nla"),
        ('title,lyrics\n,"# Verse 1\nla"\n', "lyrics", "# Verse 1\nla"),
    ],
)
def test_what_only_begins_like_a_comment_is_a_song(table: str, field: str, text: str) -> None:
    """A tag, a number, a heading in lyrics, and a row that has begun before."""
    (request,) = asked(table)
    assert getattr(request, field) == text


# Any table -------------------------------------------------------------------------------------

_WORDS = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], include_characters="\n\t;,\"'#\\"),
    min_size=1,
    max_size=40,
)
_TEXTS = _WORDS.map(normalised).filter(lambda text: text and not text.startswith(("#", "\\#")))
_REQUESTS = st.lists(
    st.builds(
        SongRequest,
        lyrics=_TEXTS,
        style=_TEXTS | st.none(),
        title=_TEXTS | st.none(),
        negative_tags=_TEXTS | st.none(),
        instrumental=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)
_NAMES = ("lyrics", "title", "style", "negative_tags", "instrumental")
_MARKS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


def written(
    requests: list[SongRequest],
    *,
    separator: str,
    end: str,
    encoding: str,
    quoted: bool,
    told: bool,
) -> bytes:
    """A CSV of these requests, as a program with these habits writes it."""
    file = io.StringIO(newline="")
    rows = csv.writer(
        file,
        delimiter=separator,
        lineterminator="\n",
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
    )
    rows.writerow(_NAMES)
    rows.writerows([getattr(request, name) for name in _NAMES] for request in requests)
    text = (f"sep={separator}\n" * told + file.getvalue()).replace("\n", end)
    return _MARKS.get(encoding, b"") + text.encode(encoding)


@given(
    requests=_REQUESTS,
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(sorted(_MARKS)),
    quoted=st.booleans(),
    told=st.booleans(),
)
def test_whatever_is_written_is_read_back(
    *,
    requests: list[SongRequest],
    separator: str,
    end: str,
    encoding: str,
    quoted: bool,
    told: bool,
) -> None:
    """With any separator, any end of line, any mark and any quotes."""
    content = written(
        requests, separator=separator, end=end, encoding=encoding, quoted=quoted, told=told
    )
    assert asked(content) == requests


_LETTERS = {
    "cp1252": "äöüßñœŠ€’“",
    "mac_roman": "äöüßñœ€’“π",
    "cp1250": "łąęśćžřőű",
    "koi8-r": "Привет",
    "cp932": "雨の歌ソング表予ｱ～",
    "gb18030": "中文歌曲𠮷",
    "euc_kr": "한국어노래",
}


@given(encoding=st.sampled_from(sorted(_LETTERS)), data=st.data())
def test_whatever_is_written_in_an_encoding_is_read_back(
    encoding: str, data: st.DataObject
) -> None:
    """Once it is named."""
    words = st.text(_LETTERS[encoding] + '\n ab;,"', min_size=1)
    texts = words.map(normalised).filter(bool)
    requests = data.draw(st.lists(st.builds(SongRequest, lyrics=texts), min_size=1, max_size=3))
    content = written(
        requests, separator=";", end="\r\n", encoding=encoding, quoted=True, told=False
    )
    try:
        content.decode()
    except UnicodeDecodeError:
        assert asked(content, encoding=encoding) == requests


@given(st.binary(max_size=300), st.sampled_from(["", ".csv", ".txt", ".json", ".jsonl", ".xlsx"]))
def test_whatever_the_bytes_are_they_are_read_or_refused(content: bytes, ending: str) -> None:
    """Never with a traceback."""
    for head in (b"", b"description\n", b"[", b'{"lyrics": ', b"PK\x03\x04"):
        with suppress(BadInput):
            read(head + content, f"in{ending}")
